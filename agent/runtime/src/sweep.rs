//! What an earlier agent left on this host: directories, their records, and processes that may still live (P6).
//!
//! Run at each start of an agent, before the runtime is opened: it is adopted or killed, and never both or neither (ADR 11).
//! Processes are found in two ways, because either can fail: by the records in the placement directories, and by the mark
//! in a shim's environment. What is found by its mark alone cannot be adopted: nobody knows how to end it in order.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::directory::{ExitRecord, PlacementDir, ShimRecord};
use crate::environment;
use crate::limit;
use crate::placement::PlacementKey;
use crate::procfs::{self, ProcessId};
use crate::record::RecordError;

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
    /// Something lives, and its record is one of this program and this boot.
    pub adoptable: bool,
    /// How it ended, if that was recorded. Absent with nobody alive: killed with its shim.
    pub exit: Option<ExitRecord>,
}

/// Looks for everything of the runtime directory `root`, which need not exist.
///
/// # Errors
/// [`SweepError::Io`] and [`SweepError::Record`]: what was found would not be all.
pub fn sweep(root: &Path) -> Result<Vec<Found>, SweepError> {
    let io = |source| SweepError::Io { path: root.to_owned(), source };
    let mut found: BTreeMap<PlacementKey, Found> = BTreeMap::new();
    let boot_id = procfs::boot_id().map_err(io)?;
    for key in keys(root).map_err(io)? {
        let dir = PlacementDir::new(root, &key);
        let record = told(dir.shim())?.filter(|record: &ShimRecord| record.boot_id == boot_id);
        let mut alive = Vec::new();
        for process in record.iter().flat_map(|record| [record.outer, record.init]) {
            if process.is_alive().map_err(io)? {
                alive.push(process);
            }
        }
        let adoptable = !alive.is_empty();
        found.insert(key.clone(), Found { key, alive, adoptable, exit: told(dir.exit())? });
    }
    for (key, process) in marked(root).map_err(io)? {
        let nothing = || Found { key: key.clone(), alive: vec![], adoptable: false, exit: None };
        let left = found.entry(key.clone()).or_insert_with(nothing);
        if !left.alive.contains(&process) {
            left.alive.push(process);
        }
    }
    Ok(found.into_values().collect())
}

/// A record of another version or a damaged one tells nothing: whose it is is found by its mark, and killed.
fn told<T>(record: Result<Option<T>, RecordError>) -> Result<Option<T>, RecordError> {
    match record {
        Err(error @ RecordError::Malformed(_)) => {
            tracing::warn!(%error, "what an earlier agent left cannot be read");
            Ok(None)
        }
        other => other,
    }
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
    fn a_damaged_record_names_nobody_and_one_that_cannot_be_reached_stops_the_sweep() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(sweep(&root.path().join("none")).unwrap(), []);
        fs::create_dir(root.path().join("p")).unwrap();
        fs::write(root.path().join("p/shim"), b"rubbish").unwrap();
        let [found] = sweep(root.path()).unwrap().try_into().unwrap();
        assert_eq!((found.alive.len(), found.adoptable, found.exit), (0, false, None));
        fs::remove_file(root.path().join("p/shim")).unwrap();
        fs::create_dir(root.path().join("p/shim")).unwrap();
        assert!(matches!(sweep(root.path()), Err(SweepError::Record(_))));
    }
}
