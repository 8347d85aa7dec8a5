//! What a caller may not read and what does not exist look alike, at every method that names a resource: in the code, the
//! words, the details, and in what the answer cost.

use crate::fake::{Fake, fake, peer};
use crate::layer::{Measure, Measured};
use crate::server::Services;
use crate::service::tests::job::new_job;
use crate::service::tests::write::intent;
use crate::service::tests::{monthly, share};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{self, user};
use sekisho_proto::DESCRIPTORS;
use sekisho_proto::name::{BreakGlassId, KeyId, Resource as _};
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::*;
use sekisho_transport::identity::Peer;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{NodeId, PublicKey};
use sekisho_types::joint::Joint;
use sekisho_types::principal::Principal;
use sekisho_types::quota::Limit;
use sekisho_types::residency;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tonic_types::StatusExt as _;
use tower::{Layer as _, Service};

/// The services as a peer reaches them, without a network.
#[derive(Debug, Clone)]
struct Door {
    services: Measured<Routes>,
    peer: Peer,
}

impl Service<http::Request<Body>> for Door {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<http::Request<Body>>::poll_ready(&mut self.services, cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        request.extensions_mut().insert(self.peer.clone());
        self.services.call(request).boxed()
    }
}

type Ask = fn(Door, String) -> BoxFuture<'static, Result<(), Status>>;

/// A method, what it names, and how it is asked about a name.
type Row = (&'static str, &'static str, Of, Ask);

/// What a method names: one that is there, and as long as it one or two that are not.
#[derive(Debug, Clone, Copy)]
enum Of {
    Site,
    Node,
    Policy,
    Landmark,
    Member,
    Operator,
    Tenant,
    Quota,
    Budget,
    Escrow,
    Offer,
    Reservation,
    Veto,
    Job,
    Key,
    Approval,
    BreakGlass,
}

impl Of {
    fn names(self) -> (String, Vec<String>) {
        let (there, missing): (&str, &[&str]) = match self {
            Self::Key | Self::Approval | Self::BreakGlass => return self.made(),
            Self::Site => ("sites/tokyo-1", &["sites/tokyo-9"]),
            Self::Node => (
                "sites/tokyo-1/nodes/n-01",
                &["sites/tokyo-1/nodes/n-09", "sites/tokyo-9/nodes/n-01"],
            ),
            Self::Policy => ("policies/inland", &["policies/inlane"]),
            Self::Landmark => {
                ("operators/kanto/landmarks/otemachi", &["operators/kanto/landmarks/otemachu"])
            }
            Self::Member => ("members/2", &["members/9"]),
            Self::Operator => ("operators/naniwa", &["operators/naniwo"]),
            Self::Tenant => ("tenants/sapporo", &["tenants/sapporu"]),
            Self::Quota => (
                "tenants/sapporo/quotas/sim-h100",
                &["tenants/sapporu/quotas/sim-h100", "tenants/sapporo/quotas/sim-h900"],
            ),
            Self::Budget => (
                "tenants/sapporo/budgets/month",
                &["tenants/sapporu/budgets/month", "tenants/sapporo/budgets/mouth"],
            ),
            Self::Escrow => (
                "sites/tokyo-1/escrows/sapporo.sim-h100",
                &[
                    "sites/tokyo-1/escrows/sapporo.sim-h900",
                    "sites/tokyo-1/escrows/sapporu.sim-h100",
                    "sites/tokyo-9/escrows/sapporo.sim-h100",
                ],
            ),
            Self::Offer => (
                "sites/tokyo-1/offers/spare",
                &["sites/tokyo-1/offers/spaze", "sites/tokyo-9/offers/spare"],
            ),
            Self::Reservation => (
                "tenants/sapporo/reservations/night",
                &["tenants/sapporo/reservations/nighs", "tenants/sapporu/reservations/night"],
            ),
            Self::Veto => (
                "operators/naniwa/vetoes/sapporo",
                &["operators/naniwa/vetoes/sapporu", "operators/naniwo/vetoes/sapporo"],
            ),
            Self::Job => (
                "tenants/sapporo/jobs/train",
                &["tenants/sapporo/jobs/trail", "tenants/sapporu/jobs/train"],
            ),
        };
        (there.to_owned(), missing.iter().map(|name| (*name).to_owned()).collect())
    }

