//! Finding an area by a name or a number that a person typed.
//!
//! Must hold: a name that fits several areas is refused with all of them, never guessed, because a guess could widen a
//! policy without a word: `広島` is a prefecture and a city. The suffix (市, -shi) or the prefecture decides. A name means
//! the areas in force; one that was retired is found where no other has its name, and is then denied with its
//! successors. Nothing stored or signed is read through here: those carry codes alone.

use super::spelling::{clean, japanese, romaji, transliterated};
use super::{
    AREA_CANDIDATES_MAX, AREA_NAME_MAX, Area, AreaError, AreaInfo, Level, check_digit,
    looks_foreign, table,
};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Most letters, kanji or words of a name that is looked up: the longest qualified reading of the table has 37.
const PARTS_MAX: usize = 64;

/// Most suggestions for a name that is not known.
const NEAR_MAX: usize = 3;

/// The last character of a name, which says what the area is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    City,
    Ward,
    Town,
    Village,
    Prefecture,
    Fu,
    To,
    /// Names that are written whole: Japan and Hokkaido.
    Whole,
}

/// Suffixes by which an area of a kind may be called, in kanji, kana and Latin letters. Towns and villages are read in two
/// ways; who is unsure which is right should still find them.
const SUFFIXES: [(Kind, &str); 26] = [
    (Kind::City, "市"),
    (Kind::City, "し"),
    (Kind::City, "shi"),
    (Kind::City, "city"),
    (Kind::Ward, "区"),
    (Kind::Ward, "く"),
    (Kind::Ward, "ku"),
    (Kind::Ward, "ward"),
    (Kind::Town, "町"),
    (Kind::Town, "ちょう"),
    (Kind::Town, "まち"),
    (Kind::Town, "cho"),
    (Kind::Town, "machi"),
    (Kind::Town, "town"),
    (Kind::Village, "村"),
    (Kind::Village, "むら"),
    (Kind::Village, "そん"),
    (Kind::Village, "mura"),
    (Kind::Village, "son"),
    (Kind::Village, "village"),
    (Kind::Prefecture, "県"),
    (Kind::Prefecture, "けん"),
    (Kind::Prefecture, "ken"),
    (Kind::Fu, "府"),
    (Kind::Fu, "ふ"),
    (Kind::Fu, "fu"),
];
/// Those of the capital, and the English word for all prefectures.
const MORE: [(Kind, &str); 8] = [
    (Kind::To, "都"),
    (Kind::To, "と"),
    (Kind::To, "to"),
    (Kind::To, "metropolis"),
    (Kind::To, "prefecture"),
    (Kind::Fu, "prefecture"),
    (Kind::Prefecture, "prefecture"),
    (Kind::Whole, "prefecture"),
];

/// Common names that the table's readings do not give.
const ALIASES: [(u32, &str); 2] = [(192_082, "minamialps"), (473_260, "chatan")];
const JAPAN: [&str; 6] = ["日本", "日本国", "にほん", "にっぽん", "nihon", "nippon"];

impl Kind {
    fn of(info: &AreaInfo) -> Self {
        match info.name_ja.chars().last() {
            Some('市') => Self::City,
            Some('区') => Self::Ward,
            Some('町') => Self::Town,
            Some('村') => Self::Village,
            Some('県') => Self::Prefecture,
            Some('府') => Self::Fu,
            Some('都') => Self::To,
            _ => Self::Whole,
        }
    }
}

/// What stands before the suffix, as it is compared.
struct Stem {
    text: String,
    kind: Kind,
    area: Area,
}

/// Stems of all names in all scripts, sorted; suffixes as they are compared.
struct Index {
    stems: Vec<Stem>,
    suffixes: Vec<(Kind, String)>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let compared = |text: &str| if text.is_ascii() { romaji(text) } else { japanese(text) };
    let mut stems: Vec<Stem> = table().rows.values().flat_map(stems).collect();
    let aliases = ALIASES.iter().map(|(code, alias)| (Area::Code(*code), *alias));
    for (area, alias) in aliases.chain(JAPAN.map(|name| (Area::Japan, name))) {
        let kind = area.info().map_or(Kind::Whole, Kind::of);
        stems.push(Stem { text: compared(alias), kind, area });
    }
    stems.sort_by(|a, b| (&a.text, a.area).cmp(&(&b.text, b.area)));
    stems.dedup_by(|a, b| a.text == b.text && a.area == b.area);
    let suffixes = SUFFIXES.iter().chain(&MORE).map(|(kind, text)| (*kind, compared(text)));
    Index { stems, suffixes: suffixes.collect() }
});

