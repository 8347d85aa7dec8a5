//! What goes wrong between a whole and its tasks: requeued, sealed anew, late, refused, replaced, forgotten.

use super::tasks::{
    NODE, OTHER, array, next, none_more, phase, service, serving, surplus, wait, wanted,
};
use super::*;
use crate::testing::sealed::{area_only, sealed};
use sekisho_types::id::JobId;
use sekisho_types::job::{After, JobFacts, When};
use sekisho_types::limit::{AVOIDED_FOR, FORGET_PER_TICK_MAX, JOBS_KEPT_FOR};
use sekisho_types::offer::Vetoed;
use sekisho_types::principal::{KeyRecord, Role};

const TEXT: &[u8] = b"python train.py";

fn with_keys() -> Federation {
    let mut f = Federation::furnished();
    for site in ["tokyo-1", "ishikari-1"] {
        f.give_site_key(site, 1);
    }
    f
}

fn by() -> Principal {
    user("kanto", "sapporo")
}

fn replace(facts: &JobFacts) -> Command {
    Command::ReplaceJob { facts: Box::new(facts.clone()) }
}

fn submit(facts: &JobFacts) -> Command {
    Command::SubmitJob { facts: Box::new(facts.clone()) }
}

/// Its host could not start it.
fn back_to_the_queue(f: &mut Federation, task: &JobId) {
    all(f, task, &Phase::Ended(Ending::StartFailed("drill".to_owned())));
    assert_eq!(phase(f, task), JobPhase::Queued);
}

/// Time passes at once, as it would by many entries; the user's key is renewed.
fn leap(f: &mut Federation, ms: u64) {
    f.state.clock = f.state.clock.plus_ms(ms);
    f.now = f.state.clock;
    let record = KeyRecord {
        public_key: user_key(&by()).public(),
        principal: by(),
        role: Role::TenantUser("sapporo".parse().unwrap()),
        expires: f.now.plus_ms(86_400_000),
    };
    f.register(record);
}

/// As `JOBS_KEPT_FOR` is, in milliseconds.
fn week() -> u64 {
    u64::try_from(JOBS_KEPT_FOR.as_millis()).unwrap()
}

