//! From delivered sets to an accepted one.

use super::{Action, Moment, Reconciler};
use crate::assembly::{Delivered, Gathered};
use crate::desired::SignedSet;
use crate::ledger::Refused;
use crate::limit::REFUSED_MAX;
use crate::reason::Reason;
use crate::verify::{RejectedSet, check_set};
use sekisho_evidence::checkpoint::Checkpoint;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::MemberId;

impl Reconciler {
    pub(super) fn delivered(&mut self, member: MemberId, delivered: Delivered, now: Moment) {
        // After a restart a set in flight may be of the session before: nothing counts without one of our own.
        if self.session.open().is_none() || self.is_old_news(&delivered) {
            return;
        }
        let text = delivered.text.clone();
        let size = self.ledger.head().size;
        match self.assembly.offer(self.ledger.bundle(), size, member, delivered) {
            Gathered::Waiting => {}
            Gathered::BadLine => {
                let detail = format_args!("member {member} sent a line that it did not sign");
                self.out.push(Action::Note(Reason::new(ErrorCode::GrantSigners, &detail)));
            }
            Gathered::NeedsProof => {
                // Once for a head and a text: a member that never gives a good proof must not keep us asking.
                let asked = Some((size, text));
                if self.proof_asked != asked {
                    self.proof_asked = asked;
                    self.out.push(Action::HeadMoved(size));
                }
            }
            Gathered::Ready(sets) => {
                self.assembly.forget(&text);
                self.consider(sets, now);
            }
        }
    }

    /// An older set, or the accepted one under no newer head: a member that is behind, not a fault.
    fn is_old_news(&self, delivered: &Delivered) -> bool {
        let Some(claimed) = delivered.delivery.claimed() else { return false };
        let floor = self.ledger.floor();
        let newer = || {
            Checkpoint::parse(&delivered.text)
                .is_ok_and(|checkpoint| checkpoint.head.size > self.ledger.head().size)
        };
        claimed.epoch < floor || (claimed.epoch == floor && self.has_set() && !newer())
    }

    fn has_set(&self) -> bool {
        self.ledger.head().size > 0
    }

    pub(super) fn judge(&mut self, sets: &[SignedSet], now: Moment) {
        let mut first: Option<Box<RejectedSet>> = None;
        for set in sets {
            match check_set(self.host(now), &self.ledger, set) {
                Ok(accepted) => {
                    let (size, revision) = (accepted.head.size, accepted.floor.revision);
                    for refused in accepted.refused.values() {
                        self.out.push(Action::Note(refused.reason.clone()));
                    }
                    for grant in &accepted.adopt {
                        self.remember(set, grant);
                    }
                    self.ledger.accept(accepted);
                    // It was parsed for the check.
                    self.seen = Checkpoint::parse(&set.text).ok().or(self.seen);
                    self.changed = true;
                    // In this order: a moved head without an accepted set asks for the set with another proof.
                    self.out.push(Action::SetAccepted(revision));
                    self.out.push(Action::HeadMoved(size));
                    return;
                }
                Err(rejected) => {
                    first.get_or_insert(rejected);
                }
            }
        }
        if let Some(rejected) = first {
            self.reject(*rejected);
        }
    }

    /// Nothing of the set counts; what it names is refused, as far as there is room to remember that.
    fn reject(&mut self, rejected: RejectedSet) {
        self.out.push(Action::Note(rejected.reason.clone()));
        if rejected.reason.code == ErrorCode::Overloaded {
            return;
        }
        for (placement, grant) in rejected.named {
            if self.ledger.refused().len() >= REFUSED_MAX {
                return;
            }
            let refused = Refused { grant, reason: rejected.reason.clone(), acknowledged: false };
            self.changed |= self.ledger.refuse(placement, refused);
        }
    }
}
