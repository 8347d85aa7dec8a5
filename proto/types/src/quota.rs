//! Amounts of GPUs that a tenant may hold at once, borrow and lend.
//!
//! Must hold: "unlimited" and "none" are words, never magic numbers, and no sum of amounts wraps.

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

/// GPUs, or no bound. What has no bound has none after any sum or difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Amount {
    /// So many.
    Gpus(u64),
    /// As many as there are.
    Unbounded,
}

impl From<Limit> for Amount {
    fn from(limit: Limit) -> Self {
        match limit {
            Limit::None => Self::Gpus(0),
            Limit::Gpus(gpus) => Self::Gpus(gpus),
            Limit::Unlimited => Self::Unbounded,
        }
    }
}

impl Amount {
    /// Nothing.
    pub const NONE: Self = Self::Gpus(0);

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Gpus(a), Self::Gpus(b)) => Self::Gpus(a.saturating_add(b)),
            (Self::Unbounded, _) | (_, Self::Unbounded) => Self::Unbounded,
        }
    }

    /// What is left of it without `gpus`; not less than nothing.
    #[must_use]
    pub fn less(self, gpus: u64) -> Self {
        match self {
            Self::Gpus(have) => Self::Gpus(have.saturating_sub(gpus)),
            Self::Unbounded => Self::Unbounded,
        }
    }

    /// Whether `gpus` are within it.
    #[must_use]
    pub fn covers(self, gpus: u64) -> bool {
        match self {
            Self::Gpus(have) => gpus <= have,
            Self::Unbounded => true,
        }
    }

    /// What `gpus` are beyond it.
    #[must_use]
    pub fn short_of(self, gpus: u64) -> u64 {
        match self {
            Self::Gpus(have) => gpus.saturating_sub(have),
            Self::Unbounded => 0,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpus(gpus) => f.pad(&gpus.to_string()),
            Self::Unbounded => f.pad("unlimited"),
        }
    }
}

/// What a tenant may hold of a class in an area (after Kueue's cluster queues).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allotment {
    /// Its own.
    pub nominal: Limit,
    /// What it may use beyond that of what others under the same parent lend, or the parent has.
    pub borrowing: Limit,
    /// What of its own others under the same parent may use while it does not.
    pub lending: Limit,
}

impl Allotment {
    /// None at all: what was never set.
    pub const NONE: Self =
        Self { nominal: Limit::None, borrowing: Limit::None, lending: Limit::None };

    /// Its own alone: it neither borrows nor lends.
    #[must_use]
    pub fn own(nominal: Limit) -> Self {
        Self { nominal, ..Self::NONE }
    }

    /// Whether nothing can be charged to it whatever others lend.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.nominal == Limit::None && self.borrowing == Limit::None
    }

    /// Checks each number by itself.
    ///
    /// # Errors
    /// The field that is beyond [`GPUS_MAX`].
    pub fn check(&self) -> Result<(), &'static str> {
        let within =
            |limit: Limit| Amount::Gpus(GPUS_MAX) >= limit.into() || limit == Limit::Unlimited;
        let fields =
            [("limit", self.nominal), ("borrowing", self.borrowing), ("lending", self.lending)];
        match fields.into_iter().find(|(_, limit)| !within(*limit)) {
            Some((field, _)) => Err(field),
            None => Ok(()),
        }
    }
}

/// Most GPUs that a limit or offer names: more than there are, and so few that no sum of them comes near a wrap.
pub const GPUS_MAX: u64 = 1_000_000_000;

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

    #[test]
    fn what_has_no_bound_keeps_none_and_nothing_wraps() {
        let (some, all) = (Amount::Gpus(u64::MAX), Amount::Unbounded);
        assert_eq!(some.plus(Amount::Gpus(1)), some);
        assert_eq!((all.plus(some), all.less(u64::MAX)), (all, all));
        assert_eq!(Amount::Gpus(3).less(5), Amount::NONE);
        assert!(Amount::Gpus(3).covers(3) && !Amount::Gpus(3).covers(4) && all.covers(u64::MAX));
        assert_eq!((Amount::Gpus(3).short_of(5), all.short_of(5)), (2, 0));
        assert!(some < all);
    }

    #[test]
    fn an_allotment_names_the_number_that_is_too_large() {
        let over = Limit::Gpus(GPUS_MAX + 1);
        assert_eq!(Allotment::own(Limit::Gpus(GPUS_MAX)).check(), Ok(()));
        assert_eq!(Allotment::own(Limit::Unlimited).check(), Ok(()));
        assert_eq!(Allotment::own(over).check(), Err("limit"));
        assert_eq!(Allotment { borrowing: over, ..Allotment::NONE }.check(), Err("borrowing"));
        assert_eq!(Allotment { lending: over, ..Allotment::NONE }.check(), Err("lending"));
        assert!(Allotment::NONE.is_none());
        assert!(!Allotment { borrowing: Limit::Unlimited, ..Allotment::NONE }.is_none());
    }
}
