//! Arrays and services: as many groups of a whole as it wants, in its turns.

use super::*;
use crate::{Planner, plan};
use sekisho_fsm::testing::{admin, agent, job, member};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::job::{JobFacts, Kind};
use sekisho_types::placement::Phase;
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

#[test]
fn a_host_that_refused_is_planned_for_again_after_an_hour() {
    let mut federation = fleet();
    let web = Kind::Service { replicas: 1, surge: 1 };
    let web = federation.submit(JobFacts { kind: web, ..job("web", 1, 1, &[]) });
    federation.place(&web, &["tokyo-1/n-1"]);
    let placement = federation.placements(&web.task(0))[0];
    federation.refuse(placement, ErrorCode::ResidencyArea);
    let mut planner = Planner::default();
    let mut planned = |federation: &mut Federation, seconds: u64| {
        for _ in 0..seconds.div_ceil(10) {
            federation.now = federation.now.plus_ms(10_000);
            federation.accept(member("kanto"), Command::Tick);
        }
        shown(&planner.plan(&federation.state))
    };
    // It is the one with fewer devices, which goes first.
    let filler = federation.submit(job("filler", 1, 1, &[]));
    federation.place(&filler, &["tokyo-1/n-1"]);
    assert_eq!(planned(&mut federation, 60), ["web: tokyo-1/n-2"]);
    assert_eq!(planned(&mut federation, 3600), ["web: tokyo-1/n-1"]);
}

#[test]
fn a_planner_that_followed_sees_what_drains_and_time_do_to_a_service() {
    let mut federation = fleet();
    let kind = Kind::Service { replicas: 1, surge: 1 };
    let facts = JobFacts { kind, time_limit_s: 1000, ..job("web", 1, 1, &[]) };
    let web = federation.submit(facts);
    let mut planner = Planner::default();
    let mut wanted = |federation: &Federation| {
        let followed = planner.plan(&federation.state).groups;
        assert_eq!(followed, plan(&federation.state).groups);
        assert_eq!(
            planner.surplus(9),
            federation.state.replicas(federation.state.job(&web).unwrap()).surplus
        );
        followed.len()
    };
    assert_eq!(wanted(&federation), 1);
    assert_eq!(commit(&mut federation), 1);
    let placement = federation.placements(&web.task(0))[0];
    let node = federation.state.placement(&placement).unwrap().grant.node.clone();
    let session = federation.state.node(&node).unwrap().session.as_ref().unwrap().id;
    let phases = vec![(placement, Phase::Running)];
    federation.accept(agent(&node), Command::Report { node: node.clone(), session, phases });
    assert_eq!(wanted(&federation), 0);
    let drain = Command::DrainNode { node: node.clone(), within_s: None, message: String::new() };
    federation.accept(admin("kanto"), drain);
    assert_eq!(wanted(&federation), 1);
    federation.accept(admin("kanto"), Command::UndrainNode { node, keep_cordoned: false });
    assert_eq!(wanted(&federation), 0);
    for (seconds, more) in [(890, 0), (20, 1)] {
        for _ in 0..seconds / 10 {
            federation.now = federation.now.plus_ms(10_000);
            federation.accept(member("kanto"), Command::Tick);
        }
        assert_eq!(wanted(&federation), more, "{seconds}");
    }
}
