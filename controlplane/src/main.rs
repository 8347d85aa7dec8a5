//! `sekisho-controller`.
#![expect(
    clippy::print_stderr,
    reason = "what goes wrong before the log stands, and at the very end"
)]

use anyhow::{Context as _, Result};
use clap::Parser;
use sekisho_controlplane::config::{Config, LandmarkAlone};
use sekisho_controlplane::landmark::alone;
use sekisho_controlplane::{doctor, found, offline, startup};
use sekisho_doctor::args::{AFTER_HELP, DoctorArgs};
use sekisho_transport::clock::SystemClock;
use sekisho_transport::task::TaskGroup;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Commands are many small, short-lived pieces of memory, freed on other threads than they were taken on; the system's
/// allocator locks there. RocksDB keeps the system's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Number of the allocator's option `purge_delay` in the pinned `mimalloc.h`: after so many milliseconds everything that is free
/// goes back to the system, what was freed last, too.
const PURGE_DELAY: std::ffi::c_int = 15;
/// Under load each batch takes megabytes and gives them back. With the allocator's own second of delay the kernel clears
/// the same pages again and again: a tenth of a member's time. What a burst took is still given back.
const PURGE_DELAY_MS: std::ffi::c_long = 10_000;

/// For running calls and the last write, before the process ends anyway.
const GRACE: Duration = Duration::from_secs(5);

/// A member of a Sekisho federation.
#[derive(Debug, Parser)]
#[command(name = "sekisho-controller", version)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Args {
    /// Configuration file (TOML); without a command the member runs
    #[arg(long, required = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Offline>,
}

/// What is done to a member that does not run, and what is asked about one.
#[derive(Debug, clap::Subcommand)]
enum Offline {
    /// Write a backup of this stopped member, sealed to the operators
    Save {
        /// Its configuration file
        #[arg(long)]
        config: PathBuf,
        /// File to write; must not exist
        #[arg(long)]
        out: PathBuf,
    },
    /// Set up the directory of a founder of a new incarnation, from the backup that the operators agreed on
    Found {
        /// Its configuration file, whose `package` opens the incarnation
        #[arg(long)]
        config: PathBuf,
        /// The backup
        #[arg(long)]
        snapshot: PathBuf,
        /// Secret half of one of the backup keys: backup.key of an operator's directory
        #[arg(long)]
        identity: PathBuf,
    },
    /// Say what is wrong with this member and its machine, and what to do about it; it may run
    #[command(after_help = AFTER_HELP)]
    Doctor(DoctorArgs),
    /// Run a landmark and nothing else of a controller: it asks those of its operator who may be measured
    Landmark {
        /// Configuration file (TOML) of the landmark
        #[arg(long)]
        config: PathBuf,
    },
    /// Have this stopped member never start again, because its incarnation is over
    Retire {
        /// Its configuration file
        #[arg(long)]
        config: PathBuf,
        /// The package that opens the incarnation after it
        #[arg(long)]
        package: PathBuf,
    },
}

impl Offline {
    fn config(&self) -> &Path {
        match self {
            Self::Save { config, .. }
            | Self::Found { config, .. }
            | Self::Retire { config, .. }
            | Self::Landmark { config }
            | Self::Doctor(DoctorArgs { config, .. }) => config,
        }
    }

    fn run(&self, config: &Config) -> Result<()> {
        match self {
            // Answered before the settings are read: the one tells what is wrong with them, the other has its own.
            Self::Doctor(_) | Self::Landmark { .. } => {}
            Self::Save { out, .. } => {
                let saved = offline::save(config, out)?;
                let (last, records) = (saved.last, saved.records);
                tracing::info!(out = %out.display(), last, records, "backup written");
            }
            Self::Found { snapshot, identity, .. } => {
                let head = found::set_up(config, snapshot, identity)?;
                tracing::info!(records = head.size, root = %head.root, "set up: start this member now");
            }
            Self::Retire { package, .. } => {
                let incarnation = found::retire(config, package)?;
                tracing::info!(incarnation, "retired: this member never starts again");
            }
        }
        Ok(())
    }
}

/// Lets the allocator keep what is freed for a while, unless the environment says for how long (`MIMALLOC_PURGE_DELAY`).
fn keep_freed() {
    // SAFETY: it stores a number in a table of the allocator's, from the first thread, and checks the option's number.
    #[expect(unsafe_code, reason = "there is no safe wrapper for the allocator's options")]
    unsafe {
        libmimalloc_sys::mi_option_set_default(PURGE_DELAY, PURGE_DELAY_MS);
    }
}

