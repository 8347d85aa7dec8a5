//! Approvals: commands that take two operators, proposed by one and signed by others when they come to it.
//!
//! Must hold: A3. Whoever signs, signs the proposal whole: command, proposer's request id, end, federation and incarnation.
//! So a signature serves nothing else, and nothing once the end is past: neither as a signature of the command by itself
//! nor of a proposal that is made anew when the row is forgotten. Bounded: by operator, and rows that are closed go when
//! others come.
//! Does not decide when one is carried out: that is `apply/approval`.

use crate::command::Command;
use crate::role::{Target, Verb};
use crate::state::State;
use sekisho_evidence::command::{CommandSignature, Intention};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{ApprovalId, Digest, OperatorId, RequestId};
use sekisho_types::joint::Joint;
use sekisho_types::principal::Principal;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// How long an approval waits if its proposer does not say: until the next working day of everybody.
pub const WAIT_DEFAULT: Duration = Duration::from_hours(24);

/// How long it may wait: over a week of holidays nobody remembers what it was for. The minute is for clocks that differ.
pub const WAIT_MAX: Duration = Duration::from_secs(7 * 86_400 + 60);

/// Approvals of one operator that wait: more is a script gone wrong, and nobody would read what is signed.
pub const PENDING_MAX: usize = 16;

/// Rows of one operator. When there are so many, the oldest that is closed and past its end makes room; a row must stand
/// until then, or its proposal could be made again with the signatures of before.
pub const ROWS_MAX: usize = 128;

/// How long a closed row is kept at least while there is room: for whoever asks next month what became of it.
pub const KEPT: Duration = Duration::from_hours(30 * 24);

/// The command by itself.
#[must_use]
pub fn command(joint: &Joint) -> Command {
    match joint.clone() {
        Joint::CreateSite { site, operator, area, display_name } => {
            Command::CreateSite { site, operator, area, display_name }
        }
        Joint::UpdateTenant { tenant, display_name, policy, parent, expected } => {
            let expected = Some(expected);
            Command::PutTenant { tenant, display_name, policy, parent, expected }
        }
        Joint::PutPolicy { policy, rules, expected } => {
            Command::PutPolicy { policy, rules, expected }
        }
        Joint::SetQuota { tenant, class, area, allotment, expected } => {
            Command::SetQuota { tenant, class, area, allotment, expected }
        }
        Joint::SetVoter { member, voter, accept_quorum_in_one_hand } => {
            Command::SetVoter { member, voter, accept_quorum_in_one_hand }
        }
        Joint::SetMemberAddress { member, address } => {
            Command::SetMemberAddress { member, address }
        }
        Joint::RegisterKey { record, issuer } => Command::RegisterKey { record, issuer },
        Joint::SetBudget { tenant, name, budget, expected } => {
            Command::SetBudget { tenant, name, budget, expected }
        }
    }
}

/// What it is in the table of roles.
#[must_use]
pub fn verb(joint: &Joint) -> Verb {
    match joint {
        Joint::CreateSite { .. } => Verb::CreateSite,
        Joint::UpdateTenant { .. } => Verb::UpdateTenant,
        Joint::PutPolicy { .. } => Verb::PutPolicy,
        Joint::SetQuota { .. } => Verb::SetQuota,
        Joint::SetVoter { .. } | Joint::SetMemberAddress { .. } => Verb::ChangeMembers,
        Joint::RegisterKey { .. } => Verb::RegisterAdmin,
        Joint::SetBudget { .. } => Verb::SetBudget,
    }
}

/// Verb and target: what takes two operators is the federation's.
#[must_use]
pub fn on(joint: &Joint) -> (Verb, Target<'static>) {
    (verb(joint), Target::Federation)
}

/// What became of an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ruling {
    /// Nothing yet.
    Pending,
    /// It was carried out.
    Done,
    /// Enough had signed, and by then it was refused as the command itself would have been.
    Failed {
        /// The rule that it broke.
        code: ErrorCode,
        /// In words.
        detail: String,
    },
    /// Somebody refused it, or its proposer withdrew it.
    Refused {
        /// Who.
        by: Principal,
        /// Why, for people.
        reason: String,
    },
    /// A new incarnation began: what was signed was for the one before.
    Lapsed,
}

/// Where an approval is, at some instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Waits for signatures.
    Pending,
    /// Was carried out.
    Done,
    /// Enough had signed, and it could not be carried out.
    Failed,
    /// Was refused or withdrawn.
    Refused,
    /// Its time is over, or its incarnation.
    Expired,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Expired => "expired",
        })
    }
}

/// Something that waits, or waited, for signatures of other operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Whose it is; carried out, it is this one's command.
    pub proposer: Principal,
    /// What is asked for.
    pub joint: Joint,
    /// What a signature binds of the proposal.
    pub proposal: Digest,
    /// One of each operator that has signed, the proposer's first.
    pub signatures: Vec<CommandSignature>,
    /// When, on the state clock.
    pub proposed: Timestamp,
    /// Not carried out from this instant on.
    pub expires: Timestamp,
    /// What became of it.
    pub ruling: Ruling,
    /// When that was, on the state clock.
    pub closed: Option<Timestamp>,
    /// Last change.
    pub revision: Revision,
}

impl Approval {
    /// Where it is at `now` on the state clock. That its time is over, no entry says: ticks are in no audit record, and
    /// whoever replays the records has to come to the same rows.
    #[must_use]
    pub fn stage(&self, now: Timestamp) -> Stage {
        match self.ruling {
            Ruling::Pending if now < self.expires => Stage::Pending,
            Ruling::Pending | Ruling::Lapsed => Stage::Expired,
            Ruling::Done => Stage::Done,
            Ruling::Failed { .. } => Stage::Failed,
            Ruling::Refused { .. } => Stage::Refused,
        }
    }

    /// Operators that have signed.
    #[must_use]
    pub fn signed_by(&self) -> BTreeSet<&OperatorId> {
        self.signatures.iter().map(|signature| &signature.principal.operator).collect()
    }

    /// From when on the row is of no use but to whoever looks back.
    pub(crate) fn over(&self) -> Timestamp {
        self.closed.map_or(self.expires, |closed| closed.max(self.expires))
    }
}

impl State {
    /// All approvals that are kept, by id.
    pub fn approvals(&self) -> impl DoubleEndedIterator<Item = (&ApprovalId, &Approval)> {
        self.approvals.iter()
    }

    /// Those that wait for signatures.
    pub fn pending_approvals(&self) -> impl Iterator<Item = (&ApprovalId, &Approval)> {
        self.approvals.iter().filter(|(_, row)| row.stage(self.clock) == Stage::Pending)
    }

    /// One approval.
    #[must_use]
    pub fn approval(&self, id: &ApprovalId) -> Option<&Approval> {
        self.approvals.get(id)
    }

    /// What whoever signs an approval signs.
    #[must_use]
    pub fn approval_intention(&self, id: &ApprovalId, approval: &Approval) -> Option<Intention> {
        let federation = self.federation()?;
        Some(Intention {
            cluster: federation.cluster,
            incarnation: federation.incarnation,
            request: RequestId(id.0),
            command: approval.proposal,
        })
    }

    /// Operators that have to sign an approval yet.
    #[must_use]
    pub fn signatures_missing(&self, approval: &Approval) -> u32 {
        let have = u32::try_from(approval.signed_by().len()).unwrap_or(u32::MAX);
        self.signers_needed(verb(&approval.joint)).saturating_sub(have)
    }
}
