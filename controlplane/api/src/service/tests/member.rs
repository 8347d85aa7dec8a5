//! Changes of the members: what is refused before the log, what the client signs, and who hands leadership over.

use super::write::intent;
use super::*;
use crate::replica::ReplicaError;
use crate::service::member::MemberApi;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::canonical::decode;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{self, admin, member, newcomer, user};
use sekisho_proto::convert::member::{AddMember, RemoveMember, SetMemberAddress, SetVoter};
use sekisho_proto::v1;
use sekisho_proto::v1::member_service_server::MemberService as _;
use sekisho_types::id::MemberId;
use sekisho_types::principal::Principal;
use sekisho_types::revision::Revision;
use std::sync::Arc;

fn api(fake: &Fake) -> MemberApi {
    MemberApi(Arc::clone(&fake.core))
}

fn both() -> [Principal; 2] {
    [admin("kanto"), admin("hokuto")]
}

/// Everybody but `silent` was heard just now.
fn hear(fake: &Fake, silent: &[u64]) {
    let federation = fake.core.replica.state().federation().unwrap().clone();
    for member in federation.members.values().filter(|m| !silent.contains(&m.member.0)) {
        fake.core.peers.hear(member, Revision(1), Some(""), 0);
    }
}

fn adding(fake: &Fake, id: u64, operator: &str) -> (Command, AddMember) {
    let command = fake.replica.federation.lock().newcomer(id, operator);
    let Command::AddMember { member, successor } = command.clone() else { panic!("not one") };
    (command, AddMember { member, successor })
}

#[tokio::test]
async fn a_member_is_added_promoted_moved_and_removed_by_signed_requests() {
    let fake = fake();
    let api = api(&fake);
    hear(&fake, &[]);
    let (command, add) = adding(&fake, 4, "kanto");
    let ask = add.request(intent(1, &command, &both())).unwrap();
    api.add_member(request(&admin("kanto"), ask)).await.unwrap();
    hear(&fake, &[]);
    let set = SetVoter { member: MemberId(4), voter: true, accept_quorum_in_one_hand: false };
    let command = Command::SetVoter {
        member: set.member,
        voter: set.voter,
        accept_quorum_in_one_hand: set.accept_quorum_in_one_hand,
    };
    let ask = set.request(intent(2, &command, &both()));
    api.set_voter(request(&admin("kanto"), ask)).await.unwrap();
    let moved = SetMemberAddress { member: MemberId(4), address: "10.0.0.4:7004".into() };
    let (member, address) = (moved.member, moved.address.clone());
    let command = Command::SetMemberAddress { member, address };
    let ask = moved.request(intent(3, &command, &both()));
    api.set_member_address(request(&admin("kanto"), ask)).await.unwrap();
    let state = fake.core.replica.state();
    let federation = state.federation().unwrap();
    assert!(federation.voters().contains(&MemberId(4)));
    assert_eq!(federation.members[&MemberId(4)].address, "10.0.0.4:7004");
    // What operators sign next starts from the bundle in force.
    let ask = request(&admin("naniwa"), v1::GetEndorserBundleRequest::default());
    let answer = api.get_endorser_bundle(ask).await.unwrap().into_inner();
    let bundle: EndorserBundle = decode(&answer.bundle).unwrap();
    assert_eq!((bundle.version, answer.version), (2, 2));
    assert_eq!(answer.sha256.as_ref(), bundle.hash().unwrap().0);
    let command = fake.replica.federation.lock().leaver(2);
    let Command::RemoveMember { member, successor } = command.clone() else { panic!("not one") };
    let ask = RemoveMember { member, successor }.request(intent(4, &command, &both())).unwrap();
    // Not before the group is what the state says.
    let refused = api.remove_member(request(&admin("kanto"), ask.clone())).await;
    assert_eq!(code(refused), ErrorCode::MemberQuorumAtRisk);
    fake.replica.voters.lock().insert(MemberId(4));
    hear(&fake, &[]);
    api.remove_member(request(&admin("kanto"), ask)).await.unwrap();
    *fake.replica.voters.lock() = [1, 2, 3].map(MemberId).into();
    // The group is as the fake says; the state wants another.
    let ask = request(&admin("kanto"), v1::ListMembersRequest::default());
    let list = api.list_members(ask).await.unwrap().into_inner();
    let told: Vec<_> = list
        .members
        .iter()
        .map(|m| (m.name.as_str(), m.role.as_str(), m.standing.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("members/1", "voter", "voter"),
            ("members/3", "voter", "voter"),
            ("members/4", "none", "voter")
        ]
    );
}

