//! This member's journal of denials: entries by index, each behind the hash that its chain had before it.
//!
//! Must hold: durable on return; rows are contiguous from `first` to `count`, and the newest one is never dropped, so that
//! the chain always goes on where it stood. Retention takes the oldest. Does not compute hashes and does not know what an
//! entry says.

use crate::audit::Hash;
use crate::data::Data;
use crate::db::JOURNAL;
use crate::db::table::Table;
use crate::envelope;
use crate::error::{StoreError, StoreResult};
use crate::limit::{JOURNAL_ENTRIES, JOURNAL_ENTRY_BYTES};
use parking_lot::Mutex;
use rocksdb::WriteBatch;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRow {
    /// The chain's hash before it.
    pub before: Hash,
    /// Its bytes.
    pub entry: Vec<u8>,
}

/// The table of this member's denials.
#[derive(Debug)]
pub struct JournalTable {
    data: Arc<Data>,
    table: Table,
    /// Held over a write.
    kept: Mutex<Range<u64>>,
}

fn row(value: &[u8]) -> Option<JournalRow> {
    let (before, entry) = value.split_first_chunk::<32>()?;
    Some(JournalRow { before: *before, entry: entry.to_vec() })
}

impl JournalTable {
    pub(crate) fn open(data: &Arc<Data>) -> StoreResult<Self> {
        let table = data.table(JOURNAL);
        let number = |key: Vec<u8>| envelope::be_u64("journal key", &key);
        let first = table.first_key(&[], &[0xff; 9])?.map(number).transpose()?;
        let last = table.last_key(&[], &[0xff; 9])?.map(number).transpose()?;
        let kept = first.unwrap_or(0)..last.map_or(0, |last| last.saturating_add(1));
        Ok(Self { data: Arc::clone(data), table, kept: Mutex::new(kept) })
    }

    /// Indexes of the entries that are kept.
    #[must_use]
    pub fn kept(&self) -> Range<u64> {
        self.kept.lock().clone()
    }

    /// Adds entries at the end, whose number the caller knows, and drops the oldest beyond [`JOURNAL_ENTRIES`]. Durable on
    /// return.
    ///
    /// # Errors
    /// `NotContiguous`; `TooLarge` over [`JOURNAL_ENTRY_BYTES`]; `Engine`, `Full`, `Failed`.
    pub fn append(&self, first: u64, rows: &[JournalRow]) -> StoreResult<()> {
        self.append_keeping(JOURNAL_ENTRIES, first, rows)
    }

    /// As [`Self::append`], with so many kept.
    pub(crate) fn append_keeping(
        &self,
        most: u64,
        first: u64,
        rows: &[JournalRow],
    ) -> StoreResult<()> {
        let mut kept = self.kept.lock();
        if first != kept.end {
            let expected = kept.end;
            return Err(StoreError::NotContiguous { table: JOURNAL, expected, got: first });
        }
        let (mut batch, mut end) = (WriteBatch::default(), first);
        for JournalRow { before, entry } in rows {
            if entry.len() > JOURNAL_ENTRY_BYTES {
                let (size, bound) = (entry.len(), JOURNAL_ENTRY_BYTES);
                return Err(StoreError::TooLarge { what: "journal entry", size, bound });
            }
            let value = [before.as_slice(), entry].concat();
            self.table.put(&mut batch, &end.to_be_bytes(), &value)?;
            end = end.saturating_add(1);
        }
        if batch.is_empty() {
            return Ok(());
        }
        let start = kept.start.max(end.saturating_sub(most));
        self.table.delete_range(&mut batch, &kept.start.to_be_bytes(), &start.to_be_bytes())?;
        self.data.write_synced(&self.table, batch)?;
        *kept = start..end;
        Ok(())
    }

    /// Entries of `range` that are kept, from its beginning or the first kept on, up to `max_bytes` but at least one; with
    /// the index of the first.
    ///
    /// # Errors
    /// `Damaged`; `Engine`; `Failed`.
    pub fn rows(&self, range: Range<u64>, max_bytes: usize) -> StoreResult<(u64, Vec<JournalRow>)> {
        let kept = self.kept();
        let (start, end) = (range.start.max(kept.start), range.end.min(kept.end));
        let (mut out, mut bytes, mut sound) = (Vec::new(), 0_usize, true);
        self.table.scan(&start.to_be_bytes(), &end.to_be_bytes(), |_, value| {
            let full = !out.is_empty() && bytes.saturating_add(value.len()) > max_bytes;
            let Some(row) = row(value).filter(|_| !full) else {
                sound = full;
                return ControlFlow::Break(());
            };
            bytes = bytes.saturating_add(value.len());
            out.push(row);
            ControlFlow::Continue(())
        })?;
        if sound { Ok((start, out)) } else { Err(self.table.damaged("misshapen row")) }
    }

    /// The newest entry with its index.
    ///
    /// # Errors
    /// `Damaged`; `Engine`; `Failed`.
    pub fn newest(&self) -> StoreResult<Option<(u64, JournalRow)>> {
        let Some(last) = self.kept().end.checked_sub(1) else { return Ok(None) };
        let value = self.table.get(&last.to_be_bytes())?;
        let value = value.and_then(|value| row(&value));
        let lost = || self.table.damaged(&format!("entry {last} is missing"));
        value.map(|row| Some((last, row))).ok_or_else(lost)
    }
}
