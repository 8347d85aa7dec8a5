//! The table is the reviewed one, covers what it must, and refuses what is none.

use super::*;
use crate::location::beacon::forecast_ns;
use crate::location::coverage::offices;
use crate::location::tests::fixture::in_prefectures;
use sekisho_types::jurisdiction::areas;

/// Whoever changes the table changes what was proven: a new file is a new version of the program, on every member.
const GOLDEN: &str = "728171b907727c690b8a4b40fe4c2f6c9289440adf62e8d9de895e3a2129d1e8";

#[test]
fn the_table_is_the_one_that_was_reviewed() {
    assert_eq!(table_hash().to_string(), GOLDEN);
    assert_eq!(table(), &PrefectureLand::parse(BYTES).unwrap());
    assert_eq!(table().cells.len(), 23_031);
    // The error of the outlines is in every radius.
    for (number, cell) in &table().cells {
        assert!((529_000..20_000_000).contains(&cell.pad_cm), "{number}: {cell:?}");
    }
}

#[test]
fn bytes_that_are_not_a_table_are_refused() {
    for bad in [0, MAGIC.len(), MAGIC.len() + 3, BYTES.len() - 1, BYTES.len() - ROW] {
        assert_eq!(PrefectureLand::parse(&BYTES[..bad]), Err(Malformed), "{bad} bytes");
    }
    assert_eq!(PrefectureLand::parse(&[BYTES, &[0; ROW]].concat()), Err(Malformed));
    let change = |at: usize, to: u8| {
        let mut bytes = BYTES.to_vec();
        bytes[at] = to;
        PrefectureLand::parse(&bytes)
    };
    let row = MAGIC.len() + 4;
    // A prefecture of no such number, a longitude off the Earth.
    assert_eq!(change(row, 0), Err(Malformed));
    assert_eq!(change(row, 48), Err(Malformed));
    assert_eq!(change(row + 3, 0xff), Err(Malformed));
    // A table that lacks a prefecture would prove its land to be another one's.
    let rest: Vec<&[u8]> = BYTES[row..].chunks(ROW).filter(|row| row[0] != 13).collect();
    let count = u32::try_from(rest.len()).unwrap().to_be_bytes();
    let without = [MAGIC, &count, &rest.concat()].concat();
    assert_eq!(PrefectureLand::parse(&without), Err(Malformed));
    let tokyo = Area::resolve("JP-13").unwrap();
    let from = table().cells[0].1.centre;
    assert_eq!(PrefectureLand::everywhere().to_others_cm(tokyo, from), 0);
    for none in [Area::Japan, Area::resolve("131016").unwrap()] {
        assert_eq!(table().to_others_cm(none, from), 0, "{none}");
    }
}

/// Points that were drawn from the outlines and not from the table, and the offices, which are of other data.
#[test]
fn the_table_covers_every_probe_and_every_office_as_its_own_prefectures() {
    assert!(in_prefectures().len() >= 2000);
    let offices = areas().filter_map(|area| Some((area.area.prefecture()?, area.office?)));
    let mut asked = 0;
    for (prefecture, place) in in_prefectures().iter().copied().chain(offices) {
        let (own, at) = (number(prefecture).unwrap(), Vector::of(place));
        let mut cells = table().cells.iter().filter(|(number, _)| *number == own);
        let is_covered = cells.any(|(_, cell)| !at.is_beyond(cell.centre, cell.pad_cm.into()));
        assert!(is_covered, "{place} of {prefecture}");
        asked += 1;
    }
    assert!(asked > 4700, "{asked}");
}

#[test]
fn the_nearest_land_is_that_of_every_cell() {
    for (prefecture, place) in in_prefectures().iter().step_by(97) {
        let (own, from) = (number(*prefecture).unwrap(), Vector::of(*place));
        let others = table().cells.iter().filter(|(number, _)| *number != own);
        let nearest = others.map(|(_, cell)| cell.lower_bound_cm(from)).min().unwrap();
        assert_eq!(table().to_others_cm(*prefecture, from), nearest, "{place}");
    }
}

/// The figures of `docs/location.md`: municipalities, in thousandths, whose prefecture a beacon at the office proves by a round
/// trip of so many microseconds.
#[test]
fn the_shares_are_those_of_the_study_less_what_the_padding_costs() {
    let enough: Vec<u64> = offices()
        .into_iter()
        .map(|(area, office)| forecast_ns(Vector::of(office), area.prefecture().unwrap()))
        .collect();
    let share = |us: u64| {
        enough.iter().filter(|enough| **enough >= us * 1000).count() * 1000 / enough.len()
    };
    let ours = [30, 50, 100, 200, 300].map(share);
    assert_eq!(ours, [679, 588, 410, 207, 152]);
    for (ours, study) in ours.into_iter().zip([884, 778, 549, 260, 163]) {
        assert!(ours < study && study < ours + 210, "{ours} and {study}");
    }
}
