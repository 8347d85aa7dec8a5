//! The published state: one moment of the replicated state, shared by every reader without locks or copies.
//!
//! Must hold: published only after the entries of the batch are applied and their audit rows are handed to the
//! store, before any caller of that batch is answered, so that whoever got an answer reads his own write (R2).

use crate::changes::Changes;
use crate::checkpoint::Checkpoints;
use crate::error::{LevelError, MemberFailure};
use crate::type_config::PeerNode;
use sekisho_fsm::State;
use sekisho_fsm::entry::FEATURE_LEVEL;
use sekisho_fsm::event::Event;
use sekisho_types::id::MemberId;
use sekisho_types::revision::Revision;
use sekisho_types::time::Clock;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// Members that vote, with where they are.
pub type Group = BTreeMap<MemberId, PeerNode>;

/// One version of the replicated state.
#[derive(Debug, Clone)]
pub struct View {
    /// The state.
    pub state: State,
    /// Last applied log entry of any kind; `None` before the first. Membership and blank entries move it, they do
    /// not move [`State::revision`].
    pub applied: Option<Revision>,
    /// The voters of the Raft group as of the same entry, with where they are: for a while after a change they are not yet
    /// those of the state.
    pub group: Arc<Group>,
    /// When it was published, in nanoseconds of `CLOCK_BOOTTIME`.
    pub applied_at_ns: u64,
}

impl View {
    /// The entry that made this state: what a local read is labelled with (R2).
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.state.revision()
    }

    /// Whom this member talks to: the members of the state, and whoever still votes. `None` before there is a state.
    #[must_use]
    pub fn members(&self) -> Option<BTreeMap<MemberId, PeerNode>> {
        let federation = self.state.federation()?;
        let mut members = Group::clone(&self.group);
        members.extend(federation.members.iter().map(|(id, m)| (*id, PeerNode::from(m))));
        Some(members)
    }

    /// Whether everything up to `revision` is in it.
    #[must_use]
    pub fn has(&self, revision: Revision) -> bool {
        self.applied >= Some(revision)
    }
}

/// What a sleeper waits for. An event only wakes; whoever wakes reads the [`View`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The planner may find something.
    Plannable,
    /// A desired set changed.
    Desired,
    /// A node changed.
    Node,
    /// A job changed.
    Job,
    /// Trust has to be derived again.
    Trust,
}

impl Wake {
    fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Plannable => Some(Self::Plannable),
            Event::Desired(_) => Some(Self::Desired),
            Event::Node(_) => Some(Self::Node),
            Event::Job(_) => Some(Self::Job),
            Event::Trust => Some(Self::Trust),
            Event::NodeShown(_)
            | Event::Approval(_)
            | Event::BreakGlass(_)
            | Event::Site(_)
            | Event::Tenant(_)
            | Event::Policy(_)
            | Event::Quota(..)
            | Event::Budget(..)
            | Event::Escrow(_)
            | Event::Offer(..)
            | Event::Veto(_)
            | Event::Reservation(..)
            | Event::Key(_)
            | Event::Landmark(_)
            | Event::Member(_) => None,
        }
    }
}

/// A counter per kind; the numbers mean nothing but "again".
#[derive(Debug, Default)]
struct Wakes {
    plannable: watch::Sender<u64>,
    desired: watch::Sender<u64>,
    node: watch::Sender<u64>,
    job: watch::Sender<u64>,
    trust: watch::Sender<u64>,
}

impl Wakes {
    fn sender(&self, wake: Wake) -> &watch::Sender<u64> {
        match wake {
            Wake::Plannable => &self.plannable,
            Wake::Desired => &self.desired,
            Wake::Node => &self.node,
            Wake::Job => &self.job,
            Wake::Trust => &self.trust,
        }
    }

    const ALL: [Wake; 5] = [Wake::Plannable, Wake::Desired, Wake::Node, Wake::Job, Wake::Trust];
}

