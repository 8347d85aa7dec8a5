//! What landmarks say of a node, for people.

use super::super::instant;
use crate::language::pick;
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::jurisdiction::Area;
use serde::Serialize;

/// What the last fix of a node says.
#[derive(Debug, Clone, Serialize)]
pub(in crate::command) struct LocationView {
    pub(in crate::command) tier: String,
    pub(in crate::command) f: u32,
    pub(in crate::command) measured_ms: u64,
    pub(in crate::command) expires_ms: u64,
    pub(in crate::command) operators: Vec<String>,
    pub(in crate::command) missing_operators: u32,
    pub(in crate::command) inconsistent: Vec<String>,
    pub(in crate::command) landmarks: Vec<String>,
    pub(in crate::command) revision: u64,
    /// Of the landmark at the node's site.
    pub(in crate::command) beacon: Option<BeaconView>,
    /// That it proves; empty: none.
    pub(in crate::command) prefecture: String,
}

/// What the landmark at a node's site measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::command) struct BeaconView {
    pub(in crate::command) landmark: String,
    pub(in crate::command) rtt_ns: u64,
    /// The longest round trip that would prove the prefecture; 0: none would.
    pub(in crate::command) enough_ns: u64,
}

impl From<v1::location::Beacon> for BeaconView {
    fn from(beacon: v1::location::Beacon) -> Self {
        let v1::location::Beacon { landmark, rtt_ns, enough_ns } = beacon;
        Self { landmark: id(&landmark), rtt_ns, enough_ns }
    }
}

