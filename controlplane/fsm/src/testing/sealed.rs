//! Sites' keys and sealed payloads of the fixture.

use super::{Federation, OPERATORS, agent, cluster, key, member, receipt_key, user};
use crate::command::Command;
use crate::outcome::Applied;
use sekisho_evidence::receipt::Refusal;
use sekisho_evidence::sealed::{
    Context, SealedPayload, SignedSiteKey, SiteKeyRecord, SiteSecretKey, seal,
};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, SiteId};
use sekisho_types::job::JobFacts;
use sekisho_types::jurisdiction::Area;
use sekisho_types::revision::{KeyEpoch, PlacementId};

fn of(site: &str) -> (&'static str, &'static str) {
    let (operator, _, area) = OPERATORS.iter().find(|(_, own, _)| *own == site).unwrap();
    (operator, area)
}

/// The secret key of a site of the fixture.
#[must_use]
pub fn site_secret(site: &str, epoch: u32) -> SiteSecretKey {
    let tags = key("site-tag", of(site).0);
    SiteSecretKey::derive(&tags, &cluster(), site.parse().unwrap(), KeyEpoch(epoch)).unwrap()
}

/// The public half, as its operator says it.
#[must_use]
pub fn site_key_record(site: &str, epoch: u32) -> SiteKeyRecord {
    let (operator, area) = of(site);
    SiteKeyRecord {
        cluster: cluster(),
        operator: operator.parse().unwrap(),
        area: Area::resolve(area).unwrap(),
        key: site_secret(site, epoch).public().clone(),
    }
}

/// The same, signed.
#[must_use]
pub fn site_key(site: &str, epoch: u32) -> SignedSiteKey {
    site_key_record(site, epoch).sign(&key("site-tag", of(site).0)).unwrap()
}

/// A job that runs `text`, sealed to these keys.
#[must_use]
pub fn sealed(facts: JobFacts, text: &[u8], to: &[(&str, u32)]) -> (JobFacts, Vec<u8>) {
    let keys: Vec<_> =
        to.iter().map(|(site, epoch)| site_secret(site, *epoch).public().clone()).collect();
    let context = Context::of_job(cluster(), &facts.id).unwrap();
    let (payload, _key) = seal(text, &keys, &context, &[9; 32]).unwrap();
    let bytes = payload.bytes().unwrap();
    (naming(facts, &payload, &bytes), bytes)
}

fn naming(facts: JobFacts, payload: &SealedPayload, bytes: &[u8]) -> JobFacts {
    JobFacts {
        payload: Digest::of(bytes),
        payload_len: bytes.len().try_into().unwrap(),
        sealed_to: payload.sites().map(|(site, epoch)| (site.clone(), epoch)).collect(),
        ..facts
    }
}

/// As [`sealed`], of a job whose payload stays in its area.
#[must_use]
pub fn area_only(facts: JobFacts, text: &[u8], to: &[(&str, u32)]) -> (JobFacts, Vec<u8>) {
    sealed(JobFacts { area_only: true, ..facts }, text, to)
}

impl Federation {
    /// Gives a site its key of an epoch, by its operator's member.
    pub fn give_site_key(&mut self, site: &str, epoch: u32) {
        let key = Box::new(site_key(site, epoch));
        self.accept(member(of(site).0), Command::PutSiteKey(key));
    }

    /// The epoch of the key in use.
    #[must_use]
    pub fn key_epoch(&self, site: &str) -> u32 {
        let site: SiteId = site.parse().unwrap();
        self.state.site_keys(&site).unwrap().current.record.key.epoch.0
    }

    /// The host of a placement refuses it, with a receipt.
    pub fn refuse(&mut self, placement: PlacementId, code: ErrorCode) {
        let row = self.state.placement(&placement).unwrap();
        let (node, session, grant) = (row.grant.node.clone(), row.grant.session, row.digest);
        let (cluster, time) = (cluster(), self.now);
        let detail = code.to_string();
        let refused = node.clone();
        let refusal =
            Refusal { cluster, node, session, placement, grant, code, detail, log_size: 1, time };
        let receipt = refusal.sign(&receipt_key(&refused)).unwrap();
        self.accept(agent(&refused), Command::Refuse { node: refused, receipt });
    }

    /// Runs a command with a payload of its own, as the tenant's user.
    pub fn run_with(&mut self, command: Command, payload: Vec<u8>) -> Applied {
        let mut entry = self.entry(user("kanto", "sapporo"), &[], command);
        entry.payload = payload;
        self.apply(entry)
    }
}
