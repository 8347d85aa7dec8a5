//! Lists, single resources, status: complete, and no more than the caller may see.

use super::*;
use crate::duty::{LeaseNews, Silence};
use crate::replica::ReplicaError;
use crate::service::member::MemberApi;
use crate::service::node::NodeApi;
use crate::service::peer::PeerApi;
use crate::service::quota::QuotaApi;
use crate::service::site::SiteApi;
use crate::service::tenant::TenantApi;
use crate::vitals::{Disk, Load, Vitals};
use sekisho_evidence::grant::Instance;
use sekisho_fsm::command::Command;
use sekisho_fsm::quarantine::Twin;
use sekisho_fsm::testing::{self, admin, agent, member, user};
use sekisho_proto::convert::finding::{Condition, Finding};
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::internal::v1::peer_service_server::PeerService as _;
use sekisho_proto::v1::member_service_server::MemberService as _;
use sekisho_proto::v1::node_service_server::NodeService as _;
use sekisho_proto::v1::quota_service_server::QuotaService as _;
use sekisho_proto::v1::site_service_server::SiteService as _;
use sekisho_proto::v1::tenant_service_server::TenantService as _;
use sekisho_proto::v1::{self, node::State};
use sekisho_types::id::{MemberId, NodeId};
use sekisho_types::quota::Limit;
use sekisho_types::revision::Revision;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn furnished() -> Fake {
    let fake = fake();
    fake.replica.elsewhere(|federation| federation.tenant("otaru", Limit::Unlimited));
    fake
}

#[tokio::test]
async fn a_list_shows_what_the_caller_may_read() {
    let fake = furnished();
    let api = TenantApi(Arc::clone(&fake.core));
    let names = |principal| {
        let api = &api;
        async move {
            let ask = request(&principal, v1::ListTenantsRequest::default());
            let page = api.list_tenants(ask).await.unwrap().into_inner();
            page.tenants.into_iter().map(|t| t.name).collect::<Vec<_>>()
        }
    };
    assert_eq!(names(admin("hokuto")).await, ["tenants/otaru", "tenants/sapporo"]);
    assert_eq!(names(user("kanto", "sapporo")).await, ["tenants/sapporo"]);
    assert_eq!(names(user("kanto", "stranger")).await, [] as [&str; 0]);
    let get = |principal, name: &str| {
        let ask = v1::GetTenantRequest { name: name.into(), read: None };
        api.get_tenant(request(&principal, ask))
    };
    let own = get(user("kanto", "sapporo"), "tenants/sapporo").await.unwrap().into_inner();
    assert_eq!(own.name, "tenants/sapporo");
    // What is there and may not be seen, and what is not there, look alike.
    for name in ["tenants/otaru", "tenants/nowhere"] {
        assert_eq!(code(get(user("kanto", "sapporo"), name).await), ErrorCode::NotFound);
    }
    let quotas = QuotaApi(Arc::clone(&fake.core));
    let ask = v1::ListQuotasRequest { parent: "tenants/-".into(), ..Default::default() };
    let page = quotas.list_quotas(request(&user("kanto", "sapporo"), ask)).await.unwrap();
    let found = page.into_inner().quotas;
    let told: Vec<_> = found.iter().map(|row| (row.name.as_str(), row.limit.as_str())).collect();
    assert_eq!(told, [("tenants/sapporo/quotas/sim-h100", "8")]);
    let get = |name: &str| {
        let ask = v1::GetQuotaRequest { name: name.into(), read: None };
        quotas.get_quota(request(&user("kanto", "sapporo"), ask))
    };
    let own = get("tenants/sapporo/quotas/sim-h100").await.unwrap().into_inner();
    assert_eq!(own, found[0]);
    // What was never set is none.
    let unset = get("tenants/sapporo/quotas/other").await.unwrap().into_inner();
    assert_eq!((unset.limit.as_str(), unset.etag.as_str()), ("none", "0"));
    assert_eq!(code(get("tenants/otaru/quotas/sim-h100").await), ErrorCode::NotFound);
}

