//! A shim as the supervisor sees it: a child process, its pipes, its record, its deadlines.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::time::Instant;

use super::supervisor::Reply;
use crate::directory::{PlacementDir, ShimRecord};
use crate::environment;
use crate::limit;
use crate::shim::wire::{self, Order};
use crate::shim::{MODE_RUN, ShimCommand};

/// A shim that is not confirmed dead.
pub(super) struct Shim {
    process: Child,
    /// Requests to stop go in; its end kills the job.
    control: Option<ChildStdin>,
    /// `None` once both processes of the shim have closed it.
    pub(super) status: Option<ChildStdout>,
    pub(super) dir: PlacementDir,
    /// Who waits for the start, and until when.
    pub(super) starting: Option<(Reply, Instant)>,
    pub(super) record: Option<ShimRecord>,
    /// When to kill, should the shim not have done it.
    kill_at: Option<Instant>,
    pub(super) late: bool,
}

/// What a status pipe said.
pub(super) enum Heard {
    Nothing,
    Running,
    End,
}

impl Shim {
    pub(super) fn listen(&mut self) -> Heard {
        let Some(status) = self.status.as_mut() else { return Heard::Nothing };
        let mut byte = [0];
        match status.read(&mut byte) {
            Ok(0) => Heard::End,
            Ok(_) if byte == [wire::RUNNING] => Heard::Running,
            Ok(_) => Heard::Nothing,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                Heard::Nothing
            }
            Err(_) => Heard::End,
        }
    }

    /// Passes a request to stop on, and remembers when to insist should the shim not do it.
    pub(super) fn ask_to_stop(&mut self, grace: Duration) {
        let at = deadline(grace.saturating_add(limit::GRACE_MARGIN));
        self.kill_at = Some(self.kill_at.map_or(at, |earlier| earlier.min(at)));
        let asked = self.control.as_mut().map(|control| control.write_all(&wire::stop(grace)));
        if !matches!(asked, Some(Ok(()))) {
            tracing::warn!(dir = %self.dir.path().display(), "the shim takes no request to stop; it will be killed");
        }
    }

    /// Reads who runs the job, once; the number of its init.
    pub(super) fn learn(&mut self) -> Option<i32> {
        if self.record.is_none() {
            match self.dir.shim() {
                Ok(found) => self.record = found,
                Err(error) => {
                    tracing::error!(dir = %self.dir.path().display(), %error, "shim record unreadable");
                }
            }
        }
        self.record.as_ref().map(|record| record.init.pid)
    }

    /// Kills init when it is known, so that the outer shim can still say what became of it; else the outer shim,
    /// whose init then never gets its go.
    pub(super) fn kill(&mut self) {
        self.learn();
        let killed = match &self.record {
            Some(record) => record.init.kill(),
            None => self.process.kill(),
        };
        if let Err(error) = killed {
            tracing::error!(dir = %self.dir.path().display(), %error, "a shim cannot be killed; trying again");
        }
        // And again should it not be gone by then.
        self.kill_at = Some(deadline(limit::GRACE_MARGIN));
    }

    pub(super) fn keep_time(&mut self) {
        let now = Instant::now();
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill();
        }
        if self.starting.as_ref().is_some_and(|(_, until)| *until <= now) && !self.late {
            self.late = true;
            self.kill();
        }
    }

    /// Whether both processes are dead. The outer shim is our child; init is not, and when the outer shim was
    /// killed from outside, its death is seen in `/proc` alone.
    pub(super) fn is_gone(&mut self) -> bool {
        match self.process.try_wait() {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(error) => {
                tracing::error!(%error, "cannot wait for a shim");
                return false;
            }
        }
        self.learn();
        let Some(record) = &self.record else { return true };
        let dead = record
            .init
            .is_alive()
            .and_then(|alive| if alive { record.init.kill() } else { Ok(()) }.map(|()| !alive));
        match dead {
            Ok(dead) => dead,
            Err(error) => {
                tracing::error!(%error, "cannot tell whether a job is dead; it counts as alive");
                false
            }
        }
    }

    /// When to look without being woken.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let confirm = self.status.is_none().then(|| deadline(limit::CONFIRM_EVERY));
        let start = self.starting.as_ref().filter(|_| !self.late).map(|(_, until)| *until);
        [confirm, start, self.kill_at].into_iter().flatten().min()
    }
}

/// Starts the shim of `order`.
pub(super) fn spawn(
    order: &Order,
    root: &Path,
    shim: &ShimCommand,
    dir: &PlacementDir,
) -> io::Result<Shim> {
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(dir.shim_log())?;
    let mut command = shim.command(MODE_RUN);
    command.envs(environment::of_shim(&order.placement.key, root)).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
    let path = dir.path().join(wire::ORDER_NAME);
    wire::write_order(&path, order)?;
    command.arg(&path);
    let mut process = command.spawn()?;
    let (control, status) = (process.stdin.take(), process.stdout.take());
    let shim = Shim {
        process,
        control,
        status,
        dir: dir.clone(),
        starting: None,
        record: None,
        kill_at: None,
        late: false,
    };
    // Neither may ever hold up the supervisor: not a shim that says nothing, not one that takes no request.
    if let (Some(control), Some(status)) = (&shim.control, &shim.status) {
        fcntl(control.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        fcntl(status.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    Ok(shim)
}

/// The moment `after` from now.
pub(super) fn deadline(after: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(after).unwrap_or(now)
}
