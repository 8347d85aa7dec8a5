//! The one thread that writes the log.
//!
//! Takes everything that is queued, makes one batch of it in order, writes and syncs it once, then tells everyone in
//! submit order. While one sync runs the next batch gathers: commits per second grow with the load instead of being
//! bound by the disk's syncs.
//!
//! Must hold: every record that this thread writes is synced before the next is begun; [`crate::db`]'s check for damage
//! in the middle rests on it. That is why a committed mark alone causes no write: it rides on the next one.

use super::Shared;
use super::queue::{Drained, Kind, Op, Queue};
use super::rows::{Ends, Rows};
use crate::error::{StoreError, StoreResult};
use crate::limit::{MARK_EVERY, MARK_IDLE_MS};
use crate::mark::HighWater;
use rocksdb::WriteBatch;
use sekisho_types::time::Clock;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct IoThread {
    rows: Rows,
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    mark: HighWater,
    clock: Arc<dyn Clock>,
    ends: Ends,
    /// A committed mark that waits for company.
    committed: Option<Vec<u8>>,
    /// Synced writes since the high-water mark was raised.
    unmarked: u32,
}

/// Stops the store if the thread ends by a panic: nobody would ever be told.
struct Guard(Arc<Shared>, Arc<Queue>);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.failure.note(StoreError::Failed { cause: Arc::new(StoreError::Closed) });
        }
        self.1.close();
    }
}

impl IoThread {
    pub(super) fn new(
        rows: Rows,
        shared: Arc<Shared>,
        queue: Arc<Queue>,
        mark: HighWater,
        clock: Arc<dyn Clock>,
        ends: Ends,
    ) -> Self {
        Self { rows, shared, queue, mark, clock, ends, committed: None, unmarked: 0 }
    }

    pub(super) fn run(mut self) {
        let _guard = Guard(Arc::clone(&self.shared), Arc::clone(&self.queue));
        loop {
            let pending = self.unmarked > 0 || self.committed.is_some();
            match self.queue.drain(pending.then_some(Duration::from_millis(MARK_IDLE_MS))) {
                Drained::Ops(ops) => self.group(ops),
                Drained::Idle => self.settle(),
                Drained::Closed => {
                    self.settle();
                    return;
                }
            }
        }
    }

    /// One group: write, sync, tell.
    fn group(&mut self, ops: Vec<Op>) {
        let depth = u32::try_from(ops.len()).unwrap_or(u32::MAX);
        metrics::histogram!("sekisho_store_queue_depth").record(depth);
        let outcome = self.write(&ops);
        if outcome.is_ok() {
            self.publish(&ops);
        }
        for op in ops {
            (op.done)(outcome.clone());
        }
        if outcome.is_ok() && self.unmarked >= MARK_EVERY {
            self.raise_mark();
        }
    }

    /// Writes what has no caller waiting: a lone committed mark, the high-water mark.
    fn settle(&mut self) {
        if self.shared.failure.check().is_err() {
            return;
        }
        let mut batch = WriteBatch::default();
        // Errors are noted by the table: the next operation answers with them.
        if self.take_committed(&mut batch).is_ok() && (batch.is_empty() || self.sync(batch).is_ok())
        {
            self.raise_mark();
        }
    }

    fn write(&mut self, ops: &[Op]) -> StoreResult<()> {
        self.shared.failure.check()?;
        let mut batch = WriteBatch::default();
        let mut ends = self.ends;
        for op in ops {
            self.add(&mut batch, &mut ends, &op.kind)?;
            ends.peak = ends.peak.max(ends.next);
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.take_committed(&mut batch)?;
        if ends != self.ends {
            self.rows.put_ends(&mut batch, ends)?;
        }
        self.sync(batch)?;
        self.ends = ends;
        Ok(())
    }

    fn add(&mut self, batch: &mut WriteBatch, ends: &mut Ends, kind: &Kind) -> StoreResult<()> {
        match kind {
            Kind::Append { first, entries } => {
                self.rows.put_entries(batch, *first, entries)?;
                ends.next = first.saturating_add(u64::try_from(entries.len()).unwrap_or(u64::MAX));
                metrics::counter!("sekisho_store_entries_total")
                    .increment(ends.next.saturating_sub(*first));
            }
            Kind::Vote(vote) => self.rows.put_vote(batch, vote)?,
            Kind::Committed(committed) => self.committed = Some(committed.clone()),
            Kind::Truncate { from } => {
                self.rows.truncate(batch, *from)?;
                ends.next = *from;
            }
            Kind::Purge { from, upto, id } => {
                self.rows.purge(batch, *from, *upto, id)?;
                ends.next = ends.next.max(upto.saturating_add(1));
            }
        }
        Ok(())
    }

    fn take_committed(&mut self, batch: &mut WriteBatch) -> StoreResult<()> {
        self.committed.take().map_or(Ok(()), |committed| self.rows.put_committed(batch, &committed))
    }

    fn sync(&mut self, batch: WriteBatch) -> StoreResult<()> {
        let bytes = u32::try_from(batch.size_in_bytes()).unwrap_or(u32::MAX);
        let begun = self.clock.boottime_ns();
        self.rows.0.write(batch, true)?;
        let took = Duration::from_nanos(self.clock.boottime_ns().saturating_sub(begun));
        self.unmarked = self.unmarked.saturating_add(1);
        metrics::histogram!("sekisho_store_fsync_seconds").record(took);
        metrics::histogram!("sekisho_store_batch_bytes").record(bytes);
        metrics::counter!("sekisho_store_writes_total").increment(1);
        Ok(())
    }

    /// Lets the cache drop what is now in the database.
    fn publish(&self, ops: &[Op]) {
        let mut state = self.shared.state.write();
        let cuts = state.cuts;
        for op in ops.iter().filter(|op| op.cuts == cuts) {
            let upto = match &op.kind {
                Kind::Append { first, entries } => {
                    first.saturating_add(u64::try_from(entries.len()).unwrap_or(u64::MAX))
                }
                Kind::Truncate { from } => *from,
                Kind::Purge { upto, .. } => upto.saturating_add(1),
                Kind::Vote(_) | Kind::Committed(_) => continue,
            };
            state.written = state.written.max(upto);
        }
        state.peak = state.peak.max(self.ends.peak);
        let written = state.written;
        state.cache.shrink(written);
        let held = u32::try_from(state.cache.bytes()).unwrap_or(u32::MAX);
        drop(state);
        metrics::gauge!("sekisho_store_cache_bytes").set(held);
    }

    fn raise_mark(&mut self) {
        // Only this thread writes to the log database, and its last write was synced.
        let sequence = self.rows.0.db.latest_sequence_number();
        match self.mark.raise(sequence) {
            Ok(()) => self.unmarked = 0,
            Err(error) => {
                self.shared.failure.note(error);
            }
        }
    }
}
