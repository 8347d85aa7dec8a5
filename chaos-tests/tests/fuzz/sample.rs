//! Samples of all that is signed or persisted, made by the code itself: they are always of today's formats.

use prost::Message as _;
use sekisho_evidence::acknowledgement::{Asked, Counted, Renewal, acknowledge};
use sekisho_evidence::adoption::Adoption;
use sekisho_evidence::audit_bundle::{AuditBundleHead, BundleWriter, FORMAT};
use sekisho_evidence::audit_proof::AuditProof;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::checkpoint::{Checkpoint, assemble};
use sekisho_evidence::countersign::Seen;
use sekisho_evidence::fork::Fork;
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::join_token::JoinToken;
use sekisho_evidence::journal::{self, Denial, Peer, Summed};
use sekisho_evidence::location::evidence::Evidence;
use sekisho_evidence::location::wire::Datagram;
use sekisho_evidence::location::{foreign, prefecture};
use sekisho_evidence::merkle::{Frontier, Head, prove_inclusion};
use sekisho_evidence::record::{Body, Record};
use sekisho_evidence::snapshot_file::{self, LastLog, SnapshotHead, SnapshotWriter};
use sekisho_evidence::submission::Submission;
use sekisho_fsm::command::{Command, Item};
use sekisho_fsm::image::Image;
use sekisho_fsm::outcome::PayloadEffect;
use sekisho_fsm::planning::SchedulerSnapshot;
use sekisho_fsm::testing::sealed as sealing;
use sekisho_fsm::testing::{
    self, Federation, admin, checkpoint_key, cluster, genesis as signed_genesis, job, member,
    receipt_key, rules,
};
use sekisho_transport::clock::SystemClock;
use sekisho_transport::pki::{OperatorCa, Validity};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, MemberId, NodeId};
use sekisho_types::jurisdiction::table_hash;
use sekisho_types::payload::JobPayload;
use sekisho_types::placement::Phase;
use sekisho_types::principal::TrustDomain;
use sekisho_types::revision::{Incarnation, Revision};
use sekisho_types::time::{Clock as _, Timestamp};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

/// Samples of one kind at most: each is mutated a thousand times.
const SAMPLES_MAX: usize = 24;

/// A federation in which something of most kinds has happened.
static FEDERATION: LazyLock<Federation> = LazyLock::new(|| {
    let mut f = Federation::furnished();
    f.policy("hokkaido", rules(&["JP-01"]));
    f.landmarks();
    f.prove("tokyo-1/n-01", 1);
    f.give_site_key("tokyo-1", 1);
    let pair = f.submit(job("pair", 2, 2, &[]));
    f.place(&pair, &["ishikari-1/n-01", "ishikari-1/n-02"]);
    let first = f.placements(&pair)[0];
    report(&mut f, "ishikari-1/n-01", first, Phase::Running);
    let refused = f.submit(job("refused", 1, 1, &["JP-13"]));
    f.place(&refused, &["tokyo-1/n-01"]);
    let placement = f.placements(&refused)[0];
    f.refuse(placement, ErrorCode::ResidencyTier);
    let drain = |node: &str| Item::DrainNode {
        node: node.parse().unwrap(),
        within_s: Some(60),
        message: "new cooling".to_owned(),
    };
    f.accept(admin("kanto"), Command::Batch(vec![drain("tokyo-1/n-01"), drain("tokyo-1/n-02")]));
    let site = "sakai-1".parse().unwrap();
    f.accept(admin("naniwa"), Command::RevokeSite { site });
    f.accept(member("hokuto"), Command::Tick);
    f
});

fn report(
    f: &mut Federation,
    at: &str,
    placement: sekisho_types::revision::PlacementId,
    phase: Phase,
) {
    let node: NodeId = at.parse().unwrap();
    let session = session(f, &node);
    let report = Command::Report { node: node.clone(), session, phases: vec![(placement, phase)] };
    f.accept(testing::agent(&node), report);
}

fn session(f: &Federation, node: &NodeId) -> SessionId {
    f.state.node(node).unwrap().session.as_ref().unwrap().id
}

