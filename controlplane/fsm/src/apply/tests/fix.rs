//! What proves a node, what ends the proof, and what a policy makes of it.

use crate::command::Command;
use crate::invariant;
use crate::outcome::Reply;
use crate::testing::location::{IN_TOKYO, fix_id, landmark, signed};
use crate::testing::{Federation, admin, agent, job, member, user};
use sekisho_evidence::location::fix::FIX_AGE_MAX_MS;
use sekisho_evidence::location::transcript::{SignedTranscript, Transcript};
use sekisho_evidence::location::verdict::{Contradiction, FIX_LANDMARKS_MAX, Verdict};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::NodeId;
use sekisho_types::residency::{Rules, Tier};
use sekisho_types::revision::Revision;

const NODE: &str = "tokyo-1/n-01";

fn node() -> NodeId {
    NODE.parse().unwrap()
}

fn furnished() -> Federation {
    let mut f = Federation::furnished();
    f.landmarks();
    f
}

fn t2(max_proof_age_s: Option<u64>) -> Rules {
    Rules { country_tier: Tier::CountryProven, max_proof_age_s, ..Rules::default() }
}

fn tier(f: &Federation) -> Tier {
    invariant::check(&f.state).unwrap();
    f.state.node(&node()).unwrap().place(f.state.clock()).country_tier
}

/// Places a job under these rules on the node; the code of its rejection.
fn placed(f: &mut Federation, name: &str, rules: Rules) -> Option<ErrorCode> {
    let mut facts = job(name, 1, 1, &[]);
    facts.residency = rules.into();
    let id = f.submit(facts);
    let Reply::Placed { rejected, .. } = f.place(&id, &[NODE]).outcome.unwrap() else {
        panic!("a plan was committed")
    };
    rejected.first().map(|(_, code)| *code)
}

fn both(f: &Federation, number: u8) -> Vec<SignedTranscript> {
    IN_TOKYO.map(|id| f.transcript(id, &node(), fix_id(number))).to_vec()
}

fn refused(f: &mut Federation, number: u8, transcripts: Vec<SignedTranscript>) -> ErrorCode {
    f.submit_fix(&node(), fix_id(number), transcripts).outcome.unwrap_err().code
}

fn wait(f: &mut Federation, ms: u64) {
    let until = f.now.plus_ms(ms);
    while f.now < until {
        f.now = f.now.plus_ms(10_000);
        f.accept(member("kanto"), Command::Tick);
    }
}

#[test]
fn a_fix_of_two_operators_lets_a_policy_of_t2_place_until_it_is_over() {
    let mut f = furnished();
    assert_eq!(placed(&mut f, "before", t2(None)), Some(ErrorCode::ResidencyTier));
    let basis = f.state.landmarks().basis();
    f.prove(NODE, 1);
    assert_eq!(tier(&f), Tier::CountryProven);
    let proof = f.state.node(&node()).unwrap().proof.unwrap();
    assert_eq!(proof.proof.f, 1);
    assert_eq!(placed(&mut f, "proven", t2(None)), None);
    let id = "sapporo/proven".parse().unwrap();
    let placement = f.placements(&id)[0];
    assert_eq!(f.state.placement(&placement).unwrap().grant.landmarks, basis);
    let strict = Rules { proof_f: 2, ..t2(None) };
    assert_eq!(placed(&mut f, "strict", strict), Some(ErrorCode::ResidencyTier));
    // Another node is not proven by it.
    let other: NodeId = "tokyo-1/n-02".parse().unwrap();
    assert_eq!(f.state.node(&other).unwrap().place(f.state.clock()).country_tier, Tier::Tagged);
    wait(&mut f, 300_000);
    assert_eq!(placed(&mut f, "aged", t2(Some(600))), None);
    assert_eq!(placed(&mut f, "old", t2(Some(240))), Some(ErrorCode::ResidencyTier));
    wait(&mut f, FIX_AGE_MAX_MS - 300_000);
    assert_eq!(tier(&f), Tier::Tagged);
    assert_eq!(placed(&mut f, "over", t2(None)), Some(ErrorCode::ResidencyTier));
    f.prove(NODE, 2);
    assert_eq!(tier(&f), Tier::CountryProven);
}

