//! Drains: nothing new comes, the deadline moves what is left, and a job that is moved has not failed.
//!
//! Must hold: P3, P7, Q2. Who may drain stands with the roles.

use super::*;
use crate::state::{Drain, Job};
use sekisho_types::id::JobId;
use sekisho_types::limit::TIME_LIMIT_MAX;
use sekisho_types::revision::PlacementId;

const NODE: &str = "tokyo-1/n-01";
const OTHER: &str = "tokyo-1/n-02";

fn id() -> NodeId {
    NODE.parse().unwrap()
}

fn drain(within_s: Option<u64>) -> Command {
    Command::DrainNode { node: id(), within_s, message: "new cooling".into() }
}

fn undrain(keep_cordoned: bool) -> Command {
    Command::UndrainNode { node: id(), keep_cordoned }
}

fn held(f: &Federation) -> Option<Drain> {
    f.state.node(&id()).unwrap().drain.clone()
}

fn evict(f: &Federation) -> Command {
    Command::EvictDrained { node: id(), drain: held(f).unwrap().revision }
}

fn pass(f: &mut Federation, seconds: u64) {
    for _ in 0..seconds {
        f.now = f.now.plus_ms(1000);
        f.accept(member("kanto"), Command::Tick);
    }
}

fn row<'f>(f: &'f Federation, id: &JobId) -> &'f Job {
    f.state.job(id).unwrap()
}

fn report(f: &mut Federation, placement: PlacementId, phase: Phase) {
    let node = f.state.placement(&placement).unwrap().grant.node.clone();
    let session = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    let phases = vec![(placement, phase)];
    f.accept(agent(&node), Command::Report { node: node.clone(), session, phases });
}

