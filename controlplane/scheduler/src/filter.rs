//! The filters that a node has to pass, in the order in which they are applied and explained.
//!
//! Must hold: the order is fixed, because the first filter that leaves too few nodes is what people are told. What
//! waiting cannot change comes before what it can, or a cordon would hide a job that can never run.

use sekisho_types::error_code::{ErrorCode, Kind};

/// One filter. The order of the variants is the order of the funnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Filter {
    /// Inside Japan (D2).
    Country,
    /// Established well enough.
    Tier,
    /// Inside the areas of every rule set.
    Area,
    /// Of an operator that every rule set allows.
    Operator,
    /// Its operator takes work of the tenant, and this job.
    Vetoed,
    /// Has such devices, enough of them in one bucket, in use or not.
    Device,
    /// Neither it nor its site is revoked (P5).
    Enrolled,
    /// One member alone may draw no more than its site may.
    Rated,
    /// Offered to the tenant now, for so long.
    Offered,
    /// Its agents can read what the job runs.
    Sealed,
    /// Somebody keeps what the job runs.
    Kept,
    /// Has not refused this job.
    Willing,
    /// Approved by its operator.
    Approved,
    /// Finds nothing wrong with itself that keeps new work away.
    Fit,
    /// Not being drained.
    Staying,
    /// Not in quarantine: no second host claims to be it.
    Alone,
    /// Not cordoned, and its lease is live.
    Usable,
    /// Its site tag is in force.
    Tag,
    /// No job stands on it from which this one keeps apart.
    Apart,
    /// Enough of the devices are free in one bucket.
    Capacity,
    /// What is offered there is not all in use.
    Offer,
    /// What is left of it is not reserved for others, or is what the job names.
    Reserved,
    /// So may all members there, beside what draws power now.
    Power,
    /// The tenant's quotas admit the whole group (Q1).
    Quota,
    /// So do the budgets.
    Budget,
    /// The whole group finds places that stand to one another as it asks.
    Topology,
}

impl Filter {
    /// Every filter, in order.
    pub const ALL: [Self; 26] = [
        Self::Country,
        Self::Tier,
        Self::Area,
        Self::Operator,
        Self::Vetoed,
        Self::Device,
        Self::Enrolled,
        Self::Rated,
        Self::Offered,
        Self::Sealed,
        Self::Kept,
        Self::Willing,
        Self::Approved,
        Self::Fit,
        Self::Staying,
        Self::Alone,
        Self::Usable,
        Self::Tag,
        Self::Apart,
        Self::Capacity,
        Self::Offer,
        Self::Reserved,
        Self::Power,
        Self::Quota,
        Self::Budget,
        Self::Topology,
    ];

    /// The code that stands for it, where none of [`Self::others`] says more.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::Country => ErrorCode::ResidencyOutsideJp,
            Self::Tier => ErrorCode::ResidencyTier,
            Self::Area => ErrorCode::ResidencyArea,
            Self::Operator => ErrorCode::ResidencyOperator,
            Self::Vetoed => ErrorCode::OfferVetoed,
            Self::Rated => ErrorCode::PowerTooSmall,
            Self::Offered => ErrorCode::OfferNone,
            Self::Sealed => ErrorCode::PayloadNotSealed,
            Self::Kept => ErrorCode::PayloadNotHere,
            Self::Willing | Self::Usable => ErrorCode::NodeUnavailable,
            Self::Approved => ErrorCode::NodePending,
            Self::Fit => ErrorCode::NodeUnfit,
            Self::Staying => ErrorCode::NodeDraining,
            Self::Alone => ErrorCode::NodeQuarantined,
            Self::Device => ErrorCode::NoDevice,
            Self::Enrolled => ErrorCode::NodeRevoked,
            Self::Tag => ErrorCode::TagExpired,
            Self::Apart => ErrorCode::TopologyApart,
            Self::Capacity => ErrorCode::CapacityFull,
            Self::Offer => ErrorCode::OfferFull,
            Self::Reserved => ErrorCode::OfferReserved,
            Self::Power => ErrorCode::PowerFull,
            Self::Quota => ErrorCode::QuotaExceeded,
            Self::Budget => ErrorCode::BudgetExhausted,
            Self::Topology => ErrorCode::TopologyUnmet,
        }
    }

    /// Further codes for it. [`Filter::Quota`], [`Filter::Budget`] and [`Filter::Topology`] have one for what is too small even when
    /// nothing is charged; [`Filter::Capacity`], where what is free stands beside jobs that do not share with this one;
    /// [`Filter::Reserved`] has two for a job that names a reservation.
    #[must_use]
    pub fn others(self) -> &'static [ErrorCode] {
        match self {
            Self::Capacity => &[ErrorCode::ShareNeighbours],
            Self::Reserved => &[ErrorCode::ReservationFull, ErrorCode::ReservationNone],
            Self::Quota => &[ErrorCode::QuotaNone],
            Self::Budget => &[ErrorCode::BudgetTooSmall],
            Self::Topology => &[ErrorCode::TopologyNone],
            Self::Country
            | Self::Tier
            | Self::Area
            | Self::Operator
            | Self::Vetoed
            | Self::Rated
            | Self::Power
            | Self::Device
            | Self::Enrolled
            | Self::Offered
            | Self::Sealed
            | Self::Kept
            | Self::Willing
            | Self::Approved
            | Self::Fit
            | Self::Staying
            | Self::Alone
            | Self::Usable
            | Self::Tag
            | Self::Apart
            | Self::Offer => &[],
        }
    }

    /// The filter that a code of a purse belongs to.
    #[must_use]
    pub fn of_purse(code: ErrorCode) -> Self {
        let own = [Self::Vetoed, Self::Rated, Self::Offered, Self::Offer, Self::Reserved];
        let mut own = own.into_iter().chain([Self::Power, Self::Budget]);
        let stands = |filter: &Self| filter.code() == code || filter.others().contains(&code);
        own.find(stands).unwrap_or(Self::Quota)
    }

    /// The residency filter that a code of a denial belongs to; `None` for a code that is no denial of residency.
    #[must_use]
    pub fn of_residency(code: ErrorCode) -> Option<Self> {
        [Self::Country, Self::Tier, Self::Area, Self::Operator]
            .into_iter()
            .find(|filter| filter.code() == code)
    }

    /// Whether waiting cannot help.
    #[must_use]
    pub fn is_never(self) -> bool {
        self.code().kind() == Kind::Never
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_variants_is_the_order_of_the_funnel() {
        assert!(Filter::ALL.is_sorted_by(|a, b| a < b));
        let never: Vec<_> = Filter::ALL.into_iter().filter(|f| f.is_never()).collect();
        assert!(Filter::ALL.starts_with(&never), "never comes before not yet");
        assert_eq!(never.len(), 8);
        for filter in Filter::ALL.into_iter().take(4) {
            assert_eq!(Filter::of_residency(filter.code()), Some(filter));
        }
        assert_eq!(Filter::of_residency(ErrorCode::CapacityFull), None);
    }
}
