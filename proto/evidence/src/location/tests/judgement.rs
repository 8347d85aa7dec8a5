//! What a verdict says, and which transcripts count towards it.

use super::fixture::{
    MAX_AGE_MS, NOW, capitals, landmarks, measure, office, question, table_of, transcript,
};
use crate::grant::Instance;
use crate::location::landmark::{LandmarkId, LandmarkTable};
use crate::location::transcript::{FixId, Subject, Transcript, Verified};
use crate::location::verdict::{
    Claim, Contradiction, FIX_SPAN_MAX_MS, Missing, Question, Verdict, convict, prove,
};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::Digest;
use sekisho_types::position::Position;
use sekisho_types::time::Timestamp;

const TOKYO: u32 = 131_041;
const OSAKA: u32 = 271_004;
const FUKUOKA: u32 = 401_307;
const KAGOSHIMA: u32 = 462_012;

fn id(text: &str) -> LandmarkId {
    text.parse().unwrap()
}

fn missing(verdict: Verdict) -> Missing {
    match verdict {
        Verdict::Unknown(missing) => missing,
        Verdict::Proven(_) | Verdict::Inconsistent(_) => panic!("{verdict:?}"),
    }
}

#[test]
fn a_host_near_enough_to_its_landmark_is_proven() {
    for (code, ns) in
        [(TOKYO, 4_700_000), (OSAKA, 2_800_000), (12_351, 1_900_000), (FUKUOKA, 1_150_000)]
    {
        let landmarks = table_of(&[office(code)], 1);
        let fix = measure(&landmarks, |_| ns);
        let Verdict::Proven(proof) = prove(&question(&landmarks, 0), &fix) else {
            panic!("{code} is not proven");
        };
        assert_eq!((proof.f, proof.operators.len()), (0, 1));
        assert_eq!(proof.oldest, Timestamp(NOW.0 - 5_000));
        assert_eq!(proof.expires, Timestamp(NOW.0 - 5_000 + MAX_AGE_MS));
        let far = prove(&question(&landmarks, 0), &measure(&landmarks, |_| ns * 6 / 5));
        assert_eq!(far.code(), Some(ErrorCode::ResidencyTier), "{code}");
    }
}

#[test]
fn two_discs_prove_what_neither_does_alone() {
    let landmarks = table_of(&[office(TOKYO), office(KAGOSHIMA)], 2);
    let with = |rtt: [u64; 2]| {
        let rtts: Vec<(LandmarkId, u64)> =
            landmarks.iter().map(|one| one.id.clone()).zip(rtt).collect();
        let of = |one: &LandmarkId| rtts.iter().find(|(known, _)| known == one).unwrap().1;
        prove(&question(&landmarks, 0), &measure(&landmarks, |one| of(&one.id)))
    };
    // 755 km from Tokyo reach one piece of foreign land, 543 km from Kagoshima reach others.
    assert!(matches!(with([5_000_000, 60_000_000]), Verdict::Unknown(_)));
    assert!(matches!(with([60_000_000, 3_600_000]), Verdict::Unknown(_)));
    let Verdict::Proven(proof) = with([5_000_000, 3_600_000]) else { panic!("not proven") };
    assert_eq!(proof.operators.len(), 2);
}

#[test]
fn an_operator_counts_once_however_many_landmarks_it_has() {
    let places = [office(TOKYO), office(141_003), office(121_002)];
    let one = table_of(&places, 1);
    let fix = measure(&one, |_| 1_000_000);
    assert!(matches!(prove(&question(&one, 0), &fix), Verdict::Proven(_)));
    let short = missing(prove(&question(&one, 1), &fix));
    assert_eq!((short.operators, short.discs.len()), (1, 3));
    assert_eq!(short.nearest.unwrap().excluded_by, 1);
    let two = table_of(&places, 2);
    let Verdict::Proven(proof) = prove(&question(&two, 1), &measure(&two, |_| 1_000_000)) else {
        panic!("two operators are f = 1");
    };
    assert_eq!((proof.f, proof.operators.len()), (1, 2));
    assert_eq!(missing(prove(&question(&two, 2), &measure(&two, |_| 1_000_000))).operators, 1);
}

