//! Bringing over into another incarnation what runs to completion.
//!
//! Must hold (P6, P7): no session of the new incarnation is asked for before each such placement was taken in or finally
//! refused, because the first set of that session decides what lives; nothing that is bound to a lease is brought over.
//! What was refused is not ended here: no set will name it.

use super::{Action, Moment, Reconciler};
use crate::desired::SignedSet;
use crate::ledger::Entry;
use crate::reason::Reason;
use crate::retry::Retry;
use crate::strict::read;
use sekisho_evidence::adoption::Adoption;
use sekisho_evidence::checkpoint::assemble;
use sekisho_evidence::grant::Grant;
use sekisho_types::job::OnDisconnect;
use sekisho_types::revision::{Incarnation, PlacementId};
use std::collections::BTreeMap;

/// What has to be on disk before a placement that runs to completion starts: with it the host can bring it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Which.
    pub placement: PlacementId,
    /// Its grant, proven, and what its submitter signed.
    pub adoption: Adoption,
    /// What it runs.
    pub payload: Vec<u8>,
}

/// What is being brought over, and whether it was sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Bringing {
    waiting: BTreeMap<PlacementId, bool>,
    retry: Retry,
}

impl Bringing {
    /// Nothing is left to bring over.
    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn wake_ns(&self) -> Option<u64> {
        (!self.is_done()).then(|| self.retry.due_ns())
    }
}

fn completes(entry: &Entry) -> bool {
    entry.may_run() && entry.grant.on_disconnect == OnDisconnect::RunToCompletion
}

/// The proof of a grant in a set that was accepted; the submission comes with the payload.
pub(super) fn proof(set: &SignedSet, grant: &Grant) -> Option<Box<Adoption>> {
    let of = |proved: &&crate::desired::Proved| {
        read(&proved.record).is_ok_and(|record| record.placement == grant.placement)
    };
    let proved = set.delivery.grants.iter().find(of)?;
    Some(Box::new(Adoption {
        record: proved.record.clone(),
        index: proved.index,
        path: proved.path.clone(),
        note: assemble(&set.text, &set.lines),
        submission: Vec::new(),
    }))
}

impl Reconciler {
    /// The federation has begun anew.
    pub(super) fn bring_over(&mut self, present: Incarnation) {
        let entries = self.ledger.entries().iter();
        let own = entries.filter(|(id, entry)| id.epoch.incarnation < present && completes(entry));
        self.bringing.waiting = own.map(|(id, _)| (*id, false)).collect();
    }

    /// Sends what is due.
    pub(super) fn bring(&mut self, now: Moment) {
        let entries = self.ledger.entries();
        let runs = |id: &PlacementId| entries.get(id).is_some_and(completes);
        self.bringing.waiting.retain(|id, _| runs(id));
        if !self.bringing.retry.is_due(now.boot_ns) {
            return;
        }
        for (id, sent) in &mut self.bringing.waiting {
            if !std::mem::replace(sent, true) {
                let running = self.local.get(id).is_some_and(super::placement::Local::is_running);
                self.out.push(Action::Adopt(*id, running));
            }
        }
    }

    pub(super) fn brought(&mut self, placement: PlacementId) {
        self.bringing.waiting.remove(&placement);
        self.bringing.retry.succeeded();
    }

    pub(super) fn not_brought(&mut self, placement: PlacementId, now: Moment) {
        if let Some(sent) = self.bringing.waiting.get_mut(&placement) {
            *sent = false;
            self.bringing.retry.failed(now.boot_ns);
        }
    }

    pub(super) fn left_behind(&mut self, placement: PlacementId, reason: Reason) {
        if self.bringing.waiting.remove(&placement).is_some() {
            self.out.push(Action::Note(reason));
        }
    }
}