    /// Of what is named by a key, a request or a revision.
    fn made(self) -> (String, Vec<String>) {
        let state = furnished().core.replica.state();
        let (there, other) = match self {
            Self::Approval => {
                let id = *state.approvals().next().unwrap().0;
                (id.name(), sekisho_types::id::ApprovalId([0xab; 16]).name())
            }
            Self::BreakGlass => {
                let opened = *state.break_glasses().next().unwrap().0;
                (BreakGlassId(opened).name(), "breakGlasses/99".to_owned())
            }
            Self::Site
            | Self::Node
            | Self::Policy
            | Self::Landmark
            | Self::Member
            | Self::Operator
            | Self::Tenant
            | Self::Quota
            | Self::Budget
            | Self::Escrow
            | Self::Offer
            | Self::Reservation
            | Self::Veto
            | Self::Job
            | Self::Key => {
                let principal = user("kanto", "sapporo");
                let key = testing::user_key(&principal).public();
                let other = KeyId { principal: principal.clone(), key: PublicKey([0xab; 32]) };
                (KeyId { principal, key }.name(), other.name())
            }
        };
        (there, vec![other])
    }
}

/// What is within something else.
fn parent(name: &str) -> String {
    name.split('/').take(2).collect::<Vec<_>>().join("/")
}

/// The last part of a name, which is what a new resource is given.
fn id(name: &str) -> String {
    name.rsplit('/').next().unwrap_or_default().to_owned()
}

/// An intention as it is checked before anybody is authorized.
fn any() -> Option<Intent> {
    let node: NodeId = "tokyo-1/n-01".parse().unwrap();
    Some(intent(7, &Command::RevokeNode { node }, &[]))
}

fn spec() -> Option<JobSpec> {
    Some((&new_job("train", &[]).facts).into())
}

fn payload() -> bytes::Bytes {
    new_job("train", &[]).payload
}

/// An upload of what stays in its area: only that is uploaded.
fn upload(name: String) -> UploadPayloadRequest {
    let facts = testing::job("train", 1, 1, &["JP"]);
    let (facts, payload) = testing::sealed::area_only(facts, b"text", &[("tokyo-1", 1)]);
    UploadPayloadRequest { name, spec: Some((&facts).into()), payload: payload.into() }
}

/// The key of that name, for which nobody has signed.
fn key_of(name: String) -> Key {
    let KeyId { principal, key } = KeyId::from_name(&name).unwrap();
    let (public_key, role) = (key.0.to_vec().into(), "monitor".to_owned());
    Key { name, principal: principal.to_string(), public_key, role, expires_ms: u64::MAX }
}

/// Of the right form, and by nobody.
fn signature() -> Signature {
    let principal = user("kanto", "sapporo").to_string();
    Signature { principal, public_key: vec![7; 32].into(), signature: vec![1; 64].into() }
}

fn landmark() -> Landmark {
    let at = testing::location::landmark("kanto/otemachi");
    Landmark {
        position: at.position.to_string(),
        survey_m: at.survey_m,
        key: at.key.to_string(),
        address: "a.example:1".to_owned(),
        datagrams: "a.example:2".to_owned(),
        ..Landmark::default()
    }
}

fn budget() -> Budget {
    (&monthly()).into()
}

fn offer() -> Offer {
    (&testing::offer(4)).into()
}

fn reservation() -> Reservation {
    (&testing::reservation("tokyo-1", 1)).into()
}

