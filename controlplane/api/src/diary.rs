//! What a member writes down by itself, beside consensus: denials, and evidence of forks of the audit log.

use crate::replica::ArchiveError;
use futures::future::BoxFuture;
use sekisho_store::JournalRow;
use sekisho_types::id::Digest;
use std::fmt;
use std::ops::Range;

/// Where it lies: on this member's disk.
pub trait Diary: Send + Sync + fmt::Debug {
    /// Indexes of the denials that are kept.
    fn kept(&self) -> Range<u64>;

    /// Adds denials behind the last. Durable on return.
    fn append(&self, first: u64, rows: Vec<JournalRow>) -> BoxFuture<'_, Result<(), ArchiveError>>;

    /// Denials of a range that are kept, with the index of the first.
    fn denials(
        &self,
        range: Range<u64>,
        max_bytes: usize,
    ) -> BoxFuture<'_, Result<(u64, Vec<JournalRow>), ArchiveError>>;

    /// The newest denial, with its index.
    fn newest(&self) -> BoxFuture<'_, Result<Option<(u64, JournalRow)>, ArchiveError>>;

    /// Keeps evidence for good, unless there is some under this key; whether it is new. Durable on return.
    fn keep_evidence(
        &self,
        key: Digest,
        bytes: Vec<u8>,
    ) -> BoxFuture<'_, Result<bool, ArchiveError>>;

    /// All evidence.
    fn evidence(&self) -> BoxFuture<'_, Result<Vec<Vec<u8>>, ArchiveError>>;
}
