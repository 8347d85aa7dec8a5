//! Sites' sealing keys: made of the site-tag key of the site's operator, handed to the site's agents, replaced on revoke.
//!
//! Must hold: a submitter seals to a key only under the signature of the operator's site-tag key, so that no member of
//! another operator can put a key of its own in the place of a site's. Secret keys are wiped when dropped and shown by no
//! `Debug`.
//!
//! The key that signs is the one that says where a node stands: whoever holds it could enrol a host of its own at the site
//! and be handed the secret there, so another key would protect nothing more, and this one is where nodes join. The secrets
//! are derived from it (ADR 15): each member of the operator has them without telling another, and none lies on a disk.

use super::SealError;
use super::suite::{Secret, key_pair};
use crate::canonical::{decode, encode};
use crate::key::{Purpose, SigningKey, verify};
use crate::operator::OperatorKeys;
use sekisho_types::id::{ClusterId, Digest, OperatorId, Signature, SiteId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::revision::KeyEpoch;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// Longest signed record that is read, bytes: names of full length fit twice.
pub const SIGNED_SITE_KEY_MAX: usize = 1024;

const DERIVED: &[u8] = b"sekisho/site-key/derived/v1\0";

/// An X25519 key that payloads for one site are sealed to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SitePublicKey {
    /// Whose agents can open.
    pub site: SiteId,
    /// Which of its keys.
    pub epoch: KeyEpoch,
    /// The key (RFC 7748).
    #[serde(with = "crate::hexadecimal::array")]
    pub key: [u8; 32],
}

/// The secret half, held by the operator's members, who derive it, and by the site's agents.
#[derive(Clone)]
pub struct SiteSecretKey {
    public: SitePublicKey,
    pub(super) secret: Secret,
}

/// By the public half: no two secrets have the same.
impl PartialEq for SiteSecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.public == other.public
    }
}

impl Eq for SiteSecretKey {}

impl fmt::Debug for SiteSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteSecretKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl SiteSecretKey {
    /// The key of this seed (RFC 9180, `DeriveKeyPair`). Randomness enters from outside; a new epoch takes a new seed.
    #[must_use]
    pub fn from_seed(site: SiteId, epoch: KeyEpoch, seed: &[u8; 32]) -> Self {
        let (secret, key) = key_pair(seed);
        Self { public: SitePublicKey { site, epoch, key }, secret }
    }

    /// The key that an operator has for its site in an epoch, of its site-tag key: the same at each of its members.
    ///
    /// # Errors
    /// Never for these types; see [`encode`].
    pub fn derive(
        site_tags: &SigningKey,
        cluster: &ClusterId,
        site: SiteId,
        epoch: KeyEpoch,
    ) -> Result<Self, SealError> {
        let (key, of) = (Zeroizing::new(site_tags.seed()), encode(&(cluster, &site, epoch))?);
        let bytes = Zeroizing::new([DERIVED, key.as_slice(), &of].concat());
        let seed = Secret::new(Digest::of(&bytes).0);
        Ok(Self::from_seed(site, epoch, &seed))
    }

    /// A secret that came over the network, if it is that of `public`.
    pub(super) fn of(public: &SitePublicKey, secret: Secret) -> Result<Self, SealError> {
        let derived = super::suite::public(&secret).map_err(|_failed| SealError::Unopenable)?;
        if derived == public.key {
            Ok(Self { public: public.clone(), secret })
        } else {
            Err(SealError::Unopenable)
        }
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &SitePublicKey {
        &self.public
    }
}

/// An operator's word that a key is its site's, and where the site stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteKeyRecord {
    /// Which federation.
    pub cluster: ClusterId,
    /// The site's operator.
    pub operator: OperatorId,
    /// Where the site stands: a submitter judges it by this, and not by what some member says.
    pub area: Area,
    /// Site, epoch and key.
    pub key: SitePublicKey,
}

/// The record with the signature of the operator's site-tag key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedSiteKey {
    /// What is signed.
    pub record: SiteKeyRecord,
    /// By the site-tag key.
    pub signature: Signature,
}

impl SiteKeyRecord {
    /// Signs the record with the operator's site-tag key.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn sign(self, site_tags: &SigningKey) -> Result<SignedSiteKey, SealError> {
        let signature = site_tags.sign(Purpose::SiteKey, &encode(&self)?);
        Ok(SignedSiteKey { record: self, signature })
    }
}

impl SignedSiteKey {
    /// The key, if a site-tag key in `keys` signed it for this cluster. Which epoch is in use is the state's to say.
    ///
    /// # Errors
    /// [`SealError::OtherCluster`] or [`SealError::Operator`].
    pub fn verify(
        &self,
        cluster: &ClusterId,
        keys: &OperatorKeys,
    ) -> Result<&SitePublicKey, SealError> {
        if self.record.cluster != *cluster {
            return Err(SealError::OtherCluster);
        }
        let bytes = encode(&self.record)?;
        let signed = |key| verify(key, Purpose::SiteKey, &bytes, &self.signature).is_ok();
        if self.record.operator == keys.operator && keys.site_tags.iter().any(signed) {
            Ok(&self.record.key)
        } else {
            Err(SealError::Operator(self.record.key.site.clone()))
        }
    }

    /// Canonical bytes.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn bytes(&self) -> Result<Vec<u8>, SealError> {
        Ok(encode(self)?)
    }

    /// Reads a record in its one form. Nothing of it is verified yet.
    ///
    /// # Errors
    /// [`SealError::TooLarge`] or [`SealError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SealError> {
        if bytes.len() > SIGNED_SITE_KEY_MAX {
            return Err(SealError::TooLarge(bytes.len()));
        }
        Ok(decode(bytes)?)
    }
}
