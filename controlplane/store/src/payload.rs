//! Job payloads: opaque bytes by 32-byte digest.
//!
//! Written and deleted in apply, so unsynced: the log repeats them, and snapshots carry them. Does not count
//! references (state does) and does not compute the digest (its owner defines it).

use crate::data::Data;
use crate::db::PAYLOADS;
use crate::db::table::Table;
use crate::error::{StoreError, StoreResult};
use crate::limit::PAYLOAD_BYTES;
use rocksdb::WriteBatch;
use std::ops::ControlFlow;

/// Digest of a payload.
pub type Digest = [u8; 32];

/// The payload table.
#[derive(Debug)]
pub struct PayloadTable(Table);

impl PayloadTable {
    pub(crate) fn open(data: &Data) -> Self {
        Self(data.table(PAYLOADS))
    }

    /// Stores `bytes` under `digest`; the same again changes nothing.
    ///
    /// # Errors
    /// `TooLarge` over [`PAYLOAD_BYTES`]; `Engine`, `Full`, `Failed`.
    pub fn put(&self, digest: &Digest, bytes: &[u8]) -> StoreResult<()> {
        let mut batch = WriteBatch::default();
        self.put_into(&mut batch, digest, bytes)?;
        self.0.write(batch, false)
    }

    pub(crate) fn put_into(
        &self,
        batch: &mut WriteBatch,
        digest: &Digest,
        bytes: &[u8],
    ) -> StoreResult<()> {
        if bytes.len() > PAYLOAD_BYTES {
            return Err(StoreError::TooLarge {
                what: "payload",
                size: bytes.len(),
                bound: PAYLOAD_BYTES,
            });
        }
        self.0.put(batch, digest, bytes)
    }

    /// The bytes stored under `digest`.
    ///
    /// # Errors
    /// `Damaged`; `Engine`; `Failed`.
    pub fn get(&self, digest: &Digest) -> StoreResult<Option<Vec<u8>>> {
        self.0.get(digest)
    }

    /// Forgets the payloads under `digests`; unknown ones are no error.
    ///
    /// # Errors
    /// `Engine`, `Full`, `Failed`.
    pub fn delete(&self, digests: &[Digest]) -> StoreResult<()> {
        let mut batch = WriteBatch::default();
        self.delete_into(&mut batch, digests)?;
        self.0.write(batch, false)
    }

    pub(crate) fn delete_into(
        &self,
        batch: &mut WriteBatch,
        digests: &[Digest],
    ) -> StoreResult<()> {
        digests.iter().try_for_each(|digest| self.0.delete(batch, digest))
    }

    /// All digests in ascending order.
    ///
    /// # Errors
    /// `Damaged`; `Engine`; `Failed`.
    pub fn keys(&self) -> StoreResult<Vec<Digest>> {
        let (mut keys, mut strange) = (Vec::new(), false);
        self.0.scan(&[], &[0xff; 33], |key, _| match key.try_into() {
            Ok(digest) => {
                keys.push(digest);
                ControlFlow::Continue(())
            }
            Err(_) => {
                strange = true;
                ControlFlow::Break(())
            }
        })?;
        if strange { Err(self.0.damaged("misshapen key")) } else { Ok(keys) }
    }
}
