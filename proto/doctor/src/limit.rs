//! Bounds of the checks, each with its reason.

use std::time::Duration;

/// One check. A disk that syncs a little file for longer has failed; a resolver gives up in this time.
pub const CHECK_WITHIN: Duration = Duration::from_secs(10);

/// What asks a GPU's driver: without its persistence daemon it wakes each device first, seconds for each of eight.
pub const DRIVER_WITHIN: Duration = Duration::from_secs(60);

/// One member: resolving, connecting, the handshake and one answer, one after the other.
pub const MEMBER_WITHIN: Duration = Duration::from_secs(9);

/// All members together. They are asked at once, so that one silent address costs what all do.
pub const MEMBERS_WITHIN: Duration = Duration::from_secs(12);

/// Members that are asked: as many as a channel has addresses, and a little more than a federation has.
pub const MEMBERS_MAX: usize = 32;

/// Synced writes of an agent: it writes its ledger a few times a minute.
pub const AGENT_SYNCS: usize = 8;

/// Synced writes of a controller: some dozens, so that the 99th of a hundred is not one outlier alone.
pub const CONTROLLER_SYNCS: usize = 64;

/// Bytes of each synced write: a page, as most entries are smaller than.
pub const SYNC_BYTES: usize = 4096;

/// Median above which a controller's disk is slow: three syncs stand in the way of a commit, and heartbeats of the wide
/// timing come every 250 ms.
pub const CONTROLLER_SYNC_SLOW: Duration = Duration::from_millis(20);

/// The same for an agent: a grant waits for one, and a lease of 15 s for none.
pub const AGENT_SYNC_SLOW: Duration = Duration::from_millis(250);

/// Free bytes below which a disk is about to stop its program: RocksDB compacts into fresh files, and an agent writes its
/// ledger anew each time.
pub const SPACE_OUT: u64 = 256 * MIB;

/// Share of the file system, in percent, below which room is short.
pub const SPACE_LOW_PERCENT: u64 = 10;

/// Free bytes above which a share is no matter: a tenth of a large disk is plenty.
pub const SPACE_PLENTY: u64 = 50 * 1024 * MIB;

/// Free inodes below which room for files is short.
pub const INODES_LOW: u64 = 10_000;

/// Free inodes below which the next write may fail: RocksDB and the directories of a placement take some dozens.
pub const INODES_OUT: u64 = 200;

/// A mebibyte.
pub const MIB: u64 = 1024 * 1024;

/// Oldest kernel: `pidfd_open` and `clone3` are of 5.3, `close_range` of 5.9, and 5.10 is the oldest one that is
/// still mended.
pub const KERNEL_LEAST: (u32, u32) = (5, 10);

/// Open files of a controller: a connection for each of some thousand agents, and RocksDB's tables.
pub const CONTROLLER_FILES: u64 = 16_384;

/// Open files of an agent: some for each placement, and as many again for probes.
pub const AGENT_FILES: u64 = 4096;

/// Process numbers of a GPU host: jobs of eight ranks with some hundred threads each, several at a time.
pub const PIDS_LEAST: u64 = 32_768;

/// Memory that has to be available for a controller: state, caches and a snapshot under way.
pub const CONTROLLER_MEMORY: u64 = 512 * MIB;

/// The same for an agent; its jobs have their own.
pub const AGENT_MEMORY: u64 = 128 * MIB;

/// Most that a synchronised clock may be off: half of what a member's clock may differ before it stops signing.
pub const CLOCK_LOOSE: Duration = Duration::from_millis(2500);

/// How far the state's clock may be ahead of a member's own (design, section 5), seconds.
pub const MEMBER_AHEAD: i64 = 5;

/// How far it may be behind, seconds.
pub const MEMBER_BEHIND: i64 = 15;

/// What a suspend is at least; less is the kernel's own rounding.
pub const SUSPEND_LEAST: Duration = Duration::from_secs(1);

/// How long a clock may take to move before it stands still.
pub const CLOCK_MOVES_WITHIN: Duration = Duration::from_millis(200);

/// What is left of a root or an issuer when its end is told: a ceremony of the companies takes weeks.
pub const AUTHORITY_ENDS: Duration = Duration::from_secs(60 * 86_400);

/// What is left of a registrar when its end is told: it lives a quarter, and a new one is a command and a copied directory.
pub const REGISTRAR_ENDS: Duration = Duration::from_secs(14 * 86_400);

/// Narrowest table.
pub const WIDTH_LEAST: u16 = 40;

/// Columns where no terminal says how many it has.
pub const WIDTH: u16 = 80;

/// Bytes of one of the kernel's files: `/proc/net/tcp` of a controller with ten thousand connections has 2 MiB.
pub const KERNEL_FILE_MAX: u64 = 16 * MIB;
