//! What the job could ask for instead.

use super::{Case, Cost, Costed, Relaxation, With, rules, topology};
use crate::ahead::Ahead;
use crate::explain::{Verdict, binding, verdict};
use crate::filter::Filter;
use crate::limit::CLASSES_TRIED_MAX;
use crate::survey::Ask;
use sekisho_types::budget::Exhausted;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::DeviceClass;
use sekisho_types::job::Resources;
use sekisho_types::offer::START_WITHIN_MS;
use sekisho_types::sharing::Sharing;
use std::collections::BTreeSet;

/// Time limits are proposed in whole minutes.
const MINUTE_MS: u64 = 60_000;

/// Changes of the job that would help.
pub(crate) fn of_job(case: &Case<'_>, ahead: Option<&Ahead<'_, '_>>) -> Vec<Costed> {
    let judge = Judge { case, ahead };
    let mut found = Vec::new();
    if case.binding == ErrorCode::PayloadNotSealed {
        let anew = Ask { unsealed: BTreeSet::new(), ..case.ask.clone() };
        let change = "seal the payload anew for them";
        found.extend(judge.costed(Cost::Seal, change.to_owned(), &anew, With::Seal));
    }
    if case.binding == ErrorCode::PayloadNotHere {
        let anew = Ask { missing: false, ..case.ask.clone() };
        let change = "seal the payload anew, which uploads it to members inside the area";
        found.extend(judge.costed(Cost::Seal, change.to_owned(), &anew, With::Seal));
    }
    if Filter::of_residency(case.binding).is_some() {
        let changes = rules::loosened(case.ask).into_iter();
        found.extend(
            changes.filter_map(|(cost, change, ask, with)| judge.costed(cost, change, &ask, with)),
        );
        return found;
    }
    if matches!(case.binding, ErrorCode::PowerFull | ErrorCode::PowerTooSmall) {
        // Another site may have power left.
        let changes = rules::loosened(case.ask).into_iter();
        found.extend(
            changes.filter_map(|(cost, change, ask, with)| judge.costed(cost, change, &ask, with)),
        );
    }
    found.extend(judge.shorter());
    found.extend(judge.less_topology());
    found.extend(judge.fewer_gpus());
    found.extend(judge.fewer_members());
    found.extend(judge.any_devices());
    found.extend(judge.neighbours());
    found.extend(judge.other_classes());
    found
}

#[derive(Debug)]
struct Judge<'j> {
    case: &'j Case<'j>,
    ahead: Option<&'j Ahead<'j, 'j>>,
}

impl<'j> Judge<'j> {
    /// What would become of the job if it asked for this.
    fn effect(&self, ask: &Ask<'_>) -> Verdict {
        let funnel = self.case.survey.funnel(ask);
        verdict(binding(&funnel, ask, || self.ahead.map(|ahead| ahead.probe(ask))))
    }

    fn costed(&self, cost: Cost, change: String, ask: &Ask<'_>, with: With) -> Option<Costed> {
        let effect = self.effect(ask);
        (effect < self.case.now()).then_some((cost, Relaxation { change, effect, with }))
    }

    /// The largest of `values`, in order, that helps as much as the least does: less is never worse, so a few questions find it.
    fn largest<T: Copy>(
        &self,
        values: &[T],
        with: impl Fn(T) -> Ask<'j>,
    ) -> Option<(T, Ask<'j>, Verdict)> {
        let least = *values.first()?;
        let effect = self.effect(&with(least));
        if effect >= self.case.now() {
            return None;
        }
        let (mut helps, mut too_much) = (0usize, values.len());
        while too_much.saturating_sub(helps) > 1 {
            let middle = helps.midpoint(too_much);
            let value = values.get(middle).filter(|value| self.effect(&with(**value)) == effect);
            if value.is_some() {
                helps = middle;
            } else {
                too_much = middle;
            }
        }
        let value = *values.get(helps)?;
        Some((value, with(value), effect))
    }

    fn shorter(&self) -> Option<Costed> {
        let was = self.case.ask.facts.time_limit_s;
        let with = |limit_s: u64| {
            let mut relaxed = self.case.ask.clone();
            relaxed.facts.time_limit_s = limit_s;
            relaxed
        };
        let limits: Vec<u64> =
            self.limits().into_iter().filter(|limit| (1..was).contains(limit)).collect();
        let (limit, relaxed, effect) = self.largest(&limits, with)?;
        let change = format!("ask for a time limit of {limit} s instead of {was}");
        let with = With::Job(Box::new(relaxed.facts));
        Some((Cost::Limit, Relaxation { change, effect, with }))
    }

    /// Time limits, in seconds, that would end with an offer, within what is left of a budget, with its period, or before
    /// something is kept for another.
    fn limits(&self) -> BTreeSet<u64> {
        let (survey, facts) = (self.case.survey, &self.case.ask.facts);
        let (state, class) = (survey.state, &facts.resources.class);
        let now = state.clock();
        let mut found: BTreeSet<u64> = BTreeSet::new();
        let mut cheapest: Option<u64> = None;
        for (_, offer) in
            survey.sites(self.case.ask).into_iter().flat_map(|site| state.offers_of(site))
        {
            if offer.withdrawn || offer.spec.class != *class || offer.spec.from > now {
                continue;
            }
            let yen = offer.spec.yen_per_gpu_hour;
            cheapest = Some(cheapest.map_or(yen, |least| least.min(yen)));
            let ends = offer.spec.until.map(|until| until.since_ms(now));
            found.extend(ends.map(|ms| ms.saturating_sub(START_WITHIN_MS)));
        }
        let path = state.path(&facts.id.tenant);
        let budgets = path.iter().flat_map(|tenant| state.budgets_of(tenant));
        for (_, budget) in budgets.filter(|(_, one)| one.spec.exhausted == Exhausted::Stop) {
            let Some((first, end)) = budget.spec.period.span(now) else { continue };
            let rate = budget.spec.rate(facts.gpus(), cheapest.unwrap_or(0));
            let covers = budget.left(first).checked_div(rate);
            found.extend(covers.and_then(|ms| u64::try_from(ms).ok()));
            found.insert(end.since_ms(now));
        }
        let until = now.plus_ms(facts.time_limit_s.saturating_mul(1000));
        let begins = state.reserved_for_others(class, &path, until);
        let begins = begins.iter().map(|spec| spec.from).filter(|from| *from > now);
        found.extend(begins.map(|from| from.since_ms(now).saturating_sub(START_WITHIN_MS)));
        found.extend(self.ahead.into_iter().flat_map(|ahead| ahead.gaps_ms()));
        let minutes = |ms: u64| ms.checked_div(MINUTE_MS).unwrap_or(0).saturating_mul(60);
        found.into_iter().map(minutes).collect()
    }

