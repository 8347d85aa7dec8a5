//! The tracer drill: a real federation under real trouble, judged from outside by promises alone.
//!
//! Three controllers of three operators, four agents on simulated devices, more jobs than room. A nemesis draws trouble by
//! a seed: processes killed and stopped, hosts frozen and rebooted, clocks stepped, disks filled, ledgers damaged, leaders
//! killed, cut off and replaced. Meanwhile a thread looks at every process of every job some eighty times a second.
//!
//! Must hold: P1 (one holder of a device at any instant, by the devices' own traces and by `/proc`), P4 (what a lease binds
//! is dead by L + G after the last renewal that was possible), P7 (one instance of each member of a job); and when the
//! trouble is over: L1, P6, Q2, R1, and every device can be had again. A drill in which too little happened fails.
//! It leaves out: another boot id (a reboot here is the death of all processes with the files kept: the kernel stays the
//! same), a process that the kernel cannot kill, and clocks of one host that differ from its own kernel's.

pub mod census;
pub mod clock;
pub mod diary;
pub mod disk;
pub mod fault;
pub mod fleet;
pub mod freezer;
pub mod inject;
pub mod judge;
pub mod ledger;
pub mod limit;
pub mod load;
pub mod members;
mod nemesis;
pub mod observe;
pub mod report;
pub mod scene;
pub mod settle;
pub mod watch;

use crate::federation::Federation;
use crate::partition::{Partition, possible};
use anyhow::{Context as _, Result, ensure};
use diary::Diary;
use fault::Fault;
use fleet::Fleet;
use load::{Book, Load};
use nemesis::Nemesis;
use observe::{Observer, Sights};
use parking_lot::Mutex;
use report::Report;
use scene::Stage;
use sekisho_agent_runtime::device::tracer;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Ports: ten for the relays, ten behind them.
const PORT_BASE: u16 = 27_900;
/// From the port on which a controller is found to the one on which it listens.
const BEHIND: u16 = 10;
/// Before trouble begins every device is to be in use.
const BUSY: usize = 8;

/// What to do.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How long trouble is made
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// What decides all that is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// First of twenty ports
    #[arg(long, default_value_t = PORT_BASE)]
    port_base: u16,
    /// Before the trouble: every order of deaths, a kill at every write of a ledger, clocks beyond what is allowed for
    #[arg(long)]
    scenes: bool,
    /// Only these kinds of trouble, by name, for as long as a failure is looked into
    #[arg(long = "only", value_name = "FAULT", value_parser = named)]
    only: Vec<Fault>,
}

fn named(text: &str) -> Result<Fault, String> {
    let found = Fault::ALL.into_iter().find(|fault| format!("{fault:?}") == text);
    found.ok_or_else(|| format!("one of {:?}", Fault::ALL))
}

impl Options {
    /// The command that does the same again. What the machine does meanwhile is not repeated.
    fn again(&self) -> String {
        let mut only: String = self.only.iter().map(|fault| format!(" --only {fault:?}")).collect();
        if self.scenes {
            only.push_str(" --scenes");
        }
        format!("sekisho-drill host --minutes {} --seed {}{only}", self.minutes, self.seed)
    }
}

/// Runs the drill. Its directory is kept when it fails.
///
/// # Errors
/// A promise did not hold, too little happened, or the federation could not be started.
pub fn run(options: &Options) -> Result<()> {
    let dir = tempfile::Builder::new().prefix("sekisho-host-").tempdir()?;
    let told = drill(options, dir.path());
    let mut out = std::io::stdout().lock();
    let passed = match &told {
        Ok(report) => {
            write!(out, "{report}")?;
            report.passed()
        }
        Err(_error) => false,
    };
    if !passed {
        writeln!(out, "kept: {}\nagain: {}", dir.keep().display(), options.again())?;
    }
    ensure!(told?.passed(), "a promise did not hold, or too little happened");
    Ok(())
}

