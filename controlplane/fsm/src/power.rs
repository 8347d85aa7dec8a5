//! What the granted devices of a site may draw, and the cap that its operator sets.
//!
//! Must hold: what is counted at a site is, of each placement there that is not ended, its devices times what each of its
//! bucket is rated at now; it is charged in the entry that grants and comes back with the placement's confirmed end (Q2).
//! Nothing is granted beyond a cap. What runs when a cap is lowered goes on.
//! Does not know: what devices draw at a moment, and what hosts and cooling draw.

use crate::state::{Node, State};
use sekisho_types::device::Bucket;
use sekisho_types::id::SiteId;
use sekisho_types::job::JobFacts;
use serde::{Deserialize, Serialize};

/// The power of a site. A site without a row has no cap, and nothing runs there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SitePower {
    /// What all devices that are granted there may draw together, watts, at most
    /// [`SITE_WATTS_MAX`](sekisho_types::power::SITE_WATTS_MAX); `None` = it is not capped.
    pub cap: Option<u64>,
    /// What those of placements that are not ended may draw, watts.
    pub used: u64,
}

impl SitePower {
    /// What a cap leaves beside so much more, watts; `None` = there is none.
    #[must_use]
    pub fn left(&self, more: u64) -> Option<u64> {
        self.cap.map(|cap| cap.saturating_sub(self.used.saturating_add(more)))
    }

    /// Whether a member that may draw so much could ever stand there.
    #[must_use]
    pub fn ever_covers(&self, watts: u64) -> bool {
        self.cap.is_none_or(|cap| watts <= cap)
    }
}

/// What so many devices of a bucket may draw, watts.
#[must_use]
pub fn watts(bucket: &Bucket, gpus: u32) -> u64 {
    u64::from(bucket.rated_watts()).saturating_mul(u64::from(gpus))
}

impl Node {
    /// What so many devices of a bucket of it may draw, watts; of a bucket that it has not, none.
    #[must_use]
    pub fn watts(&self, bucket: u16, gpus: u32) -> u64 {
        self.buckets.get(usize::from(bucket)).map_or(0, |bucket| watts(bucket, gpus))
    }

    /// What its devices may draw that are charged, watts.
    #[must_use]
    pub fn used_watts(&self) -> u64 {
        let used = self.used.iter().map(|(bucket, gpus)| self.watts(*bucket, *gpus));
        used.fold(0, u64::saturating_add)
    }

    /// The least that one member of a job may draw here, watts: in a bucket with room for it if there is one, else in one that
    /// is large enough; none if it has no such devices.
    #[must_use]
    pub fn least_watts(&self, facts: &JobFacts) -> u64 {
        let wanted = &facts.resources;
        let suits = |bucket: &Bucket| {
            bucket.class == wanted.class
                && bucket.memory_mib >= wanted.memory_mib
                && bucket.units >= wanted.units
                && bucket.count >= wanted.gpus
        };
        let buckets = (0u16..).zip(&self.buckets).filter(|(_, bucket)| suits(bucket));
        let least = buckets.map(|(at, bucket)| {
            let full = self.free_for(at, &facts.id) < wanted.gpus;
            (full, watts(bucket, wanted.gpus))
        });
        least.min().map_or(0, |(_, watts)| watts)
    }
}

impl State {
    /// The power of a site.
    #[must_use]
    pub fn power(&self, site: &SiteId) -> SitePower {
        self.powers.get(site).copied().unwrap_or_default()
    }

    /// The power of each site that is capped or where something runs.
    pub fn powers(&self) -> impl DoubleEndedIterator<Item = (&SiteId, &SitePower)> {
        self.powers.iter()
    }

    /// Whether any site is capped.
    #[must_use]
    pub fn caps_power(&self) -> bool {
        self.powers.iter().any(|(_, power)| power.cap.is_some())
    }

    /// Changes the power of a site. A row that says nothing goes.
    pub(crate) fn edit_power(&mut self, site: &SiteId, edit: impl FnOnce(&mut SitePower)) {
        let mut power = self.power(site);
        edit(&mut power);
        if power == SitePower::default() {
            self.powers.remove(site);
        } else {
            self.powers.insert(site.clone(), power);
        }
    }

    /// Gives back what so many devices of a node's bucket may draw.
    pub(crate) fn give_power_back(&mut self, site: &SiteId, watts: u64) {
        self.edit_power(site, |power| power.used = power.used.saturating_sub(watts));
    }
}
