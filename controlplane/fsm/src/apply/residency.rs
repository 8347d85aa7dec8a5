//! Which rules bind a job, and whether a node satisfies them (D1). Admission, planner and apply ask here.

use super::change::not_found;
use crate::outcome::Rejection;
use crate::state::{Node, State};
use sekisho_evidence::grant::BoundRules;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::PolicyId;
use sekisho_types::job::JobFacts;
use sekisho_types::residency::{Rules, verdict};

pub(crate) fn rules_for(state: &State, facts: &JobFacts) -> Result<Vec<BoundRules>, Rejection> {
    let tenant = state
        .tenants
        .get(&facts.id.tenant)
        .ok_or_else(|| not_found(format!("tenant {}", facts.id.tenant)))?;
    let named = |id: &PolicyId| {
        let policy = state.policies.get(id).ok_or_else(|| not_found(format!("policy {id}")))?;
        Ok(BoundRules { policy: Some((id.clone(), policy.revision)), rules: policy.rules.clone() })
    };
    let mut bound = vec![BoundRules { policy: None, rules: facts.residency.clone() }];
    for id in facts.policy.iter().chain(&tenant.policy) {
        bound.push(named(id)?);
    }
    Ok(bound)
}

pub(crate) fn may_reside(
    state: &State,
    rules: &[BoundRules],
    node: &Node,
) -> Result<(), Rejection> {
    node.tag
        .check_time(state.clock)
        .map_err(|error| Rejection::new(ErrorCode::TagExpired, error.to_string()))?;
    let rules: Vec<&Rules> = rules.iter().map(|bound| &bound.rules).collect();
    verdict(&node.place(state.clock), &rules, state.clock)
        .map_err(|denial| Rejection::new(denial.code(), denial.to_string()))
}
