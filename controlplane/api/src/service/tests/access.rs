//! The table of roles through admission: each verb that the API has, as a request of a person of each role, on what is one's
//! own and on what is another's. Unsigned and dry, so that nothing but the role decides: a cell that allows ends well or for
//! want of signatures or of the right state, one that denies is denied or hidden.

use super::*;
use crate::service::approval::ApprovalApi;
use crate::service::audit::AuditApi;
use crate::service::break_glass::BreakGlassApi;
use crate::service::budget::BudgetApi;
use crate::service::escrow::EscrowApi;
use crate::service::job::JobApi;
use crate::service::key::KeyApi;
use crate::service::landmark::LandmarkApi;
use crate::service::member::MemberApi;
use crate::service::node::NodeApi;
use crate::service::offer::OfferApi;
use crate::service::policy::PolicyApi;
use crate::service::quota::QuotaApi;
use crate::service::scheduler::SchedulerApi;
use crate::service::site::SiteApi;
use crate::service::tenant::TenantApi;
use crate::service::trust::TrustApi;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::key::Purpose;
use sekisho_fsm::command::Command;
use sekisho_fsm::role::{Target, Verb, allows};
use sekisho_fsm::testing::location::landmark;
use sekisho_fsm::testing::{BEGIN, CLASS, admin, first_quota, job, key, node_key, user, user_key};
use sekisho_proto::convert::approval::NewApproval;
use sekisho_proto::convert::budget::PutBudget;
use sekisho_proto::convert::escrow::SetEscrow;
use sekisho_proto::convert::job::NewJob;
use sekisho_proto::convert::key::RegisterKey;
use sekisho_proto::convert::landmark::Reached;
use sekisho_proto::convert::member::SetVoter;
use sekisho_proto::convert::node::NewToken;
use sekisho_proto::convert::offer::{NewVeto, PutOffer};
use sekisho_proto::convert::policy::PutPolicy;
use sekisho_proto::convert::quota::SetQuota;
use sekisho_proto::convert::site::{NewSite, SetPowerCap, UpdateSite};
use sekisho_proto::convert::tenant::PutTenant;
use sekisho_proto::convert::trust::ChangeBundle;
use sekisho_proto::name::{BudgetId, EscrowId, KeyId, OfferId, QuotaId, Resource as _, VetoId};
use sekisho_proto::v1;
use sekisho_proto::v1::approval_service_server::ApprovalService as _;
use sekisho_proto::v1::audit_service_server::AuditService as _;
use sekisho_proto::v1::break_glass_service_server::BreakGlassService as _;
use sekisho_proto::v1::budget_service_server::BudgetService as _;
use sekisho_proto::v1::escrow_service_server::EscrowService as _;
use sekisho_proto::v1::job_service_server::JobService as _;
use sekisho_proto::v1::key_service_server::KeyService as _;
use sekisho_proto::v1::landmark_service_server::LandmarkService as _;
use sekisho_proto::v1::member_service_server::MemberService as _;
use sekisho_proto::v1::node_service_server::NodeService as _;
use sekisho_proto::v1::offer_service_server::OfferService as _;
use sekisho_proto::v1::policy_service_server::PolicyService as _;
use sekisho_proto::v1::quota_service_server::QuotaService as _;
use sekisho_proto::v1::scheduler_service_server::SchedulerService as _;
use sekisho_proto::v1::site_service_server::SiteService as _;
use sekisho_proto::v1::tenant_service_server::TenantService as _;
use sekisho_proto::v1::trust_service_server::TrustService as _;
use sekisho_types::id::{Digest, MemberId, NodeId, OperatorId, PublicKey, TenantId};
use sekisho_types::joint::Joint;
use sekisho_types::jurisdiction::Area;
use sekisho_types::offer::Vetoed;
use sekisho_types::patch::Patch;
use sekisho_types::payload::JobPayload;
use sekisho_types::principal::{KeyRecord, Principal, Role};
use sekisho_types::quota::{Allotment, Limit};
use sekisho_types::residency::Rules;
use sekisho_types::revision::Revision;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Things of kanto and of naniwa, of sapporo and of otaru.
const OWN: (&str, &str, &str) = ("kanto", "tokyo-1", "tokyo-1/n-01");
const OTHER: (&str, &str, &str) = ("naniwa", "sakai-1", "sakai-1/n-01");

