//! What the API asks of this member's operator: certificates and site tags for its nodes.

use sekisho_evidence::tag::{SignedTag, SiteTag};
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::jurisdiction::Area;
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
}
