//! What counts of a fix, and what it then proves.

use super::*;
use crate::key::SigningKey;
use crate::location::landmark::{Landmark, LandmarkId};
use crate::location::tests::fixture::{FIX, INSTANCE, KEY, NOW, transcript};
use crate::location::verdict::Contradiction;

const CLUSTER: ClusterId = ClusterId([1; 16]);

fn key(of: &str) -> SigningKey {
    SigningKey::from_seed(&Digest::of(of.as_bytes()).0)
}

fn landmark(id: &str, position: &str) -> Landmark {
    let (id, position, key) = (id.parse().unwrap(), position.parse().unwrap(), key(id).public());
    Landmark { id, position, survey_m: 10, key }
}

/// Two operators in Tokyo, and one of them in Fukuoka.
fn table() -> LandmarkTable {
    LandmarkTable::new(vec![
        landmark("kanto/fukuoka", "33.590,130.402"),
        landmark("kanto/otemachi", "35.686,139.764"),
        landmark("naniwa/shinagawa", "35.628,139.738"),
    ])
    .unwrap()
}

/// What this landmark would measure of the node, signed by both.
fn signed(table: &LandmarkTable, id: &str, rtt_ns: u64) -> SignedTranscript {
    let landmark = table.get(&id.parse().unwrap()).unwrap();
    resigned(&SignedTranscript {
        transcript: transcript(landmark, rtt_ns),
        by_subject: sekisho_types::id::Signature([0; 64]),
        by_landmark: sekisho_types::id::Signature([0; 64]),
    })
}

fn resigned(of: &SignedTranscript) -> SignedTranscript {
    let said = of.transcript.clone();
    SignedTranscript {
        by_subject: said.sign_as_subject(&key("node")).unwrap(),
        by_landmark: said.sign_as_landmark(&key(&said.landmark.to_string())).unwrap(),
        transcript: said,
    }
}

fn judged(transcripts: &[SignedTranscript], now: Timestamp) -> Result<Fix, FixError> {
    let (table, node, receipt_key) =
        (table(), "tokyo-1/n-01".parse().unwrap(), key("node").public());
    let host = Host {
        cluster: &CLUSTER,
        incarnation: Incarnation(1),
        landmarks: &table,
        node: &node,
        node_key: &KEY,
        receipt_key: &receipt_key,
        area: Area::resolve("131016").ok(),
    };
    judge(host, FIX, transcripts, now)
}

/// A millisecond: 150 km.
const NEAR_NS: u64 = 1_000_000;

fn both() -> Vec<SignedTranscript> {
    let table = table();
    ["kanto/otemachi", "naniwa/shinagawa"].map(|id| signed(&table, id, NEAR_NS)).to_vec()
}

#[test]
fn two_operators_prove_with_f_1_until_the_first_exchange_is_an_hour_old() {
    let fix = judged(&both(), NOW).unwrap();
    let Verdict::Proven(proof) = &fix.verdict else { panic!("{:?}", fix.verdict) };
    assert_eq!((proof.f, proof.operators.len(), fix.instance), (1, 2, INSTANCE));
    assert_eq!((fix.measured, proof.oldest), (Timestamp(NOW.0 - 5_000), fix.measured));
    assert_eq!(proof.expires, fix.measured.plus_ms(FIX_AGE_MAX_MS));
    assert!(fix.proof(Timestamp(proof.expires.0 - 1)).is_some());
    assert_eq!(fix.proof(proof.expires), None);
    let alone = judged(&both()[..1], NOW).unwrap();
    assert!(matches!(alone.verdict, Verdict::Proven(Proof { f: 0, .. })));
}

#[test]
fn what_is_not_of_this_host_fix_and_start_does_not_count() {
    type Change = fn(&mut super::super::transcript::Transcript);
    let changes: [(Change, &str); 6] = [
        (|t| t.subject = Subject::Node("tokyo-1/n-02".parse().unwrap()), "another subject"),
        (|t| t.subject_key.0[0] ^= 1, "another key"),
        (|t| t.fix.0[0] ^= 1, "another fix"),
        (|t| t.instance.0[0] ^= 1, "another start"),
        (|t| t.incarnation.0 = 2, "another incarnation"),
        (|t| t.landmark = "kanto/nowhere".parse().unwrap(), "another landmark"),
    ];
    for (change, what) in changes {
        let mut transcripts = both();
        change(&mut transcripts[1].transcript);
        transcripts[1] = resigned(&transcripts[1]);
        let fix = judged(&transcripts, NOW).unwrap();
        assert_eq!(fix.transcripts.len(), 1, "{what}");
        assert!(matches!(fix.verdict, Verdict::Proven(Proof { f: 0, .. })), "{what}");
    }
    let mut flipped = both();
    flipped[0].by_landmark.0[9] ^= 1;
    flipped[1].by_subject.0[9] ^= 1;
    assert!(matches!(judged(&flipped, NOW), Err(FixError::Nothing(_))));
    assert!(matches!(judged(&both(), NOW.plus_ms(FIX_AGE_MAX_MS)), Err(FixError::Nothing(_))));
    assert!(matches!(judged(&both(), Timestamp(NOW.0 - 60_000)), Err(FixError::Nothing(_))));
    assert_eq!(judged(&[], NOW), Err(FixError::Nothing("there is none".to_owned())));
    let many = vec![both()[0].clone(); FIX_LANDMARKS_MAX + 1];
    assert_eq!(judged(&many, NOW), Err(FixError::TooMany(FIX_LANDMARKS_MAX + 1)));
}

