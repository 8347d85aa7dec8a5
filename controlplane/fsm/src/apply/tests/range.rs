//! What ranges take out, who may bring it back, and what they cannot do.

use crate::command::Command;
use crate::invariant;
use crate::testing::location::{IN_TOKYO, NEAR_NS, landmark, signed_by_both};
use crate::testing::{Federation, admin, agent, user};
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_evidence::location::range::RANGES_MAX;
use sekisho_evidence::location::transcript::{SignedTranscript, Transcript};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::residency::Tier;

const FUKUOKA: &str = "hokuto/fukuoka";
const TOKYO: [&str; 2] = IN_TOKYO;
/// There and back between Tokyo and Fukuoka, by glass.
const FAR_NS: u64 = 10_000_000;

fn furnished() -> Federation {
    let mut f = Federation::furnished();
    f.landmarks();
    f
}

fn id(text: &str) -> LandmarkId {
    text.parse().unwrap()
}

fn register(text: &str) -> Command {
    Command::RegisterLandmark {
        landmark: Box::new(landmark(text)),
        address: "127.0.0.1:7100".to_owned(),
        datagrams: "127.0.0.1:7101".to_owned(),
    }
}

/// Hands in that `by` measured `of` this near.
fn range(f: &mut Federation, by: &str, of: &str, ns: u64) {
    f.now = f.now.plus_ms(1_000);
    f.accept(crate::testing::member("kanto"), Command::Tick);
    let one = f.range(by, of, ns);
    f.submit_range(vec![one]).outcome.unwrap();
    invariant::check(&f.state).unwrap();
}

fn stands(f: &Federation, text: &str) -> bool {
    let stands = f.state.landmarks().get(&id(text)).is_some();
    assert_ne!(stands, f.state.convicted(&id(text)).is_some());
    stands
}

#[test]
fn who_contradicts_landmarks_of_two_operators_is_out_with_every_proof_that_rests_on_it() {
    let mut f = furnished();
    let node = f.prove("tokyo-1/n-01", 1);
    let basis = f.state.landmarks().basis();
    range(&mut f, FUKUOKA, TOKYO[0], FAR_NS);
    assert_eq!((f.state.ranges().count(), f.state.contradictions().count()), (1, 0));
    // It is in Tokyo, or its key is.
    range(&mut f, TOKYO[0], FUKUOKA, NEAR_NS);
    assert!(stands(&f, FUKUOKA) && stands(&f, TOKYO[0]), "one word against another");
    assert_eq!(f.state.contradictions().count(), 1);
    range(&mut f, TOKYO[1], FUKUOKA, NEAR_NS);
    assert!(!stands(&f, FUKUOKA) && stands(&f, TOKYO[0]) && stands(&f, TOKYO[1]));
    assert_ne!(f.state.landmarks().basis(), basis, "agents judge without it");
    // What did not rest on it goes on.
    let tier = |f: &Federation| f.state.node(&node).unwrap().place(f.state.clock()).country_tier;
    assert_eq!(tier(&f), Tier::CountryProven);
    // The contradictions that took it out stand against nobody else.
    assert_eq!(f.state.contradictions().count(), 0);
    assert_eq!(f.state.ranges().count(), 3, "but are kept for people");
}

#[test]
fn a_proof_ends_with_a_landmark_that_is_taken_out() {
    let mut f = furnished();
    let node = f.prove("tokyo-1/n-01", 1);
    range(&mut f, TOKYO[0], FUKUOKA, NEAR_NS);
    // One that says of everybody that they are near.
    let shinagawa = f.range(TOKYO[0], TOKYO[1], 1);
    f.submit_range(vec![shinagawa]).outcome.unwrap();
    invariant::check(&f.state).unwrap();
    assert!(!stands(&f, TOKYO[0]) && stands(&f, FUKUOKA) && stands(&f, TOKYO[1]));
    let node = f.state.node(&node).unwrap();
    assert_eq!(node.place(f.state.clock()).country_tier, Tier::Tagged);
}

#[test]
fn only_its_own_operator_brings_it_back_or_takes_it_away() {
    let mut f = furnished();
    TOKYO.iter().for_each(|by| range(&mut f, by, FUKUOKA, NEAR_NS));
    assert!(!stands(&f, FUKUOKA));
    let code = |applied: crate::outcome::Applied| applied.outcome.unwrap_err().code;
    assert_eq!(code(f.run(admin("kanto"), register(FUKUOKA))), ErrorCode::PermissionDenied);
    // Nor is there a way around it under another name.
    let mut other = landmark(FUKUOKA);
    other.id = id("hokuto/second");
    let (address, datagrams) = ("127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned());
    let again = Command::RegisterLandmark { landmark: Box::new(other), address, datagrams };
    assert_eq!(code(f.run(admin("hokuto"), again)), ErrorCode::InvalidArgument);
    // What it measures counts no more.
    let late = f.range(FUKUOKA, TOKYO[0], FAR_NS);
    assert_eq!(code(f.submit_range(vec![late])), ErrorCode::LocationInvalid);
    f.accept(admin("hokuto"), register(FUKUOKA));
    invariant::check(&f.state).unwrap();
    assert!(stands(&f, FUKUOKA));
    assert_eq!(f.state.ranges().count(), 0, "it begins anew");
    TOKYO.iter().for_each(|by| range(&mut f, by, FUKUOKA, NEAR_NS));
    let remove = f.removal(FUKUOKA);
    assert_eq!(code(f.run(admin("kanto"), remove.clone())), ErrorCode::PermissionDenied);
    f.accept(admin("hokuto"), remove.clone());
    invariant::check(&f.state).unwrap();
    assert_eq!((f.state.ranges().count(), f.state.convictions().count()), (0, 0));
    assert_eq!(code(f.run(admin("hokuto"), remove)), ErrorCode::NotFound);
    super::event::check(&f);
}

#[test]
fn ranges_are_handed_in_by_members_and_signed_by_both() {
    let mut f = furnished();
    let code = |applied: crate::outcome::Applied| applied.outcome.unwrap_err().code;
    let good = f.range(TOKYO[0], FUKUOKA, FAR_NS);
    for who in [admin("kanto"), user("kanto", "sapporo"), agent(&"tokyo-1/n-01".parse().unwrap())] {
        let submit = Command::SubmitRange { transcripts: vec![good.clone()] };
        assert_eq!(code(f.run(who, submit)), ErrorCode::PermissionDenied);
    }
    assert_eq!(code(f.submit_range(vec![])), ErrorCode::LocationInvalid);
    let many = vec![good.clone(); RANGES_MAX + 1];
    assert_eq!(code(f.submit_range(many)), ErrorCode::LocationInvalid);
    // A landmark that lies about what another one signs.
    let forged = signed_by_both(TOKYO[1], good.transcript.clone());
    let lie = Transcript { rtt_min_ns: 1, ..good.transcript.clone() };
    let altered = SignedTranscript { transcript: lie, ..good };
    for bad in [forged, altered] {
        assert_eq!(code(f.submit_range(vec![bad])), ErrorCode::LocationInvalid);
    }
    assert_eq!(f.state.ranges().count(), 0);
    // The good one among bad ones counts, and once.
    let forged = signed_by_both(TOKYO[1], good.transcript.clone());
    f.submit_range(vec![forged, good.clone()]).outcome.unwrap();
    f.submit_range(vec![good]).outcome.unwrap();
    assert_eq!(f.state.ranges().count(), 1);
}
