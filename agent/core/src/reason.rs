//! Why something is refused: a code and a detail that fits a receipt.

use sekisho_types::error_code::ErrorCode;
use sekisho_types::limit::TEXT_MAX;
use sekisho_types::residency::Denial;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The first check that failed, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable code.
    pub code: ErrorCode,
    /// In words, at most [`TEXT_MAX`] bytes.
    pub detail: String,
}

impl Reason {
    /// A reason; a long detail is cut at a character.
    #[must_use]
    pub fn new(code: ErrorCode, detail: &dyn fmt::Display) -> Self {
        let mut detail = detail.to_string();
        let end = (0..=TEXT_MAX).rev().find(|at| detail.is_char_boundary(*at)).unwrap_or(0);
        detail.truncate(end);
        Self { code, detail }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl From<&Denial> for Reason {
    /// The same codes as admission gives.
    fn from(denial: &Denial) -> Self {
        Self::new(denial.code(), denial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_detail_is_cut_at_a_character() {
        let reason = Reason::new(ErrorCode::Internal, &"あ".repeat(TEXT_MAX));
        assert_eq!(reason.detail.len(), TEXT_MAX / 3 * 3);
        assert_eq!(Reason::new(ErrorCode::Internal, &"").detail, "");
    }
}
