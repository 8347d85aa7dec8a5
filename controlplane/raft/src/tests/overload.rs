//! Too much work, and peers that hang, crawl or stand still (L3, L4): everything is bounded, refused in time with a
//! hint when to come back, and nobody else notices.

use super::cluster::{Cluster, TIMING, soon};
use super::ways::What;
use super::{ORIGIN, header};
use crate::codec::encode;
use crate::consensus::{Consensus, Priority};
use crate::error::{ProposeError, ReadError};
use crate::limit::{IN_FLIGHT, IN_FLIGHT_UNIT, RETRY_AFTER};
use crate::network::grpc::GrpcLinks;
use crate::network::link::{Lane, Links as _, Packet};
use crate::network::message::{Refusal, SnapshotHead};
use crate::snapshot::Meta;
use crate::type_config::{LogId, StoredMembership, TypeConfig, Vote, index};
use bytes::Bytes;
use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use openraft::async_runtime::WatchReceiver as _;
use openraft::type_config::alias::CommittedLeaderIdOf;
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::Entry;
use sekisho_transport::deadline::Deadline;
use sekisho_transport::dial::Dialer;
use sekisho_types::id::{Digest, MemberId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Every answer that needs nobody's patience comes within this, also on a machine that compiles meanwhile.
const AT_ONCE: Duration = Duration::from_secs(3);

fn begun() -> (Cluster, u64, [u64; 2]) {
    let mut cluster = Cluster::new();
    let first = cluster.bootstrap();
    let revision = cluster.propose(1, first).revision;
    cluster.converge(revision);
    let (leader, _) = cluster.leader(&[1, 2, 3]);
    (cluster, leader, [leader % 3 + 1, (leader + 1) % 3 + 1])
}

/// An entry that takes as much of a lane as 50 small ones; apply refuses it, which is an answer as any.
fn bulky(cluster: &mut Cluster, name: &str) -> Entry {
    let payload = vec![0; 50 * IN_FLIGHT_UNIT];
    Entry { payload, ..cluster.site(name) }
}

async fn fills(consensus: &Consensus) {
    while consensus.in_flight(Priority::Ordinary).shed == 0 {
        // waits: for proposals that other futures of this task have just made
        sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_flood_of_users_is_refused_with_a_hint_and_delays_no_lease_and_no_election() {
    let (mut cluster, leader, others) = begun();
    let (_, before) = cluster.leader(&[leader]);
    // As if the followers' disks stood still: nothing commits, so that what is in flight stays there.
    others.iter().for_each(|to| cluster.ways.hold(leader, *to, &[What::Entries]));
    let many = usize::try_from(IN_FLIGHT).unwrap() / 51 + 10;
    let flood: Vec<Entry> = (0..many).map(|at| bulky(&mut cluster, &format!("f-{at}"))).collect();
    let [on_leader, on_other] = [0, 1].map(|at| bulky(&mut cluster, &format!("late-{at}")));
    let tick = cluster.by_member(Command::Tick);
    let [here, there] = [leader, others[0]].map(|id| cluster.consensus(id));
    let flood = join_all(flood.into_iter().map(|entry| here.propose(entry, soon())));
    let rest = async {
        fills(&here).await;
        // Whoever comes now is told at once, on whatever member, and when to come back.
        let begun = Instant::now();
        let hint = Err(ProposeError::Overloaded { retry_after: RETRY_AFTER });
        assert_eq!(here.propose(on_leader, soon()).await, hint);
        assert_eq!(there.propose(on_other, soon()).await, hint);
        let full = here.in_flight(Priority::Ordinary);
        assert!(full.used <= full.limit && full.used + 51 > full.limit, "{full:?}");
        // What a renewal of a lease waits for: a round of the leader to a majority.
        here.read_index(soon()).await.unwrap();
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        // The members' own proposals find room, and commit as soon as anything does.
        let own = here.propose_as(Priority::Internal, tick, soon());
        let released = async {
            // waits: for elections that must not happen
            sleep(TIMING.election_max * 3).await;
            cluster.ways.release();
        };
        let (own, ()) = futures::join!(own, released);
        own.unwrap().outcome.unwrap();
    };
    let (answers, ()) = cluster.wait(async { futures::join!(flood, rest) });
    let (shed, done): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_err);
    assert_eq!(shed.len(), 10);
    let overloaded = Err(ProposeError::Overloaded { retry_after: RETRY_AFTER });
    assert!(shed.iter().all(|answer| *answer == overloaded), "{shed:?}");
    assert_eq!(done.len(), many - 10);
    assert_eq!(here.in_flight(Priority::Ordinary).used, 0);
    assert_eq!(cluster.leader(&[leader]).1, before);
}

#[test]
fn an_isolated_leader_takes_nothing_once_its_lease_is_over() {
    let (mut cluster, leader, _) = begun();
    let consensus = cluster.consensus(leader);
    cluster.isolate(leader);
    let begun = Instant::now();
    // Until then it takes what it cannot commit, and says so.
    let mut at = 0;
    let mut ask = |cluster: &mut Cluster| {
        at += 1;
        let site = cluster.site(&format!("limbo-{at}"));
        cluster.try_propose(leader, site, Duration::from_millis(150))
    };
    loop {
        match ask(&mut cluster) {
            Err(ProposeError::OutcomeUnknown) => {}
            Err(ProposeError::NoLeader) => break,
            other => panic!("{other:?}"),
        }
    }
    // The lease, and the look at it: half a lease at most.
    let took = begun.elapsed();
    assert!(took < TIMING.election_max * 2 + AT_ONCE, "{took:?}");
    let end = || consensus.engine().metrics().borrow_watched().last_log_index;
    let before = end();
    for _ in 0..5 {
        assert_eq!(ask(&mut cluster), Err(ProposeError::NoLeader));
    }
    assert_eq!(end(), before, "what is refused was not appended");
    let asked = Instant::now();
    let read = consensus.read_index(Deadline::after(Duration::from_millis(300)));
    assert_eq!(cluster.wait(read).err(), Some(ReadError::NoLeader));
    assert!(asked.elapsed() < AT_ONCE);
    assert_eq!(*consensus.leadership().borrow(), None);
    assert_eq!(consensus.in_flight(Priority::Ordinary).used, 0);
}

#[test]
fn a_peer_that_hangs_delays_nobody() {
    let (mut cluster, leader, [hangs, other]) = begun();
    let (_, before) = cluster.leader(&[leader]);
    cluster.ways.hold(leader, hangs, &What::ALL);
    cluster.ways.hold(other, hangs, &What::ALL);
    let begun = Instant::now();
    let mut last = None;
    for at in 0..20 {
        let site = cluster.site(&format!("without-{at}"));
        last = Some(cluster.propose(if at % 2 == 0 { leader } else { other }, site).revision);
        assert!(cluster.read(other).has(last.unwrap()));
    }
    assert!(begun.elapsed() < 2 * AT_ONCE, "{:?}", begun.elapsed());
    assert_eq!(cluster.leader(&[leader]).1, before);
    cluster.ways.release();
    cluster.converge(last.unwrap());
}

/// The queue to a process that stands still ends at its window: nothing more is even read from the log.
#[test]
fn a_process_that_stands_still_costs_one_window_and_no_service() {
    let (mut cluster, leader, [still, other]) = begun();
    let (_, before) = cluster.leader(&[leader]);
    let node = cluster.node(still);
    let identity = cluster.authorities.identity(usize::try_from(other).unwrap() - 1, other);
    let dialer = Dialer::new(Some(identity), cluster.authorities.bundles());
    let header = header(ORIGIN, other, still).bytes().unwrap();
    let pulled = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&pulled);
    let hello = stream::iter([Packet { header, body: Bytes::new() }]);
    let (begin, mut begun) = tokio::sync::watch::channel(false);
    let start = stream::once(async move { begun.wait_for(|begun| *begun).await.is_ok() });
    let bulk = start.flat_map(move |_begun| {
        let count = Arc::clone(&count);
        stream::repeat_with(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Packet { header: Bytes::new(), body: vec![0; 64 << 10].into() }
        })
    });
    let _replies = cluster.wait(async {
        let link = GrpcLinks::new(dialer).link(MemberId(still), &node);
        link.append(Lane::Entries, hello.chain(bulk).boxed(), AT_ONCE).await.unwrap()
    });
    let frozen = cluster.freeze(still);
    begin.send_replace(true);
    let began = Instant::now();
    let mut last = None;
    while began.elapsed() < TIMING.election_max * 2 {
        let site = cluster.site(&format!("meanwhile-{:?}", began.elapsed().as_micros()));
        last = Some(cluster.propose(other, site).revision);
    }
    // 4 MiB, and what lies in the buffers of two kernels and one TLS session.
    let bytes = pulled.load(Ordering::Relaxed) * (64 << 10);
    assert!((1..24 << 20).contains(&bytes), "{bytes}");
    assert_eq!(cluster.leader(&[leader]).1, before);
    drop(frozen);
    cluster.converge(last.unwrap());
}

