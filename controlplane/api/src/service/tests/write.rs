//! What a client signs is what the server rebuilds; dry runs, repeats, refusals.

use super::*;
use crate::replica::ReplicaError;
use crate::service::key::KeyApi;
use crate::service::node::NodeApi;
use crate::service::policy::PolicyApi;
use crate::service::quota::QuotaApi;
use crate::service::site::SiteApi;
use crate::service::tenant::TenantApi;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::command::Intention;
use sekisho_evidence::key::{Purpose, SigningKey};
use sekisho_fsm::command::{Command, Item};
use sekisho_fsm::testing::{self, admin, user, user_key};
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::key::RegisterKey;
use sekisho_proto::convert::node::NewToken;
use sekisho_proto::convert::policy::PutPolicy;
use sekisho_proto::convert::quota::SetQuota;
use sekisho_proto::convert::site::NewSite;
use sekisho_proto::convert::tenant::PutTenant;
use sekisho_proto::name::{KeyId, QuotaId, Resource as _};
use sekisho_proto::v1;
use sekisho_proto::v1::key_service_server::KeyService as _;
use sekisho_proto::v1::node_service_server::NodeService as _;
use sekisho_proto::v1::policy_service_server::PolicyService as _;
use sekisho_proto::v1::quota_service_server::QuotaService as _;
use sekisho_proto::v1::site_service_server::SiteService as _;
use sekisho_proto::v1::tenant_service_server::TenantService as _;
use sekisho_types::id::{Digest, NodeId, PublicKey, RequestId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::patch::Patch;
use sekisho_types::principal::{KeyRecord, Principal, Role};
use sekisho_types::quota::{Allotment, Limit};
use sekisho_types::residency::Rules;
use sekisho_types::revision::{Incarnation, Revision};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Signed by kanto's and hokuto's administrators, as the CLI would.
pub(super) fn intent(number: u8, command: &Command, signers: &[Principal]) -> v1::Intent {
    let request = RequestId([number; 16]);
    let command = command.digest().unwrap();
    let (cluster, incarnation) = (testing::cluster(), Incarnation(1));
    let intention = Intention { cluster, incarnation, request, command };
    let signatures = signers.iter().map(|p| intention.sign(p.clone(), &user_key(p))).collect();
    (&Intent { request, validate_only: false, signatures, incarnation: None }).into()
}

fn both() -> [Principal; 2] {
    [admin("kanto"), admin("hokuto")]
}

/// Sends with everyone's signature and expects it to take effect.
macro_rules! accepted {
    ($api:expr, $method:ident, $number:literal, $command:expr, $request:expr) => {{
        let intent = intent($number, &$command, &both());
        let answer = $api.$method(request(&admin("kanto"), $request(intent))).await;
        answer.unwrap().into_inner()
    }};
}

#[tokio::test]
async fn what_a_client_signs_is_what_the_server_rebuilds() {
    let fake = fake();
    let core = || Arc::clone(&fake.core);
    let site = NewSite {
        site: "nagoya-1".parse().unwrap(),
        operator: "kanto".parse().unwrap(),
        area: Area::resolve("JP-23").unwrap(),
        display_name: "名古屋".into(),
    };
    let NewSite { site: id, operator, area, display_name } = site.clone();
    let command = Command::CreateSite { site: id, operator, area, display_name };
    accepted!(SiteApi(core()), create_site, 1, command, |i| site.request(i));

    let area = BTreeSet::from([Area::resolve("JP-01").unwrap()]);
    let put = PutPolicy {
        policy: "north".parse().unwrap(),
        rules: Rules { areas: area, ..Rules::default() },
        expected: None,
    };
    let PutPolicy { policy, rules, expected } = put.clone();
    let command = Command::PutPolicy { policy, rules, expected };
    accepted!(PolicyApi(core()), create_policy, 2, command, |i| put.create_request(i));

    let tenant = PutTenant {
        tenant: "otaru".parse().unwrap(),
        display_name: Patch::Set("小樽市".into()),
        policy: Patch::Set(Some(put.policy)),
        parent: Patch::Set(Some("sapporo".parse().unwrap())),
        expected: None,
    };
    let put = |tenant: PutTenant| {
        let PutTenant { tenant, display_name, policy, parent, expected } = tenant;
        Command::PutTenant { tenant, display_name, policy, parent, expected }
    };
    let api = TenantApi(core());
    accepted!(api, create_tenant, 3, put(tenant.clone()), |i| tenant.create_request(i));
    let revision = fake.core.replica.state().tenant(&tenant.tenant).unwrap().revision;
    let (policy, display_name, parent) = (Patch::Set(None), Patch::Keep, Patch::Keep);
    let changed = PutTenant { policy, display_name, parent, expected: Some(revision), ..tenant };
    accepted!(api, update_tenant, 4, put(changed.clone()), |i| changed.update_request(i));

    let class = testing::CLASS.parse().unwrap();
    let area = Area::resolve("131016").unwrap();
    let quota = QuotaId { tenant: changed.tenant, class, area };
    let (nominal, borrowing, lending) = (Limit::Gpus(4), Limit::Unlimited, Limit::Gpus(1));
    let allotment = Allotment { nominal, borrowing, lending };
    let set = SetQuota { quota, allotment, expected: Revision(0) };
    let SetQuota { quota: QuotaId { tenant, class, area }, allotment, expected } = set.clone();
    let command = Command::SetQuota { tenant, class, area, allotment, expected };
    accepted!(QuotaApi(core()), update_quota, 5, command, |i| set.request(i));
    let QuotaId { tenant, class, area } = &set.quota;
    assert_eq!(fake.core.replica.state().quota(tenant, class, *area), allotment);
}

#[tokio::test]
async fn keys_and_tokens_are_made_and_taken_back() {
    let fake = fake();
    let core = || Arc::clone(&fake.core);
    let record = KeyRecord {
        principal: user("kanto", "bob"),
        role: Role::Auditor,
        public_key: PublicKey([7; 32]),
        expires: testing::BEGIN.plus_ms(1000),
    };
    let issuer = SigningKey::from_seed(&Digest::of(b"issuer/kanto").0);
    let issuer = issuer.sign(Purpose::KeyRecord, &encode(&record).unwrap());
    let key = RegisterKey { record: record.clone(), issuer };
    let command = Command::RegisterKey { record: record.clone(), issuer };
    let kanto = [admin("kanto")];
    let message = key.request(intent(1, &command, &kanto));
    KeyApi(core()).register_key(request(&admin("kanto"), message)).await.unwrap();
    let state = fake.core.replica.state();
    assert!(state.key(&record.principal, &record.public_key).is_some());
    let revoke = KeyId { principal: record.principal, key: record.public_key };
    let get = || v1::GetKeyRequest { name: revoke.name(), read: None };
    let found = KeyApi(core()).get_key(request(&admin("naniwa"), get())).await.unwrap();
    assert_eq!(found.into_inner().role, "auditor");
    let command = Command::RevokeKey { principal: revoke.principal.clone(), key: revoke.key };
    let intent_of = Some(intent(2, &command, &kanto));
    let message = v1::RevokeKeyRequest { name: revoke.name(), intent: intent_of };
    KeyApi(core()).revoke_key(request(&admin("kanto"), message)).await.unwrap();
    assert!(fake.core.replica.state().key(&revoke.principal, &revoke.key).is_none());
    let gone = KeyApi(core()).get_key(request(&admin("naniwa"), get())).await;
    assert_eq!(code(gone), ErrorCode::NotFound);

    let token = NewToken {
        token: Digest([5; 32]),
        node: "tokyo-1/n-09".parse().unwrap(),
        expires: testing::BEGIN.plus_ms(60_000),
        approved: true,
    };
    let NewToken { token: hash, node, expires, approved } = token.clone();
    let command = Command::CreateToken { token: hash, node, expires, approved };
    let message = token.request(intent(3, &command, &kanto));
    let answer = NodeApi(core()).create_join_token(request(&admin("kanto"), message)).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!(answer.endpoints, ["127.0.0.1:7002"]);
    assert_eq!(answer.root_sha256.as_ref(), Digest::of(b"kanto").as_ref());
    let bundle = &fake.core.replica.state().federation().unwrap().bundle.clone();
    assert_eq!(answer.bundle_sha256.as_ref(), bundle.hash().unwrap().as_ref());
}

#[tokio::test]
async fn nodes_are_cordoned_all_or_none_by_who_runs_them() {
    let fake = fake();
    let api = NodeApi(Arc::clone(&fake.core));
    let kanto = admin("kanto");
    let ask = |number, parent: &str, nodes: &[&str], schedulable| {
        let ids: Vec<NodeId> = nodes.iter().map(|node| node.parse().unwrap()).collect();
        let item = |node: &NodeId| Item::SetSchedulable { node: node.clone(), schedulable };
        let command = Command::Batch(ids.iter().map(item).collect());
        let intent = Some(intent(number, &command, std::slice::from_ref(&kanto)));
        let names = ids.iter().map(NodeId::name).collect();
        v1::BatchCordonNodesRequest { parent: parent.into(), names, intent }
    };
    let schedulable = || {
        let state = fake.core.replica.state();
        ["tokyo-1/n-01", "tokyo-1/n-02"]
            .map(|n| state.node(&n.parse().unwrap()).unwrap().schedulable)
    };
    let both = ["tokyo-1/n-01", "tokyo-1/n-02"];
    let foreign = ask(1, "sites/-", &["tokyo-1/n-01", "sakai-1/n-01"], false);
    let refused = api.batch_cordon_nodes(request(&kanto, foreign)).await;
    assert_eq!(code(refused), ErrorCode::PermissionDenied);
    let elsewhere = ask(2, "sites/sakai-1", &both, false);
    let refused = api.batch_cordon_nodes(request(&kanto, elsewhere)).await;
    assert_eq!(code(refused), ErrorCode::InvalidArgument);
    let unknown = ask(3, "sites/-", &["tokyo-1/n-01", "tokyo-1/n-99"], false);
    assert_eq!(code(api.batch_cordon_nodes(request(&kanto, unknown)).await), ErrorCode::NotFound);
    assert_eq!(schedulable(), [true, true]);
    api.batch_cordon_nodes(request(&kanto, ask(4, "sites/tokyo-1", &both, false))).await.unwrap();
    assert_eq!(schedulable(), [false, false]);
    let v1::BatchCordonNodesRequest { parent, names, intent } = ask(5, "sites/-", &both, true);
    let back = v1::BatchUncordonNodesRequest { parent, names, intent };
    api.batch_uncordon_nodes(request(&kanto, back)).await.unwrap();
    assert_eq!(schedulable(), [true, true]);
}

fn cordon(number: u8, node: &str, validate_only: bool) -> v1::CordonNodeRequest {
    let node: NodeId = node.parse().unwrap();
    let name = node.name();
    let command = Command::SetSchedulable { node, schedulable: false };
    let intent = v1::Intent { validate_only, ..intent(number, &command, &[admin("kanto")]) };
    v1::CordonNodeRequest { name, intent: Some(intent) }
}

#[tokio::test]
async fn who_signed_for_another_incarnation_is_told_so() {
    let fake = fake();
    let api = NodeApi(Arc::clone(&fake.core));
    let mut ask = cordon(1, "tokyo-1/n-01", false);
    for (told, expected) in [(2, Some(ErrorCode::IncarnationOver)), (1, None), (0, None)] {
        ask.intent.as_mut().unwrap().incarnation = told;
        let answer = api.cordon_node(request(&admin("kanto"), ask.clone())).await;
        assert_eq!(answer.err().map(|status| ApiError::from_status(&status).code), expected);
    }
}

#[tokio::test]
async fn a_dry_run_refuses_what_the_real_run_would_and_changes_nothing() {
    let fake = fake();
    let api = NodeApi(Arc::clone(&fake.core));
    let before = fake.replica.proposed.load(Ordering::Relaxed);
    let kanto = admin("kanto");
    let dry = api.cordon_node(request(&kanto, cordon(1, "tokyo-1/n-01", true))).await.unwrap();
    let now = fake.core.replica.state().revision();
    assert_eq!(dry.into_inner().revision, now.0);
    let mut unsigned = cordon(1, "tokyo-1/n-01", true);
    unsigned.intent.as_mut().unwrap().signatures.clear();
    let refused = api.cordon_node(request(&kanto, unsigned)).await;
    assert_eq!(code(refused), ErrorCode::SignaturesMissing);
    assert_eq!(fake.replica.proposed.load(Ordering::Relaxed), before);
    let node = "tokyo-1/n-01".parse().unwrap();
    assert!(fake.core.replica.state().node(&node).unwrap().schedulable);
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_without_the_log() {
    let fake = fake();
    let api = NodeApi(Arc::clone(&fake.core));
    let ask = || request(&admin("kanto"), cordon(1, "tokyo-1/n-01", false));
    let first = api.cordon_node(ask()).await.unwrap().into_inner();
    fake.replica.elsewhere(|federation| federation.policy("other", Rules::default()));
    let proposed = fake.replica.proposed.load(Ordering::Relaxed);
    assert_eq!(api.cordon_node(ask()).await.unwrap().into_inner(), first);
    assert_eq!(fake.replica.proposed.load(Ordering::Relaxed), proposed);
    // Another command under the id is refused, in the log.
    let other = request(&admin("kanto"), cordon(1, "tokyo-1/n-02", false));
    assert_eq!(code(api.cordon_node(other).await), ErrorCode::RequestIdReused);
    assert_eq!(fake.replica.proposed.load(Ordering::Relaxed), proposed + 1);
}

#[tokio::test]
async fn who_may_not_is_refused_before_the_log() {
    let fake = fake();
    let api = NodeApi(Arc::clone(&fake.core));
    let proposed = fake.replica.proposed.load(Ordering::Relaxed);
    // Another operator's node; nobody known; nothing there.
    let foreign = api.cordon_node(request(&admin("kanto"), cordon(1, "sakai-1/n-01", false))).await;
    assert_eq!(code(foreign), ErrorCode::PermissionDenied);
    let stranger = user("kanto", "stranger");
    let hidden = api.cordon_node(request(&stranger, cordon(1, "tokyo-1/n-01", false))).await;
    assert_eq!(code(hidden), ErrorCode::NotFound);
    let nothing = api.cordon_node(request(&admin("kanto"), cordon(1, "tokyo-1/n-99", false))).await;
    assert_eq!(code(nothing), ErrorCode::NotFound);
    let anonymous = tonic::Request::new(cordon(1, "tokyo-1/n-01", false));
    assert_eq!(code(api.cordon_node(anonymous).await), ErrorCode::Unauthenticated);
    let mut nameless = cordon(1, "tokyo-1/n-01", false);
    nameless.intent = None;
    let nameless = api.cordon_node(request(&admin("kanto"), nameless)).await;
    assert_eq!(code(nameless), ErrorCode::InvalidArgument);
    assert_eq!(fake.replica.proposed.load(Ordering::Relaxed), proposed);
}

#[tokio::test]
async fn what_consensus_does_not_answer_has_a_code_of_its_own() {
    let fake = fake();
    let api = NodeApi(Arc::clone(&fake.core));
    let retry_after = std::time::Duration::from_millis(70);
    for (failure, expected) in [
        (ReplicaError::NoLeader, ErrorCode::NoLeader),
        (ReplicaError::Overloaded { retry_after }, ErrorCode::Overloaded),
        (ReplicaError::OutcomeUnknown, ErrorCode::OutcomeUnknown),
        (ReplicaError::TooLarge(1), ErrorCode::TooLarge),
        (ReplicaError::Stopped("disk".into()), ErrorCode::StorageFailed),
    ] {
        *fake.replica.failure.lock() = Some(failure.clone());
        let ask = request(&admin("kanto"), cordon(1, "tokyo-1/n-01", false));
        let status = api.cordon_node(ask).await.unwrap_err();
        let error = ApiError::from_status(&status);
        assert_eq!(error.code, expected);
        if expected == ErrorCode::Overloaded {
            assert_eq!(error.retry_after, Some(retry_after));
        }
    }
}
