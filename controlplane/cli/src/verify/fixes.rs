//! The fixes of an audit log, each judged again.

use sekisho_evidence::location::fix::{Fix, FixError};
use sekisho_evidence::location::verdict::Verdict;
use sekisho_types::id::{NodeId, OperatorId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::time::Timestamp;

/// A fix that the log took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedFix {
    /// Index of its record.
    pub record: usize,
    /// When it was taken, on the state clock.
    pub time: Timestamp,
    /// Of whom.
    pub node: NodeId,
    /// Exchanges that count; of a fix that does not hold, those that it has.
    pub landmarks: usize,
    /// What it comes to, or why it does not hold.
    pub outcome: Result<Reached, String>,
}

/// The verdict that was reached again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// Not abroad.
    Proven {
        /// So many operators may have lied.
        f: u32,
        /// The prefecture, where a beacon of its site proves it: T3.
        prefecture: Option<Area>,
        /// Who excludes some foreign land.
        excluding: Vec<OperatorId>,
    },
    /// It may be anywhere.
    Unknown,
    /// Somebody is wrong.
    Inconsistent,
}

impl From<&Verdict> for Reached {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Proven(proof) => Self::Proven {
                f: proof.f,
                prefecture: proof.prefecture,
                excluding: proof.operators.iter().cloned().collect(),
            },
            Verdict::Unknown(_) => Self::Unknown,
            Verdict::Inconsistent(_) => Self::Inconsistent,
        }
    }
}

impl JudgedFix {
    /// What judging one of so many exchanges came to.
    pub(super) fn new(
        (record, time): (usize, Timestamp),
        node: &NodeId,
        exchanges: usize,
        judged: &Result<Fix, FixError>,
    ) -> Self {
        let landmarks = judged.as_ref().map_or(exchanges, |fix| fix.transcripts.len());
        let outcome = judged.as_ref().map(|fix| Reached::from(&fix.verdict));
        let outcome = outcome.map_err(ToString::to_string);
        Self { record, time, node: node.clone(), landmarks, outcome }
    }
}
