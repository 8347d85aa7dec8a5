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
const CLIENTS: usize = 64;

/// Samples `cluster` under writes and prints the functions that take most.
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
    let mut record = Command::new("perf")
        .args(["record", "-q", "-F", FREQUENCY, "-p", &pids.join(","), "-o"])
        .arg(&data)
        .args(["--", "sleep", &TIME.as_secs().to_string()])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("perf")?;
    run(sessions, Op::Write, CLIENTS, End::After(TIME)).await?;
    ensure!(record.wait().await?.success(), "perf could not sample");
    let name = cluster.name();
    for by in ["dso", "symbol"] {
        let shares = shares(&data, by).await?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "\n{name}: CPU time by {by}, {CLIENTS} clients writing")?;
        for line in shares {
            writeln!(out, "{line}")?;
        }
    }
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
