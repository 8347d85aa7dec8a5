//! Whom the planner would move: as few as can be, and nobody in vain.

use super::*;
use crate::Planner;
use sekisho_fsm::command::Preempt;
use sekisho_fsm::testing::job;
use sekisho_types::job::JobFacts;
use sekisho_types::quota::Limit;

fn at(priority: u8, name: &str, group: u32, gpus: u32) -> JobFacts {
    JobFacts { priority, ..job(name, group, gpus, &["Tokyo"]) }
}

/// Tokyo's two nodes of four are full of jobs of priority 50 and 10 that have run for a while.
fn full() -> Federation {
    let mut federation = Federation::furnished();
    federation.quota(&"sapporo".parse().unwrap(), Limit::Unlimited);
    for (name, priority, gpus, node) in [
        ("a", 50, 3, "tokyo-1/n-01"),
        ("b", 10, 1, "tokyo-1/n-01"),
        ("c", 10, 2, "tokyo-1/n-02"),
        ("d", 10, 2, "tokyo-1/n-02"),
    ] {
        let id = federation.submit(at(priority, name, 1, gpus));
        federation.place(&id, &[node]);
        tick(&mut federation, 1_000);
    }
    tick(&mut federation, 9_000);
    federation
}

fn tick(federation: &mut Federation, ms: u64) {
    federation.now = federation.now.plus_ms(ms);
    federation.accept(member("kanto"), Command::Tick);
}

fn found(federation: &Federation) -> Option<(Vec<String>, Vec<String>)> {
    let mut planner = Planner::default();
    let held = planner.plan(&federation.state).held;
    let Preempt { victims, places, .. } = planner.preempt(&held)?;
    let names = victims.iter().map(|id| id.name.to_string()).collect();
    Some((names, places.iter().map(|slot| slot.node.name.to_string()).collect()))
}

fn of(names: &[&str], nodes: &[&str]) -> Option<(Vec<String>, Vec<String>)> {
    let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
    Some((owned(names), owned(nodes)))
}

#[test]
fn as_few_as_can_be_are_moved_and_the_least_urgent() {
    let mut federation = full();
    federation.submit(at(90, "two", 1, 2));
    assert_eq!(found(&federation), of(&["d"], &["n-02"]), "the one that began last");
    let mut federation = full();
    federation.submit(at(90, "four", 1, 4));
    assert_eq!(found(&federation), of(&["c", "d"], &["n-02"]), "not the more urgent one");
    let mut federation = full();
    federation.submit(at(90, "gang", 2, 1));
    assert_eq!(found(&federation), of(&["b", "d"], &["n-01", "n-02"]));
}

#[test]
fn nobody_is_moved_for_whom_no_room_would_be_made() {
    let mut federation = full();
    federation.submit(at(40, "four", 1, 4));
    assert_eq!(found(&federation), of(&["c", "d"], &["n-02"]));
    let mut federation = full();
    federation.submit(at(40, "gang", 2, 4));
    assert_eq!(found(&federation), None, "one of the two places is held by a more urgent job");
    let mut federation = full();
    federation.submit(at(10, "equal", 1, 2));
    assert_eq!(found(&federation), None);
}

#[test]
fn room_that_is_being_made_is_waited_for() {
    let mut federation = full();
    let id = federation.submit(at(90, "two", 1, 2));
    let mut planner = Planner::default();
    let held = planner.plan(&federation.state).held;
    let preempt = planner.preempt(&held).unwrap();
    federation.accept(member("kanto"), Command::Preempt(Box::new(preempt)));
    let plan = planner.plan(&federation.state);
    assert_eq!((plan.groups.len(), planner.preempt(&plan.held)), (0, None));
    let facts = &federation.state.job(&id).unwrap().facts;
    let told = crate::explain(&federation.state, facts);
    assert_eq!(told.detail, "1 job(s) are being moved to make room");
    assert_eq!(told.binding, Some(ErrorCode::RoomInMaking));
    let moved = federation.state.preemption(&id).unwrap().victims.first().unwrap();
    let facts = &federation.state.job(moved).unwrap().facts;
    let told = crate::explain(&federation.state, facts).summary();
    assert!(told.ends_with("; makes room for job sapporo/two"), "{told}");
    // It makes no room for another one, and none is made for it twice.
    federation.submit(at(90, "other", 1, 2));
    assert_eq!(found(&federation), of(&["a"], &["n-01"]));
    assert!(federation.state.preemption(&id).is_some());
}
