//! Agents' unary calls. The stream is tested over real connections, see `tests/stream.rs`.

use super::*;
use crate::limit::GATE_ROOMS;
use crate::service::agent::AgentApi;
use crate::service::node::NodeApi;
use parking_lot::Mutex;
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::submission::Submission;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{self, admin, agent, job};
use sekisho_proto::convert::agent::{FetchPayload, OpenSession, Report};
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::internal::v1::agent_service_server::AgentService as _;
use sekisho_proto::v1;
use sekisho_proto::v1::node_service_server::NodeService as _;
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::job::JobPhase;
use sekisho_types::jurisdiction::table_hash;
use sekisho_types::limit::LEASE;
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::quota::Limit;
use sekisho_types::revision::Incarnation;
use sekisho_types::revision::PlacementId;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

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
        findings: Vec::new(),
        rack: Some("r12".parse().unwrap()),
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
async fn a_node_is_shown_and_found_in_the_rack_that_its_agent_told_last() {
    let fake = fake();
    let api = AgentApi(Arc::clone(&fake.core));
    let mut previous = fake.core.replica.state().node(&node()).unwrap().session.clone().unwrap().id;
    for (number, rack, found) in [(7, "r12", 1), (8, "r13", 0), (9, "", 0)] {
        let session = SessionId([number; 16]);
        let open = OpenSession {
            session,
            previous: Some(previous),
            buckets: fake.core.replica.state().node(&node()).unwrap().buckets.clone(),
            live: Vec::new(),
            table: table_hash(),
            incarnation: Incarnation(1),
            findings: Vec::new(),
            rack: rack.parse().ok(),
        };
        api.open_session(request(&agent(&node()), (&open).into())).await.unwrap();
        previous = session;
        let state = fake.core.replica.state();
        let row = state.node(&node()).unwrap();
        assert_eq!(fake.core.node_message(&state, &node(), row).rack, rack);
        let (parent, filter) = ("sites/-".to_owned(), "rack = r12".to_owned());
        let asked = v1::ListNodesRequest { parent, filter, ..Default::default() };
        let api = NodeApi(Arc::clone(&fake.core));
        let listed = api.list_nodes(request(&admin("kanto"), asked)).await.unwrap().into_inner();
        assert_eq!(listed.nodes.len(), found, "{rack}");
    }
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
            findings: Vec::new(),
            rack: None,
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

/// Five thousand agents come in one moment, of which one in ten has something that runs.
#[tokio::test(start_paused = true)]
async fn thousands_of_agents_that_come_at_once_are_let_in_in_order_and_none_is_lost() {
    const AGENTS: u16 = 5_000;
    let fake = fake();
    let name = |n: u16| format!("tokyo-1/m-{n:04}");
    fake.replica.elsewhere(|federation| {
        federation.tenant("otaru", Limit::Unlimited);
        for n in 0..AGENTS {
            federation.ready_node(&name(n), 1);
        }
        for n in (0..AGENTS).filter(|n| n % 10 == 9) {
            let mut facts = job(&format!("train-{n}"), 1, 1, &["JP-13"]);
            facts.id.tenant = "otaru".parse().unwrap();
            let id = federation.submit(facts);
            federation.place(&id, &[&name(n)]);
        }
    });
    *fake.replica.takes.lock() = Duration::from_millis(10);
    let state = fake.core.replica.state();
    let (api, went) =
        (Arc::new(AgentApi(Arc::clone(&fake.core))), Arc::new(Mutex::new(Vec::new())));
    let come = |n: u16| {
        let id: NodeId = name(n).parse().unwrap();
        let row = state.node(&id).unwrap().clone();
        let (api, went) = (Arc::clone(&api), Arc::clone(&went));
        let open = OpenSession {
            session: SessionId(Digest::of(name(n).as_bytes()).0[..16].try_into().unwrap()),
            previous: row.session.as_ref().map(|session| session.id),
            buckets: row.buckets.clone(),
            live: row.placements.iter().copied().collect(),
            table: table_hash(),
            incarnation: Incarnation(1),
            findings: Vec::new(),
            rack: None,
        };
        async move {
            let mut tries = 0;
            loop {
                tries += 1;
                let Err(status) = api.open_session(request(&agent(&id), (&open).into())).await
                else {
                    break;
                };
                let error = ApiError::from_status(&status);
                assert_eq!(error.code, ErrorCode::Overloaded);
                let after = error.retry_after.expect("a time to come again");
                // As an agent does: spread over L/3.
                let spread = Duration::from_millis(u64::from(n) % 5_000);
                // waits: as long as an agent that was put off; the test holds the time
                tokio::time::sleep(after + spread).await;
            }
            went.lock().push((n, tries));
        }
    };
    let begun = tokio::time::Instant::now();
    futures::future::join_all((0..AGENTS).map(come)).await;
    assert!(fake.replica.most.load(Ordering::Relaxed) <= u64::try_from(GATE_ROOMS).unwrap());
    let went = went.lock().clone();
    assert_eq!(went.len(), usize::from(AGENTS));
    // Who runs something was put off by nobody and went before the most of the others.
    let busy: Vec<usize> =
        went.iter().enumerate().filter(|(_, (n, _))| n % 10 == 9).map(|(at, _)| at).collect();
    assert!(went.iter().filter(|(n, _)| n % 10 == 9).all(|(_, tries)| *tries == 1));
    assert!(*busy.last().unwrap() < 1_000, "the last of 500 went as number {:?}", busy.last());
    assert!(went.iter().any(|(_, tries)| *tries > 1), "the bound was met");
    assert!(begun.elapsed() < LEASE, "within a lease: {:?}", begun.elapsed());
    let state = fake.core.replica.state();
    let opened = state.nodes().filter(|(id, _)| id.name.as_str().starts_with("m-"));
    assert!(opened.map(|(_, row)| row.placements.len()).sum::<usize>() == 500, "nothing ended");
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
