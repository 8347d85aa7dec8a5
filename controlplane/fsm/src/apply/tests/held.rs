//! Jobs that wait for others and for times, what ends them, and how long they are kept when they are over.

use super::*;
use crate::command::Item;
use sekisho_evidence::batch::ITEMS_MAX;
use sekisho_types::id::JobId;
use sekisho_types::job::{After, JobFacts, When};
use sekisho_types::limit::{
    AFTER_MAX, DEPENDENTS_MAX, FORGET_PER_TICK_MAX, JOBS_KEPT_FOR, JUDGED_PER_ENTRY_MAX,
};
use sekisho_types::time::Timestamp;

/// A job that waits for others.
fn after(name: &str, on: &[(&str, When)]) -> JobFacts {
    let of = |(name, when): &(&str, When)| After { job: job(name, 1, 1, &[]).id.name, when: *when };
    JobFacts { after: on.iter().map(of).collect(), ..job(name, 1, 1, &["JP-13"]) }
}

fn sapporo() -> Principal {
    user("kanto", "sapporo")
}

fn submit(facts: &JobFacts) -> Command {
    Command::SubmitJob { facts: Box::new(facts.clone()) }
}

fn cancel(f: &mut Federation, id: &JobId) {
    f.accept(sapporo(), Command::CancelJob { job: id.clone() });
}

fn all_of(f: &mut Federation, items: &[Item]) {
    for items in items.chunks(ITEMS_MAX) {
        f.accept(sapporo(), Command::Batch(items.to_vec()));
    }
}

fn item(facts: JobFacts) -> Item {
    Item::SubmitJob { facts: Box::new(facts) }
}

fn phase(f: &Federation, id: &JobId) -> JobPhase {
    assert_eq!(invariant::check(&f.state), Ok(()));
    f.state.job(id).unwrap().phase
}

fn message<'f>(f: &'f Federation, id: &JobId) -> &'f str {
    &f.state.job(id).unwrap().message
}

/// Time passes, and the clock follows: one step of it is ten seconds.
fn pass(f: &mut Federation, seconds: u64) -> Vec<Applied> {
    f.now = f.now.plus_ms(seconds.saturating_mul(1000));
    let mut ticks = Vec::new();
    while f.state.clock() < f.now || ticks.is_empty() {
        ticks.push(f.accept(member("kanto"), Command::Tick));
        assert_eq!(invariant::check(&f.state), Ok(()));
    }
    ticks
}

/// Time passes at once, as it would by many entries.
fn leap(f: &mut Federation, ms: u64) {
    f.now = f.now.plus_ms(ms);
    f.state.clock = f.now;
}

fn at(f: &Federation, seconds: u64) -> Timestamp {
    f.now.plus_ms(seconds.saturating_mul(1000))
}

fn run_to(f: &mut Federation, id: &JobId, code: i32) {
    f.place(id, &["tokyo-1/n-01"]);
    all(f, id, &Phase::Running);
    all(f, id, &Phase::Ended(Ending::Exited(code)));
}

#[test]
fn a_job_is_queued_when_everything_it_waits_for_has_come_true() {
    let mut f = Federation::furnished();
    let prep = f.submit(job("prep", 1, 1, &["JP-13"]));
    let side = f.submit(job("side", 1, 1, &["JP-13"]));
    let train = f.submit(after("train", &[("prep", When::Succeeded), ("side", When::Started)]));
    assert_eq!((phase(&f, &train), f.state.queue_len()), (JobPhase::Held, 2));
    assert_eq!(message(&f, &train), "waits for 2 other job(s)");
    let applied = f.place(&train, &["tokyo-1/n-02"]);
    let refused = vec![(train.clone(), ErrorCode::WrongPhase)];
    assert_eq!(applied.outcome, Ok(Reply::Placed { granted: vec![], rejected: refused }));
    run_to(&mut f, &prep, 0);
    assert_eq!(phase(&f, &train), JobPhase::Held);
    f.place(&side, &["tokyo-1/n-01"]);
    assert_eq!(phase(&f, &train), JobPhase::Held, "granted is not started");
    all(&mut f, &side, &Phase::Running);
    assert_eq!((phase(&f, &train), f.state.queue_len()), (JobPhase::Queued, 1));
    let place = f.place(&train, &["tokyo-1/n-02"]);
    assert_eq!(place.outcome, Ok(Reply::Placed { granted: vec![train], rejected: vec![] }));
}

