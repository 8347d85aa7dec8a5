//! What consensus needs of a disk, as traits: production gives them the store, a simulator gives them a disk that
//! loses what was not synced.
//!
//! Must hold: what [`sekisho_store`] promises for its log and tables, and nothing else is used of it here.

use sekisho_evidence::merkle::Appended;
use sekisho_store::{Done, Hash, Identity, LogStore, Member, SavedSnapshot, Store, StoreResult};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The raft log: bytes by index, see [`LogStore`] for the contract of each method.
pub trait LogDisk: Send + Sync + fmt::Debug + 'static {
    /// Adds entries at the end; readable on return, `done` when durable.
    ///
    /// # Errors
    /// As [`LogStore::append`].
    fn append(&self, entries: Vec<(u64, Vec<u8>)>, done: Done) -> StoreResult<()>;
    /// Replaces the vote; `done` when durable.
    ///
    /// # Errors
    /// As [`LogStore::save_vote`].
    fn save_vote(&self, vote: Vec<u8>, done: Done) -> StoreResult<()>;
    /// Replaces the committed mark; need not be durable.
    ///
    /// # Errors
    /// As [`LogStore::save_committed`].
    fn save_committed(&self, committed: Vec<u8>, done: Done) -> StoreResult<()>;
    /// Drops the entries after `last`.
    ///
    /// # Errors
    /// As [`LogStore::truncate_after`].
    fn truncate_after(&self, last: Option<u64>, done: Done) -> StoreResult<()>;
    /// Drops the entries up to `upto` and remembers `id` for it.
    ///
    /// # Errors
    /// As [`LogStore::purge`].
    fn purge(&self, upto: u64, id: Vec<u8>, done: Done) -> StoreResult<()>;
    /// Entries of `range` that the log has, bounded in bytes but at least one.
    ///
    /// # Errors
    /// As [`LogStore::read`].
    fn read(&self, range: Range<u64>, max_bytes: usize) -> StoreResult<Vec<(u64, Arc<[u8]>)>>;
    /// First entry kept.
    fn first_index(&self) -> Option<u64>;
    /// Last entry.
    fn last_index(&self) -> Option<u64>;
    /// Last purged index with its id.
    fn purged(&self) -> Option<(u64, Arc<[u8]>)>;
    /// Vote saved last.
    fn vote(&self) -> Option<Arc<[u8]>>;
    /// Committed mark saved last.
    fn committed(&self) -> Option<Arc<[u8]>>;
}

impl LogDisk for LogStore {
    fn append(&self, entries: Vec<(u64, Vec<u8>)>, done: Done) -> StoreResult<()> {
        Self::append(self, entries, done)
    }
    fn save_vote(&self, vote: Vec<u8>, done: Done) -> StoreResult<()> {
        Self::save_vote(self, vote, done)
    }
    fn save_committed(&self, committed: Vec<u8>, done: Done) -> StoreResult<()> {
        Self::save_committed(self, committed, done)
    }
    fn truncate_after(&self, last: Option<u64>, done: Done) -> StoreResult<()> {
        Self::truncate_after(self, last, done)
    }
    fn purge(&self, upto: u64, id: Vec<u8>, done: Done) -> StoreResult<()> {
        Self::purge(self, upto, id, done)
    }
    fn read(&self, range: Range<u64>, max_bytes: usize) -> StoreResult<Vec<(u64, Arc<[u8]>)>> {
        Self::read(self, range, max_bytes)
    }
    fn first_index(&self) -> Option<u64> {
        Self::first_index(self)
    }
    fn last_index(&self) -> Option<u64> {
        Self::last_index(self)
    }
    fn purged(&self) -> Option<(u64, Arc<[u8]>)> {
        Self::purged(self)
    }
    fn vote(&self) -> Option<Arc<[u8]>> {
        Self::vote(self)
    }
    fn committed(&self) -> Option<Arc<[u8]>> {
        Self::committed(self)
    }
}

/// Consecutive audit rows.
#[derive(Debug, Default)]
pub struct AuditRows {
    /// Index of the first record.
    pub first_record: u64,
    /// Records from there.
    pub records: Vec<Vec<u8>>,
    /// Dense index of the first hash.
    pub first_hash: u64,
    /// Hashes from there.
    pub hashes: Vec<Hash>,
}

