//! What draws trouble, by a seed.
//!
//! Swarm selection: for some rounds only about half of all kinds are on, those that were had least among them; where
//! everything happens all the time, one kind hides what another would show.

use super::diary::Diary;
use super::fault::{Fault, Target};
use super::fleet::Fleet;
use super::inject::{Hand, Nobody};
use super::limit::SWARM;
use super::members::Members;
use super::report::Report;
use crate::partition::Partition;
use anyhow::{Result, anyhow};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use sekisho_agent_runtime::procfs::boottime_ns;
use std::time::Duration;

const NS_PER_MINUTE: u64 = 60_000_000_000;

/// Draws and makes trouble.
#[derive(Debug)]
pub(super) struct Nemesis<'d> {
    fleet: &'d Fleet,
    partition: &'d Partition,
    diary: &'d Diary,
    chance: StdRng,
    only: Vec<Fault>,
    /// Kinds that are on, the next one last.
    deck: Vec<Fault>,
    /// Faults until kinds are drawn anew.
    left: u32,
}

/// The first line of what went wrong; the rest, logs among it, is in the diary.
pub(super) fn short(error: &anyhow::Error) -> String {
    format!("{error:#}").lines().next().unwrap_or_default().to_owned()
}

/// Trouble of one round: at which host, or at the members.
type Round = Vec<(Fault, Option<usize>)>;

impl<'d> Nemesis<'d> {
    pub(super) fn new(
        fleet: &'d Fleet,
        partition: &'d Partition,
        diary: &'d Diary,
        seed: u64,
        only: &[Fault],
    ) -> Self {
        // Another sequence than the load's.
        let chance = StdRng::seed_from_u64(seed ^ u64::MAX);
        Self { fleet, partition, diary, chance, only: only.to_vec(), deck: Vec::new(), left: 0 }
    }

    /// Makes trouble for so long. All of it is over when this returns.
    pub(super) fn trouble(&mut self, minutes: u64, report: &mut Report) -> Result<()> {
        for fault in Fault::ALL {
            if let Some(why) = fault.missing(self.fleet)
                && !self.only.contains(&fault)
            {
                report.missing.insert(fault, why);
            }
        }
        let end = boottime_ns()?.saturating_add(minutes.saturating_mul(NS_PER_MINUTE));
        while boottime_ns()? < end {
            let round = self.draw(report);
            for (fault, done) in self.make(&round)? {
                match done {
                    Ok(()) => {
                        let count = report.faults.entry(fault).or_default();
                        *count = count.saturating_add(1);
                    }
                    Err(error) if error.is::<Nobody>() => {
                        report.idle = report.idle.saturating_add(1);
                    }
                    // What does not come back within a minute after trouble is a finding, too.
                    Err(error) => report.violations.push(format!("{fault:?}: {}", short(&error))),
                }
            }
            // waits: between two rounds something is to be placed and renewed again
            std::thread::sleep(Duration::from_millis(self.chance.random_range(500..6000)));
        }
        Ok(())
    }

    /// One or two hosts, the members, or both.
    fn draw(&mut self, report: &Report) -> Round {
        let mut hosts: Vec<usize> = (0..self.fleet.hosts.len()).collect();
        hosts.shuffle(&mut self.chance);
        hosts.truncate(if self.chance.random_bool(0.5) { 1 } else { 2 });
        let (mut round, mut members) = (Round::new(), true);
        let count = self.chance.random_range(1..=3);
        for _ in 0..count {
            let fault = self.next(report);
            match fault.target() {
                Target::Host => round.extend(hosts.pop().map(|host| (fault, Some(host)))),
                Target::Members if members => {
                    members = false;
                    round.push((fault, None));
                }
                Target::Members => {}
            }
        }
        round
    }

    fn next(&mut self, report: &Report) -> Fault {
        if self.left == 0 || self.deck.is_empty() {
            let had = |fault: &Fault| report.faults.get(fault).copied().unwrap_or(0);
            let mut all: Vec<Fault> = Fault::ALL
                .into_iter()
                .filter(|fault| self.only.is_empty() || self.only.contains(fault))
                .filter(|fault| !report.missing.contains_key(fault))
                .collect();
            all.shuffle(&mut self.chance);
            all.sort_by_key(had);
            all.truncate(all.len().div_ceil(2));
            all.shuffle(&mut self.chance);
            (self.deck, self.left) = (all, SWARM);
            self.diary.note(&format!("on: {:?}", self.deck));
        }
        self.left = self.left.saturating_sub(1);
        // Nothing is left on a machine that can do nothing of what was asked for: kill -9 it always can.
        let next = self.deck.pop().unwrap_or(Fault::KillAgent);
        self.deck.insert(0, next);
        next
    }

    /// All of a round at once, each by a thread of its own. What came of each.
    fn make(&mut self, round: &Round) -> Result<Vec<(Fault, Result<()>)>> {
        let members = Members { fleet: self.fleet, partition: self.partition };
        let hands: Vec<Hand<'_>> = round
            .iter()
            .map(|_| Hand {
                fleet: self.fleet,
                diary: self.diary,
                chance: StdRng::seed_from_u64(self.chance.random()),
            })
            .collect();
        let diary = self.diary;
        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for ((fault, host), mut hand) in round.iter().copied().zip(hands) {
                let make = move || match host {
                    Some(host) => hand.at_host(fault, host, &members),
                    None => {
                        diary.note(&format!("{fault:?}"));
                        let done = members.make(fault, &mut hand.chance);
                        diary.over(fault, "the members", &done);
                        done
                    }
                };
                let named = std::thread::Builder::new().name(format!("{fault:?}"));
                threads.push((fault, named.spawn_scoped(scope, make)?));
            }
            let done = threads.into_iter().map(|(fault, thread)| {
                let done = thread.join().map_err(|_panic| anyhow!("it failed"));
                (fault, done.and_then(|done| done))
            });
            Ok(done.collect())
        })
    }
}
