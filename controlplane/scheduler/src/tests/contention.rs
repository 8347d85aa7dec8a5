//! Who makes room for whom on random fleets, trees of quotas and jobs that end when they are told to and not before: it comes to an
//! end, and nobody that has a right to room is left without it.

use super::*;
use crate::{Planner, plan};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use sekisho_evidence::grant::SessionId;
use sekisho_fsm::command::{Preempt, Slot};
use sekisho_fsm::invariant;
use sekisho_fsm::outcome::Reply;
use sekisho_fsm::preemption::Moves;
use sekisho_fsm::state::Job;
use sekisho_fsm::testing::job;
use sekisho_types::id::TenantId;
use sekisho_types::job::{JobFacts, JobPhase};
use sekisho_types::jurisdiction::Area;
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::quota::{Allotment, Limit};
use sekisho_types::revision::PlacementId;

/// A ministry with its parts, and one that has a tree of its own.
const TENANTS: [&str; 4] = ["ministry", "sapporo", "osaka", "naha"];

/// More rounds than any order of moves that goes one way takes with as many jobs as there are here.
const ROUNDS: usize = 48;

#[derive(Debug, Clone)]
struct Ask {
    tenant: usize,
    priority: u8,
    group: u32,
    gpus: u32,
}

fn ask() -> impl Strategy<Value = Ask> {
    (0usize..4, 0u8..3, 1u32..3, 1u32..5).prop_map(|(tenant, level, group, gpus)| Ask {
        tenant,
        priority: [10, 50, 90][usize::from(level)],
        group,
        gpus,
    })
}

/// Its own, what it borrows, and what it lends of it.
fn allotment() -> impl Strategy<Value = (u64, Limit, u64)> {
    let borrows =
        prop_oneof![Just(Limit::None), Just(Limit::Unlimited), (1u64..6).prop_map(Limit::Gpus)];
    (0u64..9, borrows, 0u64..9).prop_map(|(own, borrows, lends)| (own, borrows, lends.min(own)))
}

fn tenant(n: usize) -> TenantId {
    TENANTS[n].parse().unwrap()
}

fn tree(f: &mut Federation, allotments: &[(u64, Limit, u64)]) {
    for name in TENANTS {
        f.tenant(name, Limit::None);
    }
    for part in [1, 2] {
        f.part_of(&tenant(part), &tenant(0));
    }
    for (n, (own, borrows, lends)) in allotments.iter().enumerate() {
        let has_parent = n == 1 || n == 2;
        let borrowing = if has_parent { *borrows } else { Limit::None };
        let lending = if has_parent { Limit::Gpus(*lends) } else { Limit::None };
        let nominal = Limit::Gpus(*own);
        f.allot(&tenant(n), Area::Japan, Allotment { nominal, borrowing, lending });
    }
}

fn submit(f: &mut Federation, n: usize, ask: &Ask) {
    let facts = job(&format!("j-{n}"), ask.group, ask.gpus, &[]);
    let id = JobId { tenant: tenant(ask.tenant), ..facts.id.clone() };
    f.submit(JobFacts { id, priority: ask.priority, time_limit_s: 86_400, ..facts });
}

fn tell(f: &mut Federation, (id, ending): (PlacementId, Ending)) {
    let row = f.state.placement(&id).unwrap();
    let (node, session): (NodeId, SessionId) = (row.grant.node.clone(), row.grant.session);
    let phases = vec![(id, Phase::Ended(ending))];
    f.accept(agent(&node), Command::Report { node: node.clone(), session, phases });
}

fn in_phase(f: &Federation, of: &Phase) -> Vec<PlacementId> {
    f.state.placements().filter(|(_, row)| row.phase == *of).map(|(id, _)| *id).collect()
}

/// Long enough for whoever runs to be moved.
fn wait(f: &mut Federation) {
    f.now = f.now.plus_ms(9_000);
    f.accept(member("kanto"), Command::Tick);
}

