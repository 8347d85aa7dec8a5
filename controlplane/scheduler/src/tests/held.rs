//! Jobs that wait for others or for a time: none is planned, and what they wait for is said.

use super::*;
use crate::{Explanation, Verdict, explain, plan};
use sekisho_fsm::testing::{job, user};
use sekisho_types::job::{After, JobFacts, JobPhase, When};

fn after(name: &str, on: &str, when: When) -> JobFacts {
    let after = vec![After { job: job(on, 1, 1, &[]).id.name, when }];
    JobFacts { after: after.into(), ..job(name, 1, 1, &[]) }
}

fn cancel(federation: &mut Federation, job: &JobId) {
    federation.accept(user("kanto", "sapporo"), Command::CancelJob { job: job.clone() });
}

/// Verdict, what binds, and the words of the last step, if it is no filter of nodes.
fn said(found: &Explanation) -> (Verdict, Option<ErrorCode>, &str) {
    (found.verdict, found.binding, found.steps.last().map_or("", |step| step.condition.as_str()))
}

#[test]
fn a_held_job_is_not_planned_and_says_what_it_waits_for() {
    let mut federation = Federation::furnished();
    let prep = federation.submit(job("prep", 1, 1, &[]));
    let facts = after("next", "prep", When::Ended);
    let next = federation.submit(facts.clone());
    assert_eq!(plan(&federation.state).groups.len(), 1);
    let found = explain(&federation.state, &facts);
    let waits = "waits until job sapporo/prep has ended";
    assert_eq!(said(&found), (Verdict::WouldWait, Some(ErrorCode::DependencyWaits), waits));
    assert_eq!((found.detail.as_str(), found.position), (waits, None));
    // Nobody's nodes are the reason.
    assert_eq!(found.steps.last().map(|step| step.nodes_left), Some(6));
    cancel(&mut federation, &prep);
    assert_eq!(federation.state.job(&next).unwrap().phase, JobPhase::Queued);
    assert_eq!(commit(&mut federation), 1);
}

#[test]
fn a_plan_says_what_would_be_refused_and_what_can_never_come_true() {
    let mut federation = Federation::furnished();
    let gone = federation.submit(job("gone", 1, 1, &[]));
    cancel(&mut federation, &gone);
    let now = federation.state.clock();
    let never = "job sapporo/gone is cancelled, and will never have succeeded";
    let from = now.plus_ms(60_000);
    let timed = JobFacts { not_before: Some(from), ..job("timed", 1, 1, &[]) };
    let late = JobFacts { start_by: Some(now), ..job("late", 1, 1, &[]) };
    for (facts, verdict, code, words) in [
        (
            after("a", "nobody", When::Ended),
            Verdict::Never,
            ErrorCode::DependencyUnknown,
            "job sapporo/nobody does not exist".to_owned(),
        ),
        (
            after("b", "gone", When::Succeeded),
            Verdict::Never,
            ErrorCode::DependencyNever,
            never.to_owned(),
        ),
        (timed, Verdict::WouldWait, ErrorCode::NotBefore, format!("waits until {from}")),
        (
            late,
            Verdict::Never,
            ErrorCode::DeadlinePast,
            format!("the latest start, {now}, has passed"),
        ),
    ] {
        let found = explain(&federation.state, &facts);
        assert_eq!(said(&found), (verdict, Some(code), words.as_str()));
        assert_eq!(found.relaxations, []);
    }
    let met = explain(&federation.state, &after("c", "gone", When::Ended));
    assert_eq!((met.verdict, met.binding), (Verdict::PlacedNow, None));
}

#[test]
fn what_nodes_can_never_have_is_said_before_what_may_come_true() {
    let mut federation = Federation::furnished();
    federation.submit(job("prep", 1, 1, &[]));
    let facts =
        JobFacts { after: after("far", "prep", When::Ended).after, ..job("far", 1, 1, &["JP-47"]) };
    let found = explain(&federation.state, &facts);
    assert_eq!((found.verdict, found.binding), (Verdict::Never, Some(ErrorCode::ResidencyArea)));
    // To drop the rule would let it wait for the other job, not more.
    let effects: Vec<Verdict> = found.relaxations.iter().map(|change| change.effect).collect();
    assert_eq!(effects, [Verdict::WouldWait]);
}

/// Any entry moves the clock past the latest start; the next tick ends the job.
#[test]
fn a_job_that_is_too_late_is_not_planned() {
    let mut federation = Federation::furnished();
    let by = federation.now.plus_ms(5000);
    let late = JobFacts { start_by: Some(by), ..job("late", 1, 1, &[]) };
    let late = federation.submit(late);
    assert_eq!(plan(&federation.state).groups.len(), 1);
    federation.now = by;
    federation.submit(job("other", 1, 1, &[]));
    assert_eq!(federation.state.job(&late).unwrap().phase, JobPhase::Queued);
    let planned = plan(&federation.state);
    assert_eq!(planned.groups.len(), 1);
    assert_ne!(planned.groups[0].job, late);
    assert_eq!(planned.held, []);
}
