//! Rules of residency that could be looser, of the job or of a policy.

use super::{Cost, With};
use crate::explain::list;
use crate::survey::Ask;
use sekisho_fsm::supposed::Supposed;
use sekisho_types::jurisdiction::Area;
use sekisho_types::residency::{Rules, Tier, describe};
use std::collections::BTreeSet;

/// Each rule that could be looser: what that costs, in words, the question with it, and what is changed.
pub(super) fn loosened<'a>(ask: &Ask<'a>) -> Vec<(Cost, String, Ask<'a>, With)> {
    let mut changes = Vec::new();
    for (at, bound) in ask.rules.iter().enumerate() {
        for (change, rules) in each(&bound.rules) {
            let mut relaxed = ask.clone();
            if let Some(bound) = relaxed.rules.get_mut(at) {
                bound.rules = rules.clone().into();
            }
            changes.push(match &bound.policy {
                Some((policy, _version)) => {
                    let change = format!("{change} of policy {policy}");
                    let with = With::Other(Supposed::Ruled { policy: policy.clone(), rules });
                    (Cost::Policy, change, relaxed, with)
                }
                None => {
                    relaxed.facts.residency = rules.into();
                    let with = With::Job(Box::new(relaxed.facts.clone()));
                    (Cost::Rules, format!("{change} of the job"), relaxed, with)
                }
            });
        }
    }
    changes
}

/// The rules with one of them gone. Tiers go down to the national baseline, never below.
fn each(rules: &Rules) -> Vec<(String, Rules)> {
    let mut found = Vec::new();
    let operator = |id: &_| format!("{id}");
    if !rules.areas.is_empty() {
        let change = format!("drop the area rule {}", describe(rules));
        found.push((change, Rules { areas: BTreeSet::new(), ..rules.clone() }));
    }
    if !rules.denied_areas.is_empty() {
        let denied = list(&rules.denied_areas, |area: &Area| area.label());
        let change = format!("allow the denied areas {denied}");
        found.push((change, Rules { denied_areas: BTreeSet::new(), ..rules.clone() }));
    }
    if !rules.operators.is_empty() {
        let change = format!("drop the operator rule {}", list(&rules.operators, operator));
        found.push((change, Rules { operators: BTreeSet::new(), ..rules.clone() }));
    }
    if !rules.denied_operators.is_empty() {
        let denied = list(&rules.denied_operators, operator);
        let change = format!("allow the denied operators {denied}");
        found.push((change, Rules { denied_operators: BTreeSet::new(), ..rules.clone() }));
    }
    if rules.country_tier > Tier::BASELINE || rules.area_tier > Tier::BASELINE {
        let change = format!("lower the tiers to {}", Tier::BASELINE);
        let base = Tier::BASELINE;
        found.push((change, Rules { country_tier: base, area_tier: base, ..rules.clone() }));
    }
    found
}
