//! Tenants: who pays, and the policy that binds all their jobs.
//!
//! Must hold: A3 and D2. The policy exists, a change names the revision that it changes, and open jobs stay counted. A name
//! under which something is kept, or somebody may do something, names no other tenant.
//! It sets no quota (`quota`) and stops nothing by itself: what a tighter bound no longer allows, the leader's duty evicts
//! (`eviction`, ADR 14).

use super::change::{Change, in_use, not_found};
use super::{budget, offer, quota, reservation};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::reservation::sum_up_all;
use crate::role::{Target, Verb};
use crate::state::{State, Tenant};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{PolicyId, TenantId};
use sekisho_types::limit::TENANT_DEPTH_MAX;
use sekisho_types::offer::Vetoed;
use sekisho_types::patch::Patch;
use sekisho_types::principal::{Principal, Role};
use sekisho_types::revision::Revision;

/// Creates or changes a tenant.
pub(super) fn put(
    change: &mut Change<'_>,
    id: &TenantId,
    (display_name, policy, parent): (
        &Patch<String>,
        &Patch<Option<PolicyId>>,
        &Patch<Option<TenantId>>,
    ),
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
    let before = old.as_ref().and_then(|row| row.parent.clone());
    let after = parent.clone().over(before.clone());
    if after != before {
        may_move(change.state, id, after.as_ref())?;
    }
    let (name, bound) =
        old.as_ref().map(|row| (row.display_name.clone(), row.policy.clone())).unwrap_or_default();
    let row = Tenant {
        display_name: display_name.clone().over(name),
        policy: policy.clone().over(bound),
        parent: after.clone(),
        open_jobs: old.map_or(0, |tenant| tenant.open_jobs),
        revision: change.revision,
    };
    if after != before
        && let Some(before) = &before
    {
        quota::leave(change.state, id, before);
    }
    change.state.tenants.insert(id.clone(), row);
    if after != before
        && let Some(after) = &after
    {
        quota::join(change.state, id, after);
    }
    if after != before {
        // Its work may use the reservations of others above it.
        sum_up_all(change.state, None);
    }
    change.effects.events.insert(Event::Tenant(id.clone()));
    change.effects.checkpoint = true;
    change.effects.events.insert(Event::Plannable);
    Ok(Reply::Done)
}

/// Whether a tenant may become a part of `parent`, with its own parts and all that they hold.
fn may_move(state: &State, id: &TenantId, parent: Option<&TenantId>) -> Result<(), Rejection> {
    let tree = |why: String| Err(Rejection::new(ErrorCode::TenantTree, why));
    let Some(parent) = parent else {
        return match quota::borrows(state, id) {
            None => Ok(()),
            Some((class, area)) => {
                let why = format!("{id} borrows {class} in {area}, and would have no parent");
                Err(Rejection::new(ErrorCode::QuotaContradicts, why))
            }
        };
    };
    if parent == id {
        return tree(format!("{id} would be a part of itself"));
    }
    if !state.tenants.contains(parent) {
        return Err(not_found(format!("tenant {parent}")));
    }
    let path = state.path(parent);
    if path.contains(id) {
        return tree(format!("{parent} is a part of {id}"));
    }
    let levels = path.len().saturating_add(height(state, id));
    if levels > TENANT_DEPTH_MAX {
        return tree(format!(
            "the tree would have {levels} levels, it may have {TENANT_DEPTH_MAX}"
        ));
    }
    Ok(())
}

/// Levels of a tenant with its parts.
fn height(state: &State, id: &TenantId) -> usize {
    let (mut levels, mut at) = (0usize, vec![id.clone()]);
    while !at.is_empty() && levels <= TENANT_DEPTH_MAX {
        levels = levels.saturating_add(1);
        at = at.iter().flat_map(|tenant| state.parts_of(tenant)).cloned().collect();
    }
    levels
}

/// Takes a tenant out, with its quotas. Jobs that are over stay, for whoever may read every tenant.
pub(super) fn delete(change: &mut Change<'_>, id: &TenantId, expected: Revision) -> Outcome {
    change.authorize(Verb::DeleteTenant, Target::Federation)?;
    let found = change.state.tenants.get(id);
    Change::unchanged(Some(expected), found.map(|row| row.revision), &format!("tenant {id}"))?;
    if let Some(open) = found.map(|row| row.open_jobs).filter(|open| *open > 0) {
        return Err(in_use(format!("tenant {id} has {open} open job(s)")));
    }
    if let Some(((_, class), gpus)) = change.state.usages().find(|((of, _), _)| of == id) {
        return Err(in_use(format!("tenant {id} holds {gpus} {class}")));
    }
    if let Some(part) = change.state.parts_of(id).next() {
        return Err(in_use(format!("tenant {part} is a part of {id}")));
    }
    if let Some(holder) = holder(change, id) {
        return Err(in_use(format!("{holder} has a key for tenant {id}: take it back")));
    }
    quota::forget(change, id);
    budget::forget(change, id);
    reservation::forget(change, |(tenant, _), _| tenant == id);
    offer::forget_vetoes(change, |(_, of)| *of == Vetoed::Tenant(id.clone()));
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
        self.jobs_of(tenant).next().is_some()
    }
}
