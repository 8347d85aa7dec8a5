//! The measurements, side by side: load, proof of durability, memory and restart, faults.
//!
//! Must hold: within a round the sides take turns, and each round begins with the next one, so that the neighbours of
//! this machine disturb all of them alike; every round begins with empty folders.

use super::Plan;
use super::cluster::{Cluster, Op, RequestBytes, Session, Timing, whole};
use super::etcd::Etcd;
use super::fault::{Fault, cold_restart, round};
use super::figure::{Better, Figures, OURS, What};
use super::load::{CONNECTIONS, End, run};
use super::meter::{Span, memory};
use super::process::Process;
use super::sekisho::Sekisho;
use super::zookeeper::Zookeeper;
use super::{profile, proof, say};
use anyhow::{Context as _, Result};
use nix::unistd::Pid;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// First ports; each side has its own, below the range of outgoing connections.
const PORTS: [u16; 3] = [27_300, 27_310, 27_330];
/// After a start, before anything is measured.
const SETTLE: Duration = Duration::from_secs(3);
/// Before each measurement the same load runs uncounted.
const WARM: Duration = Duration::from_secs(1);
/// Clients that write the records of the restart, and what warms a Java machine up.
const WRITERS: usize = 64;
/// Java compiles what it runs often: calls before its figures count (performance.md A5).
const JAVA_WARM: u64 = 40_000;
/// Its default notices a frozen leader after ten seconds: more rounds would take an hour.
const ZOOKEEPER_FAULTS: usize = 5;

/// Call, clients.
const LOADS: [(Op, usize); 8] = [
    (Op::Write, 1),
    (Op::Write, 64),
    (Op::Write, 256),
    (Op::Write, 1024),
    (Op::Batch, 1),
    (Op::Batch, 16),
    (Op::Read, 1),
    (Op::Read, 64),
];

/// A side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Sekisho,
    Etcd,
    Zookeeper,
}

/// A running cluster and its folder, which goes after it.
struct Running {
    cluster: Box<dyn Cluster>,
    home: tempfile::TempDir,
}

impl Running {
    fn pids(&mut self) -> Result<Vec<Pid>> {
        self.cluster.members().iter().map(Process::pid).collect()
    }

    async fn sessions(&self, clients: usize) -> Result<Vec<Arc<dyn Session>>> {
        let leader = whole(self.cluster.as_ref()).await?;
        let mut sessions = Vec::new();
        for _connection in 0..clients.min(CONNECTIONS) {
            sessions.push(self.cluster.session(leader).await?);
        }
        Ok(sessions)
    }
}

/// `0` to `2`, beginning with another one each round.
fn turns(sides: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..sides).map(move |side| side.wrapping_add(round) % sides)
}

/// The measurements, with what they found so far.
#[derive(Debug)]
pub(super) struct Suite<'s> {
    plan: &'s Plan,
    dir: &'s Path,
    sides: Vec<Side>,
    /// Bytes of a request of ours, for the peers to match; known once our side ran.
    request: RequestBytes,
    pub(super) figures: Figures,
}

impl<'s> Suite<'s> {
    pub(super) fn new(plan: &'s Plan, dir: &'s Path, sides: Vec<Side>) -> Self {
        Self { plan, dir, sides, request: RequestBytes::default(), figures: Figures::default() }
    }

    /// Bytes of a request for each command, the same on every side.
    pub(super) fn request_bytes(&self) -> RequestBytes {
        self.request
    }

    async fn begin(&mut self, side: Side, timing: Timing) -> Result<Running> {
        let home = tempfile::tempdir_in(self.dir)?;
        let (dir, request) = (home.path(), self.request);
        let [ours, etcds, zookeepers] = PORTS;
        let cluster: Box<dyn Cluster> = match side {
            Side::Sekisho => Box::new(Sekisho::start(dir, ours, timing)?),
            Side::Etcd => Box::new(Etcd::start(dir, etcds, timing, request)?),
            Side::Zookeeper => {
                let cluster = Zookeeper::start(dir, zookeepers, timing, request)?;
                cluster.prepare().await?;
                Box::new(cluster)
            }
        };
        whole(cluster.as_ref()).await.with_context(|| format!("starting {}", cluster.name()))?;
        self.request = cluster.request_bytes();
        let running = Running { cluster, home };
        if side == Side::Zookeeper {
            let sessions = running.sessions(WRITERS).await?;
            let calls = JAVA_WARM.min(self.plan.records.saturating_mul(2));
            run(&sessions, Op::Write, WRITERS, End::Count(calls)).await?;
        }
        Ok(running)
    }

    async fn begin_all(&mut self, timing: Timing) -> Result<Vec<Running>> {
        let mut running = Vec::new();
        // Ours first: it says how large a request is.
        for side in self.sides.clone() {
            running.push(self.begin(side, timing).await?);
        }
        tokio::time::sleep(SETTLE).await;
        Ok(running)
    }

