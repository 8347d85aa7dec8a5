//! Random command sequences on the state machine, for the properties.
//!
//! Must hold: an operation names things by small numbers, so that sequences collide often and shrink well; what an
//! operation does not find it leaves alone. Operations cover what honest programs propose and what a rogue one could.

mod charge;
mod device;
mod held;
mod life;
mod tasks;
mod topology;
mod twin;

pub use charge::Charge;
pub use held::Held;
pub use life::{Life, catch_up};
pub use tasks::Tasks;

use proptest::prelude::*;
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::receipt::Refusal;
use sekisho_fsm::command::{Command, Group, Item, Slot};
use sekisho_fsm::entry::Entry;
use sekisho_fsm::testing::{
    Federation, OPERATORS, admin, agent, cluster, job, member, receipt_key, user,
};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{JobId, MemberId, NodeId};
use sekisho_types::job::{JobFacts, OnDisconnect};
use sekisho_types::jurisdiction::Area;
use sekisho_types::patch::Patch;
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::principal::Principal;
use sekisho_types::quota::{Allotment, Limit};
use sekisho_types::residency::Rules;
use sekisho_types::revision::{PlacementId, Revision};
use std::collections::BTreeSet;

/// Nodes of the fixture, and one that does not exist.
const NODES: [&str; 7] = [
    "ishikari-1/n-01",
    "ishikari-1/n-02",
    "tokyo-1/n-01",
    "tokyo-1/n-02",
    "sakai-1/n-01",
    "sakai-1/n-02",
    "tokyo-1/n-99",
];
const TENANTS: [&str; 2] = ["sapporo", "osaka"];
const AREAS: [&[&str]; 5] = [&[], &["JP-01"], &["JP-27"], &["JP-01", "JP-13"], &["JP-47"]];

/// One step. Numbers are taken modulo what there is.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Submit a job: tenant, name, group, GPUs, areas, runs to completion.
    Submit(u8, u8, u8, u8, u8, bool),
    /// Submit a job that waits for another one, or for its time: tenant, name.
    Hold(u8, u8, Held),
    /// Cancel a job.
    Cancel(u8, u8),
    /// Submit or cancel several jobs of a tenant at once: name, GPUs, areas, cancel.
    Together(u8, Vec<(u8, u8, u8, bool)>),
    /// Grant a job these nodes, whoever they are.
    Place(u8, u8, Vec<u8>),
    /// Grant what the planner finds.
    Plan,
    /// Move whom the planner finds, or the n-th job for the first that waits, on its places.
    Preempt(Option<u8>),
    /// Arrays and services: replace one, stop replicas, cancel a task.
    Tasks(u8, Tasks),
    /// Report a phase of the n-th living placement.
    Report(u8, u8),
    /// Refuse the n-th living placement.
    Refuse(u8),
    /// End a node's lease; with a wrong session if told so.
    Expire(u8, bool),
    /// Open a session on a node; the bool says whether its ledger knows the last one.
    Open(u8, bool),
    /// Open one that counts a device twice, in the n-th way.
    Muddle(u8, u8),
    /// Cordon or uncordon.
    Cordon(u8, bool),
    /// Drain a node and what follows from it.
    Life(u8, Life),
    /// Take a node out.
    RevokeNode(u8),
    /// Take a site out.
    RevokeSite(u8),
    /// Two hosts of a node: one names another session before, a member saw two starts, or the operator says that one is
    /// left.
    Twin(u8, u8),
    /// Set a tenant's quota.
    Quota(u8, u8),
    /// What a tenant may hold and spend, and what it is offered.
    Charge(u8, Charge),
    /// Bind a tenant to areas by a policy.
    Policy(u8, u8),
    /// Add, promote, demote or remove a member: what, which, whose.
    Members(u8, u8, u8),
    /// Try to enrol a node tagged abroad.
    Abroad,
    /// Let time pass, seconds.
    Pass(u8),
    /// Send the n-th entry before the last again.
    Again(u8),
    /// Send an entry of another cluster, or one signed by too few.
    Bad(bool),
}

