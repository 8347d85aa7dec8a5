//! The lattice of areas: `JP` ⊃ prefecture (JIS X 0401, ISO 3166-2) ⊃ municipality (JIS X 0402) ⊃ ward.
//!
//! Must hold: D2, the national boundary is the constant [`COUNTRY`]; a code is valid only on the dates that the
//! table gives it, and a retired code denies with a hint to its successors instead of widening by itself.
//! The table is compiled in and its hash ([`table_hash`]) is part of the replicated state.

use crate::id::Digest;
use crate::position::Position;
use crate::time::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

/// The only country inside which anything may be placed (D2). Not configurable.
pub const COUNTRY: &str = "JP";

const TABLE: &str = include_str!("../data/jurisdictions.csv");

/// Deepest nesting: country, prefecture, municipality, ward.
const DEPTH_MAX: usize = 4;

/// An area inside Japan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Area {
    /// The whole country.
    Japan,
    /// A prefecture, municipality or ward by its six-digit code (five digits and a check digit).
    Code(u32),
}

/// Which level of the lattice an area belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// Japan.
    Country,
    /// One of the 47 prefectures.
    Prefecture,
    /// A city, town, village or special ward.
    Municipality,
    /// A ward of a designated city.
    Ward,
}

/// One row of the jurisdiction table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AreaInfo {
    /// The area itself.
    pub area: Area,
    /// Its level.
    pub level: Level,
    /// The next larger area; `None` for Japan.
    pub parent: Option<Area>,
    /// Japanese name.
    pub name_ja: &'static str,
    /// English name where the table has one.
    pub name_en: &'static str,
    /// ISO 3166-2 code for prefectures, e.g. `JP-01`.
    pub iso: &'static str,
    /// Where its office stands, for municipalities and wards that have one.
    pub office: Option<Position>,
    /// First valid day; `None` = always.
    pub valid_from: Option<Date>,
    /// Last valid day; `None` = still valid.
    pub valid_to: Option<Date>,
    /// Codes that took over when this one was retired.
    pub successors: Vec<Area>,
}

/// Why a text or code names no usable area.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AreaError {
    /// Neither `JP`, an ISO 3166-2:JP code, a six-digit code nor a prefecture's name.
    #[error("`{0}` is not an area of Japan")]
    Unknown(String),
    /// The place exists but lies outside Japan (D2).
    #[error("`{0}` lies outside Japan")]
    Foreign(String),
    /// Not yet valid, or no longer.
    #[error("area code {code} ({name}) is not valid on {on}; now: {}", list(.successors))]
    Retired {
        /// The code asked for.
        code: Area,
        /// Its Japanese name.
        name: &'static str,
        /// The day of the question.
        on: Date,
        /// What took over.
        successors: Vec<Area>,
    },
}

fn list(areas: &[Area]) -> String {
    if areas.is_empty() {
        return "no successor".to_owned();
    }
    areas.iter().map(Area::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Japan => f.pad(COUNTRY),
            Self::Code(code) => f.pad(&format!("{code:06}")),
        }
    }
}

impl fmt::Debug for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Area> for String {
    fn from(area: Area) -> Self {
        area.to_string()
    }
}

impl TryFrom<String> for Area {
    type Error = AreaError;
    /// Accepts only the canonical spelling, so that stored bytes have one form.
    fn try_from(text: String) -> Result<Self, AreaError> {
        let area = Self::resolve(&text)?;
        if area.to_string() == text { Ok(area) } else { Err(AreaError::Unknown(text)) }
    }
}

/// Check digit of a five-digit code (JIS X 0402).
fn check_digit(five: u32) -> u32 {
    let digit = |power: u32| five.checked_div(power).unwrap_or(0).rem_euclid(10);
    let sum = [(10_000, 6), (1000, 5), (100, 4), (10, 3), (1, 2)]
        .iter()
        .fold(0u32, |sum, (power, weight)| {
            sum.saturating_add(digit(*power).saturating_mul(*weight))
        });
    11u32.saturating_sub(sum.rem_euclid(11)).rem_euclid(10)
}

struct Table {
    rows: BTreeMap<Area, AreaInfo>,
    names: BTreeMap<String, Area>,
    hash: Digest,
}

