//! A leader that is cut off.

use super::cluster::Cluster;
use crate::error::{ProposeError, ReadError};
use sekisho_transport::deadline::Deadline;
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
