//! Who may not speak to a member, over real connections.

use super::ORIGIN;
use super::cluster::Cluster;
use crate::codec::encode;
use crate::network::grpc::GrpcLinks;
use crate::network::link::{Lane, LinkError, Links as _, Method, Packet};
use crate::network::message::SnapshotHead;
use crate::snapshot::{Meta, Origin};
use crate::type_config::{LogId, StoredMembership, TypeConfig, Vote};
use bytes::Bytes;
use futures::StreamExt as _;
use openraft::raft::{AppendEntriesRequest, VoteRequest};
use openraft::type_config::alias::CommittedLeaderIdOf;
use sekisho_transport::credential::Identity;
use sekisho_transport::dial::Dialer;
use sekisho_types::id::{ClusterId, Digest, MemberId};
use sekisho_types::revision::Incarnation;
use std::time::Duration;

const TTL: Duration = Duration::from_secs(10);

fn packet(origin: Origin, from: u64, body: Vec<u8>) -> Packet {
    let header = super::header(origin, from, 1);
    Packet { header: header.bytes().unwrap(), body: body.into() }
}

fn vote() -> Vec<u8> {
    encode(&VoteRequest::<TypeConfig>::new(Vote::new(1000, 2), None)).unwrap()
}

fn ask(cluster: &Cluster, identity: Identity, packet: Packet) -> Result<Bytes, LinkError> {
    cluster.wait(async {
        let dialer = Dialer::new(Some(identity), cluster.authorities.bundles());
        let link = GrpcLinks::new(dialer).link(MemberId(1), &cluster.node(1));
        link.call(Method::Vote, packet, TTL).await
    })
}

fn refused(answer: &Result<Bytes, LinkError>, why: &str) -> bool {
    matches!(answer, Err(LinkError::Refused(text)) if text.contains(why))
}

#[test]
fn only_members_of_this_cluster_reach_the_engine() {
    let mut cluster = Cluster::new();
    let first = cluster.bootstrap();
    let revision = cluster.propose(1, first).revision;
    cluster.converge(revision);
    let term = cluster.consensus(1).leader().unwrap().term;
    // A valid certificate of a listed operator, for a member that is none; then with another member's name.
    let stranger = || cluster.authorities.identity(1, 9);
    let answer = ask(&cluster, stranger(), packet(ORIGIN, 9, vote()));
    assert!(refused(&answer, "not member 9"), "{answer:?}");
    let answer = ask(&cluster, stranger(), packet(ORIGIN, 2, vote()));
    assert!(refused(&answer, "not member 2"), "{answer:?}");
    // A member's own id, vouched for by another operator.
    let impostor = cluster.authorities.identity(0, 2);
    let answer = ask(&cluster, impostor, packet(ORIGIN, 2, vote()));
    assert!(refused(&answer, "not member 2"), "{answer:?}");
    // A real member of another cluster, or with a body that is none.
    let member = || cluster.authorities.identity(1, 2);
    let foreign = Origin { cluster: ClusterId([7; 16]), ..ORIGIN };
    let answer = ask(&cluster, member(), packet(foreign, 2, vote()));
    assert!(refused(&answer, "another cluster"), "{answer:?}");
    let answer = ask(&cluster, member(), packet(ORIGIN, 2, b"x".to_vec()));
    assert!(refused(&answer, "body refused"), "{answer:?}");
    assert_eq!(cluster.consensus(1).leader().unwrap().term, term);
    // Another member's vote: it would make a leader of somebody who did not stand.
    let of_another = encode(&VoteRequest::<TypeConfig>::new(Vote::new(1000, 1), None)).unwrap();
    let answer = ask(&cluster, member(), packet(ORIGIN, 2, of_another));
    assert!(refused(&answer, "vote for 1"), "{answer:?}");
    assert_eq!(cluster.consensus(1).leader().unwrap().term, term);
    entries_with_a_gap_are_refused(&cluster);
    snapshots_that_cannot_be_are_refused(&cluster);
}

