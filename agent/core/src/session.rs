//! The life of a session: asked for, open under a lease, drained, and a new one.
//!
//! Must hold: a new session is opened only once nothing runs any more that outlived its lease; the id that is asked for
//! stands in the ledger first, so that a crash between asking and hearing loses no session: the next start asks for
//! the same id again, which changes nothing if it is known, and then for one of its own.
//! What a restarted agent found running it names to its new session (ADR 11): until a renewal of that has counted, the lease
//! of before binds it.

use crate::lease::Lease;
use crate::limit::NS_PER_MS;
use crate::retry::Retry;
use sekisho_evidence::grant::SessionId;
use sekisho_types::limit::RENEW_EVERY;

/// Where the session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// None; the next is asked for when the pause is over.
    Closed,
    /// Asked for.
    Opening(SessionId),
    /// Open.
    Open(SessionId, Box<Lease>),
    /// Its lease is over; what it bound is dying.
    Draining,
}

/// The agent's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) phase: Phase,
    pub(crate) retry: Retry,
    /// The id that this run has made for the session that it wants; `None` until it needs one.
    made: Option<SessionId>,
    renew_ns: u64,
    /// Until when what an earlier run of the agent left running may run, by the lease of then; `None` once a renewal of this
    /// run's session has counted, or that lease is over.
    inherited_ns: Option<u64>,
}

impl Session {
    /// A run of the agent that has inherited a lease until then, if anything that it binds runs.
    pub(crate) fn new(inherited_ns: Option<u64>) -> Self {
        Self {
            phase: Phase::Closed,
            retry: Retry::default(),
            made: None,
            renew_ns: 0,
            inherited_ns,
        }
    }

    /// A renewal of this run has counted: the lease of before binds nothing any more.
    pub(crate) fn renewed(&mut self) {
        self.inherited_ns = None;
    }

    /// Ends the lease of an earlier run, once. Returns when it ended.
    pub(crate) fn end_inherited(&mut self, now_ns: u64) -> Option<u64> {
        let over_ns = self.inherited_ns.take_if(|over_ns| *over_ns <= now_ns)?;
        // What outlives it is not what a new session should find. One that was asked for before names it all the same.
        if self.phase == Phase::Closed {
            self.phase = Phase::Draining;
        }
        Some(over_ns)
    }

    /// The open session.
    pub(crate) fn open(&self) -> Option<(SessionId, &Lease)> {
        match &self.phase {
            Phase::Open(id, lease) => Some((*id, lease)),
            Phase::Closed | Phase::Opening(_) | Phase::Draining => None,
        }
    }

    /// The lease of the open session.
    pub(crate) fn lease(&mut self) -> Option<&mut Lease> {
        match &mut self.phase {
            Phase::Open(_, lease) => Some(lease),
            Phase::Closed | Phase::Opening(_) | Phase::Draining => None,
        }
    }

    /// The lease, if `session` is the open one: what is said of another is stale.
    pub(crate) fn lease_of(&mut self, session: SessionId) -> Option<&mut Lease> {
        match &mut self.phase {
            Phase::Open(id, lease) if *id == session => Some(lease),
            Phase::Open(..) | Phase::Closed | Phase::Opening(_) | Phase::Draining => None,
        }
    }

    /// The id to ask for now: first one whose outcome is unknown, then one of this run.
    pub(crate) fn ask(
        &mut self,
        unknown: Option<SessionId>,
        random: [u8; 16],
        now_ns: u64,
    ) -> Option<SessionId> {
        if self.phase != Phase::Closed || !self.retry.is_due(now_ns) {
            return None;
        }
        let id = unknown.unwrap_or_else(|| *self.made.get_or_insert(SessionId(random)));
        self.phase = Phase::Opening(id);
        Some(id)
    }

    /// The control plane has opened `session`. Returns whether it was asked for.
    pub(crate) fn opened(&mut self, session: SessionId, k: u32, now_ns: u64) -> bool {
        if self.phase != Phase::Opening(session) {
            return false;
        }
        self.retry.succeeded();
        // One of an earlier run proves nothing about this one: a copied host would share it.
        self.phase = if self.made == Some(session) {
            self.renew_ns = now_ns;
            Phase::Open(session, Box::new(Lease::new(k, now_ns)))
        } else {
            Phase::Closed
        };
        true
    }

    /// It was not opened. Returns what was asked for.
    pub(crate) fn refused(&mut self, now_ns: u64) -> Option<SessionId> {
        let Phase::Opening(asked) = self.phase else { return None };
        self.phase = Phase::Closed;
        self.retry.failed(now_ns);
        Some(asked)
    }

    /// It was open once, and another came after it: to ask for it again opens nothing.
    pub(crate) fn was_open(&mut self, session: SessionId) {
        self.made = self.made.filter(|made| *made != session);
    }

    /// Ends the open session if its lease is over. Returns when it ended.
    pub(crate) fn end(&mut self, now_ns: u64) -> Option<u64> {
        let over_ns = self.open()?.1.over_ns();
        if now_ns < over_ns {
            return None;
        }
        self.phase = Phase::Draining;
        self.made = None;
        Some(over_ns)
    }

    /// Everything that the lease bound is dead.
    pub(crate) fn drained(&mut self) {
        if self.phase == Phase::Draining {
            self.phase = Phase::Closed;
        }
    }

    /// Begins a renewal if one is due. Returns session and sequence.
    pub(crate) fn renew(&mut self, now_ns: u64) -> Option<(SessionId, u64)> {
        let due = self.renew_ns <= now_ns;
        let Phase::Open(id, lease) = &mut self.phase else { return None };
        if !due || lease.is_expiring() {
            return None;
        }
        let every = u64::try_from(RENEW_EVERY.as_millis()).unwrap_or(u64::MAX);
        self.renew_ns = now_ns.saturating_add(every.saturating_mul(NS_PER_MS));
        Some((*id, lease.renew(now_ns)))
    }

    /// When it wants to be looked at again.
    pub(crate) fn wake_ns(&self) -> impl Iterator<Item = u64> {
        let (first, second) = match &self.phase {
            Phase::Open(_, lease) => (Some(lease.over_ns()), Some(self.renew_ns)),
            Phase::Closed => (Some(self.retry.due_ns()), None),
            Phase::Opening(_) | Phase::Draining => (None, None),
        };
        first.into_iter().chain(second).chain(self.inherited_ns)
    }
}
