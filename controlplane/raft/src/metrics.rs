//! openraft's numbers as ours. Positions only ever grow, so they are counters set to their value.

use openraft::metrics::MetricsRecorder;

/// Bridges to the `metrics` crate.
#[derive(Debug)]
pub(crate) struct Recorder;

/// `ServerState::Leader` in openraft's numbering for recorders.
const LEADER: u8 = 3;

fn size(entries: u64) -> f64 {
    u32::try_from(entries).unwrap_or(u32::MAX).into()
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
        metrics::counter!("sekisho_raft_terms_total").absolute(term);
    }
    fn set_last_log_index(&self, index: u64) {
        metrics::counter!("sekisho_raft_log_entries_total").absolute(index);
    }
    fn set_committed_index(&self, index: u64) {
        metrics::counter!("sekisho_raft_committed_index_total").absolute(index);
    }
    fn set_applied_index(&self, index: u64) {
        metrics::counter!("sekisho_raft_applied_index_total").absolute(index);
    }
    fn set_snapshot_index(&self, index: u64) {
        metrics::counter!("sekisho_raft_snapshot_index_total").absolute(index);
    }
    fn set_purged_index(&self, index: u64) {
        metrics::counter!("sekisho_raft_purged_index_total").absolute(index);
    }
    fn set_server_state(&self, state: u8) {
        metrics::gauge!("sekisho_raft_is_leader").set(f64::from(u8::from(state == LEADER)));
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
