//! Which states a cut may leave behind: the oracle.
//!
//! Must hold: operations took effect in the order in which they were begun, so a reopened store shows the state after
//! some prefix of them; the prefix holds every operation that was acknowledged as durable. Anything else is a violation.

use std::fmt::Debug;

/// A state that operations change.
pub trait Model: Clone + Debug + PartialEq {
    /// What changes it.
    type Operation: Clone + Debug;

    /// Does `operation`.
    fn apply(&mut self, operation: &Self::Operation);
}

/// One operation since the store was last found in a known state.
#[derive(Debug, Clone)]
struct Begun<O> {
    operation: O,
    /// How many had been acknowledged when this one was begun.
    acknowledged: usize,
}

/// What may be found.
#[derive(Debug, Clone)]
pub struct History<M: Model> {
    /// The state found last.
    base: M,
    begun: Vec<Begun<M::Operation>>,
    /// So many from the front must be found.
    durable: usize,
    /// So many from the front were acknowledged.
    acknowledged: usize,
}

impl<M: Model> History<M> {
    /// Nothing was done since `base` was found.
    #[must_use]
    pub fn new(base: M) -> Self {
        Self { base, begun: Vec::new(), durable: 0, acknowledged: 0 }
    }

    /// `operation` is about to be submitted.
    pub fn begin(&mut self, operation: M::Operation) {
        self.begun.push(Begun { operation, acknowledged: self.acknowledged });
    }

    /// The operation at `number`, and so all before it, came back; if `durable` says so of it, they must be found.
    pub fn acknowledge(&mut self, number: usize, durable: impl Fn(&M::Operation) -> bool) {
        self.acknowledged = self.acknowledged.max(number.saturating_add(1));
        if self.begun.get(number).is_some_and(|begun| durable(&begun.operation)) {
            self.durable = self.durable.max(self.acknowledged);
        }
    }

    /// Operations begun, and of these the ones that must be found.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.begun.len(), self.durable)
    }

    /// Accepts `found` as the state after a prefix, or says what is wrong with it.
    ///
    /// # Errors
    /// The state is none of those allowed.
    pub fn check(&self, found: &M) -> Result<(), String> {
        let (must, rest) = self.begun.split_at(self.durable.min(self.begun.len()));
        let mut state = self.base.clone();
        must.iter().for_each(|begun| state.apply(&begun.operation));
        if state == *found {
            return Ok(());
        }
        let least = state.clone();
        for begun in rest {
            state.apply(&begun.operation);
            if state == *found {
                return Ok(());
            }
        }
        // An older state tells the usual case, a lost acknowledged write, from a wrong one.
        let mut older = self.base.clone();
        let mut lost = (older == *found).then_some(0);
        for (number, begun) in must.iter().enumerate() {
            older.apply(&begun.operation);
            if older == *found {
                lost = Some(number.saturating_add(1));
            }
        }
        let verdict = lost.map_or_else(
            || "the state is that of no prefix".to_owned(),
            |kept| {
                format!(
                    "acknowledged operations are lost: {:?}",
                    must.get(kept..).unwrap_or_default()
                )
            },
        );
        Err(format!(
            "{verdict}\n found {found:?}\n at least {least:?}\n then perhaps {:?}",
            rest.iter().map(|begun| &begun.operation).collect::<Vec<_>>()
        ))
    }

    /// Values of operations that ride on a later write: `value` picks them out. Allowed are the last one that a later
    /// acknowledged write must have carried (or `base`), and every one after it.
    pub fn riders<T>(&self, base: T, value: impl Fn(&M::Operation) -> Option<T>) -> Vec<T> {
        let carried = self.begun.iter().take(self.durable).rev();
        let carried = carried.filter(|begun| value(&begun.operation).is_none());
        let carried = carried.map(|begun| begun.acknowledged).next().unwrap_or_default();
        let mut allowed = vec![base];
        for (number, begun) in self.begun.iter().enumerate() {
            if let Some(value) = value(&begun.operation) {
                if number < carried {
                    allowed.clear();
                }
                allowed.push(value);
            }
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::super::log::{Log, Operation};
    use super::*;

    fn history() -> History<Log> {
        let mut history = History::new(Log::default());
        for operation in [
            Operation::Append(vec![1, 2]),
            Operation::Vote(7),
            Operation::Append(vec![3]),
            Operation::Truncate(1),
        ] {
            history.begin(operation);
        }
        history.acknowledge(1, |_| true);
        history
    }

    fn log(entries: &[u64], vote: Option<u64>, peak: u64) -> Log {
        Log { entries: entries.to_vec(), vote, peak, ..Log::default() }
    }

    #[test]
    fn a_prefix_that_holds_what_was_acknowledged_is_allowed() {
        for found in [log(&[1, 2], Some(7), 2), log(&[1, 2, 3], Some(7), 3), log(&[1], Some(7), 3)]
        {
            assert_eq!(history().check(&found), Ok(()));
        }
    }

    #[test]
    fn a_lost_vote_a_hole_and_a_late_write_without_its_elders_are_not() {
        let lost = history().check(&log(&[1, 2], None, 2)).unwrap_err();
        assert!(lost.contains("acknowledged operations are lost: [Begun"), "{lost}");
        for found in [log(&[], Some(7), 0), log(&[1, 3], Some(7), 3), log(&[1], Some(7), 2)] {
            let none = history().check(&found).unwrap_err();
            assert!(none.contains("no prefix"), "{none}");
        }
    }

    #[test]
    fn a_rider_is_due_with_the_first_write_that_was_begun_after_it() {
        let committed = |operation: &Operation| match operation {
            Operation::Committed(value) => Some(*value),
            Operation::Append(_)
            | Operation::Vote(_)
            | Operation::Truncate(_)
            | Operation::Purge(..) => None,
        };
        let mut history = History::new(Log::default());
        history.begin(Operation::Committed(5));
        history.acknowledge(0, |_| true);
        assert_eq!(history.riders(0, committed), [0, 5]);
        history.begin(Operation::Vote(1));
        history.begin(Operation::Committed(6));
        assert_eq!(history.riders(0, committed), [0, 5, 6]);
        history.acknowledge(1, |_| true);
        assert_eq!(history.riders(0, committed), [5, 6]);
    }
}
