//! A log as the rogues write it: records, the head over them, and the proofs.

use anyhow::{Context as _, Result};
use sekisho_evidence::merkle::{Frontier, Head, prove_consistency, prove_inclusion};
use sekisho_types::id::Digest;
use std::collections::BTreeMap;

/// One leaf with its way to the root.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) record: Vec<u8>,
    pub(super) index: u64,
    pub(super) path: Vec<Digest>,
}

/// The records so far.
#[derive(Debug, Default)]
pub(super) struct Log {
    frontier: Frontier,
    hashes: BTreeMap<u64, Digest>,
    records: Vec<Vec<u8>>,
}

impl Log {
    /// Appends a record and gives its index.
    pub(super) fn append(&mut self, record: Vec<u8>) -> Result<u64> {
        let appended = self.frontier.append(&record)?;
        self.hashes.extend((appended.first_hash..).zip(appended.hashes));
        self.records.push(record);
        Ok(appended.record)
    }

    pub(super) fn head(&self) -> Result<Head> {
        Ok(Head { size: self.frontier.size(), root: self.frontier.root()? })
    }

    /// A record with its way to the present head.
    pub(super) fn leaf(&self, index: u64) -> Result<Leaf> {
        let record = self.records.get(usize::try_from(index)?).context("no such record")?;
        let path = prove_inclusion(self.frontier.size(), index, &self.hashes)?;
        Ok(Leaf { record: record.clone(), index, path })
    }

    /// The proof that the present head extends the one of `size` records.
    pub(super) fn since(&self, size: u64) -> Result<Vec<Digest>> {
        Ok(prove_consistency(self.frontier.size(), size, &self.hashes)?)
    }
}
