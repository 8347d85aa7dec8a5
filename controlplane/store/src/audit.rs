//! Audit records and the stored hashes of their Merkle tree (A1, A2).
//!
//! Two tables, indexed from 0: records, and hashes by stored-hash index (the tile log's numbering). Both are derived
//! in apply, so that rows are written unsynced and a replay of the log writes the same rows again: identical rows
//! are accepted, a differing one is damage. Must hold: rows are contiguous from `first` to `size`; a member that
//! installed a snapshot starts at the snapshot's size and shows only the frontier hashes below it, until the records
//! below were backfilled and the caller has found that they lead to that frontier.
//!
//! Does not compute hashes, check the tree or know what a record says. One writer of new rows (apply), one of old ones;
//! any number of readers.

use crate::data::Data;
use crate::db::table::Table;
use crate::db::{AUDIT_HASHES, AUDIT_RECORDS, NOTES};
use crate::envelope;
use crate::error::{StoreError, StoreResult};
use parking_lot::RwLock;
use rocksdb::WriteBatch;
use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// A tree hash.
pub type Hash = [u8; 32];

/// Row in `notes`: where the tables begin, `record index ‖ hash index ‖ frontier indexes`. Notes of callers cannot have
/// this name.
const START: &[u8] = b"\0audit-start";
/// Row in `notes` that is rewritten to sync.
const SYNCED: &[u8] = b"\0audit-synced";

