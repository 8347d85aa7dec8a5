//! What the API asks of this member's operator: certificates and site tags for its nodes, and the keys of its sites.

use sekisho_evidence::sealed::{
    NodeSealingRecord, SealedSiteKey, SignedSiteKey, SiteKeyRecord, SitePublicKey,
};
use sekisho_evidence::tag::{SignedTag, SiteTag};
use sekisho_types::id::{ClusterId, Digest, NodeId, PublicKey, SiteId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::revision::KeyEpoch;
use std::fmt;

/// Why nothing is issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The signing request does not prove possession of a usable key.
    #[error("the signing request is refused: {0}")]
    Request(String),
    /// The issuer itself cannot sign.
    #[error("the issuer cannot sign: {0}")]
    Issuer(String),
}

/// The operator's issuing authority.
pub trait Issuer: Send + Sync + fmt::Debug {
    /// SHA-256 of the key of a signing request whose signature proves its possession.
    ///
    /// # Errors
    /// [`IssueError::Request`].
    fn key_of(&self, csr: &[u8]) -> Result<Digest, IssueError>;

    /// A certificate for a node's agent: leaf, issuer, root, DER.
    ///
    /// # Errors
    /// [`IssueError`].
    fn issue_agent(
        &self,
        csr: &[u8],
        node: &NodeId,
        area: Area,
    ) -> Result<Vec<Vec<u8>>, IssueError>;

    /// The operator's word on where a node stands.
    ///
    /// # Errors
    /// [`IssueError::Issuer`].
    fn sign_tag(&self, tag: &SiteTag) -> Result<SignedTag, IssueError>;

    /// The key that it signs site tags and sites' keys with, if it has one.
    fn site_tag_key(&self) -> Option<PublicKey>;

    /// The public half of the key that it has for a site in an epoch.
    ///
    /// # Errors
    /// [`IssueError::Issuer`].
    fn site_key(
        &self,
        cluster: &ClusterId,
        site: &SiteId,
        epoch: KeyEpoch,
    ) -> Result<SitePublicKey, IssueError>;

    /// The operator's word that a key is its site's.
    ///
    /// # Errors
    /// [`IssueError::Issuer`].
    fn sign_site_key(&self, record: SiteKeyRecord) -> Result<SignedSiteKey, IssueError>;

    /// The secret half of a site's key, sealed to a node of the site, whose record was verified.
    ///
    /// # Errors
    /// [`IssueError::Request`] for a node's key that cannot be sealed to.
    fn deliver_site_key(
        &self,
        epoch: KeyEpoch,
        to: &NodeSealingRecord,
    ) -> Result<SealedSiteKey, IssueError>;
}