/// Places what can be, then makes room once. Whether anything changed.
fn round(f: &mut Federation) -> Result<bool, TestCaseError> {
    let mut changed = false;
    while commit(f) > 0 {
        changed = true;
    }
    wait(f);
    let mut planner = Planner::default();
    let held = planner.plan(&f.state).held;
    if let Some(found) = planner.preempt(&held) {
        f.accept(member("kanto"), Command::Preempt(Box::new(found)));
        prop_assert_eq!(invariant::check(&f.state), Ok(()));
        changed = true;
    }
    for id in in_phase(f, &Phase::Stopping) {
        tell(f, (id, Ending::Stopped));
        prop_assert_eq!(invariant::check(&f.state), Ok(()));
    }
    Ok(changed)
}

/// Sets of at most `most` of these.
fn sets(all: &[JobId], most: usize) -> Vec<Vec<JobId>> {
    let mut sets: Vec<Vec<JobId>> = vec![Vec::new()];
    for id in all {
        let with = sets.iter().filter(|set| set.len() < most).cloned();
        let with: Vec<Vec<JobId>> = with
            .map(|mut set| {
                set.push(id.clone());
                set
            })
            .collect();
        sets.extend(with);
    }
    sets
}

/// A move that apply would take for a job of one member: by trying all of them.
fn any_move(f: &Federation, job: &Job) -> Option<Preempt> {
    let state = &f.state;
    let running = state.jobs().filter(|(_, one)| one.phase == JobPhase::Placed);
    let mut moves = Moves::of(state, &job.facts);
    let movable: Vec<JobId> =
        running.filter(|(_, one)| moves.may_move(one).is_ok()).map(|(id, _)| id.clone()).collect();
    let sets = sets(&movable, 3);
    state.nodes().find_map(|(node, _)| {
        let places = vec![Slot { node: node.clone(), bucket: 0 }];
        sets.iter().filter(|set| !set.is_empty()).find_map(|victims| {
            let (beneficiary, victims) = (job.facts.id.clone(), victims.clone());
            let found = Preempt { beneficiary, victims, places: places.clone() };
            state.check_preemption(&found).is_ok().then_some(found)
        })
    })
}

/// Whether apply would take it as it is: it waits for what is kept for one that was called, and nobody has to move.
fn is_kept_off(f: &Federation, job: &Job) -> bool {
    let (id, nodes) = (&job.facts.id, f.state.nodes().map(|(node, _)| node.to_string()));
    nodes.into_iter().any(|node| {
        let outcome = f.clone().place(id, &[&node]).outcome;
        matches!(outcome, Ok(Reply::Placed { rejected, .. }) if rejected.is_empty())
    })
}

