//! Leases of agents' sessions on the leader: renewals are counted, ended leases are proposed to expire.
//!
//! Must hold: P1, P3, P4, by two rules beside those of [`table`]. A renewal counts only when this member was confirmed
//! as leader by a round begun after the renewal was received. A lease is marked expiring before its end is proposed,
//! and its end is proposed only after a round begun after the mark: a leader that slept through its own fall would
//! otherwise expire what its successor renews.
//! Renewals are not log entries: thousands a second share one round per [`CONFIRM_EVERY`].
//! What counts is signed, many at once (`signer`), so that others may carry it. A renewal that was carried here counts as
//! any other, if its agent signed it under this leader and none of its later ones was carried before: whoever carries
//! it could keep it, and with it the lease of a host that is dead.
//! Does not know: acknowledgements of other operators' members, sessions on the wire.

pub mod keyless;
pub mod news;
mod signer;
pub mod table;

use crate::driver::{Duty, DutyError};
use crate::limit::{
    CONFIRM_DEADLINE, CONFIRM_EVERY, EXPIRE_DEADLINE, EXPIRES_IN_FLIGHT, LEASE_SCAN_EVERY,
};
use crate::replica::Replica;
use crate::stamp::Stamp;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use news::{News, Teardowns};
use parking_lot::Mutex;
use sekisho_evidence::acknowledgement::{Acknowledgement, Renewal as Asked};
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::key::SigningKey;
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_raft::view::{View, Wake};
use sekisho_types::id::{MemberId, NodeId};
use sekisho_types::revision::Revision;
use sekisho_types::time::Clock;
use signer::Acknowledger;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use table::{LeaseTable, Renewal};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// What a leader says to a renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It counts.
    Acknowledged(Acknowledgement),
    /// As [`Renewal::Expiring`].
    Expiring,
    /// As [`Renewal::UnknownSession`].
    UnknownSession,
}

/// A renewal could not be counted; the agent asks again, or another member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCounted {
    /// This member does not lead.
    #[error("this member does not lead")]
    NotLeader,
    /// No majority confirmed in time that it leads.
    #[error("leadership could not be confirmed in time")]
    NotConfirmed,
    /// No agent knows this member's signature.
    #[error("no agent knows this member's signature")]
    NotSigned,
    /// It was carried here, and is from before this leader, or older than one that was carried before.
    #[error("the renewal that was carried here is an old one")]
    Old,
}

#[derive(Debug)]
struct Held {
    term: u64,
    table: LeaseTable,
    teardowns: Teardowns,
    news: Arc<News>,
    /// What was applied when the term began.
    began: Revision,
}

/// What has to be expired.
#[derive(Debug)]
struct Due {
    term: u64,
    view: Arc<View>,
    sessions: Vec<(NodeId, SessionId)>,
}

/// The end of a round of confirmation.
#[derive(Debug, Clone, Copy, Default)]
struct Round {
    number: u64,
    /// The term that was confirmed.
    term: Option<u64>,
}

#[derive(Debug)]
struct Shared<R> {
    replica: R,
    clock: Arc<dyn Clock>,
    held: Mutex<Option<Held>>,
    /// Rounds begun so far.
    begun: AtomicU64,
    wanted: Notify,
    ended: watch::Sender<Round>,
    acknowledger: Acknowledger,
}

/// The leases of this member. Clones share them.
#[derive(Debug)]
pub struct Leases<R>(Arc<Shared<R>>);

impl<R> Clone for Leases<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

fn record_counts([live, expiring, silent]: [f64; 3]) {
    metrics::gauge!("sekisho_leases").set(live);
    metrics::gauge!("sekisho_leases_expiring").set(expiring);
    metrics::gauge!("sekisho_nodes_unreachable").set(silent);
}

/// The session of a node that leases are for, in applied state.
fn live_session(state: &State, node: &NodeId) -> Option<SessionId> {
    let node = state.node(node).filter(|node| !node.revoked && node.quarantine.is_none())?;
    node.live_session().map(|session| session.id)
}

