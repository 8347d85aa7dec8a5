//! A fleet that is 80 % full, rack by rack unequally: places for gangs of 8 to 64 whole nodes, and explanations.
//!
//! Must hold: the fleet stays as full as it is. A gang is submitted, planned, and cancelled before it is committed: what
//! is measured is not how the last gangs of a filling fleet fare. Ours, for lack of a law: sizes of gangs, and that racks are
//! filled by the fourth root of a number between 0 and 1, which makes 80 % of all and leaves some of them nearly empty.

use super::super::meter::Span;
use super::SEED;
use super::sample::{Measure, Times, Told, number, rate};
use crate::fleet::{Chance, Class, Fleet, Job, Shape, done, submit, submitter};
use anyhow::{Context as _, Result, ensure};
use sekisho_fsm::command::{Command, Group, Slot};
use sekisho_fsm::outcome::Reply;
use sekisho_fsm::testing::{Federation, member};
use sekisho_scheduler::{Explainer, Planner};
use sekisho_types::id::JobId;
use sekisho_types::limit::GROUPS_PER_PLAN_MAX;
use sekisho_types::name::Name;
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::principal::{Principal, Workload};
use tokio::time::Instant;

/// Mean of `u.powf(FILL)` for u between 0 and 1: 80 %.
const FILL: f64 = 0.25;
/// The same: all of it.
pub(super) const WHOLE: f64 = 0.0;
/// Nodes of a gang, and how often.
const GANGS: [(u32, u64); 4] = [(8, 4), (16, 2), (32, 1), (64, 1)];
/// Gangs in the queue at once, where they come together.
const TOGETHER: u32 = 32;
const DAY_S: u64 = 86_400;
const PRIORITY: u8 = 50;

/// A fleet that is in use.
#[derive(Debug)]
pub(super) struct Full {
    pub(super) fleet: Fleet,
    pub(super) federation: Federation,
    pub(super) chance: Chance,
    /// Jobs made so far.
    made: u32,
    /// Those that run.
    pub(super) running: Vec<JobId>,
}

/// What became of gangs.
#[derive(Debug, Default)]
struct Gangs {
    plans: Times,
    asked: usize,
    placed: usize,
}

impl Full {
    /// Full by this power of a number between 0 and 1.
    pub(super) fn new(nodes: u32, power: f64) -> Result<Self> {
        let fleet = Fleet::new(SEED, nodes)?;
        let federation = fleet.federation()?;
        let (chance, running) = (Chance::new(SEED), Vec::new());
        let mut full = Self { fleet, federation, chance, made: 0, running };
        full.fill(power)?;
        Ok(full)
    }

    /// A job for a day, of anybody.
    pub(super) fn job(&mut self, shape: Shape) -> Result<Job> {
        let tenant = self.chance.pick(&self.fleet.submitters()).context("nobody submits")?;
        let name = Name::parse(&format!("made-{}", self.made))?;
        let id = JobId { tenant: tenant.id.clone(), name, task: None };
        self.made = self.made.saturating_add(1);
        let (duration_s, time_limit_s, arrives_ms) = (DAY_S, DAY_S, 0);
        Ok(Job { id, shape, priority: PRIORITY, duration_s, time_limit_s, arrives_ms })
    }

    /// Takes whole nodes, each for a job of its own.
    fn fill(&mut self, power: f64) -> Result<()> {
        let (mut jobs, mut groups) = (Vec::new(), Vec::new());
        let mut rack: Option<(Name, f64)> = None;
        for node in self.fleet.nodes.clone() {
            if rack.as_ref().is_none_or(|(name, _)| *name != node.rack) {
                rack = Some((node.rack.clone(), self.chance.unit().powf(power)));
            }
            let filled = rack.as_ref().map_or(0.0, |(_, filled)| *filled);
            if self.chance.unit() >= filled {
                continue;
            }
            let shape = Shape { class: node.bucket.class, group: 1, gpus: node.bucket.count };
            let job = self.job(shape)?;
            let places = vec![Slot { node: node.id, bucket: 0 }];
            self.running.push(job.id.clone());
            groups.push(Group { job: job.id.clone(), places });
            jobs.push(job);
        }
        submit(&mut self.federation, jobs)?;
        for groups in groups.chunks(GROUPS_PER_PLAN_MAX) {
            let basis = self.federation.state.revision();
            let commit = Command::CommitPlacement { basis, groups: groups.to_vec(), calls: None };
            let reply = done(&mut self.federation, member("kanto"), commit)?;
            let whole = matches!(&reply, Reply::Placed { rejected, .. } if rejected.is_empty());
            ensure!(whole, "filling the fleet: {reply:?}");
        }
        Ok(())
    }

    /// Some job that runs ends well, as the agents of its nodes tell.
    pub(super) fn end_one(&mut self) -> Result<()> {
        let count = u64::try_from(self.running.len())?;
        let at = usize::try_from(self.chance.below(count))?;
        ensure!(at < self.running.len(), "nothing runs");
        let job = self.running.swap_remove(at);
        for placement in self.federation.placements(&job) {
            let state = &self.federation.state;
            let node = state.placement(&placement).context("a placement")?.grant.node.clone();
            let open = state.node(&node).and_then(|row| row.live_session());
            let session = open.context("an open session")?.id;
            let operator = state.site(&node.site).context("a site")?.operator.clone();
            let workload = Workload::Agent { site: node.site.clone(), node: node.name.clone() };
            let phases = vec![(placement, Phase::Ended(Ending::Exited(0)))];
            let report = Command::Report { node, session, phases };
            done(&mut self.federation, Principal { operator, workload }, report)?;
        }
        Ok(())
    }

