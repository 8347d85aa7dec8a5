//! Whom applied state lets be measured. Exchanges over real sockets are tested with the agent's side, above both.

use super::applied::judge;
use super::*;
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{self, Federation, agent, member, node_key, receipt_key};
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::principal::{Principal, TrustDomain};
use sekisho_types::time::Timestamp;

fn peer(principal: Principal, key: Digest) -> PeerIdentity {
    PeerIdentity {
        trust_domain: TrustDomain::parse(&format!("{}.example", principal.operator)).unwrap(),
        site: principal.site().cloned(),
        principal,
        spki_sha256: key,
        residency: None,
        not_after: Timestamp(u64::MAX),
    }
}

/// Two landmarks, of kanto and of naniwa.
fn registered(_state: &State, id: &LandmarkId) -> Option<Landmark> {
    let key = match id.to_string().as_str() {
        "kanto/otemachi" => 1,
        "naniwa/dojima" => 2,
        _ => return None,
    };
    let position = "35.686,139.764".parse().unwrap();
    Some(Landmark { id: id.clone(), position, survey_m: 10, key: PublicKey([key; 32]) })
}

fn key_for(state: &State, peer: &PeerIdentity, subject: &Subject) -> Result<PublicKey, Refusal> {
    let landmark = "kanto/otemachi".parse().unwrap();
    judge(state, registered, &landmark, peer, subject).map(|standing| standing.signing_key)
}

#[test]
fn enrolled_nodes_are_measured_under_their_own_name_and_key() {
    let federation = Federation::furnished();
    let state = &federation.state;
    let node: NodeId = "ishikari-1/n-01".parse().unwrap();
    let (subject, own) = (Subject::Node(node.clone()), peer(agent(&node), node_key(&node)));
    assert_eq!(key_for(state, &own, &subject), Ok(receipt_key(&node).public()));
    let other = Subject::Node("ishikari-1/n-02".parse().unwrap());
    assert_eq!(key_for(state, &own, &other), Err(Refusal::NotEnrolled));
    let renewed = peer(agent(&node), Digest([9; 32]));
    assert_eq!(key_for(state, &renewed, &subject), Err(Refusal::NotEnrolled));
    let stranger: NodeId = "ishikari-1/n-77".parse().unwrap();
    let unknown = peer(agent(&stranger), node_key(&stranger));
    assert_eq!(key_for(state, &unknown, &Subject::Node(stranger)), Err(Refusal::NotEnrolled));
    for who in [testing::admin("hokuto"), member("hokuto")] {
        let who = peer(who, node_key(&node));
        assert_eq!(key_for(state, &who, &subject), Err(Refusal::NotEnrolled));
    }
    let nowhere = judge(state, |_, _| None, &"kanto/otemachi".parse().unwrap(), &own, &subject);
    assert_eq!(nowhere.unwrap_err(), Refusal::NotRegistered);
    assert_eq!(key_for(&State::default(), &own, &subject), Err(Refusal::NotRegistered));
}

#[test]
fn a_revoked_node_is_not_measured() {
    let mut federation = Federation::furnished();
    let node: NodeId = "ishikari-1/n-01".parse().unwrap();
    let own = peer(agent(&node), node_key(&node));
    let revoke = Command::RevokeNode { node: node.clone() };
    federation.accept(testing::admin("hokuto"), revoke);
    let refused = key_for(&federation.state, &own, &Subject::Node(node));
    assert_eq!(refused, Err(Refusal::NotEnrolled));
}

#[test]
fn a_member_is_measured_as_a_landmark_of_its_own_operator() {
    let federation = Federation::furnished();
    let as_landmark = |operator: &str, id: &str| {
        let peer = peer(member(operator), Digest([1; 32]));
        key_for(&federation.state, &peer, &Subject::Landmark(id.parse().unwrap()))
    };
    assert_eq!(as_landmark("naniwa", "naniwa/dojima"), Ok(PublicKey([2; 32])));
    assert_eq!(as_landmark("kanto", "naniwa/dojima"), Err(Refusal::NotEnrolled));
    assert_eq!(as_landmark("naniwa", "naniwa/umeda"), Err(Refusal::NotEnrolled));
}
