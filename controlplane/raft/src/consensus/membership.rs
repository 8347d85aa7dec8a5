//! Changing the membership, and handing leadership over. The leader alone can do either.
//!
//! Must hold: a change is made only to the membership that it was decided on; a member gets its vote or the leadership
//! only while it can be counted on. openraft lets go at a transfer: the old leader proposes nothing more and sends no
//! heartbeats, its lease and everybody's ends at once, and there is no way back. If the chosen member does not win, the
//! others elect after an election timeout without a lease: one election, not more, and never less than one.

use super::{Consensus, LeaderInfo, failure_of};
use crate::error::MemberFailure;
use crate::member::{MemberRole, statuses};
use crate::membership::{Membership, Step, Wait};
use crate::platform::Platform;
use crate::type_config::PeerNode;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::{ChangeMembers, Precondition, ServerState};
use sekisho_types::id::MemberId;
use std::collections::{BTreeMap, BTreeSet};

/// Why the membership was not changed, or leadership not handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// This member does not lead, or no quorum answers it.
    #[error("this member does not lead")]
    NoLeader,
    /// An earlier change is not committed yet.
    #[error("an earlier change of the membership is under way")]
    InProgress,
    /// The membership is not the one that the change was decided on.
    #[error("the membership changed meanwhile")]
    Overtaken,
    /// The member cannot be counted on now.
    #[error("member {member}: {lacks}")]
    NotReady {
        /// Which.
        member: MemberId,
        /// What it lacks.
        lacks: Wait,
    },
    /// Leadership goes to voters.
    #[error("member {0} is no voter")]
    NotVoter(MemberId),
    /// The engine does not take it.
    #[error("refused: {0}")]
    Refused(String),
    /// It may or may not be done: look at the membership.
    #[error("not known to be done in time")]
    Unknown,
    /// The member is shutting down.
    #[error("the member is shutting down")]
    ShuttingDown,
    /// The member has failed.
    #[error("the member has failed")]
    Failed(#[source] MemberFailure),
}

fn nodes(nodes: impl IntoIterator<Item = (MemberId, PeerNode)>) -> BTreeMap<u64, PeerNode> {
    nodes.into_iter().map(|(id, node)| (id.0, node)).collect()
}

fn ids(members: &BTreeSet<MemberId>) -> BTreeSet<u64> {
    members.iter().map(|id| id.0).collect()
}

impl<P: Platform> Consensus<P> {
    /// The membership in force, as this member sees it.
    #[must_use]
    pub fn membership(&self) -> Membership {
        let metrics = self.0.metrics();
        Membership {
            me: self.member(),
            leads: metrics.state == ServerState::Leader,
            joint: metrics.membership_config.membership().get_joint_config().len() > 1,
            members: statuses(&metrics),
            at: *metrics.membership_config.log_id(),
        }
    }

