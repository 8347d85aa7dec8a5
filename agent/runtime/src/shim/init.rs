//! PID 1 of a job's namespace: starts it, keeps its output, reaps, stops it in order, and kills what is left.
//!
//! It ends when the job's first process has ended, everything else is dead and no restart is due, and says last how that was. Its own
//! death, however it comes, is the death of the whole namespace.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::unistd::{Pid, getpid};

use crate::cgroup::Groups;
use crate::deadline::Deadline;
use crate::directory::{ExitStatus, PlacementDir, RunningRecord, StartFailure, StartStage};
use crate::procfs::boottime_ns;
use crate::shim::attempt::{Attempts, Launched};
use crate::shim::output::Output;
use crate::shim::wire::{self, Ended, Order};
use crate::shim::{FAILED, complain, namespace};

/// Exit code of a program that is not there, as a shell says it.
const NO_PROGRAM: i32 = 127;

/// Runs the job of `order`, which shares the open lock files and is in the groups. `go` says that the outer shim has recorded
/// us; `result` takes the last word.
pub(super) fn main(
    order: &Order,
    (locks, groups): (&[File], &Groups),
    go: PipeReader,
    mut result: PipeWriter,
) -> ExitCode {
    // From here on "everybody" is signalled more than once. Outside a namespace of our own that would be the host.
    if getpid() != Pid::from_raw(1) || await_go(go).is_err() {
        return ExitCode::from(FAILED);
    }
    let ended = match start(order, locks, groups) {
        Ok(Started::Job(code)) => return code,
        Ok(Started::Init { leader, attempts, outputs }) => {
            match Init::new(order, leader, attempts, outputs).and_then(Init::run) {
                Ok(Over::Ended(ended)) => ended,
                Ok(Over::Job(code)) => return code,
                Err(error) => {
                    // Ending here ends the namespace; better no job than one that nobody watches.
                    complain(&format_args!("init failed: {error}"));
                    return ExitCode::from(FAILED);
                }
            }
        }
        Err(failure) => ExitStatus::StartFailed(failure).into(),
    };
    let said = postcard::to_allocvec(&ended)
        .map_err(io::Error::other)
        .and_then(|bytes| result.write_all(&bytes));
    if said.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

/// Asks to die with the outer shim and then waits for its word. In this order: an outer shim that died before the
/// request took effect leaves the pipe at its end. Asking for the parent's number would not do; it is 0 in here.
fn await_go(mut go: PipeReader) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    go.read_exact(&mut [0])
}

/// Which of the two processes came back from the fork.
enum Started<'o> {
    Init {
        leader: Pid,
        attempts: Attempts<'o>,
        outputs: [Output; 2],
    },
    /// The job's process, which could not become the job.
    Job(ExitCode),
}

fn start<'o>(
    order: &'o Order,
    locks: &'o [File],
    groups: &'o Groups,
) -> Result<Started<'o>, StartFailure> {
    namespace::prepare_init().map_err(|error| StartFailure::new(StartStage::Namespace, &error))?;
    let shim = |error: io::Error| StartFailure::new(StartStage::Shim, &error);
    let (mut attempts, outputs) = Attempts::new(order, locks, groups).map_err(shim)?;
    match attempts.launch()? {
        Launched::Job(code) => Ok(Started::Job(code)),
        Launched::Init(leader) => {
            tell_running(order).map_err(shim)?;
            Ok(Started::Init { leader, attempts, outputs })
        }
    }
}

/// Without the record nobody could tell later that it runs, so it must not. Whoever waits for the byte may be gone: the
/// record tells the next one.
fn tell_running(order: &Order) -> io::Result<()> {
    let since_boottime_ns = boottime_ns()?;
    PlacementDir::at(order.dir.clone()).write_running(RunningRecord { since_boottime_ns })?;
    drop(io::stdout().write_all(&[wire::RUNNING]).and_then(|()| io::stdout().flush()));
    Ok(())
}

/// What the watch came to.
enum Over {
    /// The job has ended.
    Ended(Ended),
    /// The process of a later attempt, which could not become the job.
    Job(ExitCode),
}

/// The watch over a running job.
struct Init<'o> {
    leader: Pid,
    attempts: Attempts<'o>,
    outputs: [Output; 2],
    signals: SignalFd,
    timer: TimerFd,
    dir: PlacementDir,
    grace: Duration,
    /// Nanoseconds since boot at which the job is asked to stop, and at which it is killed.
    stop_at: Option<u64>,
    kill_at: Option<u64>,
    /// Whom it ended, other than its own end or a request.
    ended_by: Option<EndedBy>,
    /// It was asked to stop, by whomever; it is not begun anew.
    stopping: bool,
    /// When it is begun anew.
    begin_at: Option<u64>,
    /// Of a job that it binds, until it has passed.
    lease: Option<Lease>,
    buffer: Vec<u8>,
}

