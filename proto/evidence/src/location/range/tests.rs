//! Who stands against whom, and what of it counts.
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use super::*;
use crate::key::SigningKey;
use crate::location::tests::fixture::{NOW, light_ns, office, transcript};
use crate::location::transcript::Transcript;
use proptest::prelude::*;

const TOKYO: u32 = 131_041;
const OSAKA: u32 = 271_004;
const FUKUOKA: u32 = 401_307;
const OPERATORS: usize = 5;

/// What makes a transcript a wrong one.
type Spoil = fn(&mut Transcript);

fn key(number: usize) -> SigningKey {
    SigningKey::from_seed(&[u8::try_from(number).unwrap() + 1; 32])
}

/// Landmarks of as many operators at these places.
fn table(places: &[u32]) -> LandmarkTable {
    let landmark = |(number, place): (usize, &u32)| Landmark {
        id: format!("op-{number}/l").parse().unwrap(),
        position: office(*place),
        survey_m: 10,
        key: key(number).public(),
    };
    LandmarkTable::new(places.iter().enumerate().map(landmark).collect()).unwrap()
}

fn row(table: &LandmarkTable, number: usize) -> &Landmark {
    table.iter().nth(number).unwrap()
}

fn signed(by: usize, of: usize, said: Transcript) -> SignedTranscript {
    SignedTranscript {
        by_subject: said.sign_as_subject(&key(of)).unwrap(),
        by_landmark: said.sign_as_landmark(&key(by)).unwrap(),
        transcript: said,
    }
}

fn said(table: &LandmarkTable, by: usize, of: usize, rtt_min_ns: u64) -> Transcript {
    let measured = row(table, of);
    Transcript {
        subject: Subject::Landmark(measured.id.clone()),
        fix: occasion(measured).unwrap(),
        ..transcript(row(table, by), rtt_min_ns)
    }
}

fn judged(table: &LandmarkTable, one: &SignedTranscript) -> Result<(Pair, Range), RangeError> {
    let (cluster, incarnation) = (&one.transcript.cluster, one.transcript.incarnation);
    judge(Question { cluster, incarnation, landmarks: table, now: NOW }, one)
}

#[test]
fn a_delay_shorter_than_light_is_a_contradiction_and_a_longer_one_is_none() {
    let table = table(&[TOKYO, OSAKA]);
    let light = light_ns(office(TOKYO), office(OSAKA));
    let found = |ns| judged(&table, &signed(0, 1, said(&table, 0, 1, ns))).unwrap();
    let (pair, range) = found(light);
    assert_eq!((pair.0.to_string(), pair.1.to_string()), ("op-0/l".into(), "op-1/l".into()));
    assert_eq!(range.conviction, None);
    let (_, wrong) = found(light * 9 / 10);
    let conviction = wrong.conviction.unwrap();
    assert!(conviction.reach_m < conviction.distance_m);
}

#[test]
fn only_what_both_signed_of_their_present_places_and_of_now_counts() {
    let table = table(&[TOKYO, OSAKA]);
    let good = said(&table, 0, 1, 1_000_000);
    judged(&table, &signed(0, 1, good.clone())).unwrap();
    // A third one frames nobody: both keys are needed.
    for (by, of) in [(0, 2), (2, 1), (1, 0)] {
        let refused = judged(&table, &signed(by, of, good.clone())).unwrap_err();
        assert!(matches!(refused, RangeError::Transcript(TranscriptError::Signature(..))));
    }
    let wrong: [(Spoil, &str); 7] = [
        (|t| t.subject = Subject::Node("tokyo-1/n-01".parse().unwrap()), "a node"),
        (|t| t.subject = Subject::Landmark("op-7/l".parse().unwrap()), "no landmark"),
        (|t| t.landmark = "op-8/l".parse().unwrap(), "no landmark"),
        (|t| t.subject = Subject::Landmark(t.landmark.clone()), "both landmarks"),
        (|t| t.fix = FixId([7; 16]), "does not stand"),
        (|t| (t.started, t.ended) = (Timestamp(1), Timestamp(2)), "too old"),
        (|t| (t.started, t.ended) = (NOW.plus_ms(60_000), NOW.plus_ms(61_000)), "to come"),
    ];
    for (spoil, words) in wrong {
        let mut bad = good.clone();
        spoil(&mut bad);
        let refused = judged(&table, &signed(0, 1, bad)).unwrap_err();
        assert!(refused.to_string().contains(words), "{words}: {refused}");
        assert_eq!(refused.code(), ErrorCode::LocationInvalid);
    }
    // Registered anew elsewhere, under the same name and key: what was measured before is nothing.
    let moved = LandmarkTable::new(
        table
            .iter()
            .map(|one| Landmark { position: office(FUKUOKA), ..one.clone() })
            .collect::<Vec<_>>(),
    );
    judged(&moved.unwrap(), &signed(0, 1, good)).unwrap_err();
}

