//! No starvation: a large job is called when its turn comes, and starts by the time that it claimed then, however many small ones
//! come, of its own tenant and of others, whatever of devices, quotas, borrowed quotas and offers it waits for.

use super::*;
use crate::plan;
use proptest::prelude::*;
use sekisho_fsm::testing::{job, offer, user};
use sekisho_types::job::JobFacts;
use sekisho_types::jurisdiction::Area;
use sekisho_types::quota::{Allotment, Limit};

fn lasting(tenant: &str, name: &str, (group, gpus): (u32, u32), minutes: u64) -> JobFacts {
    let facts = job(name, group, gpus, &["Tokyo"]);
    let id = JobId { tenant: tenant.parse().unwrap(), ..facts.id.clone() };
    JobFacts { id, time_limit_s: minutes.saturating_mul(60), ..facts }
}

/// Nodes in Tokyo with so many GPUs each.
fn fleet(nodes: &[u32]) -> Federation {
    let mut federation = Federation::new();
    for (n, gpus) in nodes.iter().enumerate() {
        federation.ready_node(&format!("tokyo-1/n-{n}"), *gpus);
    }
    federation
}

/// Jobs in the queue at each moment: more of every tenant than there is room for.
const QUEUED: u64 = 30;

/// Jobs that come without end.
#[derive(Debug)]
struct Stream {
    /// Whose, with how many GPUs and for how many minutes, in turn.
    asks: Vec<(&'static str, u32, u64)>,
    made: usize,
}

impl Stream {
    fn of(asks: &[(&'static str, u32, u64)]) -> Self {
        Self { asks: asks.to_vec(), made: 0 }
    }

    /// Always more of every tenant in the queue than there is room for.
    fn flow(&mut self, federation: &mut Federation) {
        while federation.state.queue_len() < usize::try_from(QUEUED).unwrap() {
            let (tenant, gpus, minutes) = *self.asks.iter().cycle().nth(self.made).unwrap();
            self.made = self.made.saturating_add(1);
            let name = format!("s-{}", self.made);
            federation.submit(lasting(tenant, &name, (1, gpus), minutes));
        }
    }

    fn minute(&mut self, federation: &mut Federation) {
        self.flow(federation);
        while commit(federation) > 0 {}
        minute(federation);
    }
}

/// How a job waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Wait {
    /// Minutes before it was called.
    uncalled: u64,
    /// How many had been called before it and waited.
    behind: u64,
    /// Minutes from its call to its start.
    called: u64,
}

/// How a job waits that is submitted when the stream has gone on for a while; an error if it does not start in so many minutes.
fn waits(
    federation: &mut Federation,
    stream: &mut Stream,
    large: JobFacts,
    most: u64,
) -> Result<Wait, Wait> {
    for _ in 0..5 {
        stream.minute(federation);
    }
    let large = federation.submit(large);
    let mut wait = Wait::default();
    while wait.uncalled.saturating_add(wait.called) < most {
        stream.minute(federation);
        if federation.state.job(&large).is_some_and(|job| job.attempts > 0) {
            return Ok(wait);
        }
        let place = federation.state.calls().iter().position(|id| *id == large);
        match place {
            Some(place) if wait.called == 0 => {
                wait = Wait { behind: u64::try_from(place).unwrap(), called: 1, ..wait };
            }
            Some(_) => wait.called = wait.called.saturating_add(1),
            None if wait.called > 0 => return Err(wait),
            None => wait.uncalled = wait.uncalled.saturating_add(1),
        }
    }
    Err(wait)
}

/// Of both tenants, one and two GPUs for one and two minutes.
const BOTH: [(&str, u32, u64); 6] = [
    ("sapporo", 1, 2),
    ("osaka", 2, 1),
    ("sapporo", 2, 1),
    ("osaka", 1, 2),
    ("osaka", 1, 1),
    ("sapporo", 1, 1),
];

#[test]
fn who_needs_its_whole_quota_and_places_starts_among_small_jobs_of_two_tenants() {
    let mut federation = fleet(&[4, 4]);
    for tenant in ["sapporo", "osaka"] {
        federation.tenant(tenant, Limit::Gpus(6));
    }
    let large = lasting("sapporo", "large", (2, 3), 10);
    waits(&mut federation, &mut Stream::of(&BOTH), large, 40).unwrap();
}

#[test]
fn what_a_quota_holds_keeps_the_places_it_will_need_then() {
    let mut federation = fleet(&[4, 4]);
    federation.tenant("sapporo", Limit::Gpus(8));
    federation.tenant("osaka", Limit::Gpus(8));
    federation.submit(lasting("sapporo", "runs", (1, 4), 30));
    assert_eq!(commit(&mut federation), 1);
    called(&mut federation, lasting("sapporo", "gang", (2, 4), 30));
    federation.submit(lasting("osaka", "long", (1, 1), 60));
    federation.submit(lasting("osaka", "short", (1, 1), 29));
    let found = plan(&federation.state);
    assert_eq!(shown(&found), ["short: tokyo-1/n-1"]);
    assert_eq!((found.waiting.quota, found.waiting.room), (1, 1));
}

/// Submits a job that has its turn and waits.
fn called(federation: &mut Federation, facts: JobFacts) -> JobId {
    let id = federation.submit(facts);
    assert_eq!(commit(federation), 0);
    assert_eq!(federation.state.calls(), std::slice::from_ref(&id));
    id
}

#[test]
fn who_is_called_keeps_its_claim_though_its_tenant_lost_its_turn() {
    let mut federation = fleet(&[4, 4]);
    for tenant in ["sapporo", "osaka"] {
        federation.tenant(tenant, Limit::Gpus(8));
    }
    federation.submit(lasting("osaka", "runs", (1, 4), 30));
    assert_eq!(commit(&mut federation), 1);
    let gang = called(&mut federation, lasting("sapporo", "gang", (2, 4), 60));
    // Its tenant's own pass it, and count: then the other tenant is next.
    for n in 0..4 {
        federation.submit(lasting("sapporo", &format!("short-{n}"), (1, 1), 29));
    }
    assert_eq!(commit(&mut federation), 4);
    federation.submit(lasting("osaka", "long", (1, 1), 31));
    for _ in 0..29 {
        minute(&mut federation);
        assert_eq!(commit(&mut federation), 0);
        assert_eq!(federation.state.calls().first(), Some(&gang));
    }
    minute(&mut federation);
    minute(&mut federation);
    let found = plan(&federation.state);
    assert_eq!(shown(&found), ["gang: tokyo-1/n-0 tokyo-1/n-1"]);
    assert_eq!(found.calls, Some(vec!["osaka/long".parse().unwrap()]), "it is the next");
}

#[test]
fn a_whole_whose_turn_came_waits_for_the_next_one_with_what_it_wants_beyond() {
    let mut federation = fleet(&[4]);
    for tenant in ["sapporo", "osaka"] {
        federation.tenant(tenant, Limit::Gpus(8));
    }
    federation.submit(lasting("osaka", "runs", (1, 2), 30));
    assert_eq!(commit(&mut federation), 1);
    let kind = sekisho_types::job::Kind::Array { tasks: 2, at_most: 2 };
    let array = JobFacts { kind, ..lasting("sapporo", "array", (1, 4), 30) };
    let array = called(&mut federation, array);
    federation.submit(lasting("osaka", "next", (1, 4), 30));
    for _ in 0..32 {
        minute(&mut federation);
        commit(&mut federation);
    }
    assert_eq!(federation.state.job(&array).unwrap().placements.len(), 0, "it is a whole");
    assert_eq!(federation.placements(&array.task(0)).len(), 1);
    // Both have had 120 GPU minutes and more; osaka has had less of them lately.
    let next = "osaka/next".parse().unwrap();
    assert_eq!(federation.state.calls().first(), Some(&next));
}

#[test]
fn who_is_cancelled_or_placed_is_called_no_more() {
    let mut federation = fleet(&[4]);
    federation.tenant("sapporo", Limit::Gpus(8));
    federation.submit(lasting("sapporo", "runs", (1, 4), 30));
    assert_eq!(commit(&mut federation), 1);
    let job = called(&mut federation, lasting("sapporo", "gang", (1, 4), 30));
    federation.accept(user("kanto", "sapporo"), Command::CancelJob { job });
    let calls = plan(&federation.state).calls;
    // With nothing in the queue nothing is planned; whoever comes is planned beside it.
    assert_eq!(calls, None);
    federation.submit(lasting("sapporo", "other", (1, 4), 30));
    let calls = plan(&federation.state).calls.unwrap();
    assert_eq!(calls, ["sapporo/other".parse().unwrap()]);
}

/// A gang of sapporo's needs twice the three that one job of it has for half an hour; then come two of another tenant.
fn passed(federation: &mut Federation) -> Vec<String> {
    federation.submit(lasting("sapporo", "runs", (1, 3), 30));
    assert_eq!(commit(federation), 1);
    called(federation, lasting("sapporo", "gang", (2, 3), 30));
    federation.submit(lasting("osaka", "long", (1, 1), 60));
    federation.submit(lasting("osaka", "short", (1, 1), 29));
    shown(&plan(&federation.state))
}

/// Two bureaus of a ministry that has so many GPUs; each borrows.
fn bureaus(federation: &mut Federation, gpus: u64) {
    let ministry = federation.tenant("ministry", Limit::Gpus(gpus));
    for part in ["sapporo", "osaka"] {
        let part = federation.tenant(part, Limit::None);
        federation.part_of(&part, &ministry);
        let borrows =
            Allotment { nominal: Limit::None, borrowing: Limit::Unlimited, lending: Limit::None };
        federation.allot(&part, Area::Japan, borrows);
    }
}

#[test]
fn what_a_sister_borrows_comes_to_whoever_waits_for_it() {
    let mut federation = fleet(&[4, 4, 4]);
    bureaus(&mut federation, 6);
    assert_eq!(passed(&mut federation.clone()), ["short: tokyo-1/n-0"]);
    let large = lasting("sapporo", "large", (2, 3), 10);
    waits(&mut federation, &mut Stream::of(&BOTH), large, 40).unwrap();
}

#[test]
fn what_is_offered_comes_to_whoever_needs_all_of_it() {
    let mut federation = fleet(&[4, 4, 4]);
    for tenant in ["sapporo", "osaka"] {
        federation.tenant(tenant, Limit::Gpus(12));
    }
    federation.offer("tokyo-1", offer(6));
    assert_eq!(passed(&mut federation.clone()), ["short: tokyo-1/n-0"]);
    let large = lasting("sapporo", "large", (2, 3), 10);
    waits(&mut federation, &mut Stream::of(&BOTH), large, 40).unwrap();
}

#[derive(Debug, Clone)]
struct World {
    nodes: Vec<u32>,
    quotas: Vec<u64>,
    offered: u64,
    borrowed: bool,
    asks: Vec<(&'static str, u32, u64)>,
    large: (u32, u32),
    minutes: u64,
}

fn world() -> impl Strategy<Value = World> {
    let ask = (prop::sample::select(vec!["sapporo", "osaka", "naha"]), 1u32..3, 1u64..5);
    (
        prop::collection::vec(2u32..6, 1..4),
        prop::collection::vec(4u64..13, 3),
        (4u64..16, any::<bool>()),
        prop::collection::vec(ask, 3..9),
        (1u32..4, 1u32..6),
        1u64..20,
    )
        .prop_map(|(nodes, quotas, (offered, borrowed), asks, large, minutes)| World {
            nodes,
            quotas,
            offered,
            borrowed,
            asks,
            large,
            minutes,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// A job that an empty fleet would take starts. Its turn comes when the others have had as much as its tenant had before it; from
    /// then on nobody that would last beyond its time takes what it needs, so it waits at most for what ran then, once more for each
    /// that had been called before it.
    #[test]
    fn a_large_job_starts_however_many_small_ones_come(world in world()) {
        let mut federation = fleet(&world.nodes);
        if world.borrowed {
            bureaus(&mut federation, world.quotas[0]);
        } else {
            federation.tenant("sapporo", Limit::Gpus(world.quotas[0]));
            federation.tenant("osaka", Limit::Gpus(world.quotas[1]));
        }
        federation.tenant("naha", Limit::Gpus(world.quotas[2]));
        federation.offer("tokyo-1", offer(world.offered));
        let large = lasting("sapporo", "large", world.large, world.minutes);
        let mut empty = federation.clone();
        let placeable = empty.run(user("kanto", "sapporo"), submit(&large)).outcome.is_ok();
        prop_assume!(placeable && plan(&empty.state).groups.len() == 1);
        let longest = world.asks.iter().map(|(_, _, minutes)| *minutes).max().unwrap();
        let mut stream = Stream::of(&world.asks);
        let bound = bound(longest);
        let waited = waits(&mut federation, &mut stream, large, bound);
        prop_assert!(waited.is_ok(), "not in {} minutes: {:?}", bound, waited);
        let Wait { behind, called, .. } = waited.unwrap();
        let one = longest.saturating_add(1);
        let most = behind.saturating_add(1).saturating_mul(one).saturating_add(1);
        prop_assert!(called <= most, "{} minutes from its call, {} behind", called, behind);
    }
}

/// Minutes in which its turn comes and it starts, if all run one after the other: those of its own tenant that were there before it,
/// and as much for each of the two others.
fn bound(longest: u64) -> u64 {
    QUEUED.saturating_mul(3).saturating_mul(longest.saturating_add(1))
}

fn submit(facts: &JobFacts) -> Command {
    Command::SubmitJob { facts: Box::new(facts.clone()) }
}
