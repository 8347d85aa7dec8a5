//! Approvals and break-glasses, judged: what is said to be carried out was proposed and signed by two operators in time;
//! what is said to be allowed by a break-glass was done by its holder while it was open.
//!
//! Whose keys were in force, and whether an entry needed a break-glass at all, is a matter of the replay.

use super::At;
use super::model::Model;
use crate::verify::report::{Report, Step};
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::Entry;
use sekisho_types::id::{ApprovalId, OperatorId};
use sekisho_types::joint::Joint;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use std::collections::BTreeSet;

/// Operators that have to agree, where there are so many.
const SIGNERS: usize = 2;

/// A command that waits for signatures.
#[derive(Debug)]
pub(super) struct Proposal {
    pub(super) joint: Joint,
    pub(super) expires: Timestamp,
    pub(super) signers: BTreeSet<OperatorId>,
}

impl Model {
    /// What is proposed, signed, refused, and who takes or leaves the emergency right.
    pub(super) fn access(&mut self, at: At<'_>, entry: &Entry) {
        let operator = &entry.actor.operator;
        if let Command::Propose { joint, expires } = &entry.command {
            let signers = entry.signatures.iter().map(|one| one.principal.operator.clone());
            let proposal = Proposal {
                joint: joint.as_ref().clone(),
                expires: *expires,
                signers: signers.collect(),
            };
            self.proposals.insert(ApprovalId(entry.request.0), proposal);
        } else if let Command::SignApproval { id, .. } = &entry.command {
            if let Some(proposal) = self.proposals.get_mut(id) {
                proposal.signers.insert(operator.clone());
            }
        } else if let Command::RefuseApproval { id, .. } = &entry.command {
            self.proposals.remove(id);
        } else if let Command::BreakGlass { until, .. } = &entry.command {
            self.glasses.insert(at.record.revision, (entry.actor.clone(), *until));
        } else if let Command::EndBreakGlass { opened } = &entry.command {
            self.glasses.remove(opened);
        }
    }

    /// It is over, and took effect if it was carried out.
    pub(super) fn approved(
        &mut self,
        at: At<'_>,
        id: &ApprovalId,
        done: bool,
        report: &mut Report,
    ) {
        let Some(proposal) = self.proposals.remove(id) else {
            report.found(Step::Access, Some(at.index), format!("nobody proposed approval {id}"));
            return;
        };
        let need = SIGNERS.min(self.bundle.operators.len());
        let have = proposal.signers.len();
        if have < need {
            let why = format!("approval {id} has {have} operator(s) of {need}");
            report.found(Step::Access, Some(at.index), why);
        }
        if at.record.time >= proposal.expires {
            report.found(
                Step::Access,
                Some(at.index),
                format!("the time of approval {id} was over"),
            );
        }
        if done {
            self.carried_out(at, proposal.joint, report);
        }
    }

    /// As the command by itself.
    fn carried_out(&mut self, at: At<'_>, joint: Joint, report: &mut Report) {
        match joint {
            Joint::CreateSite { site, operator, area, .. } => {
                self.sites.insert(site, (operator, area));
            }
            Joint::UpdateTenant { tenant, policy, parent, .. } => {
                self.put_tenant(at, &tenant, (&policy, &parent), report);
            }
            Joint::PutPolicy { policy, rules, .. } => {
                self.policies.insert(policy, (at.record.revision, rules.into()));
            }
            Joint::SetQuota { tenant, class, area, allotment, .. } => {
                self.ledger.set(&tenant, &class, area, allotment);
            }
            Joint::SetBudget { tenant, name, budget, .. } => {
                self.set_budget(at, (&tenant, &name), budget.as_ref(), report);
            }
            Joint::SetVoter { .. } | Joint::SetMemberAddress { .. } | Joint::RegisterKey { .. } => {
            }
        }
    }

    pub(super) fn broke_glass(&self, at: At<'_>, opened: Revision, report: &mut Report) {
        let held = self.glasses.get(&opened);
        let open = held
            .is_some_and(|(by, until)| self.actor.as_ref() == Some(by) && at.record.time < *until);
        if !open {
            let why = format!("break-glass {opened} was not open to who used it");
            report.found(Step::Access, Some(at.index), why);
        }
    }
}