    /// Rates, latencies and CPU under each load.
    pub(super) async fn load(&mut self) -> Result<()> {
        for turn in 0..self.plan.rounds {
            say(&format!("load, round {} of {}", turn.saturating_add(1), self.plan.rounds));
            let mut all = self.begin_all(Timing::Wan).await?;
            for at in turns(all.len(), turn) {
                if let Some(running) = all.get_mut(at) {
                    self.idle(running).await?;
                }
            }
            for (op, clients) in LOADS {
                for at in turns(all.len(), turn) {
                    if let Some(running) = all.get_mut(at) {
                        self.one_load(running, op, clients).await?;
                    }
                }
            }
            if self.plan.profile && turn == 0 {
                for running in &mut all {
                    let sessions = running.sessions(WRITERS).await?;
                    let dir = running.home.path().to_owned();
                    let sampled = profile::sample(running.cluster.as_mut(), &sessions, &dir).await;
                    sampled.unwrap_or_else(|error| say(&format!("no profile: {error:#}")));
                }
            }
        }
        Ok(())
    }

    async fn idle(&mut self, running: &mut Running) -> Result<()> {
        let span = Span::begin(running.pids()?)?;
        tokio::time::sleep(self.plan.time).await;
        let spent = span.end()?;
        let share = spent.members.as_secs_f64() / spent.wall.as_secs_f64() * 100.0;
        let what = What::new("idle: CPU, all members", "% of a core", Better::Less);
        self.figures.add(&what, running.cluster.name(), share, spent.others);
        Ok(())
    }

    async fn one_load(&mut self, running: &mut Running, op: Op, clients: usize) -> Result<()> {
        let (name, side) = (load_name(op, clients), running.cluster.name());
        let rate = What::new(name.clone(), "1/s", Better::More);
        if !running.cluster.offers(op) {
            self.figures.absent(&rate, side, "not there yet");
            return Ok(());
        }
        let sessions = running.sessions(clients).await?;
        run(&sessions, op, clients, End::After(WARM)).await?;
        let span = Span::begin(running.pids()?)?;
        let sample = run(&sessions, op, clients, End::After(self.plan.time)).await;
        let sample = sample.with_context(|| format!("{side}: {name}"))?;
        let spent = span.end()?;
        let each = |cpu: Duration| {
            let commands = u32::try_from(sample.commands).unwrap_or(u32::MAX);
            cpu.as_secs_f64() * 1e6 / f64::from(commands)
        };
        let less = |what: &str, unit| What::new(format!("{name}: {what}"), unit, Better::Less);
        let found = [
            (rate, sample.rate()),
            (less("p50", "ms"), sample.percentile(50)),
            (less("p99", "ms"), sample.percentile(99)),
            (less("CPU a command, all members", "us"), each(spent.members)),
        ];
        for (what, value) in found {
            self.figures.add(&what, side, value, spent.others);
        }
        if let Some(why) = &sample.why {
            say(&format!("{side}: {name}: {} calls failed: {why}", sample.failed));
        }
        // Not better or worse: they tell how much of the machine the generator took, and whether calls were refused.
        let fact = |what: &str, unit| What::new(format!("{name}: {what}"), unit, Better::Neither);
        let failed = f64::from(u32::try_from(sample.failed).unwrap_or(u32::MAX));
        let generator = each(spent.own);
        self.figures.add(&fact("generator's CPU a command", "us"), side, generator, spent.others);
        self.figures.add(&fact("failed calls", "1"), side, failed, spent.others);
        Ok(())
    }

    /// Syncs for each acknowledged write, counted by a tracer.
    pub(super) async fn proof(&mut self) -> Result<()> {
        let what =
            What::new("proof: syncs a write at the quorum's last member", "1", Better::Neither);
        for side in self.sides.clone() {
            let mut running = self.begin(side, Timing::Wan).await?;
            let name = running.cluster.name();
            let sessions = running.sessions(1).await?;
            let session = Arc::clone(sessions.first().context("one session")?);
            let dir = running.home.path().to_owned();
            match proof::prove(running.cluster.as_mut(), session, &dir).await {
                Ok(found) => {
                    say(&format!("{name}: {found:?}"));
                    self.figures.add(&what, name, found.per_write(), 0.0);
                }
                Err(error) => {
                    say(&format!("{name}: durability is not proven: {error:#}"));
                    self.figures.absent(&what, name, "not proven");
                }
            }
        }
        Ok(())
    }

    /// Memory and restart after the same number of writes.
    pub(super) async fn restart(&mut self) -> Result<()> {
        for turn in 0..self.plan.rounds {
            say(&format!("restart, round {} of {}", turn.saturating_add(1), self.plan.rounds));
            for at in turns(self.sides.len(), turn) {
                if let Some(side) = self.sides.get(at).copied() {
                    self.one_restart(side).await?;
                }
            }
        }
        Ok(())
    }

