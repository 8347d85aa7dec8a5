//! The raft log: entries, vote, committed mark, purge mark.
//!
//! Must hold (R1, R7): operations take effect in the order in which they were submitted, in memory at once and on disk
//! through one queue and one IO thread, so that a durable vote never comes back beside a lost older truncation; a
//! [`Done`] is called with `Ok` only after the write and its sync returned, in submit order; once anything failed,
//! everything answers with that failure. An operation that returns `Err` was not submitted and its `Done` is not
//! called; after `Ok` it is called exactly once, except when the process dies.
//!
//! Does not know what an entry, a vote or a log id is: bytes and indexes. Blocks the caller while the queue is full;
//! a reader never waits for the disk for an entry that was not yet written.

mod cache;
mod io_thread;
mod queue;
mod rows;
#[cfg(test)]
mod tests;

pub use queue::Done;

use crate::db::Db;
use crate::db::LOG_FAMILY;
use crate::db::table::Table;
use crate::error::{Failure, StoreError, StoreResult};
use crate::limit::ENTRY_BYTES;
use crate::mark::HighWater;
use cache::Cache;
use io_thread::IoThread;
use parking_lot::{Mutex, RwLock};
use queue::{Kind, Op, Queue};
use rows::{Loaded, Rows};
use sekisho_types::time::Clock;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

const TABLE: &str = "log";

/// What is in memory. Ahead of the disk by what is queued.
#[derive(Debug)]
pub(crate) struct LogState {
    first: u64,
    cache: Cache,
    purged: Option<(u64, Arc<[u8]>)>,
    vote: Option<Arc<[u8]>>,
    committed: Option<Arc<[u8]>>,
    /// Entries below this are in the database in their present form: the cache may drop them.
    written: u64,
    /// How often the end of the log was moved other than by an append. An append from before such a cut must not raise
    /// `written`, and a reader that met one looks again.
    cuts: u64,
    /// The highest `next` ever durable.
    peak: u64,
}