#[test]
fn a_draining_node_gets_nothing_new_and_what_runs_goes_on_until_the_deadline() {
    let mut f = Federation::furnished();
    let (runs, waits) = (f.submit(job("runs", 1, 1, &[])), f.submit(job("waits", 1, 1, &[])));
    f.place(&runs, &[NODE]);
    f.accept(admin("kanto"), drain(Some(3)));
    let told = held(&f).unwrap();
    assert_eq!((told.by, told.message.as_str()), (admin("kanto"), "new cooling"));
    assert_eq!(told.deadline, Some(f.state.clock().plus_ms(3000)));
    let applied = f.place(&waits, &[NODE]);
    let rejected = vec![(waits.clone(), ErrorCode::NodeDraining)];
    assert_eq!(applied.outcome, Ok(Reply::Placed { granted: vec![], rejected }));
    // Early, whoever says so.
    let early = evict(&f);
    refused(&mut f, member("kanto"), early.clone(), ErrorCode::WrongPhase);
    refused(&mut f, admin("kanto"), early, ErrorCode::PermissionDenied);
    pass(&mut f, 2);
    let early = evict(&f);
    refused(&mut f, member("kanto"), early, ErrorCode::WrongPhase);
    assert_eq!(row(&f, &runs).phase, JobPhase::Placed);
    pass(&mut f, 1);
    let due = evict(&f);
    let applied = f.accept(member("naniwa"), due.clone());
    assert!(applied.checkpoint.is_some(), "the agent is told under a checkpoint (P2)");
    let placement = f.placements(&runs)[0];
    assert_eq!(f.state.placement(&placement).unwrap().phase, Phase::Stopping);
    // Charged until the end is confirmed, and ordered once.
    assert_eq!(f.state.usages().count(), 1);
    assert!(f.accept(member("naniwa"), due).checkpoint.is_none());
    report(&mut f, placement, Phase::Ended(Ending::Stopped));
    let moved = row(&f, &runs);
    assert_eq!((moved.phase, moved.attempts), (JobPhase::Queued, 0));
    assert_eq!(moved.message, "waits again: tokyo-1/n-01 is drained: new cooling");
    assert!(moved.avoid.is_empty());
    assert_eq!(f.state.queue().next().unwrap().1, &runs, "in its old place");
    assert_eq!(f.state.usages().count(), 0);
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn a_gang_is_moved_as_a_whole_and_what_runs_to_completion_as_well() {
    let mut f = Federation::furnished();
    let gang = f.submit(job("gang", 2, 1, &[]));
    let mut completes = job("completes", 1, 1, &[]);
    completes.on_disconnect = sekisho_types::job::OnDisconnect::RunToCompletion;
    let completes = f.submit(completes);
    f.place(&gang, &[NODE, OTHER]);
    f.place(&completes, &[NODE]);
    f.accept(admin("kanto"), drain(Some(0)));
    let due = evict(&f);
    f.accept(member("kanto"), due);
    let all: Vec<PlacementId> = [f.placements(&gang), f.placements(&completes)].concat();
    for placement in &all {
        assert_eq!(f.state.placement(placement).unwrap().phase, Phase::Stopping);
    }
    // One of the gang is dead: the other may still live, so nothing of it is placed again (P7).
    report(&mut f, all[0], Phase::Ended(Ending::Exited(143)));
    assert_eq!(row(&f, &gang).phase, JobPhase::Stopping);
    report(&mut f, all[1], Phase::Ended(Ending::Stopped));
    assert_eq!(row(&f, &gang).phase, JobPhase::Queued, "how it died is no failure of its own");
    assert_eq!(row(&f, &completes).phase, JobPhase::Stopping);
    report(&mut f, all[2], Phase::Ended(Ending::Signaled(9)));
    assert_eq!(row(&f, &completes).phase, JobPhase::Queued);
    assert!(f.state.node(&id()).unwrap().placements.is_empty(), "drained");
    assert_eq!(invariant::check(&f.state), Ok(()));
}

#[test]
fn drains_never_use_a_jobs_attempts_up() {
    let mut f = Federation::furnished();
    let id = f.submit(job("often", 1, 1, &[]));
    for _ in 0..=ATTEMPTS_MAX {
        f.place(&id, &[NODE]);
        f.accept(admin("kanto"), drain(Some(0)));
        let due = evict(&f);
        f.accept(member("kanto"), due);
        let placement = f.placements(&id)[0];
        report(&mut f, placement, Phase::Ended(Ending::Stopped));
        f.accept(admin("kanto"), undrain(false));
    }
    f.place(&id, &[OTHER]);
    let placement = f.placements(&id)[0];
    report(&mut f, placement, Phase::Ended(Ending::StartFailed("no".into())));
    assert_eq!(row(&f, &id).phase, JobPhase::Queued, "the first failure of its own");
}

#[test]
fn who_cancels_a_job_that_is_being_moved_does_not_see_it_come_back() {
    let mut f = Federation::furnished();
    let id = f.submit(job("unwanted", 1, 1, &[]));
    f.place(&id, &[NODE]);
    f.accept(admin("kanto"), drain(Some(0)));
    let due = evict(&f);
    f.accept(member("kanto"), due);
    f.accept(user("kanto", "sapporo"), Command::CancelJob { job: id.clone() });
    let placement = f.placements(&id)[0];
    report(&mut f, placement, Phase::Ended(Ending::Stopped));
    assert_eq!(row(&f, &id).phase, JobPhase::Cancelled);
}

#[test]
fn a_drain_that_was_changed_or_called_off_moves_nothing() {
    let mut f = Federation::furnished();
    let id = f.submit(job("stays", 1, 1, &[]));
    f.place(&id, &[NODE]);
    f.accept(admin("kanto"), drain(Some(0)));
    let (began, old) = (held(&f).unwrap(), evict(&f));
    pass(&mut f, 1);
    f.accept(admin("kanto"), drain(None));
    let now = held(&f).unwrap();
    assert_eq!((now.since, now.deadline), (began.since, None), "begun once, with another end");
    f.accept(member("kanto"), old.clone());
    pass(&mut f, 5);
    let never = evict(&f);
    refused(&mut f, member("kanto"), never, ErrorCode::WrongPhase);
    f.accept(admin("kanto"), undrain(false));
    f.accept(member("kanto"), old);
    assert_eq!(row(&f, &id).phase, JobPhase::Placed);
    refused(&mut f, admin("kanto"), undrain(false), ErrorCode::WrongPhase);
}

#[test]
fn a_cordon_outlives_a_drain_and_a_drain_is_not_uncordoned_away() {
    let mut f = Federation::furnished();
    let cordon = |schedulable| Command::SetSchedulable { node: id(), schedulable };
    let open = |f: &Federation| f.state.node(&id()).unwrap().schedulable;
    f.accept(admin("kanto"), cordon(false));
    f.accept(admin("kanto"), drain(None));
    refused(&mut f, admin("kanto"), cordon(true), ErrorCode::WrongPhase);
    f.accept(admin("kanto"), undrain(false));
    assert!(!open(&f), "it was cordoned before");
    f.accept(admin("kanto"), cordon(true));
    f.accept(admin("kanto"), drain(None));
    f.accept(admin("kanto"), undrain(true));
    assert!(!open(&f), "and now it is, because that was asked for");
}

#[test]
fn bad_drains_are_refused_and_change_nothing() {
    let mut f = Federation::furnished();
    let with = |within_s, message: &str| Command::DrainNode {
        node: id(),
        within_s,
        message: message.into(),
    };
    let longest = TIME_LIMIT_MAX.as_secs();
    for (command, code) in [
        (with(Some(longest + 1), ""), ErrorCode::InvalidArgument),
        (with(Some(u64::MAX), ""), ErrorCode::InvalidArgument),
        (with(None, "two\nlines"), ErrorCode::InvalidArgument),
        (with(None, "\u{1b}[2J"), ErrorCode::InvalidArgument),
        (with(None, &"x".repeat(513)), ErrorCode::TooLarge),
    ] {
        refused(&mut f, admin("kanto"), command, code);
    }
    let nowhere = Command::DrainNode {
        node: "tokyo-1/n-99".parse().unwrap(),
        within_s: None,
        message: String::new(),
    };
    refused(&mut f, admin("kanto"), nowhere, ErrorCode::NotFound);
    assert_eq!(held(&f), None);
    f.accept(admin("kanto"), with(Some(longest), ""));
    f.accept(admin("kanto"), Command::RevokeNode { node: id() });
    refused(&mut f, admin("kanto"), drain(None), ErrorCode::NodeRevoked);
}
