//! Quotas, budgets, offers, power caps and vetoes that could be otherwise: by how much, so that it suffices.
//!
//! Must hold: numbers are no larger than what the whole group takes. What parents of the tenant have is not told: whoever reads a
//! part need not know it.

use super::{Case, Cost};
use crate::explain::within;
use crate::limit::TRIED_MAX;
use sekisho_fsm::budget::{Budget, BudgetKey};
use sekisho_fsm::offer::{Offer, OfferKey};
use sekisho_fsm::supposed::Supposed;
use sekisho_types::budget::{AMOUNT_MAX, Exhausted, PER_HOUR, Unit};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{OperatorId, SiteId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::offer::{START_WITHIN_MS, Vetoed};
use sekisho_types::power::SITE_WATTS_MAX;
use sekisho_types::quota::Amount;
use std::collections::{BTreeMap, BTreeSet};

/// A change: what it costs, in words, and what would be otherwise.
pub(super) type Candidate = (Cost, String, Supposed);

/// What looks for changes of one kind.
type Finder = fn(&Case<'_>) -> Vec<Candidate>;

/// What may help by what binds.
pub(super) fn candidates(case: &Case<'_>) -> Vec<Candidate> {
    let by: [(&[ErrorCode], Finder); 7] = [
        (&[ErrorCode::QuotaNone, ErrorCode::QuotaExceeded], quota),
        (&[ErrorCode::BudgetExhausted, ErrorCode::BudgetTooSmall], budgets),
        (&[ErrorCode::BudgetExhausted, ErrorCode::BudgetTooSmall], prices),
        (&[ErrorCode::OfferNone], made),
        (&[ErrorCode::OfferFull], larger),
        (&[ErrorCode::PowerFull, ErrorCode::PowerTooSmall], raised),
        (&[ErrorCode::OfferVetoed], lifted),
    ];
    let binds = by.into_iter().filter(|(codes, _)| codes.contains(&case.binding));
    binds.flat_map(|(_, of)| of(case)).collect()
}

/// The row that is shortest of what the group needs.
fn quota(case: &Case<'_>) -> Vec<Candidate> {
    row(case).into_iter().collect()
}

fn row(case: &Case<'_>) -> Option<Candidate> {
    let (state, facts) = (case.survey.state, &case.ask.facts);
    let (tenant, class, need) = (&facts.id.tenant, &facts.resources.class, facts.gpus());
    let lines = state.holding(tenant, class).map(|holding| &holding.lines);
    let ever = case.binding == ErrorCode::QuotaNone;
    let short = |area: Area| {
        let most = state.most(tenant, class).ever.short_of(need);
        let now = state.room(tenant, class, area).short_of(need);
        if ever && case.funnel.beyond { most } else { now }
    };
    let rows = lines.into_iter().flatten().filter_map(|(area, line)| {
        Some((short(*area), *area, line.quota?.allotment.nominal)).filter(|(by, ..)| *by > 0)
    });
    let supposed = |area: Area, gpus: u64| {
        let (tenant, class) = (tenant.clone(), class.clone());
        Supposed::Quota { tenant, class, area, gpus }
    };
    let Some((by, area, nominal)) = rows.max_by_key(|(by, ..)| *by) else {
        let has_row = lines.into_iter().flatten().any(|(_, line)| line.quota.is_some());
        let wanted = state.usage(tenant, class).saturating_add(need);
        let change = format!("set a quota of {wanted} for {tenant} on {class}");
        let none = (Cost::Quota, change, supposed(Area::Japan, wanted));
        return Some(none).filter(|_| !has_row);
    };
    let Amount::Gpus(to) = Amount::from(nominal).plus(Amount::Gpus(by)) else { return None };
    let change = if area == Area::Japan {
        format!("raise the quota of {tenant} for {class} by {by} to {to}")
    } else {
        format!("raise the quota of {tenant} for {class}{} by {by} to {to}", within(area))
    };
    Some((Cost::Quota, change, supposed(area, to)))
}

/// Hard budgets that do not cover the time limit of the whole group.
fn budgets(case: &Case<'_>) -> Vec<Candidate> {
    let facts = &case.ask.facts;
    let dearest = offers(case).into_iter().map(|(_, offer)| offer.spec.yen_per_gpu_hour).max();
    let short = hard(case).into_iter().filter_map(|(key, budget)| {
        let rate = budget.spec.rate(facts.gpus(), dearest.unwrap_or(0));
        let parts = parts(case, budget);
        let whole = parts.into_iter().map(|(charged, ms)| {
            let need = rate.saturating_mul(u128::from(ms));
            charged.saturating_add(need).div_ceil(u128::from(PER_HOUR))
        });
        let to = whole.max().and_then(|to| u64::try_from(to).ok())?;
        let by = to.checked_sub(budget.spec.amount).filter(|by| *by > 0 && to <= AMOUNT_MAX)?;
        let ((tenant, name), unit) = (key, budget.spec.unit);
        let change = if *tenant == facts.id.tenant {
            format!("raise the budget {tenant}/{name} by {by} to {to} {unit}")
        } else {
            format!("have a budget above {} raised", facts.id.tenant)
        };
        Some((Cost::Budget, change, Supposed::Budget { key: key.clone(), amount: to }))
    });
    short.take(TRIED_MAX).collect()
}

/// Hard budgets of the tenant and of all above it that count the class.
fn hard<'c>(case: &Case<'c>) -> Vec<(&'c BudgetKey, &'c Budget)> {
    let (state, facts) = (case.survey.state, &case.ask.facts);
    let path = state.path(&facts.id.tenant);
    let all = path.iter().flat_map(|tenant| state.budgets_of(tenant));
    let counts = |budget: &Budget| {
        budget.spec.exhausted == Exhausted::Stop
            && budget.spec.class.as_ref().is_none_or(|of| *of == facts.resources.class)
    };
    all.filter(|(_, budget)| counts(budget)).collect()
}

/// What is charged in each period that the time limit lies in, and for how long it does.
fn parts(case: &Case<'_>, budget: &Budget) -> Vec<(u128, u64)> {
    let now = case.survey.state.clock();
    let until = now.plus_ms(case.ask.facts.time_limit_s.saturating_mul(1000));
    let charged = |first| budget.charged.get(&first).copied().unwrap_or(0);
    budget.spec.period.parts(now, until).map(|(first, ms)| (charged(first), ms)).collect()
}

/// Offers of the class at sites where the job may stand, in the order in which they are charged.
fn offers<'c>(case: &Case<'c>) -> Vec<(&'c OfferKey, &'c Offer)> {
    let (state, class) = (case.survey.state, &case.ask.facts.resources.class);
    let sites = case.survey.sites(case.ask);
    let all = sites.into_iter().flat_map(|site| state.offers_of(site));
    let of_class = all.filter(|(_, offer)| !offer.withdrawn && offer.spec.class == *class);
    let mut found: Vec<_> = of_class.collect();
    found.sort_by_key(|(key, offer)| (offer.spec.yen_per_gpu_hour, *key));
    found
}

