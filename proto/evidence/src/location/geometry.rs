//! Distances in whole centimetres, on a sphere, by chords.
//!
//! Must hold (D1): "excluded" is never said of a point that light could have reached. Every rounding goes that way, and
//! no input overflows.
//!
//! **Why the chord.** A signal takes no shorter way than the straight line, wherever it runs. The chord is that line; the
//! arc over the ground is longer, so to measure with arcs would assume that nothing passes below the horizon. It costs
//! little: 1 km at 700 km.
//!
//! **Why a sphere is enough.** Positions are latitude and longitude on the WGS 84 ellipsoid, and are put on a sphere of the
//! mean radius as they are. The ellipsoid is a convex body whose radius of curvature is nowhere below b²/a = 6,335.4 km, so
//! a ball of that radius is a summand of it (Blaschke), and two points of its surface whose normals differ by a chord s of
//! the unit sphere lie at least 6,335.4 km · s apart. On our sphere they lie 6,371.0 km · s apart: at most 1.00562 times the
//! true distance. [`reach`] widens by 1.006, which also covers places up to 2 km below the ellipsoid, where above it the
//! ratio only falls, and that a clock which is slow by ρ measures 1/(1 - ρ) too little and not 1 + ρ.

use sekisho_types::limit::CLOCK_DRIFT_PPM;
use sekisho_types::position::Position;

/// Mean radius of the Earth (IUGG), cm.
pub const EARTH_CM: u32 = 637_100_880;

/// A length of which every landmark and every point of the Earth are in reach, cm: more than the diameter, and small
/// enough that its square and that of a sum with any pad fit 64 bits.
pub const EVERYWHERE_CM: u32 = 1_300_000_000;

/// Both ends of a chord are rounded to half a centimetre in each coordinate: 2 · 0.87 cm.
const ROUNDING_CM: u64 = 2;

const _: () = assert!(EARTH_CM < EVERYWHERE_CM / 2, "the diameter is in reach");
const _: () = assert!(CLOCK_DRIFT_PPM == 1000, "the factor 1001/1000 of reach is that drift");

/// Half the speed of light in vacuum, m/s: a signal goes there and back. Never a medium's speed: hollow fibre,
/// microwave and light through space are nearly that fast.
const HALF_LIGHT_M_S: u128 = 299_792_458 / 2;

/// How far away a party can be that answered within `rtt_ns`, in centimetres of our sphere.
///
/// ⌈c/2 · τ · (1 + ρ) · 1.006⌉. Nothing is taken off for processing: whoever answers chooses how long that takes.
/// At most [`EVERYWHERE_CM`].
#[must_use]
pub fn reach(rtt_ns: u64) -> u32 {
    // (1 + ρ) · 1.006 · 100 cm/m / 10⁹ ns/s = 1001 · 1006 / 10¹³.
    let scaled = u128::from(rtt_ns).saturating_mul(HALF_LIGHT_M_S * 1001 * 1006);
    capped(scaled.div_ceil(10_000_000_000_000))
}

/// The longest round trip whose [`reach`] is at most so many centimetres, ns.
#[must_use]
pub fn longest_ns(cm: u64) -> u64 {
    let scaled = u128::from(cm).saturating_mul(10_000_000_000_000);
    u64::try_from(scaled.div_euclid(HALF_LIGHT_M_S * 1001 * 1006)).unwrap_or(u64::MAX)
}

/// A length of the real Earth in metres, as centimetres of our sphere, rounded up.
#[must_use]
pub fn on_sphere(metres: u32) -> u32 {
    capped(u128::from(metres).saturating_mul(1006).div_ceil(10))
}

fn capped(cm: u128) -> u32 {
    u32::try_from(cm).unwrap_or(EVERYWHERE_CM).min(EVERYWHERE_CM)
}

/// A position as a vector from the middle of the sphere, cm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vector([i32; 3]);

impl Vector {
    /// The middle of the sphere.
    pub(crate) const CENTRE: Self = Self([0; 3]);

    /// Puts a position on the sphere, each coordinate to the nearest centimetre.
    #[must_use]
    pub fn of(position: Position) -> Self {
        let (sin_lat, cos_lat) = sin_cos(position.latitude());
        let (sin_lng, cos_lng) = sin_cos(position.longitude());
        Self([length(times(cos_lat, cos_lng)), length(times(cos_lat, sin_lng)), length(sin_lat)])
    }

