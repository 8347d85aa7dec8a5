//! Arrays and services: as many groups of a whole as it wants, in its turns.

use super::*;
use crate::{Planner, plan};
use sekisho_fsm::testing::{admin, job};
use sekisho_types::job::{JobFacts, Kind};
use sekisho_types::quota::Limit;

fn fleet() -> Federation {
    let mut federation = Federation::new();
    for tenant in ["sapporo", "osaka"] {
        federation.tenant(tenant, Limit::Gpus(8));
    }
    for node in ["tokyo-1/n-1", "tokyo-1/n-2"] {
        federation.ready_node(node, 4);
    }
    federation
}

fn array(name: &str, tasks: u32, at_most: u32) -> JobFacts {
    JobFacts { kind: Kind::Array { tasks, at_most }, ..job(name, 1, 1, &[]) }
}

#[test]
fn an_array_gets_as_many_places_in_one_plan_as_it_may_have() {
    let mut federation = fleet();
    federation.submit(array("sweep", 9, 3));
    let found = plan(&federation.state);
    assert_eq!(shown(&found), ["sweep: tokyo-1/n-1"; 3]);
    assert_eq!(found.waiting, crate::Waiting::default());
    assert_eq!(commit(&mut federation), 3);
    assert_eq!(plan(&federation.state).groups, []);
    assert_eq!(sekisho_fsm::invariant::check(&federation.state), Ok(()));
}

#[test]
fn an_array_takes_turns_with_others_and_what_fits_of_it_goes() {
    let mut federation = fleet();
    federation.submit(array("sweep", 20, 20));
    let other = array("other", 20, 20);
    let id = JobId { tenant: "osaka".parse().unwrap(), ..other.id.clone() };
    federation.submit(JobFacts { id, ..other });
    assert_eq!(commit(&mut federation), 8);
    let of = |name: &str| {
        let tasks = federation.state.jobs().filter(|(id, _)| id.task.is_some());
        tasks.filter(|(id, _)| id.name.as_str() == name).count()
    };
    assert_eq!((of("sweep"), of("other")), (4, 4));
}

#[test]
fn a_service_gets_what_it_lacks_and_its_surplus_is_named() {
    let mut federation = fleet();
    let facts = JobFacts { kind: Kind::Service { replicas: 2, surge: 1 }, ..job("web", 1, 1, &[]) };
    let web = federation.submit(facts);
    let mut planner = Planner::default();
    assert_eq!(planner.plan(&federation.state).groups.len(), 2);
    assert_eq!(commit(&mut federation), 2);
    assert_eq!(planner.plan(&federation.state).groups, []);
    assert_eq!(planner.surplus(9), []);
    // Its host is drained: one more is wanted at a time.
    let node = "tokyo-1/n-1".parse().unwrap();
    let drain = Command::DrainNode { node, within_s: None, message: String::new() };
    federation.accept(admin("kanto"), drain);
    let found = planner.plan(&federation.state);
    assert_eq!(shown(&found), ["web: tokyo-1/n-2"]);
    assert_eq!(planner.surplus(9), [web.task(0), web.task(1)], "they have not begun");
}