#[test]
fn unknown_says_what_is_missing_and_how_far_abroad_is() {
    let landmarks = table_of(&[office(FUKUOKA)], 1);
    let none = missing(prove(&question(&landmarks, 1), &[]));
    assert_eq!((none.operators, none.nearest, none.discs.len()), (2, None, 0));
    let far = missing(prove(&question(&landmarks, 0), &measure(&landmarks, |_| 2_000_000)));
    let nearest = far.nearest.unwrap();
    assert_eq!((far.operators, nearest.from, nearest.excluded_by), (1, id("op-000/l-000"), 0));
    assert!((180_000..184_000).contains(&nearest.distance_m), "{}", nearest.distance_m);
    // 2 ms are 301.9 km, foreign land begins at some 182 km.
    assert_eq!(far.discs[0].radius_m, 301_893);
    assert!((-122_000..-118_000).contains(&far.discs[0].slack_m), "{}", far.discs[0].slack_m);
}

/// What every transcript is, and what may be said instead.
fn counts(landmarks: &LandmarkTable, change: impl Fn(&mut Transcript)) -> bool {
    let fix = landmarks.iter().map(|one| {
        let mut changed = transcript(one, 1_000_000);
        change(&mut changed);
        Verified::unsigned(changed)
    });
    let fix: Vec<Verified> = fix.collect();
    matches!(prove(&question(landmarks, 0), &fix), Verdict::Proven(_))
}

#[test]
fn only_fresh_transcripts_of_what_is_asked_count() {
    let landmarks = table_of(&[office(TOKYO)], 1);
    assert!(counts(&landmarks, |_| ()));
    assert!(!counts(&landmarks, |t| t.subject = Subject::Node("tokyo-1/n-02".parse().unwrap())));
    assert!(!counts(&landmarks, |t| t.subject_key = Digest([1; 32])));
    assert!(!counts(&landmarks, |t| t.instance = Instance([1; 16])));
    assert!(!counts(&landmarks, |t| t.fix = FixId([1; 16])));
    assert!(!counts(&landmarks, |t| t.landmark = id("op-000/l-001")));
    // The landmark was moved since.
    assert!(!counts(&landmarks, |t| t.position = office(OSAKA)));
    let started = |ms: u64| move |t: &mut Transcript| t.started = Timestamp(ms);
    assert!(!counts(&landmarks, started(NOW.0 - MAX_AGE_MS)));
    assert!(counts(&landmarks, |t| {
        t.started = Timestamp(NOW.0 - MAX_AGE_MS + 1);
        t.ended = t.started;
    }));
    // From a clock that is ahead: as far as two members' may differ, and further.
    assert!(counts(&landmarks, |t| t.ended = NOW.plus_ms(20_000)));
    assert!(!counts(&landmarks, |t| t.ended = NOW.plus_ms(20_001)));
    assert!(!counts(&landmarks, |t| t.ended = Timestamp(u64::MAX)));
}

#[test]
fn a_fix_is_of_one_moment() {
    let landmarks = table_of(&[office(TOKYO), office(OSAKA)], 2);
    let fix = |apart: u64| -> Vec<Verified> {
        let at = landmarks.iter().zip([apart, 0]).map(|(one, before)| {
            let mut changed = transcript(one, 2_000_000);
            changed.started = Timestamp(NOW.0 - 5_000 - before);
            changed.ended = Timestamp(NOW.0 - 5_000 - before);
            Verified::unsigned(changed)
        });
        at.collect()
    };
    let Verdict::Proven(proof) = prove(&question(&landmarks, 1), &fix(FIX_SPAN_MAX_MS)) else {
        panic!("within the span");
    };
    assert_eq!(proof.oldest, Timestamp(NOW.0 - 5_000 - FIX_SPAN_MAX_MS));
    assert_eq!(missing(prove(&question(&landmarks, 1), &fix(FIX_SPAN_MAX_MS + 1))).discs.len(), 1);
}

