//! Named residency policies.
//!
//! Must hold: D1. What a tenant or an open job names exists: unknown rules deny, and a policy that goes would stop what it allowed.

use super::change::{Change, in_use};
use super::site::area_rejection;
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::role::{Target, Verb};
use crate::state::{Job, Policy, State};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::PolicyId;
use sekisho_types::residency::{Rules, RulesError};
use sekisho_types::revision::Revision;
use sekisho_types::time::Date;

/// Checks rules that are about to be stored: form, valid codes, known operators.
pub(crate) fn check_rules(state: &State, rules: &Rules, day: Date) -> Result<(), Rejection> {
    rules.check(day).map_err(|error| match &error {
        RulesError::Area(area) => area_rejection(area),
        RulesError::BelowBaseline(_)
        | RulesError::Unreachable(_)
        | RulesError::ProofF(_)
        | RulesError::ProofAge(_)
        | RulesError::ProofUnasked => Rejection::new(ErrorCode::PolicyTier, error.to_string()),
        RulesError::TooMany => Rejection::new(ErrorCode::TooLarge, error.to_string()),
    })?;
    let known =
        |operator| state.federation.as_ref().is_some_and(|f| f.bundle.keys(operator).is_some());
    // A misspelt operator on the denied list would deny nobody.
    if let Some(operator) =
        rules.operators.iter().chain(&rules.denied_operators).find(|o| !known(o))
    {
        return Err(Rejection::new(ErrorCode::OperatorUnknown, operator.as_str()));
    }
    Ok(())
}

/// Creates or changes a policy. Its version is the revision of this entry; grants name it.
pub(super) fn put(
    change: &mut Change<'_>,
    id: &PolicyId,
    rules: &Rules,
    expected: Option<Revision>,
) -> Outcome {
    change.authorize(Verb::PutPolicy, Target::Federation)?;
    check_rules(change.state, rules, change.today())?;
    let found = change.state.policies.get(id).map(|policy| policy.revision);
    Change::unchanged(expected, found, &format!("policy {id}"))?;
    let row =
        Policy { rules: rules.clone().into(), revision: change.revision, since: change.now() };
    change.state.policies.insert(id.clone(), row);
    change.effects.events.insert(Event::Policy(id.clone()));
    change.effects.checkpoint = true;
    change.effects.events.insert(Event::Plannable);
    Ok(Reply::Done)
}

/// Takes out a policy that nothing refers to.
pub(super) fn delete(change: &mut Change<'_>, id: &PolicyId, expected: Revision) -> Outcome {
    change.authorize(Verb::DeletePolicy, Target::Federation)?;
    let found = change.state.policies.get(id).map(|policy| policy.revision);
    Change::unchanged(Some(expected), found, &format!("policy {id}"))?;
    let mut tenants = change.state.tenants.iter();
    if let Some((tenant, _)) = tenants.find(|(_, row)| row.policy.as_ref() == Some(id)) {
        return Err(in_use(format!("policy {id} binds tenant {tenant}")));
    }
    let open = |job: &Job| !job.phase.is_final() && job.facts.policy.as_ref() == Some(id);
    if let Some((job, _)) = change.state.jobs.iter().find(|(_, job)| open(job)) {
        return Err(in_use(format!("policy {id} binds job {job}")));
    }
    change.state.policies.remove(id);
    change.effects.events.insert(Event::Policy(id.clone()));
    change.effects.checkpoint = true;
    Ok(Reply::Done)
}