/// What apply and snapshots write. All calls may block.
pub trait DataDisk: Send + Sync + fmt::Debug + 'static {
    /// `(first, size)` of the audit log here.
    fn audit_extent(&self) -> (u64, u64);
    /// Adds audit rows, which must be the same where there are any; keeps payloads, then forgets payloads. Whole or not
    /// at all, in one write that is not synced.
    ///
    /// # Errors
    /// As [`sekisho_store::Store::apply`].
    fn apply(&self, rows: &AuditRows, keep: &[(Hash, &[u8])], forget: &[Hash]) -> StoreResult<()>;
    /// Makes everything written so far durable, payloads included.
    ///
    /// # Errors
    /// As [`sekisho_store::AuditTable::sync`].
    fn audit_sync(&self) -> StoreResult<()>;
    /// Empties the audit tables and goes on at a record and hash.
    ///
    /// # Errors
    /// As [`sekisho_store::AuditTable::restart_at`].
    fn audit_restart(&self, record: u64, hash: u64, frontier: &[(u64, Hash)]) -> StoreResult<()>;
    /// Whether writes are held back now, because the disk does not keep up: not to be met on a worker of the runtime.
    fn would_wait(&self) -> bool;
    /// A payload.
    ///
    /// # Errors
    /// As [`sekisho_store::PayloadTable::get`].
    fn payload(&self, digest: &Hash) -> StoreResult<Option<Vec<u8>>>;
    /// Digests of all payloads.
    ///
    /// # Errors
    /// As [`sekisho_store::PayloadTable::keys`].
    fn payload_keys(&self) -> StoreResult<Vec<Hash>>;
    /// Saves a snapshot; durable on return; its number.
    ///
    /// # Errors
    /// As [`sekisho_store::SnapshotTable::save`].
    fn snapshot_save(&self, meta: &[u8], data: &[u8]) -> StoreResult<u64>;
    /// The newest snapshot, verified.
    ///
    /// # Errors
    /// As [`sekisho_store::SnapshotTable::latest`].
    fn snapshot_latest(&self) -> StoreResult<Option<SavedSnapshot>>;
}

impl DataDisk for Store {
    fn audit_extent(&self) -> (u64, u64) {
        (self.audit().first(), self.audit().size())
    }
    fn apply(&self, rows: &AuditRows, keep: &[(Hash, &[u8])], forget: &[Hash]) -> StoreResult<()> {
        let records = (rows.first_record, rows.records.as_slice());
        Self::apply(self, records, (rows.first_hash, &rows.hashes), keep, forget)
    }
    fn audit_sync(&self) -> StoreResult<()> {
        self.audit().sync()
    }
    fn audit_restart(&self, record: u64, hash: u64, frontier: &[(u64, Hash)]) -> StoreResult<()> {
        self.audit().restart_at(record, hash, frontier)
    }
    fn would_wait(&self) -> bool {
        Self::would_wait(self)
    }
    fn payload(&self, digest: &Hash) -> StoreResult<Option<Vec<u8>>> {
        self.payloads().get(digest)
    }
    fn payload_keys(&self) -> StoreResult<Vec<Hash>> {
        self.payloads().keys()
    }
    fn snapshot_save(&self, meta: &[u8], data: &[u8]) -> StoreResult<u64> {
        self.snapshots().save(meta, data)
    }
    fn snapshot_latest(&self) -> StoreResult<Option<SavedSnapshot>> {
        self.snapshots().latest()
    }
}

/// The audit log as others read it and as it is completed from theirs. All calls may block.
pub trait AuditDisk: Send + Sync + fmt::Debug + 'static {
    /// Index of the first record that is shown: 0 once complete.
    fn first(&self) -> u64;
    /// Audit records in order, up to `max_bytes` but at least one; the range may reach beyond the end.
    ///
    /// # Errors
    /// As [`sekisho_store::AuditTable::records`].
    fn records(&self, range: Range<u64>, max_bytes: usize) -> StoreResult<Vec<Vec<u8>>>;
    /// Records from 0 on that were backfilled below the beginning.
    fn low(&self) -> u64;
    /// A hash as it was backfilled or given with the beginning.
    ///
    /// # Errors
    /// As [`sekisho_store::AuditTable::low_hash`].
    fn low_hash(&self, index: u64) -> StoreResult<Option<Hash>>;
    /// Adds older records from [`Self::low`] on.
    ///
    /// # Errors
    /// As [`sekisho_store::AuditTable::backfill`].
    fn backfill(&self, first: u64, records: &[Vec<u8>], hashes: &[Hash]) -> StoreResult<()>;
    /// Forgets what was backfilled.
    ///
    /// # Errors
    /// As [`sekisho_store::AuditTable::forget_backfill`].
    fn forget(&self) -> StoreResult<()>;
    /// Makes one log of what was backfilled and what follows.
    ///
    /// # Errors
    /// As [`sekisho_store::AuditTable::join_backfill`].
    fn join(&self) -> StoreResult<()>;
}