#[test]
fn a_proof_ends_with_its_session_and_with_a_landmark_that_it_rests_on() {
    let mut f = furnished();
    f.prove(NODE, 1);
    let fukuoka = f.removal("hokuto/fukuoka");
    f.accept(admin("hokuto"), fukuoka);
    assert_eq!(tier(&f), Tier::CountryProven);
    let otemachi = f.removal("kanto/otemachi");
    f.accept(admin("kanto"), otemachi);
    assert_eq!((tier(&f), f.state.fix(&node())), (Tier::Tagged, None));
    let mut f = furnished();
    f.prove(NODE, 1);
    let held = f.state.node(&node()).unwrap().session.as_ref().unwrap().id;
    f.open(&node(), 4, Some(held));
    assert_eq!((tier(&f), f.state.fix(&node())), (Tier::Tagged, None));
    // The same start of the program in another session.
    f.prove(NODE, 1);
    assert_eq!(tier(&f), Tier::CountryProven);
    f.accept(admin("kanto"), Command::RevokeNode { node: node() });
    assert_eq!((tier(&f), f.state.fix(&node())), (Tier::Tagged, None));
}

#[test]
fn what_is_not_signed_of_this_node_and_fix_proves_nothing() {
    let mut f = furnished();
    assert_eq!(refused(&mut f, 1, vec![]), ErrorCode::LocationInvalid);
    let mut flipped = both(&f, 1);
    flipped[0].by_landmark.0[0] ^= 1;
    flipped[1].transcript.rtt_min_ns ^= 1;
    assert_eq!(refused(&mut f, 1, flipped), ErrorCode::LocationInvalid);
    let another: NodeId = "tokyo-1/n-02".parse().unwrap();
    let others = IN_TOKYO.map(|id| f.transcript(id, &another, fix_id(1))).to_vec();
    assert_eq!(refused(&mut f, 1, others), ErrorCode::LocationInvalid);
    let of_two = both(&f, 2);
    assert_eq!(refused(&mut f, 1, of_two), ErrorCode::LocationInvalid);
    let many = vec![both(&f, 1)[0].clone(); FIX_LANDMARKS_MAX + 1];
    assert_eq!(refused(&mut f, 1, many), ErrorCode::LocationInvalid);
    assert_eq!((tier(&f), f.state.fix(&node())), (Tier::Tagged, None));
    // One start counts: the other one's transcript is left out.
    let mut mixed = both(&f, 1);
    let instance = sekisho_evidence::grant::Instance([7; 16]);
    let said = Transcript { instance, ..mixed[1].transcript.clone() };
    mixed[1] = signed(&node(), said);
    f.submit_fix(&node(), fix_id(1), mixed).outcome.unwrap();
    assert_eq!(f.state.node(&node()).unwrap().proof.unwrap().proof.f, 0);
}

#[test]
fn a_fix_is_handed_in_by_its_agent_in_its_live_session_and_never_goes_back() {
    let mut f = furnished();
    let (one, two) = (both(&f, 1), both(&f, 2));
    let session = f.state.node(&node()).unwrap().session.as_ref().unwrap().id;
    let stale = sekisho_evidence::grant::SessionId([0; 16]);
    let submit = |session| Command::SubmitFix {
        node: node(),
        session,
        fix: fix_id(1),
        transcripts: one.clone(),
    };
    let code = |applied: crate::outcome::Applied| applied.outcome.unwrap_err().code;
    assert_eq!(code(f.run(agent(&node()), submit(stale))), ErrorCode::SessionStale);
    let other = agent(&"tokyo-1/n-02".parse().unwrap());
    assert_eq!(code(f.run(other, submit(session))), ErrorCode::PermissionDenied);
    assert_eq!(code(f.run(admin("kanto"), submit(session))), ErrorCode::PermissionDenied);
    f.accept(agent(&node()), submit(session));
    let first = f.state.fix(&node()).unwrap().revision;
    f.accept(agent(&node()), submit(session));
    assert_eq!(f.state.fix(&node()).unwrap().revision, first, "the same once more");
    // Measured at the same instant as the one that is kept.
    assert_eq!(refused(&mut f, 2, two), ErrorCode::LocationInvalid);
    wait(&mut f, 10_000);
    f.prove(NODE, 2);
    let again = both(&f, 1).into_iter().zip(&one).map(|(_, old)| old.clone()).collect();
    assert_eq!(refused(&mut f, 1, again), ErrorCode::LocationInvalid);
}

