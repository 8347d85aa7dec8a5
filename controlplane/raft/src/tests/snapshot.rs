//! Snapshots: installed on a member that was away too long, and what a damaged or foreign one does.

use super::cluster::Cluster;
use super::{MemoryDisk, ORIGIN};
use crate::consensus::backfill::{BackfillError, Progress, add};
use crate::disk::AuditDisk;
use crate::error::MemberFailure;
use crate::log_store::Covered;
use crate::snapshot::{Image, Meta, Origin, Shelf, SnapshotData, SnapshotError};
use crate::state_machine::StateMachine;
use crate::type_config::{Entry, LogId, Proposal, StoredMembership, TypeConfig};
use crate::view::Publisher;
use openraft::EntryPayload;
use openraft::storage::{RaftSnapshotBuilder as _, RaftStateMachine as _};
use openraft::type_config::alias::CommittedLeaderIdOf;
use sekisho_evidence::merkle::Frontier;
use sekisho_fsm::command::{Command, Item};
use sekisho_fsm::testing::{Federation, PAYLOAD, job, user};
use sekisho_store::{AuditTable, SavedSnapshot, hashes_of};
use sekisho_transport::clock::SystemClock;
use sekisho_types::id::{ClusterId, Digest, JobId};
use sekisho_types::revision::{Incarnation, Revision};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[test]
fn a_member_that_was_away_past_the_purge_gets_a_snapshot() {
    let mut cluster = Cluster::with_snapshots(40, 5);
    let first = cluster.bootstrap();
    let early = cluster.propose(1, first).revision;
    cluster.converge(early);
    cluster.crash(3);
    let mut last = early;
    for at in 0..120 {
        let site = cluster.site(&format!("site-{at}"));
        last = cluster.propose(1, site).revision;
    }
    // Before that the log would still do, and no snapshot were sent.
    for id in [1, 2] {
        let engine = cluster.consensus(id).engine().clone();
        let wait = engine.wait(Some(Duration::from_secs(30)));
        let purged = wait.metrics(
            |m| m.purged.as_ref().is_some_and(|purged| purged.index() > early.0),
            "purged past what it has",
        );
        cluster.wait(purged).unwrap();
    }
    cluster.start(3);
    let digest = cluster.converge(last);
    // It has the state, and fetches the audit records of the time when it was away.
    let same = |cluster: &Cluster| {
        cluster.complete(3);
        let logs = [1, 3].map(|id| cluster.consensus(id).audit());
        let [whole, fetched] = logs.each_ref().map(|log| log.serve().unwrap());
        let size = whole.size();
        assert_eq!(fetched.size(), size);
        let all = |log: &AuditTable| log.records(0..size, usize::MAX).unwrap();
        assert_eq!(all(fetched), all(whole));
        let hashes: Vec<u64> = (0..hashes_of(size)).collect();
        assert_eq!(fetched.hashes(&hashes).unwrap(), whole.hashes(&hashes).unwrap());
    };
    same(&cluster);
    // And it goes on from there, also after a crash of everyone.
    for id in [1, 2, 3] {
        cluster.crash(id);
    }
    for id in [1, 2, 3] {
        cluster.start(id);
    }
    assert_eq!(cluster.converge(last), digest);
    let site = cluster.site("afterwards");
    let last = cluster.propose(3, site).revision;
    cluster.converge(last);
    same(&cluster);
}

/// Whoever sends audit records is not trusted: they have to lead to the frontier that came with the snapshot.
#[test]
fn backfilled_records_of_another_history_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let store = super::open_store(dir.path(), 1);
    let disk: &dyn AuditDisk = store.as_ref();
    let record = |at: u64, salt: u8| [vec![salt], at.to_be_bytes().to_vec()].concat();
    let mut tree = Frontier::default();
    for at in 0..11 {
        tree.append(&record(at, 0)).unwrap();
    }
    let frontier: Vec<_> = tree.roots().map(|(index, hash)| (index, hash.0)).collect();
    store.audit().restart_at(11, hashes_of(11), &frontier).unwrap();
    let records = |from: u64, salt: u8| (from..11).map(|at| record(at, salt)).collect::<Vec<_>>();
    assert!(matches!(add(disk, &records(0, 0)[..6]), Ok(Progress::More)));
    assert!(matches!(add(disk, &records(6, 1)), Err(BackfillError::OtherTree)));
    disk.forget().unwrap();
    assert_eq!((store.audit().first(), store.audit().low()), (11, 0));
    // What was shown before is shown still: the frontier.
    let shown = |index: &u64| store.audit().hash(*index).unwrap();
    assert!(frontier.iter().all(|(index, hash)| shown(index) == Some(*hash)));
    assert!(matches!(add(disk, &records(0, 0)[..4]), Ok(Progress::More)));
    let inner = (0..hashes_of(4)).filter(|index| frontier.iter().all(|(kept, _)| kept != index));
    assert!(inner.clone().all(|index| shown(&index).is_none()), "not yet proven");
    // A crash after the last piece: it is compared without another one.
    let rest = records(4, 0);
    let hashes: Vec<_> = {
        let mut whole = Frontier::default();
        let all = records(0, 0);
        let hashes = all.iter().map(|record| whole.append(record).unwrap().hashes);
        hashes.skip(4).flatten().map(|hash| hash.0).collect()
    };
    store.audit().backfill(4, &rest, &hashes).unwrap();
    assert_eq!((store.audit().first(), store.audit().low()), (11, 11));
    assert!(matches!(add(disk, &[]), Ok(Progress::Done)));
    assert!(inner.clone().all(|index| shown(&index).is_some()));
    assert_eq!(store.audit().records(0..99, usize::MAX).unwrap(), records(0, 0));
}

