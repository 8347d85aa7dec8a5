//! Arrays and services: tasks get their numbers once, replicas are replaced without a gap, and a whole ends with the last of them.

use super::*;
use crate::jobs::Counts;
use sekisho_types::id::JobId;
use sekisho_types::job::{After, JobFacts, Kind, When};
use sekisho_types::limit::{JOBS_KEPT_FOR, REPLICAS_MAX, TASKS_MAX};

pub(super) const NODE: &str = "tokyo-1/n-01";
pub(super) const OTHER: &str = "tokyo-1/n-02";

pub(super) fn array(name: &str, tasks: u32, at_most: u32) -> JobFacts {
    JobFacts { kind: Kind::Array { tasks, at_most }, ..job(name, 1, 1, &[]) }
}

pub(super) fn service(name: &str, replicas: u32, surge: u32) -> JobFacts {
    JobFacts { kind: Kind::Service { replicas, surge }, ..job(name, 1, 1, &[]) }
}

/// Grants the next task of a whole there.
pub(super) fn next(f: &mut Federation, whole: &JobId, node: &str) -> JobId {
    let number = f.state.job(whole).unwrap().tasks.as_ref().unwrap().next;
    let placed = f.place(whole, &[node]).outcome;
    assert!(
        matches!(&placed, Ok(Reply::Placed { rejected, .. }) if rejected.is_empty()),
        "{placed:?}"
    );
    assert_eq!(invariant::check(&f.state), Ok(()));
    whole.task(number)
}

pub(super) fn none_more(f: &mut Federation, whole: &JobId, node: &str) {
    let rejected = vec![(whole.clone(), ErrorCode::WrongPhase)];
    let placed = f.place(whole, &[node]).outcome;
    assert_eq!(placed, Ok(Reply::Placed { granted: vec![], rejected }));
}

pub(super) fn phase(f: &Federation, id: &JobId) -> JobPhase {
    f.state.job(id).unwrap().phase
}

pub(super) fn wanted(f: &Federation, whole: &JobId) -> u32 {
    f.state.wanted(f.state.job(whole).unwrap())
}

pub(super) fn surplus(f: &Federation, whole: &JobId) -> Vec<JobId> {
    f.state.replicas(f.state.job(whole).unwrap()).surplus
}

fn stop(f: &Federation, replicas: &[&JobId]) -> Command {
    let replicas = replicas.iter().map(|id| (*id).clone()).collect();
    assert_eq!(invariant::check(&f.state), Ok(()));
    Command::StopReplicas { replicas }
}

pub(super) fn wait(f: &mut Federation, ms: u64) {
    let until = f.now.plus_ms(ms);
    while f.now < until {
        f.now = until.min(f.now.plus_ms(10_000));
        f.accept(member("kanto"), Command::Tick);
    }
}

/// A service of so many replicas, one on each of these nodes, all running.
pub(super) fn serving(f: &mut Federation, facts: JobFacts, nodes: &[&str]) -> (JobId, Vec<JobId>) {
    let whole = f.submit(facts);
    let replicas: Vec<JobId> = nodes.iter().map(|node| next(f, &whole, node)).collect();
    replicas.iter().for_each(|id| all(f, id, &Phase::Running));
    (whole, replicas)
}

