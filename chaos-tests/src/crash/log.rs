//! The raft log as the drill understands it: operations, and what they make of an empty log.

use super::history::Model;
use serde::{Deserialize, Serialize};

/// An operation on the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Entries with these tags at the end.
    Append(Vec<u64>),
    /// A vote.
    Vote(u64),
    /// A committed mark; rides on a later write.
    Committed(u64),
    /// Drops entries from this index on.
    Truncate(u64),
    /// Drops entries up to this index, which may lie beyond the end; the id is stored with it.
    Purge(u64, u64),
}

impl Operation {
    /// Whether the store promises durability with the acknowledgement.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        match self {
            Self::Committed(_) => false,
            Self::Append(_) | Self::Vote(_) | Self::Truncate(_) | Self::Purge(..) => true,
        }
    }
}

/// The durable content of a log, but for the committed mark.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// Index of the first entry, or where it would be.
    pub first: u64,
    /// Tags from there on, without a gap.
    pub entries: Vec<u64>,
    /// Purged index and its id.
    pub purged: Option<(u64, u64)>,
    /// The vote.
    pub vote: Option<u64>,
    /// One above the highest index that was ever durable.
    pub peak: u64,
}

impl Log {
    /// The index after the last.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.first.saturating_add(u64::try_from(self.entries.len()).unwrap_or(u64::MAX))
    }
}

fn count(from: u64, upto: u64) -> usize {
    usize::try_from(upto.saturating_sub(from)).unwrap_or(usize::MAX)
}

impl Model for Log {
    type Operation = Operation;

    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Append(tags) => self.entries.extend(tags),
            Operation::Vote(vote) => self.vote = Some(*vote),
            Operation::Committed(_) => {}
            Operation::Truncate(from) => self.entries.truncate(count(self.first, *from)),
            Operation::Purge(upto, id) => {
                if self.purged.is_none_or(|(purged, _)| purged <= *upto) {
                    let first = upto.saturating_add(1);
                    self.entries.drain(..count(self.first, first).min(self.entries.len()));
                    (self.first, self.purged) = (first, Some((*upto, *id)));
                }
            }
        }
        self.peak = self.peak.max(self.next());
    }
}
