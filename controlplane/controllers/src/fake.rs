//! A replica of one, in memory: proposals are applied at once by the real state machine.

use crate::replica::{Proposed, Replica};
use parking_lot::Mutex;
use sekisho_fsm::entry::Entry;
use sekisho_fsm::testing::Federation;
use sekisho_raft::checkpoint::Checkpoints;
use sekisho_raft::consensus::MembershipError;
use sekisho_raft::error::{ProposeError, ReadError};
use sekisho_raft::membership::{Membership, Step};
use sekisho_raft::view::{View, Wake};
use sekisho_types::id::MemberId;
use sekisho_types::revision::Revision;
use sekisho_types::time::{Clock, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// A clock that stands until it is moved.
#[derive(Debug)]
pub(crate) struct FakeClock {
    wall: AtomicU64,
    boottime: AtomicU64,
}

impl Default for FakeClock {
    fn default() -> Self {
        let wall = AtomicU64::new(sekisho_fsm::testing::BEGIN.0);
        Self { wall, boottime: AtomicU64::new(1_000_000_000) }
    }
}

impl FakeClock {
    pub(crate) fn forward(&self, time: Duration) {
        self.wall.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
        self.boottime.fetch_add(u64::try_from(time.as_nanos()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn wall(&self) -> Timestamp {
        Timestamp(self.wall.load(Ordering::SeqCst))
    }
    fn boottime_ns(&self) -> u64 {
        self.boottime.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct Inner {
    federation: Mutex<Federation>,
    proposed: Mutex<Vec<Entry>>,
    term: watch::Sender<Option<u64>>,
    wake: watch::Sender<u64>,
    applied: watch::Sender<Revision>,
    reads: AtomicU64,
    common_level: Mutex<Option<u32>>,
    membership: Mutex<Option<Membership>>,
    steps: Mutex<Vec<Step>>,
    /// What the next proposals and reads answer instead.
    broken: Mutex<Option<ProposeError>>,
    unconfirmed: Mutex<bool>,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Fake(Arc<Inner>);

impl Fake {
    pub(crate) fn new() -> Self {
        Self::of(Federation::furnished())
    }

    pub(crate) fn of(federation: Federation) -> Self {
        Self(Arc::new(Inner {
            federation: Mutex::new(federation),
            proposed: Mutex::default(),
            term: watch::Sender::default(),
            wake: watch::Sender::default(),
            applied: watch::Sender::default(),
            reads: AtomicU64::new(0),
            common_level: Mutex::default(),
            membership: Mutex::default(),
            steps: Mutex::default(),
            broken: Mutex::default(),
            unconfirmed: Mutex::default(),
        }))
    }

    pub(crate) fn lead(&self, term: Option<u64>) {
        self.0.term.send_replace(term);
    }

    pub(crate) fn wake(&self, _wake: Wake) {
        self.0.wake.send_modify(|n| *n += 1);
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Federation) -> T) -> T {
        change(&mut self.0.federation.lock())
    }

    pub(crate) fn proposed(&self) -> Vec<Entry> {
        self.0.proposed.lock().clone()
    }

    /// Sets who is in the Raft group. Steps are noted and change nothing.
    pub(crate) fn set_membership(&self, membership: Membership) {
        *self.0.membership.lock() = Some(membership);
    }

    pub(crate) fn announce(&self, level: Option<u32>) {
        *self.0.common_level.lock() = level;
    }

    pub(crate) fn steps(&self) -> Vec<Step> {
        self.0.steps.lock().clone()
    }

    pub(crate) fn reads(&self) -> u64 {
        self.0.reads.load(Ordering::SeqCst)
    }

    pub(crate) fn fail_proposals(&self, error: Option<ProposeError>) {
        *self.0.broken.lock() = error;
    }

    pub(crate) fn confirm_reads(&self, confirm: bool) {
        *self.0.unconfirmed.lock() = !confirm;
    }
}

impl Replica for Fake {
    fn view(&self) -> Arc<View> {
        let state = self.0.federation.lock().state.clone();
        let applied = Some(state.revision());
        Arc::new(View { state, applied, group: Arc::default(), applied_at_ns: 0 })
    }
    fn wakes(&self, _wake: Wake) -> watch::Receiver<u64> {
        self.0.wake.subscribe()
    }
    async fn wait_applied(&self, _revision: Revision) {}
    fn term(&self) -> Option<u64> {
        *self.0.term.borrow()
    }
    async fn term_other_than(&self, seen: Option<u64>) -> Option<u64> {
        let mut terms = self.0.term.subscribe();
        *terms.wait_for(|term| *term != seen).await.unwrap()
    }
    fn checkpoints(&self) -> Checkpoints {
        Checkpoints::default()
    }
    async fn propose(&self, entry: Entry, _within: Duration) -> Result<Proposed, ProposeError> {
        self.0.proposed.lock().push(entry.clone());
        if let Some(error) = self.0.broken.lock().clone() {
            return Err(error);
        }
        let mut federation = self.0.federation.lock();
        let applied = federation.apply(entry);
        let revision = federation.state.revision();
        self.0.applied.send_replace(revision);
        Ok(Proposed { revision, outcome: applied.outcome })
    }
    async fn propose_led(
        &self,
        term: u64,
        entry: Entry,
        within: Duration,
    ) -> Result<Proposed, ProposeError> {
        if self.term() != Some(term) {
            return Err(ProposeError::NoLeader);
        }
        self.propose(entry, within).await
    }
    async fn confirm_leadership(&self, _within: Duration) -> Result<u64, ReadError> {
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        let term = self.term().filter(|_| !*self.0.unconfirmed.lock());
        term.ok_or(ReadError::NoLeader)
    }
    fn common_level(&self) -> Option<u32> {
        *self.0.common_level.lock()
    }
    fn membership(&self) -> Membership {
        let none = || Membership::of(MemberId(2), false, false, Vec::new());
        self.0.membership.lock().clone().unwrap_or_else(none)
    }
    async fn take_step(
        &self,
        step: &Step,
        _basis: &Membership,
        _within: Duration,
    ) -> Result<(), MembershipError> {
        self.0.steps.lock().push(step.clone());
        if self.0.broken.lock().is_some() { Err(MembershipError::InProgress) } else { Ok(()) }
    }
}
