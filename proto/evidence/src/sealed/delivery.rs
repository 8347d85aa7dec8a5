//! A site's secret key on its way to an agent of the site.
//!
//! Must hold: it is sealed to one node's sealing key and opens at a node of that site only. A node's certificate has an
//! ECDSA key, which cannot be sealed to, and its receipt key signs; so a node makes an X25519 key besides and signs its
//! public half with the receipt key that the federation knows it by. Whoever delivers cannot choose the key: what opens
//! must be the secret of the public key that the operator's site-tag key signed.

use super::key::{SitePublicKey, SiteSecretKey};
use super::suite::{Secret, Wrapped, key_pair, unwrap, wrap};
use super::{FORMAT, SealError};
use crate::canonical::{decode, encode};
use crate::key::{Purpose, SigningKey, verify};
use sekisho_types::id::{ClusterId, Digest, NodeId, PublicKey, Signature};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// Longest delivery that is read, bytes: names of full length fit twice.
pub const SEALED_SITE_KEY_MAX: usize = 1024;

const DERIVED: &[u8] = b"sekisho/node-sealing-key/derived/v1\0";

/// What a delivery is bound to, besides the keys.
const INFO: &str = "sekisho/site-key-delivery/v1";

/// A node's word that a key is its own to be sealed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSealingRecord {
    /// Which federation.
    pub cluster: ClusterId,
    /// Which node.
    pub node: NodeId,
    /// SHA-256 of its certificate's SPKI, as in its site tag: another host of this name is another recipient.
    pub node_key: Digest,
    /// The X25519 key.
    #[serde(with = "crate::hexadecimal::array")]
    pub key: [u8; 32],
}

/// The record with the signature of the node's receipt key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedNodeSealing {
    /// What is signed.
    pub record: NodeSealingRecord,
    /// By the receipt key.
    pub signature: Signature,
}

/// Longest signed record that is read, bytes.
pub const SIGNED_NODE_SEALING_MAX: usize = 1024;

impl SignedNodeSealing {
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
        if bytes.len() > SIGNED_NODE_SEALING_MAX {
            return Err(SealError::TooLarge(bytes.len()));
        }
        Ok(decode(bytes)?)
    }

    /// Whether the node known by `receipt_key` signed it for this cluster.
    ///
    /// # Errors
    /// [`SealError::OtherCluster`] or [`SealError::NodeSignature`].
    pub fn verify(
        &self,
        cluster: &ClusterId,
        receipt_key: &PublicKey,
    ) -> Result<&NodeSealingRecord, SealError> {
        if self.record.cluster != *cluster {
            return Err(SealError::OtherCluster);
        }
        let bytes = encode(&self.record)?;
        verify(receipt_key, Purpose::NodeSealing, &bytes, &self.signature)
            .map_err(|_bad| SealError::NodeSignature(self.record.node.clone()))?;
        Ok(&self.record)
    }
}

/// A node's key to open deliveries with.
#[derive(Clone)]
pub struct NodeSealingKey {
    secret: Secret,
    public: [u8; 32],
}

impl fmt::Debug for NodeSealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let public = Digest(self.public);
        f.debug_struct("NodeSealingKey").field("public", &public).finish_non_exhaustive()
    }
}

impl NodeSealingKey {
    /// The key of this seed, which a node keeps beside its others.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let (secret, public) = key_pair(seed);
        Self { secret, public }
    }

    /// The key of a node with this receipt key: nothing more to keep, and another host has another.
    #[must_use]
    pub fn derive(receipt_key: &SigningKey) -> Self {
        let key = Zeroizing::new(receipt_key.seed());
        let bytes = Zeroizing::new([DERIVED, key.as_slice()].concat());
        Self::from_seed(&Digest::of(&bytes).0)
    }

    /// The signed record that a node asks with.
    ///
    /// # Errors
    /// Never for these types; see [`encode`].
    pub fn record(
        &self,
        cluster: ClusterId,
        node: NodeId,
        node_key: Digest,
        receipt_key: &SigningKey,
    ) -> Result<SignedNodeSealing, SealError> {
        let record = NodeSealingRecord { cluster, node, node_key, key: self.public };
        let signature = receipt_key.sign(Purpose::NodeSealing, &encode(&record)?);
        Ok(SignedNodeSealing { record, signature })
    }
}

