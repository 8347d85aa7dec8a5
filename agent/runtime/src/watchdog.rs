//! The watchdog: a process of its own that kills what the lease bound and what has outlived it, with the agent dead, stopped
//! or starved, and the shim stopped (P4, ADR 11).
//!
//! Must hold: it kills nothing before the deadline that is in force, nothing that the lease does not bound, and no process
//! but the inits that the placements' records name. It reads files and sends signals, and nothing else.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::directory::PlacementDir;
use crate::limit;
use crate::placement::PlacementKey;
use crate::procfs::{boot_id, boottime_ns};
use crate::sweep::{SweepError, keys};

/// Held for the watchdog's life: one for each runtime directory.
pub const LOCK_NAME: &str = "watchdog.lock";

/// Takes the runtime directory, which need not be used yet, for this watchdog.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] while another one has it; else what the file system says.
pub fn lock(root: &Path) -> io::Result<File> {
    crate::process::make_root(root)?;
    let path = root.join(LOCK_NAME);
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// What one look came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What was killed.
    pub killed: Vec<PlacementKey>,
    /// Time until the next look is due, at most [`limit::WATCH_EVERY`].
    pub pause: Duration,
}

/// Looks once. What was killed is looked at again the next time: it counts as dead when it is.
///
/// # Errors
/// When it cannot be told what there is; whatever was found has been killed then.
pub fn look(root: &Path) -> Result<Look, SweepError> {
    let io = |source| SweepError::Io { path: root.to_owned(), source };
    let now = boottime_ns().map_err(io)?;
    let left = Deadline::read(root).map_or(0, |held| held.kill_ns.saturating_sub(now));
    if left > 0 {
        let pause = Duration::from_nanos(left).min(limit::WATCH_EVERY);
        return Ok(Look { killed: Vec::new(), pause });
    }
    let (boot, mut killed, mut failed) = (boot_id().map_err(io)?, Vec::new(), None);
    for key in keys(root).map_err(io)? {
        match end(&PlacementDir::new(root, &key), &boot) {
            Ok(true) => killed.push(key),
            Ok(false) => {}
            // The others must not live on because of one.
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(Look { killed, pause: limit::WATCH_EVERY }),
    }
}

/// Kills the init of a placement that is bound and lives. Whether there was something to kill.
fn end(dir: &PlacementDir, boot: &str) -> Result<bool, SweepError> {
    let io = |source| SweepError::Io { path: dir.path().to_owned(), source };
    let Some(record) = dir.shim()?.filter(|record| record.bound && record.boot_id == boot) else {
        return Ok(false);
    };
    if !record.init.is_alive().map_err(io)? {
        return Ok(false);
    }
    record.init.kill().map_err(io)?;
    Ok(true)
}