/// Sequences of up to `longest` operations, weighted so that work gets placed and runs.
pub fn operations(longest: usize) -> impl Strategy<Value = Vec<Operation>> {
    let small = || 0u8..8;
    let one = prop_oneof![
        6 => (0u8..2, small(), 1u8..4, 1u8..5, 0u8..5, any::<bool>())
            .prop_map(|(t, n, g, k, a, c)| Operation::Submit(t, n, g, k, a, c)),
        4 => (0u8..2, small(), held::steps()).prop_map(|(t, n, held)| Operation::Hold(t, n, held)),
        1 => (0u8..2, small()).prop_map(|(t, n)| Operation::Cancel(t, n)),
        2 => (0u8..2, prop::collection::vec((small(), 1u8..4, 0u8..5, prop::bool::weighted(0.2)), 1..4))
            .prop_map(|(t, all)| Operation::Together(t, all)),
        4 => (0u8..2, small(), prop::collection::vec(0u8..7, 1..4)).prop_map(|(t, n, p)| Operation::Place(t, n, p)),
        4 => Just(Operation::Plan),
        2 => prop::option::weighted(0.2, small()).prop_map(Operation::Preempt),
        4 => (0u8..2, tasks::steps()).prop_map(|(t, step)| Operation::Tasks(t, step)),
        6 => (small(), 0u8..6).prop_map(|(n, p)| Operation::Report(n, p)),
        1 => small().prop_map(Operation::Refuse),
        1 => (0u8..6, any::<bool>()).prop_map(|(n, w)| Operation::Expire(n, w)),
        1 => (0u8..6, any::<bool>()).prop_map(|(n, k)| Operation::Open(n, k)),
        1 => (0u8..6, 0u8..3).prop_map(|(n, w)| Operation::Muddle(n, w)),
        1 => (0u8..6, any::<bool>()).prop_map(|(n, s)| Operation::Cordon(n, s)),
        6 => (0u8..6, life::steps()).prop_map(|(n, step)| Operation::Life(n, step)),
        1 => (0u8..6).prop_map(Operation::RevokeNode),
        1 => (0u8..12).prop_map(Operation::RevokeSite),
        1 => (0u8..6, 0u8..4).prop_map(|(n, w)| Operation::Twin(n, w)),
        1 => (0u8..2, 0u8..12).prop_map(|(t, q)| Operation::Quota(t, q)),
        6 => (0u8..2, charge::steps()).prop_map(|(t, step)| Operation::Charge(t, step)),
        1 => (0u8..2, 0u8..5).prop_map(|(t, a)| Operation::Policy(t, a)),
        1 => (0u8..6, 1u8..7, 0u8..3).prop_map(|(w, n, o)| Operation::Members(w, n, o)),
        1 => Just(Operation::Abroad),
        2 => (0u8..30).prop_map(Operation::Pass),
        1 => (0u8..4).prop_map(Operation::Again),
        1 => any::<bool>().prop_map(Operation::Bad),
    ];
    prop::collection::vec(one, 1..longest)
}

/// The federation that sequences start from: two tenants with a small quota, three nodes of four GPUs, and three of two, of
/// which a third GPU is in two MIG instances, and a fourth has three shares.
#[must_use]
pub fn start() -> Federation {
    let mut federation = Federation::furnished();
    federation.tenant(TENANTS[1], Limit::Gpus(4));
    federation.tenant(charge::PARENT, Limit::Gpus(2));
    device::begin(&mut federation);
    // In racks.
    for n in 0..6 {
        if let Some(entry) = on_node(&mut federation, &Operation::Open(n, true)) {
            federation.apply(entry);
        }
    }
    federation
}

fn facts(tenant: u8, name: u8, group: u8, gpus: u8, areas: u8, completes: bool) -> JobFacts {
    let areas = AREAS.get(usize::from(areas)).copied().unwrap_or_default();
    let mut facts = job(&format!("job-{name}"), group.into(), gpus.into(), areas);
    facts.id = id(tenant, name);
    facts.resources = device::wanted(name, facts.resources);
    facts.kind = tasks::kind(name);
    facts.priority = name.saturating_mul(10);
    facts.topology = topology::of(name, group).into();
    if completes {
        facts.on_disconnect = OnDisconnect::RunToCompletion;
    }
    facts
}

fn id(tenant: u8, name: u8) -> JobId {
    let id = job(&format!("job-{name}"), 1, 1, &[]).id;
    JobId { tenant: tenant_name(tenant).parse().unwrap_or(id.tenant), name: id.name, task: None }
}

