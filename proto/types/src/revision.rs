//! Positions in the one history: log index, incarnation, fencing epoch.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;

macro_rules! counter {
    ($($(#[$doc:meta])* $id:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $id(pub u64);
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(&self.0, f) }
        }
    )+};
}

counter! {
    /// The Raft log index of the entry that produced a state. Grows by entries, not by wall time.
    Revision,
    /// Which life of the cluster: 1 at genesis, one more after each restore from a backup.
    Incarnation,
}

/// Which of a site's sealing keys, in turn: 1 for the first. A revoked node takes its site's epoch out of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyEpoch(pub u32);

impl fmt::Display for KeyEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Numbers of members that one incarnation may give away. Which of them a lost tail of the log has used nobody knows, so
/// the next incarnation begins behind them all; a federation has at most sixteen members at a time.
const MEMBERS_OF_EACH: u64 = 1000;

impl Incarnation {
    /// The numbers that members of this incarnation may have: 1 to 999 for the first, 1001 to 1999 for the second.
    #[must_use]
    pub fn members(self) -> RangeInclusive<u64> {
        let first = self.0.saturating_sub(1).saturating_mul(MEMBERS_OF_EACH);
        first.saturating_add(1)..=first.saturating_add(MEMBERS_OF_EACH.saturating_sub(1))
    }
}

/// The fencing token of everything that one entry granted (P2): compared as (incarnation, log index).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Epoch {
    /// Cluster life.
    pub incarnation: Incarnation,
    /// Log index of the granting entry.
    pub revision: Revision,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.incarnation, self.revision)
    }
}

/// One placement: the epoch that granted it and its number among the placements of that entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlacementId {
    /// Fencing token.
    pub epoch: Epoch,
    /// Order within the entry, from 0.
    pub ordinal: u32,
}

impl fmt::Display for PlacementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("p-{}-{}-{}", self.epoch.incarnation, self.epoch.revision, self.ordinal))
    }
}

/// The text is not of the form `p-INCARNATION-REVISION-ORDINAL`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a placement is written p-INCARNATION-REVISION-ORDINAL")]
pub struct PlacementIdError;

impl std::str::FromStr for PlacementId {
    type Err = PlacementIdError;
    fn from_str(text: &str) -> Result<Self, PlacementIdError> {
        let mut parts = text.strip_prefix("p-").ok_or(PlacementIdError)?.split('-');
        let mut next = || parts.next().and_then(|p| p.parse::<u64>().ok()).ok_or(PlacementIdError);
        let (incarnation, revision, ordinal) = (next()?, next()?, next()?);
        let ordinal = u32::try_from(ordinal).map_err(|_range| PlacementIdError)?;
        if parts.next().is_some() {
            return Err(PlacementIdError);
        }
        let epoch = Epoch { incarnation: Incarnation(incarnation), revision: Revision(revision) };
        Ok(Self { epoch, ordinal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_a_member_belongs_to_two_incarnations() {
        assert_eq!(Incarnation(1).members(), 1..=999);
        assert_eq!(Incarnation(2).members(), 1001..=1999);
        let last = |n| *Incarnation(n).members().end();
        assert!((1..5).all(|n| last(n) < *Incarnation(n + 1).members().start()));
        assert!(Incarnation(u64::MAX).members().contains(&u64::MAX), "no overflow");
    }

    #[test]
    fn an_epoch_orders_by_incarnation_first() {
        let at = |i, r| Epoch { incarnation: Incarnation(i), revision: Revision(r) };
        assert!(at(1, 900) < at(2, 1));
        let id = PlacementId { epoch: at(1, 42), ordinal: 3 };
        assert_eq!(id.to_string(), "p-1-42-3");
        assert_eq!("p-1-42-3".parse(), Ok(id));
        for bad in ["", "p-1-42", "p-1-42-3-4", "p-1-42-x", "p-1-42-4294967296"] {
            assert_eq!(bad.parse::<PlacementId>(), Err(PlacementIdError), "{bad}");
        }
    }
}