fn stems(info: &AreaInfo) -> Vec<Stem> {
    let (kind, area) = (Kind::of(info), info.area);
    let suffixes = || SUFFIXES.iter().chain(&MORE).filter(|(of, _)| *of == kind);
    let bare = |name: &'static str| {
        suffixes().find_map(|(_, suffix)| name.strip_suffix(suffix)).unwrap_or(name)
    };
    let kana = bare(info.kana);
    let mut texts = vec![japanese(&clean(bare(info.name_ja))), japanese(kana)];
    texts.extend(transliterated(kana));
    texts.push(romaji(&clean(info.name_en)));
    texts.retain(|text| !text.is_empty());
    texts.into_iter().map(|text| Stem { text, kind, area }).collect()
}

impl Index {
    fn with(&self, text: &str) -> impl Iterator<Item = &Stem> {
        let from = self.stems.partition_point(|stem| stem.text.as_str() < text);
        self.stems.iter().skip(from).take_while(move |stem| stem.text == text)
    }

    /// Areas of exactly this name, with or without its suffix.
    fn named(&self, text: &str) -> BTreeSet<Area> {
        let mut found: BTreeSet<Area> = self.with(text).map(|stem| stem.area).collect();
        for (kind, suffix) in &self.suffixes {
            let Some(before) = text.strip_suffix(suffix.as_str()) else { continue };
            found.extend(self.with(before).filter(|stem| stem.kind == *kind).map(|stem| stem.area));
        }
        // The wards of Tokyo call themselves cities in English.
        if let Some(before) = text.strip_suffix(&romaji("city")) {
            let special = |stem: &&Stem| {
                stem.kind == Kind::Ward && level(stem.area) == Some(Level::Municipality)
            };
            found.extend(self.with(before).filter(special).map(|stem| stem.area));
        }
        found
    }
}

fn level(area: Area) -> Option<Level> {
    area.info().map(|info| info.level)
}

/// A name taken apart: characters of Japanese text, or words of Latin text.
struct Parts {
    latin: bool,
    parts: Vec<String>,
}

impl Parts {
    fn of(groups: &[&str]) -> Self {
        let latin = groups.iter().all(|group| group.is_ascii());
        let word_ends = |c: char| c.is_whitespace() || matches!(c, '-' | '.' | '_');
        let parts = if latin {
            let words = groups.iter().flat_map(|group| group.split(word_ends));
            words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
        } else {
            let chars = groups.iter().flat_map(|group| group.chars());
            chars.filter(|c| !c.is_whitespace()).map(String::from).collect()
        };
        Self { latin, parts }
    }

    fn joined(&self, from: usize, to: usize) -> String {
        let text = self.parts.get(from..to).unwrap_or_default().concat();
        if self.latin { romaji(&text) } else { japanese(&text) }
    }

    /// Areas that the whole names: a name, or names of areas each inside the one before it.
    fn areas(&self) -> BTreeSet<Area> {
        let count = self.parts.len();
        if count > PARTS_MAX {
            return BTreeSet::new();
        }
        // What the parts from each place on name; filled from the end.
        let mut rest: Vec<BTreeSet<Area>> = vec![BTreeSet::new(); count];
        for from in (0..count).rev() {
            let mut found = INDEX.named(&self.joined(from, count));
            for to in from.saturating_add(1)..count {
                let Some(inner) = rest.get(to).filter(|inner| !inner.is_empty()) else { continue };
                let outer = INDEX.named(&self.joined(from, to));
                let inside = |area: &&Area| {
                    outer.iter().any(|outer| outer != *area && outer.contains(**area))
                };
                found.extend(inner.iter().filter(inside));
            }
            if let Some(slot) = rest.get_mut(from) {
                *slot = found;
            }
        }
        rest.into_iter().next().unwrap_or_default()
    }
}

/// Parts that people separate when they write one area inside another.
fn groups(text: &str) -> Vec<&str> {
    let mut groups: Vec<&str> = text.split(['/', ',', '、', '・']).map(str::trim).collect();
    groups.retain(|group| !group.is_empty());
    groups
}

/// Areas in force of this name, else retired ones.
fn by_name(cleaned: &str) -> BTreeSet<Area> {
    let mut groups = groups(cleaned);
    let mut found = Parts::of(&groups).areas();
    if groups.len() > 1 {
        // `Sapporo, Hokkaido`: the smaller area first.
        groups.reverse();
        found.extend(Parts::of(&groups).areas());
    }
    let in_force: BTreeSet<Area> =
        found.iter().copied().filter(|area| !area.info().is_some_and(AreaInfo::is_over)).collect();
    if in_force.is_empty() { found } else { in_force }
}

