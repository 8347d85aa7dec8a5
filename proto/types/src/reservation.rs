//! Devices that an operator promises to a tenant at a site, for a time ahead or from now on without an end.
//!
//! Must hold: what is promised comes out of what is offered there; it grants nothing by itself, and nobody else is granted
//! what it holds.

use crate::id::{DeviceClass, SiteId};
use crate::offer::START_WITHIN_MS;
use crate::quota::GPUS_MAX;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What becomes of work of others that still holds what is reserved when its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reclaim {
    /// It goes on to its end; what is reserved is there when it has left.
    Wait,
    /// It is moved, what came last first.
    Drain,
}

/// A reservation as the site's operator makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationSpec {
    /// Where.
    pub site: SiteId,
    /// Device class.
    pub class: DeviceClass,
    /// Devices at once, 1 to [`GPUS_MAX`].
    pub gpus: u64,
    /// They are held from here on, state clock …
    pub from: Timestamp,
    /// … to here; `None` = without an end: a committed minimum.
    pub until: Option<Timestamp>,
    /// What becomes of work of others that still holds them.
    pub reclaim: Reclaim,
    /// What for, for people.
    pub message: String,
}

/// Reservations of one class at one site: each is looked at for each placement there.
pub const RESERVATIONS_PER_SITE_CLASS_MAX: usize = 32;

/// Reservations of one tenant, wherever they are.
pub const RESERVATIONS_PER_TENANT_MAX: usize = 64;

/// Longest time of a reservation that has an end, from its making or beginning on: a year and a day. What is to last longer has
/// none.
pub const RESERVED_FOR_MAX_MS: u64 = 366 * 86_400_000;

/// A reservation begins within so long of being made: five years.
pub const RESERVED_AHEAD_MAX_MS: u64 = 5 * RESERVED_FOR_MAX_MS;

/// So long one that is over is shown.
pub const RESERVATION_KEPT_MS: u64 = 7 * 86_400_000;

impl ReservationSpec {
    /// Checks what does not depend on state.
    ///
    /// # Errors
    /// The field, and what it must be.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=GPUS_MAX).contains(&self.gpus) {
            return Err(format!("gpus: must be 1 to {GPUS_MAX}"));
        }
        if self.until.is_some_and(|until| until <= self.from) {
            return Err("until: must come after from".to_owned());
        }
        Ok(())
    }

    /// Whether it holds devices at a moment.
    #[must_use]
    pub fn holds_at(&self, at: Timestamp) -> bool {
        self.from <= at && !self.is_over(at)
    }

    /// Whether its time is over at a moment.
    #[must_use]
    pub fn is_over(&self, at: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= at)
    }

    /// Whether it holds devices at some moment from `begin` on and before `end`.
    #[must_use]
    pub fn meets(&self, begin: Timestamp, end: Timestamp) -> bool {
        self.from < end && !self.is_over(begin)
    }
}

/// When what is charged until `until` has left at the latest: its host counts the time limit from the start of the job, which
/// may come as late as that of one that is to end within an offer.
#[must_use]
pub fn left_by(until: Timestamp) -> Timestamp {
    until.plus_ms(START_WITHIN_MS)
}

impl Reclaim {
    /// What is of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Wait, Self::Drain].into_iter().find(|one| one.as_str() == text)
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Drain => "drain",
        }
    }
}

impl fmt::Display for Reclaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ReservationSpec {
        ReservationSpec {
            site: "tokyo-1".parse().unwrap(),
            class: "h100-80g".parse().unwrap(),
            gpus: 16,
            from: Timestamp(1000),
            until: Some(Timestamp(9000)),
            reclaim: Reclaim::Wait,
            message: String::new(),
        }
    }

    #[test]
    fn it_holds_from_its_beginning_to_before_its_end() {
        let holds = [999, 1000, 8999, 9000].map(|at| spec().holds_at(Timestamp(at)));
        assert_eq!(holds, [false, true, true, false]);
        let endless = ReservationSpec { until: None, ..spec() };
        assert!(endless.holds_at(Timestamp(u64::MAX)));
        let meets = |begin, end| spec().meets(Timestamp(begin), Timestamp(end));
        assert!(meets(0, 1001) && meets(8999, 9999));
        assert!(!meets(0, 1000) && !meets(9000, 9999));
    }

    #[test]
    fn every_bad_field_is_named() {
        assert_eq!(spec().check(), Ok(()));
        for (bad, field) in [
            (ReservationSpec { gpus: 0, ..spec() }, "gpus"),
            (ReservationSpec { gpus: u64::MAX, ..spec() }, "gpus"),
            (ReservationSpec { until: Some(Timestamp(1000)), ..spec() }, "until"),
        ] {
            assert!(bad.check().unwrap_err().starts_with(field), "{field}");
        }
        for one in [Reclaim::Wait, Reclaim::Drain] {
            assert_eq!(Reclaim::parse(one.as_str()), Some(one));
        }
    }
}