    /// Share of the GPUs in use.
    pub(super) fn used(&self) -> f64 {
        let used = |used: &u32| usize::try_from(*used).unwrap_or(usize::MAX);
        let all = self.federation.state.nodes().flat_map(|(_, node)| node.used.values());
        let used = number(all.map(used).sum());
        used / number(usize::try_from(self.fleet.gpus()).unwrap_or(usize::MAX))
    }

    /// Of whole nodes of the class that has most.
    fn gang(&mut self) -> Result<Job> {
        let class = self.fleet.classes.iter().max_by_key(|class| class.nodes);
        let Class { name, per_node, .. } = class.context("a fleet has classes")?.clone();
        let group = self.chance.pick(&GANGS).context("a gang has a size")?;
        self.job(Shape { class: name, group, gpus: per_node })
    }

    /// Plans so many times for so many gangs.
    fn gangs(&mut self, planner: &mut Planner, times: u32, together: u32) -> Result<Gangs> {
        let mut found = Gangs::default();
        for _time in 0..times {
            let gangs: Vec<Job> = (0..together).map(|_| self.gang()).collect::<Result<_>>()?;
            let ids: Vec<JobId> = gangs.iter().map(|job| job.id.clone()).collect();
            submit(&mut self.federation, gangs)?;
            let begun = Instant::now();
            let plan = planner.plan(&self.federation.state);
            found.plans.push(begun.elapsed());
            found.asked = found.asked.saturating_add(ids.len());
            found.placed = found.placed.saturating_add(plan.groups.len());
            for job in ids {
                let actor = submitter(&job.tenant);
                done(&mut self.federation, actor, Command::CancelJob { job })?;
            }
        }
        Ok(found)
    }
}

/// Places for gangs, one by one and several together.
pub(super) fn gangs(nodes: u32, count: u32) -> Result<Told> {
    let (mut full, mut planner) = (Full::new(nodes, FILL)?, Planner::default());
    // Builds the index.
    drop(planner.plan(&full.federation.state));
    let (used, span) = (full.used(), Span::begin(Vec::new())?);
    let alone = full.gangs(&mut planner, count, 1)?;
    let many = full.gangs(&mut planner, count.div_ceil(TOGETHER), TOGETHER)?;
    let mut told = Told::of(span)?;
    told.add("GPUs in use", Measure::Percent, used * 100.0);
    for (how, gangs) in [("one by one", alone), ("32 together", many)] {
        let Gangs { plans, asked, placed } = gangs;
        let share = number(placed) / number(asked.max(1));
        told.add(&format!("placed, {how}"), Measure::Percent, share * 100.0);
        told.add(&format!("gangs, {how}"), Measure::Rate, rate(placed, plans.sum()));
        told.add(&format!("plan p50, {how}"), Measure::Millis, plans.percentile(50));
        told.add(&format!("plan p99, {how}"), Measure::Millis, plans.percentile(99));
        told.add(&format!("plan max, {how}"), Measure::Millis, plans.percentile(100));
    }
    Ok(told)
}

/// Why jobs by the laws, and gangs, are placed or not.
pub(super) fn explanations(nodes: u32, count: u32) -> Result<Told> {
    let mut full = Full::new(nodes, FILL)?;
    let jobs: Vec<Job> = full.fleet.jobs().take(usize::try_from(count)?).collect();
    let gangs: Vec<Job> = (0..count.div_ceil(4)).map(|_| full.gang()).collect::<Result<_>>()?;
    let (used, span) = (full.used(), Span::begin(Vec::new())?);
    let state = &full.federation.state;
    let mut explainer = Explainer::default();
    let mut ask = |jobs: Vec<Job>| {
        let mut times = Times::default();
        for facts in jobs.iter().map(Job::facts) {
            let begun = Instant::now();
            drop(std::hint::black_box(explainer.explain(state, &facts)));
            times.push(begun.elapsed());
        }
        times
    };
    // Builds the indexes.
    let first = ask(jobs.iter().take(1).cloned().collect());
    let (jobs, gangs) = (ask(jobs), ask(gangs));
    let mut told = Told::of(span)?;
    told.add("GPUs in use", Measure::Percent, used * 100.0);
    told.add("the first, with its indexes", Measure::Millis, first.percentile(100));
    for (what, times) in [("a job", jobs), ("a gang", gangs)] {
        told.add(&format!("{what}, p50"), Measure::Millis, times.percentile(50));
        told.add(&format!("{what}, p99"), Measure::Millis, times.percentile(99));
        told.add(&format!("{what}, max"), Measure::Millis, times.percentile(100));
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fleet_is_about_as_full_as_it_shall_be_and_stays_so() {
        let mut full = Full::new(320, FILL).unwrap();
        let used = full.used();
        assert!((0.65..0.95).contains(&used), "{used}");
        let mut planner = Planner::default();
        let found = full.gangs(&mut planner, 3, 2).unwrap();
        assert_eq!((found.asked, found.plans.len()), (6, 3));
        assert!(found.placed > 0 && full.used() == used, "{found:?}");
        assert_eq!(full.federation.state.queue_len(), 0);
    }

    #[test]
    fn every_figure_of_gangs_and_explanations_is_there() {
        for told in [gangs(320, 4).unwrap(), explanations(320, 4).unwrap()] {
            assert!(told.found.iter().all(|one| one.value.is_some()), "{told:?}");
        }
    }
}
