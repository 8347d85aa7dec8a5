//! Time: a clock that catches up, and the end of a lease.
//!
//! Must hold: P3, P4. That the leader waits long enough before it says so is tested with the leader's duties.

use super::*;

#[test]
fn while_the_clock_catches_up_nothing_is_granted_and_no_token_accepted() {
    let mut f = Federation::furnished();
    let id = f.submit(job("early", 1, 1, &[]));
    f.now = f.now.plus_ms(3_600_000);
    assert_eq!(code(&f.place(&id, &["tokyo-1/n-01"])), Some(ErrorCode::ClockBehind));
    let before = f.state.clock();
    f.accept(member("kanto"), Command::Tick);
    assert_eq!(f.state.clock().since_ms(before), 10_000);
    f.now = crate::testing::BEGIN;
    f.accept(member("kanto"), Command::Tick);
    assert_eq!(f.state.clock().since_ms(before), 10_000, "never back");
}

#[test]
fn the_end_of_a_lease_frees_what_stops_and_keeps_what_runs_to_completion() {
    let mut f = Federation::furnished();
    let node: NodeId = "tokyo-1/n-01".parse().unwrap();
    let stops = f.submit(job("stops", 1, 1, &["JP-13"]));
    let mut facts = job("completes", 1, 1, &["JP-13"]);
    facts.on_disconnect = sekisho_types::job::OnDisconnect::RunToCompletion;
    let completes = f.submit(facts);
    f.place(&stops, &["tokyo-1/n-01"]);
    f.place(&completes, &["tokyo-1/n-01"]);
    let session = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
    let stale = Command::ExpireLease { node: node.clone(), session: SessionId([1; 16]) };
    f.accept(member("kanto"), stale);
    assert_eq!(
        f.state.usage(&stops.tenant, &CLASS.parse().unwrap()),
        2,
        "another session's end means nothing"
    );
    f.accept(member("kanto"), Command::ExpireLease { node: node.clone(), session });
    assert_eq!(f.state.usage(&stops.tenant, &CLASS.parse().unwrap()), 1);
    assert_eq!(f.state.job(&stops).unwrap().phase, JobPhase::Queued);
    assert_eq!(f.state.job(&completes).unwrap().phase, JobPhase::Placed);
    let late = f.submit(job("late", 1, 1, &["JP-13"]));
    let applied = f.place(&late, &["tokyo-1/n-01"]);
    assert_eq!(
        applied.outcome,
        Ok(Reply::Placed { granted: vec![], rejected: vec![(late, ErrorCode::NodeUnavailable)] })
    );
    let first = f.placements(&completes)[0];
    let applied = report(&mut f, &node, vec![(first, Phase::Running)]);
    assert_eq!(code(&applied), Some(ErrorCode::SessionStale));
}
