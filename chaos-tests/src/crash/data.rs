//! The data database as the drill understands it: operations, which of them are durable on return, and what they make.

use super::history::Model;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An operation on the tables beside the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// A payload.
    Payload(u64),
    /// Forgets payloads.
    Forget(Vec<u64>),
    /// Records from this index on with one hash each from the second index on; may overlap the end with the same rows.
    Audit(u64, u64, Vec<u64>),
    /// Makes the audit tables durable.
    AuditSync,
    /// Empties the audit tables; they go on at this record and hash, with one older hash.
    AuditRestart(u64, u64, (u64, u64)),
    /// A snapshot of this index.
    Snapshot(u64, u64),
    /// Removes all snapshots but the newest.
    DeleteOlder,
    /// A note.
    Note(String, u64),
}

impl Operation {
    /// Whether the store promises durability on return.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        match self {
            Self::AuditSync | Self::AuditRestart(..) | Self::Snapshot(..) | Self::Note(..) => true,
            Self::Payload(_) | Self::Forget(_) | Self::Audit(..) | Self::DeleteOlder => false,
        }
    }
}

/// The content of the data database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// Payloads by tag.
    pub payloads: BTreeSet<u64>,
    /// Index of the first audit record kept.
    pub first_record: u64,
    /// Tags of the records.
    pub records: Vec<u64>,
    /// Index of the first hash kept in full.
    pub first_hash: u64,
    /// Tags of the hashes.
    pub hashes: Vec<u64>,
    /// An older hash kept after a restart.
    pub frontier: Option<(u64, u64)>,
    /// Numbers of the snapshots kept.
    pub snapshots: Vec<u64>,
    /// Index and tag of the newest snapshot.
    pub newest: Option<(u64, u64)>,
    /// Notes by name.
    pub notes: BTreeMap<String, u64>,
}

impl Data {
    /// Index after the last record.
    #[must_use]
    pub fn next_record(&self) -> u64 {
        self.first_record.saturating_add(u64::try_from(self.records.len()).unwrap_or(u64::MAX))
    }

    /// Index after the last hash.
    #[must_use]
    pub fn next_hash(&self) -> u64 {
        self.first_hash.saturating_add(u64::try_from(self.hashes.len()).unwrap_or(u64::MAX))
    }
}

/// Appends what of `tags` from index `at` on lies beyond the end.
fn extend(rows: &mut Vec<u64>, next: u64, at: u64, tags: &[u64]) {
    let known = usize::try_from(next.saturating_sub(at)).unwrap_or(usize::MAX);
    rows.extend(tags.iter().skip(known));
}

impl Model for Data {
    type Operation = Operation;

    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Payload(tag) => {
                self.payloads.insert(*tag);
            }
            Operation::Forget(tags) => self.payloads.retain(|tag| !tags.contains(tag)),
            Operation::Audit(record, hash, tags) => {
                let (records, hashes) = (self.next_record(), self.next_hash());
                extend(&mut self.records, records, *record, tags);
                extend(&mut self.hashes, hashes, *hash, tags);
            }
            Operation::AuditSync => {}
            Operation::AuditRestart(record, hash, frontier) => {
                (self.first_record, self.first_hash) = (*record, *hash);
                self.frontier = Some(*frontier);
                self.records.clear();
                self.hashes.clear();
            }
            Operation::Snapshot(index, tag) => {
                let number = self.snapshots.last().map_or(1, |last| last.saturating_add(1));
                let kept = self.snapshots.last().copied();
                self.snapshots = kept.into_iter().chain([number]).collect();
                self.newest = Some((*index, *tag));
            }
            Operation::DeleteOlder => {
                self.snapshots = self.snapshots.last().copied().into_iter().collect();
            }
            Operation::Note(name, tag) => {
                self.notes.insert(name.clone(), *tag);
            }
        }
    }
}
