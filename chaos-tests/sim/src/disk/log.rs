//! The log of a simulated disk: a queue, one writer, groups.

use super::super::limit::GROUP;
use super::super::plan::Bug;
use super::super::platform::sleep;
use super::super::world::now;
use super::{Memory, Open, eio};
use rand::Rng as _;
use sekisho_raft::disk::LogDisk;
use sekisho_store::{Done, StoreError, StoreResult};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// One write.
#[derive(Debug, Clone)]
pub(super) enum LogOp {
    Append(u64, Vec<Arc<[u8]>>),
    Vote(Arc<[u8]>),
    Committed(Arc<[u8]>),
    Truncate(u64),
    Purge(u64, Arc<[u8]>),
}

/// The rows, in memory or on the medium.
#[derive(Debug, Clone, Default)]
pub(super) struct LogImage {
    entries: BTreeMap<u64, Arc<[u8]>>,
    purged: Option<(u64, Arc<[u8]>)>,
    vote: Option<Arc<[u8]>>,
    committed: Option<Arc<[u8]>>,
    /// The highest index that was ever here.
    pub(super) peak: Option<u64>,
}

impl LogImage {
    fn first(&self) -> u64 {
        self.purged.as_ref().map_or(0, |(upto, _)| upto.saturating_add(1))
    }

    fn next(&self) -> u64 {
        let last = self.entries.keys().next_back();
        last.map_or_else(|| self.first(), |last| last.saturating_add(1))
    }

    pub(super) fn apply(&mut self, op: &LogOp) {
        match op {
            LogOp::Append(first, entries) => {
                self.entries.extend((*first..).zip(entries.iter().cloned()));
                self.peak = self.peak.max(self.next().checked_sub(1));
            }
            LogOp::Vote(vote) => self.vote = Some(Arc::clone(vote)),
            LogOp::Committed(committed) => self.committed = Some(Arc::clone(committed)),
            LogOp::Truncate(from) => drop(self.entries.split_off(from)),
            LogOp::Purge(upto, id) => {
                if self.purged.as_ref().is_none_or(|(before, _)| before < upto) {
                    self.purged = Some((*upto, Arc::clone(id)));
                    self.entries = self.entries.split_off(&upto.saturating_add(1));
                }
            }
        }
    }
}

/// The writer of one process. Ends with it.
pub(super) async fn writing(open: Arc<Open>) {
    loop {
        let mut work = std::pin::pin!(open.work.notified());
        work.as_mut().enable();
        let (ops, dones) = take(&mut open.memory.lock());
        if ops.is_empty() {
            // The handles of a process that ended in order are gone, and nobody will come any more.
            if Arc::strong_count(&open) == 1 || !open.alive() {
                return;
            }
            work.await;
            continue;
        }
        let outcome = sync(&open, ops).await;
        if !open.alive() {
            return;
        }
        for done in dones {
            done(outcome.clone());
        }
    }
}

fn take(memory: &mut Memory) -> (Vec<LogOp>, Vec<Done>) {
    // A committed mark alone causes no write: it rides on the next one.
    if memory.queue.iter().all(|(op, _)| matches!(op, LogOp::Committed(_))) {
        return (Vec::new(), Vec::new());
    }
    let many = memory.queue.len().min(GROUP);
    let (ops, dones): (Vec<LogOp>, Vec<Option<Done>>) = memory.queue.drain(..many).unzip();
    (ops, dones.into_iter().flatten().collect())
}

/// Brings one group to the medium. Only what is under way at the end is written: a power cut may have been faster.
async fn sync(open: &Open, ops: Vec<LogOp>) -> StoreResult<()> {
    // Nothing is written after an error, nor by a process that was killed meanwhile.
    open.check(&open.memory.lock())?;
    let took = {
        let mut platter = open.medium.platter.lock();
        let micros = platter.pace.least..=platter.pace.most;
        let took = Duration::from_micros(platter.chance.random_range(micros));
        platter.under_way.clone_from(&ops);
        took.max(platter.stalled_until.saturating_sub(now()))
    };
    sleep(took).await;
    if !open.alive() {
        return Err(StoreError::Closed);
    }
    let mut memory = open.memory.lock();
    open.check(&memory)?;
    let mut platter = open.medium.platter.lock();
    let group = std::mem::take(&mut platter.under_way);
    if platter.fails.0 {
        // Whether an fsync that failed wrote anything is not known (the kernel may say yes the next time).
        if platter.chance.random_bool(0.5) {
            group.iter().for_each(|op| platter.log.apply(op));
        }
        drop(platter);
        return Err(open.fail(&mut memory, eio("syncing the log")));
    }
    group.iter().for_each(|op| platter.log.apply(op));
    drop(platter);
    for op in &group {
        if let LogOp::Vote(vote) = op {
            open.medium.oracle.voted(open.medium.member, vote);
        }
    }
    open.medium.world.note(&format!("disk {} synced {} ops", open.medium.member, group.len()));
    Ok(())
}

