//! Test-only: members among each other, over real mutual TLS on loopback.

use super::over_tls::{GRACE, LIFE, Site, site};
use crate::duty::Silence;
use crate::fake::{Fake, FakeIssuer, Says, fake_as};
use sekisho_evidence::acknowledgement::{Acknowledgement, Asked, Renewal};
use sekisho_evidence::genesis::GenesisMember;
use sekisho_evidence::grant::Instance;
use sekisho_evidence::key::SigningKey;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{self, BEGIN, admin, receipt_key};
use sekisho_proto::internal::v1::ControllerMessage;
use sekisho_proto::internal::v1::agent_message::Proving;
use sekisho_proto::internal::v1::controller_message::Message as Down;
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::credential::Identity;
use sekisho_transport::deadline::Deadline;
use sekisho_transport::dial::Dialer;
use sekisho_transport::pki::{OperatorCa, Validity};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{MemberId, NodeId};
use sekisho_types::principal::{MemberIdentity, TrustDomain};
use sekisho_types::revision::{Incarnation, Revision};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Members of hokuto by number, with certificates of their own operator, which the member of kanto trusts.
fn hokuto(site: &Site) -> impl Fn(u64) -> Fake {
    let domain = TrustDomain::parse("hokuto.example").unwrap();
    let ca = OperatorCa::create("hokuto".parse().unwrap(), domain, BEGIN).unwrap();
    let both = |ca: &OperatorCa| (ca.trust_domain().clone(), ca.bundle());
    let all = BTreeMap::from([both(&ca), both(&site.ca)]);
    site.trust.replace(&all).unwrap();
    let (ishikari, validity) =
        ("ishikari-1".parse().unwrap(), Validity { now: BEGIN, lifetime: LIFE });
    let issuer = ca.issuer(&[], BEGIN).unwrap();
    let clock = site.fake.clock.clone();
    move |id| {
        let (leaf, key) = issuer.issue_member(&ishikari, id, &[], None, validity).unwrap();
        let own = Identity::from_pem(&leaf.chain_pem, key.expose()).unwrap();
        let trust = TrustBundles::new(clock.clone());
        trust.replace(&all).unwrap();
        let identity = MemberIdentity {
            member: MemberId(id),
            operator: "hokuto".parse().unwrap(),
            site: ishikari.clone(),
        };
        fake_as(identity, Arc::new(FakeIssuer), Some(Dialer::new(Some(own), trust)))
    }
}

#[tokio::test]
async fn members_of_one_federation_hear_of_each_other_and_strangers_do_not() {
    let site = site().await;
    let core = &site.fake.core;
    let other = hokuto(&site);
    let state = core.replica.state();
    let listed = &state.federation().unwrap().members[&MemberId(2)];
    let first = GenesisMember { address: site.address.to_string(), ..listed.clone() };
    let (second, mut told) = (other(1), Revision(0));
    second.core.tell_once(&first, &mut told).await.unwrap();
    let (heard, lately) = core.peers.of(MemberId(1), 0).unwrap();
    assert_eq!((heard.applied, lately), (second.core.replica.applied(), true));
    let (heard, _) = second.core.peers.of(MemberId(2), 0).unwrap();
    assert_eq!(heard.applied, core.replica.applied());
    // A good certificate of an operator is no membership.
    let refused = other(9).core.tell_once(&first, &mut told).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::PermissionDenied);
    // Whoever answers must be the very member that the state names.
    let third = GenesisMember {
        address: first.address,
        ..state.federation().unwrap().members[&MemberId(3)].clone()
    };
    assert!(!second.core.tell_once(&third, &mut told).await.unwrap_err().explained);
    assert!(site.fake.tasks.shutdown(GRACE).await);
}

#[tokio::test]
async fn the_leader_tells_of_its_leases_and_others_show_them() {
    let site = site().await;
    let leader = hokuto(&site)(1);
    let node: NodeId = "ishikari-1/n-01".parse().unwrap();
    let second = Duration::from_secs(1);
    let silence = Silence { silent: 9 * second, left: 11 * second, expiring: false };
    let told = crate::duty::LeaseNews {
        silent: BTreeMap::from([(node.clone(), silence)]),
        whole: true,
        ..Default::default()
    };
    *site.fake.replica.news.lock() = None;
    *site.fake.replica.leader.lock() = Some(MemberId(1));
    leader.replica.tell(told);
    let listed = site.fake.core.replica.state().federation().unwrap().members[&MemberId(2)].clone();
    let first = GenesisMember { address: site.address.to_string(), ..listed };
    assert_eq!(site.fake.core.contact(&node), crate::contact::Contact::Unknown);
    leader.core.tell_once(&first, &mut Revision(0)).await.unwrap();
    assert_eq!(site.fake.core.contact(&node), crate::contact::Contact::Silent(silence));
    assert!(site.fake.tasks.shutdown(GRACE).await);
}

