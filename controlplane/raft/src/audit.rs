//! Reading the audit log and payloads of this member.
//!
//! Must hold: a member that installed a snapshot serves no audit log until the rows that it lacks were backfilled:
//! an auditor who pages through it must never meet a gap (A1).

use crate::aside::blocking;
use crate::error::AuditIncomplete;
use sekisho_store::{AuditTable, Store, StoreResult};
use sekisho_types::id::Digest;
use std::sync::Arc;

/// The audit log of this member. Reads block on the disk: keep them off async workers.
#[derive(Debug, Clone)]
pub struct AuditLog(Arc<Store>);

impl AuditLog {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self(store)
    }

    /// Whether every record from the first on is here.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.0.audit().first() == 0
    }

    /// The table, for serving whole ranges to others.
    ///
    /// # Errors
    /// [`AuditIncomplete`] until backfilled.
    pub fn serve(&self) -> Result<&AuditTable, AuditIncomplete> {
        if self.complete() {
            Ok(self.0.audit())
        } else {
            Err(AuditIncomplete { first: self.0.audit().first() })
        }
    }

    /// The table as it is, for records that this member wrote itself; those below `first` are missing.
    #[must_use]
    pub fn local(&self) -> &AuditTable {
        self.0.audit()
    }

    /// Makes everything that apply wrote durable: before a checkpoint over it is signed.
    ///
    /// # Errors
    /// As [`AuditTable::sync`].
    pub async fn sync(&self) -> StoreResult<()> {
        blocking(&self.0, |store| store.audit().sync()).await
    }
}

/// Payloads of jobs by digest.
#[derive(Debug, Clone)]
pub struct Payloads(Arc<Store>);

impl Payloads {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self(store)
    }

    /// The payload with this digest, if some open job refers to it.
    ///
    /// # Errors
    /// As [`sekisho_store::PayloadTable::get`].
    pub async fn get(&self, digest: Digest) -> StoreResult<Option<Vec<u8>>> {
        blocking(&self.0, move |store| store.payloads().get(&digest.0)).await
    }
}
