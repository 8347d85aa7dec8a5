//! Rounds by which the leader learns that it leads still, for reads and for leases.
//!
//! Must hold (R2, P1): a round counts a voter that said, asked after the round began, that the vote it saved last is this
//! leader's. A vote is saved before it is given, and votes only go forward. Whoever led later and had committed something
//! before the round began had the votes of a majority by then; of any majority that answers, one would have told.
//!
//! openraft's own confirmation counts an answer, given before the question, that the network had held back (ADR 7). Only the
//! leadership and its position are asked of it, and both belong to one vote, the one that the voters are asked about.
//!
//! One round at a time: whoever comes while it runs waits for the next, so that a thousand readers cost two calls. A voter has
//! at most one call at a time, and none is cut off because a majority was faster: the receiving end of a connection takes
//! many cancelled calls for an attack, and would end what carries heartbeats and votes, too.

use super::Core;
use crate::claim::{Configs, majority};
use crate::codec::{decode, encode};
use crate::disk::MemberDisk as _;
use crate::network::link::Method;
use crate::platform::Platform;
use crate::type_config::{RaftState, Vote};
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _};
use openraft::LinearizerOption;
use openraft::errors::RaftError;
use parking_lot::Mutex;
use sekisho_types::id::MemberId;
use sekisho_types::revision::Revision;
use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// That this member led, at an instant after it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Confirmed {
    /// Of the leadership.
    pub(crate) term: u64,
    /// Everything acknowledged before the round is at or before it.
    pub(crate) position: Revision,
}

type Waiting = Vec<oneshot::Sender<Option<Confirmed>>>;

/// Who waits for the next round.
#[derive(Debug)]
pub(super) struct Rounds {
    /// As many as callers wait, each of whom its own caller bounds; `None` once there are no more rounds.
    waiting: Mutex<Option<Waiting>>,
    wanted: Notify,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { waiting: Mutex::new(Some(Waiting::new())), wanted: Notify::new() }
    }
}

impl Rounds {
    /// Answers everybody who waits, and whoever comes, that nothing is confirmed.
    pub(super) fn end(&self) {
        self.waiting.lock().take();
    }

    fn join(&self) -> Option<oneshot::Receiver<Option<Confirmed>>> {
        let (tell, told) = oneshot::channel();
        self.waiting.lock().as_mut()?.push(tell);
        self.wanted.notify_one();
        Some(told)
    }

    fn take(&self) -> Waiting {
        self.waiting.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }
}

/// However the task of the rounds ends, nobody goes on waiting for one.
struct Ends(Arc<Rounds>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Runs the rounds, one after the other, until the member is gone. One that no majority answers within `lease` ends.
pub(super) async fn run<P: Platform>(core: Weak<Core<P>>, lease: Duration) {
    let Some(rounds) = core.upgrade().map(|core| Ends(Arc::clone(&core.rounds))) else { return };
    let mut asked =
        Asked { round: 0, lease, calls: FuturesUnordered::new(), busy: BTreeSet::new() };
    loop {
        rounds.0.wanted.notified().await;
        let waiting = rounds.0.take();
        if waiting.is_empty() {
            continue;
        }
        let Some(core) = core.upgrade() else { return };
        let confirmed = P::within(P::deadline(lease), asked.round(&core)).await;
        let confirmed = confirmed.ok().flatten();
        for tell in waiting {
            // Whoever gave up is not told.
            tell.send(confirmed).unwrap_or_default();
        }
    }
}

/// What a voter said: who, asked in which round, and its vote if it answered.
type Said = (u64, u64, Option<Vote>);

/// The voters that were asked and have not answered.
struct Asked {
    round: u64,
    lease: Duration,
    calls: FuturesUnordered<BoxFuture<'static, Said>>,
    busy: BTreeSet<u64>,
}

impl Asked {
    async fn round<P: Platform>(&mut self, core: &Arc<Core<P>>) -> Option<Confirmed> {
        self.round = self.round.saturating_add(1);
        let (confirmed, vote, configs) = core.leads().await?;
        let me = core.me().0;
        let mut say_so = BTreeSet::from([me]);
        let others: BTreeSet<u64> =
            configs.iter().flatten().copied().filter(|voter| *voter != me).collect();
        others.iter().for_each(|voter| self.ask(core, *voter, vote));
        while !majority(&configs, |voter| say_so.contains(voter)) {
            let (voter, round, saved) = self.calls.next().await?;
            self.busy.remove(&voter);
            match saved {
                // Asked before this round began: that proves nothing now.
                _ if round != self.round => {
                    if others.contains(&voter) {
                        self.ask(core, voter, vote);
                    }
                }
                Some(saved) if saved == vote => _ = say_so.insert(voter),
                Some(saved) if saved > vote => return None,
                // One that has not heard of this leader yet, or does not answer.
                Some(_) | None => {}
            }
        }
        Some(confirmed)
    }

    fn ask<P: Platform>(&mut self, core: &Arc<Core<P>>, voter: u64, vote: Vote) {
        if self.busy.insert(voter) {
            let (core, round, ttl) = (Arc::clone(core), self.round, self.lease);
            let call = async move { (voter, round, core.saved_by(voter, vote, ttl).await) };
            self.calls.push(call.boxed());
        }
    }
}

impl<P: Platform> Core<P> {
    /// As the leader: that it led after this call began. `None` if it does not lead or no majority said so in time.
    pub(crate) async fn confirm(&self, deadline: P::Deadline) -> Option<Confirmed> {
        P::within(deadline, self.rounds.join()?).await.ok()?.ok()?
    }

    /// The vote that this member saved last.
    pub(crate) fn saved_vote(&self) -> Option<Vote> {
        self.store.log().vote().and_then(|bytes| decode(&bytes).ok())
    }

    /// What a round is to confirm: the position of this member's leadership, its vote, and whose votes count.
    async fn leads(&self) -> Option<(Confirmed, Vote, Configs)> {
        // Any leadership at all, which is what openraft's lease is good for here; one that lost it for a moment, as after a
        // stop of its process, asks for it anew.
        let leads = self.raft.get_read_linearizer(LinearizerOption::new(None, true)).await;
        let position = match leads {
            Ok(linearizer) => *linearizer.read_log_id(),
            Err(RaftError::APIError(_)) => return None,
            // Without this the caller would ask an engine that is gone again and again until its deadline.
            Err(RaftError::Fatal(fatal)) => {
                self.fatal(&fatal);
                return None;
            }
        };
        let (vote, configs) = self.raft.with_raft_state(standing::<P>).await.ok()?;
        let of = vote.leader_id();
        if !vote.is_committed() || of != position.committed_leader_id() {
            return None;
        }
        let confirmed = Confirmed { term: of.term, position: Revision(position.index()) };
        Some((confirmed, vote, configs))
    }

    async fn saved_by(&self, voter: u64, vote: Vote, ttl: Duration) -> Option<Vote> {
        let body = encode(&vote).ok()?;
        let (packet, link) = self.out.packet(MemberId(voter), body).ok()?;
        let answer = link.call(Method::Confirm, packet, ttl).await;
        decode::<Option<Vote>>(&answer.ok()?).ok()?
    }
}

/// The vote of this member, and whose votes count.
fn standing<P: Platform>(state: &RaftState<P>) -> (Vote, Configs) {
    let membership = state.membership_state.effective().membership();
    (*state.vote_ref(), membership.get_joint_config().clone())
}
