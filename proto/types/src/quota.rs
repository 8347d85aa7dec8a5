//! Amounts of GPUs that a tenant may hold at once.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A limit on concurrent GPUs. "Unlimited" and "none" are words, never magic numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// Nothing may be charged. Also what an unset quota means: unknown = denied.
    None,
    /// At most this many GPUs at once.
    Gpus(u64),
    /// No bound.
    Unlimited,
}

impl Limit {
    /// Whether `usage` GPUs may be charged at once.
    #[must_use]
    pub fn admits(self, usage: u64) -> bool {
        match self {
            Self::None => usage == 0,
            Self::Gpus(limit) => usage <= limit,
            Self::Unlimited => true,
        }
    }

    /// Parses `none`, `unlimited` or a number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "unlimited" => Some(Self::Unlimited),
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().map(Self::Gpus)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.pad("none"),
            Self::Gpus(n) => f.pad(&n.to_string()),
            Self::Unlimited => f.pad("unlimited"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers() {
        for text in ["none", "unlimited", "0", "12"] {
            assert_eq!(Limit::parse(text).map(|l| l.to_string()).as_deref(), Some(text));
        }
        for bad in ["", "-1", "+1", "1.5", "None"] {
            assert_eq!(Limit::parse(bad), None, "{bad}");
        }
        assert!(Limit::Gpus(2).admits(2) && !Limit::Gpus(2).admits(3) && !Limit::None.admits(1));
    }
}
