//! How each kind of trouble is made, kept up and ended.
//!
//! Must hold: each call ends what it began, also when something in between failed; what the judge is told of a host is
//! told in the order in which it is so.

use super::census::Seen;
use super::diary::Diary;
use super::fault::Fault;
use super::fleet::{Fleet, Host, send};
use super::freezer::Freezer;
use super::members::{AGENT_STEPS, Members, a_step};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use sekisho_agent_runtime::directory::{PlacementDir, ShimRecord};
use sekisho_agent_runtime::placement::PlacementKey;
use sekisho_agent_runtime::procfs::boottime_ns;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

/// Looks that are waited for before what a host runs is taken for known.
const LOOKS: u64 = 3;
/// How often a host is told to stand still before it is given up: a job that forks meanwhile has more processes.
const TELLINGS: u32 = 50;
/// How often what was killed and let go is looked at until it has to be dead: about a second.
const DYING: u32 = 40;
/// With a damaged ledger an agent is watched so long: it starts within a second and would take sets at once.
const DAMAGED_FOR: Duration = Duration::from_secs(6);

/// One who makes trouble at one host, or at the members.
#[derive(Debug)]
pub struct Hand<'d> {
    /// The federation.
    pub fleet: &'d Fleet,
    /// Where what happens is told.
    pub diary: &'d Diary,
    /// By which it chooses.
    pub chance: StdRng,
}

/// There is nothing to make this trouble to just now.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl std::fmt::Display for Nobody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no job runs there")
    }
}

impl std::error::Error for Nobody {}

/// What may be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The agent.
    Agent,
    /// The watchdog.
    Watchdog,
    /// The outer shim of one placement.
    Outer,
    /// The init of one placement.
    Init,
    /// A process of a job.
    Job,
}

impl Victim {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Agent, Self::Watchdog, Self::Outer, Self::Init, Self::Job];
}

