//! The state as canonical bytes.

use crate::state::State;
use sekisho_evidence::canonical::{CanonicalError, encode};

/// Format of a snapshot's first byte. A new layout is a new number, and this program keeps decoding the old ones.
pub const SNAPSHOT_FORMAT: u8 = 1;

/// Why bytes are no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Another format.
    #[error("snapshot format {0} is not known to this program")]
    Format(u8),
    /// Not canonical bytes of a state.
    #[error("the snapshot is damaged: {0}")]
    Damaged(#[from] CanonicalError),
}

impl State {
    /// Canonical bytes: equal states have equal bytes (R4).
    ///
    /// # Errors
    /// Never for this type.
    pub fn to_snapshot(&self) -> Result<Vec<u8>, CanonicalError> {
        encode(&(SNAPSHOT_FORMAT, self))
    }

    /// Reads a snapshot.
    ///
    /// # Errors
    /// [`SnapshotError`] for anything that [`State::to_snapshot`] did not write. The bytes are not re-encoded to
    /// compare: the store's checksum covers them, and rows out of order are refused while reading.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        match bytes.first() {
            Some(&SNAPSHOT_FORMAT) => {}
            Some(&other) => return Err(SnapshotError::Format(other)),
            None => return Err(CanonicalError::Malformed("empty".to_owned()).into()),
        }
        let ((_, state), rest) = postcard::take_from_bytes::<(u8, Self)>(bytes)
            .map_err(|error| CanonicalError::Malformed(error.to_string()))?;
        if !rest.is_empty() {
            return Err(CanonicalError::Malformed(format!("{} bytes left over", rest.len())).into());
        }
        Ok(state)
    }
}
