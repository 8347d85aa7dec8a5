//! Every process of every job and shim of one federation on this machine, as `/proc` shows them.
//!
//! Must hold: a process of a job is found whatever session it moved to and whoever its parent is: by its environment, which
//! the shim gave it and its children have, too. A zombie is none.
//! It finds nothing of a job that clears its own environment; the drill's jobs do not.

use super::limit::YOUNG;
use anyhow::Result;
use sekisho_agent_runtime::environment::{
    CUDA_VISIBLE_DEVICES, JOB, PLACEMENT, RANK, RUNTIME_ROOT,
};
use sekisho_agent_runtime::procfs::{boottime_ns, pids};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// A shim, outer or init.
    Shim,
    /// Part of a job.
    Job {
        /// Its name.
        job: String,
        /// Which member of the group.
        rank: String,
        /// The devices that it was given.
        devices: Vec<String>,
    },
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Number of the host, as the census was told them.
    pub host: usize,
    /// Key of the placement.
    pub key: String,
    /// Its number.
    pub pid: i32,
    /// What it is.
    pub role: Role,
    /// Its state's letter.
    pub state: char,
}

impl Seen {
    /// Whether it is part of a job.
    #[must_use]
    pub fn is_job(&self) -> bool {
        matches!(self.role, Role::Job { .. })
    }
}

#[derive(Debug)]
struct Known {
    start: u64,
    /// When it was looked at first, boottime.
    since_ns: u64,
    /// `None`: nothing of ours.
    seen: Option<Seen>,
}

/// Looks, and remembers what it need not read again.
#[derive(Debug)]
pub struct Census {
    /// The runtime directory of each host.
    roots: Vec<PathBuf>,
    known: BTreeMap<i32, Known>,
}

impl Census {
    /// Of hosts with these runtime directories.
    #[must_use]
    pub fn new(roots: Vec<PathBuf>) -> Self {
        Self { roots, known: BTreeMap::new() }
    }

    /// All that live now.
    ///
    /// # Errors
    /// `/proc` cannot be listed.
    pub fn look(&mut self) -> Result<Vec<Seen>> {
        let now = boottime_ns()?;
        let all = pids()?;
        let there: BTreeSet<i32> = all.iter().copied().collect();
        self.known.retain(|pid, _| there.contains(pid));
        let mut found = Vec::new();
        for pid in all {
            found.extend(self.one(pid, now));
        }
        Ok(found)
    }

    fn one(&mut self, pid: i32, now: u64) -> Option<Seen> {
        if let Some(known) = self.known.get(&pid) {
            let old = now.saturating_sub(known.since_ns) > nanos(YOUNG);
            if known.seen.is_none() && old {
                return None;
            }
            if let Some(seen) = known.seen.as_ref().filter(|seen| seen.is_job()) {
                let (state, start) = stat(pid)?;
                if start == known.start {
                    return alive(state).then(|| Seen { state, ..seen.clone() });
                }
            }
        }
        let (state, start) = stat(pid)?;
        let seen = alive(state).then(|| self.read(pid, state)).flatten();
        let since_ns = self.known.get(&pid).filter(|known| known.start == start);
        let since_ns = since_ns.map_or(now, |known| known.since_ns);
        self.known.insert(pid, Known { start, since_ns, seen: seen.clone() });
        seen
    }

    fn read(&self, pid: i32, state: char) -> Option<Seen> {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        let text = String::from_utf8_lossy(&environ);
        let value = |name: &str| {
            text.split('\0').find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        };
        let key = value(PLACEMENT)?.to_owned();
        if let Some(root) = value(RUNTIME_ROOT) {
            let host = self.roots.iter().position(|known| known == Path::new(root))?;
            return Some(Seen { host, key, pid, role: Role::Shim, state });
        }
        let home = Path::new(value("HOME")?);
        let host = self.roots.iter().position(|root| home.starts_with(root.join(&key)))?;
        let devices = value(CUDA_VISIBLE_DEVICES)?.split(',').filter(|uuid| !uuid.is_empty());
        let role = Role::Job {
            job: value(JOB)?.to_owned(),
            rank: value(RANK)?.to_owned(),
            devices: devices.map(str::to_owned).collect(),
        };
        Some(Seen { host, key, pid, role, state })
    }
}

fn alive(state: char) -> bool {
    !matches!(state, 'Z' | 'X' | 'x')
}

/// State and start time. The name before them is in parentheses and may hold anything.
fn stat(pid: i32) -> Option<(char, u64)> {
    const START_AFTER_STATE: usize = 18;
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&stat);
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(START_AFTER_STATE)?.parse().ok()?))
}

/// A time span as the clock counts it.
pub(super) fn nanos(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    fn marked(root: &Path, shim: bool, script: &str) -> Child {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).env_clear().env(PLACEMENT, "p-1-7-0").stdin(Stdio::null());
        if shim {
            command.env(RUNTIME_ROOT, root);
        } else {
            command.env("HOME", root.join("p-1-7-0/work")).env(JOB, "j").env(RANK, "1");
            command.env(CUDA_VISIBLE_DEVICES, "g0,g1");
        }
        command.spawn().unwrap()
    }

    #[test]
    fn jobs_and_shims_are_found_with_what_they_leave_behind_and_strangers_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let roots = ["a", "b"].map(|name| dir.path().join(name));
        let mut census = Census::new(roots.to_vec());
        let mut shim = marked(&roots[0], true, "exec /bin/sleep 600");
        let mut job = marked(&roots[1], false, "/bin/sleep 600 & exec /bin/sleep 600");
        let mut stranger = marked(&dir.path().join("c"), false, "exec /bin/sleep 600");
        let seen = loop {
            let seen = census.look().unwrap();
            // The shell's child, too.
            if seen.len() == 3 && seen.iter().filter(|seen| seen.is_job()).count() == 2 {
                break seen;
            }
            std::thread::yield_now();
        };
        let of = |host: usize| seen.iter().filter(move |seen| seen.host == host);
        assert_eq!(of(0).next().unwrap().role, Role::Shim);
        assert_eq!((of(0).count(), of(1).count()), (1, 2));
        let devices = vec!["g0".to_owned(), "g1".to_owned()];
        let role = Role::Job { job: "j".to_owned(), rank: "1".to_owned(), devices };
        assert!(of(1).all(|seen| seen.role == role && seen.key == "p-1-7-0"));
        for child in [&mut shim, &mut job, &mut stranger] {
            child.kill().unwrap();
        }
        // Not waited for: zombies. The job's child lives on, and is seen.
        while census.look().unwrap().len() != 1 {
            std::thread::yield_now();
        }
        let left = census.look().unwrap().remove(0).pid;
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(left), nix::sys::signal::Signal::SIGKILL)
            .unwrap();
        for child in [&mut shim, &mut job, &mut stranger] {
            child.wait().unwrap();
        }
    }
}
