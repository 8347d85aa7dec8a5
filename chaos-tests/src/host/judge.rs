//! What the looks at all processes mean for the promises, as somebody outside sees them: P1, P4 and P7.
//!
//! Must hold: it judges by what lives and by when a host could renew its lease for the last time, and knows no mechanism
//! of the product; but for the deadline's file, which is judged beside that: what the host wrote down must hold as well.
//! It does not judge a host that stands still as a whole until it goes on: nobody there could act.

use super::census::{Role, Seen, nanos};
use super::limit::{AFTER_THAW, BEFORE_GRACE_ENDS, MARGIN, VIOLATIONS};
use sekisho_types::limit::{KILL_GRACE, LEASE};
use std::collections::{BTreeMap, BTreeSet};

/// In the name of a job that its lease does not bind.
pub const UNBOUND: &str = "-rtc";

/// What the drill has done to a host. All times are boottime in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Since when it cannot send a renewal.
    pub mute_since: Option<u64>,
    /// All of its processes stand still.
    pub frozen: bool,
    /// When they went on last.
    pub thawed_ns: u64,
    /// What lived when they went on last, and since when the host could not renew then.
    pub stale: (u64, BTreeSet<String>),
    /// Placements whose processes the kernel keeps from dying: they do nothing, and hold their devices.
    pub stuck: BTreeSet<String>,
    /// The latest deadline that its file has named.
    pub kill_ns: u64,
}

/// What lived longest after its host could renew for the last time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outliving {
    /// How long, in nanoseconds.
    pub for_ns: u64,
    /// Number of the host.
    pub host: usize,
    /// Placement and job.
    pub who: String,
}

/// Takes looks, in their order.
#[derive(Debug, Default)]
pub struct Judge {
    /// Whoever was seen together with another at the last look, and since when.
    together: BTreeMap<String, u64>,
    /// Whoever lived on after its deadline and after a thaw.
    longest: Option<Outliving>,
    /// The longest life of an old instance after a thaw, in nanoseconds.
    pub after_thaw_ns: u64,
    /// Every placement of which a process was seen.
    pub started: BTreeSet<(usize, String)>,
    /// Every host and start of a time without renewals that outlasted a lease with something bound alive at its start.
    pub violations: Vec<String>,
    told: BTreeSet<String>,
}

/// One look.
#[derive(Debug, Clone, Copy)]
pub struct Look<'l> {
    /// When it began.
    pub at_ns: u64,
    /// What lived.
    pub seen: &'l [Seen],
    /// What is done to the hosts.
    pub hosts: &'l [Standing],
}

impl Judge {
    /// Judges one look.
    pub fn look(&mut self, look: Look<'_>) {
        for seen in look.seen.iter().filter(|seen| seen.is_job()) {
            self.started.insert((seen.host, seen.key.clone()));
        }
        self.outliving(look);
        self.holders(look);
    }

    /// Who lived longest past the last renewal.
    #[must_use]
    pub fn longest(&self) -> Option<&Outliving> {
        self.longest.as_ref()
    }

    fn violation(&mut self, of: String, text: &str) {
        if self.violations.len() < VIOLATIONS && self.told.insert(of.clone()) {
            self.violations.push(format!("{of}: {text}"));
        }
    }

