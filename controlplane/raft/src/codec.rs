//! Persisted and sent bytes of this crate: a format byte, then postcard.
//!
//! Must hold: a value of another format is refused, never guessed at; nothing is left over.

use serde::{Serialize, de::DeserializeOwned};
use std::io;

/// Format of everything encoded here. openraft keeps the serialized form of its types; golden bytes watch that.
pub(crate) const FORMAT: u8 = 1;

/// Why bytes are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodecError {
    /// Written by another version.
    #[error("format {0} is not known to this program")]
    Format(u8),
    /// Not what that version writes.
    #[error("malformed: {0}")]
    Malformed(String),
}

impl From<CodecError> for io::Error {
    fn from(error: CodecError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// Bytes of `value`.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    sekisho_evidence::canonical::encode(&(FORMAT, value))
        .map_err(|e| CodecError::Malformed(e.to_string()))
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => match postcard::take_from_bytes(rest) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => Err(CodecError::Malformed(format!("{} bytes left over", rest.len()))),
            Err(error) => Err(CodecError::Malformed(error.to_string())),
        },
        Some((&other, _)) => Err(CodecError::Format(other)),
        None => Err(CodecError::Malformed("empty".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_formats_and_leftovers_are_refused() {
        let bytes = encode(&(7_u64, "x".to_owned())).unwrap();
        assert_eq!(decode::<(u64, String)>(&bytes), Ok((7, "x".to_owned())));
        let more = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(decode::<(u64, String)>(&more), Err(CodecError::Malformed(_))));
        assert!(matches!(decode::<(u64, String)>(&[9, 7]), Err(CodecError::Format(9))));
        assert!(matches!(decode::<u64>(&[]), Err(CodecError::Malformed(_))));
    }
}
