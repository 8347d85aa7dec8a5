//! What members say to renewals, and what of it counts.
//!
//! Must hold: P4. As the leader's counts only what a member of the pinned bundle signed for this very renewal: of this
//! node, session and sequence. What brings it does not matter. As another operator's counts the word of a stream of that
//! operator, whose certificate was checked. Whether a term is older than another does not matter either, see
//! [`sekisho_evidence::acknowledgement`].

use super::{Action, Reconciler, placement};
use crate::reason::Reason;
use sekisho_evidence::acknowledgement::{Acknowledgement, Renewal};
use sekisho_evidence::grant::SessionId;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{MemberId, OperatorId};
use sekisho_types::revision::Revision;

/// What came on the stream of a member.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) sequence: u64,
    pub(super) member: MemberId,
    pub(super) operator: OperatorId,
    pub(super) revision: Revision,
    pub(super) signed: Option<Box<Acknowledgement>>,
}

impl Reconciler {
    pub(super) fn acknowledged(&mut self, session: SessionId, heard: Heard) {
        let Heard { sequence, member, operator, revision, signed } = heard;
        let Some(lease) = self.session.lease_of(session) else { return };
        lease.hear(&operator, revision);
        let longer = match signed {
            None => lease.acknowledged(sequence, &operator, false),
            Some(signed) => {
                let node = self.ledger.node().clone();
                let renewal = Renewal { node, session, sequence };
                match signed.verify(self.ledger.bundle(), &renewal) {
                    Ok(leader) => {
                        if signed.counted().member == member {
                            lease.reached(sequence);
                        }
                        lease.acknowledged(sequence, leader, true)
                    }
                    Err(error) => {
                        let why = format!("acknowledgement of {member}: {error}");
                        self.out.push(Action::Note(Reason::new(ErrorCode::SignatureInvalid, &why)));
                        return;
                    }
                }
            }
        };
        if longer && let Some(stop_ns) = lease.deadline_ns() {
            self.session.renewed();
            self.out.push(Action::Hold { stop_ns, kill_ns: placement::dead_by(stop_ns) });
        }
    }
}