/// The log's face.
#[derive(Debug)]
pub(super) struct SimLog(pub(super) Arc<Open>);

impl SimLog {
    fn submit(&self, done: Done, op: impl FnOnce(&LogImage) -> LogOp) -> StoreResult<()> {
        let mut memory = self.0.memory.lock();
        self.0.check(&memory)?;
        let op = op(&memory.log);
        memory.log.apply(&op);
        memory.queue.push_back((op, Some(done)));
        drop(memory);
        self.0.work.notify_one();
        Ok(())
    }
}

impl LogDisk for SimLog {
    fn append(&self, entries: Vec<(u64, Vec<u8>)>, done: Done) -> StoreResult<()> {
        let medium = &self.0.medium;
        let mut memory = self.0.memory.lock();
        self.0.check(&memory)?;
        let first = memory.log.next();
        for (expected, (got, bytes)) in (first..).zip(&entries) {
            if *got != expected {
                return Err(StoreError::NotContiguous { table: "log", expected, got: *got });
            }
            medium.oracle.appended(medium.member, *got, bytes);
        }
        let entries = entries.into_iter().map(|(_, bytes)| bytes.into()).collect();
        let op = LogOp::Append(first, entries);
        memory.log.apply(&op);
        if medium.bug == Some(Bug::AckBeforeSync) {
            memory.queue.push_back((op, None));
            drop(memory);
            done(Ok(()));
        } else {
            memory.queue.push_back((op, Some(done)));
            drop(memory);
        }
        self.0.work.notify_one();
        Ok(())
    }

    fn save_vote(&self, vote: Vec<u8>, done: Done) -> StoreResult<()> {
        self.submit(done, |_| LogOp::Vote(vote.into()))
    }

    fn save_committed(&self, committed: Vec<u8>, done: Done) -> StoreResult<()> {
        self.submit(done, |_| LogOp::Committed(committed.into()))
    }

    fn truncate_after(&self, last: Option<u64>, done: Done) -> StoreResult<()> {
        let from = last.map_or(0, |last| last.saturating_add(1));
        self.submit(done, |log| LogOp::Truncate(from.clamp(log.first(), log.next())))
    }

    fn purge(&self, upto: u64, id: Vec<u8>, done: Done) -> StoreResult<()> {
        self.submit(done, |_| LogOp::Purge(upto, id.into()))
    }

    fn read(&self, range: Range<u64>, max_bytes: usize) -> StoreResult<Vec<(u64, Arc<[u8]>)>> {
        let mut memory = self.0.memory.lock();
        self.0.check(&memory)?;
        let fails = std::mem::take(&mut self.0.medium.platter.lock().fails_read);
        if fails {
            self.0.medium.world.count(|totals| totals.failed_reads += 1);
            return Err(self.0.fail(&mut memory, eio("reading the log")));
        }
        let first = memory.log.first();
        if range.start >= range.end.min(memory.log.next()) {
            return Ok(Vec::new());
        }
        if range.start < first {
            return Err(StoreError::Purged { table: "log", asked: range.start, first });
        }
        let (mut out, mut bytes) = (Vec::new(), 0_usize);
        for (index, entry) in memory.log.entries.range(range) {
            bytes = bytes.saturating_add(entry.len());
            if !out.is_empty() && bytes > max_bytes {
                break;
            }
            out.push((*index, Arc::clone(entry)));
        }
        Ok(out)
    }

    fn first_index(&self) -> Option<u64> {
        self.0.memory.lock().log.entries.keys().next().copied()
    }

    fn last_index(&self) -> Option<u64> {
        self.0.memory.lock().log.entries.keys().next_back().copied()
    }

    fn purged(&self) -> Option<(u64, Arc<[u8]>)> {
        self.0.memory.lock().log.purged.clone()
    }

    fn vote(&self) -> Option<Arc<[u8]>> {
        self.0.memory.lock().log.vote.clone()
    }

    fn committed(&self) -> Option<Arc<[u8]>> {
        self.0.memory.lock().log.committed.clone()
    }
}
