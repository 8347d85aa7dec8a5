//! Limits of a job on memory, processes and processors, by cgroups of either version, or by both on a host that has both.
//!
//! ```text
//! <the agent's own cgroup>/sekisho-<runtime directory>/<placement key>
//! ```
//!
//! Must hold: a limit that cannot be set is an error, never a limit that silently is not there; nothing is killed by a cgroup
//! (the PID namespace does that, everywhere); a group without processes is removed, by the shim at the job's end and by the
//! sweep otherwise. The job is in its group before its program runs, and whatever it starts is; init is not: it enforces the
//! lease, and must be neither out of memory nor out of time when the job is.
//!
//! What it does not do: it makes no controller available that the host has switched off, and on a host under systemd it needs
//! `Delegate=yes`; [`Host::find`] says what is missing.

mod host;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

pub use host::Host;

use crate::limit;
use crate::placement::{Limits, PlacementKey};

/// What a controller limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Controller {
    /// Main memory.
    Memory,
    /// Processes and threads.
    Pids,
    /// Time on processors.
    Cpu,
}

impl Controller {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Pids, Self::Cpu];

    /// As the kernel names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Version of a hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Version {
    /// One hierarchy for each controller.
    V1,
    /// One for all.
    V2,
}

/// Where groups of jobs are made: for each controller that can be used here its version and the group above the jobs'.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Parents(pub BTreeMap<Controller, (Version, PathBuf)>);

/// What one controller shall hold a job to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limited {
    /// Bytes, processes, or thousandths of a processor.
    pub value: u64,
    /// Whether the job asked for it, so that it must not run without.
    pub required: bool,
}

/// What a job is held to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Wanted(pub BTreeMap<Controller, Limited>);

impl Wanted {
    /// What the job `asks` for, and for the rest the `most` that a job may have on this host.
    ///
    /// # Errors
    /// [`LimitError::Over`] when it asks for more than that.
    pub fn of(asks: &Limits, most: &Limits) -> Result<Self, LimitError> {
        let mut wanted = BTreeMap::new();
        for controller in Controller::ALL {
            let limited = match (asks.of(controller), most.of(controller)) {
                (Some(asked), Some(most)) if asked > most => {
                    return Err(LimitError::Over { controller, asked, most });
                }
                (Some(value), _) => Limited { value, required: true },
                (None, Some(value)) => Limited { value, required: false },
                (None, None) => continue,
            };
            wanted.insert(controller, limited);
        }
        Ok(Self(wanted))
    }
}

