//! The newest entries in memory, contiguous.
//!
//! Must hold: an entry that is not yet in the database is never dropped (a reader has no other place to find it); all
//! others are dropped from the old end when the byte bound is passed. Knows no locks and no database.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// A contiguous run of entries that ends at the end of the log.
#[derive(Debug)]
pub(crate) struct Cache {
    first: u64,
    entries: VecDeque<Arc<[u8]>>,
    bytes: usize,
    bound: usize,
}

impl Cache {
    /// An empty cache whose next entry is `next`.
    pub(crate) fn new(next: u64, bound: usize) -> Self {
        Self { first: next, entries: VecDeque::new(), bytes: 0, bound }
    }

    /// The first index held; the next index if empty.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Payload bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The index after the last.
    pub(crate) fn next(&self) -> u64 {
        self.first.saturating_add(u64::try_from(self.entries.len()).unwrap_or(u64::MAX))
    }

    /// Adds the entry at `next()`.
    pub(crate) fn push(&mut self, entry: Arc<[u8]>) {
        self.bytes = self.bytes.saturating_add(entry.len());
        self.entries.push_back(entry);
    }

    /// Drops entries from `next` on; the cache then ends there even if it held nothing below.
    pub(crate) fn cut(&mut self, next: u64) {
        while self.next() > next {
            if !self.drop_last() {
                self.first = next;
            }
        }
    }

    /// Drops entries below `first`; the cache then starts there at the earliest.
    pub(crate) fn forget_below(&mut self, first: u64) {
        while self.first < first {
            if !self.drop_first() {
                self.first = first;
            }
        }
    }

    /// Drops the oldest entries below `written` until the bound holds.
    pub(crate) fn shrink(&mut self, written: u64) {
        while self.bytes > self.bound && self.first < written && self.drop_first() {}
    }

    /// The entries of `range` that are held, with their indexes: the tail of the range.
    pub(crate) fn tail(&self, range: &Range<u64>) -> impl Iterator<Item = (u64, &Arc<[u8]>)> {
        let from = range.start.max(self.first);
        let skip = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        (from..range.end).zip(self.entries.iter().skip(skip))
    }

    fn drop_last(&mut self) -> bool {
        let gone = self.entries.pop_back();
        self.bytes = self.bytes.saturating_sub(gone.as_ref().map_or(0, |e| e.len()));
        gone.is_some()
    }

    fn drop_first(&mut self) -> bool {
        let gone = self.entries.pop_front();
        let Some(gone) = gone else { return false };
        self.bytes = self.bytes.saturating_sub(gone.len());
        self.first = self.first.saturating_add(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(next: u64, count: u64, bound: usize) -> Cache {
        let mut cache = Cache::new(next, bound);
        for i in next..next + count {
            cache.push(Arc::from(i.to_be_bytes().as_slice()));
        }
        cache
    }

    #[test]
    fn shrinks_to_its_bound_but_keeps_what_is_not_written() {
        let mut cache = filled(5, 10, 24);
        assert_eq!(cache.bytes(), 80);
        cache.shrink(8);
        assert_eq!((cache.first(), cache.next(), cache.bytes()), (8, 15, 56));
        cache.shrink(15);
        assert_eq!((cache.first(), cache.bytes()), (12, 24));
        let tail: Vec<u64> = cache.tail(&(3..14)).map(|(i, _)| i).collect();
        assert_eq!(tail, [12, 13]);
    }

    #[test]
    fn cuts_and_forgets_beyond_what_it_holds() {
        let mut cache = filled(5, 3, 1000);
        cache.cut(6);
        assert_eq!((cache.first(), cache.next(), cache.bytes()), (5, 6, 8));
        cache.cut(2);
        assert_eq!((cache.first(), cache.next(), cache.bytes()), (2, 2, 0));
        cache.forget_below(9);
        assert_eq!((cache.first(), cache.next()), (9, 9));
    }
}
