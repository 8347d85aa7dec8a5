//! Every bound of this crate, with its reason. A value over a bound is refused, never cut short in silence.

use std::time::Duration;

/// Bytes of a placement key: it names a directory (255 at most) and leaves room for suffixes.
pub const KEY_BYTES_MAX: usize = 128;
/// Bytes of a device id: a MIG id of NVML is 40 bytes, and older ones were longer.
pub const UUID_BYTES_MAX: usize = 96;
/// Bytes of a device class: it is one DNS label.
pub const CLASS_BYTES_MAX: usize = 63;
/// Devices of one placement: no host on the market carries more, MIG slices included.
pub const DEVICES_MAX: usize = 256;
/// Bytes of what the runtime sends to a shim: a payload plus devices and paths.
pub const SPEC_BYTES_MAX: usize = 512 * 1024;
/// Bytes of a record in a placement directory: ids, numbers and one reason.
pub const RECORD_BYTES_MAX: u64 = 4096;
/// Bytes of a reason kept in a record, so that a record always fits its bound.
pub const REASON_BYTES_MAX: usize = 1024;

/// Time between the request to stop and the kill (G of the lease arithmetic).
pub const GRACE_DEFAULT: Duration = Duration::from_secs(5);
/// Longest grace that may be asked for: longer, and a drain would look like a hang.
pub const GRACE_MAX: Duration = Duration::from_secs(600);
/// How long after the grace the runtime waits for the shim to have killed the job before it kills the shim.
pub const GRACE_MARGIN: Duration = Duration::from_millis(200);
/// Longest time limit: a year. It keeps deadline arithmetic far from overflow.
pub const TIME_LIMIT_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// How long a shim may take from its spawn to the running job.
pub const START_WITHIN: Duration = Duration::from_secs(10);
/// How long a job may go on with neither agent nor watchdog: a supervisor starts one of them again within a second, and what
/// nobody renews, watches or tells must not run.
pub const UNGUARDED_MAX: Duration = Duration::from_secs(2);
/// How often a shim looks for a guard while there is none.
pub const UNGUARDED_LOOK: Duration = Duration::from_millis(100);
/// How long an outer shim may take to record an end whose init is dead before it is killed, too: it syncs a file. One that
/// stands still would keep devices locked for ever.
pub const RECORD_WITHIN: Duration = Duration::from_secs(5);
/// How often the death of a process that is not our child is looked at.
pub const CONFIRM_EVERY: Duration = Duration::from_millis(5);

/// Between two looks of the watchdog at what has outlived its lease, and at most until the next deadline is read.
pub const WATCH_EVERY: Duration = Duration::from_millis(500);

/// Placements one runtime holds, ended ones included until they are forgotten.
pub const PLACEMENTS_MAX: usize = 512;
/// Requests waiting for the supervisor thread; more is answered "busy".
pub const COMMANDS_MAX: usize = 256;
/// Exit events waiting for their reader; more are dropped, and `observe` still tells.
pub const EVENTS_MAX: usize = 512;

/// Bytes kept of each of a job's output streams where the settings name no other number: the newest; a training run that
/// prints a line a second fills it in a week.
pub const LOG_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
/// Least of them: a segment of it still holds a stack trace of every rank.
pub const LOG_BYTES_MIN: u64 = 1024 * 1024;
/// Most: two streams of each placement that is kept must fit on a system disk.
pub const LOG_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Files in which they are kept. The oldest is removed whole, so that much of the bound may be free.
pub const LOG_SEGMENTS: u64 = 8;
/// Bytes of one answer to a log reader.
pub const TAIL_BYTES_MAX: usize = 1024 * 1024;

/// Longest pause before a job's program is begun anew: longer, and its GPUs stand idle for nothing.
pub const RESTART_PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Period of a limit on processors, microseconds: the kernel's own.
pub const CPU_PERIOD_US: u64 = 100_000;
/// Processes and threads of a job where the settings name no other number: a full host of 8 devices with data loaders has
/// some thousands; a fork bomb reaches this one, and the host's other jobs do not notice.
pub const PIDS_DEFAULT: u64 = 16_384;
/// Least of them that the settings may name: an interpreter with its threads.
pub const PIDS_MIN: u64 = 16;
/// How often the removal of a cgroup is tried, [`CONFIRM_EVERY`] apart, before it is left to the next sweep.
pub const CGROUP_REMOVE_TRIES: u32 = 40;
/// Bytes of a file system that covers a directory: it holds a few empty directories.
pub const COVER_BYTES: u64 = 1 << 20;
/// Directories that the settings may hide from jobs: the agent's own, and some of the installer's.
pub const HIDDEN_MAX: usize = 32;

/// Open files of a job: collective libraries open thousands of sockets.
pub const NOFILE_MAX: u64 = 65_536;
/// Processes and threads of the job's user. The kernel does not apply it to root.
pub const NPROC_MAX: u64 = 16_384;

/// Bytes of one device's trace that the checker reads.
pub const TRACE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// MIG instances of one simulated device: more than a real one has.
pub const INSTANCES_MAX: u32 = 16;
/// Simulated devices of one host.
pub const SIMULATED_MAX: u32 = 4096;
/// How long a probe of a real device may take: creating the first context on a large host takes seconds.
pub const PROBE_WITHIN: Duration = Duration::from_secs(60);
/// Bytes of the probe child's answer that are read.
pub const PROBE_BYTES_MAX: u64 = 16 * 1024;