/// Why a job cannot be limited.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// The controller cannot be used on this host.
    #[error(
        "this host cannot limit a job's {0}: its {0} controller of cgroups is not available to the agent"
    )]
    Unavailable(Controller),
    /// It asks for more than a job may have on this host.
    #[error(
        "the job asks for {controller} {asked}; on this host a job may have {most} (`job_limits` of the agent)"
    )]
    Over {
        /// Which controller.
        controller: Controller,
        /// What it asks for.
        asked: u64,
        /// The most.
        most: u64,
    },
    /// The kernel refused.
    #[error("cannot limit a job's {controller}: {path}: {source}")]
    Io {
        /// Which controller.
        controller: Controller,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The groups of one placement: one for each controller that it needs, or one directory for several.
#[derive(Debug)]
pub struct Groups {
    memory: Option<(Version, PathBuf)>,
    dirs: Vec<PathBuf>,
    entrances: Vec<File>,
}

impl Groups {
    /// Makes the groups of `key`, empty, with the limits that are `wanted`. One that is required and cannot be set is an error;
    /// of the others as many hold as the host has controllers for.
    ///
    /// # Errors
    /// [`LimitError`]; nothing is left behind then.
    pub fn make(
        parents: &Parents,
        key: &PlacementKey,
        wanted: &Wanted,
    ) -> Result<Self, LimitError> {
        let mut groups = Self { memory: None, dirs: Vec::new(), entrances: Vec::new() };
        match groups.fill(parents, key, wanted) {
            Ok(()) => Ok(groups),
            Err(error) => {
                groups.remove();
                Err(error)
            }
        }
    }

    fn fill(
        &mut self,
        parents: &Parents,
        key: &PlacementKey,
        wanted: &Wanted,
    ) -> Result<(), LimitError> {
        for (&controller, limited) in &wanted.0 {
            let Some((version, parent)) = parents.0.get(&controller) else {
                if limited.required {
                    return Err(LimitError::Unavailable(controller));
                }
                continue;
            };
            let dir = parent.join(key.as_str());
            let io = |path: PathBuf| move |source| LimitError::Io { controller, path, source };
            if !self.dirs.contains(&dir) {
                match DirBuilder::new().create(&dir) {
                    // Of an earlier attempt that was killed: a key is used once, so nobody is in it.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    other => other.map_err(io(dir.clone()))?,
                }
                self.dirs.push(dir.clone());
                let procs = dir.join("cgroup.procs");
                let entrance = OpenOptions::new().write(true).open(&procs).map_err(io(procs))?;
                self.entrances.push(entrance);
            }
            for (file, value, optional) in settings(*version, controller, limited.value) {
                let path = dir.join(file);
                match put(&path, &value) {
                    // A host without swap accounting has no such file, one without swap needs none.
                    Err(error) if optional && error.kind() == io::ErrorKind::NotFound => {}
                    other => other.map_err(io(path))?,
                }
            }
            if controller == Controller::Memory {
                self.memory = Some((*version, dir));
            }
        }
        Ok(())
    }

    /// Moves this process in. Whatever it starts is in as well.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn enter(&self) -> io::Result<()> {
        // 0 is whoever writes.
        self.entrances.iter().try_for_each(|mut entrance| entrance.write_all(b"0"))
    }

    /// How many processes the kernel has killed in here for want of memory; `None` if nobody counts.
    #[must_use]
    pub fn killed_for_memory(&self) -> Option<u64> {
        let (version, dir) = self.memory.as_ref()?;
        let file = match version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        let text = fs::read_to_string(dir.join(file)).ok()?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
    }

    /// Removes the groups, whose processes are dead. One that the kernel has not emptied yet is left to the sweep.
    pub fn remove(&self) {
        for dir in &self.dirs {
            remove_empty(dir);
        }
    }
}

/// What to write where: file, value, and whether it may be missing.
fn settings(
    version: Version,
    controller: Controller,
    value: u64,
) -> Vec<(&'static str, String, bool)> {
    let quota = value.saturating_mul(limit::CPU_PERIOD_US) / 1000;
    let period = limit::CPU_PERIOD_US.to_string();
    let text = value.to_string();
    match (version, controller) {
        // Memory and swap together must not be below memory at any moment, so memory comes first.
        (Version::V1, Controller::Memory) => vec![
            ("memory.limit_in_bytes", text.clone(), false),
            ("memory.memsw.limit_in_bytes", text, true),
        ],
        // Swapping a job out is slower than its end and helps nobody; and one process killed without its siblings leaves a
        // group that waits for ever.
        (Version::V2, Controller::Memory) => vec![
            ("memory.max", text, false),
            ("memory.swap.max", "0".to_owned(), true),
            ("memory.oom.group", "1".to_owned(), true),
        ],
        (Version::V1 | Version::V2, Controller::Pids) => vec![("pids.max", text, false)],
        (Version::V1, Controller::Cpu) => vec![
            ("cpu.cfs_period_us", period, false),
            ("cpu.cfs_quota_us", quota.to_string(), false),
        ],
        (Version::V2, Controller::Cpu) => vec![("cpu.max", format!("{quota} {period}"), false)],
    }
}

/// In one write: the kernel takes each for a whole value.
fn put(path: &Path, value: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(value.as_bytes())
}

/// Removes a group once it is empty, which the kernel says a moment after the last process is reaped.
fn remove_empty(dir: &Path) {
    for _ in 0..limit::CGROUP_REMOVE_TRIES {
        match fs::remove_dir(dir) {
            Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
                // waits: for the kernel, which tells nobody.
                std::thread::sleep(limit::CONFIRM_EVERY);
            }
            Ok(()) | Err(_) => return,
        }
    }
}

