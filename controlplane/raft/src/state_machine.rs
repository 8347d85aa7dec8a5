//! Apply: committed entries in, published states out.
//!
//! Order within a batch: apply each entry on the owned state; hand all audit rows and payload effects to the disk;
//! publish the view and the checkpoints; only then answer the callers. Audit rows are not synced here: the log can
//! repeat them, and a snapshot is saved only after they are synced.
//!
//! Must hold (R4, R7): the same entries give the same state whatever the batches; whatever cannot be applied or
//! written stops this member with a clear cause before anything of it is published; a panic in apply is such a cause.

mod machine;

use crate::disk::DataDisk;
use crate::error::MemberFailure;
use crate::limit::{APPLY_BYTES, APPLY_ENTRIES, INLINE_BYTES, INLINE_ENTRIES};
use crate::platform::{BlockingError, Native, Platform};
use crate::snapshot::{Image, Meta, Shelf, SnapshotData, SnapshotError};
use crate::type_config::{
    Entry, LogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig, index,
};
use crate::view::Publisher;
use futures::{Stream, StreamExt as _};
use machine::{ApplyError, Machine};
use openraft::EntryPayload;
use openraft::storage::{ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use sekisho_types::cause::explain;
use sekisho_types::revision::Revision;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

/// The state machine as openraft sees it.
#[derive(Debug)]
pub(crate) struct StateMachine<P = Native> {
    /// Away while a blocking task works on it; gone for good when that task panicked.
    machine: Option<Box<Machine>>,
    last_applied: Option<LogId>,
    membership: StoredMembership,
    shelf: Arc<Shelf>,
    publisher: Arc<Publisher>,
    platform: PhantomData<P>,
}

/// Entries to apply together, with whom to answer.
struct Batch<P: Platform> {
    entries: Vec<Entry>,
    callers: Vec<Option<ApplyResponder<TypeConfig<P>>>>,
    /// Of the entries, encoded.
    bytes: usize,
}

impl<P: Platform> StateMachine<P> {
    /// Starts from the snapshot that counts, or from nothing. Blocks.
    pub(crate) fn open(
        disk: Arc<dyn DataDisk>,
        shelf: Arc<Shelf>,
        publisher: Arc<Publisher>,
        loaded: Option<(Meta, Image)>,
    ) -> Result<Self, SnapshotError> {
        let mut machine = Box::new(Machine::new(disk, Arc::clone(&publisher)));
        let (mut last_applied, mut membership) = (None, StoredMembership::default());
        if let Some((meta, image)) = loaded {
            machine.replace(&meta, image)?;
            (last_applied, membership) = (meta.last_log_id, meta.membership);
        }
        let machine = Some(machine);
        Ok(Self { machine, last_applied, membership, shelf, publisher, platform: PhantomData })
    }

    /// The entry that its state ends with.
    pub(crate) fn last_applied(&self) -> Option<LogId> {
        self.last_applied
    }

    /// Runs `work` on the machine: here if it is `short`, else off the async workers.
    async fn work<T, F>(&mut self, short: bool, work: F) -> io::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Machine) -> Result<T, ApplyError> + Send + 'static,
    {
        let mut machine =
            self.machine.take().ok_or_else(|| io::Error::other("apply has failed"))?;
        let work = move || {
            let outcome = work(&mut machine);
            (machine, outcome)
        };
        // Two threads waking each other take longer than a small batch does.
        let done = if short { P::inline(work) } else { P::blocking(work).await };
        match done {
            Ok((machine, outcome)) => {
                self.machine = Some(machine);
                outcome.map_err(|error| self.fail(error.into()))
            }
            Err(error) => Err(self.fail(self.panicked(&error))),
        }
    }

    /// A panic, or a runtime that goes down: nothing was applied then that anybody saw.
    fn panicked(&self, error: &BlockingError) -> MemberFailure {
        let revision = Revision(self.last_applied.map_or(0, |id| index(&id).saturating_add(1)));
        MemberFailure::Apply { revision, why: error.to_string().into() }
    }

    fn fail(&self, failure: MemberFailure) -> io::Error {
        let error = io::Error::other(failure.to_string());
        self.publisher.fail(failure);
        error
    }

    async fn apply_batch(&mut self, batch: Batch<P>) -> io::Result<()> {
        let Batch { entries, callers, bytes } = batch;
        let Some(last) = entries.last().map(|entry| entry.log_id) else { return Ok(()) };
        let membership = entries.iter().rev().find_map(|entry| match &entry.payload {
            EntryPayload::Membership(membership) => {
                Some(StoredMembership::new(Some(entry.log_id), membership.clone()))
            }
            EntryPayload::Blank | EntryPayload::Normal(_) => None,
        });
        let after = self.last_applied;
        let short = entries.len() <= INLINE_ENTRIES
            && bytes <= INLINE_BYTES
            && self.machine.as_ref().is_some_and(|machine| !machine.would_wait());
        let responses = self.work(short, move |machine| machine.apply(after, &entries)).await?;
        self.last_applied = Some(last);
        self.membership = membership.unwrap_or_else(|| self.membership.clone());
        for (caller, response) in callers.into_iter().zip(responses) {
            if let Some(caller) = caller {
                caller.send(response);
            }
        }
        Ok(())
    }
}

