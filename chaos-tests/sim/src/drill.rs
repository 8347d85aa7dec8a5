//! `sekisho-drill sim`: seeds on the command line, and one line that brings a failure back.

use super::plan::{Bug, Plan};
use super::report::{Report, Sweep};
use super::run::run as simulate;
use super::sweep::sweep;
use std::fmt::Write as _;
use std::io::Write as _;

/// What to simulate.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How many seeds; one, and its trace, if only --seed is given
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed
    #[arg(long)]
    seed: Option<u64>,
    /// Members; some seeds have 3, some 5
    #[arg(long, value_parser = ["3", "5"])]
    members: Option<String>,
    /// A defect to put in, to see it found
    #[arg(long, value_parser = Bug::ALL.map(Bug::name))]
    bug: Option<String>,
}

impl Options {
    fn plan(&self, whole_trace: bool) -> Plan {
        let members = self.members.as_deref().and_then(|members| members.parse().ok());
        let bug = self.bug.as_deref().and_then(Bug::named);
        Plan { members, bug, whole_trace }
    }

    /// The command that runs this seed again.
    fn again(&self, seed: u64) -> String {
        let mut line = format!("sekisho-drill sim --seed {seed}");
        for (name, value) in [("members", &self.members), ("bug", &self.bug)] {
            if let Some(value) = value {
                // Writing to a String cannot fail.
                write!(line, " --{name} {value}").unwrap_or_default();
            }
        }
        line
    }
}

/// Seeds of a run that names none.
const SEEDS: u64 = 1000;

/// Runs the seeds.
///
/// # Errors
/// A promise did not hold; nowhere to write to.
pub fn run(options: &Options) -> anyhow::Result<()> {
    match (options.seed, options.seeds) {
        (Some(seed), None) => one(options, seed, true),
        (seed, Some(1)) => one(options, seed.unwrap_or(1), false),
        (seed, seeds) => many(options, seed.unwrap_or(1), seeds.unwrap_or(SEEDS)),
    }
}

fn one(options: &Options, seed: u64, whole_trace: bool) -> anyhow::Result<()> {
    let report = simulate(seed, options.plan(whole_trace));
    let mut out = std::io::stdout().lock();
    if whole_trace {
        report.trace.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    }
    tell(&mut out, options, &report)?;
    writeln!(out, "{:?}", report.totals)?;
    writeln!(
        out,
        "seed {seed}, {} members, {:.3} s, trace {:016x}",
        report.members,
        report.lasted.as_secs_f64(),
        report.trace_hash
    )?;
    anyhow::ensure!(report.passed(), "a promise did not hold");
    Ok(())
}

fn tell(out: &mut impl std::io::Write, options: &Options, report: &Report) -> std::io::Result<()> {
    for violation in &report.violations {
        writeln!(out, "seed {}: {violation}", report.seed)?;
    }
    if !report.passed() {
        writeln!(out, "again: {}", options.again(report.seed))?;
    }
    Ok(())
}

fn many(options: &Options, first: u64, seeds: u64) -> anyhow::Result<()> {
    let Sweep { runs, totals, lasted, failed } = sweep(first, seeds, options.plan(false))?;
    let mut out = std::io::stdout().lock();
    for report in &failed {
        tell(&mut out, options, report)?;
    }
    writeln!(out, "{totals:?}")?;
    let hours = lasted.as_secs_f64() / 3600.0;
    writeln!(out, "{runs} seeds from {first} on, {hours:.1} virtual hours")?;
    anyhow::ensure!(failed.is_empty(), "a promise did not hold in {} or more seeds", failed.len());
    Ok(())
}
