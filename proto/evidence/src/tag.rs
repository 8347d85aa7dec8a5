//! Site tag v1: an operator's signed word that a key stands at a place (tier T1), as COSE_Sign1 (RFC 9052).
//!
//! Must hold: one verifier for join, apply and agent. A tag may name another country, so that an honest operator's
//! foreign host is refused as such (D2) and not as malformed.

use crate::cose::{CoseError, Fields, open, seal};
use crate::key::SigningKey;
use crate::operator::Keys;
use coset::cbor::value::Value;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{ClusterId, Digest, NodeId, OperatorId, PublicKey};
use sekisho_types::jurisdiction::{Area, AreaError};
use sekisho_types::limit::CERTIFICATE_LIFETIME;
use sekisho_types::name::Name;
use sekisho_types::residency::{Place, Tier};
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

const CONTENT_TYPE: &str = "application/sekisho-site-tag.v1+cbor";
const FIELDS: usize = 9;

/// Longest ISO 3166 code that a tag may carry in place of an area code.
const FOREIGN_MAX: usize = 6;

/// Longest life of a tag, ms: it is renewed with the certificate. An hour more absorbs clock differences.
const LIFETIME_MAX_MS: u64 = 25 * 3_600_000;

const _: () = assert!(
    CERTIFICATE_LIFETIME.as_secs() * 1000 < LIFETIME_MAX_MS,
    "tags live as long as certificates"
);

/// The place that a tag names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TagArea {
    /// An area of Japan.
    Domestic(Area),
    /// Another country's ISO 3166 code.
    Foreign(String),
}

impl TagArea {
    /// Reads an area as [`Area::resolve`] does, keeping a foreign one as such.
    ///
    /// # Errors
    /// [`AreaError::Unknown`] for what is neither.
    pub fn resolve(text: &str) -> Result<Self, AreaError> {
        match Area::resolve(text) {
            Ok(area) => Ok(Self::Domestic(area)),
            Err(AreaError::Foreign(code)) if code.len() <= FOREIGN_MAX => Ok(Self::Foreign(code)),
            Err(other) => Err(other),
        }
    }

    /// The area, if it is Japan's.
    #[must_use]
    pub fn domestic(&self) -> Option<Area> {
        match self {
            Self::Domestic(area) => Some(*area),
            Self::Foreign(_) => None,
        }
    }
}

impl fmt::Display for TagArea {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domestic(area) => area.fmt(f),
            Self::Foreign(code) => f.pad(code),
        }
    }
}

/// What a site tag says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteTag {
    /// Which federation.
    pub cluster: ClusterId,
    /// Who says it.
    pub operator: OperatorId,
    /// Site and name; for a controller the name is `member-N`.
    pub node: NodeId,
    /// Where it stands.
    pub area: TagArea,
    /// SHA-256 of the certificate's SPKI.
    pub node_key: Digest,
    /// From when.
    pub issued: Timestamp,
    /// Until when, exclusive.
    pub expires: Timestamp,
    /// Grows with each tag of the operator.
    pub serial: u64,
}

/// The tag as signed bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedTag(pub Vec<u8>);

/// Why a tag does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// Not in its one form, or not signed by the operator's site-tag key.
    #[error(transparent)]
    Envelope(#[from] CoseError),
    /// Made for something else.
    #[error("the site tag is for another {0}")]
    Mismatch(&'static str),
    /// Outside its time.
    #[error("the site tag is valid from {issued} to {expires}, not at {now}")]
    Expired {
        /// From.
        issued: Timestamp,
        /// Until.
        expires: Timestamp,
        /// The instant of the question.
        now: Timestamp,
    },
    /// Longer than a tag may live.
    #[error("the site tag's life is longer than allowed")]
    TooLong,
}

impl TagError {
    /// The code that callers see.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Expired { .. } => ErrorCode::TagExpired,
            Self::Envelope(_) | Self::Mismatch(_) | Self::TooLong => ErrorCode::TagInvalid,
        }
    }
}

/// Who a tag must be about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'s> {
    /// Federation.
    pub cluster: &'s ClusterId,
    /// Operator of the site, as registered.
    pub operator: &'s OperatorId,
    /// Node.
    pub node: &'s NodeId,
    /// Its key.
    pub node_key: &'s Digest,
}

impl SiteTag {
    /// Signs the tag.
    ///
    /// # Errors
    /// [`CoseError::Malformed`] never for values of these types.
    pub fn sign(&self, key: &SigningKey) -> Result<SignedTag, CoseError> {
        let fields = vec![
            Value::Bytes(self.cluster.0.to_vec()),
            Value::from(self.operator.as_str()),
            Value::from(self.node.site.as_str()),
            Value::from(self.area.to_string()),
            Value::from(self.node.name.as_str()),
            Value::Bytes(self.node_key.0.to_vec()),
            Value::from(self.issued.0),
            Value::from(self.expires.0),
            Value::from(self.serial),
        ];
        seal(CONTENT_TYPE, fields, key).map(SignedTag)
    }

    /// Whether the tag is in force at `now`.
    ///
    /// # Errors
    /// [`TagError::Expired`].
    pub fn check_time(&self, now: Timestamp) -> Result<(), TagError> {
        if self.issued <= now && now < self.expires {
            return Ok(());
        }
        Err(TagError::Expired { issued: self.issued, expires: self.expires, now })
    }

