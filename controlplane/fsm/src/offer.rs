//! What operators offer of their devices, and what of it is granted.
//!
//! Must hold: a placement is charged to one offer of its site, and no offer has more charged than it names when something is
//! granted; where none is made, nothing is granted (unknown = denied). A veto of the site's operator stands before all.
//! One rule says which offer: the cheapest that has room, then by name; the planner and apply use the same function.
//! Does not know: who may hold how much (`quota`).

use crate::apply::placement::is_desired;
use crate::state::{Placement, State};
use sekisho_types::id::{DeviceClass, JobId, OperatorId, SiteId, TenantId};
use sekisho_types::name::Name;
use sekisho_types::offer::{OfferSpec, OnLower, Vetoed};
use sekisho_types::principal::Principal;
use sekisho_types::revision::{PlacementId, Revision};
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The key of an offer.
pub type OfferKey = (SiteId, Name);

/// An offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// As it was made.
    pub spec: OfferSpec,
    /// Withdrawn: nothing more is granted, and the row goes with the last placement.
    pub withdrawn: bool,
    /// Devices of placements that are not ended.
    pub used: u64,
    /// When it was last made or changed, on the state clock.
    pub since: Timestamp,
    /// Last change of what was made.
    pub revision: Revision,
}

/// That an operator takes no work of somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Veto {
    /// Who said so.
    pub by: Principal,
    /// Why, for people.
    pub reason: String,
    /// Since when, on the state clock.
    pub since: Timestamp,
    /// The entry that said so.
    pub revision: Revision,
}

/// The key of a veto.
pub type VetoKey = (OperatorId, Vetoed);

impl Offer {
    /// Devices that are offered at `now`: none before it begins, which one that is changed may do once more.
    #[must_use]
    pub fn amount(&self, now: Timestamp) -> u64 {
        let over = self.withdrawn || self.spec.until.is_some_and(|until| until <= now);
        if over || now < self.spec.from { 0 } else { self.spec.gpus }
    }
}

impl Offer {
    /// Since when it offers what it does, at the latest.
    pub(crate) fn lowered(&self, now: Timestamp) -> Timestamp {
        let over = self.spec.until.filter(|until| *until <= now);
        over.map_or(self.since, |until| until.max(self.since))
    }
}

impl State {
    /// One offer.
    #[must_use]
    pub fn offer(&self, site: &SiteId, name: &Name) -> Option<&Offer> {
        self.offers.get(&(site.clone(), name.clone()))
    }

    /// All offers, by site and name.
    pub fn offers(&self) -> impl DoubleEndedIterator<Item = (&OfferKey, &Offer)> {
        self.offers.iter()
    }

    /// Offers of one site.
    pub fn offers_of<'s>(
        &'s self,
        site: &SiteId,
    ) -> impl Iterator<Item = (&'s OfferKey, &'s Offer)> + use<'s> {
        let site = site.clone();
        // The least of all names.
        let first = Name::parse("a").ok().map(|name| (site.clone(), name));
        let from = first.into_iter().flat_map(|first| self.offers.range(first..));
        from.take_while(move |((of, _), _)| *of == site)
    }

    /// Offers of a class at a site that are made to a tenant for work from `now` until `end`, in the order in which they are
    /// charged.
    pub(crate) fn offers_for<'s>(
        &'s self,
        site: &SiteId,
        (tenant, class): (&TenantId, &DeviceClass),
        (now, end): (Timestamp, Timestamp),
    ) -> Vec<(&'s OfferKey, &'s Offer)> {
        let made = |offer: &Offer| {
            !offer.withdrawn && offer.spec.class == *class && offer.spec.admits(tenant, now, end)
        };
        let mut offers: Vec<_> = self.offers_of(site).filter(|(_, offer)| made(offer)).collect();
        offers.sort_by_key(|(key, offer)| (offer.spec.yen_per_gpu_hour, *key));
        offers
    }

    /// All vetoes, by operator.
    pub fn vetoes(&self) -> impl DoubleEndedIterator<Item = (&VetoKey, &Veto)> {
        self.vetoes.iter()
    }

    /// One veto.
    #[must_use]
    pub fn veto(&self, operator: &OperatorId, of: &Vetoed) -> Option<&Veto> {
        self.vetoes.get(&(operator.clone(), of.clone()))
    }

    /// The veto that keeps a job off an operator's devices.
    #[must_use]
    pub fn vetoed(&self, operator: &OperatorId, job: &JobId) -> Option<(&VetoKey, &Veto)> {
        if self.vetoes.is_empty() {
            return None;
        }
        let keys = [Vetoed::Tenant(job.tenant.clone()), Vetoed::Job(job.whole())];
        keys.into_iter().find_map(|of| {
            self.vetoes
                .range((operator.clone(), of.clone())..)
                .next()
                .filter(|((by, what), _)| by == operator && *what == of)
        })
    }

    /// Whether any operator vetoed this very job.
    #[must_use]
    pub fn is_vetoed_itself(&self, job: &JobId) -> bool {
        let of = Vetoed::Job(job.whole());
        self.vetoes.iter().any(|((_, what), _)| *what == of)
    }

    /// Placements at a site's offer, oldest first.
    fn charged_to<'s>(&'s self, key: &OfferKey) -> Vec<(PlacementId, &'s Placement)> {
        let at_site = self.nodes.iter().filter(|(id, _)| id.site == key.0);
        let held = at_site.flat_map(|(_, node)| &node.placements);
        let rows = held.filter_map(|id| Some((*id, self.placements.get(id)?)));
        let mut rows: Vec<_> =
            rows.filter(|(_, row)| row.charge.offer.as_ref() == Some(&key.1)).collect();
        rows.sort_by_key(|(id, _)| *id);
        rows
    }

    /// Placements that offers no longer cover and whose operators want them moved. What an offer still covers stays, the oldest
    /// first; what is being stopped already makes room for the others.
    #[must_use]
    pub fn surplus(&self) -> BTreeSet<PlacementId> {
        let lowered = |offer: &&Offer| {
            offer.spec.on_lower == OnLower::Drain && offer.used > offer.amount(self.clock)
        };
        let over = self.offers.iter().filter(|(_, offer)| lowered(offer));
        over.flat_map(|(key, offer)| self.surplus_of(key, offer.amount(self.clock))).collect()
    }

    fn surplus_of(&self, key: &OfferKey, amount: u64) -> Vec<PlacementId> {
        let mut room = amount;
        let mut gone = Vec::new();
        let goes_on = self.charged_to(key).into_iter().filter(|(_, row)| is_desired(&row.phase));
        for (id, row) in goes_on {
            match room.checked_sub(u64::from(row.grant.gpus)) {
                Some(left) => room = left,
                None => gone.push(id),
            }
        }
        gone
    }

    /// The offer that a placement is charged to.
    pub(crate) fn offer_of(&self, row: &Placement) -> Option<&Offer> {
        self.offers.get(&(row.grant.node.site.clone(), row.charge.offer.clone()?))
    }

    /// Whether an offer no longer covers this placement and its operator wants it moved.
    pub(crate) fn is_surplus(&self, id: &PlacementId, row: &Placement) -> bool {
        let Some(name) = &row.charge.offer else { return false };
        let key = (row.grant.node.site.clone(), name.clone());
        let Some(offer) = self.offers.get(&key) else { return false };
        let amount = offer.amount(self.clock);
        offer.spec.on_lower == OnLower::Drain
            && offer.used > amount
            && self.surplus_of(&key, amount).contains(id)
    }
}
