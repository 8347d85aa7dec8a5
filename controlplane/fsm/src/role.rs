//! Who may do what: the one table of roles, used by admission and by apply alike (design section 10).
//!
//! Must hold: A3. Authority comes from registered keys in the state, never from a certificate. A *widening* verb
//! (policy, quota, trust, enrolment, a job's start) needs the caller's own signature, checked here on every replica;
//! the dangerous ones need signatures from two operators.
//! `docs/roles.md` is made of it (`SEKISHO_GOLDEN=write`), and a test holds both together; another holds it cell by cell to
//! a table that was written by hand.

mod repeat;

pub use repeat::is_deduplicated;

use crate::apply::Ahead;
use crate::entry::Entry;
use crate::outcome::Rejection;
use crate::state::State;
use sekisho_evidence::command::{CommandSignature, Intention};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{OperatorId, TenantId};
use sekisho_types::principal::{Principal, Role};
use std::collections::BTreeSet;

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Read health and membership.
    ReadStatus,
    /// Read sites, nodes, policies, quotas and keys.
    ReadFederation,
    /// Read a tenant, its quota and its jobs.
    ReadTenant,
    /// Read and export the audit log.
    ReadAudit,
    /// Register a site.
    CreateSite,
    /// Take a site out for good.
    RevokeSite,
    /// Bind a key to a principal.
    RegisterKey,
    /// Take a key back.
    RevokeKey,
    /// Make a join token for a node.
    CreateToken,
    /// Let no new placement come to a node.
    Cordon,
    /// Take a node out for good.
    RevokeNode,
    /// Create a tenant.
    CreateTenant,
    /// Change a tenant, which may loosen its policy.
    UpdateTenant,
    /// Create or change a policy.
    PutPolicy,
    /// Set a quota.
    SetQuota,
    /// Submit a job.
    SubmitJob,
    /// Cancel a job.
    CancelJob,
    /// Read a job's output.
    ReadLogs,
    /// Add or remove a controller or a company, or replace its keys.
    ChangeBundle,
    /// Promote, demote or move a controller.
    ChangeMembers,
    /// Have another member lead.
    TransferLeader,
    /// Take a sealed backup.
    SaveSnapshot,
    /// Empty a node.
    Drain,
    /// Call a drain off.
    Undrain,
    /// Let a node that has joined take placements.
    ApproveNode,
    /// Take an empty node out of the federation.
    Decommission,
    /// End the quarantine of a node.
    ReleaseNode,
    /// Let a landmark measure hosts.
    RegisterLandmark,
    /// Take a landmark out.
    RemoveLandmark,
    /// Have a node measured by landmarks now.
    ProveNode,
    /// Read the transcripts of a node's fix.
    ReadFix,
    /// Let placements come to a cordoned node again.
    Uncordon,
    /// Read approvals: what was proposed, and who signed or refused.
    ReadApprovals,
    /// Take the emergency right for a time.
    BreakGlass,
    /// End the emergency right of somebody else.
    EndBreakGlass,
    /// Bind a key to a federation-admin.
    RegisterAdmin,
    /// Change a site's name for people.
    UpdateSite,
    /// Take out a policy that nothing refers to.
    DeletePolicy,
    /// Take out a tenant without open jobs.
    DeleteTenant,
    /// Set what a tenant may use over time.
    SetBudget,
    /// Have a site hold a slice of a tenant's quota.
    SetEscrow,
    /// Offer devices of a site, or change an offer.
    PutOffer,
    /// Withdraw an offer.
    WithdrawOffer,
    /// Take no work of a tenant, or not a job.
    Veto,
    /// Take a veto back.
    LiftVeto,
    /// Read what operators do not take, and why.
    ReadVetoes,
    /// Reserve devices of a site for a tenant, or fewer than before.
    PutReservation,
    /// Take a reservation out.
    DeleteReservation,
    /// Read what is reserved for a tenant, or at an operator's.
    ReadReservations,
    /// Cap what devices of a site may draw.
    SetPowerCap,
}