/// A price at which what is left of every budget of yen would do.
fn prices(case: &Case<'_>) -> Vec<Candidate> {
    let gpus = u128::from(case.ask.facts.gpus());
    let yen = hard(case).into_iter().filter(|(_, budget)| budget.spec.unit == Unit::Yen);
    let affords = yen.flat_map(|(_, budget)| {
        let whole = budget.spec.whole();
        parts(case, budget).into_iter().filter_map(move |(charged, ms)| {
            whole.saturating_sub(charged).checked_div(gpus.saturating_mul(u128::from(ms)))
        })
    });
    let Some(most) = affords.min().and_then(|yen| u64::try_from(yen).ok()) else {
        return Vec::new();
    };
    let dearer = offers(case).into_iter().filter(|(_, offer)| offer.spec.yen_per_gpu_hour > most);
    let found = dearer.map(|(key, offer)| {
        let (name, was) = (named(key), offer.spec.yen_per_gpu_hour);
        let change = format!("have offer {name} cost {most} yen instead of {was}");
        (Cost::Price, change, Supposed::Costs { key: key.clone(), yen: most })
    });
    found.take(TRIED_MAX).collect()
}

fn named((site, name): &OfferKey) -> String {
    format!("{site}/{name}")
}

/// Offers that are not made to the tenant, or not for so long.
fn made(case: &Case<'_>) -> Vec<Candidate> {
    let (now, facts) = (case.survey.state.clock(), &case.ask.facts);
    let tenant = &facts.id.tenant;
    let end = now.plus_ms(facts.time_limit_s.saturating_mul(1000));
    let needs = end.plus_ms(START_WITHIN_MS);
    let found = offers(case).into_iter().filter_map(|(key, offer)| {
        let (spec, name) = (&offer.spec, named(key));
        if spec.admits(tenant, now, end) {
            return None;
        }
        if spec.excluded.contains(tenant) {
            let change = format!("have offer {name} made to {tenant}");
            let supposed = Supposed::Included { key: key.clone(), tenant: tenant.clone() };
            return Some((Cost::Offer, change, supposed));
        }
        let until = spec.until.map(|until| until.max(needs));
        let change = match until.filter(|_| spec.until.is_some_and(|until| until < needs)) {
            Some(until) => format!("have offer {name} last until {until}"),
            None => format!("have offer {name} begin now"),
        };
        Some((Cost::Offer, change, Supposed::Lasts { key: key.clone(), until }))
    });
    found.take(TRIED_MAX).collect()
}