/// The next entries of `stream`, within the bounds of one batch; and whether the stream is at its end.
async fn gather<P, S>(stream: &mut S) -> io::Result<(Batch<P>, bool)>
where
    P: Platform,
    S: Stream<Item = io::Result<EntryResponder<TypeConfig<P>>>> + Unpin,
{
    let mut batch = Batch { entries: Vec::new(), callers: Vec::new(), bytes: 0 };
    while batch.entries.len() < APPLY_ENTRIES && batch.bytes < APPLY_BYTES {
        let Some(item) = stream.next().await else { return Ok((batch, true)) };
        let (entry, caller) = item?;
        if let EntryPayload::Normal(proposal) = &entry.payload {
            batch.bytes = batch.bytes.saturating_add(proposal.bytes().len());
        }
        batch.entries.push(entry);
        batch.callers.push(caller);
    }
    Ok((batch, false))
}

impl<P: Platform> RaftStateMachine<TypeConfig<P>> for StateMachine<P> {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = SnapshotBuilder<P>;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.last_applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig<P>>>> + Unpin + Send,
    {
        loop {
            let (batch, end) = match gather(&mut entries).await {
                Ok(gathered) => gathered,
                Err(error) => {
                    return Err(self.fail(MemberFailure::Storage(error.to_string().into())));
                }
            };
            self.apply_batch(batch).await?;
            if end {
                return Ok(());
            }
        }
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder<P> {
        SnapshotBuilder {
            source: self.machine.as_ref().map(|machine| machine.source()),
            meta: Meta {
                origin: self.shelf.origin,
                last_log_id: self.last_applied,
                membership: self.membership.clone(),
            },
            shelf: Arc::clone(&self.shelf),
            publisher: Arc::clone(&self.publisher),
            platform: PhantomData,
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotData,
    ) -> io::Result<()> {
        let (shelf, origin) = (Arc::clone(&self.shelf), self.shelf.origin);
        let meta = Meta::new(origin, meta);
        let described = meta.clone();
        self.work(false, move |machine| {
            let data = snapshot.load()?;
            // Verified whole before anything is replaced; durable before anything of it is used.
            let image = Image::decode(&data, origin)?;
            shelf.save(&meta, &data)?;
            Ok(machine.replace(&meta, image)?)
        })
        .await?;
        self.last_applied = described.last_log_id;
        self.membership = described.membership;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let current = self.shelf.current();
        Ok(current.map(|(meta, number)| {
            let snapshot = SnapshotData::Saved { shelf: Arc::clone(&self.shelf), number };
            Snapshot { meta: meta.engine(), snapshot }
        }))
    }
}

/// Builds a snapshot of one version while apply goes on.
#[derive(Debug)]
pub(crate) struct SnapshotBuilder<P = Native> {
    source: Option<machine::Source>,
    meta: Meta,
    shelf: Arc<Shelf>,
    publisher: Arc<Publisher>,
    platform: PhantomData<P>,
}

impl<P: Platform> RaftSnapshotBuilder<TypeConfig<P>> for SnapshotBuilder<P> {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let source = self.source.take().ok_or_else(|| io::Error::other("apply has failed"))?;
        let (shelf, meta) = (Arc::clone(&self.shelf), self.meta.clone());
        let started = tokio::time::Instant::now();
        let built = P::blocking(move || {
            let data = source.encode()?;
            let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
            metrics::histogram!("sekisho_raft_snapshot_bytes").record(size);
            shelf.save(&meta, &data)
        });
        let saved = built.await.map_err(|e| SnapshotError::Malformed(e.to_string()));
        match saved.and_then(|saved| saved) {
            Ok(number) => {
                metrics::histogram!("sekisho_raft_snapshot_seconds").record(started.elapsed());
                let snapshot = SnapshotData::Saved { shelf: Arc::clone(&self.shelf), number };
                Ok(Snapshot { meta: self.meta.engine(), snapshot })
            }
            Err(error) => {
                let failure = MemberFailure::Storage(explain(&error).into());
                self.publisher.fail(failure);
                Err(io::Error::other(error))
            }
        }
    }
}
