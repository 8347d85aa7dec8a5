//! The data database as its tables see it: unsynced writes, synced writes, and the high-water mark of the latter.

use crate::db::Db;
use crate::db::table::Table;
use crate::error::{Failure, StoreResult};
use crate::limit::MARK_EVERY;
use crate::mark::HighWater;
use parking_lot::Mutex;
use rocksdb::WriteBatch;
use std::sync::Arc;

/// The open data database; shared by its tables.
#[derive(Debug)]
pub(crate) struct Data {
    db: Arc<Db>,
    failure: Arc<Failure>,
    marking: Mutex<Marking>,
}

#[derive(Debug)]
struct Marking {
    mark: HighWater,
    /// Synced writes since the mark was raised.
    unmarked: u32,
}

/// How soon the mark has to know of a synced write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marked {
    /// Before the write returns.
    Now,
    /// After some more of them.
    Soon,
}

impl Data {
    pub(crate) fn new(db: Arc<Db>, failure: Arc<Failure>, mark: HighWater) -> Self {
        Self { db, failure, marking: Mutex::new(Marking { mark, unmarked: 0 }) }
    }

    pub(crate) fn table(&self, family: &'static str) -> Table {
        Table::new(&self.db, &self.failure, family, family)
    }

    /// Makes `batch`, which is not empty, and everything written before it durable.
    pub(crate) fn write_synced(
        &self,
        table: &Table,
        batch: WriteBatch,
        marked: Marked,
    ) -> StoreResult<()> {
        let mut marking = self.marking.lock();
        // Read before the sync: unsynced writes of others may come in between, and the mark must not vouch for them.
        let before = self.db.latest_sequence_number();
        table.write(batch, true)?;
        marking.unmarked = marking.unmarked.saturating_add(1);
        if marked == Marked::Soon && marking.unmarked < MARK_EVERY {
            return Ok(());
        }
        marking.unmarked = 0;
        // The batch itself took at least one number.
        marking.mark.raise(before.saturating_add(1)).map_err(|e| self.failure.note(e))
    }
}
