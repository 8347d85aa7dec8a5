//! The raft log as openraft sees it, over a [`LogDisk`].
//!
//! Must hold (R1, R7): a vote is durable before `save_vote` returns; entries are readable when `append` returns and
//! `IOFlushed` fires only once they are durable, in submit order; a hole is an error, not a short answer; the log is
//! never purged past what a durable snapshot covers.
//!
//! Recent entries are kept decoded ([`Recent`]), so that on the hot path nobody reads the disk or decodes twice.

mod recent;
#[cfg(test)]
mod suite;

use crate::codec::{decode, encode};
use crate::disk::LogDisk;
use crate::limit::APPEND_BYTES;
use crate::platform::{Native, Platform};
use crate::type_config::{Entry, LogId, TypeConfig, Vote, index};
use futures::Stream;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use parking_lot::RwLock;
use recent::Recent;
use sekisho_store::{Done, StoreResult};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::oneshot;

/// The end of what a durable snapshot covers. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Covered(Arc<AtomicU64>);

impl Covered {
    /// Everything up to `last` is in a durable snapshot.
    pub(crate) fn raise(&self, last: u64) {
        self.0.fetch_max(last.saturating_add(1), Ordering::AcqRel);
    }

    fn covers(&self, last: u64) -> bool {
        last < self.0.load(Ordering::Acquire)
    }
}

/// The log. Clones are handles of the same log.
#[derive(Debug, Clone)]
pub(crate) struct LogAdapter<P = Native> {
    disk: Arc<dyn LogDisk>,
    recent: Arc<RwLock<Recent>>,
    covered: Covered,
    platform: PhantomData<P>,
}

impl<P: Platform> LogAdapter<P> {
    pub(crate) fn new(disk: Arc<dyn LogDisk>, covered: Covered) -> Self {
        Self { disk, recent: Arc::default(), covered, platform: PhantomData }
    }

    /// Entries of `range` that the log has, bounded in bytes but at least one.
    async fn read(&self, range: Range<u64>, max_bytes: usize) -> io::Result<Vec<Entry>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(entries) = self.recent.read().range(&range, max_bytes) {
            return Ok(entries);
        }
        let read = P::blocking(reading(Arc::clone(&self.disk), range, max_bytes));
        read.await.map_err(io::Error::other)?
    }

    /// All entries of `range` that the log has.
    async fn read_all(&self, range: Range<u64>) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut next = range.start;
        while next < range.end {
            let part = self.read(next..range.end, APPEND_BYTES).await?;
            let Some(last) = part.last() else { break };
            next = index(&last.log_id).saturating_add(1);
            entries.extend(part);
        }
        Ok(entries)
    }

    /// Submits through `op` and waits until it is durable.
    async fn durable(&self, op: impl FnOnce(Done) -> StoreResult<()>) -> io::Result<()> {
        let (tell, told) = oneshot::channel();
        let done: Done = Box::new(move |outcome| {
            // The waiter is gone when its task was cancelled: nobody is left to tell.
            tell.send(outcome).unwrap_or_default();
        });
        op(done).map_err(io::Error::other)?;
        told.await.map_err(io::Error::other)?.map_err(io::Error::other)
    }
}

/// The work of a read that the recent entries cannot answer. Not a closure inside the method: the compiler would tie
/// it to the borrow of `self` there.
fn reading(
    disk: Arc<dyn LogDisk>,
    range: Range<u64>,
    max_bytes: usize,
) -> impl FnOnce() -> io::Result<Vec<Entry>> + Send + 'static {
    move || {
        let rows = disk.read(range, max_bytes).map_err(io::Error::other)?;
        rows.into_iter().map(|(at, bytes)| open(at, &bytes)).collect()
    }
}

/// Decodes a stored entry and checks that it is the one asked for.
fn open(at: u64, bytes: &[u8]) -> io::Result<Entry> {
    let entry: Entry = decode(bytes)?;
    if index(&entry.log_id) != at {
        let found = index(&entry.log_id);
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("entry {found} lies at {at}"),
        ));
    }
    Ok(entry)
}

/// A half-open range out of any.
fn bounds(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}