    /// Square of the chord to `other`, cm².
    #[must_use]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "coordinates are below 2^30, so differences are below 2^31 and the squares of three below 2^64"
    )]
    pub fn squared(self, other: Self) -> u64 {
        let [x, y, z] = self.0;
        let [u, v, w] = other.0;
        let square = |a: i32, b: i32| {
            let size = u64::from(a.abs_diff(b));
            size * size
        };
        square(x, u) + square(y, v) + square(z, w)
    }

    /// Whether the chord to `other` is certainly longer than `cm`, whatever was rounded.
    #[must_use]
    pub fn is_beyond(self, other: Self, cm: u64) -> bool {
        let limit = cm.saturating_add(ROUNDING_CM);
        self.squared(other) > limit.saturating_mul(limit)
    }

    /// The largest length that the chord to `other` is certainly beyond, cm; 0 too if there is none.
    #[must_use]
    pub(crate) fn beyond_cm(self, other: Self) -> u64 {
        self.squared(other).saturating_sub(1).isqrt().saturating_sub(ROUNDING_CM)
    }

    /// The chord to `other`, cm, rounded down: for people.
    #[must_use]
    pub fn chord(self, other: Self) -> u64 {
        self.squared(other).isqrt()
    }
}

/// Bits after the point of the fractions below.
const BITS: u32 = 60;
const ONE: i128 = 1 << BITS;
/// π · 2^60, to the nearest.
const PI: i128 = 3_622_009_729_038_561_421;
const HALF_TURN: i128 = 180_000_000;

/// Product of two fractions of at most 1.
#[expect(clippy::arithmetic_side_effects, reason = "both factors are at most 2^61")]
fn times(a: i128, b: i128) -> i128 {
    (a * b) >> BITS
}

/// A fraction of the Earth's radius, to the nearest centimetre.
#[expect(clippy::arithmetic_side_effects, reason = "a fraction of at most 1 of less than 2^30")]
fn length(fraction: i128) -> i32 {
    let cm = (fraction * i128::from(EARTH_CM) + ONE / 2) >> BITS;
    i32::try_from(cm).unwrap_or_default()
}

/// Sine and cosine of an angle in microdegrees, -180 to 180 degrees, as fractions.
#[expect(clippy::arithmetic_side_effects, reason = "the angle is at most a half turn")]
fn sin_cos(microdegrees: i32) -> (i128, i128) {
    let angle = i128::from(microdegrees);
    let size = angle.abs();
    // Within the first quarter, where the series below is short: sin(180° - x) = sin x, cos(180° - x) = -cos x.
    let (within, is_left) =
        if size > HALF_TURN / 2 { (HALF_TURN - size, true) } else { (size, false) };
    let radians = within * PI / HALF_TURN;
    let (sin, cos) = (series(radians, radians, 1), series(radians, ONE, 0));
    (if angle < 0 { -sin } else { sin }, if is_left { -cos } else { cos })
}

/// Terms of the series at most: at a quarter turn the 14th is below 2^-60.
const TERMS: usize = 16;

/// `first - first · x²/((n+1)(n+2)) + …`: the Taylor series of the sine for n = 1, of the cosine for n = 0.
#[expect(clippy::arithmetic_side_effects, reason = "terms are below 2^61 and shrink, n is small")]
fn series(x: i128, first: i128, from: i128) -> i128 {
    let square = times(x, x);
    let (mut sum, mut term, mut n) = (first, first, from);
    for _ in 0..TERMS {
        term = -(times(term, square) / ((n + 1) * (n + 2)));
        n += 2;
        sum += term;
    }
    sum
}

