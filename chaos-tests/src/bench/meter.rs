//! What the kernel counts: CPU time and memory of processes, and how busy the rest of the machine is.

use anyhow::{Context as _, Result};
use nix::unistd::{Pid, SysconfVar, sysconf};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Ticks of `/proc` in a second where the system does not say.
const TICKS: u64 = 100;

fn ticks(count: u64) -> Duration {
    let each = sysconf(SysconfVar::CLK_TCK).ok().flatten();
    let each = each.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(TICKS);
    Duration::from_millis(count.saturating_mul(1000).checked_div(each).unwrap_or(0))
}

/// User and system ticks in a line of `/proc/PID/stat`. The program's name may hold spaces and parentheses.
fn busy_of(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    user.checked_add(system)
}

/// CPU time of a process, all threads, ended ones too.
pub(crate) fn cpu(process: &str) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    busy_of(&stat).map(ticks).with_context(|| format!("/proc/{process}/stat"))
}

/// CPU time of all processes together.
pub(super) fn cpu_of(pids: &[Pid]) -> Result<Duration> {
    pids.iter().map(|pid| cpu(&pid.to_string())).sum()
}

/// Resident and proportional set, MiB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Memory {
    pub(crate) rss: f64,
    pub(crate) pss: f64,
}

fn memory_in(rollup: &str) -> Option<Memory> {
    let field = |name: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches("kB").trim().parse::<f64>().ok().map(|kib| kib / 1024.0)
    };
    Some(Memory { rss: field("Rss:")?, pss: field("Pss:")? })
}

/// Memory of a process.
pub(crate) fn memory(pid: Pid) -> Result<Memory> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    memory_in(&rollup).context("smaps_rollup")
}

/// Busy ticks of the whole machine in the first line of `/proc/stat`: all but idle and waiting for the disk. Time
/// that a hypervisor took away counts as busy: it was not ours.
fn machine_busy(stat: &str) -> Option<u64> {
    let fields: Vec<u64> = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    let all: u64 = fields.iter().take(8).sum();
    let idle: u64 = fields.get(3..5)?.iter().sum();
    all.checked_sub(idle)
}

/// Load average of the last minute.
pub(super) fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

/// A stretch of time, with the CPU that a cluster, this program and everybody else used in it.
#[derive(Debug)]
pub(super) struct Span {
    begun: Instant,
    pids: Vec<Pid>,
    members: Duration,
    own: Duration,
    machine: Duration,
}

/// CPU time of a [`Span`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent {
    pub(super) wall: Duration,
    /// The cluster's members.
    pub(super) members: Duration,
    /// The load generator.
    pub(super) own: Duration,
    /// Cores that everybody else kept busy, on average.
    pub(super) others: f64,
}

fn machine() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    machine_busy(&stat).map(ticks).context("/proc/stat")
}

impl Span {
    pub(super) fn begin(pids: Vec<Pid>) -> Result<Self> {
        let (members, own, machine) = (cpu_of(&pids)?, cpu("self")?, machine()?);
        Ok(Self { begun: Instant::now(), pids, members, own, machine })
    }

    pub(super) fn end(self) -> Result<Spent> {
        let wall = self.begun.elapsed();
        let members = cpu_of(&self.pids)?.saturating_sub(self.members);
        let own = cpu("self")?.saturating_sub(self.own);
        let all = machine()?.saturating_sub(self.machine);
        let others = all.saturating_sub(members).saturating_sub(own);
        let others = others.as_secs_f64() / wall.as_secs_f64().max(f64::MIN_POSITIVE);
        Ok(Spent { wall, members, own, others })
    }
}

/// What the machine is, for the head of a report: cores, kernel, memory.
pub(super) fn machine_words() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let memory = read("/proc/meminfo");
    let gib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
    let gib = gib.map_or(0, |kib| kib / (1024 * 1024));
    format!("{cores} cores, {gib} GiB, Linux {}", kernel.trim())
}

/// Whether `dir` lies on a file system that only pretends to be durable.
pub(super) fn is_memory(dir: &Path) -> Result<bool> {
    use nix::sys::statfs::{TMPFS_MAGIC, statfs};
    Ok(statfs(dir)?.filesystem_type() == TMPFS_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read_whatever_the_program_is_called() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 9 9 20 0 4 0 1 1 1";
        assert_eq!(busy_of(stat), Some(300));
        assert_eq!(busy_of("7 (a"), None);
        let rollup = "0-1 ---p 0 00:00 0 [rollup]\nRss:  2048 kB\nPss:  1024 kB\nPss_Anon: 3 kB\n";
        assert_eq!(memory_in(rollup), Some(Memory { rss: 2.0, pss: 1.0 }));
        assert_eq!(memory_in("Rss: 1 kB"), None);
        assert_eq!(machine_busy("cpu  1 2 3 100 50 4 5 6 7 8\ncpu0 1"), Some(21));
        assert_eq!(machine_busy("intr 1"), None);
    }

    #[test]
    fn a_span_sees_this_program_work() {
        let span = Span::begin(vec![Pid::this()]).unwrap();
        while span.begun.elapsed() < Duration::from_millis(100) {
            std::hint::black_box(sekisho_types::id::Digest::of(&[7; 4096]));
        }
        let spent = span.end().unwrap();
        assert!(spent.own >= Duration::from_millis(10) && spent.members >= spent.own / 2);
        assert!(spent.others >= 0.0 && !machine_words().is_empty());
    }
}
