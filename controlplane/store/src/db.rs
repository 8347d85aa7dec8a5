//! Opening the two databases.
//!
//! Must hold: the log database is durable at every acknowledged write and is never silently cut in the middle (R1,
//! R7). RocksDB switches off the reuse of write-ahead files in the two recovery modes that refuse damage, and reuse is
//! worth 1.3 to 1.6 times the commits per second; so the log database recovers in point-in-time mode, and the store
//! refuses damage itself: [`wal`] looks for readable records behind an unreadable one before RocksDB opens, and
//! [`crate::mark::HighWater`] compares the end that RocksDB reached with the end known to have been synced, which is
//! also the last record that [`wal`] could read.
//! The data database writes most rows unsynced (the log can repeat them), so holes at its end are legal after a
//! power cut; its mark covers what was synced.

pub(crate) mod table;
pub(crate) mod wal;

use crate::error::{StoreError, StoreResult};
use crate::limit;
use rocksdb::{ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, LogLevel, Options};
use std::path::Path;

/// The engine's handle.
pub(crate) type Db = rocksdb::DBWithThreadMode<rocksdb::MultiThreaded>;

/// Column family of the log database.
pub(crate) const LOG_FAMILY: &str = "default";
/// Column families of the data database.
pub(crate) const AUDIT_RECORDS: &str = "audit_records";
pub(crate) const AUDIT_HASHES: &str = "audit_hashes";
pub(crate) const PAYLOADS: &str = "payloads";
pub(crate) const SNAPSHOTS: &str = "snapshots";
pub(crate) const NOTES: &str = "notes";
pub(crate) const HELD: &str = "held";
pub(crate) const JOURNAL: &str = "journal";
pub(crate) const EVIDENCE: &str = "evidence";

/// Column families that a directory of an earlier program lacks: made when they are, and they alone.
const ADDED: [&str; 3] = [HELD, JOURNAL, EVIDENCE];

/// Whether the database may be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Creation {
    /// First start, or one that was interrupted: create what is missing.
    Allowed,
    /// It was there before: anything missing is damage.
    Refused,
}

/// Opens the log database in `dir`, which [`wal::check_dir`] has found sound.
pub(crate) fn open_log(dir: &Path, creation: Creation) -> StoreResult<Db> {
    let mut options = common(creation);
    options.set_compression_type(DBCompressionType::None);
    options.set_recycle_log_file_num(limit::LOG_RECYCLED_FILES);
    options.set_max_write_buffer_number(3);
    open(
        dir,
        creation,
        &options,
        vec![ColumnFamilyDescriptor::new(LOG_FAMILY, family(limit::LOG_WRITE_BUFFER))],
    )
}

/// Opens the data database in `dir`.
pub(crate) fn open_data(dir: &Path, creation: Creation) -> StoreResult<Db> {
    let mut options = common(creation);
    options.set_max_total_wal_size(limit::DATA_WAL_BYTES);
    let families = [
        "default",
        AUDIT_RECORDS,
        AUDIT_HASHES,
        PAYLOADS,
        SNAPSHOTS,
        NOTES,
        HELD,
        JOURNAL,
        EVIDENCE,
    ];
    if creation == Creation::Refused && lacks_only_added(&options, dir, &families) {
        options.create_missing_column_families(true);
    }
    let families =
        families.map(|name| ColumnFamilyDescriptor::new(name, family(limit::DATA_WRITE_BUFFER)));
    open(dir, creation, &options, families.into())
}

/// Whether the database in `dir` is whole but for what programs of today added. One that cannot be listed is not: opening it
/// says why.
fn lacks_only_added(options: &Options, dir: &Path, families: &[&str]) -> bool {
    let Ok(there) = Db::list_cf(options, dir) else { return false };
    let lacking = families.iter().filter(|family| !there.iter().any(|known| known == *family));
    let mut lacking = lacking.peekable();
    lacking.peek().is_some() && lacking.all(|family| ADDED.contains(family))
}

fn open(
    dir: &Path,
    creation: Creation,
    options: &Options,
    families: Vec<ColumnFamilyDescriptor>,
) -> StoreResult<Db> {
    if creation == Creation::Refused && !dir.join("CURRENT").exists() {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        return Err(StoreError::damaged(format!(
            "database {name} is missing from the data directory"
        )));
    }
    Db::open_cf_descriptors(options, dir, families)
        .map_err(|e| StoreError::engine_at_open("opening a database", dir, e))
}

fn common(creation: Creation) -> Options {
    let mut options = Options::default();
    options.create_if_missing(creation == Creation::Allowed);
    options.create_missing_column_families(creation == Creation::Allowed);
    options.set_paranoid_checks(true);
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_max_background_jobs(2);
    options.set_max_open_files(256);
    // RocksDB's own text log: for support, bounded, nothing that is not a warning.
    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(4 << 20);
    options.set_keep_log_file_num(4);
    options.set_stats_dump_period_sec(0);
    options
}

fn family(write_buffer: usize) -> Options {
    let mut options = Options::default();
    options.set_write_buffer_size(write_buffer);
    options.set_compression_type(DBCompressionType::None);
    options
}
