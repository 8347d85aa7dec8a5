//! Setting quotas, and moving them with a tenant that changes its place in the tree (Q1).
//!
//! Must hold: numbers that contradict each other or the tree are refused; what runs is left alone, however low a limit is
//! set, and what it uses goes with its tenant.

use super::change::{Change, not_found};
use super::site::area_rejection;
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::quota::{Holding, Line, Quota, edit, graft, prune};
use crate::role::{Target, Verb};
use crate::state::State;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{DeviceClass, TenantId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::quota::{Allotment, Amount, GPUS_MAX, Limit};
use sekisho_types::revision::Revision;

/// Sets what a tenant may hold of a class in an area. Lowering keeps what runs; nothing more is granted until there is room.
pub(super) fn set(
    change: &mut Change<'_>,
    (tenant, class, area): (&TenantId, &DeviceClass, Area),
    allotment: Allotment,
    expected: Revision,
) -> Outcome {
    change.authorize(Verb::SetQuota, Target::Federation)?;
    if !change.state.tenants.contains(tenant) {
        return Err(not_found(format!("tenant {tenant}")));
    }
    area.valid_on(change.today()).map_err(|error| area_rejection(&error))?;
    allotment.check().map_err(|field| {
        Rejection::new(ErrorCode::InvalidArgument, format!("{field}: at most {GPUS_MAX}"))
    })?;
    // What was never set is none, at revision 0.
    let found = change.state.quota_revision(tenant, class, area);
    Change::unchanged(Some(expected), Some(found), &format!("quota {tenant}/{class}.{area}"))?;
    contradicts(change.state, tenant, &allotment)?;
    let revision = change.revision;
    let quota = (!allotment.is_none()).then_some(Quota { allotment, revision });
    let path = change.state.path(tenant);
    edit(&mut change.state.quotas, &path, class, |lines| {
        lines.of(area).quota = quota;
    });
    change.effects.events.insert(Event::Quota(tenant.clone(), class.clone(), area));
    change.effects.events.insert(Event::Plannable);
    Ok(Reply::Done)
}

fn contradicts(state: &State, tenant: &TenantId, allotment: &Allotment) -> Result<(), Rejection> {
    let refuse = |why: String| Err(Rejection::new(ErrorCode::QuotaContradicts, why));
    let alone = state.parts_of(tenant).next().is_none();
    let (own, lends) = (Amount::from(allotment.nominal), Amount::from(allotment.lending));
    // Whoever has parts lends what they lend to it, too; but without a row of its own it would lend all of that.
    let no_row = allotment.is_none() && allotment.lending != Limit::None;
    if no_row || (alone && lends > own && allotment.lending != Limit::Unlimited) {
        return refuse(format!("{tenant} would lend {lends} of its {own}"));
    }
    let parent = state.tenants.get(tenant).and_then(|row| row.parent.as_ref());
    if parent.is_none() && allotment.borrowing != Limit::None {
        return refuse(format!("{tenant} has no parent to borrow from"));
    }
    Ok(())
}

/// The row of a tenant that borrows, if there is one: it needs a parent.
pub(super) fn borrows(state: &State, tenant: &TenantId) -> Option<(DeviceClass, Area)> {
    let borrows =
        |line: &Line| line.quota.is_some_and(|quota| quota.allotment.borrowing != Limit::None);
    let found = state.quotas().find(|((of, _), _, line)| of == tenant && borrows(line));
    found.map(|((_, class), area, _)| (class.clone(), area))
}

fn holdings_of(state: &State, tenant: &TenantId) -> Vec<(DeviceClass, Holding)> {
    let own = state.quotas.iter().filter(|((of, _), _)| of == tenant);
    own.map(|((_, class), holding)| (class.clone(), holding.clone())).collect()
}

/// Takes what a tenant uses and lends out of its parent's lines.
pub(super) fn leave(state: &mut State, tenant: &TenantId, parent: &TenantId) {
    let path = state.path(parent);
    for (class, holding) in holdings_of(state, tenant) {
        prune(&mut state.quotas, &path, &class, &holding);
    }
}

/// Puts it into those of a parent.
pub(super) fn join(state: &mut State, tenant: &TenantId, parent: &TenantId) {
    let path = state.path(parent);
    for (class, holding) in holdings_of(state, tenant) {
        graft(&mut state.quotas, &path, &class, &holding);
    }
}

/// Takes every row of a tenant out that holds nothing.
pub(super) fn forget(change: &mut Change<'_>, tenant: &TenantId) {
    let path = change.state.path(tenant);
    for (class, holding) in holdings_of(change.state, tenant) {
        edit(&mut change.state.quotas, &path, &class, |lines| {
            holding.lines.keys().for_each(|area| lines.of(*area).quota = None);
        });
        for area in holding.lines.into_iter().filter(|(_, line)| line.quota.is_some()) {
            change.effects.events.insert(Event::Quota(tenant.clone(), class.clone(), area.0));
        }
    }
}