/// A site's secret key, sealed to one of its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSiteKey {
    format: u8,
    key: SitePublicKey,
    wrapped: Wrapped,
}

/// Everything that both ends must mean alike.
fn info(key: &SitePublicKey, node: &NodeSealingRecord) -> Result<Vec<u8>, SealError> {
    Ok(encode(&(INFO, FORMAT, key, node))?)
}

impl SealedSiteKey {
    /// Seals `key` to a node of its site; the record has to be verified. `seed`: 32 fresh random bytes.
    ///
    /// # Errors
    /// [`SealError::OtherSite`], or [`SealError::WeakKey`] for a node's key of small order.
    pub fn seal(
        key: &SiteSecretKey,
        node: &NodeSealingRecord,
        seed: &[u8; 32],
    ) -> Result<Self, SealError> {
        let site = &key.public().site;
        if node.node.site != *site {
            return Err(SealError::OtherSite(node.node.clone()));
        }
        let info = info(key.public(), node)?;
        // Bound to what is sealed to whom: a seed that came twice still seals two things with two keys.
        let seed = super::derived(b"site-key", seed, &Digest::of(&info));
        let wrapped = wrap(&key.secret, &node.key, &info, &seed)
            .map_err(|_weak| SealError::WeakKey(site.clone()))?;
        Ok(Self { format: FORMAT, key: key.public().clone(), wrapped })
    }

    /// Which key is inside, as the sender says.
    #[must_use]
    pub fn key(&self) -> &SitePublicKey {
        &self.key
    }

    /// Opens it at the node of `node`, which is the opener's own record. `expected` is the site's key under the signature
    /// of its operator ([`super::SignedSiteKey::verify`]).
    ///
    /// # Errors
    /// [`SealError::OtherSite`] or [`SealError::Unopenable`].
    pub fn open(
        &self,
        own: &NodeSealingKey,
        node: &NodeSealingRecord,
        expected: &SitePublicKey,
    ) -> Result<SiteSecretKey, SealError> {
        if node.node.site != expected.site {
            return Err(SealError::OtherSite(node.node.clone()));
        }
        if self.key != *expected {
            return Err(SealError::Unopenable);
        }
        let info = info(&self.key, node)?;
        let secret =
            unwrap(&self.wrapped, &own.secret, &info).map_err(|_failed| SealError::Unopenable)?;
        SiteSecretKey::of(expected, secret)
    }

    /// Canonical bytes.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn bytes(&self) -> Result<Vec<u8>, SealError> {
        Ok(encode(self)?)
    }

    /// Reads a delivery in its one form.
    ///
    /// # Errors
    /// [`SealError::TooLarge`], [`SealError::Malformed`] or [`SealError::Format`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SealError> {
        if bytes.len() > SEALED_SITE_KEY_MAX {
            return Err(SealError::TooLarge(bytes.len()));
        }
        let read: Self = decode(bytes)?;
        if read.format == FORMAT { Ok(read) } else { Err(SealError::Format(read.format)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::KeyEpoch;

    /// A member that delivers could seal a secret of its own under the name of the site's key.
    #[test]
    fn a_secret_that_is_not_the_expected_keys_is_refused() {
        let key = |n| SiteSecretKey::from_seed("tokyo-1".parse().unwrap(), KeyEpoch(1), &[n; 32]);
        let (own, expected, planted) = (NodeSealingKey::from_seed(&[1; 32]), key(2), key(3));
        let node = NodeSealingRecord {
            cluster: ClusterId([1; 16]),
            node: "tokyo-1/n-01".parse().unwrap(),
            node_key: Digest([5; 32]),
            key: own.public,
        };
        let sent = |secret: &SiteSecretKey| {
            let info = info(expected.public(), &node).unwrap();
            let seed = Secret::new([4; 32]);
            let wrapped = wrap(&secret.secret, &node.key, &info, &seed).unwrap();
            SealedSiteKey { format: FORMAT, key: expected.public().clone(), wrapped }
        };
        let open = |sent: SealedSiteKey| {
            sent.open(&own, &node, expected.public()).map(|key| key.public().clone())
        };
        assert_eq!(open(sent(&expected)).as_ref(), Ok(expected.public()));
        assert_eq!(open(sent(&planted)), Err(SealError::Unopenable));
    }
}
