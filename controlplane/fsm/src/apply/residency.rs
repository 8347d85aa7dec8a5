//! Which rules bind a job, and whether a node satisfies them (D1). Admission, planner and apply ask here; whether what
//! runs may stay is asked in [`crate::eviction`].

use super::change::not_found;
use crate::outcome::Rejection;
use crate::state::{Node, State};
use sekisho_evidence::grant::BoundRules;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::PolicyId;
use sekisho_types::job::{JobFacts, OnDisconnect};
use sekisho_types::rare::Rare;
use sekisho_types::residency::{Rules, verdict};
use sekisho_types::revision::Revision;

/// A rule set, and the policy with its version that it is of; `None` = the job's own.
pub(crate) type Named<'s> = (Option<(&'s PolicyId, Revision)>, &'s Rare<Rules>);

/// Every rule set that binds a job: its own, the policy that it names, its tenant's. All of them must allow (D2).
pub(crate) fn named<'s>(
    state: &'s State,
    facts: &'s JobFacts,
) -> Result<Vec<Named<'s>>, Rejection> {
    let tenant = state
        .tenants
        .get(&facts.id.tenant)
        .ok_or_else(|| not_found(format!("tenant {}", facts.id.tenant)))?;
    let mut bound: Vec<Named<'s>> = vec![(None, &facts.residency)];
    for id in facts.policy.iter().chain(&tenant.policy) {
        let policy = state.policies.get(id).ok_or_else(|| not_found(format!("policy {id}")))?;
        bound.push((Some((id, policy.revision)), &policy.rules));
    }
    Ok(bound)
}

/// Whether the rules let a job run on though its node is cut off, if it is to (P4).
pub(crate) fn may_complete<'r, I: Iterator<Item = &'r Rules>>(
    facts: &JobFacts,
    mut rules: I,
) -> Result<(), Rejection> {
    if facts.on_disconnect == OnDisconnect::Stop || rules.all(|rules| rules.allow_run_to_completion)
    {
        return Ok(());
    }
    let why = "on_disconnect: a policy forbids run_to_completion";
    Err(Rejection::new(ErrorCode::InvalidArgument, why))
}

pub(crate) fn rules_for(state: &State, facts: &JobFacts) -> Result<Vec<BoundRules>, Rejection> {
    let named = named(state, facts)?;
    may_complete(facts, named.iter().map(|(_, rules)| &***rules))?;
    let bound = |(policy, rules): Named<'_>| BoundRules {
        policy: policy.map(|(id, revision)| (id.clone(), revision)),
        rules: rules.clone(),
    };
    Ok(named.into_iter().map(bound).collect())
}

pub(crate) fn may_reside(
    state: &State,
    rules: &[BoundRules],
    node: &Node,
) -> Result<(), Rejection> {
    let rules: Vec<&Rules> = rules.iter().map(|bound| &*bound.rules).collect();
    in_force(state, node)?;
    verdict(&node.place(state.clock), &rules, state.clock)
        .map_err(|denial| Rejection::new(denial.code(), denial.to_string()))
}

/// Whether the node's tag says anything now.
pub(crate) fn in_force(state: &State, node: &Node) -> Result<(), Rejection> {
    let checked = node.tag.check_time(state.clock);
    checked.map_err(|error| Rejection::new(ErrorCode::TagExpired, error.to_string()))
}
