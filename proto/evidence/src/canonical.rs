//! The one encoding of persisted and signed bytes: postcard (docs/adr/0006), decoded strictly.
//!
//! Must hold: equal values have equal bytes, and bytes that decode re-encode to themselves. A second spelling of
//! the same value would let two parties sign or hash different bytes for one fact.

use serde::{Serialize, de::DeserializeOwned};

/// Why bytes are not the canonical form of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// The bytes do not decode, or bytes are left over.
    #[error("malformed bytes: {0}")]
    Malformed(String),
    /// They decode, but to a value with other bytes.
    #[error("the bytes are not in canonical form")]
    NotCanonical,
}

/// Canonical bytes of `value`.
///
/// # Errors
/// Only for types that postcard cannot represent (maps of unknown length, untagged enums): none of ours.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    postcard::to_stdvec(value).map_err(|error| CanonicalError::Malformed(error.to_string()))
}

/// Reads a value from its canonical bytes.
///
/// # Errors
/// [`CanonicalError`] for anything that `encode` would not have produced.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, CanonicalError> {
    let (value, rest) = postcard::take_from_bytes(bytes)
        .map_err(|error| CanonicalError::Malformed(error.to_string()))?;
    if !rest.is_empty() {
        return Err(CanonicalError::Malformed(format!("{} bytes left over", rest.len())));
    }
    if encode(&value)? != bytes {
        return Err(CanonicalError::NotCanonical);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_spelling_is_refused() {
        assert_eq!(decode::<u32>(&encode(&300u32).unwrap()), Ok(300));
        // An overlong varint for 1, a short read, a trailing byte.
        assert_eq!(decode::<u32>(&[0x81, 0x00]), Err(CanonicalError::NotCanonical));
        assert!(matches!(decode::<u32>(&[0x80]), Err(CanonicalError::Malformed(_))));
        assert!(matches!(decode::<u32>(&[1, 1]), Err(CanonicalError::Malformed(_))));
    }
}
