//! Evidence of forks of the audit log, as this member met them.
//!
//! Must hold: durable on return, and kept for good: there is no call that takes anything out or puts another in its place.
//! Bounded all the same: when it is full, what comes is told to be too much, and what is there stands. Does not know what
//! it says.

use crate::data::Data;
use crate::db::EVIDENCE;
use crate::db::table::Table;
use crate::error::{StoreError, StoreResult};
use crate::limit::{EVIDENCE_BYTES, EVIDENCE_ROWS};
use parking_lot::Mutex;
use rocksdb::WriteBatch;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The table of evidence.
#[derive(Debug)]
pub struct EvidenceTable {
    data: Arc<Data>,
    table: Table,
    /// Rows; held over a write.
    rows: Mutex<usize>,
}

impl EvidenceTable {
    pub(crate) fn open(data: &Arc<Data>) -> StoreResult<Self> {
        let (table, mut rows) = (data.table(EVIDENCE), 0_usize);
        table.scan(&[], &[0xff; 33], |_, _| {
            rows = rows.saturating_add(1);
            ControlFlow::Continue(())
        })?;
        Ok(Self { data: Arc::clone(data), table, rows: Mutex::new(rows) })
    }

    /// Keeps evidence under a key of 32 bytes, unless there is some under it; whether it is new. Durable on return.
    ///
    /// # Errors
    /// `TooLarge` over [`EVIDENCE_BYTES`], and beyond [`EVIDENCE_ROWS`]; `Engine`, `Full`, `Failed`.
    pub fn keep(&self, key: &[u8; 32], bytes: &[u8]) -> StoreResult<bool> {
        let mut rows = self.rows.lock();
        if self.table.get(key)?.is_some() {
            return Ok(false);
        }
        let too_large = |what, size, bound| Err(StoreError::TooLarge { what, size, bound });
        if bytes.len() > EVIDENCE_BYTES {
            return too_large("evidence", bytes.len(), EVIDENCE_BYTES);
        }
        if *rows >= EVIDENCE_ROWS {
            return too_large("table of evidence", *rows, EVIDENCE_ROWS);
        }
        let mut batch = WriteBatch::default();
        self.table.put(&mut batch, key, bytes)?;
        self.data.write_synced(&self.table, batch)?;
        *rows = rows.saturating_add(1);
        Ok(true)
    }

    /// All of it, in order of the keys.
    ///
    /// # Errors
    /// `Damaged`; `Engine`; `Failed`.
    pub fn all(&self) -> StoreResult<Vec<Vec<u8>>> {
        let mut all = Vec::new();
        self.table.scan(&[], &[0xff; 33], |_, value| {
            all.push(value.to_vec());
            ControlFlow::Continue(())
        })?;
        Ok(all)
    }
}
