//! The land of the prefectures, as discs: what a proof of one of them has to exclude of the others.
//!
//! Must hold (D1): every point of a prefecture lies in a disc of it, as far as the data behind the table knows it;
//! `deploy/scripts/prefecture_land.py` derives it, and `docs/location.md` says what it is sound against. Where two
//! prefectures' discs meet, the land counts as both's. Land that more than one state claims is in the table of foreign
//! land, and in none of these.

use super::foreign::{Cell, Malformed, take};
use super::geometry::{EVERYWHERE_CM, Vector};
use sekisho_types::id::Digest;
use sekisho_types::jurisdiction::{Area, Level};
use sekisho_types::position::Position;
use std::sync::LazyLock;

const BYTES: &[u8] = include_bytes!("../../data/prefecture_land.bin");
const MAGIC: &[u8] = b"sekisho prefecture land 1\n";

/// Bytes of a row: a prefecture's number; latitude and longitude in thousandths of a degree from the origin; radius in tens of
/// metres.
const ROW: usize = 7;

/// Where rows count from, microdegrees of latitude and longitude.
const ORIGIN: [i32; 2] = [20_000_000, 120_000_000];

/// Prefectures, numbered from 1.
const PREFECTURES: u8 = 47;

/// The table, ready to be compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PrefectureLand {
    /// By number.
    cells: Vec<(u8, Cell)>,
}

/// The number of a prefecture: the first two digits of its code, as JIS X 0401 has it.
fn number(prefecture: Area) -> Option<u8> {
    let info = prefecture.info().filter(|info| info.level == Level::Prefecture)?;
    match info.area {
        Area::Japan => None,
        Area::Code(code) => u8::try_from(code.div_euclid(10_000)).ok(),
    }
}

impl PrefectureLand {
    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(Malformed)?;
        let count = u32::from_be_bytes(take(&mut rest)?);
        let rows = rest.chunks_exact(ROW);
        if !rows.remainder().is_empty() || u32::try_from(rows.len()) != Ok(count) {
            return Err(Malformed);
        }
        let cells: Vec<(u8, Cell)> = rows.map(cell).collect::<Result<_, _>>()?;
        let all = (1..=PREFECTURES).all(|one| cells.iter().any(|(number, _)| *number == one));
        if all { Ok(Self { cells }) } else { Err(Malformed) }
    }

    /// A table by which no prefecture is ever proven.
    fn everywhere() -> Self {
        Self { cells: Vec::new() }
    }

    /// Least distance from here to land of any other prefecture, rounded down, cm: a disc of a smaller radius touches none.
    /// Nothing is known of what is no prefecture.
    pub(crate) fn to_others_cm(&self, prefecture: Area, from: Vector) -> u64 {
        let Some(own) = number(prefecture) else { return 0 };
        let others = self.cells.iter().filter(|(number, _)| *number != own);
        let mut nearest: Option<u64> = None;
        for (_, cell) in others {
            if nearest.is_none_or(|nearest| !cell.is_farther(from, nearest)) {
                let away = cell.lower_bound_cm(from);
                nearest = Some(nearest.map_or(away, |nearest| nearest.min(away)));
            }
        }
        nearest.unwrap_or_default()
    }

    /// Every cell with its prefecture's number: what the tests ask whether it covers, and what they take away of it.
    #[cfg(test)]
    pub(crate) fn cells(&self) -> &[(u8, Cell)] {
        &self.cells
    }

    /// The same land with so much less around each cell.
    #[cfg(test)]
    pub(crate) fn with_less_around(&self, cm: u32) -> Self {
        let less = |(number, cell): &(u8, Cell)| {
            (*number, Cell { pad_cm: cell.pad_cm.saturating_sub(cm), ..*cell })
        };
        Self { cells: self.cells.iter().map(less).collect() }
    }
}

fn cell(mut row: &[u8]) -> Result<(u8, Cell), Malformed> {
    let [number] = take(&mut row)?;
    let [south, west] = ORIGIN;
    let latitude = coordinate(south, &mut row)?;
    let longitude = coordinate(west, &mut row)?;
    let centre = Position::new(latitude, longitude).map_err(|_range| Malformed)?;
    let centre = Vector::of(centre);
    let tens = u16::from_be_bytes(take(&mut row)?);
    let pad_cm = u32::from(tens).saturating_mul(1000);
    if pad_cm == 0 || pad_cm > EVERYWHERE_CM || !(1..=PREFECTURES).contains(&number) {
        return Err(Malformed);
    }
    Ok((number, Cell { centre, pad_cm }))
}

/// A coordinate in microdegrees.
fn coordinate(from: i32, row: &mut &[u8]) -> Result<i32, Malformed> {
    let thousandths = u16::from_be_bytes(take(row)?);
    Ok(from.saturating_add(i32::from(thousandths).saturating_mul(1000)))
}

/// The table that this program was built with. If its bytes were bad, nothing would be provable.
pub(crate) fn table() -> &'static PrefectureLand {
    static TABLE: LazyLock<PrefectureLand> = LazyLock::new(|| {
        PrefectureLand::parse(BYTES).unwrap_or_else(|_malformed| PrefectureLand::everywhere())
    });
    &TABLE
}

/// SHA-256 of the table of the prefectures' land that this program was built with. Two members with different tables must
/// not prove together.
#[must_use]
pub fn table_hash() -> Digest {
    static HASH: LazyLock<Digest> = LazyLock::new(|| Digest::of(BYTES));
    *HASH
}

#[cfg(test)]
mod tests;
