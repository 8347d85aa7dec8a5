//! The member's work: random operations on the log and on the tables beside it, in the order in which `raft` does them.

use super::data::Operation as DataOperation;
use super::line::Line;
use super::log::Operation as LogOperation;
use super::member::{Task, Told, say};
use super::value::{LEAST, bytes, digest, tag_of};
use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sekisho_store::{Store, StoreResult};
use std::sync::Arc;
use std::time::Duration;

/// Names of the notes that the drill keeps.
pub(super) const HEAD: &str = "signed-head";
pub(super) const OTHER: &str = "other";
/// Log operations under way at most: enough for groups, few enough that most are decided when the cut comes.
const UNDER_WAY: usize = 48;
/// Audit records kept before the table is restarted: each is read at every opening.
const RECORDS: u64 = 400;
/// Log entries kept before the log is compacted, for the same reason.
const ENTRIES: u64 = 300;
/// Longer than the store waits before it brings its high-water mark up to date.
const QUIET: Duration = Duration::from_millis(60);

/// The work, step by step.
pub(super) struct Work<'a> {
    store: &'a Store,
    random: StdRng,
    told: Arc<Told>,
    next: u64,
    big: bool,
    log_begun: usize,
    data_begun: usize,
}

/// The outer error: nobody listens any more.
pub(super) type Step = Result<StoreResult<()>>;

impl<'a> Work<'a> {
    pub(super) fn new(store: &'a Store, task: &Task) -> Self {
        Self {
            store,
            random: StdRng::seed_from_u64(task.seed),
            told: Arc::default(),
            next: task.first,
            big: task.big,
            log_begun: 0,
            data_begun: 0,
        }
    }

    /// Waits for what is under way.
    pub(super) fn finish(&self) -> StoreResult<()> {
        self.told.wait(self.log_begun, 0)
    }

    fn value(&mut self) -> u64 {
        self.next = self.next.saturating_add(1);
        self.next
    }

    fn size(&mut self, most: usize) -> usize {
        self.random.random_range(LEAST..most)
    }

    /// The next operation; the inner error is the store's.
    pub(super) fn step(&mut self) -> Step {
        let kept = self.store.log().last_index().zip(self.store.log().first_index());
        let kept = kept.map_or(0, |(last, first)| last.saturating_sub(first));
        let most = if self.big { 24 } else { ENTRIES };
        match self.random.random_range(0..100_u32) {
            0..40 => self.append(),
            40..48 => {
                let vote = self.value();
                self.log(LogOperation::Vote(vote))
            }
            48..54 => {
                let mark = self.value();
                self.log(LogOperation::Committed(mark))
            }
            54..60 => self.truncate(),
            60..66 => self.compact(kept.min(most)),
            _ if kept > most => self.compact(kept),
            66 => self.install(),
            67..79 => self.audit(),
            79..83 => self.data(DataOperation::AuditSync),
            83..89 => self.payload(),
            89..93 => {
                let (name, note) = (if self.random.random() { HEAD } else { OTHER }, self.value());
                self.data(DataOperation::Note(name.to_owned(), note))
            }
            93 => self.data(DataOperation::DeleteOlder),
            94 => {
                std::thread::sleep(QUIET); // waits: the store writes its mark after a quiet while
                Ok(Ok(()))
            }
            _ => Ok(self.finish()),
        }
    }

    fn append(&mut self) -> Step {
        let count = self.random.random_range(1..6_usize);
        let tags = (0..count).map(|_| self.value()).collect();
        self.log(LogOperation::Append(tags))
    }

    fn truncate(&mut self) -> Step {
        let (Some(first), Some(last)) =
            (self.store.log().first_index(), self.store.log().last_index())
        else {
            return Ok(Ok(()));
        };
        let from = self.random.random_range(last.saturating_sub(5).max(first)..=last);
        self.log(LogOperation::Truncate(from))
    }

    /// A snapshot, then the log up to it: never the other way round.
    fn compact(&mut self, kept: u64) -> Step {
        let Some(first) = self.store.log().first_index() else { return Ok(Ok(())) };
        if let Err(error) = self.finish() {
            return Ok(Err(error));
        }
        let covered =
            first.saturating_add(kept).saturating_sub(self.random.random_range(0..4)).max(first);
        self.snapshot(covered, covered)
    }

    /// A snapshot from a leader that is ahead: the log and the audit tables start anew behind it.
    fn install(&mut self) -> Step {
        let log = self.store.log();
        let last = log.last_index().or_else(|| log.purged().map(|(index, _)| index)).unwrap_or(0);
        let index = last.saturating_add(self.random.random_range(1..50));
        let (record, older) = (self.store.audit().size().saturating_add(7), self.value());
        // Past every hash there is, so that the frontier hash is the only one below.
        let hash = self.store.audit().next_hash().saturating_add(9);
        let restarted =
            self.data(DataOperation::AuditRestart(record, hash, (hash.saturating_sub(1), older)))?;
        if restarted.is_err() {
            return Ok(restarted);
        }
        self.snapshot(index, index)
    }

