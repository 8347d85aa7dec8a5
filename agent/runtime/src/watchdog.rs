//! The watchdog: a process of its own that kills what the lease bound and what has outlived it, with the agent dead, stopped
//! or starved, and the shim stopped (P4, ADR 11).
//!
//! Must hold: it kills nothing before the deadline that is in force, nothing that the lease does not bind, and no process
//! but the shims that the placements' records name. It reads files and sends signals, and nothing else. While it lives, jobs
//! may outlive their agent ([`crate::guard`]).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::directory::PlacementDir;
use crate::limit;
use crate::placement::PlacementKey;
use crate::procfs::{boot_id, boottime_ns};
use crate::sweep::{SweepError, keys};

/// What one look came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What was killed.
    pub killed: Vec<PlacementKey>,
    /// Time until the next look is due, at most [`limit::WATCH_EVERY`].
    pub pause: Duration,
}

/// The watch over one runtime directory.
#[derive(Debug)]
pub struct Watchdog {
    root: PathBuf,
    /// Bound placements whose job was dead at the last look and whose outer shim was not.
    alone: BTreeSet<PlacementKey>,
}

/// What was found of a placement that has outlived its lease.
enum Outlived {
    /// Nothing lives, or the lease does not bind it.
    No,
    Killed,
    /// Its job is dead; its outer shim has yet to say so.
    Alone,
}

impl Watchdog {
    /// Over the runtime directory `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), alone: BTreeSet::new() }
    }

    /// Looks once. What was killed is looked at again the next time: it counts as dead when it is.
    ///
    /// # Errors
    /// When it cannot be told what there is; whatever was found has been killed then.
    pub fn look(&mut self) -> Result<Look, SweepError> {
        let io = |source| SweepError::Io { path: self.root.clone(), source };
        let now = boottime_ns().map_err(io)?;
        let left = Deadline::read(&self.root).map_or(0, |held| held.kill_ns.saturating_sub(now));
        if left > 0 {
            self.alone.clear();
            let pause = Duration::from_nanos(left).min(limit::WATCH_EVERY);
            return Ok(Look { killed: Vec::new(), pause });
        }
        let (boot, mut killed, mut failed) = (boot_id().map_err(io)?, Vec::new(), None);
        let mut alone = BTreeSet::new();
        for key in keys(&self.root).map_err(io)? {
            match end(&PlacementDir::new(&self.root, &key), &boot, self.alone.contains(&key)) {
                Ok(Outlived::Killed) => killed.push(key),
                Ok(Outlived::Alone) => drop(alone.insert(key)),
                Ok(Outlived::No) => {}
                // The others must not live on because of one.
                Err(error) => failed = Some(error),
            }
        }
        self.alone = alone;
        match failed {
            Some(error) => Err(error),
            None => Ok(Look { killed, pause: limit::WATCH_EVERY }),
        }
    }
}

/// Kills the init of a placement that is bound and lives; and its outer shim, if that has not ended a look after its job did:
/// it stands still, and keeps devices locked.
fn end(dir: &PlacementDir, boot: &str, again: bool) -> Result<Outlived, SweepError> {
    let io = |source| SweepError::Io { path: dir.path().to_owned(), source };
    let Some(record) = dir.shim()?.filter(|record| record.bound && record.boot_id == boot) else {
        return Ok(Outlived::No);
    };
    if record.init.is_alive().map_err(io)? {
        record.init.kill().map_err(io)?;
        return Ok(Outlived::Killed);
    }
    if !record.outer.is_alive().map_err(io)? {
        return Ok(Outlived::No);
    }
    if again {
        record.outer.kill().map_err(io)?;
    }
    Ok(Outlived::Alone)
}