macro_rules! rows {
    ($($module:ident :: $client:ident, $method:ident, $of:ident, |$name:ident| $request:expr;)+) => {
        &[$((
            stringify!($client),
            stringify!($method),
            Of::$of,
            |door, $name| {
                let request = $request;
                async move { $module::$client::new(door).$method(request).await.map(|_| ()) }.boxed()
            },
        )),+]
    };
}

const ROWS: &[Row] = rows! {
    site_service_client::SiteServiceClient, get_site, Site, |name| GetSiteRequest { name, read: None };
    site_service_client::SiteServiceClient, revoke_site, Site, |name| RevokeSiteRequest { name, intent: any() };
    node_service_client::NodeServiceClient, list_nodes, Site, |name| ListNodesRequest { parent: name, ..Default::default() };
    node_service_client::NodeServiceClient, get_node, Node, |name| GetNodeRequest { name, read: None };
    node_service_client::NodeServiceClient, create_join_token, Node, |name| CreateJoinTokenRequest { node: name, secret_sha256: "ab".repeat(32), expires_ms: 1, intent: any(), approved: false };
    node_service_client::NodeServiceClient, cordon_node, Node, |name| CordonNodeRequest { name, intent: any() };
    node_service_client::NodeServiceClient, uncordon_node, Node, |name| UncordonNodeRequest { name, intent: any() };
    node_service_client::NodeServiceClient, batch_cordon_nodes, Node, |name| BatchCordonNodesRequest { parent: parent(&name), names: vec![name], intent: any() };
    node_service_client::NodeServiceClient, batch_uncordon_nodes, Node, |name| BatchUncordonNodesRequest { parent: parent(&name), names: vec![name], intent: any() };
    node_service_client::NodeServiceClient, approve_node, Node, |name| ApproveNodeRequest { name, node_key: "ab".repeat(32), intent: any() };
    node_service_client::NodeServiceClient, decommission_node, Node, |name| DecommissionNodeRequest { name, intent: any() };
    node_service_client::NodeServiceClient, drain_node, Node, |name| DrainNodeRequest { name, intent: any(), ..Default::default() };
    node_service_client::NodeServiceClient, undrain_node, Node, |name| UndrainNodeRequest { name, intent: any(), ..Default::default() };
    node_service_client::NodeServiceClient, batch_drain_nodes, Node, |name| BatchDrainNodesRequest { parent: parent(&name), names: vec![name], intent: any(), ..Default::default() };
    node_service_client::NodeServiceClient, batch_undrain_nodes, Node, |name| BatchUndrainNodesRequest { parent: parent(&name), names: vec![name], intent: any(), ..Default::default() };
    node_service_client::NodeServiceClient, revoke_node, Node, |name| RevokeNodeRequest { name, intent: any() };
    node_service_client::NodeServiceClient, release_node, Node, |name| ReleaseNodeRequest { name, intent: any() };
    node_service_client::NodeServiceClient, prove_node, Node, |name| ProveNodeRequest { name };
    node_service_client::NodeServiceClient, get_fix, Node, |name| GetFixRequest { name, read: None };
    landmark_service_client::LandmarkServiceClient, list_landmarks, Operator, |name| ListLandmarksRequest { parent: name, ..Default::default() };
    landmark_service_client::LandmarkServiceClient, get_landmark, Landmark, |name| GetLandmarkRequest { name, read: None };
    landmark_service_client::LandmarkServiceClient, create_landmark, Operator, |name| CreateLandmarkRequest { landmark: Some(landmark()), parent: name, landmark_id: "tokyo".into(), intent: any() };
    landmark_service_client::LandmarkServiceClient, delete_landmark, Landmark, |name| DeleteLandmarkRequest { name, etag: "1".into(), intent: any() };
    policy_service_client::PolicyServiceClient, get_policy, Policy, |name| GetPolicyRequest { name, read: None };
    policy_service_client::PolicyServiceClient, update_policy, Policy, |name| UpdatePolicyRequest { policy: Some(Policy { name, rules: Some(Rules::default()), etag: "1".into(), ..Default::default() }), update_mask: None, intent: any() };
    policy_service_client::PolicyServiceClient, delete_policy, Policy, |name| DeletePolicyRequest { name, etag: "1".into(), intent: any() };
    policy_service_client::PolicyServiceClient, create_policy, Policy, |name| CreatePolicyRequest { policy_id: id(&name), policy: Some(Policy { rules: Some(Rules::default()), ..Default::default() }), intent: any() };
    policy_service_client::PolicyServiceClient, plan_policy, Policy, |name| PlanPolicyRequest { name, rules: Some(Rules::default()), read: None };
    policy_service_client::PolicyServiceClient, list_policy_statuses, Policy, |name| ListPolicyStatusesRequest { name, ..Default::default() };
    policy_service_client::PolicyServiceClient, check_policy, Policy, |name| CheckPolicyRequest { name, ..Default::default() };
    member_service_client::MemberServiceClient, set_voter, Member, |name| SetVoterRequest { name, voter: true, intent: any(), ..Default::default() };
    member_service_client::MemberServiceClient, set_member_address, Member, |name| SetMemberAddressRequest { name, address: "a.example:1".into(), intent: any() };
    member_service_client::MemberServiceClient, transfer_leader, Member, |name| TransferLeaderRequest { name };
    site_service_client::SiteServiceClient, create_site, Site, |name| CreateSiteRequest { site_id: id(&name), site: Some(Site { operator: "kanto".into(), area: "JP-13".into(), ..Default::default() }), intent: any() };
    tenant_service_client::TenantServiceClient, get_tenant, Tenant, |name| GetTenantRequest { name, read: None };
    tenant_service_client::TenantServiceClient, create_tenant, Tenant, |name| CreateTenantRequest { tenant_id: id(&name), tenant: Some(Tenant::default()), intent: any() };
    tenant_service_client::TenantServiceClient, update_tenant, Tenant, |name| UpdateTenantRequest { tenant: Some(Tenant { name, display_name: "x".into(), etag: "1".into(), ..Default::default() }), update_mask: None, intent: any() };
    tenant_service_client::TenantServiceClient, delete_tenant, Tenant, |name| DeleteTenantRequest { name, etag: "1".into(), intent: any() };
    tenant_service_client::TenantServiceClient, plan_tenant, Tenant, |name| PlanTenantRequest { name, ..Default::default() };
    quota_service_client::QuotaServiceClient, list_quotas, Tenant, |name| ListQuotasRequest { parent: name, ..Default::default() };
    quota_service_client::QuotaServiceClient, get_quota, Quota, |name| GetQuotaRequest { name, read: None };
    quota_service_client::QuotaServiceClient, update_quota, Quota, |name| UpdateQuotaRequest { quota: Some(Quota { name, limit: "1".into(), etag: "1".into(), ..Default::default() }), update_mask: None, intent: any() };
    budget_service_client::BudgetServiceClient, list_budgets, Tenant, |name| ListBudgetsRequest { parent: name, ..Default::default() };
    budget_service_client::BudgetServiceClient, get_budget, Budget, |name| GetBudgetRequest { name, read: None };
    budget_service_client::BudgetServiceClient, create_budget, Tenant, |name| CreateBudgetRequest { parent: name, budget_id: "year".into(), budget: Some(budget()), intent: any() };
    budget_service_client::BudgetServiceClient, update_budget, Budget, |name| UpdateBudgetRequest { budget: Some(Budget { name, etag: "1".into(), ..budget() }), update_mask: None, intent: any() };
    budget_service_client::BudgetServiceClient, delete_budget, Budget, |name| DeleteBudgetRequest { name, etag: "1".into(), intent: any() };
    escrow_service_client::EscrowServiceClient, list_escrows, Site, |name| ListEscrowsRequest { parent: name, ..Default::default() };
    escrow_service_client::EscrowServiceClient, get_escrow, Escrow, |name| GetEscrowRequest { name, read: None };
    escrow_service_client::EscrowServiceClient, update_escrow, Escrow, |name| UpdateEscrowRequest { escrow: Some(Escrow { name, gpus: 1, etag: "1".into(), ..Default::default() }), intent: any() };
    offer_service_client::OfferServiceClient, list_offers, Site, |name| ListOffersRequest { parent: name, ..Default::default() };
    offer_service_client::OfferServiceClient, get_offer, Offer, |name| GetOfferRequest { name, read: None };
    offer_service_client::OfferServiceClient, create_offer, Site, |name| CreateOfferRequest { parent: name, offer_id: "night".into(), offer: Some(offer()), intent: any() };
    offer_service_client::OfferServiceClient, update_offer, Offer, |name| UpdateOfferRequest { offer: Some(Offer { name, etag: "1".into(), ..offer() }), update_mask: None, intent: any() };
    offer_service_client::OfferServiceClient, withdraw_offer, Offer, |name| WithdrawOfferRequest { name, etag: "1".into(), intent: any() };
    reservation_service_client::ReservationServiceClient, list_reservations, Tenant, |name| ListReservationsRequest { parent: name, ..Default::default() };
    reservation_service_client::ReservationServiceClient, create_reservation, Tenant, |name| CreateReservationRequest { parent: name, reservation_id: "day".into(), reservation: Some(reservation()), intent: any() };
    reservation_service_client::ReservationServiceClient, get_reservation, Reservation, |name| GetReservationRequest { name, read: None };
    reservation_service_client::ReservationServiceClient, update_reservation, Reservation, |name| UpdateReservationRequest { reservation: Some(Reservation { name, etag: "1".into(), ..reservation() }), update_mask: None, intent: any() };
    reservation_service_client::ReservationServiceClient, delete_reservation, Reservation, |name| DeleteReservationRequest { name, etag: "1".into(), intent: any() };
    offer_service_client::OfferServiceClient, list_vetoes, Operator, |name| ListVetoesRequest { parent: name, ..Default::default() };
    offer_service_client::OfferServiceClient, create_veto, Operator, |name| CreateVetoRequest { parent: name, of: "tenants/sapporo".into(), reason: String::new(), intent: any() };
    offer_service_client::OfferServiceClient, delete_veto, Veto, |name| DeleteVetoRequest { name, intent: any() };
    operator_service_client::OperatorServiceClient, get_operator, Operator, |name| GetOperatorRequest { name, read: None };
    member_service_client::MemberServiceClient, get_member, Member, |name| GetMemberRequest { name, read: None };
    key_service_client::KeyServiceClient, get_key, Key, |name| GetKeyRequest { name, read: None };
    key_service_client::KeyServiceClient, revoke_key, Key, |name| RevokeKeyRequest { name, intent: any() };
    key_service_client::KeyServiceClient, register_key, Key, |name| RegisterKeyRequest { key: Some(key_of(name)), issuer_signature: vec![1; 64].into(), intent: any() };
    site_service_client::SiteServiceClient, update_site, Site, |name| UpdateSiteRequest { site: Some(Site { name, display_name: "x".into(), etag: "1".into(), ..Default::default() }), update_mask: None, intent: any() };
    site_service_client::SiteServiceClient, set_power_cap, Site, |name| SetPowerCapRequest { name, watts: None, etag: "1".into(), intent: any() };
    approval_service_client::ApprovalServiceClient, get_approval, Approval, |name| GetApprovalRequest { name, read: None };
    approval_service_client::ApprovalServiceClient, sign_approval, Approval, |name| SignApprovalRequest { name, signature: Some(signature()), intent: any() };
    approval_service_client::ApprovalServiceClient, refuse_approval, Approval, |name| RefuseApprovalRequest { name, reason: String::new(), intent: any() };
    break_glass_service_client::BreakGlassServiceClient, get_break_glass, BreakGlass, |name| GetBreakGlassRequest { name, read: None };
    break_glass_service_client::BreakGlassServiceClient, end_break_glass, BreakGlass, |name| EndBreakGlassRequest { name, intent: any() };
    event_service_client::EventServiceClient, watch, Tenant, |name| WatchRequest { topics: vec![1], parent: name, ..Default::default() };
    job_service_client::JobServiceClient, list_jobs, Tenant, |name| ListJobsRequest { parent: name, ..Default::default() };
    job_service_client::JobServiceClient, get_job, Job, |name| GetJobRequest { name, read: None };
    job_service_client::JobServiceClient, upload_payload, Job, |name| upload(name);
    job_service_client::JobServiceClient, create_job, Tenant, |name| CreateJobRequest { parent: name, job_id: "train".into(), spec: spec(), payload: payload(), intent: any(), if_plan: None };
    job_service_client::JobServiceClient, cancel_job, Job, |name| CancelJobRequest { name, intent: any() };
    job_service_client::JobServiceClient, replace_job, Job, |name| ReplaceJobRequest { name, spec: spec(), payload: payload(), intent: any() };
    job_service_client::JobServiceClient, reseal_job, Job, |name| ResealJobRequest { name, spec: spec(), payload: payload(), intent: any() };
    job_service_client::JobServiceClient, batch_create_jobs, Tenant, |name| BatchCreateJobsRequest { requests: vec![CreateJobRequest { parent: name.clone(), job_id: "train".into(), spec: spec(), payload: payload(), intent: None, if_plan: None }], parent: name, intent: any() };
    job_service_client::JobServiceClient, batch_cancel_jobs, Job, |name| BatchCancelJobsRequest { parent: parent(&name), names: vec![name], intent: any() };
    job_service_client::JobServiceClient, plan_job, Tenant, |name| PlanJobRequest { parent: name, job_id: "train".into(), spec: spec() };
    job_service_client::JobServiceClient, explain_job, Job, |name| ExplainJobRequest { name };
    job_service_client::JobServiceClient, read_job_logs, Job, |name| ReadJobLogsRequest { name, stream: 1, max_bytes: 1, ..Default::default() };
};

