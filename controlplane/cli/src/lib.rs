//! The command line `sekisho`: everything that an administrator, a tenant or an auditor does.
//!
//! Must hold: a client of the public API and nothing more; keys stay in files that the context names and never on a
//! command line or in output; every failure has a code, a cause, a remedy and an exit code; `audit verify` asks
//! nobody.

pub mod app;
pub mod args;
pub mod catalogue;
pub mod client;
pub mod command;
mod complete;
pub mod context;
pub mod dev;
pub mod duration;
pub mod exit;
pub mod failure;
mod help;
pub mod intent;
pub mod language;
mod look;
pub mod output;
pub mod pki;
pub mod program;
mod reach;
pub mod spec;
pub mod verify;
mod watch;

#[cfg(test)]
mod golden;

use program::Surroundings;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

/// Runs the program with these arguments, the first being its own name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let width = comfy_table::Table::new().width().filter(|_| io::stdout().is_terminal());
    let around = Surroundings {
        out: &mut out,
        err: &mut err,
        variable: &|name| std::env::var(name).ok(),
        width,
        messages_seen: io::stderr().is_terminal(),
    };
    program::run(&arguments, around).into()
}
