//! The thread that owns the shims: spawns them, passes stops on, and says when the kernel has confirmed an end.
//!
//! It waits in one `poll` for requests and for the shims' status pipes. The reading end of such a pipe is at its
//! end when both processes of a shim are gone, so no signal handler and no polling is needed in the usual case.

use std::collections::BTreeMap;
use std::io::{self, PipeReader, Read};
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
use super::child::{Heard, Shim, deadline, spawn};
use crate::directory::{ExitRecord, ExitStatus, PlacementDir, StartFailure, StartStage};
use crate::limit;
use crate::placement::PlacementKey;
use crate::procfs;
use crate::runtime::{Exit, Running, RuntimeError, State};
use crate::shim::ShimCommand;
use crate::shim::wire::Order;

const STOPPED_BEFORE: &str = "stopped before it ran";

pub(super) type Reply = oneshot::Sender<Result<Running, RuntimeError>>;

/// What is asked of the supervisor.
pub(super) enum Request {
    Start { order: Box<Order>, shim: ShimCommand, reply: Reply },
    Stop { key: PlacementKey, grace: Duration },
    Kill { key: PlacementKey },
}

/// Everything the thread knows.
pub(super) struct Supervisor {
    root: PathBuf,
    table: Table,
    requests: Receiver<Request>,
    woken: PipeReader,
    events: mpsc::Sender<Exit>,
    shims: BTreeMap<PlacementKey, Shim>,
    /// When the runtime was dropped.
    closing: Option<Instant>,
}

impl Supervisor {
    pub(super) fn new(
        root: PathBuf,
        table: Table,
        requests: Receiver<Request>,
        woken: PipeReader,
        events: mpsc::Sender<Exit>,
    ) -> io::Result<Self> {
        fcntl(woken.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { root, table, requests, woken, events, shims: BTreeMap::new(), closing: None })
    }

    /// Runs until the runtime is dropped and its jobs are dead, or will not die within the bound.
    pub(super) fn run(mut self) {
        loop {
            match self.wait() {
                Ok(()) | Err(Errno::EINTR) => {}
                Err(errno) => {
                    tracing::error!(%errno, "the supervisor cannot wait; its jobs end with it");
                    return;
                }
            }
            self.take_requests();
            let keys: Vec<PlacementKey> = self.shims.keys().cloned().collect();
            for key in keys {
                self.look_after(&key);
            }
            if let Some(since) = self.closing {
                if self.shims.is_empty() {
                    return;
                }
                if since.elapsed() > limit::SHUTDOWN_WITHIN {
                    tracing::error!(
                        left = self.shims.len(),
                        "jobs were killed but are not confirmed dead"
                    );
                    return;
                }
            }
        }
    }

