//! The owned state and what apply does with it, synchronously. Runs on blocking threads only.

use crate::disk::{AuditRows, DataDisk};
use crate::error::MemberFailure;
use crate::snapshot::{Image, Meta, SnapshotError};
use crate::type_config::{Entry, LogId, Membership, Response, index};
use crate::view::{Group, Publisher};
use openraft::EntryPayload;
use sekisho_evidence::checkpoint::Checkpoint;
use sekisho_evidence::merkle::Appended;
use sekisho_fsm::State;
use sekisho_fsm::entry::Entry as FsmEntry;
use sekisho_fsm::event::Event;
use sekisho_fsm::outcome::PayloadEffect;
use sekisho_store::{Hash, StoreError, hashes_of};
use sekisho_types::id::{Digest, MemberId};
use sekisho_types::revision::Revision;
use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;

/// Why apply stops the member.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    #[error("entry {revision}: {why}")]
    Entry { revision: Revision, why: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

impl From<ApplyError> for MemberFailure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Entry { revision, why } => Self::Apply { revision, why: why.into() },
            ApplyError::Store(error) => Self::Storage(explain(&error).into()),
            ApplyError::Snapshot(error) => Self::Storage(explain(&error).into()),
        }
    }
}

/// The error with its causes, in one line.
pub(super) fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// What a batch leaves to write and to tell.
#[derive(Default)]
struct Effects {
    rows: AuditRows,
    payloads: Vec<PayloadEffect>,
    events: Vec<Event>,
    checkpoints: Vec<Checkpoint>,
}

/// The voters of a membership, of both sets during a change.
fn group(membership: &Membership) -> Group {
    let voter = |id: &u64| membership.voter_ids().any(|voter| voter == *id);
    let nodes = membership.nodes().filter(|(id, _)| voter(id));
    nodes.map(|(id, node)| (MemberId(*id), node.clone())).collect()
}

/// The replicated state of this member.
#[derive(Debug)]
pub(super) struct Machine {
    state: State,
    group: Arc<Group>,
    disk: Arc<dyn DataDisk>,
    publisher: Arc<Publisher>,
    /// Shared with every snapshot in the making: while one is, payloads are not dropped.
    building: Arc<()>,
    /// Payloads to drop once no snapshot is in the making.
    dropped: BTreeSet<Hash>,
}

impl Machine {
    pub(super) fn new(disk: Arc<dyn DataDisk>, publisher: Arc<Publisher>) -> Self {
        let (building, dropped) = (Arc::default(), BTreeSet::new());
        Self { state: State::default(), group: Arc::default(), disk, publisher, building, dropped }
    }

    /// Whether a write would have to wait for the disk now.
    pub(super) fn would_wait(&self) -> bool {
        self.disk.would_wait()
    }

    /// Applies entries that follow `after`, in order; one response each.
    pub(super) fn apply(
        &mut self,
        after: Option<LogId>,
        entries: &[Entry],
    ) -> Result<Vec<Response>, ApplyError> {
        let (mut effects, mut responses) = (Effects::default(), Vec::with_capacity(entries.len()));
        let mut last = after.map(|id| index(&id));
        for entry in entries {
            let at = index(&entry.log_id);
            let revision = Revision(at);
            if last >= Some(at) {
                return Err(ApplyError::Entry { revision, why: format!("comes after {last:?}") });
            }
            last = Some(at);
            responses.push(match &entry.payload {
                EntryPayload::Normal(proposal) => {
                    let decoded = proposal.entry();
                    let entry =
                        decoded.map_err(|e| ApplyError::Entry { revision, why: e.to_string() })?;
                    self.apply_one(revision, entry, &mut effects)?
                }
                EntryPayload::Blank => Response { revision, outcome: None },
                EntryPayload::Membership(membership) => {
                    self.group = Arc::new(group(membership));
                    // Whoever votes no longer is nobody to talk to.
                    effects.events.push(Event::Trust);
                    Response { revision, outcome: None }
                }
            });
        }
        self.write(&effects)?;
        let (state, group) = (self.state.clone(), Arc::clone(&self.group));
        self.publisher.publish(state, last.map(Revision), group);
        self.publisher.checkpoints.push(effects.checkpoints);
        self.publisher.wake(&effects.events);
        let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        metrics::counter!("sekisho_raft_applied_entries_total").increment(count);
        Ok(responses)
    }

