//! What the API asks of consensus and of storage, as traits, so that a test can stand in for both.

use bytes::Bytes;
use futures::future::BoxFuture;
use sekisho_evidence::genesis::GenesisMember;
use sekisho_evidence::snapshot_file::LastLog;
use sekisho_fsm::State;
use sekisho_fsm::entry::Entry;
use sekisho_fsm::outcome::Outcome;
use sekisho_raft::changes::Changes;
use sekisho_transport::deadline::Deadline;
use sekisho_types::id::{Digest, MemberId};
use sekisho_types::revision::Revision;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::time::Duration;
use tokio::sync::watch;

/// A committed and applied proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// Its log index.
    pub revision: Revision,
    /// What apply answered.
    pub outcome: Outcome,
}

/// Why consensus gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplicaError {
    /// No leader took or confirmed it in time. Nothing happened.
    #[error("no leader answered in time")]
    NoLeader,
    /// Too much is in flight. Nothing happened.
    #[error("too much is in flight")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// It may or may not take effect (R3).
    #[error("the outcome is unknown")]
    OutcomeUnknown,
    /// This member has not applied what the leader confirmed. Nothing happened.
    #[error("this member is behind revision {0}")]
    Behind(Revision),
    /// The member cannot be counted on as leader now. Nothing happened.
    #[error("{0}")]
    NotReady(String),
    /// The entry is over its bound.
    #[error("an entry of {0} bytes is over its bound")]
    TooLarge(usize),
    /// The member stops or has failed. Nothing happened.
    #[error("the member does not serve: {0}")]
    Stopped(String),
}

/// Who takes part, as this member knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Membership {
    /// Present term.
    pub term: u64,
    /// Who leads.
    pub leader: Option<MemberId>,
    /// Members whose votes count.
    pub voters: BTreeSet<MemberId>,
    /// Members that only follow.
    pub learners: BTreeSet<MemberId>,
    /// Entries that a member is behind; only the leader knows.
    pub lag: BTreeMap<MemberId, u64>,
    /// Last entry known to be in a member's log; only the leader knows.
    pub matched: BTreeMap<MemberId, Revision>,
    /// Time since a member last acknowledged anything; only the leader knows.
    pub silent_for: BTreeMap<MemberId, Duration>,
    /// What the leader waits for before a member is what the state says.
    pub waits: BTreeMap<MemberId, String>,
    /// Members that the state has no more and that are still in the group.
    pub leaving: Vec<GenesisMember>,
}

/// Who leads after a hand-over, and in which term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandedOver {
    /// Who leads.
    pub leader: MemberId,
    /// Its term.
    pub term: u64,
}

/// One moment of this member, saved and read back.
#[derive(Debug, Clone)]
pub struct Moment {
    /// State and payloads: [`sekisho_fsm::image::Image`].
    pub image: Bytes,
    /// Where the log ends.
    pub last_log: LastLog,
    /// Who votes.
    pub voters: BTreeSet<MemberId>,
}

/// The member's part in consensus.
pub trait Replica: Send + Sync + fmt::Debug {
    /// The newest published state; a constant-time clone.
    fn state(&self) -> State;

    /// Last applied log entry of any kind.
    fn applied(&self) -> Revision;

    /// Changes whenever some node was enrolled or revoked, or its session opened or ended.
    fn node_changes(&self) -> watch::Receiver<u64>;

    /// Changes whenever some desired set changed.
    fn desired_changes(&self) -> watch::Receiver<u64>;

    /// The last applied log entry as it moves; the state is published by then.
    fn revisions(&self) -> watch::Receiver<Revision>;

    /// Which rows changed lately: everything up to any state that is published, unless it is forgotten.
    fn changes(&self) -> Changes;

    /// Proposes an entry and waits until it is applied here.
    fn propose(
        &self,
        entry: Entry,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Proposed, ReplicaError>>;

    /// Waits until everything that was acknowledged before this call is applied here (R2).
    fn read_index(&self, deadline: Deadline) -> BoxFuture<'_, Result<Revision, ReplicaError>>;

    /// Who takes part.
    fn membership(&self) -> Membership;

    /// As the leader: has another member lead, and waits until one does.
    fn hand_over(
        &self,
        to: MemberId,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<HandedOver, ReplicaError>>;

    /// Saves everything that is applied here now, and reads it back, verified.
    fn moment(&self, deadline: Deadline) -> BoxFuture<'_, Result<Moment, ReplicaError>>;
}

/// Why stored bytes are not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// This member began later than the log and was not backfilled yet.
    #[error("this member has records only from {first} on")]
    Incomplete {
        /// First record that it has.
        first: u64,
    },
    /// The store failed; the member is about to stop (R7).
    #[error("storage failed: {0}")]
    Failed(String),
}

/// Audit records, tree hashes and payloads. Reads of records and hashes block on the disk.
pub trait Archive: Send + Sync + fmt::Debug {
    /// Index of the first record that is kept here.
    fn first(&self) -> u64;

    /// Records of `range` in order and without a gap from its start, up to `max_bytes` but at least one; the range
    /// may reach beyond the end.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn records(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<Vec<u8>>, ArchiveError>;

    /// The tree hash at a dense index, if it is held.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn hash(&self, index: u64) -> Result<Option<Digest>, ArchiveError>;

    /// A payload by its digest.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn payload(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, ArchiveError>>;
}
