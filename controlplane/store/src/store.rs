//! Opening a data directory: the order of steps that makes it safe.
//!
//! Lock, marker, log database, data database, boot count. The boot count is written last: while it is absent a creation
//! may be finished, afterwards nothing may be missing (R6).

use crate::audit::{AuditTable, Hash};
use crate::data::Data;
use crate::db::{self, Creation, Db, wal};
use crate::error::{Failure, StoreError, StoreResult};
use crate::evidence::EvidenceTable;
use crate::file;
use crate::held::HeldTable;
use crate::journal::JournalTable;
use crate::limit::CACHE_BYTES;
use crate::log::{LoadedLog, LogStore};
use crate::mark::HighWater;
use crate::marker::{self, Marker, Member};
use crate::note::NoteTable;
use crate::payload::{Digest, PayloadTable};
use crate::snapshot::SnapshotTable;
use rocksdb::WriteBatch;
use sekisho_types::time::Clock;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const LOCK_FILE: &str = "lock";
pub(crate) const LOG_DIR: &str = "log";
pub(crate) const DATA_DIR: &str = "data";
pub(crate) const LOG_MARK: &str = "log.mark";
pub(crate) const DATA_MARK: &str = "data.mark";

/// What to open, and as whom.
#[derive(Debug, Clone)]
pub struct OpenRequest {
    /// The data directory; created if it may be.
    pub dir: PathBuf,
    /// Who the caller is.
    pub member: Member,
    /// The present wall time in milliseconds since 1970 if an empty directory may be set up for `member`; `None` if
    /// this member is known to have data (its loss is then refused as `MarkerError::Missing`).
    pub create_at_ms: Option<u64>,
    /// For timings only.
    pub clock: Arc<dyn Clock>,
}

/// The numbers that peers keep for this member (R6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Drawn when the data directory was set up; copies share it.
    pub directory: [u8; 16],
    /// Opens of this data directory, this one included.
    pub boot_seq: u64,
    /// The highest log index ever durable here.
    pub durable_log_index: Option<u64>,
}

/// An open data directory. Held until it and all handles of its log are dropped.
#[derive(Debug)]
pub struct Store {
    marker: Marker,
    boot_seq: u64,
    failure: Arc<Failure>,
    log: LogStore,
    audit: AuditTable,
    payloads: PayloadTable,
    snapshots: SnapshotTable,
    notes: NoteTable,
    held: HeldTable,
    journal: JournalTable,
    evidence: EvidenceTable,
    /// Last field: released after the databases.
    _lock: File,
}

impl Store {
    /// Opens the data directory, or sets up an empty one. Blocks; takes seconds after a crash.
    ///
    /// # Errors
    /// `Locked`; `Marker` if the directory is not this member's; `Damaged`; `Io`, `Engine`, `Full`.
    pub fn open(request: &OpenRequest) -> StoreResult<Self> {
        Self::open_with(request, CACHE_BYTES)
    }

    pub(crate) fn open_with(request: &OpenRequest, cache_bytes: usize) -> StoreResult<Self> {
        let dir = &request.dir;
        if request.create_at_ms.is_some() {
            file::create_dir(dir)?;
        }
        if !dir.is_dir() {
            return Err(marker::MarkerError::Missing.into());
        }
        let lock = lock(dir)?;
        let marker = marker::claim(dir, &request.member, request.create_at_ms)?;
        let boots = marker::boot_seq(dir)?;
        let creation = if boots == 0 { Creation::Allowed } else { Creation::Refused };
        let failure = Arc::new(Failure::default());

        let (loaded, log_mark) = open_log(dir, creation, &failure)?;
        let data_mark = known_mark(dir, DATA_MARK, DATA_DIR, creation)?;
        let data_db = Arc::new(db::open_data(&dir.join(DATA_DIR), creation)?);
        let data_mark =
            data_mark.map_or_else(|| HighWater::create(dir, DATA_MARK, DATA_DIR), Ok)?;
        let data_mark = checked_mark(data_mark, &data_db)?;
        let data = Arc::new(Data::new(data_db, Arc::clone(&failure), data_mark));
        let audit = AuditTable::open(&data)?;
        let snapshots = SnapshotTable::open(&data)?;
        let (payloads, notes) = (PayloadTable::open(&data), NoteTable::open(&data));
        let held = HeldTable::open(&data);
        let (journal, evidence) = (JournalTable::open(&data)?, EvidenceTable::open(&data)?);

        let boot_seq = boots.saturating_add(1);
        marker::set_boot_seq(dir, boot_seq)?;
        let log = loaded.start(log_mark, Arc::clone(&request.clock), cache_bytes)?;
        tracing::info!(dir = %dir.display(), boot_seq, last = ?log.last_index(), "data directory opened");
        Ok(Self {
            marker,
            boot_seq,
            failure,
            log,
            audit,
            payloads,
            snapshots,
            notes,
            held,
            journal,
            evidence,
            _lock: lock,
        })
    }

