//! What can go wrong between a caller and the replicated log.
//!
//! Must hold: a write whose fate is not known is called [`ProposeError::OutcomeUnknown`], never anything else (R3).

use crate::claim::Objection;
use crate::snapshot::SnapshotError;
use sekisho_store::StoreError;
use sekisho_types::id::MemberId;
use sekisho_types::revision::Revision;
use std::sync::Arc;
use std::time::Duration;

/// The state is made by newer programs than this one, which might read it otherwise than they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "feature level {in_force} is in force and this program knows {known}: start a newer one on this member"
)]
pub struct LevelError {
    /// The level of the state.
    pub in_force: u32,
    /// The highest that this program knows.
    pub known: u32,
}

/// Why a member does not start. It has not voted.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The timing or log settings contradict each other.
    #[error("raft configuration refused: {0}")]
    Config(String),
    /// The data directory is another member's (R6).
    #[error("the data directory belongs to another member, cluster or incarnation")]
    OtherMember,
    /// The store failed.
    #[error("store failed")]
    Store(#[from] StoreError),
    /// The saved snapshot cannot be used.
    #[error("saved snapshot refused")]
    Snapshot(#[from] SnapshotError),
    /// This program is older than the federation's state.
    #[error(transparent)]
    Level(LevelError),
    /// Entries between the snapshot and the log are gone; nothing could replay them.
    #[error("the log begins after {purged}, but the newest snapshot ends at {snapshot:?}")]
    SnapshotBehindLog {
        /// Last entry that the snapshot covers.
        snapshot: Option<u64>,
        /// Last entry removed from the log.
        purged: u64,
    },
    /// The replay of the log failed.
    #[error("raft did not start: {0}")]
    Raft(String),
}

/// Why a member stopped (R7). It has to be restarted or replaced by a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberFailure {
    /// Its disk can no longer be trusted.
    #[error("storage failed: {0}")]
    Storage(Arc<str>),
    /// The state machine met what it must never meet.
    #[error("apply failed at {revision}: {why}")]
    Apply {
        /// The entry.
        revision: Revision,
        /// What it met.
        why: Arc<str>,
    },
    /// This program is older than what the others put in force.
    #[error(transparent)]
    Level(LevelError),
    /// Another member knows better which data directory is this one's (R6).
    #[error("data directory refused by member {by}: {objection}; {}", objection.remedy())]
    Identity {
        /// Who objected.
        by: MemberId,
        /// To what.
        objection: Objection,
    },
    /// The consensus engine stopped by itself.
    #[error("consensus stopped: {0}")]
    Engine(Arc<str>),
}

/// Why a proposal has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// No leader took it before the deadline. It has no effect.
    #[error("no leader took the proposal in time")]
    NoLeader,
    /// Too much is in flight. It has no effect.
    #[error("overloaded; try again after {retry_after:?}")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// It may or may not take effect. The same request id gives the answer later (R3).
    #[error("the outcome is unknown")]
    OutcomeUnknown,
    /// The member is shutting down. It has no effect.
    #[error("the member is shutting down")]
    ShuttingDown,
    /// The member has failed. It has no effect.
    #[error("the member has failed")]
    Failed(#[source] MemberFailure),
    /// Over `ENTRY_MAX`.
    #[error("an entry of {size} bytes is over the bound")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Not the canonical bytes of an entry.
    #[error("malformed entry: {0}")]
    Malformed(Arc<str>),
}

/// Why a linearizable read is not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No leader confirmed a position before the deadline.
    #[error("no leader confirmed the read in time")]
    NoLeader,
    /// The leader confirmed a position that this member did not reach before the deadline.
    #[error("this member is behind: revision {need} is needed")]
    Behind {
        /// Position to reach.
        need: Revision,
    },
    /// The member is shutting down.
    #[error("the member is shutting down")]
    ShuttingDown,
    /// The member has failed.
    #[error("the member has failed")]
    Failed(#[source] MemberFailure),
}

/// Why a federation is not initialized.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InitializeError {
    /// This member is not among the members given.
    #[error("member {0} is not among the first members")]
    NotInMembers(MemberId),
    /// Not all first members have met, or the first entry was not committed before the deadline. Repeat it.
    #[error("the first entry is not committed yet; repeat when all first members run")]
    NotCommitted,
    /// The member is shutting down.
    #[error("the member is shutting down")]
    ShuttingDown,
    /// The member has failed.
    #[error("the member has failed")]
    Failed(#[source] MemberFailure),
}

/// The audit log of this member begins after its beginning: it installed a snapshot and was not backfilled yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this member has audit records only from {first} on; ask another member")]
pub struct AuditIncomplete {
    /// First record that it has.
    pub first: u64,
}
