//! Plans: gangs, order, overlays, and each filter.

use super::*;
use crate::{Planner, Waiting, plan};
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
    federation.submit(with("fits", Resources { memory_mib: 81_920, ..Resources::of(class(), 4) }));
    federation
        .submit(with("memory", Resources { memory_mib: 81_921, ..Resources::of(class(), 1) }));
    federation.submit(with("count", Resources::of(class(), 5)));
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
    let mut planner = Planner::default();
    let first = planner.plan(&federation.state);
    assert_eq!((first.groups.len(), first.more), (GROUPS_PER_PLAN_MAX, true));
    // Nothing was applied: it plans the same once more.
    assert_eq!(planner.plan(&federation.state), first);
    assert_eq!(commit(&mut federation), GROUPS_PER_PLAN_MAX);
    let rest = planner.plan(&federation.state);
    assert_eq!((rest.groups.len(), rest.more), (10, false));
    assert_eq!(rest, plan(&federation.state), "what followed plans what is new");
    assert!(first.groups.iter().all(|g| rest.groups.iter().all(|r| r.job != g.job)));
}

#[test]
fn begun_nodes_are_filled_up_first() {
    let mut federation = Federation::furnished();
    federation.submit(job("a", 1, 1, &["JP-27"]));
    commit(&mut federation);
    cordon(&mut federation, "ishikari-1/n-01");
    federation.submit(job("b", 1, 3, &["JP-27"]));
    assert_eq!(shown(&plan(&federation.state)), ["b: sakai-1/n-01"]);
    federation.submit(job("c", 1, 4, &["JP-27"]));
    assert_eq!(shown(&plan(&federation.state)), ["b: sakai-1/n-01", "c: sakai-1/n-02"]);
}

#[test]
fn a_gang_stands_in_one_rack_else_at_one_site_else_wherever_there_is_room() {
    let mut federation = Federation::new();
    federation.tenant("sapporo", Limit::Unlimited);
    for (node, rack) in [
        ("ishikari-1/a-1", "r1"),
        ("ishikari-1/a-2", "r2"),
        ("sakai-1/b-1", "r1"),
        ("sakai-1/b-2", "r2"),
        ("sakai-1/b-3", "r2"),
        ("sakai-1/b-4", "r3"),
        ("sakai-1/b-5", "r3"),
        ("sakai-1/b-6", "r3"),
    ] {
        federation.ready_node_in(node, 4, Some(rack));
    }
    let placed = |federation: &mut Federation, name: &str, group| {
        federation.submit(job(name, group, 4, &[]));
        let found = shown(&plan(&federation.state));
        assert_eq!(commit(federation), 1);
        found.join("")
    };
    // The smallest rack that has room for all of it.
    assert_eq!(placed(&mut federation, "two", 2), "two: sakai-1/b-2 sakai-1/b-3");
    // No rack has: the site with the least room that suffices, the fullest rack first.
    let four = "four: sakai-1/b-4 sakai-1/b-5 sakai-1/b-6 sakai-1/b-1";
    assert_eq!(placed(&mut federation, "four", 4), four);
    assert_eq!(placed(&mut federation, "rest", 2), "rest: ishikari-1/a-1 ishikari-1/a-2");
}

#[test]
fn tenants_take_turns_by_what_they_have_had_of_their_due() {
    let mut federation = Federation::new();
    let (a, b) = (federation.tenant("a", Limit::Gpus(30)), federation.tenant("b", Limit::Gpus(10)));
    for node in 0..2 {
        federation.ready_node(&format!("tokyo-1/n-{node}"), 8);
    }
    for n in 0..20 {
        federation.submit(of(a.as_str(), job(&format!("j-{n:02}"), 1, 1, &[])));
    }
    for n in 0..20 {
        federation.submit(of(b.as_str(), job(&format!("j-{n:02}"), 1, 1, &[])));
    }
    let found = plan(&federation.state);
    let of_b = found.groups.iter().filter(|group| group.job.tenant == b).count();
    assert_eq!((found.groups.len(), of_b), (16, 4), "three to one, though all of a came first");
    // Who has had more waits, also in the next rounds: what was used stays in mind when it has ended.
    let mut later = Federation::new();
    let (a, b) = (later.tenant("a", Limit::Gpus(8)), later.tenant("b", Limit::Gpus(8)));
    later.ready_node("tokyo-1/n-0", 1);
    later.submit(of(a.as_str(), job("long", 1, 1, &[])));
    commit(&mut later);
    for tenant in [&a, &b] {
        later.submit(of(tenant.as_str(), job("next", 1, 1, &[])));
    }
    later.ready_node("tokyo-1/n-1", 1);
    assert_eq!(plan(&later.state).groups[0].job.tenant, b);
}

#[test]
fn what_holds_one_job_holds_no_equal_one_that_it_does_not_concern() {
    let mut federation = Federation::furnished();
    let vetoed = federation.submit(job("vetoed", 1, 1, &["Tokyo"]));
    federation.submit(job("taken", 1, 1, &["Tokyo"]));
    let (operator, of) = ("kanto".parse().unwrap(), sekisho_types::offer::Vetoed::Job(vetoed));
    let veto = Command::Veto { operator, of, reason: String::new() };
    federation.accept(admin("kanto"), veto);
    assert_eq!(shown(&plan(&federation.state)), ["taken: tokyo-1/n-01"]);
}

#[test]
fn a_shorter_job_of_a_lane_starts_where_a_longer_one_waits() {
    let mut federation = Federation::furnished();
    let until = Some(federation.state.clock().plus_ms(2 * 3_600_000));
    for site in ["ishikari-1", "tokyo-1", "sakai-1"] {
        let spec = sekisho_fsm::testing::offer(100);
        federation.offer(site, sekisho_types::offer::OfferSpec { until, ..spec });
    }
    for (name, hours) in [("long", 3), ("longer", 4), ("short", 1)] {
        federation.submit(JobFacts { time_limit_s: hours * 3600, ..job(name, 1, 1, &[]) });
    }
    let found = plan(&federation.state);
    assert_eq!(shown(&found), ["short: ishikari-1/n-01"]);
    assert_eq!(found.waiting, Waiting { offer: 1, ..Waiting::default() });
}
