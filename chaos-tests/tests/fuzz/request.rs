//! Requests of the public API, from the bytes of the message to the words of the domain.

use crate::{Read, decoders, sample};
use prost::Message;
use sekisho_proto::convert::approval::{NewApproval, SignApproval};
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::job::NewJob;
use sekisho_proto::convert::key::RegisterKey;
use sekisho_proto::convert::landmark::Reached;
use sekisho_proto::convert::login::Login;
use sekisho_proto::convert::member::{SetMemberAddress, SetVoter};
use sekisho_proto::convert::node::NewToken;
use sekisho_proto::convert::policy::PutPolicy;
use sekisho_proto::convert::quota::SetQuota;
use sekisho_proto::convert::site::NewSite;
use sekisho_proto::convert::tenant::PutTenant;
use sekisho_proto::convert::trust::ChangeBundle;
use sekisho_proto::name::{KeyId, Resource as _};
use sekisho_proto::v1;
use sekisho_types::residency::Rules;

/// The message of these bytes, made a word of the domain by `read`.
pub(crate) fn message<M: Message + Default, T, E>(
    bytes: &[u8],
    read: impl FnOnce(M) -> Result<T, E>,
) -> Read {
    M::decode(bytes).map_or(Read::Refused, |message| Read::any(read(message)))
}

pub(crate) fn of(messages: &[&dyn Fn() -> Vec<u8>]) -> Vec<Vec<u8>> {
    messages.iter().map(|message| message()).collect()
}

pub(crate) fn intent() -> Option<v1::Intent> {
    let signature = v1::Signature {
        principal: "kanto/user/admin".to_owned(),
        public_key: vec![1; 32].into(),
        signature: vec![2; 64].into(),
    };
    Some(v1::Intent {
        request_id: "ab".repeat(16),
        validate_only: true,
        signatures: vec![signature],
        incarnation: 1,
    })
}

fn rules() -> v1::Rules {
    v1::Rules {
        areas: vec!["JP".to_owned(), "131016".to_owned()],
        denied_areas: vec!["271004".to_owned()],
        operators: vec!["kanto".to_owned()],
        country_tier: "T2".to_owned(),
        area_tier: "T1".to_owned(),
        proof_f: Some(1),
        max_proof_age_s: Some(600),
        on_stale_proof: "drain".to_owned(),
        ..v1::Rules::default()
    }
}

fn job() -> Vec<u8> {
    let facts = sekisho_fsm::testing::job("train", 2, 1, &["JP-13"]);
    let payload = sekisho_fsm::testing::payload_of(&sekisho_fsm::command::Command::SubmitJob {
        facts: Box::new(facts.clone()),
    });
    NewJob { facts, payload: payload.into() }.request(intent().unwrap()).encode_to_vec()
}

fn tenant() -> v1::Tenant {
    v1::Tenant {
        name: "tenants/sapporo".to_owned(),
        display_name: "札幌市".to_owned(),
        policy: "policies/hokkaido".to_owned(),
        etag: "12".to_owned(),
        ..v1::Tenant::default()
    }
}

fn policy() -> v1::Policy {
    v1::Policy {
        name: "policies/hokkaido".to_owned(),
        rules: Some(rules()),
        etag: "12".to_owned(),
        since_ms: 0,
    }
}

