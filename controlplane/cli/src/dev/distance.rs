//! How long a datagram takes between places that a development federation imitates.
//!
//! A way is half as long again as the great circle, in fibre, and 0.3 ms of every round trip are equipment: the middle
//! assumption of `docs/location.md`. Places are municipality offices.

use crate::failure::Failure;
use sekisho_types::jurisdiction::Area;
use sekisho_types::position::Position;
use std::time::Duration;

/// Light in fibre of refractive index 1.468, km/ms.
const FIBRE_KM_MS: f64 = 204.0;

/// Ways on the ground over great circles.
const DETOUR: f64 = 1.5;

/// What a round trip takes that goes nowhere, ms.
const EQUIPMENT_MS: f64 = 0.3;

/// Mean radius of the Earth (IUGG), km.
const EARTH_KM: f64 = 6_371.008_8;

/// What a datagram takes between Seoul and any of the sites: half of the 31 ms that a round trip to Tokyo takes on public
/// networks.
pub(super) const SEOUL: Duration = Duration::from_micros(15_500);

/// Where the office of an area stands.
///
/// # Errors
/// `INVALID_ARGUMENT` for an area without one.
pub(super) fn office(area: Area) -> Result<Position, Failure> {
    let office = area.info().and_then(|info| info.office);
    office.ok_or_else(|| Failure::invalid(format!("{area} has no office")))
}

/// The great circle between two positions, km.
fn great_circle_km(from: Position, to: Position) -> f64 {
    let radians = |microdegrees: i32| (f64::from(microdegrees) / 1e6).to_radians();
    let (a, b) = (radians(from.latitude()), radians(to.latitude()));
    let turn = radians(to.longitude()) - radians(from.longitude());
    let haversine = ((b - a) / 2.0).sin().powi(2) + a.cos() * b.cos() * (turn / 2.0).sin().powi(2);
    2.0 * EARTH_KM * haversine.sqrt().min(1.0).asin()
}

/// How long a datagram takes from one position to another: half of a round trip, and never less.
pub(super) fn one_way(from: Position, to: Position) -> Duration {
    let round_trip_ms = great_circle_km(from, to) * DETOUR * 2.0 / FIBRE_KM_MS + EQUIPMENT_MS;
    Duration::from_secs_f64(round_trip_ms / 2_000.0).saturating_add(Duration::from_nanos(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seoul's city hall.
    fn seoul() -> Position {
        "37.566535,126.977969".parse().unwrap()
    }

    fn at(code: &str) -> Position {
        office(Area::resolve(code).unwrap()).unwrap()
    }

    #[test]
    fn delays_are_those_of_the_map() {
        let (chiyoda, sakai, ishikari) = (at("131016"), at("271403"), at("012351"));
        let km = |from, to| great_circle_km(from, to).round();
        assert_eq!(km(chiyoda, chiyoda), 0.0);
        assert!((395.0..420.0).contains(&km(chiyoda, sakai)), "{}", km(chiyoda, sakai));
        assert!((820.0..860.0).contains(&km(chiyoda, ishikari)), "{}", km(chiyoda, ishikari));
        assert!((1_140.0..1_170.0).contains(&km(chiyoda, seoul())), "{}", km(chiyoda, seoul()));
        let round_trip_us = |from, to| one_way(from, to).as_nanos() * 2 / 1_000;
        assert_eq!(round_trip_us(chiyoda, chiyoda), 300);
        assert!((6_000..6_500).contains(&round_trip_us(chiyoda, sakai)));
        let seoul_us = round_trip_us(chiyoda, seoul());
        assert!((16_500..18_000).contains(&seoul_us));
        assert!(seoul_us < SEOUL.as_micros() * 2, "the networks take a longer way than this");
        assert_eq!(one_way(chiyoda, sakai), one_way(sakai, chiyoda));
        office(Area::Japan).unwrap_err();
    }
}
