//! `make bench`: Sekisho beside its peers on this machine, in one run, through one load generator.
//!
//! Must hold: both sides have three members, sync before they acknowledge, and speak TLS (ZooKeeper does not, and every
//! table says so); the generator reaches loopback only; what is claimed is a ratio with its spread, not a number.
//! `docs/bench/README.md` says how to read it. The planner is measured by itself (`planner.rs`), placements through the whole
//! beside Slurm, which is too much of a neighbour for the others (`placement.rs`); agents are not.

pub(crate) mod cluster;
mod curve;
mod etcd;
mod fault;
mod figure;
mod load;
pub(crate) mod meter;
mod placement;
mod planner;
mod plot;
mod process;
mod profile;
mod proof;
mod report;
mod scale;
pub(crate) mod sekisho;
mod slurm;
mod suite;
mod zookeeper;

pub use planner::instructions::{Workload, check as check_instructions, work as do_workload};
pub use planner::{Case as PlannerCase, measure as measure_planner};

use anyhow::{Context as _, Result, ensure};
use cluster::{RequestBytes, Timing};
use figure::{Better, What};
use sekisho_transport::clock::SystemClock;
use sekisho_types::time::Clock as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use suite::{Side, Suite};
use tokio::time::Instant;

/// Bytes of one append to the disk: about what one command takes in the log, with its envelope.
const APPEND: usize = 2304;
/// Fewer rounds than this are a look, not a measurement.
const CLAIM: usize = 5;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Rates, latencies and CPU
    Load,
    /// Syncs for each acknowledged write
    Proof,
    /// Memory, and all members killed and started again
    Restart,
    /// The leader killed and frozen
    Faults,
    /// Plans and explanations on large fleets; beside nobody
    Planner,
    /// Jobs from their submission to their places, through three members
    Placement,
    /// The same beside Slurm, whose controller is killed, too
    Slurm,
    /// Instructions of a placement, held to a bound
    Instructions,
}

/// What runs beside etcd and ZooKeeper. The others by themselves replace their own figures alone.
const BESIDE: [Part; 4] = [Part::Load, Part::Proof, Part::Restart, Part::Faults];

/// Beside whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Peer {
    /// Debian's etcd-server
    Etcd,
    /// Debian's zookeeper, in plain text
    Zookeeper,
}

/// Settings of a run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Interleaved rounds of everything but faults; the median is reported
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Rounds of each fault and timing profile
    #[arg(long, default_value_t = 30)]
    faults: usize,
    /// Timing profiles of the faults; both if left out
    #[arg(long, value_delimiter = ',')]
    timings: Vec<Timing>,
    /// Seconds of one measurement
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Writes before memory and restart are measured
    #[arg(long, default_value_t = 20_000)]
    records: u64,
    /// One round of a second, two of each fault, 2000 records: to see that it works
    #[arg(long)]
    short: bool,
    /// What to measure; everything if left out
    #[arg(long, value_delimiter = ',')]
    parts: Vec<Part>,
    /// Beside whom; whoever is installed if left out
    #[arg(long, value_delimiter = ',')]
    peers: Vec<Peer>,
    /// Sample where the members' CPU time goes
    #[arg(long)]
    profile: bool,
    /// Folder whose README.md, latest.jsonl and plots are replaced
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where the data lie; not a file system in memory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// [`Options`] with `short` worked in.
#[derive(Debug, Clone, Default)]
struct Plan {
    rounds: usize,
    faults: usize,
    time: Duration,
    records: u64,
    timings: Vec<Timing>,
    profile: bool,
}

impl Options {
    fn plan(&self) -> Plan {
        let cut = |long: u64, short: u64| if self.short { long.min(short) } else { long };
        let count = |long: usize, short: usize| if self.short { long.min(short) } else { long };
        Plan {
            rounds: count(self.rounds, 1),
            faults: if self.has(Part::Faults) { count(self.faults, 2) } else { 0 },
            time: Duration::from_secs(cut(self.seconds, 1).max(1)),
            records: cut(self.records, 2000).max(1),
            timings: match self.timings.as_slice() {
                [] => vec![Timing::Lan, Timing::Wan],
                some => some.to_vec(),
            },
            profile: self.profile,
        }
    }

