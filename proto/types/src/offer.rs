//! What an operator offers of its devices, and whom it wants none of (design section 8).
//!
//! Must hold: nothing is granted at a site beyond what its own operator offers there; whoever is at the hub can neither
//! raise an offer nor lift a veto.

use crate::id::{DeviceClass, JobId, TenantId};
use crate::quota::GPUS_MAX;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// What becomes of running work that an offer no longer covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OnLower {
    /// It goes on; nothing more comes.
    Keep,
    /// It is moved, but for what the offer still covers: that stays, the oldest first.
    Drain,
}

/// An offer as its operator makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferSpec {
    /// Device class.
    pub class: DeviceClass,
    /// Devices at once, at most [`GPUS_MAX`].
    pub gpus: u64,
    /// Nothing is granted before it.
    pub from: Timestamp,
    /// What is granted ends before it by its own time limit, [`START_WITHIN_MS`] added; `None` = it has no end.
    pub until: Option<Timestamp>,
    /// Tenants to whom it is not made, at most [`EXCLUDED_MAX`].
    pub excluded: BTreeSet<TenantId>,
    /// Price, yen for one device and hour, at most [`PRICE_MAX`].
    pub yen_per_gpu_hour: u64,
    /// What becomes of running work when less is offered, or time is up.
    pub on_lower: OnLower,
}

/// So long after its grant a job begins at the latest that is to end within an offer: its host counts the time limit from
/// there. What begins later is moved at the offer's end.
pub const START_WITHIN_MS: u64 = 120_000;

/// Most tenants that an offer excludes: who wants to serve a few only makes few, and vetoes the rest.
pub const EXCLUDED_MAX: usize = 256;

/// Highest price of a device and hour, yen.
pub const PRICE_MAX: u64 = 1_000_000;

/// Offers of one site: each is looked at for each placement there.
pub const OFFERS_PER_SITE_MAX: usize = 64;

impl OfferSpec {
    /// Checks what does not depend on state.
    ///
    /// # Errors
    /// The field, and what it must be.
    pub fn check(&self) -> Result<(), String> {
        if self.gpus > GPUS_MAX {
            return Err(format!("gpus: at most {GPUS_MAX}"));
        }
        if self.until.is_some_and(|until| until <= self.from) {
            return Err("until: must come after from".to_owned());
        }
        if self.excluded.len() > EXCLUDED_MAX {
            return Err(format!("excluded: at most {EXCLUDED_MAX} tenants"));
        }
        if self.yen_per_gpu_hour > PRICE_MAX {
            return Err(format!("yen_per_gpu_hour: at most {PRICE_MAX}"));
        }
        Ok(())
    }

    /// Whether it is made to this tenant for work that is granted at `now` and, if it began at once, ends at `end`.
    #[must_use]
    pub fn admits(&self, tenant: &TenantId, now: Timestamp, end: Timestamp) -> bool {
        self.from <= now
            && self.until.is_none_or(|until| end.plus_ms(START_WITHIN_MS) <= until)
            && !self.excluded.contains(tenant)
    }
}

/// What an operator takes no work of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Vetoed {
    /// Of this tenant.
    Tenant(TenantId),
    /// This job.
    Job(JobId),
}

impl fmt::Display for Vetoed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant(tenant) => write!(f, "tenant {tenant}"),
            Self::Job(job) => write!(f, "job {job}"),
        }
    }
}

impl OnLower {
    /// What is of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Keep, Self::Drain].into_iter().find(|one| one.as_str() == text)
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Drain => "drain",
        }
    }
}

impl fmt::Display for OnLower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer() -> OfferSpec {
        OfferSpec {
            class: "h100-80g".parse().unwrap(),
            gpus: 64,
            from: Timestamp(1000),
            until: Some(Timestamp(9000 + START_WITHIN_MS)),
            excluded: ["osaka".parse().unwrap()].into(),
            yen_per_gpu_hour: 400,
            on_lower: OnLower::Drain,
        }
    }

    #[test]
    fn an_offer_is_made_for_its_time_and_not_to_whom_it_excludes() {
        let (sapporo, osaka) = ("sapporo".parse().unwrap(), "osaka".parse().unwrap());
        let admits = |tenant, now, end| offer().admits(tenant, Timestamp(now), Timestamp(end));
        assert!(admits(&sapporo, 1000, 9000));
        assert!(!admits(&sapporo, 999, 9000) && !admits(&sapporo, 1000, 9001));
        assert!(!admits(&osaka, 1000, 9000));
        let endless = OfferSpec { until: None, ..offer() };
        assert!(endless.admits(&sapporo, Timestamp(1000), Timestamp(u64::MAX)));
    }

    #[test]
    fn every_bad_field_is_named() {
        assert_eq!(offer().check(), Ok(()));
        let until = Some(Timestamp(1000));
        let excluded = (0..=EXCLUDED_MAX).map(|n| format!("t-{n}").parse().unwrap()).collect();
        for (bad, field) in [
            (OfferSpec { gpus: GPUS_MAX + 1, ..offer() }, "gpus"),
            (OfferSpec { until, ..offer() }, "until"),
            (OfferSpec { excluded, ..offer() }, "excluded"),
            (OfferSpec { yen_per_gpu_hour: PRICE_MAX + 1, ..offer() }, "yen_per_gpu_hour"),
        ] {
            assert!(bad.check().unwrap_err().starts_with(field), "{field}");
        }
        for one in [OnLower::Keep, OnLower::Drain] {
            assert_eq!(OnLower::parse(one.as_str()), Some(one));
        }
    }
}
