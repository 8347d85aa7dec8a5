//! Instants at which something comes back, the soonest first, as far as somebody asks.

use sekisho_types::time::Timestamp;
use std::collections::BTreeSet;
use std::iter::Peekable;

/// Instants from one on, each once.
pub(super) struct Instants<I: Iterator<Item = Timestamp>> {
    /// The first one, and those that were asked for.
    known: Vec<Timestamp>,
    ends: Peekable<I>,
    /// Others, in order.
    overs: Peekable<std::collections::btree_set::IntoIter<Timestamp>>,
    most: usize,
    last: Option<Timestamp>,
}

impl<I: Iterator<Item = Timestamp>> Instants<I> {
    /// `from`, what of `overs` and of `ends`, which are in order, is later: the first so many, and the `last` of all ends.
    pub(super) fn of(
        from: Timestamp,
        overs: impl Iterator<Item = Timestamp>,
        (ends, last): (I, Option<Timestamp>),
        most: usize,
    ) -> Self {
        let overs: BTreeSet<Timestamp> = overs.collect();
        let (ends, overs) = (ends.peekable(), overs.into_iter().peekable());
        Self { known: vec![from], ends, overs, most, last }
    }

    /// One by its number, or the last one if there are not as many; and its number.
    pub(super) fn get(&mut self, number: usize) -> (usize, Timestamp) {
        while self.known.len() <= number {
            let Some(next) = self.next() else { break };
            self.known.push(next);
        }
        let at = number.min(self.known.len().saturating_sub(1));
        (at, self.known.get(at).copied().unwrap_or_default())
    }

    fn next(&mut self) -> Option<Timestamp> {
        let after = self.known.last().copied();
        if self.known.len() > self.most {
            return self.last.take().filter(|last| Some(*last) > after);
        }
        loop {
            let next = match (self.ends.peek(), self.overs.peek()) {
                (Some(end), Some(over)) if over < end => self.overs.next(),
                (Some(_), _) => self.ends.next(),
                (None, _) => self.overs.next(),
            };
            if next > after || next.is_none() {
                return next;
            }
        }
    }
}
