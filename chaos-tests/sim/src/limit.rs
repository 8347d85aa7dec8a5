//! Times and bounds of a run, each with its reason. All times are virtual.

use std::time::Duration;

/// Trouble lasts so long: half a dozen elections with work between them.
pub(super) const TROUBLE: Duration = Duration::from_secs(8);

/// After everything healed, one leader and equal members within this: a stalled append stream is given up after two of
/// its five seconds, then an election, then a snapshot.
pub(super) const SETTLE: Duration = Duration::from_secs(30);

/// A run that is longer than this hangs.
pub(super) const WHOLE: Duration = Duration::from_secs(180);

/// A member whose disk failed says so within this (R7): the longest sync and the engine's own way to notice.
pub(super) const CONFESS: Duration = Duration::from_secs(8);

/// Longest time that a client waits for one intention before it goes on with the next.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Entries between snapshots: small, so that every run installs and restarts from some.
pub(super) const SNAPSHOT_AFTER: u64 = 60;

/// Entries kept behind a snapshot.
pub(super) const ENTRIES_KEPT: u64 = 20;

/// Lines of the trace that a failure shows.
pub(super) const TAIL: usize = 60;

/// Packets under way in one direction of one stream; a sender beyond it waits, as for a TCP window.
pub(super) const WINDOW: usize = 64;

/// Operations in one group of the log's disk.
pub(super) const GROUP: usize = 64;
