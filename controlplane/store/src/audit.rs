//! Audit records and the stored hashes of their Merkle tree (A1, A2).
//!
//! Two tables, indexed from 0: records, and hashes by stored-hash index (the tile log's numbering). Both are derived
//! in apply, so that rows are written unsynced and a replay of the log writes the same rows again: identical rows
//! are accepted, a differing one is damage. Must hold: rows are contiguous from `first` to `size`; a member that
//! installed a snapshot starts at the snapshot's size and has only the frontier hashes below it.
//!
//! Does not compute hashes, check the tree or know what a record says. One writer (apply); any number of readers.

use crate::data::Data;
use crate::db::table::Table;
use crate::db::{AUDIT_HASHES, AUDIT_RECORDS, NOTES};
use crate::envelope;
use crate::error::{StoreError, StoreResult};
use parking_lot::RwLock;
use rocksdb::WriteBatch;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// A tree hash.
pub type Hash = [u8; 32];

/// Row in `notes`: where the tables begin, `record index ‖ hash index`. Notes of callers cannot have this name.
const START: &[u8] = b"\0audit-start";
/// Row in `notes` that is rewritten to sync.
const SYNCED: &[u8] = b"\0audit-synced";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Extent {
    first: u64,
    records: u64,
    first_hash: u64,
    hashes: u64,
}

/// The audit tables.
#[derive(Debug)]
pub struct AuditTable {
    data: Arc<Data>,
    records: Table,
    hashes: Table,
    notes: Table,
    extent: RwLock<Extent>,
}

impl AuditTable {
    pub(crate) fn open(data: &Arc<Data>) -> StoreResult<Self> {
        let (records, hashes, notes) =
            (data.table(AUDIT_RECORDS), data.table(AUDIT_HASHES), data.table(NOTES));
        let (first, first_hash) = match notes.get(START)? {
            None => (0, 0),
            Some(row) => {
                let second = row.get(8..).unwrap_or_default();
                (envelope::be_u64("audit start", &row)?, envelope::be_u64("audit start", second)?)
            }
        };
        let extent = Extent {
            first,
            records: end(&records, first)?,
            first_hash,
            hashes: end(&hashes, first_hash)?,
        };
        Ok(Self { data: Arc::clone(data), records, hashes, notes, extent: RwLock::new(extent) })
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
        let extent = *self.extent.read();
        let mut batch = WriteBatch::default();
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
            *self.extent.write() = after;
        }
        Ok(())
    }

    /// Record `index`, or `None` beyond the end.
    ///
    /// # Errors
    /// `Purged` below `first`; `Damaged`; `Engine`; `Failed`.
    pub fn record(&self, index: u64) -> StoreResult<Option<Vec<u8>>> {
        let extent = *self.extent.read();
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
        let extent = *self.extent.read();
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
        let extent = *self.extent.read();
        let Some(row) = self.hashes.get(&index.to_be_bytes())? else {
            if (extent.first_hash..extent.hashes).contains(&index) {
                return Err(self.hashes.damaged(&format!("hash {index} is missing")));
            }
            return Ok(None);
        };
        let hash = Hash::try_from(row.as_slice()).map(Some);
        hash.map_err(|e| self.hashes.damaged(&format!("hash {index}: {e}")))
    }

    /// The hashes at `indexes`, in the order asked; as [`Self::hash`] each.
    ///
    /// # Errors
    /// `Damaged`; `Engine`; `Failed`.
    pub fn hashes(&self, indexes: &[u64]) -> StoreResult<Vec<Option<Hash>>> {
        indexes.iter().map(|&index| self.hash(index)).collect()
    }

    /// Empties both tables and goes on at `record` and `hash`: after a snapshot was installed that is ahead of this
    /// member. `frontier` are the older hashes that the tree needs to grow. Durable on return.
    ///
    /// # Errors
    /// `Engine`, `Full`, `Failed`.
    pub fn restart_at(&self, record: u64, hash: u64, frontier: &[(u64, Hash)]) -> StoreResult<()> {
        let mut batch = WriteBatch::default();
        for table in [&self.records, &self.hashes] {
            table.delete_range(&mut batch, &[], &[0xff; 9])?;
        }
        for (index, value) in frontier {
            self.hashes.put(&mut batch, &index.to_be_bytes(), value)?;
        }
        self.notes.put(&mut batch, START, &[record.to_be_bytes(), hash.to_be_bytes()].concat())?;
        let mut extent = self.extent.write();
        self.data.write_synced(&self.notes, batch)?;
        *extent = Extent { first: record, records: record, first_hash: hash, hashes: hash };
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
