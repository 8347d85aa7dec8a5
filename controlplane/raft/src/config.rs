//! Timing and log keeping of a member, and what openraft is told.
//!
//! Must hold: a restarted leader never leads again without an election (see `RaftConfig::engine`); a member whose
//! log went back is never accepted as if it were new (R6).

use crate::error::StartError;
use crate::limit::{
    APPEND_ENTRIES, ENTRIES_KEPT, SNAPSHOT_AFTER, SNAPSHOT_CHUNK, SNAPSHOT_TIMEOUT, WRITE_ENTRIES,
};
use crate::platform::Platform;
use openraft::{Config, SnapshotPolicy};
use sekisho_fsm::entry::FEATURE_LEVEL;
use sekisho_types::id::ClusterId;
use std::time::Duration;

/// Heartbeat and election times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Leader to follower.
    pub heartbeat: Duration,
    /// Least silence before an election.
    pub election_min: Duration,
    /// Most silence before an election; also the leader's lease: it refuses writes once a quorum was silent so long.
    pub election_max: Duration,
}

impl Timing {
    /// Sites up to 25 ms apart: 100 ms heartbeats, elections after 500 to 1000 ms on top of the lease.
    pub const WAN: Self = Self {
        heartbeat: Duration::from_millis(100),
        election_min: Duration::from_millis(500),
        election_max: Duration::from_millis(1000),
    };

    /// One campus: 30 ms heartbeats, elections after 60 to 120 ms on top of the lease. A heartbeat asks
    /// nothing of a disk, so what has to pass within the lease is three round trips and a stall of the machine.
    pub const LAN: Self = Self {
        heartbeat: Duration::from_millis(30),
        election_min: Duration::from_millis(60),
        election_max: Duration::from_millis(120),
    };
}

/// Settings of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RaftConfig {
    /// Heartbeat and election times; the same on every member.
    pub timing: Timing,
    /// Entries between two snapshots.
    pub snapshot_after: u64,
    /// Entries kept behind a snapshot.
    pub entries_kept: u64,
    /// Highest feature level that this member knows. Lower than the program's own only to play an older one.
    pub feature_level: u32,
}

impl Default for RaftConfig {
    fn default() -> Self {
        Self {
            timing: Timing::WAN,
            snapshot_after: SNAPSHOT_AFTER,
            entries_kept: ENTRIES_KEPT,
            feature_level: FEATURE_LEVEL,
        }
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl RaftConfig {
    /// Committed entries that a peer may lack before its stream is ended: as many as the log ever has while nothing
    /// keeps it from being purged, and those of one snapshot interval more, in which a snapshot is made.
    pub(crate) fn lag_max(&self) -> u64 {
        self.snapshot_after.saturating_mul(2).saturating_add(self.entries_kept)
    }

    /// The openraft configuration.
    ///
    /// `enable_leader_restore` is off: with it on (its default) a leader that crashed after its followers, but not
    /// itself, had an entry on disk resumed leading in the same term and wrote another entry under the same log id
    /// (seen in simulation with honest disks). The price is one election after a leader's restart.
    pub(crate) fn engine<P: Platform>(&self, cluster: ClusterId) -> Result<Config, StartError> {
        let config = Config {
            cluster_name: cluster.to_string(),
            heartbeat_interval: ms(self.timing.heartbeat),
            election_timeout_min: ms(self.timing.election_min),
            election_timeout_max: ms(self.timing.election_max),
            // A member that cannot win must not raise everyone's term when it comes back.
            enable_pre_vote: Some(true),
            enable_leader_restore: Some(P::leader_restore()),
            // Not before the others have accepted its data directory (R6).
            enable_elect: false,
            allow_log_reversion: Some(false),
            max_payload_entries: APPEND_ENTRIES,
            max_append_entries: Some(WRITE_ENTRIES),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_after),
            max_in_snapshot_log_to_keep: self.entries_kept,
            replication_lag_threshold: self.snapshot_after.saturating_add(self.entries_kept),
            snapshot_max_chunk_size: u64::try_from(SNAPSHOT_CHUNK).unwrap_or(u64::MAX),
            // The default of 200 ms would cut every transfer of a real state.
            install_snapshot_timeout: ms(SNAPSHOT_TIMEOUT),
            backoff: "50ms 100ms 200ms ...1s".to_owned(),
            ..Config::default()
        };
        config.validate().map_err(|error| StartError::Config(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Native;

    #[test]
    fn the_dangerous_defaults_are_off() {
        for timing in [Timing::WAN, Timing::LAN] {
            let config = RaftConfig { timing, ..RaftConfig::default() };
            let engine = config.engine::<Native>(ClusterId([1; 16])).unwrap();
            assert_eq!(engine.enable_leader_restore, Some(false));
            assert_eq!(engine.enable_pre_vote, Some(true));
            assert_eq!(engine.allow_log_reversion, Some(false));
            assert!(engine.install_snapshot_timeout > 60_000);
        }
        let upside_down = Timing { election_max: Duration::from_millis(1), ..Timing::WAN };
        let config = RaftConfig { timing: upside_down, ..RaftConfig::default() };
        assert!(matches!(config.engine::<Native>(ClusterId([1; 16])), Err(StartError::Config(_))));
    }
}
