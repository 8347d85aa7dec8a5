//! A disk that a crash leaves as a crash does.
//!
//! What survives is the [`Medium`]; a [`SimDisk`] is one opening of it and dies with its process. As the store does it:
//! the log goes to disk in groups, each one atomic and synced before the next is begun, so a crash loses what was not
//! yet begun and, by chance, the group under way; audit rows, payloads and snapshots are a second file whose unsynced
//! tail survives up to any point (the rest is torn off and dropped); after the first error everything answers with it.
//!
//! Must hold: nothing is durable earlier, and nothing acknowledged is durable later, than the store promises; a process
//! that is gone changes nothing any more.

mod data;
mod log;

use super::fixture::owner;
use super::oracle::Oracle;
use super::plan::Bug;
use super::world::{World, chance, now};
use data::{DataOp, Tables};
use log::{LogImage, LogOp};
use parking_lot::Mutex;
use rand::Rng as _;
use rand::rngs::StdRng;
use sekisho_raft::disk::{AuditDisk, DataDisk, LogDisk, MemberDisk};
use sekisho_store::{Done, Identity, Member, StoreError, StoreResult};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// How long a sync takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// At least, microseconds.
    pub(super) least: u64,
    /// At most, microseconds.
    pub(super) most: u64,
}

#[derive(Debug)]
struct Platter {
    chance: StdRng,
    pace: Pace,
    /// No sync ends before this.
    stalled_until: Duration,
    /// The next sync of the log, the next write of the tables, answers EIO.
    fails: (bool, bool),
    /// The next read of the log answers EIO.
    fails_read: bool,
    /// When a process was first told of it.
    failed_at: Option<Duration>,
    log: LogImage,
    /// The group that is being synced, of the process that is alive.
    under_way: Vec<LogOp>,
    tables: Tables,
    unsynced: Vec<DataOp>,
    /// Openings so far.
    boots: u64,
}

/// What survives a crash. Clones share it.
#[derive(Clone)]
pub(super) struct Medium {
    member: u64,
    world: World,
    oracle: Oracle,
    bug: Option<Bug>,
    platter: Arc<Mutex<Platter>>,
}

impl fmt::Debug for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Medium").field("member", &self.member).finish_non_exhaustive()
    }
}

fn eio(doing: &'static str) -> StoreError {
    StoreError::Io { doing, source: Arc::new(io::Error::from_raw_os_error(5)) }
}

impl Medium {
    /// An empty one.
    pub(super) fn new(seed: u64, member: u64, oracle: &Oracle, bug: Option<Bug>) -> Self {
        let platter = Platter {
            chance: chance(seed, &format!("disk {member}")),
            pace: Pace { least: 100, most: 800 },
            stalled_until: Duration::ZERO,
            fails: (false, false),
            fails_read: false,
            failed_at: None,
            log: LogImage::default(),
            under_way: Vec::new(),
            tables: Tables::default(),
            unsynced: Vec::new(),
            boots: 0,
        };
        let (world, platter) = (oracle.world().clone(), Arc::new(Mutex::new(platter)));
        Self { member, world, oracle: oracle.clone(), bug, platter }
    }

    /// How long syncs take from now on.
    pub(super) fn set_pace(&self, pace: Pace) {
        self.platter.lock().pace = pace;
    }

    /// No sync ends for so long.
    pub(super) fn stall(&self, time: Duration) {
        self.platter.lock().stalled_until = now() + time;
    }

    /// The next sync of the log, or else the next write of the tables, fails.
    pub(super) fn fail(&self, log: bool) {
        self.platter.lock().fails = (log, !log);
    }

    /// The next read of the log fails.
    pub(super) fn fail_read(&self) {
        self.platter.lock().fails_read = true;
    }

    /// Nothing fails that has not failed yet.
    pub(super) fn repair(&self) {
        let mut platter = self.platter.lock();
        (platter.fails, platter.fails_read) = ((false, false), false);
    }

    /// When the process was told that its disk failed, if it was.
    pub(super) fn failed_at(&self) -> Option<Duration> {
        self.platter.lock().failed_at
    }

