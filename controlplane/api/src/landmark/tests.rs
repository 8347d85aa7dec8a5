//! Whom applied state lets be measured. Exchanges over real sockets are tested with the agent's side, above both.

use super::*;
use sekisho_fsm::testing::location::landmark;
use sekisho_fsm::testing::{self, Federation, agent, member, node_key, receipt_key};

fn furnished() -> Federation {
    let mut federation = Federation::furnished();
    federation.landmarks();
    federation
}

fn key_for(
    state: &State,
    peer: (&Principal, &Digest),
    subject: &Subject,
) -> Result<PublicKey, Refusal> {
    let landmark = "kanto/otemachi".parse().unwrap();
    judge(state, &landmark, peer, subject).map(|standing| standing.signing_key)
}

#[test]
fn enrolled_nodes_are_measured_under_their_own_name_and_key() {
    let federation = furnished();
    let state = &federation.state;
    let node: NodeId = "ishikari-1/n-01".parse().unwrap();
    let (subject, own, key) = (Subject::Node(node.clone()), agent(&node), node_key(&node));
    assert_eq!(key_for(state, (&own, &key), &subject), Ok(receipt_key(&node).public()));
    let other = Subject::Node("ishikari-1/n-02".parse().unwrap());
    assert_eq!(key_for(state, (&own, &key), &other), Err(Refusal::NotEnrolled));
    let renewed = (&own, &Digest([9; 32]));
    assert_eq!(key_for(state, renewed, &subject), Err(Refusal::NotEnrolled));
    let stranger: NodeId = "ishikari-1/n-77".parse().unwrap();
    let unknown = (&agent(&stranger), &node_key(&stranger));
    assert_eq!(key_for(state, unknown, &Subject::Node(stranger)), Err(Refusal::NotEnrolled));
    for who in [testing::admin("hokuto"), member("hokuto")] {
        assert_eq!(key_for(state, (&who, &key), &subject), Err(Refusal::NotEnrolled));
    }
    let nowhere = judge(state, &"kanto/inzai".parse().unwrap(), (&own, &key), &subject);
    assert_eq!(nowhere.unwrap_err(), Refusal::NotRegistered);
    assert_eq!(key_for(&State::default(), (&own, &key), &subject), Err(Refusal::NotRegistered));
}

#[test]
fn a_revoked_node_is_not_measured() {
    let mut federation = furnished();
    let node: NodeId = "ishikari-1/n-01".parse().unwrap();
    federation.accept(testing::admin("hokuto"), Command::RevokeNode { node: node.clone() });
    let own = (&agent(&node), &node_key(&node));
    let refused = key_for(&federation.state, own, &Subject::Node(node));
    assert_eq!(refused, Err(Refusal::NotEnrolled));
}

#[test]
fn a_landmark_is_measured_from_a_member_of_its_operator_or_under_its_own_certificate() {
    let mut federation = furnished();
    let shinagawa = landmark("naniwa/shinagawa");
    let subject = |id: &str| Subject::Landmark(id.parse().unwrap());
    let of = |federation: &Federation, peer: &Principal, id: &str| {
        key_for(&federation.state, (peer, &Digest([1; 32])), &subject(id))
    };
    let alone = |text: &str| text.parse::<Principal>().unwrap();
    for who in [member("naniwa"), alone("naniwa/landmark/shinagawa")] {
        assert_eq!(of(&federation, &who, "naniwa/shinagawa"), Ok(shinagawa.key));
        assert_eq!(of(&federation, &who, "naniwa/umeda"), Err(Refusal::NotEnrolled));
        assert_eq!(of(&federation, &who, "kanto/otemachi"), Err(Refusal::NotEnrolled));
    }
    for who in ["kanto/landmark/shinagawa", "naniwa/landmark/umeda", "naniwa/user/shinagawa"] {
        let refused = of(&federation, &alone(who), "naniwa/shinagawa");
        assert_eq!(refused, Err(Refusal::NotEnrolled), "{who}");
    }
    // One that was taken out neither measures nor is measured.
    let wrong = ["kanto/otemachi", "hokuto/fukuoka"]
        .map(|by| federation.range(by, "naniwa/shinagawa", 1))
        .to_vec();
    federation.submit_range(wrong).outcome.unwrap();
    let refused = of(&federation, &member("naniwa"), "naniwa/shinagawa");
    assert_eq!(refused, Err(Refusal::NotEnrolled));
    let (node, own): (NodeId, _) = ("ishikari-1/n-01".parse().unwrap(), shinagawa.id);
    let peer = (&agent(&node), &node_key(&node));
    let refused = judge(&federation.state, &own, peer, &Subject::Node(node));
    assert_eq!(refused, Err(Refusal::NotRegistered));
}
