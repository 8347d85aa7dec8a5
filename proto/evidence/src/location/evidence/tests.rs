//! A file holds as it was written, and in no other way.

use super::*;
use crate::key::SigningKey;
use crate::location::landmark::Landmark;
use crate::location::tests::fixture::{FIX, INSTANCE, KEY, NOW, transcript};
use sekisho_types::id::Signature;

const CLUSTER: ClusterId = ClusterId([1; 16]);

/// A millisecond: 150 km.
const NEAR_NS: u64 = 1_000_000;

fn key(of: &str) -> SigningKey {
    SigningKey::from_seed(&Digest::of(of.as_bytes()).0)
}

fn landmark(id: &str, position: &str) -> Landmark {
    let (id, position, key) = (id.parse().unwrap(), position.parse().unwrap(), key(id).public());
    Landmark { id, position, survey_m: 10, key }
}

fn resigned(of: &SignedTranscript) -> SignedTranscript {
    let said = of.transcript.clone();
    SignedTranscript {
        by_subject: said.sign_as_subject(&key("node")).unwrap(),
        by_landmark: said.sign_as_landmark(&key(&said.landmark.to_string())).unwrap(),
        transcript: said,
    }
}

/// Two operators in Tokyo that were heard, and none that was not: every byte but few is signed.
fn evidence() -> Evidence {
    let landmarks = LandmarkTable::new(vec![
        landmark("kanto/otemachi", "35.686,139.764"),
        landmark("naniwa/shinagawa", "35.628,139.738"),
    ])
    .unwrap();
    let none = Signature([0; 64]);
    let one = |of: &Landmark| {
        let transcript = transcript(of, NEAR_NS);
        resigned(&SignedTranscript { transcript, by_subject: none, by_landmark: none })
    };
    let transcripts: Vec<_> = landmarks.iter().map(one).collect();
    let mut made = Evidence {
        cluster: CLUSTER,
        incarnation: Incarnation(1),
        node: "tokyo-1/n-01".parse().unwrap(),
        node_key: KEY,
        receipt_key: key("node").public(),
        area: Area::resolve("131016").ok(),
        landmarks,
        foreign: foreign::table_hash(),
        prefectures: prefecture::table_hash(),
        fix: FIX,
        transcripts,
        verdict: Verdict::Inconsistent(crate::location::verdict::Contradiction::Claim(
            "kanto/otemachi".parse().unwrap(),
        )),
    };
    made.verdict = judge(made.host(), FIX, &made.transcripts, NOW).unwrap().verdict;
    made
}

#[test]
fn a_file_is_judged_as_the_federation_judged_it_whenever_it_is_read() {
    let made = evidence();
    let bytes = made.bytes().unwrap();
    assert!(bytes.len() < EVIDENCE_MAX);
    let read = Evidence::parse(&bytes).unwrap();
    assert_eq!(read, made);
    let judged = read.judge().unwrap();
    let Verdict::Proven(proof) = &judged.verdict else { panic!("{:?}", judged.verdict) };
    assert_eq!((proof.f, judged.instance, judged.measured), (1, INSTANCE, proof.oldest));
    let [first, second] = &judged.ranged[..] else { panic!("{:?}", judged.ranged) };
    assert_eq!((first.rtt_ns, second.landmark.operator.as_str()), (NEAR_NS, "naniwa"));
    // 150.9 km of a millisecond and the survey; the nearest land that counts from Tokyo is 721 km away.
    assert!((150_900..151_100).contains(&first.radius_m), "{first:?}");
    assert!(first.excludes_all && first.nearest_m / 1000 == 721, "{first:?}");
}

#[test]
fn every_changed_missing_or_added_byte_is_noticed() {
    let bytes = evidence().bytes().unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << bit;
            let expected =
                if at < MAGIC.len() { EvidenceError::Magic } else { EvidenceError::Damaged };
            assert_eq!(Evidence::parse(&bad), Err(expected), "bit {bit} of byte {at}");
        }
        assert!(Evidence::parse(&bytes[..at]).is_err(), "{at} bytes");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(Evidence::parse(&longer), Err(EvidenceError::Damaged));
    let large = vec![0; EVIDENCE_MAX + 1];
    assert_eq!(Evidence::parse(&large), Err(EvidenceError::TooLarge(EVIDENCE_MAX + 1)));
}

