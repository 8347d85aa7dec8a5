//! The thread that owns the shims: spawns them, takes over those of an earlier runtime, passes stops on, and says when the
//! kernel has confirmed an end.
//!
//! It waits in one `poll` for requests and for the ends of the shims' processes, so no signal handler and no polling is
//! needed in the usual case. Its own end touches no job.

use std::collections::BTreeMap;
use std::io::{self, PipeReader, Read as _};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Table;
use super::child::{Shim, spawn};
use crate::directory::{ExitRecord, ExitStatus, PlacementDir, StartFailure, StartStage};
use crate::placement::PlacementKey;
use crate::procfs;
use crate::runtime::{Exit, Running, RuntimeError, State};
use crate::shim::ShimCommand;
use crate::shim::wire::Order;

const STOPPED_BEFORE: &str = "stopped before it ran";

pub(super) type Reply = oneshot::Sender<Result<Running, RuntimeError>>;

/// What is asked of the supervisor.
pub(super) enum Request {
    Start {
        order: Box<Order>,
        shim: ShimCommand,
        reply: Reply,
    },
    /// Tell when its program runs, or certainly does not.
    Tell {
        key: PlacementKey,
        reply: Reply,
    },
    Stop {
        key: PlacementKey,
        grace: Duration,
    },
    Kill {
        key: PlacementKey,
    },
}

/// Everything the thread knows.
pub(super) struct Supervisor {
    root: PathBuf,
    table: Table,
    requests: Receiver<Request>,
    woken: PipeReader,
    events: mpsc::Sender<Exit>,
    shims: BTreeMap<PlacementKey, Shim>,
}

impl Supervisor {
    pub(super) fn new(
        root: PathBuf,
        table: Table,
        requests: Receiver<Request>,
        woken: PipeReader,
        events: mpsc::Sender<Exit>,
        adopted: BTreeMap<PlacementKey, Shim>,
    ) -> io::Result<Self> {
        fcntl(woken.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { root, table, requests, woken, events, shims: adopted })
    }

    /// Runs until the runtime is dropped. What runs goes on: the next runtime finds it.
    pub(super) fn run(mut self) {
        loop {
            let keys: Vec<PlacementKey> = self.shims.keys().cloned().collect();
            for key in keys {
                self.look_after(&key);
            }
            match self.wait() {
                Ok(()) | Err(Errno::EINTR) => {}
                Err(errno) => {
                    tracing::error!(%errno, "the supervisor cannot wait; another runtime has to");
                    return;
                }
            }
            if !self.take_requests() {
                return;
            }
        }
    }