fn tenant_name(tenant: u8) -> &'static str {
    TENANTS.get(usize::from(tenant)).copied().unwrap_or(TENANTS[0])
}

fn node(n: u8) -> Option<NodeId> {
    NODES.get(usize::from(n))?.parse().ok()
}

fn living(federation: &Federation, n: u8) -> Option<(PlacementId, NodeId)> {
    let living: Vec<_> = federation
        .state
        .placements()
        .filter(|(_, row)| !row.phase.is_ended())
        .map(|(id, row)| (*id, row.grant.node.clone()))
        .collect();
    let at = usize::from(n).checked_rem(living.len())?;
    living.get(at).cloned()
}

fn session(federation: &Federation, node: &NodeId) -> Option<SessionId> {
    Some(federation.state.node(node)?.session.as_ref()?.id)
}

/// The entry that an operation stands for, or `None` if it finds nothing to act on.
pub fn entry(federation: &mut Federation, operation: &Operation) -> Option<Entry> {
    let (actor, command) = match operation {
        Operation::Submit(t, n, g, k, a, c) => {
            let facts = Box::new(facts(*t, *n, *g, *k, *a, *c));
            (user("kanto", tenant_name(*t)), Command::SubmitJob { facts })
        }
        Operation::Hold(t, n, held) => held.submission(*t, *n, federation.now),
        Operation::Cancel(t, n) => {
            (user("kanto", tenant_name(*t)), Command::CancelJob { job: id(*t, *n) })
        }
        Operation::Together(t, all) => {
            let items = all.iter().map(|one| item(*t, *one)).collect();
            (user("kanto", tenant_name(*t)), Command::Batch(items))
        }
        Operation::Place(t, n, places) => {
            let bucket = device::bucket_of(*n);
            let places =
                places.iter().filter_map(|n| Some(Slot { node: node(*n)?, bucket })).collect();
            let groups = vec![Group { job: id(*t, *n), places }];
            let basis = federation.state.revision();
            (member("kanto"), Command::CommitPlacement { basis, groups, calls: None })
        }
        Operation::Plan => {
            let plan = sekisho_scheduler::plan(&federation.state);
            (member("hokuto"), plan.into_command()?)
        }
        Operation::Tasks(t, step) => tasks::command(federation, *t, step)?,
        Operation::Preempt(n) => (member("naniwa"), charge::preempt(federation, *n)?),
        Operation::Report(n, phase) => return report(federation, *n, *phase),
        Operation::Refuse(n) => return refuse(federation, *n),
        Operation::Pass(seconds) => {
            federation.now = federation.now.plus_ms(u64::from(*seconds).saturating_mul(1000));
            (member("naniwa"), Command::Tick)
        }
        Operation::Again(back) => {
            let at = federation.log.len().checked_sub(usize::from(*back).saturating_add(1))?;
            return federation.log.get(at).map(|(_, entry)| entry.clone());
        }
        Operation::Bad(other_cluster) => return Some(bad(federation, *other_cluster)),
        Operation::Abroad => {
            let node: NodeId = "tokyo-1/n-50".parse().ok()?;
            if federation.state.site(&node.site)?.revoked {
                return None;
            }
            (member("kanto"), federation.enrolment(&node, "KR-26"))
        }
        Operation::Quota(..) | Operation::Policy(..) => return governance(federation, operation),
        Operation::Charge(t, step) => {
            return charge::entry(federation, tenant_name(*t).parse().ok()?, step);
        }
        Operation::Members(what, n, of) => return members(federation, *what, *n, *of),
        Operation::Twin(n, what) => return twin::command(federation, *n, *what),
        Operation::Expire(..) | Operation::Open(..) | Operation::Cordon(..) => {
            return on_node(federation, operation);
        }
        Operation::Muddle(..) | Operation::RevokeNode(..) | Operation::RevokeSite(..) => {
            return on_node(federation, operation);
        }
        Operation::Life(n, step) => life::command(federation, node(*n)?, step)?,
    };
    Some(federation.entry(actor, &[], command))
}