impl AuditDisk for Store {
    fn first(&self) -> u64 {
        Self::audit(self).first()
    }
    fn records(&self, range: Range<u64>, max_bytes: usize) -> StoreResult<Vec<Vec<u8>>> {
        Self::audit(self).records(range, max_bytes)
    }
    fn low(&self) -> u64 {
        Self::audit(self).low()
    }
    fn low_hash(&self, index: u64) -> StoreResult<Option<Hash>> {
        Self::audit(self).low_hash(index)
    }
    fn backfill(&self, first: u64, records: &[Vec<u8>], hashes: &[Hash]) -> StoreResult<()> {
        Self::audit(self).backfill(first, records, hashes)
    }
    fn forget(&self) -> StoreResult<()> {
        Self::audit(self).forget_backfill()
    }
    fn join(&self) -> StoreResult<()> {
        Self::audit(self).join_backfill()
    }
}

/// Everything that one member keeps, open.
pub trait MemberDisk: Send + Sync + fmt::Debug + 'static {
    /// Whose it is (R6).
    fn owner(&self) -> Member;
    /// What tells it from every other directory of its member (R6).
    fn identity(&self) -> Identity;
    /// Whether it can still be trusted (R7).
    ///
    /// # Errors
    /// As [`Store::check`].
    fn check(&self) -> StoreResult<()>;
    /// The log.
    fn log(&self) -> Arc<dyn LogDisk>;
    /// What apply and snapshots write.
    fn data(self: Arc<Self>) -> Arc<dyn DataDisk>;
    /// The audit log.
    fn archive(self: Arc<Self>) -> Arc<dyn AuditDisk>;
    /// Keeps a note; durable on return.
    ///
    /// # Errors
    /// As [`sekisho_store::NoteTable::put`].
    fn note_put(&self, name: &str, bytes: &[u8]) -> StoreResult<()>;
    /// A note.
    ///
    /// # Errors
    /// As [`sekisho_store::NoteTable::get`].
    fn note(&self, name: &str) -> StoreResult<Option<Vec<u8>>>;
}

impl MemberDisk for Store {
    fn owner(&self) -> Member {
        self.marker().member
    }
    fn identity(&self) -> Identity {
        Self::identity(self)
    }
    fn check(&self) -> StoreResult<()> {
        Self::check(self)
    }
    fn log(&self) -> Arc<dyn LogDisk> {
        Arc::new(Self::log(self).clone())
    }
    fn data(self: Arc<Self>) -> Arc<dyn DataDisk> {
        self
    }
    fn archive(self: Arc<Self>) -> Arc<dyn AuditDisk> {
        self
    }
    fn note_put(&self, name: &str, bytes: &[u8]) -> StoreResult<()> {
        self.notes().put(name, bytes)
    }
    fn note(&self, name: &str) -> StoreResult<Option<Vec<u8>>> {
        self.notes().get(name)
    }
}

impl AuditRows {
    /// Adds the rows of one record; `false` if they do not continue these.
    pub(crate) fn push(&mut self, row: Appended, record: Vec<u8>) -> bool {
        if self.records.is_empty() {
            (self.first_record, self.first_hash) = (row.record, row.first_hash);
        }
        let count = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        let continues = row.record == self.first_record.saturating_add(count(self.records.len()))
            && row.first_hash == self.first_hash.saturating_add(count(self.hashes.len()));
        self.records.push(record);
        self.hashes.extend(row.hashes.into_iter().map(|hash| hash.0));
        continues
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_evidence::merkle::Frontier;
    use sekisho_store::hashes_of;

    #[test]
    fn rows_of_a_growing_tree_continue_each_other_at_the_computed_index() {
        let (mut frontier, mut rows) = (Frontier::default(), AuditRows::default());
        for size in 0..70_u64 {
            let record = size.to_be_bytes().to_vec();
            let row = frontier.append(&record).unwrap();
            assert_eq!(row.first_hash, hashes_of(size), "{size}");
            assert!(rows.push(row, record));
        }
        assert_eq!(rows.records.len(), 70);
        let again = Frontier::default().append(b"x").unwrap();
        assert!(!rows.push(again, b"x".to_vec()));
    }
}
