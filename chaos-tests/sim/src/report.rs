//! What a run came to, counted, and the one line that runs it again.

use std::ops::AddAssign;
use std::time::Duration;

/// What happened in a run, counted: so that a run in which nothing happened does not pass for one that found nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Entries that were applied by somebody.
    pub committed: u64,
    /// Writes acknowledged to clients.
    pub acknowledged: u64,
    /// Tries whose outcome was unknown to the client.
    pub unknown: u64,
    /// Linearizable reads answered.
    pub reads: u64,
    /// States checked, one for each published position.
    pub states: u64,
    /// Leaders seen.
    pub leaders: u64,
    /// Members killed, together or one by one.
    pub crashes: u64,
    /// All members killed at once.
    pub blackouts: u64,
    /// Members that lost a group of log writes that was being synced.
    pub lost_groups: u64,
    /// Disks that answered EIO.
    pub failed_disks: u64,
    /// Of these, while entries were read: by a leader for a follower that lacks them, or at a start.
    pub failed_reads: u64,
    /// Cuts of the network.
    pub cuts: u64,
    /// Packets that arrived after their sender had given up.
    pub late: u64,
    /// Snapshots saved, by a member for itself or from another.
    pub snapshots: u64,
    /// Snapshots that a member took from another.
    pub installed: u64,
    /// Audit logs completed after that from another member.
    pub backfilled: u64,
    /// Packets that were meant to break something (planted bugs).
    pub tampered: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        let sums = [
            (&mut self.committed, other.committed),
            (&mut self.acknowledged, other.acknowledged),
            (&mut self.unknown, other.unknown),
            (&mut self.reads, other.reads),
            (&mut self.states, other.states),
            (&mut self.leaders, other.leaders),
            (&mut self.crashes, other.crashes),
            (&mut self.blackouts, other.blackouts),
            (&mut self.lost_groups, other.lost_groups),
            (&mut self.failed_disks, other.failed_disks),
            (&mut self.failed_reads, other.failed_reads),
            (&mut self.cuts, other.cuts),
            (&mut self.late, other.late),
            (&mut self.snapshots, other.snapshots),
            (&mut self.installed, other.installed),
            (&mut self.backfilled, other.backfilled),
            (&mut self.tampered, other.tampered),
        ];
        for (sum, more) in sums {
            *sum = sum.saturating_add(more);
        }
    }
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Members of the federation.
    pub members: u64,
    /// The same for every run of this seed and plan by this program.
    pub trace_hash: u64,
    /// Virtual time that it took.
    pub lasted: Duration,
    /// Promises that did not hold, the first ones. Empty is good.
    pub violations: Vec<String>,
    /// What happened.
    pub totals: Totals,
    /// The end of the trace, or all of it where the plan says so.
    pub trace: Vec<String>,
}

impl Report {
    /// Whether every promise held.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.violations.is_empty()
    }
}

/// Many runs.
#[derive(Debug, Clone, Default)]
pub struct Sweep {
    /// Runs made.
    pub runs: u64,
    /// All their counts.
    pub totals: Totals,
    /// Virtual time of all.
    pub lasted: Duration,
    /// Those that broke a promise, by seed; the first ones.
    pub failed: Vec<Report>,
}