/// What openraft would panic on, or take for a shorter way to the same state.
fn snapshots_that_cannot_be_are_refused(cluster: &Cluster) {
    let before = cluster.consensus(1).view().applied;
    let leader = |term| CommittedLeaderIdOf::<TypeConfig> { term, node_id: 2 };
    let meta = |last: Option<LogId>, origin| {
        encode(&Meta { origin, last_log_id: last, membership: StoredMembership::default() })
    };
    let far = Some(LogId::new(leader(1), 1_000_000));
    let good = SnapshotHead {
        vote: Vote::new_committed(1000, 2),
        meta: meta(far, ORIGIN).unwrap(),
        length: 4,
        digest: Digest::of(b"body"),
        offset: 0,
    };
    let send = |head: SnapshotHead, pieces: &[&[u8]]| {
        let first = packet(ORIGIN, 2, encode(&head).unwrap());
        let piece = |body: &&[u8]| Packet { header: Bytes::new(), body: body.to_vec().into() };
        let packets: Vec<Packet> = [first].into_iter().chain(pieces.iter().map(piece)).collect();
        cluster.wait(async {
            let identity = cluster.authorities.identity(1, 2);
            let dialer = Dialer::new(Some(identity), cluster.authorities.bundles());
            let link = GrpcLinks::new(dialer).link(MemberId(1), &cluster.node(1));
            link.snapshot(futures::stream::iter(packets).boxed(), TTL).await
        })
    };
    let with = |change: &dyn Fn(&mut SnapshotHead)| {
        let mut head = good.clone();
        change(&mut head);
        head
    };
    let body: &[&[u8]] = &[b"body"];
    let contradicts = Some(LogId::new(leader(999), 1));
    let restored = Origin { incarnation: Incarnation(2), ..ORIGIN };
    for (head, pieces, why) in [
        (with(&|h| h.vote = Vote::new(1000, 2)), body, "not granted"),
        (with(&|h| h.vote = Vote::new_committed(1000, 3)), body, "vote for 3"),
        (with(&|h| h.meta = meta(None, ORIGIN).unwrap()), body, "covers nothing"),
        (with(&|h| h.meta = meta(far, restored).unwrap()), body, "another cluster"),
        (with(&|h| h.vote = Vote::new_committed(0, 2)), body, "beyond its sender"),
        (with(&|h| h.meta = meta(contradicts, ORIGIN).unwrap()), body, "contradicts"),
        (with(&|h| h.length = u64::MAX), body, "larger than any"),
        (with(&|h| h.offset = 9), body, "goes on at 9"),
        (good.clone(), &[b"bo"], "shorter"),
        (good.clone(), &[b"body", b"more"], "longer"),
        (good.clone(), &[b"vody"], "checksum"),
    ] {
        let answer = send(head, pieces);
        assert!(refused(&answer, why), "{why}: {answer:?}");
    }
    assert_eq!(cluster.consensus(1).view().applied, before);
}

fn entries_with_a_gap_are_refused(cluster: &Cluster) {
    use crate::type_config::Entry;
    let leader = CommittedLeaderIdOf::<TypeConfig> { term: 1, node_id: 2 };
    let blank =
        |at| Entry { log_id: LogId::new(leader, at), payload: openraft::EntryPayload::Blank };
    let request = AppendEntriesRequest::<TypeConfig> {
        vote: Vote::new_committed(1, 2),
        prev_log_id: Some(LogId::new(leader, 0)),
        entries: vec![blank(1), blank(3)],
        leader_commit: None,
    };
    let hello = packet(ORIGIN, 2, Vec::new());
    let body = Packet { header: Bytes::new(), body: encode(&request).unwrap().into() };
    let answer = cluster.wait(async {
        let dialer =
            Dialer::new(Some(cluster.authorities.identity(1, 2)), cluster.authorities.bundles());
        let link = GrpcLinks::new(dialer).link(MemberId(1), &cluster.node(1));
        let packets = futures::stream::iter([hello, body]).boxed();
        let mut replies = link.append(Lane::Entries, packets, TTL).await.unwrap();
        replies.next().await.unwrap()
    });
    assert!(refused(&answer, "entry 3"), "{answer:?}");
}
