//! Proposing: to this member's engine if it leads, else by one hop to the leader.

use super::{Core, Priority, failure_of};
use crate::codec::{decode, encode};
use crate::error::ProposeError;
use crate::limit::{IN_FLIGHT_BATCHED, IN_FLIGHT_UNIT, RETRY_AFTER, RETRY_PAUSE, RETRY_PAUSE_MAX};
use crate::network::link::{LinkError, Method};
use crate::network::message::{ProposeReply, ProposeRequest, milliseconds};
use crate::platform::Platform;
use crate::type_config::{Proposal, Response, TypeConfig};
use openraft::errors::{ClientWriteError, Fatal, RaftError};
use openraft::impls::ProgressResponder;
use openraft::type_config::alias::CommittedLeaderIdOf;
use sekisho_fsm::entry::Entry;
use sekisho_fsm::outcome::Outcome;
use sekisho_fsm::role::is_deduplicated;
use sekisho_transport::retry::{Backoff, BackoffOptions};
use sekisho_types::id::MemberId;
use sekisho_types::limit::ENTRY_MAX;
use sekisho_types::revision::Revision;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// A committed entry and what apply said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The entry that gave the outcome; of a repeated request the first one (R3).
    pub revision: Revision,
    /// The outcome; a rejection is one, too.
    pub outcome: Outcome,
}

/// What one try came to.
enum Attempt {
    Done(Committed),
    /// No use in another.
    Stop(ProposeError),
    /// Nothing happened; the one that was asked, if there was a leader to ask.
    Refused(Option<MemberId>),
    /// It may be in the log of the one that was asked.
    Unknown(MemberId),
}

impl<P: Platform> Core<P> {
    /// Refuses at once what cannot succeed.
    fn admit(
        &self,
        priority: Priority,
        proposal: &Proposal,
    ) -> Result<OwnedSemaphorePermit, ProposeError> {
        if let Some(failure) = self.publisher.failure() {
            return Err(ProposeError::Failed(failure));
        }
        if self.closing() {
            return Err(ProposeError::ShuttingDown);
        }
        let size = proposal.bytes().len();
        if size > ENTRY_MAX {
            return Err(ProposeError::TooLarge { size });
        }
        let entry = proposal.entry().map_err(|e| ProposeError::Malformed(e.to_string().into()))?;
        let batched = entry.command.commands() / IN_FLIGHT_BATCHED;
        let [ordinary, internal] = &self.shed;
        let (lane, name, shed) = match priority {
            Priority::Ordinary => (&self.ordinary, "ordinary", ordinary),
            Priority::Internal => (&self.internal, "internal", internal),
        };
        let units = (size / IN_FLIGHT_UNIT).saturating_add(batched).saturating_add(1);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        Arc::clone(lane).try_acquire_many_owned(units).map_err(|_full| {
            shed.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("sekisho_raft_shed_total", "lane" => name).increment(1);
            ProposeError::Overloaded { retry_after: RETRY_AFTER }
        })
    }

    pub(super) async fn propose(
        &self,
        priority: Priority,
        entry: Entry,
        deadline: P::Deadline,
    ) -> Result<Committed, ProposeError> {
        let proposal =
            Proposal::new(entry).map_err(|e| ProposeError::Malformed(e.to_string().into()))?;
        let _in_flight = self.admit(priority, &proposal)?;
        // A command whose repeat is not answered as its first must not be tried again once it may be in the log.
        let again = proposal.entry().is_ok_and(|entry| is_deduplicated(&entry.command));
        self.retry(deadline, again, || self.attempt(priority, &proposal, deadline)).await
    }

    /// For a forwarded proposal: this member leads or refuses.
    pub(crate) async fn propose_here(
        &self,
        priority: Priority,
        proposal: Proposal,
        deadline: P::Deadline,
    ) -> Result<Committed, ProposeError> {
        let _in_flight = self.admit(priority, &proposal)?;
        match P::within(deadline, self.write(&proposal)).await {
            Ok(Attempt::Done(committed)) => Ok(committed),
            Ok(Attempt::Stop(error)) => Err(error),
            Ok(Attempt::Refused(_)) => Err(ProposeError::NoLeader),
            Ok(Attempt::Unknown(_)) | Err(_) => Err(ProposeError::OutcomeUnknown),
        }
    }

