//! Where the CPU time of the members goes: samples of `perf` under load, summed by function.

use super::cluster::{Cluster, Op, Session};
use super::load::{End, run};
use anyhow::{Context as _, Result, ensure};
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Command;

/// Samples a second: no multiple of anybody's timer.
const FREQUENCY: &str = "499";
/// How long is sampled.
const TIME: Duration = Duration::from_secs(5);
/// Functions that are shown.
const SHOWN: usize = 25;
/// Characters of a line: names of generic functions have no end.
const WIDTH: usize = 140;
/// What is sampled: one command a call from many clients, and 64 a call from as many as keep both cores busy.
const LOADS: [(Op, usize); 2] = [(Op::Write, 64), (Op::Batch, 16)];

/// Samples `cluster` under each load and prints the functions that take most.
///
/// # Errors
/// `perf` is missing or may not sample, or nothing was written.
pub(super) async fn sample(
    cluster: &mut dyn Cluster,
    sessions: &[Arc<dyn Session>],
    dir: &Path,
) -> Result<()> {
    let pids =
        cluster.members().iter().map(super::process::Process::pid).collect::<Result<Vec<_>>>()?;
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    let data = dir.join("perf.data");
    for (op, clients) in LOADS {
        sample_one(&pids.join(","), sessions, &data, (op, clients)).await?;
        for by in ["dso", "symbol"] {
            let shares = shares(&data, by).await?;
            let (name, load) = (cluster.name(), super::suite::load_name(op, clients));
            let mut out = std::io::stdout().lock();
            writeln!(out, "\n{name}: CPU time by {by}; {load}")?;
            for line in shares {
                writeln!(out, "{line}")?;
            }
        }
    }
    Ok(())
}

async fn sample_one(
    pids: &str,
    sessions: &[Arc<dyn Session>],
    data: &Path,
    (op, clients): (Op, usize),
) -> Result<()> {
    let mut record = Command::new("perf")
        .args(["record", "-q", "-F", FREQUENCY, "-p", pids, "-o"])
        .arg(data)
        .args(["--", "sleep", &TIME.as_secs().to_string()])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("perf")?;
    run(sessions, op, clients, End::After(TIME)).await?;
    ensure!(record.wait().await?.success(), "perf could not sample");
    Ok(())
}

async fn shares(data: &Path, by: &str) -> Result<Vec<String>> {
    let report = Command::new("perf")
        .args(["report", "--stdio", "--no-children", "-g", "none", "-s", by, "-i"])
        .arg(data)
        .output()
        .await?;
    ensure!(report.status.success(), "{}", String::from_utf8_lossy(&report.stderr));
    let text = String::from_utf8_lossy(&report.stdout);
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let cut = |line: &str| line.trim_end().chars().take(WIDTH).collect();
    Ok(lines.take(SHOWN).map(cut).collect())
}