#[test]
fn the_shortest_delay_of_a_landmark_counts() {
    let landmarks = table_of(&[office(TOKYO)], 1);
    let of = |ns: u64| measure(&landmarks, |_| ns);
    let both: Vec<Verified> = of(60_000_000).into_iter().chain(of(1_000_000)).collect();
    assert!(matches!(prove(&question(&landmarks, 0), &both), Verdict::Proven(_)));
}

#[test]
fn discs_that_do_not_meet_are_told_and_never_proven() {
    let landmarks = table_of(&[office(TOKYO), office(OSAKA)], 2);
    // They stand some 400 km apart: 2.65 ms.
    let at = |ns: u64| prove(&question(&landmarks, 0), &measure(&landmarks, |_| ns));
    assert!(matches!(at(1_400_000), Verdict::Proven(_)));
    let wrong = at(1_200_000);
    assert_eq!(wrong.code(), Some(ErrorCode::LocationInconsistent));
    let pair = Contradiction::Landmarks(id("op-000/l-000"), id("op-001/l-001"));
    assert_eq!(wrong, Verdict::Inconsistent(pair));
}

#[test]
fn a_claim_that_cannot_be_true_is_told() {
    let landmarks = table_of(&[office(TOKYO)], 1);
    let fix = measure(&landmarks, |_| 1_000_000);
    let claim = |position: Position, radius_m: u32| {
        let claimed = Some(Claim { position, radius_m });
        prove(&Question { claimed, ..question(&landmarks, 0) }, &fix)
    };
    assert!(matches!(claim(office(TOKYO), 0), Verdict::Proven(_)));
    // Within 151 km of Tokyo is not in Osaka, but may be within 300 km of Osaka.
    let wrong = Verdict::Inconsistent(Contradiction::Claim(id("op-000/l-000")));
    assert_eq!(claim(office(OSAKA), 0), wrong);
    assert_eq!(claim(office(OSAKA), 200_000), wrong);
    assert!(matches!(claim(office(OSAKA), 300_000), Verdict::Proven(_)));
    assert!(matches!(claim(office(OSAKA), u32::MAX), Verdict::Proven(_)));
}

#[test]
fn landmarks_that_answer_faster_than_light_convict_each_other() {
    let both = landmarks(&[office(TOKYO), office(OSAKA)], 2);
    let (tokyo, osaka) = (&both[0], &both[1]);
    let ranged = |ns: u64| {
        let mut transcript = transcript(tokyo, ns);
        transcript.subject = Subject::Landmark(osaka.id.clone());
        Verified::unsigned(transcript)
    };
    assert_eq!(convict(tokyo, osaka, &ranged(2_700_000)), None);
    let found = convict(tokyo, osaka, &ranged(2_500_000)).unwrap();
    assert_eq!((&found.measuring, &found.measured), (&tokyo.id, &osaka.id));
    assert!(found.reach_m < found.distance_m && (390_000..410_000).contains(&found.distance_m));
    // What a survey leaves open is in their favour.
    let vague = crate::location::landmark::Landmark { survey_m: 10_000, ..osaka.clone() };
    assert!(convict(tokyo, &vague, &ranged(2_600_000)).is_none());
    assert!(convict(tokyo, osaka, &ranged(2_600_000)).is_some());
    // Of others, or from elsewhere.
    assert_eq!(convict(osaka, tokyo, &ranged(1)), None);
    assert_eq!(convict(tokyo, osaka, &Verified::unsigned(transcript(tokyo, 1))), None);
}

/// Nothing that a transcript can say makes the arithmetic fail.
#[test]
fn extremes_are_unknown() {
    let landmarks = table_of(&capitals(), 47);
    let fix = measure(&landmarks, |_| u64::MAX);
    let verdict = prove(&question(&landmarks, u32::MAX), &fix);
    assert_eq!(missing(verdict).operators, u32::MAX);
    let old =
        Question { now: Timestamp(u64::MAX), max_age_ms: u64::MAX, ..question(&landmarks, 0) };
    assert!(matches!(prove(&old, &fix), Verdict::Unknown(_)));
}