    /// Takes one step of a plan that was made for `basis`.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub async fn take_step(
        &self,
        step: &Step,
        basis: &Membership,
        deadline: P::Deadline,
    ) -> Result<(), MembershipError> {
        match step {
            Step::Add(member, node) => {
                self.add_learner(*member, node.clone(), basis, deadline).await
            }
            Step::Move(member, node) => {
                let change = ChangeMembers::SetNodes(nodes([(*member, node.clone())]));
                self.change(change, basis, deadline).await
            }
            Step::HandOver(to) => self.hand_over(*to, deadline).await.map(drop),
            Step::Vote(voters) => self.change_voters(voters, basis, deadline).await,
            Step::Drop(members) => self.remove_learners(members, basis, deadline).await,
        }
    }

    /// Sends the log to a member that is not in the membership yet. Repeatable.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub async fn add_learner(
        &self,
        member: MemberId,
        node: PeerNode,
        basis: &Membership,
        deadline: P::Deadline,
    ) -> Result<(), MembershipError> {
        self.change(ChangeMembers::AddNodes(nodes([(member, node)])), basis, deadline).await
    }

    /// Makes exactly these the voters, by one joint change, or ends one that was begun. Whoever loses its vote stays as a
    /// learner. Answers when the new set decides alone.
    ///
    /// # Errors
    /// [`MembershipError`]; [`MembershipError::NotReady`] if a new voter cannot be counted on.
    pub async fn change_voters(
        &self,
        voters: &BTreeSet<MemberId>,
        basis: &Membership,
        deadline: P::Deadline,
    ) -> Result<(), MembershipError> {
        let voting = basis.voters();
        let lacking = voters.difference(&voting).find_map(|id| Some((*id, basis.lacks(*id)?)));
        if let Some((member, lacks)) = lacking {
            return Err(MembershipError::NotReady { member, lacks });
        }
        self.change(ChangeMembers::ReplaceAllVoters(ids(voters)), basis, deadline).await
    }

    /// Sends the log to these learners no longer. Repeatable.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub async fn remove_learners(
        &self,
        members: &BTreeSet<MemberId>,
        basis: &Membership,
        deadline: P::Deadline,
    ) -> Result<(), MembershipError> {
        self.change(ChangeMembers::RemoveNodes(ids(members)), basis, deadline).await
    }

    async fn change(
        &self,
        change: ChangeMembers<u64, PeerNode>,
        basis: &Membership,
        deadline: P::Deadline,
    ) -> Result<(), MembershipError> {
        self.alive()?;
        let basis = Precondition::LastMembershipLogId { last_membership_log_id: basis.at };
        let changing = self.0.raft.change_membership_if(change, true, [basis]);
        match P::within(deadline, changing).await.map_err(|_passed| MembershipError::Unknown)? {
            Ok(_written) => Ok(()),
            Err(RaftError::APIError(error)) => Err(match error {
                ClientWriteError::ForwardToLeader(_) => MembershipError::NoLeader,
                ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_)) => {
                    MembershipError::InProgress
                }
                ClientWriteError::ChangeMembershipError(other) => {
                    MembershipError::Refused(other.to_string())
                }
                ClientWriteError::PreconditionFailed(_) => MembershipError::Overtaken,
                ClientWriteError::LogEntryDiscarded(_) => MembershipError::Unknown,
            }),
            Err(RaftError::Fatal(_)) if self.0.closing() => Err(MembershipError::ShuttingDown),
            Err(RaftError::Fatal(fatal)) => {
                let failure = failure_of(&fatal);
                self.0.publisher.fail(failure.clone());
                Err(MembershipError::Failed(failure))
            }
        }
    }

    /// Hands leadership over to a voter that holds nearly all of the log, and waits until another member leads. Answers
    /// who: it need not be `to`, if that did not win.
    ///
    /// # Errors
    /// [`MembershipError`]; after [`MembershipError::Unknown`] an election is still to come.
    pub async fn hand_over(
        &self,
        to: MemberId,
        deadline: P::Deadline,
    ) -> Result<LeaderInfo, MembershipError> {
        self.alive()?;
        let now = self.membership();
        if !now.leads {
            return Err(MembershipError::NoLeader);
        }
        if now.status(to).is_none_or(|status| status.role != MemberRole::Voter) {
            return Err(MembershipError::NotVoter(to));
        }
        if let Some(lacks) = now.lacks(to) {
            return Err(MembershipError::NotReady { member: to, lacks });
        }
        let me = self.member();
        if to == me {
            return self.leader().ok_or(MembershipError::NoLeader);
        }
        self.transfer_leader(to).await;
        let another = async {
            loop {
                let leader = self.leader();
                if let Some(other) = leader.filter(|leader| leader.member != me) {
                    return Ok(other);
                }
                self.alive()?;
                self.0.leader_changed(leader.map(|leader| leader.member)).await;
            }
        };
        P::within(deadline, another).await.map_err(|_passed| MembershipError::Unknown)?
    }

    /// For tests that leave a change half done, which nothing here does.
    #[cfg(test)]
    pub(crate) fn engine(&self) -> &crate::type_config::Raft<P> {
        &self.0.raft
    }

    fn alive(&self) -> Result<(), MembershipError> {
        if let Some(failure) = self.0.publisher.failure() {
            return Err(MembershipError::Failed(failure));
        }
        if self.0.closing() { Err(MembershipError::ShuttingDown) } else { Ok(()) }
    }
}
