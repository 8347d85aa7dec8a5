//! The member of the crash drills (`sekisho_chaos::crash`): a real store behind disk calls that can be cut.

mod calls;

use clap::Parser;
use sekisho_chaos::crash::member::{self, Task};
use sekisho_chaos::crash::plan::Plan;
use std::path::PathBuf;

/// One life of a member's storage. Prints what it does, one JSON line each.
#[derive(Debug, Parser)]
#[command(name = "sekisho-crash")]
struct Life {
    #[command(flatten)]
    task: Task,
    #[command(flatten)]
    plan: Plan,
    /// Where the disk that loses power is mounted
    #[arg(long)]
    disk: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let life = Life::parse();
    calls::arm(life.plan, life.disk.as_deref())?;
    member::run(&life.task, calls::count)
}
