//! A federation that begins anew from what a stopped member held (R1, R4, R6).

use super::cluster::Cluster;
use super::{ORIGIN, open_store, open_store_of};
use crate::config::RaftConfig;
use crate::found::{FoundError, found, is_founded};
use crate::offline::{Offline, read};
use crate::snapshot::Origin;
use sekisho_evidence::genesis::GenesisMember;
use sekisho_evidence::opening::{Cause, Opening, Restored, Withdrawn};
use sekisho_evidence::package::{begun, opening};
use sekisho_evidence::snapshot_file::{FORMAT, SnapshotHead, SnapshotReader, SnapshotWriter};
use sekisho_evidence::terms::{Agreement, Terms};
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{administrator, agreement, endorser, newcomer};
use sekisho_store::Store;
use sekisho_types::id::Digest;
use sekisho_types::principal::MemberIdentity;
use sekisho_types::revision::{Incarnation, Revision};
use sekisho_types::time::Timestamp;

const BOTH: [&str; 2] = ["kanto", "naniwa"];

/// The backup of a stopped member, and what it says of itself.
fn backup(store: &Store, offline: &Offline) -> (SnapshotHead, Vec<u8>) {
    let (state, moment) = (&offline.state, &offline.moment);
    let federation = state.federation().unwrap();
    let head = SnapshotHead {
        format: FORMAT,
        package: federation.package(),
        incarnation: federation.incarnation,
        saved: Timestamp(1),
        revision: state.revision(),
        last_log: moment.last_log,
        voters: moment.voters.clone(),
        head: state.audit_head().unwrap(),
        image: Digest::of(&moment.image),
        image_len: moment.image.len().try_into().unwrap(),
        note: None,
        consistency: Vec::new(),
    };
    let mut writer = SnapshotWriter::start(Vec::new(), &head, &moment.image).unwrap();
    let stored = store.audit().records(0..offline.stored, usize::MAX).unwrap();
    stored.iter().chain(&offline.tail).for_each(|record| writer.record(record).unwrap());
    (head, writer.finish().unwrap())
}

fn opens(offline: &Offline, head: &SnapshotHead, founders: Vec<GenesisMember>) -> Agreement {
    let opening = Opening {
        cause: Cause::Recovered,
        opened: offline.state.clock().plus_ms(60_000),
        restored: Restored {
            revision: head.revision,
            last: head.last_log,
            head: head.head,
            image: head.image,
        },
        highest: None,
        keys: BOTH.map(administrator).to_vec(),
        withdrawn: Withdrawn::default(),
        accept_quorum_in_one_hand: false,
        founders,
    };
    let endorsers = opening.founders.iter().map(endorser).collect();
    let terms = Terms::Open(Box::new(opening));
    let held = &offline.state.federation().unwrap().bundle;
    let bundle = held.opened(endorsers, terms.digest());
    agreement(terms, bundle, &BOTH)
}

/// What a stopped federation leaves, and the agreement to go on from it.
struct Left {
    cluster: Cluster,
    file: Vec<u8>,
    agreement: Agreement,
    origin: Origin,
    last: Revision,
}

fn left() -> Left {
    let mut cluster = Cluster::new();
    let bootstrap = cluster.bootstrap();
    cluster.propose(1, bootstrap);
    let mut last = Revision(0);
    for name in ["a-1", "b-1", "c-1"] {
        let site = cluster.site(name);
        last = cluster.propose(2, site).revision;
    }
    cluster.converge(last);
    (1..=3).for_each(|id| cluster.stop(id));
    let store = open_store(&cluster.dir(2), 2);
    let offline = read(&store, ORIGIN).unwrap();
    let (head, file) = backup(&store, &offline);
    let founders = (1001..).zip(BOTH).map(|(id, operator)| GenesisMember {
        // Ports of this test alone, which its own members have left.
        address: cluster.node(id - 1000).address,
        ..newcomer(id, operator)
    });
    let agreement = opens(&offline, &head, founders.collect());
    let begun = begun(&offline.state.federation().unwrap().genesis, Some(&agreement));
    let origin = Origin { incarnation: Incarnation(2), begun, ..ORIGIN };
    Left { cluster, file, agreement, origin, last }
}