/// Tenths of a microsecond; a bound must not be shown better than it is.
fn micros(tenths: u64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// What is missing for T3: a node of this site with a tag of this area, which a beacon measured or none.
pub(in crate::command) fn lacking(
    site: &str,
    area: Option<Area>,
    beacon: Option<&BeaconView>,
    language: Language,
) -> String {
    if area.and_then(Area::prefecture).is_none() {
        return pick(language, "a tag that names a municipality", "市区町村を示すタグ").to_owned();
    }
    let Some(BeaconView { landmark, rtt_ns, enough_ns }) = beacon else {
        return pick(language, format!("a landmark at {site}"), format!("{site} のランドマーク"));
    };
    if *enough_ns == 0 {
        return pick(
            language,
            format!("a landmark at {site} inside the tag's prefecture, away from its edge"),
            format!("タグの都道府県内で境界から離れた {site} のランドマーク"),
        );
    }
    let (took, enough) = (micros(rtt_ns.div_ceil(100)), micros(enough_ns / 100));
    pick(
        language,
        format!("a shorter way to {landmark}: {took} µs, at most {enough} µs would do"),
        format!("{landmark} への短い経路: {took} µs、{enough} µs 以下なら可"),
    )
}

impl From<v1::Location> for LocationView {
    fn from(location: v1::Location) -> Self {
        let v1::Location {
            tier,
            f,
            measured_ms,
            expires_ms,
            operators,
            missing_operators,
            inconsistent,
            landmarks,
            revision,
            beacon,
            prefecture,
        } = location;
        Self {
            tier,
            f,
            measured_ms,
            expires_ms,
            operators,
            missing_operators,
            inconsistent,
            landmarks,
            revision,
            beacon: beacon.map(BeaconView::from),
            prefecture,
        }
    }
}

fn id(name: &str) -> String {
    LandmarkId::from_name(name).map_or_else(|| name.to_owned(), |id| id.to_string())
}

/// Landmarks as commands take them.
pub(in crate::command) fn ids(names: &[String]) -> String {
    names.iter().map(|name| id(name)).collect::<Vec<_>>().join(", ")
}

impl LocationView {
    /// Who contradicts each other, or the tag.
    pub(in crate::command) fn contradiction(&self, language: Language) -> String {
        let who = ids(&self.inconsistent);
        pick(language, format!("inconsistent: {who}"), format!("矛盾: {who}"))
    }

    /// Whether it proves that the node is not abroad.
    pub(in crate::command) fn is_proven(&self) -> bool {
        self.is_of_site() || self.tier == "T2"
    }

    /// Whether it proves the prefecture.
    pub(in crate::command) fn is_of_site(&self) -> bool {
        self.tier == "T3"
    }

    /// `T2 f=1 until …`, or what is missing.
    pub(in crate::command) fn words(&self, language: Language) -> String {
        if !self.inconsistent.is_empty() {
            return self.contradiction(language);
        }
        let missing = self.missing_operators;
        let lacks = match (missing, language) {
            (0, _) => String::new(),
            (1, Language::En) => ", 1 operator missing for f=1".to_owned(),
            (_, Language::En) => format!(", {missing} operators missing for f=1"),
            (_, Language::Ja) => format!("、f=1 に {missing} 事業者不足"),
        };
        if !self.is_proven() {
            let over = self.expires_ms > 0;
            let over =
                if over { pick(language, " (proof is over)", " (証明切れ)") } else { "" };
            return format!("{}{over}{lacks}", self.tier);
        }
        let until = instant(self.expires_ms);
        let until = match language {
            Language::En => format!("until {until}"),
            Language::Ja => format!("{until} まで"),
        };
        format!("{} f={} {until}{lacks}", self.tier, self.f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_told_in_both_languages() {
        let proven = v1::Location {
            tier: "T2".into(),
            f: 1,
            expires_ms: 1_795_305_600_000,
            ..v1::Location::default()
        };
        let told = |location: &v1::Location| {
            let view = LocationView::from(location.clone());
            [Language::En, Language::Ja].map(|language| view.words(language))
        };
        let [en, ja] = told(&proven);
        assert!(en.starts_with("T2 f=1 until 2026-11-22"), "{en}");
        assert!(ja.starts_with("T2 f=1 2026-11-22") && ja.ends_with("まで"), "{ja}");
        let site = v1::Location { tier: "T3".into(), ..proven.clone() };
        assert!(told(&site).iter().all(|words| words.starts_with("T3 f=1 ")));
        let over = v1::Location { tier: "T1".into(), ..proven };
        assert_eq!(told(&over), ["T1 (proof is over)", "T1 (証明切れ)"]);
        let short =
            v1::Location { tier: "T1".into(), missing_operators: 2, ..v1::Location::default() };
        assert_eq!(told(&short), ["T1, 2 operators missing for f=1", "T1、f=1 に 2 事業者不足"]);
        let names = ["operators/a/landmarks/x", "operators/b/landmarks/y"].map(str::to_owned);
        let torn = v1::Location { inconsistent: names.to_vec(), ..short };
        assert_eq!(told(&torn), ["inconsistent: a/x, b/y", "矛盾: a/x, b/y"]);
    }

    #[test]
    fn what_is_missing_for_the_site_is_told_with_what_would_do() {
        let chiyoda = Area::resolve("131016").ok();
        let beacon = |enough_ns| {
            let landmark = "operators/kanto/landmarks/tokyo-1".to_owned();
            Some(BeaconView::from(v1::location::Beacon { landmark, rtt_ns: 396_010, enough_ns }))
        };
        let told = |area, beacon: Option<BeaconView>| {
            [Language::En, Language::Ja]
                .map(|language| lacking("tokyo-1", area, beacon.as_ref(), language))
        };
        assert_eq!(told(chiyoda, None), ["a landmark at tokyo-1", "tokyo-1 のランドマーク"]);
        let [en, ja] = told(chiyoda, beacon(38_190));
        assert_eq!(en, "a shorter way to kanto/tokyo-1: 396.1 µs, at most 38.1 µs would do");
        assert_eq!(ja, "kanto/tokyo-1 への短い経路: 396.1 µs、38.1 µs 以下なら可");
        let [en, ja] = told(chiyoda, beacon(0));
        assert!(en.starts_with("a landmark at tokyo-1 inside") && ja.contains("境界"), "{en}");
        let [en, ja] = told(Area::resolve("JP").ok(), beacon(38_190));
        assert_eq!(
            (en.as_str(), ja.as_str()),
            ("a tag that names a municipality", "市区町村を示すタグ")
        );
    }
}