fn id(at: u64) -> LogId {
    LogId::new(CommittedLeaderIdOf::<TypeConfig> { term: 1, node_id: 1 }, at)
}

fn meta(at: u64) -> Meta {
    Meta { origin: ORIGIN, last_log_id: Some(id(at)), membership: StoredMembership::default() }
}

fn shelf(disk: &Arc<MemoryDisk>) -> Result<(Shelf, Option<(Meta, Image)>), SnapshotError> {
    Shelf::open(disk.clone(), ORIGIN, Covered::default())
}

pub(super) fn machine(disk: &Arc<MemoryDisk>) -> (StateMachine, Arc<Publisher>, Arc<Shelf>) {
    let publisher = Arc::new(Publisher::new(Arc::new(SystemClock)));
    let (shelf, loaded) = shelf(disk).unwrap();
    let shelf = Arc::new(shelf);
    let machine =
        StateMachine::open(disk.clone(), Arc::clone(&shelf), Arc::clone(&publisher), loaded);
    (machine.unwrap(), publisher, shelf)
}

/// The log of a federation: before its entries is the first membership.
pub(super) fn log_of(federation: Federation) -> Vec<Entry> {
    let log = federation.log.into_iter().map(|(revision, entry)| Entry {
        log_id: id(revision.0),
        payload: EntryPayload::Normal(Proposal::new(entry).unwrap()),
    });
    [Entry { log_id: id(0), payload: EntryPayload::Blank }].into_iter().chain(log).collect()
}

/// The entries of a federation with a job in it.
pub(super) fn entries() -> Vec<Entry> {
    let mut federation = Federation::furnished();
    federation.submit(job("train", 1, 4, &["JP"]));
    log_of(federation)
}

pub(super) async fn apply(machine: &mut StateMachine, entries: &[Entry]) -> std::io::Result<()> {
    let items: Vec<_> = entries.iter().map(|entry| Ok((entry.clone(), None))).collect();
    machine.apply(futures::stream::iter(items)).await
}

#[tokio::test]
async fn what_a_batch_leaves_is_one_write_and_nothing_is_none() {
    let (disk, entries) = (Arc::new(MemoryDisk::default()), entries());
    let (mut machine, publisher, _) = machine(&disk);
    apply(&mut machine, &entries).await.unwrap();
    assert_eq!(disk.writes.load(Ordering::Relaxed), 1);
    use crate::disk::DataDisk as _;
    assert_eq!(disk.audit_extent(), (0, publisher.view().state.audit_size()));
    // A payload and a submission.
    assert_eq!(disk.payload_keys().unwrap().len(), 2);
    let next = entries.last().unwrap().log_id.index() + 1;
    let blank = Entry { log_id: id(next), payload: EntryPayload::Blank };
    apply(&mut machine, &[blank]).await.unwrap();
    assert_eq!(disk.writes.load(Ordering::Relaxed), 1);
    assert_eq!(publisher.view().applied, Some(Revision(next)));
}

