//! What quotas, budgets, offers, reservations and power caps want, in words.

use crate::survey::Funnel;
use sekisho_fsm::State;
use sekisho_fsm::budget::hours;
use sekisho_fsm::quota::Line;
use sekisho_types::budget::Exhausted;
use sekisho_types::job::JobFacts;
use sekisho_types::jurisdiction::Area;
use sekisho_types::reservation::ReservationSpec;

/// Windows of reservations that are named: the first are those that bind.
const WINDOWS_MAX: usize = 4;

/// Capped sites that are named.
const SITES_MAX: usize = 4;

/// ` in AREA`, but for the whole country.
pub(crate) fn within(area: Area) -> String {
    if area == Area::Japan { String::new() } else { format!(" in {}", area.label()) }
}

pub(super) fn offered(state: &State, facts: &JobFacts) -> String {
    let until = state.clock().plus_ms(facts.time_limit_s.saturating_mul(1000));
    format!("offered to {} until {until}", facts.id.tenant)
}

/// Which windows of others the job would run into, or which reservation it asks for.
pub(super) fn reserved(state: &State, facts: &JobFacts) -> String {
    if let Some(name) = &facts.reservation {
        return format!("{} of reservation {name} left for so long", facts.gpus());
    }
    let path = state.path(&facts.id.tenant);
    let until = state.clock().plus_ms(facts.time_limit_s.saturating_mul(1000));
    let met = state.reserved_for_others(&facts.resources.class, &path, until);
    let window = |spec: &&ReservationSpec| {
        let end = spec.until.map_or_else(|| "..".to_owned(), |until| until.to_string());
        format!("{} {} {}/{end}", spec.site, spec.gpus, spec.from)
    };
    let told: Vec<String> = met.iter().take(WINDOWS_MAX).map(window).collect();
    if told.is_empty() {
        return "not reserved for others".to_owned();
    }
    format!("not reserved for others: {}", told.join("; "))
}

/// What is left of which power cap, and what a member may draw at least.
pub(super) fn power(state: &State, funnel: &Funnel<'_>) -> String {
    let told = funnel.watts.iter().filter_map(|(site, watts)| {
        let power = state.power(site);
        Some(format!("{site} {}/{} W ({watts} W)", power.left(0)?, power.cap?))
    });
    let told: Vec<String> = told.take(SITES_MAX).collect();
    if told.is_empty() {
        return "not beyond a power cap".to_owned();
    }
    format!("not beyond a power cap: {}", told.join("; "))
}

pub(super) fn quota(state: &State, facts: &JobFacts) -> String {
    let (tenant, class, need) = (&facts.id.tenant, &facts.resources.class, facts.gpus());
    let lines = state.holding(tenant, class).map(|holding| &holding.lines);
    let row = |(area, line): (&Area, &Line)| {
        let quota = line.quota?;
        let (limit, room) = (quota.allotment.nominal, state.room(tenant, class, *area));
        let place = within(*area);
        Some(format!("{limit}{place}, in use {}, room for {room}", line.used()))
    };
    let rows: Vec<String> = lines.into_iter().flatten().filter_map(row).collect();
    let rows = if rows.is_empty() { "none".to_owned() } else { rows.join("; ") };
    format!("quota of {tenant} for {class}: {rows}, needed {need}")
}

pub(super) fn budget(state: &State, facts: &JobFacts) -> String {
    let path = state.path(&facts.id.tenant);
    let until = state.clock().plus_ms(facts.time_limit_s.saturating_mul(1000));
    let class = &facts.resources.class;
    let all = path.iter().flat_map(|tenant| state.budgets_of(tenant));
    let hard = all.filter(|(_, budget)| {
        budget.spec.exhausted == Exhausted::Stop
            && budget.spec.class.as_ref().is_none_or(|of| of == class)
    });
    let told = hard.map(|((tenant, name), budget)| {
        let parts = budget.spec.period.parts(state.clock(), until);
        let left = parts.map(|(first, _)| budget.left(first)).min();
        let left = hours(left.unwrap_or_else(|| budget.spec.whole()));
        let (amount, unit, place) =
            (budget.spec.amount, budget.spec.unit, within(budget.spec.area));
        if *tenant != facts.id.tenant {
            return format!("a budget above {}", facts.id.tenant);
        }
        format!("{tenant}/{name} has {left} of {amount} {unit} left{place}")
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { "no hard budget".to_owned() } else { told.join("; ") }
}
