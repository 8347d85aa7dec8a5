//! Backups: a whole one passes, and whatever is changed in one is named, even if its trailer is good.

use super::*;
use crate::verify::snapshot::{Subject, inspect};
use sekisho_evidence::merkle::prove_consistency;
use sekisho_evidence::package::TrustPackage;
use sekisho_evidence::snapshot_file::{self, LastLog, SnapshotHead, SnapshotWriter};
use sekisho_fsm::State;
use sekisho_fsm::image::Image;
use sekisho_fsm::outcome::PayloadEffect;
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The parts of a backup, to be changed before they are put together.
struct Parts {
    state: State,
    payloads: BTreeMap<Digest, Vec<u8>>,
    records: Vec<Vec<u8>>,
    package: TrustPackage,
    note: Option<Vec<u8>>,
    consistency: Vec<Digest>,
}

fn note(records: &[Vec<u8>], members: &[u64]) -> (Head, Vec<u8>) {
    let bytes = signed(records, members);
    let bundle = AuditBundle::open(&bytes).unwrap();
    let raw: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    (log::tree(&raw).unwrap(), bundle.head.note)
}

fn parts(federation: &Federation) -> Parts {
    let mut payloads = BTreeMap::new();
    for effect in federation.applied.iter().flat_map(|applied| &applied.payloads) {
        match effect {
            PayloadEffect::Put(digest, bytes) => drop(payloads.insert(*digest, bytes.clone())),
            PayloadEffect::Drop(digest) => drop(payloads.remove(digest)),
        }
    }
    let records = records(federation);
    let (_, note) = note(&records, &[1, 3]);
    let package = federation.state.federation().unwrap().package();
    let (state, note) = (federation.state.clone(), Some(note));
    Parts { state, payloads, records, package, note, consistency: Vec::new() }
}

fn inspected(parts: &Parts) -> (Subject, Report) {
    let payloads: Vec<_> = parts.payloads.clone().into_iter().collect();
    let image = Image::encode(&parts.state, &payloads).unwrap();
    let raw: Vec<&[u8]> = parts.records.iter().map(Vec::as_slice).collect();
    let head = SnapshotHead {
        format: snapshot_file::FORMAT,
        package: parts.package.clone(),
        incarnation: Incarnation(1),
        saved: Timestamp(9),
        revision: parts.state.revision(),
        last_log: LastLog { term: 2, leader: MemberId(1), index: parts.state.revision().0 },
        voters: BTreeSet::from([1, 2, 3].map(MemberId)),
        head: log::tree(&raw).unwrap(),
        image: Digest::of(&image),
        image_len: image.len() as u64,
        note: parts.note.clone(),
        consistency: parts.consistency.clone(),
    };
    let mut writer = SnapshotWriter::start(Vec::new(), &head, &image).unwrap();
    parts.records.iter().for_each(|record| writer.record(record).unwrap());
    let bytes = writer.finish().unwrap();
    let (subject, report, good) = inspect(bytes.len(), bytes.as_slice(), Some(&genesis()));
    assert_eq!(good.is_some(), report.is_good());
    (subject, report)
}

fn wrong(parts: &Parts, step: Step) -> String {
    let (_, report) = inspected(parts);
    assert_eq!(verdict(&report, step), Verdict::Failed, "{report:#?}");
    findings(&report, step)
}

#[test]
fn a_backup_of_an_eventful_federation_passes_and_says_what_it_is() {
    let federation = eventful();
    let (subject, report) = inspected(&parts(&federation));
    assert!(report.is_good(), "{:#?}", report.steps);
    assert!(report.steps.iter().all(|result| result.checked > 0));
    assert_eq!(subject.signed_by, ["hokuto", "naniwa"]);
    assert_eq!((subject.unsigned(), subject.recipients.len()), (0, 3));
    assert_eq!((subject.voters.len(), subject.members.len()), (3, 3));
    assert_eq!(subject.counts.jobs, federation.state.jobs().count());
    assert_eq!(subject.last_log, format!("2/1/{}", subject.revision));
    let words = report.verdicts(Language::Ja, 80).join("\n");
    assert!(words.contains("記録から同一の内容を再現") && words.contains("検証成功"), "{words}");
}

#[test]
fn a_note_past_the_records_has_to_extend_them_and_one_before_them_leaves_a_tail() {
    let federation = eventful();
    let mut later = federation.clone();
    later.submit(job("afterwards", 1, 1, &[]));
    let all = records(&later);
    let (head, past) = note(&all, &[1, 2]);
    let mut parts = parts(&federation);
    parts.note = Some(past);
    assert!(wrong(&parts, Step::Head).contains("Merkle"));
    let mut hashes = BTreeMap::new();
    let mut frontier = Frontier::default();
    for record in &all {
        let row = frontier.append(record).unwrap();
        hashes.extend((row.first_hash..).zip(row.hashes));
    }
    parts.consistency = prove_consistency(head.size, parts.records.len() as u64, &hashes).unwrap();
    assert!(inspected(&parts).1.is_good());
    parts.consistency.clear();
    let (_, before) = note(&parts.records[..parts.records.len() - 4], &[2, 3]);
    parts.note = Some(before);
    let (subject, report) = inspected(&parts);
    assert!(report.is_good(), "{report:#?}");
    assert_eq!(subject.unsigned(), 4);
    // One operator is not enough, and nobody's word is none.
    parts.note = Some(note(&parts.records, &[2]).1);
    assert!(wrong(&parts, Step::Head).contains("operator"));
    parts.note = None;
    assert!(wrong(&parts, Step::Head).contains("no operator has signed"));
    // Another log's head.
    let mut other = Federation::furnished();
    tick(&mut other, 1);
    other.submit(job("elsewhere", 1, 1, &[]));
    parts.note = Some(note(&records(&other), &[1, 2, 3]).1);
    wrong(&parts, Step::Head);
}

#[test]
fn an_image_that_the_records_do_not_give_is_a_mismatch_that_names_the_table() {
    let federation = eventful();
    let mut quiet = federation.clone();
    // Ticks move the clock and leave no record.
    tick(&mut quiet, 5);
    assert!(inspected(&parts(&quiet)).1.is_good());
    let mut ahead = federation.clone();
    ahead.submit(job("unrecorded", 1, 1, &[]));
    let stale = Parts { state: ahead.state.clone(), ..parts(&federation) };
    let why = wrong(&stale, Step::Image);
    assert!(why.contains("SNAPSHOT_MISMATCH: table `frontier`"), "{why}");
    let mut lacks = parts(&ahead);
    assert!(inspected(&lacks).1.is_good());
    lacks.payloads.pop_first().unwrap();
    assert!(wrong(&lacks, Step::Image).contains("is missing"));
}

#[test]
fn another_genesis_or_another_way_is_not_trusted() {
    let mut parts = parts(&eventful());
    parts.package.members.pop();
    assert!(wrong(&parts, Step::Trust).contains("members"));
    let mut foreign = genesis();
    foreign.genesis.dev = !foreign.genesis.dev;
    let bytes = signed(&parts.records, &[1, 2]);
    let report = verify(&bytes, Some(&foreign));
    assert!(findings(&report, Step::Trust).contains("another genesis"));
}