#[test]
fn its_place_in_the_queue_is_that_of_its_submission() {
    let mut f = Federation::furnished();
    let prep = f.submit(job("prep", 1, 1, &["JP-13"]));
    let held = f.submit(after("held", &[("prep", When::Ended)]));
    let later = f.submit(job("later", 1, 1, &[]));
    cancel(&mut f, &prep);
    let order: Vec<&JobId> = f.state.queue().map(|(_, id)| id).collect();
    assert_eq!(order, [&held, &later]);
}

#[test]
fn what_has_come_true_is_judged_at_once_and_what_never_can_is_refused() {
    let mut f = Federation::furnished();
    let done = f.submit(job("done", 1, 1, &["JP-13"]));
    run_to(&mut f, &done, 0);
    let broke = f.submit(job("broke", 1, 1, &["JP-13"]));
    run_to(&mut f, &broke, 3);
    let gone = f.submit(job("gone", 1, 1, &[]));
    cancel(&mut f, &gone);
    let mut tries = 0;
    let mut judged = |on: &str, when: When, expected: Option<ErrorCode>| {
        tries += 1;
        let facts = after(&format!("try-{tries}"), &[(on, when)]);
        match expected {
            None => assert_eq!(
                f.accept(sapporo(), submit(&facts)).outcome,
                Ok(Reply::Done),
                "{on} {when}"
            ),
            Some(code) => refused(&mut f, sapporo(), submit(&facts), code),
        }
    };
    let never = Some(ErrorCode::DependencyNever);
    for (on, when, expected) in [
        ("done", When::Started, None),
        ("done", When::Succeeded, None),
        ("done", When::Failed, never),
        ("done", When::Ended, None),
        // It ran before it failed.
        ("broke", When::Started, None),
        ("broke", When::Succeeded, never),
        ("broke", When::Failed, None),
        ("broke", When::Ended, None),
        ("gone", When::Started, never),
        ("gone", When::Succeeded, never),
        ("gone", When::Failed, never),
        ("gone", When::Ended, None),
        ("nobody", When::Ended, Some(ErrorCode::DependencyUnknown)),
    ] {
        judged(on, when, expected);
    }
    assert_eq!(f.state.dependents().count(), 0);
}

#[test]
fn a_job_that_ends_before_it_was_seen_to_run_has_started_all_the_same() {
    let mut f = Federation::furnished();
    let quick = f.submit(job("quick", 1, 1, &["JP-13"]));
    let next = f.submit(after("next", &[("quick", When::Started)]));
    f.place(&quick, &["tokyo-1/n-01"]);
    all(&mut f, &quick, &Phase::Ended(Ending::Exited(7)));
    assert_eq!((phase(&f, &quick), phase(&f, &next)), (JobPhase::Failed, JobPhase::Queued));
}

#[test]
fn a_chain_fails_in_the_entry_in_which_its_first_does() {
    let mut f = Federation::furnished();
    let first = f.submit(job("first", 1, 1, &["JP-13"]));
    let second = f.submit(after("second", &[("first", When::Succeeded)]));
    let third = f.submit(after("third", &[("second", When::Succeeded)]));
    let clean = f.submit(after("clean", &[("third", When::Ended)]));
    let alarm = f.submit(after("alarm", &[("second", When::Failed)]));
    run_to(&mut f, &first, 1);
    assert_eq!((phase(&f, &second), phase(&f, &third)), (JobPhase::Failed, JobPhase::Failed));
    let why = "job sapporo/first is failed, and will never have succeeded: DEPENDENCY_NEVER";
    assert_eq!(message(&f, &second), why);
    assert_eq!((phase(&f, &clean), phase(&f, &alarm)), (JobPhase::Queued, JobPhase::Queued));
    assert_eq!(f.state.tenant(&first.tenant).unwrap().open_jobs, 2);
}

#[test]
fn what_one_entry_leaves_over_the_next_ticks_judge() {
    let mut f = Federation::furnished();
    let first = f.submit(job("first", 1, 1, &["JP-13"]));
    let levels = JUDGED_PER_ENTRY_MAX / DEPENDENTS_MAX + 2;
    let mut on = "first".to_owned();
    for level in 0..levels {
        let name = |n: usize| format!("l{level}-{n}");
        let one = |n| item(after(&name(n), &[(on.as_str(), When::Succeeded)]));
        all_of(&mut f, &(0..DEPENDENTS_MAX).map(one).collect::<Vec<_>>());
        on = name(0);
    }
    let last = job(&on, 1, 1, &[]).id;
    // One more than may wait for one job.
    let more = after("more", &[("first", When::Succeeded)]);
    refused(&mut f, sapporo(), submit(&more), ErrorCode::TooLarge);
    f.accept(sapporo(), Command::CancelJob { job: first });
    assert_eq!(phase(&f, &last), JobPhase::Held);
    assert_eq!(f.state.next_due(), Some(f.state.clock()));
    let tick = f.accept(member("kanto"), Command::Tick);
    assert_eq!((phase(&f, &last), tick.leaves.len()), (JobPhase::Failed, 1));
    assert_eq!(f.state.tenant(&last.tenant).unwrap().open_jobs, 0);
}

