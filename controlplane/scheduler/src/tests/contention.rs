//! Who makes room for whom on random fleets, trees of quotas and jobs that end when they are told to and not before: it comes to an
//! end, and nobody that has a right to room is left without it.

use super::*;
use crate::{Planner, plan};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use sekisho_evidence::grant::SessionId;
use sekisho_fsm::command::{Preempt, Slot};
use sekisho_fsm::invariant;
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
    let movable: Vec<JobId> = running
        .filter(|(_, one)| state.may_move(&job.facts, one).is_ok())
        .map(|(id, _)| id.clone())
        .collect();
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
        let mut f = Federation::new();
        for n in 0..nodes {
            f.ready_node(&format!("tokyo-1/n-{n}"), 4);
        }
        tree(&mut f, &allotments);
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
            if job.facts.group == 1 {
                let found = any_move(&f, job);
                prop_assert!(found.is_none(), "{} waits, and there is {:?}", id, found);
            }
        }
    }
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
