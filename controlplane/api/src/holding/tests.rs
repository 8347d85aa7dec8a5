//! What stays in its area: who takes it, who gives it, how it comes to the others there, when it goes.
//!
//! Must hold: a member outside takes and gives nothing; what nobody keeps is told by its code.

use super::duty::look;
use super::*;
use crate::fake::{Fake, FakeIssuer, fake, fake_as, request};
use crate::service::agent::AgentApi;
use crate::service::job::JobApi;
use crate::service::peer::PeerApi;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::command::Intention;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{self, agent, job, member, sealed, user, user_key};
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::job::NewJob;
use sekisho_proto::internal::v1::agent_service_server::AgentService as _;
use sekisho_proto::internal::v1::peer_service_server::PeerService as _;
use sekisho_proto::v1::job_service_server::JobService as _;
use sekisho_proto::v1::{self, explanation::Verdict};
use sekisho_types::id::RequestId;
use sekisho_types::limit::{PAYLOAD_MAX, UPLOAD_KEPT};
use sekisho_types::payload::JobPayload;
use sekisho_types::principal::MemberIdentity;
use sekisho_types::revision::Incarnation;
use std::sync::Arc;
use tonic::{Response, Status};

/// A member of the fixture, whose three sites have their keys.
fn of(id: u64) -> Fake {
    let (operator, site, _) = testing::OPERATORS[usize::try_from(id - 1).unwrap()];
    let identity = MemberIdentity {
        member: MemberId(id),
        operator: operator.parse().unwrap(),
        site: site.parse().unwrap(),
    };
    let fake = if id == 2 { fake() } else { fake_as(identity, Arc::new(FakeIssuer), None) };
    fake.replica.elsewhere(|federation| {
        for (_, site, _) in testing::OPERATORS {
            federation.give_site_key(site, 1);
        }
    });
    fake
}

/// A job that may run in Hokkaido and Osaka, and whose payload stays there.
fn apart(name: &str) -> NewJob {
    let text = JobPayload { command: vec![name.into()], ..JobPayload::default() };
    let to = [("ishikari-1", 1), ("sakai-1", 1)];
    let facts = job(name, 1, 1, &["JP-01", "JP-27"]);
    let (facts, bytes) = sealed::area_only(facts, &encode(&text).unwrap(), &to);
    NewJob { facts, payload: bytes.into() }
}

async fn upload(fake: &Fake, new: &NewJob) -> Result<Response<v1::UploadPayloadResponse>, Status> {
    let api = JobApi(Arc::clone(&fake.core));
    api.upload_payload(request(&user("kanto", "sapporo"), new.upload_request())).await
}

async fn submit(fake: &Fake, new: &NewJob) -> Result<Response<v1::Written>, Status> {
    let submitter = user("kanto", "sapporo");
    let command = Command::SubmitJob { facts: Box::new(new.facts.clone()) };
    let (cluster, incarnation) = (testing::cluster(), Incarnation(1));
    let id = RequestId(Digest::of(new.facts.id.to_string().as_bytes()).0[..16].try_into().unwrap());
    let command = command.digest().unwrap();
    let intention = Intention { cluster, incarnation, request: id, command };
    let signatures = vec![intention.sign(submitter.clone(), &user_key(&submitter))];
    let intent = Intent { request: id, validate_only: false, signatures, incarnation: None };
    let api = JobApi(Arc::clone(&fake.core));
    api.create_job(request(&submitter, new.request((&intent).into()))).await
}

fn error<T: fmt::Debug>(answer: Result<Response<T>, Status>) -> ApiError {
    ApiError::from_status(&answer.unwrap_err())
}

/// What the host of a placement hears from a member.
async fn fetch(fake: &Fake, new: &NewJob, node: &str) -> Result<Vec<u8>, ApiError> {
    let id = &new.facts.id;
    if fake.core.replica.state().job(id).unwrap().placements.is_empty() {
        fake.replica.elsewhere(|federation| federation.place(id, &[node]));
    }
    let placement = fake.core.replica.state().job(id).unwrap().placements[0];
    let ask = internal::FetchPayloadRequest { placement: placement.to_string() };
    let api = AgentApi(Arc::clone(&fake.core));
    let answer = api.fetch_payload(request(&agent(&node.parse().unwrap()), ask)).await;
    let answer = answer.map_err(|status| ApiError::from_status(&status))?;
    Ok(answer.into_inner().payload.to_vec())
}