/// A federation behind relays, with one tenant that may use all of it.
///
/// # Errors
/// It does not become ready.
pub fn federation(dir: &Path, port_base: u16) -> Result<(Fleet, Partition)> {
    possible().map_err(|reason| anyhow::anyhow!(reason))?;
    let behind = port_base.checked_add(BEHIND).context("needs twenty ports")?;
    let partition = Partition::stand(dir, port_base, behind)?;
    let federation = Federation::start_behind(dir, port_base, behind)?;
    for args in [
        &["tenant", "update", "sapporo", "--policy", "domestic"][..],
        &["quota", "set", "sapporo", "sim-h100", "unlimited"],
    ] {
        federation.run("kanto", &[args, &["--cosign", "naniwa"]].concat())?.ok()?;
    }
    Ok((Fleet::take_over(federation)?, partition))
}

fn drill(options: &Options, dir: &Path) -> Result<Report> {
    let diary = Diary::at(&dir.join("drill.log"))?;
    // Nothing else may lie where a federation is made.
    let own = dir.join("federation");
    std::fs::create_dir(&own)?;
    let (mut fleet, partition) = federation(&own, options.port_base)?;
    if options.scenes {
        scenes(Stage { fleet: &fleet, partition: &partition, diary: &diary })?;
    }
    let book = Arc::new(Mutex::new(Book::default()));
    let sights = Arc::new(Mutex::new(Sights::default()));
    let load = Load::begin(&fleet.federation, options.seed, &book)?;
    let observer = Observer::begin(&fleet.federation, &sights)?;
    fleet.federation.until("devices to be in use", || {
        let running = fleet.board.judge.lock().started.len();
        ensure!(running >= BUSY, "{running} started");
        Ok(())
    })?;
    let mut report = Report { seed: options.seed, minutes: options.minutes, ..Report::default() };
    let mut nemesis = Nemesis::new(&fleet, &partition, &diary, options.seed, &options.only);
    let troubled = nemesis.trouble(options.minutes, &mut report);
    drop((load, observer));
    partition.heal();
    diary.note("quiet");
    // Watched to its end: what converges must not break a promise either.
    let settled = troubled.and_then(|()| settle::settle(&fleet, &book));
    fleet.unwatch()?;
    finish(&mut report, &fleet, &partition, &book, &sights)?;
    if let Err(error) = settled {
        diary.note(&format!("not settled: {error:#}"));
        report.violations.push(nemesis::short(&error));
    }
    Ok(report)
}

/// All that has a fixed order.
fn scenes(stage: Stage<'_>) -> Result<()> {
    stage.die(&scene::orders())?;
    let [first, second, third] = scene::BOUND_TO;
    stage.stand_still(|| stage.damaged(third.0))?;
    if stage.fleet.disk(second.0).is_some() {
        stage.full(second)?;
        stage.hoard(second)?;
    }
    stage.leaderless(first)?;
    let kills = ledger::at_every_write(&stage, third)?;
    stage.diary.note(&format!("{kills} kills at writes of a ledger"));
    stage.beyond()?;
    stage.fleet.ready()
}

fn finish(
    report: &mut Report,
    fleet: &Fleet,
    partition: &Partition,
    book: &Mutex<Book>,
    sights: &Mutex<Sights>,
) -> Result<()> {
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    for host in &fleet.hosts {
        let overlaps = tracer::check(&host.devices)?;
        report.overlaps = report.overlaps.saturating_add(count(overlaps.len()));
        report
            .violations
            .extend(overlaps.iter().map(|found| format!("P1 {}: {found:?}", host.node)));
    }
    {
        let judge = fleet.board.judge.lock();
        report.violations.extend(judge.violations.iter().cloned());
        report.starts = count(judge.started.len());
        report.longest = judge.longest().cloned();
        report.after_thaw_ns = judge.after_thaw_ns;
    }
    report.looks = *fleet.board.looks.lock();
    report.cuts = partition.met();
    let book = book.lock();
    (report.jobs, report.cancelled) = (count(book.acknowledged.len()), book.cancelled);
    let sights = sights.lock();
    (report.lost, report.leaders) = (sights.lost, sights.leaders);
    Ok(())
}
