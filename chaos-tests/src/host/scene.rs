//! Trouble in a fixed order, where the order is the matter: the tests run some of it, the drill all.
//!
//! Must hold: each scene leaves the federation as it was, and fails for what it sees itself; the judge watches beside it.

use super::census::{Seen, nanos};
use super::clock;
use super::diary::Diary;
use super::fault::Fault;
use super::fleet::Fleet;
use super::inject::{Hand, Victim};
use super::limit::{LOOK_EVERY, SETTLE};
use super::load::told;
use super::members::Members;
use crate::partition::{MEMBERS, Partition};
use crate::work::{spec, submit};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sekisho_agent_runtime::directory::{PlacementDir, ShimRecord};
use sekisho_agent_runtime::placement::PlacementKey;
use sekisho_agent_runtime::procfs::boottime_ns;
use sekisho_types::limit::lease_wait;
use std::time::Duration;

/// Hosts that a job of four devices can be bound to, and their areas.
pub const BOUND_TO: [(usize, &str); 3] = [(0, "\"131016\""), (1, "\"271403\""), (2, "\"012351\"")];
/// Between two kills: the first one's death is under way, and not yet seen by everybody.
const GAP: Duration = Duration::from_millis(30);
/// Faster clocks than any that the arithmetic allows for: with them the wait is shorter than a lease.
const BEYOND_PPM: i64 = 500_000;

/// Victims of an order.
pub type Order = [Victim; 4];

/// What a host can lose of all that guards a job.
const GUARDS: Order = [Victim::Agent, Victim::Watchdog, Victim::Outer, Victim::Init];

/// Four orders of all, in which each victim is once at each place.
#[must_use]
pub fn some_orders() -> Vec<Order> {
    let (mut order, mut some) = (GUARDS, Vec::new());
    for _ in GUARDS {
        some.push(order);
        order.rotate_left(1);
    }
    some
}

/// Every order.
#[must_use]
pub fn orders() -> Vec<Order> {
    let of = GUARDS;
    let mut all = Vec::new();
    for a in of {
        for b in of {
            for c in of {
                for d in of {
                    let order = [a, b, c, d];
                    if of.iter().all(|victim| order.contains(victim)) {
                        all.push(order);
                    }
                }
            }
        }
    }
    all
}

/// Scenes of one federation.
#[derive(Debug, Clone, Copy)]
pub struct Stage<'d> {
    /// It.
    pub fleet: &'d Fleet,
    /// What stands between its members.
    pub partition: &'d Partition,
    /// Where it is told.
    pub diary: &'d Diary,
}

