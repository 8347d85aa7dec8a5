//! Bounds of the store, each with its reason.

/// Version of the layout of the data directory and of every stored value.
pub const FORMAT_VERSION: u8 = 1;

/// Entries kept in memory for readers, in bytes of payload. At 70,000 entries of 128 bytes a second this is about
/// seven seconds: a follower that keeps up, and apply, never read the disk.
pub const CACHE_BYTES: usize = 64 << 20;

/// Operations that may wait for the IO thread. More would only add latency: the submitter blocks instead.
pub const QUEUE_OPS: usize = 4096;

/// Payload bytes that may wait for the IO thread (memory bound L4); one operation larger than this still passes alone.
pub const QUEUE_BYTES: usize = 32 << 20;

/// Operations in one synced write. A disk sync costs 0.1 to 0.3 ms, so that this many share it without being felt.
pub const BATCH_OPS: usize = 1024;

/// Payload bytes in one synced write: 4 MiB take about 20 ms on a plain SSD, still far below a heartbeat.
pub const BATCH_BYTES: usize = 4 << 20;

/// Largest single log entry. Above the 64 KiB of a payload and of a command batch, far below what a batch may hold.
pub const ENTRY_BYTES: usize = 16 << 20;

/// Synced writes between two writes of the high-water mark (each is one more sync: under one percent of the load).
pub const MARK_EVERY: u32 = 128;

/// Quiet time after which the high-water mark is brought up to date, in milliseconds.
pub const MARK_IDLE_MS: u64 = 50;

/// Memtable of the log database, and so the size of one write-ahead file: large enough that a flush is rare, small
/// enough that checking all kept write-ahead files at open takes a fraction of a second.
pub const LOG_WRITE_BUFFER: usize = 32 << 20;

/// Write-ahead files kept for reuse: overwriting allocated blocks spares the file system's journal commit at each
/// sync (measured: 1.3 to 1.6 times the commits per second).
pub const LOG_RECYCLED_FILES: usize = 4;

/// Memtable of each column family of the data database.
pub const DATA_WRITE_BUFFER: usize = 16 << 20;

/// Bound of the write-ahead files of the data database: a rarely written column family must not keep them for ever.
pub const DATA_WAL_BYTES: u64 = 128 << 20;

/// Rows of a snapshot: no value is larger, so that no write batch or compaction holds a whole snapshot.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Snapshots kept: the newest, and the one before it for a transfer that is still running.
pub const SNAPSHOTS_KEPT: usize = 2;

/// Largest note. Most are signed checkpoints and similar small records; a trust package may have 2 MiB.
pub const NOTE_BYTES: usize = 4 << 20;

/// Longest name of a note in bytes.
pub const NOTE_NAME_BYTES: usize = 64;

/// Longest name of whose a payload is that stays in its area: a tenant's.
pub const HELD_OWNER_BYTES: usize = 128;

/// Largest entry of the journal of denials: what evidence allows for one.
pub const JOURNAL_ENTRY_BYTES: usize = 640;

/// Entries of the journal of denials that are kept: some 100 MB of usual ones, 350 MB of the largest. At the most that a
/// member writes down, six hours and a half; in a calm federation, years.
pub const JOURNAL_ENTRIES: u64 = 500_000;

/// Largest evidence of a fork: two signed notes of 4 KiB, a proof of 2 KiB, and who kept it when.
pub const EVIDENCE_BYTES: usize = 12 << 10;

/// Pieces of evidence that are kept. The first one tells everything; a member that signs forks without end must not fill
/// the disk of the others.
pub const EVIDENCE_ROWS: usize = 64;

/// Largest payload accepted: design bound 64 KiB for what a job runs, with room for its sealing.
pub const PAYLOAD_BYTES: usize = 128 << 10;