    /// Tries until the deadline; remembers whether any try may have taken effect.
    async fn retry<F, A>(
        &self,
        deadline: P::Deadline,
        again: bool,
        mut attempt: F,
    ) -> Result<Committed, ProposeError>
    where
        F: FnMut() -> A + Send,
        A: Future<Output = Attempt> + Send,
    {
        let options = BackoffOptions { base: RETRY_PAUSE, max: RETRY_PAUSE_MAX };
        let (mut backoff, mut unknown) = (Backoff::new(options), false);
        let give_up =
            |unknown: bool, error| if unknown { ProposeError::OutcomeUnknown } else { error };
        loop {
            let refused_by = match P::within(deadline, attempt()).await {
                Ok(Attempt::Done(committed)) => return Ok(committed),
                Ok(Attempt::Stop(error)) => return Err(give_up(unknown, error)),
                Ok(Attempt::Refused(leader)) => leader,
                Ok(Attempt::Unknown(leader)) if again => {
                    unknown = true;
                    Some(leader)
                }
                Ok(Attempt::Unknown(_)) => return Err(ProposeError::OutcomeUnknown),
                // The try was under way.
                Err(_passed) => return Err(ProposeError::OutcomeUnknown),
            };
            // Until another leads, or for a moment: a lease may return, a connection may heal.
            let pause = backoff.next_pause(&mut P::random()).min(P::remaining(deadline));
            let waited = P::within(deadline, async {
                tokio::select! {
                    biased;
                    () = P::sleep(pause) => {}
                    () = self.leader_changed(refused_by) => tokio::task::yield_now().await,
                }
            });
            if waited.await.is_err() || P::remaining(deadline).is_zero() {
                return Err(give_up(unknown, ProposeError::NoLeader));
            }
            if let Some(failure) = self.publisher.failure() {
                return Err(give_up(unknown, ProposeError::Failed(failure)));
            }
            if self.closing() {
                return Err(give_up(unknown, ProposeError::ShuttingDown));
            }
        }
    }

    async fn attempt(
        &self,
        priority: Priority,
        proposal: &Proposal,
        deadline: P::Deadline,
    ) -> Attempt {
        match self.leader() {
            None => Attempt::Refused(None),
            Some(leader) if leader == self.me() => self.write(proposal).await,
            Some(leader) => self.forward(leader, priority, proposal, deadline).await,
        }
    }

    fn answered(&self, answer: Response) -> Attempt {
        let Response { revision, outcome } = answer;
        match outcome {
            Some(outcome) => Attempt::Done(Committed { revision, outcome }),
            None => Attempt::Unknown(self.me()),
        }
    }

    /// Into this member's own engine.
    async fn write(&self, proposal: &Proposal) -> Attempt {
        let started = tokio::time::Instant::now();
        let written = self.raft.client_write(proposal.clone()).await;
        metrics::histogram!("sekisho_raft_propose_to_commit_seconds").record(started.elapsed());
        match written {
            Ok(written) => self.answered(written.data),
            Err(RaftError::APIError(error)) => self.refused(&error),
            Err(RaftError::Fatal(fatal)) => self.stopped(&fatal),
        }
    }

    fn stopped(&self, fatal: &Fatal<TypeConfig<P>>) -> Attempt {
        self.fatal(fatal);
        Attempt::Stop(ProposeError::OutcomeUnknown)
    }

