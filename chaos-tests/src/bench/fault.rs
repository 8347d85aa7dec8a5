//! A leader that dies or stops answering, and how long it takes until somebody else commits.
//!
//! Must hold: time runs from the signal to the first acknowledged write through any survivor; connections to the
//! survivors exist before, so that no handshake is measured; the next round begins with all members up to date.

use super::cluster::{Cluster, MEMBERS, Op, first_commit, whole};
use anyhow::Result;
use nix::sys::signal::Signal;
use std::time::Duration;
use tokio::time::Instant;

/// Longest outage that is measured; ZooKeeper's default is ten seconds.
const OUTAGE: Duration = Duration::from_secs(60);
/// Calm between two rounds: leases and timers of the last one are over.
const CALM: Duration = Duration::from_secs(1);

/// What happens to the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// SIGKILL: its sockets close at once, which loopback reports to everybody.
    Kill,
    /// SIGSTOP: it is silent and its sockets stay open, as in a partition or a long pause.
    Freeze,
}

impl Fault {
    pub(super) const ALL: [Self; 2] = [Self::Kill, Self::Freeze];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
        }
    }
}

/// One round: the outage.
///
/// # Errors
/// No leader before, no commit after, or the cluster did not become whole again.
pub(super) async fn round(cluster: &mut dyn Cluster, fault: Fault) -> Result<Duration> {
    let leader = whole(cluster).await?;
    tokio::time::sleep(CALM).await;
    let mut survivors = Vec::new();
    for member in (0..MEMBERS).filter(|member| *member != leader) {
        let session = cluster.session(member).await?;
        session.perform(Op::Write, 0).await?;
        survivors.push(session);
    }
    let Some(process) = cluster.members().get_mut(leader) else { anyhow::bail!("no such member") };
    let begun = Instant::now();
    process.signal(match fault {
        Fault::Kill => Signal::SIGKILL,
        Fault::Freeze => Signal::SIGSTOP,
    })?;
    let committed = first_commit(&survivors, OUTAGE).await;
    let outage = begun.elapsed();
    match fault {
        Fault::Kill => {
            process.reap()?;
            process.start()?;
        }
        Fault::Freeze => process.signal(Signal::SIGCONT)?,
    }
    committed?;
    Ok(outage)
}

/// Kills all members at once, starts all again, and measures until the first commit after that.
///
/// # Errors
/// No commit in time, or one below `acknowledged`: something acknowledged was lost (R1).
pub(super) async fn cold_restart(cluster: &mut dyn Cluster, acknowledged: u64) -> Result<Duration> {
    for process in cluster.members() {
        process.signal(Signal::SIGKILL)?;
    }
    for process in cluster.members() {
        process.reap()?;
    }
    let begun = Instant::now();
    super::cluster::start_all(cluster)?;
    let mut sessions = Vec::new();
    for member in 0..MEMBERS {
        sessions.push(cluster.session(member).await?);
    }
    let position = first_commit(&sessions, OUTAGE).await?;
    let outage = begun.elapsed();
    anyhow::ensure!(
        position > acknowledged,
        "{}: committed at {position} after {acknowledged} was acknowledged",
        cluster.name()
    );
    Ok(outage)
}