fn parse_row(line: &'static str) -> Option<AreaInfo> {
    let f: Vec<&'static str> = line.split(',').collect();
    let [code, level, parent, name_ja, _kana, name_en, iso, lat, lng, from, to, successors] =
        f.as_slice()
    else {
        return None;
    };
    let area = |text: &str| match text {
        COUNTRY => Some(Area::Japan),
        digits if digits.len() == 6 => {
            let code: u32 = digits.parse().ok()?;
            (check_digit(code.checked_div(10)?) == code.rem_euclid(10)).then_some(Area::Code(code))
        }
        _ => None,
    };
    Some(AreaInfo {
        area: area(code)?,
        level: match *level {
            "country" => Level::Country,
            "prefecture" => Level::Prefecture,
            "municipality" => Level::Municipality,
            "ward" => Level::Ward,
            _ => return None,
        },
        parent: if parent.is_empty() { None } else { Some(area(parent)?) },
        name_ja,
        name_en,
        iso,
        office: Position::parse(lat, lng).ok(),
        valid_from: Date::parse(from),
        valid_to: Date::parse(to),
        successors: successors.split_whitespace().filter_map(area).collect(),
    })
}

fn table() -> &'static Table {
    static TABLE_PARSED: OnceLock<Table> = OnceLock::new();
    TABLE_PARSED.get_or_init(|| {
        let rows: BTreeMap<Area, AreaInfo> =
            TABLE.lines().skip(1).filter_map(parse_row).map(|row| (row.area, row)).collect();
        let mut names = BTreeMap::new();
        for row in rows.values() {
            if matches!(row.level, Level::Country | Level::Prefecture) {
                names.insert(row.name_ja.to_owned(), row.area);
                names.insert(row.name_en.to_ascii_lowercase(), row.area);
                names.insert(row.iso.to_owned(), row.area);
            }
        }
        names.remove("");
        Table { rows, names, hash: Digest::of(TABLE.as_bytes()) }
    })
}

/// SHA-256 of the jurisdiction table that this program was built with. Two members with different tables must not
/// decide together, so genesis carries it and every replica compares.
#[must_use]
pub fn table_hash() -> Digest {
    table().hash
}

/// Every row of the table, by area: for whoever counts or lists them.
pub fn areas() -> impl Iterator<Item = &'static AreaInfo> {
    table().rows.values()
}

/// ISO 3166-1 alpha-2 shape: two capitals, optionally `-` and a subdivision.
fn looks_foreign(text: &str) -> bool {
    let (country, sub) = text.split_once('-').unwrap_or((text, "X"));
    country.len() == 2
        && country.bytes().all(|b| b.is_ascii_uppercase())
        && country != COUNTRY
        && !sub.is_empty()
        && sub.len() <= 3
        && sub.bytes().all(|b| b.is_ascii_alphanumeric())
}

