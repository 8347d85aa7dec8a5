//! COSE_Sign1 (RFC 9052) envelopes with Ed25519, in exactly one form.
//!
//! Must hold: the protected header names EdDSA and a content type, and is part of what is signed; the payload is a
//! CBOR map with small integer keys, ascending. Anything that does not re-encode to itself is refused, so a signed
//! statement has one spelling.

use crate::key::{BadSignature, SigningKey, verify_raw};
use coset::cbor::value::Value;
use coset::{CborSerializable as _, CoseSign1, CoseSign1Builder, HeaderBuilder, iana};
use sekisho_types::id::PublicKey;

/// Largest envelope that is parsed, bytes.
pub(crate) const COSE_MAX: usize = 4096;

/// Why an envelope does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoseError {
    /// Not our one form.
    #[error("malformed COSE envelope")]
    Malformed,
    /// Not signed by the key.
    #[error("the COSE signature does not verify")]
    Signature(#[from] BadSignature),
}

/// Signs `fields` as a map of 1, 2, 3, … under `content_type`.
pub(crate) fn seal(
    content_type: &str,
    fields: Vec<Value>,
    key: &SigningKey,
) -> Result<Vec<u8>, CoseError> {
    let map = Value::Map((1u64..).zip(fields).map(|(k, v)| (Value::from(k), v)).collect());
    let payload = map.to_vec().map_err(|_cbor| CoseError::Malformed)?;
    let header = HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .content_type(content_type.to_owned())
        .build();
    CoseSign1Builder::new()
        .protected(header)
        .payload(payload)
        .create_signature(content_type.as_bytes(), |tbs| key.sign_raw(tbs).0.to_vec())
        .build()
        .to_vec()
        .map_err(|_cbor| CoseError::Malformed)
}

/// An envelope in its one form, not yet verified.
#[derive(Debug)]
pub(crate) struct Opened {
    sign1: CoseSign1,
    content_type: &'static str,
    /// The payload's fields in order.
    pub(crate) fields: Vec<Value>,
}

/// Reads an envelope of `content_type` with `count` fields.
pub(crate) fn open(
    content_type: &'static str,
    count: usize,
    bytes: &[u8],
) -> Result<Opened, CoseError> {
    let bad = || CoseError::Malformed;
    if bytes.len() > COSE_MAX {
        return Err(bad());
    }
    let sign1 = CoseSign1::from_slice(bytes).map_err(|_cbor| bad())?;
    let expected = HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .content_type(content_type.to_owned())
        .build();
    if sign1.protected.header != expected || !sign1.unprotected.is_empty() {
        return Err(bad());
    }
    let payload = sign1.payload.as_deref().ok_or_else(bad)?;
    let Ok(Value::Map(map)) = Value::from_slice(payload) else { return Err(bad()) };
    let in_order = (1u64..).zip(&map).all(|(k, (key, _))| *key == Value::from(k));
    if !in_order || map.len() != count {
        return Err(bad());
    }
    let again = Value::Map(map.clone()).to_vec().map_err(|_cbor| bad())?;
    if again != payload || sign1.clone().to_vec().map_err(|_cbor| bad())? != bytes {
        return Err(bad());
    }
    Ok(Opened { sign1, content_type, fields: map.into_iter().map(|(_, value)| value).collect() })
}

impl Opened {
    /// Checks the signature.
    pub(crate) fn verify(&self, key: &PublicKey) -> Result<(), CoseError> {
        self.sign1.verify_signature(self.content_type.as_bytes(), |signature, tbs| {
            verify_raw(key, tbs, signature).map_err(CoseError::from)
        })
    }
}

/// Takes typed fields out of an opened payload, in order.
#[derive(Debug)]
pub(crate) struct Fields(std::vec::IntoIter<Value>);

impl Fields {
    pub(crate) fn new(fields: Vec<Value>) -> Self {
        Self(fields.into_iter())
    }

    fn next(&mut self) -> Result<Value, CoseError> {
        self.0.next().ok_or(CoseError::Malformed)
    }

    pub(crate) fn text(&mut self) -> Result<String, CoseError> {
        self.next()?.into_text().map_err(|_kind| CoseError::Malformed)
    }

    pub(crate) fn parsed<T: std::str::FromStr>(&mut self) -> Result<T, CoseError> {
        self.text()?.parse().map_err(|_form| CoseError::Malformed)
    }

    pub(crate) fn number(&mut self) -> Result<u64, CoseError> {
        let integer = self.next()?.into_integer().map_err(|_kind| CoseError::Malformed)?;
        u64::try_from(integer).map_err(|_range| CoseError::Malformed)
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], CoseError> {
        let bytes = self.next()?.into_bytes().map_err(|_kind| CoseError::Malformed)?;
        bytes.try_into().map_err(|_length| CoseError::Malformed)
    }
}
