//! Single changes that would give a job a better verdict, found by asking again with one rule changed.
//!
//! Must hold: a change is named only if asking again with it gave the stated verdict. The national baseline is never
//! offered for relaxation (D2).

use crate::explain::{Relaxation, Verdict, list, several, verdict, within};
use crate::filter::Filter;
use crate::limit::CLASSES_TRIED_MAX;
use crate::survey::{Ask, Funnel, Survey};
use sekisho_types::id::DeviceClass;
use sekisho_types::jurisdiction::Area;
use sekisho_types::quota::Amount;
use sekisho_types::residency::{Rules, Tier, describe};
use sekisho_types::topology::{Spread, Topology, Within};
use std::collections::{BTreeMap, BTreeSet};

/// Changes that help, best verdict first; of equal ones those that keep the job as it is come first.
pub(crate) fn relaxations(
    survey: &Survey<'_>,
    ask: &Ask<'_>,
    funnel: &Funnel<'_, '_>,
) -> Vec<Relaxation> {
    let now = verdict(funnel);
    let Some((binding, _)) = funnel.binding() else { return Vec::new() };
    let mut found: Vec<Relaxation> = raise_quota(survey, ask, funnel).into_iter().collect();
    if binding == Filter::Sealed {
        let anew = Ask { unsealed: BTreeSet::new(), ..ask.clone() };
        found.extend(try_each(survey, vec![("seal the payload anew for them".to_owned(), anew)]));
    }
    if binding == Filter::Kept {
        let anew = Ask { missing: false, ..ask.clone() };
        let change = "seal the payload anew, which uploads it to members inside the area";
        found.extend(try_each(survey, vec![(change.to_owned(), anew)]));
    }
    if matches!(binding, Filter::Apart | Filter::Topology) {
        found.extend(try_each(survey, topology(ask)));
    }
    if Filter::of_residency(binding.code()).is_some() {
        found.extend(try_each(survey, residency(ask)));
    } else {
        found.extend(fewer_members(survey, ask, funnel));
        found.extend(fewer_gpus(survey, ask, now));
        found.extend(try_each(survey, memory(ask).into_iter().collect()));
        found.extend(try_each(survey, classes(survey, ask)));
    }
    found.retain(|relaxation| relaxation.effect < now);
    found.sort_by_key(|relaxation| relaxation.effect);
    found
}

fn try_each(survey: &Survey<'_>, changes: Vec<(String, Ask<'_>)>) -> Vec<Relaxation> {
    let tried = changes.into_iter().map(|(change, ask)| {
        let effect = verdict(&survey.funnel(&ask));
        Relaxation { change, effect }
    });
    tried.collect()
}

fn residency<'a>(ask: &Ask<'a>) -> Vec<(String, Ask<'a>)> {
    let mut changes = Vec::new();
    for (at, bound) in ask.rules.iter().enumerate() {
        for (change, rules) in loosened(&bound.rules) {
            let mut relaxed = ask.clone();
            if let Some(bound) = relaxed.rules.get_mut(at) {
                bound.rules = rules;
            }
            let change = match &bound.policy {
                Some((id, _rules)) => format!("{change} of policy {id}"),
                None => format!("{change} of the job"),
            };
            changes.push((change, relaxed));
        }
    }
    changes
}

