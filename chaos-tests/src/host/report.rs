//! What a drill came to, and whether it has shown anything.

use super::fault::Fault;
use super::judge::Outliving;
use std::collections::BTreeMap;
use std::fmt;

/// Placements that a drill has to have seen start, for each minute.
const STARTS_PER_MINUTE: u64 = 6;
/// A drill that is shorter than this need not have met every kind of trouble.
const EVERY_KIND_FROM_MINUTES: u64 = 10;

/// One drill.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// How long trouble was made.
    pub minutes: u64,
    /// How often each kind of trouble was made, from beginning to end.
    pub faults: BTreeMap<Fault, u64>,
    /// What this machine cannot do, and why.
    pub missing: BTreeMap<Fault, &'static str>,
    /// Times that trouble found nothing to be made to.
    pub idle: u64,
    /// Placements of which processes were seen.
    pub starts: u64,
    /// Jobs that were acknowledged.
    pub jobs: u64,
    /// Jobs that were cancelled while open.
    pub cancelled: u64,
    /// Nodes that were seen lost.
    pub lost: u64,
    /// Times that another member was seen to lead.
    pub leaders: u64,
    /// Times that a fault between members met a connection.
    pub cuts: u64,
    /// Overlaps in the devices' own traces.
    pub overlaps: u64,
    /// What lived longest after its host could renew for the last time.
    pub longest: Option<Outliving>,
    /// Longest life of an old instance after a thaw, in nanoseconds.
    pub after_thaw_ns: u64,
    /// Looks at all processes, and the longest time between two, in nanoseconds.
    pub looks: (u64, u64),
    /// Promises that did not hold.
    pub violations: Vec<String>,
}

impl Report {
    /// What keeps it from being worth anything: too little happened.
    #[must_use]
    pub fn vacuous(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.starts < self.minutes.saturating_mul(STARTS_PER_MINUTE) {
            missing.push(format!("{} placements in {} minutes", self.starts, self.minutes));
        }
        if self.minutes >= EVERY_KIND_FROM_MINUTES {
            for fault in Fault::ALL {
                let done = self.faults.get(&fault).copied().unwrap_or(0);
                if done == 0 && !self.missing.contains_key(&fault) {
                    missing.push(format!("{fault:?} never happened"));
                }
            }
            for (what, count) in [
                ("no node was lost", self.lost),
                ("nobody else led", self.leaders),
                ("nothing was cut", self.cuts),
            ] {
                if count == 0 {
                    missing.push(what.to_owned());
                }
            }
        }
        missing
    }

    /// Whether every promise held, and something was shown.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.violations.is_empty() && self.overlaps == 0 && self.vacuous().is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {} minutes of trouble", self.seed, self.minutes)?;
        for (fault, count) in &self.faults {
            writeln!(f, "  {count:4}  {fault:?}")?;
        }
        writeln!(f, "  {:4}  found nothing to be made to", self.idle)?;
        for (fault, why) in &self.missing {
            writeln!(f, "  NOT RUN: {fault:?}: {why}")?;
        }
        writeln!(
            f,
            "jobs acknowledged {}, cancelled {}, placements started {}",
            self.jobs, self.cancelled, self.starts
        )?;
        writeln!(
            f,
            "nodes lost {}, leader changes {}, connections cut {}",
            self.lost, self.leaders, self.cuts
        )?;
        let ms = |ns: u64| ns / 1_000_000;
        match &self.longest {
            Some(Outliving { for_ns, host, who }) => {
                writeln!(
                    f,
                    "longest life after the last possible renewal {} ms: {who} on host {host}",
                    ms(*for_ns)
                )?;
            }
            None => writeln!(f, "nothing lived on after a last renewal")?,
        }
        writeln!(f, "longest life after a thaw past the lease {} ms", ms(self.after_thaw_ns))?;
        writeln!(f, "looks {}, longest time between two {} ms", self.looks.0, ms(self.looks.1))?;
        writeln!(f, "overlaps in the devices' traces {}", self.overlaps)?;
        for violation in &self.violations {
            writeln!(f, "VIOLATION {violation}")?;
        }
        for missing in self.vacuous() {
            writeln!(f, "VACUOUS {missing}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_in_which_too_little_happened_has_not_passed() {
        let mut report =
            Report { minutes: 10, starts: 60, lost: 1, leaders: 1, cuts: 1, ..Report::default() };
        report.faults = Fault::ALL.into_iter().map(|fault| (fault, 1)).collect();
        assert!(report.passed(), "{report}");
        let without = |change: &dyn Fn(&mut Report)| {
            let mut other = report.clone();
            change(&mut other);
            assert!(!other.passed(), "{other}");
            other.vacuous().len()
        };
        assert_eq!(without(&|report| report.starts = 59), 1);
        assert_eq!(without(&|report| report.lost = 0), 1);
        assert_eq!(without(&|report| report.faults.retain(|fault, _| *fault != Fault::KillJob)), 1);
        assert_eq!(without(&|report| report.overlaps = 1), 0);
        assert_eq!(without(&|report| report.violations.push("P1".to_owned())), 0);
        report.faults.remove(&Fault::FreezeHost);
        report.missing.insert(Fault::FreezeHost, "no freezer");
        assert!(report.passed(), "what cannot be done is said and not demanded");
        assert!(Report { minutes: 1, starts: 6, ..Report::default() }.passed(), "a short one");
    }
}
