//! Who may do what: the one table of roles, used by admission and by apply alike (design section 10).
//!
//! Must hold: A3. Authority comes from registered keys in the state, never from a certificate. A *widening* verb
//! (policy, quota, trust, enrolment, a job's start) needs the caller's own signature, checked here on every replica;
//! the dangerous ones need signatures from two operators.

use crate::apply::Ahead;
use crate::command::Command;
use crate::entry::Entry;
use crate::outcome::Rejection;
use crate::state::State;
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
    /// Cordon or uncordon a node.
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
}

impl Verb {
    /// Every verb, for tests that walk the table.
    pub const ALL: [Self; 31] = [
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
pub fn allows(role: &Role, own: &OperatorId, verb: Verb, target: Target<'_>) -> bool {
    let own_operator = matches!(target, Target::Operator(operator) if operator == own);
    let tenant_of = |tenant: &TenantId| matches!(target, Target::Tenant(asked) if asked == tenant);
    match role {
        Role::FederationAdmin => match verb {
            Verb::ReadStatus | Verb::ReadFederation | Verb::ReadTenant | Verb::ReadAudit => true,
            Verb::CreateSite | Verb::RevokeSite | Verb::RevokeNode => true,
            Verb::CreateTenant | Verb::UpdateTenant | Verb::PutPolicy | Verb::SetQuota => true,
            Verb::RegisterKey | Verb::RevokeKey => true,
            Verb::ChangeBundle | Verb::ChangeMembers | Verb::TransferLeader => true,
            Verb::ProveNode | Verb::ReadFix => true,
            // A partner's capacity and a tenant's work are not the federation's to touch.
            Verb::CreateToken | Verb::Cordon | Verb::Drain | Verb::Undrain => own_operator,
            Verb::ApproveNode | Verb::Decommission => own_operator,
            Verb::ReleaseNode | Verb::RegisterLandmark | Verb::RemoveLandmark => own_operator,
            Verb::SubmitJob | Verb::CancelJob | Verb::ReadLogs | Verb::SaveSnapshot => false,
        },
        Role::OperatorAdmin => match verb {
            Verb::ReadStatus | Verb::ReadFederation => true,
            Verb::RevokeSite | Verb::CreateToken | Verb::Cordon | Verb::RevokeNode => own_operator,
            Verb::Drain | Verb::Undrain | Verb::ApproveNode | Verb::Decommission => own_operator,
            Verb::RegisterKey | Verb::RevokeKey | Verb::ReleaseNode => own_operator,
            Verb::RegisterLandmark | Verb::RemoveLandmark => own_operator,
            Verb::ProveNode | Verb::ReadFix => own_operator,
            // Whoever services a machine must be able to take the leadership away from it.
            Verb::TransferLeader => own_operator,
            Verb::ChangeBundle | Verb::ChangeMembers => false,
            Verb::ReadTenant | Verb::ReadAudit | Verb::CreateSite => false,
            Verb::CreateTenant | Verb::UpdateTenant | Verb::PutPolicy | Verb::SetQuota => false,
            Verb::SubmitJob | Verb::CancelJob | Verb::ReadLogs | Verb::SaveSnapshot => false,
        },
        Role::TenantAdmin(tenant) | Role::TenantUser(tenant) => match verb {
            Verb::ReadStatus | Verb::ReadFederation => true,
            Verb::ReadTenant | Verb::SubmitJob | Verb::CancelJob | Verb::ReadLogs => {
                tenant_of(tenant)
            }
            Verb::ReadAudit
            | Verb::CreateSite
            | Verb::RevokeSite
            | Verb::RegisterKey
            | Verb::RevokeKey => false,
            Verb::CreateToken | Verb::Cordon | Verb::RevokeNode | Verb::ReleaseNode => false,
            Verb::Drain | Verb::Undrain | Verb::ApproveNode | Verb::Decommission => false,
            Verb::RegisterLandmark | Verb::RemoveLandmark => false,
            Verb::ProveNode | Verb::ReadFix => false,
            Verb::CreateTenant | Verb::UpdateTenant | Verb::PutPolicy | Verb::SetQuota => false,
            Verb::ChangeBundle | Verb::ChangeMembers | Verb::TransferLeader => false,
            Verb::SaveSnapshot => false,
        },
        Role::Auditor => {
            matches!(
                verb,
                Verb::ReadStatus
                    | Verb::ReadFederation
                    | Verb::ReadTenant
                    | Verb::ReadAudit
                    | Verb::ReadFix
            )
        }
        Role::Monitor => matches!(verb, Verb::ReadStatus),
        // To which site, the service checks: it is a matter of the moment.
        Role::Archivist(_) => matches!(verb, Verb::SaveSnapshot) && own_operator,
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
        | Verb::SaveSnapshot => Signed::No,
        Verb::RevokeSite | Verb::RevokeKey | Verb::RevokeNode | Verb::CancelJob => Signed::No,
        // It widens nothing, and leaves no trace in the state.
        Verb::TransferLeader => Signed::No,
        // It only narrows, and what it moves runs elsewhere.
        Verb::Drain => Signed::No,
        // It ends proofs and makes none.
        Verb::RemoveLandmark => Signed::No,
        // It asks for a measurement, and what that proves is judged without it.
        Verb::ProveNode => Signed::No,
        Verb::Cordon
        | Verb::Undrain
        | Verb::ApproveNode
        | Verb::Decommission
        | Verb::ReleaseNode
        | Verb::RegisterLandmark
        | Verb::RegisterKey
        | Verb::CreateToken
        | Verb::CreateTenant
        | Verb::SubmitJob => Signed::Caller,
        // The issuers of k operators sign the agreement itself.
        Verb::ChangeBundle => Signed::Caller,
        Verb::CreateSite
        | Verb::UpdateTenant
        | Verb::PutPolicy
        | Verb::SetQuota
        | Verb::ChangeMembers => Signed::Operators(2),
    }
}

fn denied(principal: &Principal, verb: Verb) -> Rejection {
    Rejection::new(ErrorCode::PermissionDenied, format!("{principal} may not {verb:?} here"))
}

impl State {
    /// Whether `principal` may do `verb` to `target` by any key in force.
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
            self.roles(principal).any(|role| allows(role, &principal.operator, verb, target));
        if allowed { Ok(()) } else { Err(denied(principal, verb)) }
    }

    /// Authorizes an entry's actor and checks its signatures as the verb needs them; `ahead` is what was found
    /// out about the entry before its turn.
    pub(crate) fn authorize_entry(
        &self,
        entry: &Entry,
        ahead: &Ahead,
        verb: Verb,
        target: Target<'_>,
    ) -> Result<(), Rejection> {
        self.authorize(&entry.actor, verb, target)?;
        let need = match signing(verb) {
            Signed::No if entry.signatures.is_empty() => return Ok(()),
            // Not needed, and still not to be ignored: who signed for another federation did not mean this one.
            Signed::No => 0,
            Signed::Caller => 1,
            // With a single operator there is nobody else to ask; `status` shows it red.
            Signed::Operators(n) => n.min(self.operator_count()),
        };
        self.check_signatures(entry, ahead, verb, target, need)
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
        verb: Verb,
        target: Target<'_>,
        need: u32,
    ) -> Result<(), Rejection> {
        let intention = entry.intention_of(ahead.command);
        let mut operators: BTreeSet<&OperatorId> = BTreeSet::new();
        let mut by_actor = false;
        for signature in &entry.signatures {
            let signer = &signature.principal;
            let key = self
                .key(signer, &signature.key)
                .filter(|key| self.clock < key.expires)
                .ok_or_else(|| {
                    Rejection::new(
                        ErrorCode::KeyUnknown,
                        format!("{signer} has no such key in force"),
                    )
                })?;
            if !allows(&key.role, &signer.operator, verb, target) {
                return Err(denied(signer, verb));
            }
            if !ahead.signed && signature.check(&intention).is_err() {
                let why = format!("signature of {signer}");
                return Err(Rejection::new(ErrorCode::SignatureInvalid, why));
            }
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
}

/// Most signatures under one command: every operator of a large federation, and bounded work in apply.
pub const SIGNATURES_MAX: usize = 16;

/// Whether answers to this command are kept by request id (R3): what people and pipelines send. Commands of members
/// and agents are idempotent by their content.
#[must_use]
pub fn is_deduplicated(command: &Command) -> bool {
    match command {
        Command::Bootstrap(_)
        | Command::Tick
        | Command::EnrollNode { .. }
        | Command::RenewTag { .. } => false,
        Command::OpenSession { .. } | Command::Report { .. } | Command::Refuse { .. } => false,
        Command::ExpireLease { .. } | Command::CommitPlacement { .. } => false,
        Command::RaiseFeatureLevel { .. } | Command::OpenIncarnation { .. } => false,
        Command::Adopt { .. } | Command::EvictDrained { .. } | Command::QuarantineNode { .. } => {
            false
        }
        Command::RegisterKey { .. } | Command::RevokeKey { .. } | Command::CreateSite { .. } => {
            true
        }
        Command::RevokeSite { .. }
        | Command::CreateToken { .. }
        | Command::SetSchedulable { .. } => true,
        Command::RevokeNode { .. } | Command::PutTenant { .. } | Command::PutPolicy { .. } => true,
        Command::SetQuota { .. } | Command::SubmitJob { .. } | Command::CancelJob { .. } => true,
        Command::Batch(_) | Command::ReleaseNode { .. } => true,
        Command::DrainNode { .. } | Command::UndrainNode { .. } => true,
        Command::ApproveNode { .. } | Command::DecommissionNode { .. } => true,
        Command::ReportFitness { .. } | Command::SubmitFix { .. } => false,
        Command::EvictDenied { .. } => false,
        Command::SubmitRange { .. } => false,
        Command::RegisterLandmark { .. } | Command::RemoveLandmark { .. } => true,
        Command::PutSiteKey { .. } | Command::FoundPayload { .. } => false,
        Command::ResealJob { .. } => true,
        Command::ChangeBundle(_) | Command::SetVoter { .. } | Command::SetMemberAddress { .. } => {
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{BEGIN, Federation, admin, key, user, user_key};
    use sekisho_evidence::canonical::encode;
    use sekisho_evidence::key::Purpose;
    use sekisho_types::principal::KeyRecord;

    /// Binds this role to `kanto/user/archive`, as the issuer of `kanto` vouches.
    fn register(federation: &mut Federation, role: Role) -> Option<ErrorCode> {
        let principal = user("kanto", "archive");
        let public_key = user_key(&principal).public();
        let expires = BEGIN.plus_ms(1 << 40);
        let record = KeyRecord { principal, role, public_key, expires };
        let issuer = key("issuer", "kanto").sign(Purpose::KeyRecord, &encode(&record).unwrap());
        let applied = federation.run(admin("kanto"), Command::RegisterKey { record, issuer });
        applied.outcome.err().map(|rejection| rejection.code)
    }

    #[test]
    fn nobody_but_an_archivist_takes_a_backup_and_it_does_nothing_else() {
        let (own, other): (OperatorId, OperatorId) =
            ("kanto".parse().unwrap(), "naniwa".parse().unwrap());
        let tenant = "sapporo".parse().unwrap();
        let archivist = Role::Archivist("tokyo-1".parse().unwrap());
        let mine = Target::Operator(&own);
        for target in [mine, Target::Operator(&other), Target::Federation, Target::Tenant(&tenant)]
        {
            for verb in Verb::ALL {
                let due = verb == Verb::SaveSnapshot && target == mine;
                assert_eq!(allows(&archivist, &own, verb, target), due, "{verb:?} {target:?}");
            }
            for role in [
                Role::FederationAdmin,
                Role::OperatorAdmin,
                Role::TenantAdmin(tenant.clone()),
                Role::TenantUser(tenant.clone()),
                Role::Auditor,
                Role::Monitor,
                Role::Agent,
                Role::Member,
            ] {
                assert!(!allows(&role, &own, Verb::SaveSnapshot, target), "{role}");
            }
        }
        assert_eq!(signing(Verb::SaveSnapshot), Signed::No);
    }

    /// Cell by cell: what becomes of a node or landmark is for administrators of its own operator, and for nobody else.
    #[test]
    fn a_nodes_life_is_its_operators_alone() {
        let (own, other): (OperatorId, OperatorId) =
            ("kanto".parse().unwrap(), "naniwa".parse().unwrap());
        let tenant: TenantId = "sapporo".parse().unwrap();
        let life = [
            Verb::Drain,
            Verb::Undrain,
            Verb::ApproveNode,
            Verb::Decommission,
            Verb::RegisterLandmark,
            Verb::RemoveLandmark,
        ];
        let roles = [
            (Role::FederationAdmin, true),
            (Role::OperatorAdmin, true),
            (Role::TenantAdmin(tenant.clone()), false),
            (Role::TenantUser(tenant.clone()), false),
            (Role::Auditor, false),
            (Role::Monitor, false),
            (Role::Archivist("tokyo-1".parse().unwrap()), false),
            (Role::Agent, false),
            (Role::Member, false),
        ];
        let mine = Target::Operator(&own);
        for target in [mine, Target::Operator(&other), Target::Federation, Target::Tenant(&tenant)]
        {
            for verb in life {
                for (role, administers) in &roles {
                    let due = *administers && target == mine;
                    let may = allows(role, &own, verb, target);
                    assert_eq!(may, due, "{role} {verb:?} {target:?}");
                }
            }
        }
        let signed = life.map(signing);
        let (no, by) = (Signed::No, Signed::Caller);
        assert_eq!(signed, [no, by, by, by, by, no]);
    }

    #[test]
    fn an_archivist_stands_for_a_site_of_its_own_operator() {
        let mut federation = Federation::furnished();
        let of = |site: &str| Role::Archivist(site.parse().unwrap());
        for site in ["sakai-1", "nowhere-1"] {
            assert_eq!(register(&mut federation, of(site)), Some(ErrorCode::NotFound), "{site}");
        }
        assert_eq!(register(&mut federation, of("tokyo-1")), None);
        let target = "kanto".parse().unwrap();
        let target = Target::Operator(&target);
        let may = |who: &Principal| federation.state.authorize(who, Verb::SaveSnapshot, target);
        may(&user("kanto", "archive")).unwrap();
        may(&admin("kanto")).unwrap_err();
    }
}
