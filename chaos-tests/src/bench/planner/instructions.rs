//! Instructions of a placement: a fixed workload is planned and applied under callgrind, and each count held to a bound.
//!
//! Must hold: a count is no timing. It is the same however busy the machine is, so one run of each is enough, and what makes a
//! placement dearer is seen though no clock would show it. A count is the difference of two runs, of which one goes a step
//! further: what came before cancels out. Where valgrind is missing: NOT RUN, and an error where CI=true.
//! Says nothing of the processor's own hashing, which valgrind does not have: SHA-256 is counted as a program does it, at
//! many times the instructions.

use super::super::figure::{Better, Figures, OURS, What};
use super::super::{first_line, report, say};
use super::SEED;
use super::drain::{commit, places};
use super::sample::number;
use crate::fleet::{Fleet, submit};
use anyhow::{Context as _, Result, ensure};
use sekisho_scheduler::Planner;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the names of these figures begin with.
pub(in crate::bench) const PREFIX: &str = "instructions, ";
const VALGRIND: &str = "valgrind";
const INSTALL: &str = "apt-get install --no-install-recommends valgrind";
const NODES: u32 = 200;
/// Of one plan: fewer than one may have.
const JOBS: usize = 250;

/// Instructions of planning and of applying one placement: the count of an optimised build (64,411 and 153,679) and a twentieth.
const BOUNDS: [u64; 2] = [67_600, 161_300];

/// How far the workload goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
enum Until {
    /// The jobs are queued, and the planner knows the fleet
    Queued,
    /// They are planned
    Planned,
    /// The plan is applied
    Applied,
}

impl Until {
    fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Planned => "planned",
            Self::Applied => "applied",
        }
    }
}

/// The fixed workload, to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub struct Workload {
    /// How far it goes
    #[arg(long)]
    until: Until,
}

/// Does the workload and prints how many placements were planned.
///
/// # Errors
/// Apply refused something, or standard output is gone.
pub fn work(workload: &Workload) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{}", placed(workload.until)?)?;
    Ok(())
}

fn placed(until: Until) -> Result<usize> {
    let fleet = Fleet::new(SEED, NODES)?;
    let (mut federation, mut planner) = (fleet.federation()?, Planner::default());
    // Builds the index of the fleet.
    drop(planner.plan(&federation.state));
    submit(&mut federation, fleet.jobs().take(JOBS))?;
    if until < Until::Planned {
        return Ok(0);
    }
    let plan = planner.plan(&federation.state);
    let placed = places(&plan.groups);
    if until >= Until::Applied {
        commit(&mut federation, plan)?;
    }
    Ok(placed)
}

/// The line of callgrind's file that has the sum.
fn total(counted: &str) -> Option<u64> {
    counted.lines().find_map(|line| line.strip_prefix("totals:"))?.trim().parse().ok()
}

/// Instructions of the workload so far, and its placements.
fn count(until: Until) -> Result<(u64, u64)> {
    let counted = tempfile::NamedTempFile::new()?;
    let output = Command::new(VALGRIND)
        .args(["--tool=callgrind", "-q"])
        .arg(format!("--callgrind-out-file={}", counted.path().display()))
        .arg(std::env::current_exe()?)
        .args(["instructions-case", "--until", until.word()])
        .stdin(Stdio::null())
        .output()
        .context(VALGRIND)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{VALGRIND}: {}", said.trim());
    let placed = String::from_utf8(output.stdout)?.trim().parse()?;
    let total = total(&std::fs::read_to_string(counted.path())?);
    Ok((total.context("callgrind wrote no sum")?, placed))
}

/// Counts planning and applying, and holds each to its bound.
///
/// # Errors
/// One is above its bound.
pub(in crate::bench) fn gate(out: Option<&Path>) -> Result<()> {
    if first_line(VALGRIND, "--version").is_none() {
        say(&format!("NOT RUN: instructions: valgrind is missing; {INSTALL}"));
        ensure!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "valgrind is missing");
        return Ok(());
    }
    let (queued, _none) = count(Until::Queued)?;
    let (planned, placed) = count(Until::Planned)?;
    let (applied, again) = count(Until::Applied)?;
    ensure!(placed > 0 && placed == again, "{placed} and {again} placements of one workload");
    let each = |more: u64, less: u64| more.saturating_sub(less).checked_div(placed).unwrap_or(0);
    let found = [each(planned, queued), each(applied, planned)];
    let mut figures = Figures::default();
    for ((what, count), bound) in ["planning", "apply"].into_iter().zip(found).zip(BOUNDS) {
        let name = format!("{PREFIX}{NODES} nodes, {JOBS} jobs: {what}, a placement");
        writeln!(std::io::stdout().lock(), "{name}: {count}, at most {bound}")?;
        let count = number(usize::try_from(count)?);
        figures.add(&What::new(name, "instructions", Better::Less), OURS, count, 0.0);
    }
    if let Some(out) = out {
        report::keep(out, PREFIX, &figures.lines())?;
    }
    let above = found.into_iter().zip(BOUNDS).find(|(count, bound)| count > bound);
    ensure!(above.is_none(), "more instructions than the bound: {above:?}");
    Ok(())
}

/// The gate by itself.
///
/// # Errors
/// As there.
pub fn check() -> Result<()> {
    gate(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_types::limit::GROUPS_PER_PLAN_MAX;

    #[test]
    fn the_workload_is_one_plan_and_all_of_it_is_placed() {
        const { assert!(JOBS < GROUPS_PER_PLAN_MAX) };
        assert_eq!(placed(Until::Queued).unwrap(), 0);
        let planned = placed(Until::Planned).unwrap();
        assert!(planned >= JOBS);
        assert_eq!(placed(Until::Applied).unwrap(), planned);
    }

    #[test]
    fn the_sum_is_found() {
        assert_eq!(
            total("events: Ir\n1 2\nsummary: 7\n\ntotals: 1710768901\n"),
            Some(1_710_768_901)
        );
        assert_eq!(total("summary: 7\n"), None);
    }
}
