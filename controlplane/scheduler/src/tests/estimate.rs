//! Turns, claims, and when a waiting job starts: each wait has its token, and no estimate is too early.

use super::*;
use crate::{Basis, Explainer, Explanation, Verdict, explain, plan};
use proptest::prelude::*;
use sekisho_fsm::State;
use sekisho_fsm::testing::{job, offer, user};
use sekisho_types::budget::{BudgetSpec, Exhausted, Period, Unit};
use sekisho_types::id::TenantId;
use sekisho_types::job::{JobFacts, JobPhase};
use sekisho_types::jurisdiction::Area;
use sekisho_types::offer::OfferSpec;
use sekisho_types::quota::Limit;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;

fn lasting(name: &str, group: u32, gpus: u32, minutes: u64) -> JobFacts {
    JobFacts { time_limit_s: minutes.saturating_mul(60), ..job(name, group, gpus, &[]) }
}

/// Two nodes of four GPUs in Tokyo; a job holds one of them for an hour.
fn half_full() -> Federation {
    let mut federation = Federation::new();
    federation.tenant("sapporo", Limit::Unlimited);
    for node in ["tokyo-1/n-1", "tokyo-1/n-2"] {
        federation.ready_node(node, 4);
    }
    federation.submit(job("runs", 1, 4, &[]));
    assert_eq!(commit(&mut federation), 1);
    federation
}

fn told(federation: &Federation, facts: &JobFacts) -> (Option<ErrorCode>, Explanation) {
    let found = explain(&federation.state, facts);
    (found.binding, found)
}

fn helps(found: &Explanation) -> Vec<&str> {
    found.relaxations.iter().map(|one| one.change.as_str()).collect()
}

#[test]
fn what_is_kept_for_a_gang_is_told_with_the_limit_that_passes_it() {
    let mut federation = half_full();
    let begin = federation.state.clock();
    let gang = lasting("gang", 2, 4, 60);
    federation.submit(gang.clone());
    let long = lasting("long", 1, 1, 61);
    federation.submit(long.clone());
    let (binding, found) = told(&federation, &long);
    assert_eq!((found.verdict, binding), (Verdict::WouldWait, Some(ErrorCode::RoomKept)));
    assert!(helps(&found).contains(&"ask for a time limit of 3600 s instead of 3660"), "{found:?}");
    // The gang starts when what runs is over, and this one when the gang is.
    let hour = begin.plus_ms(3_605_000);
    let (binding, of_gang) = told(&federation, &gang);
    assert_eq!(binding, Some(ErrorCode::CapacityFull));
    assert_eq!((of_gang.called_before, found.called_before), (None, None));
    let mut called = federation.clone();
    assert_eq!(commit(&mut called), 0);
    let places = [&gang, &long].map(|facts| told(&called, facts).1.called_before);
    assert_eq!(places, [Some(0), Some(1)]);
    assert_eq!(told(&called, &gang).1.estimate, of_gang.estimate);
    assert_eq!(of_gang.estimate, Some((hour, Basis::Ends)));
    assert_eq!(found.estimate, Some((hour.plus_ms(3_605_000), Basis::Ahead)));
    let short = lasting("short", 1, 1, 59);
    federation.submit(short.clone());
    assert_eq!(told(&federation, &short).0, None);
    assert_eq!(shown(&plan(&federation.state)), ["short: tokyo-1/n-2"]);
}

#[test]
fn whose_turn_is_first_takes_what_is_left() {
    let mut federation = half_full();
    let first = lasting("first", 1, 3, 30);
    federation.submit(first.clone());
    let next = lasting("next", 1, 2, 30);
    federation.submit(next.clone());
    assert_eq!(told(&federation, &first).0, None);
    let (binding, found) = told(&federation, &next);
    assert_eq!((found.verdict, binding), (Verdict::WouldWait, Some(ErrorCode::TurnOfAnother)));
    let left = |found: &Explanation, code: ErrorCode| {
        let step = found.steps.iter().find(|step| step.token == code.as_str());
        step.map(|step| step.nodes_left)
    };
    assert_eq!(left(&found, ErrorCode::BudgetExhausted), Some(1));
    assert_eq!(left(&found, ErrorCode::TurnOfAnother), Some(0));
    let soon = federation.state.clock().plus_ms(1_805_000);
    assert_eq!(found.estimate, Some((soon, Basis::Ahead)));
    // One that is only planned comes last of its tenant; a more urgent one comes first.
    let planned = lasting("planned", 1, 2, 30);
    assert_eq!(told(&federation, &planned).0, Some(ErrorCode::TurnOfAnother));
    assert_eq!(told(&federation, &JobFacts { priority: 90, ..planned }).0, None);
}

#[test]
fn a_position_is_counted_and_explanations_that_follow_are_those_made_anew() {
    let mut federation = half_full();
    let mut explainer = Explainer::default();
    for n in 0..6u8 {
        let facts = lasting(&format!("j-{n}"), 1, 2, 10 + u64::from(n));
        federation.submit(facts.clone());
        let found = explainer.explain(&federation.state, &facts);
        assert_eq!(found, explain(&federation.state, &facts));
        assert_eq!((found.position, found.more_before), (Some(u64::from(n) + 1), false));
        if n == 3 {
            assert!(commit(&mut federation) > 0);
            break;
        }
    }
    let facts = lasting("last", 1, 1, 5);
    let found = explainer.explain(&federation.state, &facts);
    assert_eq!(found, explain(&federation.state, &facts));
    assert_eq!(found.position, None);
}