/// Of different lengths first: the longest of each kind, as far as there is room.
fn some(mut samples: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    samples.sort();
    samples.dedup();
    let step = samples.len().div_ceil(SAMPLES_MAX).max(1);
    samples.into_iter().step_by(step).collect()
}

fn all_records() -> Vec<Vec<u8>> {
    FEDERATION
        .applied
        .iter()
        .flat_map(|a| a.leaves.iter().map(|leaf| leaf.record.clone()))
        .collect()
}

pub(crate) fn records() -> Vec<Vec<u8>> {
    some(all_records())
}

pub(crate) fn entries() -> Vec<Vec<u8>> {
    some(FEDERATION.log.iter().map(|(_, entry)| encode(entry).unwrap()).collect())
}

pub(crate) fn grants() -> Vec<Vec<u8>> {
    let grant = |bytes: &Vec<u8>| matches!(Record::parse(bytes).unwrap().body, Body::Grant(_));
    all_records().into_iter().filter(grant).collect()
}

pub(crate) fn submissions() -> Vec<Vec<u8>> {
    let put = |effect: &PayloadEffect| match effect {
        PayloadEffect::Put(_, bytes) => Some(bytes.clone()),
        PayloadEffect::Drop(_) => None,
    };
    let effects = FEDERATION.applied.iter().flat_map(|applied| &applied.payloads);
    effects.filter_map(put).filter(|bytes| Submission::parse(bytes).is_ok()).collect()
}

pub(crate) fn genesis() -> Vec<u8> {
    encode(&signed_genesis()).unwrap()
}

pub(crate) fn packages() -> Vec<Vec<u8>> {
    let mut grown = Federation::furnished();
    let joining = grown.joining("minami", &["kanto", "naniwa", "hokuto"]);
    grown.run(admin("kanto"), joining);
    [&*FEDERATION, &grown]
        .map(|f| f.state.federation().unwrap().package().bytes().unwrap())
        .to_vec()
}

fn frontier(records: &[Vec<u8>]) -> Frontier {
    let mut frontier = Frontier::default();
    records.iter().for_each(|record| drop(frontier.append(record).unwrap()));
    frontier
}

fn head() -> Head {
    let frontier = frontier(&all_records());
    Head { size: frontier.size(), root: frontier.root().unwrap() }
}

/// The head of all records, signed by every member.
pub(crate) fn note() -> Vec<u8> {
    signed(&checkpoint())
}

fn checkpoint() -> Checkpoint {
    let last = Record::parse(all_records().last().unwrap()).unwrap();
    Checkpoint {
        cluster: cluster(),
        incarnation: Incarnation(1),
        head: head(),
        revision: last.revision,
        time: last.time,
    }
}

fn signed(checkpoint: &Checkpoint) -> Vec<u8> {
    let members = &signed_genesis().genesis.members;
    let line = |m: &sekisho_evidence::genesis::GenesisMember| {
        checkpoint.sign(&m.operator, m.member, &checkpoint_key(m.member)).unwrap()
    };
    let lines: Vec<_> = members.iter().map(line).collect();
    assemble(&checkpoint.text().unwrap(), &lines)
}

pub(crate) fn endorsers() -> &'static EndorserBundle {
    &FEDERATION.state.federation().unwrap().bundle
}

/// Two heads of one size.
pub(crate) fn fork() -> Vec<u8> {
    let mut other = checkpoint();
    other.head.root = Digest([7; 32]);
    Fork { first: note(), second: signed(&other), extended: None }.bytes().unwrap()
}

pub(crate) fn countersignature() -> Vec<u8> {
    let node: NodeId = "ishikari-1/n-01".parse().unwrap();
    let (key, revision) = (receipt_key(&node), checkpoint().revision);
    let (cluster, incarnation) = (cluster(), Incarnation(1));
    let seen = Seen { cluster, incarnation, node, head: head(), revision };
    seen.sign(&key).unwrap().bytes().unwrap()
}

pub(crate) fn denials() -> Vec<Vec<u8>> {
    let at = Timestamp(1_800_000_000_000);
    let denied = Denial {
        at,
        peer: Peer::Principal(admin("kanto")),
        method: "/sekisho.v1.JobService/CreateJob".to_owned(),
        target: "tenants/sapporo".to_owned(),
        code: ErrorCode::PermissionDenied,
        request: None,
    };
    let summed =
        Summed { from: at, to: at, peer: Some(Peer::Address("127.0.0.1".to_owned())), count: 9 };
    [journal::Entry::Denied(denied), journal::Entry::Summed(summed)]
        .map(|entry| entry.bytes().unwrap())
        .to_vec()
}

