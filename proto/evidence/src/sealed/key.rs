//! Sites' sealing keys: made by the issuer of the site's operator, handed to the site's agents, replaced on revoke.
//!
//! Must hold: a submitter seals to a key only under the signature of the operator's issuer, so that no member can put a
//! key of its own in the place of a site's. Secret keys are wiped when dropped and shown by no `Debug`.

use super::SealError;
use super::suite::{Secret, key_pair};
use crate::canonical::encode;
use crate::key::{Purpose, SigningKey};
use crate::operator::OperatorKeys;
use sekisho_types::id::{ClusterId, OperatorId, Signature, SiteId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which of a site's keys, in turn: 1 for the first. A revoked node takes its site's epoch out of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyEpoch(pub u32);

impl fmt::Display for KeyEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

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

/// The secret half, held by the operator's issuer and by the site's agents.
#[derive(Clone)]
pub struct SiteSecretKey {
    public: SitePublicKey,
    pub(super) secret: Secret,
}

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

/// An issuer's word that a key is a site's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteKeyRecord {
    /// Which federation.
    pub cluster: ClusterId,
    /// The site's operator.
    pub operator: OperatorId,
    /// Site, epoch and key.
    pub key: SitePublicKey,
}

/// The record with the signature of the operator's issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedSiteKey {
    /// What is signed.
    pub record: SiteKeyRecord,
    /// By the issuer.
    pub signature: Signature,
}

impl SiteKeyRecord {
    /// Signs the record with the issuer's key.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn sign(self, issuer: &SigningKey) -> Result<SignedSiteKey, SealError> {
        let signature = issuer.sign(Purpose::SiteKey, &encode(&self)?);
        Ok(SignedSiteKey { record: self, signature })
    }
}

impl SignedSiteKey {
    /// The key, if the issuer in `keys` signed it for this cluster. Which operator a site belongs to, and which epoch is
    /// in use, are the state's to say.
    ///
    /// # Errors
    /// [`SealError::OtherCluster`] or [`SealError::Issuer`].
    pub fn verify(
        &self,
        cluster: &ClusterId,
        keys: &OperatorKeys,
    ) -> Result<&SitePublicKey, SealError> {
        if self.record.cluster != *cluster {
            return Err(SealError::OtherCluster);
        }
        let issuer = || SealError::Issuer(self.record.key.site.clone());
        if self.record.operator != keys.operator {
            return Err(issuer());
        }
        let bytes = encode(&self.record)?;
        keys.issued(Purpose::SiteKey, &bytes, &self.signature).map_err(|_bad| issuer())?;
        Ok(&self.record.key)
    }
}