/// Whoever writes a trailer of his own gets no further than what nobody signed: the area and the surveys, which a reader
/// compares by the hash of the table.
#[test]
fn with_a_trailer_of_its_own_a_changed_byte_is_refused_by_what_was_signed() {
    let made = evidence();
    let bytes = made.bytes().unwrap();
    let end = bytes.len() - TRAILER;
    // Every eleventh byte, and another bit each time: a table of landmarks takes a while to be made.
    for at in (MAGIC.len()..end).step_by(11) {
        let mut bad = bytes[..end].to_vec();
        bad[at] ^= 1 << (at % 8);
        bad.extend(Digest::of(&bad).0);
        let Ok(read) = Evidence::parse(&bad) else { continue };
        if read.judge().is_ok() {
            let surveys = |of: &Evidence| -> Vec<Landmark> {
                of.landmarks.iter().map(|one| Landmark { survey_m: 0, ..one.clone() }).collect()
            };
            assert_eq!(surveys(&read), surveys(&made), "byte {at}");
            let (area, landmarks) = (made.area, made.landmarks.clone());
            assert_eq!(Evidence { area, landmarks, ..read }, made, "byte {at}");
        }
    }
}

#[test]
fn what_is_no_fix_of_this_node_says_what_is_wrong() {
    let made = evidence();
    let refused = |change: &dyn Fn(&mut Evidence)| {
        let mut bad = made.clone();
        change(&mut bad);
        Evidence::parse(&bad.bytes().unwrap()).unwrap().judge().unwrap_err()
    };
    let first: LandmarkId = "kanto/otemachi".parse().unwrap();
    let second: LandmarkId = "naniwa/shinagawa".parse().unwrap();
    assert!(matches!(refused(&|bad| bad.foreign = KEY), EvidenceError::Foreign(..)));
    assert!(matches!(refused(&|bad| bad.prefectures = KEY), EvidenceError::Prefectures(..)));
    assert_eq!(refused(&|bad| bad.transcripts.clear()), EvidenceError::Count(0));
    let many = |bad: &mut Evidence| bad.transcripts = vec![bad.transcripts[0].clone(); 65];
    assert_eq!(refused(&many), EvidenceError::Count(65));
    let gone = |bad: &mut Evidence| bad.landmarks = bad.landmarks.without(|id| *id == second);
    assert_eq!(refused(&gone), EvidenceError::Stranger(second.clone()));
    let twice = |bad: &mut Evidence| bad.transcripts[1] = bad.transcripts[0].clone();
    let wrong = "stands twice or out of order";
    assert_eq!(refused(&twice), EvidenceError::Mixed(first.clone(), wrong));
    let other = |bad: &mut Evidence| {
        bad.transcripts[1].transcript.fix = FixId([8; 16]);
        bad.transcripts[1] = resigned(&bad.transcripts[1]);
    };
    assert_eq!(refused(&other), EvidenceError::Mixed(second.clone(), "is of another fix"));
    let start = |bad: &mut Evidence| {
        bad.transcripts[1].transcript.instance = Instance([8; 16]);
        bad.transcripts[1] = resigned(&bad.transcripts[1]);
    };
    assert_eq!(refused(&start), EvidenceError::Mixed(second, "is of another start"));
    let forged = |bad: &mut Evidence| bad.transcripts[0].transcript.rtt_min_ns -= 1;
    let EvidenceError::Transcript(who, TranscriptError::Signature("landmark", _)) =
        refused(&forged)
    else {
        panic!("{:?}", refused(&forged))
    };
    assert_eq!(who, first);
    let node = |bad: &mut Evidence| bad.node = "tokyo-1/n-02".parse().unwrap();
    assert!(matches!(refused(&node), EvidenceError::Transcript(_, TranscriptError::Mismatch(_))));
    let boast = |bad: &mut Evidence| {
        if let Verdict::Proven(proof) = &mut bad.verdict {
            proof.f = 2;
        }
    };
    assert_eq!(refused(&boast), EvidenceError::Verdict);
}
