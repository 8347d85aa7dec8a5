//! The time that entries are stamped with: what most members' clocks say.
//!
//! Must hold (L1): the state clock goes forward only and no voter signs a checkpoint that is far ahead of its own clock,
//! so a leader whose clock leapt an hour, for seconds, would have stopped every start until an hour had passed. While fewer
//! than half of the members that are heard have a wrong clock, the median lies between two right ones. An even
//! number of clocks gives the earlier of the middle two: a state clock that lags is caught up in seconds, one that ran
//! ahead is not called back.
//! Does not do: leases, which know no wall clock (P4), nor what a member vouches for: it signs by its own clock alone.

use crate::limit::SILENT_AFTER;
use crate::peers::within;
use parking_lot::Mutex;
use sekisho_types::id::MemberId;
use sekisho_types::time::{Clock, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a member's clock said, and when this member heard it on its own `CLOCK_BOOTTIME`.
#[derive(Debug, Clone, Copy)]
struct Reading {
    wall: Timestamp,
    at_ns: u64,
}

/// This member's clocks, with the wall clock that the members agree on.
#[derive(Debug)]
pub struct FederationClock {
    own: Arc<dyn Clock>,
    /// One a member at most: they come from members of applied state alone.
    heard: Mutex<BTreeMap<MemberId, Reading>>,
}

impl FederationClock {
    /// Agrees with nobody yet.
    #[must_use]
    pub fn new(own: Arc<dyn Clock>) -> Self {
        Self { own, heard: Mutex::default() }
    }

    /// This member's own clock.
    #[must_use]
    pub fn own(&self) -> &Arc<dyn Clock> {
        &self.own
    }

    /// Notes what another member's clock said just now. It was that when it was sent, so it counts as a little earlier.
    pub(crate) fn hear(&self, member: MemberId, wall: Timestamp) {
        let at_ns = self.own.boottime_ns();
        self.heard.lock().insert(member, Reading { wall, at_ns });
    }
}

impl Clock for FederationClock {
    fn wall(&self) -> Timestamp {
        let now_ns = self.own.boottime_ns();
        let mut heard = self.heard.lock();
        heard.retain(|_, reading| within(reading.at_ns, now_ns, SILENT_AFTER));
        let others = heard.values().map(|reading| {
            let age_ns = now_ns.saturating_sub(reading.at_ns);
            reading.wall.plus_ms(age_ns / 1_000_000)
        });
        let mut all: Vec<Timestamp> = others.chain([self.own.wall()]).collect();
        all.sort_unstable();
        let middle = all.len().saturating_sub(1) / 2;
        all.get(middle).copied().unwrap_or_else(|| self.own.wall())
    }

    fn boottime_ns(&self) -> u64 {
        self.own.boottime_ns()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    const START: Timestamp = Timestamp(1_800_000_000_000);

    /// A machine's time, and how far its wall clock is off, ms.
    #[derive(Debug, Default)]
    struct Machine {
        since_start: AtomicU64,
        off: AtomicU64,
    }

    impl Clock for Machine {
        fn wall(&self) -> Timestamp {
            let off = self.off.load(Ordering::Relaxed);
            START.plus_ms(self.since_start.load(Ordering::Relaxed) + off)
        }

        fn boottime_ns(&self) -> u64 {
            1_000_000 * self.since_start.load(Ordering::Relaxed)
        }
    }

    const HOUR_MS: u64 = 3_600_000;

    #[test]
    fn a_clock_that_leapt_moves_nothing_while_two_others_are_right() {
        let own = Arc::new(Machine::default());
        let clock = FederationClock::new(Arc::clone(&own) as _);
        assert_eq!(clock.wall(), START, "alone it has only its own");
        own.off.store(HOUR_MS, Ordering::Relaxed);
        assert_eq!(clock.wall(), START.plus_ms(HOUR_MS));
        clock.hear(MemberId(2), START);
        assert_eq!(clock.wall(), START, "of two the earlier");
        clock.hear(MemberId(3), START.plus_ms(40));
        assert_eq!(clock.wall(), START.plus_ms(40));
        // What was heard goes on with this machine's time, and is forgotten with silence.
        own.since_start.store(2_000, Ordering::Relaxed);
        assert_eq!(clock.wall(), START.plus_ms(2_040));
        own.since_start.store(3_001, Ordering::Relaxed);
        assert_eq!(clock.wall(), START.plus_ms(HOUR_MS + 3_001));
    }

    #[test]
    fn one_that_lies_moves_nothing_either() {
        let clock = FederationClock::new(Arc::new(Machine::default()));
        clock.hear(MemberId(2), START.plus_ms(7));
        for lie in [0, START.0, u64::MAX] {
            clock.hear(MemberId(3), Timestamp(lie));
            assert!(clock.wall() >= START && clock.wall() <= START.plus_ms(7));
        }
    }
}
