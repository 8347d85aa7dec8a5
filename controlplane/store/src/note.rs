//! Small named blobs that must be durable at once, e.g. the last signed checkpoint.

use crate::data::Data;
use crate::db::NOTES;
use crate::db::table::Table;
use crate::error::{StoreError, StoreResult};
use crate::limit::{NOTE_BYTES, NOTE_NAME_BYTES};
use rocksdb::WriteBatch;
use std::sync::Arc;

/// The note table.
#[derive(Debug)]
pub struct NoteTable {
    data: Arc<Data>,
    notes: Table,
}

/// Callers' names are apart from the store's own rows in the same family.
fn key(name: &str) -> StoreResult<Vec<u8>> {
    if name.len() > NOTE_NAME_BYTES {
        return Err(StoreError::TooLarge {
            what: "note name",
            size: name.len(),
            bound: NOTE_NAME_BYTES,
        });
    }
    Ok([b"n/", name.as_bytes()].concat())
}

impl NoteTable {
    pub(crate) fn open(data: &Arc<Data>) -> Self {
        Self { notes: data.table(NOTES), data: Arc::clone(data) }
    }

    /// Replaces the note `name`. Durable on return.
    ///
    /// # Errors
    /// `TooLarge` over [`NOTE_BYTES`] or [`NOTE_NAME_BYTES`]; `Engine`, `Full`, `Failed`.
    pub fn put(&self, name: &str, bytes: &[u8]) -> StoreResult<()> {
        if bytes.len() > NOTE_BYTES {
            return Err(StoreError::TooLarge {
                what: "note",
                size: bytes.len(),
                bound: NOTE_BYTES,
            });
        }
        let mut batch = WriteBatch::default();
        self.notes.put(&mut batch, &key(name)?, bytes)?;
        self.data.write_synced(&self.notes, batch)
    }

    /// The note `name`.
    ///
    /// # Errors
    /// `TooLarge` (the name); `Damaged`; `Engine`; `Failed`.
    pub fn get(&self, name: &str) -> StoreResult<Option<Vec<u8>>> {
        self.notes.get(&key(name)?)
    }
}
