//! Faults that openraft and its users have met, made to happen here (ADR 7). Each test names them.

use super::cluster::{Cluster, soon};
use super::ways::What;
use crate::type_config::{Proposal, index};
use openraft::errors::{ClientWriteError, RaftError};
use openraft::{ChangeMembers, RaftMetrics};
use sekisho_transport::deadline::Deadline;
use sekisho_types::id::MemberId;
use sekisho_types::revision::Revision;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// What must not wait for a peer that hangs ends within this, also on a machine that compiles meanwhile.
const SOON: Duration = Duration::from_secs(10);

fn write(cluster: &mut Cluster, by: u64, names: &str, many: u64) -> Revision {
    let mut last = Revision::default();
    for at in 0..many {
        let site = cluster.site(&format!("{names}-{at}"));
        last = cluster.propose(by, site).revision;
    }
    last
}

fn voters(cluster: &Cluster, of: u64) -> BTreeSet<u64> {
    cluster.consensus(of).membership().voters().into_iter().map(|id| id.0).collect()
}

/// openraft #1761: responders of a former leader's writes were left at a purge. #1808: an overruled membership stayed
/// in force behind a snapshot.
#[test]
fn what_a_former_leader_left_behind_is_answered_and_forgotten() {
    let mut cluster = Cluster::with_snapshots(8, 2).begun();
    let (leader, _) = cluster.leader(&[1, 2, 3]);
    let others: Vec<u64> = [1, 2, 3].into_iter().filter(|id| *id != leader).collect();
    let consensus = cluster.consensus(leader);
    let engine = consensus.engine().clone();
    // In its own log and in nobody else's: two entries and half of a change of voters.
    others.iter().for_each(|to| cluster.ways.hold(leader, *to, &[What::Entries]));
    let (raw, kept) = (cluster.site("raw"), cluster.site("kept"));
    let (asked, proposal) = (engine.clone(), Proposal::new(raw).unwrap());
    let raw = cluster.beside(async move { asked.client_write(proposal).await });
    let kept = cluster.beside(async move { consensus.propose(kept, soon()).await });
    let two = ChangeMembers::ReplaceAllVoters([leader, others[0]].into());
    let change = cluster.beside(async move { engine.change_membership(two, true).await });
    let half = cluster.shows(leader, "half of a change", |m| {
        m.membership_config.membership().get_joint_config().len() == 2
    });
    let limbo = half.last_log_index.unwrap();
    cluster.isolate(leader);
    let (next, _) = cluster.leader(&others);
    let last = write(&mut cluster, next, "after", 40);
    let past_limbo = |m: &RaftMetrics<_>| m.purged.as_ref().is_some_and(|at| index(at) > limbo);
    cluster.shows(next, "purged past what is in limbo", past_limbo);
    cluster.ways.release();
    cluster.heal(leader);
    let healed = Instant::now();
    // openraft's own caller: overruled, or told that nobody knows.
    let raw = cluster.wait(raw).unwrap();
    let known = |error: &ClientWriteError<_>| {
        use ClientWriteError::{ForwardToLeader, LogEntryDiscarded};
        matches!(error, ForwardToLeader(_) | LogEntryDiscarded(_))
    };
    assert!(matches!(&raw, Err(RaftError::APIError(error)) if known(error)), "{raw:?}");
    cluster.wait(change).unwrap().unwrap_err();
    // Ours: asked again under its id, and so done once.
    let kept = cluster.wait(kept).unwrap().unwrap();
    assert!(healed.elapsed() < SOON && kept.outcome.is_ok(), "{:?}", healed.elapsed());
    cluster.converge(last.max(kept.revision));
    cluster.shows(leader, "overruled by a snapshot", past_limbo);
    for id in [1, 2, 3] {
        assert_eq!(voters(&cluster, id), [1, 2, 3].into());
        assert!(!cluster.consensus(id).membership().joint);
    }
    assert!(cluster.read(leader).state.site(&"raw".parse().unwrap()).is_none());
}

/// openraft #1829: a snapshot asked for while one was being made was noted as tried, and an idle member made none any
/// more.
#[test]
fn a_snapshot_asked_for_at_any_moment_keeps_none_from_being_made() {
    let mut cluster = Cluster::with_snapshots(8, 2).begun();
    let (leader, _) = cluster.leader(&[1, 2, 3]);
    for at in 0..20 {
        for id in [1, 2, 3] {
            let consensus = cluster.consensus(id);
            drop(cluster.beside(async move { consensus.trigger_snapshot().await }));
        }
        write(&mut cluster, leader, &format!("site-{at}"), 1);
    }
    // Idle from here on: nothing else will ask.
    for id in [1, 2, 3] {
        cluster.shows(id, "what is due is made, and the log purged", |m| {
            let snapshot = m.snapshot.as_ref().map_or(0, index);
            let purged = m.purged.as_ref().map_or(0, index);
            m.last_log_index.is_some_and(|end| end <= snapshot + 8 && end <= purged + 8 + 2)
        });
    }
}

