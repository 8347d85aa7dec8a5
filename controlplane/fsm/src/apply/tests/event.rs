//! Whoever watches sees every change: an entry names the rows that it changed.

use super::*;
use crate::event::Event;
use crate::state::State;
use crate::testing::BEGIN;
use sekisho_types::id::{JobId, SiteId, TenantId};
use sekisho_types::patch::Patch;
use sekisho_types::principal::{KeyRecord, Role};
use std::collections::BTreeMap;

/// A job as it is shown: its row and its placements.
fn shown(state: &State, id: &JobId) -> String {
    let row = state.job(id);
    let placements = row.iter().flat_map(|row| &row.placements);
    let placements: Vec<_> = placements.map(|id| state.placement(id)).collect();
    format!("{row:?} {placements:?}")
}

/// A node as it is shown: without the place of its desired set in the audit log.
fn node_shown(state: &State, id: &NodeId) -> String {
    let row = state.node(id).cloned().map(|mut row| {
        row.desired = None;
        row
    });
    format!("{row:?}")
}

/// Every other row as it is shown, by the event that names it.
fn rows(state: &State) -> BTreeMap<Event, String> {
    let mut rows = BTreeMap::new();
    for (id, row) in state.sites() {
        let key = state.site_keys(id).map(|keys| &keys.current);
        rows.insert(Event::Site(id.clone()), format!("{row:?} {key:?}"));
    }
    for (id, row) in state.tenants() {
        // How many jobs it has is as of the reading.
        let name = (&row.display_name, &row.policy, &row.parent, row.revision);
        rows.insert(Event::Tenant(id.clone()), format!("{name:?}"));
    }
    for (id, row) in state.policies() {
        rows.insert(Event::Policy(id.clone()), format!("{row:?}"));
    }
    for ((tenant, class), area, line) in state.quotas() {
        let event = Event::Quota(tenant.clone(), class.clone(), area);
        rows.insert(event, format!("{:?}", line.quota));
    }
    for ((tenant, name), row) in state.budgets() {
        let shown = (&row.spec, row.revision);
        rows.insert(Event::Budget(tenant.clone(), name.clone()), format!("{shown:?}"));
    }
    for (key, row) in state.escrows() {
        rows.insert(Event::Escrow(Box::new(key.clone())), format!("{row:?}"));
    }
    for ((site, name), row) in state.offers() {
        // What is charged to it is as of the reading.
        let shown = (&row.spec, row.withdrawn, row.revision);
        rows.insert(Event::Offer(site.clone(), name.clone()), format!("{shown:?}"));
    }
    for (key, row) in state.vetoes() {
        rows.insert(Event::Veto(Box::new(key.clone())), format!("{row:?}"));
    }
    for ((tenant, name), row) in state.reservations.iter() {
        rows.insert(Event::Reservation(tenant.clone(), name.clone()), format!("{row:?}"));
    }
    for (id, row) in state.approvals() {
        rows.insert(Event::Approval(*id), format!("{row:?}"));
    }
    for (id, row) in state.break_glasses() {
        rows.insert(Event::BreakGlass(*id), format!("{row:?}"));
    }
    for (id, row) in state.keys() {
        rows.insert(Event::Key(Box::new(id.clone())), format!("{row:?}"));
    }
    let wrong: Vec<_> = state.ranges().filter(|(_, range)| range.conviction.is_some()).collect();
    let out = state.convictions().map(|(id, row)| (id, (&row.landmark, &row.reach)));
    for (id, row) in state.landmarks().iter().chain(out) {
        let with = wrong.iter().filter(|((by, of), _)| by == id || of == id);
        let with: Vec<_> = with.map(|(pair, _)| pair).collect();
        let convicted = state.convicted(id).is_some();
        rows.insert(Event::Landmark(id.clone()), format!("{row:?} {with:?} {convicted}"));
    }
    for (id, row) in state.federation().into_iter().flat_map(|held| &held.members) {
        let standing = state.federation().and_then(|held| held.standing(*id));
        rows.insert(Event::Member(*id), format!("{row:?} {standing:?}"));
    }
    rows
}

/// Applies the log again and holds each entry to what it changed. The names of what changed.
pub(super) fn check(f: &Federation) -> (Vec<JobId>, Vec<NodeId>) {
    let (mut state, mut jobs, mut nodes) = (State::default(), Vec::new(), Vec::new());
    for (revision, entry) in &f.log {
        let before = state.clone();
        let events = state.apply(*revision, entry).events;
        let command = &entry.command;
        for (id, _) in state.jobs().filter(|(id, _)| shown(&before, id) != shown(&state, id)) {
            assert!(events.contains(&Event::Job(id.clone())), "{command:?} does not name {id}");
            jobs.push(id.clone());
        }
        let changed = |id: &NodeId| node_shown(&before, id) != node_shown(&state, id);
        for (id, _) in state.nodes().filter(|(id, _)| changed(id)) {
            let named = [Event::Node(id.clone()), Event::NodeShown(id.clone())];
            assert!(named.iter().any(|e| events.contains(e)), "{command:?} does not name {id}");
            nodes.push(id.clone());
        }
        let (was, is) = (rows(&before), rows(&state));
        for event in was.keys().chain(is.keys()).filter(|event| was.get(event) != is.get(event)) {
            assert!(events.contains(event), "{command:?} does not name {event:?}");
        }
        assert!(before.jobs().all(|(id, _)| state.job(id).is_some()), "jobs are not removed");
        assert!(before.nodes().all(|(id, _)| state.node(id).is_some()), "nodes are not removed");
    }
    assert_eq!(state.to_snapshot().unwrap(), f.state.to_snapshot().unwrap());
    (jobs, nodes)
}