impl<R: Replica> Leases<R> {
    /// No leases: they begin with leadership. `key` is the checkpoint key of `member`.
    #[must_use]
    pub fn new(
        replica: R,
        clock: Arc<dyn Clock>,
        member: MemberId,
        key: Option<SigningKey>,
    ) -> Self {
        Self(Arc::new(Shared {
            replica,
            clock,
            held: Mutex::new(None),
            begun: AtomicU64::new(0),
            wanted: Notify::new(),
            ended: watch::Sender::default(),
            acknowledger: Acknowledger::new(member, key),
        }))
    }

    /// Counts a renewal that was received at `received_ns` of this member's boottime clock, and signs that. Of one that
    /// was `carried` here by another member, the newest revision that its agent had heard of; who signed it, the
    /// caller has checked. Answers within [`CONFIRM_DEADLINE`] and a little.
    ///
    /// # Errors
    /// [`NotCounted`]: the agent's deadline stands as it was.
    pub async fn renew(
        &self,
        renewal: &Asked,
        received_ns: u64,
        carried: Option<Revision>,
    ) -> Result<Answer, NotCounted> {
        let (term, view) = match self.count(renewal, received_ns, carried).await? {
            (Renewal::Acknowledged, term, view) => (term, view),
            (Renewal::Expiring, ..) => return Ok(Answer::Expiring),
            (Renewal::UnknownSession, ..) => return Ok(Answer::UnknownSession),
        };
        let signed = self.0.acknowledger.sign(&view.state, term, renewal.clone()).await;
        signed.map(Answer::Acknowledged).ok_or(NotCounted::NotSigned)
    }

    async fn count(
        &self,
        renewal: &Asked,
        received_ns: u64,
        carried: Option<Revision>,
    ) -> Result<(Renewal, u64, Arc<View>), NotCounted> {
        if self.0.held.lock().is_none() {
            return Err(NotCounted::NotLeader);
        }
        let term = self.confirm().await?;
        let mut held = self.0.held.lock();
        let Some(held) = held.as_mut().filter(|held| held.term == term) else {
            return Err(NotCounted::NotLeader);
        };
        // Read under the lock: a state older than the one last observed would bring back a session that is over.
        let view = self.0.replica.view();
        let live = live_session(&view.state, &renewal.node);
        let old = carried.is_some_and(|heard| {
            heard < held.began
                || !held.table.carried(&renewal.node, renewal.session, renewal.sequence)
        });
        if old {
            return Err(NotCounted::Old);
        }
        let answer = held.table.renew(&renewal.node, renewal.session, live, received_ns);
        let label = match answer {
            Renewal::Acknowledged => "acknowledged",
            Renewal::Expiring => "expiring",
            Renewal::UnknownSession => "unknown_session",
        };
        metrics::counter!("sekisho_lease_renewals_total", "answer" => label).increment(1);
        Ok((answer, term, view))
    }

    /// Signs what counted; ends only by being dropped.
    pub async fn sign_acknowledgements(self) {
        self.0.acknowledger.clone().run().await;
    }

    /// Waits for a round that begins after this call, and answers the term that it confirmed.
    async fn confirm(&self) -> Result<u64, NotCounted> {
        let mut ended = self.0.ended.subscribe();
        // The round that runs now may have asked the majority before this renewal came.
        let need = self.0.begun.load(Ordering::SeqCst).saturating_add(1);
        self.0.wanted.notify_one();
        let wait = CONFIRM_DEADLINE.saturating_add(CONFIRM_EVERY);
        let round = tokio::time::timeout(wait, ended.wait_for(|round| round.number >= need))
            .await
            .map_err(|_elapsed| NotCounted::NotConfirmed)?
            .map(|round| *round)
            .map_err(|_gone| NotCounted::NotConfirmed)?;
        round.term.ok_or(NotCounted::NotConfirmed)
    }

    /// Runs the rounds of confirmation; ends only by being dropped.
    pub async fn confirm_rounds(self) {
        let mut last: Option<Instant> = None;
        loop {
            self.0.wanted.notified().await;
            if let Some(last) = last {
                tokio::time::sleep_until(last + CONFIRM_EVERY).await;
            }
            last = Some(Instant::now());
            let number = self.0.begun.fetch_add(1, Ordering::SeqCst).saturating_add(1);
            let confirmed = self.0.replica.confirm_leadership(CONFIRM_DEADLINE).await;
            if let Err(error) = &confirmed {
                metrics::counter!("sekisho_lease_unconfirmed_total").increment(1);
                tracing::debug!(%error, "leadership not confirmed; renewals are not counted");
            }
            self.0.ended.send_replace(Round { number, term: confirmed.ok() });
        }
    }

