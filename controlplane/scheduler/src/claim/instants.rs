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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(numbers: &[u64]) -> impl Iterator<Item = Timestamp> + use<> {
        numbers.iter().copied().map(Timestamp).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn each_instant_comes_once_and_in_order_and_the_last_one_is_there() {
        let ends = || (at(&[3, 5, 5, 9, 20, 30]), Some(Timestamp(30)));
        let mut all = Instants::of(Timestamp(5), at(&[8, 9, 4]), ends(), 10);
        let found: Vec<_> = (0..7).map(|number| all.get(number)).collect();
        let instants = [5, 8, 9, 20, 30, 30, 30].map(Timestamp);
        assert_eq!(found, [0, 1, 2, 3, 4, 4, 4].into_iter().zip(instants).collect::<Vec<_>>());

        let mut some = Instants::of(Timestamp(5), at(&[8, 9, 4]), ends(), 2);
        let found: Vec<_> = (0..5).map(|number| some.get(number).1.0).collect();
        assert_eq!(found, [5, 8, 9, 30, 30]);
        // One that is asked for later than another one is the same.
        assert_eq!(Instants::of(Timestamp(5), at(&[8, 9, 4]), ends(), 10).get(3).1, Timestamp(20));

        let none = (at(&[]), None);
        assert_eq!(Instants::of(Timestamp(5), at(&[]), none, 10).get(7), (0, Timestamp(5)));
    }
}
