//! Planner, explanation and apply agree on random federations.

use super::*;
use crate::explain::codes;
use crate::{Verdict, explain, plan};
use proptest::prelude::*;
use sekisho_fsm::State;
use sekisho_fsm::testing::job;
use sekisho_types::job::JobFacts;
use sekisho_types::jurisdiction::Area;
use sekisho_types::quota::Limit;
use std::collections::BTreeSet;

const AREAS: [&[&str]; 5] = [&[], &["JP-01"], &["Tokyo", "JP-27"], &["JP-47"], &["012351"]];

#[derive(Debug, Clone)]
struct Ask {
    tenant: usize,
    group: u32,
    gpus: u32,
    priority: u8,
    area: usize,
}

fn ask() -> impl Strategy<Value = Ask> {
    (0usize..2, 1u32..4, 1u32..5, 0u8..3, 0usize..AREAS.len()).prop_map(
        |(tenant, group, gpus, priority, area)| Ask { tenant, group, gpus, priority, area },
    )
}

fn limit() -> impl Strategy<Value = Limit> {
    prop_oneof![Just(Limit::None), Just(Limit::Unlimited), (0u64..24).prop_map(Limit::Gpus)]
}

fn facts(n: usize, ask: &Ask) -> JobFacts {
    let facts = job(&format!("j-{n}"), ask.group, ask.gpus, AREAS[ask.area]);
    let tenant = ["sapporo", "naha"][ask.tenant].parse().unwrap();
    JobFacts { id: JobId { tenant, ..facts.id }, priority: ask.priority, ..facts }
}

fn check_bounds(state: &State) -> Result<(), TestCaseError> {
    for (id, node) in state.nodes() {
        for (bucket, used) in &node.used {
            let count = node.buckets[usize::from(*bucket)].count;
            prop_assert!(*used <= count, "{} holds {} of {}", id, used, count);
        }
    }
    for ((tenant, class), used) in state.usages() {
        let limit = state.quota(tenant, class, Area::Japan).nominal;
        prop_assert!(limit.admits(used), "{} holds {}", tenant, used);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// A plan is granted whole by apply on the state that it was made on, never goes beyond room or quota, is the
    /// same each time, and leaves behind only what the explanation says must wait.
    #[test]
    fn what_is_planned_is_granted_and_what_is_not_is_explained(
        nodes in prop::collection::vec((0usize..3, 1u32..9, any::<bool>()), 1..7),
        limits in (limit(), limit()),
        asks in prop::collection::vec(ask(), 1..14),
    ) {
        let mut federation = Federation::new();
        for (n, (site, gpus, schedulable)) in nodes.iter().enumerate() {
            let node = format!("{}/n-{n}", OPERATORS[*site].1);
            federation.ready_node(&node, *gpus);
            if !schedulable {
                cordon(&mut federation, &node);
            }
        }
        federation.tenant("sapporo", limits.0);
        federation.tenant("naha", limits.1);
        for (n, ask) in asks.iter().enumerate() {
            federation.submit(facts(n, ask));
        }
        while {
            let found = plan(&federation.state);
            prop_assert_eq!(&found, &plan(&federation.state));
            if let Some(first) = found.groups.first() {
                let facts = &federation.state.job(&first.job).unwrap().facts;
                prop_assert_eq!(explain(&federation.state, facts).verdict, Verdict::PlacedNow);
            }
            commit(&mut federation) > 0
        } {
            check_bounds(&federation.state)?;
        }
        let known: BTreeSet<ErrorCode> = codes().collect();
        for (_, id) in federation.state.queue() {
            let found = explain(&federation.state, &federation.state.job(id).unwrap().facts);
            prop_assert_ne!(found.verdict, Verdict::PlacedNow);
            prop_assert!(found.binding.is_some_and(|code| known.contains(&code)));
            for step in &found.steps {
                prop_assert!(known.iter().any(|code| code.as_str() == step.token), "{}", step.token);
            }
        }
    }
}
