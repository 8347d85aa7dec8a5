//! What the API asks of the leader's duties and of the checkpoint signer.

use futures::future::BoxFuture;
use sekisho_evidence::acknowledgement::{Acknowledgement, Renewal as Asked};
use sekisho_evidence::checkpoint::{Checkpoint, SignatureLine};
use sekisho_types::id::{MemberId, NodeId, PublicKey};
use sekisho_types::revision::{PlacementId, Revision};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The leader's answer to a renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// Leadership was confirmed after the renewal came in, and the lease runs on: its signed word.
    Acknowledged(Box<Acknowledgement>),
    /// The lease is being taken back; never un-said.
    Expiring,
    /// This member does not lead, or could not confirm that it does.
    NotLeader,
}

/// A lease that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// Since the last renewal that counted, or since the leader took over.
    pub silent: Duration,
    /// Until it is over and what it bound is free.
    pub left: Duration,
    /// It is renewed no more.
    pub expiring: bool,
}

/// Leases out of the ordinary at one moment, as the leader counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeaseNews {
    /// When this member took or heard them, on `CLOCK_BOOTTIME`.
    pub at_ns: u64,
    /// Nodes that missed beats, or whose lease is taken back.
    pub silent: BTreeMap<NodeId, Silence>,
    /// Placements that are stopping, and until when the lease of their node frees them at the latest.
    pub stopping: BTreeMap<PlacementId, Duration>,
    /// There are no others.
    pub whole: bool,
}

/// The table of leases, which only the leader has.
pub trait LeaseRenewals: Send + Sync + fmt::Debug {
    /// Renews a lease; `received_ns` is when the message came in, on `CLOCK_BOOTTIME`. Of one that was `carried` here, by
    /// whom its agent's signature was checked: the newest revision that the agent had heard of.
    fn renew<'a>(
        &'a self,
        renewal: &'a Asked,
        received_ns: u64,
        carried: Option<Revision>,
    ) -> BoxFuture<'a, Renewal>;

    /// What is out of the ordinary; `None` from a member that does not lead.
    fn news(&self) -> Option<Arc<LeaseNews>>;
}

/// A checkpoint with this member's signature under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// What was signed.
    pub checkpoint: Checkpoint,
    /// Text of the note.
    pub text: String,
    /// The signature line.
    pub line: SignatureLine,
}

/// Checkpoints that this member signed.
pub trait SignedHeads: Send + Sync + fmt::Debug {
    /// The newest.
    fn latest(&self) -> Option<Arc<SignedHead>>;

    /// The one at exactly this revision, while it is kept.
    fn at(&self, revision: Revision) -> Option<Arc<SignedHead>>;

    /// Those after a revision, oldest first, the newest `max` of them.
    fn after(&self, revision: Revision, max: usize) -> Vec<Arc<SignedHead>>;

    /// Revision of the newest, as it changes.
    fn changes(&self) -> watch::Receiver<Revision>;

    /// Signs nothing more while this member signs for the federation with this key: its word contradicts this log.
    fn accuse(&self, member: MemberId, key: PublicKey);

    /// Why this member signs nothing, as an error code or a word.
    fn problem(&self) -> Option<String>;
}
