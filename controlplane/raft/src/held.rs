//! Payloads that stay in their job's area, in the store of this member: beside consensus, which never sees them.

use crate::aside::blocking;
use sekisho_store::{HeldRow, Store, StoreResult};
use sekisho_types::id::Digest;
use std::sync::Arc;

/// What this member keeps of them.
#[derive(Debug, Clone)]
pub struct Held(Arc<Store>);

impl Held {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self(store)
    }

    /// Keeps a payload. Durable on return.
    ///
    /// # Errors
    /// As [`sekisho_store::HeldTable::put`].
    pub async fn put(
        &self,
        digest: Digest,
        at_ms: u64,
        owner: String,
        bytes: Vec<u8>,
    ) -> StoreResult<()> {
        blocking(&self.0, move |store| store.held().put(&digest.0, at_ms, &owner, &bytes)).await
    }

    /// A payload, if it is kept.
    ///
    /// # Errors
    /// As [`sekisho_store::HeldTable::get`].
    pub async fn get(&self, digest: Digest) -> StoreResult<Option<Vec<u8>>> {
        blocking(&self.0, move |store| store.held().get(&digest.0)).await
    }

    /// Forgets payloads.
    ///
    /// # Errors
    /// As [`sekisho_store::HeldTable::delete`].
    pub async fn delete(&self, digests: Vec<Digest>) -> StoreResult<()> {
        blocking(&self.0, move |store| {
            let digests: Vec<_> = digests.iter().map(|digest| digest.0).collect();
            store.held().delete(&digests)
        })
        .await
    }

    /// What is kept.
    ///
    /// # Errors
    /// As [`sekisho_store::HeldTable::rows`].
    pub async fn rows(&self) -> StoreResult<Vec<(Digest, HeldRow)>> {
        let rows = blocking(&self.0, |store| store.held().rows()).await?;
        Ok(rows.into_iter().map(|(digest, row)| (Digest(digest), row)).collect())
    }
}