fn item(tenant: u8, (n, k, a, cancel): (u8, u8, u8, bool)) -> Item {
    if cancel {
        return Item::CancelJob { job: id(tenant, n) };
    }
    Item::SubmitJob { facts: Box::new(facts(tenant, n, 1, k, a, false)) }
}

fn report(federation: &mut Federation, n: u8, phase: u8) -> Option<Entry> {
    let (placement, node) = living(federation, n)?;
    let session = session(federation, &node)?;
    let phase = match phase {
        0 => Phase::Starting,
        1 | 2 => Phase::Running,
        3 => Phase::Ended(Ending::Exited(0)),
        4 => Phase::Ended(Ending::Exited(1)),
        _ => Phase::Ended(Ending::Stopped),
    };
    let phases = vec![(placement, phase)];
    Some(federation.entry(agent(&node), &[], Command::Report { node, session, phases }))
}

fn refuse(federation: &mut Federation, n: u8) -> Option<Entry> {
    let (placement, node) = living(federation, n)?;
    let refusal = Refusal {
        cluster: cluster(),
        node: node.clone(),
        session: session(federation, &node)?,
        placement,
        grant: federation.state.placement(&placement)?.digest,
        code: ErrorCode::ResidencyArea,
        detail: String::new(),
        log_size: federation.state.audit_size(),
        time: federation.now,
    };
    let receipt = refusal.sign(&receipt_key(&node)).ok()?;
    Some(federation.entry(agent(&node), &[], Command::Refuse { node, receipt }))
}

fn on_node(federation: &mut Federation, operation: &Operation) -> Option<Entry> {
    let (actor, command): (Principal, Command) = match operation {
        Operation::Expire(n, wrong) => {
            let node = node(*n)?;
            let session = if *wrong { SessionId([0; 16]) } else { session(federation, &node)? };
            (member("kanto"), Command::ExpireLease { node, session })
        }
        Operation::Open(n, knows) => {
            let node = node(*n)?;
            let buckets = device::equipment(&node.to_string());
            let rack = topology::rack(*n, federation.state.revision().0);
            (agent(&node), device::open(federation, node, *knows, (buckets, rack))?)
        }
        Operation::Muddle(n, way) => {
            let node = node(*n)?;
            let buckets = device::muddled(&node.to_string(), *way);
            (agent(&node), device::open(federation, node, true, (buckets, None))?)
        }
        Operation::Cordon(n, schedulable) => {
            let node = node(*n)?;
            let owner = admin(agent(&node).operator.as_str());
            (owner, Command::SetSchedulable { node, schedulable: *schedulable })
        }
        Operation::RevokeNode(n) => (admin("kanto"), Command::RevokeNode { node: node(*n)? }),
        // Rare: a revoked site ends most of what a sequence could still do.
        Operation::RevokeSite(n) => {
            let (_, site, _) = OPERATORS.get(usize::from(*n))?;
            (admin("kanto"), Command::RevokeSite { site: site.parse().ok()? })
        }
        // Made elsewhere.
        Operation::Submit(..)
        | Operation::Hold(..)
        | Operation::Cancel(..)
        | Operation::Together(..)
        | Operation::Place(..)
        | Operation::Report(..)
        | Operation::Refuse(..)
        | Operation::Quota(..)
        | Operation::Charge(..)
        | Operation::Policy(..)
        | Operation::Twin(..)
        | Operation::Pass(..)
        | Operation::Again(..)
        | Operation::Bad(..)
        | Operation::Plan
        | Operation::Tasks(..)
        | Operation::Preempt(..)
        | Operation::Members(..)
        | Operation::Life(..)
        | Operation::Abroad => return None,
    };
    Some(federation.entry(actor, &[], command))
}