#[cfg(test)]
#[expect(clippy::disallowed_types, reason = "floats are what the integers are checked against")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(latitude: i32, longitude: i32) -> Position {
        Position::new(latitude, longitude).unwrap()
    }

    #[test]
    fn the_reach_of_a_millisecond_is_150_km_and_some_and_nothing_overflows() {
        assert_eq!(reach(0), 0);
        // 149.896229 km · 1.001 · 1.006 = 150.946402 km, rounded up.
        assert_eq!(reach(1_000_000), 15_094_641);
        assert_eq!(reach(1), 16);
        assert_eq!(reach(u64::MAX), EVERYWHERE_CM);
        assert_eq!([longest_ns(15), longest_ns(16)], [0, 1]);
        assert_eq!(on_sphere(1000), 100_600);
        assert_eq!(on_sphere(u32::MAX), EVERYWHERE_CM);
        let (north, south) = (Vector::of(at(90_000_000, 0)), Vector::of(at(-90_000_000, 0)));
        assert_eq!(north.chord(south), 2 * u64::from(EARTH_CM));
        assert!(!north.is_beyond(south, EVERYWHERE_CM.into()));
        assert!(!north.is_beyond(south, u64::MAX));
    }

    /// Rounding may only ever shorten what is claimed about a distance.
    #[test]
    fn equality_is_not_beyond() {
        let (a, b) = (Vector([0; 3]), Vector([300, 400, 0]));
        assert_eq!(a.chord(b), 500);
        assert!(!a.is_beyond(b, 500) && !a.is_beyond(b, 498) && a.is_beyond(b, 497));
        assert_eq!(a.beyond_cm(b), 497);
    }

    /// The true chord of the ellipsoid, m, at these heights.
    fn ellipsoid(position: Position, height: f64) -> [f64; 3] {
        let (a, e2) = (6_378_137.0_f64, 0.006_694_379_990_14_f64);
        let lat = (f64::from(position.latitude()) / 1e6).to_radians();
        let lng = (f64::from(position.longitude()) / 1e6).to_radians();
        let n = a / (1.0 - e2 * lat.sin().powi(2)).sqrt();
        let r = (n + height) * lat.cos();
        [r * lng.cos(), r * lng.sin(), (n * (1.0 - e2) + height) * lat.sin()]
    }

    fn metres(a: [f64; 3], b: [f64; 3]) -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a length on Earth"
    )]
    fn centimetres(metres: f64) -> u64 {
        (metres * 100.0).ceil() as u64
    }

    fn position() -> impl Strategy<Value = Position> {
        (-90_000_000..=90_000_000, -180_000_000..180_000_000).prop_map(|(a, b)| at(a, b))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn every_coordinate_is_that_of_floats_to_a_centimetre(place in position()) {
            let lat = (f64::from(place.latitude()) / 1e6).to_radians();
            let lng = (f64::from(place.longitude()) / 1e6).to_radians();
            let exact = [lat.cos() * lng.cos(), lat.cos() * lng.sin(), lat.sin()];
            for (got, want) in Vector::of(place).0.into_iter().zip(exact) {
                let off = f64::from(got) - want * f64::from(EARTH_CM);
                prop_assert!(off.abs() < 0.501, "{place}: {off} cm");
            }
        }

        /// The theorem in the head of this module: chord of our sphere <= 1.006 · true distance.
        #[test]
        fn no_true_distance_is_overstated_by_more_than_the_factor(
            a in position(),
            (north, east) in (-3_000_000..3_000_000, -3_000_000..3_000_000),
            far in position(),
            is_near in any::<bool>(),
            (low, high) in (-2000..9000, -2000..9000),
        ) {
            let near = Position::new(a.latitude().saturating_add(north), a.longitude().saturating_add(east));
            let b = if is_near { near.unwrap_or(far) } else { far };
            let real = metres(ellipsoid(a, f64::from(low)), ellipsoid(b, f64::from(high)));
            let limit = centimetres(real * 1.006);
            let (a, b) = (Vector::of(a), Vector::of(b));
            prop_assert!(!a.is_beyond(b, limit), "{real} m");
        }

        #[test]
        fn the_longest_delay_of_a_length_is_the_last_within_it(cm in 0_u64..1_200_000_000) {
            let ns = longest_ns(cm);
            prop_assert!(u64::from(reach(ns)) <= cm && u64::from(reach(ns.saturating_add(1))) > cm);
        }

        #[test]
        fn reach_is_the_formula_rounded_up(ns in 0_u64..80_000_000) {
            let exact = 299_792_458.0 / 2.0 * ns as f64 / 1e9 * 1.001 * 1.006 * 100.0;
            let got = f64::from(reach(ns));
            prop_assert!(got >= exact.min(f64::from(EVERYWHERE_CM)) - 1e-3 && got - exact < 1.01);
        }
    }
}
