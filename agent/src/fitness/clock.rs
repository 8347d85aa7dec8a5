//! How far this host's wall clock is from what the members say.
//!
//! Must hold: no single member moves it further than the others do: of the members' offsets the middle one counts. An answer
//! that was late on its way looks like a clock that is ahead, so of each member's last answers the least offset counts.

use crate::limit::CLOCK_SAMPLES;
use parking_lot::Mutex;
use sekisho_types::id::MemberId;
use sekisho_types::time::{Clock, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Offsets of the last answers of each member, ms; positive: this host is ahead.
type Offsets = BTreeMap<MemberId, VecDeque<i64>>;

/// What the members say of the time. Clones share it.
#[derive(Debug, Clone)]
pub struct Clocks {
    own: Arc<dyn Clock>,
    offsets: Arc<Mutex<Offsets>>,
}

fn signed(later: Timestamp, earlier: Timestamp) -> i64 {
    i64::try_from(later.since_ms(earlier)).unwrap_or(i64::MAX)
}

impl Clocks {
    /// Nothing was said yet.
    #[must_use]
    pub fn new(own: Arc<dyn Clock>) -> Self {
        Self { own, offsets: Arc::default() }
    }

    /// A member that is who it says it is just told its wall clock; zero if it does not know of that field.
    pub(crate) fn heard(&self, member: MemberId, wall_ms: u64) {
        if wall_ms == 0 {
            return;
        }
        let (now, told) = (self.own.wall(), Timestamp(wall_ms));
        let off = if now >= told { signed(now, told) } else { signed(told, now).saturating_neg() };
        let mut offsets = self.offsets.lock();
        let last = offsets.entry(member).or_default();
        last.push_back(off);
        if last.len() > CLOCK_SAMPLES {
            last.pop_front();
        }
    }

    /// How far this host is ahead, ms; negative: behind. `None` while nobody has said.
    #[must_use]
    pub fn offset_ms(&self) -> Option<i64> {
        let offsets = self.offsets.lock();
        let least =
            |last: &VecDeque<i64>| last.iter().copied().min_by_key(|off| off.unsigned_abs());
        let mut of_members: Vec<i64> = offsets.values().filter_map(least).collect();
        of_members.sort_unstable();
        let last = of_members.len().checked_sub(1)?;
        // Of two in the middle the one that says less: neither can be told from a liar.
        let middle = [last / 2, last.div_ceil(2)];
        let middle = middle.iter().filter_map(|at| of_members.get(*at)).copied();
        middle.min_by_key(|off| off.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct At(u64);
    impl Clock for At {
        fn wall(&self) -> Timestamp {
            Timestamp(self.0)
        }
        fn boottime_ns(&self) -> u64 {
            0
        }
    }

    fn offset(heard: &[(u64, u64)]) -> Option<i64> {
        let clocks = Clocks::new(Arc::new(At(100_000)));
        for (member, wall) in heard {
            clocks.heard(MemberId(*member), *wall);
        }
        clocks.offset_ms()
    }

    #[test]
    fn one_member_that_lies_moves_nothing_and_late_answers_do_not_count() {
        assert_eq!(offset(&[]), None);
        assert_eq!(offset(&[(1, 0)]), None, "an older member");
        assert_eq!(offset(&[(1, 80_000)]), Some(20_000));
        assert_eq!(offset(&[(1, 130_000)]), Some(-30_000));
        // Two of three agree; the third says anything.
        assert_eq!(offset(&[(1, 99_990), (2, 100_010), (3, 1)]), Some(10));
        assert_eq!(offset(&[(1, 99_990), (2, 100_010), (3, u64::MAX)]), Some(-10));
        assert_eq!(offset(&[(1, 99_990), (2, 1)]), Some(10), "one of two");
        assert_eq!(offset(&[(1, 80_000), (2, 80_010), (3, 100_000)]), Some(19_990));
        // One answer came late, then the clock was set: the old ones are forgotten.
        assert_eq!(offset(&[(1, 99_999), (1, 60_000)]), Some(1));
        let late = [(1, 99_999), (1, 60_000), (1, 60_000), (1, 60_000), (1, 60_000)];
        assert_eq!(offset(&late), Some(40_000));
    }
}