/// Number of hashes that a tree of `size` records has: the index at which those of the next record begin.
#[must_use]
pub fn hashes_of(size: u64) -> u64 {
    // One leaf per record, one more hash for each complete pair, quadruple and so on.
    std::iter::successors(Some(size), |n| (*n > 1).then(|| n >> 1)).fold(0, u64::saturating_add)
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Extent {
    first: u64,
    records: u64,
    first_hash: u64,
    hashes: u64,
    /// Records from 0 on that are here although the log begins later: backfilled so far, and shown to nobody.
    low: u64,
    /// Hashes below the beginning that may be shown.
    frontier: Arc<[u64]>,
}

/// Hashes of the newest records that stay in memory, 2 MiB: of more records than a fleet of ten thousand hosts is told of at once,
/// so that a proof of what has just been granted reads the few hashes high up in the tree from the tables and no others.
const RECENT_MAX: usize = 65_536;

/// The newest hashes, without a gap up to the last.
#[derive(Debug, Default)]
struct Recent {
    first: u64,
    hashes: VecDeque<Hash>,
}

impl Recent {
    /// Takes the hashes from index `at` on, of which it may know some.
    fn add(&mut self, at: u64, hashes: &[Hash]) {
        let len = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let next = self.first.saturating_add(len(self.hashes.len()));
        if at > next {
            *self = Self { first: at, hashes: VecDeque::new() };
        }
        let known = usize::try_from(next.saturating_sub(at)).unwrap_or(usize::MAX);
        self.hashes.extend(hashes.iter().skip(known));
        let over = self.hashes.len().saturating_sub(RECENT_MAX);
        self.hashes.drain(..over);
        self.first = self.first.saturating_add(len(over));
    }

    fn get(&self, index: u64) -> Option<Hash> {
        let at = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.hashes.get(at).copied()
    }
}

/// The audit tables.
#[derive(Debug)]
pub struct AuditTable {
    data: Arc<Data>,
    records: Table,
    hashes: Table,
    notes: Table,
    extent: RwLock<Extent>,
    /// Of those that [`Self::extent`] shows.
    recent: RwLock<Recent>,
}

impl AuditTable {
    pub(crate) fn open(data: &Arc<Data>) -> StoreResult<Self> {
        let (records, hashes, notes) =
            (data.table(AUDIT_RECORDS), data.table(AUDIT_HASHES), data.table(NOTES));
        let row = notes.get(START)?.unwrap_or_else(|| vec![0; 16]);
        let numbers = row.chunks(8).map(|number| envelope::be_u64("audit start", number));
        let numbers = numbers.collect::<StoreResult<Vec<u64>>>()?;
        let [first, first_hash, frontier @ ..] = numbers.as_slice() else {
            return Err(notes.damaged("audit start: too short"));
        };
        let extent = Extent {
            first: *first,
            records: end(&records, *first)?,
            first_hash: *first_hash,
            hashes: end(&hashes, *first_hash)?,
            low: last_below(&records, *first)?,
            frontier: frontier.into(),
        };
        Ok(Self {
            data: Arc::clone(data),
            records,
            hashes,
            notes,
            extent: RwLock::new(extent),
            recent: RwLock::default(),
        })
    }

    /// The index of the first record kept.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.extent.read().first
    }

    /// Records in the audit log, whether kept here or not: the index of the next one.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.extent.read().records
    }

    /// The stored-hash index of the next hash.
    #[must_use]
    pub fn next_hash(&self) -> u64 {
        self.extent.read().hashes
    }

    /// Adds records from `first_record` on and hashes from `first_hash` on. Not synced. Rows that are already there
    /// must be the same; they may overlap the end.
    ///
    /// # Errors
    /// `NotContiguous` if rows would begin beyond the end or below the beginning; `Damaged` if an existing row differs;
    /// `Engine`, `Full`, `Failed`.
    pub fn append(
        &self,
        first_record: u64,
        records: &[Vec<u8>],
        first_hash: u64,
        hashes: &[Hash],
    ) -> StoreResult<()> {
        self.append_with(WriteBatch::default(), (first_record, records), (first_hash, hashes))
    }

    /// As [`Self::append`], each rows from an index on, in one write with what `batch` has of other tables.
    pub(crate) fn append_with(
        &self,
        mut batch: WriteBatch,
        (first_record, records): (u64, &[Vec<u8>]),
        (first_hash, hashes): (u64, &[Hash]),
    ) -> StoreResult<()> {
        let extent = self.extent.read().clone();
        let after = Extent {
            records: add(
                &self.records,
                &mut batch,
                (extent.first, extent.records),
                first_record,
                records,
            )?,
            hashes: add(
                &self.hashes,
                &mut batch,
                (extent.first_hash, extent.hashes),
                first_hash,
                hashes,
            )?,
            ..extent
        };
        if !batch.is_empty() {
            self.records.write(batch, false)?;
            // Its end alone: on another thread the beginning may have moved meanwhile.
            let mut extent = self.extent.write();
            (extent.records, extent.hashes) = (after.records, after.hashes);
            self.recent.write().add(first_hash, hashes);
        }
        Ok(())
    }

    /// Record `index`, or `None` beyond the end.
    ///
    /// # Errors
    /// `Purged` below `first`; `Damaged`; `Engine`; `Failed`.
    pub fn record(&self, index: u64) -> StoreResult<Option<Vec<u8>>> {
        let extent = self.extent.read().clone();
        if index >= extent.records {
            return Ok(None);
        }
        if index < extent.first {
            return Err(StoreError::Purged {
                table: AUDIT_RECORDS,
                asked: index,
                first: extent.first,
            });
        }
        let row = self.records.get(&index.to_be_bytes())?;
        row.map(Some).ok_or_else(|| self.records.damaged(&format!("record {index} is missing")))
    }

    /// Records of `range` in order and without a gap from `range.start`, up to `max_bytes` but at least one; the range
    /// may reach beyond the end.
    ///
    /// # Errors
    /// `Purged` below `first`; `Damaged`; `Engine`; `Failed`.
    pub fn records(&self, range: Range<u64>, max_bytes: usize) -> StoreResult<Vec<Vec<u8>>> {
        let extent = self.extent.read().clone();
        let range = range.start..range.end.min(extent.records);
        if range.is_empty() {
            return Ok(Vec::new());
        }
        if range.start < extent.first {
            return Err(StoreError::Purged {
                table: AUDIT_RECORDS,
                asked: range.start,
                first: extent.first,
            });
        }
        if range.end.saturating_sub(range.start) == 1 {
            // What an agent is told is proved record by record: a lookup is a fraction of a scan's beginning.
            return Ok(self.record(range.start)?.into_iter().collect());
        }
        let (mut out, mut bytes, mut full, mut next) = (Vec::new(), 0_usize, false, range.start);
        self.records.scan(&range.start.to_be_bytes(), &range.end.to_be_bytes(), |key, value| {
            full = !out.is_empty() && bytes.saturating_add(value.len()) > max_bytes;
            if full || key != next.to_be_bytes() {
                return ControlFlow::Break(());
            }
            bytes = bytes.saturating_add(value.len());
            out.push(value.to_vec());
            next = next.saturating_add(1);
            ControlFlow::Continue(())
        })?;
        if !full && next < range.end {
            return Err(self.records.damaged(&format!("record {next} is missing")));
        }
        Ok(out)
    }

    /// The hash at stored-hash index `index`; `None` beyond the end, or below the beginning and not in the frontier.
    ///
    /// # Errors
    /// `Damaged`; `Engine`; `Failed`.
    pub fn hash(&self, index: u64) -> StoreResult<Option<Hash>> {
        let extent = self.extent.read().clone();
        if index < extent.first_hash && !extent.frontier.contains(&index) {
            return Ok(None);
        }
        if let Some(hash) = self.recent.read().get(index).filter(|_| index < extent.hashes) {
            return Ok(Some(hash));
        }
        let hash = self.low_hash(index)?;
        if hash.is_none() && (extent.first_hash..extent.hashes).contains(&index) {
            return Err(self.hashes.damaged(&format!("hash {index} is missing")));
        }
        Ok(hash)
    }

    /// The hashes at `indexes`, in the order asked; as [`Self::hash`] each.
    ///
    /// # Errors
    /// `Damaged`; `Engine`; `Failed`.
    pub fn hashes(&self, indexes: &[u64]) -> StoreResult<Vec<Option<Hash>>> {
        indexes.iter().map(|&index| self.hash(index)).collect()
    }

    /// Goes on at `record` and `hash`: after a snapshot was installed that is ahead of this member. `frontier` are the
    /// older hashes that the tree needs to grow. What was here from 0 on counts as backfilled. Durable on return.
    ///
    /// # Errors
    /// `Engine`, `Full`, `Failed`.
    pub fn restart_at(&self, record: u64, hash: u64, frontier: &[(u64, Hash)]) -> StoreResult<()> {
        let mut extent = self.extent.write();
        let low = if extent.first == 0 { extent.records } else { extent.low };
        let mut batch = WriteBatch::default();
        self.cut(&mut batch, low)?;
        for (index, value) in frontier {
            self.hashes.put(&mut batch, &index.to_be_bytes(), value)?;
        }
        let frontier: Arc<[u64]> = frontier.iter().map(|(index, _)| *index).collect();
        let numbers = [record, hash].into_iter().chain(frontier.iter().copied());
        let row: Vec<u8> = numbers.flat_map(u64::to_be_bytes).collect();
        self.notes.put(&mut batch, START, &row)?;
        self.data.write_synced(&self.notes, batch)?;
        let (first, first_hash) = (record, hash);
        *self.recent.write() = Recent::default();
        *extent = Extent { first, records: first, first_hash, hashes: first_hash, low, frontier };
        Ok(())
    }

    /// Removes every row from record `low` on.
    fn cut(&self, batch: &mut WriteBatch, low: u64) -> StoreResult<()> {
        for (table, from) in [(&self.records, low), (&self.hashes, hashes_of(low))] {
            table.delete_range(batch, &from.to_be_bytes(), &[0xff; 9])?;
        }
        Ok(())
    }

    /// Whether a write would have to wait for compaction.
    pub(crate) fn would_wait(&self) -> bool {
        self.data.would_wait()
    }

    /// Records from 0 on that were backfilled; 0 in a log that begins at 0.
    #[must_use]
    pub fn low(&self) -> u64 {
        self.extent.read().low
    }

    /// A hash below the beginning as it was backfilled: to go on after a restart, and to nobody else.
    ///
    /// # Errors
    /// `Damaged`; `Engine`; `Failed`.
    pub fn low_hash(&self, index: u64) -> StoreResult<Option<Hash>> {
        let Some(row) = self.hashes.get(&index.to_be_bytes())? else { return Ok(None) };
        let hash = Hash::try_from(row.as_slice()).map(Some);
        hash.map_err(|e| self.hashes.damaged(&format!("hash {index}: {e}")))
    }

    /// Adds older records from [`Self::low`] on with their hashes. The frontier is not touched: it is what they will be
    /// compared with. Not synced.
    ///
    /// # Errors
    /// `NotContiguous` unless they begin at `low` and end before `first`; `Engine`, `Full`, `Failed`.
    pub fn backfill(&self, first: u64, records: &[Vec<u8>], hashes: &[Hash]) -> StoreResult<()> {
        let mut extent = self.extent.write();
        let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
        let end = first.saturating_add(count);
        if first != extent.low || end > extent.first {
            let expected = extent.low;
            return Err(StoreError::NotContiguous { table: AUDIT_RECORDS, expected, got: first });
        }
        let mut batch = WriteBatch::default();
        for (index, record) in (first..).zip(records) {
            self.records.put(&mut batch, &index.to_be_bytes(), record)?;
        }
        for (index, hash) in (hashes_of(first)..).zip(hashes) {
            if !extent.frontier.contains(&index) {
                self.hashes.put(&mut batch, &index.to_be_bytes(), hash)?;
            }
        }
        self.records.write(batch, false)?;
        extent.low = end;
        Ok(())
    }

    /// Forgets what was backfilled: it did not lead to the frontier. Durable on return.
    ///
    /// # Errors
    /// `Engine`, `Full`, `Failed`.
    pub fn forget_backfill(&self) -> StoreResult<()> {
        let mut extent = self.extent.write();
        let mut batch = WriteBatch::default();
        self.records.delete_range(&mut batch, &[], &extent.first.to_be_bytes())?;
        let mut from = 0_u64;
        let mut shown: Vec<u64> = extent.frontier.to_vec();
        shown.sort_unstable();
        for kept in shown.into_iter().chain([extent.first_hash]) {
            self.hashes.delete_range(&mut batch, &from.to_be_bytes(), &kept.to_be_bytes())?;
            from = kept.saturating_add(1);
        }
        self.data.write_synced(&self.notes, batch)?;
        extent.low = 0;
        Ok(())
    }

    /// Shows the backfilled records: the caller has compared their tree with the frontier. Durable on return.
    ///
    /// # Errors
    /// `NotContiguous` while some are missing; `Engine`, `Full`, `Failed`.
    pub fn join_backfill(&self) -> StoreResult<()> {
        let mut extent = self.extent.write();
        if extent.low != extent.first {
            let (expected, got) = (extent.first, extent.low);
            return Err(StoreError::NotContiguous { table: AUDIT_RECORDS, expected, got });
        }
        let mut batch = WriteBatch::default();
        self.notes.put(&mut batch, START, &[0; 16])?;
        self.data.write_synced(&self.notes, batch)?;
        let (records, hashes) = (extent.records, extent.hashes);
        *extent = Extent { records, hashes, ..Extent::default() };
        Ok(())
    }

    /// Makes everything appended so far durable. Call before the snapshot that covers it is saved and before a
    /// checkpoint over it is signed.
    ///
    /// # Errors
    /// `Engine`, `Full`, `Failed`.
    pub fn sync(&self) -> StoreResult<()> {
        let mut batch = WriteBatch::default();
        self.notes.put(&mut batch, SYNCED, &self.size().to_be_bytes())?;
        self.data.write_synced(&self.notes, batch)
    }
}