#[test]
fn a_job_waits_for_its_time_and_a_tick_that_does_nothing_leaves_no_record() {
    let mut f = Federation::furnished();
    let from = at(&f, 25);
    let id = f.submit(JobFacts { not_before: Some(from), ..job("night", 1, 1, &[]) });
    assert_eq!(phase(&f, &id), JobPhase::Held);
    assert_eq!(message(&f, &id), format!("waits until {from}"));
    assert_eq!(f.state.next_due(), Some(from));
    let early = pass(&mut f, 20);
    assert!(early.iter().all(|tick| tick.leaves.is_empty()));
    assert_eq!(phase(&f, &id), JobPhase::Held);
    let due = pass(&mut f, 5);
    assert_eq!(due.last().unwrap().leaves.len(), 1);
    assert!(matches!(body(due.last().unwrap(), 0), Body::Entry { rejected: None, .. }));
    assert_eq!((phase(&f, &id), f.state.next_due()), (JobPhase::Queued, None));
    // A time that is past is none.
    let past = JobFacts { not_before: Some(from), ..job("past", 1, 1, &[]) };
    let past = f.submit(past);
    assert_eq!(phase(&f, &past), JobPhase::Queued);
}

#[test]
fn time_and_others_hold_a_job_together() {
    let mut f = Federation::furnished();
    let prep = f.submit(job("prep", 1, 1, &["JP-13"]));
    let both = |name: &str, f: &Federation| JobFacts {
        not_before: Some(at(f, 10)),
        ..after(name, &[("prep", When::Ended)])
    };
    let one = both("one", &f);
    let one = f.submit(one);
    pass(&mut f, 10);
    assert_eq!(phase(&f, &one), JobPhase::Held);
    let two = both("two", &f);
    let two = f.submit(two);
    cancel(&mut f, &prep);
    assert_eq!((phase(&f, &one), phase(&f, &two)), (JobPhase::Queued, JobPhase::Held));
    pass(&mut f, 10);
    assert_eq!(phase(&f, &two), JobPhase::Queued);
}

#[test]
fn whoever_has_not_started_in_time_fails() {
    let mut f = Federation::furnished();
    let prep = f.submit(job("prep", 1, 1, &["JP-13"]));
    let by = at(&f, 10);
    let timed = |facts: JobFacts| JobFacts { start_by: Some(by), ..facts };
    let queued = f.submit(timed(job("queued", 1, 1, &[])));
    let held = f.submit(timed(after("held", &[("prep", When::Ended)])));
    let runs = f.submit(timed(job("runs", 1, 1, &["JP-13"])));
    let alarm = f.submit(after("alarm", &[("queued", When::Failed)]));
    f.place(&runs, &["tokyo-1/n-01"]);
    // The clock is moved by any entry: the group is refused before a tick has come.
    f.now = by;
    let late = f.place(&queued, &["tokyo-1/n-02"]);
    let refused_now = vec![(queued.clone(), ErrorCode::DeadlinePast)];
    assert_eq!(late.outcome, Ok(Reply::Placed { granted: vec![], rejected: refused_now }));
    f.accept(member("kanto"), Command::Tick);
    assert_eq!((phase(&f, &queued), phase(&f, &held)), (JobPhase::Failed, JobPhase::Failed));
    assert_eq!(message(&f, &held), format!("the latest start, {by}, has passed: DEADLINE_PAST"));
    assert_eq!((phase(&f, &runs), phase(&f, &alarm)), (JobPhase::Placed, JobPhase::Queued));
    // What was placed in time and comes back is too late.
    all(&mut f, &runs, &Phase::Ended(Ending::StartFailed("no such file".into())));
    assert_eq!(phase(&f, &runs), JobPhase::Failed);
    assert!(message(&f, &runs).ends_with("DEADLINE_PAST"), "{}", message(&f, &runs));
    let past = timed(job("past", 1, 1, &[]));
    refused(&mut f, sapporo(), submit(&past), ErrorCode::DeadlinePast);
    assert_eq!(phase(&f, &prep), JobPhase::Queued);
}

