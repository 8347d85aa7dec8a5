//! The operator's issuer at this site, as the join service asks it.

use sekisho_api::issuer::{IssueError, Issuer};
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::sealed::{
    NodeSealingRecord, SealedSiteKey, SignedSiteKey, SiteKeyRecord, SitePublicKey, SiteSecretKey,
};
use sekisho_evidence::tag::{SignedTag, SiteTag};
use sekisho_transport::pki::{self, Csr, Validity};
use sekisho_types::id::{ClusterId, Digest, NodeId, PublicKey, SiteId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::limit::CERTIFICATE_LIFETIME;
use sekisho_types::revision::KeyEpoch;
use sekisho_types::time::Clock;
use std::sync::Arc;

/// Issuer and site-tag key. Without them no node joins here.
#[derive(Debug)]
pub struct SiteIssuer {
    issuer: Option<pki::Issuer>,
    tag_key: Option<SigningKey>,
    clock: Arc<dyn Clock>,
}

impl SiteIssuer {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        issuer: Option<pki::Issuer>,
        tag_key: Option<SigningKey>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { issuer, tag_key, clock }
    }
}

impl SiteIssuer {
    fn secret_of(
        &self,
        cluster: &ClusterId,
        site: &SiteId,
        epoch: KeyEpoch,
    ) -> Result<SiteSecretKey, IssueError> {
        let key = self.tag_key.as_ref().ok_or_else(|| none("site-tag key"))?;
        SiteSecretKey::derive(key, cluster, site.clone(), epoch)
            .map_err(|error| IssueError::Issuer(error.to_string()))
    }
}

fn none(what: &str) -> IssueError {
    IssueError::Issuer(format!("this member has no {what}; ask another of its operator"))
}

impl Issuer for SiteIssuer {
    fn key_of(&self, csr: &[u8]) -> Result<Digest, IssueError> {
        Csr::verify(csr)
            .map(|csr| csr.spki_sha256())
            .map_err(|error| IssueError::Request(error.to_string()))
    }

    fn issue_agent(
        &self,
        csr: &[u8],
        node: &NodeId,
        area: Area,
    ) -> Result<Vec<Vec<u8>>, IssueError> {
        let issuer = self.issuer.as_ref().ok_or_else(|| none("issuer"))?;
        let validity = Validity { now: self.clock.wall(), lifetime: CERTIFICATE_LIFETIME };
        let issued = issuer
            .issue_agent_from_csr(csr, node, Some(area), validity)
            .map_err(|error| IssueError::Issuer(error.to_string()))?;
        issued.chain_der().map_err(|error| IssueError::Issuer(error.to_string()))
    }

    fn sign_tag(&self, tag: &SiteTag) -> Result<SignedTag, IssueError> {
        let key = self.tag_key.as_ref().ok_or_else(|| none("site-tag key"))?;
        tag.sign(key).map_err(|error| IssueError::Issuer(error.to_string()))
    }

    fn site_tag_key(&self) -> Option<PublicKey> {
        self.tag_key.as_ref().map(SigningKey::public)
    }

    fn site_key(
        &self,
        cluster: &ClusterId,
        site: &SiteId,
        epoch: KeyEpoch,
    ) -> Result<SitePublicKey, IssueError> {
        self.secret_of(cluster, site, epoch).map(|secret| secret.public().clone())
    }

    fn sign_site_key(&self, record: SiteKeyRecord) -> Result<SignedSiteKey, IssueError> {
        let key = self.tag_key.as_ref().ok_or_else(|| none("site-tag key"))?;
        record.sign(key).map_err(|error| IssueError::Issuer(error.to_string()))
    }

    fn deliver_site_key(
        &self,
        epoch: KeyEpoch,
        to: &NodeSealingRecord,
    ) -> Result<SealedSiteKey, IssueError> {
        let secret = self.secret_of(&to.cluster, &to.node.site, epoch)?;
        SealedSiteKey::seal(&secret, to, &rand::random())
            .map_err(|error| IssueError::Request(error.to_string()))
    }
}