fn governance(federation: &mut Federation, operation: &Operation) -> Option<Entry> {
    let command = match operation {
        Operation::Quota(t, gpus) => {
            let (tenant, own) =
                (tenant_name(*t).parse().ok()?, Allotment::own(charge::limit(*gpus)));
            charge::allot(federation, tenant, Area::Japan, own)?
        }
        Operation::Policy(t, areas) => {
            let areas: BTreeSet<Area> = AREAS
                .get(usize::from(*areas))?
                .iter()
                .filter_map(|a| Area::resolve(a).ok())
                .collect();
            let policy = format!("policy-{t}").parse().ok()?;
            let expected: Option<Revision> = federation.state.policy(&policy).map(|p| p.revision);
            if expected.is_some() {
                let tenant = tenant_name(*t).parse().ok()?;
                let row = federation.state.tenant(&tenant)?;
                if row.policy.is_none() {
                    let (policy, expected) = (Patch::Set(Some(policy)), Some(row.revision));
                    let (display_name, parent) = (Patch::Keep, Patch::Keep);
                    Command::PutTenant { tenant, display_name, policy, parent, expected }
                } else {
                    let rules = Rules { areas, ..Rules::default() };
                    Command::PutPolicy { policy, rules, expected }
                }
            } else {
                Command::PutPolicy { policy, rules: Rules { areas, ..Rules::default() }, expected }
            }
        }
        // Made elsewhere.
        Operation::Submit(..)
        | Operation::Hold(..)
        | Operation::Cancel(..)
        | Operation::Together(..)
        | Operation::Place(..)
        | Operation::Report(..)
        | Operation::Refuse(..)
        | Operation::Expire(..)
        | Operation::Open(..)
        | Operation::Muddle(..)
        | Operation::Cordon(..)
        | Operation::RevokeNode(..)
        | Operation::RevokeSite(..)
        | Operation::Life(..)
        | Operation::Charge(..)
        | Operation::Twin(..)
        | Operation::Pass(..)
        | Operation::Again(..)
        | Operation::Bad(..)
        | Operation::Plan
        | Operation::Tasks(..)
        | Operation::Preempt(..)
        | Operation::Members(..)
        | Operation::Abroad => return None,
    };
    Some(federation.entry(admin("kanto"), &[admin("naniwa")], command))
}

fn members(federation: &mut Federation, what: u8, n: u8, of: u8) -> Option<Entry> {
    let member = MemberId(n.into());
    let vote = |voter, accept_quorum_in_one_hand| Command::SetVoter {
        member,
        voter,
        accept_quorum_in_one_hand,
    };
    let command = match what {
        0 => federation.newcomer(n.into(), OPERATORS.get(usize::from(of))?.0),
        1 => vote(true, false),
        2 => vote(true, true),
        3 => vote(false, false),
        4 => vote(false, true),
        _ => federation.leaver(n.into()),
    };
    Some(federation.entry(admin("kanto"), &[admin("naniwa")], command))
}

fn bad(federation: &mut Federation, other_cluster: bool) -> Entry {
    let mut entry = if other_cluster {
        federation.entry(member("kanto"), &[], Command::Tick)
    } else {
        let rules = Rules::default();
        let policy = job("lonely", 1, 1, &[]).id.name;
        let command = Command::PutPolicy {
            policy: sekisho_types::id::PolicyId(policy),
            rules,
            expected: None,
        };
        federation.entry(admin("hokuto"), &[], command)
    };
    if other_cluster {
        entry.cluster.0[0] ^= 1;
    }
    entry
}

/// Ends everything that lives, as time would: leases end, and nodes tell of what ran to completion.
pub fn wind_down(federation: &mut Federation) {
    // What is queued is cancelled first, or it would be placed again.
    let open: Vec<JobId> = federation
        .state
        .jobs()
        .filter(|(_, job)| !job.phase.is_final())
        .map(|(id, _)| id.clone())
        .collect();
    for job in open {
        let actor = user("kanto", job.tenant.as_str());
        federation.run(actor, Command::CancelJob { job });
    }
    charge::return_all(federation);
    twin::release_all(federation);
    while let Some((placement, node)) = living(federation, 0) {
        let Some(session) = session(federation, &node) else { return };
        let phases = vec![(placement, Phase::Ended(Ending::Stopped))];
        let report = Command::Report { node: node.clone(), session, phases };
        if federation.run(agent(&node), report).outcome.is_ok() {
            continue;
        }
        // Its lease is over: its next session tells that nothing of it lives.
        let Some(entry) = on_node(federation, &Operation::Open(position(&node), true)) else {
            return;
        };
        if federation.apply(entry).outcome.is_err() {
            return;
        }
    }
}

fn position(node: &NodeId) -> u8 {
    let at = NODES.iter().position(|name| *name == node.to_string()).unwrap_or(0);
    u8::try_from(at).unwrap_or(0)
}
