//! Tenants: who pays, and the policy that binds all their jobs.
//!
//! Must hold: A3 and D2. The policy exists, a change names the revision that it changes, and open jobs stay counted. A name
//! under which something is kept, or somebody may do something, names no other tenant.
//! It sets no quota (`quota`) and stops nothing by itself: what a tighter bound no longer allows, the leader's duty evicts
//! (`eviction`, ADR 14).

use super::change::{Change, in_use, not_found};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::role::{Target, Verb};
use crate::state::{State, Tenant};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{DeviceClass, JobId, PolicyId, TenantId};
use sekisho_types::name::Name;
use sekisho_types::patch::Patch;
use sekisho_types::principal::{Principal, Role};
use sekisho_types::revision::Revision;

/// Creates or changes a tenant.
pub(super) fn put(
    change: &mut Change<'_>,
    id: &TenantId,
    (display_name, policy): (&Patch<String>, &Patch<Option<PolicyId>>),
    expected: Option<Revision>,
) -> Outcome {
    let verb = if expected.is_some() { Verb::UpdateTenant } else { Verb::CreateTenant };
    change.authorize(verb, Target::Federation)?;
    if let Patch::Set(name) = display_name {
        Change::text(name, "display_name")?;
    }
    let found = change.state.tenants.get(id);
    Change::unchanged(expected, found.map(|tenant| tenant.revision), &format!("tenant {id}"))?;
    if found.is_none() && change.state.has_jobs_of(id) {
        let why = format!("jobs of an earlier tenant {id} are kept: choose another id");
        return Err(Rejection::new(ErrorCode::AlreadyExists, why));
    }
    if let Patch::Set(Some(policy)) = policy
        && !change.state.policies.contains(policy)
    {
        return Err(not_found(format!("policy {policy}")));
    }
    let old = found.cloned();
    let (name, bound) =
        old.as_ref().map(|row| (row.display_name.clone(), row.policy.clone())).unwrap_or_default();
    let row = Tenant {
        display_name: display_name.clone().over(name),
        policy: policy.clone().over(bound),
        open_jobs: old.map_or(0, |tenant| tenant.open_jobs),
        revision: change.revision,
    };
    change.state.tenants.insert(id.clone(), row);
    change.effects.events.insert(Event::Tenant(id.clone()));
    change.effects.checkpoint = true;
    change.effects.events.insert(Event::Plannable);
    Ok(Reply::Done)
}

/// Takes a tenant out, with its quotas. Jobs that are over stay, for whoever may read every tenant.
pub(super) fn delete(change: &mut Change<'_>, id: &TenantId, expected: Revision) -> Outcome {
    change.authorize(Verb::DeleteTenant, Target::Federation)?;
    let found = change.state.tenants.get(id);
    Change::unchanged(Some(expected), found.map(|row| row.revision), &format!("tenant {id}"))?;
    if let Some(open) = found.map(|row| row.open_jobs).filter(|open| *open > 0) {
        return Err(in_use(format!("tenant {id} has {open} open job(s)")));
    }
    if let Some(((_, class), gpus)) = change.state.usage.iter().find(|((of, _), _)| of == id) {
        return Err(in_use(format!("tenant {id} holds {gpus} {class}")));
    }
    if let Some(holder) = holder(change, id) {
        return Err(in_use(format!("{holder} has a key for tenant {id}: take it back")));
    }
    let quotas = change.state.quotas.iter().map(|(key, _)| key).filter(|(of, _)| of == id);
    let quotas: Vec<(TenantId, DeviceClass)> = quotas.cloned().collect();
    for key in quotas {
        change.state.quotas.remove(&key);
        change.effects.events.insert(Event::Quota(key.0, key.1));
    }
    change.state.tenants.remove(id);
    change.effects.events.insert(Event::Tenant(id.clone()));
    change.effects.checkpoint = true;
    change.effects.events.insert(Event::Plannable);
    Ok(Reply::Done)
}

/// Who has a key in force for a tenant: they would be somebody in the next one of its name.
fn holder<'c>(change: &'c Change<'_>, id: &TenantId) -> Option<&'c Principal> {
    let now = change.now();
    let mut keys = change.state.keys().filter(|(_, key)| now < key.expires);
    keys.find(|(_, key)| is_of(&key.role, id)).map(|((principal, _), _)| principal)
}

fn is_of(role: &Role, id: &TenantId) -> bool {
    match role {
        Role::TenantAdmin(tenant) | Role::TenantUser(tenant) => tenant == id,
        Role::Registrar(given) => given.iter().any(|role| is_of(&role.clone().into(), id)),
        Role::FederationAdmin
        | Role::OperatorAdmin
        | Role::Auditor
        | Role::Monitor
        | Role::Archivist(_)
        | Role::Agent
        | Role::Member => false,
    }
}

impl State {
    /// Whether any job of this tenant is kept.
    fn has_jobs_of(&self, tenant: &TenantId) -> bool {
        // The least of all names.
        let first = Name::parse("a").map(|name| JobId { tenant: tenant.clone(), name });
        let next = first.map(|first| self.jobs.range(first..).next().map(|(id, _)| &id.tenant));
        next.is_ok_and(|next| next == Some(tenant))
    }
}
