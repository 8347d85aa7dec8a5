//! Properties over random command sequences. The oracle is the auditor's: computed from the audit records alone, not
//! by the code under test. 12,000 sequences in all.
#![expect(clippy::expect_used, reason = "helpers of tests: a broken record should fail loudly")]

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use sekisho_chaos::sequence::{Operation, catch_up, entry, operations, start, wind_down};
use sekisho_cli::verify::oracle;
use sekisho_cli::verify::report::Report;
use sekisho_evidence::record::Record;
use sekisho_fsm::planning::SchedulerSnapshot;
use sekisho_fsm::testing::{Federation, genesis};
use sekisho_fsm::{State, invariant};
use sekisho_scheduler::{Planner, explain, plan};
use std::sync::OnceLock;

/// Sequences of each property; six properties share the 12,000.
const CASES: u32 = 2_000;
/// Longest sequence: long enough for a gang to be placed, fail and be placed again.
const LONGEST: usize = 40;

fn begun() -> Federation {
    static BEGUN: OnceLock<Federation> = OnceLock::new();
    BEGUN.get_or_init(start).clone()
}

fn run(federation: &mut Federation, operations: &[Operation]) {
    for operation in operations {
        if let Some(entry) = entry(federation, operation) {
            federation.apply(entry);
        }
    }
}

fn records(federation: &Federation) -> Vec<Record> {
    let leaves = federation.applied.iter().flat_map(|applied| &applied.leaves);
    leaves.map(|leaf| Record::parse(&leaf.record).expect("a record in its one form")).collect()
}

fn judge(federation: &Federation) -> Result<(), TestCaseError> {
    let mut report = Report::default();
    oracle::judge(&genesis(), &records(federation), &mut report);
    oracle::compare_sums(&federation.state, &mut report);
    let violated: Vec<_> = report.steps.iter().filter(|step| step.violations > 0).collect();
    prop_assert!(violated.is_empty(), "{violated:#?}");
    Ok(())
}

fn ends_uncharged(operations: &[Operation]) -> Result<(), TestCaseError> {
    let mut federation = begun();
    run(&mut federation, operations);
    wind_down(&mut federation);
    let charged: Vec<_> = federation.state.usages().collect();
    prop_assert!(charged.is_empty(), "{charged:?}");
    for (id, node) in federation.state.nodes() {
        prop_assert!(node.used.is_empty() && node.placements.is_empty(), "{id}: {node:?}");
    }
    judge(&federation)
}

/// A sequence that once failed: the member that would end the twin's lease had been removed, so another one leads.
#[test]
fn nothing_stays_charged_when_the_member_that_led_is_gone() {
    let (submit, twin) = (Operation::Submit(0, 0, 1, 1, 0, false), Operation::Twin(0, 0));
    ends_uncharged(&[submit, Operation::Plan, twin, Operation::Members(5, 2, 0)])
        .expect("nothing stays charged");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    /// D1, D2, Q1, P2 and P1's accounting, judged from the records; and the state's own invariants at each step.
    #[test]
    fn the_auditor_finds_nothing(operations in operations(LONGEST)) {
        let mut federation = begun();
        for operation in &operations {
            if let Some(entry) = entry(&mut federation, operation) {
                federation.apply(entry);
                prop_assert_eq!(invariant::check(&federation.state), Ok(()), "after {:?}", operation);
            }
        }
        catch_up(&mut federation);
        prop_assert_eq!(invariant::nothing_goes_on_where_it_is_refused(&federation.state), Ok(()));
        judge(&federation)?;
    }

    /// R4 of the planner: an index that followed every step plans what one that is built anew does.
    #[test]
    fn a_planner_that_followed_plans_what_a_new_one_would(operations in operations(LONGEST)) {
        let (mut federation, mut planner) = (begun(), Planner::default());
        for operation in &operations {
            if let Some(entry) = entry(&mut federation, operation) {
                federation.apply(entry);
                let anew = plan(&federation.state);
                prop_assert_eq!(planner.plan(&federation.state), anew, "after {:?}", operation);
            }
        }
    }

    /// On a scheduler snapshot the planner plans what it plans on the state, and each open job is explained alike.
    #[test]
    fn a_scheduler_snapshot_plans_and_explains_as_the_state_does(operations in operations(LONGEST)) {
        let mut federation = begun();
        for operation in &operations {
            if let Some(entry) = entry(&mut federation, operation) {
                federation.apply(entry);
                let state = &federation.state;
                prop_assert_eq!(plan(&state.for_planning()), plan(state), "after {:?}", operation);
            }
        }
        let state = &federation.state;
        let bytes = SchedulerSnapshot::of(state).expect("it has begun").bytes().expect("encodes");
        let held = SchedulerSnapshot::read(&bytes).expect("reads").state;
        prop_assert_eq!(plan(&held), plan(state));
        for (id, job) in state.jobs().filter(|(_, job)| !job.phase.is_final()) {
            prop_assert_eq!(explain(&held, &job.facts), explain(state, &job.facts), "{}", id);
        }
    }

    /// Q2: once everything has ended, nothing is charged anywhere.
    #[test]
    fn nothing_stays_charged(operations in operations(LONGEST)) {
        ends_uncharged(&operations)?;
    }

    /// R4: another replica, and one restored from a snapshot in the middle, have the same digest, bytes and leaves.
    #[test]
    fn replicas_and_restored_replicas_agree(operations in operations(LONGEST), cut in 0usize..40) {
        let mut federation = begun();
        run(&mut federation, &operations);
        let cut = cut.min(federation.log.len());
        let mut replica = State::default();
        for (at, ((revision, entry), applied)) in federation.log.iter().zip(&federation.applied).enumerate() {
            if at == cut {
                let bytes = replica.to_snapshot().expect("encodes");
                let restored = State::from_snapshot(&bytes).expect("restores");
                prop_assert_eq!(restored.digest(), replica.digest());
                prop_assert_eq!(restored.to_snapshot().expect("encodes"), bytes);
                replica = restored;
            }
            prop_assert_eq!(&replica.apply(*revision, entry), applied);
        }
        prop_assert_eq!(replica.digest(), federation.state.digest());
        prop_assert_eq!(replica.to_snapshot(), federation.state.to_snapshot());
    }

    /// R3: every request sent again gets the answer that it got, and changes nothing but revision and clock.
    #[test]
    fn a_repeated_request_gets_its_answer_and_changes_nothing(operations in operations(LONGEST)) {
        let mut federation = begun();
        let first = federation.log.len();
        run(&mut federation, &operations);
        let last = federation.log.len();
        for at in first..last {
            let (_, entry) = federation.log[at].clone();
            if !sekisho_fsm::role::is_deduplicated(&entry.command) {
                continue;
            }
            let (answer, size) = (federation.applied[at].outcome.clone(), federation.state.audit_size());
            // Only the first entry with a request id has the id's answer: the others were refused as reused.
            let own = federation.log[..at].iter().all(|(_, e)| (&e.actor, e.request) != (&entry.actor, entry.request));
            let again = federation.apply(entry);
            if own {
                prop_assert_eq!(again.outcome, answer);
                prop_assert_eq!(federation.state.audit_size(), size, "A2: one record");
            }
        }
        judge(&federation)?;
    }
}