    /// The power goes. Whoever had it open has to be dead already.
    pub(super) fn cut_power(&self) {
        let mut platter = self.platter.lock();
        let platter = &mut *platter;
        let group = std::mem::take(&mut platter.under_way);
        if !group.is_empty() {
            if platter.chance.random_bool(0.5) {
                group.iter().for_each(|op| platter.log.apply(op));
            } else {
                self.world.count(|totals| totals.lost_groups += 1);
            }
        }
        let kept = platter.chance.random_range(0..=platter.unsynced.len());
        for op in platter.unsynced.drain(..).take(kept) {
            platter.tables.apply(op);
        }
        (platter.fails, platter.fails_read, platter.failed_at) = ((false, false), false, None);
        platter.stalled_until = Duration::ZERO;
    }
}

/// In memory, ahead of the medium by what is queued or unsynced.
struct Memory {
    log: LogImage,
    queue: VecDeque<(LogOp, Option<Done>)>,
    tables: Tables,
    failure: Option<StoreError>,
}

/// One opening of a medium, shared by its faces.
struct Open {
    medium: Medium,
    alive: Arc<AtomicBool>,
    memory: Mutex<Memory>,
    work: Notify,
    boot_seq: u64,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.medium.fmt(f)
    }
}

impl Open {
    fn alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// The sticky failure, or that the process is gone.
    fn check(&self, memory: &Memory) -> StoreResult<()> {
        if !self.alive() {
            return Err(StoreError::Closed);
        }
        let first = memory.failure.clone();
        first.map_or(Ok(()), |first| Err(StoreError::Failed { cause: Arc::new(first) }))
    }

    /// Keeps the first error and says when it was told.
    fn fail(&self, memory: &mut Memory, error: StoreError) -> StoreError {
        memory.failure.get_or_insert_with(|| error.clone());
        self.medium.platter.lock().failed_at.get_or_insert_with(now);
        self.medium.world.count(|totals| totals.failed_disks += 1);
        self.medium.world.note(&format!("disk {} fails: {error}", self.medium.member));
        error
    }
}

/// One opening of a medium.
#[derive(Debug)]
pub(super) struct SimDisk(Arc<Open>);

impl SimDisk {
    /// Opens it for a process that lives as long as `alive` says.
    pub(super) fn open(medium: &Medium, alive: Arc<AtomicBool>) -> Self {
        let mut platter = medium.platter.lock();
        platter.boots = platter.boots.saturating_add(1);
        let boot_seq = platter.boots;
        let memory = Memory {
            log: platter.log.clone(),
            queue: VecDeque::new(),
            tables: platter.tables.clone(),
            failure: None,
        };
        drop(platter);
        let (medium, memory) = (medium.clone(), Mutex::new(memory));
        let open = Arc::new(Open { medium, alive, memory, work: Notify::new(), boot_seq });
        super::platform::spawn(log::writing(Arc::clone(&open)));
        Self(open)
    }
}

impl SimDisk {
    fn tables(&self) -> data::SimTables {
        data::SimTables(Arc::clone(&self.0))
    }
}

impl MemberDisk for SimDisk {
    fn owner(&self) -> Member {
        owner(self.0.medium.member)
    }
    fn identity(&self) -> Identity {
        let mut directory = [0; 16];
        directory[..8].copy_from_slice(&self.0.medium.member.to_be_bytes());
        let durable_log_index = self.0.medium.platter.lock().log.peak;
        Identity { directory, boot_seq: self.0.boot_seq, durable_log_index }
    }
    fn check(&self) -> StoreResult<()> {
        self.0.check(&self.0.memory.lock())
    }
    fn log(&self) -> Arc<dyn LogDisk> {
        Arc::new(log::SimLog(Arc::clone(&self.0)))
    }
    fn data(self: Arc<Self>) -> Arc<dyn DataDisk> {
        Arc::new(self.tables())
    }
    fn archive(self: Arc<Self>) -> Arc<dyn AuditDisk> {
        Arc::new(self.tables())
    }
    fn note_put(&self, name: &str, bytes: &[u8]) -> StoreResult<()> {
        self.tables().note_put(name, bytes)
    }
    fn note(&self, name: &str) -> StoreResult<Option<Vec<u8>>> {
        self.tables().note(name)
    }
}
