//! Moving on to the endorser bundle in force (D4).
//!
//! Must hold: only along signed steps from the bundle that the ledger holds; nothing that runs is touched by it, and what
//! was gathered under the bundle of before counts no longer. A tag that the new bundle does not bear starts nothing.
//! Another incarnation is one of these steps: the lease of before is used up, then a session of the new one is asked for.

use super::{Action, Reconciler};
use crate::assembly::Assembly;
use crate::reason::Reason;
use sekisho_evidence::package::{PackageError, TrustPackage};
use sekisho_types::error_code::ErrorCode;

impl Reconciler {
    pub(super) fn follow(&mut self, package: &TrustPackage) {
        let before = self.ledger.bundle().incarnation;
        match self.ledger.follow(package) {
            Ok((trust, moved)) => {
                if moved {
                    // A line of a member that has left must not be counted with those of today's.
                    self.assembly = Assembly::default();
                    self.proof_asked = None;
                    if let Some(lease) = self.session.lease() {
                        lease.require(trust.bundle.k);
                        // The session was another incarnation's: its lease is used up, and what it binds ends with it (P4).
                        if trust.bundle.incarnation > before {
                            lease.expire();
                        }
                    }
                    if trust.bundle.incarnation > before {
                        self.bring_over(trust.bundle.incarnation);
                    }
                    self.changed = true;
                }
                self.out.push(Action::Trusted(Box::new(trust)));
            }
            // Of a member that is behind.
            Err(PackageError::Older { .. }) => {}
            Err(error) => {
                self.out.push(Action::Note(Reason::new(ErrorCode::BundleMismatch, &error)));
            }
        }
    }
}
