//! Drills and the demo, for people and for CI.
#![expect(clippy::print_stderr, reason = "a command-line program")]

use clap::Parser;
use sekisho_chaos::demo::{self, PORT_BASE};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(
    name = "sekisho-drill",
    version,
    about = "Drills of a Sekisho federation on this machine"
)]
enum Drill {
    /// The narrated tour: exits 0 only if every step came out right
    Demo {
        /// Where to put it; else a folder that is removed afterwards
        #[arg(long)]
        dir: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let Drill::Demo { dir } = Drill::parse();
    let run = || -> anyhow::Result<()> {
        match dir {
            Some(dir) => demo::run(&dir, PORT_BASE),
            None => {
                let dir = tempfile::tempdir()?;
                demo::run(dir.path(), PORT_BASE)
            }
        }
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
