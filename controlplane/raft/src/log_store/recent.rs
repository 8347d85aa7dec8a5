//! The end of the log, decoded.
//!
//! Must hold: contiguous, and its end is the end of the log once anything was appended; so a range that begins in it
//! is answered from it alone. Bounded in entries and bytes; pushes out the oldest.

use crate::limit::{RECENT_BYTES, RECENT_ENTRIES};
use crate::type_config::{Entry, index};
use std::collections::VecDeque;
use std::ops::Range;

/// Recent entries with their sizes.
#[derive(Debug, Default)]
pub(super) struct Recent {
    first: u64,
    entries: VecDeque<(Entry, usize)>,
    bytes: usize,
}

impl Recent {
    fn next(&self) -> u64 {
        self.first.saturating_add(u64::try_from(self.entries.len()).unwrap_or(u64::MAX))
    }

    /// Adds the next entry; one that does not continue the others replaces them.
    pub(super) fn push(&mut self, entry: Entry, size: usize) {
        let at = index(&entry.log_id);
        if at != self.next() {
            self.clear(at);
        }
        self.entries.push_back((entry, size));
        self.bytes = self.bytes.saturating_add(size);
        while self.entries.len() > RECENT_ENTRIES
            || (self.bytes > RECENT_BYTES && self.entries.len() > 1)
        {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some((_, size)) = self.entries.pop_front() {
            self.bytes = self.bytes.saturating_sub(size);
            self.first = self.first.saturating_add(1);
        }
    }

    fn clear(&mut self, next: u64) {
        self.entries.clear();
        (self.first, self.bytes) = (next, 0);
    }

    /// Drops the entries from `from` on.
    pub(super) fn cut(&mut self, from: u64) {
        if from <= self.first {
            self.clear(from);
        }
        while self.next() > from {
            if let Some((_, size)) = self.entries.pop_back() {
                self.bytes = self.bytes.saturating_sub(size);
            }
        }
    }

    /// Drops the entries up to `upto`.
    pub(super) fn forget_upto(&mut self, upto: u64) {
        if upto >= self.next() {
            self.clear(upto.saturating_add(1));
        }
        while !self.entries.is_empty() && self.first <= upto {
            self.drop_first();
        }
    }

    /// Entries of `range`, bounded in bytes but at least one; `None` if it begins before these.
    pub(super) fn range(&self, range: &Range<u64>, max_bytes: usize) -> Option<Vec<Entry>> {
        if self.entries.is_empty() || range.start < self.first {
            return None;
        }
        let skip = usize::try_from(range.start.saturating_sub(self.first)).ok()?;
        let most = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let (mut out, mut bytes) = (Vec::new(), 0_usize);
        for (entry, size) in self.entries.range(skip.min(self.entries.len())..).take(most) {
            bytes = bytes.saturating_add(*size);
            if !out.is_empty() && bytes > max_bytes {
                break;
            }
            out.push(entry.clone());
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::type_config::{LogId, TypeConfig};
    use openraft::EntryPayload;
    use openraft::type_config::alias::CommittedLeaderIdOf;

    fn entry(at: u64) -> Entry {
        let leader = CommittedLeaderIdOf::<TypeConfig> { term: 1, node_id: 1 };
        Entry { log_id: LogId::new(leader, at), payload: EntryPayload::Blank }
    }

    fn got(recent: &Recent, range: Range<u64>, max: usize) -> Option<Vec<u64>> {
        recent.range(&range, max).map(|all| all.iter().map(|e| index(&e.log_id)).collect())
    }

    #[test]
    fn answers_what_it_has_and_only_from_its_beginning() {
        let mut recent = Recent::default();
        assert_eq!(got(&recent, 0..9, 99), None);
        (5..10).for_each(|at| recent.push(entry(at), 10));
        assert_eq!(got(&recent, 4..9, 99), None);
        assert_eq!(got(&recent, 5..8, 99), Some(vec![5, 6, 7]));
        assert_eq!(got(&recent, 6..99, 25), Some(vec![6, 7]));
        assert_eq!(got(&recent, 6..99, 1), Some(vec![6]));
        assert_eq!(got(&recent, 10..12, 99), Some(vec![]));
        recent.cut(8);
        assert_eq!(got(&recent, 5..99, 999), Some(vec![5, 6, 7]));
        recent.forget_upto(5);
        assert_eq!((got(&recent, 5..99, 99), got(&recent, 6..99, 99)), (None, Some(vec![6, 7])));
        assert_eq!(recent.bytes, 20);
        // A gap begins anew, as after an installed snapshot.
        recent.push(entry(20), 10);
        assert_eq!((got(&recent, 7..9, 99), got(&recent, 20..99, 99)), (None, Some(vec![20])));
        recent.cut(0);
        assert_eq!((got(&recent, 0..9, 99), recent.bytes), (None, 0));
    }

    #[test]
    fn stays_within_its_bounds() {
        let mut recent = Recent::default();
        (0..10).for_each(|at| recent.push(entry(at), RECENT_BYTES / 4));
        assert_eq!(got(&recent, 6..99, usize::MAX), Some(vec![6, 7, 8, 9]));
        assert_eq!(got(&recent, 5..99, usize::MAX), None);
        recent.push(entry(10), RECENT_BYTES * 2);
        assert_eq!(got(&recent, 10..99, 1), Some(vec![10]));
    }
}
