//! Signed tokens (RFC 7515, compact form) under the keys of an identity provider (RFC 7517).
//!
//! Must hold: three algorithms, each with keys of its own kind, so that no key is taken for another's; `none` and everything
//! keyed with a shared secret is unknown here; of a token's header only `alg` and `kid` are read, and one that asks for more
//! (`crit`) is refused: no token says where its own key is. Bounded before it is decoded.
//!
//! Does not know what a token claims: that is its reader's. Stands here because the one crypto library does.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;
use std::fmt;

/// Bytes of a token that are read: those of large directories with hundreds of groups have some ten thousand.
pub const TOKEN_MAX: usize = 16 * 1024;

/// Keys of one provider that are read: the one in use, the next and the last, of a few kinds.
const KEYS_MAX: usize = 32;

/// Why a token is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Too long, not three parts, not base64url, or a header that is no JSON object with `alg`.
    #[error("not a signed token: {0}")]
    Form(&'static str),
    /// Another algorithm than those three.
    #[error("the algorithm is not RS256, ES256 or EdDSA")]
    Algorithm,
    /// No key of this id and kind.
    #[error("the provider has no such key")]
    UnknownKey,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
    /// Not a set of keys.
    #[error("not a set of keys: {0}")]
    Keys(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// What verifies one algorithm.
#[derive(Clone, PartialEq, Eq)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Clone, PartialEq, Eq)]
struct Key {
    id: Option<String>,
    material: Material,
}

/// The keys of a provider.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySet(Vec<Key>);

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeySet").field(&self.0.len()).finish()
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

fn bytes(text: Option<&String>) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(text?).ok()
}

/// Without the zeros that some providers lead with, and which the library refuses.
fn integer(text: Option<&String>) -> Option<Vec<u8>> {
    let bytes = bytes(text)?;
    let first = bytes.iter().position(|byte| *byte != 0)?;
    bytes.get(first..).map(<[u8]>::to_vec)
}

impl Jwk {
    /// The key, if it is one that verifies what is taken here.
    fn key(self) -> Option<Key> {
        if self.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let coordinate = |text| bytes(text).filter(|bytes| bytes.len() == 32);
        let (algorithm, material) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => {
                let (n, e) = (integer(self.n.as_ref())?, integer(self.e.as_ref())?);
                (Algorithm::Rs256, Material::Rsa { n, e })
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (coordinate(self.x.as_ref())?, coordinate(self.y.as_ref())?);
                (Algorithm::Es256, Material::P256([&[4], &x[..], &y[..]].concat()))
            }
            ("OKP", Some("Ed25519")) => {
                (Algorithm::EdDsa, Material::Ed25519(coordinate(self.x.as_ref())?))
            }
            _ => return None,
        };
        let named = self.alg.as_deref();
        if named.is_some_and(|named| Algorithm::parse(named) != Some(algorithm)) {
            return None;
        }
        Some(Key { id: self.kid, material })
    }
}

impl Key {
    fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JwsError> {
        let result = match &self.material {
            Material::Rsa { n, e } => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            Material::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            Material::Ed25519(point) => {
                UnparsedPublicKey::new(&ED25519, point).verify(message, signature)
            }
        };
        result.map_err(|_unspecified| JwsError::Signature)
    }
}

impl KeySet {
    /// Reads a key set. Keys for other uses and of other kinds are left out.
    ///
    /// # Errors
    /// [`JwsError::Keys`] for a document that is none, or in which no key is left.
    pub fn parse(document: &[u8]) -> Result<Self, JwsError> {
        let bad = |why: String| JwsError::Keys(why);
        let document: Document =
            serde_json::from_slice(document).map_err(|error| bad(error.to_string()))?;
        if document.keys.len() > KEYS_MAX {
            return Err(bad(format!("more than {KEYS_MAX} keys")));
        }
        let read = |key| serde_json::from_value::<Jwk>(key).ok().and_then(Jwk::key);
        let keys: Vec<Key> = document.keys.into_iter().filter_map(read).collect();
        if keys.is_empty() {
            return Err(bad("no key for RS256, ES256 or EdDSA".to_owned()));
        }
        Ok(Self(keys))
    }

    /// The bytes that a token signs, if one of these keys signed them.
    ///
    /// # Errors
    /// [`JwsError`].
    pub fn open(&self, token: &str) -> Result<Vec<u8>, JwsError> {
        let form = JwsError::Form;
        if token.len() > TOKEN_MAX {
            return Err(form("too long"));
        }
        let parts: Vec<&str> = token.split('.').collect();
        let [head, claims, signature] = parts.as_slice() else {
            return Err(form("it has not three parts"));
        };
        let decode = |part: &str| {
            Base64UrlUnpadded::decode_vec(part).map_err(|_base64| form("a part is not base64url"))
        };
        let header: Header =
            serde_json::from_slice(&decode(head)?).map_err(|_json| form("its header"))?;
        let algorithm = Algorithm::parse(&header.alg).ok_or(JwsError::Algorithm)?;
        if header.crit.is_some() {
            return Err(form("it asks for extensions"));
        }
        let key = self.find(algorithm, header.kid.as_deref())?;
        let signed = token.get(..head.len().saturating_add(1).saturating_add(claims.len()));
        let signed = signed.ok_or_else(|| form("its parts"))?;
        key.verify(signed.as_bytes(), &decode(signature)?)?;
        decode(claims)
    }

    /// By its id; a token that names none has to mean the only one of the kind.
    fn find(&self, algorithm: Algorithm, id: Option<&str>) -> Result<&Key, JwsError> {
        let mut fit = self.0.iter().filter(|key| {
            key.algorithm() == algorithm && id.is_none_or(|id| key.id.as_deref() == Some(id))
        });
        let found = fit.next().ok_or(JwsError::UnknownKey)?;
        if fit.next().is_some() { Err(JwsError::UnknownKey) } else { Ok(found) }
    }
}

#[cfg(test)]
mod tests;
