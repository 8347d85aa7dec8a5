//! The log against a model, its callbacks, its grouping and its memory bound.

use super::{LoadedLog, LogStore};
use crate::db::{self, Creation};
use crate::error::Failure;
use crate::mark::HighWater;
use crate::tests::{Ticks, entry, wait};
use crate::{StoreError, limit};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The log alone, without the rest of a data directory.
fn open(dir: &Path, cache_bytes: usize) -> LogStore {
    let there = dir.join("log.mark").exists();
    let creation = if there { Creation::Refused } else { Creation::Allowed };
    let db = Arc::new(db::open_log(&dir.join("log"), creation).unwrap());
    let mark = if there {
        HighWater::open(dir, "log.mark", "log")
    } else {
        HighWater::create(dir, "log.mark", "log")
    }
    .unwrap();
    mark.check(db.latest_sequence_number()).unwrap();
    let loaded = LoadedLog::load(&db, &Arc::new(Failure::default())).unwrap();
    loaded.start(mark, Arc::new(Ticks::default()), cache_bytes).unwrap()
}

fn flush(log: &LogStore) {
    wait(|done| log.truncate_after(log.last_index(), done)).unwrap();
}

#[derive(Debug, Clone)]
enum Step {
    Append(u8, u8),
    Truncate(u8),
    Purge(u8),
    Vote(u8),
    Committed(u8),
    Read(u8, u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1_u8..6, any::<u8>()).prop_map(|(n, size)| Step::Append(n, size)),
        3 => any::<u8>().prop_map(Step::Truncate),
        2 => any::<u8>().prop_map(Step::Purge),
        1 => any::<u8>().prop_map(Step::Vote),
        1 => any::<u8>().prop_map(Step::Committed),
        4 => (any::<u8>(), any::<u8>()).prop_map(|(at, n)| Step::Read(at, n)),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Debug, Default)]
struct Model {
    entries: BTreeMap<u64, Vec<u8>>,
    first: u64,
    next: u64,
    peak: u64,
    vote: Option<Vec<u8>>,
    committed: Option<Vec<u8>>,
    salt: u64,
}

impl Model {
    fn check(&self, log: &LogStore, at: u64, count: u64) {
        let end = at + count;
        let got = log.read(at..end, usize::MAX);
        if at < self.first && at < end.min(self.next) {
            assert!(matches!(got, Err(StoreError::Purged { .. })), "{got:?}");
        } else {
            let expected: Vec<_> =
                self.entries.range(at..end).map(|(i, e)| (*i, Arc::from(e.as_slice()))).collect();
            assert_eq!(got.unwrap(), expected);
        }
        let ends = (self.entries.keys().next(), self.entries.keys().next_back());
        assert_eq!((log.first_index().as_ref(), log.last_index().as_ref()), ends);
        assert_eq!(log.purged().map(|(i, _)| i + 1).unwrap_or_default(), self.first);
        assert_eq!(log.vote().as_deref(), self.vote.as_deref());
        assert_eq!(log.committed().as_deref(), self.committed.as_deref());
    }

    /// A place inside the log, or a little beyond either end.
    fn place(&self, at: u8) -> u64 {
        let span = self.next - self.first + 4;
        (self.first + u64::from(at) % span).saturating_sub(2)
    }