#[tokio::test]
async fn a_renewal_is_carried_to_the_leader_and_its_word_back() {
    let (site, node) = (site().await, "tokyo-1/n-01".parse::<NodeId>().unwrap());
    let carrier = hokuto(&site)(1);
    let address = site.address.to_string();
    let moved = Command::SetMemberAddress { member: MemberId(2), address };
    carrier.replica.elsewhere(|federation| federation.accept(admin("kanto"), moved));
    let state = site.fake.core.replica.state();
    let session = state.node(&node).unwrap().session.clone().unwrap().id;
    let run = (session, Instance([1; 16]));
    let (stream, mut queue) = carrier.core.sessions.attach(&node, run, 0).unwrap();
    let carry = |sequence, key: &SigningKey| {
        let renewal = Renewal { node: node.clone(), session, sequence };
        let (cluster, incarnation) = (testing::cluster(), Incarnation(1));
        let asked = Asked { cluster, incarnation, renewal: renewal.clone(), heard: Revision(5) };
        let signed = asked.sign(key).unwrap().bytes().unwrap().into();
        Arc::clone(&carrier.core).carry(renewal.clone(), signed, Arc::clone(&stream));
        renewal
    };
    let mut hear = async || {
        let heard = tokio::time::timeout(GRACE, queue.recv()).await.expect("in time");
        let Some(Ok(ControllerMessage { message: Some(message) })) = heard else {
            panic!("{heard:?}")
        };
        message
    };
    let renewal = carry(7, &receipt_key(&node));
    let Down::Acknowledged(told) = hear().await else { panic!("no word") };
    let word = Acknowledgement::parse(&told.signed).unwrap();
    let bundle = &state.federation().unwrap().bundle;
    assert_eq!(word.verify(bundle, &renewal).unwrap().as_str(), "kanto");
    assert_eq!((told.sequence, word.counted().member), (7, MemberId(2)));
    // What the node did not sign reaches no table of leases: the leader answers the next one only.
    carry(8, &SigningKey::from_seed(&[9; 32]));
    *site.fake.replica.renewal.lock() = Says::Expiring;
    let last = carry(9, &receipt_key(&node));
    assert_eq!(hear().await, Down::Expiring(Default::default()));
    assert!(carrier.tasks.shutdown(GRACE).await);
    let carried = site.fake.replica.carried.lock().clone();
    assert_eq!(carried, [(renewal, Revision(5)), (last, Revision(5))]);
    assert!(site.fake.tasks.shutdown(GRACE).await);
}

#[tokio::test]
async fn a_wish_for_a_proof_finds_the_member_that_has_the_agent() {
    let (site, node) = (site().await, "tokyo-1/n-01".parse::<NodeId>().unwrap());
    let asked = hokuto(&site)(1);
    let address = site.address.to_string();
    let moved = Command::SetMemberAddress { member: MemberId(2), address };
    asked.replica.elsewhere(|federation| federation.accept(admin("kanto"), moved));
    let state = site.fake.core.replica.state();
    let session = state.node(&node).unwrap().session.clone().unwrap().id;
    let run = (session, Instance([1; 16]));
    let (stream, mut queue) = site.fake.core.sessions.attach(&node, run, 0).unwrap();
    let state = asked.core.replica.state();
    for wait_ms in [0, 1] {
        let agent = async {
            let Some(Ok(ControllerMessage { message: Some(Down::Prove(ask)) })) =
                queue.recv().await
            else {
                panic!("no ask")
            };
            stream.proving(Proving { request: ask.request, running: true, wait_ms });
        };
        let answer = asked.core.prove_node(&state, &node, Deadline::after(GRACE));
        let (answer, ()) = tokio::join!(answer, agent);
        let answer = answer.map_err(|error| error.code);
        let expected = if wait_ms == 0 { Ok(true) } else { Err(ErrorCode::ProofTooSoon) };
        assert_eq!(answer, expected);
    }
    drop(stream);
    assert!(asked.tasks.shutdown(GRACE).await);
    assert!(site.fake.tasks.shutdown(GRACE).await);
}

#[tokio::test]
async fn what_is_not_the_streams_own_or_finds_no_room_is_not_carried() {
    let (site, node) = (site().await, "tokyo-1/n-01".parse::<NodeId>().unwrap());
    let carrier = hokuto(&site)(1);
    let session = site.fake.core.replica.state().node(&node).unwrap().session.clone().unwrap().id;
    let (stream, _queue) =
        carrier.core.sessions.attach(&node, (session, Instance([1; 16])), 0).unwrap();
    let renewal = Renewal { node: node.clone(), session, sequence: 7 };
    let (cluster, incarnation) = (testing::cluster(), Incarnation(1));
    let asked = Asked { cluster, incarnation, renewal: renewal.clone(), heard: Revision(5) };
    let signed = asked.sign(&receipt_key(&node)).unwrap().bytes().unwrap();
    let room = || carrier.core.carrying.available_permits();
    let all = room();
    let carry = |renewal: &Renewal, signed: &[u8]| {
        let signed = signed.to_vec().into();
        Arc::clone(&carrier.core).carry(renewal.clone(), signed, Arc::clone(&stream));
    };
    let other = Renewal { sequence: 8, ..renewal.clone() };
    carry(&other, &signed);
    carry(&renewal, &signed[1..]);
    assert_eq!(room(), all, "nothing is under way");
    let taken = carrier.core.carrying.clone().acquire_many_owned(u32::try_from(all).unwrap());
    let taken = taken.await.unwrap();
    carry(&renewal, &signed);
    assert_eq!(room(), 0);
    drop(taken);
    carry(&renewal, &signed);
    assert_eq!(room(), all - 1);
    assert!(site.fake.tasks.shutdown(GRACE).await);
}
