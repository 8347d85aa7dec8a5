//! The owned state and what apply does with it, synchronously. Runs on blocking threads only.

use crate::disk::{AuditRows, DataDisk};
use crate::error::{LevelError, MemberFailure};
use crate::snapshot::{Image, Meta, SnapshotError};
use crate::type_config::{Entry, LogId, Membership, Response, index};
use crate::view::{Group, Publisher};
use openraft::EntryPayload;
use sekisho_evidence::checkpoint::Checkpoint;
use sekisho_evidence::merkle::Appended;
use sekisho_fsm::State;
use sekisho_fsm::entry::Entry as FsmEntry;
use sekisho_fsm::event::Event;
use sekisho_fsm::outcome::{Applied, PayloadEffect};
use sekisho_store::{Hash, StoreError, hashes_of};
use sekisho_types::cause::explain;
use sekisho_types::id::{Digest, MemberId};
use sekisho_types::revision::Revision;
use std::collections::BTreeSet;
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
    #[error(transparent)]
    Level(#[from] LevelError),
}

impl From<ApplyError> for MemberFailure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Entry { revision, why } => Self::Apply { revision, why: why.into() },
            ApplyError::Store(error) => Self::Storage(explain(&error).into()),
            ApplyError::Snapshot(SnapshotError::Level(error)) | ApplyError::Level(error) => {
                Self::Level(error)
            }
            ApplyError::Snapshot(error) => Self::Storage(explain(&error).into()),
        }
    }
}

/// What a batch leaves to write and to tell.
#[derive(Default)]
struct Effects {
    rows: AuditRows,
    payloads: Vec<PayloadEffect>,
    /// What each entry changed.
    events: Vec<(Revision, Vec<Event>)>,
    checkpoints: Vec<Checkpoint>,
}

impl Effects {
    /// Takes what one entry left; what its caller is told.
    fn add(&mut self, revision: Revision, applied: Applied) -> Result<Response, ApplyError> {
        for leaf in applied.leaves {
            let (record, first_hash, hashes) = (leaf.index, leaf.first_hash, leaf.hashes);
            let row = Appended { record, first_hash, hashes };
            if !self.rows.push(row, leaf.record) {
                let why = format!("audit record {record} does not follow the one before it");
                return Err(ApplyError::Entry { revision, why });
            }
        }
        self.payloads.extend(applied.payloads);
        self.events.push((revision, applied.events));
        self.checkpoints.extend(applied.checkpoint);
        Ok(Response { revision: applied.first, outcome: Some(applied.outcome) })
    }
}

/// The commands among the entries, which must follow `after` and each other in order.
fn commands(
    after: Option<LogId>,
    entries: &[Entry],
) -> Result<Vec<(Revision, &FsmEntry)>, ApplyError> {
    let (mut last, mut commands) = (after.map(|id| index(&id)), Vec::with_capacity(entries.len()));
    for entry in entries {
        let at = index(&entry.log_id);
        let revision = Revision(at);
        if last >= Some(at) {
            return Err(ApplyError::Entry { revision, why: format!("comes after {last:?}") });
        }
        last = Some(at);
        if let EntryPayload::Normal(proposal) = &entry.payload {
            let decoded = proposal.entry();
            let command =
                decoded.map_err(|e| ApplyError::Entry { revision, why: e.to_string() })?;
            commands.push((revision, command.as_ref()));
        }
    }
    Ok(commands)
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
        let commands = commands(after, entries)?;
        let mut applied = self.state.apply_all(&commands).into_iter();
        // What came after the entry that raised it may be wrong already: nothing of this batch is used.
        self.publisher.check_level(&self.state)?;
        let (mut effects, mut responses) = (Effects::default(), Vec::with_capacity(entries.len()));
        for entry in entries {
            let revision = Revision(index(&entry.log_id));
            let answer = match &entry.payload {
                EntryPayload::Normal(_) => {
                    applied.next().map(|applied| effects.add(revision, applied)).transpose()?
                }
                EntryPayload::Blank => None,
                EntryPayload::Membership(membership) => {
                    self.group = Arc::new(group(membership));
                    // Whoever votes no longer is nobody to talk to.
                    effects.events.push((revision, vec![Event::Trust]));
                    None
                }
            };
            responses.push(answer.unwrap_or(Response { revision, outcome: None }));
        }
        self.write(&effects)?;
        self.publisher.changes.push(&effects.events);
        let last = entries.last().map(|entry| entry.log_id).or(after);
        let (state, group) = (self.state.clone(), Arc::clone(&self.group));
        self.publisher.publish(state, last.map(|id| Revision(index(&id))), group);
        self.publisher.checkpoints.push(effects.checkpoints);
        self.publisher.wake(&effects.events);
        let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        metrics::counter!("sekisho_raft_applied_entries_total").increment(count);
        Ok(responses)
    }

    /// Everything that a batch leaves, in one write.
    fn write(&mut self, effects: &Effects) -> Result<(), StoreError> {
        let mut keep: Vec<(Hash, &[u8])> = Vec::new();
        for effect in &effects.payloads {
            match effect {
                PayloadEffect::Put(digest, bytes) => {
                    keep.push((digest.0, bytes));
                    self.dropped.remove(&digest.0);
                }
                PayloadEffect::Drop(digest) => {
                    self.dropped.insert(digest.0);
                }
            }
        }
        let mut forget = Vec::new();
        if Arc::strong_count(&self.building) == 1 {
            forget.extend(std::mem::take(&mut self.dropped));
        }
        if effects.rows.records.is_empty() && keep.is_empty() && forget.is_empty() {
            return Ok(());
        }
        self.disk.apply(&effects.rows, &keep, &forget)
    }

    /// Takes the place of everything by a durable snapshot. Repeatable: a start after a crash in the middle does it
    /// again.
    pub(super) fn replace(&mut self, meta: &Meta, image: Image) -> Result<(), SnapshotError> {
        let Image { state, payloads } = image;
        self.publisher.check_level(&state)?;
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
                self.disk.apply(&AuditRows::default(), &[(digest.0, bytes)], &[])?;
            }
        }
        let strangers: Vec<Hash> =
            have.into_iter().filter(|digest| !state.refers_to_payload(&Digest(*digest))).collect();
        self.disk.apply(&AuditRows::default(), &[], &strangers)?;
        self.dropped.clear();
        self.state = state;
        let applied = meta.last_log_id.map(|id| Revision(index(&id)));
        self.group = Arc::new(group(meta.membership.membership()));
        let (state, group) = (self.state.clone(), Arc::clone(&self.group));
        self.publisher.changes.restart(state.revision());
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
