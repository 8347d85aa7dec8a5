//! Leases and fences, checked in every order of events within bounds (P1 to P5, P7).
//!
//! ```text
//! agent ── renewal ──> leader: received, confirmed by a round, counted (W begins) ─┐
//!   │                  member of another operator: not revoked ────────────────────┴─> the agent's deadline moves (L, then G)
//!   └── watchdog: the same deadline
//! leader ── marks, expires ──> capacity is free ── grant ──> the next holder: the same host in a new session, or another
//! ```
//! A renewal that another member carries to the leader is one that takes longer.
//!
//! Must hold: the model is no kinder than the world. A wait of `w` on a clock with a bounded error of rate takes any time
//! from `w - drift` to `w + drift`; who may act late acts at any later time; each message may be lost, late or overtaken;
//! a leader that was superseded goes on as one until it learns of it. Time is counted in ticks of no length of their own,
//! as ages that end where more would change nothing: the states are finite without a horizon, and all of them are seen.
//! Does not hold: raft, which is taken as given (a commit is one step, by the leader of the newest term), because the
//! simulation runs the real one; bytes, signatures and names; `run_to_completion`, which no lease ends.

mod state;
mod step;
#[cfg(test)]
mod tests;

use state::Mode;
pub use state::{Answer, At, Renewal, State};
pub use step::{Act, Action, Fault};

use stateright::{Model, Property};

/// Ticks. What is asked of them is in [`Times::sound`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// L: from the send time of a counted renewal until jobs stop.
    pub lease: u8,
    /// G: until they are dead.
    pub grace: u8,
    /// By how much a wait may be measured wrong, either way.
    pub drift: u8,
    /// W: from the receipt of the last counted renewal until capacity is free.
    pub wait: u8,
    /// How long a member of another operator may go on without knowing of a revocation.
    pub lag: u8,
}

impl Times {
    /// The shortest times that show every order.
    pub const SHORT: Self = Self { lease: 2, grace: 1, drift: 1, wait: 6, lag: 1 };

    /// Age of the last counted renewal when what it covered is dead at the latest.
    #[must_use]
    pub const fn dead(self) -> u8 {
        self.lease.saturating_add(self.grace).saturating_add(self.drift)
    }

    /// Age of its receipt when the leader may find at the earliest that W is over.
    #[must_use]
    pub const fn due(self) -> u8 {
        self.wait.saturating_sub(self.drift)
    }

    /// Age of a revocation when what ran there is dead at the latest.
    #[must_use]
    pub const fn revoked(self) -> u8 {
        self.dead().saturating_add(self.lag)
    }

    /// Whether W covers what the agent may take: the formula of design section 9.
    #[must_use]
    pub const fn sound(self) -> bool {
        self.due() > self.dead()
    }
}

/// What goes wrong in a check, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// Terms of leadership: more than one lets leaders change, be superseded and come back.
    pub terms: u8,
    /// Entries that change what is placed: grants and stops.
    pub revisions: u8,
    /// Sessions of the host.
    pub sessions: u8,
    /// Renewals on their way at once.
    pub renewals: usize,
    /// What happens to the host.
    pub host: HostFaults,
    /// Whether the host is taken out at some time, and for how long.
    pub out: Out,
}

/// Whether the host is taken out. Leases, grants and witnesses treat both ways alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    /// It is not.
    Never,
    /// It is revoked.
    ForGood,
    /// It is put into quarantine, and released once its lease is over.
    UntilReleased,
}

/// What happens to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostFaults {
    /// Nothing.
    None,
    /// Agent and watchdog die, the agent stops and goes on.
    Processes,
    /// That, and the whole host freezes and thaws.
    All,
}

