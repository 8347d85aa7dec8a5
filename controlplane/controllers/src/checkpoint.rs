//! The signer of checkpoints, on every member.
//!
//! Must hold: every point is signed, never only the last of a batch; what was signed is durable before a signature
//! leaves, so that a member that restarts, or whose disk went back, never signs another history ([`rule`]); a new head
//! follows from the last signed one by this member's own tree, not by its order alone (`tree.rs`); while members of
//! k operators sign for the federation whose word this member's log contradicts, it signs nothing. A member without a key, or
//! whose key the bundle does not list, signs nothing and says so.

pub mod rule;
mod signatures;
mod tree;

pub use signatures::{Signatures, Signed, SignerState, SignerStatus};

use crate::limit::SIGN_BATCH_MAX;
use crate::replica::Replica;
use futures::FutureExt as _;
use rule::{Refusal, may_sign};
use sekisho_evidence::checkpoint::{Checkpoint, CheckpointError};
use sekisho_evidence::key::SigningKey;
use sekisho_fsm::State;
use sekisho_raft::checkpoint::{CheckpointEvent, CheckpointStream};
use sekisho_types::id::{Digest, MemberId, OperatorId, PublicKey};
use sekisho_types::principal::MemberIdentity;
use sekisho_types::time::Clock;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Keeps the last signed head across restarts.
pub trait HeadStore: Send + Sync + 'static {
    /// The last head saved; `None` if there never was one.
    ///
    /// # Errors
    /// It cannot be read; the signer then signs nothing.
    fn load(&self) -> Result<Option<Checkpoint>, HeadStoreError>;

    /// Saves a head; durable on return.
    ///
    /// # Errors
    /// It is not certainly durable; nothing is signed.
    fn save(&self, head: &Checkpoint) -> Result<(), HeadStoreError>;

    /// A hash of this member's own audit tree, by its dense index; `None` if it is not here (yet).
    ///
    /// # Errors
    /// It cannot be read; nothing is signed.
    fn hash(&self, index: u64) -> Result<Option<Digest>, HeadStoreError>;

    /// Members with the keys under which they signed what this member's log contradicts.
    ///
    /// # Errors
    /// They cannot be read; the signer then signs nothing.
    fn accused(&self) -> Result<BTreeSet<(MemberId, PublicKey)>, HeadStoreError>;
}

