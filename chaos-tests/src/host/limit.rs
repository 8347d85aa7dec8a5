//! Times and bounds of the drill, each with its reason.

use std::time::Duration;

/// Between two looks at all processes. A look takes some milliseconds more; twenty together at most on an idle machine.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(8);

/// What the clock of the looks, and a machine on which others work, may add to L + G: a process that is killed in time is
/// seen for that long.
pub const MARGIN: Duration = Duration::from_millis(250);

/// After a thaw an old instance may run so long (P7).
pub const AFTER_THAW: Duration = Duration::from_millis(100);

/// An agent's kill comes this much before the end of the grace; a deadline's file says so, and that is judged, too.
pub(super) const BEFORE_GRACE_ENDS: Duration = Duration::from_millis(500);

/// A process is looked at again until it is so old: between fork and exec it still has its parent's environment.
pub(super) const YOUNG: Duration = Duration::from_secs(1);

/// Between two looks of the supervisor at its programs.
pub(super) const SUPERVISE_EVERY: Duration = Duration::from_millis(25);

/// Before an agent or a controller that ended is started again: what a service manager leaves between two starts.
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The same for a watchdog, which is started again at once.
pub(super) const WATCHDOG_AFTER: Duration = Duration::from_millis(100);

/// Between two looks at nodes and members through the command line: each starts two programs.
pub(super) const OBSERVE_EVERY: Duration = Duration::from_secs(2);

/// Between two submissions.
pub(super) const SUBMIT_EVERY: Duration = Duration::from_millis(900);

/// Jobs that are open at once: more than fourteen simulated GPUs hold, so that a device that is free is taken at once.
pub(super) const OPEN_JOBS: usize = 26;

/// Jobs of one submission.
pub(super) const BATCH: usize = 6;

/// Bytes of an agent's disk in memory: it takes work with a quarter of a gigabyte free, and memory is taken as it is filled.
pub(super) const DISK_BYTES: u64 = 512 * 1024 * 1024;

/// After everything healed: a lease, the wait for it, elections, and room for a machine on which others work.
pub const SETTLE: Duration = Duration::from_secs(120);

/// Faults between two draws of which kinds are on.
pub(super) const SWARM: u32 = 9;

/// Lines of violations that are kept; one is enough to fail.
pub(super) const VIOLATIONS: usize = 50;