decoders! {
    intents: of(&[&|| intent().unwrap().encode_to_vec()]),
        |bytes: &[u8]| message(bytes, |m: v1::Intent| Intent::try_from(&m));
    rules_message: of(&[&|| rules().encode_to_vec()]), |bytes: &[u8]| message(bytes, |m: v1::Rules| Rules::try_from(&m));
    create_job: of(&[&job]), |bytes: &[u8]| message(bytes, |m: v1::CreateJobRequest| NewJob::try_from(m));
    create_tenant: of(&[&|| {
        let tenant = Some(tenant());
        v1::CreateTenantRequest { tenant_id: "sapporo".to_owned(), tenant, intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::CreateTenantRequest| PutTenant::try_from(&m));
    create_policy: of(&[&|| {
        let policy = Some(policy());
        v1::CreatePolicyRequest { policy_id: "hokkaido".to_owned(), policy, intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::CreatePolicyRequest| PutPolicy::try_from(&m));
    set_quota: of(&[&|| {
        let name = "tenants/sapporo/quotas/sim-h100".to_owned();
        let (limit, etag) = ("12".to_owned(), "7".to_owned());
        let quota = Some(v1::Quota { name, limit, etag, ..v1::Quota::default() });
        let update_mask = None;
        v1::UpdateQuotaRequest { quota, update_mask, intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::UpdateQuotaRequest| SetQuota::try_from(&m));
    create_site: of(&[&|| {
        let site = v1::Site { operator: "kanto".to_owned(), area: "131016".to_owned(), ..v1::Site::default() };
        v1::CreateSiteRequest { site_id: "tokyo-2".to_owned(), site: Some(site), intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::CreateSiteRequest| NewSite::try_from(&m));
    join_tokens: of(&[&|| v1::CreateJoinTokenRequest {
        node: "sites/tokyo-1/nodes/n-01".to_owned(),
        secret_sha256: "ab".repeat(32),
        expires_ms: 1_800_000_000_000,
        intent: intent(),
        approved: true,
    }.encode_to_vec()]), |bytes: &[u8]| message(bytes, |m: v1::CreateJoinTokenRequest| NewToken::try_from(&m));
    register_key: of(&[&|| {
        let key = v1::Key {
            name: String::new(),
            principal: "kanto/user/ops".to_owned(),
            public_key: vec![1; 32].into(),
            role: "tenant-user:sapporo".to_owned(),
            expires_ms: 1_800_000_000_000,
        };
        v1::RegisterKeyRequest { key: Some(key), issuer_signature: vec![2; 64].into(), intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::RegisterKeyRequest| RegisterKey::try_from(&m));
    revoke_key: of(&[&|| {
        let name = format!("operators/kanto/users/ops/keys/{}", "0a".repeat(32));
        v1::RevokeKeyRequest { name, intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::RevokeKeyRequest| KeyId::from_field("name", &m.name));
    create_landmark: of(&[&|| {
        let landmark = v1::Landmark {
            position: "35.686,139.764".to_owned(),
            survey_m: 50,
            key: "ab".repeat(32),
            address: "127.0.0.1:7100".to_owned(),
            datagrams: "127.0.0.1:7101".to_owned(),
            ..v1::Landmark::default()
        };
        v1::CreateLandmarkRequest {
            parent: "operators/kanto".to_owned(),
            landmark_id: "tokyo-1".to_owned(),
            landmark: Some(landmark),
            intent: intent(),
        }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::CreateLandmarkRequest| Reached::try_from(&m));
    set_voter: of(&[&|| v1::SetVoterRequest {
        name: "members/4".to_owned(),
        voter: true,
        accept_quorum_in_one_hand: false,
        intent: intent(),
    }.encode_to_vec()]), |bytes: &[u8]| message(bytes, |m: v1::SetVoterRequest| SetVoter::try_from(&m));
    member_address: of(&[&|| v1::SetMemberAddressRequest {
        name: "members/4".to_owned(),
        address: "c4.kanto.example:7443".to_owned(),
        intent: intent(),
    }.encode_to_vec()]), |bytes: &[u8]| message(bytes, |m: v1::SetMemberAddressRequest| SetMemberAddress::try_from(&m));
    change_bundle: [sample::change_bundle(intent())],
        |bytes: &[u8]| message(bytes, |m: v1::ChangeBundleRequest| ChangeBundle::try_from(&m));
    create_approval: of(&[&|| {
        let name = "tenants/sapporo/quotas/sim-h100".to_owned();
        let (limit, etag) = ("12".to_owned(), "7".to_owned());
        let quota = Some(v1::Quota { name, limit, etag, ..v1::Quota::default() });
        let update = v1::UpdateQuotaRequest { quota, update_mask: None, intent: None };
        let change = Some(v1::approval::change::Change::UpdateQuota(update));
        let change = Some(v1::approval::Change { change });
        v1::CreateApprovalRequest { change, expires_ms: 1_800_000_000_000, intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::CreateApprovalRequest| NewApproval::try_from(&m));
    sign_approval: of(&[&|| {
        let signature = intent().and_then(|intent| intent.signatures.into_iter().next());
        let name = format!("approvals/{}", "0a".repeat(16));
        v1::SignApprovalRequest { name, signature, intent: intent() }.encode_to_vec()
    }]), |bytes: &[u8]| message(bytes, |m: v1::SignApprovalRequest| SignApproval::try_from(&m));
    login: of(&[&|| v1::LoginRequest {
        id_token: "a.b.c".to_owned(),
        csr: vec![0x30, 0].into(),
        public_key: vec![1; 32].into(),
        possession: vec![2; 64].into(),
    }.encode_to_vec()]), |bytes: &[u8]| message(bytes, |m: v1::LoginRequest| Login::try_from(&m));
}