fn loosened(rules: &Rules) -> Vec<(String, Rules)> {
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

/// What the verdict would be if the quota admitted the group, and by how much it has to be raised.
fn raise_quota(survey: &Survey<'_>, ask: &Ask<'_>, funnel: &Funnel<'_, '_>) -> Option<Relaxation> {
    let (tenant, class, need) = (&ask.facts.id.tenant, &ask.wanted().class, ask.facts.gpus());
    let (held, state) = (funnel.binding()?.0 == Filter::Quota || funnel.beyond, survey.state);
    if !held && funnel.left(Filter::Quota) >= ask.facts.group {
        return None;
    }
    let lines = state.holding(tenant, class).map(|holding| &holding.lines);
    let rows = lines.into_iter().flatten().filter_map(|(area, line)| {
        let by = state.room(tenant, class, *area).short_of(need);
        Some((by, *area, line.quota?.allotment.nominal)).filter(|(by, ..)| *by > 0)
    });
    let change = match rows.max_by_key(|(by, ..)| *by) {
        Some((by, area, nominal)) => {
            let to = match Amount::from(nominal).plus(Amount::Gpus(by)) {
                Amount::Gpus(to) => to,
                Amount::Unbounded => return None,
            };
            format!("raise the quota of {tenant} for {class}{} by {by} to {to}", within(area))
        }
        None => {
            let wanted = state.usage(tenant, class).saturating_add(need);
            format!("set a quota of {wanted} for {tenant} on {class}")
        }
    };
    let rest = Filter::ALL.into_iter().take_while(|filter| *filter < Filter::Quota);
    let effect = match rest.into_iter().find(|filter| funnel.left(*filter) < ask.facts.group) {
        None => Verdict::PlacedNow,
        Some(filter) if filter.is_never() => Verdict::Never,
        Some(_) => Verdict::WouldWait,
    };
    Some(Relaxation { change, effect })
}

fn fewer_members(
    survey: &Survey<'_>,
    ask: &Ask<'_>,
    funnel: &Funnel<'_, '_>,
) -> Option<Relaxation> {
    // Nodes that pass everything first, then nodes with room; failing that, nodes that could have room one day.
    let sizes = [Filter::Topology, Filter::Capacity, Filter::Enrolled].map(|at| funnel.left(at));
    let members = ask.facts.group;
    let tried = sizes.into_iter().filter(|size| (1..members).contains(size)).map(|group| {
        let mut relaxed = ask.clone();
        relaxed.facts.group = group;
        let effect = verdict(&survey.funnel(&relaxed));
        Relaxation { change: format!("make the group {group} instead of {members}"), effect }
    });
    tried.min_by_key(|relaxation| relaxation.effect)
}

/// The largest number of GPUs that helps as much as a single one would. Fewer are never worse, so a few questions find
/// it.
fn fewer_gpus(survey: &Survey<'_>, ask: &Ask<'_>, now: Verdict) -> Option<Relaxation> {
    let with = |gpus: u32| {
        let mut relaxed = ask.clone();
        relaxed.facts.resources.gpus = gpus;
        verdict(&survey.funnel(&relaxed))
    };
    let (mut helps, mut too_many) = (1u32, ask.wanted().gpus);
    let effect = with(helps);
    if too_many <= helps || effect >= now {
        return None;
    }
    while too_many.saturating_sub(helps) > 1 {
        let middle = helps.midpoint(too_many);
        if with(middle) == effect {
            helps = middle;
        } else {
            too_many = middle;
        }
    }
    let change = format!("ask for {helps} GPUs a member instead of {}", ask.wanted().gpus);
    Some(Relaxation { change, effect })
}

fn memory<'a>(ask: &Ask<'a>) -> Option<(String, Ask<'a>)> {
    (ask.wanted().memory_mib > 0).then(|| {
        let mut relaxed = ask.clone();
        relaxed.facts.resources.memory_mib = 0;
        (format!("ask for {} of any memory", ask.wanted().class), relaxed)
    })
}

fn classes<'a>(survey: &Survey<'_>, ask: &Ask<'a>) -> Vec<(String, Ask<'a>)> {
    let mut seen: BTreeMap<&DeviceClass, ()> = BTreeMap::new();
    for bucket in survey.hosts.iter().flat_map(|host| &host.node.buckets) {
        if bucket.class != ask.wanted().class {
            seen.insert(&bucket.class, ());
        }
        if seen.len() >= CLASSES_TRIED_MAX {
            break;
        }
    }
    let changed = seen.into_keys().map(|class| {
        let mut relaxed = ask.clone();
        relaxed.facts.resources.class = class.clone();
        (format!("ask for {class} instead of {}", ask.wanted().class), relaxed)
    });
    changed.collect()
}

/// Less of what a job asks of its members' places, what keeps most of it first.
fn topology<'a>(ask: &Ask<'a>) -> Vec<(String, Ask<'a>)> {
    let asked = &ask.facts.topology;
    let mut changes: Vec<(String, Topology)> = Vec::new();
    let mut change = |change: String, topology: Topology| changes.push((change, topology));
    match asked.within {
        Some(Within::Rack) => {
            let site = Some(Within::Site);
            change(
                "let the members stand in several racks of a site".to_owned(),
                Topology { within: site, ..asked.clone() },
            );
            change(
                "let the members stand at several sites".to_owned(),
                Topology { within: None, ..asked.clone() },
            );
        }
        Some(Within::Site) => change(
            "let the members stand at several sites".to_owned(),
            Topology { within: None, ..asked.clone() },
        ),
        None => {}
    }
    if let Some(Spread { over, at_least }) = asked.spread {
        let (fewer, several) = (at_least.saturating_sub(1), several(over));
        if fewer > 1 {
            let spread = Some(Spread { over, at_least: fewer });
            change(
                format!("spread over {fewer} {several} instead of {at_least}"),
                Topology { spread, ..asked.clone() },
            );
        }
        change(format!("do not spread over {several}"), Topology { spread: None, ..asked.clone() });
    }
    if asked.minds_others() {
        let (apart, marks) = (BTreeSet::new(), BTreeSet::new());
        change(
            "let it stand beside any job".to_owned(),
            Topology { apart, marks, ..asked.clone() },
        );
    }
    let relaxed = changes.into_iter().map(|(change, topology)| {
        let mut relaxed = ask.clone();
        relaxed.facts.topology = topology;
        (change, relaxed)
    });
    relaxed.collect()
}
