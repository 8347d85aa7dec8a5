//! Shares and instances: who is planned beside whom, and what is said to those who wait.

use super::*;
use crate::{Planner, Verdict, explain, plan};
use proptest::prelude::*;
use sekisho_fsm::command::Preempt;
use sekisho_fsm::invariant;
use sekisho_fsm::testing::{bucket, instances, job, shares};
use sekisho_types::job::{JobFacts, Resources};
use sekisho_types::quota::Limit;
use sekisho_types::sharing::Sharing;

const NODES: [&str; 2] = ["tokyo-1/n-01", "tokyo-1/n-02"];

/// Each of Tokyo's nodes has two whole devices, one in two instances, and two shares of another.
fn begun() -> Federation {
    let mut federation = Federation::furnished();
    federation.tenant("naha", Limit::Unlimited);
    for class in [instances(2, 2).class, shares(3, 2).class] {
        federation.open_class(&class, &["sapporo", "naha"], Limit::Unlimited);
    }
    for node in NODES {
        let has = vec![bucket(2), instances(2, 2), shares(3, 2)];
        federation.equip(&node.parse().unwrap(), has).outcome.unwrap();
    }
    federation
}

fn share(tenant: &str, name: &str, sharing: Sharing) -> JobFacts {
    let facts = job(name, 1, 1, &["Tokyo"]);
    let id = JobId { tenant: tenant.parse().unwrap(), ..facts.id };
    let resources = Resources { sharing, ..Resources::of(shares(3, 2).class, 1) };
    JobFacts { id, resources, ..facts }
}

fn tick(federation: &mut Federation, ms: u64) {
    federation.now = federation.now.plus_ms(ms);
    federation.accept(member("kanto"), Command::Tick);
}

#[test]
fn a_share_is_beside_those_who_agree_and_begun_devices_are_filled() {
    let mut federation = begun();
    for (facts, node) in [
        (share("sapporo", "a", Sharing::Tenant), "a: tokyo-1/n-01"),
        (share("naha", "b", Sharing::Any), "b: tokyo-1/n-02"),
        (share("sapporo", "c", Sharing::Any), "c: tokyo-1/n-01"),
        (share("naha", "d", Sharing::Tenant), "d: tokyo-1/n-02"),
    ] {
        federation.submit(facts);
        assert_eq!(shown(&plan(&federation.state)), [node]);
        commit(&mut federation);
    }
    federation.submit(share("naha", "e", Sharing::Any));
    assert_eq!(plan(&federation.state).waiting.room, 1, "all are taken");
    assert_eq!(invariant::check(&federation.state), Ok(()));
}

#[test]
fn one_plan_puts_no_two_together_who_did_not_agree() {
    let mut federation = begun();
    for (tenant, name) in [("sapporo", "a"), ("naha", "b"), ("sapporo", "c"), ("naha", "d")] {
        federation.submit(share(tenant, name, Sharing::Tenant));
    }
    assert_eq!(commit(&mut federation), 4);
    assert_eq!(invariant::check(&federation.state), Ok(()));
    federation.submit(share("naha", "e", Sharing::Tenant));
    assert_eq!(commit(&mut federation), 0);
}

#[test]
fn a_gang_has_each_share_on_a_node_of_its_own() {
    let mut federation = begun();
    federation.submit(JobFacts { group: 2, ..share("sapporo", "two", Sharing::Any) });
    federation.submit(JobFacts { group: 3, ..share("sapporo", "three", Sharing::Any) });
    assert_eq!(shown(&plan(&federation.state)), ["two: tokyo-1/n-01 tokyo-1/n-02"]);
}

