//! Programs of two ages in one federation: the feature level, and what stops whom.

use super::cluster::{Cluster, TIMING};
use crate::config::RaftConfig;
use crate::error::{LevelError, MemberFailure, StartError};
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::FEATURE_LEVEL;
use sekisho_types::revision::Revision;
use std::time::Duration;

/// What the programs of most members know here; the state begins at the level of this day.
const NEXT: u32 = FEATURE_LEVEL + 1;

/// Does what the leader's duty does, less its patience. Whether anything was to be done.
fn raise(cluster: &mut Cluster, leader: u64) -> Option<Revision> {
    let consensus = cluster.consensus(leader);
    let in_force = consensus.view().state.feature_level();
    let level = consensus.common_level().filter(|level| *level > in_force)?;
    let entry = cluster.by_member(Command::RaiseFeatureLevel { level });
    Some(cluster.propose(leader, entry).revision)
}

/// Waits until the leader knows what all programs know.
fn common(cluster: &Cluster, leader: u64) -> u32 {
    let consensus = cluster.consensus(leader);
    cluster.wait(async {
        loop {
            if let Some(level) = consensus.common_level() {
                return level;
            }
            // waits: for the others' headers, of which nobody is told
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
}

fn begun(levels: [u32; 3], config: RaftConfig) -> (Cluster, u64) {
    let mut cluster = Cluster::stopped(RaftConfig { timing: TIMING, ..config });
    cluster.levels = (1..).zip(levels).collect();
    cluster.boot();
    let first = cluster.bootstrap();
    let revision = cluster.propose(1, first).revision;
    cluster.converge(revision);
    let (leader, _) = cluster.leader(&[1, 2, 3]);
    (cluster, leader)
}

fn follower(cluster: &Cluster, leader: u64) -> u64 {
    cluster.ids().into_iter().find(|id| *id != leader).unwrap()
}

#[test]
fn an_older_program_keeps_the_level_down_until_it_is_replaced() {
    let (mut cluster, leader) = begun([FEATURE_LEVEL, NEXT, NEXT], RaftConfig::default());
    assert_eq!(common(&cluster, leader), FEATURE_LEVEL);
    assert_eq!(raise(&mut cluster, leader), None);
    // Together they work as before.
    for by in [1, 2, 3] {
        let site = cluster.site(&format!("mixed-{by}"));
        let last = cluster.propose(by, site).revision;
        cluster.converge(last);
    }
    assert_eq!(cluster.read(2).state.feature_level(), FEATURE_LEVEL);
    // Away it may come back as anything; replaced, it says what it knows at once.
    cluster.stop(1);
    cluster.levels.insert(1, NEXT);
    cluster.start(1);
    cluster.accepted(1);
    let (leader, _) = cluster.leader(&[1, 2, 3]);
    let consensus = cluster.consensus(leader);
    cluster.wait(async {
        while consensus.common_level() != Some(NEXT) {
            // waits: for the headers of a new program, of which nobody is told
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    drop(consensus);
    let raised = raise(&mut cluster, leader).unwrap();
    cluster.converge(raised);
    for id in [1, 2, 3] {
        assert_eq!(cluster.read(id).state.feature_level(), NEXT);
    }
    assert_eq!(raise(&mut cluster, leader), None);
    // Also after all have started anew.
    for id in [1, 2, 3] {
        cluster.crash(id);
    }
    (1..=3).for_each(|id| cluster.start(id));
    let site = cluster.site("afterwards");
    let last = cluster.propose(3, site).revision;
    cluster.converge(last);
}

#[test]
fn a_program_that_is_too_old_for_the_state_stops_and_says_so() {
    let (mut cluster, leader) = begun([NEXT; 3], RaftConfig::default());
    let behind = follower(&cluster, leader);
    cluster.stop(behind);
    assert_eq!(common(&cluster, leader), NEXT, "it was heard lately");
    let raised = raise(&mut cluster, leader).unwrap();
    let site = cluster.site("without");
    let last = cluster.propose(leader, site).revision;
    // As the older program, it meets the level in the log: nothing of it is published.
    cluster.levels.insert(behind, FEATURE_LEVEL);
    cluster.start(behind);
    let too_old = LevelError { in_force: NEXT, known: FEATURE_LEVEL };
    let consensus = cluster.consensus(behind);
    assert_eq!(cluster.wait(consensus.failed()), MemberFailure::Level(too_old));
    assert!(consensus.view().revision() < raised);
    assert!(too_old.to_string().contains("start a newer one"));
    drop(consensus);
    cluster.crash(behind);
    // The others go on; and so does it, with their program.
    cluster.levels.insert(behind, NEXT);
    cluster.start(behind);
    cluster.converge(last);
    let site = cluster.site("with");
    let last = cluster.propose(behind, site).revision;
    cluster.converge(last);
}

#[test]
fn a_state_above_its_program_is_refused_from_a_snapshot_too() {
    let config = RaftConfig { snapshot_after: 8, entries_kept: 2, ..RaftConfig::default() };
    let (mut cluster, leader) = begun([NEXT; 3], config);
    let behind = follower(&cluster, leader);
    assert_eq!(common(&cluster, leader), NEXT);
    cluster.stop(behind);
    raise(&mut cluster, leader).unwrap();
    let mut last = Revision::default();
    for at in 0..30 {
        let site = cluster.site(&format!("site-{at}"));
        last = cluster.propose(leader, site).revision;
    }
    let too_old = LevelError { in_force: NEXT, known: FEATURE_LEVEL };
    cluster.levels.insert(behind, FEATURE_LEVEL);
    cluster.start(behind);
    let consensus = cluster.consensus(behind);
    assert_eq!(cluster.wait(consensus.failed()), MemberFailure::Level(too_old));
    assert_eq!(consensus.view().state.site(&"site-0".parse().unwrap()), None);
    drop(consensus);
    cluster.crash(behind);
    // It lies on its disk now, and is found before the member speaks to anybody.
    let refused = cluster.try_start(behind);
    assert!(matches!(refused, Err(StartError::Level(error)) if error == too_old), "{refused:?}");
    cluster.levels.insert(behind, NEXT);
    cluster.start(behind);
    cluster.converge(last);
}