/// Verbs that no request here stands for, and why.
fn elsewhere(verb: Verb) -> Option<&'static str> {
    match verb {
        Verb::SaveSnapshot => Some("tests/snapshot.rs: it streams, to a domestic site only"),
        Verb::ReadLogs => Some("tests/job.rs: it asks the job's host"),
        Verb::RegisterAdmin => Some("apply alone: the API registers any role by one request"),
        Verb::ReadFix => Some("tests/landmark.rs: it needs a fix that is kept"),
        Verb::ReadStatus
        | Verb::ReadFederation
        | Verb::ReadTenant
        | Verb::ReadAudit
        | Verb::CreateSite
        | Verb::RevokeSite
        | Verb::RegisterKey
        | Verb::RevokeKey
        | Verb::CreateToken
        | Verb::Cordon
        | Verb::RevokeNode
        | Verb::CreateTenant
        | Verb::UpdateTenant
        | Verb::PutPolicy
        | Verb::SetQuota
        | Verb::SubmitJob
        | Verb::CancelJob
        | Verb::ChangeBundle
        | Verb::ChangeMembers
        | Verb::TransferLeader
        | Verb::Drain
        | Verb::Undrain
        | Verb::ApproveNode
        | Verb::Decommission
        | Verb::ReleaseNode
        | Verb::RegisterLandmark
        | Verb::RemoveLandmark
        | Verb::ProveNode
        | Verb::Uncordon
        | Verb::ReadApprovals
        | Verb::UpdateSite
        | Verb::SetPowerCap
        | Verb::DeletePolicy
        | Verb::DeleteTenant
        | Verb::SetBudget
        | Verb::SetEscrow
        | Verb::PutOffer
        | Verb::WithdrawOffer
        | Verb::Veto
        | Verb::LiftVeto
        | Verb::ReadVetoes
        | Verb::PutReservation
        | Verb::DeleteReservation
        | Verb::ReadReservations
        | Verb::BreakGlass
        | Verb::EndBreakGlass => None,
    }
}

fn roles() -> Vec<(Principal, Role)> {
    let tenant: TenantId = "sapporo".parse().unwrap();
    let roles = [
        Role::FederationAdmin,
        Role::OperatorAdmin,
        Role::TenantAdmin(tenant.clone()),
        Role::TenantUser(tenant),
        Role::Auditor,
        Role::Monitor,
        Role::Archivist("tokyo-1".parse().unwrap()),
    ];
    let named = (0..).zip(roles).map(|(n, role)| (user("kanto", &format!("r-{n}")), role));
    named.collect()
}

/// The fixture, with somebody of each role and something of another tenant.
fn peopled() -> Fake {
    let fake = fake();
    fake.replica.elsewhere(|federation| {
        federation.tenant("otaru", Limit::Unlimited);
        for (principal, role) in roles() {
            let expires = BEGIN.plus_ms(86_400_000);
            let public_key = user_key(&principal).public();
            let record = KeyRecord { principal, role, public_key, expires };
            let bytes = encode(&record).unwrap();
            let issuer = key("issuer", "kanto").sign(Purpose::KeyRecord, &bytes);
            let command = Command::RegisterKey { record, issuer };
            // Two sign, which a federation-admin's key takes.
            let entry = federation.entry(admin("kanto"), &[admin("naniwa")], command);
            federation.apply(entry).outcome.unwrap();
        }
        federation.submit(job("train", 1, 1, &[]));
        let mut theirs = job("train", 1, 1, &[]);
        theirs.id.tenant = "otaru".parse().unwrap();
        federation.submit(theirs);
        federation.policy("standing", Rules::default());
        let until = BEGIN.plus_ms(3_600_000);
        federation.accept(admin("naniwa"), Command::BreakGlass { reason: "drill".into(), until });
    });
    fake
}

#[derive(Debug, Default)]
struct Cells {
    verbs: BTreeSet<Verb>,
    count: usize,
    allowed: usize,
}

