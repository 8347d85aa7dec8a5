//! Ed25519 signing and verifying, each signature bound to one purpose.
//!
//! Must hold: bytes signed for one purpose never verify for another (domain separation). One rule decides everywhere,
//! ZIP 215 without keys of small order, because it alone gives one signature and a [`Batch`] of them the same answer on
//! every replica (R4, ADR 9). Signing stays with the library that wipes its keys.

mod batch;

pub use batch::Batch;

use ed25519_dalek::Signer as _;
use ed25519_zebra::{VerificationKey, VerificationKeyBytes};
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
    /// A leader's word that renewals of leases count.
    Acknowledgement,
    /// An agent's renewal that others carry.
    Renewal,
    /// A landmark's word on a timed exchange.
    RangingLandmark,
    /// The word of whoever answered it.
    RangingSubject,
    /// An operator's statement that payloads for a site are sealed to a key; by its site-tag key.
    SiteKey,
    /// A node's statement that a site's key may be sealed to a key.
    NodeSealing,
    /// An agent's word that it was shown an audit head.
    Countersignature,
    /// A registrar's statement that a key belongs to a person who logged in.
    LoginRecord,
    /// Whoever logs in has the key that is to be registered.
    LoginPossession,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Command => b"sekisho/command/v1\0",
            Self::KeyRecord => b"sekisho/key-record/v1\0",
            Self::Genesis => b"sekisho/genesis/v1\0",
            Self::Bundle => b"sekisho/endorser-bundle/v1\0",
            Self::Acknowledgement => b"sekisho/lease-acknowledgement/v1\0",
            Self::Renewal => b"sekisho/lease-renewal/v1\0",
            Self::RangingLandmark => b"sekisho/ranging-landmark/v1\0",
            Self::RangingSubject => b"sekisho/ranging-subject/v1\0",
            Self::SiteKey => b"sekisho/site-key/v1\0",
            Self::NodeSealing => b"sekisho/node-sealing-key/v1\0",
            Self::Countersignature => b"sekisho/countersignature/v1\0",
            Self::LoginRecord => b"sekisho/login-record/v1\0",
            Self::LoginPossession => b"sekisho/login-possession/v1\0",
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
        self.sign_raw(&statement(purpose, message))
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
    verify_raw(key, &statement(purpose, message), &signature.0)
}

pub(crate) fn verify_raw(
    key: &PublicKey,
    bytes: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    let signature = signature_of(signature)?;
    let key = VerificationKey::try_from(bytes_of(key)?).map_err(|_point| BadSignature)?;
    key.verify(&signature, bytes).map_err(|_mismatch| BadSignature)
}

/// What is signed: the label ends with a zero byte, so no label is the beginning of another.
fn statement(purpose: Purpose, message: &[u8]) -> Vec<u8> {
    [purpose.label(), message].concat()
}

fn signature_of(bytes: &[u8]) -> Result<ed25519_zebra::Signature, BadSignature> {
    ed25519_zebra::Signature::from_slice(bytes).map_err(|_length| BadSignature)
}

/// The key as the library takes it, unless it is of small order.
fn bytes_of(key: &PublicKey) -> Result<VerificationKeyBytes, BadSignature> {
    if is_of_small_order(key) { Err(BadSignature) } else { Ok(key.0.into()) }
}

/// The second coordinates of the eight points of small order, little endian. Two of them can also be written with the
/// field's prime added, which ZIP 215 reads as the same.
const SMALL_ORDER: [[u8; 32]; 7] = [
    // 0 and its other spelling, of order 4.
    spelt(0x00, 0x00, 0x00),
    spelt(0xed, 0xff, 0x7f),
    // 1 and its other spelling: the identity.
    spelt(0x01, 0x00, 0x00),
    spelt(0xee, 0xff, 0x7f),
    // -1, of order 2.
    spelt(0xec, 0xff, 0x7f),
    // The two of order 8.
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

const fn spelt(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    (bytes[0], bytes[31]) = (first, last);
    bytes
}

/// Whether anybody can sign anything "by" this key: of such a key the hash of the message drops out of the check.
fn is_of_small_order(key: &PublicKey) -> bool {
    let mut y = key.0;
    // The top bit is the sign of the other coordinate.
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    SMALL_ORDER.contains(&y)
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
        assert!(!format!("{key:?}").contains("07070707"));
    }

    /// Under such a key the signature of nobody would hold for every message.
    #[test]
    fn no_key_of_small_order_signs_anything() {
        for y in SMALL_ORDER {
            for sign in [0, 0x80] {
                let mut key = PublicKey(y);
                key.0[31] |= sign;
                let point = ed25519_dalek::VerifyingKey::from_bytes(&key.0);
                assert!(point.is_ok_and(|point| point.is_weak()), "{key}");
                for message in [b"x", b"y"] {
                    let nobody = Signature([0; 64]);
                    let library = VerificationKey::try_from(key.0).unwrap();
                    let said = library.verify(&signature_of(&nobody.0).unwrap(), message);
                    assert_eq!(said, Ok(()), "{key}");
                    assert_eq!(verify(&key, Purpose::Command, message, &nobody), Err(BadSignature));
                }
            }
        }
        assert!(!is_of_small_order(&SigningKey::from_seed(&[7; 32]).public()));
    }

    /// RFC 8032, section 7.1, test 2: what others have signed verifies here.
    #[test]
    fn the_standards_own_signature_verifies() {
        let hex = |text: &str| -> Vec<u8> {
            let byte = |two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap();
            text.as_bytes().chunks(2).map(byte).collect()
        };
        let key = hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let signature = hex(concat!(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ));
        let key = PublicKey(key.try_into().unwrap());
        assert_eq!(verify_raw(&key, &[0x72], &signature), Ok(()));
        assert_eq!(verify_raw(&key, &[0x73], &signature), Err(BadSignature));
        assert_eq!(verify_raw(&key, &[0x72], &signature[..63]), Err(BadSignature));
    }
}
