//! Test-only: denials and evidence, in memory.

use super::FakeReplica;
use crate::diary::Diary;
use crate::replica::ArchiveError;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use sekisho_store::JournalRow;
use sekisho_types::id::Digest;
use std::collections::BTreeMap;
use std::future::ready;
use std::ops::Range;

/// What was written down.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) denials: Vec<JournalRow>,
    pub(crate) evidence: BTreeMap<Digest, Vec<u8>>,
}

impl Diary for FakeReplica {
    fn kept(&self) -> Range<u64> {
        0..u64::try_from(self.diary.lock().denials.len()).unwrap()
    }
    fn append(&self, first: u64, rows: Vec<JournalRow>) -> BoxFuture<'_, Result<(), ArchiveError>> {
        assert_eq!(first, self.kept().end);
        self.diary.lock().denials.extend(rows);
        ready(Ok(())).boxed()
    }
    fn denials(
        &self,
        range: Range<u64>,
        _max_bytes: usize,
    ) -> BoxFuture<'_, Result<(u64, Vec<JournalRow>), ArchiveError>> {
        let end = range.end.min(self.kept().end);
        let start = range.start.min(end);
        let [from, to] = [start, end].map(|at| usize::try_from(at).unwrap());
        ready(Ok((start, self.diary.lock().denials[from..to].to_vec()))).boxed()
    }
    fn newest(&self) -> BoxFuture<'_, Result<Option<(u64, JournalRow)>, ArchiveError>> {
        let last = self.diary.lock().denials.last().cloned();
        ready(Ok(last.map(|row| (self.kept().end - 1, row)))).boxed()
    }
    fn keep_evidence(
        &self,
        key: Digest,
        bytes: Vec<u8>,
    ) -> BoxFuture<'_, Result<bool, ArchiveError>> {
        let mut diary = self.diary.lock();
        let new = !diary.evidence.contains_key(&key);
        diary.evidence.entry(key).or_insert(bytes);
        ready(Ok(new)).boxed()
    }
    fn evidence(&self) -> BoxFuture<'_, Result<Vec<Vec<u8>>, ArchiveError>> {
        ready(Ok(self.diary.lock().evidence.values().cloned().collect())).boxed()
    }
}
