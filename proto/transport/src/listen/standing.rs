//! How the sources of connections have behaved of late: decides who is looked at while more come than can be.
//!
//! Must hold (L4): while handshakes fail in number, the sources that had no good one of late get a bounded share of places
//! and of processor time between them, so that a thousand clients with wrong certificates, or with none that they ever show,
//! slow nobody who had one. In quiet times everybody is looked at. Memory is bounded whatever comes.
//! Does not know: who is behind a source. It keeps nobody out for good, and gives nobody a right: what counts is the
//! certificate, afterwards.

use crate::limit::{
    SOURCE_FAILURES, SOURCES_KEPT, STANDING_KEPT, TROUBLE_FAILURES, TROUBLE_WINDOW,
    UNKNOWN_AT_ONCE, UNKNOWN_PER_SECOND, UNKNOWN_PER_SOURCE,
};
use crate::source::Source;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// What was said of a source, in two halves of a time: the older one is forgotten whole, so memory is bounded by two halves.
#[derive(Debug)]
struct Kept<T> {
    new: BTreeMap<Source, T>,
    old: BTreeMap<Source, T>,
    since: Instant,
    half: Duration,
}

impl<T: Copy + Default> Kept<T> {
    fn new(half: Duration, now: Instant) -> Self {
        Self { new: BTreeMap::new(), old: BTreeMap::new(), since: now, half }
    }

    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        if age >= self.half || self.new.len() >= SOURCES_KEPT {
            self.old = std::mem::take(&mut self.new);
            if age >= self.half.saturating_mul(2) {
                self.old.clear();
            }
            self.since = now;
        }
    }

    fn get(&mut self, source: Source, now: Instant) -> Option<T> {
        self.turn(now);
        self.new.get(&source).or_else(|| self.old.get(&source)).copied()
    }

    fn change(&mut self, source: Source, now: Instant, change: impl Fn(&mut T)) {
        let mut value = self.get(source, now).unwrap_or_default();
        change(&mut value);
        self.new.insert(source, value);
    }
}

/// Under which terms a socket is looked at; given back when that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terms {
    /// No bound but that of all.
    Free,
    /// It takes one of the places of sources without standing.
    Bounded,
}

/// The behaviour of all sources.
#[derive(Debug)]
pub(super) struct Standing {
    /// Had a good handshake.
    good: Kept<()>,
    /// Failed so often.
    bad: Kept<u32>,
    /// Failures of all, the half before and this one.
    failures: (u32, u32),
    failures_since: Instant,
    /// Looked at under bounded terms, by source.
    bounded: BTreeMap<Source, usize>,
    /// Bounded looks left in this second.
    left: u32,
    left_since: Instant,
}

