//! The members of a run: starting and killing their processes.
//!
//! A process that is killed cannot be torn out of the executor. Its disk stops changing, its packets stop, its clients
//! hear nothing more, and what is left of it is told to shut down.

use super::disk::{Medium, SimDisk};
use super::fixture::{Fixture, origin};
use super::limit::{ENTRIES_KEPT, SNAPSHOT_AFTER};
use super::network::{End, Network, Weather};
use super::oracle::Oracle;
use super::plan::Bug;
use super::platform::{Sim, SimClock, spawn};
use super::world::{World, list};
use parking_lot::Mutex;
use sekisho_raft::config::{RaftConfig, Timing};
use sekisho_raft::consensus::{Consensus, MemberOptions};
use sekisho_raft::disk::MemberDisk as _;
use sekisho_raft::member::Known;
use sekisho_transport::task::TaskGroup;
use sekisho_types::id::MemberId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// A process of a member.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) member: u64,
    pub(super) consensus: Consensus<Sim>,
    life: Life,
}

/// Whether a process lives.
#[derive(Debug, Clone)]
struct Life {
    alive: Arc<AtomicBool>,
    end: Arc<Notify>,
}

impl Life {
    fn new() -> Self {
        Self { alive: Arc::new(AtomicBool::new(true)), end: Arc::default() }
    }

    fn is_over(&self) -> bool {
        !self.alive.load(Ordering::Acquire)
    }

    fn finish(&self) {
        self.alive.store(false, Ordering::Release);
        self.end.notify_waiters();
    }
}

impl Process {
    /// Resolves when it is killed.
    pub(super) async fn killed(&self) {
        loop {
            let mut end = std::pin::pin!(self.life.end.notified());
            end.as_mut().enable();
            if self.life.is_over() {
                return;
            }
            end.await;
        }
    }
}

#[derive(Debug)]
struct Slot {
    life: Life,
    /// There once it has started.
    process: Option<Process>,
}

#[derive(Debug)]
struct Inner {
    oracle: Oracle,
    network: Network,
    media: BTreeMap<u64, Medium>,
    fixture: Fixture,
    config: RaftConfig,
    slots: Mutex<BTreeMap<u64, Slot>>,
    /// Kill everybody when the next client is answered.
    armed: AtomicBool,
}

/// The members of a run. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Cluster(Arc<Inner>);

impl Cluster {
    pub(super) fn new(
        seed: u64,
        fixture: Fixture,
        (timing, weather): (Timing, Weather),
        oracle: &Oracle,
        bug: Option<Bug>,
    ) -> Self {
        let medium = |id: &MemberId| (id.0, Medium::new(seed, id.0, oracle, bug));
        let media = fixture.nodes.keys().map(medium).collect();
        let network = Network::new(seed, oracle.world(), &fixture.nodes, weather, bug);
        let config = RaftConfig {
            timing,
            snapshot_after: SNAPSHOT_AFTER,
            entries_kept: ENTRIES_KEPT,
            ..RaftConfig::default()
        };
        let (oracle, slots, armed) = (oracle.clone(), Mutex::default(), AtomicBool::new(false));
        Self(Arc::new(Inner { oracle, network, media, fixture, config, slots, armed }))
    }

    pub(super) fn world(&self) -> &World {
        self.0.oracle.world()
    }

    pub(super) fn oracle(&self) -> &Oracle {
        &self.0.oracle
    }

    pub(super) fn network(&self) -> &Network {
        &self.0.network
    }

    pub(super) fn fixture(&self) -> &Fixture {
        &self.0.fixture
    }

    pub(super) fn medium(&self, member: u64) -> Option<&Medium> {
        self.0.media.get(&member)
    }

    /// Every member, up or not.
    pub(super) fn members(&self) -> Vec<u64> {
        self.0.media.keys().copied().collect()
    }

    /// Those that run.
    pub(super) fn running(&self) -> Vec<Process> {
        self.0.slots.lock().values().filter_map(|slot| slot.process.clone()).collect()
    }

    /// The one that leads, as far as one of them knows of itself.
    pub(super) fn leading(&self) -> Option<u64> {
        let leads = |process: &Process| {
            process.consensus.leader().is_some_and(|leader| leader.member.0 == process.member)
        };
        self.running().into_iter().find(leads).map(|process| process.member)
    }

    /// Starts a member that does not run.
    pub(super) fn start(&self, member: u64) {
        let Some(medium) = self.medium(member) else { return };
        let mut slots = self.0.slots.lock();
        if slots.contains_key(&member) {
            return;
        }
        let life = Life::new();
        slots.insert(member, Slot { life: life.clone(), process: None });
        drop(slots);
        self.world().note(&format!("start {member}"));
        let disk = SimDisk::open(medium, Arc::clone(&life.alive));
        let cluster = self.clone();
        spawn(async move { cluster.boot(member, disk, life).await });
    }