impl Stage<'_> {
    fn hand(&self, seed: u64) -> Hand<'_> {
        Hand { fleet: self.fleet, diary: self.diary, chance: StdRng::seed_from_u64(seed) }
    }

    fn members(&self) -> Members<'_> {
        Members { fleet: self.fleet, partition: self.partition }
    }

    /// A job of all four devices of a host.
    fn bound(&self, name: &str, area: &str, script: &str) -> Result<String> {
        submit(&self.fleet.federation, name, &spec(name, 1, 4, area, script))
    }

    /// Waits for a placement with a process on `host`, of this job, and with another key than `not`.
    fn placed(&self, host: usize, job: &str, not: &str) -> Result<String> {
        self.fleet.federation.until_within(SETTLE, &format!("{job} on host {host}"), || {
            let seen = self.fleet.board.of(host);
            let mut keys = seen.iter().filter(|seen| is_of(seen, job)).map(|seen| &seen.key);
            Ok(keys.find(|key| *key != not).context("it is not there")?.clone())
        })
    }

    fn gone(&self, host: usize, key: &str) -> Result<()> {
        self.fleet.federation.until(&format!("{key} to be gone"), || {
            let left = self.fleet.board.of(host).into_iter().find(|seen| seen.key == key);
            ensure!(left.is_none(), "{left:?}");
            Ok(())
        })
    }

    fn cancel(&self, jobs: &[String]) -> Result<()> {
        for job in jobs {
            // One that is over refuses, which is what is wanted.
            drop(self.fleet.federation.run("sapporo", &["job", "cancel", job])?);
            self.fleet.federation.await_job(job, &["cancelled", "failed", "succeeded"])?;
        }
        Ok(())
    }

    /// Agent, watchdog and both shims of a placement die in these orders, on three hosts at once; the next job waits for
    /// its devices already.
    ///
    /// # Errors
    /// Something lived on, or nothing came after it.
    pub fn die(&self, orders: &[Order]) -> Result<()> {
        let mut lots: Vec<Vec<Order>> = vec![Vec::new(); BOUND_TO.len()];
        for (order, lot) in orders.iter().zip((0..lots.len()).cycle()) {
            if let Some(lot) = lots.get_mut(lot) {
                lot.push(*order);
            }
        }
        let mut jobs = Vec::new();
        for ((host, area), lot) in BOUND_TO.into_iter().zip(&lots) {
            // One more: somebody has to take what the last one held.
            for n in 0..=lot.len() {
                jobs.push(self.bound(&format!("die-{host}-{n}"), area, "exec sleep 600")?);
            }
        }
        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for ((host, _), lot) in BOUND_TO.into_iter().zip(lots) {
                let named = std::thread::Builder::new().name(format!("die-{host}"));
                threads.push(named.spawn_scoped(scope, move || self.die_at(host, &lot))?);
            }
            threads.into_iter().try_for_each(|thread| {
                thread.join().map_err(|_panic| anyhow::anyhow!("it failed"))?
            })
        })?;
        self.cancel(&jobs)
    }

    fn die_at(&self, host: usize, lot: &[Order]) -> Result<()> {
        let known = self.fleet.hosts.get(host).context("no such host")?;
        let mut last = String::new();
        for order in lot {
            let key = self.placed(host, &format!("die-{host}-"), &last)?;
            let record = self.record(host, &key)?;
            self.diary.note(&format!("{order:?} at {}, {key}", known.node));
            for victim in order {
                match victim {
                    Victim::Agent => self.fleet.signal(&known.agent, Signal::SIGKILL)?,
                    Victim::Watchdog => self.fleet.signal(&known.watchdog, Signal::SIGKILL)?,
                    Victim::Outer => record.outer.kill()?,
                    Victim::Init | Victim::Job => record.init.kill()?,
                }
                // waits: so that one death is under way when the next begins
                std::thread::sleep(GAP);
            }
            self.gone(host, &key)?;
            last = key;
        }
        self.placed(host, &format!("die-{host}-"), &last).map(drop)
    }

    /// The record of a placement that was just seen: it is there before the job is.
    fn record(&self, host: usize, key: &str) -> Result<ShimRecord> {
        let root = &self.fleet.hosts.get(host).context("no such host")?.root;
        let record = PlacementDir::new(root, &PlacementKey::new(key.to_owned())?).shim()?;
        record.context("no record")
    }

    /// A host stands still for longer than its lease: its job is placed again only when that is over, and when it goes on
    /// the old instance is dead at once. `meanwhile` runs beside that.
    ///
    /// # Errors
    /// The other instance came too early, or not at all.
    pub fn stand_still(&self, meanwhile: impl FnOnce() -> Result<()> + Send) -> Result<()> {
        const FROZEN_S: u64 = 27;
        let job = "still";
        let text =
            spec(job, 1, 1, "\"131016\", \"271403\"", "trap '' TERM; while :; do sleep 1; done");
        let job = submit(&self.fleet.federation, job, &text)?;
        let (host, key) = self.anywhere("still", "")?;
        let begun = boottime_ns()?;
        let mut hand = self.hand(1);
        std::thread::scope(|scope| {
            let named = std::thread::Builder::new().name("still".to_owned());
            let frozen = named.spawn_scoped(scope, move || {
                hand.stand_still_for(host, FROZEN_S..FROZEN_S.saturating_add(1))
            })?;
            let named = std::thread::Builder::new().name("meanwhile".to_owned());
            let beside = named.spawn_scoped(scope, meanwhile)?;
            let (other, again) = self.anywhere("still", &key)?;
            let after = boottime_ns()?.saturating_sub(begun);
            self.diary.note(&format!("{key} on {host}, then {again} on {other} after {after} ns"));
            ensure!(host != other, "it came back to a host that stands still");
            // A look may be this late, and the host stood still a little after `begun`.
            let least = nanos(lease_wait()).saturating_sub(nanos(LOOK_EVERY));
            let renewed = sekisho_types::limit::RENEW_EVERY;
            ensure!(after > least.saturating_sub(nanos(renewed)), "after {after} ns");
            for thread in [frozen, beside] {
                thread.join().map_err(|_panic| anyhow::anyhow!("it failed"))??;
            }
            Ok(())
        })?;
        self.gone(host, &key)?;
        self.cancel(&[job])
    }

    /// Where a job runs, under another key than `not`.
    fn anywhere(&self, job: &str, not: &str) -> Result<(usize, String)> {
        self.fleet.federation.until_within(SETTLE, &format!("{job} to run"), || {
            let seen = self.fleet.board.seen.lock();
            let mut found = seen.iter().filter(|seen| is_of(seen, job) && seen.key != not);
            found.next().map(|seen| (seen.host, seen.key.clone())).context("it does not")
        })
    }

    /// No byte fits on a host's disk when it is granted a job: nothing starts before there is room (P2).
    ///
    /// # Errors
    /// It started without a ledger, or not at all.
    pub fn full(&self, (host, area): (usize, &str)) -> Result<()> {
        let disk = self.fleet.disk(host).context("no disk of its own")?;
        disk.fill()?;
        let name = format!("full-{host}");
        let job = self.bound(&name, area, "exec sleep 600")?;
        let placed = self.fleet.federation.await_job(&job, &["placed", "running"]);
        // waits: for what must not happen
        std::thread::sleep(Duration::from_secs(2));
        let early = self.fleet.board.of(host).into_iter().find(|seen| is_of(seen, &name));
        disk.empty()?;
        placed?;
        ensure!(early.is_none(), "without a byte of ledger: {early:?}");
        self.fleet.federation.until_within(
            SETTLE,
            "it to run where there is room again",
            || {
                let found = self.fleet.federation.read("sapporo", &["job", "status", &job])?;
                ensure!(told(&found, "phase") == "running", "{found}");
                Ok(())
            },
        )?;
        self.cancel(&[job])
    }

    /// A job fills the disk that its agent keeps its ledger on, and ends: the host has to take work again by itself.
    ///
    /// # Errors
    /// It does not.
    pub fn hoard(&self, (host, area): (usize, &str)) -> Result<()> {
        let script = "head -c 900000000 /dev/zero > hoard; exec sleep 2";
        let job = self.bound(&format!("hoard-{host}"), area, script)?;
        self.fleet.federation.until_within(SETTLE, "the hoarder to end", || {
            let found = self.fleet.federation.read("sapporo", &["job", "status", &job])?;
            ensure!(matches!(told(&found, "phase"), "succeeded" | "failed"), "{found}");
            Ok(())
        })?;
        let name = format!("after-hoard-{host}");
        let job = self.bound(&name, area, "exec sleep 600")?;
        self.placed(host, &name, "")?;
        self.cancel(&[job])
    }

    /// A ledger with a wrong bit, or one that ends early.
    ///
    /// # Errors
    /// Something started, or the agent does not come back with its own.
    pub fn damaged(&self, host: usize) -> Result<()> {
        self.hand(2).at_host(Fault::DamageLedger, host, &self.members())
    }

    /// The leader dies while a job starts, and its successor while it stops.
    ///
    /// # Errors
    /// The job does not run, or does not end.
    pub fn leaderless(&self, (host, area): (usize, &str)) -> Result<()> {
        let name = format!("led-{host}");
        let job = self.bound(&name, area, "trap '' TERM; while :; do sleep 1; done")?;
        self.members().make(Fault::KillLeader, &mut StdRng::seed_from_u64(3))?;
        let key = self.placed(host, &name, "")?;
        self.fleet.federation.await_job(&job, &["running"])?;
        self.fleet.federation.run("sapporo", &["job", "cancel", &job])?.ok()?;
        self.members().make(Fault::KillLeader, &mut StdRng::seed_from_u64(4))?;
        self.gone(host, &key)?;
        self.fleet.federation.await_job(&job, &["cancelled"]).map(drop)
    }

    /// Clocks of controllers that run faster than any that is allowed for: the wait for a lease's end is over before the
    /// lease, and one job lives twice. The limit that is stated; and the judge sees what it is there to see.
    ///
    /// # Errors
    /// Nothing was seen: then the judge is blind.
    pub fn beyond(&self) -> Result<()> {
        let dir = self.fleet.federation.dir();
        self.clocks(|_name| clock::rated(dir, BEYOND_PPM))?;
        let text = spec("beyond", 1, 1, "", "trap '' TERM; while :; do sleep 1; done");
        let job = submit(&self.fleet.federation, "beyond", &text)?;
        let (host, key) = self.anywhere("beyond", "")?;
        let agent = &self.fleet.hosts.get(host).context("no such host")?.agent;
        self.fleet.signal(agent, Signal::SIGSTOP)?;
        let twice = self.anywhere("beyond", &key);
        let seen = self.fleet.federation.until("the judge to see it", || {
            let judge = self.fleet.board.judge.lock();
            ensure!(judge.violations.iter().any(|told| told.starts_with("P7 ")), "it is blind");
            Ok(())
        });
        self.gone(host, &key)?;
        self.fleet.signal(agent, Signal::SIGCONT)?;
        self.clocks(|name| Ok(clock::steppable(dir, name)))?;
        twice?;
        seen?;
        self.fleet.board.judge.lock().violations.retain(|told| !told.contains("beyond"));
        self.cancel(&[job])
    }

    /// Starts every controller again with this environment.
    fn clocks(&self, env: impl Fn(&str) -> Result<Vec<(String, String)>>) -> Result<()> {
        for member in MEMBERS {
            let name = format!("controller-{member}");
            self.fleet.environment(&name, env(&name)?)?;
            let starts = self.fleet.starts(&name);
            self.fleet.signal(&name, Signal::SIGKILL)?;
            self.fleet.await_start(&name, starts)?;
        }
        self.fleet.ready()
    }
}

/// Whether a process belongs to a job whose name holds this.
fn is_of(seen: &Seen, name: &str) -> bool {
    match &seen.role {
        super::census::Role::Job { job, .. } => job.contains(name),
        super::census::Role::Shim => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_order_is_there_once() {
        let all = orders();
        let texts: BTreeSet<String> = all.iter().map(|order| format!("{order:?}")).collect();
        assert_eq!((all.len(), texts.len()), (24, 24));
        let some = some_orders();
        for place in 0..GUARDS.len() {
            for victim in GUARDS {
                let there = some.iter().filter(|order| order[place] == victim).count();
                assert_eq!(there, 1, "{victim:?} at {place}");
            }
        }
    }
}
