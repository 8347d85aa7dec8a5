//! Bundles round-trip, and nothing else is one.

use super::*;
use crate::bundle::EndorserBundle;
use crate::genesis::Genesis;
use crate::journal::JournalHead;
use sekisho_types::id::MemberId;
use sekisho_types::time::Timestamp;

fn head(count: u64) -> AuditBundleHead {
    let cluster = ClusterId([1; 16]);
    let incarnation = Incarnation(1);
    let bundle = EndorserBundle {
        cluster,
        incarnation,
        version: 1,
        terms: Digest([0; 32]),
        k: 1,
        endorsers: Vec::new(),
        operators: Vec::new(),
    };
    let genesis = Genesis {
        bundle,
        created: Timestamp(1),
        table: Digest([2; 32]),
        sites: Vec::new(),
        members: Vec::new(),
        keys: Vec::new(),
        roots: Vec::new(),
        dev: true,
    };
    AuditBundleHead {
        format: FORMAT,
        cluster,
        incarnation,
        genesis: SignedGenesis { genesis, signatures: Vec::new() },
        table: Digest([2; 32]),
        note: b"note".to_vec(),
        count,
    }
}

fn bundle(records: &[&[u8]], rest: &BundleRest<&[u8]>) -> Vec<u8> {
    let (mut writer, mut bytes) = BundleWriter::start(&head(records.len() as u64)).unwrap();
    for record in records {
        bytes.extend(writer.record(record).unwrap());
    }
    bytes.extend(writer.finish_with(rest).unwrap());
    bytes
}

fn rest() -> BundleRest<&'static [u8]> {
    let start = JournalHead::start(&ClusterId([1; 16]), MemberId(1));
    let to = start.next(b"one").next(b"two");
    let kept = Kept::Between { from: start, to };
    let journal = |member, kept, entries| Journal {
        member: MemberId(member),
        operator: "kanto".parse().unwrap(),
        kept,
        entries,
    };
    let missing = Kept::Missing("no answer".to_owned());
    BundleRest {
        journals: vec![
            journal(1, kept, vec![b"one".as_slice(), b"two"]),
            journal(2, missing, vec![]),
        ],
        forks: vec![b"fork".as_slice()],
    }
}

#[test]
fn a_bundle_round_trips_and_every_changed_byte_is_noticed() {
    let records: [&[u8]; 3] = [b"one", b"", b"three"];
    let bytes = bundle(&records, &rest());
    let opened = AuditBundle::open(&bytes).unwrap();
    assert_eq!((opened.head, opened.records, opened.rest), (head(3), records.to_vec(), rest()));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        AuditBundle::open(&changed).unwrap_err();
        AuditBundle::open(&bytes[..at]).unwrap_err();
    }
    AuditBundle::open(&[&bytes[..], b"x"].concat()).unwrap_err();
}

#[test]
fn every_cut_and_addition_under_a_good_checksum_is_refused() {
    let bytes = bundle(&[b"one"], &rest());
    let body = &bytes[..bytes.len() - 32];
    let sealed = |body: &[u8]| [body, &Digest::of(body).0].concat();
    assert_eq!(sealed(body), bytes);
    for at in 0..body.len() {
        AuditBundle::open(&sealed(&body[..at])).unwrap_err();
    }
    let longer = AuditBundle::open(&sealed(&[body, b"\0\0\0\0"].concat())).map(|b| b.records.len());
    assert_eq!(longer, Err(AuditBundleError::Damaged("it goes on behind its end")));
}

#[test]
fn a_count_that_lies_is_refused_under_a_good_checksum() {
    let (mut writer, mut bytes) = BundleWriter::start(&head(2)).unwrap();
    bytes.extend(writer.record(b"one").unwrap());
    writer.clone().finish().unwrap_err();
    let digest = Digest::of(&bytes);
    bytes.extend(digest.0);
    assert!(matches!(AuditBundle::open(&bytes), Err(AuditBundleError::Damaged(_))));
    writer.record(b"two").unwrap();
    writer.record(b"three").unwrap_err();
    assert_eq!(
        writer.record(&vec![0; RECORD_MAX + 1]),
        Err(AuditBundleError::Damaged("more records than announced"))
    );
    let (mut writer, _) = BundleWriter::start(&head(1)).unwrap();
    assert_eq!(writer.record(&vec![0; RECORD_MAX + 1]), Err(AuditBundleError::TooLarge));
}

#[test]
fn journals_out_of_order_of_another_member_or_of_another_length_are_refused() {
    let refused = |change: &dyn Fn(&mut BundleRest<&[u8]>)| {
        let mut rest = rest();
        change(&mut rest);
        rest.bytes().unwrap_err();
    };
    refused(&|rest| rest.journals.swap(0, 1));
    refused(&|rest| rest.journals[1] = rest.journals[0].clone());
    refused(&|rest| rest.journals[0].member = MemberId(9));
    refused(&|rest| {
        let _last = rest.journals[0].entries.pop();
    });
    refused(&|rest| rest.journals[1].kept = Kept::Missing("x".repeat(4096)));
    refused(&|rest| rest.forks = vec![b"f"; 65]);
}

#[test]
fn a_bundle_off_the_wire_is_ended_with_what_the_members_told() {
    let plain = bundle(&[b"one", b"two"], &BundleRest::default());
    for size in [1, 7, 40, 10_000] {
        let mut extender = BundleExtender::start().unwrap();
        let mut bytes: Vec<u8> =
            plain.chunks(size).flat_map(|chunk| extender.push(chunk)).collect();
        bytes.extend(extender.finish(&rest()).unwrap());
        assert_eq!(bytes, bundle(&[b"one", b"two"], &rest()));
    }
    for cut in [0, 10, plain.len() - 33, plain.len() - 1] {
        let mut extender = BundleExtender::start().unwrap();
        let _written = extender.push(&plain[..cut]);
        extender.finish(&rest()).unwrap_err();
    }
}