impl Hand<'_> {
    /// Makes it at `host`, keeps it up, and ends it.
    ///
    /// # Errors
    /// It could not be made or ended. That there was nothing to do it to is one.
    pub fn at_host(&mut self, fault: Fault, host: usize, members: &Members<'_>) -> Result<()> {
        let known = self.fleet.hosts.get(host).context("no such host")?.clone();
        self.diary.note(&format!("{fault:?} at {}", known.node));
        let done = self.make(fault, host, &known, members);
        self.diary.over(fault, &known.node, &done);
        done
    }

    fn make(
        &mut self,
        fault: Fault,
        host: usize,
        known: &Host,
        members: &Members<'_>,
    ) -> Result<()> {
        match fault {
            Fault::KillAgent => self.kill(host, Victim::Agent),
            Fault::KillWatchdog => self.kill(host, Victim::Watchdog),
            Fault::KillOuter => self.kill(host, Victim::Outer),
            Fault::KillInit => self.kill(host, Victim::Init),
            Fault::KillJob => self.kill(host, Victim::Job),
            Fault::KillSeveral => self.kill_several(host),
            Fault::LoseAgent => self.away(&[&known.agent], 21..27),
            Fault::PauseAgent => self.still(&[&known.agent], 1..12),
            Fault::StopAgent => self.still(&[&known.agent], 17..28),
            Fault::StopBoth => self.still(&[&known.watchdog, &known.agent], 21..28),
            Fault::StopWatchdog => {
                self.fleet.signal(&known.watchdog, Signal::SIGSTOP)?;
                let away = self.away(&[&known.agent], 21..27);
                self.fleet.signal(&known.watchdog, Signal::SIGCONT)?;
                away
            }
            Fault::StopInit => {
                let record = self.placement(host)?;
                send(Pid::from_raw(record.init.pid), Signal::SIGSTOP)?;
                let still = self.still(&[&known.agent], 21..28);
                if record.init.is_alive()? {
                    send(Pid::from_raw(record.init.pid), Signal::SIGCONT)?;
                }
                still
            }
            Fault::PauseHost => self.freeze(host, known, None, 1..12),
            Fault::StopHost => self.freeze(host, known, None, 18..32),
            Fault::FreezeHost => {
                let group = Freezer::new(&host.to_string())?;
                self.freeze(host, known, Some(&group), 18..32)
            }
            Fault::Reboot => self.reboot(host, known),
            Fault::Unkillable => self.unkillable(host),
            Fault::StepAgent => {
                let by = a_step(&AGENT_STEPS, &mut self.chance);
                members.stepped(&known.agent, by, self.chance.random_range(4..16))
            }
            Fault::FillDisk => self.fill(host),
            Fault::DamageLedger => self.damage(host, known),
            Fault::KillLeader
            | Fault::StopLeader
            | Fault::Transfer
            | Fault::CutLeader
            | Fault::HushLeader
            | Fault::OldLeaderOnly
            | Fault::StopOthers
            | Fault::LoseAnswers
            | Fault::StepMember
            | Fault::LeapLeader
            | Fault::DriftMember => members.make(fault, &mut self.chance),
        }
    }

    fn some_time(&mut self, seconds: Range<u64>) {
        let ms = self
            .chance
            .random_range(seconds.start.saturating_mul(1000)..seconds.end.saturating_mul(1000));
        // waits: for as long as the trouble is to last
        std::thread::sleep(Duration::from_millis(ms));
    }

    /// Kills one of a host.
    ///
    /// # Errors
    /// There is none.
    pub fn kill(&mut self, host: usize, victim: Victim) -> Result<()> {
        let known = self.fleet.hosts.get(host).context("no such host")?;
        match victim {
            Victim::Agent => self.fleet.signal(&known.agent, Signal::SIGKILL),
            Victim::Watchdog => self.fleet.signal(&known.watchdog, Signal::SIGKILL),
            Victim::Outer => {
                let record = self.placement(host)?;
                Ok(record.outer.kill()?)
            }
            Victim::Init => {
                let record = self.placement(host)?;
                Ok(record.init.kill()?)
            }
            Victim::Job => {
                let jobs: Vec<Seen> =
                    self.fleet.board.of(host).into_iter().filter(Seen::is_job).collect();
                let seen = jobs.choose(&mut self.chance).ok_or(Nobody)?;
                send(Pid::from_raw(seen.pid), Signal::SIGKILL)
            }
        }
    }

    fn kill_several(&mut self, host: usize) -> Result<()> {
        let mut victims = Victim::ALL;
        victims.shuffle(&mut self.chance);
        let count = self.chance.random_range(2..=victims.len());
        for victim in victims.into_iter().take(count) {
            let killed = self.kill(host, victim);
            self.diary.note(&format!("{victim:?} of host {host}: {killed:?}"));
            let ms =
                if self.chance.random_bool(0.4) { 0 } else { self.chance.random_range(1..900) };
            // waits: two that die at once are one case, two that die one after another are others
            std::thread::sleep(Duration::from_millis(ms));
        }
        Ok(())
    }

    /// A job that is killed and does not die, until it is let go.
    fn unkillable(&mut self, host: usize) -> Result<()> {
        let (key, record) = self.placed(host)?;
        let group = Freezer::new(&format!("stuck-{host}"))?;
        let of_it = |seen: &Seen| seen.key == key && seen.is_job();
        for _ in 0..2 {
            let seen = self.after_looks(host);
            seen.iter()
                .filter(|seen| of_it(seen))
                .for_each(|seen| group.take(Pid::from_raw(seen.pid)));
        }
        self.fleet.board.host(host, |standing| {
            standing.stuck.insert(key.clone());
        });
        let stuck = group.freeze().and_then(|()| Ok(record.init.kill()?));
        if stuck.is_ok() {
            self.some_time(3..26);
        }
        let left = self.fleet.board.of(host).iter().any(of_it);
        group.thaw()?;
        // What is free to die is dead when it is looked at again; only then it counts as any other.
        let gone = (0..DYING).any(|_| !self.after_looks(host).iter().any(of_it));
        self.fleet.board.host(host, |standing| {
            standing.stuck.remove(&key);
        });
        ensure!(gone, "{key} was let go and does not die");
        // It may have ended by itself before it was frozen.
        if left { stuck } else { Err(Nobody.into()) }
    }

    /// Who runs a placement of this host, by its record.
    fn placement(&mut self, host: usize) -> Result<ShimRecord> {
        self.placed(host).map(|(_, record)| record)
    }

    fn placed(&mut self, host: usize) -> Result<(String, ShimRecord)> {
        let root = &self.fleet.hosts.get(host).context("no such host")?.root;
        let jobs = self.fleet.board.of(host).into_iter().filter(Seen::is_job);
        let keys: Vec<String> =
            jobs.map(|seen| seen.key).collect::<BTreeSet<_>>().into_iter().collect();
        let key = keys.choose(&mut self.chance).ok_or(Nobody)?;
        let record = PlacementDir::new(root, &PlacementKey::new(key.clone())?).shim()?;
        Ok((key.clone(), record.ok_or(Nobody)?))
    }

    /// Programs that are killed and stay away.
    fn away(&mut self, names: &[&str], seconds: Range<u64>) -> Result<()> {
        let held = names.iter().try_for_each(|name| self.fleet.hold(name));
        if held.is_ok() {
            self.some_time(seconds);
        }
        names.iter().try_for_each(|name| self.fleet.release(name))?;
        held
    }

    /// Programs that stand still.
    fn still(&mut self, names: &[&str], seconds: Range<u64>) -> Result<()> {
        let stopped = names.iter().try_for_each(|name| self.fleet.signal(name, Signal::SIGSTOP));
        if stopped.is_ok() {
            self.some_time(seconds);
        }
        names.iter().rev().try_for_each(|name| self.fleet.signal(name, Signal::SIGCONT))?;
        stopped
    }

    /// Processes of a host's placements, after looks that began from now on.
    fn after_looks(&self, host: usize) -> Vec<Seen> {
        let begun = self.fleet.board.looks.lock().0;
        while self.fleet.board.looks.lock().0 < begun.saturating_add(LOOKS) {
            // waits: for the watch, which looks every few milliseconds
            std::thread::sleep(super::limit::LOOK_EVERY);
        }
        self.fleet.board.of(host)
    }

    /// A host stands still for so long, by signals.
    ///
    /// # Errors
    /// It does not.
    pub fn stand_still_for(&mut self, host: usize, seconds: Range<u64>) -> Result<()> {
        let known = self.fleet.hosts.get(host).context("no such host")?.clone();
        let done = self.freeze(host, &known, None, seconds);
        self.diary.over(Fault::StopHost, &known.node, &done);
        done
    }

    fn freeze(
        &mut self,
        host: usize,
        known: &Host,
        group: Option<&Freezer>,
        seconds: Range<u64>,
    ) -> Result<()> {
        let frozen = self.stand_still(host, known, group);
        if frozen.is_ok() {
            self.fleet.board.host(host, |standing| standing.frozen = true);
            self.some_time(seconds);
        }
        let lived = self.fleet.board.of(host).into_iter().map(|seen| seen.key).collect();
        self.fleet.board.host(host, |standing| {
            standing.stale = (standing.mute_since.unwrap_or(u64::MAX), lived);
        });
        // The jobs first: what a late guard lets them do shows best so.
        if let Some(group) = group {
            group.thaw()?;
        }
        let (jobs, shims): (Vec<Seen>, Vec<Seen>) =
            self.fleet.board.of(host).into_iter().partition(Seen::is_job);
        for seen in jobs.iter().chain(&shims) {
            send(Pid::from_raw(seen.pid), Signal::SIGCONT)?;
        }
        self.fleet.signal(&known.watchdog, Signal::SIGCONT)?;
        self.fleet.signal(&known.agent, Signal::SIGCONT)?;
        let now = boottime_ns()?;
        self.fleet.board.host(host, |standing| {
            (standing.frozen, standing.thawed_ns) = (false, now);
        });
        frozen
    }

    fn stand_still(&self, host: usize, known: &Host, group: Option<&Freezer>) -> Result<()> {
        if let Some(group) = group {
            for pid in
                [&known.agent, &known.watchdog].iter().filter_map(|name| self.fleet.pid(name))
            {
                group.take(pid);
            }
            for _ in 0..2 {
                self.after_looks(host).iter().for_each(|seen| group.take(Pid::from_raw(seen.pid)));
            }
            group.freeze()?;
            return self.fleet.board.mute(host);
        }
        self.fleet.signal(&known.agent, Signal::SIGSTOP)?;
        self.fleet.signal(&known.watchdog, Signal::SIGSTOP)?;
        for _ in 0..TELLINGS {
            let seen = self.after_looks(host);
            // Who waits for a child that is stopped before its exec cannot be stopped, and cannot go on either.
            let stands = |seen: &&Seen| matches!(seen.state, 'T' | 'D');
            let moving: Vec<&Seen> = seen.iter().filter(|seen| !stands(seen)).collect();
            if moving.is_empty() {
                return Ok(());
            }
            for seen in moving {
                send(Pid::from_raw(seen.pid), Signal::SIGSTOP)?;
            }
        }
        anyhow::bail!("{} does not stand still", known.node)
    }

    fn reboot(&mut self, host: usize, known: &Host) -> Result<()> {
        let down = self.power_off(host, known);
        if down.is_ok() {
            self.some_time(1..26);
        }
        self.fleet.release(&known.watchdog)?;
        self.fleet.release(&known.agent)?;
        down
    }

    /// Kills all of a host at once, and returns when nothing of it lives.
    fn power_off(&self, host: usize, known: &Host) -> Result<()> {
        self.fleet.hold(&known.agent)?;
        self.fleet.hold(&known.watchdog)?;
        for _ in 0..TELLINGS {
            for seen in self.fleet.board.of(host) {
                send(Pid::from_raw(seen.pid), Signal::SIGKILL)?;
            }
            if self.after_looks(host).is_empty() {
                self.fleet.await_end(&known.agent)?;
                return self.fleet.await_end(&known.watchdog);
            }
        }
        anyhow::bail!("{} is not off", known.node)
    }

    fn fill(&mut self, host: usize) -> Result<()> {
        let disk = self.fleet.disk(host).context("it has no disk of its own")?;
        let filled = disk.fill();
        self.some_time(2..20);
        disk.empty()?;
        filled
    }

    /// A ledger that is not what was written: nothing is started or told until it is put back.
    fn damage(&mut self, host: usize, known: &Host) -> Result<()> {
        let path = known.data.join("ledger");
        self.fleet.hold(&known.agent)?;
        self.fleet.await_end(&known.agent)?;
        let whole = std::fs::read(&path)?;
        let mut bytes = whole.clone();
        let at = self.chance.random_range(0..bytes.len().max(1));
        if self.chance.random_bool(0.5) {
            bytes.truncate(at);
        } else if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << self.chance.random_range(0..8);
        }
        let starts = self.fleet.starts(&known.agent);
        let of_host = |fleet: &Fleet| {
            let judge = fleet.board.judge.lock();
            judge.started.iter().filter(|(at, _)| *at == host).count()
        };
        std::fs::write(&path, bytes)?;
        let before = of_host(self.fleet);
        self.fleet.release(&known.agent)?;
        let started = self.fleet.await_start(&known.agent, starts);
        // waits: for what must not happen
        std::thread::sleep(DAMAGED_FOR);
        let after = of_host(self.fleet);
        self.fleet.hold(&known.agent)?;
        self.fleet.await_end(&known.agent)?;
        std::fs::write(&path, whole)?;
        self.fleet.release(&known.agent)?;
        started?;
        if before != after {
            let text = format!("P2 {}: something was started with a damaged ledger", known.node);
            self.fleet.board.judge.lock().violations.push(text);
        }
        ensure!(before == after, "started with a damaged ledger");
        Ok(())
    }
}
