//! What a signature under a command binds.

use super::{Command, tree};
use sekisho_evidence::canonical::{CanonicalError, encode};
use sekisho_types::id::Digest;

impl Command {
    /// What a signature under the command binds: the SHA-256 of its canonical bytes; of a batch, what its tree says.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        if let Self::Batch(items) = self {
            tree(items)?.digest()
        } else {
            Ok(Digest::of(&encode(self)?))
        }
    }

    /// Commands in it: one, or those of a batch.
    #[must_use]
    pub fn commands(&self) -> usize {
        if let Self::Batch(items) = self { items.len() } else { 1 }
    }
}
