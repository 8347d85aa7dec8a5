//! The rows of the log database.
//!
//! `e ‖ index` entry · `m/vote` · `m/committed` · `m/purged` (`index ‖ id`) · `m/mark` (`next index ‖ peak`), indexes as
//! 8 bytes big endian so that key order is log order. One column family: with two, a family that is seldom written
//! would keep old write-ahead files alive and defeat their reuse.
//!
//! Must hold: `m/mark` is written in the same batch as each change of the log's ends, so that rows missing at the end
//! are noticed at open; rows missing in the middle are noticed at read.

use crate::db::table::Table;
use crate::envelope;
use crate::error::{StoreError, StoreResult};
use rocksdb::WriteBatch;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

const VOTE: &[u8] = b"m/vote";
const COMMITTED: &[u8] = b"m/committed";
const PURGED: &[u8] = b"m/purged";
const MARK: &[u8] = b"m/mark";
const ENTRIES: &[u8] = b"e";
const ENTRIES_END: &[u8] = b"f";

fn key(index: u64) -> [u8; 9] {
    let mut key = [b'e'; 9];
    for (to, from) in key.iter_mut().skip(1).zip(index.to_be_bytes()) {
        *to = from;
    }
    key
}

fn index_of(key: &[u8]) -> Option<u64> {
    let (b'e', rest) = key.split_first()? else { return None };
    Some(u64::from_be_bytes(rest.try_into().ok()?))
}

fn after(start: u64, count: usize) -> u64 {
    start.saturating_add(u64::try_from(count).unwrap_or(u64::MAX))
}

/// The ends of the log: see module head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ends {
    /// The index after the last entry.
    pub(crate) next: u64,
    /// The highest `next` ever durable; a truncation does not lower it (R6 compares it between boots).
    pub(crate) peak: u64,
}

/// Everything but the entries.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) first: u64,
    pub(crate) ends: Ends,
    pub(crate) purged: Option<(u64, Arc<[u8]>)>,
    pub(crate) vote: Option<Arc<[u8]>>,
    pub(crate) committed: Option<Arc<[u8]>>,
}

/// The log database.
#[derive(Debug, Clone)]
pub(crate) struct Rows(pub(crate) Table);

impl Rows {
    /// Reads the small rows and checks the ends.
    pub(crate) fn load(&self) -> StoreResult<Loaded> {
        let small = |key| self.0.get(key).map(|v| v.map(Arc::<[u8]>::from));
        let purged = match self.0.get(PURGED)? {
            None => None,
            Some(row) => Some((
                envelope::be_u64("log purge row", &row)?,
                Arc::from(row.get(8..).unwrap_or_default()),
            )),
        };
        let first = purged.as_ref().map_or(0, |(index, _)| index.saturating_add(1));
        let mark = match self.0.get(MARK)? {
            None => None,
            Some(row) => {
                let next = envelope::be_u64("log mark", &row)?;
                let peak = envelope::be_u64("log mark", row.get(8..).unwrap_or_default())?;
                Some(Ends { next, peak })
            }
        };
        let edge = |row: Option<Vec<u8>>| {
            row.map(|k| index_of(&k).ok_or_else(|| self.0.damaged("misshapen key"))).transpose()
        };
        let lowest = edge(self.0.first_key(ENTRIES, ENTRIES_END)?)?;
        let highest = edge(self.0.last_key(ENTRIES, ENTRIES_END)?)?;
        let next = highest.map_or(first, |last| last.saturating_add(1));
        if let Some(lowest) = lowest.filter(|&lowest| lowest != first) {
            return Err(self
                .0
                .damaged(&format!("the first entry should be {first}, found {lowest}")));
        }
        let ends = mark.unwrap_or_default();
        if next != ends.next {
            return Err(self
                .0
                .damaged(&format!("the log ends before {next}, its mark says {}", ends.next)));
        }
        Ok(Loaded { first, ends, purged, vote: small(VOTE)?, committed: small(COMMITTED)? })
    }

    /// True if nothing was ever written.
    pub(crate) fn is_empty(&self) -> StoreResult<bool> {
        Ok(self.0.first_key(b"", b"\xff")?.is_none())
    }

    /// The entries of `range`, which the caller knows to be in the database, up to `max_bytes` but at least one.
    /// A missing one is `Damaged`, not yet noted: the caller first makes sure that no truncation came between.
    pub(crate) fn read(
        &self,
        range: &Range<u64>,
        max_bytes: usize,
    ) -> StoreResult<Vec<(u64, Arc<[u8]>)>> {
        let (mut out, mut bytes, mut full) = (Vec::new(), 0_usize, false);
        self.0.scan(&key(range.start), &key(range.end), |key, value| {
            let expected = after(range.start, out.len());
            full = !out.is_empty() && bytes.saturating_add(value.len()) > max_bytes;
            if full || index_of(key) != Some(expected) {
                return ControlFlow::Break(());
            }
            bytes = bytes.saturating_add(value.len());
            out.push((expected, Arc::from(value)));
            ControlFlow::Continue(())
        })?;
        let reached = after(range.start, out.len());
        if !full && reached < range.end {
            return Err(StoreError::damaged(format!("log: entry {reached} is missing")));
        }
        Ok(out)
    }

    pub(crate) fn put_entries(
        &self,
        batch: &mut WriteBatch,
        first: u64,
        entries: &[Arc<[u8]>],
    ) -> StoreResult<()> {
        (first..).zip(entries).try_for_each(|(index, entry)| self.0.put(batch, &key(index), entry))
    }

    pub(crate) fn put_vote(&self, batch: &mut WriteBatch, vote: &[u8]) -> StoreResult<()> {
        self.0.put(batch, VOTE, vote)
    }

    pub(crate) fn put_committed(
        &self,
        batch: &mut WriteBatch,
        committed: &[u8],
    ) -> StoreResult<()> {
        self.0.put(batch, COMMITTED, committed)
    }

    pub(crate) fn put_ends(&self, batch: &mut WriteBatch, ends: Ends) -> StoreResult<()> {
        self.0.put(batch, MARK, &[ends.next.to_be_bytes(), ends.peak.to_be_bytes()].concat())
    }

    pub(crate) fn truncate(&self, batch: &mut WriteBatch, from: u64) -> StoreResult<()> {
        self.0.delete_range(batch, &key(from), ENTRIES_END)
    }

    /// The purge row comes before the deletions, in one batch.
    pub(crate) fn purge(
        &self,
        batch: &mut WriteBatch,
        from: u64,
        upto: u64,
        id: &[u8],
    ) -> StoreResult<()> {
        self.0.put(batch, PURGED, &[&upto.to_be_bytes(), id].concat())?;
        self.0.delete_range(batch, &key(from), &key(upto.saturating_add(1)))
    }
}