#[test]
fn every_row_that_an_entry_changes_is_named() {
    let mut f = Federation::furnished();
    let node: NodeId = "tokyo-1/n-01".parse().unwrap();
    let there: NodeId = "ishikari-1/n-01".parse().unwrap();
    // Runs and ends.
    let id = f.submit(job("runs", 2, 2, &[]));
    f.place(&id, &["tokyo-1/n-01", "ishikari-1/n-01"]);
    all(&mut f, &id, &Phase::Starting);
    all(&mut f, &id, &Phase::Running);
    all(&mut f, &id, &Phase::Ended(Ending::Exited(0)));
    // Is cancelled while it runs, and before it is placed.
    let id = f.submit(job("cancelled", 1, 2, &[]));
    f.place(&id, &["tokyo-1/n-01"]);
    all(&mut f, &id, &Phase::Running);
    f.accept(user("kanto", "sapporo"), Command::CancelJob { job: id.clone() });
    all(&mut f, &id, &Phase::Ended(Ending::Stopped));
    let id = f.submit(job("never-placed", 1, 2, &[]));
    f.accept(user("kanto", "sapporo"), Command::CancelJob { job: id });
    // Fails to start until it is given up; one member's end stops the other.
    let id = f.submit(job("fails", 2, 1, &[]));
    for _attempt in 0..ATTEMPTS_MAX {
        f.place(&id, &["tokyo-1/n-01", "ishikari-1/n-01"]);
        let [first, second] = f.placements(&id)[..] else { panic!("a group of two") };
        let why = Ending::StartFailed("no such image".into());
        report(&mut f, &node, vec![(first, Phase::Ended(why))]);
        report(&mut f, &there, vec![(second, Phase::Ended(Ending::Stopped))]);
    }
    assert_eq!(f.state.job(&id).unwrap().phase, JobPhase::Failed);
    // A lease ends, the agent comes back, its tag is renewed, the node is cordoned.
    let id = f.submit(job("lost", 1, 1, &[]));
    f.place(&id, &["tokyo-1/n-01"]);
    let session = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    f.accept(member("kanto"), Command::ExpireLease { node: node.clone(), session });
    f.open(&node, 4, Some(session));
    let tag = f.tag(&node, "131016", 2).sign(&crate::testing::key("site-tag", "kanto")).unwrap();
    f.accept(member("kanto"), Command::RenewTag { node: node.clone(), tag });
    f.accept(admin("kanto"), Command::SetSchedulable { node: node.clone(), schedulable: false });
    // What runs somewhere goes with the node and with the site.
    for (name, at) in [("with-node", "sakai-1/n-01"), ("with-site", "ishikari-1/n-01")] {
        let id = f.submit(job(name, 1, 1, &[]));
        f.place(&id, &[at]);
    }
    f.accept(admin("naniwa"), Command::RevokeNode { node: "sakai-1/n-01".parse().unwrap() });
    f.accept(admin("hokuto"), Command::RevokeSite { site: "ishikari-1".parse().unwrap() });
    let (jobs, nodes) = check(&f);
    assert!(jobs.len() > 30 && nodes.len() > 30, "{jobs:?}, {nodes:?}");
}

#[test]
fn what_administrators_change_is_named() {
    let mut f = Federation::furnished();
    let site: SiteId = "naha-1".parse().unwrap();
    let (operator, area) = ("kanto".parse().unwrap(), Area::resolve("131016").unwrap());
    let create = Command::CreateSite { site, operator, area, display_name: String::new() };
    f.accept(admin("kanto"), create);
    f.policy("near", Rules::default());
    let near = f.policy("far", Rules::default());
    let tenant: TenantId = f.tenant("otaru", Limit::Gpus(8));
    let expected = Some(f.state.tenant(&tenant).unwrap().revision);
    let (display_name, policy) = (Patch::Set("Otaru".to_owned()), Patch::Set(Some(near)));
    let parent = Patch::Set(Some("sapporo".parse().unwrap()));
    let put = Command::PutTenant { tenant: tenant.clone(), display_name, policy, parent, expected };
    f.accept(admin("kanto"), put);
    let (class, area) = (CLASS.parse().unwrap(), Area::Japan);
    let allotment = Allotment::NONE;
    let expected = f.state.quota_revision(&tenant, &class, area);
    f.accept(admin("kanto"), Command::SetQuota { tenant, class, area, allotment, expected });
    // One key is taken back; when it has expired, its row goes with the next one that is.
    let key = |of: &str, days: u64| KeyRecord {
        principal: user("kanto", of),
        role: Role::Monitor,
        public_key: user_key(&user("kanto", of)).public(),
        expires: BEGIN.plus_ms(days * 86_400_000),
    };
    for record in [key("one", 1), key("two", 9)] {
        f.register(record.clone());
        let (principal, key) = (record.principal, record.public_key);
        f.accept(admin("kanto"), Command::RevokeKey { principal, key });
        f.now = BEGIN.plus_ms(2 * 86_400_000);
    }
    let newcomer = f.newcomer(4, "kanto");
    f.accept(admin("kanto"), newcomer);
    let member = sekisho_types::id::MemberId(4);
    let voter = Command::SetVoter { member, voter: true, accept_quorum_in_one_hand: false };
    f.accept(admin("kanto"), voter);
    let address = "127.0.0.1:9".to_owned();
    f.accept(admin("kanto"), Command::SetMemberAddress { member, address });
    let joining = f.joining("tokai", &["kanto", "naniwa", "tokai"]);
    f.accept(admin("kanto"), joining);
    check(&f);
}