impl Cells {
    /// Holds what came out for a principal of this role to the table.
    fn check<T>(
        &mut self,
        (verb, target): (Verb, Target<'_>),
        role: &Role,
        answer: Result<Response<T>, Status>,
    ) {
        let own: OperatorId = "kanto".parse().unwrap();
        let due = allows(role, &own, verb, target);
        let refusal = answer.map(|_| ()).err().map(|status| ApiError::from_status(&status).code);
        let denied = matches!(refusal, Some(ErrorCode::PermissionDenied | ErrorCode::NotFound));
        assert_eq!(!denied, due, "{verb:?} {target:?} as {role}: {refusal:?}");
        self.verbs.insert(verb);
        (self.count, self.allowed) = (self.count + 1, self.allowed + usize::from(due));
    }
}

fn dry() -> v1::Intent {
    v1::Intent { request_id: "0a".repeat(16), validate_only: true, ..v1::Intent::default() }
}

/// Sends this request as somebody of each role.
macro_rules! cell {
    ($cells:ident, $verb:expr, $target:expr, $api:expr, $method:ident, $ask:expr) => {
        for (who, role) in roles() {
            let answer = $api.$method(request(&who, $ask)).await;
            $cells.check(($verb, $target), &role, answer);
        }
    };
}

// Behind the macro, which it uses.
mod reservation;

#[tokio::test]
async fn each_verb_of_the_api_is_admitted_as_the_table_says() {
    let fake = peopled();
    let mut cells = Cells::default();
    federation(&fake, &mut cells).await;
    quotas(&fake, &mut cells).await;
    power(&fake, &mut cells).await;
    for (things, tenant) in [(OWN, "sapporo"), (OTHER, "otaru")] {
        operators(&fake, &mut cells, things).await;
        offers(&fake, &mut cells, things).await;
        reservation::cells(&fake, &mut cells, things).await;
        nodes(&fake, &mut cells, things).await;
        tenants(&fake, &mut cells, &tenant.parse().unwrap()).await;
    }
    for verb in Verb::ALL {
        assert_ne!(cells.verbs.contains(&verb), elsewhere(verb).is_some(), "{verb:?}");
    }
    let (verbs, roles) = (cells.verbs.len(), roles().len());
    println!(
        "cells through admission: {} of {verbs} verbs and {roles} roles, {} allow",
        cells.count, cells.allowed
    );
    assert_eq!(cells.count, 77 * roles);
}

/// What is of the federation as a whole.
async fn federation(fake: &Fake, cells: &mut Cells) {
    let core = || Arc::clone(&fake.core);
    let whole = Target::Federation;
    let status = v1::GetStatusRequest {};
    cell!(cells, Verb::ReadStatus, whole, MemberApi(core()), get_status, status);
    let list = v1::ListSitesRequest::default;
    cell!(cells, Verb::ReadFederation, whole, SiteApi(core()), list_sites, list());
    let records = v1::ListRecordsRequest::default;
    cell!(cells, Verb::ReadAudit, whole, AuditApi::new(core()), list_records, records());
    let (planner, snapshot) = (SchedulerApi::new(core()), v1::GetSnapshotRequest {});
    cell!(cells, Verb::ReadAudit, whole, planner, get_snapshot, snapshot);
    let list = v1::ListApprovalsRequest::default;
    cell!(cells, Verb::ReadApprovals, whole, ApprovalApi(core()), list_approvals, list());
    let site = NewSite {
        site: "osaka-2".parse().unwrap(),
        operator: "naniwa".parse().unwrap(),
        area: Area::resolve("271004").unwrap(),
        display_name: String::new(),
    };
    cell!(cells, Verb::CreateSite, whole, SiteApi(core()), create_site, site.request(dry()));
    let (policy, rules) = ("gov".parse().unwrap(), Rules::default());
    let put = PutPolicy { policy, rules, expected: None };
    cell!(
        cells,
        Verb::PutPolicy,
        whole,
        PolicyApi(core()),
        create_policy,
        put.create_request(dry())
    );
    let new = PutTenant {
        tenant: "mito".parse().unwrap(),
        display_name: Patch::Set(String::new()),
        policy: Patch::Set(None),
        parent: Patch::Set(None),
        expected: None,
    };
    let api = TenantApi(core());
    cell!(cells, Verb::CreateTenant, whole, api, create_tenant, new.create_request(dry()));
    let tenant: TenantId = "sapporo".parse().unwrap();
    let expected = Some(Revision(1));
    let put = PutTenant { tenant, expected, ..new };
    cell!(cells, Verb::UpdateTenant, whole, api, update_tenant, put.update_request(dry()));
    let delete = || v1::DeletePolicyRequest {
        name: "policies/standing".into(),
        etag: "1".into(),
        intent: Some(dry()),
    };
    cell!(cells, Verb::DeletePolicy, whole, PolicyApi(core()), delete_policy, delete());
    let delete = || v1::DeleteTenantRequest {
        name: "tenants/sapporo".into(),
        etag: "1".into(),
        intent: Some(dry()),
    };
    cell!(cells, Verb::DeleteTenant, whole, TenantApi(core()), delete_tenant, delete());
}

/// What tenants may hold and use.
async fn quotas(fake: &Fake, cells: &mut Cells) {
    let core = || Arc::clone(&fake.core);
    let whole = Target::Federation;
    let (tenant, class) = ("sapporo".parse::<TenantId>().unwrap(), || CLASS.parse().unwrap());
    let area = Area::Japan;
    let quota = QuotaId { tenant: tenant.clone(), class: class(), area };
    let (allotment, expected) = (Allotment::own(Limit::Gpus(1)), first_quota());
    let set = SetQuota { quota, allotment, expected };
    cell!(cells, Verb::SetQuota, whole, QuotaApi(core()), update_quota, set.request(dry()));
    let (of, class_of) = (tenant.clone(), class());
    let joint = Joint::SetQuota { tenant: of, class: class_of, area, allotment, expected };
    let new = NewApproval { joint, expires: BEGIN.plus_ms(1000) };
    cell!(cells, Verb::SetQuota, whole, ApprovalApi(core()), create_approval, new.request(dry()));
    let budget = BudgetId { tenant: tenant.clone(), name: "month".parse().unwrap() };
    let put = PutBudget { budget, spec: monthly(), expected: Revision(0) };
    let budgets = BudgetApi(core());
    cell!(cells, Verb::SetBudget, whole, budgets, create_budget, put.create_request(dry()));
    let escrow = EscrowId { site: "tokyo-1".parse().unwrap(), tenant, class: class() };
    let hold = SetEscrow { escrow, gpus: 1, expected: Revision(0) };
    cell!(cells, Verb::SetEscrow, whole, EscrowApi(core()), update_escrow, hold.request(dry()));
}

/// What is of all and takes or moves power.
async fn power(fake: &Fake, cells: &mut Cells) {
    let core = || Arc::clone(&fake.core);
    let whole = Target::Federation;
    let members = MemberApi(core());
    let vote = SetVoter { member: MemberId(1), voter: false, accept_quorum_in_one_hand: false };
    cell!(cells, Verb::ChangeMembers, whole, members, set_voter, vote.request(dry()));
    let Command::ChangeBundle(agreement) = fake.replica.federation.lock().newcomer(4, "kanto")
    else {
        panic!("a change of the bundle")
    };
    let change = || ChangeBundle { agreement: agreement.clone() }.request(dry()).unwrap();
    cell!(cells, Verb::ChangeBundle, whole, TrustApi(core()), change_bundle, change());
    let glass = BreakGlassApi(core());
    let take = || v1::CreateBreakGlassRequest {
        reason: "drill".into(),
        until_ms: BEGIN.plus_ms(1000).0,
        intent: Some(dry()),
    };
    cell!(cells, Verb::BreakGlass, whole, glass, create_break_glass, take());
    let opened = *fake.core.replica.state().break_glasses().next().unwrap().0;
    let name = format!("breakGlasses/{opened}");
    let end = || v1::EndBreakGlassRequest { name: name.clone(), intent: Some(dry()) };
    cell!(cells, Verb::EndBreakGlass, whole, glass, end_break_glass, end());
}

/// What is of one operator.
async fn operators(fake: &Fake, cells: &mut Cells, (operator, site, _): (&str, &str, &str)) {
    let core = || Arc::clone(&fake.core);
    let of: OperatorId = operator.parse().unwrap();
    let target = Target::Operator(&of);
    let name = format!("sites/{site}");
    let revoke = || v1::RevokeSiteRequest { name: name.clone(), intent: Some(dry()) };
    cell!(cells, Verb::RevokeSite, target, SiteApi(core()), revoke_site, revoke());
    let record = KeyRecord {
        principal: user(operator, "bob"),
        role: Role::Auditor,
        public_key: PublicKey([7; 32]),
        expires: BEGIN.plus_ms(1000),
    };
    let issuer = key("issuer", operator).sign(Purpose::KeyRecord, &encode(&record).unwrap());
    let keys = KeyApi(core());
    let register = RegisterKey { record, issuer };
    cell!(cells, Verb::RegisterKey, target, keys, register_key, register.request(dry()));
    let principal = admin(operator);
    let name = KeyId { key: user_key(&principal).public(), principal }.name();
    let revoke = || v1::RevokeKeyRequest { name: name.clone(), intent: Some(dry()) };
    cell!(cells, Verb::RevokeKey, target, keys, revoke_key, revoke());
    let (id, expected) = (site.parse().unwrap(), Revision(1));
    let update = UpdateSite { site: id, display_name: "Otemachi".into(), expected };
    cell!(cells, Verb::UpdateSite, target, SiteApi(core()), update_site, update.request(dry()));
    let cap = SetPowerCap { site: update.site, watts: Some(1), expected };
    cell!(cells, Verb::SetPowerCap, target, SiteApi(core()), set_power_cap, cap.request(dry()));
    let leader = MemberId(if operator == "kanto" { 2 } else { 3 });
    *fake.replica.leader.lock() = Some(leader);
    let hand = || v1::TransferLeaderRequest { name: leader.name() };
    cell!(cells, Verb::TransferLeader, target, MemberApi(core()), transfer_leader, hand());
    let own = format!("{operator}/otemachi");
    let mut measured = landmark("kanto/otemachi");
    measured.id = own.parse().unwrap();
    // Each has a key of its own: one of another landmark is refused.
    measured.key = key("landmark", &own).public();
    let new = Reached {
        landmark: measured,
        address: "a.example:7100".to_owned(),
        datagrams: "a.example:7101".to_owned(),
    };
    let landmarks = LandmarkApi(core());
    let create = || new.request(dry());
    cell!(cells, Verb::RegisterLandmark, target, landmarks, create_landmark, create());
    fake.replica.elsewhere(|federation| {
        let command = Command::RegisterLandmark {
            landmark: Box::new(new.landmark.clone()),
            address: new.address.clone(),
            datagrams: new.datagrams.clone(),
        };
        federation.accept(admin(operator), command);
    });
    let name = new.landmark.id.name();
    let delete =
        || v1::DeleteLandmarkRequest { name: name.clone(), etag: "1".into(), intent: Some(dry()) };
    cell!(cells, Verb::RemoveLandmark, target, landmarks, delete_landmark, delete());
}

/// What an operator offers and does not take.
async fn offers(fake: &Fake, cells: &mut Cells, (operator, site, _): (&str, &str, &str)) {
    let operator: OperatorId = operator.parse().unwrap();
    let target = Target::Operator(&operator);
    let api = OfferApi(Arc::clone(&fake.core));
    let offer = OfferId { site: site.parse().unwrap(), name: "spare".parse().unwrap() };
    let put = PutOffer { offer, spec: testing::offer(4), expected: None };
    cell!(cells, Verb::PutOffer, target, api, create_offer, put.create_request(dry()));
    let name = format!("sites/{site}/offers/all");
    let withdraw =
        || v1::WithdrawOfferRequest { name: name.clone(), etag: "1".into(), intent: Some(dry()) };
    cell!(cells, Verb::WithdrawOffer, target, api, withdraw_offer, withdraw());
    let of = Vetoed::Tenant("otaru".parse().unwrap());
    let (by, reason) = (operator.clone(), "drill".to_owned());
    let veto = NewVeto { operator: by, of: of.clone(), reason };
    cell!(cells, Verb::Veto, target, api, create_veto, veto.request(dry()));
    let name = VetoId { operator: operator.clone(), of }.name();
    let lift = || v1::DeleteVetoRequest { name: name.clone(), intent: Some(dry()) };
    cell!(cells, Verb::LiftVeto, target, api, delete_veto, lift());
    let list = || v1::ListVetoesRequest { parent: operator.name(), ..Default::default() };
    cell!(cells, Verb::ReadVetoes, target, api, list_vetoes, list());
}

/// What is done to a node.
async fn nodes(fake: &Fake, cells: &mut Cells, (operator, site, node): (&str, &str, &str)) {
    let of: OperatorId = operator.parse().unwrap();
    let target = Target::Operator(&of);
    let id: NodeId = node.parse().unwrap();
    let api = NodeApi(Arc::clone(&fake.core));
    let (name, intent) = (|| id.name(), || Some(dry()));
    let token = NewToken {
        token: Digest([1; 32]),
        node: format!("{site}/n-09").parse().unwrap(),
        expires: BEGIN.plus_ms(1000),
        approved: true,
    };
    cell!(cells, Verb::CreateToken, target, api, create_join_token, token.request(dry()));
    let cordon = || v1::CordonNodeRequest { name: name(), intent: intent() };
    cell!(cells, Verb::Cordon, target, api, cordon_node, cordon());
    let uncordon = || v1::UncordonNodeRequest { name: name(), intent: intent() };
    cell!(cells, Verb::Uncordon, target, api, uncordon_node, uncordon());
    let drain = || v1::DrainNodeRequest {
        name: name(),
        within_s: None,
        message: String::new(),
        intent: intent(),
    };
    cell!(cells, Verb::Drain, target, api, drain_node, drain());
    let undrain = || v1::UndrainNodeRequest { name: name(), keep_cordoned: true, intent: intent() };
    cell!(cells, Verb::Undrain, target, api, undrain_node, undrain());
    let node_key = node_key(&id).to_string();
    let approve =
        || v1::ApproveNodeRequest { name: name(), node_key: node_key.clone(), intent: intent() };
    cell!(cells, Verb::ApproveNode, target, api, approve_node, approve());
    let decommission = || v1::DecommissionNodeRequest { name: name(), intent: intent() };
    cell!(cells, Verb::Decommission, target, api, decommission_node, decommission());
    let revoke = || v1::RevokeNodeRequest { name: name(), intent: intent() };
    cell!(cells, Verb::RevokeNode, target, api, revoke_node, revoke());
    let release = || v1::ReleaseNodeRequest { name: name(), intent: intent() };
    cell!(cells, Verb::ReleaseNode, target, api, release_node, release());
    let prove = || v1::ProveNodeRequest { name: name() };
    cell!(cells, Verb::ProveNode, target, api, prove_node, prove());
}

/// What is of one tenant.
async fn tenants(fake: &Fake, cells: &mut Cells, tenant: &TenantId) {
    let core = || Arc::clone(&fake.core);
    let target = Target::Tenant(tenant);
    let read = || v1::GetTenantRequest { name: tenant.name(), read: None };
    cell!(cells, Verb::ReadTenant, target, TenantApi(core()), get_tenant, read());
    let jobs = JobApi(core());
    let payload = JobPayload { command: vec!["true".into()], ..JobPayload::default() };
    let payload = encode(&payload).unwrap();
    let mut facts = job("new", 1, 1, &["JP-13"]);
    facts.id.tenant = tenant.clone();
    facts.payload = Digest::of(&payload);
    facts.payload_len = payload.len().try_into().unwrap();
    let new = NewJob { facts, payload: payload.into() };
    cell!(cells, Verb::SubmitJob, target, jobs, create_job, new.request(dry()));
    let name = format!("{}/jobs/train", tenant.name());
    let cancel = || v1::CancelJobRequest { name: name.clone(), intent: Some(dry()) };
    cell!(cells, Verb::CancelJob, target, jobs, cancel_job, cancel());
}
