//! A leader that is cut off.

use super::cluster::{Cluster, soon};
use super::ways::What;
use crate::error::{ProposeError, ReadError};
use crate::type_config::index;
use sekisho_transport::deadline::Deadline;
use sekisho_types::revision::Revision;
use std::time::Duration;

#[test]
fn an_isolated_leader_stops_and_all_converge_after_healing() {
    let mut cluster = Cluster::new();
    let first = cluster.bootstrap();
    cluster.propose(1, first);
    let (old, before) = cluster.leader(&[1, 2, 3]);
    let others: Vec<u64> = [1, 2, 3].into_iter().filter(|id| *id != old).collect();
    cluster.isolate(old);

    // Still within its lease it takes the entry, but cannot know what becomes of it.
    let site = cluster.site("limbo");
    let unknown = cluster.try_propose(old, site.clone(), Duration::from_millis(200));
    assert_eq!(unknown, Err(ProposeError::OutcomeUnknown));

    // Then it takes nothing any more, reads nothing as linearizable, and knows that it does not lead.
    let mut leadership = cluster.consensus(old).leadership();
    cluster.wait(leadership.wait_for(Option::is_none)).unwrap();
    let late = cluster.site("late");
    let refused = cluster.try_propose(old, late, Duration::from_millis(500));
    assert_eq!(refused, Err(ProposeError::NoLeader));
    let consensus = cluster.consensus(old);
    let deadline = Deadline::after(Duration::from_millis(500));
    let refused = cluster.wait(consensus.read_index(deadline));
    assert!(matches!(refused, Err(ReadError::NoLeader)), "{refused:?}");

    let (new, after) = cluster.leader(&others);
    assert!(new != old && (after.term, new) > (before.term, old));
    let site_after = cluster.site("after");
    let revision = cluster.propose(others[0], site_after).revision;

    cluster.heal(old);
    cluster.converge(revision);
    // The unknown one gets its answer by its request id, whatever became of it.
    let committed = cluster.propose(old, site.clone());
    assert_eq!(cluster.propose(new, site), committed);
    cluster.converge(committed.revision);
    let limbo = cluster.read(old);
    assert!(limbo.state.site(&"limbo".parse().unwrap()).is_some());
    assert!(limbo.state.site(&"late".parse().unwrap()).is_none());
}

#[test]
fn a_cut_off_minority_costs_no_service_and_raises_no_term() {
    let mut cluster = Cluster::new();
    let first = cluster.bootstrap();
    cluster.propose(1, first);
    let (leader, before) = cluster.leader(&[1, 2, 3]);
    let away = leader % 3 + 1;
    cluster.isolate(away);
    // Written to without it, until it has wanted an election several times over.
    let begun = Deadline::after(Duration::from_secs(3));
    let mut at = 0_u64;
    let last = loop {
        at += 1;
        let site = cluster.site(&format!("site-{at}"));
        let committed = cluster.propose(leader, site);
        if begun.passed() {
            break committed.revision;
        }
    };
    cluster.heal(away);
    cluster.converge(last);
    // Pre-vote: it did not disturb the leader by a higher term.
    assert_eq!(cluster.leader(&[leader]).1, before);
}

/// It stands still with its connections open, so no call to it fails: what a successor can do is not left to the deadline.
#[test]
fn calls_that_a_frozen_leader_holds_are_answered_by_its_successor() {
    let mut cluster = Cluster::new();
    let first = cluster.bootstrap();
    let revision = cluster.propose(1, first).revision;
    cluster.converge(revision);
    let (old, _) = cluster.leader(&[1, 2, 3]);
    let asked = old % 3 + 1;
    let frozen = cluster.freeze(old);
    let (writer, reader) = (cluster.consensus(asked), cluster.consensus(asked));
    let site = cluster.site("meanwhile");
    // Long after the election, and before any connection is given up for dead.
    let deadline = Deadline::after(Duration::from_secs(8));
    let written = cluster.beside(async move { writer.propose(site, deadline).await });
    let read = cluster.beside(async move { reader.read_index(deadline).await.map(drop) });
    let committed = cluster.wait(written).unwrap().unwrap();
    assert!(committed.outcome.is_ok(), "{committed:?}");
    cluster.wait(read).unwrap().unwrap();
    drop(frozen);
    cluster.converge(committed.revision);
}

/// openraft counts an answer also for what was asked after it was given, if that ends at the same entry: here for the news
/// that the entry is committed. The network holds two answers to an entry; who led then is cut off, and another one leads
/// and writes; then the answers come. The first commits the entry, the second seems to say that the news of it came at its
/// voter, and so that this leader leads still.
#[test]
fn answers_that_the_network_held_confirm_nobody() {
    let mut cluster = Cluster::new();
    let first = cluster.bootstrap();
    let revision = cluster.propose(1, first).revision;
    cluster.converge(revision);
    let (old, _) = cluster.leader(&[1, 2, 3]);
    let others: Vec<u64> = [1, 2, 3].into_iter().filter(|id| *id != old).collect();
    others.iter().for_each(|to| cluster.ways.hold(old, *to, &[What::Answers]));
    let (consensus, held) = (cluster.consensus(old), cluster.site("held"));
    let writing = cluster.beside(async move { consensus.propose(held, soon()).await });
    for to in &others {
        cluster.shows(*to, "the entry", |m| m.last_log_index > Some(revision.0));
        cluster.ways.hold(old, *to, &What::ALL);
        cluster.ways.hold(*to, old, &What::ALL);
    }
    let (next, _) = cluster.leader(&others);
    let after = cluster.site("after");
    let after = cluster.propose(next, after).revision;

    let consensus = cluster.consensus(old);
    let reading = cluster.beside(async move {
        let read = consensus.read_index(soon()).await;
        read.map(|view| view.revision())
    });
    // Nobody is told when a read begins; what it asks of the engine comes before this.
    cluster.wait(cluster.consensus(old).engine().with_raft_state(|_| ())).unwrap();
    cluster.ways.let_go(old, others[0], What::Answers);
    cluster.wait(cluster.ways.stuck(old, others[1], What::Entries));
    cluster.ways.let_go(old, others[1], What::Answers);
    let held = cluster.wait(writing).unwrap().unwrap().revision;
    cluster.shows(old, "both answers", |m| {
        let matched = m.replication.as_ref().and_then(|of| of[&others[1]]);
        matched.is_some_and(|matched| index(&matched) >= held.0)
    });
    cluster.ways.release();
    let read: Revision = cluster.wait(reading).unwrap().unwrap();
    assert!(held < after && after <= read, "{read} is read where {after} was written before");
}