impl Standing {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            good: Kept::new(STANDING_KEPT, now),
            bad: Kept::new(TROUBLE_WINDOW, now),
            failures: (0, 0),
            failures_since: now,
            bounded: BTreeMap::new(),
            left: UNKNOWN_PER_SECOND,
            left_since: now,
        }
    }

    /// Whether a socket of `source` is looked at; `None`: closed at once.
    pub(super) fn admit(&mut self, source: Source, now: Instant) -> Option<Terms> {
        if !self.is_troubled(now) || self.has_standing(source, now) {
            return Some(Terms::Free);
        }
        if now.saturating_duration_since(self.left_since) >= Duration::from_secs(1) {
            self.left = UNKNOWN_PER_SECOND;
            self.left_since = now;
        }
        let own = self.bounded.get(&source).copied().unwrap_or_default();
        let all: usize = self.bounded.values().sum();
        if self.left == 0 || own >= UNKNOWN_PER_SOURCE || all >= UNKNOWN_AT_ONCE {
            return None;
        }
        self.left = self.left.saturating_sub(1);
        self.bounded.insert(source, own.saturating_add(1));
        Some(Terms::Bounded)
    }

    /// The look at a socket is over.
    pub(super) fn release(&mut self, source: Source, terms: Terms) {
        if terms == Terms::Free {
            return;
        }
        let own = self.bounded.get(&source).copied().unwrap_or_default().saturating_sub(1);
        if own == 0 {
            self.bounded.remove(&source);
        } else {
            self.bounded.insert(source, own);
        }
    }

    /// A handshake of `source` was good.
    pub(super) fn passed(&mut self, source: Source, now: Instant) {
        self.good.change(source, now, |()| ());
    }

    /// A handshake of `source` failed, or did not come.
    pub(super) fn failed(&mut self, source: Source, now: Instant) {
        self.turn(now);
        self.failures.1 = self.failures.1.saturating_add(1);
        self.bad.change(source, now, |count| *count = count.saturating_add(1));
    }

    /// Whether handshakes fail in number.
    pub(super) fn is_troubled(&mut self, now: Instant) -> bool {
        self.turn(now);
        self.failures.0.saturating_add(self.failures.1) >= TROUBLE_FAILURES
    }

    /// A good handshake, and not so many bad ones that it says nothing: behind one address may be both.
    fn has_standing(&mut self, source: Source, now: Instant) -> bool {
        let failed = self.bad.get(source, now).unwrap_or_default();
        self.good.get(source, now).is_some() && failed < SOURCE_FAILURES
    }

    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.failures_since);
        if age >= TROUBLE_WINDOW {
            let before = if age >= TROUBLE_WINDOW.saturating_mul(2) { 0 } else { self.failures.1 };
            self.failures = (before, 0);
            self.failures_since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn source(n: u32) -> Source {
        Source::of(IpAddr::V4(std::net::Ipv4Addr::from_bits(n)))
    }

    /// A listener to which `n` sources came that failed `each` times, and that source 1 knows as a good one.
    fn troubled(n: u32, each: u32) -> (Standing, Instant) {
        let now = Instant::now();
        let mut standing = Standing::new(now);
        standing.passed(source(1), now);
        for failure in 0..n * each {
            standing.failed(source(1000 + failure % n), now);
        }
        (standing, now)
    }

    #[test]
    fn in_quiet_times_everybody_is_looked_at() {
        let (mut standing, now) = troubled(TROUBLE_FAILURES - 1, 1);
        for n in 0..10_000 {
            assert_eq!(standing.admit(source(n), now), Some(Terms::Free));
        }
        // A good handshake of others changes nothing about that.
        standing.passed(source(7), now);
        assert_eq!(standing.admit(source(8), now), Some(Terms::Free));
    }

    #[test]
    fn a_crowd_that_fails_shares_few_places_and_slows_nobody_who_had_a_good_one() {
        let (mut standing, now) = troubled(1000, 1);
        let looked: Vec<u32> =
            (1000..2000).filter(|n| standing.admit(source(*n), now).is_some()).collect();
        assert_eq!(looked.len(), usize::try_from(UNKNOWN_PER_SECOND).unwrap().min(UNKNOWN_AT_ONCE));
        for _ in 0..10_000 {
            assert_eq!(standing.admit(source(1), now), Some(Terms::Free));
        }
        // Places come back when a look is over, and with the second.
        let later = now + Duration::from_secs(1);
        looked.iter().for_each(|n| standing.release(source(*n), Terms::Bounded));
        assert_eq!(
            standing.admit(source(5000), later),
            Some(Terms::Bounded),
            "a newcomer has a chance"
        );
        assert!(standing.bounded.len() == 1);
    }

    #[test]
    fn one_source_takes_few_of_those_places() {
        let (mut standing, now) = troubled(1, TROUBLE_FAILURES);
        let got = (0..100).filter(|_| standing.admit(source(1000), now).is_some()).count();
        assert_eq!(got, UNKNOWN_PER_SOURCE);
        assert_eq!(standing.admit(source(1001), now), Some(Terms::Bounded));
    }

    #[test]
    fn who_fails_often_loses_the_standing_of_its_address_until_that_is_forgotten() {
        let (mut standing, now) = troubled(1000, 1);
        for _ in 0..SOURCE_FAILURES {
            assert_eq!(standing.admit(source(1), now), Some(Terms::Free));
            standing.failed(source(1), now);
        }
        assert_eq!(standing.admit(source(1), now), Some(Terms::Bounded));
        let quiet = now + TROUBLE_WINDOW * 2;
        assert_eq!(standing.admit(source(1), quiet), Some(Terms::Free), "nobody fails any more");
        // And a good handshake is remembered through the next trouble, but not for ever.
        for failure in 0..TROUBLE_FAILURES {
            standing.failed(source(1000 + failure), quiet);
        }
        assert_eq!(standing.admit(source(1), quiet), Some(Terms::Free));
        let later = quiet + STANDING_KEPT * 2;
        for failure in 0..TROUBLE_FAILURES {
            standing.failed(source(1000 + failure), later);
        }
        assert_eq!(standing.admit(source(1), later), Some(Terms::Bounded));
    }

    proptest! {
        #[test]
        fn memory_and_places_are_bounded_whatever_comes(
            steps in proptest::collection::vec((0u32..100_000, 0u8..4, 0u64..300), 1..2000),
        ) {
            let mut now = Instant::now();
            let mut standing = Standing::new(now);
            let mut held = Vec::new();
            for (n, what, ms) in steps {
                now += Duration::from_millis(ms);
                match what {
                    0 => standing.passed(source(n), now),
                    1 => standing.failed(source(n), now),
                    2 => held.extend(standing.admit(source(n), now).map(|terms| (source(n), terms))),
                    _ => if let Some((source, terms)) = held.pop() { standing.release(source, terms) },
                }
                let bounded = held.iter().filter(|(_, terms)| *terms == Terms::Bounded).count();
                prop_assert_eq!(bounded, standing.bounded.values().sum::<usize>());
                prop_assert!(bounded <= UNKNOWN_AT_ONCE);
                for half in [standing.bad.new.len(), standing.bad.old.len(), standing.good.new.len()] {
                    prop_assert!(half <= SOURCES_KEPT);
                }
            }
        }
    }
}
