//! openraft's conformance suite over the real RocksDB store.
//!
//! Some of its cases begin a log in the middle, which the store refuses: a log begins at 0 or after what was purged.
//! For them [`Padded`] fills the gap with blank entries and hides these.

use super::{Covered, LogAdapter, bounds};
use crate::disk::{DataDisk, LogDisk};
use crate::snapshot::Shelf;
use crate::state_machine::StateMachine;
use crate::tests::{ORIGIN, open_store};
use crate::type_config::{Entry, LogId, TypeConfig, Vote, index};
use crate::view::Publisher;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::alias::CommittedLeaderIdOf;
use openraft::{EntryPayload, StorageError};
use sekisho_transport::clock::SystemClock;
use std::io;
use std::ops::RangeBounds;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

#[derive(Clone)]
struct Padded {
    log: LogAdapter,
    /// First entry that the suite wrote.
    from: Arc<AtomicU64>,
}

impl Padded {
    fn from(&self) -> u64 {
        self.from.load(Ordering::Relaxed)
    }
}

impl RaftLogReader<TypeConfig> for Padded {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + std::fmt::Debug + Send,
    {
        let range = bounds(&range);
        let range = range.start.max(self.from())..range.end;
        self.log.try_get_log_entries(range).await
    }
    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        self.log.read_vote().await
    }
    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.log.limited_get_log_entries(start, end).await
    }
}

impl RaftLogStorage<TypeConfig> for Padded {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        self.log.get_log_state().await
    }
    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }
    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.log.save_vote(vote).await
    }
    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.log.save_committed(committed).await
    }
    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        self.log.read_committed().await
    }
    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let first = entries.first().map_or(0, |entry| index(&entry.log_id));
        let state = self.log.get_log_state().await?;
        if state.last_log_id.is_none() && first > 0 {
            self.from.store(first, Ordering::Relaxed);
            let leader = CommittedLeaderIdOf::<TypeConfig> { term: 0, node_id: 0 };
            let blank = |at| Entry { log_id: LogId::new(leader, at), payload: EntryPayload::Blank };
            self.log.append((0..first).map(blank), IOFlushed::noop()).await?;
        }
        self.log.append(entries, callback).await
    }
    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        self.log.truncate_after(last).await
    }
    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.log.purge(upto).await
    }
}

struct Rocks;

impl StoreBuilder<TypeConfig, Padded, StateMachine, TempDir> for Rocks {
    async fn build(&self) -> Result<(TempDir, Padded, StateMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path(), 1);
        let covered = Covered::default();
        // The suite purges without ever having saved a snapshot.
        covered.raise(u64::MAX - 1);
        let disk: Arc<dyn LogDisk> = Arc::new(store.log().clone());
        let data: Arc<dyn DataDisk> = store;
        let (shelf, loaded) = Shelf::open(Arc::clone(&data), ORIGIN, Covered::default()).unwrap();
        let publisher = Arc::new(Publisher::new(Arc::new(SystemClock)));
        let machine = StateMachine::open(data, Arc::new(shelf), publisher, loaded).unwrap();
        let log = Padded { log: LogAdapter::new(disk, covered), from: Arc::default() };
        Ok((dir, log, machine))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_passes_the_suite_of_openraft() {
    Suite::test_all(Rocks).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_purged_that_no_snapshot_covers() {
    let dir = tempfile::tempdir().unwrap();
    let covered = Covered::default();
    let store = open_store(dir.path(), 1);
    let mut log: LogAdapter = LogAdapter::new(Arc::new(store.log().clone()), covered.clone());
    let leader = CommittedLeaderIdOf::<TypeConfig> { term: 1, node_id: 1 };
    let blank = |at| Entry { log_id: LogId::new(leader, at), payload: EntryPayload::Blank };
    log.append((0..5).map(blank), IOFlushed::noop()).await.unwrap();
    let upto = LogId::new(leader, 3);
    assert!(log.purge(upto).await.is_err());
    covered.raise(2);
    assert!(log.purge(upto).await.is_err());
    assert_eq!(log.try_get_log_entries(..).await.unwrap().len(), 5);
    covered.raise(3);
    log.purge(upto).await.unwrap();
    assert_eq!(log.try_get_log_entries(..).await.unwrap().len(), 1);
    // A stale command of replication asks for what is gone: nothing, and no error that would stop the leader.
    assert_eq!(log.limited_get_log_entries(2, 5).await.unwrap().len(), 0);
    assert_eq!(log.limited_get_log_entries(4, 5).await.unwrap().len(), 1);
}

/// What is left out of a replay must not count as applied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_that_lacks_entries_ends_in_an_error() {
    use futures::TryStreamExt as _;
    let dir = tempfile::tempdir().unwrap();
    let covered = Covered::default();
    covered.raise(1);
    let store = open_store(dir.path(), 1);
    let mut log: LogAdapter = LogAdapter::new(Arc::new(store.log().clone()), covered);
    let leader = CommittedLeaderIdOf::<TypeConfig> { term: 1, node_id: 1 };
    let blank = |at| Entry { log_id: LogId::new(leader, at), payload: EntryPayload::Blank };
    log.append((0..5).map(blank), IOFlushed::noop()).await.unwrap();
    let read = log.entries_stream(0..5).await.try_collect::<Vec<_>>().await;
    assert_eq!(read.unwrap().len(), 5);
    log.entries_stream(0..9).await.try_collect::<Vec<_>>().await.unwrap_err();
    log.purge(LogId::new(leader, 1)).await.unwrap();
    log.entries_stream(0..5).await.try_collect::<Vec<_>>().await.unwrap_err();
    let rest = log.entries_stream(2..5).await.try_collect::<Vec<_>>().await;
    assert_eq!(rest.unwrap().len(), 3);
}

/// The form on disk: an openraft that serializes otherwise must not get past this.
#[test]
fn golden_bytes() {
    let leader = CommittedLeaderIdOf::<TypeConfig> { term: 3, node_id: 2 };
    let hex = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let id = LogId::new(leader, 300);
    let proposal = crate::type_config::Proposal::from_bytes(vec![0xaa, 0xbb]);
    let entry = Entry { log_id: id, payload: EntryPayload::Normal(proposal) };
    assert_eq!(hex(crate::codec::encode(&entry).unwrap()), "010302ac020102aabb");
    let blank = Entry { log_id: id, payload: EntryPayload::Blank };
    assert_eq!(hex(crate::codec::encode(&blank).unwrap()), "010302ac0200");
    assert_eq!(hex(crate::codec::encode(&Vote::new(3, 2)).unwrap()), "01030200");
    assert_eq!(hex(crate::codec::encode(&Vote::new_committed(3, 2)).unwrap()), "01030201");
    assert_eq!(hex(crate::codec::encode(&Some(id)).unwrap()), "01010302ac02");
    let nodes = std::collections::BTreeMap::from([(2, crate::PeerNode::default())]);
    let voters = vec![std::collections::BTreeSet::from([2])];
    let membership = openraft::Membership::new(voters, nodes).unwrap();
    let entry = Entry { log_id: id, payload: EntryPayload::Membership(membership) };
    let node = "0b3132372e302e302e313a31056b616e746f07746f6b796f2d31";
    assert_eq!(hex(crate::codec::encode(&entry).unwrap()), format!("010302ac02020101020102{node}"));
}