/// Removes what placements that are `gone` have left below `parents`. A group with processes stays.
pub fn sweep(parents: &Parents, gone: impl Fn(&PlacementKey) -> bool) {
    for (_, parent) in parents.0.values() {
        let Ok(entries) = fs::read_dir(parent) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let key = name.to_str().and_then(|name| PlacementKey::new(name).ok());
            if entry.file_type().is_ok_and(|kind| kind.is_dir())
                && key.is_some_and(|key| gone(&key))
            {
                remove_empty(&entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_written_as_its_version_reads_it() {
        let of = |version, controller, value| {
            settings(version, controller, value)
                .into_iter()
                .map(|(file, value, _)| format!("{file}={value}"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            of(Version::V1, Controller::Memory, 4096),
            "memory.limit_in_bytes=4096 memory.memsw.limit_in_bytes=4096"
        );
        assert_eq!(
            of(Version::V2, Controller::Memory, 4096),
            "memory.max=4096 memory.swap.max=0 memory.oom.group=1"
        );
        assert_eq!(of(Version::V2, Controller::Pids, 7), "pids.max=7");
        assert_eq!(of(Version::V2, Controller::Cpu, 2500), "cpu.max=250000 100000");
        assert_eq!(
            of(Version::V1, Controller::Cpu, 10),
            "cpu.cfs_period_us=100000 cpu.cfs_quota_us=1000"
        );
    }

    #[test]
    fn a_job_gets_what_it_asks_for_up_to_what_the_host_allows() {
        let limits = |memory_bytes, pids| Limits { memory_bytes, pids, cpu_milli: None };
        let most = limits(Some(100), Some(7));
        let wanted = Wanted::of(&limits(Some(100), None), &most).unwrap().0;
        assert_eq!(wanted[&Controller::Memory], Limited { value: 100, required: true });
        assert_eq!(wanted[&Controller::Pids], Limited { value: 7, required: false });
        assert!(!wanted.contains_key(&Controller::Cpu));
        let over = Wanted::of(&limits(Some(101), None), &most).unwrap_err();
        assert!(matches!(over, LimitError::Over { controller: Controller::Memory, .. }), "{over}");
    }

    #[test]
    fn a_limit_that_was_asked_for_is_never_left_out() {
        let key = PlacementKey::new("p").unwrap();
        let memory = Limits { memory_bytes: Some(1 << 20), ..Limits::default() };
        let asked = Wanted::of(&memory, &Limits::default()).unwrap();
        let error = Groups::make(&Parents::default(), &key, &asked).unwrap_err();
        assert!(matches!(error, LimitError::Unavailable(Controller::Memory)), "{error}");
        let usual = Wanted::of(&Limits::default(), &memory).unwrap();
        assert!(Groups::make(&Parents::default(), &key, &usual).unwrap().dirs.is_empty());
        // No kernel's file system: the directory can be made, its files are not there.
        let dir = tempfile::tempdir().unwrap();
        let parents = Parents([(Controller::Memory, (Version::V2, dir.path().to_owned()))].into());
        for wanted in [&asked, &usual] {
            let error = Groups::make(&parents, &key, wanted).unwrap_err();
            assert!(matches!(error, LimitError::Io { .. }), "{error}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
        }
    }

    #[test]
    fn both_versions_tell_who_died_for_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let of = |version| {
            let memory = Some((version, path.clone()));
            Groups { memory, dirs: Vec::new(), entrances: Vec::new() }.killed_for_memory()
        };
        assert_eq!(of(Version::V1), None);
        fs::write(path.join("memory.oom_control"), "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
            .unwrap();
        fs::write(path.join("memory.events"), "low 0\nmax 9\noom 2\noom_kill 1\n").unwrap();
        assert_eq!((of(Version::V1), of(Version::V2)), (Some(3), Some(1)));
        fs::write(path.join("memory.events"), "oom 2\noom_group_kill 1\n").unwrap();
        assert_eq!(of(Version::V2), None);
    }
}