pub(crate) fn proof() -> Vec<u8> {
    let adoption = Adoption::parse(&adoption()).unwrap();
    let Adoption { record, index, path, note, .. } = adoption;
    let package = FEDERATION.state.federation().unwrap().package();
    AuditProof { package, note, index, record, path }.bytes().unwrap()
}

pub(crate) fn bundle() -> Vec<u8> {
    let records = all_records();
    let head = AuditBundleHead {
        format: FORMAT,
        cluster: cluster(),
        incarnation: Incarnation(1),
        genesis: signed_genesis(),
        table: table_hash(),
        note: note(),
        count: u64::try_from(records.len()).unwrap(),
    };
    let (mut writer, mut bytes) = BundleWriter::start(&head).unwrap();
    records.iter().for_each(|record| bytes.extend(writer.record(record).unwrap()));
    bytes.extend(writer.finish().unwrap());
    bytes
}

pub(crate) fn snapshot() -> Vec<u8> {
    let image = Image::encode(&FEDERATION.state, &[]).unwrap();
    let revision = FEDERATION.state.revision();
    let head = SnapshotHead {
        format: snapshot_file::FORMAT,
        package: FEDERATION.state.federation().unwrap().package(),
        incarnation: Incarnation(1),
        saved: Timestamp(9),
        revision,
        last_log: LastLog { term: 2, leader: MemberId(1), index: revision.0 },
        voters: BTreeSet::from([1, 2, 3].map(MemberId)),
        head: head(),
        image: Digest::of(&image),
        image_len: u64::try_from(image.len()).unwrap(),
        note: Some(note()),
        consistency: Vec::new(),
    };
    let mut writer = SnapshotWriter::start(Vec::new(), &head, &image).unwrap();
    all_records().iter().for_each(|record| writer.record(record).unwrap());
    writer.finish().unwrap()
}

pub(crate) fn scheduler_snapshot() -> Vec<u8> {
    let mut f = FEDERATION.clone();
    f.submit(job("waits", 2, 4, &["JP-01"]));
    SchedulerSnapshot::of(&f.state).unwrap().bytes().unwrap()
}

pub(crate) fn tag() -> Vec<u8> {
    let node: NodeId = "tokyo-1/n-01".parse().unwrap();
    let tag = FEDERATION.tag(&node, "131016", 1);
    encode(&tag.sign(&testing::key("site-tag", "kanto")).unwrap()).unwrap()
}

pub(crate) fn join_token() -> Vec<u8> {
    let token = JoinToken {
        cluster: cluster(),
        endpoints: vec!["c1.kanto.example:7443".to_owned(), "127.0.0.1:7443".to_owned()],
        bundle_hash: Digest([1; 32]),
        root_hash: Digest([2; 32]),
        node: "tokyo-1/n-01".parse().unwrap(),
        secret: [3; 32],
        expires: Timestamp(1_800_000_000_000),
    };
    token.encode().unwrap().into_bytes()
}

pub(crate) fn transcripts() -> Vec<Vec<u8>> {
    fix_of().transcripts.iter().map(|transcript| transcript.bytes().unwrap()).collect()
}

fn fix_of() -> Evidence {
    let id: NodeId = "tokyo-1/n-01".parse().unwrap();
    let (node, kept) = (FEDERATION.state.node(&id).unwrap(), FEDERATION.state.fix(&id).unwrap());
    Evidence {
        cluster: cluster(),
        incarnation: Incarnation(1),
        node: id.clone(),
        node_key: node.node_key,
        receipt_key: node.receipt_key,
        area: node.tag.area.domestic(),
        landmarks: FEDERATION.state.landmarks().table().clone(),
        foreign: foreign::table_hash(),
        prefectures: prefecture::table_hash(),
        fix: kept.fix.fix,
        transcripts: kept.fix.transcripts.clone(),
        verdict: kept.fix.verdict.clone(),
    }
}

