//! openraft's numbers as ours. Positions are gauges: a log can be cut back, and nobody wants to see what it was.

use openraft::metrics::MetricsRecorder;
use std::sync::atomic::{AtomicU8, Ordering};

/// Bridges to the `metrics` crate.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    /// The state that was told last: openraft repeats it with every other number.
    state: AtomicU8,
}

/// `ServerState::Candidate` in openraft's numbering for recorders.
const CANDIDATE: u8 = 2;
/// `ServerState::Leader` in openraft's numbering for recorders.
const LEADER: u8 = 3;

fn size(entries: u64) -> f64 {
    u32::try_from(entries).unwrap_or(u32::MAX).into()
}

/// Exact to 2^53.
fn position(n: u64) -> f64 {
    let high = u32::try_from(n >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(n & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    f64::from(high).mul_add(4_294_967_296.0, f64::from(low))
}

impl MetricsRecorder for Recorder {
    fn record_apply_batch(&self, entries: u64) {
        metrics::histogram!("sekisho_raft_apply_entries").record(size(entries));
    }
    fn record_append_batch(&self, entries: u64) {
        metrics::histogram!("sekisho_raft_append_entries").record(size(entries));
    }
    fn record_write_batch(&self, entries: u64) {
        metrics::histogram!("sekisho_raft_write_entries").record(size(entries));
    }
    fn set_current_term(&self, term: u64) {
        metrics::gauge!("sekisho_raft_term").set(position(term));
    }
    fn set_last_log_index(&self, index: u64) {
        metrics::gauge!("sekisho_raft_last_log_index").set(position(index));
    }
    fn set_committed_index(&self, index: u64) {
        metrics::gauge!("sekisho_raft_committed_index").set(position(index));
    }
    fn set_applied_index(&self, index: u64) {
        metrics::gauge!("sekisho_raft_applied_index").set(position(index));
    }
    fn set_snapshot_index(&self, index: u64) {
        metrics::gauge!("sekisho_raft_snapshot_index").set(position(index));
    }
    fn set_purged_index(&self, index: u64) {
        metrics::gauge!("sekisho_raft_purged_index").set(position(index));
    }
    fn set_server_state(&self, state: u8) {
        metrics::gauge!("sekisho_raft_is_leader").set(f64::from(u8::from(state == LEADER)));
        let before = self.state.swap(state, Ordering::Relaxed);
        if before != state && state == CANDIDATE {
            metrics::counter!("sekisho_raft_elections_total").increment(1);
        }
    }
    fn increment_vote(&self) {
        metrics::counter!("sekisho_raft_votes_total").increment(1);
    }
    fn increment_heartbeat(&self) {
        metrics::counter!("sekisho_raft_heartbeats_total").increment(1);
    }
    fn increment_append(&self) {
        metrics::counter!("sekisho_raft_appends_total").increment(1);
    }
}