#[test]
fn instances_are_found_by_their_units() {
    let mut federation = begun();
    let slices = |name: &str, gpus, units| {
        let resources = Resources { units, ..Resources::of(instances(2, 2).class, gpus) };
        JobFacts { resources, ..job(name, 1, 1, &["Tokyo"]) }
    };
    let large = slices("large", 1, 2);
    let found = explain(&federation.state, &large);
    assert_eq!((found.verdict, found.binding), (Verdict::Never, Some(ErrorCode::NoDevice)));
    let condition = found.steps.iter().find(|step| step.token == "NO_DEVICE").unwrap();
    let wanted = "has 1 x sim-h100-1g-10gb with 2 units or more each in one bucket";
    assert_eq!(condition.condition, wanted);
    let change = "ask for sim-h100-1g-10gb of any number of units";
    assert!(found.relaxations.iter().any(|relaxed| relaxed.change == change), "{found:?}");
    federation.submit(slices("both", 2, 1));
    federation.submit(slices("one", 1, 0));
    assert_eq!(shown(&plan(&federation.state)).len(), 2);
    commit(&mut federation);
    assert_eq!(invariant::check(&federation.state), Ok(()));
}

#[test]
fn who_waits_for_other_neighbours_is_told_so() {
    let mut federation = begun();
    cordon_all_but(&mut federation, &NODES[..1]);
    federation.submit(share("sapporo", "first", Sharing::Any));
    commit(&mut federation);
    let shy = share("naha", "shy", Sharing::Tenant);
    let found = explain(&federation.state, &shy);
    assert_eq!(found.verdict, Verdict::WouldWait);
    assert_eq!(found.binding, Some(ErrorCode::ShareNeighbours));
    let change = "share the device with jobs of any tenant";
    let relaxed = found.relaxations.iter().find(|relaxed| relaxed.change == change).unwrap();
    assert_eq!(relaxed.effect, Verdict::PlacedNow);
    assert!(found.relaxations.iter().all(|relaxed| !relaxed.change.contains("sim-h100 ")));
    federation.submit(shy);
    assert_eq!(commit(&mut federation), 0);
    federation.submit(share("naha", "open", Sharing::Any));
    assert_eq!(commit(&mut federation), 1);
}

#[test]
fn a_stranger_is_moved_and_a_neighbour_is_not() {
    let mut federation = begun();
    cordon_all_but(&mut federation, &NODES[..1]);
    let moved = |federation: &Federation| -> Option<Vec<String>> {
        let mut planner = Planner::default();
        let held = planner.plan(&federation.state).held;
        let Preempt { victims, .. } = planner.preempt(&held)?;
        Some(victims.iter().map(|id| id.name.to_string()).collect())
    };
    federation.submit(JobFacts { priority: 10, ..share("sapporo", "low", Sharing::Tenant) });
    commit(&mut federation);
    tick(&mut federation, 9_000);
    federation.submit(JobFacts { priority: 90, ..share("naha", "high", Sharing::Any) });
    assert_eq!(moved(&federation), Some(vec!["low".to_owned()]), "though a share is free");
    federation.submit(JobFacts { priority: 95, ..share("sapporo", "own", Sharing::Tenant) });
    assert_eq!(shown(&plan(&federation.state)), ["own: tokyo-1/n-01"]);
    commit(&mut federation);
    assert_eq!(moved(&federation), None, "one of them is more urgent, and both would have to go");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// What is planned is granted whole, nobody stands beside whom it did not agree to, and what is left waits.
    #[test]
    fn shares_are_planned_as_they_are_granted(
        asks in prop::collection::vec((0usize..2, any::<bool>(), 1u32..3, 0u8..3), 1..14),
    ) {
        let mut federation = begun();
        for (n, (tenant, any, group, priority)) in asks.iter().enumerate() {
            let sharing = if *any { Sharing::Any } else { Sharing::Tenant };
            let facts = share(["sapporo", "naha"][*tenant], &format!("j-{n}"), sharing);
            federation.submit(JobFacts { group: *group, priority: *priority, ..facts });
        }
        while {
            if let Some(first) = plan(&federation.state).groups.first() {
                let facts = &federation.state.job(&first.job).unwrap().facts;
                prop_assert_eq!(explain(&federation.state, facts).verdict, Verdict::PlacedNow);
            }
            commit(&mut federation) > 0
        } {
            prop_assert_eq!(invariant::check(&federation.state), Ok(()));
        }
        for (_, id) in federation.state.queue() {
            let found = explain(&federation.state, &federation.state.job(id).unwrap().facts);
            prop_assert_ne!(found.verdict, Verdict::PlacedNow);
        }
    }
}