impl LogState {
    fn next(&self) -> u64 {
        self.cache.next()
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    state: RwLock<LogState>,
    failure: Arc<Failure>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    rows: Rows,
    queue: Arc<Queue>,
    /// Held over the change in memory and the queueing, so that both have one order.
    submit: Mutex<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The log. Clones are handles of the same log; the last one to go closes it.
#[derive(Debug, Clone)]
pub struct LogStore(Arc<Handle>);

/// A log database that was read and checked but has no IO thread yet.
#[derive(Debug)]
pub(crate) struct LoadedLog {
    rows: Rows,
    loaded: Loaded,
}

impl LoadedLog {
    /// Reads and checks the log database.
    pub(crate) fn load(db: &Arc<Db>, failure: &Arc<Failure>) -> StoreResult<Self> {
        let rows = Rows(Table::new(db, failure, LOG_FAMILY, TABLE));
        let loaded = rows.load()?;
        Ok(Self { rows, loaded })
    }

    /// True if nothing was ever written to it.
    pub(crate) fn is_empty(&self) -> StoreResult<bool> {
        self.rows.is_empty()
    }

    /// Starts the IO thread.
    pub(crate) fn start(
        self,
        mark: HighWater,
        clock: Arc<dyn Clock>,
        cache_bytes: usize,
    ) -> StoreResult<LogStore> {
        let Self { rows, loaded } = self;
        let state = LogState {
            first: loaded.first,
            cache: Cache::new(loaded.ends.next, cache_bytes),
            purged: loaded.purged,
            vote: loaded.vote,
            committed: loaded.committed,
            written: loaded.ends.next,
            cuts: 0,
            peak: loaded.ends.peak,
        };
        let shared =
            Arc::new(Shared { state: RwLock::new(state), failure: Arc::clone(&rows.0.failure) });
        let queue = Arc::new(Queue::default());
        let io = IoThread::new(
            rows.clone(),
            Arc::clone(&shared),
            Arc::clone(&queue),
            mark,
            clock,
            loaded.ends,
        );
        let thread = std::thread::Builder::new()
            .name("raft-log-io".into())
            .spawn(move || io.run())
            .map_err(|e| StoreError::io("starting a thread", Path::new("raft-log-io"), e))?;
        let thread = Mutex::new(Some(thread));
        Ok(LogStore(Arc::new(Handle { shared, rows, queue, submit: Mutex::new(()), thread })))
    }
}

impl LogStore {
    /// Adds `entries` at the end of the log. They can be read when this returns; `done` says when they are durable.
    ///
    /// # Errors
    /// `NotContiguous` unless the indexes go up by one from the end of the log (after the last entry; after the purged
    /// index if that is higher; 0 in a new log); `TooLarge` over [`ENTRY_BYTES`]; `Failed`; `Closed`.
    pub fn append(&self, entries: Vec<(u64, Vec<u8>)>, done: Done) -> StoreResult<()> {
        let order = self.0.submit.lock();
        self.0.shared.failure.check()?;
        let first = self.0.shared.state.read().next();
        for (expected, (got, bytes)) in (first..).zip(&entries) {
            if *got != expected {
                return Err(StoreError::NotContiguous { table: TABLE, expected, got: *got });
            }
            if bytes.len() > ENTRY_BYTES {
                return Err(StoreError::TooLarge {
                    what: "log entry",
                    size: bytes.len(),
                    bound: ENTRY_BYTES,
                });
            }
        }
        let entries: Vec<Arc<[u8]>> = entries.into_iter().map(|(_, bytes)| bytes.into()).collect();
        let mut state = self.0.shared.state.write();
        for entry in &entries {
            state.cache.push(Arc::clone(entry));
        }
        let cuts = state.cuts;
        drop(state);
        let sent = self.0.queue.push(Op { kind: Kind::Append { first, entries }, cuts, done });
        drop(order);
        sent
    }

    /// Replaces the vote; `done` says when it is durable.
    ///
    /// # Errors
    /// `Failed`; `Closed`.
    pub fn save_vote(&self, vote: Vec<u8>, done: Done) -> StoreResult<()> {
        self.submit(done, |state| {
            state.vote = Some(Arc::from(vote.as_slice()));
            Kind::Vote(vote)
        })
    }

    /// Replaces the committed mark. It is written with the next synced write, after a moment of quiet, or at close;
    /// `done` is called before that.
    ///
    /// # Errors
    /// `Failed`; `Closed`.
    pub fn save_committed(&self, committed: Vec<u8>, done: Done) -> StoreResult<()> {
        self.submit(done, |state| {
            state.committed = Some(Arc::from(committed.as_slice()));
            Kind::Committed(committed)
        })
    }

    /// Drops the entries after `last`, all of them if `None` (but never below the purged index).
    ///
    /// # Errors
    /// `Failed`; `Closed`.
    pub fn truncate_after(&self, last: Option<u64>, done: Done) -> StoreResult<()> {
        self.submit(done, |state| {
            let from =
                last.map_or(0, |last| last.saturating_add(1)).clamp(state.first, state.next());
            state.cache.cut(from);
            state.written = state.written.min(from);
            state.cuts = state.cuts.saturating_add(1);
            Kind::Truncate { from }
        })
    }

    /// Drops the entries up to `upto` and remembers `purged_id` for it. Beyond the end (a snapshot was installed) the
    /// log is empty afterwards and goes on at `upto + 1`. An index below what is already purged changes nothing.
    ///
    /// # Errors
    /// `Failed`; `Closed`.
    pub fn purge(&self, upto: u64, purged_id: Vec<u8>, done: Done) -> StoreResult<()> {
        self.submit(done, |state| {
            let from = state.first;
            if let Some((purged, id)) = state.purged.as_ref().filter(|(purged, _)| *purged > upto) {
                return Kind::Purge { from, upto: *purged, id: id.to_vec() };
            }
            state.purged = Some((upto, Arc::from(purged_id.as_slice())));
            state.first = upto.saturating_add(1);
            if state.first > state.next() {
                state.cuts = state.cuts.saturating_add(1);
                state.written = state.first;
            }
            state.cache.forget_below(state.first);
            Kind::Purge { from, upto, id: purged_id }
        })
    }

    fn submit(&self, done: Done, change: impl FnOnce(&mut LogState) -> Kind) -> StoreResult<()> {
        let order = self.0.submit.lock();
        self.0.shared.failure.check()?;
        let mut state = self.0.shared.state.write();
        let kind = change(&mut state);
        let cuts = state.cuts;
        drop(state);
        let sent = self.0.queue.push(Op { kind, cuts, done });
        drop(order);
        sent
    }

    /// The entries of `range` that the log has, in order and without a gap from `range.start`, up to `max_bytes` of
    /// payload but at least one. The range may reach beyond the end; the answer stops there.
    ///
    /// # Errors
    /// `Purged` if the range starts below the first entry kept; `Damaged` if an entry is missing or not what was
    /// written; `Failed`.
    pub fn read(&self, range: Range<u64>, max_bytes: usize) -> StoreResult<Vec<(u64, Arc<[u8]>)>> {
        let mut out: Vec<(u64, Arc<[u8]>)> = Vec::new();
        let mut cuts = None;
        loop {
            self.0.shared.failure.check()?;
            let state = self.0.shared.state.read();
            // What was read before a truncation may be gone by now.
            if cuts.replace(state.cuts).is_some_and(|before| before != state.cuts) {
                out.clear();
            }
            let at = out.last().map_or(range.start, |(index, _)| index.saturating_add(1));
            let (end, left) = (range.end.min(state.next()), max_bytes.saturating_sub(size(&out)));
            if at >= end {
                return Ok(out);
            }
            if range.start < state.first {
                return Err(StoreError::Purged {
                    table: TABLE,
                    asked: range.start,
                    first: state.first,
                });
            }
            if at >= state.cache.first() {
                return Ok(within_budget(out, bounded(&state.cache, &(at..end), left), left));
            }
            let (seen, part) = (state.cuts, at..end.min(state.cache.first()));
            drop(state);
            let read = self.0.rows.read(&part, left);
            let state = self.0.shared.state.read();
            if state.cuts != seen || state.first > range.start {
                continue;
            }
            drop(state);
            let had = out.len();
            out = within_budget(out, read.map_err(|e| self.0.shared.failure.note(e))?, left);
            // The cache may have let go of more while the disk was read: only a spent budget ends the answer early.
            let reached = out.last().map_or(at, |(index, _)| index.saturating_add(1));
            if out.len() == had || reached < part.end {
                return Ok(out);
            }
        }
    }

    /// The first entry kept; `None` in an empty log.
    #[must_use]
    pub fn first_index(&self) -> Option<u64> {
        let state = self.0.shared.state.read();
        Some(state.first).filter(|&first| first < state.next())
    }

    /// The last entry, durable or not; `None` in an empty log.
    #[must_use]
    pub fn last_index(&self) -> Option<u64> {
        let state = self.0.shared.state.read();
        state.next().checked_sub(1).filter(|&last| last >= state.first)
    }

    /// The highest index that was ever durable here, also if it was truncated since: the number for R6.
    #[must_use]
    pub fn durable_log_index(&self) -> Option<u64> {
        self.0.shared.state.read().peak.checked_sub(1)
    }

    /// The last purged index with its id.
    #[must_use]
    pub fn purged(&self) -> Option<(u64, Arc<[u8]>)> {
        self.0.shared.state.read().purged.clone()
    }

    /// The vote saved last.
    #[must_use]
    pub fn vote(&self) -> Option<Arc<[u8]>> {
        self.0.shared.state.read().vote.clone()
    }

    /// The committed mark saved last; after a crash an older one.
    #[must_use]
    pub fn committed(&self) -> Option<Arc<[u8]>> {
        self.0.shared.state.read().committed.clone()
    }

    /// Payload bytes held in memory.
    #[must_use]
    pub fn cache_bytes(&self) -> usize {
        self.0.shared.state.read().cache.bytes()
    }

    /// Finishes what is queued and stops the IO thread. Later operations answer `Closed`. Blocks.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Handle {
    fn close(&self) {
        self.queue.close();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread.filter(|t| t.thread().id() != std::thread::current().id()) {
            // An Err is a panic of a callback; the thread has stopped the store already.
            if thread.join().is_err() {
                tracing::error!("the log thread ended by a panic");
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

fn size(entries: &[(u64, Arc<[u8]>)]) -> usize {
    entries.iter().fold(0, |sum, (_, e)| sum.saturating_add(e.len()))
}

/// `out` and what follows it, unless that is over the budget that is left; the first entries are always given.
fn within_budget(
    mut out: Vec<(u64, Arc<[u8]>)>,
    more: Vec<(u64, Arc<[u8]>)>,
    left: usize,
) -> Vec<(u64, Arc<[u8]>)> {
    if out.is_empty() || size(&more) <= left {
        out.extend(more);
    }
    out
}

/// What the cache has of `range`, up to `max_bytes` but at least one.
fn bounded(cache: &Cache, range: &Range<u64>, max_bytes: usize) -> Vec<(u64, Arc<[u8]>)> {
    let (mut out, mut bytes) = (Vec::new(), 0_usize);
    for (index, entry) in cache.tail(range) {
        bytes = bytes.saturating_add(entry.len());
        if !out.is_empty() && bytes > max_bytes {
            break;
        }
        out.push((index, Arc::clone(entry)));
    }
    out
}
