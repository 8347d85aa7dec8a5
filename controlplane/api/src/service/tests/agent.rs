//! Agents' unary calls. The stream is tested over real connections, see `tests/stream.rs`.

use super::*;
use crate::service::agent::AgentApi;
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::submission::Submission;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{self, agent, job};
use sekisho_proto::convert::agent::{FetchPayload, OpenSession, Report};
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::internal::v1::agent_service_server::AgentService as _;
use sekisho_types::id::NodeId;
use sekisho_types::job::JobPhase;
use sekisho_types::jurisdiction::table_hash;
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::revision::Incarnation;
use sekisho_types::revision::PlacementId;
use std::sync::Arc;

fn node() -> NodeId {
    "tokyo-1/n-01".parse().unwrap()
}

#[tokio::test]
async fn an_agent_opens_a_session_reports_and_fetches_what_it_runs() {
    let fake = fake();
    let api = AgentApi(Arc::clone(&fake.core));
    let me = agent(&node());
    let state = fake.core.replica.state();
    let known = state.node(&node()).unwrap();
    let open = OpenSession {
        session: SessionId([7; 16]),
        previous: known.session.as_ref().map(|session| session.id),
        buckets: known.buckets.clone(),
        live: Vec::new(),
        table: table_hash(),
        incarnation: Incarnation(1),
    };
    let astray = OpenSession { incarnation: Incarnation(2), ..open.clone() };
    let refused = code(api.open_session(request(&me, (&astray).into())).await);
    assert_eq!(refused, ErrorCode::IncarnationOver);
    api.open_session(request(&me, (&open).into())).await.unwrap();
    let lost = OpenSession { session: SessionId([8; 16]), previous: None, ..open };
    assert_eq!(code(api.open_session(request(&me, (&lost).into())).await), ErrorCode::SessionWaits);
    let placement = fake.replica.elsewhere(|federation| {
        let id = federation.submit(job("train", 1, 1, &[]));
        federation.place(&id, &["tokyo-1/n-01"]);
        federation.placements(&id)[0]
    });
    let fetch = |principal, placement| {
        let fetch = FetchPayload { placement };
        api.fetch_payload(request(&principal, (&fetch).into()))
    };
    let fetched = fetch(me.clone(), placement).await.unwrap().into_inner();
    assert_eq!(fetched.payload.as_ref(), testing::PAYLOAD);
    let state = fake.core.replica.state();
    let grant = &state.placement(&placement).unwrap().grant;
    let submission = Submission::parse(&fetched.submission).unwrap();
    assert_eq!(submission.check(&state.federation().unwrap().bundle, grant), Ok(()));
    // One that nobody granted.
    let next = PlacementId { ordinal: 1, ..placement };
    assert_eq!(code(fetch(me.clone(), next).await), ErrorCode::NotFound);
    // Another node has no such placement.
    let other = agent(&"tokyo-1/n-02".parse().unwrap());
    let foreign = fetch(other.clone(), placement).await;
    assert_eq!(code(foreign), ErrorCode::NotFound);
    let report = |principal, phases: Vec<Phase>| {
        let phases = phases.into_iter().map(|phase| (placement, phase)).collect();
        let report = Report { session: SessionId([7; 16]), phases };
        api.report(request(&principal, (&report).into()))
    };
    report(me.clone(), vec![Phase::Starting, Phase::Running]).await.unwrap();
    assert_eq!(code(report(other, vec![Phase::Running]).await), ErrorCode::SessionStale);
    report(me.clone(), vec![Phase::Ended(Ending::Exited(0))]).await.unwrap();
    let id = "sapporo/train".parse().unwrap();
    assert_eq!(fake.core.replica.state().job(&id).unwrap().phase, JobPhase::Succeeded);
    let gone = fetch(me, placement).await;
    assert_eq!(code(gone), ErrorCode::NotFound);
}

#[tokio::test]
async fn a_copied_host_and_the_one_that_it_is_a_copy_of_are_both_told() {
    let fake = fake();
    let api = AgentApi(Arc::clone(&fake.core));
    let me = agent(&node());
    let known = fake.core.replica.state().node(&node()).unwrap().clone();
    let open = |session, previous| {
        let open = OpenSession {
            session: SessionId([session; 16]),
            previous: Some(previous),
            buckets: known.buckets.clone(),
            live: Vec::new(),
            table: table_hash(),
            incarnation: Incarnation(1),
        };
        api.open_session(request(&me, (&open).into()))
    };
    let copied = open(9, SessionId([8; 16])).await;
    assert_eq!(code(copied), ErrorCode::NodeQuarantined);
    let size = fake.core.replica.state().audit_size();
    let held = known.session.as_ref().unwrap().id;
    assert_eq!(code(open(7, held).await), ErrorCode::NodeQuarantined);
    let report = Report { session: held, phases: Vec::new() };
    let report = api.report(request(&me, (&report).into())).await;
    assert_eq!(code(report), ErrorCode::NodeQuarantined);
    // A certificate must not end meanwhile, or the operator's word would come too late.
    let csr = "tokyo-1/n-01".to_owned().into();
    api.renew(request(&me, internal::RenewRequest { csr })).await.unwrap();
    assert_eq!(fake.core.replica.state().audit_size(), size + 2, "report and renewal only");
}

#[tokio::test]
async fn a_certificate_is_renewed_for_the_enrolled_key_and_an_enrolled_node_only() {
    let fake = fake();
    let api = AgentApi(Arc::clone(&fake.core));
    let renew = |principal, csr: &str| {
        let csr = csr.to_owned().into();
        api.renew(request(&principal, internal::RenewRequest { csr }))
    };
    let before = fake.core.replica.state().node(&node()).unwrap().tag.serial;
    let answer = renew(agent(&node()), "tokyo-1/n-01").await.unwrap().into_inner();
    let state = fake.core.replica.state();
    let tag = &state.node(&node()).unwrap().tag;
    assert!(tag.serial > before);
    assert_eq!(answer.site_tag, state.node(&node()).unwrap().signed_tag.0);
    assert_eq!(code(renew(agent(&node()), "another key").await), ErrorCode::InvalidArgument);
    let elsewhere = agent(&"sakai-1/n-01".parse().unwrap());
    assert_eq!(code(renew(elsewhere, "sakai-1/n-01").await), ErrorCode::PermissionDenied);
    let revoke = Command::RevokeNode { node: node() };
    fake.replica.elsewhere(|federation| federation.accept(testing::admin("kanto"), revoke));
    assert_eq!(code(renew(agent(&node()), "tokyo-1/n-01").await), ErrorCode::NodeRevoked);
    assert_eq!(code(renew(testing::admin("kanto"), "x").await), ErrorCode::PermissionDenied);
}
