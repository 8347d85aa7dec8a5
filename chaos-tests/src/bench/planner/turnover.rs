//! A full fleet in which work ends and comes: what a decision costs in the state in which fleets are.
//!
//! Must hold: the queue is longer than what ends, so the fleet is as full after a step as before; apply grants every group that
//! is planned. In a step some jobs end and as many are submitted by the laws; then it is planned and committed.

use super::super::meter::Span;
use super::SEED;
use super::drain::{commit, places};
use super::full::{Full, WHOLE};
use super::sample::{Measure, Times, Told, number, rate};
use crate::fleet::{Fleet, submit};
use anyhow::{Context as _, Result};
use sekisho_scheduler::Planner;
use std::time::Duration;
use tokio::time::Instant;

/// Jobs that end in a step: by the law's mean duration as many as end within four seconds in a fleet of 80,000 GPUs.
const ENDING: usize = 32;
/// Queued before the first step, for each node: the fleet begins with one job a node, and ends with several.
const QUEUED: usize = 6;

/// Steps of a fleet that stays full.
pub(super) fn measure(nodes: u32, steps: u32) -> Result<Told> {
    let mut full = Full::new(nodes, WHOLE)?;
    // Drawn beside it: what is in the fleet is lent to the measurement.
    let fleet = Fleet::new(SEED, nodes)?;
    let mut jobs = fleet.jobs();
    let queued = usize::try_from(nodes)?.saturating_mul(QUEUED);
    submit(&mut full.federation, jobs.by_ref().take(queued))?;
    let mut planner = Planner::default();
    // Builds the index.
    drop(planner.plan(&full.federation.state));
    let (mut plans, mut decisions, mut applying) =
        (Times::default(), Times::default(), Times::default());
    let (mut placed, span) = (0_usize, Span::begin(Vec::new())?);
    for _step in 0..steps {
        for _job in 0..ENDING.min(full.running.len()) {
            full.end_one()?;
        }
        submit(&mut full.federation, jobs.by_ref().take(ENDING))?;
        let begun = Instant::now();
        let plan = planner.plan(&full.federation.state);
        let time = begun.elapsed();
        plans.push(time);
        let groups = u32::try_from(plan.groups.len())?;
        if let Some(each) = time.checked_div(groups) {
            decisions.push(each);
        }
        placed = placed.saturating_add(places(&plan.groups));
        full.running.extend(plan.groups.iter().map(|group| group.job.clone()));
        if groups > 0 {
            applying.push(commit(&mut full.federation, plan)?);
        }
    }
    let mut told = Told::of(span)?;
    let both = plans.sum().saturating_add(applying.sum());
    told.add("GPUs in use", Measure::Percent, full.used() * 100.0);
    told.add("queued", Measure::Count, number(full.federation.state.queue_len()));
    told.add("placements", Measure::Count, number(placed));
    for percent in [50, 99, 100] {
        told.add(&format!("plan p{percent}"), Measure::Millis, plans.percentile(percent));
    }
    for percent in [50, 99] {
        let micros = decisions.percentile(percent).map(|millis| millis * 1_000.0);
        told.add(&format!("a group of a plan, p{percent}"), Measure::Micros, micros);
    }
    told.add("placed, planner alone", Measure::Rate, rate(placed, plans.sum()));
    told.add("placed, with apply", Measure::Rate, rate(placed, both));
    one_by_one(&mut full, &mut planner, steps, &mut told)?;
    Ok(told)
}

/// One job ends, and the next one is placed: a decision by itself.
fn one_by_one(full: &mut Full, planner: &mut Planner, times: u32, told: &mut Told) -> Result<()> {
    let mut alone = Times::default();
    for _time in 0..times {
        full.end_one()?;
        let begun = Instant::now();
        let plan = planner.plan(&full.federation.state);
        let time: Duration = begun.elapsed();
        full.running.extend(plan.groups.iter().map(|group| group.job.clone()));
        if !plan.groups.is_empty() {
            alone.push(time);
            commit(&mut full.federation, plan).context("one by one")?;
        }
    }
    for percent in [50, 99] {
        let what = format!("a job ends, the next is placed, p{percent}");
        told.add(&what, Measure::Millis, alone.percentile(percent));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_with_turnover_stays_full() {
        let told = measure(64, 3).unwrap();
        assert!(told.found.iter().all(|one| one.value.is_some()), "{told:?}");
        let value =
            |what: &str| told.found.iter().find(|one| one.what == what).and_then(|one| one.value);
        assert!(value("GPUs in use") > Some(75.0) && value("queued") > Some(0.0), "{told:?}");
    }
}