impl<P: Platform> RaftLogReader<TypeConfig<P>> for LogAdapter<P> {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + fmt::Debug + Send,
    {
        let range = bounds(&range);
        // Entries removed by a purge may be missing at the beginning, and nowhere else.
        let first = self.disk.first_index().unwrap_or(u64::MAX);
        self.read_all(range.start.max(first)..range.end).await
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.disk.vote().map(|bytes| decode(&bytes)).transpose()?)
    }

    /// Nothing, where the beginning is purged: replication may take up a command again that it had long carried out
    /// (openraft 0.10.0-alpha.37, after a commit went out without entries), and what it names is gone by then. An
    /// error would stop a leader that lacks nothing; [`crate::network::client`] ends that stream.
    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let gone = || self.disk.purged().is_some_and(|(purged, _)| start <= purged);
        if gone() {
            return Ok(Vec::new());
        }
        match self.read(start..end, APPEND_BYTES).await {
            // Purged while it was read.
            Err(_) if gone() => Ok(Vec::new()),
            read => read,
        }
    }

    /// In pieces, so that a long replay is not held in memory as a whole.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = io::Result<Entry>> + Send
    where
        RB: RangeBounds<u64> + Clone + fmt::Debug + Send,
    {
        let (log, range) = (self.clone(), bounds(&range));
        let parts = futures::stream::unfold(Some(range), move |range| {
            let log = log.clone();
            async move {
                let range = range?;
                match log.read(range.clone(), APPEND_BYTES).await {
                    Ok(part) if is_short(&part, &range) => {
                        let short = io::Error::from(io::ErrorKind::UnexpectedEof);
                        Some((vec![Err(short)], None))
                    }
                    Ok(part) => {
                        let last = index(&part.last()?.log_id);
                        let rest = last.saturating_add(1)..range.end;
                        let items: Vec<io::Result<Entry>> = part.into_iter().map(Ok).collect();
                        Some((items, Some(rest)))
                    }
                    Err(error) => Some((vec![Err(error)], None)),
                }
            }
        });
        futures::StreamExt::flat_map(parts, futures::stream::iter)
    }
}

/// Whether entries are missing at the beginning of what was read. openraft counts the whole range as applied, whatever
/// came of it: one that is left out would be a silent difference from every other replica (R4).
fn is_short(part: &[Entry], range: &Range<u64>) -> bool {
    match part.first() {
        Some(first) => index(&first.log_id) != range.start,
        None => !range.is_empty() && range.end < u64::MAX,
    }
}

impl<P: Platform> RaftLogStorage<TypeConfig<P>> for LogAdapter<P> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig<P>>> {
        let purged: Option<LogId> =
            self.disk.purged().map(|(_, bytes)| decode(&bytes)).transpose()?;
        let last = match self.disk.last_index() {
            Some(last) => {
                let entries = self.read(last..last.saturating_add(1), APPEND_BYTES).await?;
                entries.last().map(|entry| entry.log_id)
            }
            None => None,
        };
        Ok(LogState { last_purged_log_id: purged, last_log_id: last.or(purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let bytes = encode(vote)?;
        self.durable(|done| self.disk.save_vote(bytes, done)).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let bytes = encode(&committed)?;
        self.disk.save_committed(bytes, Box::new(|_written| ())).map_err(io::Error::other)
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        let committed: Option<Option<LogId>> =
            self.disk.committed().map(|bytes| decode(&bytes)).transpose()?;
        Ok(committed.flatten())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig<P>>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let mut rows = Vec::with_capacity(entries.len());
        for entry in &entries {
            rows.push((index(&entry.log_id), encode(entry)?));
        }
        // First, because the callback may come before this returns: whoever it wakes must find the entries.
        let mut recent = self.recent.write();
        for (entry, (_, bytes)) in entries.into_iter().zip(&rows) {
            recent.push(entry, bytes.len());
        }
        drop(recent);
        let done: Done =
            Box::new(|outcome| callback.io_completed(outcome.map_err(io::Error::other)));
        self.disk.append(rows, done).map_err(io::Error::other)
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let last = last.map(|id| index(&id));
        self.recent.write().cut(last.map_or(0, |last| last.saturating_add(1)));
        self.durable(|done| self.disk.truncate_after(last, done)).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        if !self.covered.covers(index(&upto)) {
            return Err(io::Error::other(format!(
                "no durable snapshot covers the purge up to {upto}"
            )));
        }
        let id = encode(&upto)?;
        self.recent.write().forget_upto(index(&upto));
        self.durable(|done| self.disk.purge(index(&upto), id, done)).await
    }
}
