//! The emergency right: one administrator, alone, stops and narrows beyond his own borders, for hours.
//!
//! Must hold: A3. It widens nothing, whoever takes it and whatever he was before: see [`by_glass`]. What is done by it can
//! be seen by everybody while it is open and is told for ever: no command takes a row away, each entry that nothing else
//! allowed is followed by an audit record that says so, and the audit log keeps the rows that the state makes room for.

use crate::role::{Verb, by_glass};
use crate::state::State;
use sekisho_types::principal::{Principal, Role};
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long one may be open: a night's watch until somebody else can be asked. The minute is for clocks that differ.
pub const OPEN_MAX: Duration = Duration::from_secs(4 * 3600 + 60);

/// Longest reason, bytes: a few sentences.
pub const REASON_MAX: usize = 500;

/// Rows that are kept. When there are so many, the oldest that is over makes room; the audit log keeps it.
pub const ROWS_MAX: usize = 256;

/// Uses that a row names, the first ones; it counts all, and the audit log names all.
pub const USES_NAMED: usize = 64;

/// An emergency right that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlass {
    /// Who.
    pub by: Principal,
    /// Why.
    pub reason: String,
    /// Since when, on the state clock.
    pub since: Timestamp,
    /// Over from this instant on.
    pub until: Timestamp,
    /// Who ended it before, and when.
    pub ended: Option<(Principal, Timestamp)>,
    /// Entries that nothing but it allowed.
    pub uses: u64,
    /// The first of those, at most [`USES_NAMED`].
    pub revisions: Vec<Revision>,
    /// Last change.
    pub revision: Revision,
}

impl BreakGlass {
    /// Whether it is open at `now` on the state clock.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.until
    }
}

impl State {
    /// All break-glasses that are kept, by the entry that opened them.
    pub fn break_glasses(&self) -> impl DoubleEndedIterator<Item = (&Revision, &BreakGlass)> {
        self.break_glasses.iter()
    }

    /// One of them.
    #[must_use]
    pub fn break_glass(&self, opened: Revision) -> Option<&BreakGlass> {
        self.break_glasses.get(&opened)
    }

    /// Those that are open.
    pub fn open_break_glasses(&self) -> impl Iterator<Item = (&Revision, &BreakGlass)> {
        self.break_glasses.iter().filter(|(_, row)| row.is_open(self.clock))
    }

    /// The break-glass of `principal` that allows `verb`, whatever it is done to. Worth nothing to whoever is no
    /// administrator any more.
    #[must_use]
    pub fn glass_of(&self, principal: &Principal, verb: Verb) -> Option<Revision> {
        if !by_glass(verb) || self.break_glasses.is_empty() {
            return None;
        }
        let mut open = self.open_break_glasses();
        let (opened, _) = open.find(|(_, row)| row.by == *principal)?;
        let administers = |role: &Role| matches!(role, Role::FederationAdmin | Role::OperatorAdmin);
        self.roles(principal).any(administers).then_some(*opened)
    }
}