#[tokio::test]
async fn a_member_inside_takes_it_keeps_it_and_gives_it_to_the_host() {
    let (inside, new) = (of(1), apart("train"));
    upload(&inside, &new).await.unwrap();
    upload(&inside, &new).await.unwrap();
    submit(&inside, &new).await.unwrap();
    assert_eq!(inside.core.archive.payload(new.facts.payload).await, Ok(None));
    assert_eq!(fetch(&inside, &new, "ishikari-1/n-01").await.unwrap(), new.payload);
    let ask = v1::GetJobRequest { name: new.facts.id.name(), read: None };
    let api = JobApi(Arc::clone(&inside.core));
    let shown = api.get_job(request(&user("kanto", "sapporo"), ask)).await.unwrap().into_inner();
    assert_eq!(shown.kept_by, ["members/1"], "the other one does not answer");
    assert!(shown.spec.unwrap().area_only);
}

/// R3: the answer was lost, the client asks again, and by now nobody keeps what the job ran.
#[tokio::test]
async fn a_repeated_submission_hears_the_first_answer_though_nobody_keeps_the_payload() {
    let (inside, new) = (of(1), apart("train"));
    upload(&inside, &new).await.unwrap();
    let first = submit(&inside, &new).await.unwrap().into_inner();
    inside.replica.held.lock().clear();
    assert_eq!(submit(&inside, &new).await.unwrap().into_inner(), first);
}

#[tokio::test]
async fn a_member_outside_takes_and_gives_nothing_and_names_one_inside() {
    let (outside, new) = (of(2), apart("train"));
    let refused = error(upload(&outside, &new).await);
    assert_eq!(refused.code, ErrorCode::PayloadOutside);
    assert!(refused.metadata.contains_key("endpoint"), "{refused}");
    assert!(outside.replica.held.lock().is_empty());
    // Through it, no job comes in that nobody inside keeps.
    assert_eq!(error(submit(&outside, &new).await).code, ErrorCode::PayloadNotHere);
    let facts = Box::new(new.facts.clone());
    outside.replica.elsewhere(|f| f.run_with(Command::SubmitJob { facts }, Vec::new()));
    let refused = fetch(&outside, &new, "ishikari-1/n-01").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::PayloadNotHere);
    assert!(refused.metadata.contains_key("endpoint"), "{refused}");
}

#[tokio::test]
async fn only_a_member_inside_is_given_it_by_another() {
    let (inside, new) = (of(1), apart("train"));
    upload(&inside, &new).await.unwrap();
    let api = PeerApi(Arc::clone(&inside.core));
    let ask = |by: &str| {
        let digest = new.facts.payload.0.to_vec().into();
        api.fetch_held(request(&member(by), internal::FetchHeldRequest { digest }))
    };
    // As long as no job names it, nobody says where it may lie.
    assert_eq!(error(ask("naniwa").await).code, ErrorCode::NotFound);
    submit(&inside, &new).await.unwrap();
    assert_eq!(ask("naniwa").await.unwrap().into_inner().payload, new.payload);
    assert_eq!(error(ask("kanto").await).code, ErrorCode::PermissionDenied);
    let by_user = internal::FetchHeldRequest { digest: new.facts.payload.0.to_vec().into() };
    let refused = api.fetch_held(request(&user("kanto", "sapporo"), by_user)).await;
    assert_eq!(error(refused).code, ErrorCode::PermissionDenied);
    let digests = vec![new.facts.payload.0.to_vec().into(), vec![9; 32].into()];
    let asked = request(&member("kanto"), internal::AskPayloadsRequest { digests });
    assert_eq!(api.ask_payloads(asked).await.unwrap().into_inner().held, [true, false]);
}

#[tokio::test]
async fn what_is_not_as_the_facts_say_is_not_taken() {
    let (inside, new) = (of(1), apart("train"));
    let mut wider = new.clone();
    wider.facts.sealed_to.insert("tokyo-1".parse().unwrap(), sekisho_types::revision::KeyEpoch(1));
    assert_eq!(error(upload(&inside, &wider).await).code, ErrorCode::InvalidArgument);
    let mut plain = new.clone();
    plain.payload = encode(&JobPayload::default()).unwrap().into();
    plain.facts.payload = Digest::of(&plain.payload);
    plain.facts.payload_len = plain.payload.len().try_into().unwrap();
    assert!(error(upload(&inside, &plain).await).explained);
    let mut large = new.clone();
    large.payload = vec![0; PAYLOAD_MAX + 1].into();
    assert_eq!(error(upload(&inside, &large).await).code, ErrorCode::TooLarge);
    let mut other = new;
    other.facts.id.tenant = "osaka".parse().unwrap();
    assert_eq!(error(upload(&inside, &other).await).code, ErrorCode::NotFound);
    assert!(inside.replica.held.lock().is_empty());
}

