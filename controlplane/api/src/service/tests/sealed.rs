//! Sealed payloads from the submitter's desk to the host, over the services of a member.
//!
//! Must hold: the payload opens at the sites that it is sealed to, at no other, and at no member.

use super::write::intent;
use super::*;
use crate::service::agent::AgentApi;
use crate::service::job::JobApi;
use crate::service::site::SiteApi;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::sealed::{
    Context, NodeSealingKey, SealError, SealedPayload, SealedSiteKey, SignedSiteKey, SiteSecretKey,
};
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{self, agent, job, node_key, receipt_key, sealed, user};
use sekisho_proto::convert::job::NewJob;
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::internal::v1::agent_service_server::AgentService as _;
use sekisho_proto::v1::job_service_server::JobService as _;
use sekisho_proto::v1::site_service_server::SiteService as _;
use sekisho_proto::v1::{self, explanation::Verdict};
use sekisho_types::id::NodeId;
use sekisho_types::payload::JobPayload;
use std::sync::Arc;

const SECRET: (&str, &str) = ("DB_PASSWORD", "himitsu");

fn text() -> Vec<u8> {
    let env = [(SECRET.0.to_owned(), SECRET.1.to_owned())].into();
    encode(&JobPayload { command: vec!["true".into()], env, ..JobPayload::default() }).unwrap()
}

fn node(name: &str) -> NodeId {
    name.parse().unwrap()
}

/// What a host asks for the keys of its site with.
fn ask(node: &NodeId) -> internal::FetchSiteKeysRequest {
    let (cluster, receipts) = (testing::cluster(), receipt_key(node));
    let own = NodeSealingKey::derive(&receipts);
    let record = own.record(cluster, node.clone(), node_key(node), &receipts).unwrap();
    internal::FetchSiteKeysRequest { record: record.bytes().unwrap().into() }
}

async fn keys_of(fake: &Fake, id: &NodeId) -> Result<Vec<SiteSecretKey>, ErrorCode> {
    let api = AgentApi(Arc::clone(&fake.core));
    let answer = api.fetch_site_keys(request(&agent(id), ask(id))).await;
    let given = answer.map_err(|status| ApiError::from_status(&status).code)?.into_inner().keys;
    let (receipts, cluster) = (receipt_key(id), testing::cluster());
    let own = NodeSealingKey::derive(&receipts);
    let record = own.record(cluster, id.clone(), node_key(id), &receipts).unwrap().record;
    let operator = testing::operator_keys("kanto");
    let open = |key: &internal::fetch_site_keys_response::SiteKey| {
        let signed = SignedSiteKey::parse(&key.signed).unwrap();
        let expected = signed.verify(&cluster, &operator).unwrap();
        SealedSiteKey::parse(&key.sealed).unwrap().open(&own, &record, expected).unwrap()
    };
    Ok(given.iter().map(open).collect())
}

fn submit(job: &NewJob) -> tonic::Request<v1::CreateJobRequest> {
    let submitter = user("kanto", "sapporo");
    let command = Command::SubmitJob { facts: Box::new(job.facts.clone()) };
    let intent = intent(1, &command, std::slice::from_ref(&submitter));
    request(&submitter, job.request(intent))
}

#[tokio::test]
async fn the_sealed_payload_opens_at_allowed_sites_only() {
    let fake = fake();
    fake.core.give_site_keys().await;
    fake.core.give_site_keys().await;
    let (mine, other) = (node("tokyo-1/n-01"), node("sakai-1/n-01"));
    let site = v1::GetSiteRequest { name: "sites/tokyo-1".into(), read: None };
    let reader = user("kanto", "sapporo");
    let shown = SiteApi(Arc::clone(&fake.core)).get_site(request(&reader, site)).await.unwrap();
    let signed = SignedSiteKey::parse(&shown.into_inner().sealing_key).unwrap();
    assert_eq!(signed, sealed::site_key("tokyo-1", 1), "given once");

    let (facts, bytes) = sealed::sealed(job("train", 1, 1, &[]), &text(), &[("tokyo-1", 1)]);
    let new = NewJob { facts: facts.clone(), payload: bytes.into() };
    let api = JobApi(Arc::clone(&fake.core));
    api.create_job(submit(&new)).await.unwrap();
    let kept = fake.core.archive.payload(facts.payload).await.unwrap().unwrap();
    let secret = SECRET.1.as_bytes();
    assert!(!kept.windows(secret.len()).any(|part| part == secret), "a member can read it");
    fake.replica.elsewhere(|federation| federation.place(&facts.id, &["tokyo-1/n-01"]));

    let placement = fake.core.replica.state().job(&facts.id).unwrap().placements[0];
    let fetch = internal::FetchPayloadRequest { placement: placement.to_string() };
    let hosts = AgentApi(Arc::clone(&fake.core));
    let fetched = hosts.fetch_payload(request(&agent(&mine), fetch)).await.unwrap().into_inner();
    let payload = SealedPayload::parse(&fetched.payload).unwrap();
    let context = Context::of_job(testing::cluster(), &facts.id).unwrap();
    let keys = keys_of(&fake, &mine).await.unwrap();
    let opened = payload.open(&keys[0], &context).unwrap();
    assert_eq!(opened.payload(), text());

    // A host elsewhere is given nothing here, and the key of its own site opens nothing.
    assert_eq!(keys_of(&fake, &other).await, Err(ErrorCode::PermissionDenied));
    let own = sealed::site_secret("sakai-1", 1);
    let refused = payload.open(&own, &context).unwrap_err();
    assert_eq!(refused, SealError::NotSealed("sakai-1".parse().unwrap()));
}