/// openraft #1747: reads kept a transfer of leadership from ending, and with it every write.
#[test]
fn reads_hold_up_no_hand_over() {
    let mut cluster = Cluster::new().begun();
    let (leader, _) = cluster.leader(&[1, 2, 3]);
    let (hangs, other) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let readers = [leader, leader, other, other].map(|id| {
        let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
        let consensus = cluster.consensus(id);
        cluster.beside(async move {
            while !stop.load(Ordering::Relaxed) {
                let read = consensus.read_index(Deadline::after(SOON)).await;
                read.unwrap();
                answered.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    // To a member that does not even take the call: nobody leads until an election.
    for one in [leader, other] {
        cluster.ways.hold(one, hangs, &What::ALL);
        cluster.ways.hold(hangs, one, &What::ALL);
    }
    let begun = Instant::now();
    cluster.wait(cluster.consensus(leader).transfer_leader(MemberId(hangs)));
    write(&mut cluster, other, "after", 1);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    cluster.ways.release();
    // And to one that can take it.
    let (now, _) = cluster.leader(&[1, 2, 3]);
    let to = MemberId(now % 3 + 1);
    let begun = Instant::now();
    let consensus = cluster.consensus(now);
    let ready = async {
        while consensus.membership().lacks(to).is_some() {
            // waits: until one that hung is heard again, which is no event
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        consensus.hand_over(to, soon()).await
    };
    assert_eq!(cluster.wait(ready).unwrap().member, to);
    let before = answered.load(Ordering::Relaxed);
    let last = write(&mut cluster, leader, "under-the-next", 1);
    assert!(begun.elapsed() < 2 * SOON, "{:?}", begun.elapsed());
    cluster.converge(last);
    stop.store(true, Ordering::Relaxed);
    // Each ended with an answer.
    readers.into_iter().for_each(|reader| cluster.wait(reader).unwrap());
    assert!(answered.load(Ordering::Relaxed) > before);
}

/// openraft #1810: a follower whose link hung froze the engine at a change of members.
#[test]
fn a_change_of_members_waits_for_nobody_who_hangs() {
    let mut cluster = Cluster::new().begun();
    let (leader, before) = cluster.leader(&[1, 2, 3]);
    // Not the first, by whom the test decides.
    let hangs = if leader == 3 { 2 } else { 3 };
    for from in 1..=4 {
        cluster.ways.hold(from, hangs, &What::ALL);
    }
    let begun = Instant::now();
    cluster.admit(4, usize::try_from(hangs).unwrap() - 1);
    cluster.settle();
    cluster.set_voter(4, true);
    let now = cluster.settle();
    assert_eq!((now.voters().len(), now.joint), (4, false));
    cluster.remove(hangs);
    let now = cluster.settle();
    assert_eq!((now.voters().len(), now.members.len()), (3, 3));
    assert!(begun.elapsed() < 2 * SOON, "{:?}", begun.elapsed());
    assert_eq!(cluster.leader(&[leader]).1, before);
    cluster.crash(hangs);
    cluster.ways.release();
    let last = write(&mut cluster, 1, "after", 1);
    cluster.converge(last);
}

/// openraft #808: neither a removal nor a shutdown waits for a snapshot that is under way.
#[test]
fn a_member_goes_and_a_leader_stops_while_a_snapshot_hangs() {
    let mut cluster = Cluster::with_snapshots(8, 2).begun();
    write(&mut cluster, 1, "before", 20);
    for (from, to) in [1, 2, 3].into_iter().flat_map(|from| [(from, 4), (from, 5)]) {
        cluster.ways.hold(from, to, &[What::Snapshots]);
    }
    let (leader, _) = cluster.leader(&[1, 2, 3]);
    cluster.admit(4, 1);
    cluster.settle();
    cluster.wait(cluster.ways.stuck(leader, 4, What::Snapshots));
    let begun = Instant::now();
    cluster.remove(4);
    let now = cluster.settle();
    assert_eq!((now.members.len(), cluster.consensus(4).view().applied), (3, None));
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    cluster.crash(4);
    cluster.admit(5, 2);
    cluster.settle();
    cluster.wait(cluster.ways.stuck(leader, 5, What::Snapshots));
    let begun = Instant::now();
    cluster.stop(leader);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let others: Vec<u64> = [1, 2, 3].into_iter().filter(|id| *id != leader).collect();
    cluster.leader(&others);
    cluster.ways.release();
    let last = write(&mut cluster, others[0], "after", 1);
    cluster.converge(last);
}
