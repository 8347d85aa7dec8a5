//! Setting budgets, and charging placements to them.
//!
//! Must hold: what a budget counts never changes under its name; a budget counts what is granted after it was made.

use super::change::{Change, not_found};
use super::site::area_rejection;
use crate::budget::{Budget, BudgetKey, Charged};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::role::{Target, Verb};
use crate::state::{Placement, State};
use sekisho_types::budget::{BudgetError, BudgetSpec};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::TenantId;
use sekisho_types::limit::BUDGETS_PER_TENANT_MAX;
use sekisho_types::name::Name;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use std::collections::BTreeMap;

/// Sets a budget, or takes it out. Lowering leaves what runs alone.
pub(super) fn set(
    change: &mut Change<'_>,
    (tenant, name): (&TenantId, &Name),
    budget: Option<&BudgetSpec>,
    expected: Revision,
) -> Outcome {
    change.authorize(Verb::SetBudget, Target::Federation)?;
    if !change.state.tenants.contains(tenant) {
        return Err(not_found(format!("tenant {tenant}")));
    }
    let key = (tenant.clone(), name.clone());
    let found = change.state.budgets.get(&key);
    let stands = found.map_or(Revision(0), |row| row.revision);
    Change::unchanged(Some(expected), Some(stands), &format!("budget {tenant}/{name}"))?;
    match budget {
        None if found.is_none() => return Err(not_found(format!("budget {tenant}/{name}"))),
        None => {
            change.state.budgets.remove(&key);
        }
        Some(spec) => {
            check(change, spec)?;
            let row = next(change, &key, spec)?;
            change.state.budgets.insert(key, row);
        }
    }
    change.effects.events.insert(Event::Budget(tenant.clone(), name.clone()));
    change.effects.events.insert(Event::Plannable);
    Ok(Reply::Done)
}

fn check(change: &Change<'_>, spec: &BudgetSpec) -> Result<(), Rejection> {
    spec.area.valid_on(change.today()).map_err(|error| area_rejection(&error))?;
    spec.check(change.now()).map_err(|error| {
        let code = match error {
            BudgetError::Past(_) => ErrorCode::BudgetPast,
            BudgetError::Amount | BudgetError::Span => ErrorCode::InvalidArgument,
        };
        Rejection::new(code, error.to_string())
    })
}

/// The row that a budget becomes.
fn next(change: &Change<'_>, key: &BudgetKey, spec: &BudgetSpec) -> Result<Budget, Rejection> {
    let (tenant, name) = key;
    let Some(found) = change.state.budgets.get(key) else {
        if change.state.budgets_of(tenant).count() >= BUDGETS_PER_TENANT_MAX {
            let why =
                format!("{tenant} has {BUDGETS_PER_TENANT_MAX} budgets, the most of a tenant");
            return Err(Rejection::new(ErrorCode::TooLarge, why));
        }
        let (created, revision) = (change.revision, change.revision);
        return Ok(Budget { spec: spec.clone(), created, revision, charged: BTreeMap::new() });
    };
    let same =
        BudgetSpec { amount: found.spec.amount, exhausted: found.spec.exhausted, ..spec.clone() };
    if same != found.spec {
        let why = format!(
            "budget {tenant}/{name} counts something else: only its amount and what happens at its end change"
        );
        return Err(Rejection::new(ErrorCode::InvalidArgument, why));
    }
    Ok(Budget { spec: spec.clone(), revision: change.revision, ..found.clone() })
}

/// Takes every budget of a tenant out.
pub(super) fn forget(change: &mut Change<'_>, tenant: &TenantId) {
    let names: Vec<Name> =
        change.state.budgets_of(tenant).map(|((_, name), _)| name.clone()).collect();
    for name in names {
        change.state.budgets.remove(&(tenant.clone(), name.clone()));
        change.effects.events.insert(Event::Budget(tenant.clone(), name));
    }
}

/// Budgets that a placement has to be charged to.
pub(super) fn counting(
    state: &State,
    path: &[TenantId],
    (class, place): (&sekisho_types::id::DeviceClass, sekisho_types::jurisdiction::Area),
) -> Vec<Charged> {
    let all = state.budgets_on(path, class, place);
    all.map(|(key, budget)| Charged { key: key.clone(), created: budget.created }).collect()
}

/// Charges a placement for its whole time.
pub(super) fn charge(change: &mut Change<'_>, row: &Placement) {
    each(change, row, |budget, rate| budget.charge(rate, (row.charge.from, row.charge.until)));
}

/// Gives the rest back that a placement which ends now was charged.
pub(super) fn refund(change: &mut Change<'_>, row: &Placement) {
    let from: Timestamp = change.now().max(row.charge.from);
    if from < row.charge.until {
        each(change, row, |budget, rate| budget.refund(rate, (from, row.charge.until)));
    }
}

fn each(change: &mut Change<'_>, row: &Placement, act: impl Fn(&mut Budget, u128)) {
    for one in &row.charge.budgets {
        change.state.budgets.update(&one.key, |budget| {
            if budget.created == one.created {
                let gpus = u64::from(row.grant.gpus);
                let rate = budget.spec.rate(gpus, row.charge.yen_per_gpu_hour);
                act(budget, rate);
            }
        });
    }
}
