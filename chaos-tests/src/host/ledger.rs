//! kill -9 of an agent at each write of its ledger in the life of one job, on both sides of it.
//!
//! From outside: the ledger is replaced by a rename. A tracer kills the agent as it enters the n-th of them, when the new
//! file is whole and the old one in place; the ledger's inode tells when the n-th is done, and it is killed then.

use super::fleet::Host;
use super::scene::Stage;
use crate::work::{spec, submit};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use sekisho_agent_runtime::procfs::boottime_ns;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A life has no more writes than this: set, start, report, end, its acknowledgement, and what a session adds.
const WRITES_MAX: u64 = 24;
/// A write is waited for so long; a life is over by then.
const WITHIN_NS: u64 = 12_000_000_000;
/// The least that a life has: a set, a start, an end and its acknowledgement.
const LEAST: u64 = 4;

/// Which side of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The new file is whole, and the old one still in place.
    Before,
    /// It has taken the place of the old one.
    After,
}

/// A tracer that kills a process as it enters a rename.
#[derive(Debug)]
struct Tracer(Child);

impl Tracer {
    /// Attached when this returns.
    fn attach(pid: Pid, ledger: &Path, nth: u64) -> Result<Self> {
        let mut child = Command::new("strace")
            .args(["-f", "-p", &pid.to_string(), "-o", "/dev/null", "-e", "trace=/^rename", "-P"])
            .arg(ledger.with_extension("new"))
            .args(["-e", &format!("inject=/^rename:signal=KILL:when={nth}")])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("strace")?;
        let said = child.stderr.take().context("it has one")?;
        let mut traced = Self(child);
        let mut lines = BufReader::new(said).lines();
        if lines.any(|line| line.is_ok_and(|line| line.contains("attached"))) {
            // It must not be stopped by what nobody reads.
            let drain = std::thread::Builder::new().name("strace".to_owned());
            drop(drain.spawn(move || lines.count())?);
            return Ok(traced);
        }
        traced.end();
        anyhow::bail!("strace cannot attach")
    }

    fn end(&mut self) {
        // It ends by itself with the last that it traces.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.end();
    }
}

/// The inode of a file, if it is there.
fn inode(path: &Path) -> Option<u64> {
    Some(std::fs::metadata(path).ok()?.ino())
}

/// Counts replacements of the ledger until `nth`, or until time is over. How many there were.
fn await_write(ledger: &Path, nth: u64) -> Result<u64> {
    let end = boottime_ns()?.saturating_add(WITHIN_NS);
    let (mut before, mut count) = (inode(ledger), 0);
    while count < nth && boottime_ns()? < end {
        let now = inode(ledger);
        if now != before && now.is_some() {
            count = u64::saturating_add(count, 1);
        }
        before = now;
        std::hint::spin_loop();
    }
    Ok(count)
}

/// Kills a host's agent at every write that one job's life makes, on both sides where the machine has a tracer. How many
/// kills there were.
///
/// # Errors
/// A job did not come to an end, or too few writes were met.
pub fn at_every_write(stage: &Stage<'_>, (host, area): (usize, &str)) -> Result<u64> {
    let known = stage.fleet.hosts.get(host).context("no such host")?.clone();
    let traces = Command::new("strace").arg("-V").output().is_ok();
    let sides = if traces { &[Side::After, Side::Before][..] } else { &[Side::After] };
    let mut all: u64 = 0;
    for side in sides {
        let mut kills: u64 = 0;
        for nth in 1..=WRITES_MAX {
            if !once(stage, &known, area, *side, nth)? {
                break;
            }
            kills = kills.saturating_add(1);
        }
        ensure!(kills >= LEAST, "{kills} writes were met {side:?}");
        all = all.saturating_add(kills);
    }
    if !traces {
        stage.diary.note("NOT RUN: kills before a write: strace is not installed");
    }
    Ok(all)
}

/// One life. Whether it had so many writes.
fn once(stage: &Stage<'_>, known: &Host, area: &str, side: Side, nth: u64) -> Result<bool> {
    let fleet = stage.fleet;
    let name = format!("write-{}-{nth}", if side == Side::After { "after" } else { "before" });
    let ledger = known.data.join("ledger");
    let text = spec(&name, 1, 4, area, "exec sleep 0.3");
    let starts = fleet.starts(&known.agent);
    let traced = match side {
        Side::Before => {
            let pid = fleet.pid(&known.agent).context("the agent does not run")?;
            Some(Tracer::attach(pid, &ledger, nth)?)
        }
        Side::After => None,
    };
    std::thread::scope(|scope| {
        let named = std::thread::Builder::new().name("write".to_owned());
        let killed = named.spawn_scoped(scope, || {
            let met = side == Side::After && await_write(&ledger, nth)? == nth;
            if met { fleet.signal(&known.agent, Signal::SIGKILL) } else { Ok(()) }
        })?;
        submit(&fleet.federation, &name, &text)?;
        killed.join().map_err(|_panic| anyhow::anyhow!("it failed"))?
    })?;
    let job = format!("sapporo/{name}");
    fleet.federation.await_job(&job, &["succeeded", "failed"])?;
    drop(traced);
    // The last write comes after the job is known to be over; one that was killed there is started again.
    let again = fleet.federation.until_within(
        std::time::Duration::from_secs(3),
        "the agent to be started again",
        || {
            ensure!(fleet.starts(&known.agent) > starts, "it lives");
            Ok(())
        },
    );
    stage.diary.note(&format!("write {nth} {side:?}: {}", again.is_ok()));
    Ok(again.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(ledger: &Path, n: u32) {
        let fresh = ledger.with_extension("new");
        std::fs::write(&fresh, n.to_string()).unwrap();
        std::fs::rename(fresh, ledger).unwrap();
        // waits: until the next one
        std::thread::sleep(std::time::Duration::from_millis(20));
    }

    #[test]
    fn each_replacement_is_one_write() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("ledger");
        write(&ledger, 0);
        std::thread::scope(|scope| {
            let named = std::thread::Builder::new();
            let writes = named.spawn_scoped(scope, || await_write(&ledger, 3).unwrap()).unwrap();
            let mut written = 0;
            while !writes.is_finished() {
                written += 1;
                write(&ledger, written);
            }
            assert_eq!(writes.join().unwrap(), 3);
            assert!(written >= 3);
        });
    }

    #[test]
    fn a_traced_process_dies_with_the_old_file_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("ledger");
        let script = "sleep 1; for n in 1 2 3; do echo $n > ledger.new; mv ledger.new ledger; done";
        let mut child =
            Command::new("/bin/sh").args(["-c", script]).current_dir(dir.path()).spawn().unwrap();
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        // Where there is no tracer, or it may not trace, there is nothing to test.
        let Ok(traced) = Tracer::attach(pid, Path::new("ledger"), 1) else {
            child.kill().unwrap();
            child.wait().unwrap();
            return;
        };
        child.wait().unwrap();
        drop(traced);
        // Each `mv` is a process of its own, and each dies as it begins.
        assert!(!ledger.exists());
        assert_eq!(std::fs::read_to_string(ledger.with_extension("new")).unwrap(), "3\n");
    }
}