    /// As the leader of `term` or not at all: not forwarded, and not appended if this member leads another term.
    ///
    /// What a leader concluded from its own memory (a lease that ended) must not be committed by its successor,
    /// which knows better: it may have acknowledged that lease since (P1).
    pub(super) async fn propose_led(
        &self,
        term: u64,
        entry: Entry,
        deadline: P::Deadline,
    ) -> Result<Committed, ProposeError> {
        let proposal =
            Proposal::new(entry).map_err(|e| ProposeError::Malformed(e.to_string().into()))?;
        let _in_flight = self.admit(Priority::Internal, &proposal)?;
        match P::within(deadline, self.write_led(term, &proposal)).await {
            Ok(Attempt::Done(committed)) => Ok(committed),
            Ok(Attempt::Stop(error)) => Err(error),
            Ok(Attempt::Refused(_)) => Err(ProposeError::NoLeader),
            Ok(Attempt::Unknown(_)) | Err(_) => Err(ProposeError::OutcomeUnknown),
        }
    }

    async fn write_led(&self, term: u64, proposal: &Proposal) -> Attempt {
        let leader = CommittedLeaderIdOf::<TypeConfig<P>> { term, node_id: self.me().0 };
        let (responder, answer) = ProgressResponder::complete_only();
        let write = self.raft.write(proposal.clone()).with_leader(leader).responder(responder);
        if let Err(fatal) = write.await {
            return self.stopped(&fatal);
        }
        match answer.await {
            Ok(Ok(written)) => self.answered(written.data),
            Ok(Err(error)) => self.refused(&error),
            // The engine dropped it: it may be in the log.
            Err(_dropped) => Attempt::Unknown(self.me()),
        }
    }

    fn refused(&self, error: &ClientWriteError<TypeConfig<P>>) -> Attempt {
        match error {
            // Not the leader any more, handing over, or without a quorum for a lease.
            ClientWriteError::ForwardToLeader(_) => Attempt::Refused(Some(self.me())),
            ClientWriteError::LogEntryDiscarded(_)
            | ClientWriteError::ChangeMembershipError(_)
            | ClientWriteError::PreconditionFailed(_) => Attempt::Unknown(self.me()),
        }
    }

    /// Notes that the engine is gone.
    pub(super) fn fatal(&self, fatal: &Fatal<TypeConfig<P>>) {
        if !self.closing() {
            self.publisher.fail(failure_of(fatal));
        }
    }

    /// To the leader; it does not forward again.
    async fn forward(
        &self,
        leader: MemberId,
        priority: Priority,
        proposal: &Proposal,
        deadline: P::Deadline,
    ) -> Attempt {
        let ttl = P::remaining(deadline);
        let remaining_ms = milliseconds(ttl);
        let request = ProposeRequest { priority, remaining_ms, proposal: proposal.clone() };
        let packet = encode(&request).map_err(|e| LinkError::Refused(e.to_string()));
        let Ok((packet, link)) = packet.and_then(|body| self.out.packet(leader, body)) else {
            return Attempt::Refused(Some(leader));
        };
        let answer = self.while_leads(leader, link.call(Method::Propose, packet, ttl)).await;
        let answer = answer.unwrap_or(Err(LinkError::Timeout));
        let reply = answer.map(|bytes| decode::<ProposeReply>(&bytes));
        match reply {
            Ok(Ok(ProposeReply::Committed { revision, outcome })) => {
                Attempt::Done(Committed { revision, outcome })
            }
            Ok(Ok(ProposeReply::NotLeader)) | Err(LinkError::Refused(_)) => {
                Attempt::Refused(Some(leader))
            }
            Ok(Ok(ProposeReply::Overloaded { retry_after_ms })) => {
                let retry_after = Duration::from_millis(retry_after_ms);
                Attempt::Stop(ProposeError::Overloaded { retry_after })
            }
            Ok(Ok(ProposeReply::Malformed(why))) => {
                Attempt::Stop(ProposeError::Malformed(why.into()))
            }
            Ok(Ok(ProposeReply::Unknown) | Err(_))
            | Err(LinkError::Unreachable(_) | LinkError::Timeout) => Attempt::Unknown(leader),
        }
    }
}