    /// P4: what a lease binds is dead by its end plus the grace.
    fn outliving(&mut self, look: Look<'_>) {
        for seen in look.seen {
            let Role::Job { job, .. } = &seen.role else { continue };
            let Some(host) = look.hosts.get(seen.host).filter(|host| !host.frozen) else {
                continue;
            };
            if job.contains(UNBOUND) || host.stuck.contains(&seen.key) {
                continue;
            }
            // Whoever stood still may need a moment, and no more, to see how late it is.
            let after_thaw = look.at_ns.saturating_sub(host.thawed_ns);
            let moment = after_thaw <= nanos(AFTER_THAW.saturating_add(MARGIN));
            let late = |since: u64| {
                let bound = LEASE.saturating_add(KILL_GRACE).saturating_add(MARGIN);
                look.at_ns.saturating_sub(since) > nanos(bound)
            };
            // A host that stood still for less than a lease may renew what it had.
            let past = host.thawed_ns.saturating_sub(host.stale.0) > nanos(LEASE);
            if past && host.stale.1.contains(&seen.key) {
                if late(host.stale.0) {
                    self.after_thaw_ns = self.after_thaw_ns.max(after_thaw);
                    if !moment {
                        let text =
                            format!("alive {after_thaw} ns after its host went on, too late");
                        self.violation(format!("P7 thaw {} {}", seen.host, seen.key), &text);
                    }
                }
            } else if let Some(since) = host.mute_since {
                let for_ns = look.at_ns.saturating_sub(since);
                if self.longest.as_ref().is_none_or(|longest| longest.for_ns < for_ns) {
                    let who = format!("{} of {job}", seen.key);
                    self.longest = Some(Outliving { for_ns, host: seen.host, who });
                }
                if late(since) {
                    let text = format!("alive {for_ns} ns after the last possible renewal");
                    self.violation(format!("P4 {} {}", seen.host, seen.key), &text);
                }
            }
            let end = host.kill_ns.saturating_add(nanos(BEFORE_GRACE_ENDS.saturating_add(MARGIN)));
            if host.kill_ns > 0 && look.at_ns > end && !moment {
                let text =
                    format!("alive at {}, its host's deadline was {}", look.at_ns, host.kill_ns);
                self.violation(format!("P4 file {} {}", seen.host, seen.key), &text);
            }
        }
    }