/// What ended a job that did not end by itself.
#[derive(Clone, Copy)]
enum EndedBy {
    Limit,
    Lease,
}

impl EndedBy {
    const fn status(self) -> ExitStatus {
        match self {
            Self::Limit => ExitStatus::TimedOut,
            Self::Lease => ExitStatus::LeaseOver,
        }
    }
}

/// The host's lease, as far as it was read.
struct Lease {
    root: PathBuf,
    held: Deadline,
}

impl<'o> Init<'o> {
    fn new(
        order: &'o Order,
        leader: Pid,
        attempts: Attempts<'o>,
        outputs: [Output; 2],
    ) -> io::Result<Self> {
        let watched: SigSet = [Signal::SIGCHLD, Signal::SIGTERM].into_iter().collect();
        let mut init = Self {
            leader,
            attempts,
            outputs,
            signals: SignalFd::with_flags(
                &watched,
                SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
            )?,
            timer: TimerFd::new(
                ClockId::CLOCK_BOOTTIME,
                TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK,
            )?,
            dir: PlacementDir::at(order.dir.clone()),
            grace: order.placement.grace,
            stop_at: None,
            kill_at: None,
            ended_by: None,
            stopping: false,
            begin_at: None,
            lease: None,
            buffer: Vec::new(),
        };
        if order.placement.bound {
            let root = order.dir.parent().unwrap_or(&order.dir).to_owned();
            // None is one that has passed.
            let held = Deadline::read(&root).unwrap_or(Deadline { stop_ns: 0, kill_ns: 0 });
            init.lease = Some(Lease { root, held });
            init.keep_time()?;
            init.arm()?;
        }
        if let Some(limit) = order.placement.time_limit {
            // Dead *at* the limit, so asked one grace before; a grace that leaves the job no time is halved.
            let now = boottime_ns()?;
            init.stop_at =
                Some(now.saturating_add(nanos(limit.saturating_sub(init.grace.min(limit / 2)))));
            init.kill_at = Some(now.saturating_add(nanos(limit)));
            init.arm()?;
        }
        // One that came before there was anybody to hear its signal.
        if let Some(kill_at) = init.requested() {
            init.stop_by(kill_at)?;
        }
        Ok(init)
    }

    fn run(mut self) -> io::Result<Over> {
        loop {
            let ended = self.attend()?;
            let status = self.attempts.judge(ended.code(), ended.signal());
            if !self.await_next(&status)? {
                let status = self.ended_by.map_or(status, EndedBy::status);
                return Ok(Over::Ended(Ended { status, restarts: self.attempts.restarts() }));
            }
            self.attempts.again();
            match self.attempts.launch() {
                Ok(Launched::Init(leader)) => self.leader = leader,
                Ok(Launched::Job(code)) => return Ok(Over::Job(code)),
                Err(failure) => {
                    // It ran before, so this is no failure to start: as a shell says that there is no such program.
                    self.mark(&format!("cannot be started again: {failure}"));
                    let (status, restarts) =
                        (ExitStatus::Exited(NO_PROGRAM), self.attempts.restarts());
                    return Ok(Over::Ended(Ended { status, restarts }));
                }
            }
        }
    }

    /// Watches over one attempt until all of it is dead.
    fn attend(&mut self) -> io::Result<std::process::ExitStatus> {
        let ended = loop {
            self.wait()?;
            // Signals are taken before the dead: a child that ended in between would else take its signal along.
            self.obey()?;
            if let Some(status) = self.reap()? {
                break status;
            }
            self.keep_time()?;
            for output in &mut self.outputs {
                output.pump(&mut self.buffer);
            }
        };
        // The job is over when its first process is; what it left behind must not be (P6).
        kill_all(Signal::SIGKILL)?;
        while namespace::wait_any()?.is_some() {}
        for output in &mut self.outputs {
            while output.pump(&mut self.buffer) {}
        }
        Ok(ended)
    }