pub(crate) fn fix() -> Vec<u8> {
    fix_of().bytes().unwrap()
}

pub(crate) fn datagrams() -> Vec<Vec<u8>> {
    [Datagram::Cookie([1; 16]), Datagram::Ask(7, [2; 16]), Datagram::Reply(8, [3; 16])]
        .map(|datagram| datagram.bytes().to_vec())
        .to_vec()
}

fn renewal_of(sequence: u64) -> Renewal {
    let node: NodeId = "ishikari-1/n-01".parse().unwrap();
    Renewal { session: session(&FEDERATION, &node), node, sequence }
}

pub(crate) fn acknowledgement() -> Vec<u8> {
    let counted = Counted {
        cluster: cluster(),
        incarnation: Incarnation(1),
        member: MemberId(1),
        term: 3,
        revision: Revision(20),
    };
    let renewals = [1, 2, 3].map(renewal_of);
    acknowledge(counted, &renewals, &checkpoint_key(MemberId(1))).unwrap()[1].bytes().unwrap()
}

pub(crate) fn renewal() -> Vec<u8> {
    let renewal = renewal_of(4);
    let key = receipt_key(&renewal.node);
    let asked =
        Asked { cluster: cluster(), incarnation: Incarnation(1), renewal, heard: Revision(9) };
    asked.sign(&key).unwrap().bytes().unwrap()
}

pub(crate) fn adoption() -> Vec<u8> {
    let records = all_records();
    let index = records.iter().position(|r| *r == grants()[0]).unwrap();
    let mut hashes = std::collections::BTreeMap::new();
    let mut frontier = Frontier::default();
    for record in &records {
        let appended = frontier.append(record).unwrap();
        hashes.extend((appended.first_hash..).zip(appended.hashes));
    }
    let index = u64::try_from(index).unwrap();
    let path = prove_inclusion(frontier.size(), index, &hashes).unwrap();
    let (record, submission) = (grants().remove(0), submissions().remove(0));
    Adoption { record, index, path, note: note(), submission }.bytes().unwrap()
}

pub(crate) fn payload() -> Vec<u8> {
    let payload = JobPayload {
        command: ["/bin/sh", "-c", "echo ok"].map(str::to_owned).to_vec(),
        env: [("A".to_owned(), "1".to_owned())].into(),
        ..JobPayload::default()
    };
    encode(&payload).unwrap()
}

pub(crate) fn sealed() -> Vec<u8> {
    sealing::sealed(job("sealed", 1, 1, &["JP-13"]), &payload(), &[("tokyo-1", 1), ("sakai-1", 2)])
        .1
}

pub(crate) fn site_key() -> Vec<u8> {
    sealing::site_key("tokyo-1", 1).bytes().unwrap()
}

/// An authority, and a user's chain and key of it.
static ISSUED: LazyLock<[String; 3]> = LazyLock::new(|| {
    let now = SystemClock.wall();
    let domain = TrustDomain::parse("kanto.example").unwrap();
    let ca = OperatorCa::create("kanto".parse().unwrap(), domain, now).unwrap();
    let issuer = ca.issuer(&[], now).unwrap();
    let validity = Validity { now, lifetime: Duration::from_secs(3600) };
    let (issued, key) = issuer.issue_user(&"admin".parse().unwrap(), validity).unwrap();
    let root = ca.root_pem();
    [root, issued.chain_pem, key.expose().to_owned()]
});

pub(crate) fn root_pem() -> Vec<u8> {
    ISSUED[0].clone().into_bytes()
}

pub(crate) fn chain_pem() -> Vec<u8> {
    ISSUED[1].clone().into_bytes()
}

pub(crate) fn key_pem() -> &'static str {
    &ISSUED[2]
}

pub(crate) fn change_bundle(intent: Option<sekisho_proto::v1::Intent>) -> Vec<u8> {
    let f = Federation::furnished();
    let Command::ChangeBundle(agreement) = f.joining("minami", &["kanto", "naniwa", "hokuto"])
    else {
        panic!("a change of the bundle")
    };
    let agreement = encode(&*agreement).unwrap().into();
    sekisho_proto::v1::ChangeBundleRequest { agreement, intent }.encode_to_vec()
}
