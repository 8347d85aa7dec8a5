//! The land that is not undisputed Japan, as discs: what a proof has to exclude.
//!
//! Must hold (D1): every point of foreign land lies in a disc or beyond the horizon, as far as the data behind the table
//! knows it; `deploy/scripts/foreign_land.py` derives it, and `docs/location.md` says what it is sound against. Land that
//! more than one state claims is in it. No row has a name: the table says where, never whose.

use super::geometry::{EVERYWHERE_CM, Vector};
use sekisho_types::id::Digest;
use sekisho_types::position::Position;
use std::sync::LazyLock;

const BYTES: &[u8] = include_bytes!("../../data/foreign_land.bin");
const MAGIC: &[u8] = b"sekisho foreign land 1\n";

/// Bytes of a row: latitude and longitude in microdegrees, radius in tens of metres.
const ROW: usize = 10;

/// What is between the reference and the edge of the table counts; more than this it cannot know, cm.
const HORIZON_MAX_CM: u32 = 400_000_000;

/// A disc of foreign land.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) centre: Vector,
    /// All foreign land of the cell lies within this of the centre, the errors of its outline included, cm.
    pub(crate) pad_cm: u32,
}

/// The table, ready to be compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForeignLand {
    /// Those nearest to Japan first: where a proof fails, it mostly fails there.
    pub(crate) cells: Vec<Cell>,
    reference: Vector,
    horizon_cm: u32,
}

/// Why bytes are no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed table of land")]
pub(super) struct Malformed;

impl ForeignLand {
    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(Malformed)?;
        let reference = position(&mut rest)?;
        let horizon_m = u32::from_be_bytes(take(&mut rest)?);
        let count = u32::from_be_bytes(take(&mut rest)?);
        let horizon_cm = horizon_m.checked_mul(100).filter(|cm| *cm <= HORIZON_MAX_CM);
        let horizon_cm = horizon_cm.ok_or(Malformed)?;
        let rows = rest.chunks_exact(ROW);
        if !rows.remainder().is_empty() || u32::try_from(rows.len()) != Ok(count) {
            return Err(Malformed);
        }
        let cells: Vec<Cell> = rows.map(cell).collect::<Result<_, _>>()?;
        let reference = Vector::of(reference);
        Ok(Self { cells, reference, horizon_cm })
    }

    /// A table by which nothing is ever excluded.
    fn everywhere() -> Self {
        Self { cells: Vec::new(), reference: Vector::CENTRE, horizon_cm: 0 }
    }

    /// Least distance from here to foreign land or the horizon, rounded down, cm: a disc of a smaller radius touches
    /// neither.
    pub(crate) fn nearest_cm(&self, from: Vector) -> u64 {
        let to_cell = |cell: &Cell| cell.lower_bound_cm(from);
        let land = self.cells.iter().map(to_cell).min().unwrap_or_default();
        land.min(self.to_horizon_cm(from))
    }

    /// The largest radius at which a disc from here still excludes a cell, cm.
    pub(crate) fn farthest_cm(&self, from: Vector) -> u64 {
        let beyond = |cell: &Cell| from.beyond_cm(cell.centre).saturating_sub(cell.pad_cm.into());
        self.cells.iter().map(beyond).max().unwrap_or_default()
    }

    /// Distance to where the table ends, rounded down, cm. A disc of a smaller radius lies within: the chord to any of
    /// its points is at most the sum of both.
    pub(crate) fn to_horizon_cm(&self, from: Vector) -> u64 {
        let away = self.reference.chord(from).saturating_add(ROUNDED_CM);
        u64::from(self.horizon_cm).saturating_sub(away)
    }
}

/// More than the error of [`Vector::chord`], in both directions.
const ROUNDED_CM: u64 = 3;

impl Cell {
    /// Distance to the nearest point of the cell, rounded down, cm.
    pub(crate) fn lower_bound_cm(&self, from: Vector) -> u64 {
        let away = self.centre.chord(from).saturating_sub(ROUNDED_CM);
        away.saturating_sub(self.pad_cm.into())
    }

    /// Whether that is certainly more than so many centimetres; with no root to take.
    pub(super) fn is_farther(&self, from: Vector, cm: u64) -> bool {
        let within = cm.saturating_add(self.pad_cm.into()).saturating_add(2 * ROUNDED_CM);
        from.is_beyond(self.centre, within)
    }
}

pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (taken, left) = rest.split_first_chunk().ok_or(Malformed)?;
    *rest = left;
    Ok(*taken)
}

fn position(rest: &mut &[u8]) -> Result<Position, Malformed> {
    let latitude = i32::from_be_bytes(take(rest)?);
    let longitude = i32::from_be_bytes(take(rest)?);
    Position::new(latitude, longitude).map_err(|_range| Malformed)
}

fn cell(mut row: &[u8]) -> Result<Cell, Malformed> {
    let centre = Vector::of(position(&mut row)?);
    let tens = u16::from_be_bytes(take(&mut row)?);
    let pad_cm = u32::from(tens).saturating_mul(1000);
    if pad_cm == 0 || pad_cm > EVERYWHERE_CM {
        return Err(Malformed);
    }
    Ok(Cell { centre, pad_cm })
}

/// The table that this program was built with. If its bytes were bad, nothing would be provable.
pub(crate) fn table() -> &'static ForeignLand {
    static TABLE: LazyLock<ForeignLand> = LazyLock::new(|| {
        ForeignLand::parse(BYTES).unwrap_or_else(|_malformed| ForeignLand::everywhere())
    });
    &TABLE
}

/// SHA-256 of the table of foreign land that this program was built with. Two members with different tables must not
/// prove together.
#[must_use]
pub fn table_hash() -> Digest {
    static HASH: LazyLock<Digest> = LazyLock::new(|| Digest::of(BYTES));
    *HASH
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever changes the table changes what was proven: a new file is a new version of the program, on every member.
    const GOLDEN: &str = "0a79189f1178fce80b2dbc04b9ca07525425b525d360388b30fc65834bf9a423";

    #[test]
    fn the_table_is_the_one_that_was_reviewed() {
        assert_eq!(table_hash().to_string(), GOLDEN);
        assert_eq!(table(), &ForeignLand::parse(BYTES).unwrap());
        assert_eq!(table().cells.len(), 8866);
        assert_eq!(table().horizon_cm, 200_000_000);
        // The error of the outlines is in every radius, and no disc is so large that it says nothing.
        for cell in &table().cells {
            assert!((227_000..30_000_000).contains(&cell.pad_cm), "{cell:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_a_table_are_refused() {
        for bad in [0, MAGIC.len(), MAGIC.len() + 15, BYTES.len() - 1, BYTES.len() - ROW] {
            assert_eq!(ForeignLand::parse(&BYTES[..bad]), Err(Malformed), "{bad} bytes");
        }
        assert_eq!(ForeignLand::parse(&[BYTES, &[0; ROW]].concat()), Err(Malformed));
        let change = |at: usize, to: u8| {
            let mut bytes = BYTES.to_vec();
            bytes[at] = to;
            ForeignLand::parse(&bytes)
        };
        assert_eq!(change(0, b'S'), Err(Malformed));
        // A reference off the Earth, a horizon of 10,000 km and more, a row off the Earth.
        assert_eq!(change(MAGIC.len(), 0x7f), Err(Malformed));
        assert_eq!(change(MAGIC.len() + 8, 1), Err(Malformed));
        assert_eq!(change(MAGIC.len() + 16, 0x7f), Err(Malformed));
        let nothing = ForeignLand::everywhere();
        assert_eq!(nothing.nearest_cm(nothing.reference), 0);
    }
}
