//! What is said to help does help: applied to the job or the state, the job is placed, or waits in place of never.

use super::*;
use crate::{Explanation, Relaxation, Verdict, With, explain, plan};
use proptest::prelude::*;
use sekisho_fsm::State;
use sekisho_fsm::testing::{job, offer};
use sekisho_types::budget::{BudgetSpec, Exhausted, Period, Unit};
use sekisho_types::id::TenantId;
use sekisho_types::job::JobFacts;
use sekisho_types::jurisdiction::Area;
use sekisho_types::offer::{OfferSpec, Vetoed};
use sekisho_types::quota::Limit;
use sekisho_types::revision::Revision;

fn sapporo() -> TenantId {
    "sapporo".parse().unwrap()
}

fn budget(federation: &mut Federation, unit: Unit, amount: u64) {
    let (period, class, area) = (Period::Month, None, Area::Japan);
    let spec = BudgetSpec { unit, amount, period, class, area, exhausted: Exhausted::Stop };
    let (tenant, name) = (sapporo(), "fy".parse().unwrap());
    let set = Command::SetBudget { tenant, name, budget: Some(spec), expected: Revision(0) };
    federation.accept(admin("kanto"), set);
}

/// What the relaxed question is answered; `None` of what cannot be tried on paper.
fn with(state: &State, facts: &JobFacts, one: &Relaxation) -> Option<Explanation> {
    match &one.with {
        With::End(_) | With::Seal => None,
        With::Job(facts) => Some(explain(state, facts)),
        With::Other(supposed) => Some(explain(&state.supposing(supposed), facts)),
    }
}

fn check(state: &State, facts: &JobFacts) -> Vec<String> {
    let found = explain(state, facts);
    for one in &found.relaxations {
        assert!(one.effect < found.verdict, "{one:?}");
        let then = with(state, facts, one).map(|found| found.verdict);
        assert!(then.is_none_or(|then| then == one.effect), "{one:?}: {then:?}");
    }
    assert!(found.relaxations.is_sorted_by_key(|one| one.effect), "{found:?}");
    found.relaxations.into_iter().map(|one| one.change).collect()
}

#[test]
fn budgets_are_raised_by_what_is_short_or_the_job_is_made_shorter() {
    let mut federation = Federation::furnished();
    budget(&mut federation, Unit::GpuHours, 5);
    let long = JobFacts { time_limit_s: 6 * 3600, ..job("long", 1, 1, &[]) };
    let helps = check(&federation.state, &long);
    let first = [
        "ask for a time limit of 18000 s instead of 21600",
        "raise the budget sapporo/fy by 1 to 6 gpu-hours",
    ];
    assert_eq!(helps, first);
    // A quota that is raised in front of a budget that holds helps nobody.
    let wide = job("wide", 3, 3, &[]);
    let found = explain(&federation.state, &wide);
    assert_eq!(found.binding, Some(ErrorCode::QuotaNone));
    let helps = check(&federation.state, &wide);
    assert!(helps.iter().all(|change| !change.starts_with("raise the quota")), "{helps:?}");
}

#[test]
fn a_budget_of_yen_is_met_by_its_amount_or_by_the_price() {
    let mut federation = Federation::furnished();
    cordon_all_but(&mut federation, &["tokyo-1/n-01"]);
    federation.offer("tokyo-1", OfferSpec { yen_per_gpu_hour: 400, ..offer(8) });
    budget(&mut federation, Unit::Yen, 1_000);
    let helps = check(&federation.state, &job("dear", 1, 4, &["Tokyo"]));
    for change in [
        "ask for a time limit of 2220 s instead of 3600",
        "ask for 2 GPUs a member instead of 4",
        "raise the budget sapporo/fy by 600 to 1600 yen",
        "have offer tokyo-1/all cost 250 yen instead of 400",
    ] {
        assert!(helps.iter().any(|one| one == change), "{change}: {helps:?}");
    }
}

#[test]
fn offers_are_widened_and_vetoes_lifted() {
    let mut federation = Federation::furnished();
    let now = federation.state.clock();
    let tokyo = job("tokyo", 1, 4, &["Tokyo"]);
    let mut says = |spec: OfferSpec, change: &str| {
        federation.offer("tokyo-1", spec);
        let helps = check(&federation.state, &tokyo);
        assert!(helps.iter().any(|one| one == change), "{change}: {helps:?}");
    };
    says(offer(3), "have offer tokyo-1/all raised by 1 to 4");
    let excluded = [sapporo()].into();
    says(OfferSpec { excluded, ..offer(9) }, "have offer tokyo-1/all made to sapporo");
    let until = Some(now.plus_ms(1_800_000));
    let shorter = "ask for a time limit of 1680 s instead of 3600";
    says(OfferSpec { until, ..offer(9) }, shorter);
    let (operator, of) = ("kanto".parse().unwrap(), Vetoed::Tenant(sapporo()));
    let veto = Command::Veto { operator, of, reason: "no contract".to_owned() };
    federation.offer("tokyo-1", offer(9));
    federation.accept(admin("kanto"), veto);
    let found = explain(&federation.state, &tokyo);
    assert_eq!((found.verdict, found.binding), (Verdict::Never, Some(ErrorCode::OfferVetoed)));
    assert_eq!(check(&federation.state, &tokyo), ["have kanto lift its veto of tenant sapporo"]);
}

fn limit() -> impl Strategy<Value = Limit> {
    prop_oneof![Just(Limit::None), Just(Limit::Unlimited), (1u64..12).prop_map(Limit::Gpus)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// The first thing that is said to help, applied, does as it is said; and what is placed by it the next plan places.
    #[test]
    fn the_first_relaxation_is_true(
        nodes in prop::collection::vec((0usize..3, 1u32..6, any::<bool>()), 1..6),
        (quota, hours, offered) in (limit(), prop::option::of(1u64..20), prop::option::of(0u64..8)),
        others in prop::collection::vec((1u32..3, 1u32..5, 1u64..4), 0..5),
        (group, gpus, long, area) in (1u32..4, 1u32..7, 1u64..30, 0usize..3),
    ) {
        let mut federation = Federation::new();
        for (n, (site, gpus, schedulable)) in nodes.iter().enumerate() {
            let node = format!("{}/n-{n}", OPERATORS[*site].1);
            federation.ready_node(&node, *gpus);
            if !schedulable {
                cordon(&mut federation, &node);
            }
        }
        federation.tenant("sapporo", quota);
        if let Some(hours) = hours {
            budget(&mut federation, Unit::GpuHours, hours);
        }
        if let Some(gpus) = offered {
            federation.offer("tokyo-1", offer(gpus));
        }
        for (n, (group, gpus, hours)) in others.iter().enumerate() {
            let facts = job(&format!("o-{n}"), *group, *gpus, &[]);
            federation.submit(JobFacts { time_limit_s: hours.saturating_mul(3600), ..facts });
        }
        commit(&mut federation);
        let areas: [&[&str]; 3] = [&[], &["Tokyo"], &["JP-47"]];
        let facts = job("asked", group, gpus, areas[area]);
        let facts = JobFacts { time_limit_s: long.saturating_mul(1800), ..facts };
        check(&federation.state, &facts);
        let found = explain(&federation.state, &facts);
        let Some(first) = found.relaxations.first() else { return Ok(()) };
        if let (With::Job(relaxed), Verdict::PlacedNow) = (&first.with, first.effect) {
            let id = federation.submit((**relaxed).clone());
            let planned = plan(&federation.state);
            prop_assert!(planned.groups.iter().any(|group| group.job == id), "{:?}", first);
        }
    }
}