    /// The place that it establishes, at T1.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            operator: self.operator.clone(),
            area: self.area.domestic(),
            country_tier: Tier::Tagged,
            area_tier: Tier::Tagged,
            proof: None,
        }
    }
}

impl SignedTag {
    /// Verifies form, signature and subject. Time is checked apart, because apply, agent and auditor each ask for
    /// another instant: [`SiteTag::check_time`].
    ///
    /// # Errors
    /// The first [`TagError`].
    pub fn verify(
        &self,
        keys: &Keys<PublicKey>,
        subject: Subject<'_>,
    ) -> Result<SiteTag, TagError> {
        let opened = open(CONTENT_TYPE, FIELDS, &self.0)?;
        let by_other = |error| match &keys.other {
            Some(other) => opened.verify(other),
            None => Err(error),
        };
        opened.verify(&keys.current).or_else(by_other)?;
        let tag = Self::parse(opened.fields)?;
        let checks = [
            (tag.cluster == *subject.cluster, "cluster"),
            (tag.operator == *subject.operator, "operator"),
            (tag.node.site == subject.node.site, "site"),
            (tag.node.name == subject.node.name, "node"),
            (tag.node_key == *subject.node_key, "key"),
        ];
        if let Some((_, what)) = checks.iter().find(|(same, _)| !same) {
            return Err(TagError::Mismatch(what));
        }
        if tag.expires.since_ms(tag.issued) > LIFETIME_MAX_MS {
            return Err(TagError::TooLong);
        }
        Ok(tag)
    }

    fn parse(fields: Vec<Value>) -> Result<SiteTag, CoseError> {
        let mut fields = Fields::new(fields);
        let cluster = ClusterId(fields.bytes()?);
        let operator = fields.parsed()?;
        let site = fields.parsed()?;
        let text = fields.text()?;
        let area = TagArea::resolve(&text).map_err(|_area| CoseError::Malformed)?;
        if area.to_string() != text {
            return Err(CoseError::Malformed);
        }
        Ok(SiteTag {
            cluster,
            operator,
            node: NodeId { site, name: fields.parsed::<Name>()? },
            area,
            node_key: Digest(fields.bytes()?),
            issued: Timestamp(fields.number()?),
            expires: Timestamp(fields.number()?),
            serial: fields.number()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(area: &str) -> SiteTag {
        SiteTag {
            cluster: ClusterId([1; 16]),
            operator: "hokuto".parse().unwrap(),
            node: "ishikari-1/n-01".parse().unwrap(),
            area: TagArea::resolve(area).unwrap(),
            node_key: Digest([2; 32]),
            issued: Timestamp(1_000),
            expires: Timestamp(2_000),
            serial: 7,
        }
    }
    fn subject(tag: &SiteTag) -> Subject<'_> {
        Subject {
            cluster: &tag.cluster,
            operator: &tag.operator,
            node: &tag.node,
            node_key: &tag.node_key,
        }
    }

    #[test]
    fn a_tag_holds_for_its_key_subject_and_time_only() {
        let key = SigningKey::from_seed(&[3; 32]);
        for area in ["012351", "JP", "KR-26"] {
            let tag = tag(area);
            let signed = tag.sign(&key).unwrap();
            assert_eq!(signed.verify(&Keys::one(key.public()), subject(&tag)), Ok(tag.clone()));
            assert_eq!(tag.place().area.is_some(), area != "KR-26");
            let other = SigningKey::from_seed(&[4; 32]).public();
            assert!(matches!(
                signed.verify(&Keys::one(other), subject(&tag)),
                Err(TagError::Envelope(CoseError::Signature(_)))
            ));
            let wrong = SiteTag { node: "ishikari-1/n-02".parse().unwrap(), ..tag.clone() };
            assert_eq!(
                signed.verify(&Keys::one(key.public()), subject(&wrong)),
                Err(TagError::Mismatch("node"))
            );
            assert_eq!(tag.check_time(Timestamp(1_999)), Ok(()));
            assert!(matches!(tag.check_time(Timestamp(2_000)), Err(TagError::Expired { .. })));
            assert!(matches!(tag.check_time(Timestamp(999)), Err(TagError::Expired { .. })));
        }
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let key = SigningKey::from_seed(&[3; 32]);
        let tag = tag("012351");
        let signed = tag.sign(&key).unwrap();
        for bit in 0..signed.0.len() * 8 {
            let mut bytes = signed.0.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(
                SignedTag(bytes).verify(&Keys::one(key.public()), subject(&tag)).is_err(),
                "bit {bit}"
            );
        }
    }

    /// The bytes are stored for years: a change here is a new version, not an edit.
    #[test]
    fn golden_bytes_of_version_1() {
        let signed = tag("012351").sign(&SigningKey::from_seed(&[3; 32])).unwrap();
        assert_eq!(Digest::of(&signed.0).to_string(), GOLDEN);
    }
    const GOLDEN: &str = "796ef717269d57f6cbe13cd6f703fbd8c6305d6582ab70234fde59de71520240";
}