    fn fewer_gpus(&self) -> Option<Costed> {
        let was = self.case.ask.wanted().gpus;
        let with = |gpus: u32| {
            let mut relaxed = self.case.ask.clone();
            relaxed.facts.resources.gpus = gpus;
            relaxed
        };
        let fewer: Vec<u32> = (1..was).collect();
        let (helps, relaxed, effect) = self.largest(&fewer, with)?;
        let change = format!("ask for {helps} GPUs a member instead of {was}");
        let with = With::Job(Box::new(relaxed.facts));
        Some((Cost::Gpus, Relaxation { change, effect, with }))
    }

    fn fewer_members(&self) -> Option<Costed> {
        let (funnel, was) = (self.case.funnel, self.case.ask.facts.group);
        // Nodes that are left at last; failing that, with room; failing that, that could have room one day.
        let ends = [Filter::Topology, Filter::Capacity, Filter::Rated];
        let mut sizes: BTreeSet<u32> = ends.into_iter().map(|filter| funnel.left(filter)).collect();
        sizes.extend(self.case.probe.into_iter().flat_map(|probe| [probe.left, probe.unkept]));
        // A group has to be as large as what it is spread over.
        let least = self.case.ask.facts.topology.spread.map_or(1, |spread| spread.at_least);
        let sizes: Vec<u32> =
            sizes.into_iter().filter(|size| (least..was).contains(size)).collect();
        let with = |group: u32| {
            let mut relaxed = self.case.ask.clone();
            relaxed.facts.group = group;
            relaxed
        };
        let (group, relaxed, effect) = self.largest(&sizes, with)?;
        let change = format!("make the group {group} instead of {was}");
        let with = With::Job(Box::new(relaxed.facts));
        Some((Cost::Group, Relaxation { change, effect, with }))
    }

    /// Members that stand more freely.
    fn less_topology(&self) -> Vec<Costed> {
        let changes = topology::loosened(self.case.ask).into_iter();
        let costed = changes.filter_map(|(change, relaxed)| {
            let with = With::Job(Box::new(relaxed.facts.clone()));
            self.costed(Cost::Topology, change, &relaxed, with)
        });
        costed.collect()
    }

    /// Without the least memory, and without the least units.
    fn any_devices(&self) -> Vec<Costed> {
        let Resources { class, memory_mib, units, .. } = self.case.ask.wanted();
        let with = |told: String, change: fn(&mut Resources)| {
            let mut relaxed = self.case.ask.clone();
            change(&mut relaxed.facts.resources);
            let with = With::Job(Box::new(relaxed.facts.clone()));
            self.costed(Cost::Memory, told, &relaxed, with)
        };
        let memory = (*memory_mib > 0).then(|| {
            with(format!("ask for {class} of any memory"), |wanted| wanted.memory_mib = 0)
        });
        let units = (*units > 0).then(|| {
            with(format!("ask for {class} of any number of units"), |wanted| wanted.units = 0)
        });
        [memory, units].into_iter().flatten().flatten().collect()
    }

    /// With jobs of other tenants on one device.
    fn neighbours(&self) -> Option<Costed> {
        let mut relaxed = self.case.ask.clone();
        if relaxed.wanted().sharing != Sharing::Tenant {
            return None;
        }
        relaxed.facts.resources.sharing = Sharing::Any;
        let change = "share the device with jobs of any tenant".to_owned();
        let with = With::Job(Box::new(relaxed.facts.clone()));
        self.costed(Cost::Memory, change, &relaxed, with)
    }

    fn other_classes(&self) -> Vec<Costed> {
        let (own, survey) = (&self.case.ask.wanted().class, self.case.survey);
        // Nobody is told to share who did not ask for it, and a share is not worth a device.
        let is_other = |class: &&DeviceClass| *class != own && class.is_shared() == own.is_shared();
        let herds = survey.herds.iter().flat_map(|herd| herd.like.classes());
        let mut seen: BTreeSet<&DeviceClass> = herds.filter(is_other).collect();
        if seen.len() > CLASSES_TRIED_MAX {
            // Those of the first nodes.
            let nodes = survey.alike.nodes().flat_map(|(_, like)| like.classes());
            seen.clear();
            for class in nodes.filter(is_other) {
                seen.insert(class);
                if seen.len() >= CLASSES_TRIED_MAX {
                    break;
                }
            }
        }
        let changed = seen.into_iter().filter_map(|class| {
            let mut relaxed = self.case.ask.clone();
            relaxed.facts.resources.class = class.clone();
            let change = format!("ask for {class} instead of {own}");
            let with = With::Job(Box::new(relaxed.facts.clone()));
            self.costed(Cost::Class, change, &relaxed, with)
        });
        changed.collect()
    }
}