    fn step(&mut self, log: &LogStore, step: &Step) {
        let ignore = || Box::new(|outcome: Result<(), StoreError>| outcome.unwrap());
        match *step {
            Step::Append(n, size) => {
                self.salt += 1;
                let bytes = |i: u64| {
                    [entry(i, usize::from(size)).1, self.salt.to_be_bytes().to_vec()].concat()
                };
                let new: Vec<_> =
                    (self.next..self.next + u64::from(n)).map(|i| (i, bytes(i))).collect();
                log.append(new.clone(), ignore()).unwrap();
                self.entries.extend(new);
                self.next += u64::from(n);
                self.peak = self.peak.max(self.next);
            }
            Step::Truncate(at) => {
                let last = self.place(at);
                log.truncate_after(Some(last), ignore()).unwrap();
                self.next = (last + 1).clamp(self.first, self.next);
                self.entries.retain(|i, _| *i < self.next);
            }
            Step::Purge(at) => {
                let upto = self.place(at);
                log.purge(upto, vec![at], ignore()).unwrap();
                self.first = self.first.max(upto + 1);
                self.next = self.next.max(self.first);
                self.peak = self.peak.max(self.next);
                self.entries.retain(|i, _| *i >= self.first);
            }
            Step::Vote(v) => {
                log.save_vote(vec![v], ignore()).unwrap();
                self.vote = Some(vec![v]);
            }
            Step::Committed(v) => {
                log.save_committed(vec![v], ignore()).unwrap();
                self.committed = Some(vec![v]);
            }
            Step::Read(at, count) => self.check(log, self.place(at), u64::from(count % 32)),
            Step::Reopen => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_a_map_through_any_interleaving_and_reopen(steps in prop::collection::vec(step(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let mut model = Model::default();
        // So small that nearly every read needs the disk.
        let mut log = open(dir.path(), 300);
        for step in &steps {
            model.step(&log, step);
            if matches!(step, Step::Reopen) {
                flush(&log);
                prop_assert_eq!(log.durable_log_index(), model.peak.checked_sub(1));
                drop(log);
                log = open(dir.path(), 300);
                prop_assert_eq!(log.durable_log_index(), model.peak.checked_sub(1));
            }
            model.check(&log, model.first, 500);
        }
    }
}

#[test]
fn callbacks_come_in_submit_order_and_share_writes() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), limit::CACHE_BYTES);
    let (tell, told) = crossbeam_channel::bounded(4096);
    let before = log.0.rows.0.db.latest_sequence_number();
    // The first callback holds the IO thread until all others are queued.
    let (go, wait_for_go) = crossbeam_channel::bounded::<()>(1);
    log.save_vote(vec![0], Box::new(move |_| wait_for_go.recv().unwrap())).unwrap();
    let mut next = 0;
    for n in 0..1000_u64 {
        let tell = tell.clone();
        let done = Box::new(move |outcome: Result<(), StoreError>| {
            tell.send((n, outcome.is_ok())).unwrap();
        });
        match n % 10 {
            3 => log.save_vote(n.to_be_bytes().to_vec(), done).unwrap(),
            7 => {
                next -= 1;
                log.truncate_after(Some(next - 1), done).unwrap();
            }
            _ => {
                log.append(vec![entry(next, 20)], done).unwrap();
                next += 1;
            }
        }
    }
    go.send(()).unwrap();
    let order: Vec<_> = told.iter().take(1000).collect();
    assert!(order.iter().zip(0..).all(|((n, ok), expected)| *n == expected && *ok));
    // 800 entries, 100 votes, 100 cuts and one mark. Written one by one, each change of the ends has a mark.
    let writes = log.0.rows.0.db.latest_sequence_number() - before;
    assert!(writes < 1100, "{writes}");
    assert_eq!(log.last_index(), Some(next - 1));
}

#[test]
fn every_concurrent_submitter_is_told_and_the_last_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), limit::CACHE_BYTES);
    let (tell, told) = crossbeam_channel::bounded(4096);
    std::thread::scope(|scope| {
        for thread in 0..8_u8 {
            let (log, tell) = (log.clone(), tell.clone());
            scope.spawn(move || {
                for n in 0..50_u8 {
                    let tell = tell.clone();
                    let done = Box::new(move |outcome: Result<(), StoreError>| {
                        tell.send((thread, n, outcome.is_ok())).unwrap();
                    });
                    log.save_vote(vec![thread, n], done).unwrap();
                }
            });
        }
    });
    let told: Vec<_> = told.iter().take(400).collect();
    assert!(told.iter().all(|(_, _, ok)| *ok));
    for thread in 0..8 {
        let mine: Vec<u8> =
            told.iter().filter(|(t, _, _)| *t == thread).map(|(_, n, _)| *n).collect();
        assert!(mine.is_sorted() && mine.len() == 50);
    }
    let last = told.last().unwrap();
    assert_eq!(log.vote().as_deref(), Some([last.0, last.1].as_slice()));
}

#[test]
fn the_cache_keeps_its_bound_and_reads_fall_through() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), 10_000);
    for i in 0..50 {
        wait(|done| log.append(vec![entry(i, 1000)], done)).unwrap();
        assert!(log.cache_bytes() <= 10_000, "{}", log.cache_bytes());
    }
    let read = log.read(0..50, usize::MAX).unwrap();
    assert!(read.iter().zip(0..).all(|((i, e), n)| *i == n && **e == *entry(n, 1000).1));
    assert_eq!(read.len(), 50);
    assert_eq!(log.read(0..50, 2500).unwrap().len(), 2);
    assert_eq!(log.read(45..50, 2500).unwrap().len(), 2);
    assert_eq!(log.read(0..50, 0).unwrap().len(), 1);
    assert_eq!(log.read(38..50, 5000).unwrap().len(), 5);
    assert_eq!(log.read(60..70, 100).unwrap(), []);
}

#[test]
fn what_does_not_continue_the_log_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), 10_000);
    let none = || Box::new(|_: Result<(), StoreError>| panic!("not submitted"));
    let gap = log.append(vec![entry(1, 5)], none()).unwrap_err();
    assert!(matches!(gap, StoreError::NotContiguous { expected: 0, got: 1, .. }));
    let large = log.append(vec![(0, vec![0; limit::ENTRY_BYTES + 1])], none()).unwrap_err();
    assert!(matches!(large, StoreError::TooLarge { .. }));
    assert_eq!(log.last_index(), None);
    // A snapshot was installed: the log goes on behind it, also after a restart.
    wait(|done| log.purge(99, b"id".to_vec(), done)).unwrap();
    drop(log);
    let log = open(dir.path(), 10_000);
    assert_eq!(
        (log.first_index(), log.last_index(), log.durable_log_index()),
        (None, None, Some(99))
    );
    wait(|done| log.append(vec![entry(100, 5)], done)).unwrap();
    wait(|done| log.purge(3, b"older".to_vec(), done)).unwrap();
    assert_eq!(log.purged().unwrap(), (99, b"id".as_slice().into()));
    wait(|done| log.truncate_after(None, done)).unwrap();
    assert_eq!(log.last_index(), None);
    log.close();
    assert!(matches!(log.save_vote(vec![], none()), Err(StoreError::Closed)));
}
