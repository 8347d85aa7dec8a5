//! The discs of one fix against the table of foreign land: who excludes what.
//!
//! Must hold (D1): a cell counts as excluded by an operator only if one of its discs certainly does not touch it; what
//! lies beyond the horizon is a cell like any other. A larger disc excludes nothing that a smaller one does not, so no
//! added delay helps. An operator is one bit, so two landmarks of it count once.

use super::foreign::{Cell, ForeignLand, table};
use super::geometry::Vector;

/// Where a host must be, by what one landmark measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disc {
    pub(crate) centre: Vector,
    /// Reach of the shortest delay and the landmark's own survey, cm.
    pub(crate) radius_cm: u64,
    /// With a smaller radius the disc touches no foreign land, cm.
    pub(crate) nearest_cm: u64,
    /// With a larger radius it excludes no cell, cm.
    pub(crate) farthest_cm: u64,
    /// The bit of its operator.
    pub(crate) operator: u64,
}

impl Disc {
    /// Whether no point of the cell can be in the disc.
    fn excludes(&self, cell: &Cell) -> bool {
        let within = self.radius_cm.saturating_add(cell.pad_cm.into());
        self.centre.is_beyond(cell.centre, within)
    }

    /// Whether that is so for every cell, and what is beyond the horizon.
    pub(crate) fn excludes_all(&self) -> bool {
        self.nearest_cm > self.radius_cm
    }

    /// Whether that is so for any cell.
    fn excludes_any(&self) -> bool {
        self.radius_cm <= self.farthest_cm
    }

    /// Whether no point of the Earth can be in both.
    pub(crate) fn misses(&self, other: &Self) -> bool {
        self.centre.is_beyond(other.centre, self.radius_cm.saturating_add(other.radius_cm))
    }
}

/// The discs of one fix.
#[derive(Debug, Clone)]
pub(crate) struct Intersection<'t> {
    land: &'t ForeignLand,
    /// Operators of which one disc excludes everything.
    whole: u64,
    /// The other discs, the smallest first: it mostly decides.
    partial: Vec<Disc>,
    /// Every operator.
    all: u64,
}

/// A cell that too few exclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open {
    /// How far it is at least, cm.
    pub(crate) distance_cm: u64,
    /// How many operators exclude it.
    pub(crate) excluded_by: u32,
}

impl<'t> Intersection<'t> {
    pub(crate) fn of(discs: &[Disc]) -> Intersection<'t> {
        let (whole, mut partial): (Vec<Disc>, Vec<Disc>) =
            discs.iter().partition(|disc| disc.excludes_all());
        let bits = |discs: &[Disc]| discs.iter().fold(0, |bits, disc| bits | disc.operator);
        partial.sort_by_key(|disc| disc.radius_cm);
        Intersection { land: table(), whole: bits(&whole), partial, all: bits(discs) }
    }

    /// Operators that exclude the cell; counts no further than `enough`.
    fn excluders(&self, cell: &Cell, enough: u32) -> u32 {
        self.counted(enough, |disc| disc.excludes_any() && disc.excludes(cell))
    }

    /// Operators that exclude what is beyond the horizon.
    fn horizon(&self) -> u32 {
        self.counted(u32::MAX, |disc| self.land.to_horizon_cm(disc.centre) > disc.radius_cm)
    }

    fn counted(&self, enough: u32, excludes: impl Fn(&Disc) -> bool) -> u32 {
        let mut operators = self.whole;
        for disc in &self.partial {
            if operators.count_ones() >= enough {
                break;
            }
            if operators & disc.operator == 0 && excludes(disc) {
                operators |= disc.operator;
            }
        }
        operators.count_ones()
    }

    /// The fewest operators that exclude any one cell.
    pub(crate) fn fewest(&self) -> u32 {
        let floor = self.whole.count_ones();
        let mut fewest = self.all.count_ones().min(self.horizon());
        for cell in &self.land.cells {
            if fewest == floor {
                break;
            }
            fewest = fewest.min(self.excluders(cell, fewest));
        }
        fewest
    }

    /// Whether at least `enough` operators exclude every cell. `first` is the number of a cell to begin with, and becomes
    /// that of one which fails: it is likely to fail the next question too.
    pub(crate) fn is_enough(&self, enough: u32, first: &mut usize) -> bool {
        if self.whole.count_ones() >= enough {
            return true;
        }
        if self.all.count_ones().min(self.horizon()) < enough {
            return false;
        }
        let fails = |cell: &Cell| self.excluders(cell, enough) < enough;
        if self.land.cells.get(*first).is_some_and(fails) {
            return false;
        }
        match self.land.cells.iter().position(fails) {
            Some(failing) => {
                *first = failing;
                false
            }
            None => true,
        }
    }

    /// Of the cells that fewer than `enough` operators exclude, the one nearest to `from`.
    pub(crate) fn nearest_open(&self, enough: u32, from: Vector) -> Option<Open> {
        let horizon =
            Open { distance_cm: self.land.to_horizon_cm(from), excluded_by: self.horizon() };
        let mut nearest = Some(horizon).filter(|open| open.excluded_by < enough);
        for cell in &self.land.cells {
            let distance_cm = cell.lower_bound_cm(from);
            if nearest.is_none_or(|open| distance_cm < open.distance_cm) {
                let excluded_by = self.excluders(cell, enough);
                let open = Some(Open { distance_cm, excluded_by });
                nearest = open.filter(|open| open.excluded_by < enough).or(nearest);
            }
        }
        nearest
    }

    /// Operators that exclude at least one cell.
    pub(crate) fn excluding(&self) -> u64 {
        let partial = self.partial.iter().filter(|disc| disc.excludes_any());
        partial.fold(self.whole, |bits, disc| bits | disc.operator)
    }

    /// Operators that exclude each cell, in the order of the table: what the wrong verifiers of the tests judge by.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> impl Iterator<Item = u32> {
        let without_short_cuts = |cell| self.counted(u32::MAX, |disc| disc.excludes(cell));
        self.land.cells.iter().map(without_short_cuts)
    }
}
