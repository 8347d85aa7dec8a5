//! A shim as the supervisor sees it: two processes, watched by their pidfds, its records, its deadlines. Whether this runtime
//! started it or an earlier one did makes no difference but to who reaps it.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use tokio::time::Instant;

use super::supervisor::Reply;
use crate::directory::{PlacementDir, RunningRecord, ShimRecord, StopRecord};
use crate::environment;
use crate::limit;
use crate::procfs::{ProcessId, boottime_ns};
use crate::record::RecordError;
use crate::shim::wire::{self, Order};
use crate::shim::{MODE_RUN, ShimCommand};

/// A shim that is not confirmed dead.
pub(super) struct Shim {
    pub(super) dir: PlacementDir,
    /// To be reaped, if it is our child.
    child: Option<Child>,
    outer: ProcessId,
    /// Readable when outer ends; `None` once it has.
    outer_end: Option<OwnedFd>,
    /// The same of init, once it is known.
    init_end: Option<OwnedFd>,
    /// Wakes when the job's program runs; only of our own child, and only until then.
    news: Option<ChildStdout>,
    record: Option<ShimRecord>,
    running: Option<RunningRecord>,
    /// Who waits for the start.
    pub(super) waiting: Vec<Reply>,
    /// Until when it has to run; `None` once it does.
    start_by: Option<Instant>,
    /// When to kill, should the shim not have done it.
    kill_at: Option<Instant>,
    /// When init was seen dead with outer still there.
    alone_since: Option<Instant>,
    pub(super) late: bool,
}

impl Shim {
    fn new(dir: PlacementDir, outer: ProcessId) -> io::Result<Self> {
        Ok(Self {
            dir,
            child: None,
            outer,
            outer_end: outer.pidfd()?,
            init_end: None,
            news: None,
            record: None,
            running: None,
            waiting: Vec::new(),
            start_by: Some(deadline(limit::START_WITHIN)),
            kill_at: None,
            alone_since: None,
            late: false,
        })
    }

    /// One that an earlier runtime started.
    ///
    /// # Errors
    /// When its records cannot be read, or name nobody.
    pub(super) fn adopt(dir: PlacementDir) -> Result<Self, RecordError> {
        let io = |source| RecordError::Io { path: dir.path().to_owned(), source };
        let record = dir.shim()?.ok_or_else(|| io(io::ErrorKind::NotFound.into()))?;
        let mut shim = Self::new(dir.clone(), record.outer).map_err(io)?;
        shim.record = Some(record);
        shim.look();
        Ok(shim)
    }

    /// Number of its init, if that is known.
    pub(super) fn pid(&self) -> Option<i32> {
        self.record.as_ref().map(|record| record.init.pid)
    }

    /// Since when the job's program runs.
    pub(super) fn running(&self) -> Option<RunningRecord> {
        self.running
    }

