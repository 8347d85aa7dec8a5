//! What the duties ask of the consensus layer, as a trait, so that a simulation or a test can stand in for it.

use sekisho_fsm::entry::Entry;
use sekisho_fsm::outcome::Outcome;
use sekisho_raft::checkpoint::Checkpoints;
use sekisho_raft::consensus::{Consensus, Leadership, MembershipError, Priority};
use sekisho_raft::error::{ProposeError, ReadError};
use sekisho_raft::membership::{Membership, Step};
use sekisho_raft::view::{View, Wake};
use sekisho_transport::deadline::Deadline;
use sekisho_types::revision::Revision;
use std::sync::Arc;
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

/// A member of the Raft group.
pub trait Replica: Clone + Send + Sync + 'static {
    /// The published state.
    fn view(&self) -> Arc<View>;

    /// Changes whenever a published state may interest who waits for `wake`.
    fn wakes(&self, wake: Wake) -> watch::Receiver<u64>;

    /// Resolves when the published state has everything up to `revision`, or the member is gone.
    fn wait_applied(&self, revision: Revision) -> impl Future<Output = ()> + Send;

    /// The term in which this member leads now; `None` while it does not.
    fn term(&self) -> Option<u64>;

    /// Resolves with the term that this member leads as soon as that is not `seen`.
    fn term_other_than(&self, seen: Option<u64>) -> impl Future<Output = Option<u64>> + Send;

    /// Points at which voters sign.
    fn checkpoints(&self) -> Checkpoints;

    /// Proposes an entry, ahead of those of users, and waits until it is applied here.
    fn propose(
        &self,
        entry: Entry,
        within: Duration,
    ) -> impl Future<Output = Result<Proposed, ProposeError>> + Send;

    /// Proposes an entry as the leader of `term` or not at all: what this leader concluded from its own memory is
    /// never committed by its successor.
    fn propose_led(
        &self,
        term: u64,
        entry: Entry,
        within: Duration,
    ) -> impl Future<Output = Result<Proposed, ProposeError>> + Send;

    /// Confirms by a round to a majority, begun after this call, that this member leads, and answers in which term.
    /// Whatever was committed until then is applied here.
    fn confirm_leadership(
        &self,
        within: Duration,
    ) -> impl Future<Output = Result<u64, ReadError>> + Send;

    /// The highest feature level that the programs of all members know; `None` while one of them was not heard lately.
    fn common_level(&self) -> Option<u32>;

    /// The membership of the Raft group, as this member sees it.
    fn membership(&self) -> Membership;

    /// Takes one step towards another membership, on the one that it was planned on.
    fn take_step(
        &self,
        step: &Step,
        basis: &Membership,
        within: Duration,
    ) -> impl Future<Output = Result<(), MembershipError>> + Send;
}

impl Replica for Consensus {
    fn view(&self) -> Arc<View> {
        self.view()
    }

    fn wakes(&self, wake: Wake) -> watch::Receiver<u64> {
        self.wakes(wake)
    }

    async fn wait_applied(&self, revision: Revision) {
        // The sender is gone only with the member.
        self.subscribe().wait_for(|applied| *applied >= revision).await.ok();
    }

    fn term(&self) -> Option<u64> {
        self.leadership().borrow().map(|leadership| leadership.term)
    }

    async fn term_other_than(&self, seen: Option<u64>) -> Option<u64> {
        let mut leadership = self.leadership();
        let term = |now: &Option<Leadership>| now.map(|leadership| leadership.term);
        let changed = leadership.wait_for(|now| term(now) != seen).await.map(|now| term(&now));
        match changed {
            Ok(term) => term,
            Err(_gone) => std::future::pending().await,
        }
    }

    fn checkpoints(&self) -> Checkpoints {
        self.checkpoints().clone()
    }

    async fn propose(&self, entry: Entry, within: Duration) -> Result<Proposed, ProposeError> {
        let deadline = Deadline::after(within);
        let committed = self.propose_as(Priority::Internal, entry, deadline).await?;
        Ok(Proposed { revision: committed.revision, outcome: committed.outcome })
    }

    async fn propose_led(
        &self,
        term: u64,
        entry: Entry,
        within: Duration,
    ) -> Result<Proposed, ProposeError> {
        let committed = self.propose_led(term, entry, Deadline::after(within)).await?;
        Ok(Proposed { revision: committed.revision, outcome: committed.outcome })
    }

    async fn confirm_leadership(&self, within: Duration) -> Result<u64, ReadError> {
        self.confirm_leadership(Deadline::after(within)).await
    }

    fn common_level(&self) -> Option<u32> {
        self.common_level()
    }

    fn membership(&self) -> Membership {
        self.membership()
    }

    async fn take_step(
        &self,
        step: &Step,
        basis: &Membership,
        within: Duration,
    ) -> Result<(), MembershipError> {
        self.take_step(step, basis, Deadline::after(within)).await
    }
}
