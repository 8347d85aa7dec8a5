//! `make bench BENCH_ARGS="--parts placement,slurm"`: jobs by the laws from their submission to their places, through three
//! members with everything on, beside Slurm's allocations of the same jobs; and what each of them loses when its controller is
//! killed.
//!
//! Must hold: in a round one side runs after the other, each from an empty folder, and the other one begins the next round: the
//! agents of ours would take a part of the machine from Slurm. What we acknowledged is all there afterwards, or the run fails.
//! Does not launch anything on either side.

mod ours;
mod stock;

use super::cluster::{BATCH, Op};
use super::figure::{Better, Figures, OURS, What, short};
use super::load::CONNECTIONS;
use super::slurm::{self, Allocated, Slurm};
use super::{meter, report, say};
use crate::agents::quantile;
use crate::fleet::{Fleet, SEED, Shape};
use anyhow::{Context as _, Result, ensure};
use ours::{Followed, Found, Load, Ours};
use sekisho_transport::clock::SystemClock;
use sekisho_types::time::Clock as _;
use std::path::Path;
use std::time::Duration;

/// What the names of these figures begin with.
pub(super) const PREFIX: &str = "placement, ";
const SLURM: &str = "slurm";
/// Nodes of which Slurm's jobs are drawn: as many as it has, so that the largest job has room.
const SLURM_NODES: u32 = 200;
/// Threads at which Slurm allocates most (performance.md A2).
const SLURM_THREADS: usize = 8;
/// Under load, before a controller is killed. Slurm has saved its state once by then and may have saved it up to five seconds
/// before: each round kills it at another time.
const OURS_KILLED: Duration = Duration::from_secs(3);
const SLURM_KILLED: Duration = Duration::from_secs(6);
const SLURM_LATER: Duration = Duration::from_millis(900);
/// Rounds after which those times come again.
const TIMES: usize = 5;
/// Explanations that are asked for through the API, and runs of the command line.
const ASKED: usize = 200;
const LINES: u32 = 40;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) short: bool,
    pub(super) rounds: usize,
    /// Where the data lie.
    pub(super) dir: &'a Path,
    /// Whether Slurm runs, too.
    pub(super) beside: bool,
}

/// How large a run is.
#[derive(Debug)]
struct Size {
    nodes: u32,
    /// One by one, and by many clients; together they take two thirds of the fleet.
    loads: [Load; 4],
    alone: u32,
    /// Tasks of arrays, together.
    arrayed: u64,
    queued: u64,
    /// Of one thread, and of several.
    slurm: [usize; 2],
}

impl Size {
    fn of(short: bool) -> Self {
        let (nodes, tenth) = if short { (1_000, 10) } else { (10_000, 1) };
        let load = |op, clients, jobs: u64| Load { op, clients, jobs: jobs / tenth };
        let slurm = [1_000, 6_000].map(|jobs: usize| if short { jobs / 10 } else { jobs });
        Self {
            nodes,
            loads: [
                load(Op::Write, 1, 1_000),
                load(Op::Write, 64, 8_000),
                load(Op::Write, 256, 8_000),
                load(Op::Batch, CONNECTIONS, 16_000),
            ],
            alone: if short { 20 } else { 200 },
            arrayed: if short { 1_280 } else { 10_240 },
            queued: if short { 5_000 } else { 100_000 },
            slurm,
        }
    }

    /// All jobs that are drawn: those of the loads, of who follows them, and of the load under which the leader is killed.
    fn jobs(&self) -> usize {
        let loads: u64 = self.loads.iter().map(|load| load.jobs).sum();
        usize::try_from(loads.saturating_mul(4)).unwrap_or(usize::MAX)
    }
}

/// Tasks of an array.
const TASKS: u32 = 64;

/// What their load is called.
fn arrays() -> String {
    format!("arrays of {TASKS} tasks, {CONNECTIONS} clients")
}