/// It acknowledges, and so its stream is no stall; but what it has still to be sent would keep the log for ever.
#[test]
fn the_log_does_not_grow_for_a_follower_that_acknowledges_and_stays_behind() {
    let mut cluster = Cluster::with_snapshots(8, 2);
    let first = cluster.bootstrap();
    let revision = cluster.propose(1, first).revision;
    cluster.converge(revision);
    let (leader, before) = cluster.leader(&[1, 2, 3]);
    let slow = leader % 3 + 1;
    cluster.ways.crawl(leader, slow, What::Entries, Duration::from_millis(500));
    let mut last = revision;
    for at in 0..80 {
        let site = cluster.site(&format!("site-{at}"));
        last = cluster.propose(leader, site).revision;
    }
    // What a snapshot keeps, those since the last one, one more interval, and as much for a machine that is slow.
    cluster.shows(leader, "purged although one is behind", |m| {
        let purged = m.purged.as_ref().map_or(0, index);
        m.last_log_index.is_some_and(|end| end - purged <= 2 * (2 + 2 * 8))
    });
    // By a snapshot, which goes another way.
    let consensus = cluster.consensus(slow);
    cluster.wait(consensus.wait_for(last, soon())).unwrap();
    assert_eq!(cluster.leader(&[leader]).1, before);
}

