//! The parts of the picture: Japan's main islands, and insets for what lies far south. Each is a plain map whose degrees of
//! longitude are as long as they are in its middle.

use super::outline::Point;
use sekisho_types::position::Position;
use std::f64::consts::PI;

/// Width and height of the picture in its own units.
pub(super) const SIZE: (u32, u32) = (1000, 1160);

/// Radius of the Earth, m: what discs are computed with.
const EARTH_M: f64 = 6_371_008.8;

/// Larger discs cover every panel, m: no two of them are further apart.
const DISC_MAX_M: f64 = 3_000_000.0;

/// Corners of a drawn disc.
const CORNERS: u32 = 90;

/// A piece of the Earth on a piece of the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel {
    /// For references within the picture.
    pub(super) id: &'static str,
    /// South, west, north, east in degrees.
    bounds: [f64; 4],
    /// Left and top, in units of the picture.
    pub(super) corner: (f64, f64),
    /// Units for a degree of latitude.
    scale: f64,
    /// Drawn with a frame.
    pub(super) is_inset: bool,
}

/// All of them; what lies in several is drawn in the first.
pub(super) const PANELS: [Panel; 3] = [
    Panel {
        id: "main",
        bounds: [29.3, 128.35, 45.8, 146.2],
        corner: (0.0, 20.0),
        scale: 69.0,
        is_inset: false,
    },
    Panel {
        id: "southwest",
        bounds: [23.9, 122.7, 28.7, 131.6],
        corner: (15.0, 76.0),
        scale: 47.0,
        is_inset: true,
    },
    Panel {
        id: "southeast",
        bounds: [24.0, 140.6, 28.0, 143.0],
        corner: (880.0, 912.0),
        scale: 44.0,
        is_inset: true,
    },
];

fn degrees(position: Position) -> (f64, f64) {
    (f64::from(position.latitude()) / 1e6, f64::from(position.longitude()) / 1e6)
}

impl Panel {
    /// How long a degree of longitude is, by one of latitude.
    fn squeeze(&self) -> f64 {
        let [south, _, north, _] = self.bounds;
        (f64::midpoint(south, north) * PI / 180.0).cos()
    }

    /// Width and height, in units of the picture.
    pub(super) fn size(&self) -> (f64, f64) {
        let [south, west, north, east] = self.bounds;
        ((east - west) * self.squeeze() * self.scale, (north - south) * self.scale)
    }

    /// Where latitude and longitude stand on the picture, whether in the panel or not.
    fn at(&self, (latitude, longitude): (f64, f64)) -> (f64, f64) {
        let [_, west, north, _] = self.bounds;
        let (left, top) = self.corner;
        let x = left + (longitude - west) * self.squeeze() * self.scale;
        (x, top + (north - latitude) * self.scale)
    }

    fn has(&self, (latitude, longitude): (f64, f64)) -> bool {
        let [south, west, north, east] = self.bounds;
        (south..=north).contains(&latitude) && (west..=east).contains(&longitude)
    }

    /// A point of an outline.
    pub(super) fn outline_at(&self, (x, y): Point) -> (f64, f64) {
        self.at((f64::from(y) / 100.0, f64::from(x) / 100.0))
    }

    /// Whether a ring of an outline is drawn here: by its first point, so that it is drawn once.
    pub(super) fn has_ring(&self, ring: &[Point]) -> bool {
        ring.first().is_some_and(|(x, y)| self.has((f64::from(*y) / 100.0, f64::from(*x) / 100.0)))
    }

    /// The corners of a disc around a position, whether they lie in the panel or not.
    pub(super) fn disc(&self, around: Position, radius_m: u64) -> Vec<(f64, f64)> {
        let metres = u32::try_from(radius_m).map_or(DISC_MAX_M, f64::from).min(DISC_MAX_M);
        // The radius is a straight line through the Earth; this is its angle from the middle.
        let angle = 2.0 * (metres / (2.0 * EARTH_M)).asin();
        let (latitude, longitude) = degrees(around);
        let latitude = latitude * PI / 180.0;
        let corner = |number: u32| {
            let bearing = 2.0 * PI * f64::from(number) / f64::from(CORNERS);
            let sine = latitude.sin() * angle.cos() + latitude.cos() * angle.sin() * bearing.cos();
            let east = (bearing.sin() * angle.sin() * latitude.cos())
                .atan2(angle.cos() - latitude.sin() * sine);
            self.at((sine.asin() * 180.0 / PI, longitude + east * 180.0 / PI))
        };
        (0..CORNERS).map(corner).collect()
    }
}

/// Where a position is drawn; `None` if no panel has it.
pub(super) fn on_picture(position: Position) -> Option<(f64, f64)> {
    let at = degrees(position);
    PANELS.iter().find(|panel| panel.has(at)).map(|panel| panel.at(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::residency::map::outline::rings;
    use sekisho_evidence::location::coverage::offices;

    #[test]
    fn every_panel_lies_in_the_picture_and_every_ring_in_one_panel() {
        let (width, height) = (f64::from(SIZE.0), f64::from(SIZE.1));
        for panel in PANELS {
            let ((left, top), (wide, high)) = (panel.corner, panel.size());
            assert!(left + wide <= width + 0.5 && top + high <= height + 0.5, "{panel:?}");
        }
        let drawn = |ring: &Vec<Point>| PANELS.iter().filter(|panel| panel.has_ring(ring)).count();
        let rings = rings();
        let nowhere: Vec<_> = rings.iter().filter(|ring| drawn(ring) == 0).collect();
        assert!(nowhere.is_empty(), "{nowhere:?}");
        assert!(rings.iter().all(|ring| drawn(ring) == 1));
    }

    #[test]
    fn every_office_is_on_the_picture() {
        let all = offices();
        let off: Vec<String> = all
            .iter()
            .filter(|(_, at)| on_picture(*at).is_none())
            .map(|(area, _)| area.full_name())
            .collect();
        assert!(off.is_empty(), "{off:?}");
    }

    #[test]
    fn a_disc_is_as_wide_as_it_should_be_and_a_boundless_one_is_cut() {
        let [main, ..] = PANELS;
        let tokyo: Position = "35.686,139.764".parse().unwrap();
        let (x, y) = on_picture(tokyo).unwrap();
        let corners = main.disc(tokyo, 100_000);
        // 111.2 km are a degree of latitude: the first corner is due north.
        let north = y - corners[0].1;
        assert!((north - 100.0 / 111.195 * main.scale).abs() < 0.1, "{north}");
        assert!((corners[0].0 - x).abs() < 1e-6);
        assert_eq!(main.disc(tokyo, u64::MAX), main.disc(tokyo, 3_000_000));
        assert!(main.disc(tokyo, u64::MAX).iter().all(|(x, y)| x.is_finite() && y.is_finite()));
    }
}