#[test]
fn a_job_that_comes_back_in_time_is_looked_at_again() {
    let mut f = Federation::furnished();
    let by = at(&f, 10);
    let id = f.submit(JobFacts { start_by: Some(by), ..job("moved", 1, 1, &["JP-13"]) });
    f.place(&id, &["tokyo-1/n-01"]);
    assert_eq!(f.state.timers().count(), 0);
    all(&mut f, &id, &Phase::Ended(Ending::StartFailed("no such file".into())));
    assert_eq!((phase(&f, &id), f.state.timers().count()), (JobPhase::Queued, 1));
    pass(&mut f, 10);
    assert_eq!(phase(&f, &id), JobPhase::Failed);
}

#[test]
fn a_held_job_is_cancelled_and_what_waits_for_it_with_it() {
    let mut f = Federation::furnished();
    f.submit(job("prep", 1, 1, &["JP-13"]));
    let held = JobFacts {
        not_before: Some(at(&f, 60)),
        start_by: Some(at(&f, 90)),
        ..after("held", &[("prep", When::Ended)])
    };
    let held = f.submit(held);
    let next = f.submit(after("next", &[("held", When::Succeeded)]));
    cancel(&mut f, &held);
    assert_eq!((phase(&f, &held), phase(&f, &next)), (JobPhase::Cancelled, JobPhase::Failed));
    assert_eq!((f.state.timers().count(), f.state.dependents().count()), (0, 0));
}

#[test]
fn facts_that_contradict_themselves_are_refused() {
    let mut f = Federation::furnished();
    f.submit(job("prep", 1, 1, &[]));
    let twice = after("twice", &[("prep", When::Ended), ("prep", When::Started)]);
    let own = after("own", &[("own", When::Ended)]);
    let times = JobFacts {
        not_before: Some(at(&f, 60)),
        start_by: Some(at(&f, 60)),
        ..job("times", 1, 1, &[])
    };
    let names: Vec<String> = (0..=AFTER_MAX).map(|n| format!("n-{n}")).collect();
    let on: Vec<(&str, When)> = names.iter().map(|name| (name.as_str(), When::Ended)).collect();
    for facts in [twice, own, times, after("many", &on)] {
        refused(&mut f, sapporo(), submit(&facts), ErrorCode::InvalidArgument);
    }
}

#[test]
fn what_is_over_is_forgotten_after_its_time_and_its_name_is_free() {
    let mut f = Federation::furnished();
    let id = f.submit(job("train", 1, 1, &["JP-13"]));
    run_to(&mut f, &id, 0);
    let open = f.submit(job("open", 1, 1, &[]));
    let kept = u64::try_from(JOBS_KEPT_FOR.as_millis()).unwrap();
    leap(&mut f, kept - 1);
    assert_eq!(f.accept(member("kanto"), Command::Tick).leaves.len(), 0);
    assert!(f.state.job(&id).is_some());
    leap(&mut f, 1);
    let tick = f.accept(member("kanto"), Command::Tick);
    assert_eq!(tick.leaves.len(), 1);
    assert!(tick.events.contains(&crate::event::Event::Job(id.clone())));
    assert_eq!((f.state.job(&id), f.state.placements().count()), (None, 0));
    assert!(f.state.job(&open).is_some());
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn a_tick_forgets_so_many_and_the_next_one_the_rest() {
    let mut f = Federation::furnished();
    let jobs: Vec<JobFacts> =
        (0..=FORGET_PER_TICK_MAX).map(|n| job(&format!("n-{n}"), 1, 1, &[])).collect();
    all_of(&mut f, &jobs.iter().cloned().map(item).collect::<Vec<_>>());
    let cancel = |facts: &JobFacts| Item::CancelJob { job: facts.id.clone() };
    all_of(&mut f, &jobs.iter().map(cancel).collect::<Vec<_>>());
    leap(&mut f, u64::try_from(JOBS_KEPT_FOR.as_millis()).unwrap());
    f.accept(member("kanto"), Command::Tick);
    assert_eq!(f.state.jobs().count(), 1);
    assert!(f.state.next_due().is_some_and(|due| due <= f.state.clock()));
    f.accept(member("kanto"), Command::Tick);
    assert_eq!((f.state.jobs().count(), f.state.next_due()), (0, None));
    assert_eq!(invariant::check(&f.state), Ok(()));
}