impl Verb {
    /// Every verb, for tests that walk the table.
    pub const ALL: [Self; 50] = [
        Self::ReadStatus,
        Self::ReadFederation,
        Self::ReadTenant,
        Self::ReadAudit,
        Self::CreateSite,
        Self::RevokeSite,
        Self::RegisterKey,
        Self::RevokeKey,
        Self::CreateToken,
        Self::Cordon,
        Self::RevokeNode,
        Self::CreateTenant,
        Self::UpdateTenant,
        Self::PutPolicy,
        Self::SetQuota,
        Self::SubmitJob,
        Self::CancelJob,
        Self::ReadLogs,
        Self::ChangeBundle,
        Self::ChangeMembers,
        Self::TransferLeader,
        Self::SaveSnapshot,
        Self::Drain,
        Self::Undrain,
        Self::ApproveNode,
        Self::Decommission,
        Self::ReleaseNode,
        Self::RegisterLandmark,
        Self::RemoveLandmark,
        Self::ProveNode,
        Self::ReadFix,
        Self::Uncordon,
        Self::ReadApprovals,
        Self::BreakGlass,
        Self::EndBreakGlass,
        Self::RegisterAdmin,
        Self::UpdateSite,
        Self::DeletePolicy,
        Self::DeleteTenant,
        Self::SetBudget,
        Self::SetEscrow,
        Self::PutOffer,
        Self::WithdrawOffer,
        Self::Veto,
        Self::LiftVeto,
        Self::ReadVetoes,
        Self::PutReservation,
        Self::DeleteReservation,
        Self::ReadReservations,
        Self::SetPowerCap,
    ];
}

