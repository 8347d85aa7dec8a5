//! Ed25519 signing and verifying, each signature bound to one purpose.
//!
//! Must hold: bytes signed for one purpose never verify for another (domain separation), and verification is the
//! strict one, which refuses small-order keys and malleable signatures.

use ed25519_dalek::Signer as _;
use sekisho_types::id::{PublicKey, Signature};
use std::fmt;

/// What a signature is for; its label is prefixed to the signed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A principal's command.
    Command,
    /// An issuer's statement that a key belongs to a principal in a role.
    KeyRecord,
    /// Agreement of an operator to the genesis of a federation.
    Genesis,
    /// Agreement of an operator to an endorser bundle.
    Bundle,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Command => b"sekisho/command/v1\0",
            Self::KeyRecord => b"sekisho/key-record/v1\0",
            Self::Genesis => b"sekisho/genesis/v1\0",
            Self::Bundle => b"sekisho/endorser-bundle/v1\0",
        }
    }
}

/// A signature does not verify, or the key is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("signature does not verify")]
pub struct BadSignature;

/// A private key. Does not print itself.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(public {})", self.public())
    }
}

impl SigningKey {
    /// The key with this secret seed (RFC 8032, section 5.1.5). Randomness enters from outside.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The secret seed, for writing the key to its file.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message` for `purpose`.
    #[must_use]
    pub fn sign(&self, purpose: Purpose, message: &[u8]) -> Signature {
        self.sign_raw(&[purpose.label(), message].concat())
    }

    /// Signs bytes that carry their own context: a signed note or a COSE structure.
    pub(crate) fn sign_raw(&self, bytes: &[u8]) -> Signature {
        Signature(self.0.sign(bytes).to_bytes())
    }
}

/// Checks that `key` signed `message` for `purpose`.
///
/// # Errors
/// [`BadSignature`] whatever is wrong with it.
pub fn verify(
    key: &PublicKey,
    purpose: Purpose,
    message: &[u8],
    signature: &Signature,
) -> Result<(), BadSignature> {
    verify_raw(key, &[purpose.label(), message].concat(), &signature.0)
}

pub(crate) fn verify_raw(
    key: &PublicKey,
    bytes: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(&key.0).map_err(|_point| BadSignature)?;
    let signature =
        ed25519_dalek::Signature::from_slice(signature).map_err(|_length| BadSignature)?;
    key.verify_strict(bytes, &signature).map_err(|_mismatch| BadSignature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_purpose_key_and_bytes_only() {
        let key = SigningKey::from_seed(&[7; 32]);
        let signature = key.sign(Purpose::Command, b"x");
        assert_eq!(verify(&key.public(), Purpose::Command, b"x", &signature), Ok(()));
        assert_eq!(verify(&key.public(), Purpose::Genesis, b"x", &signature), Err(BadSignature));
        assert_eq!(verify(&key.public(), Purpose::Command, b"y", &signature), Err(BadSignature));
        let other = SigningKey::from_seed(&[8; 32]).public();
        assert_eq!(verify(&other, Purpose::Command, b"x", &signature), Err(BadSignature));
        // A small-order key would verify anything under a lax check.
        let small = PublicKey(std::array::from_fn(|i| u8::from(i == 0)));
        assert_eq!(verify(&small, Purpose::Command, b"x", &Signature([0; 64])), Err(BadSignature));
        assert!(!format!("{key:?}").contains("07070707"));
    }
}
