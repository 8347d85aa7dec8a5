//! Changes of the members: what is refused before the log, what the client signs, and who hands leadership over.

use super::write::intent;
use super::*;
use crate::replica::ReplicaError;
use crate::service::member::MemberApi;
use crate::service::trust::TrustApi;
use sekisho_evidence::package::TrustPackage;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{self, admin, member, newcomer, user};
use sekisho_proto::convert::member::{SetMemberAddress, SetVoter};
use sekisho_proto::convert::trust::ChangeBundle;
use sekisho_proto::v1;
use sekisho_proto::v1::member_service_server::MemberService as _;
use sekisho_proto::v1::trust_service_server::TrustService as _;
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

/// What takes in a controller of an operator.
fn adding(fake: &Fake, id: u64, operator: &str) -> Command {
    fake.replica.federation.lock().newcomer(id, operator)
}

/// Sends an agreement, signed by these.
async fn change(
    fake: &Fake,
    number: u8,
    command: &Command,
    by: &[Principal],
) -> Result<Response<v1::Written>, Status> {
    let Command::ChangeBundle(agreement) = command.clone() else { panic!("not one") };
    let ask = ChangeBundle { agreement }.request(intent(number, command, by)).unwrap();
    TrustApi(Arc::clone(&fake.core)).change_bundle(request(&admin("kanto"), ask)).await
}

#[tokio::test]
async fn a_member_is_added_promoted_moved_and_removed_by_signed_requests() {
    let fake = fake();
    let api = api(&fake);
    hear(&fake, &[]);
    let command = adding(&fake, 4, "kanto");
    change(&fake, 1, &command, &[admin("kanto")]).await.unwrap();
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
    let ask = request(&admin("naniwa"), v1::GetTrustPackageRequest::default());
    let trust = TrustApi(Arc::clone(&fake.core));
    let answer = trust.get_trust_package(ask).await.unwrap().into_inner();
    let package = TrustPackage::open(&answer.package).unwrap();
    let walked = package.walk(&testing::genesis().genesis.bundle).unwrap();
    assert_eq!((walked.bundle.version, answer.bundle_version), (2, 2));
    assert_eq!(walked.members[3].address, "10.0.0.4:7004");
    let ask = request(&user("kanto", "sapporo-2"), v1::GetTrustPackageRequest::default());
    assert_eq!(code(trust.get_trust_package(ask).await), ErrorCode::PermissionDenied);
    let command = fake.replica.federation.lock().leaver(2);
    // Not before the group is what the state says.
    let refused = change(&fake, 4, &command, &both()).await;
    assert_eq!(code(refused), ErrorCode::MemberQuorumAtRisk);
    fake.replica.voters.lock().insert(MemberId(4));
    hear(&fake, &[]);
    change(&fake, 4, &command, &both()).await.unwrap();
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
    let trust = TrustApi(Arc::clone(&fake.core));
    let command = adding(&fake, 4, "kanto");
    let mut ask = v1::ChangeBundleRequest {
        agreement: vec![0; 3].into(),
        intent: Some(intent(2, &command, &both())),
    };
    let refused = trust.change_bundle(request(&admin("kanto"), ask.clone())).await;
    assert_eq!(code(refused), ErrorCode::InvalidArgument);
    let mut elsewhere = newcomer(4, "kanto");
    elsewhere.address = "http://x".into();
    let elsewhere = fake.replica.federation.lock().taking_in(elsewhere, &["kanto", "naniwa"]);
    assert_eq!(code(change(&fake, 2, &elsewhere, &both()).await), ErrorCode::InvalidArgument);
    // A root that no verifier takes would shut its operator out; the fixture's are no certificates.
    let tokai = fake.replica.federation.lock().joining("tokai", &["kanto", "naniwa", "tokai"]);
    assert_eq!(code(change(&fake, 2, &tokai, &both()).await), ErrorCode::InvalidArgument);
    let Command::ChangeBundle(agreement) = command.clone() else { panic!("not one") };
    ask.agreement = sekisho_evidence::canonical::encode(&agreement).unwrap().into();
    let refused = trust.change_bundle(request(&user("kanto", "sapporo"), ask)).await;
    assert_eq!(code(refused), ErrorCode::PermissionDenied);
    assert_eq!(proposed(), before, "none of these reached the log");
    // Nobody's signature under the command, and one issuer alone.
    let refused = change(&fake, 3, &command, &[]).await;
    assert_eq!(code(refused), ErrorCode::SignaturesMissing);
    let alone = fake.replica.federation.lock().taking_in(newcomer(4, "kanto"), &["kanto"]);
    assert_eq!(code(change(&fake, 4, &alone, &both()).await), ErrorCode::SignaturesMissing);
    // kanto would hold two of three.
    let command = adding(&fake, 4, "kanto");
    change(&fake, 5, &command, &both()).await.unwrap();
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
    let refused = change(&fake, 2, &command, &both()).await;
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
