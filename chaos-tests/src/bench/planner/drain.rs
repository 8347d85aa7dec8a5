//! A queue on an empty fleet: planned and committed, plan after plan, until nothing more of it has room.
//!
//! Must hold: apply grants every group that is planned. The first plan builds the index and counts apart; rates and
//! percentiles are of the plans behind it that place something.

use super::super::meter::Span;
use super::SEED;
use super::sample::{Measure, Times, Told, micros_each, millis, number, rate, resident};
use crate::fleet::{Fleet, submit};
use anyhow::{Result, bail, ensure};
use sekisho_fsm::command::Group;
use sekisho_fsm::outcome::Reply;
use sekisho_fsm::testing::{Federation, member};
use sekisho_scheduler::{Plan, Planner};
use sekisho_types::revision::Revision;
use std::time::Duration;
use tokio::time::Instant;

/// Who leads.
const LEADER: &str = "kanto";

/// What was measured so far.
#[derive(Debug, Default)]
struct Drain {
    /// The plan that built the index, and its places.
    first: Option<(Duration, usize)>,
    /// Memory when it was built.
    indexed: f64,
    later: Times,
    /// Committing what those had planned.
    applying: Times,
    /// Places of them.
    places: usize,
    /// The plan that found nothing more.
    idle: Option<Duration>,
}

/// Members of all groups.
pub(super) fn places(groups: &[Group]) -> usize {
    groups.iter().map(|group| group.places.len()).sum()
}

/// Commits a plan; how long apply took.
pub(super) fn commit(federation: &mut Federation, plan: Plan) -> Result<Duration> {
    let Some(command) = plan.into_command() else { return Ok(Duration::ZERO) };
    let entry = federation.entry(member(LEADER), &[], command);
    let revision = Revision(federation.state.revision().0.saturating_add(1));
    let begun = Instant::now();
    let applied = federation.state.apply(revision, &entry);
    let time = begun.elapsed();
    let Ok(Reply::Placed { rejected, .. }) = &applied.outcome else {
        bail!("a plan was refused: {:?}", applied.outcome)
    };
    ensure!(rejected.is_empty(), "groups of a plan were refused: {rejected:?}");
    Ok(time)
}

impl Drain {
    fn run(&mut self, federation: &mut Federation, within: Duration) -> Result<()> {
        let (mut planner, begun) = (Planner::default(), Instant::now());
        while begun.elapsed() < within {
            let asked = Instant::now();
            let plan = planner.plan(&federation.state);
            let planning = asked.elapsed();
            let places = places(&plan.groups);
            let is_first = self.first.is_none();
            if is_first {
                (self.first, self.indexed) = (Some((planning, places)), resident()?);
            }
            if plan.groups.is_empty() {
                self.idle = Some(planning).filter(|_| !is_first);
                return Ok(());
            }
            let applying = commit(federation, plan)?;
            if !is_first {
                self.later.push(planning);
                self.applying.push(applying);
                self.places = self.places.saturating_add(places);
            }
        }
        Ok(())
    }
}

/// Builds a fleet with a queue and drains it.
pub(super) fn measure(nodes: u32, queued: u32, within: Duration) -> Result<Told> {
    let fleet = Fleet::new(SEED, nodes)?;
    let mut federation = fleet.federation()?;
    let (empty, begun) = (resident()?, Instant::now());
    submit(&mut federation, fleet.jobs().take(usize::try_from(queued)?))?;
    let (submitting, full) = (begun.elapsed(), resident()?);
    let (mut drain, span) = (Drain::default(), Span::begin(Vec::new())?);
    drain.run(&mut federation, within)?;
    let mut told = Told::of(span)?;
    let Drain { first, indexed, later, applying, places, idle } = drain;
    let jobs = f64::from(queued.max(1));
    let both = later.sum().saturating_add(applying.sum());
    told.add("GPUs", Measure::Count, number(usize::try_from(fleet.gpus())?));
    told.add("submitting all, signed in batches", Measure::Seconds, submitting.as_secs_f64());
    told.add("memory a queued job", Measure::Bytes, (full - empty) / jobs);
    told.add("index, a queued job", Measure::Bytes, (indexed - full) / jobs);
    told.add("first plan", Measure::Millis, first.map(|(time, _)| millis(time)));
    told.add("later plans", Measure::Count, number(later.len()));
    told.add("plan p50", Measure::Millis, later.percentile(50));
    told.add("plan p99", Measure::Millis, later.percentile(99));
    told.add("plan max", Measure::Millis, later.percentile(100));
    told.add("plan that places nothing", Measure::Millis, idle.map(millis));
    let all = first.map_or(0, |(_, places)| places).saturating_add(places);
    told.add("placements", Measure::Count, number(all));
    told.add("planning, a placement", Measure::Micros, micros_each(later.sum(), places));
    told.add("apply, a placement", Measure::Micros, micros_each(applying.sum(), places));
    told.add("placed, planner alone", Measure::Rate, rate(places, later.sum()));
    told.add("placed, with apply", Measure::Rate, rate(places, both));
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_queue_is_placed_whole() {
        let told = measure(100, 300, Duration::from_secs(60)).unwrap();
        let value =
            |what: &str| told.found.iter().find(|one| one.what == what).and_then(|one| one.value);
        assert!(value("placements") >= Some(300.0), "{told:?}");
        assert!(value("first plan") > Some(0.0) && value("plan that places nothing") > Some(0.0));
        assert!(value("placed, planner alone") >= value("placed, with apply"));
    }
}