    fn wait(&self) -> Result<(), Errno> {
        let mut fds = vec![PollFd::new(self.woken.as_fd(), PollFlags::POLLIN)];
        let ends = self.shims.values().flat_map(Shim::fds);
        fds.extend(ends.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let next = self.shims.values().filter_map(Shim::next_look).min();
        // waits: for the death of a process that is not our child, or for a deadline.
        poll(&mut fds, next.map_or(PollTimeout::NONE, until)).map(|_| ())
    }

    /// Whether the runtime is still there.
    fn take_requests(&mut self) -> bool {
        let mut bytes = [0; 64];
        // What was read does not matter; an empty pipe is an error to skip, and its end is seen at the channel.
        while self.woken.read(&mut bytes).is_ok_and(|read| read > 0) {}
        loop {
            match self.requests.try_recv() {
                Ok(Request::Start { order, shim, reply }) => {
                    self.start(&order, &shim, reply);
                }
                Ok(Request::Tell { key, reply }) => self.tell(&key, reply),
                Ok(Request::Stop { key, grace }) => self.stop(&key, grace),
                Ok(Request::Kill { key }) => self.kill(&key),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn start(&mut self, order: &Order, shim: &ShimCommand, reply: Reply) {
        let key = order.placement.key.clone();
        let dir = PlacementDir::new(&self.root, &key);
        if self.state(&key) != Some(State::Starting) {
            let failure = StartFailure::new(StartStage::Shim, &STOPPED_BEFORE);
            drop(reply.send(Err(RuntimeError::StartFailed(failure))));
            return;
        }
        match spawn(order, &self.root, shim, &dir) {
            Ok(mut shim) => {
                shim.waiting.push(reply);
                self.shims.insert(key, shim);
            }
            Err(error) => {
                let failure = StartFailure::new(StartStage::Shim, &error);
                self.end(&key, &dir, ExitStatus::StartFailed(failure.clone()));
                drop(reply.send(Err(RuntimeError::StartFailed(failure))));
            }
        }
    }

    fn tell(&mut self, key: &PlacementKey, reply: Reply) {
        let ended = self.state(key).and_then(|state| match state {
            State::Ended(record) => Some(record.status),
            State::Prepared | State::Starting | State::Running { .. } | State::Stopping { .. } => {
                None
            }
        });
        match (self.shims.get_mut(key), ended) {
            (Some(shim), _) => shim.waiting.push(reply),
            (None, Some(status)) => drop(reply.send(Err(not_running(status)))),
            (None, None) => drop(reply.send(Err(RuntimeError::Unknown))),
        }
    }

    fn stop(&mut self, key: &PlacementKey, grace: Duration) {
        if let Some(shim) = self.shims.get_mut(key) {
            shim.ask_to_stop(grace);
            self.mark_stopping(key);
        } else {
            self.end_unstarted(key);
        }
    }

    fn kill(&mut self, key: &PlacementKey) {
        if let Some(shim) = self.shims.get_mut(key) {
            shim.kill();
            self.mark_stopping(key);
        } else {
            self.end_unstarted(key);
        }
    }

    /// A placement that was stopped before its shim was spawned must not start any more: `start` looks at its state.
    fn end_unstarted(&self, key: &PlacementKey) {
        if self.state(key).is_some_and(|state| !matches!(state, State::Ended(_))) {
            self.end(key, &PlacementDir::new(&self.root, key), ExitStatus::ShimKilled);
        }
    }

    fn state(&self, key: &PlacementKey) -> Option<State> {
        self.table.lock().get(key).map(|entry| entry.state.clone())
    }

    fn mark_stopping(&self, key: &PlacementKey) {
        let pid = self.shims.get(key).and_then(Shim::pid);
        if let Some(entry) = self.table.lock().get_mut(key)
            && !matches!(entry.state, State::Ended(_))
        {
            entry.state = State::Stopping { pid };
        }
    }

    /// Moves one shim on: its start, its deadlines, its end.
    fn look_after(&mut self, key: &PlacementKey) {
        let Some(shim) = self.shims.get_mut(key) else { return };
        let begun = shim.look();
        shim.keep_time();
        let gone = shim.is_gone();
        if begun {
            metrics::counter!("sekisho_agent_job_starts_total").increment(1);
            tracing::info!(placement = %key, "job started");
        }
        if gone {
            self.conclude(key);
        } else {
            self.answer(key);
        }
    }

    /// Tells those who wait that the job's program runs.
    fn answer(&mut self, key: &PlacementKey) {
        let Some(shim) = self.shims.get_mut(key) else { return };
        let (Some(running), Some(pid)) = (shim.running(), shim.pid()) else { return };
        if shim.waiting.is_empty() {
            return;
        }
        if let Some(entry) = self.table.lock().get_mut(key) {
            entry.state = match entry.state {
                State::Stopping { .. } => State::Stopping { pid: Some(pid) },
                State::Prepared | State::Starting | State::Running { .. } | State::Ended(_) => {
                    State::Running { pid }
                }
            };
        }
        for reply in shim.waiting.drain(..) {
            let since_boottime_ns = running.since_boottime_ns;
            drop(reply.send(Ok(Running { pid, since_boottime_ns })));
        }
    }

    /// Everything is dead; says how it ended, by the shim's record or, if it was killed, by its absence.
    fn conclude(&mut self, key: &PlacementKey) {
        let Some(shim) = self.shims.remove(key) else { return };
        let record = match shim.dir.exit() {
            Ok(_) if shim.late && shim.running().is_none() => {
                let late = StartFailure::new(StartStage::Deadline, &"the shim took too long");
                self.end(key, &shim.dir, ExitStatus::StartFailed(late))
            }
            Ok(Some(record)) => self.publish(key, record),
            Ok(None) => self.end(key, &shim.dir, ExitStatus::ShimKilled),
            Err(error) => {
                tracing::error!(placement = %key, %error, "how the job ended cannot be read");
                self.end(key, &shim.dir, ExitStatus::ShimKilled)
            }
        };
        for reply in shim.waiting {
            drop(reply.send(Err(not_running(record.status.clone()))));
        }
    }

    /// Records an end that no shim could record.
    fn end(&self, key: &PlacementKey, dir: &PlacementDir, status: ExitStatus) -> ExitRecord {
        let record = ExitRecord { status, at_boottime_ns: now_ns(), restarts: 0 };
        if let Err(error) = dir.write_exit(&record) {
            tracing::warn!(placement = %key, %error, "the end of a job is not on disk");
        }
        self.publish(key, record)
    }

    fn publish(&self, key: &PlacementKey, record: ExitRecord) -> ExitRecord {
        if let Some(entry) = self.table.lock().get_mut(key) {
            entry.state = State::Ended(record.clone());
        }
        metrics::counter!("sekisho_agent_job_exits_total", "how" => name_of(&record.status))
            .increment(1);
        tracing::info!(placement = %key, status = ?record.status, restarts = record.restarts, "job ended");
        if self.events.try_send(Exit { key: key.clone(), record: record.clone() }).is_err() {
            metrics::counter!("sekisho_agent_exit_events_dropped_total").increment(1);
        }
        record
    }
}

/// What is told of the start of a placement that has ended.
fn not_running(status: ExitStatus) -> RuntimeError {
    RuntimeError::StartFailed(match status {
        ExitStatus::StartFailed(failure) => failure,
        ExitStatus::Exited(_)
        | ExitStatus::Signaled(_)
        | ExitStatus::TimedOut
        | ExitStatus::ShimKilled
        | ExitStatus::LeaseOver
        | ExitStatus::Unguarded
        | ExitStatus::OutOfMemory => StartFailure::new(StartStage::Shim, &STOPPED_BEFORE),
    })
}

fn until(at: Instant) -> PollTimeout {
    // At least one millisecond, else a deadline less than that away is waited for by spinning.
    let wait = at.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)
}

fn now_ns() -> u64 {
    procfs::boottime_ns().unwrap_or(0)
}

const fn name_of(status: &ExitStatus) -> &'static str {
    match status {
        ExitStatus::Exited(0) => "success",
        ExitStatus::Exited(_) => "failure",
        ExitStatus::Signaled(_) => "signal",
        ExitStatus::TimedOut => "timed_out",
        ExitStatus::StartFailed(_) => "not_started",
        ExitStatus::ShimKilled => "killed",
        ExitStatus::LeaseOver => "lease_over",
        ExitStatus::Unguarded => "unguarded",
        ExitStatus::OutOfMemory => "out_of_memory",
    }
}
