//! The one encoding of persisted and signed bytes: postcard (docs/adr/0006), decoded strictly.
//!
//! Must hold: equal values have equal bytes, and bytes that decode re-encode to themselves. A second spelling of
//! the same value would let two parties sign or hash different bytes for one fact.

use postcard::ser_flavors::Flavor;
use serde::{Serialize, de::DeserializeOwned};

/// Bytes that a vector begins with: most rows, commands and entries with a signature fit, so that it is not moved four
/// times on the way there.
const ROOM: usize = 256;

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
    postcard::serialize_with_flavor(value, Growing(Vec::with_capacity(ROOM)))
        .map_err(|error| CanonicalError::Malformed(error.to_string()))
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
    match postcard::serialize_with_flavor(&value, Same(bytes)) {
        Ok([]) => Ok(value),
        Ok([_, ..]) | Err(_) => Err(CanonicalError::NotCanonical),
    }
}

/// Encodes into a vector.
struct Growing(Vec<u8>);

impl Flavor for Growing {
    type Output = Vec<u8>;

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

/// Encodes into nothing: compares with these bytes, and leaves those that did not come up.
struct Same<'b>(&'b [u8]);

impl<'b> Flavor for Same<'b> {
    type Output = &'b [u8];

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        let rest = self.0.strip_prefix(bytes);
        self.0 = rest.ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn finalize(self) -> postcard::Result<&'b [u8]> {
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_second_spelling_is_refused() {
        assert_eq!(decode::<u32>(&encode(&300u32).unwrap()), Ok(300));
        // An overlong varint for 1, a short read, a trailing byte.
        assert_eq!(decode::<u32>(&[0x81, 0x00]), Err(CanonicalError::NotCanonical));
        assert!(matches!(decode::<u32>(&[0x80]), Err(CanonicalError::Malformed(_))));
        assert!(matches!(decode::<u32>(&[1, 1]), Err(CanonicalError::Malformed(_))));
        // Inside a longer value, before its end and at it.
        let value = (300_u32, "text".to_owned(), vec![1_u8; 1000]);
        let bytes = encode(&value).unwrap();
        assert_eq!(bytes, postcard::to_stdvec(&value).unwrap());
        assert_eq!(decode::<(u32, String, Vec<u8>)>(&bytes), Ok(value));
        let padded = [&[0xac, 0x82, 0x00], &bytes[2..]].concat();
        let refused = decode::<(u32, String, Vec<u8>)>(&padded);
        assert_eq!(refused, Err(CanonicalError::NotCanonical));
        assert_eq!(decode::<(u8, u32)>(&[7, 0x81, 0x00]), Err(CanonicalError::NotCanonical));
        // As long as the canonical form.
        assert_eq!(decode::<BTreeSet<u8>>(&[2, 1, 2]), Ok([1, 2].into()));
        assert_eq!(decode::<BTreeSet<u8>>(&[2, 2, 1]), Err(CanonicalError::NotCanonical));
        assert_eq!(decode::<Shrinks>(&[5]), Err(CanonicalError::NotCanonical));
    }

    /// A value that is written with less than it is read from.
    #[derive(Debug, PartialEq, Eq, serde::Deserialize)]
    struct Shrinks(u8);

    impl Serialize for Shrinks {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_unit()
        }
    }
}
