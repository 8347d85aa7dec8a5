//! The submitter of every job of these tests, who sends each with another one under one signature.

use crate::controller::{CLUSTER, key};
use sekisho_evidence::batch::Tree;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::command::Intention;
use sekisho_evidence::grant::Grant;
use sekisho_evidence::key::{Purpose, SigningKey};
use sekisho_evidence::submission::{Submission, Under, submit_item};
use sekisho_evidence::voucher::Voucher;
use sekisho_transport::clock::SystemClock;
use sekisho_types::id::RequestId;
use sekisho_types::job::{JobFacts, Kind, OverLimit, Resources};
use sekisho_types::principal::{KeyRecord, Role};
use sekisho_types::rare::Rare;
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Clock as _;

/// What the submitter signs for a job of which this could be a grant, with a key that `issuer` vouches for.
pub(crate) fn submission(grant: &Grant, issuer: &SigningKey, payload_len: usize) -> Submission {
    let facts = JobFacts {
        id: grant.job.clone(),
        kind: Kind::Batch,
        group: grant.group,
        resources: Resources::of(grant.class.clone(), grant.gpus),
        topology: Rare::default(),
        priority: 50,
        policy: None,
        reservation: None,
        residency: grant.rules[0].rules.clone(),
        on_disconnect: grant.on_disconnect,
        over_limit: OverLimit::Queue,
        time_limit_s: grant.time_limit_s,
        after: Rare::default(),
        not_before: None,
        start_by: None,
        payload: grant.payload,
        payload_len: u32::try_from(payload_len).unwrap(),
        sealed_to: Rare::default(),
        area_only: false,
    };
    let (alice, submitted_at) = (key(30), SystemClock.wall());
    let record = KeyRecord {
        principal: grant.submitter.clone(),
        role: Role::TenantUser(grant.job.tenant.clone()),
        public_key: alice.public(),
        expires: submitted_at.plus_ms(60_000),
    };
    let (request, incarnation) = (RequestId([3; 16]), Incarnation(1));
    let other = JobFacts { priority: 60, ..facts.clone() };
    let batch = Tree::of([other, facts.clone()].map(|facts| submit_item(&facts).unwrap()));
    let command = batch.digest().unwrap();
    let intention = Intention { cluster: CLUSTER, incarnation, request, command };
    let signature = intention.sign(record.principal.clone(), &alice);
    let voucher = Voucher::Issuer(issuer.sign(Purpose::KeyRecord, &encode(&record).unwrap()));
    Submission {
        facts,
        place: batch.place(1),
        request,
        incarnation,
        submitted_at,
        signature,
        key: record,
        voucher,
        under: Under::Submit,
    }
}