#[test]
fn a_contradiction_stays_whatever_is_measured_later_and_nothing_goes_back() {
    let table = table(&[TOKYO, OSAKA]);
    let at = |ns, ended: u64| {
        let said = Transcript { ended: Timestamp(ended), ..said(&table, 0, 1, ns) };
        judged(&table, &signed(0, 1, said)).unwrap().1
    };
    let (begun, slow) = (NOW.0 - 4_000, 5_000_000);
    let wrong = at(1_000, begun).after(None).unwrap();
    assert!(wrong.conviction.is_some());
    assert_eq!(at(slow, begun).after(Some(&wrong)), None, "the same time");
    let later = at(slow, begun + 1).after(Some(&wrong)).unwrap();
    assert_eq!((later.rtt_min_ns, &later.conviction), (slow, &wrong.conviction));
}

#[test]
fn two_alone_convict_nobody_and_who_contradicts_two_operators_is_out() {
    let pair = |a: &str, b: &str| (a.parse().unwrap(), b.parse().unwrap());
    let out =
        |pairs: &[Pair]| convicted(pairs).into_iter().map(|id| id.to_string()).collect::<Vec<_>>();
    // Both ways, and several of one operator: it is still one word against another.
    let one =
        [pair("a/l1", "b/l1"), pair("b/l1", "a/l1"), pair("b/l2", "a/l1"), pair("a/l1", "b/l3")];
    assert!(out(&one).is_empty());
    assert_eq!(out(&[one.as_slice(), &[pair("c/l1", "a/l1")]].concat()), ["a/l1"]);
    assert_eq!(out(&[pair("a/l1", "b/l1"), pair("a/l1", "c/l1")]), ["a/l1"]);
}

proptest! {
    /// Liars of one operator say of every other landmark what they like, and stand wherever their keys answer from; honest
    /// ones measure what light takes to where a key really is, or longer.
    #[test]
    fn liars_of_one_operator_take_nobody_out_but_themselves(
        liar in 0..OPERATORS,
        lies in prop::collection::vec(1_u64..20_000_000, OPERATORS),
        truly in prop::sample::select(vec![TOKYO, OSAKA, FUKUOKA, 11_002, 472_018]),
        late in 0_u64..3_000_000,
    ) {
        let places = [TOKYO, OSAKA, FUKUOKA, 11_002, 231_002];
        let table = table(&places);
        let stands = |number: usize| office(if number == liar { truly } else { places[number] });
        let mut wrong = Vec::new();
        for by in 0..OPERATORS {
            for of in (0..OPERATORS).filter(|of| *of != by) {
                let light = light_ns(stands(by), stands(of)) + late;
                let ns = if by == liar { lies[of] } else { light.max(1) };
                let (pair, range) = judged(&table, &signed(by, of, said(&table, by, of, ns))).unwrap();
                wrong.extend(range.conviction.map(|_conviction| pair));
            }
        }
        let out = convicted(&wrong);
        let liar = row(&table, liar).id.clone();
        prop_assert!(out.iter().all(|id| *id == liar), "{:?}", out);
    }
}
