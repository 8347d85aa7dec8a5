//! One broken rule, in one line that says where, what, and what to do about it.

use std::fmt;

/// A broken house rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The rule's name, as `docs/STYLE.md` uses it.
    pub rule: &'static str,
    /// A crate, or a file with its line.
    pub place: String,
    /// What was found there.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Violation {
    /// Puts the four parts together.
    pub fn new(
        rule: &'static str,
        place: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { rule, place: place.into(), what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}; {}", self.rule, self.place, self.what, self.remedy)
    }
}