/// Offers with room for the members that are not charged yet.
fn larger(case: &Case<'_>) -> Vec<Candidate> {
    let facts = &case.ask.facts;
    let (members, _) = case.funnel.charged;
    let gpus = u64::from(facts.resources.gpus);
    let missing = u64::from(facts.group.saturating_sub(members)).saturating_mul(gpus);
    let now = case.survey.state.clock();
    let end = now.plus_ms(facts.time_limit_s.saturating_mul(1000));
    let admits = |offer: &Offer| offer.spec.admits(&facts.id.tenant, now, end);
    let found = offers(case).into_iter().filter(|(_, offer)| admits(offer)).map(|(key, offer)| {
        // Of what is left, whole members are charged already.
        let left = offer.spec.gpus.saturating_sub(offer.used);
        let rest = left.checked_rem(gpus).unwrap_or(0);
        let base = offer.spec.gpus.max(offer.used).saturating_sub(rest);
        let to = base.saturating_add(missing);
        let (name, by) = (named(key), to.saturating_sub(offer.spec.gpus));
        let change = format!("have offer {name} raised by {by} to {to}");
        (Cost::Offer, change, Supposed::Offered { key: key.clone(), gpus: to })
    });
    found.take(TRIED_MAX).collect()
}

/// Power caps with room for the members that are not charged yet.
fn raised(case: &Case<'_>) -> Vec<Candidate> {
    let (state, facts) = (case.survey.state, &case.ask.facts);
    let (members, _) = case.funnel.charged;
    let missing = u64::from(facts.group.saturating_sub(members));
    // What any member may draw there at most: more than enough is not too little.
    let mut each: BTreeMap<&SiteId, u64> = BTreeMap::new();
    for standing in case.survey.standing(case.ask) {
        let like = standing.herd.like;
        let most = each.entry(&like.site).or_default();
        *most = like.least_watts(facts).max(*most);
    }
    let found = each.into_iter().filter_map(|(site, watts)| {
        let power = state.power(site);
        let cap = power.cap?;
        // Of what is left, whole members are charged already.
        let left = cap.saturating_sub(power.used);
        let rest = left.checked_rem(watts).unwrap_or(0);
        let base = cap.max(power.used).saturating_sub(rest);
        let to = base.saturating_add(missing.saturating_mul(watts)).min(SITE_WATTS_MAX);
        let by = to.checked_sub(cap).filter(|by| *by > 0)?;
        let change = format!("have the power cap of {site} raised by {by} to {to} W");
        Some((Cost::Power, change, Supposed::Capped { site: site.clone(), watts: to }))
    });
    found.take(TRIED_MAX).collect()
}

/// Vetoes of this tenant or job.
fn lifted(case: &Case<'_>) -> Vec<Candidate> {
    let (state, job) = (case.survey.state, &case.ask.facts.id);
    let whose = [Vetoed::Tenant(job.tenant.clone()), Vetoed::Job(job.clone())];
    let operators: BTreeSet<&OperatorId> =
        case.survey.herds.iter().map(|herd| &herd.like.operator).collect();
    let against = state.vetoes().map(|(key, _)| key);
    let against = against.filter(|(by, of)| operators.contains(by) && whose.contains(of));
    let found = against.map(|key| {
        let (operator, of) = key;
        let change = format!("have {operator} lift its veto of {of}");
        (Cost::Veto, change, Supposed::Lifted { key: key.clone() })
    });
    found.take(TRIED_MAX).collect()
}
