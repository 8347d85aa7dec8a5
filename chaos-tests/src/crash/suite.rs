//! The drills as commands: one line repeats what a test found, and `all` is the long form.

use super::campaign::Campaign;
use super::plan::{Cut, Planted};
use super::{damage, disk, fault};
use anyhow::{Context as _, Result, bail, ensure};
use clap::{Subcommand, ValueEnum as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Of the long form's cuts, one in so many more is made by a failing disk.
const FAILING: u64 = 5;
/// Cuts within which a planted fault must be found.
pub const PLANTED_CUTS: u64 = 250;

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Drill {
    /// Cut a member's power at random disk calls and look at what is left
    Cuts {
        /// Seed of the first disk
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Cuts in all, 25 to a disk
        #[arg(long, default_value_t = 200)]
        cuts: u64,
        /// Ways to cut; all that end the process if left out
        #[arg(long, value_enum, value_delimiter = ',')]
        ways: Vec<Cut>,
        /// Plant this fault; the drill then has to fail
        #[arg(long, value_enum)]
        planted: Option<Planted>,
    },
    /// Damage files of a member that has stopped and look whether it notices
    Damage {
        /// Seed of the first case
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Cases in all
        #[arg(long, default_value_t = 400)]
        cases: u64,
    },
    /// A full disk, a read-only one, and a file system that gives up
    Disk,
    /// Everything, from seeds that were never used before
    All {
        /// Cuts in all
        #[arg(long, default_value_t = 1000)]
        cuts: u64,
    },
}

/// Ways that lose power between calls: what a planted fault shows itself under, and nothing else.
pub const CLEAN: [Cut; 2] = [Cut::Before, Cut::After];

/// A campaign on as many disks at a time as there are processors.
#[must_use]
pub fn campaign(
    program: &Path,
    seed: u64,
    cuts: u64,
    ways: &[Cut],
    planted: Option<Planted>,
) -> Campaign {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Campaign { program: program.to_path_buf(), seed, cuts, ways: ways.to_vec(), planted, threads }
}

/// Does it and says what came out.
///
/// # Errors
/// A violation, or the machine lacks what it takes.
pub fn run(drill: &Drill) -> Result<()> {
    let program = program()?;
    match drill {
        Drill::Cuts { seed, cuts, ways, planted } => {
            let ways = if ways.is_empty() { &Cut::ENDS } else { ways.as_slice() };
            say(&campaign(&program, *seed, *cuts, ways, *planted).run()?)
        }
        Drill::Damage { seed, cases } => damaged(&program, *seed, *cases),
        Drill::Disk => failing(&program),
        Drill::All { cuts } => all(&program, *cuts),
    }
}

/// The member program beside this one.
fn program() -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("sekisho-crash");
    ensure!(program.is_file(), "{} is not built", program.display());
    Ok(program)
}

fn say(what: &dyn std::fmt::Display) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{what}")?)
}

fn damaged(program: &Path, seed: u64, cases: u64) -> Result<()> {
    let report = damage::sweep(program, seed, cases)?;
    say(&report)?;
    ensure!(report.violations.is_empty(), "{} cases were not handled", report.violations.len());
    Ok(())
}

fn failing(program: &Path) -> Result<()> {
    for (name, why) in [
        ("a full disk", fault::full(program)),
        ("a read-only disk", fault::read_only(program)),
        ("a file system that gives up", fault::aborted(program)),
    ] {
        let why = why.context(name)?;
        say(&format!("{name}: {}; {}", why.text, why.remedy))?;
    }
    Ok(())
}

fn all(program: &Path, cuts: u64) -> Result<()> {
    if let Some(missing) = disk::missing() {
        bail!(missing);
    }
    let seed = u64::from(rand::random::<u32>());
    let begun = tokio::time::Instant::now();
    let report = campaign(program, seed, cuts, &Cut::ENDS, None).run()?;
    let took = begun.elapsed().as_secs_f64();
    say(&format!("{report}, {took:.0} s"))?;
    say(&campaign(program, seed, cuts.div_ceil(FAILING), &Cut::FAILURES, None).run()?)?;
    failing(program)?;
    damaged(program, seed, cuts)?;
    for planted in Planted::value_variants() {
        let found = campaign(program, seed, PLANTED_CUTS, &CLEAN, Some(*planted)).run();
        let Err(found) = found else {
            bail!("{planted}: planted and not found in {PLANTED_CUTS} cuts, seed {seed}")
        };
        let first = format!("{found:#}");
        say(&format!("{planted}: found: {}", first.lines().next().unwrap_or_default()))?;
    }
    Ok(())
}
