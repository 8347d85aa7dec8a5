//! Proof that an acknowledged write was synced: the system calls of each member are counted while one client writes,
//! one call after the other, so that no two writes can share a sync.
//!
//! Must hold: a quorum, two of three members, made at least one sync for each acknowledged write. What cannot be
//! counted is reported as not proven, never as passed.

use super::cluster::{Cluster, Op, Session};
use super::load::{End, run};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};

/// Every call by which a file reaches the disk.
const CALLS: &str = "trace=fsync,fdatasync,sync_file_range,msync";
/// Writes of the proof.
const WRITES: u64 = 200;
/// For the tracer to take hold of every thread, and to let go.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was counted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Proof {
    /// Acknowledged writes.
    pub(super) writes: u64,
    /// Syncs of each member, most first.
    pub(super) syncs: Vec<u64>,
}

impl Proof {
    /// Syncs for each acknowledged write at the member that completes the quorum: from 1 on it is proven.
    pub(super) fn per_write(&self) -> f64 {
        let of = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let quorum = self.syncs.get(1).copied().unwrap_or(0);
        of(quorum) / of(self.writes).max(1.0)
    }
}

/// Sums the calls of `strace -c`: columns are share, seconds, each, calls, errors if any, name.
fn calls_in(summary: &str) -> u64 {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_call = fields.last().is_some_and(|name| CALLS.contains(name) && *name != "total");
        is_call.then(|| fields.get(3)?.parse::<u64>().ok()).flatten()
    };
    summary.lines().filter_map(line).sum()
}

/// A tracer that holds a member. Its messages are kept open: it would stop counting when nobody listens.
#[derive(Debug)]
struct Tracer {
    child: Child,
    _words: BufReader<ChildStderr>,
    out: PathBuf,
}

async fn attach(pid: Pid, out: PathBuf) -> Result<Tracer> {
    let mut child = Command::new("strace")
        .args(["-f", "-c", "-e", CALLS, "-p", &pid.to_string(), "-o"])
        .arg(&out)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("strace")?;
    let words = child.stderr.take().context("strace without stderr")?;
    let mut line = String::new();
    let mut words = BufReader::new(words);
    let attached = words.read_line(&mut line);
    tokio::time::timeout(PATIENCE, attached).await.context("strace")??;
    ensure!(line.contains("attached"), "strace: {}", line.trim());
    Ok(Tracer { child, _words: words, out })
}

/// Counts the syncs of `cluster` under sequential writes through `session`.
///
/// # Errors
/// The tracer is missing or may not attach, or a write failed.
pub(super) async fn prove(
    cluster: &mut dyn Cluster,
    session: Arc<dyn Session>,
    dir: &Path,
) -> Result<Proof> {
    let pids =
        cluster.members().iter().map(super::process::Process::pid).collect::<Result<Vec<_>>>()?;
    let mut tracers = Vec::new();
    for pid in pids {
        tracers.push(attach(pid, dir.join(format!("strace-{pid}"))).await?);
    }
    let sample = run(&[session], Op::Write, 1, End::Count(WRITES)).await?;
    let mut syncs = Vec::new();
    for mut tracer in tracers {
        ensure!(tracer.child.try_wait()?.is_none(), "strace ended by itself");
        let pid = tracer.child.id().context("strace ended by itself")?;
        // It writes its summary when it is interrupted.
        kill(Pid::from_raw(pid.try_into()?), Signal::SIGINT)?;
        tokio::time::timeout(PATIENCE, tracer.child.wait())
            .await
            .context("strace does not end")??;
        syncs.push(calls_in(&std::fs::read_to_string(tracer.out)?));
    }
    syncs.sort_unstable_by(|a, b| b.cmp(a));
    Ok(Proof { writes: sample.commands, syncs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_summed_and_the_quorum_decides() {
        let summary = "% time     seconds  usecs/call     calls    errors syscall\n\
                       ------ ----------- ----------- --------- --------- ----------------\n\
                       \x20 99.0    0.061234         306       200           fdatasync\n\
                       \x20  1.0    0.000100         100         7         1 fsync\n\
                       ------ ----------- ----------- --------- --------- ----------------\n\
                       100.00    0.061334         296       207         1 total\n";
        assert_eq!(calls_in(summary), 207);
        assert_eq!(calls_in(""), 0);
        let proof = |syncs: [u64; 3]| Proof { writes: 100, syncs: syncs.to_vec() }.per_write();
        assert!(proof([150, 100, 0]) >= 1.0);
        assert!(proof([900, 99, 99]) < 1.0);
    }
}