/// The index after the last row, `start` in a table without rows from there.
fn end(table: &Table, start: u64) -> StoreResult<u64> {
    let last = table.last_key(&start.to_be_bytes(), &[0xff; 9])?;
    last.map_or(Ok(start), |key| {
        envelope::be_u64("audit key", &key).map(|last| last.saturating_add(1))
    })
}

/// The number of rows below `start`, which begin at 0 where there are any.
fn last_below(table: &Table, start: u64) -> StoreResult<u64> {
    let last = table.last_key(&[], &start.to_be_bytes())?;
    last.map_or(Ok(0), |key| envelope::be_u64("audit key", &key).map(|last| last.saturating_add(1)))
}

/// Puts `rows` from `at` on into `batch`, comparing those that are there; the index after the last row then.
fn add(
    table: &Table,
    batch: &mut WriteBatch,
    (start, next): (u64, u64),
    at: u64,
    rows: &[impl AsRef<[u8]>],
) -> StoreResult<u64> {
    if !rows.is_empty() && !(start..=next).contains(&at) {
        return Err(StoreError::NotContiguous { table: "audit", expected: next, got: at });
    }
    let mut end = next;
    for (index, row) in (at..).zip(rows) {
        let key = index.to_be_bytes();
        if index >= next {
            table.put(batch, &key, row.as_ref())?;
            end = index.saturating_add(1);
        } else if table.get(&key)?.as_deref() != Some(row.as_ref()) {
            return Err(table.damaged(&format!("row {index} differs from what the log says")));
        }
    }
    Ok(end)
}