/// What it is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'t> {
    /// The federation as a whole.
    Federation,
    /// Something of one operator: a site, a node, a key.
    Operator(&'t OperatorId),
    /// Something of one tenant.
    Tenant(&'t TenantId),
}

/// The table: whether `role`, held by a principal of `own`, allows `verb` on `target`.
#[must_use]
#[expect(clippy::too_many_lines, reason = "the table, and nothing else")]
pub fn allows(role: &Role, own: &OperatorId, verb: Verb, target: Target<'_>) -> bool {
    let own_operator = matches!(target, Target::Operator(operator) if operator == own);
    let tenant_of = |tenant: &TenantId| matches!(target, Target::Tenant(asked) if asked == tenant);
    match role {
        Role::FederationAdmin => match verb {
            Verb::ReadStatus | Verb::ReadFederation | Verb::ReadTenant | Verb::ReadAudit => true,
            Verb::CreateSite | Verb::UpdateSite | Verb::RevokeSite | Verb::RevokeNode => true,
            Verb::CreateTenant | Verb::UpdateTenant | Verb::PutPolicy | Verb::SetQuota => true,
            Verb::DeletePolicy | Verb::DeleteTenant | Verb::SetBudget | Verb::SetEscrow => true,
            Verb::ReadVetoes | Verb::ReadReservations => true,
            Verb::RegisterKey | Verb::RevokeKey | Verb::RegisterAdmin => true,
            Verb::ChangeBundle | Verb::ChangeMembers | Verb::TransferLeader => true,
            Verb::ProveNode | Verb::ReadFix => true,
            Verb::ReadApprovals | Verb::BreakGlass | Verb::EndBreakGlass => true,
            // A partner's capacity and a tenant's work are not the federation's to touch.
            Verb::CreateToken | Verb::Cordon | Verb::Drain | Verb::Undrain => own_operator,
            Verb::ApproveNode | Verb::Decommission | Verb::Uncordon => own_operator,
            Verb::ReleaseNode | Verb::RegisterLandmark | Verb::RemoveLandmark => own_operator,
            Verb::PutOffer | Verb::WithdrawOffer | Verb::Veto | Verb::LiftVeto => own_operator,
            Verb::PutReservation | Verb::DeleteReservation | Verb::SetPowerCap => own_operator,
            Verb::SubmitJob | Verb::CancelJob | Verb::ReadLogs | Verb::SaveSnapshot => false,
        },
        Role::OperatorAdmin => match verb {
            Verb::ReadStatus | Verb::ReadFederation => true,
            Verb::RevokeSite | Verb::CreateToken | Verb::Cordon | Verb::RevokeNode => own_operator,
            Verb::Drain | Verb::Undrain | Verb::ApproveNode | Verb::Decommission => own_operator,
            Verb::UpdateSite => own_operator,
            Verb::RegisterKey | Verb::RevokeKey | Verb::ReleaseNode => own_operator,
            Verb::RegisterLandmark | Verb::RemoveLandmark => own_operator,
            Verb::ProveNode | Verb::ReadFix | Verb::Uncordon => own_operator,
            Verb::PutOffer | Verb::WithdrawOffer | Verb::Veto | Verb::LiftVeto => own_operator,
            Verb::PutReservation | Verb::DeleteReservation | Verb::SetPowerCap => own_operator,
            Verb::ReadVetoes | Verb::ReadReservations => own_operator,
            // Whoever sees harm done must not have to wait for another company; what it allows, see `by_glass`.
            Verb::BreakGlass => true,
            // Whoever services a machine must be able to take the leadership away from it.
            Verb::TransferLeader => own_operator,
            Verb::DeletePolicy | Verb::DeleteTenant | Verb::SetBudget | Verb::SetEscrow => false,
            Verb::ChangeBundle | Verb::ChangeMembers => false,
            Verb::ReadTenant | Verb::ReadAudit | Verb::CreateSite => false,
            // What is proposed names tenants.
            Verb::ReadApprovals | Verb::EndBreakGlass | Verb::RegisterAdmin => false,
            Verb::CreateTenant | Verb::UpdateTenant | Verb::PutPolicy | Verb::SetQuota => false,
            Verb::SubmitJob | Verb::CancelJob | Verb::ReadLogs | Verb::SaveSnapshot => false,
        },
        Role::TenantAdmin(tenant) | Role::TenantUser(tenant) => match verb {
            Verb::ReadStatus | Verb::ReadFederation => true,
            Verb::ReadTenant | Verb::SubmitJob | Verb::CancelJob | Verb::ReadLogs => {
                tenant_of(tenant)
            }
            Verb::ReadReservations => tenant_of(tenant),
            Verb::PutReservation | Verb::DeleteReservation | Verb::SetPowerCap => false,
            Verb::ReadAudit
            | Verb::CreateSite
            | Verb::RevokeSite
            | Verb::RegisterKey
            | Verb::RevokeKey => false,
            Verb::CreateToken | Verb::Cordon | Verb::RevokeNode | Verb::ReleaseNode => false,
            Verb::Drain | Verb::Undrain | Verb::ApproveNode | Verb::Decommission => false,
            Verb::RegisterLandmark | Verb::RemoveLandmark => false,
            Verb::UpdateSite | Verb::DeletePolicy | Verb::DeleteTenant => false,
            Verb::SetBudget | Verb::SetEscrow | Verb::PutOffer | Verb::WithdrawOffer => false,
            Verb::Veto | Verb::LiftVeto | Verb::ReadVetoes => false,
            Verb::ProveNode | Verb::ReadFix => false,
            Verb::CreateTenant | Verb::UpdateTenant | Verb::PutPolicy | Verb::SetQuota => false,
            Verb::ChangeBundle | Verb::ChangeMembers | Verb::TransferLeader => false,
            Verb::SaveSnapshot | Verb::Uncordon | Verb::RegisterAdmin => false,
            Verb::ReadApprovals | Verb::BreakGlass | Verb::EndBreakGlass => false,
        },
        Role::Auditor => {
            matches!(
                verb,
                Verb::ReadStatus
                    | Verb::ReadFederation
                    | Verb::ReadTenant
                    | Verb::ReadAudit
                    | Verb::ReadFix
                    | Verb::ReadApprovals
                    | Verb::ReadVetoes
                    | Verb::ReadReservations
            )
        }
        Role::Monitor => matches!(verb, Verb::ReadStatus),
        // To which site, the service checks: it is a matter of the moment.
        Role::Archivist(_) => matches!(verb, Verb::SaveSnapshot) && own_operator,
        // What it signs are records, judged where a login is applied.
        Role::Registrar(_) => false,
        // Bound by enrolment and membership; their commands are checked by identity, not by this table.
        Role::Agent | Role::Member => false,
    }
}

/// How a verb has to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// Mutual TLS suffices: it only narrows.
    No,
    /// By the caller.
    Caller,
    /// By the caller and by principals of this many distinct operators in all.
    Operators(u32),
}