#[tokio::test]
async fn a_snapshot_carries_payloads_and_a_restart_begins_with_it() {
    let (disk, entries) = (Arc::new(MemoryDisk::default()), entries());
    let (mut first, publisher, _) = machine(&disk);
    let (early, late) = entries.split_at(entries.len() / 2);
    apply(&mut first, early).await.unwrap();
    // Built from the version of this moment, though apply goes on before it is saved.
    let mut stale = first.get_snapshot_builder().await;
    apply(&mut first, late).await.unwrap();
    let mut builder = first.get_snapshot_builder().await;
    let built = builder.build_snapshot().await.unwrap();
    let last = entries.last().unwrap().log_id;
    assert_eq!(built.meta.last_log_id, Some(last));
    // An older one that comes late does not take its place.
    stale.build_snapshot().await.unwrap();
    let current = first.get_current_snapshot().await.unwrap().unwrap();
    assert_eq!(current.meta, built.meta);

    let digest = publisher.view().state.digest().unwrap();
    let saved = disk.snapshot().unwrap();
    let other = Arc::new(MemoryDisk::default());
    other.set_snapshot(saved.clone());
    let (mut restarted, published, shelf) = machine(&other);
    assert_eq!(restarted.applied_state().await.unwrap().0, Some(last));
    assert_eq!(published.view().state.digest().unwrap(), digest);
    assert_eq!(published.view().applied, Some(Revision(last.index())));
    use crate::disk::DataDisk as _;
    assert_eq!(other.payload(&Digest::of(PAYLOAD).0).unwrap().as_deref(), Some(PAYLOAD));
    assert_eq!(shelf.current().unwrap().0.last_log_id, Some(last));

    // Received from another member: the same.
    let third = Arc::new(MemoryDisk::default());
    let (mut installed, published, _) = machine(&third);
    let data = SnapshotData::Received(saved.data.into());
    installed.install_snapshot(&built.meta, data).await.unwrap();
    assert_eq!(published.view().state.digest().unwrap(), digest);
    assert_eq!(third.snapshot().unwrap().meta, saved.meta);
    let (first, size) = third.audit_extent();
    assert_eq!((first, size), (size, published.view().state.audit_size()));
}

#[tokio::test]
async fn a_foreign_or_damaged_snapshot_is_refused_whole() {
    let (disk, entries) = (Arc::new(MemoryDisk::default()), entries());
    let (mut source, _, _) = machine(&disk);
    apply(&mut source, &entries).await.unwrap();
    let built = source.get_snapshot_builder().await.build_snapshot().await.unwrap();
    let saved = disk.snapshot().unwrap();
    let foreign = [
        Origin { cluster: ClusterId([9; 16]), ..ORIGIN },
        Origin { incarnation: Incarnation(2), ..ORIGIN },
    ];
    for origin in foreign {
        assert!(matches!(Meta::open(&saved.meta, origin), Err(SnapshotError::OtherCluster)));
        assert!(matches!(Image::decode(&saved.data, origin), Err(SnapshotError::OtherCluster)));
        let opened = Shelf::open(disk.clone(), origin, Covered::default());
        assert!(matches!(opened, Err(SnapshotError::OtherCluster)));
    }
    let damage: [Vec<u8>; 4] = [
        Vec::new(),
        [&[9], &saved.data[1..]].concat(),
        saved.data[..saved.data.len() - 1].to_vec(),
        [saved.data.as_slice(), &[0]].concat(),
    ];
    for data in damage {
        let (mut machine, publisher, _) = machine(&Arc::new(MemoryDisk::default()));
        let data = SnapshotData::Received(data.into());
        assert!(machine.install_snapshot(&built.meta, data).await.is_err());
        assert_eq!(publisher.view().applied, None);
        assert!(matches!(publisher.failure(), Some(MemberFailure::Storage(_))));
    }
    // A payload that nobody refers to was not in the state that was saved.
    let mut image = Image::decode(&saved.data, ORIGIN).unwrap();
    image.payloads.push((Digest::of(b"x"), b"x".to_vec()));
    let refused = Image::decode(&image.encode().unwrap(), ORIGIN);
    assert!(matches!(refused, Err(SnapshotError::Payload(_))));
}

#[test]
fn of_two_snapshots_the_further_one_counts() {
    let disk = Arc::new(MemoryDisk::default());
    let (shelf, loaded) = shelf(&disk).unwrap();
    assert!(loaded.is_none() && shelf.current().is_none());
    assert_eq!(shelf.save(&meta(9), b"nine").unwrap(), 1);
    assert_eq!(shelf.save(&meta(5), b"five").unwrap(), 1);
    assert_eq!(shelf.save(&meta(12), b"twelve").unwrap(), 2);
    let shelf = Arc::new(shelf);
    let load = |number| SnapshotData::Saved { shelf: Arc::clone(&shelf), number }.load();
    assert!(matches!(load(1), Err(SnapshotError::Superseded)));
    assert_eq!(load(2).unwrap().as_ref(), b"twelve");
    let SavedSnapshot { meta, .. } = disk.snapshot().unwrap();
    assert_eq!(Meta::open(&meta, ORIGIN).unwrap().last_log_id, Some(id(12)));
}

