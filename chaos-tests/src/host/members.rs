//! Trouble at the members: leaders that die, stand still, hand over, are cut off or answer nobody, and clocks that are wrong.
//!
//! Must hold: each call ends what it began.

use super::clock;
use super::fault::Fault;
use super::fleet::Fleet;
use crate::partition::{Fault as Cut, MEMBERS, OUTSIDE, Partition};
use anyhow::{Result, bail};
use nix::sys::signal::Signal;
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use std::ops::Range;
use std::time::Duration;

/// Steps of an agent's wall clock: a day is the life of its certificate.
pub(super) const AGENT_STEPS: [&str; 6] = ["-1h", "+1h", "-1d", "+1d", "-20s", "+20s"];
/// Steps of a member's.
const MEMBER_STEPS: [&str; 4] = ["-1h", "-1d", "-20s", "+20s"];
/// A rate within what the arithmetic allows (ρ is a thousand).
const WITHIN_PPM: i64 = 900;

/// The members, and the relays in front of them.
#[derive(Debug, Clone, Copy)]
pub struct Members<'d> {
    /// Their programs.
    pub fleet: &'d Fleet,
    /// What stands between them.
    pub partition: &'d Partition,
}

fn name(member: u64) -> String {
    format!("controller-{member}")
}

fn pause(chance: &mut StdRng, seconds: Range<u64>) {
    let ms =
        chance.random_range(seconds.start.saturating_mul(1000)..seconds.end.saturating_mul(1000));
    // waits: for as long as the trouble is to last
    std::thread::sleep(Duration::from_millis(ms));
}

/// One of the steps.
pub(super) fn a_step(steps: &[&'static str], chance: &mut StdRng) -> &'static str {
    steps.choose(chance).copied().unwrap_or("-1h")
}

impl Members<'_> {
    /// Makes it, keeps it up, ends it, and waits until three members are in touch.
    ///
    /// # Errors
    /// It could not be made or ended.
    pub fn make(&self, fault: Fault, chance: &mut StdRng) -> Result<()> {
        let leader = self.fleet.federation.leader()?;
        let made = self.at(fault, leader, chance);
        self.partition.heal();
        self.fleet.federation.whole()?;
        made
    }

    fn at(&self, fault: Fault, leader: u64, chance: &mut StdRng) -> Result<()> {
        let others: Vec<u64> = MEMBERS.into_iter().filter(|member| *member != leader).collect();
        match fault {
            Fault::KillLeader => self.fleet.signal(&name(leader), Signal::SIGKILL),
            Fault::StopLeader => self.still(&[leader], 2..20, chance),
            Fault::StopOthers => self.still(&others, 3..28, chance),
            Fault::Transfer => {
                let to = others.choose(chance).copied().unwrap_or(leader).to_string();
                self.fleet.federation.run("kanto", &["member", "transfer", &to])?.ok().map(drop)
            }
            Fault::CutLeader | Fault::HushLeader => {
                let how = if fault == Fault::CutLeader { Cut::Cut } else { Cut::Hold };
                self.partition.isolate(leader, how);
                pause(chance, 4..26);
                Ok(())
            }
            Fault::OldLeaderOnly => {
                self.partition.isolate(leader, Cut::Cut);
                for other in others {
                    self.partition.one_way(OUTSIDE, other, Cut::Cut);
                }
                pause(chance, 10..32);
                Ok(())
            }
            Fault::LoseAnswers => {
                let all = MEMBERS.to_vec();
                for member in if chance.random_bool(0.5) { vec![leader] } else { all } {
                    self.partition.one_way(member, OUTSIDE, Cut::Hold);
                }
                pause(chance, 2..12);
                Ok(())
            }
            Fault::StepMember => {
                let member = MEMBERS.choose(chance).copied().unwrap_or(leader);
                let (by, seconds) = (a_step(&MEMBER_STEPS, chance), chance.random_range(4..16));
                self.stepped(&name(member), by, seconds)
            }
            Fault::LeapLeader => self.stepped(&name(leader), "+1h", 5),
            Fault::DriftMember => {
                let ppm = if chance.random_bool(0.7) { WITHIN_PPM } else { -WITHIN_PPM };
                let member = if chance.random_bool(0.7) {
                    leader
                } else {
                    others.choose(chance).copied().unwrap_or(leader)
                };
                self.drift(&name(member), ppm, chance)
            }
            Fault::KillAgent
            | Fault::LoseAgent
            | Fault::KillWatchdog
            | Fault::KillOuter
            | Fault::KillInit
            | Fault::KillJob
            | Fault::KillSeveral
            | Fault::PauseAgent
            | Fault::StopAgent
            | Fault::StopBoth
            | Fault::StopWatchdog
            | Fault::StopInit
            | Fault::PauseHost
            | Fault::StopHost
            | Fault::FreezeHost
            | Fault::Reboot
            | Fault::Unkillable
            | Fault::StepAgent
            | Fault::FillDisk
            | Fault::DamageLedger => bail!("{fault:?} is at a host"),
        }
    }

    fn still(&self, members: &[u64], seconds: Range<u64>, chance: &mut StdRng) -> Result<()> {
        let signal = |signal: Signal| {
            members.iter().try_for_each(|member| self.fleet.signal(&name(*member), signal))
        };
        let stopped = signal(Signal::SIGSTOP);
        pause(chance, seconds);
        signal(Signal::SIGCONT)?;
        stopped
    }

    /// A program's wall clock steps, and after some seconds steps back.
    ///
    /// # Errors
    /// Its file cannot be written.
    pub fn stepped(&self, program: &str, by: &str, seconds: u64) -> Result<()> {
        let dir = self.fleet.federation.dir();
        clock::step(dir, program, by)?;
        // waits: for as long as the clock is wrong
        std::thread::sleep(Duration::from_secs(seconds));
        clock::step(dir, program, "+0")
    }

    /// A member is started with clocks of another rate, and later again with its own.
    fn drift(&self, program: &str, ppm: i64, chance: &mut StdRng) -> Result<()> {
        let dir = self.fleet.federation.dir();
        self.fleet.environment(program, clock::rated(dir, ppm)?)?;
        let starts = self.fleet.starts(program);
        self.fleet.signal(program, Signal::SIGKILL)?;
        let begun = self.fleet.await_start(program, starts);
        if begun.is_ok() {
            pause(chance, 15..40);
        }
        self.fleet.environment(program, clock::steppable(dir, program))?;
        self.fleet.signal(program, Signal::SIGKILL)?;
        begun
    }
}
