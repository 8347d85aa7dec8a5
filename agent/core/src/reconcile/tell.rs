//! What the control plane is told: phases and receipts, until it has them.
//!
//! Must hold: nothing is forgotten before it was acknowledged; what nobody takes does not keep the rest waiting.

use super::{Action, Moment, Reconciler, Stage};
use crate::reason::Reason;
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::receipt::Refusal;
use sekisho_types::placement::Phase;
use sekisho_types::revision::PlacementId;
use std::collections::BTreeMap;

/// Receipts on their way at once.
const RECEIPTS_AT_ONCE: usize = 8;

impl Reconciler {
    pub(super) fn reported(&mut self) {
        self.report_retry.succeeded();
        let told = self.outbox.acknowledged();
        self.settle(told);
    }

    pub(super) fn report_refused(&mut self, reason: Reason) {
        // Nobody takes it: to keep asking would block every later report.
        let given_up = self.outbox.refused();
        if !given_up.is_empty() {
            self.out.push(Action::Note(reason));
        }
        self.settle(given_up);
    }

    fn settle(&mut self, told: BTreeMap<PlacementId, Phase>) {
        for (placement, phase) in told {
            self.changed |= self.ledger.acknowledge(&placement, &phase);
        }
    }

    /// Reports, receipts, and the word that all is done.
    pub(super) fn tell(&mut self, now: Moment) {
        if let Some((session, _)) = self.session.open() {
            if self.report_retry.is_due(now.boot_ns)
                && let Some(phases) = self.outbox.take()
            {
                self.out.push(Action::Report(session, phases));
            }
            if self.receipt_retry.is_due(now.boot_ns) {
                self.send_receipts(session, now);
            }
        }
        let running = self.ledger.entries().values().any(|entry| entry.may_run());
        if self.stage == Stage::Closing && !running && self.outbox.is_empty() {
            self.stage = Stage::Finished;
            self.out.push(Action::Finished);
        }
    }

    fn send_receipts(&mut self, session: SessionId, now: Moment) {
        for (placement, refused) in self.ledger.refused() {
            if self.receipts.len() >= RECEIPTS_AT_ONCE {
                return;
            }
            if refused.acknowledged || !self.receipts.insert(*placement) {
                continue;
            }
            self.out.push(Action::Refuse(Box::new(Refusal {
                cluster: self.ledger.bundle().cluster,
                node: self.ledger.node().clone(),
                session,
                placement: *placement,
                grant: refused.grant,
                code: refused.reason.code,
                detail: refused.reason.detail.clone(),
                log_size: self.ledger.head().size,
                time: now.wall,
            })));
        }
    }
}
