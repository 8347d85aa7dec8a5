//! Proofs of the host's place: told in each session, and judged by the landmarks that grants name (D4).
//!
//! Must hold: a set waits for a table of landmarks at most once for each hash, and a newer set takes the place of one that
//! waits; what nobody gives is then refused like any other grant.

use super::{Action, Moment, Reconciler};
use crate::desired::SignedSet;
use crate::location::{KnownTable, Location, OwnFix};
use crate::reason::Reason;
use crate::retry::Retry;
use crate::strict::read;
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::location::transcript::FixId;
use sekisho_types::id::Digest;

/// What is proven, what waits for it, and what was told.
#[derive(Debug, Clone)]
pub(super) struct Locating {
    pub(super) location: Location,
    /// A set that waits for the landmarks that it names.
    held: Vec<SignedSet>,
    asked: Option<Digest>,
    /// The fix that a session knows, or has been asked to take.
    told: Option<(SessionId, FixId)>,
    retry: Retry,
}

impl Locating {
    pub(super) fn new(location: Location) -> Self {
        Self { location, held: Vec::new(), asked: None, told: None, retry: Retry::default() }
    }

    pub(super) fn wake_ns(&self) -> Option<u64> {
        (self.told.is_none() && self.location.fix().is_some()).then(|| self.retry.due_ns())
    }

    pub(super) fn told(&mut self) {
        self.retry.succeeded();
    }

    /// The session is over: its sets are, too.
    pub(super) fn session_over(&mut self) {
        self.held.clear();
        self.told = None;
    }
}

impl Reconciler {
    /// Judges sets, or has the landmarks fetched first that a new grant in them names.
    pub(super) fn consider(&mut self, sets: Vec<SignedSet>, now: Moment) {
        self.locating.held.clear();
        let unknown = sets.iter().find_map(|set| self.unknown_landmarks(set));
        match unknown.filter(|digest| self.locating.asked != Some(*digest)) {
            Some(digest) => {
                self.locating.asked = Some(digest);
                self.locating.held = sets;
                self.out.push(Action::FetchLandmarks(digest));
            }
            None => self.judge(&sets, now),
        }
    }

    /// What a new grant of the set names that wants a proof.
    fn unknown_landmarks(&self, set: &SignedSet) -> Option<Digest> {
        let known = |digest: &Digest| self.locating.location.knows(digest);
        set.delivery.grants.iter().find_map(|proved| {
            let grant = read(&proved.record).ok()?.grant.ok()?;
            let new = !self.ledger.entries().contains_key(&grant.placement);
            let wants = grant.rules.iter().any(|bound| bound.rules.wants_proof());
            (new && wants && !known(&grant.landmarks)).then_some(grant.landmarks)
        })
    }

    /// The landmarks came, or nobody gave them.
    pub(super) fn landmarks(&mut self, found: Option<KnownTable>, now: Moment) {
        if let Some(table) = found {
            self.locating.location.know(table);
        }
        let held = std::mem::take(&mut self.locating.held);
        if !held.is_empty() && self.session.open().is_some() {
            self.judge(&held, now);
        }
    }

    /// Landmarks have measured this host.
    pub(super) fn measured(&mut self, fix: OwnFix) {
        self.locating.location.measured(fix);
        self.locating.told = None;
        self.locating.retry.succeeded();
    }

    /// Hands the newest fix in, once in each session.
    pub(super) fn tell_fix(&mut self, now: Moment) {
        let Some((session, _)) = self.session.open() else { return };
        let locating = &mut self.locating;
        let Some(own) = locating.location.fix() else { return };
        let due = locating.told != Some((session, own.fix)) && locating.retry.is_due(now.boot_ns);
        if due {
            locating.told = Some((session, own.fix));
            self.out.push(Action::SubmitFix(session, Box::new(own.clone())));
        }
    }

    pub(super) fn fix_failed(&mut self, fix: FixId, now: Moment) {
        if self.locating.told.is_some_and(|(_, told)| told == fix) {
            self.locating.told = None;
            self.locating.retry.failed(now.boot_ns);
        }
    }

    /// It is not tried again: the next attempt is another fix.
    pub(super) fn fix_refused(&mut self, reason: Reason) {
        self.out.push(Action::Note(reason));
    }
}
