//! Test-only: payloads that stay in their area, in memory.

use super::FakeReplica;
use crate::holding::Holding;
use crate::replica::ArchiveError;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use sekisho_store::HeldRow;
use sekisho_types::id::Digest;

impl Holding for FakeReplica {
    fn keep(
        &self,
        digest: Digest,
        at_ms: u64,
        owner: String,
        bytes: Vec<u8>,
    ) -> BoxFuture<'_, Result<(), ArchiveError>> {
        self.held.lock().insert(digest, (at_ms, owner, bytes));
        std::future::ready(Ok(())).boxed()
    }
    fn kept(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, ArchiveError>> {
        let kept = self.held.lock().get(&digest).map(|(_, _, bytes)| bytes.clone());
        std::future::ready(Ok(kept)).boxed()
    }
    fn forget(&self, digests: Vec<Digest>) -> BoxFuture<'_, Result<(), ArchiveError>> {
        self.held.lock().retain(|digest, _| !digests.contains(digest));
        std::future::ready(Ok(())).boxed()
    }
    fn rows(&self) -> BoxFuture<'_, Result<Vec<(Digest, HeldRow)>, ArchiveError>> {
        let row = |(digest, (at_ms, owner, bytes)): (&Digest, &(u64, String, Vec<u8>))| {
            (*digest, HeldRow { at_ms: *at_ms, owner: owner.clone(), len: bytes.len() })
        };
        let rows = self.held.lock().iter().map(row).collect();
        std::future::ready(Ok(rows)).boxed()
    }
}
