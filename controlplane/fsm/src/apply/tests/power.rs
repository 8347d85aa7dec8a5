//! Power caps: nothing is granted beyond them, what runs goes on, and only the site's own operator says them.

use super::*;
use crate::command::{Group, Preempt, Slot};
use crate::power::SitePower;
use crate::testing::{bucket, instances, shares};
use sekisho_types::device::Bucket;
use sekisho_types::id::{JobId, SiteId};
use sekisho_types::job::{JobFacts, Resources};
use sekisho_types::power::SITE_WATTS_MAX;
use sekisho_types::revision::Revision;
use sekisho_types::sharing::Sharing;

const NODE: &str = "tokyo-1/n-01";
const OTHER: &str = "tokyo-1/n-02";

fn tokyo() -> SiteId {
    "tokyo-1".parse().unwrap()
}

/// So many whole devices.
fn whole(devices: u64) -> u64 {
    u64::from(bucket(1).rated_watts()).saturating_mul(devices)
}

fn power(f: &Federation) -> SitePower {
    f.state.power(&tokyo())
}

fn tried(f: &mut Federation, id: &JobId, nodes: &[&str]) -> Option<ErrorCode> {
    let found = match f.place(id, nodes).outcome {
        Ok(Reply::Placed { rejected, .. }) => rejected.first().map(|(_, code)| *code),
        other => panic!("{other:?}"),
    };
    assert_eq!(invariant::check(&f.state), Ok(()));
    found
}

/// Opens a session of a node with these buckets, in which what it holds lives on.
fn rerated(f: &mut Federation, node: &str, told: Vec<Bucket>) -> Applied {
    let id: NodeId = node.parse().unwrap();
    let row = f.state.node(&id).unwrap().clone();
    let open = Command::OpenSession {
        node: id.clone(),
        session: SessionId([9; 16]),
        previous: Some(row.session.unwrap().id),
        buckets: told,
        live: row.placements.into_iter().collect(),
        table: sekisho_types::jurisdiction::table_hash(),
        findings: Vec::new(),
        rack: None,
    };
    f.run(agent(&id), open)
}