    async fn boot(&self, member: u64, disk: SimDisk, life: Life) {
        let log = disk.log();
        let options = MemberOptions {
            origin: origin(),
            member: MemberId(member),
            known: Known { bundle: 0, members: self.0.fixture.nodes.clone() },
            store: Arc::new(disk),
            links: self.network().links(member, &life.alive),
            config: self.0.config,
            clock: Arc::new(SimClock),
            tasks: TaskGroup::new(),
        };
        let consensus = match Consensus::<Sim>::start_on(options).await {
            Ok(consensus) => consensus,
            Err(_) if life.is_over() => return,
            Err(error) => {
                let failed = self.medium(member).is_some_and(|medium| medium.failed_at().is_some());
                if !failed {
                    self.world().violation(&format!("member {member} does not start: {error:?}"));
                }
                return;
            }
        };
        if life.is_over() {
            return consensus.shutdown().await;
        }
        self.world().note(&format!("member {member} is up"));
        let process = Process { member, consensus, life };
        self.watch(&process, log);
        self.guard(&process);
        let end =
            End { inbound: process.consensus.inbound(), alive: Arc::clone(&process.life.alive) };
        self.network().connect(member, end);
        if let Some(slot) = self.0.slots.lock().get_mut(&member) {
            slot.process = Some(process);
        }
    }

    /// Shows everything that a process publishes to the oracle.
    fn watch(&self, process: &Process, log: Arc<dyn sekisho_raft::disk::LogDisk>) {
        let (oracle, process) = (self.oracle().clone(), process.clone());
        spawn(async move {
            let (mut positions, mut seen) = (process.consensus.subscribe(), None);
            loop {
                let view = process.consensus.view();
                oracle.published(process.member, log.as_ref(), &view, &mut seen);
                drop(view);
                tokio::select! {
                    biased;
                    () = process.killed() => return,
                    moved = positions.changed() => if moved.is_err() { return },
                }
            }
        });
    }

    /// Nothing but its disk may end a member: a leader that gives up over a peer takes the service with it.
    fn guard(&self, process: &Process) {
        let (cluster, process) = (self.clone(), process.clone());
        spawn(async move {
            let failure = tokio::select! {
                biased;
                () = process.killed() => return,
                failure = process.consensus.failed() => failure,
            };
            let medium = cluster.medium(process.member);
            if medium.is_none_or(|medium| medium.failed_at().is_none()) {
                let what = format!("L1: member {} fails on a good disk: {failure}", process.member);
                cluster.world().violation(&what);
            }
        });
    }

    /// Ends processes where they stand, all at once, and cuts the power of their disks.
    pub(super) fn kill(&self, members: &[u64]) {
        let mut slots = self.0.slots.lock();
        let dead: Vec<(u64, Slot)> =
            members.iter().filter_map(|member| slots.remove_entry(member)).collect();
        drop(slots);
        if dead.is_empty() {
            return;
        }
        let ids: Vec<u64> = dead.iter().map(|(member, _)| *member).collect();
        self.world().note(&format!("kill {}", list(&ids)));
        dead.iter().for_each(|(_, slot)| slot.life.finish());
        for (member, slot) in dead {
            self.world().count(|totals| totals.crashes += 1);
            self.network().disconnect(member);
            if let Some(medium) = self.medium(member) {
                medium.cut_power();
            }
            if let Some(process) = slot.process {
                spawn(async move { process.consensus.shutdown().await });
            }
        }
    }

    /// Whether a process of this member runs or starts.
    pub(super) fn is_started(&self, member: u64) -> bool {
        self.0.slots.lock().contains_key(&member)
    }

    /// Kills everybody when the next client is answered.
    pub(super) fn arm(&self) {
        self.0.armed.store(true, Ordering::Release);
    }

    /// Takes that back; whether it had not happened yet.
    pub(super) fn disarm(&self) -> bool {
        self.0.armed.swap(false, Ordering::AcqRel)
    }

    /// A client was answered.
    pub(super) fn answered(&self) {
        if self.disarm() {
            self.world().count(|totals| totals.blackouts += 1);
            self.kill(&self.members());
        }
    }

    /// Lets go of everything, so that what refers to each other can be dropped.
    pub(super) fn close(&self) {
        self.network().clear();
        let slots = std::mem::take(&mut *self.0.slots.lock());
        drop(slots);
    }
}
