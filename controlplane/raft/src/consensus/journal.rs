//! What a member wrote down by itself, for whoever has its handle.

use super::Consensus;
use crate::journal::Journal;
use std::sync::Arc;

impl Consensus {
    /// What this member wrote down by itself.
    #[must_use]
    pub fn journal(&self) -> Journal {
        Journal::new(Arc::clone(&self.0.store))
    }
}
