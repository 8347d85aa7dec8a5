//! The agents of a made-up fleet ([`crate::fleet`]), for whoever measures what its nodes are given.
//!
//! Must hold: every node is enrolled, has a session and renews it, each over mutual TLS of its own, and takes what it is sent.
//! Light: an agent keeps to the leader, where a real one has streams to members of several operators; it looks at no proof and
//! starts nothing. All nodes are of one operator and at one site.

use super::host::Tally;
use super::{Part, Worker, all, raise_files, sum};
use anyhow::{Result, ensure};
use nix::unistd::Pid;
use std::path::Path;

/// Agents of one worker: one connection each stays below 20,000 open files.
const PER_WORKER: u32 = 10_000;

/// The agents, while they live.
#[derive(Debug)]
pub(crate) struct Agents(Vec<Worker>);

impl Agents {
    /// Enrols the nodes of a fleet of so many in the federation in `dir`, and waits until all of them renew at `leader`.
    ///
    /// # Errors
    /// A worker is gone, or one node has no lease in time.
    pub(crate) fn start(dir: &Path, port_base: u16, nodes: u32, leader: u64) -> Result<Self> {
        raise_files()?;
        let program = crate::federation::beside()?.join("sekisho-drill");
        ensure!(program.is_file(), "sekisho-drill is not built");
        let mut workers = Vec::new();
        for first in (0..nodes).step_by(usize::try_from(PER_WORKER)?) {
            let count = PER_WORKER.min(nodes.saturating_sub(first));
            let part =
                Part { port_base, first, count, all: nodes, fleet: true, only: Some(leader) };
            workers.push(Worker::start(&program, dir, part)?);
        }
        workers.iter_mut().try_for_each(|worker| worker.hear().map(drop))?;
        all(&mut workers, "begin")?;
        Ok(Self(workers))
    }

    /// Their processes.
    pub(crate) fn pids(&self) -> Result<Vec<Pid>> {
        let pid = |worker: &Worker| Ok(Pid::from_raw(worker.child.id().try_into()?));
        self.0.iter().map(pid).collect()
    }

    /// Agents that hold no lease now.
    ///
    /// # Errors
    /// A worker is gone.
    pub(crate) fn without_lease(&mut self) -> Result<u64> {
        let Tally { lost, .. } = sum(&mut self.0)?;
        Ok(lost)
    }
}