#[tokio::test]
async fn pages_of_nodes_are_whole_and_a_silent_site_is_named() {
    let fake = furnished();
    let api = NodeApi(Arc::clone(&fake.core));
    let (mut token, mut names) = (String::new(), Vec::new());
    loop {
        let ask = v1::ListNodesRequest {
            parent: "sites/-".into(),
            page_size: 4,
            page_token: token.clone(),
            ..Default::default()
        };
        let page = api.list_nodes(request(&admin("kanto"), ask)).await.unwrap().into_inner();
        assert_eq!(page.unreachable, ["sites/ishikari-1", "sites/sakai-1"]);
        names.extend(page.nodes.into_iter().map(|node| node.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(names.len(), 6);
    assert!(names.is_sorted());
    let wrong = v1::ListNodesRequest {
        parent: "sites/-".into(),
        page_token: "x".into(),
        ..Default::default()
    };
    let wrong = api.list_nodes(request(&admin("kanto"), wrong)).await;
    assert_eq!(code(wrong), ErrorCode::InvalidArgument);
    let sites = SiteApi(Arc::clone(&fake.core));
    let page = sites.list_sites(request(&admin("kanto"), v1::ListSitesRequest::default())).await;
    let sites = page.unwrap().into_inner().sites;
    assert_eq!(sites.iter().map(|site| site.nodes).collect::<Vec<_>>(), [2, 2, 2]);
}

/// The leases of these nodes as a leader counts them that has not heard of them for nine seconds.
fn silent(nodes: impl IntoIterator<Item = NodeId>) -> LeaseNews {
    let second = Duration::from_secs(1);
    let silence = Silence { silent: 9 * second, left: 11 * second, expiring: false };
    let silent = nodes.into_iter().map(|id| (id, silence)).collect();
    LeaseNews { silent, whole: true, ..LeaseNews::default() }
}

#[tokio::test]
async fn the_state_of_a_node_is_what_this_member_knows() {
    let fake = furnished();
    let api = NodeApi(Arc::clone(&fake.core));
    let get = |name: &str| {
        let ask = v1::GetNodeRequest { name: name.into(), read: None };
        let answer = api.get_node(request(&admin("kanto"), ask));
        async { answer.await.unwrap().into_inner() }
    };
    let node = get("sites/tokyo-1/nodes/n-01").await;
    assert_eq!((node.state(), node.area_tier.as_str()), (State::Ready, "T1"));
    assert_eq!((node.buckets[0].count, node.buckets[0].used), (4, 0));
    let id: NodeId = "tokyo-1/n-01".parse().unwrap();
    let session = fake.core.replica.state().node(&id).unwrap().session.clone().unwrap().id;
    fake.replica.tell(silent([id.clone()]));
    let node = get("sites/tokyo-1/nodes/n-01").await;
    assert_eq!(node.state(), State::Unreachable);
    let contact = node.contact.unwrap();
    assert_eq!((contact.silent_ms, contact.left_ms), (9_000, Some(11_000)));
    *fake.replica.news.lock() = None;
    assert_eq!(get("sites/tokyo-1/nodes/n-01").await.state(), State::Unspecified, "nobody told");
    fake.replica.elsewhere(|federation| {
        federation.accept(member("kanto"), Command::ExpireLease { node: id.clone(), session });
        federation
            .accept(admin("kanto"), Command::RevokeNode { node: "tokyo-1/n-02".parse().unwrap() });
    });
    assert_eq!(get("sites/tokyo-1/nodes/n-01").await.state(), State::Lost);
    assert_eq!(get("sites/tokyo-1/nodes/n-02").await.state(), State::Revoked);
}

#[tokio::test]
async fn a_node_of_which_there_are_two_is_shown_with_what_was_seen_and_what_helps() {
    let fake = well();
    let id: NodeId = "tokyo-1/n-01".parse().unwrap();
    let session = fake.core.replica.state().node(&id).unwrap().session.clone().unwrap().id;
    let (first, second) = (Instance([1; 16]), Instance([2; 16]));
    let why = Twin::Instances { session, first, second };
    let twins = Command::QuarantineNode { node: id.clone(), why };
    fake.replica.elsewhere(|federation| federation.accept(member("kanto"), twins));
    let api = NodeApi(Arc::clone(&fake.core));
    let ask = v1::GetNodeRequest { name: "sites/tokyo-1/nodes/n-01".into(), read: None };
    let node = api.get_node(request(&admin("kanto"), ask)).await.unwrap().into_inner();
    assert_eq!(node.state(), State::Quarantined);
    let seen = v1::quarantine::Instances {
        session: session.to_string(),
        first: first.to_string(),
        second: second.to_string(),
    };
    assert_eq!(node.quarantine.unwrap().why, Some(v1::quarantine::Why::Instances(seen)));
    let (code, severity) = found(&fake).await[0].clone();
    assert_eq!((code.as_str(), severity), ("NODE_QUARANTINED", v1::status::Severity::Bad));
}

#[tokio::test]
async fn a_read_is_linearizable_unless_asked_otherwise() {
    let fake = furnished();
    let api = SiteApi(Arc::clone(&fake.core));
    let ask = |local| {
        let read = Some(v1::Read { local });
        request(&admin("kanto"), v1::GetSiteRequest { name: "sites/tokyo-1".into(), read })
    };
    api.get_site(ask(false)).await.unwrap();
    *fake.replica.failure.lock() = Some(ReplicaError::Behind(Revision(99)));
    assert_eq!(code(api.get_site(ask(false)).await), ErrorCode::StaleRead);
    api.get_site(ask(true)).await.unwrap();
}

#[tokio::test]
async fn status_needs_no_leader_and_says_the_worst_first() {
    let fake = furnished();
    let api = MemberApi(Arc::clone(&fake.core));
    *fake.replica.leader.lock() = None;
    *fake.replica.failure.lock() = Some(ReplicaError::NoLeader);
    let ask = || request(&admin("kanto"), v1::GetStatusRequest {});
    let status = api.get_status(ask()).await.unwrap().into_inner();
    let worst = &status.findings[0];
    assert_eq!(worst.severity(), v1::status::Severity::Bad);
    assert!(worst.what.contains("no leader"), "{worst:?}");
    assert!(status.findings.iter().all(|f| f.severity() != v1::status::Severity::Ok));
    assert_eq!((status.nodes_ready, status.nodes_total, status.gpus_total), (6, 6, 24));
    assert_eq!(status.missing_signers, ["hokuto", "kanto", "naniwa"]);
    assert_eq!(status.audit_uncovered, status.audit_size);
    assert_eq!(worst.code, "NO_LEADER");
    // Everybody answers and signs: all is well.
    let fake = well();
    let api = MemberApi(Arc::clone(&fake.core));
    let status = api.get_status(ask()).await.unwrap().into_inner();
    assert_eq!(status.findings.len(), 1, "{:?}", status.findings);
    assert_eq!(status.findings[0].severity(), v1::status::Severity::Ok);
    assert_eq!(status.leader, "members/2");
    assert!(status.members.iter().all(|m| m.reachable && m.role == "voter"));
    let stranger = request(&user("kanto", "stranger"), v1::GetStatusRequest {});
    assert_eq!(code(api.get_status(stranger).await), ErrorCode::PermissionDenied);
}

/// Codes of the findings, worst first, after a change to a federation in which all is well.
async fn found(fake: &Fake) -> Vec<(String, v1::status::Severity)> {
    let api = MemberApi(Arc::clone(&fake.core));
    let ask = request(&admin("kanto"), v1::GetStatusRequest {});
    let status = api.get_status(ask).await.unwrap().into_inner();
    assert!(status.findings.is_sorted_by_key(|f| std::cmp::Reverse(f.severity)));
    status.findings.into_iter().map(|f| (f.code.clone(), f.severity())).collect()
}

fn well() -> Fake {
    let fake = furnished();
    hear_all(&fake, 0);
    let federation = fake.core.replica.state().federation().unwrap().clone();
    let head = fake.core.heads.latest().unwrap();
    for (id, member) in &federation.members {
        let key = testing::checkpoint_key(*id);
        let line = head.checkpoint.sign(&member.operator, *id, &key).unwrap();
        fake.core.notes.add(&federation.bundle, *id, &head.text, &line).unwrap();
    }
    fake
}

fn hear_all(fake: &Fake, now_ns: u64) {
    let federation = fake.core.replica.state().federation().unwrap().clone();
    for member in federation.members.values() {
        fake.core.peers.hear(member, Revision(1), Some(""), now_ns);
    }
}

#[tokio::test]
async fn what_a_member_finds_wrong_with_itself_is_shown_with_its_size() {
    use v1::status::Severity::{Bad, Ok as Well, Warn};
    let fake = well();
    assert_eq!(found(&fake).await, [("WELL".to_owned(), Well)]);
    let now = fake.core.clock.wall();
    let (gib, hour) = (1u64 << 30, 3_600_000);
    let with = |change: &dyn Fn(&mut Vitals)| {
        let mut vitals = Vitals {
            certificate_ends: Some(now.plus_ms(24 * hour)),
            disk: Some(Disk { free: 20 * gib, size: 100 * gib }),
            ordinary: Load { in_flight: 10, bound: 100, shed_lately: false },
            internal: Load { in_flight: 0, bound: 10, shed_lately: false },
            unproven_bytes: 0,
        };
        change(&mut vitals);
        *fake.vitals.0.lock() = vitals;
    };
    with(&|_| ());
    assert_eq!(found(&fake).await, [("WELL".to_owned(), Well)]);
    for (change, code, severity) in [
        (
            &(|v: &mut Vitals| v.certificate_ends = Some(now.plus_ms(5 * hour))) as &dyn Fn(&mut _),
            "CERTIFICATE_ENDS",
            Warn,
        ),
        (&|v: &mut Vitals| v.certificate_ends = Some(now), "CERTIFICATE_ENDS", Bad),
        (
            &|v: &mut Vitals| v.disk = Some(Disk { free: 9 * gib, size: 100 * gib }),
            "DISK_LOW",
            Warn,
        ),
        (&|v: &mut Vitals| v.disk = Some(Disk { free: gib, size: 100 * gib }), "DISK_LOW", Bad),
        (&|v: &mut Vitals| v.ordinary.in_flight = 80, "OVERLOADED", Warn),
        (&|v: &mut Vitals| v.ordinary.shed_lately = true, "OVERLOADED", Warn),
        (&|v: &mut Vitals| v.internal.shed_lately = true, "OVERLOADED", Bad),
        (&|v: &mut Vitals| v.unproven_bytes = 1, "UNPROVEN_BYTES", Bad),
    ] {
        with(change);
        assert_eq!(found(&fake).await, [(code.to_owned(), severity)]);
    }
    // A small part of a very large disk is enough.
    with(&|v| v.disk = Some(Disk { free: 60 * gib, size: 10_000 * gib }));
    assert_eq!(found(&fake).await, [("WELL".to_owned(), Well)]);
}

#[tokio::test]
async fn what_a_member_tells_of_itself_is_shown_by_the_others() {
    let fake = well();
    let low = Finding::new(v1::status::Severity::Bad, Condition::DiskLow);
    let low = low.with("free", 12).with("percent", 1).own();
    let lie = Finding::new(v1::status::Severity::Bad, Condition::NoLeader).own();
    let tell = internal::ExchangeRequest { conditions: vec![low, lie], ..Default::default() };
    let peer = PeerApi(Arc::clone(&fake.core));
    peer.exchange(request(&member("hokuto"), tell)).await.unwrap();
    assert_eq!(found(&fake).await, [("DISK_LOW".to_owned(), v1::status::Severity::Bad)]);
    // Until it says otherwise.
    let tell = internal::ExchangeRequest::default();
    peer.exchange(request(&member("hokuto"), tell)).await.unwrap();
    assert_eq!(found(&fake).await[0].0, "WELL");
}

#[tokio::test]
async fn silence_lag_and_late_signatures_are_told_apart() {
    let fake = well();
    let federation = fake.core.replica.state().federation().unwrap().clone();
    fake.core.peers.hear(&federation.members[&MemberId(3)], Revision(50_000), None, 0);
    let codes =
        |found: Vec<(String, _)>| found.into_iter().map(|(code, _)| code).collect::<Vec<_>>();
    // This member and the third are behind what the other has.
    assert_eq!(codes(found(&fake).await), ["MEMBER_LAGS", "MEMBER_LAGS"]);
    // Nobody was heard for an hour: the state clock stood still, so the signatures are not late.
    fake.clock.0.store(3_600_000, Ordering::Relaxed);
    let silent = codes(found(&fake).await);
    assert_eq!(
        silent,
        ["MEMBER_SILENT", "MEMBER_SILENT", "CLOCK_BEHIND", "SITE_SILENT", "SITE_SILENT"]
    );
}

#[tokio::test]
async fn many_nodes_with_one_trouble_are_one_line() {
    let fake = well();
    for name in ["n-11", "n-12"] {
        fake.replica.elsewhere(|f| f.ready_node(&format!("tokyo-1/{name}"), 1));
    }
    let state = fake.core.replica.state();
    fake.replica.tell(silent(state.nodes().map(|(id, _)| id.clone())));
    let found = found(&fake).await;
    let unreachable: Vec<&str> = found
        .iter()
        .map(|(code, _)| code.as_str())
        .filter(|code| code.starts_with("NODE"))
        .collect();
    let (one, many) = ("NODE_UNREACHABLE", "NODES_UNREACHABLE");
    assert_eq!(unreachable, [one, one, one, one, many]);
}

#[tokio::test]
async fn hello_says_who_one_is() {
    let fake = furnished();
    let api = MemberApi(Arc::clone(&fake.core));
    let hello = |principal| api.hello(request(&principal, v1::HelloRequest {}));
    let answer = hello(user("kanto", "sapporo")).await.unwrap().into_inner();
    assert_eq!(answer.roles, ["tenant-user:sapporo"]);
    assert_eq!(
        (answer.principal.as_str(), answer.member.as_str()),
        ("kanto/user/sapporo", "members/2")
    );
    assert_eq!(hello(user("kanto", "stranger")).await.unwrap().into_inner().roles, [] as [&str; 0]);
    assert_eq!(hello(member("hokuto")).await.unwrap().into_inner().roles, ["member"]);
    let unknown = agent(&"tokyo-1/n-77".parse().unwrap());
    assert_eq!(code(hello(unknown).await), ErrorCode::PermissionDenied);
}
