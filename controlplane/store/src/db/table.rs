//! One column family with enveloped values.
//!
//! Must hold: nothing leaves a table unverified, and each error of the engine stops the store (R7).

use super::Db;
use crate::envelope;
use crate::error::{Failure, StoreError, StoreResult};
use rocksdb::{BoundColumnFamily, Direction, IteratorMode, ReadOptions, WriteBatch, WriteOptions};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A column family of an open database.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) db: Arc<Db>,
    pub(crate) failure: Arc<Failure>,
    family: &'static str,
    /// What the rows are called in messages and checksums.
    name: &'static str,
}

impl Table {
    pub(crate) fn new(
        db: &Arc<Db>,
        failure: &Arc<Failure>,
        family: &'static str,
        name: &'static str,
    ) -> Self {
        Self { db: Arc::clone(db), failure: Arc::clone(failure), family, name }
    }

    fn handle(&self) -> StoreResult<Arc<BoundColumnFamily<'_>>> {
        let handle = self.db.cf_handle(self.family);
        handle.ok_or_else(|| self.damaged(&format!("column family {} is missing", self.family)))
    }

    /// Reports damage found by the caller; stops the store.
    pub(crate) fn damaged(&self, what: &str) -> StoreError {
        self.failure.note(StoreError::damaged(format!("{}: {what}", self.name)))
    }

    /// The verified value under `key`.
    pub(crate) fn get(&self, key: &[u8]) -> StoreResult<Option<Vec<u8>>> {
        self.failure.check()?;
        let stored = self.db.get_pinned_cf(&self.handle()?, key);
        let Some(stored) =
            stored.map_err(|e| self.failure.note(StoreError::engine("reading a row", e)))?
        else {
            return Ok(None);
        };
        envelope::open(self.name, key, &stored)
            .map(|v| Some(v.to_vec()))
            .map_err(|e| self.failure.note(e))
    }

    /// Calls `each` with the verified rows of `from..to` in order until it breaks.
    pub(crate) fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        mut each: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> StoreResult<()> {
        self.failure.check()?;
        if from >= to {
            return Ok(());
        }
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(to);
        let rows = self.db.iterator_cf_opt(
            &self.handle()?,
            options,
            IteratorMode::From(from, Direction::Forward),
        );
        for row in rows {
            let (key, stored) =
                row.map_err(|e| self.failure.note(StoreError::engine("reading rows", e)))?;
            let value =
                envelope::open(self.name, &key, &stored).map_err(|e| self.failure.note(e))?;
            if each(&key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The last key in `from..to`.
    pub(crate) fn last_key(&self, from: &[u8], to: &[u8]) -> StoreResult<Option<Vec<u8>>> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(to);
        options.set_iterate_lower_bound(from);
        self.edge(options, IteratorMode::End)
    }

    /// The first key in `from..to`.
    pub(crate) fn first_key(&self, from: &[u8], to: &[u8]) -> StoreResult<Option<Vec<u8>>> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(to);
        self.edge(options, IteratorMode::From(from, Direction::Forward))
    }

    fn edge(&self, options: ReadOptions, mode: IteratorMode<'_>) -> StoreResult<Option<Vec<u8>>> {
        self.failure.check()?;
        let row = self.db.iterator_cf_opt(&self.handle()?, options, mode).next().transpose();
        let row = row.map_err(|e| self.failure.note(StoreError::engine("reading rows", e)))?;
        Ok(row.map(|(key, _)| key.into_vec()))
    }

    /// Adds a row to `batch`.
    pub(crate) fn put(&self, batch: &mut WriteBatch, key: &[u8], value: &[u8]) -> StoreResult<()> {
        batch.put_cf(&self.handle()?, key, envelope::seal(self.name, key, value));
        Ok(())
    }

    /// Adds a deletion to `batch`.
    pub(crate) fn delete(&self, batch: &mut WriteBatch, key: &[u8]) -> StoreResult<()> {
        batch.delete_cf(&self.handle()?, key);
        Ok(())
    }

    /// Adds the deletion of `from..to` to `batch`.
    pub(crate) fn delete_range(
        &self,
        batch: &mut WriteBatch,
        from: &[u8],
        to: &[u8],
    ) -> StoreResult<()> {
        if from < to {
            batch.delete_range_cf(&self.handle()?, from, to);
        }
        Ok(())
    }

    /// Writes `batch`; durable on return if `sync`.
    pub(crate) fn write(&self, batch: WriteBatch, sync: bool) -> StoreResult<()> {
        self.failure.check()?;
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        self.db
            .write_opt(batch, &options)
            .map_err(|e| self.failure.note(StoreError::engine("writing a batch", e)))
    }
}
