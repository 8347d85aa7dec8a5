//! Who may stand together on one device that several jobs take turns on.
//!
//! Must hold: nobody shares without saying so, and with nobody whom it did not agree to. The planner, apply and the agent ask
//! the same [`Party`], so none of them takes what another refuses.
//! Does not know: how many may come; a bucket has as many shares as it counts.

use crate::id::{DeviceClass, TenantId};
use crate::name::NameError;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How the class of shared devices ends.
pub const SHARED_SUFFIX: &str = "-shared";

/// With whom a job shares a device.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum Sharing {
    /// With nobody.
    #[default]
    Alone,
    /// With jobs of its own tenant.
    Tenant,
    /// With jobs of any tenant that says so as well.
    Any,
}

impl Sharing {
    /// Whether a job may be given a share at all.
    #[must_use]
    pub fn is_agreed(self) -> bool {
        match self {
            Self::Alone => false,
            Self::Tenant | Self::Any => true,
        }
    }
}

/// As a spec says it.
impl fmt::Display for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Alone => "alone",
            Self::Tenant => "tenant",
            Self::Any => "any",
        })
    }
}

impl DeviceClass {
    /// Whether its devices are shared ones. The name says so, so that nobody asks for a share without knowing it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.as_str().ends_with(SHARED_SUFFIX)
    }

    /// The class of shares of devices of this one.
    ///
    /// # Errors
    /// The name is too long.
    pub fn shared(&self) -> Result<Self, NameError> {
        format!("{self}{SHARED_SUFFIX}").parse()
    }
}

/// Who stands on a shared device, as far as it decides who may come.
///
/// Begun ones come first in the order, so that they are filled up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Party {
    /// Jobs of this tenant, of which one takes no other tenant's.
    Closed(TenantId),
    /// Jobs of this tenant, which take others too.
    Open(TenantId),
    /// Jobs of several tenants.
    Mixed,
    /// Nobody.
    #[default]
    Nobody,
}

impl Party {
    /// Whether a job may join them.
    #[must_use]
    pub fn admits(&self, tenant: &TenantId, sharing: Sharing) -> bool {
        sharing.is_agreed()
            && match self {
                Self::Nobody => true,
                Self::Closed(own) => own == tenant,
                Self::Open(own) => own == tenant || sharing == Sharing::Any,
                Self::Mixed => sharing == Sharing::Any,
            }
    }

    /// The same with a job that it admits.
    #[must_use]
    pub fn with(self, tenant: &TenantId, sharing: Sharing) -> Self {
        match self {
            Self::Nobody if sharing == Sharing::Any => Self::Open(tenant.clone()),
            Self::Nobody => Self::Closed(tenant.clone()),
            Self::Open(own) if own != *tenant => Self::Mixed,
            Self::Open(own) if sharing == Sharing::Any => Self::Open(own),
            Self::Open(own) | Self::Closed(own) => Self::Closed(own),
            Self::Mixed => Self::Mixed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Guest = (TenantId, Sharing);

    /// What both say of each other, which is the rule itself.
    fn agree(one: &Guest, other: &Guest) -> bool {
        let both = one.1 == Sharing::Any && other.1 == Sharing::Any;
        one.1.is_agreed() && other.1.is_agreed() && (one.0 == other.0 || both)
    }

    fn guest() -> impl Strategy<Value = Guest> {
        let tenant = prop::sample::select(vec!["sapporo", "naha", "osaka"]);
        let sharing = prop::sample::select(vec![Sharing::Alone, Sharing::Tenant, Sharing::Any]);
        (tenant, sharing).prop_map(|(tenant, sharing)| (tenant.parse().unwrap(), sharing))
    }

    #[test]
    fn a_class_says_that_it_is_shared() {
        let whole: DeviceClass = "h200".parse().unwrap();
        assert!(!whole.is_shared());
        assert_eq!(whole.shared().unwrap().as_str(), "h200-shared");
        assert!(whole.shared().unwrap().is_shared());
        assert!(!"shared".parse::<DeviceClass>().unwrap().is_shared());
        let long: DeviceClass = "a".repeat(60).parse().unwrap();
        assert_eq!(long.shared(), Err(NameError::TooLong(67)));
    }

    proptest! {
        /// Whoever joins agrees with everybody there, each with each; whoever is kept out does not.
        #[test]
        fn a_party_admits_whom_all_of_it_agree_with(
            comers in prop::collection::vec(guest(), 0..8),
            order in Just((0usize..8).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let (mut party, mut there) = (Party::Nobody, Vec::<Guest>::new());
            for comer in comers {
                let all = comer.1.is_agreed() && there.iter().all(|one| agree(one, &comer));
                prop_assert_eq!(party.admits(&comer.0, comer.1), all, "{:?} to {:?}", comer, there);
                if all {
                    party = party.with(&comer.0, comer.1);
                    there.push(comer);
                }
            }
            let again = order.iter().filter_map(|at| there.get(*at));
            let shuffled = again.fold(Party::Nobody, |party, (tenant, sharing)| party.with(tenant, *sharing));
            prop_assert_eq!(shuffled, party, "who came first changes nothing");
        }
    }
}