#[test]
fn one_tenant_does_not_take_all_the_room() {
    let row = |owner: &str| HeldRow { at_ms: 0, owner: owner.to_owned(), len: PAYLOAD_MAX };
    let full = |owner: &str, bytes: usize| {
        let digests = (0..bytes / PAYLOAD_MAX).map(|n| Digest::of(&n.to_be_bytes()));
        digests.map(|digest| (digest, row(owner))).collect::<BTreeMap<_, _>>()
    };
    let one = full("sapporo", HELD_BYTES_OF_TENANT);
    assert_eq!(room(&one, "sapporo", 1).unwrap_err().code, ErrorCode::TooLarge);
    room(&one, "osaka", PAYLOAD_MAX).unwrap();
    let all = full("others", HELD_BYTES);
    assert_eq!(room(&all, "sapporo", 1).unwrap_err().code, ErrorCode::Overloaded);
}

#[tokio::test]
async fn what_no_job_names_goes_and_so_does_what_no_open_job_has_any_more() {
    let (inside, mut cursor) = (of(1), None);
    let (named, orphan) = (apart("named"), apart("orphan"));
    upload(&inside, &named).await.unwrap();
    upload(&inside, &orphan).await.unwrap();
    submit(&inside, &named).await.unwrap();
    inside.core.look_after_held(&mut cursor).await.unwrap();
    assert_eq!(
        inside.core.holds(&[named.facts.payload, orphan.facts.payload]).await.unwrap(),
        [true, true]
    );
    // The state clock moves by ticks; no wall clock counts.
    let steps = UPLOAD_KEPT.as_secs() / 10 + 2;
    inside.replica.elsewhere(|federation| {
        for _ in 0..steps {
            federation.now = federation.now.plus_ms(10_000);
            federation.accept(member("kanto"), Command::Tick);
        }
    });
    inside.core.look_after_held(&mut cursor).await.unwrap();
    assert_eq!(
        inside.core.holds(&[named.facts.payload, orphan.facts.payload]).await.unwrap(),
        [true, false]
    );
    let job = named.facts.id.clone();
    let cancel = Command::CancelJob { job };
    inside.replica.elsewhere(|f| f.accept(user("kanto", "sapporo"), cancel));
    inside.core.look_after_held(&mut cursor).await.unwrap();
    assert!(inside.replica.held.lock().is_empty());
}

#[tokio::test]
async fn a_member_says_that_it_has_what_a_host_found_nowhere() {
    let (inside, new, mut cursor) = (of(1), apart("train"), None);
    upload(&inside, &new).await.unwrap();
    submit(&inside, &new).await.unwrap();
    let held = std::mem::take(&mut *inside.replica.held.lock());
    let gone = fetch(&inside, &new, "ishikari-1/n-01").await.unwrap_err();
    assert_eq!(gone.code, ErrorCode::PayloadNotHere);
    inside.replica.elsewhere(|federation| {
        let placement = federation.placements(&new.facts.id)[0];
        federation.refuse(placement, ErrorCode::PayloadNotHere);
    });
    let explain = || {
        let ask = v1::ExplainJobRequest { name: new.facts.id.name() };
        let api = JobApi(Arc::clone(&inside.core));
        async move { api.explain_job(request(&user("kanto", "sapporo"), ask)).await.unwrap() }
    };
    let told = explain().await.into_inner();
    assert_eq!((told.verdict(), told.binding.as_str()), (Verdict::WouldWait, "PAYLOAD_NOT_HERE"));
    *inside.replica.held.lock() = held;
    inside.core.look_after_held(&mut cursor).await.unwrap();
    assert!(!inside.core.replica.state().is_missing(&new.facts.payload));
    assert_eq!(explain().await.into_inner().verdict(), Verdict::PlacedNow);
}

#[test]
fn a_look_lets_go_what_the_rules_exclude_and_asks_for_what_they_allow() {
    let mut f = testing::Federation::furnished();
    for (_, site, _) in testing::OPERATORS {
        f.give_site_key(site, 1);
    }
    let new = apart("train");
    let facts = Box::new(new.facts.clone());
    f.run_with(Command::SubmitJob { facts }, Vec::new()).outcome.unwrap();
    let members = f.state.federation().unwrap().members.clone();
    let own = |id: u64| &members[&MemberId(id)];
    let (digest, tenant) = (new.facts.payload, new.facts.id.tenant);
    let lacking = |id| look(&f.state, own(id), &mut Index::default()).lacking;
    assert_eq!(lacking(1), [(digest, tenant.clone())]);
    assert_eq!(lacking(3), [(digest, tenant)]);
    assert_eq!(lacking(2), []);
    let row = HeldRow { at_ms: 0, owner: "sapporo".to_owned(), len: 1 };
    let has = || Index { rows: Some([(digest, row.clone())].into()), named: BTreeSet::new() };
    assert_eq!(look(&f.state, own(1), &mut has()).gone, []);
    assert_eq!(look(&f.state, own(2), &mut has()).gone, [digest]);
}
