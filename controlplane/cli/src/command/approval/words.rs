//! What an approval would change, in words: everything that is signed, so that nobody signs what he was not told.

use sekisho_types::budget::{BudgetSpec, Period};
use sekisho_types::id::DeviceClass;
use sekisho_types::joint::Joint;
use sekisho_types::jurisdiction::Area;
use sekisho_types::patch::Patch;
use sekisho_types::quota::Allotment;
use sekisho_types::residency::Rules;
use sekisho_types::revision::Revision;
use std::fmt::Display;

/// The change in one line, and everything else about it.
pub(super) fn of(joint: &Joint) -> (String, Vec<String>) {
    match joint {
        Joint::CreateSite { site, operator, area, display_name } => (
            format!("create site {site}"),
            vec![
                format!("operator {operator}"),
                format!("area {} ({area})", area.label()),
                format!("name {display_name:?}"),
            ],
        ),
        Joint::UpdateTenant { tenant, display_name, policy, parent, expected } => {
            let policy = bound("policy", policy);
            let name = match display_name {
                Patch::Keep => "name as it is".to_owned(),
                Patch::Set(name) => format!("name {name:?}"),
            };
            let parent = bound("parent", parent);
            let details = vec![policy, name, parent, format!("in place of revision {expected}")];
            (format!("update tenant {tenant}"), details)
        }
        Joint::PutPolicy { policy, rules, expected } => match expected {
            None => (format!("create policy {policy}"), all(rules)),
            Some(expected) => {
                let mut details = all(rules);
                details.push(format!("in place of version {expected}"));
                (format!("update policy {policy}"), details)
            }
        },
        Joint::SetQuota { tenant, class, area, allotment, expected } => {
            let Allotment { nominal, borrowing, lending } = allotment;
            let details =
                vec![format!("area {}", area.label()), format!("in place of revision {expected}")];
            let place = match area {
                Area::Japan => String::new(),
                Area::Code(_) => format!(" in {}", area.label()),
            };
            let change = format!(
                "set quota of {tenant} for {class}{place} to {nominal}, borrowing {borrowing}, lending {lending}"
            );
            (change, details)
        }
        Joint::SetBudget { tenant, name, budget, expected } => {
            let (verb, details) = set_budget(budget.as_ref(), *expected);
            (format!("{verb} budget {name} of {tenant}"), details)
        }
        Joint::SetVoter { member, voter, accept_quorum_in_one_hand } => {
            let verb = if *voter { "promote" } else { "demote" };
            let accepted = "one operator may hold a quorum alone".to_owned();
            let details = if *accept_quorum_in_one_hand { vec![accepted] } else { Vec::new() };
            (format!("{verb} member {member}"), details)
        }
        Joint::RegisterKey { record, issuer: _ } => {
            let details = vec![
                format!("role {}", record.role),
                format!("key {}", record.public_key),
                format!("until {}", record.expires),
            ];
            (format!("register a key of {}", record.principal), details)
        }
        Joint::SetMemberAddress { member, address } => {
            (format!("move member {member} to {address:?}"), Vec::new())
        }
    }
}

/// What becomes of what a tenant is bound to.
fn bound<T: Display>(what: &str, patch: &Patch<Option<T>>) -> String {
    match patch {
        Patch::Keep => format!("{what} as it is"),
        Patch::Set(None) => format!("{what} none"),
        Patch::Set(Some(to)) => format!("{what} {to}"),
    }
}

fn set_budget(budget: Option<&BudgetSpec>, expected: Revision) -> (&'static str, Vec<String>) {
    let stands = format!("in place of revision {expected}");
    match (budget, expected) {
        (None, _) => ("delete", vec![stands]),
        (Some(spec), Revision(0)) => ("create", counted(spec)),
        (Some(spec), _) => {
            let mut details = counted(spec);
            details.push(stands);
            ("update", details)
        }
    }
}

/// All of a budget.
fn counted(spec: &BudgetSpec) -> Vec<String> {
    let BudgetSpec { unit, amount, period, class, area, exhausted } = spec;
    let each = match period {
        Period::Once { from, until } => format!("once, from {from} until {until}"),
        Period::Day | Period::Month | Period::FiscalYear => format!("each {period}"),
    };
    let class = class.as_ref().map_or("any", DeviceClass::as_str);
    vec![
        format!("{amount} {unit} {each}"),
        format!("class {class}"),
        format!("area {}", area.label()),
        format!("when nothing is left: {exhausted}"),
    ]
}

/// Every rule. None is left out: a rule that is not there is the widest.
fn all(rules: &Rules) -> Vec<String> {
    let Rules {
        areas,
        denied_areas,
        operators,
        denied_operators,
        country_tier,
        area_tier,
        allow_run_to_completion,
        proof_f,
        max_proof_age_s,
        on_stale_proof,
    } = rules;
    let labels = |areas: &std::collections::BTreeSet<Area>| list(areas.iter().map(|a| a.label()));
    let age = max_proof_age_s.map_or("any".to_owned(), |seconds| format!("{seconds} s"));
    let any = |text: String| if text == "none" { "any".to_owned() } else { text };
    let areas = if areas.is_empty() { Area::Japan.label() } else { labels(areas) };
    vec![
        format!("areas {areas}"),
        format!("denied areas {}", labels(denied_areas)),
        format!("operators {}", any(list(operators.iter()))),
        format!("denied operators {}", list(denied_operators.iter())),
        format!("tiers {country_tier}/{area_tier}"),
        format!(
            "run to completion {}",
            if *allow_run_to_completion { "allowed" } else { "forbidden" }
        ),
        format!("proof f {proof_f}, age {age}, when stale {on_stale_proof}"),
    ]
}

fn list<T: Display>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}