    fn apply_one(
        &mut self,
        revision: Revision,
        entry: &FsmEntry,
        effects: &mut Effects,
    ) -> Result<Response, ApplyError> {
        let applied = self.state.apply(revision, entry);
        for leaf in applied.leaves {
            let (record, first_hash, hashes) = (leaf.index, leaf.first_hash, leaf.hashes);
            let row = Appended { record, first_hash, hashes };
            if !effects.rows.push(row, leaf.record) {
                let why = format!("audit record {record} does not follow the one before it");
                return Err(ApplyError::Entry { revision, why });
            }
        }
        effects.payloads.extend(applied.payloads);
        effects.events.extend(applied.events);
        effects.checkpoints.extend(applied.checkpoint);
        Ok(Response { revision: applied.first, outcome: Some(applied.outcome) })
    }

    fn write(&mut self, effects: &Effects) -> Result<(), StoreError> {
        if !effects.rows.records.is_empty() {
            self.disk.audit_append(&effects.rows)?;
        }
        for effect in &effects.payloads {
            match effect {
                PayloadEffect::Put(digest, bytes) => {
                    self.disk.payload_put(&digest.0, bytes)?;
                    self.dropped.remove(&digest.0);
                }
                PayloadEffect::Drop(digest) => {
                    self.dropped.insert(digest.0);
                }
            }
        }
        if !self.dropped.is_empty() && Arc::strong_count(&self.building) == 1 {
            let dropped: Vec<Hash> = std::mem::take(&mut self.dropped).into_iter().collect();
            self.disk.payload_delete(&dropped)?;
        }
        Ok(())
    }

    /// Takes the place of everything by a durable snapshot. Repeatable: a start after a crash in the middle does it
    /// again.
    pub(super) fn replace(&mut self, meta: &Meta, image: Image) -> Result<(), SnapshotError> {
        let Image { state, payloads } = image;
        let (_, size) = self.disk.audit_extent();
        if size < state.audit_size() {
            let at = state.audit_size();
            tracing::warn!(
                from = size,
                to = at,
                "snapshot installed: the audit records before it are fetched from another member"
            );
            let frontier: Vec<(u64, Hash)> =
                state.audit_frontier().map(|(i, h)| (i, h.0)).collect();
            self.disk.audit_restart(at, hashes_of(at), &frontier)?;
        }
        let have: BTreeSet<Hash> = self.disk.payload_keys()?.into_iter().collect();
        for (digest, bytes) in &payloads {
            if !have.contains(&digest.0) {
                self.disk.payload_put(&digest.0, bytes)?;
            }
        }
        let strangers: Vec<Hash> =
            have.into_iter().filter(|digest| !state.refers_to_payload(&Digest(*digest))).collect();
        self.disk.payload_delete(&strangers)?;
        self.dropped.clear();
        self.state = state;
        let applied = meta.last_log_id.map(|id| Revision(index(&id)));
        self.group = Arc::new(group(meta.membership.membership()));
        let (state, group) = (self.state.clone(), Arc::clone(&self.group));
        self.publisher.publish(state, applied, group);
        self.publisher.wake_all();
        Ok(())
    }

    /// A version to build a snapshot of. Clones share their rows, so this costs nothing.
    pub(super) fn source(&self) -> Source {
        let (state, disk) = (self.state.clone(), Arc::clone(&self.disk));
        Source { state, disk, _building: Arc::clone(&self.building) }
    }
}

/// One version, held for a snapshot.
#[derive(Debug)]
pub(super) struct Source {
    state: State,
    disk: Arc<dyn DataDisk>,
    _building: Arc<()>,
}

impl Source {
    /// The snapshot's bytes, after the audit rows that it covers are durable.
    pub(super) fn encode(self) -> Result<Vec<u8>, SnapshotError> {
        self.disk.audit_sync()?;
        Image::gather(self.state, self.disk.as_ref())?.encode()
    }
}
