//! Files that are whole, and files that lie.

use super::*;
use crate::terms::tests::genesis;
use proptest::prelude::*;
use std::sync::Arc;

fn head(image: &[u8], records: u64) -> SnapshotHead {
    let genesis = Arc::new(genesis());
    let members = genesis.genesis.members.clone();
    SnapshotHead {
        format: FORMAT,
        package: TrustPackage { genesis, steps: Vec::new(), members },
        incarnation: Incarnation(1),
        saved: Timestamp(5),
        revision: Revision(9),
        last_log: LastLog { term: 2, leader: MemberId(1), index: 9 },
        voters: BTreeSet::from([MemberId(1)]),
        head: Head { size: records, root: Digest([1; 32]) },
        image: Digest::of(image),
        image_len: image.len() as u64,
        note: Some(b"note".to_vec()),
        consistency: vec![Digest([2; 32])],
    }
}

fn file(image: &[u8], records: &[Vec<u8>]) -> Vec<u8> {
    let head = head(image, records.len() as u64);
    let mut writer = SnapshotWriter::start(Vec::new(), &head, image).unwrap();
    records.iter().for_each(|record| writer.record(record).unwrap());
    writer.finish().unwrap()
}

type Whole = (SnapshotHead, Vec<u8>, Vec<Vec<u8>>);

fn read(mut bytes: &[u8]) -> Result<Whole, SnapshotFileError> {
    let reader = SnapshotReader::open(&mut bytes)?;
    let head = reader.head().clone();
    let (image, mut rest) = reader.image()?;
    let mut records = Vec::new();
    while let Some(record) = rest.next_record()? {
        records.push(record);
    }
    Ok((head, image, records))
}

#[test]
fn every_changed_missing_or_added_byte_is_noticed() {
    let records = vec![b"one".to_vec(), Vec::new(), b"three".to_vec()];
    let bytes = file(b"image", &records);
    assert_eq!(read(&bytes).unwrap(), (head(b"image", 3), b"image".to_vec(), records));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        read(&changed).unwrap_err();
        read(&bytes[..at]).unwrap_err();
    }
    let longer = read(&[&bytes[..], b"x"].concat());
    assert!(matches!(longer, Err(SnapshotFileError::Damaged(why)) if why.contains("goes on")));
    assert!(matches!(read(b"sekisho-audit-1\n"), Err(SnapshotFileError::Format)));
    assert!(matches!(read(b""), Err(SnapshotFileError::Format)));
}

/// Bytes with a good trailer, whatever they say.
fn sealed(mut body: Vec<u8>) -> Vec<u8> {
    let digest = Digest::of(&body);
    body.extend(digest.0);
    body
}

fn begun(head: &SnapshotHead) -> Vec<u8> {
    [MAGIC.as_slice(), &frame(&encode(head).unwrap(), HEAD_MAX).unwrap()].concat()
}

#[test]
fn an_image_in_another_spelling_or_of_another_digest_is_refused_under_a_good_trailer() {
    let head = head(b"image", 0);
    let with = |parts: &[&[u8]]| {
        let parts = parts.iter().flat_map(|part| frame(part, IMAGE_PART).unwrap());
        read(&sealed(begun(&head).into_iter().chain(parts).collect()))
    };
    with(&[b"image"]).unwrap();
    for parts in [&[b"im".as_slice(), b"age"][..], &[b"", b"image"], &[b"imagE"]] {
        assert!(matches!(with(parts), Err(SnapshotFileError::Damaged(_))), "{parts:?}");
    }
    with(&[]).unwrap_err();
    let newer = SnapshotHead { format: FORMAT + 1, ..head.clone() };
    assert!(matches!(read(&sealed(begun(&newer))), Err(SnapshotFileError::Format)));
    let vast = SnapshotHead { image_len: IMAGE_MAX + 1, ..head };
    assert!(matches!(read(&sealed(begun(&vast))), Err(SnapshotFileError::TooLarge)));
}

#[test]
fn a_writer_keeps_to_its_head() {
    let head = head(b"image", 1);
    SnapshotWriter::start(Vec::new(), &head, b"other").unwrap_err();
    let short = SnapshotWriter::start(Vec::new(), &head, b"image").unwrap();
    assert!(matches!(short.finish(), Err(SnapshotFileError::Damaged(_))));
    let mut long = SnapshotWriter::start(Vec::new(), &head, b"image").unwrap();
    assert!(matches!(long.record(&vec![0; RECORD_MAX + 1]), Err(SnapshotFileError::TooLarge)));
    assert!(matches!(long.record(b"second"), Err(SnapshotFileError::Damaged(_))));
}

#[test]
fn who_saw_more_has_the_greater_end() {
    let at = |term, index| LastLog { term, leader: MemberId(1), index };
    assert!(at(2, 1) > at(1, 9) && at(2, 2) > at(2, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_is_written_is_read(
        len in prop::sample::select(vec![0, 1, IMAGE_PART - 1, IMAGE_PART, IMAGE_PART + 1, 2 * IMAGE_PART]),
        records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
        flipped in any::<prop::sample::Index>(),
    ) {
        let image = vec![7; len];
        let bytes = file(&image, &records);
        prop_assert_eq!(read(&bytes).unwrap(), (head(&image, records.len() as u64), image, records));
        let mut changed = bytes.clone();
        changed[flipped.index(bytes.len())] ^= 0x80;
        prop_assert!(read(&changed).is_err());
    }

    #[test]
    fn foreign_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read(&[MAGIC.as_slice(), &bytes].concat()).is_err());
    }
}
