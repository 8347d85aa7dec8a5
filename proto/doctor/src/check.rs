//! A check, what can come out of it, and what came out.
//!
//! Must hold: no outcome exists in one language only, and both name the same values.

use crate::catalogue::any::ANY_UNREADABLE;
pub use sekisho_types::error_code::Text;

use sekisho_types::error_code::Language;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;

/// How bad an outcome is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Could not be looked at, or does not apply here; the words say why.
    Skipped,
    /// Works, and should not stay so.
    Warning,
    /// Does not work, or will not.
    Failure,
}

/// Something that is looked at.
#[derive(Debug)]
pub struct Check {
    /// Stable name.
    pub id: &'static str,
    /// What is looked at, and why.
    pub about: Text,
    /// What can come out.
    pub outcomes: &'static [&'static Outcome],
}

/// What can come out of a check. Values stand in braces.
#[derive(Debug)]
pub struct Outcome {
    /// Of which check.
    pub check: &'static Check,
    /// Stable name.
    pub code: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub found: Text,
    /// What to do about it; empty where nothing is to be done.
    pub remedy: Text,
    /// The command that helps; empty where none does.
    pub command: &'static str,
}

/// What came out of a check.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Of which check. Its own and not the outcome's: every check can be late.
    pub check: &'static Check,
    /// What.
    pub outcome: &'static Outcome,
    values: BTreeMap<&'static str, String>,
}

/// What the outcome of every check may be.
impl PartialEq for Finding {
    fn eq(&self, other: &Self) -> bool {
        (self.check.id, self.outcome.code, &self.values)
            == (other.check.id, other.outcome.code, &other.values)
    }
}

impl Eq for Finding {}

impl Finding {
    /// A finding without values.
    #[must_use]
    pub fn new(outcome: &'static Outcome) -> Self {
        Self { check: outcome.check, outcome, values: BTreeMap::new() }
    }

    /// The same as an outcome of `check`, for what can come out of any.
    #[must_use]
    pub fn of(mut self, check: &'static Check) -> Self {
        self.check = check;
        self
    }

    /// What a look found, or that it could not look.
    #[must_use]
    pub fn told(check: &'static Check, looked: io::Result<Self>) -> Self {
        looked.unwrap_or_else(|error| Self::new(&ANY_UNREADABLE).of(check).with("cause", error))
    }

    /// Adds a value.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.values.insert(name, plain(&value.to_string()));
        self
    }

    /// How bad it is.
    #[must_use]
    pub fn level(&self) -> Level {
        self.outcome.level
    }

    /// Its values.
    #[must_use]
    pub fn values(&self) -> &BTreeMap<&'static str, String> {
        &self.values
    }

    /// What was found.
    #[must_use]
    pub fn found(&self, language: Language) -> String {
        self.fill(self.outcome.found.of(language))
    }

    /// What to do about it; empty where nothing is to be done.
    #[must_use]
    pub fn remedy(&self, language: Language) -> String {
        self.fill(self.outcome.remedy.of(language))
    }

    /// The command that helps; empty where none does.
    #[must_use]
    pub fn command(&self) -> String {
        self.fill(self.outcome.command)
    }

    fn fill(&self, template: &str) -> String {
        let mut parts = template.split('{');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap_or((part, ""));
            text.push_str(self.values.get(name).map_or("?", String::as_str));
            text.push_str(rest);
        }
        text
    }
}

/// Without what could move a terminal's cursor: paths and the words of peers come from elsewhere.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{ALL, any, host};
    use std::collections::BTreeSet;

    fn names(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).map(|rest| rest.split_once('}').unwrap().0).collect()
    }

    #[test]
    fn both_languages_name_the_same_values_and_names_are_unique() {
        let (mut ids, mut codes) = (BTreeSet::new(), BTreeSet::new());
        for check in ALL.iter().copied().flatten() {
            assert!(ids.insert(check.id), "{}", check.id);
            assert!(check.about.en.is_ascii() && !check.about.ja.is_ascii(), "{}", check.id);
            for outcome in check.outcomes {
                let code = outcome.code;
                assert!(codes.insert(code), "{code}");
                assert_eq!(outcome.check.id, check.id, "{code}");
                let (found, remedy) = (outcome.found, outcome.remedy);
                assert!(found.en.is_ascii() && remedy.en.is_ascii(), "{code}");
                assert_eq!(names(found.en), names(found.ja), "{code}");
                assert_eq!(names(remedy.en), names(remedy.ja), "{code}");
                assert!(names(remedy.en).is_subset(&names(found.en)), "{code}");
                assert!(names(outcome.command).is_subset(&names(found.en)), "{code}");
                let bad = matches!(outcome.level, Level::Warning | Level::Failure);
                assert_eq!(bad, !remedy.en.is_empty(), "{code}: what is wrong has a remedy");
                assert_eq!(remedy.en.is_empty(), remedy.ja.is_empty(), "{code}");
            }
        }
    }

    #[test]
    fn values_fill_the_words_and_cannot_write_on_the_terminal() {
        let late = Finding::new(&any::ANY_LATE).with("seconds", 5).of(&host::DATA_SYNC);
        assert_eq!((late.check.id, late.level()), ("data-sync", Level::Failure));
        assert!(late.found(Language::En).contains("5 s"), "{late:?}");
        let odd = Finding::new(&any::ANY_BROKEN).with("cause", "a\u{1b}[2J\nb");
        assert!(odd.found(Language::Ja).contains("a [2J b"), "{odd:?}");
        assert!(Finding::new(&any::ANY_LATE).found(Language::En).contains('?'));
    }
}
