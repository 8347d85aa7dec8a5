//! What a member refuses to start on, and how it stops.

use super::cluster::Cluster;
use super::{ORIGIN, open_store};
use crate::codec::encode;
use crate::config::RaftConfig;
use crate::consensus::{Consensus, MemberOptions};
use crate::error::{InitializeError, MemberFailure, StartError};
use crate::member::Known;
use crate::network::grpc::GrpcLinks;
use crate::snapshot::{Image, Meta, Origin};
use crate::type_config::{Entry, LogId, PeerNode, StoredMembership, TypeConfig};
use openraft::type_config::alias::CommittedLeaderIdOf;
use sekisho_fsm::State;
use sekisho_store::Store;
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::clock::SystemClock;
use sekisho_transport::deadline::Deadline;
use sekisho_transport::dial::Dialer;
use sekisho_transport::task::TaskGroup;
use sekisho_types::id::MemberId;
use sekisho_types::revision::Incarnation;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

fn options(store: Arc<Store>, member: u64) -> MemberOptions {
    let bundles = TrustBundles::new(Arc::new(SystemClock));
    MemberOptions {
        origin: ORIGIN,
        member: MemberId(member),
        known: Known::default(),
        store,
        links: GrpcLinks::new(Dialer::new(None, bundles)),
        config: RaftConfig::default(),
        clock: Arc::new(SystemClock),
        tasks: TaskGroup::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_members_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path(), 1);
    let refused = Consensus::start(options(Arc::clone(&store), 2)).await;
    assert!(matches!(refused, Err(StartError::OtherMember)));
    let restored = Origin { incarnation: Incarnation(2), ..ORIGIN };
    let refused = Consensus::start(MemberOptions { origin: restored, ..options(store, 1) }).await;
    assert!(matches!(refused, Err(StartError::OtherMember)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_begins_after_the_snapshot_is_refused_without_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path(), 1);
    let leader = CommittedLeaderIdOf::<TypeConfig> { term: 1, node_id: 1 };
    let purged = encode(&LogId::new(leader, 7)).unwrap();
    let (tell, told) = tokio::sync::oneshot::channel();
    store.log().purge(7, purged, Box::new(|done| tell.send(done).unwrap())).unwrap();
    told.await.unwrap().unwrap();
    let refused = Consensus::start(options(store, 1)).await;
    assert!(matches!(refused, Err(StartError::SnapshotBehindLog { snapshot: None, purged: 7 })));
}

/// What a crash between the saving of a received snapshot and the purge behind it leaves, with an uncommitted entry of a
/// later term than the snapshot's last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_ends_before_its_snapshot_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path(), 1);
    let id = |term, at| LogId::new(CommittedLeaderIdOf::<TypeConfig> { term, node_id: 1 }, at);
    let blank = |term, at| {
        let entry = Entry { log_id: id(term, at), payload: openraft::EntryPayload::Blank };
        (at, encode(&entry).unwrap())
    };
    let entries = (0..10).map(|at| blank(5, at)).chain([blank(7, 10)]).collect();
    let (tell, told) = tokio::sync::oneshot::channel();
    store.log().append(entries, Box::new(|done| tell.send(done).unwrap())).unwrap();
    told.await.unwrap().unwrap();
    let (origin, membership) = (ORIGIN, StoredMembership::default());
    let meta = Meta { origin, last_log_id: Some(id(6, 20)), membership };
    let image = Image { state: State::default(), payloads: Vec::new() };
    store.snapshots().save(&encode(&meta).unwrap(), &image.encode().unwrap()).unwrap();
    let consensus = Consensus::start(options(Arc::clone(&store), 1)).await.unwrap();
    let log = store.log();
    assert_eq!((log.last_index(), log.purged().unwrap().0), (None, 20));
    consensus.shutdown().await;
}

#[test]
fn initializing_waits_for_all_first_members_and_can_be_repeated() {
    let mut cluster = Cluster::stopped(RaftConfig::default());
    cluster.start(1);
    let consensus = cluster.consensus(1);
    let nodes: BTreeMap<MemberId, PeerNode> =
        [1, 2, 3].map(|id| (MemberId(id), cluster.node(id))).into();
    let soon = || Deadline::after(Duration::from_millis(300));
    let alone = cluster.wait(consensus.initialize(&nodes, soon()));
    assert_eq!(alone, Err(InitializeError::NotCommitted));
    let without = BTreeMap::from([(MemberId(2), cluster.node(2))]);
    let refused = cluster.wait(consensus.initialize(&without, soon()));
    assert_eq!(refused, Err(InitializeError::NotInMembers(MemberId(1))));
    cluster.start(2);
    let two = cluster.wait(consensus.initialize(&nodes, soon()));
    assert_eq!(two, Err(InitializeError::NotCommitted));
    cluster.start(3);
    cluster.initialize(1);
    cluster.initialize(3);
    let first = cluster.bootstrap();
    let revision = cluster.propose(3, first).revision;
    cluster.converge(revision);
}

#[test]
fn a_closed_log_fails_the_member_and_it_accepts_nothing_any_more() {
    let mut cluster = Cluster::new();
    let first = cluster.bootstrap();
    cluster.propose(1, first);
    let (leader, _) = cluster.leader(&[1, 2, 3]);
    let consensus = cluster.consensus(leader);
    cluster.close_log(leader);
    let site = cluster.site("lost");
    let answer = cluster.try_propose(leader, site, Duration::from_secs(5));
    assert!(answer.is_err(), "{answer:?}");
    let failure = cluster.wait(consensus.failed());
    assert!(matches!(failure, MemberFailure::Storage(_)), "{failure}");
    let again = cluster.site("again");
    let refused = cluster.try_propose(leader, again, Duration::from_secs(5));
    assert!(matches!(refused, Err(crate::error::ProposeError::Failed(_))), "{refused:?}");
    // The others go on without it.
    let others: Vec<u64> = [1, 2, 3].into_iter().filter(|id| *id != leader).collect();
    cluster.leader(&others);
    let site = cluster.site("without");
    cluster.propose(others[0], site);
}