#[test]
fn the_timer_of_an_array_goes_with_its_last_task_or_with_its_end() {
    let mut f = Federation::furnished();
    let start_by = Some(f.now.plus_ms(60_000));
    let whole = f.submit(JobFacts { start_by, ..array("sweep", 2, 2) });
    let a = next(&mut f, &whole, NODE);
    assert_eq!(f.state.timers().count(), 1);
    next(&mut f, &whole, NODE);
    assert_eq!(f.state.timers().count(), 0, "nothing more of it waits");
    // One that comes back is looked at by itself, and fails alone.
    back_to_the_queue(&mut f, &a);
    assert!(f.state.timers().map(|(_, id)| id).eq([&a]));
    wait(&mut f, 70_000);
    assert_eq!((phase(&f, &a), phase(&f, &whole)), (JobPhase::Failed, JobPhase::Running));
    let start_by = Some(f.now.plus_ms(60_000));
    let other = f.submit(JobFacts { start_by, ..array("other", 3, 1) });
    next(&mut f, &other, OTHER);
    f.accept(by(), Command::CancelJob { job: other.clone() });
    assert_eq!((phase(&f, &other), f.state.timers().count()), (JobPhase::Stopping, 0));
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn a_task_that_comes_back_runs_what_was_sealed_anew() {
    let mut f = with_keys();
    let (facts, bytes) = sealed(array("sweep", 1, 1), TEXT, &[("tokyo-1", 1)]);
    assert_eq!(code(&f.run_with(submit(&facts), bytes)), None);
    let whole = facts.id.clone();
    let task = next(&mut f, &whole, NODE);
    // All of it is granted, and what runs is sealed anew nevertheless: it may come back.
    let (anew, bytes) =
        sealed(array("sweep", 1, 1), b"the same", &[("tokyo-1", 1), ("ishikari-1", 1)]);
    let reseal = Command::ResealJob { facts: Box::new(anew.clone()) };
    assert_eq!(code(&f.run_with(reseal, bytes)), None);
    let row = f.state.job(&task).unwrap();
    assert_eq!(row.facts.payload, facts.payload, "what runs goes on with what it has");
    assert!(f.state.refers_to_payload(&facts.payload));
    assert_eq!(invariant::check(&f.state), Ok(()));
    back_to_the_queue(&mut f, &task);
    assert!(!f.state.refers_to_payload(&facts.payload));
    let of_whole = f.state.job(&whole).unwrap().submission;
    let row = f.state.job(&task).unwrap();
    assert_eq!((row.facts.payload, row.submission), (anew.payload, of_whole));
    f.place(&task, &["ishikari-1/n-01"]);
    assert_eq!((phase(&f, &task), invariant::check(&f.state)), (JobPhase::Placed, Ok(())));
}

#[test]
fn what_an_old_task_runs_in_its_area_is_kept_by_whom_it_was_sealed_to() {
    let mut f = with_keys();
    let kind = service("web", 1, 1);
    let (old, _) = area_only(kind.clone(), TEXT, &[("tokyo-1", 1), ("ishikari-1", 1)]);
    assert_eq!(code(&f.run_with(submit(&old), Vec::new())), None);
    let replica = next(&mut f, &old.id, NODE);
    let (new, _) = area_only(kind, b"another", &[("ishikari-1", 1)]);
    assert_eq!(code(&f.run_with(replace(&new), Vec::new())), None);
    assert_eq!(f.state.area_only(&new.payload), Some(&new));
    let bound = f.state.area_only(&old.payload).unwrap();
    assert_eq!(f.state.keepers(bound).len(), 2, "{bound:?}");
    all(&mut f, &replica, &Phase::Ended(Ending::Stopped));
    assert_eq!(f.state.area_only(&old.payload), None);
}

#[test]
fn a_host_that_refused_is_tried_again_after_an_hour() {
    let mut f = Federation::furnished();
    let whole = f.submit(service("web", 1, 1));
    let replica = next(&mut f, &whole, NODE);
    let placement = f.placements(&replica)[0];
    f.refuse(placement, ErrorCode::ResidencyArea);
    wait(&mut f, 10_000);
    let rejected = vec![(whole.clone(), ErrorCode::NodeUnavailable)];
    let placed = f.place(&whole, &[NODE]).outcome;
    assert_eq!(placed, Ok(Reply::Placed { granted: vec![], rejected }));
    leap(&mut f, u64::try_from(AVOIDED_FOR.as_millis()).unwrap());
    next(&mut f, &whole, NODE);
}

#[test]
fn a_replica_that_lost_its_host_is_followed_at_once() {
    let mut f = Federation::furnished();
    let (whole, _) = serving(&mut f, service("web", 2, 1), &[NODE, OTHER]);
    let node: NodeId = NODE.parse().unwrap();
    let session = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    f.accept(member("kanto"), Command::ExpireLease { node, session });
    assert_eq!(wanted(&f, &whole), 1);
    let tasks = f.state.job(&whole).unwrap().tasks.clone().unwrap();
    assert_eq!((tasks.early, tasks.failed), (0, 1));
}

#[test]
fn all_that_an_array_or_service_asks_for_is_judged_over_the_limit() {
    let mut f = Federation::furnished();
    let reject = |facts: JobFacts| JobFacts { over_limit: OverLimit::Reject, ..facts };
    // The tenant may hold eight.
    for facts in [array("sweep", 20, 9), service("web", 9, 1)] {
        refused(&mut f, by(), submit(&reject(facts)), ErrorCode::QuotaNone);
    }
    f.submit(reject(array("sweep", 20, 4)));
    let (web, _) = serving(&mut f, reject(service("web", 4, 1)), &[NODE, NODE, OTHER, OTHER]);
    let other = f.submit(job("other", 1, 3, &[]));
    f.place(&other, &["ishikari-1/n-01"]);
    // One is left, and what it holds already it need not have again.
    refused(&mut f, by(), replace(&reject(service("web", 6, 1))), ErrorCode::QuotaExceeded);
    refused(&mut f, by(), replace(&reject(service("web", 9, 1))), ErrorCode::QuotaNone);
    f.accept(by(), replace(&reject(service("web", 5, 1))));
    assert_eq!(wanted(&f, &web), 1);
}

#[test]
fn a_service_is_replaced_by_what_waits_for_nothing() {
    let mut f = Federation::furnished();
    let after = |job: &str, when| vec![After { job: job.parse().unwrap(), when }].into();
    let prep = f.submit(job("prep", 1, 1, &[]));
    f.place(&prep, &[OTHER]);
    all(&mut f, &prep, &Phase::Ended(Ending::Exited(0)));
    f.submit(job("slow", 1, 1, &[]));
    let prepared = JobFacts { after: after("prep", When::Succeeded), ..service("web", 1, 1) };
    let (web, _) = serving(&mut f, prepared.clone(), &[NODE]);
    let with = |after| JobFacts { after, ..service("web", 2, 1) };
    for (facts, expected) in [
        (with(after("none", When::Ended)), ErrorCode::DependencyUnknown),
        (with(after("prep", When::Failed)), ErrorCode::DependencyNever),
        (with(after("slow", When::Started)), ErrorCode::DependencyWaits),
        (
            JobFacts { not_before: Some(f.now.plus_ms(60_000)), ..service("web", 2, 1) },
            ErrorCode::NotBefore,
        ),
    ] {
        refused(&mut f, by(), replace(&facts), expected);
    }
    let reserved = JobFacts { reservation: "none".parse().ok(), ..service("web", 2, 1) };
    refused(&mut f, by(), replace(&reserved), ErrorCode::ReservationNone);
    f.accept(by(), replace(&JobFacts { not_before: Some(f.now), ..prepared.clone() }));
    // What it waited for came true, and is forgotten since.
    leap(&mut f, week());
    f.accept(member("kanto"), Command::Tick);
    assert_eq!(f.state.job(&prep), None);
    f.accept(by(), replace(&JobFacts { priority: 9, ..prepared }));
    assert_eq!((phase(&f, &web), f.state.dependents().count()), (JobPhase::Running, 0));
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn an_array_is_forgotten_piece_by_piece() {
    let mut f = Federation::new();
    f.tenant("sapporo", Limit::Unlimited);
    let node = f.ready_node("tokyo-1/big", 64);
    let many = u32::try_from(FORGET_PER_TICK_MAX).unwrap();
    let whole = f.submit(array("sweep", many, 64));
    let places = vec![crate::command::Slot { node: node.clone(), bucket: 0 }];
    let group = crate::command::Group { job: whole.clone(), places };
    while f.state.job(&whole).unwrap().is_queued() {
        let (basis, groups) = (f.state.revision(), vec![group.clone(); 64]);
        f.accept(member("kanto"), Command::CommitPlacement { basis, groups, calls: None });
        let over = f.state.node(&node).unwrap().placements.iter();
        let over = over.map(|id| (*id, Phase::Ended(Ending::Exited(0)))).collect();
        report(&mut f, &node, over);
    }
    assert_eq!(phase(&f, &whole), JobPhase::Succeeded);
    leap(&mut f, week());
    let rows = |f: &Federation| f.state.jobs().count().saturating_add(f.state.placements().count());
    let all = rows(&f);
    assert_eq!(all, 2 * FORGET_PER_TICK_MAX + 1);
    let mut before = all;
    for _ in 0..2 {
        f.accept(member("kanto"), Command::Tick);
        let left = rows(&f);
        assert!(before.saturating_sub(left) <= FORGET_PER_TICK_MAX, "{before} to {left}");
        assert!(f.state.job(&whole).is_some(), "its name is taken until all of it is gone");
        assert_eq!(invariant::check(&f.state), Ok(()));
        assert!(f.state.next_due().is_some_and(|due| due <= f.state.clock()));
        before = left;
    }
    f.accept(member("kanto"), Command::Tick);
    assert_eq!((rows(&f), f.state.next_due()), (0, None));
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn a_service_that_is_made_smaller_while_it_is_placed_gets_no_more() {
    let mut f = Federation::furnished();
    let whole = f.submit(service("web", 4, 1));
    next(&mut f, &whole, NODE);
    // Planned for four, and applied when it is one.
    f.accept(by(), replace(&service("web", 1, 1)));
    none_more(&mut f, &whole, NODE);
    f.accept(by(), replace(&service("web", 2, 1)));
    let second = next(&mut f, &whole, NODE);
    none_more(&mut f, &whole, NODE);
    f.accept(by(), replace(&service("web", 1, 1)));
    assert_eq!(surplus(&f, &whole), [second], "none runs, so the youngest goes");
}

#[test]
fn a_service_that_is_cancelled_while_replicas_stop_ends_with_the_last() {
    let mut f = Federation::furnished();
    let (whole, old) = serving(&mut f, service("web", 3, 1), &[NODE, NODE, OTHER]);
    f.accept(by(), replace(&service("web", 1, 1)));
    let replicas = surplus(&f, &whole);
    f.accept(member("kanto"), Command::StopReplicas { replicas: replicas.clone() });
    // A leader that did not see it proposes the same again.
    refused(&mut f, member("naniwa"), Command::StopReplicas { replicas }, ErrorCode::WrongPhase);
    f.accept(by(), Command::CancelJob { job: whole.clone() });
    assert!(old.iter().all(|id| phase(&f, id) == JobPhase::Stopping));
    for id in &old {
        assert_eq!(phase(&f, &whole), JobPhase::Stopping);
        all(&mut f, id, &Phase::Ended(Ending::Stopped));
        assert_eq!(invariant::check(&f.state), Ok(()));
    }
    assert_eq!(phase(&f, &whole), JobPhase::Cancelled);
}

#[test]
fn a_veto_is_against_a_job_with_all_its_tasks() {
    let mut f = Federation::furnished();
    let (whole, replicas) = serving(&mut f, service("web", 1, 1), &[NODE]);
    let veto = |job: &JobId| Command::Veto {
        operator: "kanto".parse().unwrap(),
        of: Vetoed::Job(job.clone()),
        reason: "noise".to_owned(),
    };
    refused(&mut f, admin("kanto"), veto(&replicas[0]), ErrorCode::InvalidArgument);
    f.accept(admin("kanto"), veto(&whole));
    f.accept(member("kanto"), Command::EvictDenied { jobs: replicas.clone() });
    all(&mut f, &replicas[0], &Phase::Ended(Ending::Stopped));
    assert_eq!((phase(&f, &replicas[0]), wanted(&f, &whole)), (JobPhase::Cancelled, 1));
    let rejected = vec![(whole.clone(), ErrorCode::OfferVetoed)];
    let placed = f.place(&whole, &[OTHER]).outcome;
    assert_eq!(placed, Ok(Reply::Placed { granted: vec![], rejected }));
    next(&mut f, &whole, "ishikari-1/n-01");
}

#[test]
fn a_service_whose_quota_shrinks_keeps_what_runs_and_is_replaced_when_there_is_room() {
    let mut f = Federation::furnished();
    let (whole, old) = serving(&mut f, service("web", 2, 1), &[NODE, OTHER]);
    f.quota(&"sapporo".parse().unwrap(), Limit::Gpus(2));
    f.accept(by(), replace(&JobFacts { time_limit_s: 7200, ..service("web", 2, 1) }));
    assert_eq!((wanted(&f, &whole), surplus(&f, &whole)), (1, vec![]));
    let rejected = vec![(whole.clone(), ErrorCode::QuotaExceeded)];
    let placed = f.place(&whole, &[OTHER]).outcome;
    assert_eq!(placed, Ok(Reply::Placed { granted: vec![], rejected }));
    assert!(old.iter().all(|id| phase(&f, id) == JobPhase::Running), "nothing stops before");
    f.quota(&"sapporo".parse().unwrap(), Limit::Gpus(3));
    let fresh = next(&mut f, &whole, OTHER);
    all(&mut f, &fresh, &Phase::Running);
    assert_eq!(surplus(&f, &whole), [old[0].clone()]);
}

#[test]
fn replicas_that_began_together_have_time_to_be_replaced_one_after_the_other() {
    let mut f = Federation::furnished();
    let long = |surge| JobFacts { time_limit_s: 7 * 86_400, ..service("web", 3, surge) };
    let (whole, _) = serving(&mut f, long(1), &[NODE, NODE, OTHER]);
    leap(&mut f, (7 * 24 - 3) * 3_600_000 - 1000);
    assert_eq!(wanted(&f, &whole), 0);
    leap(&mut f, 1000);
    assert_eq!(wanted(&f, &whole), 1, "an hour for each of three");
    f.accept(by(), replace(&long(3)));
    assert_eq!(wanted(&f, &whole), 0, "all at once");
}