#[test]
fn one_snapshot_is_received_at_a_time_and_the_slot_comes_back() {
    let (cluster, leader, [to, _]) = begun();
    let inbound = cluster.consensus(to).inbound();
    let peer = cluster.node(leader).principal(MemberId(leader));
    let header = header(ORIGIN, leader, to).bytes().unwrap();
    let header = inbound.open(&header, &peer).unwrap();
    let last = LogId::new(CommittedLeaderIdOf::<TypeConfig> { term: 1, node_id: leader }, 1 << 40);
    let membership = StoredMembership::default();
    let meta = Meta { origin: ORIGIN, last_log_id: Some(last), membership };
    let head = SnapshotHead {
        vote: Vote::new_committed(1000, leader),
        meta: encode(&meta).unwrap(),
        length: 4,
        digest: Digest::of(b"body"),
        offset: 0,
    };
    let head = encode(&head).unwrap();
    cluster.wait(async {
        let mut hangs = Box::pin(inbound.snapshot(header, &head, stream::pending().boxed()));
        assert!(futures::poll!(hangs.as_mut()).is_pending());
        let second = inbound.snapshot(header, &head, stream::empty().boxed()).await;
        assert_eq!(second, Err(Refusal::Busy));
        drop(hangs);
        let third = inbound.snapshot(header, &head, stream::empty().boxed()).await;
        assert!(matches!(third, Err(Refusal::Body(_))), "{third:?}");
    });
}
