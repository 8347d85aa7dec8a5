//! Whether this member leads.
//!
//! Must hold: leadership is told only once an entry of this leadership is applied here, so that whoever begins a duty
//! reads everything that leaders before it did; it is taken back once a quorum was silent for a lease, even while
//! openraft still calls this member leader. Still a hint: an old leader may learn late that it is one.

use super::Core;
use crate::platform::Platform;
use crate::type_config::{TypeConfig, index};
use openraft::async_runtime::{Instant as _, WatchReceiver as _};
use openraft::{RaftMetrics, ServerState};
use sekisho_types::id::MemberId;
use sekisho_types::revision::Revision;
use std::sync::Weak;
use std::time::Duration;

/// Who leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderInfo {
    /// The leader.
    pub member: MemberId,
    /// Its term. Two leaders may share a term; (term, member) is unique.
    pub term: u64,
}

/// That this member leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leadership {
    /// Term of the leadership.
    pub term: u64,
    /// An entry of this leadership that is committed and applied here: the first one that was seen. Lease waits
    /// begin here.
    pub since: Revision,
}

/// Follows the engine until it or the member is gone.
pub(super) async fn watch<P: Platform>(core: Weak<Core<P>>, lease: Duration) {
    let sources = core.upgrade().map(|core| (core.raft.metrics(), core.raft.server_metrics()));
    let Some((mut metrics, mut server)) = sources else { return };
    let mut seen = None;
    loop {
        let leader = told(&metrics.borrow_watched());
        if leader.is_some() && leader != seen {
            // The first that is heard of after a start is no change.
            metrics::counter!("sekisho_raft_leader_changes_total")
                .increment(u64::from(seen.is_some()));
            seen = leader;
        }
        let now = leading(&metrics.borrow_watched(), lease);
        let Some(core) = core.upgrade() else { return };
        if core.closing() || core.publisher.failure().is_some() {
            core.leadership.send_replace(None);
            return;
        }
        let changed = core.leadership.send_if_modified(|current| merge(current, now));
        if changed {
            let leadership = *core.leadership.borrow();
            tracing::info!(?leadership, "leadership of this member changed");
        }
        drop(core);
        // Every entry changes the metrics. They are followed only until this leadership is told; then who leads is news,
        // and silence, which is no event: look twice a lease.
        let untold = now.is_none() && metrics.borrow_watched().state == ServerState::Leader;
        let news = async { if untold { metrics.changed().await } else { server.changed().await } };
        if matches!(P::within(P::deadline(lease / 2), news).await, Ok(Err(_))) {
            return;
        }
    }
}

/// Who leads in which term, as this member was told.
fn told<P: Platform>(metrics: &RaftMetrics<TypeConfig<P>>) -> Option<(u64, u64)> {
    Some((metrics.current_term, metrics.current_leader?))
}

/// Keeps the first `since` of one leadership.
fn merge(current: &mut Option<Leadership>, now: Option<Leadership>) -> bool {
    let same = current.map(|leadership| leadership.term) == now.map(|leadership| leadership.term);
    if !same {
        *current = now;
    }
    !same
}

fn leading<P: Platform>(
    metrics: &RaftMetrics<TypeConfig<P>>,
    lease: Duration,
) -> Option<Leadership> {
    let leader = metrics.vote.leader_id();
    if metrics.state != ServerState::Leader || leader.node_id != metrics.id {
        return None;
    }
    // Alone it is its own quorum; as a learner beside a single voter it is not.
    let alone = metrics.membership_config.membership().voter_ids().all(|id| id == metrics.id);
    let fresh = metrics.last_quorum_acked.is_some_and(|at| at.elapsed() < lease);
    if !alone && !fresh {
        return None;
    }
    let applied = metrics.last_applied.filter(|id| id.committed_leader_id() == leader)?;
    Some(Leadership { term: leader.term, since: Revision(index(&applied)) })
}