    /// What to wait for, beside the deadlines.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let ends = self.outer_end.iter().chain(&self.init_end).map(AsFd::as_fd);
        ends.chain(self.news.iter().map(AsFd::as_fd))
    }

    /// Reads what is new. Whether the job's program was not known to run and now is.
    pub(super) fn look(&mut self) -> bool {
        self.take_news();
        self.learn();
        if self.running.is_some() || self.record.is_none() {
            return false;
        }
        match self.dir.running() {
            Ok(found) => self.running = found,
            Err(error) => {
                tracing::error!(dir = %self.dir.path().display(), %error, "whether it runs is unreadable");
            }
        }
        if self.running.is_some() {
            self.start_by = None;
        }
        self.running.is_some()
    }

    /// Empties the pipe; its end says no more than its byte: look at the records.
    fn take_news(&mut self) {
        let Some(news) = self.news.as_mut() else { return };
        let mut byte = [0];
        match news.read(&mut byte) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Ok(_) | Err(_) => self.news = None,
        }
    }

    /// Reads who runs the job, once.
    fn learn(&mut self) {
        if self.record.is_none() {
            match self.dir.shim() {
                Ok(found) => self.record = found,
                Err(error) => {
                    tracing::error!(dir = %self.dir.path().display(), %error, "shim record unreadable");
                }
            }
        }
        if self.init_end.is_none()
            && self.alone_since.is_none()
            && let Some(record) = &self.record
        {
            match record.init.pidfd() {
                Ok(Some(end)) => self.init_end = Some(end),
                Ok(None) => self.alone_since = Some(Instant::now()),
                Err(error) => {
                    tracing::error!(dir = %self.dir.path().display(), %error, "init cannot be watched");
                }
            }
        }
    }

    /// Passes a request to stop on, and remembers when to insist should the shim not do it.
    pub(super) fn ask_to_stop(&mut self, grace: Duration) {
        let at = deadline(grace.saturating_add(limit::GRACE_MARGIN));
        self.kill_at = Some(self.kill_at.map_or(at, |earlier| earlier.min(at)));
        // In this order: an init that is not known yet reads the request before it first waits for a signal.
        let asked = self.write_stop(grace).and_then(|()| {
            self.learn();
            self.record.as_ref().map_or(Ok(()), |record| record.init.signal(Signal::SIGTERM))
        });
        if let Err(error) = asked {
            tracing::warn!(dir = %self.dir.path().display(), %error, "the shim takes no request to stop; it will be killed");
        }
    }

    /// An earlier request stands if it ends sooner.
    fn write_stop(&self, grace: Duration) -> io::Result<()> {
        let grace = u64::try_from(grace.as_nanos()).unwrap_or(u64::MAX);
        let kill_boottime_ns = boottime_ns()?.saturating_add(grace);
        let earlier = self.dir.stop().ok().flatten();
        if earlier.is_some_and(|earlier| earlier.kill_boottime_ns <= kill_boottime_ns) {
            return Ok(());
        }
        self.dir.write_stop(StopRecord { kill_boottime_ns })
    }

    /// Kills init when it is known, so that the outer shim can still say what became of it; else the outer shim,
    /// whose init then never gets its go.
    pub(super) fn kill(&mut self) {
        self.learn();
        let killed = match &self.record {
            Some(record) => record.init.kill(),
            None => self.outer.kill(),
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
        if self.start_by.is_some_and(|by| by <= now) && !self.late {
            self.late = true;
            self.kill();
        }
        // Its job is dead, and it neither says so nor ends: it stands still, and with it the locks of its devices.
        let stands = |since: Instant| now.saturating_duration_since(since) >= limit::RECORD_WITHIN;
        if self.alone_since.is_some_and(stands) {
            tracing::warn!(dir = %self.dir.path().display(), "the outer shim stands still; it is killed");
            self.alone_since = Some(now);
            if let Err(error) = self.outer.kill() {
                tracing::error!(dir = %self.dir.path().display(), %error, "the outer shim cannot be killed");
            }
        }
    }

    /// Whether both processes are dead. When the outer shim was killed from outside, init's death follows and is seen in
    /// `/proc` alone.
    pub(super) fn is_gone(&mut self) -> bool {
        match self.look_at_both() {
            Ok(gone) => gone,
            Err(error) => {
                tracing::error!(%error, "cannot tell whether a job is dead; it counts as alive");
                false
            }
        }
    }

    /// Whether an end that is waited for has come. While both processes are waited for and neither has ended, `/proc` has
    /// nothing to add: a host has hundreds of shims, and each event of one is a look at all.
    fn has_news(&self) -> io::Result<bool> {
        let (Some(outer), Some(init)) = (&self.outer_end, &self.init_end) else { return Ok(true) };
        let mut ends = [outer, init].map(|end| PollFd::new(end.as_fd(), PollFlags::POLLIN));
        Ok(poll(&mut ends, PollTimeout::ZERO)? > 0)
    }

    fn look_at_both(&mut self) -> io::Result<bool> {
        if !self.has_news()? {
            return Ok(false);
        }
        let reaped = match self.child.as_mut() {
            Some(child) => child.try_wait()?.is_some(),
            None => false,
        };
        let outer_lives = !reaped && self.outer.is_alive()?;
        if !outer_lives {
            self.outer_end = None;
            self.learn();
        }
        let Some(record) = &self.record else { return Ok(!outer_lives) };
        let init_lives = record.init.is_alive()?;
        if !init_lives {
            self.init_end = None;
            if outer_lives {
                self.alone_since.get_or_insert_with(Instant::now);
            }
        } else if !outer_lives {
            record.init.kill()?;
        }
        Ok(!outer_lives && !init_lives)
    }

    /// When to look without being woken.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let confirm = self.outer_end.is_none().then(|| deadline(limit::CONFIRM_EVERY));
        // Nobody tells the next runtime when a job that was being started runs.
        let unwatched = self.start_by.is_some() && self.news.is_none();
        let starts = unwatched.then(|| deadline(limit::CONFIRM_EVERY));
        let stands = self.alone_since.and_then(|since| since.checked_add(limit::RECORD_WITHIN));
        let start = self.start_by.filter(|_| !self.late);
        [confirm, starts, stands, start, self.kill_at].into_iter().flatten().min()
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
    command.stdin(wire::order_file(order)?).stdout(Stdio::piped()).stderr(log);
    // For people who look at the processes of a host.
    command.arg(dir.path());
    let mut child = command.spawn()?;
    let (pid, news) = (i32::try_from(child.id()).map_err(io::Error::other)?, child.stdout.take());
    // Our child, not reaped yet: the number is its own even if it has ended already.
    let outer = ProcessId::of(pid)?.ok_or_else(|| io::Error::other("the shim vanished"))?;
    let mut shim = Shim::new(dir.clone(), outer)?;
    shim.child = Some(child);
    // It may never hold up the supervisor: not even one that says nothing.
    if let Some(news) = &news {
        fcntl(news.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    shim.news = news;
    Ok(shim)
}

/// The moment `after` from now.
pub(super) fn deadline(after: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(after).unwrap_or(now)
}
