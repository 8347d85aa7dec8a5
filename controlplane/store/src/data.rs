//! The data database as its tables see it: unsynced writes, synced writes, and the high-water mark of the latter.

use crate::db::Db;
use crate::db::table::Table;
use crate::error::{Failure, StoreError, StoreResult};
use crate::mark::HighWater;
use parking_lot::Mutex;
use rocksdb::WriteBatch;
use std::sync::Arc;

/// The open data database; shared by its tables.
#[derive(Debug)]
pub(crate) struct Data {
    db: Arc<Db>,
    failure: Arc<Failure>,
    mark: Mutex<HighWater>,
}

impl Data {
    pub(crate) fn new(db: Arc<Db>, failure: Arc<Failure>, mark: HighWater) -> Self {
        Self { db, failure, mark: Mutex::new(mark) }
    }

    pub(crate) fn table(&self, family: &'static str) -> Table {
        Table::new(&self.db, &self.failure, family, family)
    }

    /// Whether RocksDB slows writes down or stops them now. What it does not say is taken for yes.
    pub(crate) fn would_wait(&self) -> bool {
        let is_zero = |name| matches!(self.db.property_int_value(name), Ok(Some(0)));
        !(is_zero("rocksdb.is-write-stopped") && is_zero("rocksdb.actual-delayed-write-rate"))
    }

    /// Makes `batch`, which is not empty, and everything written before it durable. The mark knows of it on return: a
    /// note or a snapshot that was promised and is gone must be missed at the next start.
    pub(crate) fn write_synced(&self, table: &Table, batch: WriteBatch) -> StoreResult<()> {
        let mut mark = self.mark.lock();
        // Read before the sync: unsynced writes of others may come in between, and the mark must not vouch for them.
        let before = self.db.latest_sequence_number();
        table.write(batch, true)?;
        // The batch itself took at least one number.
        mark.raise(before.saturating_add(1)).map_err(|e| self.failure.note(e))
    }
}

/// An orderly end: what was written unsynced becomes durable, and the mark knows of it. The log could repeat it, but a
/// bit that is lost in it while the member is stopped would be a hole that nobody notices. A crash leaves that to the log.
impl Drop for Data {
    fn drop(&mut self) {
        // After a failure nothing is written any more (R7).
        if self.failure.check().is_err() {
            return;
        }
        let written = self.db.latest_sequence_number();
        let synced =
            self.db.flush_wal(true).map_err(|e| StoreError::engine("syncing at the end", e));
        if let Err(error) = synced.and_then(|()| self.mark.get_mut().raise(written)) {
            // Noting it says it; there is nobody left to refuse.
            let _said = self.failure.note(error);
        }
    }
}
