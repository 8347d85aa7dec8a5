//! What the API asks for, answered by consensus, store and duties.

use futures::future::BoxFuture;
use sekisho_api::duty::{LeaseRenewals, Renewal, SignedHead, SignedHeads};
use sekisho_api::replica::{Archive, ArchiveError, Membership, Proposed, Replica, ReplicaError};
use sekisho_controllers::checkpoint::{Signatures, Signed, SignerState};
use sekisho_controllers::lease::table::Renewal as Counted;
use sekisho_controllers::lease::{Leases, NotCounted};
use sekisho_evidence::grant::SessionId;
use sekisho_fsm::State;
use sekisho_fsm::entry::Entry;
use sekisho_raft::audit::{AuditLog, Payloads};
use sekisho_raft::consensus::Consensus;
use sekisho_raft::error::{ProposeError, ReadError};
use sekisho_raft::member::MemberRole;
use sekisho_raft::view::Wake;
use sekisho_store::StoreError;
use sekisho_transport::deadline::Deadline;
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::revision::Revision;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

/// Consensus as the API sees it.
#[derive(Debug)]
pub struct ReplicaPort(pub Consensus);

fn propose_error(error: ProposeError) -> ReplicaError {
    match error {
        ProposeError::NoLeader => ReplicaError::NoLeader,
        ProposeError::Overloaded { retry_after } => ReplicaError::Overloaded { retry_after },
        ProposeError::OutcomeUnknown => ReplicaError::OutcomeUnknown,
        ProposeError::TooLarge { size } => ReplicaError::TooLarge(size),
        other @ (ProposeError::ShuttingDown
        | ProposeError::Failed(_)
        | ProposeError::Malformed(_)) => ReplicaError::Stopped(other.to_string()),
    }
}

fn read_error(error: &ReadError) -> ReplicaError {
    match error {
        ReadError::NoLeader => ReplicaError::NoLeader,
        ReadError::Behind { need } => ReplicaError::Behind(*need),
        ReadError::ShuttingDown | ReadError::Failed(_) => ReplicaError::Stopped(error.to_string()),
    }
}

impl Replica for ReplicaPort {
    fn state(&self) -> State {
        self.0.view().state.clone()
    }

    fn applied(&self) -> Revision {
        self.0.view().applied.unwrap_or_default()
    }

    fn node_changes(&self) -> watch::Receiver<u64> {
        self.0.wakes(Wake::Node)
    }

    fn desired_changes(&self) -> watch::Receiver<u64> {
        self.0.wakes(Wake::Desired)
    }

    fn propose(
        &self,
        entry: Entry,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Proposed, ReplicaError>> {
        Box::pin(async move {
            let committed = self.0.propose(entry, deadline).await.map_err(propose_error)?;
            Ok(Proposed { revision: committed.revision, outcome: committed.outcome })
        })
    }

    fn read_index(&self, deadline: Deadline) -> BoxFuture<'_, Result<Revision, ReplicaError>> {
        Box::pin(async move {
            let view = self.0.read_index(deadline).await.map_err(|error| read_error(&error))?;
            Ok(view.applied.unwrap_or_default())
        })
    }

    fn membership(&self) -> Membership {
        let leader = self.0.leader();
        let mut membership = Membership {
            term: leader.map_or(0, |leader| leader.term),
            leader: leader.map(|leader| leader.member),
            ..Membership::default()
        };
        for status in self.0.members() {
            match status.role {
                MemberRole::Voter => membership.voters.insert(status.member),
                MemberRole::Learner => membership.learners.insert(status.member),
            };
            if let Some(lag) = status.lag {
                membership.lag.insert(status.member, lag);
            }
        }
        membership
    }
}

/// The store as the API reads it.
#[derive(Debug)]
pub struct ArchivePort {
    audit: AuditLog,
    payloads: Payloads,
}

impl ArchivePort {
    /// Over a member's tables.
    #[must_use]
    pub fn new(consensus: &Consensus) -> Self {
        Self { audit: consensus.audit(), payloads: consensus.payloads() }
    }
}

