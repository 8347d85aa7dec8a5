//! What an earlier agent left on this host: directories, their records, and processes that may still live (P6).
//!
//! Run at each start of an agent, before the runtime is opened. Processes are found in two ways, because either
//! can fail: by the records in the placement directories, and by the mark in a shim's environment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::directory::{ExitRecord, PlacementDir, RecordError};
use crate::environment;
use crate::limit;
use crate::placement::PlacementKey;
use crate::procfs::{self, ProcessId};

/// The file in the runtime directory that is no placement.
pub const LOCK_NAME: &str = "runtime.lock";

/// Why a sweep is incomplete. The agent must then start nothing.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The runtime directory or `/proc` cannot be read.
    #[error("cannot read {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A record cannot be read, so it is unknown whether its processes live.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Processes were killed and are not gone.
    #[error("placement {0} was killed but is not gone")]
    Alive(PlacementKey),
}

/// What is left of one placement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub key: PlacementKey,
    /// Shim processes that live. While there is one, jobs may live.
    pub alive: Vec<ProcessId>,
    /// How it ended, if that was recorded. Absent with nobody alive: killed with its shim.
    pub exit: Option<ExitRecord>,
}

/// Looks for everything of the runtime directory `root`, which need not exist.
///
/// # Errors
/// [`SweepError::Io`] and [`SweepError::Record`]: what was found would not be all.
pub fn sweep(root: &Path) -> Result<Vec<Found>, SweepError> {
    let io = |source| SweepError::Io { path: root.to_owned(), source };
    let mut found: BTreeMap<PlacementKey, (BTreeSet<ProcessId>, Option<ExitRecord>)> =
        BTreeMap::new();
    let boot_id = procfs::boot_id().map_err(io)?;
    for key in keys(root).map_err(io)? {
        let dir = PlacementDir::new(root, &key);
        let recorded = dir.shim()?.filter(|record| record.boot_id == boot_id);
        let mut alive = BTreeSet::new();
        for process in recorded.iter().flat_map(|record| [record.outer, record.init]) {
            if process.is_alive().map_err(io)? {
                alive.insert(process);
            }
        }
        found.insert(key, (alive, dir.exit()?));
    }
    for (key, process) in marked(root).map_err(io)? {
        found.entry(key).or_default().0.insert(process);
    }
    let list = found.into_iter().map(|(key, (alive, exit))| Found {
        key,
        alive: alive.into_iter().collect(),
        exit,
    });
    Ok(list.collect())
}

impl Found {
    /// Kills what lives and waits, at most `within`, until it is gone. Blocks.
    ///
    /// # Errors
    /// [`SweepError::Alive`] when it is not gone in time, [`SweepError::Io`] when it cannot be killed.
    pub fn kill(&self, within: Duration) -> Result<(), SweepError> {
        let io = |source| SweepError::Io { path: PathBuf::from("/proc"), source };
        let begun = Instant::now();
        // waits: for the death of processes that are not our children.
        loop {
            let mut left = false;
            for process in &self.alive {
                if process.is_alive().map_err(io)? {
                    process.kill().map_err(io)?;
                    left = true;
                }
            }
            if !left {
                return Ok(());
            }
            if begun.elapsed() > within {
                return Err(SweepError::Alive(self.key.clone()));
            }
            std::thread::sleep(limit::CONFIRM_EVERY);
        }
    }

    /// Removes the placement's directory. Only for one of which nothing lives.
    ///
    /// # Errors
    /// What the file system says.
    pub fn remove(&self, root: &Path) -> io::Result<()> {
        PlacementDir::new(root, &self.key).remove()
    }
}

/// Names that are no keys were not made by us and are left alone.
pub(crate) fn keys(root: &Path) -> io::Result<Vec<PlacementKey>> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut keys = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Some(key) =
                entry.file_name().to_str().and_then(|name| PlacementKey::new(name).ok())
        {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// Shim processes by their mark. An environment that we may not read is another user's and not marked by us.
fn marked(root: &Path) -> io::Result<Vec<(PlacementKey, ProcessId)>> {
    let mut found = Vec::new();
    for pid in procfs::pids()? {
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { continue };
        let Some(key) = key_in(&environment, root) else { continue };
        if let Some(process) = ProcessId::of(pid)?
            && process.is_alive()?
        {
            found.push((key, process));
        }
    }
    Ok(found)
}

fn key_in(environment: &[u8], root: &Path) -> Option<PlacementKey> {
    let text = String::from_utf8_lossy(environment);
    let value =
        |name: &str| text.split('\0').find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    if Path::new(value(environment::RUNTIME_ROOT)?) != root {
        return None;
    }
    PlacementKey::new(value(environment::PLACEMENT)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_mark_counts() {
        let mark = b"SEKISHO_PLACEMENT=p-1\0SEKISHO_RUNTIME_ROOT=/run/a\0";
        assert_eq!(key_in(mark, Path::new("/run/a")).unwrap().as_str(), "p-1");
        assert_eq!(key_in(mark, Path::new("/run/b")), None);
        assert_eq!(
            key_in(b"SEKISHO_PLACEMENT=p-1\0", Path::new("/run/a")),
            None,
            "a job's own environment"
        );
    }

    #[test]
    fn an_unreadable_record_stops_the_sweep() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(sweep(&root.path().join("none")).unwrap(), []);
        fs::create_dir(root.path().join("p")).unwrap();
        fs::write(root.path().join("p/shim"), b"rubbish").unwrap();
        assert!(matches!(sweep(root.path()), Err(SweepError::Record(_))));
    }
}
