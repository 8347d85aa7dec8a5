//! Payloads that stay in their job's area: opaque bytes by 32-byte digest, with when they came and whose they are.
//!
//! Must hold: R1, as far as one disk can: durable on return, since no log repeats them and no snapshot or backup carries
//! them. Whoever forgets one forgets it for good. Does not know which digests still count, nor what the time and the owner
//! mean.

use crate::data::Data;
use crate::db::HELD;
use crate::db::table::Table;
use crate::error::{StoreError, StoreResult};
use crate::limit::{HELD_OWNER_BYTES, PAYLOAD_BYTES};
use crate::payload::Digest;
use rocksdb::WriteBatch;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What is kept of one payload beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRow {
    /// When it came, milliseconds, by the caller's clock.
    pub at_ms: u64,
    /// Whose it is; at most [`HELD_OWNER_BYTES`].
    pub owner: String,
    /// Bytes of the payload.
    pub len: usize,
}

/// The table of payloads that stay in an area.
#[derive(Debug)]
pub struct HeldTable {
    data: Arc<Data>,
    table: Table,
}

/// The parts of a stored value: time, length of the owner's name, the name, the payload.
fn parts(value: &[u8]) -> Option<(u64, &str, &[u8])> {
    let (at, rest) = value.split_first_chunk::<8>()?;
    let (len, rest) = rest.split_first_chunk::<2>()?;
    let (owner, bytes) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
    Some((u64::from_le_bytes(*at), std::str::from_utf8(owner).ok()?, bytes))
}

impl HeldTable {
    pub(crate) fn open(data: &Arc<Data>) -> Self {
        Self { table: data.table(HELD), data: Arc::clone(data) }
    }

    /// Stores `bytes` under `digest`, in place of what was there. Durable on return.
    ///
    /// # Errors
    /// `TooLarge` over [`PAYLOAD_BYTES`] or [`HELD_OWNER_BYTES`]; `Engine`, `Full`, `Failed`.
    pub fn put(&self, digest: &Digest, at_ms: u64, owner: &str, bytes: &[u8]) -> StoreResult<()> {
        let too_large = |what, size, bound| Err(StoreError::TooLarge { what, size, bound });
        if bytes.len() > PAYLOAD_BYTES {
            return too_large("payload", bytes.len(), PAYLOAD_BYTES);
        }
        let Some(len) = u16::try_from(owner.len()).ok().filter(|_| owner.len() <= HELD_OWNER_BYTES)
        else {
            return too_large("owner of a payload", owner.len(), HELD_OWNER_BYTES);
        };
        let (at, len) = (at_ms.to_le_bytes(), len.to_le_bytes());
        let value = [&at[..], &len[..], owner.as_bytes(), bytes].concat();
        let mut batch = WriteBatch::default();
        self.table.put(&mut batch, digest, &value)?;
        self.data.write_synced(&self.table, batch)
    }

    /// The bytes stored under `digest`.
    ///
    /// # Errors
    /// `Damaged`; `Engine`; `Failed`.
    pub fn get(&self, digest: &Digest) -> StoreResult<Option<Vec<u8>>> {
        let Some(value) = self.table.get(digest)? else { return Ok(None) };
        let (_, _, bytes) = parts(&value).ok_or_else(|| self.table.damaged("misshapen row"))?;
        Ok(Some(bytes.to_vec()))
    }

    /// Forgets the payloads under `digests`; unknown ones are no error. Not synced: what comes back after a power cut is
    /// forgotten again.
    ///
    /// # Errors
    /// `Engine`, `Full`, `Failed`.
    pub fn delete(&self, digests: &[Digest]) -> StoreResult<()> {
        let mut batch = WriteBatch::default();
        digests.iter().try_for_each(|digest| self.table.delete(&mut batch, digest))?;
        self.table.write(batch, false)
    }

    /// What is kept, in ascending order of digests. Reads all of it.
    ///
    /// # Errors
    /// `Damaged`; `Engine`; `Failed`.
    pub fn rows(&self) -> StoreResult<Vec<(Digest, HeldRow)>> {
        let (mut rows, mut strange) = (Vec::new(), false);
        self.table.scan(&[], &[0xff; 33], |key, value| match (key.try_into(), parts(value)) {
            (Ok(digest), Some((at_ms, owner, bytes))) => {
                rows.push((digest, HeldRow { at_ms, owner: owner.to_owned(), len: bytes.len() }));
                ControlFlow::Continue(())
            }
            (Err(_), _) | (_, None) => {
                strange = true;
                ControlFlow::Break(())
            }
        })?;
        if strange { Err(self.table.damaged("misshapen row")) } else { Ok(rows) }
    }
}