fn stored(error: &StoreError) -> ArchiveError {
    ArchiveError::Failed(error.to_string())
}

impl Archive for ArchivePort {
    fn first(&self) -> u64 {
        self.audit.local().first()
    }

    fn records(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<Vec<u8>>, ArchiveError> {
        let first = self.first();
        if range.start < first {
            return Err(ArchiveError::Incomplete { first });
        }
        self.audit.local().records(range, max_bytes).map_err(|error| stored(&error))
    }

    fn hash(&self, index: u64) -> Result<Option<Digest>, ArchiveError> {
        Ok(self.audit.local().hash(index).map_err(|error| stored(&error))?.map(Digest))
    }

    fn payload(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, ArchiveError>> {
        Box::pin(async move { self.payloads.get(digest).await.map_err(|error| stored(&error)) })
    }
}

/// Leases as the API renews them.
#[derive(Debug)]
pub struct LeasePort(pub Leases<Consensus>);

impl LeaseRenewals for LeasePort {
    fn renew<'a>(
        &'a self,
        node: &'a NodeId,
        session: SessionId,
        received_ns: u64,
    ) -> BoxFuture<'a, Renewal> {
        Box::pin(async move {
            match self.0.renew(node, session, received_ns).await {
                Ok(Counted::Acknowledged) => Renewal::Acknowledged,
                // A session that is over has nothing to renew: its agent stops and opens another.
                Ok(Counted::Expiring | Counted::UnknownSession) => Renewal::Expiring,
                Err(NotCounted::NotLeader | NotCounted::NotConfirmed) => Renewal::NotLeader,
            }
        })
    }

    fn unreachable(&self, node: &NodeId) -> Option<bool> {
        self.0.leads().then(|| self.0.unreachable().contains(node))
    }
}

/// Own signatures as the API hands them out.
#[derive(Debug)]
pub struct HeadsPort {
    signatures: Signatures,
    changes: watch::Receiver<Revision>,
}

impl HeadsPort {
    /// A port, and the task that tells of news for it.
    pub fn new(signatures: Signatures) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (tell, changes) = watch::channel(Revision::default());
        let news = signatures.clone();
        let follow = async move {
            let mut made = news.subscribe();
            loop {
                match made.recv().await {
                    Ok(_) | Err(RecvError::Lagged(_)) => {
                        let newest = news.latest().map(|signed| signed.checkpoint.revision);
                        tell.send_replace(newest.unwrap_or_default());
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        };
        (Self { signatures, changes }, follow)
    }
}

fn head(signed: &Signed) -> Option<Arc<SignedHead>> {
    let text = signed.checkpoint.text().ok()?;
    Some(Arc::new(SignedHead { checkpoint: signed.checkpoint, text, line: signed.line.clone() }))
}

impl SignedHeads for HeadsPort {
    fn latest(&self) -> Option<Arc<SignedHead>> {
        head(self.signatures.latest()?.as_ref())
    }

    fn at(&self, revision: Revision) -> Option<Arc<SignedHead>> {
        head(self.signatures.at(revision)?.as_ref())
    }

    fn after(&self, revision: Revision, max: usize) -> Vec<Arc<SignedHead>> {
        self.signatures.after(revision, max).iter().filter_map(|signed| head(signed)).collect()
    }

    fn changes(&self) -> watch::Receiver<Revision> {
        self.changes.clone()
    }

    fn problem(&self) -> Option<String> {
        match self.signatures.status().state {
            SignerState::Idle | SignerState::Signing => None,
            SignerState::Missing => Some("no checkpoint key".to_owned()),
            SignerState::NotEndorsed => Some("its key is not in the endorser bundle".to_owned()),
            SignerState::Refusing(refusal) => Some(refusal.to_string()),
            SignerState::StoreFailed(why) => Some(format!("its last head cannot be kept: {why}")),
        }
    }
}