#[test]
fn a_fix_that_contradicts_itself_or_the_tag_is_never_a_proof() {
    let table = table();
    let fukuoka = || signed(&table, "kanto/fukuoka", NEAR_NS);
    let inconsistent = |transcripts: &[SignedTranscript]| {
        let fix = judged(transcripts, NOW).unwrap();
        assert_eq!(fix.proof(NOW), None);
        let Verdict::Inconsistent(why) = fix.verdict else { panic!("{:?}", fix.verdict) };
        why
    };
    let mut torn = both();
    torn.push(fukuoka());
    let id = |id: &str| -> LandmarkId { id.parse().unwrap() };
    let pair = Contradiction::Landmarks(id("kanto/fukuoka"), id("kanto/otemachi"));
    assert_eq!(inconsistent(&torn), pair);
    assert_eq!(inconsistent(&[fukuoka()]), Contradiction::Claim(id("kanto/fukuoka")));
}

/// The beacon's site and the prefecture come from the tag, and the proof is of that prefecture alone.
#[test]
fn a_beacon_of_the_site_of_the_tag_raises_both_tiers_while_the_tag_lies_in_its_prefecture() {
    let ishikari = landmark("hokuto/ishikari-1", "43.171,141.315");
    let table = LandmarkTable::new(vec![ishikari]).unwrap();
    let receipt_key = key("node").public();
    let area = |text: &str| Area::resolve(text).ok();
    let judged = |node: &str, tag: &str, rtt_ns| {
        let node: NodeId = node.parse().unwrap();
        let host = Host {
            cluster: &CLUSTER,
            incarnation: Incarnation(1),
            landmarks: &table,
            node: &node,
            node_key: &KEY,
            receipt_key: &receipt_key,
            area: area(tag),
        };
        let mut one = signed(&table, "hokuto/ishikari-1", rtt_ns);
        one.transcript.subject = Subject::Node(node.clone());
        let fix = judge(host, FIX, &[resigned(&one)], NOW).unwrap();
        PlaceProof::from(fix.proof(NOW).unwrap())
    };
    let here = judged("ishikari-1/n-01", "012351", NEAR_NS);
    assert_eq!((here.f, here.prefecture), (0, area("JP-01")));
    for other in [
        judged("tokyo-1/n-01", "012351", NEAR_NS),
        judged("ishikari-1/n-01", "022012", NEAR_NS),
        judged("ishikari-1/n-01", "JP", NEAR_NS),
        judged("ishikari-1/n-01", "012351", 3 * NEAR_NS / 2),
    ] {
        assert_eq!(other.prefecture, None);
    }
    let place = |tag: &str| {
        let tagged = Place {
            operator: "hokuto".parse().unwrap(),
            area: area(tag),
            country_tier: Tier::Tagged,
            area_tier: Tier::Tagged,
            proof: None,
        };
        let place = proven(tagged, Some(here));
        assert_eq!(place.proof, Some(here));
        [place.country_tier, place.area_tier]
    };
    assert_eq!(place("012351"), [Tier::SiteProven; 2]);
    assert_eq!(place("JP-01"), [Tier::SiteProven; 2]);
    for elsewhere in ["022012", "JP", "KR-26"] {
        assert_eq!(place(elsewhere), [Tier::CountryProven, Tier::Tagged], "{elsewhere}");
    }
}

#[test]
fn only_an_area_of_bounded_width_is_a_claim() {
    let claim = |area: &str| Claim::of(Area::resolve(area).unwrap());
    assert!(claim("131016").is_some());
    for wide in ["JP", "JP-13", "134210"] {
        assert_eq!(claim(wide), None, "{wide}");
    }
}
