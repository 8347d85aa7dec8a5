//! Bounds of this crate, each with its reason.

use std::time::Duration;

/// Entries between two snapshots. A snapshot of a million jobs takes seconds of one core; replaying this many
/// entries takes under one.
pub const SNAPSHOT_AFTER: u64 = 50_000;

/// Entries kept behind a snapshot: a member that is being sent one under full load must find what follows it, although
/// the leader has saved newer ones meanwhile. About 100 MB of disk.
pub const ENTRIES_KEPT: u64 = 3 * SNAPSHOT_AFTER;

/// Entries in one append request.
pub const APPEND_ENTRIES: u64 = 1024;

/// Entries in one write of the log store; the store's own bounds are in bytes.
pub const WRITE_ENTRIES: u64 = 4096;

/// Entries that a member may lack and still be counted on as a voter: one append request, so that a commit that has to
/// wait for it waits for one round trip.
pub const CATCH_UP_MAX: u64 = APPEND_ENTRIES;

/// A member that acknowledged something within this time is heard: longer than an election between any two places in
/// Japan, shorter than anybody's patience with a change that cannot end.
pub const HEARD_LATELY: Duration = Duration::from_secs(3);

/// Bytes of entries in one append request, at least one entry: 10 ms at 1 Gbit/s, so that a heartbeat on the same
/// wire is not delayed.
pub const APPEND_BYTES: usize = 1 << 20;

/// Entries applied before the state is published and callers are answered.
pub const APPLY_ENTRIES: usize = 1024;

/// Bytes of entries applied before the state is published.
pub const APPLY_BYTES: usize = 4 << 20;

/// Entries of a batch that is applied where it arrives, on a worker of the runtime: a third of a millisecond, half of it
/// the check of their signatures.
pub const INLINE_ENTRIES: usize = 16;

/// Bytes of such a batch.
pub const INLINE_BYTES: usize = 16 << 10;

/// Recent entries kept decoded, so that replication and apply neither read nor decode again. In encoded bytes; decoded
/// they are a few times that. What falls out is still in the store's own cache.
pub const RECENT_BYTES: usize = 4 << 20;

/// Recent entries kept decoded, in number.
pub const RECENT_ENTRIES: usize = 8192;

/// Piece of a snapshot on the wire.
pub const SNAPSHOT_CHUNK: usize = 1 << 20;

/// Largest snapshot accepted. It is held in memory once while it is verified.
pub const SNAPSHOT_BYTES: u64 = 8 << 30;

/// Whole transfer and installation of a snapshot. A dead peer is noticed earlier by the transport.
pub const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(600);

/// Silence within a snapshot transfer after which the receiver gives up: its slot is for the next leader.
pub const SNAPSHOT_STALL: Duration = Duration::from_secs(30);

/// Audit records in one answer to a member that lacks them, bytes, at least one record.
pub const AUDIT_CHUNK: usize = 1 << 20;

/// Between two looks whether audit records are missing here: it happens once in a member's life.
pub const BACKFILL_LOOK: Duration = Duration::from_secs(1);

/// For one answer with audit records.
pub const BACKFILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest frame on the wire: the largest append request or snapshot chunk with room for its envelope.
pub const FRAME_BYTES: usize = 4 << 20;

/// Pause before an append stream that could not be opened is opened again; doubled with each failure.
pub const OPEN_PAUSE: Duration = Duration::from_millis(10);

/// Longest such pause: a member that returns waits no longer than this for its entries.
pub const OPEN_PAUSE_MAX: Duration = Duration::from_millis(500);

/// Opening an append stream. Longer than a handshake between any two places in Japan, shorter than an operator's
/// patience.
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(2);

/// Unanswered append requests older than this end the stream: a follower that syncs its disk slower is no use.
pub const APPEND_STALL: Duration = Duration::from_secs(5);

/// Whole answer to one call of another member: longer than a proposal may take, so that only what is stuck is given up.
pub const CALL_MAX: Duration = Duration::from_secs(15);

/// Points of the checkpoint ring: several minutes of placements at full load, in 1 MiB.
pub const CHECKPOINTS_KEPT: usize = 4096;

/// Changes of rows remembered for watches: over half a minute at 2,000 a second, so that a watcher finds its place again
/// after a hand-over and a dial. Under batches at full load it is a second or two; then a watcher lists again.
pub const CHANGES_KEPT: usize = 65_536;

/// Bytes of them, where names are long.
pub const CHANGES_BYTES: usize = 8 << 20;

/// Changes that a watcher copies at a time: apply waits for the lock no longer than that takes, about 100 µs.
pub const CHANGES_PIECE: usize = 1024;

/// What may be in flight in one lane, in units of [`IN_FLIGHT_UNIT`]: 8192 small proposals or 32 MiB. Beyond it a
/// proposal would only wait; it is refused and comes back.
pub const IN_FLIGHT: u32 = 8192;

/// The same for internal proposals (leases, ticks): users cannot fill this lane.
pub const IN_FLIGHT_PRIORITY: u32 = 1024;

/// Bytes of a proposal that cost one unit, besides one unit for itself.
pub const IN_FLIGHT_UNIT: usize = 4096;

/// Commands of a batch that cost one unit, besides: some bytes each, and a quarter of a single command's time in apply. A
/// lane full of batches is applied well within a proposal's deadline.
pub const IN_FLIGHT_BATCHED: usize = 4;

/// Between two claims to a member that accepted the one before: what was acknowledged within it cannot be missed in a
/// directory that was set back. Each costs the other one a synced write.
pub const CLAIM_EVERY: Duration = Duration::from_secs(10);

/// What a member last said of its program counts for so long: three claims.
pub const LEVEL_HEARD: Duration = Duration::from_secs(3 * CLAIM_EVERY.as_secs());

/// Before a member that did not answer a claim is asked again, once this one takes part without it.
pub const CLAIM_AGAIN: Duration = Duration::from_secs(1);

/// The same before it takes part: a restart waits for it.
pub const CLAIM_RETRY: Duration = Duration::from_millis(100);

/// For a claim to be answered: a dial, a look for twins and two synced writes.
pub const CLAIM_TIMEOUT: Duration = Duration::from_secs(3);

/// For the process at an address to say who it is: a dial between any two places in Japan.
pub const IDENTIFY_TIMEOUT: Duration = Duration::from_millis(500);

/// When an overloaded member may be asked again: the time to commit what is in flight.
pub const RETRY_AFTER: Duration = Duration::from_millis(100);

/// First pause before a transient refusal is tried again.
pub const RETRY_PAUSE: Duration = Duration::from_millis(5);

/// Longest pause before a transient refusal is tried again: below an election.
pub const RETRY_PAUSE_MAX: Duration = Duration::from_millis(100);

const _: () = assert!(
    ENTRIES_KEPT > SNAPSHOT_AFTER,
    "what follows a snapshot that is being sent must outlast the next one"
);
const _: () = assert!(
    CALL_MAX.as_millis() > sekisho_types::limit::PROPOSE_DEADLINE.as_millis(),
    "a proposal ends by its own deadline, which tells more"
);
const _: () = assert!(
    APPEND_BYTES + sekisho_types::limit::ENTRY_MAX < FRAME_BYTES && SNAPSHOT_CHUNK < FRAME_BYTES,
    "every request must fit its frame"
);
const _: () = assert!(
    sekisho_types::limit::ENTRY_MAX / IN_FLIGHT_UNIT < IN_FLIGHT_PRIORITY as usize,
    "the largest entry must fit either lane"
);
