//! Starting a member: what is checked before it may vote, and in which order.

use super::Core;
use super::{backfill, confirm, failure_of, leadership, prove};
use crate::config::RaftConfig;
use crate::disk::MemberDisk as _;
use crate::error::{MemberFailure, StartError};
use crate::log_store::{Covered, LogAdapter};
use crate::member::{AppliedMembers, Known};
use crate::metrics::Recorder;
use crate::network::client::Outbound;
use crate::network::link::Links;
use crate::platform::{Native, Platform};
use crate::snapshot::{Origin, Shelf, SnapshotError};
use crate::state_machine::StateMachine;
use crate::type_config::{LogId, Raft, index};
use crate::view::Publisher;
use openraft::async_runtime::WatchReceiver as _;
use openraft::storage::RaftLogStorage as _;
use sekisho_transport::task::TaskGroup;
use sekisho_types::id::MemberId;
use sekisho_types::time::Clock;
use std::sync::{Arc, Weak};

/// What a member is started with.
#[derive(Debug)]
pub struct MemberOptions<P: Platform = Native> {
    /// Its federation and incarnation.
    pub origin: Origin,
    /// Its id; never reused.
    pub member: MemberId,
    /// The latest members that are known beside those of its state: who may be talked to until that is applied (D3).
    pub known: Known,
    /// Its open data directory.
    pub store: Arc<P::Disk>,
    /// The way to the others.
    pub links: Arc<dyn Links>,
    /// Timing and log keeping.
    pub config: RaftConfig,
    /// For the time of views.
    pub clock: Arc<dyn Clock>,
    /// Its background tasks live in a child of this group.
    pub tasks: TaskGroup,
}

pub(super) async fn start<P: Platform>(
    options: MemberOptions<P>,
) -> Result<Arc<Core<P>>, StartError> {
    let engine = options.config.engine::<P>(options.origin.cluster)?;
    if options.store.owner() != options.origin.owner(options.member) {
        return Err(StartError::OtherMember);
    }
    let publisher = Publisher::new(Arc::clone(&options.clock));
    let publisher = Arc::new(publisher.knowing(options.config.feature_level));
    let (store, origin) = (Arc::clone(&options.store), options.origin);
    let shared = Arc::clone(&publisher);
    let opening = P::blocking(move || open::<P>(store, origin, shared)).await;
    let (machine, mut log) = opening.map_err(|e| StartError::Raft(e.to_string()))??;
    drop_covered(&machine, &mut log).await?;

    let directory = Arc::new(AppliedMembers::new(options.known, publisher.views()));
    let (me, links) = (options.member, options.links);
    let lag_max = options.config.lag_max();
    let feature_level = options.config.feature_level;
    let members = Arc::clone(&directory);
    let out = Outbound { origin, me, links, directory, feature_level, lag_max };
    let raft = Raft::build(me.0, Arc::new(engine), out.clone(), log, machine).await;
    let raft = raft.map_err(|e| StartError::Raft(e.to_string()))?;
    raft.run();
    raft.set_metrics_recorder(Some(Arc::new(Recorder::default())))
        .await
        .map_err(|e| StartError::Raft(e.to_string()))?;

    let tasks = options.tasks.child();
    let core = Arc::new(Core::new(raft, out, members, publisher, options.store, tasks));
    let lease = options.config.timing.election_max;
    P::spawn(&core.tasks, "raft-leadership", leadership::watch(Arc::downgrade(&core), lease));
    P::spawn(&core.tasks, "raft-confirm", confirm::run(Arc::downgrade(&core), lease));
    P::spawn(&core.tasks, "raft-claim", prove::prove(Arc::downgrade(&core)));
    P::spawn(&core.tasks, "raft-backfill", backfill::follow(Arc::downgrade(&core)));
    P::spawn(&core.tasks, "raft-health", watch_health(Arc::downgrade(&core)));
    tracing::info!(member = %me, revision = %core.publisher.view().revision(), "member started");
    Ok(core)
}

/// Blocks: reads the snapshot, verifies it, and decodes the state.
fn open<P: Platform>(
    store: Arc<P::Disk>,
    origin: Origin,
    publisher: Arc<Publisher>,
) -> Result<(StateMachine<P>, LogAdapter<P>), StartError> {
    store.check()?;
    let covered = Covered::default();
    let (log, data) = (store.log(), store.data());
    let (shelf, loaded) = Shelf::open(Arc::clone(&data), origin, covered.clone())?;
    // openraft would find this out by a panic.
    if let Some((purged, _)) = log.purged() {
        let snapshot = loaded.as_ref().and_then(|(meta, _)| meta.last_log_id).map(|id| index(&id));
        if snapshot < Some(purged) {
            return Err(StartError::SnapshotBehindLog { snapshot, purged });
        }
    }
    let machine = StateMachine::open(data, Arc::new(shelf), publisher, loaded).map_err(
        |error| match error {
            SnapshotError::Store(error) => StartError::Store(error),
            SnapshotError::Level(error) => StartError::Level(error),
            other @ (SnapshotError::Malformed(_)
            | SnapshotError::OtherCluster
            | SnapshotError::State(_)
            | SnapshotError::Payload(_)
            | SnapshotError::Superseded) => StartError::Snapshot(other),
        },
    )?;
    Ok((machine, LogAdapter::new(log, covered)))
}

/// Drops a log that ends before the snapshot, all of it. A crash between the saving of a received snapshot and the purge
/// behind it leaves one; openraft sees that only where the last entry has the lesser id, which an uncommitted one of a
/// later term has not, and would go on writing behind the gap.
async fn drop_covered<P: Platform>(
    machine: &StateMachine<P>,
    log: &mut LogAdapter<P>,
) -> Result<(), StartError> {
    let Some(snapshot) = machine.last_applied() else { return Ok(()) };
    let state = log.get_log_state().await.map_err(|e| StartError::Raft(e.to_string()))?;
    let is_before = |last: &LogId| index(last) < index(&snapshot);
    if state.last_log_id.as_ref().is_some_and(is_before) {
        tracing::warn!(last = ?state.last_log_id, ?snapshot, "the log ends before the snapshot: dropped");
        log.purge(snapshot).await.map_err(|e| StartError::Raft(e.to_string()))?;
    }
    Ok(())
}

/// Notes when the engine stops by itself.
async fn watch_health<P: Platform>(handle: Weak<Core<P>>) {
    let sources = handle.upgrade().map(|core| (core.raft.metrics(), core.raft.server_metrics()));
    // Every entry changes the metrics; who leads, and the end of the engine, is all that is waited for here.
    let Some((metrics, mut server)) = sources else { return };
    loop {
        let running = metrics.borrow_watched().running_state.clone();
        let Some(core) = handle.upgrade() else { return };
        if let Err(fatal) = running {
            if !core.closing() {
                core.publisher.fail(failure_of(&fatal));
            }
            core.leadership.send_replace(None);
            return;
        }
        drop(core);
        if server.changed().await.is_err() {
            if metrics.borrow_watched().running_state.is_err() {
                continue;
            }
            // A panic takes the engine away without a last word.
            if let Some(core) = handle.upgrade().filter(|core| !core.closing()) {
                core.publisher.fail(MemberFailure::Engine("it ended without a cause".into()));
                core.leadership.send_replace(None);
            }
            return;
        }
    }
}
