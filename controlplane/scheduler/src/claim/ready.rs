//! Places that a group could have, the soonest first, as far as somebody asks.
//!
//! Must hold: whoever has claimed a place already, and does not leave enough of it, has it first; of places that are ready together
//! those of an earlier shelf come first, and of a shelf the fullest.

use crate::choose::Candidate;
use crate::pick::{Allowed, stand};
use crate::shelf::Spot;
use sekisho_types::time::Timestamp;
use std::collections::BTreeSet;

/// A place: from when on, where, and on which shelf.
pub(super) type Ready<'f> = (Timestamp, &'f Spot, usize);

/// In order: from when on, on which shelf, how much is free now, where.
type Head<'f> = (Timestamp, usize, u32, &'f Spot);

/// What is ready next on a shelf.
type Rest<'f> = Box<dyn Iterator<Item = (Timestamp, u32, &'f Spot)> + 'f>;

/// The places of some shelves.
pub(super) struct Places<'f, L> {
    rests: Vec<Rest<'f>>,
    /// The next one of each shelf.
    heads: BTreeSet<Head<'f>>,
    /// Places that others have first, for when they have left.
    later: BTreeSet<Head<'f>>,
    /// When a place is left that is ready by itself; `None` if the group may not have it.
    left: L,
    found: Vec<Ready<'f>>,
}

impl<'f, L: Fn(&Spot) -> Option<Timestamp>> Places<'f, L> {
    /// Those for members of so many devices, none of them found yet.
    pub(super) fn of(shelves: &[Allowed<'f>], gpus: u32, now: Timestamp, left: L) -> Self {
        let rests = shelves.iter().map(|(_, shelf)| Box::new(shelf.ready(gpus, now)) as Rest<'f>);
        let (heads, later) = (BTreeSet::new(), BTreeSet::new());
        let mut places = Self { rests: rests.collect(), heads, later, left, found: Vec::new() };
        (0..places.rests.len()).for_each(|shelf| places.advance(shelf));
        places
    }

    fn advance(&mut self, shelf: usize) {
        if let Some((at, free, spot)) = self.rests.get_mut(shelf).and_then(Iterator::next) {
            self.heads.insert((at, shelf, free, spot));
        }
    }

    fn next(&mut self) -> Option<Ready<'f>> {
        loop {
            let (head, later) = (self.heads.first().copied(), self.later.first().copied());
            if let Some(one) = later
                && head.is_none_or(|head| one < head)
            {
                self.later.remove(&one);
                return Some((one.0, one.3, one.1));
            }
            let one = head?;
            self.heads.remove(&one);
            self.advance(one.1);
            let Some(left) = (self.left)(one.3) else { continue };
            if left <= one.0 {
                return Some((one.0, one.3, one.1));
            }
            self.later.insert((left, one.1, one.2, one.3));
        }
    }

    /// One of them by its number, unless there are not as many.
    pub(super) fn get(&mut self, number: usize) -> Option<Ready<'f>> {
        while self.found.len() <= number {
            let one = self.next()?;
            self.found.push(one);
        }
        self.found.get(number).copied()
    }
}

/// Where a place stands.
pub(super) fn candidate<'f>(shelves: &[Allowed<'f>], one: Ready<'f>) -> Option<Candidate<'f>> {
    let (_, spot, shelf) = one;
    Some((&spot.1, stand(*shelves.get(shelf)?, spot.0.as_ref())))
}
