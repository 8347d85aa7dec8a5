//! What a host finds wrong with itself: the findings of its agent's own checks.
//!
//! Must hold: bounded, in one order and plain text, because they come from hosts and are shown to people as they are.
//! Whether a finding keeps new work away is the agent's to say: a check that this program does not know is not for it to
//! judge. It says nothing of what runs already.

use crate::limit::{FINDING_TEXT_MAX, FITNESS_FINDINGS_MAX};
use crate::name::Name;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A check that did not come out well.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unfit {
    /// Which check: a stable name.
    pub check: Name,
    /// New work must not come until it comes out well.
    pub blocks: bool,
    /// In words, one line of at most [`FINDING_TEXT_MAX`] bytes.
    pub detail: String,
}

/// Why a list of findings is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FitnessError {
    /// More than [`FITNESS_FINDINGS_MAX`].
    #[error("at most {FITNESS_FINDINGS_MAX} findings, not {0}")]
    TooMany(usize),
    /// A detail is too long or no plain line.
    #[error("the detail of {0} must be one line of at most {FINDING_TEXT_MAX} bytes")]
    Detail(Name),
    /// Out of order, or one check twice.
    #[error("must be ordered by check, without doubles")]
    Order,
}

/// Whether `findings` have the one form in which they are kept.
///
/// # Errors
/// [`FitnessError`].
pub fn check(findings: &[Unfit]) -> Result<(), FitnessError> {
    if findings.len() > FITNESS_FINDINGS_MAX {
        return Err(FitnessError::TooMany(findings.len()));
    }
    let plain = |text: &str| text.len() <= FINDING_TEXT_MAX && !text.chars().any(char::is_control);
    if let Some(bad) = findings.iter().find(|finding| !plain(&finding.detail)) {
        return Err(FitnessError::Detail(bad.check.clone()));
    }
    if !findings.is_sorted_by(|a, b| a.check < b.check) {
        return Err(FitnessError::Order);
    }
    Ok(())
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfit(check: &str, detail: &str) -> Unfit {
        Unfit { check: Name::parse(check).unwrap(), blocks: true, detail: detail.into() }
    }

    #[test]
    fn findings_have_one_form() {
        check(&[]).unwrap();
        check(&[unfit("clock", "off by 20 s"), unfit("data-dir", "満杯")]).unwrap();
        let many: Vec<Unfit> = (10..27).map(|n| unfit(&format!("c{n}"), "")).collect();
        assert_eq!(check(&many), Err(FitnessError::TooMany(17)));
        for bad in ["two\nlines", "\u{1b}[2J", &"x".repeat(FINDING_TEXT_MAX + 1)] {
            assert!(matches!(check(&[unfit("clock", bad)]), Err(FitnessError::Detail(_))), "{bad}");
        }
        for bad in [["clock", "clock"], ["data-dir", "clock"]] {
            assert_eq!(check(&bad.map(|check| unfit(check, ""))), Err(FitnessError::Order));
        }
    }
}