/// Fields by which a request names something: of itself, or of the resource that it brings.
const NAMING: [&str; 4] = ["name", "names", "parent", "node"];

/// `CancelJob` as the code calls it.
fn snake(method: &str) -> String {
    let mut text = String::new();
    for letter in method.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// Every method of the public services whose request names a resource.
fn naming() -> BTreeSet<(String, String)> {
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let files = || set.file.iter().filter(|file| file.package() == "sekisho.v1");
    let fields = |message: &str| {
        let messages = files().flat_map(|file| &file.message_type);
        let message =
            messages.into_iter().find(|known| message.ends_with(&format!(".{}", known.name())));
        message.map(|message| message.field.clone()).unwrap_or_default()
    };
    let names = |message: &str| fields(message).iter().any(|field| NAMING.contains(&field.name()));
    let brought = |message: &str| {
        // The resource that a request creates or replaces has its own name for the field: `Tenant tenant`.
        let is_resource = |of: &str, name: &str| {
            of.rsplit('.').next().is_some_and(|of| of.eq_ignore_ascii_case(&name.replace('_', "")))
        };
        fields(message)
            .iter()
            .any(|field| is_resource(field.type_name(), field.name()) && names(field.type_name()))
    };
    let services = files().flat_map(|file| &file.service);
    let methods = services.flat_map(|service| {
        let of = |method: &prost_types::MethodDescriptorProto| {
            let input = method.input_type();
            (names(input) || brought(input))
                .then(|| (format!("{}Client", service.name()), snake(method.name())))
        };
        service.method.iter().filter_map(of).collect::<Vec<_>>()
    });
    methods.collect()
}

#[test]
fn every_method_that_names_a_resource_is_in_the_table() {
    let asked: BTreeSet<(String, String)> =
        ROWS.iter().map(|(of, method, ..)| ((*of).to_owned(), (*method).to_owned())).collect();
    // One's own key, which whoever has it may register: there is nothing of others to be learnt.
    let own = ("KeyServiceClient".to_owned(), "accept_key".to_owned());
    let naming = || naming().into_iter().filter(|row| *row != own).collect::<BTreeSet<_>>();
    let missing: Vec<_> = naming().difference(&asked).cloned().collect();
    assert!(missing.is_empty(), "not asked: {missing:?}");
    let gone: Vec<_> = asked.difference(&naming()).cloned().collect();
    assert!(gone.is_empty(), "name nothing: {gone:?}");
}

fn furnished() -> Fake {
    let fake = fake();
    fake.replica.elsewhere(|federation| {
        federation.tenant("otaru", Limit::Unlimited);
        federation.policy("inland", residency::Rules::default());
        federation.landmarks();
        federation.submit(testing::job("train", 1, 1, &["JP"]));
        let until = federation.state.clock().plus_ms(3_600_000);
        let reason = "drill".to_owned();
        federation.accept(testing::admin("naniwa"), Command::BreakGlass { reason, until });
        let policy = "joint".parse().unwrap();
        let joint = Joint::PutPolicy { policy, rules: residency::Rules::default(), expected: None };
        let joint = Box::new(joint);
        let command = Command::Propose { joint, expires: until };
        let entry = federation.entry(testing::admin("kanto"), &[], command);
        federation.apply(entry).outcome.unwrap();
        share(federation, &"sapporo".parse().unwrap());
    });
    fake
}

/// What a caller learns of an answer, with the name taken out, and what it cost.
async fn learned(fake: &Fake, door: &Door, ask: Ask, name: &str) -> (bool, String) {
    let cost = || {
        let replica = &fake.replica;
        (replica.reads.load(Ordering::Relaxed), replica.proposed.load(Ordering::Relaxed))
    };
    let before = cost();
    let answer = ask(door.clone(), name.to_owned()).await;
    let after = cost();
    let cost = (after.0 - before.0, after.1 - before.1);
    let Err(status) = answer else { return (true, format!("answered, {cost:?}")) };
    let error = ApiError::from_status(&status);
    // A request that is refused before anybody is asked who calls would prove nothing.
    let is_about_who = matches!(error.code, ErrorCode::NotFound | ErrorCode::PermissionDenied);
    assert!(error.explained && is_about_who, "{name}: {error:?}");
    let details = status.get_error_details();
    let text = format!(
        "{:?} {error:?} {:?} {:?} {} bytes, {cost:?}",
        status.code(),
        details.localized_message(),
        details.resource_info(),
        status.details().len(),
    );
    // Each part of it: a message may name the site of a node.
    let parts = name.split('/').filter(|part| part.len() > 1);
    (false, parts.fold(text.replace(name, "…"), |text, part| text.replace(part, "…")))
}

#[tokio::test]
async fn what_exists_and_what_does_not_look_alike_to_those_who_may_not_read_it() {
    let fake = furnished();
    let services = Services::new(Arc::clone(&fake.core)).authenticated().unwrap();
    let door = |principal: &Principal| Door {
        services: Measure::default().layer(services.clone()),
        peer: peer(principal),
    };
    // One of whom nobody has heard, one of another tenant, and one who may read all but what is a tenant's.
    let (stranger, other) = (user("kanto", "stranger"), user("kanto", "otaru"));
    for (client, method, of, ask) in ROWS {
        let (there, missing) = of.names();
        let shared = matches!(of, Of::Quota | Of::Budget | Of::Escrow | Of::Reservation);
        let is_tenants = shared || matches!(of, Of::Tenant | Of::Job);
        for caller in [Some(&stranger), Some(&other).filter(|_| is_tenants)].into_iter().flatten() {
            let door = door(caller);
            let (answered, known) = learned(&fake, &door, *ask, &there).await;
            assert!(!answered, "{client}::{method} answers {caller}");
            for name in &missing {
                let (_, unknown) = learned(&fake, &door, *ask, name).await;
                assert_eq!(known, unknown, "{client}::{method} of {name} for {caller}");
            }
        }
    }
}
