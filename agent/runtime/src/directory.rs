//! The directory of a placement: what survives the agent.
//!
//! `shim` (who runs it) is written before the job starts, `exit` (how it ended) after the kernel has confirmed that
//! the whole process tree is gone. So: no `exit` and no live process from `shim` means that it was killed with its
//! shim; `exit` means that nothing of it runs. `work` and `tmp` belong to the job, whose user is their owner; the rest to the
//! agent.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::limit;
use crate::placement::PlacementKey;
use crate::procfs::{self, ProcessId};

/// First byte of every record, so that a later format is refused and not misread.
const RECORD_VERSION: u8 = 2;
/// The job must be able to pass through to its own directory, and to list nothing on the way.
const PASS_THROUGH: u32 = 0o711;

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system refused.
    #[error("cannot read {path}")]
    Io {
        /// The record.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The bytes are no record of this version.
    #[error("{0} is not a record of this version")]
    Malformed(PathBuf),
}

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
    /// The shim was killed, and everything with it: by `kill`, by the end of the agent, or from outside.
    ShimKilled,
    /// It failed after the kernel had killed a process of it for using more memory than the job may.
    OutOfMemory,
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
        Ok(())
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
        read_record(&self.path.join("shim"))
    }

    /// Records who runs it. Survives the agent; need not survive the host, which takes the processes along.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write_shim(&self, record: &ShimRecord) -> io::Result<()> {
        write_record(&self.path, "shim", record)
    }

    /// Reads how it ended.
    ///
    /// # Errors
    /// When a record is there and cannot be read or understood.
    pub fn exit(&self) -> Result<Option<ExitRecord>, RecordError> {
        read_record(&self.path.join("exit"))
    }

    /// Records how it ended; durable when this returns.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write_exit(&self, record: &ExitRecord) -> io::Result<()> {
        write_record(&self.path, "exit", record)
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

/// Whole or not at all: a temporary file, synced, renamed, and the directory synced.
fn write_record<T: Serialize>(dir: &Path, name: &str, record: &T) -> io::Result<()> {
    let body = postcard::to_allocvec(record).map_err(io::Error::other)?;
    let temporary = dir.join(format!("{name}.new"));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(&[RECORD_VERSION])?;
    file.write_all(&body)?;
    file.sync_all()?;
    fs::rename(&temporary, dir.join(name))?;
    File::open(dir)?.sync_all()
}

fn read_record<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RecordError> {
    let io = |source| RecordError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let mut bytes = Vec::new();
    file.take(limit::RECORD_BYTES_MAX).read_to_end(&mut bytes).map_err(io)?;
    let malformed = || RecordError::Malformed(path.to_owned());
    let (version, body) = bytes.split_first().ok_or_else(malformed)?;
    if *version != RECORD_VERSION {
        return Err(malformed());
    }
    match postcard::take_from_bytes(body) {
        Ok((record, [])) => Ok(Some(record)),
        Ok(_) | Err(_) => Err(malformed()),
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
        for bytes in [&b""[..], &[1, 0, 0, 0, 0], &[3, 0, 0, 0, 0], &[2, 0, 0, 0, 0, 0], &[2, 99]] {
            fs::write(dir.path().join("exit"), bytes).unwrap();
            assert!(matches!(dir.exit(), Err(RecordError::Malformed(_))), "{bytes:?}");
        }
        dir.remove().unwrap();
        dir.remove().unwrap();
    }
}
