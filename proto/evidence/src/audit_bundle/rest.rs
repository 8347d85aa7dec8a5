//! What stands behind a bundle's records: what is not in the log, or not by itself. The members' journals of denials, and
//! evidence of forks.
//!
//! Must hold: a member whose journal could not be had stands here too, with the reason, so that nothing is left out in
//! silence. Bounded: whoever makes a bundle for an auditor may be its adversary.

use super::AuditBundleError;
use crate::canonical::{decode, encode};
use crate::fork::FORK_MAX;
use crate::frame::{frame, unframe};
use crate::journal::{DENIAL_MAX, JournalHead};
use sekisho_types::id::{MemberId, OperatorId};
use sekisho_types::limit::TEXT_MAX;
use serde::{Deserialize, Serialize};

/// Largest tail, bytes: [`JOURNALS_MAX`] members with a reason of [`TEXT_MAX`] each stay below.
const TAIL_MAX: usize = 256 * 1024;
/// Members that a bundle tells of: those of now, and some of each incarnation before.
pub const JOURNALS_MAX: usize = 64;
/// Entries of one journal: at [`DENIAL_MAX`] bytes each more than a member keeps.
pub const ENTRIES_MAX: u64 = 10_000_000;
/// Evidence of forks: one is enough to distrust the log, more tell who is in it.
pub const FORKS_MAX: usize = 64;

/// What of a member's journal is in the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kept {
    /// Every entry between these two heads.
    Between {
        /// The chain before the first entry: the journal's start, or where the member's memory begins.
        from: JournalHead,
        /// The chain behind the last one.
        to: JournalHead,
    },
    /// Nothing; why, at most [`TEXT_MAX`] bytes.
    Missing(String),
}

/// The journal of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal<B> {
    /// Whose.
    pub member: MemberId,
    /// Of which company.
    pub operator: OperatorId,
    /// How much of it.
    pub kept: Kept,
    /// The entries, in order.
    pub entries: Vec<B>,
}

/// What stands behind the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleRest<B> {
    /// Journals of denials, by member, each once.
    pub journals: Vec<Journal<B>>,
    /// Evidence of forks: bytes of [`crate::fork::Fork`].
    pub forks: Vec<B>,
}

impl<B> Default for BundleRest<B> {
    fn default() -> Self {
        Self { journals: Vec::new(), forks: Vec::new() }
    }
}

/// What announces the parts that follow.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tail {
    journals: Vec<(MemberId, OperatorId, Kept)>,
    forks: u32,
}

impl Tail {
    fn check(&self) -> Result<(), AuditBundleError> {
        let forks = usize::try_from(self.forks).unwrap_or(usize::MAX);
        if self.journals.len() > JOURNALS_MAX || forks > FORKS_MAX {
            return Err(AuditBundleError::TooLarge);
        }
        let ordered = self.journals.is_sorted_by(|(a, ..), (b, ..)| a < b);
        let of_another = self.journals.iter().any(|(member, _, kept)| match kept {
            Kept::Between { from, to } => from.member != *member || to.member != *member,
            Kept::Missing(_) => false,
        });
        if !ordered || of_another {
            return Err(AuditBundleError::Damaged("its journals are out of order"));
        }
        Ok(())
    }
}

impl Kept {
    /// Entries in the bundle.
    fn count(&self) -> Result<u64, AuditBundleError> {
        match self {
            Self::Missing(why) if why.len() > TEXT_MAX => Err(AuditBundleError::TooLarge),
            Self::Missing(_) => Ok(0),
            Self::Between { from, to } => {
                let backwards = AuditBundleError::Damaged("a journal ends before it begins");
                let count = to.count.checked_sub(from.count).ok_or(backwards)?;
                if count > ENTRIES_MAX { Err(AuditBundleError::TooLarge) } else { Ok(count) }
            }
        }
    }
}

impl<B: AsRef<[u8]>> BundleRest<B> {
    /// The bytes between the records and the trailer.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, AuditBundleError> {
        let row = |j: &Journal<B>| (j.member, j.operator.clone(), j.kept.clone());
        let tail = Tail {
            journals: self.journals.iter().map(row).collect(),
            forks: u32::try_from(self.forks.len()).unwrap_or(u32::MAX),
        };
        tail.check()?;
        let mut bytes = frame(&encode(&tail)?, TAIL_MAX)?;
        for journal in &self.journals {
            if u64::try_from(journal.entries.len()).ok() != Some(journal.kept.count()?) {
                return Err(AuditBundleError::Damaged("a journal has another length"));
            }
            for entry in &journal.entries {
                bytes.extend(frame(entry.as_ref(), DENIAL_MAX)?);
            }
        }
        for fork in &self.forks {
            bytes.extend(frame(fork.as_ref(), FORK_MAX)?);
        }
        Ok(bytes)
    }
}

impl<'b> BundleRest<&'b [u8]> {
    pub(super) fn read(left: &mut &'b [u8]) -> Result<Self, AuditBundleError> {
        let tail: Tail = decode(unframe(left, TAIL_MAX)?)?;
        tail.check()?;
        let mut rest = Self::default();
        for (member, operator, kept) in tail.journals {
            let mut entries = Vec::new();
            for _ in 0..kept.count()? {
                entries.push(unframe(left, DENIAL_MAX)?);
            }
            rest.journals.push(Journal { member, operator, kept, entries });
        }
        for _ in 0..tail.forks {
            rest.forks.push(unframe(left, FORK_MAX)?);
        }
        Ok(rest)
    }
}
