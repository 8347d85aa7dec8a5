//! Tenants: who pays, and the policy that binds all their jobs.
//!
//! Must hold: A3 and D2. The policy exists, a change names the revision that it changes, and open jobs stay counted.
//! It sets no quota (`quota`) and stops nothing by itself: what a tighter bound no longer allows, the leader's duty evicts
//! (`eviction`, ADR 14).

use super::change::{Change, not_found};
use crate::event::Event;
use crate::outcome::{Outcome, Reply};
use crate::role::{Target, Verb};
use crate::state::Tenant;
use sekisho_types::id::{PolicyId, TenantId};
use sekisho_types::revision::Revision;

/// Creates or changes a tenant.
pub(super) fn put(
    change: &mut Change<'_>,
    id: &TenantId,
    display_name: &str,
    policy: Option<&PolicyId>,
    expected: Option<Revision>,
) -> Outcome {
    let verb = if expected.is_some() { Verb::UpdateTenant } else { Verb::CreateTenant };
    change.authorize(verb, Target::Federation)?;
    Change::text(display_name, "display_name")?;
    let found = change.state.tenants.get(id);
    Change::unchanged(expected, found.map(|tenant| tenant.revision), &format!("tenant {id}"))?;
    if let Some(policy) = policy
        && !change.state.policies.contains(policy)
    {
        return Err(not_found(format!("policy {policy}")));
    }
    let open_jobs = found.map_or(0, |tenant| tenant.open_jobs);
    let row = Tenant {
        display_name: display_name.to_owned(),
        policy: policy.cloned(),
        open_jobs,
        revision: change.revision,
    };
    change.state.tenants.insert(id.clone(), row);
    change.effects.checkpoint = true;
    change.effects.events.insert(Event::Plannable);
    Ok(Reply::Done)
}
