//! What landmarks say of a node, for people.

use super::super::instant;
use crate::language::pick;
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
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
        }
    }
}

/// Landmarks as commands take them.
pub(in crate::command) fn ids(names: &[String]) -> String {
    let id = |name: &String| {
        LandmarkId::from_name(name).map_or_else(|| name.clone(), |id| id.to_string())
    };
    names.iter().map(id).collect::<Vec<_>>().join(", ")
}

impl LocationView {
    /// Who contradicts each other, or the tag.
    pub(in crate::command) fn contradiction(&self, language: Language) -> String {
        let who = ids(&self.inconsistent);
        pick(language, format!("inconsistent: {who}"), format!("矛盾: {who}"))
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
        if self.tier != "T2" {
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
        format!("T2 f={} {until}{lacks}", self.f)
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
        let over = v1::Location { tier: "T1".into(), ..proven };
        assert_eq!(told(&over), ["T1 (proof is over)", "T1 (証明切れ)"]);
        let short =
            v1::Location { tier: "T1".into(), missing_operators: 2, ..v1::Location::default() };
        assert_eq!(told(&short), ["T1, 2 operators missing for f=1", "T1、f=1 に 2 事業者不足"]);
        let names = ["operators/a/landmarks/x", "operators/b/landmarks/y"].map(str::to_owned);
        let torn = v1::Location { inconsistent: names.to_vec(), ..short };
        assert_eq!(told(&torn), ["inconsistent: a/x, b/y", "矛盾: a/x, b/y"]);
    }
}