    fn wait(&self) -> Result<(), Errno> {
        let mut fds = Vec::new();
        if self.closing.is_none() {
            fds.push(PollFd::new(self.woken.as_fd(), PollFlags::POLLIN));
        }
        let pipes = self.shims.values().filter_map(|shim| shim.status.as_ref());
        fds.extend(pipes.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
        let next = self.shims.values().filter_map(Shim::next_look).min();
        let timeout = match (next, self.closing) {
            (None, None) => PollTimeout::NONE,
            // waits: for the death of a process that is not our child, or for the bound of a shutdown.
            (Some(at), None) => until(at),
            (_, Some(_)) => until(Instant::now()),
        };
        poll(&mut fds, timeout).map(|_| ())
    }

    fn take_requests(&mut self) {
        let mut bytes = [0; 64];
        // What was read does not matter; an empty pipe is an error to skip, and its end is seen at the channel.
        while self.woken.read(&mut bytes).is_ok_and(|read| read > 0) {}
        loop {
            match self.requests.try_recv() {
                Ok(Request::Start { order, shim, reply }) => {
                    self.start(&order, &shim, reply);
                }
                Ok(Request::Stop { key, grace }) => self.stop(&key, grace),
                Ok(Request::Kill { key }) => self.kill(&key),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => return self.close(),
            }
        }
    }

    fn close(&mut self) {
        if self.closing.is_none() {
            self.closing = Some(Instant::now());
            for shim in self.shims.values_mut() {
                shim.kill();
            }
        }
    }

    fn start(&mut self, order: &Order, shim: &ShimCommand, reply: Reply) {
        let key = order.placement.key.clone();
        let dir = PlacementDir::new(&self.root, &key);
        if self.state(&key) != Some(State::Starting) || self.closing.is_some() {
            let failure = StartFailure::new(StartStage::Shim, &STOPPED_BEFORE);
            drop(reply.send(Err(RuntimeError::StartFailed(failure))));
            return;
        }
        match spawn(order, &self.root, shim, &dir) {
            Ok(mut shim) => {
                shim.starting = Some((reply, deadline(limit::START_WITHIN)));
                self.shims.insert(key, shim);
            }
            Err(error) => {
                let failure = StartFailure::new(StartStage::Shim, &error);
                self.end(&key, &dir, ExitStatus::StartFailed(failure.clone()));
                drop(reply.send(Err(RuntimeError::StartFailed(failure))));
            }
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
        let pid =
            self.shims.get(key).and_then(|shim| shim.record.as_ref()).map(|record| record.init.pid);
        if let Some(entry) = self.table.lock().get_mut(key)
            && !matches!(entry.state, State::Ended(_))
        {
            entry.state = State::Stopping { pid };
        }
    }

    /// Moves one shim on: its start, its deadline, its end.
    fn look_after(&mut self, key: &PlacementKey) {
        let Some(shim) = self.shims.get_mut(key) else { return };
        match shim.listen() {
            Heard::Nothing => {}
            Heard::Running => self.running(key),
            Heard::End => {
                if let Some(shim) = self.shims.get_mut(key) {
                    shim.status = None;
                }
            }
        }
        let Some(shim) = self.shims.get_mut(key) else { return };
        shim.keep_time();
        if shim.status.is_none() && shim.is_gone() {
            self.conclude(key);
        }
    }

    fn running(&mut self, key: &PlacementKey) {
        let Some(shim) = self.shims.get_mut(key) else { return };
        let Some(pid) = shim.learn() else {
            // Without its record nobody could find it later; it must not run.
            shim.kill();
            return;
        };
        if let Some(entry) = self.table.lock().get_mut(key) {
            entry.state = match entry.state {
                State::Stopping { .. } => State::Stopping { pid: Some(pid) },
                State::Prepared | State::Starting | State::Running { .. } | State::Ended(_) => {
                    State::Running { pid }
                }
            };
        }
        if let Some((reply, _)) = shim.starting.take() {
            drop(reply.send(Ok(Running { pid })));
        }
        metrics::counter!("sekisho_agent_job_starts_total").increment(1);
        tracing::info!(placement = %key, pid, "job started");
    }

    /// Everything is dead; says how it ended, by the shim's record or, if it was killed, by its absence.
    fn conclude(&mut self, key: &PlacementKey) {
        let Some(shim) = self.shims.remove(key) else { return };
        let record = match shim.dir.exit() {
            Ok(_) if shim.late && shim.starting.is_some() => {
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
        if let Some((reply, _)) = shim.starting {
            let failure = match record.status {
                ExitStatus::StartFailed(failure) => failure,
                ExitStatus::Exited(_)
                | ExitStatus::Signaled(_)
                | ExitStatus::TimedOut
                | ExitStatus::OutOfMemory
                | ExitStatus::ShimKilled => StartFailure::new(StartStage::Shim, &STOPPED_BEFORE),
            };
            drop(reply.send(Err(RuntimeError::StartFailed(failure))));
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
        ExitStatus::OutOfMemory => "out_of_memory",
    }
}
