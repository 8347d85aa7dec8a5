//! A [`DataDisk`] in memory that fails or panics when told to.

use crate::disk::{AuditRows, DataDisk};
use parking_lot::Mutex;
use sekisho_store::{Hash, SavedSnapshot, StoreError, StoreResult};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[derive(Debug, Default)]
struct Tables {
    audit: (u64, u64),
    payloads: BTreeMap<Hash, Vec<u8>>,
    snapshot: Option<SavedSnapshot>,
}

#[derive(Debug, Default)]
pub(crate) struct MemoryDisk {
    tables: Mutex<Tables>,
    pub(crate) fails: AtomicBool,
    pub(crate) panics: AtomicBool,
    /// Of apply, so far.
    pub(crate) writes: AtomicUsize,
}

impl MemoryDisk {
    pub(crate) fn snapshot(&self) -> Option<SavedSnapshot> {
        self.tables.lock().snapshot.clone()
    }

    pub(crate) fn set_snapshot(&self, snapshot: SavedSnapshot) {
        self.tables.lock().snapshot = Some(snapshot);
    }
}

impl DataDisk for MemoryDisk {
    fn audit_extent(&self) -> (u64, u64) {
        self.tables.lock().audit
    }
    fn apply(&self, rows: &AuditRows, keep: &[(Hash, &[u8])], forget: &[Hash]) -> StoreResult<()> {
        assert!(!self.panics.load(Ordering::Relaxed), "on purpose");
        if self.fails.load(Ordering::Relaxed) {
            return Err(StoreError::Closed);
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        let mut tables = self.tables.lock();
        let end = rows.first_record + u64::try_from(rows.records.len()).unwrap();
        assert!(rows.first_record <= tables.audit.1, "a gap");
        tables.audit.1 = tables.audit.1.max(end);
        tables.payloads.extend(keep.iter().map(|(digest, bytes)| (*digest, bytes.to_vec())));
        forget.iter().for_each(|digest| drop(tables.payloads.remove(digest)));
        Ok(())
    }
    fn audit_sync(&self) -> StoreResult<()> {
        Ok(())
    }
    fn audit_restart(&self, record: u64, _hash: u64, _frontier: &[(u64, Hash)]) -> StoreResult<()> {
        self.tables.lock().audit = (record, record);
        Ok(())
    }
    fn would_wait(&self) -> bool {
        false
    }
    fn payload(&self, digest: &Hash) -> StoreResult<Option<Vec<u8>>> {
        Ok(self.tables.lock().payloads.get(digest).cloned())
    }
    fn payload_keys(&self) -> StoreResult<Vec<Hash>> {
        Ok(self.tables.lock().payloads.keys().copied().collect())
    }
    fn snapshot_save(&self, meta: &[u8], data: &[u8]) -> StoreResult<u64> {
        let mut tables = self.tables.lock();
        let number = tables.snapshot.as_ref().map_or(1, |saved| saved.number + 1);
        let (meta, data) = (meta.to_vec(), data.to_vec());
        tables.snapshot = Some(SavedSnapshot { number, meta, data });
        Ok(number)
    }
    fn snapshot_latest(&self) -> StoreResult<Option<SavedSnapshot>> {
        Ok(self.snapshot())
    }
}