#[test]
fn a_contradiction_is_kept_and_is_no_proof() {
    let mut f = furnished();
    let mut torn = both(&f, 1);
    torn.push(f.transcript("hokuto/fukuoka", &node(), fix_id(1)));
    f.submit_fix(&node(), fix_id(1), torn).outcome.unwrap();
    assert_eq!(tier(&f), Tier::Tagged);
    let kept = f.state.fix(&node()).unwrap();
    let Verdict::Inconsistent(Contradiction::Landmarks(a, b)) = &kept.fix.verdict else {
        panic!("{:?}", kept.fix.verdict)
    };
    assert_eq!((a.to_string(), b.to_string()), ("hokuto/fukuoka".into(), "kanto/otemachi".into()));
    assert_eq!(placed(&mut f, "torn", t2(None)), Some(ErrorCode::ResidencyTier));
}

#[test]
fn a_landmark_is_registered_by_its_own_operator_and_signed() {
    let mut f = Federation::furnished();
    let register = |id: &str, address: &str| Command::RegisterLandmark {
        landmark: Box::new(landmark(id)),
        address: address.to_owned(),
        datagrams: "127.0.0.1:7101".to_owned(),
    };
    let code = |applied: crate::outcome::Applied| applied.outcome.unwrap_err().code;
    let otemachi = || register("kanto/otemachi", "127.0.0.1:7100");
    assert_eq!(code(f.run(admin("naniwa"), otemachi())), ErrorCode::PermissionDenied);
    assert_eq!(code(f.run(user("kanto", "sapporo"), otemachi())), ErrorCode::PermissionDenied);
    let mut unsigned = f.entry(admin("kanto"), &[], otemachi());
    unsigned.signatures.clear();
    assert_eq!(code(f.apply(unsigned)), ErrorCode::SignaturesMissing);
    let bad = f.run(admin("kanto"), register("kanto/otemachi", "nowhere"));
    assert_eq!(code(bad), ErrorCode::InvalidArgument);
    let before = f.state.landmarks().basis();
    f.accept(admin("kanto"), otemachi());
    assert_ne!(f.state.landmarks().basis(), before);
    let (mut twin, mut abroad) = (landmark("kanto/otemachi"), landmark("kanto/otemachi"));
    twin.id = "kanto/second".parse().unwrap();
    abroad.id = "kanto/busan".parse().unwrap();
    abroad.position = "35.1,129.04".parse().unwrap();
    abroad.key = crate::testing::key("landmark", "kanto/busan").public();
    for (landmark, due) in [
        (landmark("kanto/otemachi"), ErrorCode::InvalidArgument),
        (twin, ErrorCode::InvalidArgument),
        (abroad, ErrorCode::ResidencyOutsideJp),
    ] {
        let (address, datagrams) = ("127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned());
        let landmark = Box::new(landmark);
        let register = Command::RegisterLandmark { landmark, address, datagrams };
        assert_eq!(code(f.run(admin("kanto"), register)), due);
    }
    let remove = f.removal("kanto/otemachi");
    assert_eq!(code(f.run(admin("naniwa"), remove.clone())), ErrorCode::PermissionDenied);
    let Command::RemoveLandmark { id, expected } = remove.clone() else { panic!("{remove:?}") };
    let stale = Command::RemoveLandmark { id, expected: Revision(expected.0 - 1) };
    assert_eq!(code(f.run(admin("kanto"), stale)), ErrorCode::RevisionMismatch);
    f.accept(admin("kanto"), remove.clone());
    assert_eq!(code(f.run(admin("kanto"), remove)), ErrorCode::NotFound);
}
