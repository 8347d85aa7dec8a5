//! The command line `sekisho`: everything that an administrator, a tenant or an auditor does.
//!
//! Must hold: a client of the public API and nothing more; keys stay in files that the context names and never on a
//! command line or in output; every failure has a code, a cause, a remedy and an exit code; `audit verify` asks
//! nobody.

pub mod app;
pub mod args;
pub mod client;
pub mod command;
pub mod context;
pub mod dev;
pub mod duration;
pub mod exit;
pub mod failure;
pub mod intent;
pub mod language;
pub mod output;
pub mod pki;
pub mod spec;
pub mod verify;
mod watch;

use app::App;
use args::Cli;
use clap::Parser as _;
use exit::Exit;
use failure::Failure;
use output::{Output, WIDTH};
use sekisho_types::error_code::{ErrorCode, Language};
use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

/// Runs the program with these arguments, the first being its own name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(refused) => {
            // Help and version are no failures; clap chooses the stream.
            let exit = if refused.use_stderr() { Exit::Usage } else { Exit::Ok };
            return if refused.print().is_ok() { exit.into() } else { Exit::Error.into() };
        }
    };
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let variable = |name: &str| std::env::var(name).ok();
    let mut output = Output::new(&mut out, &mut err);
    output.format = cli.global.output;
    output.language = cli.global.lang.unwrap_or_else(|| Language::of_environment(variable));
    let plain = cli.global.no_color
        || variable("NO_COLOR").is_some_and(|set| !set.is_empty())
        || variable("TERM").is_some_and(|term| term == "dumb");
    output.color = !plain && io::stdout().is_terminal();
    output.width =
        comfy_table::Table::new().width().filter(|_| io::stdout().is_terminal()).unwrap_or(WIDTH);
    let mut app = App::new(output, cli.global);
    match run(&mut app, cli.command) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            app.output.fail(&failure);
            failure.exit().into()
        }
    }
}

fn run(app: &mut App<'_>, command: args::Command) -> Result<Exit, Failure> {
    // One thread: a command waits for answers and computes little; a second thread costs a millisecond of start.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ErrorCode::Internal, format!("no runtime: {error}")))?;
    runtime.block_on(Box::pin(command::run(app, command)))
}
