//! What operators offer of their devices, and whom they take nothing of.
//!
//! Must hold: each placement is charged to one offer of its site, the cheapest in force with room for it, then by name, of those
//! that leave what is reserved;
//! where there is none, nothing was to be granted. An offer is its own operator's word, and so is the end of a veto.

use super::At;
use super::charge::Work;
use super::model::Model;
use crate::verify::report::{Report, Step};
use sekisho_types::id::{JobId, OperatorId, SiteId};
use sekisho_types::name::Name;
use sekisho_types::offer::{OfferSpec, Vetoed};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
struct Offer {
    spec: OfferSpec,
    withdrawn: bool,
    /// Devices of what lives on it.
    used: u64,
}

/// Offers and vetoes.
#[derive(Debug, Default)]
pub(super) struct Offers {
    made: BTreeMap<SiteId, BTreeMap<Name, Offer>>,
    vetoes: BTreeSet<(OperatorId, Vetoed)>,
}

impl Offers {
    /// The offers of a site that have room for the work, with their prices, in the order in which they are charged.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn choose(&self, site: &SiteId, work: Work<'_>) -> Result<Vec<(Name, u64)>, String> {
        let in_force = |offer: &Offer| {
            !offer.withdrawn
                && offer.spec.class == *work.class
                && offer.spec.admits(work.tenant, work.from, work.until)
        };
        let rows = self.made.get(site).into_iter().flatten();
        let rows: Vec<_> = rows.filter(|(_, offer)| in_force(offer)).collect();
        if rows.is_empty() {
            let (class, tenant, until) = (work.class, work.tenant, work.until);
            return Err(format!("no {class} is offered to {tenant} at {site} until {until}"));
        }
        let has_room = |offer: &Offer| offer.used.saturating_add(work.gpus) <= offer.spec.gpus;
        let rows = rows.into_iter().filter(|(_, offer)| has_room(offer));
        let mut priced: Vec<(u64, &Name)> =
            rows.map(|(name, offer)| (offer.spec.yen_per_gpu_hour, name)).collect();
        priced.sort_unstable();
        if priced.is_empty() {
            return Err(format!(
                "no offer of {site} has room for {} more {}",
                work.gpus, work.class
            ));
        }
        Ok(priced.into_iter().map(|(yen, name)| (name.clone(), yen)).collect())
    }

    /// Offers of a site that were not withdrawn.
    pub(super) fn standing(&self, site: &SiteId) -> impl Iterator<Item = (&Name, &OfferSpec)> {
        let rows = self.made.get(site).into_iter().flatten();
        rows.filter(|(_, offer)| !offer.withdrawn).map(|(name, offer)| (name, &offer.spec))
    }

    /// What of a job an operator does not take, if it is so.
    pub(super) fn vetoed(&self, operator: &OperatorId, job: &JobId) -> Option<Vetoed> {
        if self.vetoes.is_empty() {
            return None;
        }
        let all = [Vetoed::Tenant(job.tenant.clone()), Vetoed::Job(job.whole())];
        all.into_iter().find(|of| self.vetoes.contains(&(operator.clone(), of.clone())))
    }

    /// Charges devices to an offer.
    pub(super) fn add(&mut self, site: &SiteId, name: &Name, gpus: u64) {
        let offers = self.made.get_mut(site);
        if let Some(offer) = offers.and_then(|offers| offers.get_mut(name)) {
            offer.used = offer.used.saturating_add(gpus);
        }
    }

    /// Gives them back. What was withdrawn goes with the last of them, and its name is free.
    pub(super) fn take(&mut self, site: &SiteId, name: &Name, gpus: u64) {
        let Some(offers) = self.made.get_mut(site) else { return };
        let Some(offer) = offers.get_mut(name) else { return };
        offer.used = offer.used.saturating_sub(gpus);
        if offer.withdrawn && offer.used == 0 {
            offers.remove(name);
        }
    }

    /// Takes an offer back.
    pub(super) fn withdraw(&mut self, site: &SiteId, name: &Name) {
        let offers = self.made.get_mut(site);
        if let Some(offer) = offers.and_then(|offers| offers.get_mut(name)) {
            offer.withdrawn = true;
        }
        self.take(site, name, 0);
    }

    /// Takes back what a site offers that is taken out.
    pub(super) fn withdraw_all(&mut self, site: &SiteId) {
        let offers = self.made.get(site).into_iter().flatten();
        let names: Vec<Name> = offers.map(|(name, _)| name.clone()).collect();
        names.iter().for_each(|name| self.withdraw(site, name));
    }

    /// Vetoes of an operator, or against somebody, that is gone.
    pub(super) fn forget(&mut self, gone: impl Fn(&OperatorId, &Vetoed) -> bool) {
        self.vetoes.retain(|(by, of)| !gone(by, of));
    }

    /// Devices that are charged to each offer that has not gone.
    pub(super) fn used(&self) -> impl Iterator<Item = ((SiteId, Name), u64)> {
        self.made.iter().flat_map(|(site, offers)| {
            offers.iter().map(move |(name, offer)| ((site.clone(), name.clone()), offer.used))
        })
    }

    /// Keeps somebody's work off an operator's devices.
    pub(super) fn veto(&mut self, operator: &OperatorId, of: &Vetoed) {
        // One against a job that is over keeps nothing off until its name is another one's: then it goes.
        self.vetoes.insert((operator.clone(), of.clone()));
    }
}

impl Model {
    /// An offer is made or changed; what is charged to it stays.
    pub(super) fn put_offer(
        &mut self,
        at: At<'_>,
        (site, name): (&SiteId, &Name),
        spec: &OfferSpec,
        report: &mut Report,
    ) {
        let operator = self.sites.get(site).map(|(operator, _)| operator);
        self.own_word(at, operator, &format!("offer {site}/{name}"), report);
        let offers = self.offers.made.entry(site.clone()).or_default();
        let used = offers.get(name).map_or(0, |offer| offer.used);
        offers.insert(name.clone(), Offer { spec: spec.clone(), withdrawn: false, used });
    }

    /// A veto is over.
    pub(super) fn lift_veto(
        &mut self,
        at: At<'_>,
        operator: &OperatorId,
        of: &Vetoed,
        report: &mut Report,
    ) {
        let what = format!("the end of the veto of {operator} against {of}");
        self.own_word(at, Some(operator), &what, report);
        self.offers.vetoes.remove(&(operator.clone(), of.clone()));
    }

    /// What lets more work come to an operator's devices is said by people of its own.
    pub(super) fn own_word(
        &self,
        at: At<'_>,
        operator: Option<&OperatorId>,
        what: &str,
        report: &mut Report,
    ) {
        let by = self.actor.as_ref().map(|actor| &actor.operator);
        if by.is_none() || by != operator {
            let why = format!("{what} is not the word of its own operator");
            report.found(Step::Access, Some(at.index), why);
        }
    }
}