/// How `verb` has to be signed.
#[must_use]
pub fn signing(verb: Verb) -> Signed {
    match verb {
        Verb::ReadStatus
        | Verb::ReadFederation
        | Verb::ReadTenant
        | Verb::ReadAudit
        | Verb::ReadLogs
        | Verb::ReadFix
        | Verb::ReadApprovals
        | Verb::ReadVetoes
        | Verb::ReadReservations
        | Verb::SaveSnapshot => Signed::No,
        // They offer less.
        Verb::WithdrawOffer | Verb::Veto => Signed::No,
        Verb::RevokeSite | Verb::RevokeKey | Verb::RevokeNode | Verb::CancelJob => Signed::No,
        // It widens nothing, and leaves no trace in the state.
        Verb::TransferLeader => Signed::No,
        // It only narrows, and what it moves runs elsewhere.
        Verb::Drain => Signed::No,
        // It ends proofs and makes none.
        Verb::RemoveLandmark => Signed::No,
        // It asks for a measurement, and what that proves is judged without it.
        Verb::ProveNode => Signed::No,
        // It takes a right away.
        Verb::EndBreakGlass => Signed::No,
        Verb::Cordon
        | Verb::Uncordon
        | Verb::BreakGlass
        | Verb::Undrain
        | Verb::ApproveNode
        | Verb::Decommission
        | Verb::ReleaseNode
        | Verb::RegisterLandmark
        | Verb::RegisterKey
        | Verb::CreateToken
        | Verb::CreateTenant
        | Verb::SubmitJob => Signed::Caller,
        // What nothing refers to binds nobody, and a name decides nothing: but who did it is told for ever.
        Verb::UpdateSite | Verb::DeletePolicy | Verb::DeleteTenant => Signed::Caller,
        // A slice of what is granted already; devices of one's own.
        Verb::SetEscrow | Verb::PutOffer | Verb::LiftVeto | Verb::SetPowerCap => Signed::Caller,
        // What is promised to one is kept from all others, and a promise that is taken back is told for ever.
        Verb::PutReservation | Verb::DeleteReservation => Signed::Caller,
        // The issuers of k operators sign the agreement itself.
        Verb::ChangeBundle => Signed::Caller,
        Verb::CreateSite
        | Verb::UpdateTenant
        | Verb::PutPolicy
        | Verb::SetQuota
        | Verb::SetBudget
        | Verb::RegisterAdmin
        | Verb::ChangeMembers => Signed::Operators(2),
    }
}

fn denied(principal: &Principal, verb: Verb) -> Rejection {
    Rejection::new(ErrorCode::PermissionDenied, format!("{principal} may not {verb:?} here"))
}

/// What an open break-glass allows beyond the table: it stops and narrows. Nothing of it widens anything (A3): no quota,
/// policy, key, bundle or membership, and no reading of what jobs run, write or of backups.
#[must_use]
pub fn by_glass(verb: Verb) -> bool {
    match verb {
        Verb::CancelJob | Verb::Cordon | Verb::Drain | Verb::RevokeNode | Verb::RevokeSite => true,
        Verb::ReadStatus | Verb::ReadFederation | Verb::ReadTenant | Verb::ReadAudit => false,
        Verb::ReadLogs | Verb::ReadFix | Verb::ReadApprovals | Verb::SaveSnapshot => false,
        Verb::CreateSite | Verb::RegisterKey | Verb::RevokeKey | Verb::CreateToken => false,
        Verb::CreateTenant | Verb::UpdateTenant | Verb::PutPolicy | Verb::SetQuota => false,
        Verb::SubmitJob | Verb::ChangeBundle | Verb::ChangeMembers => false,
        Verb::RegisterAdmin | Verb::UpdateSite => false,
        Verb::DeletePolicy | Verb::DeleteTenant | Verb::SetBudget | Verb::SetEscrow => false,
        // What a partner offers stays its own matter.
        Verb::PutOffer | Verb::WithdrawOffer | Verb::Veto | Verb::LiftVeto => false,
        Verb::ReadVetoes | Verb::ReadReservations => false,
        Verb::PutReservation | Verb::DeleteReservation | Verb::SetPowerCap => false,
        // It would move the leadership for no good that stopping does not do.
        Verb::TransferLeader => false,
        Verb::Undrain | Verb::Uncordon | Verb::ApproveNode | Verb::Decommission => false,
        // It ends proofs, which moves other people's jobs to places that nobody chose.
        Verb::ReleaseNode | Verb::RegisterLandmark | Verb::RemoveLandmark => false,
        Verb::ProveNode | Verb::BreakGlass | Verb::EndBreakGlass => false,
    }
}

