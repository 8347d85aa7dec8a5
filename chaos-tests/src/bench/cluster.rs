//! What is measured: a cluster of three processes, and one connection to one of its members.
//!
//! Must hold: every side is driven through these two traits alone, so the generator cannot treat them differently;
//! an address that is not loopback cannot be made ([`Loopback`]), so no load ever leaves this machine.

use super::process::Process;
use anyhow::{Context as _, Result, ensure};
use futures::future::BoxFuture;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Members of each cluster.
pub(super) const MEMBERS: usize = 3;
/// Longest that a cluster may take to serve: a Java start on a busy machine fits.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);
/// One attempt while waiting or while a leader is missing (performance.md A5).
pub(super) const ATTEMPT: Duration = Duration::from_millis(100);
/// Pause between two attempts.
pub(super) const PAUSE: Duration = Duration::from_millis(5);
/// One attempt at what has to succeed: connecting and one commit.
const PATIENT_ATTEMPT: Duration = Duration::from_secs(5);

/// An address of this machine, and of no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loopback(SocketAddr);

impl Loopback {
    /// Port `port` of 127.0.0.1.
    pub(crate) fn port(port: u16) -> Self {
        Self(SocketAddr::from(([127, 0, 0, 1], port)))
    }
    pub(crate) fn socket(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for Loopback {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> Result<Self> {
        let address: SocketAddr = text.parse().context("an address and a port")?;
        ensure!(address.ip().is_loopback(), "{address}: load goes to this machine only");
        Ok(Self(address))
    }
}

impl fmt::Display for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One call of the generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// One durable command.
    Write,
    /// [`BATCH`] durable commands in one call.
    Batch,
    /// One linearizable read.
    Read,
}

/// Commands of one [`Op::Batch`].
pub(super) const BATCH: u64 = 64;

impl Op {
    /// Commands that one acknowledged call stands for.
    pub(super) const fn commands(self) -> u64 {
        match self {
            Self::Write | Self::Read => 1,
            Self::Batch => BATCH,
        }
    }
}

/// Heartbeat and election times of every side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Timing {
    /// One campus: Sekisho's `lan`, and each peer tuned down as far as is known to hold
    Lan,
    /// The shipped defaults of each, for sites that are far apart
    Wan,
}

impl Timing {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Wan => "wan",
            Self::Lan => "lan",
        }
    }
}

/// Bytes of a request for each of its commands: key and value, or command and signature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RequestBytes {
    /// Of [`Op::Write`].
    pub(super) write: usize,
    /// Of [`Op::Batch`].
    pub(super) batch: usize,
}

/// One connection to one member, shared by several clients.
pub(super) trait Session: Send + Sync {
    /// Does `op` once and gives the log position of its answer: where writes are acknowledged it never goes back,
    /// or something acknowledged was lost. `sequence` chooses the key.
    fn perform(&self, op: Op, sequence: u64) -> BoxFuture<'_, Result<u64>>;
}

/// Three members on this machine.
pub(super) trait Cluster {
    /// One word for tables.
    fn name(&self) -> &'static str;
    /// Whether it has such a call.
    fn offers(&self, op: Op) -> bool;
    /// Its members' processes.
    fn members(&mut self) -> &mut [Process];
    /// A new connection to member `member`, 0 to 2. It is made at its first call.
    fn session(&self, member: usize) -> BoxFuture<'_, Result<Arc<dyn Session>>>;
    /// The member that leads, as the cluster itself tells.
    fn leader(&self) -> BoxFuture<'_, Result<usize>>;
    /// Bytes that a request has for each command.
    fn request_bytes(&self) -> RequestBytes;
}

/// The first acknowledged write through any of `sessions`, each tried again and again by itself.
pub(super) async fn first_commit(sessions: &[Arc<dyn Session>], patience: Duration) -> Result<u64> {
    let tries = sessions.iter().map(|session| {
        Box::pin(async move {
            loop {
                let attempt = session.perform(Op::Write, 0);
                if let Ok(Ok(at)) = tokio::time::timeout(ATTEMPT, attempt).await {
                    return at;
                }
                tokio::time::sleep(PAUSE).await;
            }
        })
    });
    let first = futures::future::select_all(tries);
    let (at, ..) = tokio::time::timeout(patience, first).await.context("no commit in time")?;
    Ok(at)
}

/// Waits until every member by itself answers a write and a linearizable read, so that all are in touch and up to
/// date, and gives the leader.
pub(super) async fn whole(cluster: &dyn Cluster) -> Result<usize> {
    let end = Instant::now() + PATIENCE;
    for member in 0..MEMBERS {
        loop {
            let attempt = async {
                let session = cluster.session(member).await?;
                session.perform(Op::Write, 0).await?;
                session.perform(Op::Read, 0).await
            };
            let done = tokio::time::timeout(PATIENT_ATTEMPT, attempt).await;
            match done.unwrap_or_else(|_late| Err(anyhow::anyhow!("no answer"))) {
                Ok(_position) => break,
                Err(error) => ensure!(
                    Instant::now() < end,
                    "{} member {member} does not serve: {error:#}",
                    cluster.name()
                ),
            }
            tokio::time::sleep(ATTEMPT).await;
        }
    }
    loop {
        match tokio::time::timeout(PATIENT_ATTEMPT, cluster.leader()).await {
            Ok(Ok(leader)) => return Ok(leader),
            Ok(Err(error)) => {
                ensure!(Instant::now() < end, "{}: {error:#}", cluster.name());
            }
            Err(_late) => ensure!(Instant::now() < end, "{}: no leader", cluster.name()),
        }
        tokio::time::sleep(ATTEMPT).await;
    }
}

/// Starts every member that does not run.
pub(super) fn start_all(cluster: &mut dyn Cluster) -> Result<()> {
    for process in cluster.members() {
        process.start()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_goes_to_this_machine_only() {
        assert_eq!("127.0.0.1:80".parse::<Loopback>().unwrap(), Loopback::port(80));
        "[::1]:80".parse::<Loopback>().unwrap();
        for outside in ["192.0.2.1:80", "0.0.0.0:80", "[2001:db8::1]:80", "localhost:80", ""] {
            assert!(outside.parse::<Loopback>().is_err(), "{outside}");
        }
    }

    struct Fails(std::sync::atomic::AtomicU64, u64);

    impl Session for Fails {
        fn perform(&self, _op: Op, _sequence: u64) -> BoxFuture<'_, Result<u64>> {
            let tries = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Box::pin(async move {
                ensure!(tries >= self.1, "not yet");
                Ok(self.1)
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_commit_is_whichever_member_answers_first() {
        let fails = |times| Arc::new(Fails(0.into(), times)) as Arc<dyn Session>;
        let found = first_commit(&[fails(50), fails(3)], Duration::from_secs(1)).await.unwrap();
        assert_eq!(found, 3);
        first_commit(&[fails(u64::MAX)], Duration::from_secs(1)).await.unwrap_err();
    }
}