#[test]
fn nothing_is_granted_beyond_a_cap_and_it_comes_back_once() {
    let mut f = Federation::furnished();
    f.cap("tokyo-1", Some(whole(5)));
    let [first, second, gang, large] = [
        job("first", 1, 4, &[]),
        job("second", 1, 2, &[]),
        job("gang", 2, 3, &[]),
        job("large", 1, 1, &[]),
    ]
    .map(|facts| f.submit(facts));
    assert_eq!(tried(&mut f, &first, &[NODE]), None);
    assert_eq!(power(&f), SitePower { cap: Some(whole(5)), used: whole(4) });
    assert_eq!(tried(&mut f, &second, &[OTHER]), Some(ErrorCode::PowerFull));
    assert_eq!(tried(&mut f, &second, &["sakai-1/n-01"]), None, "another site is not capped");
    // What runs is charged at a site without a cap too, or a later one would not know of it.
    assert_eq!(f.state.power(&"sakai-1".parse().unwrap()).used, whole(2));
    all(&mut f, &first, &Phase::Ended(Ending::Exited(0)));
    all(&mut f, &first, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(power(&f).used, 0, "and no more than was charged");
    // Each member alone would fit, both do not; and all or nothing is charged.
    f.quota(&gang.tenant, Limit::Unlimited);
    assert_eq!(tried(&mut f, &gang, &[NODE, OTHER]), Some(ErrorCode::PowerFull));
    assert_eq!(power(&f).used, 0);
    f.cap("tokyo-1", Some(whole(1).saturating_sub(1)));
    assert_eq!(tried(&mut f, &large, &[NODE]), Some(ErrorCode::PowerTooSmall));
    f.cap("tokyo-1", None);
    assert_eq!(tried(&mut f, &gang, &[NODE, OTHER]), None);
    assert_eq!(power(&f), SitePower { cap: None, used: whole(6) });
}

#[test]
fn a_lowered_cap_keeps_what_runs_and_grants_no_more_until_it_fits() {
    let mut f = Federation::furnished();
    f.cap("tokyo-1", Some(whole(8)));
    let [a, b, c] = ["a", "b", "c"].map(|name| f.submit(job(name, 1, 2, &[])));
    assert_eq!(tried(&mut f, &a, &[NODE]), None);
    assert_eq!(tried(&mut f, &b, &[NODE]), None);
    f.cap("tokyo-1", Some(whole(2)));
    assert_eq!(invariant::check(&f.state), Ok(()));
    assert!(f.state.denied().is_empty(), "nobody is moved");
    assert_eq!(power(&f).used, whole(4));
    assert_eq!(tried(&mut f, &c, &[OTHER]), Some(ErrorCode::PowerFull));
    all(&mut f, &a, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(tried(&mut f, &c, &[OTHER]), Some(ErrorCode::PowerFull), "now it is full");
    all(&mut f, &b, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(tried(&mut f, &c, &[OTHER]), None);
}

#[test]
fn a_limit_that_changed_counts_from_the_next_session_on() {
    let mut f = Federation::furnished();
    f.cap("tokyo-1", Some(whole(3)));
    let [runs, waits] = [("runs", 2), ("waits", 2)].map(|(n, g)| f.submit(job(n, 1, g, &[])));
    assert_eq!(tried(&mut f, &runs, &[NODE]), None);
    let told = |watts| vec![Bucket { watts, ..bucket(4) }];
    let other = vec![Bucket { memory_mib: 1, ..bucket(4) }];
    assert_eq!(code(&rerated(&mut f, NODE, other)), Some(ErrorCode::InvalidArgument));
    assert_eq!(rerated(&mut f, NODE, told(400)).outcome, Ok(Reply::Done));
    assert_eq!(power(&f).used, 800, "what lives draws what it is rated at now");
    assert_eq!(invariant::check(&f.state), Ok(()));
    assert_eq!(tried(&mut f, &waits, &[OTHER]), None);
    all(&mut f, &runs, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(power(&f).used, whole(2));
    let hot = vec![Bucket { watts: 20_001, ..bucket(4) }];
    assert_eq!(code(&f.equip(&NODE.parse().unwrap(), hot)), Some(ErrorCode::InvalidArgument));
}

#[test]
fn instances_and_shares_take_their_part() {
    let mut f = Federation::furnished();
    let node: NodeId = NODE.parse().unwrap();
    f.equip(&node, vec![bucket(2), instances(2, 2), shares(3, 3)]);
    for class in [instances(2, 2).class, shares(3, 3).class] {
        f.open_class(&class, &["sapporo"], Limit::Gpus(4));
    }
    let instance = Resources { class: instances(2, 2).class, ..job("i", 1, 2, &[]).resources };
    let share = Resources { sharing: Sharing::Any, ..Resources::of(shares(3, 3).class, 1) };
    let draws: u64 = [(1, instance), (2, share)]
        .into_iter()
        .map(|(at, resources)| {
            let (node, name) = (node.clone(), format!("b-{at}"));
            let id = f.submit(JobFacts { resources, ..job(&name, 1, 1, &[]) });
            let group = Group { job: id, places: vec![Slot { node, bucket: at }] };
            let basis = f.state.revision();
            let commit = Command::CommitPlacement { basis, groups: vec![group], calls: None };
            let before = power(&f).used;
            f.accept(member("kanto"), commit);
            power(&f).used.saturating_sub(before)
        })
        .sum();
    // Two instances as they were told, and a third of a device.
    assert_eq!(draws, whole(1).div_ceil(3).saturating_add(200));
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn who_is_moved_gives_power_to_the_urgent_job() {
    let mut f = Federation::furnished();
    f.cap("tokyo-1", Some(whole(4)));
    let low = f.submit(job("low", 1, 4, &[]));
    assert_eq!(tried(&mut f, &low, &[NODE]), None);
    f.now = f.now.plus_ms(9_000);
    f.accept(member("kanto"), Command::Tick);
    let high = f.submit(JobFacts { priority: 90, ..job("high", 1, 4, &[]) });
    let places = vec![Slot { node: NODE.parse().unwrap(), bucket: 0 }];
    let (beneficiary, victims) = (high.clone(), vec![low.clone()]);
    let preempt = Command::Preempt(Box::new(Preempt { beneficiary, victims, places }));
    f.accept(member("kanto"), preempt);
    assert_eq!(power(&f).used, whole(4), "the victim may draw until it is dead");
    all(&mut f, &low, &Phase::Ended(Ending::Stopped));
    assert_eq!(f.state.job(&high).unwrap().phase, JobPhase::Placed);
    assert_eq!(power(&f).used, whole(4));
}

#[test]
fn only_its_own_operator_caps_a_site() {
    let mut f = Federation::furnished();
    let expected = f.state.site(&tokyo()).unwrap().revision;
    let cap = |watts, expected| Command::SetPowerCap { site: tokyo(), watts, expected };
    for other in ["naniwa", "hokuto"] {
        refused(&mut f, admin(other), cap(Some(1), expected), ErrorCode::PermissionDenied);
    }
    refused(&mut f, user("kanto", "sapporo"), cap(None, expected), ErrorCode::PermissionDenied);
    let by = || admin("kanto");
    let much = cap(Some(SITE_WATTS_MAX.saturating_add(1)), expected);
    refused(&mut f, by(), much, ErrorCode::InvalidArgument);
    refused(&mut f, by(), cap(Some(1), Revision(0)), ErrorCode::RevisionMismatch);
    let gone = Command::SetPowerCap { site: "nowhere".parse().unwrap(), watts: None, expected };
    refused(&mut f, by(), gone, ErrorCode::NotFound);
    let applied = f.accept(by(), cap(Some(1), expected));
    assert!(matches!(body(&applied, 0), Body::Entry { rejected: None, .. }), "it is on record");
    refused(&mut f, by(), cap(Some(2), expected), ErrorCode::RevisionMismatch);
    f.accept(by(), Command::RevokeSite { site: tokyo() });
    assert_eq!(power(&f), SitePower::default(), "nothing of it is left");
    let expected = f.state.site(&tokyo()).unwrap().revision;
    refused(&mut f, by(), cap(Some(1), expected), ErrorCode::NodeRevoked);
}
