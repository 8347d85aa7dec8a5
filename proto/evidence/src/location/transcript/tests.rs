//! One spelling, both signatures, every bound.

use super::*;

const CLUSTER: ClusterId = ClusterId([1; 16]);

fn measuring() -> SigningKey {
    SigningKey::from_seed(&[3; 32])
}

fn measured() -> SigningKey {
    SigningKey::from_seed(&[4; 32])
}

fn landmark() -> Landmark {
    Landmark {
        id: "hokuto/ishikari".parse().unwrap(),
        position: "43.171388,141.315555".parse().unwrap(),
        survey_m: 10,
        key: measuring().public(),
    }
}

fn transcript() -> Transcript {
    Transcript {
        cluster: CLUSTER,
        incarnation: Incarnation(1),
        landmark: landmark().id,
        position: landmark().position,
        subject: Subject::Node("ishikari-1/n-01".parse().unwrap()),
        subject_key: Digest([5; 32]),
        instance: Instance([6; 16]),
        fix: FixId([7; 16]),
        binding: Digest([8; 32]),
        asked: 32,
        answered: 31,
        rtt_min_ns: 123_456,
        nonces: Digest([9; 32]),
        started: Timestamp(1_000),
        ended: Timestamp(1_400),
        serial: 7,
    }
}

fn signed(transcript: Transcript) -> SignedTranscript {
    let by_subject = transcript.sign_as_subject(&measured()).unwrap();
    let by_landmark = transcript.sign_as_landmark(&measuring()).unwrap();
    SignedTranscript { transcript, by_subject, by_landmark }
}

/// Alone and with others: the answers are the same.
fn verified(signed: &SignedTranscript) -> Result<Verified, TranscriptError> {
    let (landmark, subject) = (landmark(), transcript().subject);
    let expected = Expected {
        cluster: &CLUSTER,
        incarnation: Incarnation(1),
        landmark: &landmark,
        subject: &subject,
        subject_key: &Digest([5; 32]),
        signing_key: &measured().public(),
    };
    let alone = signed.verify(expected);
    let good = self::signed(transcript());
    let together = verify_all(&[(&good, expected), (signed, expected)]);
    assert_eq!(together, [Ok(Verified(transcript())), alone.clone()]);
    assert_eq!(verify_all(&[]), []);
    alone
}

#[test]
fn a_transcript_round_trips_and_every_flipped_bit_is_refused() {
    let good = signed(transcript());
    assert_eq!(verified(&good), Ok(Verified(transcript())));
    let bytes = good.bytes().unwrap();
    assert_eq!(SignedTranscript::parse(&bytes), Ok(good));
    for bit in 0..bytes.len() * 8 {
        let mut wrong = bytes.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        let refused = SignedTranscript::parse(&wrong).and_then(|signed| verified(&signed));
        let code = refused.unwrap_err().code();
        assert!(
            matches!(code, ErrorCode::LocationInvalid | ErrorCode::WrongCluster),
            "bit {bit}: {code}"
        );
    }
}

#[test]
fn both_have_to_sign_each_for_itself() {
    let good = signed(transcript());
    let swapped = SignedTranscript {
        by_subject: good.by_landmark,
        by_landmark: good.by_subject,
        ..good.clone()
    };
    assert!(matches!(verified(&swapped), Err(TranscriptError::Signature("landmark", _))));
    let alone = SignedTranscript {
        by_subject: transcript().sign_as_subject(&measuring()).unwrap(),
        ..good.clone()
    };
    assert!(matches!(verified(&alone), Err(TranscriptError::Signature("subject", _))));
    // The same key in the other role: a landmark that is measured signs with its own.
    let other_role = SignedTranscript {
        by_subject: transcript().sign_as_landmark(&measured()).unwrap(),
        ..good
    };
    assert!(matches!(verified(&other_role), Err(TranscriptError::Signature("subject", _))));
}

#[test]
fn a_transcript_of_something_else_or_out_of_bounds_is_refused_though_signed() {
    let refused = |change: fn(&mut Transcript)| {
        let mut changed = transcript();
        change(&mut changed);
        verified(&signed(changed)).unwrap_err()
    };
    assert_eq!(refused(|t| t.cluster.0[0] ^= 1), TranscriptError::WrongCluster);
    assert_eq!(refused(|t| t.incarnation.0 = 2), TranscriptError::WrongCluster);
    let mismatch = TranscriptError::Mismatch;
    assert_eq!(refused(|t| t.landmark = "hokuto/other".parse().unwrap()), mismatch("landmark"));
    assert_eq!(
        refused(|t| t.position = "43.171389,141.315555".parse().unwrap()),
        mismatch("position")
    );
    assert_eq!(
        refused(|t| t.subject = Subject::Landmark("hokuto/ishikari".parse().unwrap())),
        mismatch("subject")
    );
    assert_eq!(refused(|t| t.subject_key.0[0] ^= 1), mismatch("key"));
    let bounds = TranscriptError::Bounds;
    assert_eq!(refused(|t| t.asked = 31), bounds("number of rounds"));
    assert_eq!(refused(|t| t.asked = 65), bounds("number of rounds"));
    assert_eq!(refused(|t| t.answered = 0), bounds("number of answers"));
    assert_eq!(refused(|t| t.answered = 33), bounds("number of answers"));
    assert_eq!(refused(|t| t.rtt_min_ns = 0), bounds("delay"));
    assert_eq!(refused(|t| t.ended = Timestamp(999)), bounds("time"));
    assert_eq!(refused(|t| t.ended = Timestamp(1_001 + EXCHANGE_MAX_MS)), bounds("time"));
}

#[test]
fn the_longest_names_fit() {
    let long = "x".repeat(63);
    let longest = Transcript {
        landmark: format!("{long}/{long}").parse().unwrap(),
        subject: Subject::Node(format!("{long}/{long}").parse().unwrap()),
        incarnation: Incarnation(u64::MAX),
        rtt_min_ns: u64::MAX,
        started: Timestamp(u64::MAX),
        ended: Timestamp(u64::MAX),
        serial: u64::MAX,
        ..transcript()
    };
    let bytes = signed(longest).bytes().unwrap();
    assert!(bytes.len() <= TRANSCRIPT_MAX, "{} bytes", bytes.len());
    let refused = SignedTranscript::parse(&vec![0; TRANSCRIPT_MAX + 1]);
    assert_eq!(refused, Err(TranscriptError::TooLarge(TRANSCRIPT_MAX + 1)));
}

/// The bytes are stored for years: a change here is a new version, not an edit.
#[test]
fn golden_bytes_of_version_1() {
    let bytes = signed(transcript()).bytes().unwrap();
    assert_eq!((bytes.len(), Digest::of(&bytes).to_string().as_str()), (325, GOLDEN));
}
const GOLDEN: &str = "6aa4aab49977e68c37b7150b8e55e7ddce461352d831d7dd260973b51dd25e9e";