/// A number with or without its check digit. `None` for what is no number.
fn by_number(cleaned: &str) -> Option<Option<Area>> {
    if cleaned.is_empty() || !cleaned.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: Option<u32> = cleaned.parse().ok();
    let code = match cleaned.len() {
        5 => number.and_then(with_check_digit),
        6 => number,
        _ => None,
    };
    Some(code.map(Area::Code).filter(|area| area.info().is_some()))
}

fn with_check_digit(five: u32) -> Option<u32> {
    five.checked_mul(10)?.checked_add(check_digit(five))
}

/// See [`Area::resolve`].
pub(super) fn resolve(text: &str) -> Result<Area, AreaError> {
    let unknown = || AreaError::Unknown(text.to_owned());
    if text.len() > AREA_NAME_MAX {
        return Err(unknown());
    }
    let cleaned = clean(text);
    if let Some(found) = by_number(&cleaned) {
        return found.ok_or_else(unknown);
    }
    let iso = cleaned.to_ascii_uppercase();
    if let Some(row) = table().rows.values().find(|row| !row.iso.is_empty() && row.iso == iso) {
        return Ok(row.area);
    }
    // Capitals of full width; the plain ones were seen to before.
    if !text.is_ascii() && text.chars().all(|c| !c.is_lowercase()) && looks_foreign(&iso) {
        return Err(AreaError::Foreign(iso));
    }
    let found = by_name(&cleaned);
    let mut listed = found.iter().copied();
    match (listed.next(), listed.next()) {
        (Some(area), None) => Ok(area),
        (None, _) => Err(unknown()),
        (Some(_), Some(_)) => Err(AreaError::Ambiguous {
            text: text.to_owned(),
            candidates: found.iter().copied().take(AREA_CANDIDATES_MAX).collect(),
            more: found.len().saturating_sub(AREA_CANDIDATES_MAX),
        }),
    }
}

/// See [`Area::near`].
pub(super) fn near(text: &str) -> Vec<Area> {
    if text.len() > AREA_NAME_MAX {
        return Vec::new();
    }
    let cleaned = clean(text);
    if let Some(number) = by_number(&cleaned) {
        // A wrong check digit.
        let five = cleaned.get(..5).and_then(by_number).flatten();
        return number.or(five).into_iter().collect();
    }
    let parts = Parts::of(&groups(&cleaned));
    let count = parts.parts.len();
    if count > PARTS_MAX {
        return Vec::new();
    }
    // `北海道札晃市`: what begins it may be right.
    let begun = (1..count).rev().find_map(|to| {
        let outer = INDEX.named(&parts.joined(0, to));
        (!outer.is_empty()).then_some((to, outer))
    });
    let within = begun.map_or(Vec::new(), |(to, outer)| {
        let inside = |area: Area| outer.iter().any(|outer| *outer != area && outer.contains(area));
        nearest(&parts.joined(to, count), inside)
    });
    if within.is_empty() { nearest(&parts.joined(0, count), |_area| true) } else { within }
}

/// The areas in force whose names have the fewest edits to `text`, at most a third of its letters or half of two kanji.
fn nearest(text: &str, allowed: impl Fn(Area) -> bool) -> Vec<Area> {
    let letters = text.chars().count();
    let most = if text.is_ascii() { letters.div_euclid(3) } else { letters.div_euclid(2) }.min(3);
    let bare = |kind: Kind| {
        let of_kind = INDEX.suffixes.iter().filter(move |(of, _)| *of == kind);
        of_kind.filter_map(|(_, suffix)| text.strip_suffix(suffix.as_str()))
    };
    let edits = |stem: &Stem| {
        let same_script = stem.text.is_ascii() == text.is_ascii();
        let texts = std::iter::once(text).chain(bare(stem.kind));
        let close = texts.filter(|text| {
            same_script && text.chars().count().abs_diff(stem.text.chars().count()) <= most
        });
        close.map(|text| strsim::osa_distance(text, &stem.text)).min().filter(|n| *n <= most)
    };
    let usable = |area: Area| allowed(area) && area.info().is_some_and(|info| !info.is_over());
    let mut found: Vec<(usize, Option<Level>, Area)> = INDEX
        .stems
        .iter()
        .filter_map(|stem| Some((edits(stem)?, level(stem.area), stem.area)))
        .filter(|(_, _, area)| usable(*area))
        .collect();
    found.sort_unstable();
    let least = found.first().map(|(edits, ..)| *edits);
    found.retain(|(edits, ..)| Some(*edits) == least);
    found.dedup();
    found.into_iter().map(|(_, _, area)| area).take(NEAR_MAX).collect()
}
