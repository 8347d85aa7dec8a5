//! The lattice of areas: `JP` ⊃ prefecture (JIS X 0401, ISO 3166-2) ⊃ municipality (JIS X 0402) ⊃ ward.
//!
//! Must hold: D2, the national boundary is the constant [`COUNTRY`]; a code is valid only on the dates that the
//! table gives it, and a retired code denies with a hint to its successors instead of widening by itself.
//! The table is compiled in and its hash ([`table_hash`]) is part of the replicated state. Names in all their spellings are
//! for people alone ([`Area::resolve`]); what is stored and signed has codes, which are read without them.

mod kanji;
mod name;
mod spelling;

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

/// Longest text that is looked up as a name, bytes: twice the longest qualified reading of the table.
pub const AREA_NAME_MAX: usize = 256;

/// Most areas that an ambiguous name lists: more than there are of any one name (a test counts them), few enough to read.
pub const AREA_CANDIDATES_MAX: usize = 16;

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
    /// Reading in hiragana.
    pub kana: &'static str,
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

impl AreaInfo {
    /// Whether the code was retired, on whatever day.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.valid_to.is_some()
    }
}

/// Why a text or code names no usable area.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AreaError {
    /// No code and no name of an area; [`Area::near`] may know what was meant.
    #[error("`{0}` is not an area of Japan")]
    Unknown(String),
    /// The place exists but lies outside Japan (D2).
    #[error("`{0}` lies outside Japan")]
    Foreign(String),
    /// A name of more than one area: nobody guesses which, because the wrong one could widen a policy.
    #[error("`{text}` is a name of several areas: {}; write the code or the whole name", listing(.candidates, *.more))]
    Ambiguous {
        /// What was written.
        text: String,
        /// Areas that it may mean, at most [`AREA_CANDIDATES_MAX`].
        candidates: Vec<Area>,
        /// How many more there are.
        more: usize,
    },
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

fn listing(areas: &[Area], more: usize) -> String {
    let listed = areas.iter().map(|area| area.full_label()).collect::<Vec<_>>().join(", ");
    if more == 0 { listed } else { format!("{listed} and {more} more") }
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
        Self::canonical(&text)
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
    hash: Digest,
}

fn parse_row(line: &'static str) -> Option<AreaInfo> {
    let f: Vec<&'static str> = line.split(',').collect();
    let [code, level, parent, name_ja, kana, name_en, iso, lat, lng, from, to, successors] =
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
        kana,
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
        Table { rows, hash: Digest::of(TABLE.as_bytes()) }
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
    /// Reads an area in any way that people write it:
    ///
    /// - codes: `JP`, `JP-01`, `010006`, `01000` (without its check digit), also in full width;
    /// - names in kanji, new or old (`桜川市`, `櫻川市`), in kana of any width, in Latin letters of any common spelling;
    /// - each with or without its suffix (`札幌市`, `札幌`, `Sapporo-shi`), alone or inside larger areas
    ///   (`北海道札幌市中央区`, `札幌市中央区`, `大阪府/堺市`, `Chuo-ku, Sapporo`).
    ///
    /// A name of several areas is an error that lists them. Of areas with the same name those in force are meant; a
    /// retired one is found where no other has its name, and [`Area::valid_on`] then denies it.
    ///
    /// # Errors
    /// [`AreaError::Foreign`] for another country's ISO code, [`AreaError::Ambiguous`] for a name of several areas,
    /// [`AreaError::Unknown`] for anything else.
    pub fn resolve(text: &str) -> Result<Self, AreaError> {
        match Self::canonical(text) {
            Err(AreaError::Unknown(_)) => name::resolve(text),
            other => other,
        }
    }

    /// Reads `JP` or a six-digit code, as they are stored and signed; other countries' codes are told apart.
    fn canonical(text: &str) -> Result<Self, AreaError> {
        if text == COUNTRY {
            return Ok(Self::Japan);
        }
        if text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit()) {
            let code = text.parse().map_err(|_digits| AreaError::Unknown(text.to_owned()))?;
            if table().rows.contains_key(&Self::Code(code)) {
                return Ok(Self::Code(code));
            }
        }
        if looks_foreign(text) {
            return Err(AreaError::Foreign(text.to_owned()));
        }
        Err(AreaError::Unknown(text.to_owned()))
    }

    /// Up to three areas in force that an unknown text may have meant, nearest first: names with the fewest wrong letters,
    /// or the code that a wrong check digit belongs to.
    #[must_use]
    pub fn near(text: &str) -> Vec<Self> {
        name::near(text)
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

    /// This area and every one that it lies in, smallest first, Japan last. Empty for a code outside the table.
    pub fn chain(self) -> impl Iterator<Item = Self> {
        let mut at = Some(self).filter(|area| area.info().is_some());
        let next = move || {
            let area = at?;
            at = area.info().and_then(|info| info.parent);
            Some(area)
        };
        std::iter::from_fn(next).take(DEPTH_MAX)
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

    /// Name with all that it lies in, which tells it from others of its name: `北海道札幌市中央区`.
    #[must_use]
    pub fn full_name(self) -> String {
        let mut names = Vec::with_capacity(DEPTH_MAX);
        let mut at = Some(self);
        while let Some(info) = at.and_then(Self::info).filter(|_| names.len() < DEPTH_MAX) {
            // Japan stands before nothing but itself.
            if info.level != Level::Country || names.is_empty() {
                names.push(info.name_ja);
            }
            at = info.parent;
        }
        names.into_iter().rev().collect()
    }

    /// [`Area::full_name`] with the code: `北海道札幌市中央区 (011011)`.
    #[must_use]
    pub fn full_label(self) -> String {
        format!("{} ({self})", self.full_name())
    }

    /// Name for people: `石狩市 (012351)`.
    #[must_use]
    pub fn label(self) -> String {
        self.info().map_or_else(|| self.to_string(), |info| format!("{} ({self})", info.name_ja))
    }
}

#[cfg(test)]
mod tests;
