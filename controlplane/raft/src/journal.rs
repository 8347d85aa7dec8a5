//! What this member wrote down by itself, in its own store: denials, and evidence of forks. Beside consensus, which never
//! sees either.

use sekisho_store::{JournalRow, Store, StoreError, StoreResult};
use std::ops::Range;
use std::sync::Arc;

/// Denials and evidence of this member.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Store>);

impl Journal {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self(store)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let store = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.map_err(|_cancelled| StoreError::Closed)?
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
        self.blocking(move |store| store.journal().append(first, &rows)).await
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
        self.blocking(move |store| store.journal().rows(range, max_bytes)).await
    }

    /// The newest denial.
    ///
    /// # Errors
    /// As [`sekisho_store::JournalTable::newest`].
    pub async fn newest(&self) -> StoreResult<Option<(u64, JournalRow)>> {
        self.blocking(|store| store.journal().newest()).await
    }

    /// Keeps evidence for good; whether it is new. Durable on return.
    ///
    /// # Errors
    /// As [`sekisho_store::EvidenceTable::keep`].
    pub async fn keep_evidence(&self, key: [u8; 32], bytes: Vec<u8>) -> StoreResult<bool> {
        self.blocking(move |store| store.evidence().keep(&key, &bytes)).await
    }

    /// All evidence.
    ///
    /// # Errors
    /// As [`sekisho_store::EvidenceTable::all`].
    pub async fn evidence(&self) -> StoreResult<Vec<Vec<u8>>> {
        self.blocking(|store| store.evidence().all()).await
    }
}