    fn snapshot(&mut self, index: u64, purge: u64) -> Step {
        let (tag, id) = (self.value(), self.value());
        let saved = self.data(DataOperation::Snapshot(index, tag))?;
        if saved.is_err() {
            return Ok(saved);
        }
        self.log(LogOperation::Purge(purge, id))
    }

    fn audit(&mut self) -> Step {
        let audit = self.store.audit();
        let (record, hash) = (audit.size(), audit.next_hash());
        if record.saturating_sub(audit.first()) > RECORDS {
            return self.install();
        }
        let tags = (0..self.random.random_range(1..8_usize)).map(|_| self.value()).collect();
        self.data(DataOperation::Audit(record, hash, tags))
    }

    fn payload(&mut self) -> Step {
        if self.random.random_range(0..3) == 0 {
            let keys = match self.store.payloads().keys() {
                Ok(keys) => keys,
                Err(error) => return Ok(Err(error)),
            };
            let old = keys.iter().filter(|_| self.random.random()).filter_map(|key| tag_of(key));
            let old = old.collect();
            return self.data(DataOperation::Forget(old));
        }
        let tag = self.value();
        self.data(DataOperation::Payload(tag))
    }

    fn log(&mut self, operation: LogOperation) -> Step {
        let number = self.log_begun;
        if let Err(error) = self.told.wait(number, UNDER_WAY) {
            return Ok(Err(error));
        }
        say(&Line::LogBegun(operation.clone()))?;
        self.log_begun = number.saturating_add(1);
        let (log, done) = (self.store.log(), self.told.done(number));
        Ok(match operation {
            LogOperation::Append(tags) => {
                let from = log.last_index().or_else(|| log.purged().map(|(index, _)| index));
                let from = from.map_or(0, |last| last.saturating_add(1));
                let most = if self.big { 4 << 20 } else { 3000 };
                let entries: Vec<(u64, Vec<u8>)> = (from..)
                    .zip(tags)
                    .map(|(index, tag)| (index, bytes(tag, self.size(most))))
                    .collect();
                log.append(entries, done)
            }
            LogOperation::Vote(vote) => log.save_vote(bytes(vote, 24), done),
            LogOperation::Committed(mark) => log.save_committed(bytes(mark, 24), done),
            LogOperation::Truncate(from) => log.truncate_after(from.checked_sub(1), done),
            LogOperation::Purge(upto, id) => log.purge(upto, bytes(id, 16), done),
        })
    }

    fn data(&mut self, operation: DataOperation) -> Step {
        say(&Line::DataBegun(operation.clone()))?;
        let number = self.data_begun;
        self.data_begun = number.saturating_add(1);
        let store = self.store;
        let outcome = match operation {
            DataOperation::Payload(tag) => {
                let size = self.size(100_000);
                store.payloads().put(&digest(tag), &bytes(tag, size))
            }
            DataOperation::Forget(tags) => {
                store.payloads().delete(&tags.into_iter().map(digest).collect::<Vec<_>>())
            }
            DataOperation::Audit(record, hash, tags) => self.append_audit(record, hash, &tags),
            DataOperation::AuditSync => store.audit().sync(),
            DataOperation::AuditRestart(record, hash, (index, tag)) => {
                store.audit().restart_at(record, hash, &[(index, digest(tag))])
            }
            DataOperation::Snapshot(index, tag) => {
                // Now and then of several chunks.
                let most = if self.random.random_range(0..6) == 0 { 3 << 20 } else { 60_000 };
                let size = self.size(most);
                store.snapshots().save(&index.to_be_bytes(), &bytes(tag, size)).map(drop)
            }
            DataOperation::DeleteOlder => store.snapshots().delete_older(),
            DataOperation::Note(name, tag) => {
                let size = self.size(2000);
                store.notes().put(&name, &bytes(tag, size))
            }
        };
        if outcome.is_ok() {
            say(&Line::DataDone(number))?;
        }
        Ok(outcome)
    }

    /// Rows as a replay of the log would write them: those that are there already once more, sometimes.
    fn append_audit(&mut self, record: u64, hash: u64, tags: &[u64]) -> StoreResult<()> {
        let records: Vec<Vec<u8>> = tags.iter().map(|&tag| bytes(tag, self.size(800))).collect();
        let hashes: Vec<[u8; 32]> = tags.iter().map(|&tag| digest(tag)).collect();
        self.store.audit().append(record, &records, hash, &hashes)?;
        if self.random.random() {
            self.store.audit().append(record, &records, hash, &hashes)?;
        }
        Ok(())
    }
}