/// Plays until nothing moves any more, and looks whether somebody waits that has a right to room.
fn play(nodes: usize, allotments: &[(u64, Limit, u64)], asks: &[Ask]) -> Result<(), TestCaseError> {
    let mut f = Federation::new();
    for n in 0..nodes {
        f.ready_node(&format!("tokyo-1/n-{n}"), 4);
    }
    tree(&mut f, allotments);
    // They come in two waves, so that those that came first run when the others come.
    let half = asks.len() / 2;
    for (n, ask) in asks.iter().enumerate() {
        if n == half {
            round(&mut f)?;
        }
        submit(&mut f, n, ask);
    }
    let mut rounds = 0usize;
    while round(&mut f)? {
        rounds = rounds.saturating_add(1);
        prop_assert!(rounds < ROUNDS, "it goes on and on");
    }
    wait(&mut f);
    let state = &f.state;
    for (_, id) in state.queue() {
        let job = state.job(id).unwrap();
        if job.facts.group == 1 && !is_kept_off(&f, job) {
            let found = any_move(&f, job);
            prop_assert!(found.is_none(), "{} waits, and there is {:?}", id, found);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Preemption never loops, whoever is moved for whom; and where it rests, nobody waits that could have room made: what was lent
    /// has come back, and the more urgent run.
    #[test]
    fn moves_come_to_an_end_and_leave_nobody_without_its_right(
        nodes in 1usize..4,
        allotments in prop::collection::vec(allotment(), 4),
        asks in prop::collection::vec(ask(), 1..12),
    ) {
        play(nodes, &allotments, &asks)?;
    }
}

const NONE: (u64, Limit, u64) = (0, Limit::None, 0);

/// Tenant, priority, group, GPUs.
fn asks(all: &[(usize, u8, u32, u32)]) -> Vec<Ask> {
    let ask = |&(tenant, priority, group, gpus): &_| Ask { tenant, priority, group, gpus };
    all.iter().map(ask).collect()
}

#[test]
fn who_borrows_moves_no_urgent_job_of_a_tenant_of_which_another_one_is_borrowed() {
    // The second job of the ministry is beyond its own, the first is not.
    let allotments = [(7, Limit::None, 0), (1, Limit::None, 1), (1, Limit::Unlimited, 1), NONE];
    let asks = asks(&[(0, 10, 1, 2), (0, 10, 1, 4), (0, 50, 2, 3), (2, 90, 2, 2)]);
    play(3, &allotments, &asks).unwrap();
}

#[test]
fn nobody_moves_its_own_tenants_jobs_from_what_is_its_own_to_borrow() {
    // The urgent gang of sapporo's would borrow. In its place came the ministry's, and sapporo's other one in place of that.
    let allotments = [(6, Limit::None, 0), (4, Limit::Unlimited, 0), NONE, NONE];
    let asks = asks(&[(1, 50, 1, 2), (0, 10, 2, 3), (1, 90, 2, 3)]);
    play(2, &allotments, &asks).unwrap();
}

#[test]
fn what_is_taken_back_is_what_is_least_urgent_of_whoever_borrows() {
    let allotments = [(1, Limit::None, 0), (8, Limit::None, 8), (3, Limit::Unlimited, 0), NONE];
    let asks = asks(&[(1, 50, 2, 4), (2, 10, 1, 4), (2, 90, 2, 1), (2, 50, 1, 1)]);
    play(3, &allotments, &asks).unwrap();
}

#[test]
fn who_waits_behind_many_that_move_nobody_has_its_right() {
    // The ministry's have nothing of their own; osaka has lent it what the first of them uses, and is the last to be asked for.
    let allotments = [NONE, NONE, (4, Limit::None, 4), NONE];
    let first = [(0, 90, 1, 4), (0, 50, 2, 1), (0, 50, 1, 1), (0, 50, 1, 2), (0, 90, 1, 1)];
    let then = [(2, 10, 1, 1), (1, 50, 1, 1), (0, 50, 1, 4), (0, 90, 1, 1), (0, 50, 1, 3)];
    play(1, &allotments, &asks(&[first, then].concat())).unwrap();
}

/// `sapporo` lends all of its 8; `osaka` borrows them in the first of two nodes of eight.
fn lent() -> Federation {
    let mut f = Federation::new();
    for n in 0..2 {
        f.ready_node(&format!("tokyo-1/n-{n}"), 8);
    }
    let none = (0, Limit::None, 0);
    tree(&mut f, &[none, (8, Limit::None, 8), (0, Limit::Unlimited, 0), none]);
    for n in 0..2 {
        submit(&mut f, n, &Ask { tenant: 2, priority: 50, group: 1, gpus: 4 });
    }
    while commit(&mut f) > 0 {}
    wait(&mut f);
    f
}

#[test]
fn what_was_lent_comes_back_where_devices_are_free_and_quota_is_not() {
    let mut f = lent();
    submit(&mut f, 9, &Ask { tenant: 1, priority: 10, group: 1, gpus: 4 });
    assert_eq!(plan(&f.state).waiting.quota, 1);
    round(&mut f).unwrap();
    let usage = |n: usize| f.state.usage(&tenant(n), &sekisho_fsm::testing::CLASS.parse().unwrap());
    assert_eq!((usage(1), usage(2)), (4, 4));
}

#[test]
fn a_more_urgent_job_has_the_quota_of_its_own_tenants_less_urgent_ones() {
    let mut f = Federation::furnished();
    let low = f.submit(JobFacts { priority: 10, ..job("low", 2, 4, &["Tokyo"]) });
    assert_eq!(commit(&mut f), 1);
    wait(&mut f);
    let high = f.submit(JobFacts { priority: 90, ..job("high", 1, 2, &["JP-27"]) });
    round(&mut f).unwrap();
    let phase = |id: &JobId| f.state.job(id).unwrap().phase;
    assert_eq!((phase(&low), phase(&high)), (JobPhase::Queued, JobPhase::Placed));
}