#[tokio::test]
async fn a_failure_or_panic_stops_the_member_before_anything_is_published() {
    for panics in [false, true] {
        let (disk, entries) = (Arc::new(MemoryDisk::default()), entries());
        let (mut machine, publisher, _) = machine(&disk);
        apply(&mut machine, &entries[..2]).await.unwrap();
        let before = publisher.view();
        let switch = if panics { &disk.panics } else { &disk.fails };
        switch.store(true, Ordering::Relaxed);
        assert!(apply(&mut machine, &entries[2..4]).await.is_err());
        let failure = publisher.failure().unwrap();
        assert_eq!(matches!(failure, MemberFailure::Apply { .. }), panics, "{failure}");
        assert!(Arc::ptr_eq(&before, &publisher.view()));
        switch.store(false, Ordering::Relaxed);
        if panics {
            assert!(apply(&mut machine, &entries[4..5]).await.is_err());
            machine.get_snapshot_builder().await.build_snapshot().await.unwrap_err();
        }
    }
}

#[tokio::test]
async fn an_entry_that_is_none_or_comes_again_stops_the_member() {
    let entries = entries();
    let (mut twice, publisher, _) = machine(&Arc::new(MemoryDisk::default()));
    apply(&mut twice, &entries[..2]).await.unwrap();
    assert!(apply(&mut twice, &entries[1..2]).await.is_err());
    assert!(matches!(publisher.failure(), Some(MemberFailure::Apply { .. })));

    let (mut machine, publisher, _) = machine(&Arc::new(MemoryDisk::default()));
    let payload = EntryPayload::Normal(Proposal::from_bytes(vec![1, 2, 3]));
    assert!(apply(&mut machine, &[Entry { log_id: id(0), payload }]).await.is_err());
    assert!(matches!(publisher.failure(), Some(MemberFailure::Apply { .. })));
}

#[tokio::test]
async fn a_payload_is_not_dropped_while_a_snapshot_that_refers_to_it_is_in_the_making() {
    use crate::disk::DataDisk as _;
    let mut federation = Federation::furnished();
    let job = federation.submit(job("train", 1, 4, &["JP"]));
    federation.accept(user("kanto", "sapporo"), Command::CancelJob { job });
    let entries = log_of(federation);
    let (cancel, before) = entries.split_last().unwrap();
    let disk = Arc::new(MemoryDisk::default());
    let (mut machine, _, _) = machine(&disk);
    apply(&mut machine, before).await.unwrap();
    let mut builder = machine.get_snapshot_builder().await;
    apply(&mut machine, std::slice::from_ref(cancel)).await.unwrap();
    // What it runs, and what its submitter signed.
    assert_eq!(disk.payload_keys().unwrap().len(), 2);
    builder.build_snapshot().await.unwrap();
    drop(builder);
    let image = Image::decode(&disk.snapshot().unwrap().data, ORIGIN).unwrap();
    assert_eq!(image.payloads.len(), 2);
    // With the next entries.
    let blank = Entry { log_id: id(cancel.log_id.index() + 1), payload: EntryPayload::Blank };
    apply(&mut machine, &[blank]).await.unwrap();
    assert_eq!(disk.payload_keys().unwrap(), Vec::<[u8; 32]>::new());
}

/// L4: within one entry a payload's last user goes and its next one comes.
#[tokio::test]
async fn a_payload_that_changes_hands_stays_until_its_last_user_has_gone() {
    use crate::disk::DataDisk as _;
    let (mut federation, user) = (Federation::furnished(), user("kanto", "sapporo"));
    let old = federation.submit(job("old", 1, 1, &[]));
    let begun = federation.log.len();
    let new = Box::new(job("new", 1, 1, &[]));
    let cancel = |id: &JobId| Item::CancelJob { job: id.clone() };
    let hand_over = vec![cancel(&old), Item::SubmitJob { facts: new.clone() }];
    federation.accept(user.clone(), Command::Batch(hand_over));
    federation.accept(user, Command::Batch(vec![cancel(&new.id)]));
    let entries = log_of(federation);
    let (begun, rest) = entries.split_at(begun + 1);
    for is_building in [false, true] {
        let disk = Arc::new(MemoryDisk::default());
        let (mut machine, publisher, _) = machine(&disk);
        apply(&mut machine, begun).await.unwrap();
        let builder = if is_building { Some(machine.get_snapshot_builder().await) } else { None };
        apply(&mut machine, &rest[..1]).await.unwrap();
        let kept = disk.payload(&Digest::of(PAYLOAD).0).unwrap();
        assert_eq!(kept.as_deref(), Some(PAYLOAD), "{is_building}");
        drop(builder);
        apply(&mut machine, &rest[1..]).await.unwrap();
        assert_eq!(publisher.view().state.queue_len(), 0);
        assert_eq!(disk.payload_keys().unwrap(), Vec::<[u8; 32]>::new(), "{is_building}");
    }
}