    fn has(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    /// Ours and the peers that were asked for, or that are installed.
    fn sides(&self) -> Result<Vec<Side>> {
        let mut sides = vec![Side::Sekisho];
        for (peer, side) in [(Peer::Etcd, Side::Etcd), (Peer::Zookeeper, Side::Zookeeper)] {
            let is_there = is_installed(peer);
            ensure!(is_there || !self.peers.contains(&peer), "{peer:?} is not installed");
            if is_there && (self.peers.is_empty() || self.peers.contains(&peer)) {
                sides.push(side);
            } else if self.peers.is_empty() {
                say(&format!("{peer:?} is not installed: no comparison with it"));
            }
        }
        Ok(sides)
    }
}

fn is_installed(peer: Peer) -> bool {
    match peer {
        Peer::Etcd => first_line(etcd::PROGRAM, "--version").is_some(),
        Peer::Zookeeper => {
            Path::new(zookeeper::LIBRARY).exists()
                && first_line(zookeeper::PROGRAM, "-version").is_some()
        }
    }
}

fn first_line(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let all = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&all).lines().next().map(str::to_owned)
}

/// Progress, for whoever waits; the result goes to standard output.
fn say(text: &str) {
    // Nobody listening is no reason to stop.
    writeln!(std::io::stderr(), "bench: {text}").unwrap_or_default();
}

/// Durable appends to one file, one after the other, a second: what the disk itself can do.
fn disk(dir: &Path, time: Duration) -> Result<f64> {
    let path = dir.join("bench.append");
    let mut file = std::fs::File::create(&path)?;
    let (begun, mut appends) = (Instant::now(), 0_u32);
    while begun.elapsed() < time {
        file.write_all(&[0x5e; APPEND])?;
        file.sync_data()?;
        appends = appends.saturating_add(1);
    }
    let wall = begun.elapsed();
    std::fs::remove_file(path)?;
    Ok(f64::from(appends) / wall.as_secs_f64())
}

fn head(plan: &Plan, suite: &Suite<'_>, load_before: f64) -> Vec<String> {
    let profile = if cfg!(debug_assertions) { "dev (not optimised: no claim)" } else { "release" };
    let claim = if plan.rounds < CLAIM { ", too few to claim anything" } else { "" };
    let RequestBytes { write, batch } = suite.request_bytes();
    let mut head = vec![
        format!("{}; {}", SystemClock.wall(), meter::machine_words()),
        format!(
            "load average {} before, {} after; the last column says how many cores others kept busy",
            figure::short(load_before),
            figure::short(meter::load_average())
        ),
        format!(
            "build profile {profile}; {} rounds of {:?}{claim}; {} rounds of each fault",
            plan.rounds, plan.time, plan.faults
        ),
        format!(
            "three members a side; {write} bytes a write request (command with its signature; key and value), {batch} \
             for each of the 64 in a call"
        ),
    ];
    for peer in [Peer::Etcd, Peer::Zookeeper].into_iter().filter(|peer| is_installed(*peer)) {
        head.push(match peer {
            Peer::Etcd => {
                format!(
                    "{}, mutual TLS",
                    first_line(etcd::PROGRAM, "--version").unwrap_or_default()
                )
            }
            Peer::Zookeeper => format!(
                "ZooKeeper, plaintext, on {}",
                first_line(zookeeper::PROGRAM, "-version").unwrap_or_default()
            ),
        });
    }
    head
}

/// The folder for the data, on a disk.
fn folder(options: &Options, scratch: &Path) -> Result<PathBuf> {
    let dir = options.data.as_deref().unwrap_or(scratch);
    std::fs::create_dir_all(dir)?;
    let dir = dir.canonicalize()?;
    ensure!(
        !meter::is_memory(&dir)?,
        "{} is in memory, where a sync costs nothing: choose a disk with --data",
        dir.display()
    );
    Ok(dir)
}