impl State {
    /// Whether `principal` may do `verb` to `target` by any key in force, or by a break-glass.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`.
    pub fn authorize(
        &self,
        principal: &Principal,
        verb: Verb,
        target: Target<'_>,
    ) -> Result<(), Rejection> {
        let allowed =
            self.holds(principal, verb, target) || self.glass_of(principal, verb).is_some();
        if allowed { Ok(()) } else { Err(denied(principal, verb)) }
    }

    /// Whether the table allows it by any key in force.
    pub(crate) fn holds(&self, principal: &Principal, verb: Verb, target: Target<'_>) -> bool {
        self.roles(principal).any(|role| allows(role, &principal.operator, verb, target))
    }

    /// Operators that have to sign for `verb`.
    #[must_use]
    pub fn signers_needed(&self, verb: Verb) -> u32 {
        match signing(verb) {
            Signed::No => 0,
            Signed::Caller => 1,
            // With a single operator there is nobody else to ask; `status` shows it red.
            Signed::Operators(n) => n.min(self.operator_count()),
        }
    }

    /// Authorizes an entry's actor and checks its signatures, of which `need` operators have to be; `ahead` is what was
    /// found out about the entry before its turn.
    pub(crate) fn authorize_entry(
        &self,
        entry: &Entry,
        ahead: &Ahead,
        (verb, target): (Verb, Target<'_>),
        need: u32,
    ) -> Result<(), Rejection> {
        self.authorize(&entry.actor, verb, target)?;
        // Not needed, and still not to be ignored: who signed for another federation did not mean this one.
        if need == 0 && entry.signatures.is_empty() {
            return Ok(());
        }
        self.check_signatures(entry, ahead, (verb, target), need)
    }

    fn operator_count(&self) -> u32 {
        let operators = self.federation.as_ref().map_or(0, |f| f.bundle.operators.len());
        u32::try_from(operators).unwrap_or(u32::MAX)
    }

    /// Every signature must be good and by somebody who may do the verb; if any is needed, the actor's own must be
    /// among them.
    fn check_signatures(
        &self,
        entry: &Entry,
        ahead: &Ahead,
        (verb, target): (Verb, Target<'_>),
        need: u32,
    ) -> Result<(), Rejection> {
        let intention = entry.intention_of(ahead.command);
        let mut operators: BTreeSet<&OperatorId> = BTreeSet::new();
        let mut by_actor = false;
        for signature in &entry.signatures {
            let signer = &signature.principal;
            let unchecked = (!ahead.signed).then_some(&intention);
            self.check_signature(signature, unchecked, (verb, target))?;
            operators.insert(&signer.operator);
            by_actor |= *signer == entry.actor;
        }
        let have = u32::try_from(operators.len()).unwrap_or(u32::MAX);
        if (need > 0 && !by_actor) || have < need {
            let why =
                format!("{verb:?} needs the caller's signature and {need} operator(s), has {have}");
            return Err(Rejection::new(ErrorCode::SignaturesMissing, why));
        }
        Ok(())
    }

    /// The key is in force, its holder may do the verb, and the signature is under this intention, unless that is known.
    pub(crate) fn check_signature(
        &self,
        signature: &CommandSignature,
        intention: Option<&Intention>,
        (verb, target): (Verb, Target<'_>),
    ) -> Result<(), Rejection> {
        let signer = &signature.principal;
        let key = self.key(signer, &signature.key).filter(|key| self.clock < key.expires);
        let Some(key) = key else {
            let why = format!("{signer} has no such key in force");
            return Err(Rejection::new(ErrorCode::KeyUnknown, why));
        };
        if !allows(&key.role, &signer.operator, verb, target)
            && self.glass_of(signer, verb).is_none()
        {
            return Err(denied(signer, verb));
        }
        if intention.is_some_and(|intention| signature.check(intention).is_err()) {
            let why = format!("signature of {signer}");
            return Err(Rejection::new(ErrorCode::SignatureInvalid, why));
        }
        Ok(())
    }
}

/// Most signatures under one command: every operator of a large federation, and bounded work in apply.
pub const SIGNATURES_MAX: usize = 16;

#[cfg(test)]
mod tests;