#[tokio::test]
async fn what_apply_refuses_is_explained_and_strangers_are_stopped_before_it() {
    let fake = fake();
    let api = api(&fake);
    hear(&fake, &[]);
    let proposed = || fake.replica.proposed.load(std::sync::atomic::Ordering::Relaxed);
    let before = proposed();
    for stranger in [user("kanto", "sapporo"), member("hokuto")] {
        let set = SetVoter { member: MemberId(3), voter: false, accept_quorum_in_one_hand: false };
        let ask = set.request(intent(1, &Command::Tick, &both()));
        let refused = code(api.set_voter(request(&stranger, ask)).await);
        assert_eq!(refused, ErrorCode::PermissionDenied, "{stranger}");
    }
    let (command, add) = adding(&fake, 4, "kanto");
    let mut ask = add.request(intent(2, &command, &both())).unwrap();
    ask.address = "http://x".into();
    let refused = api.add_member(request(&admin("kanto"), ask.clone())).await;
    assert_eq!(code(refused), ErrorCode::InvalidArgument);
    ask.successor = vec![0; 3].into();
    let refused = api.add_member(request(&admin("kanto"), ask)).await;
    assert_eq!(code(refused), ErrorCode::InvalidArgument);
    assert_eq!(proposed(), before, "none of these reached the log");
    // One operator alone, and one issuer alone.
    let ask = add.request(intent(3, &command, &[admin("kanto")])).unwrap();
    let refused = api.add_member(request(&admin("kanto"), ask)).await;
    assert_eq!(code(refused), ErrorCode::SignaturesMissing);
    let key = testing::endorser(&newcomer(4, "kanto"));
    let successor = fake.replica.federation.lock().successor(|held| held.with(key), &["kanto"]);
    let alone = AddMember { member: newcomer(4, "kanto"), successor: successor.clone() };
    let command = Command::AddMember { member: newcomer(4, "kanto"), successor };
    let ask = alone.request(intent(4, &command, &both())).unwrap();
    let refused = api.add_member(request(&admin("kanto"), ask)).await;
    assert_eq!(code(refused), ErrorCode::SignaturesMissing);
    // kanto would hold two of three.
    let (command, add) = adding(&fake, 4, "kanto");
    let ask = add.request(intent(5, &command, &both())).unwrap();
    api.add_member(request(&admin("kanto"), ask)).await.unwrap();
    hear(&fake, &[]);
    let one_hand = Some(ErrorCode::MemberQuorumInOneHand);
    for (number, id, voter, expected) in [(6, 4, true, None), (7, 3, false, one_hand)] {
        let set = SetVoter { member: MemberId(id), voter, accept_quorum_in_one_hand: false };
        let SetVoter { member, voter, accept_quorum_in_one_hand } = set;
        let command = Command::SetVoter { member, voter, accept_quorum_in_one_hand };
        let ask = set.request(intent(number, &command, &both()));
        let answer = api.set_voter(request(&admin("kanto"), ask)).await;
        match expected {
            None => drop(answer.unwrap()),
            Some(expected) => assert_eq!(code(answer), expected),
        }
    }
}

#[tokio::test]
async fn a_change_that_would_leave_no_majority_that_answers_is_refused() {
    let fake = fake();
    let api = api(&fake);
    // 1 is dead. Taking 3 out would leave 1 and 2, of which both are needed.
    hear(&fake, &[1]);
    let demote = |number, id| {
        let set = SetVoter { member: MemberId(id), voter: false, accept_quorum_in_one_hand: false };
        let command = Command::SetVoter {
            member: set.member,
            voter: false,
            accept_quorum_in_one_hand: false,
        };
        api.set_voter(request(&admin("kanto"), set.request(intent(number, &command, &both()))))
    };
    assert_eq!(code(demote(1, 3).await), ErrorCode::MemberQuorumAtRisk);
    let command = fake.replica.federation.lock().leaver(3);
    let Command::RemoveMember { member, successor } = command.clone() else { panic!("not one") };
    let ask = RemoveMember { member, successor }.request(intent(2, &command, &both())).unwrap();
    let refused = api.remove_member(request(&admin("kanto"), ask)).await;
    assert_eq!(code(refused), ErrorCode::MemberQuorumAtRisk);
    // The dead one itself may go.
    demote(3, 1).await.unwrap();
}

#[tokio::test]
async fn the_leader_hands_over_and_others_say_who_it_is() {
    let fake = fake();
    let api = api(&fake);
    let to = |principal: &Principal, name: &str| {
        api.transfer_leader(request(principal, v1::TransferLeaderRequest { name: name.into() }))
    };
    let admin = admin("naniwa");
    assert_eq!(code(to(&user("kanto", "sapporo"), "members/1").await), ErrorCode::PermissionDenied);
    assert_eq!(code(to(&admin, "members/01").await), ErrorCode::InvalidArgument);
    assert_eq!(code(to(&admin, "members/9").await), ErrorCode::NotFound);
    let behind = ReplicaError::NotReady("member 1: 5000 entries behind".into());
    *fake.replica.failure.lock() = Some(behind);
    assert_eq!(code(to(&admin, "members/1").await), ErrorCode::MemberBehind);
    *fake.replica.failure.lock() = None;
    // It leads already.
    assert_eq!(to(&admin, "members/2").await.unwrap().into_inner().term, 3);
    let handed = to(&admin, "members/1").await.unwrap().into_inner();
    assert_eq!((handed.leader.as_str(), handed.term), ("members/1", 4));
    // Now another leads: clients are told where.
    let elsewhere = to(&admin, "members/3").await.unwrap_err();
    let error = ApiError::from_status(&elsewhere);
    assert_eq!(error.code, ErrorCode::NoLeader);
    assert_eq!(error.metadata.get("leader").map(String::as_str), Some("127.0.0.1:7001"));
    *fake.replica.leader.lock() = None;
    assert_eq!(code(to(&admin, "members/3").await), ErrorCode::NoLeader);
}