    /// Waits for the time of the next attempt, if there is one; false when there is none, or none any more.
    fn await_next(&mut self, status: &ExitStatus) -> io::Result<bool> {
        let Some(pause) = self.attempts.pause_after(status) else { return Ok(false) };
        if self.stopping || self.ended_by.is_some() {
            return Ok(false);
        }
        let (nth, seconds) = (self.attempts.restarts().saturating_add(1), pause.as_secs());
        self.mark(&format!("{}; restart {nth} in {seconds} s", words(status)));
        self.begin_at = Some(boottime_ns()?.saturating_add(nanos(pause)));
        self.arm()?;
        while self.begin_at.is_some() {
            self.wait()?;
            self.obey()?;
            self.keep_time()?;
            if self.stopping || self.ended_by.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn mark(&mut self, what: &str) {
        for output in &mut self.outputs {
            output.mark(what);
        }
    }

    /// Sleeps until something is to be done.
    fn wait(&self) -> io::Result<()> {
        let mut fds = vec![
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.timer.as_fd(), PollFlags::POLLIN),
        ];
        let pipes = self.outputs.iter().filter_map(Output::fd);
        fds.extend(pipes.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Reaps all that has ended; the status of the job's first process when it was among them.
    fn reap(&self) -> io::Result<Option<std::process::ExitStatus>> {
        let mut ended = None;
        while let Some((pid, status)) = namespace::wait_ended()? {
            if pid == self.leader.as_raw() {
                ended = Some(status);
            }
        }
        Ok(ended)
    }

    /// Takes signals, and the request that SIGTERM tells of: without one, SIGTERM asks for the placement's own grace.
    fn obey(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.read_signal()? {
            if i32::try_from(signal.ssi_signo) == Ok(Signal::SIGTERM as i32) {
                match self.requested() {
                    Some(kill_at) => self.stop_by(kill_at)?,
                    None => self.stop(self.grace)?,
                }
            }
        }
        Ok(())
    }

    /// When to kill, by the agent's request. One that cannot be read is none: the agent insists by itself.
    fn requested(&self) -> Option<u64> {
        self.dir.stop().ok().flatten().map(|request| request.kill_boottime_ns)
    }

    /// Asks every process of the job to end, and remembers when to insist. A second request can only shorten.
    fn stop(&mut self, grace: Duration) -> io::Result<()> {
        self.stop_by(boottime_ns()?.saturating_add(nanos(grace)))
    }

    fn stop_by(&mut self, kill_at: u64) -> io::Result<()> {
        self.stopping = true;
        self.kill_at = Some(self.kill_at.map_or(kill_at, |earlier| earlier.min(kill_at)));
        self.arm()?;
        kill_all(Signal::SIGTERM)
    }

    fn keep_time(&mut self) -> io::Result<()> {
        let now = boottime_ns()?;
        if self.stop_at.is_some_and(|at| at <= now) {
            self.stop_at = None;
            self.ended_by = Some(EndedBy::Limit);
            self.arm()?;
            kill_all(Signal::SIGTERM)?;
        }
        if self.begin_at.is_some_and(|at| at <= now) {
            self.begin_at = None;
            self.arm()?;
        }
        self.keep_lease(now)?;
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            self.arm()?;
            kill_all(Signal::SIGKILL)?;
        }
        Ok(())
    }

    /// P4, with nobody's help: at the deadline that it read last it reads again, and stops the job if that was the last.
    fn keep_lease(&mut self, now: u64) -> io::Result<()> {
        let Some(lease) = self.lease.as_mut().filter(|lease| lease.held.stop_ns <= now) else {
            return Ok(());
        };
        match Deadline::read(&lease.root).filter(|later| later.stop_ns > now) {
            Some(later) => {
                lease.held = later;
                self.arm()
            }
            None => {
                let kill_at = lease.held.kill_ns;
                self.lease = None;
                self.ended_by.get_or_insert(EndedBy::Lease);
                self.stop_by(kill_at)
            }
        }
    }

    /// Sets the timer to the next deadline, on the clock that counts suspended time as well.
    fn arm(&self) -> io::Result<()> {
        let lease = self.lease.as_ref().map(|lease| lease.held.stop_ns);
        let next = [self.stop_at, self.kill_at, self.begin_at, lease].into_iter().flatten().min();
        match next {
            Some(at) => {
                let at = TimeSpec::from_duration(Duration::from_nanos(at));
                self.timer.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
            }
            None => self.timer.unset()?,
        }
        Ok(())
    }
}

/// Signals every process of the namespace but this one, whatever session or group it moved to.
fn kill_all(signal: Signal) -> io::Result<()> {
    match kill(Pid::from_raw(-1), signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// An end, in a line of the job's output.
fn words(status: &ExitStatus) -> String {
    match status {
        ExitStatus::Exited(code) => format!("exited {code}"),
        ExitStatus::Signaled(signal) => format!("signal {signal}"),
        ExitStatus::OutOfMemory => "out of memory".to_owned(),
        ExitStatus::TimedOut => "timed out".to_owned(),
        ExitStatus::StartFailed(failure) => failure.to_string(),
        ExitStatus::ShimKilled => "killed".to_owned(),
        ExitStatus::LeaseOver => "the host's lease was over".to_owned(),
        ExitStatus::Unguarded => "nobody looked after it".to_owned(),
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