fn main() -> ExitCode {
    keep_freed();
    let args = Args::parse();
    if let Some(Offline::Doctor(doctor)) = &args.command {
        return diagnose(doctor).unwrap_or_else(|error| fail(&error));
    }
    if let Some(Offline::Landmark { config }) = &args.command {
        return match landmark(config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        };
    }
    let path = args.command.as_ref().map(Offline::config).or(args.config.as_deref());
    let Some(path) = path else { return fail(&anyhow::anyhow!("--config is missing")) };
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => return fail(&error.into()),
    };
    log(&config.log);
    if let Some(command) = args.command {
        return match command.run(&config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        };
    }
    match threads().and_then(|runtime| runtime.block_on(run(&config))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn log(filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new(filter));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}

fn threads() -> Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("the async runtime")
}

/// A landmark apart from a controller, until it is told to end.
fn landmark(path: &Path) -> Result<()> {
    let config = LandmarkAlone::load(path)?;
    log(&config.log);
    threads()?.block_on(async {
        let tasks = TaskGroup::new();
        alone::start(&config, &tasks).await?;
        let failed = told_to_end(&tasks).await?;
        tracing::info!(failure = ?failed, "stopping");
        tasks.shutdown(GRACE).await;
        failed.map_or(Ok(()), |why| Err(anyhow::anyhow!(why)))
    })
}

/// Until a signal comes, or a task without which nothing goes on has ended.
async fn told_to_end(tasks: &TaskGroup) -> Result<Option<String>> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = term.recv() => None,
        _ = interrupt.recv() => None,
        () = tasks.cancelled() => tasks.failed().map(|task| format!("task {task} ended")),
    })
}

/// One thread: it waits for others, and each look has one of its own, which is left behind if it hangs.
fn diagnose(args: &DoctorArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(doctor::examine(args, Arc::new(SystemClock)));
    runtime.shutdown_background();
    Ok(args.tell(&report))
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("sekisho-controller: {error:#}");
    ExitCode::FAILURE
}

async fn run(config: &Config) -> Result<()> {
    let tasks = TaskGroup::new();
    let controller = startup::start(config, &tasks).await?;
    let failed = tokio::select! {
        told = told_to_end(&tasks) => told?,
        failure = controller.consensus.failed() => Some(failure.to_string()),
    };
    tracing::info!(failure = ?failed, "stopping");
    controller.consensus.shutdown().await;
    tasks.shutdown(GRACE).await;
    match failed {
        None => Ok(()),
        // R7: a member that cannot trust itself stops, and says why.
        Some(why) => Err(anyhow::anyhow!(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn it_runs_by_its_settings_alone_or_saves_a_member_that_does_not_run() {
        Args::command().debug_assert();
        let parse =
            |words: &[&str]| Args::try_parse_from([&["sekisho-controller"], words].concat());
        let runs = parse(&["--config", "c.toml"]).unwrap();
        assert!(runs.command.is_none() && runs.config.is_some());
        let saves = parse(&["save", "--config", "c.toml", "--out", "backup.age"]).unwrap();
        assert!(matches!(saves.command, Some(Offline::Save { .. })));
        let founds =
            ["found", "--config", "c.toml", "--snapshot", "b.age", "--identity", "backup.key"];
        assert!(matches!(parse(&founds).unwrap().command, Some(Offline::Found { .. })));
        let apart = parse(&["landmark", "--config", "l.toml"]).unwrap();
        assert!(matches!(apart.command, Some(Offline::Landmark { .. })));
        for bad in [
            &[][..],
            &["save", "--config", "c.toml"],
            &["save", "--out", "x"],
            &["found"],
            &["landmark"],
        ] {
            parse(bad).unwrap_err();
        }
    }

    #[test]
    #[expect(unsafe_code, reason = "there is no safe wrapper for the allocator's options")]
    fn the_number_is_still_that_of_the_option() {
        // SAFETY: reads a number from a table of the allocator's.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(delay(), 1000, "the default of the pinned allocator: another option now?");
        keep_freed();
        assert_eq!(delay(), PURGE_DELAY_MS);
    }
}
