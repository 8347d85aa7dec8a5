//! Drills and the demo, for people and for CI.
#![expect(clippy::print_stderr, reason = "a command-line program")]

use clap::Parser;
use sekisho_chaos::agents;
use sekisho_chaos::audit;
use sekisho_chaos::bench;
use sekisho_chaos::crash;
use sekisho_chaos::demo::{self, PORT_BASE};
use sekisho_chaos::host;
use sekisho_chaos::landmark;
use sekisho_chaos::start;
use sekisho_chaos::walk;
use sekisho_sim as sim;
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
    /// Quotas, budgets and placement, typed command by command: exits 0 only if each came out right
    Walk {
        /// Where to put it; else a folder that is removed afterwards
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Measure a federation of real processes beside etcd, ZooKeeper and Slurm
    Bench(bench::Options),
    /// Cut, fill and damage the disk of one member's storage
    #[command(subcommand)]
    Crash(crash::suite::Drill),
    /// Kill, stop, freeze, fill and cut a federation of real processes, and watch its devices
    Host(host::Options),
    /// Simulate whole federations by seed
    Sim(sim::drill::Options),
    /// Thousands of simulated agents at real controllers, one of which is killed
    Agents(agents::Options),
    /// Make an audit bundle of so many records, and measure how long it takes to verify
    Audit(audit::Options),
    /// How many acknowledgements of renewals one core signs and verifies
    Acknowledge,
    /// What it costs a landmark to measure many hosts
    Challenge(landmark::Options),
    /// How long it takes from a grant to the process
    Start(start::Options),
    /// Instructions of a placement, counted by valgrind and held to a bound
    Instructions,
    /// A part of the agents of the drill or of a fleet
    #[command(hide = true)]
    AgentsWorker(agents::WorkerOptions),
    /// One case of the planner's part of the benchmark
    #[command(hide = true)]
    PlannerCase(bench::PlannerCase),
    /// The workload whose instructions are counted
    #[command(hide = true)]
    InstructionsCase(bench::Workload),
}

fn main() -> ExitCode {
    let drill = Drill::parse();
    let run = || -> anyhow::Result<()> {
        let scratch = tempfile::tempdir()?;
        match &drill {
            Drill::Demo { dir } => {
                demo::run(dir.as_deref().unwrap_or_else(|| scratch.path()), PORT_BASE)
            }
            Drill::Walk { dir } => {
                walk::run(dir.as_deref().unwrap_or_else(|| scratch.path()), walk::PORT_BASE)
            }
            Drill::Bench(options) => bench::run(options, scratch.path()),
            Drill::Crash(drill) => crash::suite::run(drill),
            Drill::Host(options) => host::run(options),
            Drill::Sim(options) => sim::drill::run(options),
            Drill::Agents(options) => agents::tell(options, scratch.path()),
            Drill::Audit(options) => audit::measure(options, scratch.path()),
            Drill::Acknowledge => agents::acknowledge::measure(),
            Drill::Challenge(options) => landmark::measure(options),
            Drill::Start(options) => start::measure(options, scratch.path()),
            Drill::Instructions => bench::check_instructions(),
            Drill::AgentsWorker(options) => agents::work(options),
            Drill::PlannerCase(case) => bench::measure_planner(case),
            Drill::InstructionsCase(workload) => bench::do_workload(workload),
        }
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{drill:?} failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