    /// Leases out of the ordinary, as of the last look; `None` on a member that does not lead. Only shown.
    #[must_use]
    pub fn news(&self) -> Option<Arc<News>> {
        self.0.held.lock().as_ref().map(|held| Arc::clone(&held.news))
    }

    fn begin(&self, term: u64) {
        let now = self.0.clock.boottime_ns();
        let (table, teardowns) = (LeaseTable::new(now), Teardowns::default());
        // Before the first look nothing is known.
        let news = Arc::new(News { at_ns: now, ..News::default() });
        let began = self.0.replica.view().state.revision();
        *self.0.held.lock() = Some(Held { term, table, teardowns, news, began });
    }

    fn end(&self) {
        *self.0.held.lock() = None;
        // Only a leader knows of leases; the next one shows them.
        record_counts([f64::NAN; 3]);
    }

    /// Follows the state and marks what is over. The marks stand before anything is proposed.
    fn due(&self) -> Due {
        let now = self.0.clock.boottime_ns();
        let mut held = self.0.held.lock();
        let view = self.0.replica.view();
        let Some(Held { table, term, teardowns, news, .. }) = held.as_mut() else {
            return Due { term: 0, view, sessions: Vec::new() };
        };
        // Revoked nodes and those in quarantine too: nothing renews their leases any more, so they end, and what they
        // held comes back (P1, P5).
        let sessions =
            view.state.nodes().filter_map(|(id, node)| Some((id, &node.live_session()?.id)));
        table.observe(sessions, now);
        teardowns.follow(&view.state, table, now);
        let sessions = table.due(now);
        *news = Arc::new(teardowns.news(table, now));
        let silent = table.silent(now).count();
        let (leases, expiring) = table.counts();
        record_counts(
            [leases, expiring, silent].map(|n| u32::try_from(n).unwrap_or(u32::MAX).into()),
        );
        Due { term: *term, view, sessions }
    }
}

/// The duty: expires what is due.
#[derive(Debug)]
pub struct LeaseDuty<R> {
    leases: Leases<R>,
    stamp: Stamp,
}

impl<R: Replica> LeaseDuty<R> {
    /// Over these leases.
    #[must_use]
    pub fn new(leases: Leases<R>, stamp: Stamp) -> Self {
        Self { leases, stamp }
    }

    async fn expire(
        &self,
        term: u64,
        state: &State,
        node: NodeId,
        session: SessionId,
    ) -> Result<(), DutyError> {
        tracing::info!(%node, %session, "lease is over");
        let entry = self.stamp.entry(state, Command::ExpireLease { node, session })?;
        self.leases.0.replica.propose_led(term, entry, EXPIRE_DEADLINE).await?.outcome?;
        metrics::counter!("sekisho_leases_expired_total").increment(1);
        Ok(())
    }
}

impl<R: Replica> Duty for LeaseDuty<R> {
    const NAME: &'static str = "lease";
    const WAKE: Option<Wake> = None;

    fn begin(&mut self, term: u64) {
        self.leases.begin(term);
    }

    async fn run(&mut self) -> Result<Duration, DutyError> {
        let Due { term, view, sessions } = self.leases.due();
        if sessions.is_empty() {
            return Ok(LEASE_SCAN_EVERY);
        }
        if self.leases.confirm().await? != term {
            return Err(NotCounted::NotLeader.into());
        }
        let (this, state) = (&*self, &view.state);
        // One that fails must not keep the others; it is proposed again with the next look.
        let results: Vec<Result<(), DutyError>> = stream::iter(sessions)
            .map(|(node, session)| this.expire(term, state, node, session))
            .buffer_unordered(EXPIRES_IN_FLIGHT)
            .collect()
            .await;
        stream::iter(results).try_collect::<Vec<()>>().await?;
        Ok(LEASE_SCAN_EVERY)
    }

    fn end(&mut self) {
        self.leases.end();
    }
}

#[cfg(test)]
mod tests;