    async fn one_restart(&mut self, side: Side) -> Result<()> {
        let mut running = self.begin(side, Timing::Wan).await?;
        let (name, records) = (running.cluster.name(), self.plan.records);
        let sessions = running.sessions(WRITERS).await?;
        let written = run(&sessions, Op::Write, WRITERS, End::Count(records)).await?;
        let (mut all, mut most) = (0.0, 0.0_f64);
        for pid in running.pids()? {
            let memory = memory(pid)?;
            all += memory.pss;
            most = most.max(memory.rss);
        }
        let less = |what: &str, unit| {
            What::new(format!("{what} after {records} writes"), unit, Better::Less)
        };
        self.figures.add(&less("memory: RSS of the largest member", "MiB"), name, most, 0.0);
        self.figures.add(&less("memory: PSS of all members", "MiB"), name, all, 0.0);
        drop(sessions);
        let span = Span::begin(Vec::new())?;
        let outage = cold_restart(running.cluster.as_mut(), written.position).await?;
        let others = span.end()?.others;
        self.figures.add(&less("cold restart", "s"), name, outage.as_secs_f64(), others);
        Ok(())
    }

    /// Leader lost to next commit.
    pub(super) async fn faults(&mut self) -> Result<()> {
        for timing in self.plan.timings.clone() {
            let mut all = self.begin_all(timing).await?;
            for turn in 0..self.plan.faults {
                say(&format!("faults, {}, round {}", timing.name(), turn.saturating_add(1)));
                for fault in Fault::ALL {
                    for at in turns(all.len(), turn) {
                        let is_slow = self.sides.get(at) == Some(&Side::Zookeeper);
                        let Some(running) = all.get_mut(at) else { continue };
                        if is_slow && turn >= ZOOKEEPER_FAULTS {
                            continue;
                        }
                        let span = Span::begin(Vec::new())?;
                        let outage = round(running.cluster.as_mut(), fault).await?;
                        let others = span.end()?.others;
                        let (what, side) = (outage_of(timing, fault), running.cluster.name());
                        self.figures.add(&what, side, outage.as_secs_f64(), others);
                    }
                }
            }
        }
        self.against_defaults();
        Ok(())
    }

    /// Our `lan` beside the peers as they are shipped: the budget's comparison, with what was measured already.
    fn against_defaults(&mut self) {
        for fault in Fault::ALL {
            let name = format!("outage, {}: our lan, peers' defaults", fault.name());
            let what = What::new(name, "s", Better::Less);
            let rows = self.figures.rows();
            let values = |timing, side: &str| -> Vec<f64> {
                let of = outage_of(timing, fault);
                let row = rows.iter().find(|row| row.what == of);
                row.map_or_else(Vec::new, |row| row.values(side).to_vec())
            };
            let ours = values(Timing::Lan, OURS);
            if ours.is_empty() {
                continue;
            }
            let ours = ours.into_iter().map(|value| (OURS, value));
            let theirs =
                self.figures.peers().iter().flat_map(|peer| {
                    values(Timing::Wan, peer).into_iter().map(|value| (*peer, value))
                });
            for (side, value) in ours.chain(theirs).collect::<Vec<_>>() {
                self.figures.add(&what, side, value, 0.0);
            }
        }
    }
}

fn outage_of(timing: Timing, fault: Fault) -> What {
    What::new(format!("outage, {}, {} profile", fault.name(), timing.name()), "s", Better::Less)
}

pub(super) fn load_name(op: Op, clients: usize) -> String {
    let what = match op {
        Op::Write => "write",
        Op::Batch => "write, 64 a call",
        Op::Read => "linearizable read",
    };
    format!("{what}, {clients} client{}", if clients == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_side_has_its_turn_and_another_one_begins() {
        assert_eq!(turns(3, 0).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(turns(3, 4).collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!(turns(0, 4).count(), 0);
    }

    #[test]
    fn our_campus_profile_stands_beside_the_peers_defaults() {
        let plan = Plan::default();
        let mut suite = Suite::new(&plan, Path::new("."), vec![Side::Sekisho, Side::Etcd]);
        let kill = |timing| outage_of(timing, Fault::Kill);
        suite.figures.add(&kill(Timing::Lan), OURS, 0.2, 0.0);
        suite.figures.add(&kill(Timing::Lan), "etcd", 0.4, 0.0);
        suite.figures.add(&kill(Timing::Wan), OURS, 0.6, 0.0);
        suite.figures.add(&kill(Timing::Wan), "etcd", 1.4, 0.0);
        suite.against_defaults();
        let row = suite.figures.rows().last().unwrap();
        assert!(row.what.name.contains("defaults"));
        assert!((row.ratio("etcd").unwrap().median - 7.0).abs() < 1e-9);
        assert_eq!(load_name(Op::Write, 1), "write, 1 client");
    }
}