/// Where apply tells everyone.
#[derive(Debug)]
pub(crate) struct Publisher {
    view: watch::Sender<Arc<View>>,
    applied: watch::Sender<Revision>,
    /// After each publication and after the failure. Wakes in the order of arrival, which a watch does not.
    moved: Notify,
    wakes: Wakes,
    /// Filled before the state that has them is published.
    pub(crate) changes: Changes,
    pub(crate) checkpoints: Checkpoints,
    failure: watch::Sender<Option<MemberFailure>>,
    clock: Arc<dyn Clock>,
    /// Nothing above it is published.
    feature_level: u32,
}

impl Publisher {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let applied_at_ns = clock.boottime_ns();
        let first =
            View { state: State::default(), applied: None, group: Arc::default(), applied_at_ns };
        Self {
            view: watch::Sender::new(Arc::new(first)),
            applied: watch::Sender::default(),
            moved: Notify::new(),
            wakes: Wakes::default(),
            changes: Changes::default(),
            checkpoints: Checkpoints::default(),
            failure: watch::Sender::default(),
            clock,
            feature_level: FEATURE_LEVEL,
        }
    }

    /// As a program that knows no more than this.
    pub(crate) fn knowing(self, feature_level: u32) -> Self {
        Self { feature_level, ..self }
    }

    /// Refuses a state of newer programs: nothing of it may be used.
    pub(crate) fn check_level(&self, state: &State) -> Result<(), LevelError> {
        let (in_force, known) = (state.feature_level(), self.feature_level);
        if in_force > known { Err(LevelError { in_force, known }) } else { Ok(()) }
    }

    /// Publishes a state. The replaced version is dropped here, off the async workers.
    pub(crate) fn publish(&self, state: State, applied: Option<Revision>, group: Arc<Group>) {
        let applied_at_ns = self.clock.boottime_ns();
        let old = self.view.send_replace(Arc::new(View { state, applied, group, applied_at_ns }));
        self.applied.send_replace(applied.unwrap_or_default());
        self.moved.notify_waiters();
        drop(old);
    }

    /// Wakes whoever waits for one of `events`.
    pub(crate) fn wake(&self, events: &[(Revision, Vec<Event>)]) {
        let mut woken: Vec<Wake> = Vec::new();
        for wake in events.iter().flat_map(|(_, events)| events).filter_map(Wake::of) {
            if !woken.contains(&wake) {
                woken.push(wake);
            }
        }
        for wake in woken {
            self.wakes.sender(wake).send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Wakes everyone: the state was replaced as a whole.
    pub(crate) fn wake_all(&self) {
        for wake in Wakes::ALL {
            self.wakes.sender(wake).send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// The view once it holds `need`; the failure if that comes first.
    pub(crate) async fn reached(&self, need: Revision) -> Result<Arc<View>, MemberFailure> {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            // Before the look: what is published in between must wake this.
            moved.as_mut().enable();
            let view = self.view();
            if view.has(need) {
                return Ok(view);
            }
            if let Some(failure) = self.failure() {
                return Err(failure);
            }
            moved.await;
        }
    }

    pub(crate) fn views(&self) -> watch::Receiver<Arc<View>> {
        self.view.subscribe()
    }

    pub(crate) fn revisions(&self) -> watch::Receiver<Revision> {
        self.applied.subscribe()
    }

    pub(crate) fn wakes(&self, wake: Wake) -> watch::Receiver<u64> {
        self.wakes.sender(wake).subscribe()
    }

    /// Notes why this member stops; the first cause stays.
    pub(crate) fn fail(&self, failure: MemberFailure) {
        let first = self.failure.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(failure.clone());
            }
            first
        });
        if first {
            self.moved.notify_waiters();
            tracing::error!(%failure, "this member stops: it must not answer on a state that it cannot trust");
            metrics::counter!("sekisho_raft_member_failures_total").increment(1);
        }
    }

    pub(crate) fn failure(&self) -> Option<MemberFailure> {
        self.failure.borrow().clone()
    }

    pub(crate) fn failures(&self) -> watch::Receiver<Option<MemberFailure>> {
        self.failure.subscribe()
    }
}