fn budget(federation: &mut Federation, period: Period, amount: u64) {
    let (unit, class, area, exhausted) = (Unit::GpuHours, None, Area::Japan, Exhausted::Stop);
    let spec = BudgetSpec { unit, amount, period, class, area, exhausted };
    let (tenant, name): (TenantId, _) = ("sapporo".parse().unwrap(), "fy".parse().unwrap());
    let set = Command::SetBudget { tenant, name, budget: Some(spec), expected: Revision(0) };
    federation.accept(admin("kanto"), set);
}

#[test]
fn a_budget_is_waited_for_until_its_next_period_and_an_offer_until_it_begins() {
    let mut federation = Federation::furnished();
    budget(&mut federation, Period::Day, 4);
    federation.submit(job("runs", 1, 4, &[]));
    assert_eq!(commit(&mut federation), 1);
    let more = job("more", 1, 1, &[]);
    let (binding, found) = told(&federation, &more);
    assert_eq!(binding, Some(ErrorCode::BudgetExhausted));
    let midnight = Timestamp::of_midnight_in_japan(federation.state.clock().date_in_japan().next());
    assert_eq!(found.estimate, Some((midnight, Basis::Period)));
    assert_eq!(helps(&found), ["raise the budget sapporo/fy by 1 to 5 gpu-hours"]);

    // One that does not begin anew is waited for until it counts nothing any more.
    let mut federation = Federation::furnished();
    let from = federation.state.clock();
    let until = from.plus_ms(86_400_000);
    budget(&mut federation, Period::Once { from, until }, 4);
    federation.submit(job("runs", 1, 4, &[]));
    assert_eq!(commit(&mut federation), 1);
    let (binding, found) = told(&federation, &more);
    assert_eq!(binding, Some(ErrorCode::BudgetExhausted));
    assert_eq!(found.estimate, Some((until, Basis::Span)));
    assert!(found.summary().ends_with("when the span of a budget is over"), "{}", found.summary());

    let mut federation = Federation::furnished();
    let from = federation.state.clock().plus_ms(7_200_000);
    federation.offer("tokyo-1", OfferSpec { from, ..offer(8) });
    let (binding, found) = told(&federation, &job("here", 1, 1, &["Tokyo"]));
    assert_eq!(binding, Some(ErrorCode::OfferNone));
    assert_eq!(found.estimate, Some((from, Basis::Offer)));
    assert_eq!(helps(&found), ["have offer tokyo-1/all begin now"]);
    // What waits for a person has no estimate, and says so.
    cordon_all_but(&mut federation, &[]);
    let (binding, found) = told(&federation, &job("any", 1, 1, &["JP-01"]));
    assert_eq!((binding, found.estimate), (Some(ErrorCode::NodeUnavailable), None));
    assert!(found.summary().contains("no estimate"), "{}", found.summary());
}

fn is_queued(state: &State, id: &JobId) -> bool {
    state.job(id).is_some_and(|job| job.phase == JobPhase::Queued)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Where nobody else comes, a job that waits starts by its estimate, within the minute in which time goes on.
    #[test]
    fn nobody_waits_longer_than_it_was_told(
        nodes in prop::collection::vec(1u32..6, 1..4),
        runs in prop::collection::vec((1u32..4, 5u64..40), 1..6),
        limit in 4u64..16,
        (group, gpus, minutes) in (1u32..3, 1u32..5, 5u64..40),
    ) {
        let mut federation = Federation::new();
        federation.tenant("sapporo", Limit::Gpus(limit));
        for (n, gpus) in nodes.iter().enumerate() {
            federation.ready_node(&format!("tokyo-1/n-{n}"), *gpus);
        }
        for (n, (gpus, minutes)) in runs.iter().enumerate() {
            federation.submit(lasting(&format!("r-{n}"), 1, *gpus, *minutes));
        }
        while commit(&mut federation) > 0 {}
        // What found no place is nobody's concern here.
        let rest: Vec<JobId> = federation.state.queue().map(|(_, id)| id.clone()).collect();
        for job in rest {
            federation.accept(user("kanto", "sapporo"), Command::CancelJob { job });
        }
        let facts = lasting("asked", group, gpus, minutes);
        let id = federation.submit(facts.clone());
        let found = explain(&federation.state, &facts);
        prop_assert_eq!(found.verdict == Verdict::PlacedNow, commit(&mut federation) > 0);
        let Some((at, _)) = found.estimate else {
            prop_assert_ne!(found.verdict, Verdict::WouldWait, "what runs ends");
            return Ok(());
        };
        while is_queued(&federation.state, &id) {
            let late = federation.state.clock().since_ms(at);
            prop_assert!(late <= 60_000, "{} ms after {}", late, at);
            minute(&mut federation);
            commit(&mut federation);
        }
    }
}
