//! What rogues give for the submission that they lack: sound in every part that keys of their own can sign, with one
//! of them in the place of the issuer's, which no controller has.

use super::history::PAYLOAD;
use anyhow::{Context as _, Result};
use sekisho_evidence::canonical::encode;
use sekisho_evidence::command::Intention;
use sekisho_evidence::grant::Grant;
use sekisho_evidence::key::{Purpose, SigningKey};
use sekisho_evidence::submission::{Submission, Under, submit_command};
use sekisho_evidence::voucher::Voucher;
use sekisho_types::id::{Digest, RequestId};
use sekisho_types::job::{JobFacts, Kind, OverLimit, Resources};
use sekisho_types::principal::{KeyRecord, Role};
use sekisho_types::rare::Rare;
use sekisho_types::time::Timestamp;

/// A submission of the job that this grants, by a submitter and an issuer that do not exist.
pub(super) fn forged(grant: &Grant, now: Timestamp) -> Result<Submission> {
    let forger = SigningKey::from_seed(&[0x66; 32]);
    let facts = JobFacts {
        id: grant.job.clone(),
        kind: Kind::Batch,
        group: grant.group,
        resources: Resources::of(grant.class.clone(), grant.gpus),
        topology: Rare::default(),
        priority: 50,
        policy: None,
        reservation: None,
        residency: grant.rules.first().context("the job's own rules")?.rules.clone(),
        on_disconnect: grant.on_disconnect,
        over_limit: OverLimit::Queue,
        time_limit_s: grant.time_limit_s,
        after: Rare::default(),
        not_before: None,
        start_by: None,
        payload: grant.payload,
        payload_len: u32::try_from(PAYLOAD.len())?,
        sealed_to: Rare::default(),
        area_only: false,
    };
    let key = KeyRecord {
        principal: grant.submitter.clone(),
        role: Role::TenantUser(grant.job.tenant.clone()),
        public_key: forger.public(),
        expires: now.plus_ms(3_600_000),
    };
    let (request, incarnation) = (RequestId([1; 16]), grant.placement.epoch.incarnation);
    let command = Digest::of(&submit_command(&facts)?);
    let intention = Intention { cluster: grant.cluster, incarnation, request, command };
    let signature = intention.sign(key.principal.clone(), &forger);
    let voucher = Voucher::Issuer(forger.sign(Purpose::KeyRecord, &encode(&key)?));
    Ok(Submission {
        facts,
        place: None,
        request,
        incarnation,
        submitted_at: now,
        signature,
        key,
        voucher,
        under: Under::Submit,
    })
}