/// What a load is called.
fn words(load: Load) -> String {
    let Load { op, clients, .. } = load;
    let many = if clients == 1 { "" } else { "s" };
    match op {
        Op::Batch => format!("{BATCH} a call, {clients} client{many}"),
        Op::Write | Op::Read => format!("{clients} client{many}"),
    }
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn millis(times: &[Duration], percent: usize) -> f64 {
    quantile(times, percent).as_secs_f64() * 1_000.0
}

/// So many in this time, a second.
fn rate(count: usize, time: Duration) -> f64 {
    number(count) / time.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// CPU of each of so many, microseconds.
fn micros(cpu: Duration, count: usize) -> f64 {
    cpu.as_secs_f64() * 1e6 / number(count.max(1))
}

/// The measurements, with what they found so far.
#[derive(Debug)]
struct Rounds {
    size: Size,
    figures: Figures,
    /// Why Slurm is not measured.
    absent: Option<String>,
}

impl Rounds {
    fn what(&self, what: &str, unit: &'static str, better: Better) -> What {
        What::new(format!("{PREFIX}{} nodes, {what}", self.size.nodes), unit, better)
    }

    fn add(&mut self, what: &What, side: &'static str, value: f64, others: f64) {
        self.figures.add(what, side, value, others);
        if self.absent.is_some() {
            self.figures.absent(what, SLURM, "NOT RUN");
        }
    }

    /// Facts of ours that have no counterpart.
    fn fact(&mut self, what: &str, unit: &'static str, better: Better, value: f64) {
        let what = self.what(what, unit, better);
        self.figures.add(&what, OURS, value, 0.0);
    }

    async fn ours(&mut self, dir: &Path) -> Result<()> {
        let (nodes, jobs) = (self.size.nodes, self.size.jobs());
        let mut ours = Ours::start(dir, nodes, jobs).await.context("starting ours")?;
        for load in self.size.loads {
            say(&format!("{PREFIX}{}", words(load)));
            let found = ours.measure(load).await.with_context(|| words(load))?;
            self.note(&words(load), &found);
        }
        say(&format!("{PREFIX}{}", arrays()));
        let found = ours.arrays(TASKS, self.size.arrayed).await.context("arrays")?;
        self.note(&arrays(), &found);
        let alone = ours.alone(self.size.alone).await.context("one by one")?;
        self.followed("one by one", &alone, 0.0);
        let without = ours.without_lease()?;
        ensure!(without == 0, "{without} agents lost their leases: what was placed is not known");
        let lines = ours.command_line(LINES).context("the command line")?;
        let what = self.what("`job submit`, process: p50", "ms", Better::Less);
        self.add(&what, OURS, millis(&lines, 50), 0.0);
        let queued = self.size.queued;
        let (bytes, explained) = ours.queue(queued, ASKED).await.context("the queue")?;
        let of = |what: &str| format!("{queued} queued: {what}");
        self.fact(&of("leader's memory for each"), "B", Better::Less, bytes);
        self.fact(&of("explained by a member, p50"), "ms", Better::Less, millis(&explained, 50));
        self.fact(&of("explained by a member, p99"), "ms", Better::Less, millis(&explained, 99));
        let [submitted, placed] = ours.kill(OURS_KILLED).await.context("the leader's death")?;
        self.lost("submissions", OURS, submitted);
        self.lost("placements that were seen", OURS, placed);
        let lost = submitted.1.saturating_add(placed.1);
        ensure!(lost == 0, "{lost} of what was acknowledged is gone");
        Ok(())
    }

    fn lost(&mut self, of: &str, side: &'static str, (acknowledged, lost): (usize, usize)) {
        // Slurm acknowledges a submission with its allocation.
        let what = format!("controller killed under load: acknowledged {of}");
        let (known, gone) = (
            self.what(&what, "1", Better::Neither),
            self.what(&format!("{what}, lost"), "1", Better::Less),
        );
        self.add(&known, side, number(acknowledged), 0.0);
        self.add(&gone, side, number(lost), 0.0);
    }

    fn note(&mut self, name: &str, found: &Found) {
        let Found { sample, jobs, members, wall, followed, spent, agents } = found;
        let (others, seconds) = (spent.others, wall.as_secs_f64());
        let jobs_placed = self.what(&format!("{name}: jobs placed"), "1/s", Better::More);
        self.add(&jobs_placed, OURS, rate(*jobs, *wall), others);
        let members = usize::try_from(*members).unwrap_or(usize::MAX);
        let of = |what: &str| format!("{name}: {what}");
        self.fact(&of("placements"), "1/s", Better::More, rate(members, *wall));
        self.fact(&of("submissions acknowledged"), "1/s", Better::More, sample.rate());
        self.fact(&of("failed calls"), "1", Better::Neither, number_of(sample.failed));
        let cpu = self.what(&of("CPU a job, all members"), "us", Better::Less);
        self.add(&cpu, OURS, micros(spent.members, *jobs), others);
        if !followed.is_empty() {
            self.followed(name, followed, others);
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let share = |cpu: Duration| cpu.as_secs_f64() / seconds / number(cores) * 100.0;
        let all = [spent.members, spent.own, *agents].map(share);
        for (who, share) in ["members", "generator", "agents"].into_iter().zip(all) {
            self.fact(&of(&format!("cores, {who}")), "%", Better::Neither, share);
        }
        let [members, generator, agents] = all.map(short);
        say(&format!(
            "{name}: of {cores} cores members {members} %, generator {generator} %, agents {agents} %"
        ));
    }

    fn followed(&mut self, name: &str, followed: &[Followed], others: f64) {
        let whole: Vec<Duration> = followed.iter().map(|one| one.placed).collect();
        let after = |one: &Followed| one.placed.saturating_sub(one.acknowledged);
        let after: Vec<Duration> = followed.iter().map(after).collect();
        for percent in [50, 99] {
            let of = |what: &str| format!("{name}: {what}, p{percent}");
            let what = self.what(&of("submitted to placed"), "ms", Better::Less);
            self.add(&what, OURS, millis(&whole, percent), others);
            let value = millis(&after, percent);
            self.fact(&of("acknowledged to placed"), "ms", Better::Less, value);
        }
    }

    fn slurm(&mut self, dir: &Path, turn: usize) -> Result<()> {
        let home = tempfile::tempdir_in(dir)?;
        let mut slurm = Slurm::start(home.path()).context("starting Slurm")?;
        let fleet = Fleet::new(SEED, SLURM_NODES)?;
        let shapes = |count: usize| -> Vec<Shape> {
            fleet.jobs().map(|job| job.shape).take(count).collect()
        };
        let [few, many] = self.size.slurm;
        say(&format!("{PREFIX}Slurm, 1 thread"));
        let alone = slurm.allocate(&shapes(few), 1)?;
        say(&format!("{PREFIX}Slurm, {SLURM_THREADS} threads"));
        let together = slurm.allocate(&shapes(many), SLURM_THREADS)?;
        let failed = alone.failed.saturating_add(together.failed);
        if failed > 0 {
            say(&format!("{PREFIX}Slurm granted nothing to {failed} requests"));
        }
        for load in self.size.loads {
            let found = if load.clients == 1 { &alone } else { &together };
            self.note_slurm(load, found);
        }
        // Its own arrays launch processes: beside ours stand its allocations one by one, where it makes most of them.
        let placed = self.what(&format!("{}: jobs placed", arrays()), "1/s", Better::More);
        self.figures.add(&placed, SLURM, rate(together.jobs.len(), together.wall), together.others);
        self.note_calls("one by one", &alone);
        let lines = slurm.command_line(LINES)?;
        let what = self.what("`job submit`, process: p50", "ms", Better::Less);
        self.figures.add(&what, SLURM, millis(&lines, 50), 0.0);
        let one = shapes(1).into_iter().next().context("a job")?;
        let later = SLURM_LATER.saturating_mul(u32::try_from(turn % TIMES)?);
        let lost =
            slurm.kill(SLURM_KILLED.saturating_add(later), &Shape { group: 1, gpus: 1, ..one })?;
        self.lost("submissions", SLURM, (lost.acknowledged, lost.lost));
        Ok(())
    }

    fn note_slurm(&mut self, load: Load, found: &Allocated) {
        let name = words(load);
        let what = self.what(&format!("{name}: jobs placed"), "1/s", Better::More);
        self.figures.add(&what, SLURM, rate(found.jobs.len(), found.wall), found.others);
        let what = self.what(&format!("{name}: CPU a job, all members"), "us", Better::Less);
        self.figures.add(&what, SLURM, micros(found.cpu, found.jobs.len()), found.others);
        // Of 64 jobs in one call it knows nothing that would be alike; a lone client's are told as one by one.
        if load.op == Op::Write && load.clients > 1 {
            self.note_calls(&name, found);
        }
    }

    fn note_calls(&mut self, name: &str, found: &Allocated) {
        for percent in [50, 99] {
            let what = format!("{name}: submitted to placed, p{percent}");
            let what = self.what(&what, "ms", Better::Less);
            self.figures.add(&what, SLURM, millis(&found.latencies, percent), found.others);
        }
    }
}

fn number_of(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn head(asked: &Asked<'_>, rounds: &Rounds) -> Vec<String> {
    let profile = if cfg!(debug_assertions) { "dev (not optimised: no claim)" } else { "release" };
    let mut head = vec![
        format!("{}; {}", SystemClock.wall(), meter::machine_words()),
        format!("build profile {profile}; {} rounds", asked.rounds),
        format!(
            "ours: three members, mutual TLS, a fleet of {} nodes whose agents renew at the leader",
            rounds.size.nodes
        ),
    ];
    head.push(match (&rounds.absent, asked.beside) {
        (Some(why), _) => format!("NOT RUN: Slurm: {why}"),
        (None, true) => format!(
            "{}: one controller, {SLURM_NODES} nodes of 64 slots; 1 thread beside 1 client, else {SLURM_THREADS}",
            slurm::version()
        ),
        (None, false) => "without Slurm".to_owned(),
    });
    head
}

/// Measures placements, prints a table, and puts the figures among the lines in `out`.
///
/// # Errors
/// Something did not start, a load was not placed, or what we acknowledged is gone.
pub(super) fn run(asked: &Asked<'_>, out: Option<&Path>) -> Result<()> {
    let absent = if asked.beside { slurm::missing() } else { None };
    if let Some(why) = &absent {
        say(&format!("NOT RUN: Slurm: {why}"));
    }
    let is_beside = asked.beside && absent.is_none();
    let (size, figures) = (Size::of(asked.short), Figures::default());
    let mut rounds = Rounds { size, figures, absent };
    // One thread, as every client program of this kind has: the members need the cores.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for turn in 0..asked.rounds {
        say(&format!("{PREFIX}round {} of {}", turn.saturating_add(1), asked.rounds));
        let slurm_first = !turn.is_multiple_of(2);
        if is_beside && slurm_first {
            rounds.slurm(asked.dir, turn)?;
        }
        runtime.block_on(rounds.ours(asked.dir))?;
        if is_beside && !slurm_first {
            rounds.slurm(asked.dir, turn)?;
        }
    }
    let head = head(asked, &rounds);
    report::print(&rounds.figures, &head)?;
    match out {
        Some(out) => report::keep(out, PREFIX, &rounds.figures.lines()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_two_thirds_of_its_fleet_and_leaves_room_for_the_kill() {
        for (short, gpus) in [(true, 7_744), (false, 77_440)] {
            let size = Size::of(short);
            let fleet = Fleet::new(SEED, size.nodes).unwrap();
            assert!(fleet.gpus() >= gpus);
            let jobs: u64 = size.loads.iter().map(|load| load.jobs).sum();
            let jobs = usize::try_from(jobs).unwrap();
            let asked: u64 = fleet.jobs().take(jobs).map(|job| job.facts().gpus()).sum();
            let share = asked * 100 / fleet.gpus();
            assert!((40..75).contains(&share), "{share} %");
            assert!(size.jobs() > jobs * 2);
        }
    }

    #[test]
    fn loads_are_told_apart_and_both_sides_meet_in_a_row() {
        let size = Size::of(true);
        let [one, few, many, batch] = size.loads.map(words);
        assert_eq!((one.as_str(), few.as_str()), ("1 client", "64 clients"));
        assert_eq!((many.as_str(), batch.as_str()), ("256 clients", "64 a call, 16 clients"));
        let mut rounds = Rounds { size, figures: Figures::default(), absent: None };
        rounds.lost("submissions", OURS, (900, 0));
        rounds.lost("submissions", SLURM, (500, 499));
        let row = rounds.figures.rows().last().unwrap();
        assert!(row.what.name.ends_with("acknowledged submissions, lost"), "{}", row.what.name);
        assert_eq!((row.values(OURS), row.values(SLURM)), (&[0.0][..], &[499.0][..]));
    }
}
