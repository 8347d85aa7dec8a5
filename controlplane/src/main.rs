//! `sekisho-controller`.
#![expect(
    clippy::print_stderr,
    reason = "what goes wrong before the log stands, and at the very end"
)]

use anyhow::{Context as _, Result};
use clap::Parser;
use sekisho_controlplane::config::Config;
use sekisho_controlplane::startup;
use sekisho_transport::task::TaskGroup;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Commands are many small, short-lived pieces of memory, freed on other threads than they were taken on; the system's
/// allocator locks there. RocksDB keeps the system's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// For running calls and the last write, before the process ends anyway.
const GRACE: Duration = Duration::from_secs(5);

/// A member of a Sekisho federation.
#[derive(Debug, Parser)]
#[command(name = "sekisho-controller", version)]
struct Args {
    /// Configuration file (TOML)
    #[arg(long)]
    config: PathBuf,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(error) => return fail(&error.into()),
    };
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new(&config.log));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.context("the async runtime").and_then(|runtime| runtime.block_on(run(&config))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("sekisho-controller: {error:#}");
    ExitCode::FAILURE
}

async fn run(config: &Config) -> Result<()> {
    let tasks = TaskGroup::new();
    let controller = startup::start(config, &tasks).await?;
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let failed = tokio::select! {
        _ = term.recv() => None,
        _ = interrupt.recv() => None,
        failure = controller.consensus.failed() => Some(failure.to_string()),
        () = tasks.cancelled() => tasks.failed().map(|task| format!("task {task} ended")),
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
