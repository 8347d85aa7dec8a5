//! Snapshots of the replicated state: meta and data, as the caller encoded them.
//!
//! Rows: `h ‖ number` header, `c ‖ number ‖ chunk` data in chunks of at most 1 MiB. Must hold: a snapshot exists from
//! the moment its header is durable, and the header is written last, synced, together with the removal of snapshots
//! beyond [`SNAPSHOTS_KEPT`]; data is returned only if its length and SHA-256 are those of the header. Chunks of a
//! save that was cut off are swept at open and by the next save.

use crate::data::Data;
use crate::db::SNAPSHOTS;
use crate::db::table::Table;
use crate::error::{StoreError, StoreResult};
use crate::limit::{CHUNK_BYTES, SNAPSHOTS_KEPT};
use parking_lot::Mutex;
use rocksdb::WriteBatch;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Largest meta: it is one value, and holds a log id and a membership.
const META_BYTES: usize = CHUNK_BYTES;

/// A snapshot as it was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedSnapshot {
    /// Number of the save on this member; goes up.
    pub number: u64,
    /// The caller's description.
    pub meta: Vec<u8>,
    /// The caller's data.
    pub data: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    meta: Vec<u8>,
    length: u64,
    chunks: u64,
    digest: [u8; 32],
}

/// The snapshot table.
#[derive(Debug)]
pub struct SnapshotTable {
    data: Arc<Data>,
    table: Table,
    /// One save at a time; the highest number used.
    last: Mutex<u64>,
}

fn header_key(number: u64) -> Vec<u8> {
    [b"h".as_slice(), &number.to_be_bytes()].concat()
}

fn chunk_key(number: u64, chunk: u64) -> Vec<u8> {
    [b"c".as_slice(), &number.to_be_bytes(), &chunk.to_be_bytes()].concat()
}

impl SnapshotTable {
    pub(crate) fn open(data: &Arc<Data>) -> StoreResult<Self> {
        let table =
            Self { table: data.table(SNAPSHOTS), data: Arc::clone(data), last: Mutex::new(0) };
        let last = table.numbers()?.last().copied().unwrap_or_default();
        *table.last.lock() = last;
        table.sweep(last.saturating_add(1))?;
        Ok(table)
    }

    /// Saves a snapshot. On return it is durable and is the latest; older ones beyond the last two are gone.
    ///
    /// # Errors
    /// `TooLarge` if `meta` is over 1 MiB; `Engine`, `Full`, `Failed`.
    pub fn save(&self, meta: &[u8], data: &[u8]) -> StoreResult<u64> {
        if meta.len() > META_BYTES {
            return Err(StoreError::TooLarge {
                what: "snapshot meta",
                size: meta.len(),
                bound: META_BYTES,
            });
        }
        let mut last = self.last.lock();
        let number = last.saturating_add(1);
        self.sweep(number)?;
        let mut chunks = 0_u64;
        for chunk in data.chunks(CHUNK_BYTES) {
            let mut batch = WriteBatch::default();
            self.table.put(&mut batch, &chunk_key(number, chunks), chunk)?;
            self.table.write(batch, false)?;
            chunks = chunks.saturating_add(1);
        }
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let header = Header { meta: meta.to_vec(), length, chunks, digest: digest(meta, data) };
        let header = postcard::to_stdvec(&header)
            .map_err(|e| self.table.damaged(&format!("header {number}: {e}")))?;
        let mut batch = WriteBatch::default();
        self.table.put(&mut batch, &header_key(number), &header)?;
        let numbers = self.numbers()?;
        let keep = numbers.len().saturating_sub(SNAPSHOTS_KEPT - 1);
        if let Some(&old) = numbers.get(..keep).unwrap_or_default().last() {
            self.remove_upto(&mut batch, old)?;
        }
        self.data.write_synced(&self.table, batch)?;
        *last = number;
        Ok(number)
    }

    /// The newest snapshot, verified.
    ///
    /// # Errors
    /// `Damaged`; `Engine`; `Failed`.
    pub fn latest(&self) -> StoreResult<Option<SavedSnapshot>> {
        // The lock keeps a save from removing what is being read.
        let _no_save = self.last.lock();
        self.numbers()?.last().map(|&number| self.load(number)).transpose()
    }

    /// Numbers of the snapshots kept, ascending.
    ///
    /// # Errors
    /// `Damaged`; `Engine`; `Failed`.
    pub fn numbers(&self) -> StoreResult<Vec<u64>> {
        let mut keys = Vec::new();
        self.table.scan(b"h", b"i", |key, _| {
            keys.push(key.get(1..).unwrap_or_default().to_vec());
            ControlFlow::Continue(())
        })?;
        keys.iter().map(|key| crate::envelope::be_u64("snapshot key", key)).collect()
    }

    /// Removes all snapshots but the newest. Not synced: after a crash they may be back.
    ///
    /// # Errors
    /// `Damaged`; `Engine`, `Full`, `Failed`.
    pub fn delete_older(&self) -> StoreResult<()> {
        let _no_save = self.last.lock();
        let mut batch = WriteBatch::default();
        if let Some(old) = self.numbers()?.iter().rev().nth(1) {
            self.remove_upto(&mut batch, *old)?;
        }
        self.table.write(batch, false)
    }

    fn remove_upto(&self, batch: &mut WriteBatch, old: u64) -> StoreResult<()> {
        let end = old.saturating_add(1);
        self.table.delete_range(batch, &header_key(0), &header_key(end))?;
        self.table.delete_range(batch, &chunk_key(0, 0), &chunk_key(end, 0))
    }

    /// Removes the chunks of an unfinished save.
    fn sweep(&self, from: u64) -> StoreResult<()> {
        let mut batch = WriteBatch::default();
        self.table.delete_range(&mut batch, &chunk_key(from, 0), b"d")?;
        self.table.write(batch, false)
    }

    fn load(&self, number: u64) -> StoreResult<SavedSnapshot> {
        let damaged = |what: &str| self.table.damaged(&format!("snapshot {number}: {what}"));
        let header =
            self.table.get(&header_key(number))?.ok_or_else(|| damaged("header is missing"))?;
        let header: Header =
            postcard::from_bytes(&header).map_err(|e| damaged(&format!("header: {e}")))?;
        let (mut data, mut chunks) = (Vec::new(), 0_u64);
        self.table.scan(
            &chunk_key(number, 0),
            &chunk_key(number.saturating_add(1), 0),
            |key, chunk| {
                if *key != chunk_key(number, chunks) {
                    return ControlFlow::Break(());
                }
                data.extend_from_slice(chunk);
                chunks = chunks.saturating_add(1);
                ControlFlow::Continue(())
            },
        )?;
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        if chunks != header.chunks || length != header.length {
            return Err(damaged(&format!(
                "{chunks} of {} chunks, {length} of {} bytes",
                header.chunks, header.length
            )));
        }
        if digest(&header.meta, &data) != header.digest {
            return Err(damaged("digest mismatch"));
        }
        Ok(SavedSnapshot { number, meta: header.meta, data })
    }
}

fn digest(meta: &[u8], data: &[u8]) -> [u8; 32] {
    let length = u64::try_from(meta.len()).unwrap_or(u64::MAX);
    Sha256::new()
        .chain_update(length.to_be_bytes())
        .chain_update(meta)
        .chain_update(data)
        .finalize()
        .into()
}