    /// P1: one holder of a device. P7: one instance of a member of a job. A look takes time, so what one look shows may
    /// never have been at one instant: what two in a row show has.
    fn holders(&mut self, look: Look<'_>) {
        let mut holders: BTreeMap<(usize, &str), BTreeSet<&str>> = BTreeMap::new();
        let mut instances: BTreeMap<(&str, &str), BTreeSet<(usize, &str)>> = BTreeMap::new();
        for seen in look.seen {
            let Role::Job { job, rank, devices } = &seen.role else { continue };
            for device in devices {
                holders.entry((seen.host, device)).or_default().insert(&seen.key);
            }
            let moves = |host: &Standing| !host.frozen && !host.stuck.contains(&seen.key);
            if look.hosts.get(seen.host).is_some_and(moves) {
                instances.entry((job, rank)).or_default().insert((seen.host, &seen.key));
            }
        }
        let mut now = BTreeMap::new();
        for ((host, device), keys) in holders.into_iter().filter(|(_, keys)| keys.len() > 1) {
            now.insert(format!("P1 {host} {device} {keys:?}"), 0);
        }
        for ((job, rank), keys) in instances.into_iter().filter(|(_, keys)| keys.len() > 1) {
            let thawed = keys.iter().filter_map(|(host, _)| look.hosts.get(*host));
            let thawed = thawed.map(|host| host.thawed_ns).max().unwrap_or(0);
            let free = if thawed == 0 {
                0
            } else {
                thawed.saturating_add(nanos(AFTER_THAW.saturating_add(MARGIN)))
            };
            now.insert(format!("P7 {job} {rank} {keys:?}"), free);
        }
        for (who, free_until) in &now {
            if let Some(since) = self.together.get(who).copied()
                && look.at_ns > *free_until
            {
                let text = format!("from {since} on, seen again at {}", look.at_ns);
                self.violation(who.clone(), &text);
            }
        }
        let since = |who: &String| self.together.get(who).copied().unwrap_or(look.at_ns);
        self.together = now.keys().map(|who| (who.clone(), since(who))).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn job(host: usize, key: &str, job: &str) -> Seen {
        let role =
            Role::Job { job: job.to_owned(), rank: "0".to_owned(), devices: vec!["g".into()] };
        Seen { host, key: key.to_owned(), pid: 7, role, state: 'S' }
    }

    /// What is said after these looks, a second apart from `from` on.
    fn said(judge: &mut Judge, from: u64, looks: u64, seen: &[Seen], hosts: &[Standing]) -> usize {
        for n in 0..looks {
            judge.look(Look { at_ns: (from + n) * S, seen, hosts });
        }
        judge.violations.len()
    }

    #[test]
    fn what_a_lease_binds_is_dead_by_its_end_and_the_grace() {
        let mute = [Standing { mute_since: Some(100 * S), ..Standing::default() }];
        let mut judge = Judge::default();
        assert_eq!(said(&mut judge, 100, 21, &[job(0, "p", "a")], &mute), 0);
        assert_eq!(judge.longest().unwrap().for_ns, 20 * S);
        assert_eq!(said(&mut judge, 121, 1, &[job(0, "r", "a-rtc-1")], &mute), 0, "not bound");
        assert_eq!(said(&mut judge, 121, 3, &[job(0, "p", "a")], &mute), 1, "told once");
        // It renews again.
        assert_eq!(said(&mut judge, 124, 9, &[job(0, "q", "a")], &[Standing::default()]), 1);
    }

    #[test]
    fn a_host_that_stands_still_is_judged_when_it_goes_on() {
        let frozen = Standing { mute_since: Some(100 * S), frozen: true, ..Standing::default() };
        let mut judge = Judge::default();
        assert_eq!(said(&mut judge, 100, 60, &[job(0, "p", "a")], &[frozen]), 0);
        // Its agent goes on, too, so that it may renew; what lived before may not live on.
        let stale = (100 * S, ["p".to_owned()].into());
        let thawed = [Standing { thawed_ns: 160 * S, stale, ..Standing::default() }];
        assert_eq!(said(&mut judge, 160, 1, &[job(0, "p", "a")], &thawed), 0, "the moment");
        assert_eq!(said(&mut judge, 161, 1, &[job(0, "q", "b")], &thawed), 0, "a new one");
        assert_eq!(said(&mut judge, 161, 1, &[job(0, "p", "a")], &thawed), 1);
        assert_eq!(judge.after_thaw_ns, S);
        // One that stood still for less than a lease renews what it had.
        let stale = (200 * S, ["p".to_owned()].into());
        let paused = [Standing { thawed_ns: 210 * S, stale, ..Standing::default() }];
        assert_eq!(said(&mut judge, 210, 60, &[job(0, "p", "a")], &paused), 1);
    }

    #[test]
    fn what_the_host_wrote_down_holds_as_well() {
        let host = [Standing { kill_ns: 100 * S, ..Standing::default() }];
        let mut judge = Judge::default();
        assert_eq!(said(&mut judge, 99, 2, &[job(0, "p", "a")], &host), 0);
        assert_eq!(said(&mut judge, 101, 1, &[job(0, "p", "a")], &host), 1);
    }

    #[test]
    fn one_device_and_one_member_have_one_holder_each() {
        let hosts = [Standing::default(), Standing::default()];
        let mut judge = Judge::default();
        let shared = [job(0, "p", "a"), job(0, "q", "b")];
        assert_eq!(said(&mut judge, 1, 1, &shared, &hosts), 0, "a look takes time");
        assert_eq!(said(&mut judge, 2, 1, &shared, &hosts), 1, "P1");
        let twins = [job(0, "p", "a"), job(1, "r", "a")];
        assert_eq!(said(&mut judge, 5, 2, &twins, &hosts), 2, "P7");
        assert!(judge.violations[0].starts_with("P1 ") && judge.violations[1].starts_with("P7 "));
    }

    #[test]
    fn an_old_instance_has_a_moment_after_a_thaw_and_none_while_it_stands_still() {
        let twins = [job(0, "p", "a"), job(1, "r", "a")];
        let mut hosts = [Standing { frozen: true, ..Standing::default() }, Standing::default()];
        let mut judge = Judge::default();
        assert_eq!(said(&mut judge, 1, 30, &twins, &hosts), 0);
        hosts[0] = Standing { thawed_ns: 31 * S, ..Standing::default() };
        for ms in [0, 20, 340] {
            judge.look(Look { at_ns: 31 * S + ms * 1_000_000, seen: &twins, hosts: &hosts });
        }
        assert_eq!(judge.violations.len(), 0);
        judge.look(Look { at_ns: 31 * S + 360_000_000, seen: &twins, hosts: &hosts });
        assert_eq!(judge.violations.len(), 1);
        // A device of a host that stands still is held all the same, and of a process that cannot die.
        let stuck = ["s".to_owned()].into();
        let mut frozen = [Standing { stuck, mute_since: Some(1), ..Standing::default() }];
        assert_eq!(said(&mut judge, 40, 2, &[job(0, "s", "c")], &frozen), 1);
        frozen[0].mute_since = None;
        assert_eq!(said(&mut judge, 50, 2, &[job(0, "s", "c"), job(0, "t", "d")], &frozen), 2);
    }
}
