//! A full fleet with a long queue: what jobs that cannot start cost the planner, and what it takes to explain one of them.
//!
//! Must hold: nothing of the queue has room, so whatever a plan looks at it looks at in vain. Lanes are what the planner can
//! tell apart; here each job has one of its own, by the memory that it asks for.

use super::super::meter::Span;
use super::drain::commit;
use super::full::{Full, WHOLE};
use super::sample::{Measure, Times, Told, micros_each, millis, number};
use crate::fleet::{Job, Shape, done, submit, submitter};
use anyhow::{Context as _, Result, ensure};
use sekisho_evidence::batch::ITEMS_MAX;
use sekisho_fsm::command::{Command, Item};
use sekisho_scheduler::{Explainer, Planner};
use sekisho_types::id::JobId;
use tokio::time::Instant;

/// Plans among blocked lanes, and explanations.
const TIMES: usize = 100;
/// Of a job that is placed among them: before all others.
const URGENT: u8 = 100;

/// A queue of so many lanes that are all blocked.
pub(super) fn lanes(nodes: u32, lanes: u32) -> Result<Told> {
    let mut full = Full::new(nodes, WHOLE)?;
    let class = full.fleet.classes.iter().max_by_key(|class| class.nodes);
    let class = class.context("a fleet has classes")?.clone();
    ensure!(u64::from(lanes) < class.memory_mib, "more lanes than sizes of memory");
    let shape = Shape { class: class.name, group: 1, gpus: class.per_node };
    let jobs = (0..lanes).map(|_| full.job(shape.clone())).collect::<Result<Vec<_>>>()?;
    let (tenant, mut items) =
        (full.fleet.submitters().first().context("somebody")?.0.id.clone(), Vec::new());
    for (job, memory_mib) in jobs.iter().zip(1_u64..) {
        let mut facts = job.facts();
        facts.id.tenant = tenant.clone();
        facts.resources.memory_mib = memory_mib;
        items.push(Item::SubmitJob { facts: Box::new(facts) });
    }
    for batch in items.chunks(ITEMS_MAX) {
        done(&mut full.federation, submitter(&tenant), Command::Batch(batch.to_vec()))?;
    }
    let (mut planner, span) = (Planner::default(), Span::begin(Vec::new())?);
    let begun = Instant::now();
    let first = planner.plan(&full.federation.state);
    let building = begun.elapsed();
    ensure!(first.groups.is_empty(), "something had room");
    let (mut vain, mut among) = (Times::default(), Times::default());
    for _time in 0..TIMES {
        let begun = Instant::now();
        drop(planner.plan(&full.federation.state));
        vain.push(begun.elapsed());
        full.end_one()?;
        let mut urgent = full.job(shape.clone())?;
        urgent.priority = URGENT;
        submit(&mut full.federation, [urgent])?;
        let begun = Instant::now();
        let plan = planner.plan(&full.federation.state);
        among.push(begun.elapsed());
        full.running.extend(plan.groups.iter().map(|group| group.job.clone()));
        if !plan.groups.is_empty() {
            commit(&mut full.federation, plan)?;
        }
    }
    let mut told = Told::of(span)?;
    let lanes = usize::try_from(lanes)?;
    told.add("queued", Measure::Count, number(full.federation.state.queue_len()));
    told.add("first plan", Measure::Millis, millis(building));
    told.add("plan that places nothing, p50", Measure::Millis, vain.percentile(50));
    told.add("plan that places nothing, p99", Measure::Millis, vain.percentile(99));
    let each = micros_each(vain.sum(), lanes.saturating_mul(TIMES));
    told.add("a blocked lane", Measure::Micros, each);
    told.add("plan with an urgent job, p50", Measure::Millis, among.percentile(50));
    told.add("plan with an urgent job, p99", Measure::Millis, among.percentile(99));
    Ok(told)
}

/// Explanations of jobs that wait in a queue of so many.
pub(super) fn explanations(nodes: u32, queued: u32) -> Result<Told> {
    let mut full = Full::new(nodes, WHOLE)?;
    let jobs: Vec<Job> = full.fleet.jobs().take(usize::try_from(queued)?).collect();
    let every = jobs.len().checked_div(TIMES).unwrap_or(1).max(1);
    let asked: Vec<JobId> = jobs.iter().step_by(every).map(|job| job.id.clone()).collect();
    submit(&mut full.federation, jobs)?;
    let (state, span) = (&full.federation.state, Span::begin(Vec::new())?);
    let mut explainer = Explainer::default();
    let mut ask = |job: &JobId| {
        let facts = &state.job(job).context("a job")?.facts;
        let begun = Instant::now();
        drop(std::hint::black_box(explainer.explain(state, facts)));
        Ok::<_, anyhow::Error>(begun.elapsed())
    };
    // Builds the indexes.
    let first = ask(asked.first().context("somebody waits")?)?;
    let mut times = Times::default();
    for job in &asked {
        times.push(ask(job)?);
    }
    let mut told = Told::of(span)?;
    told.add("the first explained, with its indexes", Measure::Millis, millis(first));
    told.add("explained, p50", Measure::Millis, times.percentile(50));
    told.add("explained, p99", Measure::Millis, times.percentile(99));
    told.add("explained, max", Measure::Millis, times.percentile(100));
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_is_blocked_and_every_figure_is_there() {
        for told in [lanes(32, 40).unwrap(), explanations(32, 300).unwrap()] {
            assert!(told.found.iter().all(|one| one.value.is_some()), "{told:?}");
        }
    }
}