    /// Whose directory this is.
    #[must_use]
    pub fn marker(&self) -> &Marker {
        &self.marker
    }

    /// The numbers for the peers (R6); the log index moves.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let (directory, boot_seq) = (self.marker.directory, self.boot_seq);
        Identity { directory, boot_seq, durable_log_index: self.log.durable_log_index() }
    }

    /// `Err` once any part of the store has failed (R7).
    ///
    /// # Errors
    /// `Failed` with the first error.
    pub fn check(&self) -> StoreResult<()> {
        self.failure.check()
    }

    /// Whether writes to the tables are slowed down or stopped now, because compaction does not keep up.
    #[must_use]
    pub fn would_wait(&self) -> bool {
        self.audit.would_wait()
    }

    /// Writes what a batch of applied entries has left in one write, whole or not at all: audit records and hashes,
    /// each from an index on as in [`AuditTable::append`]; payloads to keep; then payloads to forget. Not synced: the
    /// log can repeat it.
    ///
    /// # Errors
    /// As [`AuditTable::append`] and [`PayloadTable::put`]; nothing is written then.
    pub fn apply(
        &self,
        records: (u64, &[Vec<u8>]),
        hashes: (u64, &[Hash]),
        keep: &[(Digest, &[u8])],
        forget: &[Digest],
    ) -> StoreResult<()> {
        let mut batch = WriteBatch::default();
        for (digest, bytes) in keep {
            self.payloads.put_into(&mut batch, digest, bytes)?;
        }
        self.payloads.delete_into(&mut batch, forget)?;
        self.audit.append_with(batch, records, hashes)
    }

    /// The raft log.
    #[must_use]
    pub fn log(&self) -> &LogStore {
        &self.log
    }

    /// The audit tables.
    #[must_use]
    pub fn audit(&self) -> &AuditTable {
        &self.audit
    }

    /// The payload table.
    #[must_use]
    pub fn payloads(&self) -> &PayloadTable {
        &self.payloads
    }

    /// The snapshot table.
    #[must_use]
    pub fn snapshots(&self) -> &SnapshotTable {
        &self.snapshots
    }

    /// The note table.
    #[must_use]
    pub fn notes(&self) -> &NoteTable {
        &self.notes
    }

    /// The table of payloads that stay in an area.
    #[must_use]
    pub fn held(&self) -> &HeldTable {
        &self.held
    }

    /// The journal of denials.
    #[must_use]
    pub fn journal(&self) -> &JournalTable {
        &self.journal
    }

    /// Evidence of forks.
    #[must_use]
    pub fn evidence(&self) -> &EvidenceTable {
        &self.evidence
    }
}

/// Taken before anything is read: a second process must be told so, and not that the data looks strange.
fn lock(dir: &Path) -> StoreResult<File> {
    let path = dir.join(LOCK_FILE);
    let failed = |e| StoreError::io("locking the data directory", &path, e);
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::Locked { path: Arc::new(dir.to_path_buf()) })
        }
        Err(TryLockError::Error(e)) => Err(failed(e)),
    }
}

/// The log database and its mark, checked against each other.
fn open_log(
    dir: &Path,
    creation: Creation,
    failure: &Arc<Failure>,
) -> StoreResult<(LoadedLog, HighWater)> {
    let log_dir = dir.join(LOG_DIR);
    let mut mark = known_mark(dir, LOG_MARK, LOG_DIR, creation)?;
    if let Some(mark) = &mut mark
        && let Some(last) = wal::check_dir(&log_dir)?
    {
        // Before RocksDB opens and removes the files: a second start must not forget what the first one saw.
        mark.raise(last)?;
    }
    let log_db = Arc::new(db::open_log(&log_dir, creation)?);
    let loaded = LoadedLog::load(&log_db, failure)?;
    if creation == Creation::Allowed && !loaded.is_empty()? {
        return Err(StoreError::damaged("the log has data, but the boot count is missing"));
    }
    let mark = mark.map_or_else(|| HighWater::create(dir, LOG_MARK, LOG_DIR), Ok)?;
    Ok((loaded, checked_mark(mark, &log_db)?))
}

/// The mark of a database that was there before, whose manifest is as long as it was.
fn known_mark(
    dir: &Path,
    name: &'static str,
    database: &str,
    creation: Creation,
) -> StoreResult<Option<HighWater>> {
    match creation {
        Creation::Allowed => Ok(None),
        Creation::Refused => HighWater::open(dir, name, database).map(Some),
    }
}

/// `mark`, unless `db` is behind it; it then knows what opening has made of the manifest.
fn checked_mark(mark: HighWater, db: &Db) -> StoreResult<HighWater> {
    let mut mark = mark;
    mark.check(db.latest_sequence_number())?;
    mark.raise(0)?;
    Ok(mark)
}
