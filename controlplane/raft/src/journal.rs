//! What this member wrote down by itself, in its own store: denials, and evidence of forks. Beside consensus, which never
//! sees either.

use crate::aside::blocking;
use sekisho_store::{JournalRow, Store, StoreResult};
use std::ops::Range;
use std::sync::Arc;

/// Denials and evidence of this member.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Store>);

impl Journal {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self(store)
    }

    /// Indexes of the denials that are kept.
    #[must_use]
    pub fn kept(&self) -> Range<u64> {
        self.0.journal().kept()
    }

    /// Adds denials. Durable on return.
    ///
    /// # Errors
    /// As [`sekisho_store::JournalTable::append`].
    pub async fn append(&self, first: u64, rows: Vec<JournalRow>) -> StoreResult<()> {
        blocking(&self.0, move |store| store.journal().append(first, &rows)).await
    }

    /// Denials of a range, with the index of the first.
    ///
    /// # Errors
    /// As [`sekisho_store::JournalTable::rows`].
    pub async fn rows(
        &self,
        range: Range<u64>,
        max_bytes: usize,
    ) -> StoreResult<(u64, Vec<JournalRow>)> {
        blocking(&self.0, move |store| store.journal().rows(range, max_bytes)).await
    }

    /// The newest denial.
    ///
    /// # Errors
    /// As [`sekisho_store::JournalTable::newest`].
    pub async fn newest(&self) -> StoreResult<Option<(u64, JournalRow)>> {
        blocking(&self.0, |store| store.journal().newest()).await
    }

    /// Keeps evidence for good; whether it is new. Durable on return.
    ///
    /// # Errors
    /// As [`sekisho_store::EvidenceTable::keep`].
    pub async fn keep_evidence(&self, key: [u8; 32], bytes: Vec<u8>) -> StoreResult<bool> {
        blocking(&self.0, move |store| store.evidence().keep(&key, &bytes)).await
    }

    /// All evidence.
    ///
    /// # Errors
    /// As [`sekisho_store::EvidenceTable::all`].
    pub async fn evidence(&self) -> StoreResult<Vec<Vec<u8>>> {
        blocking(&self.0, |store| store.evidence().all()).await
    }
}
