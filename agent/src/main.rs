//! `sekisho-agent`: joins this host to a federation and runs its jobs. All of it is in the library.

use clap::{Parser, Subcommand};
use sekisho_agent::agent::{Agent, End, accept};
use sekisho_agent::config::Config;
use sekisho_agent::doctor::{Examined, examine};
use sekisho_agent::enrolment::Enrolment;
use sekisho_agent::failure::Failure;
use sekisho_agent::host::lock;
use sekisho_agent::join::{join, read_token};
use sekisho_agent::watch::watch;
use sekisho_agent_runtime::shim::{self, ShimCommand};
use sekisho_doctor::args::{AFTER_HELP, DoctorArgs};
use sekisho_transport::clock::SystemClock;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::time::Clock;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Threads of the asynchronous runtime: one for the main loop, one that is free when a step writes.
const THREADS: usize = 2;

#[derive(Debug, Parser)]
#[command(name = "sekisho-agent", version, about = "Agent of a GPU host in a Sekisho federation")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Join a federation with a token
    Join {
        /// File of the join token; `-` reads standard input
        #[arg(long, alias = "token", value_name = "FILE")]
        token_file: PathBuf,
        /// Settings
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Take a trust package from a file: for a host that was away while a company replaced its root
    Accept {
        /// What `sekisho member package` wrote
        file: PathBuf,
        /// Settings
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Run; joins first if the settings name a token and the host has not joined. SIGTERM ends the agent and lets its jobs run
    /// on for the next start; SIGINT (Ctrl-C) stops them first
    Run {
        /// Settings
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Say what is wrong with this host, and what to do about it
    #[command(after_help = AFTER_HELP)]
    Doctor(DoctorArgs),
    /// Watch beside the agent, as a service of its own: kill what the lease bound once its time has passed, whatever became of
    /// the agent
    Watchdog {
        /// The agent's settings
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    // Before anything else: a shim may have no other thread.
    if arguments.next().as_deref() == Some(OsStr::new("shim")) {
        return shim::main(arguments);
    }
    let arguments = Arguments::parse();
    if let Verb::Doctor(doctor) = &arguments.verb {
        return diagnose(doctor).unwrap_or_else(|failure| failure.report());
    }
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// One thread: it waits for others, and each look has one of its own, which is left behind if it hangs.
fn diagnose(arguments: &DoctorArgs) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::host("cannot start the runtime", &error))?;
    let with = Examined { shim: ShimCommand::of_agent(), clock: Arc::new(SystemClock) };
    let report = runtime.block_on(examine(arguments, &with));
    runtime.shutdown_background();
    Ok(arguments.tell(&report))
}

fn start(arguments: Arguments) -> Result<(), Failure> {
    let (Verb::Join { config, .. }
    | Verb::Run { config }
    | Verb::Accept { config, .. }
    | Verb::Watchdog { config }
    | Verb::Doctor(DoctorArgs { config, .. })) = &arguments.verb;
    let config = Config::load(config)?;
    if let Verb::Accept { file, .. } = &arguments.verb {
        return accept(&config.data_dir, file);
    }
    let filter = EnvFilter::try_new(&config.log)
        .map_err(|error| Failure::new(ErrorCode::InvalidArgument, format!("log: {error}")))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    if let Verb::Watchdog { .. } = &arguments.verb {
        return watch(&config.runtime_dir()).map(|never| match never {});
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(|error| Failure::host("cannot start the runtime", &error))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    runtime.block_on(async {
        match arguments.verb {
            Verb::Join { token_file, .. } => {
                let _lock = lock(&config.data_dir)?;
                let enrolment = join(&config, &read_token(&token_file)?, &clock).await?;
                tell(&enrolment)
            }
            Verb::Run { .. } | Verb::Accept { .. } | Verb::Watchdog { .. } | Verb::Doctor(_) => {
                let end = terminated()?;
                Agent::open(config, ShimCommand::of_agent(), clock).await?.run(end).await
            }
        }
    })
}

/// What the operator compares before it approves the host.
fn tell(enrolment: &Enrolment) -> Result<(), Failure> {
    let (node, key) = (&enrolment.node, enrolment.fingerprint()?);
    let text = format!(
        "{node} has joined; the fingerprint of its key:\n{key}\n\
         unless its token was made as approved, next: sekisho node approve {node} --key {key}\n"
    );
    let told = std::io::stdout().write_all(text.as_bytes());
    told.map_err(|error| Failure::host("cannot tell the fingerprint", &error))
}

/// Resolves at SIGTERM, by which a service manager restarts or upgrades the agent, and at SIGINT, by which a person ends it.
fn terminated() -> Result<impl Future<Output = End> + Send, Failure> {
    let failed = |error: std::io::Error| Failure::host("cannot listen for signals", &error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => End::Leave,
            _ = interrupt.recv() => End::StopAll,
        }
    })
}
