//! The directory of a placement: what survives the agent.
//!
//! `shim` (who runs it) is written before the job starts, `running` when its program does, `exit` (how it ended) after the
//! kernel has confirmed that the whole process tree is gone. So: no `exit` and no live process from `shim` means that it was
//! killed with its shim; `exit` means that nothing of it runs. `stop` is the agent's request to init, which reads it when
//! it is signalled. `work` and `tmp` belong to the job, whose user is their owner; the rest to the agent.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::limit;
use crate::placement::PlacementKey;
use crate::procfs::{self, ProcessId};
use crate::record::{self, Keep, RecordError};

/// The job must be able to pass through to its own directory, and to list nothing on the way.
const PASS_THROUGH: u32 = 0o711;

/// Who runs a placement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShimRecord {
    /// Boot in which the processes were started.
    pub boot_id: String,
    /// The outer shim, which outlives the namespace and confirms its end.
    pub outer: ProcessId,
    /// Init of the job's PID namespace: killing it kills all.
    pub init: ProcessId,
    /// Whether the end of the host's lease ends it.
    pub bound: bool,
}

/// How a placement ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitStatus {
    /// The job ended by itself, with this code.
    Exited(i32),
    /// A signal ended the job; 9 also after a stop whose grace was not enough.
    Signaled(i32),
    /// The job was stopped at its time limit.
    TimedOut,
    /// Nothing was run.
    StartFailed(StartFailure),
    /// The shim was killed, and everything with it: by `kill`, by the watchdog, or from outside.
    ShimKilled,
    /// Its shim ended it at the end of the host's lease.
    LeaseOver,
    /// Neither agent nor watchdog was there to look after it.
    Unguarded,
    /// It failed after the kernel had killed a process of it for using more memory than the job may.
    OutOfMemory,
}

impl ExitStatus {
    /// Whether it was the host that ended it, and nobody who asked for that: the job is not at fault and finds another place.
    #[must_use]
    pub const fn is_the_hosts(&self) -> bool {
        match self {
            Self::ShimKilled | Self::LeaseOver | Self::Unguarded => true,
            Self::Exited(_)
            | Self::Signaled(_)
            | Self::TimedOut
            | Self::StartFailed(_)
            | Self::OutOfMemory => false,
        }
    }
}

/// The job's program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningRecord {
    /// Since when, in nanoseconds since boot.
    pub since_boottime_ns: u64,
}

/// A request to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRecord {
    /// When what is left is killed, in nanoseconds since boot.
    pub kill_boottime_ns: u64,
}

/// Why nothing was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{stage:?}: {detail}")]
pub struct StartFailure {
    /// How far it came.
    pub stage: StartStage,
    /// Why, for a human.
    pub detail: String,
}

impl StartFailure {
    /// A failure at `stage`, its reason cut to the bound of a record.
    #[must_use]
    pub fn new(stage: StartStage, detail: &dyn std::fmt::Display) -> Self {
        let mut detail = detail.to_string();
        let end = (0..=limit::REASON_BYTES_MAX)
            .rev()
            .find(|at| detail.is_char_boundary(*at))
            .unwrap_or(0);
        detail.truncate(end);
        Self { stage, detail }
    }
}

/// The steps of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartStage {
    /// The shim did not understand its order, or could not keep its records.
    Shim,
    /// A device was still held by another placement.
    Device,
    /// The namespaces could not be made.
    Namespace,
    /// The program could not be run.
    Exec,
    /// It took longer than [`limit::START_WITHIN`]; the program may have run for a moment.
    Deadline,
    /// A limit that the job asks for cannot be enforced here, or is over what a job may have here.
    Limits,
    /// The job's own view of the file system, its user or the filter of system calls could not be made.
    Sandbox,
}

/// The end of a placement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// How it ended.
    pub status: ExitStatus,
    /// When the process tree was seen gone, in nanoseconds since boot.
    pub at_boottime_ns: u64,
    /// How often the job's program was begun anew before that.
    pub restarts: u32,
}

/// Paths of one placement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacementDir {
    path: PathBuf,
}

impl PlacementDir {
    /// The directory of `key` below `root`; nothing is touched.
    #[must_use]
    pub fn new(root: &Path, key: &PlacementKey) -> Self {
        Self { path: root.join(key.as_str()) }
    }

