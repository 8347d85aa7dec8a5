//! A start of the agent over what an earlier one left (ADR 11).
//!
//! Must hold (P6): every placement of the ledger is either taken over or over, never both or neither; what was ordered to stop
//! stays ordered. How what is left was found, and that nothing else lives, is the caller's to see to.

use super::placement::Local;
use super::{Action, Moment, Reconciler};
use crate::ledger::{EntryPhase, Ledger};
use sekisho_types::placement::Ending;
use sekisho_types::revision::PlacementId;
use std::collections::BTreeMap;

/// What is left of a placement of an earlier start of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It runs, or is being started, and the runtime has taken it over.
    Lives,
    /// Nothing of it runs; how it ended, as far as that was recorded.
    Ended(Ending),
}

/// What the ledger says after an earlier start of the agent, given what is left of it (ADR 11). Whatever may have run and
/// does not is over; a grant that was never started is given up: no new session names it. The caller has made sure that
/// nothing runs but what is `seen` to live.
#[must_use]
pub fn recover(mut ledger: Ledger, seen: &BTreeMap<PlacementId, Seen>) -> Ledger {
    let open: Vec<(PlacementId, bool)> =
        ledger.entries().iter().map(|(id, entry)| (*id, entry.may_run())).collect();
    for (placement, may_run) in open {
        match seen.get(&placement) {
            Some(Seen::Lives) if may_run => {}
            Some(Seen::Ended(ending)) => {
                ledger.ended(&placement, ending.clone());
            }
            Some(Seen::Lives) | None => {
                ledger.ended(&placement, Ending::Lost);
            }
        }
    }
    ledger
}

impl Reconciler {
    /// What an earlier run of the agent started is this one's to watch, and to end if that was ordered.
    pub(super) fn resume(&mut self, now: Moment) {
        for placement in self.placements(|_, entry| entry.may_run()) {
            self.local.insert(placement, Local::begun());
            self.out.push(Action::Resume(placement));
            if self
                .ledger
                .entries()
                .get(&placement)
                .is_some_and(|e| e.phase == EntryPhase::Stopping)
            {
                self.stop_within_grace(&placement, now);
            }
        }
    }
}
