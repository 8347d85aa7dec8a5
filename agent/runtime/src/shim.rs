//! The shim: the process between the agent and a job. It is the agent's own program run again with a hidden first
//! argument, so there is nothing more to install and no version to match.
//!
//! ```text
//! agent ── outer ── init (PID 1 of a new PID namespace) ── job and all it forks
//! ```
//!
//! - `outer` locks simulated devices, makes the namespaces, records who runs, waits for init, and only then, when
//!   the kernel has confirmed that the namespace is empty, records the end. It outlives the agent, so that the next one
//!   finds the job as it was; when neither agent nor watchdog lives any more, it kills init ([`crate::guard`]).
//! - `init` starts the job in its own session, keeps its output, reaps, passes a stop on, and kills after the grace. It dies
//!   with `outer` (parent-death signal).
//! - `init` ends a job that the lease binds by the deadline in its file ([`crate::deadline`]), with the agent stopped or starved.
//!
//! The shim decides nothing: it knows no control plane and no policy, and polls nobody.

mod attempt;
mod init;
mod job;
pub mod namespace;
mod outer;
mod output;
mod sandbox;
pub mod seccomp;
pub mod wire;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Runs the placement of the directory named next; the order is on standard input.
pub const MODE_RUN: &str = "run";
/// Succeeds when namespaces of the kind named next can be made here.
pub const MODE_PROBE: &str = "probe";
/// Tells how far jobs can be confined in namespaces of the kind named next.
pub const MODE_CONFINE: &str = "confine";
/// Tries a CUDA device.
pub const MODE_CUDA: &str = "cuda";

const USAGE: u8 = 2;
const FAILED: u8 = 1;

/// How to run the shim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShimCommand {
    /// The program.
    pub program: PathBuf,
    /// Arguments before the shim's own: the agent's hidden one, or none for `sekisho-shim`.
    pub args: Vec<String>,
}

impl ShimCommand {
    /// The running program with the hidden argument `shim`. `/proc/self/exe` is the program that runs, even when
    /// an upgrade has replaced its file.
    #[must_use]
    pub fn of_agent() -> Self {
        Self { program: PathBuf::from("/proc/self/exe"), args: vec!["shim".to_owned()] }
    }

    /// A command in `mode` with an empty environment.
    pub(crate) fn command(&self, mode: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).arg(mode).env_clear();
        command
    }
}

/// The shim's entry point; `args` begin after the hidden argument.
///
/// Must be called before the program starts a thread: a process with threads can neither make a user namespace nor
/// fork safely, and the shim refuses.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<Option<String>> = args.map(|arg| arg.into_string().ok()).collect();
    let args: Vec<&str> = args.iter().map(|arg| arg.as_deref().unwrap_or_default()).collect();
    match args.as_slice() {
        [MODE_RUN, _dir] => outer::main(),
        [MODE_PROBE, kind] => namespace::probe_main(kind),
        [MODE_CONFINE, kind] => namespace::confine_main(kind),
        [MODE_CUDA, ordinal] => crate::device::cuda::child_main(ordinal),
        _ => {
            complain(&"this is started by the agent, not by hand");
            ExitCode::from(USAGE)
        }
    }
}

/// Tells standard error, which the runtime keeps as `shim.log`. Nobody is left to tell when that fails.
fn complain(what: &dyn Display) {
    drop(writeln!(io::stderr(), "sekisho shim: {what}"));
}