fn founders(agreement: &Agreement) -> &[GenesisMember] {
    &opening(agreement).unwrap().founders
}

fn set_up(left: &Left, dir: &std::path::Path, id: u64) -> Result<(), FoundError> {
    let store = open_store_of(dir, left.origin, id);
    let reader = SnapshotReader::open(left.file.as_slice()).unwrap();
    found(&store, left.origin, reader, &[], &left.agreement).map(drop)
}

#[test]
fn founders_go_on_behind_everything_of_before() {
    let mut left = left();
    let cluster = std::mem::replace(&mut left.cluster, Cluster::stopped(RaftConfig::default()));
    let founders = founders(&left.agreement).to_vec();
    let mut cluster = cluster.begun_anew(left.origin, &founders);
    for id in [1001, 1002] {
        set_up(&left, &cluster.dir(id), id).unwrap();
    }
    [1001, 1002].into_iter().for_each(|id| cluster.start(id));
    let (leader, led) = cluster.leader(&[1001, 1002]);
    assert!(led.term > 1, "above the terms of before: {led:?}");
    let view = cluster.read(leader);
    let federation = view.state.federation().unwrap();
    assert_eq!(federation.incarnation, Incarnation(2));
    assert!(view.state.site(&"c-1".parse().unwrap()).is_some(), "what was acknowledged is there");
    assert!(federation.opened > left.last);
    // The log goes on; every record is there, from the first on.
    let mut entry = cluster.by_member(Command::Tick);
    entry.incarnation = Incarnation(2);
    let own = &founders[usize::try_from(leader - 1001).unwrap()];
    let identity = MemberIdentity {
        member: own.member,
        operator: own.operator.clone(),
        site: own.site.clone(),
    };
    entry.actor = identity.principal();
    entry.proposed_at = view.state.clock();
    let committed = cluster.propose(leader, entry);
    assert!(committed.revision > federation.opened);
    let digest = cluster.converge(committed.revision);
    for id in [1001, 1002] {
        assert!(cluster.consensus(id).audit().complete());
    }
    // All at once, and again: what was written by `found` and what came after it.
    [1001, 1002].into_iter().for_each(|id| cluster.crash(id));
    [1001, 1002].into_iter().for_each(|id| cluster.start(id));
    let (leader, again) = cluster.leader(&[1001, 1002]);
    assert!(again.term > led.term);
    assert_eq!(cluster.read(leader).state.digest().unwrap(), digest);
}

#[test]
fn only_what_was_agreed_on_is_set_up_and_only_where_nothing_is() {
    let whole = left();
    let with = |file: Vec<u8>, agreement: &Agreement| Left {
        cluster: Cluster::stopped(RaftConfig::default()),
        file,
        agreement: agreement.clone(),
        ..whole
    };
    let dir = tempfile::tempdir().unwrap();
    // A file that was cut off leaves records and no snapshot: it is done again.
    let cut = with(whole.file[..whole.file.len() - 1].to_vec(), &whole.agreement);
    assert!(matches!(set_up(&cut, dir.path(), 1001), Err(FoundError::File(_))));
    assert!(!is_founded(&open_store_of(dir.path(), whole.origin, 1001)).unwrap());
    let mut other = whole.agreement.clone();
    let Terms::Open(opening) = &mut other.terms else { panic!() };
    opening.restored.image = Digest([1; 32]);
    let other = with(whole.file.clone(), &other);
    assert!(matches!(set_up(&other, dir.path(), 1001), Err(FoundError::OtherFile("image"))));
    let mut unsigned = whole.agreement.clone();
    unsigned.signed.signatures.pop();
    let unsigned = with(whole.file.clone(), &unsigned);
    assert!(matches!(set_up(&unsigned, dir.path(), 1001), Err(FoundError::Refused(_))));
    set_up(&whole, dir.path(), 1001).unwrap();
    assert!(is_founded(&open_store_of(dir.path(), whole.origin, 1001)).unwrap());
    assert!(matches!(set_up(&whole, dir.path(), 1001), Err(FoundError::NotEmpty)));
    let stranger = tempfile::tempdir().unwrap();
    assert!(matches!(set_up(&whole, stranger.path(), 1009), Err(FoundError::Agreement(_))));
}