/// The store of the last signed head failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the last signed head could not be kept")]
pub struct HeadStoreError(#[source] pub Arc<dyn std::error::Error + Send + Sync>);

/// Why a batch was not signed at all.
#[derive(Debug, thiserror::Error)]
enum SignError {
    #[error(transparent)]
    Store(#[from] HeadStoreError),
    #[error("signing failed")]
    Sign(#[from] CheckpointError),
    #[error("the signing thread panicked")]
    Thread(#[from] tokio::task::JoinError),
}

/// Signs checkpoints as one member.
pub struct Signer {
    identity: MemberIdentity,
    key: Option<SigningKey>,
    store: Arc<dyn HeadStore>,
    clock: Arc<dyn Clock>,
    signatures: Signatures,
    last: Option<Checkpoint>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("identity", &self.identity)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// A signer that goes on where `store` says that it stopped.
    ///
    /// # Errors
    /// The last signed head cannot be read.
    pub fn open(
        identity: MemberIdentity,
        key: Option<SigningKey>,
        store: Arc<dyn HeadStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, HeadStoreError> {
        let last = store.load()?;
        let signatures = Signatures::new();
        store.accused()?.into_iter().for_each(|(member, key)| signatures.accuse(member, key));
        if key.is_none() {
            signatures.set(SignerState::Missing);
            tracing::warn!(member = %identity.member, "no checkpoint key: this member signs nothing");
        }
        Ok(Self { identity, key, store, clock, signatures, last })
    }

    /// What this signer made, for whoever serves it.
    #[must_use]
    pub fn signatures(&self) -> Signatures {
        self.signatures.clone()
    }

    /// Signs for ever; ends when the member is gone.
    pub async fn run<R: Replica>(mut self, replica: R) {
        let mut points = replica.checkpoints().subscribe();
        while let Some(batch) = next_batch(&mut points).await {
            self.take(&replica.view().state, &batch).await;
        }
    }

    /// Signs what may be signed of a batch, in order.
    async fn take(&mut self, state: &State, batch: &[Checkpoint]) {
        let Some(key) = self.key.clone() else { return };
        if !self.is_endorsed(state, &key) {
            self.signatures.set(SignerState::NotEndorsed);
            return;
        }
        if let Some(member) = self.outvoted(state) {
            self.refuse(Some(Refusal::Witnessed { member }));
            return;
        }
        let (wanted, refused) = self.choose(batch);
        let Some(head) = wanted.last().copied() else {
            self.refuse(refused);
            return;
        };
        match self.sign(key, wanted, head).await {
            Ok(Err(refusal)) => self.refuse(Some(refusal)),
            Ok(Ok(signed)) => {
                self.last = Some(head);
                self.signatures.add(signed);
                self.refuse(refused);
            }
            Err(error) => {
                tracing::error!(%error, revision = %head.revision, "checkpoint not signed");
                metrics::counter!("sekisho_checkpoint_failures_total").increment(1);
                self.signatures.set(SignerState::StoreFailed(error.to_string()));
            }
        }
    }

    fn is_endorsed(&self, state: &State, key: &SigningKey) -> bool {
        let public = key.public();
        state.federation().is_some_and(|federation| {
            federation.bundle.endorsers.iter().any(|endorser| {
                endorser.member == self.identity.member
                    && endorser.operator == self.identity.operator
                    && endorser.public_key == public
            })
        })
    }

    /// One of those who sign for the federation, and whose word this member's log contradicts, where they are of k operators:
    /// then this log may be the wrong one. Fewer stop nobody: what they sign has never enough operators, and could each of
    /// them stop the others, one company's key could end all new work.
    fn outvoted(&self, state: &State) -> Option<MemberId> {
        let bundle = &state.federation()?.bundle;
        let accused = self.signatures.accused();
        let wrong = bundle.endorsers.iter();
        let wrong: Vec<_> =
            wrong.filter(|one| accused.contains(&(one.member, one.public_key))).collect();
        let operators: BTreeSet<&OperatorId> = wrong.iter().map(|one| &one.operator).collect();
        let many = u32::try_from(operators.len()).is_ok_and(|many| many >= bundle.k);
        wrong.first().filter(|_| many).map(|one| one.member)
    }

    /// The points that may be signed one after another, and why the newest other one may not.
    fn choose(&self, batch: &[Checkpoint]) -> (Vec<Checkpoint>, Option<Refusal>) {
        let (wall, mut last) = (self.clock.wall(), self.last);
        let (mut wanted, mut refused) = (Vec::new(), None);
        for point in batch {
            match may_sign(last.as_ref(), point, wall) {
                Ok(()) => {
                    last = Some(*point);
                    wanted.push(*point);
                    refused = None;
                }
                Err(refusal) => refused = Some(refusal),
            }
        }
        (wanted, refused)
    }

    async fn sign(
        &self,
        key: SigningKey,
        wanted: Vec<Checkpoint>,
        head: Checkpoint,
    ) -> Result<Result<Vec<Signed>, Refusal>, SignError> {
        let (store, identity, last) = (Arc::clone(&self.store), self.identity.clone(), self.last);
        let signed = tokio::task::spawn_blocking(move || {
            if let Err(refusal) = tree::extends(store.as_ref(), last.as_ref(), &wanted)? {
                return Ok(Err(refusal));
            }
            // The newest of the batch covers the others: after a crash those before it are not signed again.
            store.save(&head)?;
            let sign = |checkpoint: Checkpoint| {
                let line = checkpoint.sign(&identity.operator, identity.member, &key)?;
                Ok::<_, SignError>(Signed { checkpoint, line })
            };
            wanted.into_iter().map(sign).collect::<Result<Vec<_>, _>>().map(Ok)
        });
        signed.await?
    }

    fn refuse(&self, refused: Option<Refusal>) {
        let Some(refusal) = refused else { return };
        match refusal {
            // Points of a replayed log.
            Refusal::Older => return,
            Refusal::Fork => {
                tracing::error!(%refusal, "checkpoint refused: audit this member's log at once");
            }
            Refusal::Witnessed { member } => {
                tracing::error!(%member, %refusal, "checkpoint refused: the audit log has forked");
            }
            Refusal::Unproven { .. } | Refusal::ClockAhead { .. } | Refusal::ClockBehind { .. } => {
                tracing::warn!(%refusal, "checkpoint refused");
            }
        }
        metrics::counter!("sekisho_checkpoint_refusals_total").increment(1);
        self.signatures.set(SignerState::Refusing(refusal));
    }
}

/// Waits for a point and takes what else is there, up to a bound.
async fn next_batch(points: &mut CheckpointStream) -> Option<Vec<Checkpoint>> {
    let mut batch = Vec::new();
    note(points.next().await?, &mut batch);
    while batch.len() < SIGN_BATCH_MAX {
        match points.next().now_or_never() {
            Some(Some(event)) => note(event, &mut batch),
            Some(None) | None => break,
        }
    }
    Some(batch)
}

fn note(event: CheckpointEvent, batch: &mut Vec<Checkpoint>) {
    match event {
        CheckpointEvent::Point(point) => batch.push(point),
        CheckpointEvent::Missed(points) => {
            metrics::counter!("sekisho_checkpoint_missed_total").increment(points);
            tracing::warn!(points, "signing fell behind; points were left out");
        }
    }
}

#[cfg(test)]
mod tests;