#[test]
fn tasks_of_an_array_are_granted_in_order_and_as_many_as_may_run() {
    let mut f = Federation::furnished();
    let whole = f.submit(array("sweep", 3, 2));
    assert_eq!((wanted(&f, &whole), phase(&f, &whole)), (2, JobPhase::Queued));
    let (a, b) = (next(&mut f, &whole, NODE), next(&mut f, &whole, NODE));
    assert_eq!(
        (a.to_string(), b.to_string()),
        ("sapporo/sweep/0".into(), "sapporo/sweep/1".into())
    );
    none_more(&mut f, &whole, NODE);
    assert_eq!(phase(&f, &whole), JobPhase::Running);
    all(&mut f, &b, &Phase::Running);
    assert_eq!(f.state.job(&whole).unwrap().tasks.as_ref().unwrap().running, 1);
    all(&mut f, &b, &Phase::Ended(Ending::Exited(0)));
    let c = next(&mut f, &whole, OTHER);
    assert_eq!((wanted(&f, &whole), f.state.queue_len()), (0, 0));
    all(&mut f, &c, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(phase(&f, &whole), JobPhase::Running);
    all(&mut f, &a, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(phase(&f, &whole), JobPhase::Succeeded);
    assert_eq!(f.state.tenant(&"sapporo".parse().unwrap()).unwrap().open_jobs, 0);
}

#[test]
fn what_runs_waits_and_is_short_is_counted_as_it_changes() {
    let mut f = Federation::furnished();
    let is = |f: &Federation| {
        assert_eq!(invariant::check(&f.state), Ok(()));
        let back = crate::State::from_snapshot(&f.state.to_snapshot().unwrap()).unwrap();
        assert_eq!(back.job_counts(), f.state.job_counts(), "as it was before it was read anew");
        let Counts { running, held, tasks_open, services_short } = f.state.job_counts();
        (running, held, tasks_open, services_short)
    };
    assert_eq!(is(&f), (0, 0, 0, 0));
    let web = f.submit(service("web", 2, 1));
    let after = After { job: web.name.clone(), when: When::Started };
    f.submit(JobFacts { after: vec![after].into(), ..job("next", 1, 1, &[]) });
    assert_eq!(is(&f), (0, 1, 0, 1));
    let one = next(&mut f, &web, NODE);
    all(&mut f, &one, &Phase::Running);
    assert_eq!(is(&f), (2, 1, 1, 1));
    let two = next(&mut f, &web, NODE);
    assert_eq!(is(&f), (3, 1, 2, 1));
    all(&mut f, &two, &Phase::Running);
    wait(&mut f, 1000);
    assert_eq!(is(&f), (3, 0, 2, 0));
    all(&mut f, &two, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(is(&f), (2, 0, 1, 1));
    f.accept(user("kanto", "sapporo"), Command::CancelJob { job: web });
    assert_eq!(is(&f), (0, 0, 1, 0));
    all(&mut f, &one, &Phase::Ended(Ending::Stopped));
    assert_eq!(is(&f), (0, 0, 0, 0));
}

#[test]
fn a_task_that_fails_fails_its_array_when_the_others_are_over() {
    let mut f = Federation::furnished();
    let whole = f.submit(array("sweep", 2, 2));
    let (a, b) = (next(&mut f, &whole, NODE), next(&mut f, &whole, OTHER));
    all(&mut f, &a, &Phase::Ended(Ending::Exited(1)));
    assert_eq!((phase(&f, &a), phase(&f, &whole)), (JobPhase::Failed, JobPhase::Running));
    all(&mut f, &b, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(phase(&f, &whole), JobPhase::Failed);
    assert_eq!(f.state.job(&whole).unwrap().message, "1 of 2 tasks did not succeed");
}

#[test]
fn a_task_that_lost_its_host_comes_again_under_its_number_and_before_the_rest() {
    let mut f = Federation::furnished();
    let whole = f.submit(array("sweep", 5, 5));
    let a = next(&mut f, &whole, NODE);
    all(&mut f, &a, &Phase::Ended(Ending::StartFailed("no".to_owned())));
    assert_eq!(phase(&f, &a), JobPhase::Queued);
    let queue: Vec<JobId> = f.state.queue().map(|(_, id)| id.clone()).collect();
    assert_eq!(queue, [a.clone(), whole.clone()]);
    assert_eq!(wanted(&f, &whole), 4, "the one that waits is one of the five");
    f.place(&a, &[OTHER]);
    assert_eq!(phase(&f, &a), JobPhase::Placed);
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn cancelling_the_whole_ends_all_of_it_and_cancelling_a_task_that_task() {
    let mut f = Federation::furnished();
    let whole = f.submit(array("sweep", 5, 3));
    let by = user("kanto", "sapporo");
    let (a, b) = (next(&mut f, &whole, NODE), next(&mut f, &whole, OTHER));
    let none = Command::CancelJob { job: whole.task(4) };
    refused(&mut f, by.clone(), none, ErrorCode::NotFound);
    f.accept(by.clone(), Command::CancelJob { job: a.clone() });
    all(&mut f, &a, &Phase::Ended(Ending::Stopped));
    assert_eq!((phase(&f, &a), phase(&f, &b)), (JobPhase::Cancelled, JobPhase::Placed));
    f.accept(by.clone(), Command::CancelJob { job: whole.clone() });
    assert_eq!((phase(&f, &b), phase(&f, &whole)), (JobPhase::Stopping, JobPhase::Stopping));
    none_more(&mut f, &whole, NODE);
    all(&mut f, &b, &Phase::Ended(Ending::Stopped));
    assert_eq!(phase(&f, &whole), JobPhase::Cancelled);
    refused(&mut f, by, Command::CancelJob { job: whole }, ErrorCode::WrongPhase);
}

#[test]
fn an_array_of_which_nothing_was_placed_is_cancelled_at_once() {
    let mut f = Federation::furnished();
    let whole = f.submit(array("sweep", 5, 3));
    f.accept(user("kanto", "sapporo"), Command::CancelJob { job: whole.clone() });
    assert_eq!((phase(&f, &whole), f.state.queue_len()), (JobPhase::Cancelled, 0));
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn bad_numbers_are_refused() {
    let mut f = Federation::furnished();
    for kind in [
        Kind::Array { tasks: 0, at_most: 0 },
        Kind::Array { tasks: TASKS_MAX + 1, at_most: 1 },
        Kind::Array { tasks: 2, at_most: 3 },
        Kind::Array { tasks: 2, at_most: 0 },
        Kind::Service { replicas: 0, surge: 1 },
        Kind::Service { replicas: REPLICAS_MAX + 1, surge: 1 },
        Kind::Service { replicas: 2, surge: 0 },
        Kind::Service { replicas: 2, surge: 3 },
    ] {
        let facts = Box::new(JobFacts { kind, ..job("bad", 1, 1, &[]) });
        let submit = Command::SubmitJob { facts };
        refused(&mut f, user("kanto", "sapporo"), submit, ErrorCode::InvalidArgument);
    }
    let mut facts = job("bad", 1, 1, &[]);
    facts.id = facts.id.task(0);
    let submit = Command::SubmitJob { facts: Box::new(facts) };
    refused(&mut f, user("kanto", "sapporo"), submit, ErrorCode::InvalidArgument);
}

#[test]
fn a_replica_on_a_host_that_is_drained_is_replaced_before_it_is_stopped() {
    let mut f = Federation::furnished();
    let (whole, replicas) = serving(&mut f, service("web", 2, 1), &[NODE, OTHER]);
    assert_eq!((wanted(&f, &whole), surplus(&f, &whole)), (0, vec![]));
    let node: NodeId = NODE.parse().unwrap();
    let drain = Command::DrainNode { node, within_s: None, message: String::new() };
    f.accept(admin("kanto"), drain);
    assert_eq!((wanted(&f, &whole), surplus(&f, &whole)), (1, vec![]));
    let early = stop(&f, &[&replicas[0]]);
    refused(&mut f, member("kanto"), early, ErrorCode::WrongPhase);
    let fresh = next(&mut f, &whole, OTHER);
    assert_eq!(fresh, whole.task(2), "a number of its own (P7)");
    assert_eq!(surplus(&f, &whole), [], "it does not run yet");
    all(&mut f, &fresh, &Phase::Running);
    assert_eq!(surplus(&f, &whole), [replicas[0].clone()]);
    let wrong = stop(&f, &[&replicas[1]]);
    refused(&mut f, member("kanto"), wrong, ErrorCode::WrongPhase);
    let right = stop(&f, &[&replicas[0]]);
    refused(&mut f, admin("kanto"), right.clone(), ErrorCode::PermissionDenied);
    f.accept(member("kanto"), right);
    all(&mut f, &replicas[0], &Phase::Ended(Ending::Stopped));
    assert_eq!(phase(&f, &replicas[0]), JobPhase::Cancelled);
    assert_eq!((wanted(&f, &whole), surplus(&f, &whole)), (0, vec![]));
}

#[test]
fn a_service_is_replaced_one_by_one_and_never_runs_fewer_than_it_has() {
    let mut f = Federation::furnished();
    let (whole, old) = serving(&mut f, service("web", 3, 1), &[NODE, NODE, OTHER]);
    let by = user("kanto", "sapporo");
    let other = JobFacts { time_limit_s: 7200, ..service("web", 3, 1) };
    let unknown = JobFacts { id: "sapporo/none".parse().unwrap(), ..other.clone() };
    let replace = |facts: &JobFacts| Command::ReplaceJob { facts: Box::new(facts.clone()) };
    refused(&mut f, by.clone(), replace(&unknown), ErrorCode::NotFound);
    let batch = JobFacts { kind: Kind::Batch, ..other.clone() };
    refused(&mut f, by.clone(), replace(&batch), ErrorCode::InvalidArgument);
    f.accept(by, replace(&other));
    let mut running = old.clone();
    for (step, victim) in old.iter().enumerate() {
        assert_eq!(wanted(&f, &whole), 1, "step {step}");
        let fresh = next(&mut f, &whole, OTHER);
        none_more(&mut f, &whole, OTHER);
        assert_eq!(surplus(&f, &whole), []);
        all(&mut f, &fresh, &Phase::Running);
        running.push(fresh);
        assert_eq!(surplus(&f, &whole), std::slice::from_ref(victim));
        let order = stop(&f, &[victim]);
        f.accept(member("kanto"), order);
        running.retain(|id| id != victim);
        assert!(running.iter().all(|id| phase(&f, id) == JobPhase::Running));
        assert_eq!(running.len(), 3);
        all(&mut f, victim, &Phase::Ended(Ending::Stopped));
    }
    assert_eq!((wanted(&f, &whole), surplus(&f, &whole)), (0, vec![]));
    let row = f.state.job(&running[0]).unwrap();
    assert_eq!(row.facts.time_limit_s, 7200);
    assert_eq!(row.submission, f.state.job(&whole).unwrap().submission);
}

#[test]
fn a_service_that_is_made_smaller_or_larger_keeps_what_it_can() {
    let mut f = Federation::furnished();
    let (whole, old) = serving(&mut f, service("web", 3, 1), &[NODE, NODE, OTHER]);
    let by = user("kanto", "sapporo");
    f.accept(by.clone(), Command::ReplaceJob { facts: Box::new(service("web", 1, 1)) });
    assert_eq!(surplus(&f, &whole), [old[2].clone(), old[1].clone()], "the youngest first");
    f.accept(by, Command::ReplaceJob { facts: Box::new(service("web", 5, 1)) });
    assert_eq!((wanted(&f, &whole), surplus(&f, &whole)), (2, vec![]));
}

#[test]
fn a_replica_that_ends_by_itself_is_replaced_after_a_pause_that_grows() {
    let mut f = Federation::furnished();
    let whole = f.submit(service("web", 1, 1));
    for pause_s in [10, 20, 40] {
        let replica = next(&mut f, &whole, NODE);
        all(&mut f, &replica, &Phase::Running);
        all(&mut f, &replica, &Phase::Ended(Ending::Exited(0)));
        assert_eq!(wanted(&f, &whole), 0);
        wait(&mut f, pause_s * 1000 - 1000);
        assert_eq!(wanted(&f, &whole), 0, "{pause_s}");
        wait(&mut f, 1000);
        assert_eq!(wanted(&f, &whole), 1, "{pause_s}");
    }
    // One that ran for long was well.
    let replica = next(&mut f, &whole, NODE);
    all(&mut f, &replica, &Phase::Running);
    wait(&mut f, 600_000);
    all(&mut f, &replica, &Phase::Ended(Ending::Exited(1)));
    assert_eq!(wanted(&f, &whole), 1);
}

#[test]
fn a_replica_is_replaced_before_its_time_is_over() {
    let mut f = Federation::furnished();
    let facts = JobFacts { time_limit_s: 1000, ..service("web", 1, 1) };
    let (whole, old) = serving(&mut f, facts, &[NODE]);
    wait(&mut f, 890_000);
    assert_eq!(wanted(&f, &whole), 0);
    wait(&mut f, 10_000);
    assert_eq!((wanted(&f, &whole), surplus(&f, &whole)), (1, vec![]));
    let fresh = next(&mut f, &whole, OTHER);
    all(&mut f, &fresh, &Phase::Running);
    assert_eq!(surplus(&f, &whole), old);
}

#[test]
fn the_rows_of_replicas_that_ended_do_not_pile_up() {
    let mut f = Federation::furnished();
    let whole = f.submit(service("web", 1, 1));
    for _ in 0..40 {
        let replica = next(&mut f, &whole, NODE);
        all(&mut f, &replica, &Phase::Ended(Ending::Exited(1)));
        wait(&mut f, 300_000);
    }
    // The first thirty-two were swept down to sixteen, and eight came since.
    assert_eq!(f.state.tasks(&whole).count(), 24);
    let newest = f.state.tasks(&whole).next_back().unwrap().0.clone();
    assert_eq!(newest, whole.task(39));
    f.accept(user("kanto", "sapporo"), Command::CancelJob { job: whole.clone() });
    assert_eq!(f.state.tasks(&whole).count(), 16);
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn what_an_array_runs_is_kept_until_its_last_task_is_over() {
    let mut f = Federation::furnished();
    let whole = f.submit(array("sweep", 1, 1));
    let payload = f.state.job(&whole).unwrap().facts.payload;
    let task = next(&mut f, &whole, NODE);
    assert!(f.state.refers_to_payload(&payload));
    all(&mut f, &task, &Phase::Ended(Ending::Exited(0)));
    assert!(!f.state.refers_to_payload(&payload));
}

#[test]
fn an_array_that_is_late_places_no_more_and_what_it_has_goes_on() {
    let mut f = Federation::furnished();
    let start_by = Some(f.now.plus_ms(60_000));
    let whole = f.submit(JobFacts { start_by, ..array("sweep", 5, 2) });
    let task = next(&mut f, &whole, NODE);
    wait(&mut f, 70_000);
    assert_eq!(invariant::check(&f.state), Ok(()));
    assert_eq!((phase(&f, &whole), f.state.queue_len()), (JobPhase::Stopping, 0));
    all(&mut f, &task, &Phase::Ended(Ending::Exited(0)));
    assert_eq!(phase(&f, &whole), JobPhase::Failed);
    let service = JobFacts { start_by: Some(f.now.plus_ms(60_000)), ..service("web", 1, 1) };
    let submit = Command::SubmitJob { facts: Box::new(service) };
    refused(&mut f, user("kanto", "sapporo"), submit, ErrorCode::InvalidArgument);
}

#[test]
fn who_waits_for_an_array_or_service_waits_for_the_whole_of_it() {
    let mut f = Federation::furnished();
    let (sweep, web) = (f.submit(array("sweep", 2, 2)), f.submit(service("web", 2, 1)));
    let after = |name: &str, on: &JobId, when: When| JobFacts {
        after: vec![After { job: on.name.clone(), when }].into(),
        ..job(name, 1, 1, &[])
    };
    let done = f.submit(after("done", &sweep, When::Succeeded));
    let up = f.submit(after("up", &web, When::Started));
    let (a, b) = (next(&mut f, &sweep, NODE), next(&mut f, &sweep, NODE));
    let (c, d) = (next(&mut f, &web, OTHER), next(&mut f, &web, OTHER));
    all(&mut f, &a, &Phase::Ended(Ending::Exited(0)));
    all(&mut f, &c, &Phase::Running);
    assert_eq!((phase(&f, &done), phase(&f, &up)), (JobPhase::Held, JobPhase::Held));
    all(&mut f, &b, &Phase::Ended(Ending::Exited(0)));
    all(&mut f, &d, &Phase::Running);
    assert_eq!((phase(&f, &done), phase(&f, &up)), (JobPhase::Queued, JobPhase::Queued));
}

#[test]
fn an_array_is_forgotten_with_its_tasks() {
    let mut f = Federation::furnished();
    let whole = f.submit(array("sweep", 2, 2));
    for _ in 0..2 {
        let task = next(&mut f, &whole, NODE);
        all(&mut f, &task, &Phase::Ended(Ending::Exited(0)));
    }
    let week = u64::try_from(JOBS_KEPT_FOR.as_millis()).unwrap();
    f.state.clock = f.state.clock.plus_ms(week);
    f.now = f.state.clock;
    f.accept(member("kanto"), Command::Tick);
    assert_eq!(f.state.jobs().count(), 0);
    assert_eq!(f.state.placements().count(), 0);
    assert_eq!(invariant::check(&f.state), Ok(()));
}