/// A rule that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// W leaves out the error of the clocks.
    NoClockBound,
    /// The agent counts from when the answer comes.
    CountFromAnswer,
    /// A renewal counts without a round that confirms the leader.
    CountWithoutRound,
    /// A renewal counts though the lease is marked.
    CountWhileExpiring,
    /// The end of a lease commits in whatever term.
    ExpireInAnyTerm,
    /// A new leader takes the waits of before for over.
    NewLeaderForgets,
    /// Capacity is free when the stop is sent.
    ReleaseOnStop,
    /// The agent takes sets from before its floor.
    NoFence,
    /// A new session says that nothing lives, unswept.
    OpenUnswept,
    /// Nobody but the agent enforces the deadline.
    NoWatchdog,
    /// The agent starts without a lease.
    StartWithoutLease,
    /// The host is granted to after it was revoked.
    GrantToRevoked,
    /// A member that carries a renewal to the leader says that it counts, without the leader.
    CarrierCounts,
    /// The leader lies: it counts whatever comes. P1 and P3 rest on it, P4 and P5 do not.
    LyingLeader,
    /// The leader lies, and the other operator's member does not look at revocations.
    LyingLeaderAlone,
}

/// The protocol within bounds, with or without a planted bug.
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    times: Times,
    scope: Scope,
    bug: Option<Bug>,
}

impl Protocol {
    /// With the times of [`Times::SHORT`].
    #[must_use]
    pub fn new(scope: Scope, bug: Option<Bug>) -> Self {
        let short = Times::SHORT;
        let wait = if bug == Some(Bug::NoClockBound) {
            short.lease.saturating_add(short.grace)
        } else {
            short.wait
        };
        Self { times: Times { wait, ..short }, scope, bug }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn lies(&self) -> bool {
        self.has(Bug::LyingLeader) || self.has(Bug::LyingLeaderAlone)
    }
}

/// P1 and P7.
pub const ONE_HOLDER: &str = "P1, P7: one live holder";
/// P2.
pub const FENCED: &str = "P2: what was given up never starts again";
/// P3.
pub const DEAD_BEFORE_FREE: &str = "P3: what is free is dead";
/// P4.
pub const LEASE_BOUND: &str = "P4: nothing outlives its lease";
/// P5.
pub const REVOKED: &str = "P5: a revoked host is granted nothing, and what it ran is dead";

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.step(&mut next, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = vec![
            Property::always(LEASE_BOUND, |model: &Self, state: &State| {
                let age = state.host.held.unwrap_or(u8::MAX);
                state.live().is_none() || age <= model.times.dead()
            }),
            Property::always(REVOKED, |model: &Self, state: &State| {
                let over = state.revoked.is_some_and(|age| age > model.times.revoked());
                !(state.granted_revoked || over && state.live().is_some())
            }),
            Property::sometimes("the host runs it", |_, state: &State| state.live().is_some()),
        ];
        if self.lies() {
            return all;
        }
        all.extend([
            Property::always(ONE_HOLDER, |_, state: &State| {
                state.live().is_none() || state.other.is_none()
            }),
            Property::always(FENCED, |_, state: &State| {
                state.live().is_none_or(|epoch| epoch > state.host.given_up)
            }),
            Property::always(DEAD_BEFORE_FREE, |_, state: &State| {
                let held = state.placed.filter(|placed| placed.at == At::Host);
                state.live().is_none_or(|epoch| held.is_some_and(|held| held.epoch == epoch))
            }),
            Property::sometimes(
                "the other host takes over after a lease ended",
                |_, state: &State| state.expired && state.other.is_some(),
            ),
            Property::sometimes(
                "a renewal counts under a later leader",
                |model: &Self, state: &State| {
                    model.scope.terms == 1 || state.term > 1 && state.host.held == Some(0)
                },
            ),
            Property::sometimes("the host runs it again in a new session", |_, state: &State| {
                state.session > 1 && state.live().is_some_and(|epoch| epoch > 1)
            }),
            Property::sometimes("a stopped agent's job is dead", |model: &Self, state: &State| {
                model.scope.host == HostFaults::None
                    || state.host.mode == Mode::Stopped
                        && state.host.floor > 0
                        && state.host.run.is_none()
            }),
        ]);
        all
    }
}
