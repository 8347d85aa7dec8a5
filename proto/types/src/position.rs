//! Positions on the Earth in whole microdegrees (WGS 84): at most 12 cm from what was meant.
//!
//! Must hold: every value lies on the Earth and has one spelling, so that signed and hashed positions compare by bytes.
//! Geometry is `sekisho-evidence`'s; this is the word for it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Microdegrees in a degree.
const DEGREE: i32 = 1_000_000;
const LATITUDE_MAX: i32 = 90 * DEGREE;
const LONGITUDE_MAX: i32 = 180 * DEGREE;

/// Decimal places that are kept.
const PLACES: usize = 6;

/// A place on the Earth's surface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(i32, i32)", into = "(i32, i32)")]
pub struct Position {
    latitude: i32,
    longitude: i32,
}

/// Why numbers or a text are no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    /// Not `35.681236,139.767125`.
    #[error("expected latitude and longitude in decimal degrees, as in 35.681236,139.767125")]
    Malformed,
    /// Beyond a pole, or not within -180 (inclusive) and 180 degrees (exclusive).
    #[error("the position does not lie on the Earth")]
    OutOfRange,
}

impl Position {
    /// The position with this latitude and longitude in microdegrees, north and east positive.
    ///
    /// # Errors
    /// [`PositionError::OutOfRange`].
    pub fn new(latitude: i32, longitude: i32) -> Result<Self, PositionError> {
        let on_earth = (-LATITUDE_MAX..=LATITUDE_MAX).contains(&latitude)
            && (-LONGITUDE_MAX..LONGITUDE_MAX).contains(&longitude);
        if on_earth { Ok(Self { latitude, longitude }) } else { Err(PositionError::OutOfRange) }
    }

    /// Reads decimal degrees. Places after the sixth are cut off.
    ///
    /// # Errors
    /// [`PositionError`].
    pub fn parse(latitude: &str, longitude: &str) -> Result<Self, PositionError> {
        let read = |text| microdegrees(text).ok_or(PositionError::Malformed);
        Self::new(read(latitude)?, read(longitude)?)
    }

    /// Microdegrees north of the equator.
    #[must_use]
    pub fn latitude(self) -> i32 {
        self.latitude
    }

    /// Microdegrees east of Greenwich.
    #[must_use]
    pub fn longitude(self) -> i32 {
        self.longitude
    }
}

/// Decimal degrees as microdegrees; `None` for anything else than digits with at most one sign and one point.
fn microdegrees(text: &str) -> Option<i32> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, places) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(places) {
        return None;
    }
    let kept: String = places.chars().chain(std::iter::repeat('0')).take(PLACES).collect();
    let whole: i32 = whole.parse().ok()?;
    let kept: i32 = kept.parse().ok()?;
    whole.checked_mul(DEGREE)?.checked_add(kept)?.checked_mul(sign)
}

impl TryFrom<(i32, i32)> for Position {
    type Error = PositionError;
    fn try_from((latitude, longitude): (i32, i32)) -> Result<Self, PositionError> {
        Self::new(latitude, longitude)
    }
}

impl From<Position> for (i32, i32) {
    fn from(position: Position) -> Self {
        (position.latitude, position.longitude)
    }
}

impl FromStr for Position {
    type Err = PositionError;
    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (latitude, longitude) = text.split_once(',').ok_or(PositionError::Malformed)?;
        Self::parse(latitude, longitude)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let degrees = |value: i32| {
            let sign = if value < 0 { "-" } else { "" };
            let size = value.unsigned_abs();
            let unit = DEGREE.unsigned_abs();
            let whole = size.checked_div(unit).unwrap_or_default();
            format!("{sign}{whole}.{:06}", size.checked_rem(unit).unwrap_or_default())
        };
        f.pad(&format!("{},{}", degrees(self.latitude), degrees(self.longitude)))
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_decimal_degrees_and_written_the_same() {
        for text in ["35.681236,139.767125", "-0.000001,-180.000000", "90.000000,0.000000"] {
            assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        }
        let cut: Position = "43.06208877,141.3543886".parse().unwrap();
        assert_eq!((cut.latitude(), cut.longitude()), (43_062_088, 141_354_388));
        assert_eq!(Position::parse("33.6", "130").unwrap().to_string(), "33.600000,130.000000");
        for bad in
            ["", "1", "1,", "+1,1", "1,1,1", "1.,1", ".5,1", "1e3,1", "--1,1", "9999999999,1"]
        {
            assert_eq!(bad.parse::<Position>(), Err(PositionError::Malformed), "{bad}");
        }
        for off in ["90.000001,0", "-91,0", "0,180", "0,-180.1"] {
            assert_eq!(off.parse::<Position>(), Err(PositionError::OutOfRange), "{off}");
        }
    }
}
