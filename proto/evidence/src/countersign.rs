//! Countersignatures: an agent's word that it was shown, and believed, an audit head.
//!
//! Must hold: A1. Who shows an agent one history and the auditor another is found out: the countersignature enters the
//! log by whichever member hears it, and the auditor compares it with the tree. One spelling, one purpose; it names the
//! federation, its life and the node, so that it says nothing anywhere else.
//!
//! Does not judge whether the head is of the right tree: that is for whoever holds one ([`Seen::agrees`]).

use crate::canonical::{CanonicalError, decode, encode};
use crate::key::{BadSignature, Purpose, SigningKey, verify};
use crate::merkle::Head;
use sekisho_types::id::{ClusterId, NodeId, PublicKey, Signature};
use sekisho_types::revision::{Incarnation, Revision};
use serde::{Deserialize, Serialize};

/// Bytes of a countersignature, at most: two names of 63, a signature, a root, and less than 80 besides.
pub const COUNTERSIGNATURE_MAX: usize = 320;

/// The head of a verified checkpoint, as an agent saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Which federation.
    pub cluster: ClusterId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Who saw it.
    pub node: NodeId,
    /// Size and root of the audit log.
    pub head: Head,
    /// The entry after which the checkpoint was taken.
    pub revision: Revision,
}

/// What was seen, under the receipt key of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Countersignature {
    /// What is signed.
    pub seen: Seen,
    /// By the receipt key.
    pub signature: Signature,
}

/// Why bytes are no countersignature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CountersignError {
    /// More bytes than any has.
    #[error("{0} bytes are too many for a countersignature")]
    TooLarge(usize),
    /// Not in the one canonical form.
    #[error(transparent)]
    Form(#[from] CanonicalError),
    /// Not signed by the node's receipt key.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

impl Seen {
    /// Signs it with the node's receipt key.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn sign(self, key: &SigningKey) -> Result<Countersignature, CanonicalError> {
        let signature = key.sign(Purpose::Countersignature, &encode(&self)?);
        Ok(Countersignature { seen: self, signature })
    }

    /// Whether `own`, a head of the caller's own log, can stand beside what was seen: of the same size it must be the
    /// same. Heads of different sizes need a consistency proof, and are let pass here.
    #[must_use]
    pub fn agrees(&self, own: &Head) -> bool {
        self.head.size != own.size || self.head.root == own.root
    }
}

impl Countersignature {
    /// Checks the signature; whose key it must be is the state's to say.
    ///
    /// # Errors
    /// [`CountersignError::Signature`].
    pub fn verify(&self, key: &PublicKey) -> Result<&Seen, CountersignError> {
        let bytes = encode(&self.seen)?;
        verify(key, Purpose::Countersignature, &bytes, &self.signature)?;
        Ok(&self.seen)
    }

    /// Canonical bytes.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        encode(self)
    }

    /// Reads what [`Self::bytes`] wrote, not yet verified.
    ///
    /// # Errors
    /// [`CountersignError::TooLarge`], [`CountersignError::Form`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CountersignError> {
        if bytes.len() > COUNTERSIGNATURE_MAX {
            return Err(CountersignError::TooLarge(bytes.len()));
        }
        Ok(decode(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_types::id::Digest;
    use sekisho_types::name::NAME_MAX;

    fn seen() -> Seen {
        Seen {
            cluster: ClusterId([1; 16]),
            incarnation: Incarnation(1),
            node: "tokyo-1/n-01".parse().unwrap(),
            head: Head { size: 42, root: Digest([7; 32]) },
            revision: Revision(9),
        }
    }

    #[test]
    fn it_round_trips_and_every_flipped_bit_is_refused() {
        let key = SigningKey::from_seed(&[3; 32]);
        let signed = seen().sign(&key).unwrap();
        let good = signed.bytes().unwrap();
        assert_eq!(Countersignature::parse(&good).unwrap().verify(&key.public()), Ok(&seen()));
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let read = Countersignature::parse(&bytes);
            assert!(read.is_err() || read.unwrap().verify(&key.public()).is_err(), "bit {bit}");
        }
        assert_eq!(
            signed.verify(&SigningKey::from_seed(&[4; 32]).public()),
            Err(CountersignError::Signature(BadSignature))
        );
    }

    #[test]
    fn a_signature_for_something_else_is_none() {
        let key = SigningKey::from_seed(&[3; 32]);
        let signature = key.sign(Purpose::Renewal, &encode(&seen()).unwrap());
        Countersignature { seen: seen(), signature }.verify(&key.public()).unwrap_err();
    }

    #[test]
    fn the_longest_one_is_within_the_bound_and_a_longer_one_is_not_read() {
        let name = "n".repeat(NAME_MAX);
        let longest = Seen {
            incarnation: Incarnation(u64::MAX),
            node: format!("{name}/{name}").parse().unwrap(),
            head: Head { size: u64::MAX, root: Digest([7; 32]) },
            revision: Revision(u64::MAX),
            ..seen()
        };
        let signed = longest.sign(&SigningKey::from_seed(&[3; 32])).unwrap();
        let mut bytes = signed.bytes().unwrap();
        assert_eq!(Countersignature::parse(&bytes), Ok(signed));
        bytes.resize(COUNTERSIGNATURE_MAX + 1, 0);
        let refused = Countersignature::parse(&bytes);
        assert_eq!(refused, Err(CountersignError::TooLarge(COUNTERSIGNATURE_MAX + 1)));
    }

    #[test]
    fn heads_of_one_size_must_be_the_same() {
        assert!(seen().agrees(&seen().head));
        assert!(seen().agrees(&Head { size: 43, root: Digest([0; 32]) }));
        assert!(!seen().agrees(&Head { size: 42, root: Digest([0; 32]) }));
    }

    #[test]
    fn golden_bytes_of_version_1() {
        let text = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let expected = [
            &"01".repeat(16),
            "01",
            "07746f6b796f2d31",
            "046e2d3031",
            "2a",
            &"07".repeat(32),
            "09",
        ]
        .concat();
        assert_eq!(text(&encode(&seen()).unwrap()), expected);
    }
}