impl Area {
    /// Reads `JP`, `JP-01`, `010006`, `Hokkaido` or `北海道`.
    ///
    /// # Errors
    /// [`AreaError::Foreign`] for another country's ISO code, [`AreaError::Unknown`] for anything else.
    pub fn resolve(text: &str) -> Result<Self, AreaError> {
        if text == COUNTRY {
            return Ok(Self::Japan);
        }
        let names = &table().names;
        if let Some(area) = names.get(text).or_else(|| names.get(&text.to_ascii_lowercase())) {
            return Ok(*area);
        }
        if text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit()) {
            let area =
                Self::Code(text.parse().map_err(|_digits| AreaError::Unknown(text.to_owned()))?);
            if table().rows.contains_key(&area) {
                return Ok(area);
            }
        }
        if looks_foreign(text) {
            return Err(AreaError::Foreign(text.to_owned()));
        }
        Err(AreaError::Unknown(text.to_owned()))
    }

    /// The row of this area. `None` only for a code that did not come through [`Area::resolve`].
    #[must_use]
    pub fn info(self) -> Option<&'static AreaInfo> {
        table().rows.get(&self)
    }

    /// Whether `other` is this area or lies inside it. Unknown codes contain nothing and lie nowhere.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        let mut at = other;
        for _ in 0..DEPTH_MAX {
            let Some(info) = at.info() else { return false };
            if at == self {
                return true;
            }
            match info.parent {
                Some(parent) => at = parent,
                None => return false,
            }
        }
        false
    }

    /// The prefecture that this area is or lies in.
    #[must_use]
    pub fn prefecture(self) -> Option<Self> {
        let mut at = self;
        for _ in 0..DEPTH_MAX {
            let info = at.info()?;
            if info.level == Level::Prefecture {
                return Some(at);
            }
            at = info.parent?;
        }
        None
    }

    /// Checks that the code is valid on `day`.
    ///
    /// # Errors
    /// [`AreaError::Retired`] with the successors; [`AreaError::Unknown`] for a code outside the table.
    pub fn valid_on(self, day: Date) -> Result<(), AreaError> {
        let info = self.info().ok_or_else(|| AreaError::Unknown(self.to_string()))?;
        let begun = info.valid_from.is_none_or(|from| from <= day);
        let over = info.valid_to.is_some_and(|to| to < day);
        if begun && !over {
            return Ok(());
        }
        Err(AreaError::Retired {
            code: self,
            name: info.name_ja,
            on: day,
            successors: info.successors.clone(),
        })
    }

    /// Name for people: `石狩市 (012351)`.
    #[must_use]
    pub fn label(self) -> String {
        self.info().map_or_else(|| self.to_string(), |info| format!("{} ({self})", info.name_ja))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(text: &str) -> Area {
        Area::resolve(text).unwrap()
    }

    #[test]
    fn every_row_of_the_table_parses_and_has_a_parent_inside_japan() {
        assert_eq!(table().rows.len(), TABLE.lines().count() - 1);
        for row in table().rows.values() {
            assert!(Area::Japan.contains(row.area), "{row:?}");
            assert_eq!(Area::try_from(row.area.to_string()), Ok(row.area));
            assert!(row.area == Area::Japan || row.area.prefecture().is_some(), "{row:?}");
        }
    }

    #[test]
    fn every_municipality_with_an_office_has_its_position() {
        let of = |level| areas().filter(move |row| row.level == level);
        let with_office = of(Level::Municipality).filter(|row| row.office.is_some()).count();
        assert_eq!(with_office, 1741, "six have none");
        assert!(of(Level::Prefecture).all(|row| row.office.is_none()));
        let office = area("012351").info().unwrap().office.unwrap();
        assert_eq!(office.to_string(), "43.171388,141.315555");
    }

    #[test]
    fn names_codes_and_foreign_places_are_told_apart() {
        for same in ["JP-01", "010006", "Hokkaido", "hokkaido", "北海道"] {
            assert_eq!(Area::resolve(same), Ok(Area::Code(10006)), "{same}");
        }
        assert_eq!(Area::resolve("KR-26"), Err(AreaError::Foreign("KR-26".into())));
        assert_eq!(Area::resolve("KR"), Err(AreaError::Foreign("KR".into())));
        for unknown in ["", "JP-48", "010005", "999999", "Atlantis", "+10006", "１０００６"] {
            assert_eq!(
                Area::resolve(unknown),
                Err(AreaError::Unknown(unknown.into())),
                "{unknown}"
            );
        }
    }

    #[test]
    fn containment_follows_the_lattice() {
        let (hokkaido, ishikari, sakai) = (area("JP-01"), area("012351"), area("271403"));
        assert!(Area::Japan.contains(ishikari) && hokkaido.contains(ishikari));
        assert!(!hokkaido.contains(sakai) && !ishikari.contains(hokkaido));
        assert!(!Area::Code(1).contains(Area::Code(1)), "a code outside the table is nowhere");
    }

    #[test]
    fn a_retired_code_denies_with_its_successors() {
        let old = area("221317");
        assert_eq!(old.valid_on(Date::parse("2023-12-31").unwrap()), Ok(()));
        let refused = old.valid_on(Date::parse("2024-01-01").unwrap()).unwrap_err();
        assert!(refused.to_string().contains("221384"), "{refused}");
        let new = area("221384");
        assert!(new.valid_on(Date::parse("2023-12-31").unwrap()).is_err());
        assert_eq!(new.valid_on(Date::parse("2024-01-01").unwrap()), Ok(()));
    }
}