/// Runs every measurement that was asked for, prints the tables and writes the pages.
///
/// # Errors
/// A cluster did not start, nothing was acknowledged, or something acknowledged was lost: such a run measures nothing. Or a
/// placement takes more instructions than it may.
pub fn run(options: &Options, scratch: &Path) -> Result<()> {
    let out = options.out.as_deref();
    // Now, and not after half an hour of measuring.
    if let Some(out) = out {
        std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    }
    if BESIDE.into_iter().any(|part| options.has(part)) {
        beside(options, &folder(options, scratch)?)?;
    }
    if options.has(Part::Planner) {
        planner::run(options.short, out)?;
    }
    let beside = options.has(Part::Slurm);
    if beside || options.has(Part::Placement) {
        let (dir, rounds) = (folder(options, scratch)?, options.plan().rounds);
        let asked = placement::Asked { short: options.short, rounds, dir: &dir, beside };
        placement::run(&asked, out).context("placement")?;
    }
    // Last: what it refuses is measured all the same.
    let within = if options.has(Part::Instructions) {
        planner::instructions::gate(out).context("instructions")
    } else {
        Ok(())
    };
    if let Some(out) = out {
        scale::save(out)?;
    }
    within
}

/// The measurements beside etcd and ZooKeeper, in turns.
fn beside(options: &Options, dir: &Path) -> Result<()> {
    let (plan, load_before) = (options.plan(), meter::load_average());
    let mut suite = Suite::new(&plan, dir, options.sides()?);
    let appends = What::new("disk: durable appends of 2304 bytes", "1/s", Better::Neither);
    for _round in 0..plan.rounds {
        suite.figures.add(&appends, figure::OURS, disk(dir, plan.time)?, 0.0);
    }
    // One thread, as every client program of this kind has: the members need the cores.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        if options.has(Part::Proof) {
            suite.proof().await.context("proof")?;
        }
        if options.has(Part::Load) {
            suite.load().await.context("load")?;
        }
        if options.has(Part::Restart) {
            suite.restart().await.context("restart")?;
        }
        if options.has(Part::Faults) {
            suite.faults().await.context("faults")?;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    let head = head(&plan, &suite, load_before);
    report::print(&suite.figures, &head)?;
    match &options.out {
        Some(out) => report::save(out, &suite.figures, &head),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        options: Options,
    }

    fn options(arguments: &[&str]) -> Options {
        let all = std::iter::once(&"bench").chain(arguments);
        Arguments::try_parse_from(all).unwrap().options
    }

    #[test]
    fn the_full_form_may_claim_and_the_short_one_may_not() {
        let full = options(&[]);
        assert!(full.plan().rounds >= CLAIM && full.plan().faults == 30);
        assert!(full.has(Part::Load) && full.has(Part::Faults));
        let short = options(&["--short", "--parts", "proof,load"]);
        assert!(short.plan().rounds < CLAIM && short.plan().records == 2000);
        assert!(short.has(Part::Proof) && !short.has(Part::Faults) && !short.has(Part::Planner));
        let alone = options(&["--parts", "placement,slurm"]);
        assert!(!BESIDE.into_iter().any(|part| alone.has(part)) && alone.has(Part::Slurm));
        assert_eq!(options(&["--seconds", "0"]).plan().time, Duration::from_secs(1));
    }

    #[test]
    fn the_disk_is_asked_and_memory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(disk(dir.path(), Duration::from_millis(50)).unwrap() > 0.0);
        assert!(!dir.path().join("bench.append").exists());
        let shm = Path::new("/dev/shm");
        if shm.exists() && meter::is_memory(shm).unwrap() {
            let error = run(&options(&["--data", "/dev/shm"]), dir.path()).unwrap_err();
            assert!(error.to_string().contains("in memory"), "{error}");
        }
    }
}