#[tokio::test]
async fn a_secret_is_taken_sealed_and_refused_as_it_is() {
    let fake = fake();
    fake.core.give_site_keys().await;
    let api = JobApi(Arc::clone(&fake.core));
    let mut facts = job("plain", 1, 1, &[]);
    facts.payload = sekisho_types::id::Digest::of(&text());
    facts.payload_len = text().len().try_into().unwrap();
    let plain = NewJob { facts, payload: text().into() };
    assert_eq!(code(api.create_job(submit(&plain)).await), ErrorCode::SecretRefused);
    // Told to be sealed to more sites than it is.
    let (mut facts, bytes) = sealed::sealed(job("train", 1, 1, &[]), &text(), &[("tokyo-1", 1)]);
    facts.sealed_to.insert("sakai-1".parse().unwrap(), sekisho_types::revision::KeyEpoch(1));
    let wider = NewJob { facts, payload: bytes.into() };
    assert_eq!(code(api.create_job(submit(&wider)).await), ErrorCode::InvalidArgument);
}

#[tokio::test]
async fn a_site_that_cannot_read_it_shows_and_a_new_seal_adds_it() {
    let fake = fake();
    fake.core.give_site_keys().await;
    fake.replica.elsewhere(|federation| federation.give_site_key("ishikari-1", 1));
    let api = JobApi(Arc::clone(&fake.core));
    let asked = || job("train", 1, 1, &["JP-01"]);
    let (facts, bytes) = sealed::sealed(asked(), &text(), &[("tokyo-1", 1)]);
    api.create_job(submit(&NewJob { facts, payload: bytes.into() })).await.unwrap();
    let explain = || {
        let ask = v1::ExplainJobRequest { name: "tenants/sapporo/jobs/train".into() };
        api.explain_job(request(&user("kanto", "sapporo"), ask))
    };
    let told = explain().await.unwrap().into_inner();
    assert_eq!((told.verdict(), told.binding.as_str()), (Verdict::WouldWait, "PAYLOAD_NOT_SEALED"));
    let step = told.steps.iter().find(|step| step.reason == "PAYLOAD_NOT_SEALED").unwrap();
    assert_eq!((step.condition.as_str(), step.nodes_left), ("payload not sealed to ishikari-1", 0));
    assert_eq!(told.relaxations[0].change, "seal the payload anew for them");

    let both = [("tokyo-1", 1), ("ishikari-1", 1)];
    let (facts, bytes) = sealed::sealed(asked(), &text(), &both);
    let anew = NewJob { facts, payload: bytes.into() };
    let submitter = user("kanto", "sapporo");
    let command = Command::ResealJob { facts: Box::new(anew.facts.clone()) };
    let intent = intent(2, &command, std::slice::from_ref(&submitter));
    api.reseal_job(request(&submitter, anew.reseal_request(intent))).await.unwrap();
    let told = explain().await.unwrap().into_inner();
    assert_eq!((told.verdict(), told.binding.as_str()), (Verdict::PlacedNow, ""));
}

#[tokio::test]
async fn a_revoked_host_gets_no_key_and_its_site_the_next_one() {
    let fake = fake();
    fake.core.give_site_keys().await;
    let (gone, left) = (node("tokyo-1/n-02"), node("tokyo-1/n-01"));
    assert_eq!(keys_of(&fake, &gone).await.unwrap().len(), 1);
    fake.replica.elsewhere(|federation| {
        federation.accept(admin("kanto"), Command::RevokeNode { node: gone.clone() })
    });
    fake.core.give_site_keys().await;
    fake.core.give_site_keys().await;
    assert_eq!(keys_of(&fake, &gone).await, Err(ErrorCode::NodeRevoked));
    let epochs: Vec<u32> =
        keys_of(&fake, &left).await.unwrap().iter().map(|key| key.public().epoch.0).collect();
    assert_eq!(epochs, [1, 2]);
    // Nor does a host that asks in the name of another.
    let api = AgentApi(Arc::clone(&fake.core));
    let posing = api.fetch_site_keys(request(&agent(&left), ask(&gone))).await;
    assert_eq!(code(posing), ErrorCode::InvalidArgument);
}
