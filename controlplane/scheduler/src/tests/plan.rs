//! Plans: gangs, order, overlays, and each filter.

use super::*;
use crate::limit::JOBS_PER_PLAN_MAX;
use crate::{Waiting, plan, plan_from};
use sekisho_fsm::testing::{CLASS, job};
use sekisho_types::job::{JobFacts, Resources};
use sekisho_types::limit::GROUPS_PER_PLAN_MAX;
use sekisho_types::quota::Limit;
use sekisho_types::residency::Rules;
use std::collections::BTreeSet;

fn of(tenant: &str, facts: JobFacts) -> JobFacts {
    let id = JobId { tenant: tenant.parse().unwrap(), ..facts.id };
    JobFacts { id, ..facts }
}

#[test]
fn a_gang_stands_on_nodes_of_its_own_or_not_at_all() {
    let mut federation = Federation::furnished();
    federation.tenant("large", Limit::Unlimited);
    federation.submit(of("large", job("seven", 7, 1, &[])));
    assert_eq!(shown(&plan(&federation.state)), [""; 0]);
    assert_eq!(plan(&federation.state).waiting, Waiting { room: 1, ..Waiting::default() });
    federation.submit(job("two", 2, 2, &[]));
    // One node has room for both members, but each needs its own.
    assert_eq!(shown(&plan(&federation.state)), ["two: ishikari-1/n-01 ishikari-1/n-02"]);
    federation.submit(of("large", job("six", 6, 2, &[])));
    assert_eq!(commit(&mut federation), 2);
    federation.submit(of("large", job("five", 5, 3, &[])));
    assert_eq!(commit(&mut federation), 0);
}

#[test]
fn urgent_jobs_come_first_then_old_ones() {
    let mut federation = Federation::furnished();
    for (name, priority) in [("old", 50), ("new", 50), ("low", 10), ("urgent", 90)] {
        federation.submit(JobFacts { priority, ..job(name, 1, 2, &["JP-01"]) });
    }
    let names: Vec<String> =
        plan(&federation.state).groups.iter().map(|g| g.job.name.to_string()).collect();
    assert_eq!(names, ["urgent", "old", "new", "low"]);
}

#[test]
fn earlier_groups_of_a_plan_take_room_and_quota_from_later_ones() {
    let mut federation = Federation::furnished();
    // Room: 2 x 4 GPUs at Ishikari; quota: 8.
    for name in ["a", "b", "c"] {
        federation.submit(job(name, 1, 3, &["JP-01"]));
    }
    let found = plan(&federation.state);
    assert_eq!(shown(&found), ["a: ishikari-1/n-01", "b: ishikari-1/n-02"]);
    assert_eq!(found.waiting, Waiting { quota: 1, ..Waiting::default() });
    // Smaller ones behind it may still start.
    federation.submit(job("d", 1, 2, &[]));
    assert_eq!(
        shown(&plan(&federation.state)),
        ["a: ishikari-1/n-01", "b: ishikari-1/n-02", "d: sakai-1/n-01"]
    );
}

#[test]
fn residency_is_that_of_apply() {
    let mut federation = Federation::furnished();
    federation.submit(job("osaka", 1, 1, &["JP-27"]));
    let naniwa: Rules =
        Rules { denied_operators: BTreeSet::from(["naniwa".parse().unwrap()]), ..Rules::default() };
    let policy = federation.policy("no-naniwa", naniwa);
    let denied = JobFacts { policy: Some(policy), ..job("denied", 1, 1, &["JP-27"]) };
    federation.submit(denied);
    federation.submit(job("tokyo", 1, 1, &["Tokyo"]));
    assert_eq!(shown(&plan(&federation.state)), ["osaka: sakai-1/n-01", "tokyo: tokyo-1/n-01"]);
    commit(&mut federation);
    assert_eq!(plan(&federation.state).waiting, Waiting { room: 1, ..Waiting::default() });
}

#[test]
fn only_usable_nodes_are_planned_on() {
    let mut federation = Federation::furnished();
    federation.submit(job("any", 1, 1, &["JP-01"]));
    cordon(&mut federation, "ishikari-1/n-01");
    assert_eq!(shown(&plan(&federation.state)), ["any: ishikari-1/n-02"]);
    let node: NodeId = "ishikari-1/n-02".parse().unwrap();
    let session = federation.state.node(&node).unwrap().live_session().unwrap().id;
    let mut expired = federation.clone();
    expired.accept(member("kanto"), Command::ExpireLease { node: node.clone(), session });
    assert_eq!(plan(&expired.state).groups, []);
    federation.accept(admin("hokuto"), Command::RevokeNode { node });
    assert_eq!(plan(&federation.state).groups, []);
}

#[test]
fn an_expired_tag_is_not_planned_on() {
    let mut federation = Federation::furnished();
    federation.submit(job("any", 1, 1, &[]));
    hours_later(&mut federation, 23);
    assert_eq!(plan(&federation.state).groups.len(), 1);
    hours_later(&mut federation, 1);
    assert_eq!(plan(&federation.state).groups, []);
}

#[test]
fn class_memory_and_count_of_one_bucket_must_suit() {
    let mut federation = Federation::furnished();
    let tenant = federation.tenant("large", Limit::Unlimited);
    let with = |name: &str, resources: Resources| {
        of(tenant.as_str(), JobFacts { resources, ..job(name, 1, 1, &[]) })
    };
    let class = || CLASS.parse().unwrap();
    federation.submit(with("fits", Resources { class: class(), gpus: 4, memory_mib: 81_920 }));
    federation.submit(with("memory", Resources { class: class(), gpus: 1, memory_mib: 81_921 }));
    federation.submit(with("count", Resources { class: class(), gpus: 5, memory_mib: 0 }));
    assert_eq!(shown(&plan(&federation.state)), ["fits: ishikari-1/n-01"]);
    assert_eq!(plan(&federation.state).waiting, Waiting { room: 2, ..Waiting::default() });
}

#[test]
fn a_node_that_refused_the_job_is_not_tried_again() {
    let mut federation = Federation::furnished();
    let id = federation.submit(job("picky", 1, 1, &["JP-01"]));
    commit(&mut federation);
    let refused = refuse(&mut federation, &id);
    assert_eq!(refused.to_string(), "ishikari-1/n-01");
    assert_eq!(shown(&plan(&federation.state)), ["picky: ishikari-1/n-02"]);
    commit(&mut federation);
    refuse(&mut federation, &id);
    federation.submit(job("easy", 1, 1, &["JP-01"]));
    // It says nothing about an equal job that was not refused.
    assert_eq!(shown(&plan(&federation.state)), ["easy: ishikari-1/n-01"]);
}

#[test]
fn a_round_is_bounded_and_the_next_goes_on_behind_it() {
    let mut federation = Federation::new();
    federation.tenant("sapporo", Limit::Unlimited);
    for node in 0..5 {
        federation.ready_node(&format!("tokyo-1/n-{node}"), 64);
    }
    let jobs = GROUPS_PER_PLAN_MAX + 10;
    for n in 0..jobs {
        federation.submit(job(&format!("j-{n:04}"), 1, 1, &[]));
    }
    assert!(u32::try_from(jobs).unwrap() < JOBS_PER_PLAN_MAX);
    let first = plan(&federation.state);
    assert_eq!(first.groups.len(), GROUPS_PER_PLAN_MAX);
    let rest = plan_from(&federation.state, first.resume);
    assert_eq!(rest.groups.len(), 10);
    assert_eq!(rest.resume, None);
    assert!(first.groups.iter().all(|g| rest.groups.iter().all(|r| r.job != g.job)));
}
