//! Who and where this agent is: its node, its key, its verified site tag.

use crate::reason::Reason;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::location::fix::proven;
use sekisho_evidence::tag::{SignedTag, SiteTag, Subject, TagArea};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, NodeId, OperatorId};
use sekisho_types::residency::{PlaceProof, Rules, verdict};
use sekisho_types::time::Timestamp;

/// The agent's own standing. Made only from a tag that its operator signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    node: NodeId,
    node_key: Digest,
    tag: SiteTag,
}

impl Standing {
    /// Verifies the tag under the operator's site-tag key of the pinned bundle.
    ///
    /// # Errors
    /// `OPERATOR_UNKNOWN`, or what is wrong with the tag. A tag that names another country is taken: it must be
    /// refused grant by grant, as that.
    pub fn open(
        bundle: &EndorserBundle,
        operator: &OperatorId,
        node: &NodeId,
        node_key: &Digest,
        tag: &SignedTag,
    ) -> Result<Self, Reason> {
        let keys = bundle
            .keys(operator)
            .ok_or_else(|| Reason::new(ErrorCode::OperatorUnknown, operator))?;
        let subject = Subject { cluster: &bundle.cluster, operator, node, node_key };
        let tag = tag
            .verify(&keys.site_tags, subject)
            .map_err(|error| Reason::new(error.code(), &error))?;
        Ok(Self { node: node.clone(), node_key: *node_key, tag })
    }

    /// From now on the tag bears nothing.
    pub fn void(&mut self) {
        self.tag.expires = self.tag.issued;
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> &NodeId {
        &self.node
    }

    /// SHA-256 of its key's SPKI.
    #[must_use]
    pub fn node_key(&self) -> &Digest {
        &self.node_key
    }

    /// The tag's content.
    #[must_use]
    pub fn tag(&self) -> &SiteTag {
        &self.tag
    }

    /// The agent's own residency verdict (D1, D4): the tag is in force, and every rule set allows its place.
    ///
    /// # Errors
    /// `TAG_EXPIRED`, or the first denial under its code.
    pub fn judge(&self, rules: &[&Rules], now: Timestamp) -> Result<(), Reason> {
        self.judge_proven(rules, None, now)
    }

    /// As [`Self::judge`], with what proves its place.
    ///
    /// # Errors
    /// As [`Self::judge`].
    pub fn judge_proven(
        &self,
        rules: &[&Rules],
        proof: Option<PlaceProof>,
        now: Timestamp,
    ) -> Result<(), Reason> {
        self.tag.check_time(now).map_err(|error| Reason::new(error.code(), &error))?;
        verdict(&proven(self.tag.place(), proof), rules, now).map_err(|denial| {
            let reason = Reason::from(&denial);
            match &self.tag.area {
                TagArea::Foreign(code) => {
                    Reason::new(reason.code, &format!("this node's site tag names {code}"))
                }
                TagArea::Domestic(_) => reason,
            }
        })
    }
}