    /// A directory whose path is known already.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Makes it, with the job's own directories owned by `owner`.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when the key was used before; else what the file system says.
    pub fn create(&self, owner: Option<(u32, u32)>) -> io::Result<()> {
        DirBuilder::new().mode(PASS_THROUGH).create(&self.path)?;
        // The mode above went through the umask of whoever started the agent.
        fs::set_permissions(&self.path, fs::Permissions::from_mode(PASS_THROUGH))?;
        for own in [self.work(), self.tmp()] {
            DirBuilder::new().mode(0o700).create(&own)?;
            if let Some((uid, gid)) = owner {
                std::os::unix::fs::chown(own, Some(uid), Some(gid))?;
            }
        }
        // Neither its end nor the request for it may depend on what the job leaves of the disk.
        ["exit", "stop"].into_iter().try_for_each(|name| record::reserve(&self.path, name))
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The job's own directory.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// What the job sees as `/tmp` and `/var/tmp`.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// The shim's complaints.
    #[must_use]
    pub fn shim_log(&self) -> PathBuf {
        self.path.join("shim.log")
    }

    /// Reads who runs it.
    ///
    /// # Errors
    /// When a record is there and cannot be read or understood.
    pub fn shim(&self) -> Result<Option<ShimRecord>, RecordError> {
        record::read(&self.path, "shim")
    }

    /// Records who runs it. Survives the agent; need not survive the host, which takes the processes along.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write_shim(&self, record: &ShimRecord) -> io::Result<()> {
        record::write(&self.path, "shim", record, Keep::WhileUp)
    }

    /// Reads how it ended.
    ///
    /// # Errors
    /// When a record is there and cannot be read or understood.
    pub fn exit(&self) -> Result<Option<ExitRecord>, RecordError> {
        record::read(&self.path, "exit")
    }

    /// Records how it ended; durable when this returns.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write_exit(&self, record: &ExitRecord) -> io::Result<()> {
        record::write(&self.path, "exit", record, Keep::Durable)
    }

    /// Reads whether its program runs, or ran.
    ///
    /// # Errors
    /// When a record is there and cannot be read or understood.
    pub fn running(&self) -> Result<Option<RunningRecord>, RecordError> {
        record::read(&self.path, "running")
    }

    /// Records that its program runs.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write_running(&self, record: RunningRecord) -> io::Result<()> {
        record::write(&self.path, "running", &record, Keep::WhileUp)
    }

    /// Reads the request to stop.
    ///
    /// # Errors
    /// When one is there and cannot be read or understood.
    pub fn stop(&self) -> Result<Option<StopRecord>, RecordError> {
        record::read(&self.path, "stop")
    }

    /// Records a request to stop, which init reads at SIGTERM.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write_stop(&self, record: StopRecord) -> io::Result<()> {
        record::write(&self.path, "stop", &record, Keep::WhileUp)
    }

    /// Whether nothing of it runs or will: it was removed, its end is recorded, or both of its shims are dead. What cannot be
    /// told counts as not over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        if !self.path.exists() || matches!(self.exit(), Ok(Some(_))) {
            return true;
        }
        let (Ok(Some(shim)), Ok(boot)) = (self.shim(), procfs::boot_id()) else { return false };
        let dead = |process: ProcessId| matches!(process.is_alive(), Ok(false));
        shim.boot_id != boot || (dead(shim.outer) && dead(shim.init))
    }

    /// Removes what the job had to itself, once nothing of it runs. Its output and its records stay.
    ///
    /// # Errors
    /// What the file system says; to be gone already is no error.
    pub fn clear(&self) -> io::Result<()> {
        for own in [self.work(), self.tmp()] {
            match fs::remove_dir_all(&own) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Removes it with all that the job left in it.
    ///
    /// # Errors
    /// What the file system says; to be gone already is no error.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_strangers_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let dir = PlacementDir::new(root.path(), &PlacementKey::new("p").unwrap());
        dir.create(None).unwrap();
        assert_eq!(dir.create(None).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(dir.exit().unwrap(), None);
        let failure = StartFailure::new(StartStage::Exec, &"あ".repeat(5000));
        let status = ExitStatus::StartFailed(failure);
        let record = ExitRecord { status, at_boottime_ns: 7, restarts: 0 };
        dir.write_exit(&record).unwrap();
        assert_eq!(dir.exit().unwrap(), Some(record));
        assert!((dir.running().unwrap(), dir.stop().unwrap()) == (None, None));
        dir.write_stop(StopRecord { kill_boottime_ns: 8 }).unwrap();
        dir.write_running(RunningRecord { since_boottime_ns: 9 }).unwrap();
        assert_eq!(dir.stop().unwrap().unwrap().kill_boottime_ns, 8);
        assert_eq!(dir.running().unwrap().unwrap().since_boottime_ns, 9);
        for bytes in [&b""[..], &[2, 0, 0, 0], &[1, 0, 0, 0, 0], &[1, 99]] {
            fs::write(dir.path().join("exit"), bytes).unwrap();
            assert!(matches!(dir.exit(), Err(RecordError::Malformed(_))), "{bytes:?}");
        }
        dir.remove().unwrap();
        dir.remove().unwrap();
    }
}
