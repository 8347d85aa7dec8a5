//! The attempts at a job: its first process, what its end means, and whether there is another.
//!
//! Must hold: a program that asks for no restarts is begun once; attempts share the placement, its epoch, its namespaces and
//! its time limit, and nothing of one attempt lives when the next begins (init sees to that); what was asked to stop, or has
//! run into its limit, is not begun anew (init asks [`Attempts::pause_after`] only then).

use std::fs::File;
use std::io::{self, PipeWriter, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid};
use sekisho_types::payload::Restart;

use crate::cgroup::Groups;
use crate::directory::{ExitStatus, StartFailure, StartStage};
use crate::limit;
use crate::log::Stream;
use crate::shim::output::Output;
use crate::shim::wire::Order;
use crate::shim::{job, namespace};

/// Which of the two processes came back from the fork.
pub(super) enum Launched {
    /// Init, whose child is the job.
    Init(Pid),
    /// The job's process, which could not become the job.
    Job(ExitCode),
}

/// The attempts at one job.
pub(super) struct Attempts<'o> {
    order: &'o Order,
    locks: &'o [File],
    groups: &'o Groups,
    /// Writing ends of the output pipes, for as long as another attempt may need them.
    writers: Option<[PipeWriter; 2]>,
    restarts: u32,
    /// Processes killed for want of memory before this attempt.
    killed_before: u64,
}

impl<'o> Attempts<'o> {
    /// Makes the pipes of the job's output, and what keeps it.
    pub(super) fn new(
        order: &'o Order,
        locks: &'o [File],
        groups: &'o Groups,
    ) -> io::Result<(Self, [Output; 2])> {
        let (stdout, stdout_writer) = io::pipe()?;
        let (stderr, stderr_writer) = io::pipe()?;
        let outputs = [
            Output::new(&order.dir, Stream::Stdout, stdout, order.log_bytes)?,
            Output::new(&order.dir, Stream::Stderr, stderr, order.log_bytes)?,
        ];
        let writers = Some([stdout_writer, stderr_writer]);
        Ok((Self { order, locks, groups, writers, restarts: 0, killed_before: 0 }, outputs))
    }

    /// How often the program was begun anew.
    pub(super) const fn restarts(&self) -> u32 {
        self.restarts
    }

    fn left(&self) -> u32 {
        match self.order.placement.payload.restart {
            Restart::Never => 0,
            Restart::OnFailure { attempts, .. } => attempts.saturating_sub(self.restarts),
        }
    }

    /// Starts the program. Returns in both processes.
    pub(super) fn launch(&mut self) -> Result<Launched, StartFailure> {
        let shim = |error: io::Error| StartFailure::new(StartStage::Shim, &error);
        self.killed_before = self.groups.killed_for_memory().unwrap_or_default();
        let writers = match &self.writers {
            Some([stdout, stderr]) if self.left() > 0 => {
                [stdout.try_clone().map_err(shim)?, stderr.try_clone().map_err(shim)?]
            }
            // The last attempt: the end of its processes shall be the end of the pipes.
            Some(_) | None => self.writers.take().ok_or_else(|| {
                StartFailure::new(StartStage::Shim, &"the output is closed already")
            })?,
        };
        let (mut failure_read, mut failure_write) = io::pipe().map_err(shim)?;
        match namespace::fork_single().map_err(shim)? {
            ForkResult::Child => {
                let failure = job::become_job(self.order, self.locks, self.groups, writers);
                // Init reads this as "no job"; should it not arrive, the code below says the same less well.
                let said = postcard::to_allocvec(&failure).unwrap_or_default();
                drop(failure_write.write_all(&said));
                Ok(Launched::Job(ExitCode::from(127)))
            }
            ForkResult::Parent { child } => {
                drop((writers, failure_write));
                // The writing end closes by itself when the job's program is in place.
                let mut said = Vec::new();
                failure_read.read_to_end(&mut said).map_err(shim)?;
                if said.is_empty() {
                    return Ok(Launched::Init(child));
                }
                let unclear = || StartFailure::new(StartStage::Exec, &"the reason was not told");
                Err(postcard::from_bytes(&said).unwrap_or_else(|_form| unclear()))
            }
        }
    }

    /// Counts another attempt. Call it before the next [`Attempts::launch`].
    pub(super) const fn again(&mut self) {
        self.restarts = self.restarts.saturating_add(1);
    }

    /// What the end of the job's first process means. The kernel kills for memory with signal 9, which a shell around the
    /// program turns into an exit code: any failure counts, since the cause of it is known.
    pub(super) fn judge(&self, code: Option<i32>, signal: Option<i32>) -> ExitStatus {
        let status = match (code, signal) {
            (Some(code), _) => ExitStatus::Exited(code),
            (None, Some(signal)) => ExitStatus::Signaled(signal),
            (None, None) => return ExitStatus::ShimKilled,
        };
        let killed = self.groups.killed_for_memory().unwrap_or_default() > self.killed_before;
        let died = match (code, signal) {
            (Some(code), _) => code != 0,
            (None, signal) => signal == Some(Signal::SIGKILL as i32),
        };
        if killed && died { ExitStatus::OutOfMemory } else { status }
    }

    /// How long to wait before the next attempt, if there is one after an end like this.
    pub(super) fn pause_after(&self, status: &ExitStatus) -> Option<Duration> {
        let Restart::OnFailure { delay_s, .. } = self.order.placement.payload.restart else {
            return None;
        };
        let failed = match status {
            ExitStatus::Exited(code) => *code != 0,
            ExitStatus::Signaled(_) | ExitStatus::OutOfMemory => true,
            ExitStatus::TimedOut
            | ExitStatus::StartFailed(_)
            | ExitStatus::ShimKilled
            | ExitStatus::LeaseOver
            | ExitStatus::Unguarded => false,
        };
        (failed && self.left() > 0).then(|| pause(delay_s, self.restarts))
    }
}

/// Doubled for each restart that there was, up to a bound.
fn pause(delay_s: u32, restarts: u32) -> Duration {
    let doubled = 1u64.checked_shl(restarts.min(32)).unwrap_or(u64::MAX);
    Duration::from_secs(u64::from(delay_s).saturating_mul(doubled)).min(limit::RESTART_PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound() {
        let seconds = |restarts| pause(10, restarts).as_secs();
        assert_eq!((seconds(0), seconds(1), seconds(2), seconds(3)), (10, 20, 40, 80));
        assert_eq!(pause(3600, u32::MAX), limit::RESTART_PAUSE_MAX);
        assert_eq!(pause(1, 100), limit::RESTART_PAUSE_MAX);
    }
}
