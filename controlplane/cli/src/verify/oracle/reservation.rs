//! What operators promised to tenants, and whether others were granted of it (Q1).
//!
//! Must hold: at every moment until what is granted has left at the latest, what lives that long and what is reserved then fit
//! into what is offered then. It is summed up from what lives, grant by grant; no sum is carried along. A reservation is the word
//! of the operator of the devices, is within the offers when it is made, and gets no larger.

use super::At;
use super::charge::Work;
use super::model::{Held, Model};
use crate::verify::report::{Report, Step};
use sekisho_fsm::command::{DeleteReservation, PutReservation};
use sekisho_types::id::{DeviceClass, SiteId, TenantId};
use sekisho_types::name::Name;
use sekisho_types::offer::OfferSpec;
use sekisho_types::reservation::{
    RESERVATION_KEPT_MS, RESERVATIONS_PER_SITE_CLASS_MAX, RESERVATIONS_PER_TENANT_MAX,
    ReservationSpec, left_by,
};
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

type Rows = BTreeMap<(TenantId, Name), ReservationSpec>;

/// Reservations, those that are over and not forgotten among them.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    rows: Rows,
}

/// What is promised of a class at a site, and out of which offers.
#[derive(Debug)]
struct Promised<'m> {
    rows: Vec<(&'m TenantId, &'m ReservationSpec)>,
    offers: BTreeMap<&'m Name, &'m OfferSpec>,
}

fn is_there(spec: &ReservationSpec, site: &SiteId, class: &DeviceClass) -> bool {
    spec.site == *site && spec.class == *class
}

impl Reservations {
    /// Reservations of a tenant, or at a site, go.
    pub(super) fn forget(&mut self, gone: impl Fn(&TenantId, &SiteId) -> bool) {
        self.rows.retain(|(tenant, _), spec| !gone(tenant, &spec.site));
    }

    /// What is long over goes when one of the same tenant, or of the class there, is put; what is over at all where there are as
    /// many as there may be.
    fn sweep(&mut self, tenant: &TenantId, spec: &ReservationSpec, now: Timestamp) {
        let (mut own, mut there) = (0usize, 0usize);
        for ((of, _), one) in &self.rows {
            own = own.saturating_add(usize::from(of == tenant));
            there = there.saturating_add(usize::from(is_there(one, &spec.site, &spec.class)));
        }
        let full = there >= RESERVATIONS_PER_SITE_CLASS_MAX || own >= RESERVATIONS_PER_TENANT_MAX;
        self.rows.retain(|(of, _), one| {
            let near = of == tenant || is_there(one, &spec.site, &spec.class);
            let past = one.until.is_some_and(|end| end.plus_ms(RESERVATION_KEPT_MS) <= now);
            !(near && (past || (full && one.is_over(now))))
        });
    }
}

impl Promised<'_> {
    fn offered(&self, at: Timestamp) -> u64 {
        let in_force =
            |spec: &&&OfferSpec| spec.from <= at && spec.until.is_none_or(|until| at < until);
        let offers = self.offers.values().filter(in_force);
        offers.fold(0, |sum, spec| sum.saturating_add(spec.gpus))
    }

    fn reserved(&self, at: Timestamp, whose: impl Fn(&TenantId) -> bool) -> u64 {
        let rows = self.rows.iter().filter(|(tenant, spec)| whose(tenant) && spec.holds_at(at));
        rows.fold(0, |sum, (_, spec)| sum.saturating_add(spec.gpus))
    }

    /// Moments from `begin` on and before `end` at which less may be left.
    fn moments(&self, begin: Timestamp, end: Timestamp) -> BTreeSet<Timestamp> {
        let begins = self.rows.iter().map(|(_, spec)| spec.from);
        let ends = self.offers.values().filter_map(|spec| spec.until);
        let all = begins.chain(ends).filter(|at| begin < *at && *at < end);
        all.chain([begin]).collect()
    }

    /// Whose reservations the work of a tenant uses at a moment: those of the nearest that has one then.
    fn holder<'p>(&self, path: &'p [TenantId], at: Timestamp) -> Option<&'p TenantId> {
        path.iter().find(|tenant| self.reserved(at, |of| of == *tenant) > 0)
    }
}

impl Model {
    fn promised(&self, site: &SiteId, class: &DeviceClass) -> Promised<'_> {
        let rows = self.reservations.rows.iter().filter(|(_, spec)| is_there(spec, site, class));
        let rows: Vec<_> = rows.map(|((tenant, _), spec)| (tenant, spec)).collect();
        let holds = |tenant: &TenantId| rows.iter().any(|(of, _)| *of == tenant);
        let offers = self
            .offers
            .standing(site)
            .filter(|(_, spec)| spec.class == *class && !spec.excluded.iter().any(holds));
        let offers = offers.collect();
        Promised { rows, offers }
    }

    /// Whether a placement on this offer leaves what others reserved, and uses its own alone if its job asks for that.
    ///
    /// # Errors
    /// The moment at which it does not.
    pub(super) fn leaves_what_is_reserved(
        &self,
        (site, offer): (&SiteId, &Name),
        work: Work<'_>,
        named: Option<&Name>,
    ) -> Result<(), String> {
        let promised = self.promised(site, work.class);
        let path = self.ledger.path(work.tenant);
        if let Some(name) = named {
            self.is_of(site, work, name, promised.holder(&path, work.from))?;
        }
        if promised.rows.is_empty() || !promised.offers.contains_key(offer) {
            let nothing = || format!("placed out of no reservation at {site}");
            return if named.is_none() { Ok(()) } else { Err(nothing()) };
        }
        for at in promised.moments(work.from, left_by(work.until)) {
            let (held, own) = (self.held_at(site, work, &promised, at), promised.holder(&path, at));
            let of = |tenant: &TenantId| held.get(&Some(tenant.clone())).copied().unwrap_or(0);
            let holders: BTreeSet<&TenantId> = promised.rows.iter().map(|(of, _)| *of).collect();
            let others = held.get(&None).copied().unwrap_or(0);
            let taken = holders.iter().fold(others, |sum, tenant| {
                let reserved = promised.reserved(at, |one| one == *tenant);
                sum.saturating_add(reserved.max(of(tenant)))
            });
            let mine = own
                .map_or(0, |own| promised.reserved(at, |one| one == own).saturating_sub(of(own)));
            let beyond = work.gpus.saturating_sub(mine);
            if named.is_some() && beyond > 0 {
                return Err(format!("{beyond} of its devices are not reserved at {at}"));
            }
            let offered = promised.offered(at);
            if beyond > 0 && taken.saturating_add(beyond) > offered {
                return Err(format!(
                    "{beyond} {} at {site} beside {taken} held or reserved at {at}, of {offered}",
                    work.class
                ));
            }
        }
        Ok(())
    }

    /// The named reservation is its holder's, of this site and class, has begun and lasts long enough.
    fn is_of(
        &self,
        site: &SiteId,
        work: Work<'_>,
        name: &Name,
        own: Option<&TenantId>,
    ) -> Result<(), String> {
        let path = self.ledger.path(work.tenant);
        let key = |tenant: &TenantId| (tenant.clone(), name.clone());
        let mut found =
            path.iter().filter_map(|of| Some((of, self.reservations.rows.get(&key(of))?)));
        let fits = found.next().is_some_and(|(of, spec)| {
            Some(of) == own
                && is_there(spec, site, work.class)
                && spec.holds_at(work.from)
                && spec.until.is_none_or(|until| left_by(work.until) <= until)
        });
        if fits { Ok(()) } else { Err(format!("not out of reservation {name}")) }
    }

    /// Devices of what lives there and lasts beyond a moment, by whose reservations it uses.
    fn held_at(
        &self,
        site: &SiteId,
        work: Work<'_>,
        promised: &Promised<'_>,
        at: Timestamp,
    ) -> BTreeMap<Option<TenantId>, u64> {
        let counts = |row: &&Held| {
            let backed =
                row.charge.offer.as_ref().is_some_and(|of| promised.offers.contains_key(of));
            let lasts = at == work.from || at < left_by(row.charge.until);
            row.node.site == *site && row.class == *work.class && backed && lasts
        };
        let mut held = BTreeMap::new();
        for row in self.placements.values().filter(counts) {
            let path = self.ledger.path(&row.job.tenant);
            let sum: &mut u64 = held.entry(promised.holder(&path, at).cloned()).or_default();
            *sum = sum.saturating_add(u64::from(row.gpus));
        }
        held
    }

    /// A reservation is made or lowered.
    pub(super) fn put_reservation(
        &mut self,
        at: At<'_>,
        put: &PutReservation,
        report: &mut Report,
    ) {
        let PutReservation { tenant, name, spec, .. } = put;
        let what = format!("reservation {tenant}/{name}");
        let operator = self.sites.get(&spec.site).map(|(operator, _)| operator);
        self.own_word(at, operator, &what, report);
        let now = at.record.time;
        self.reservations.sweep(tenant, spec, now);
        let key = (tenant.clone(), name.clone());
        let before = self.reservations.rows.insert(key, spec.clone());
        if let Some(before) = before {
            let (gpus, reclaim, message) = (spec.gpus, spec.reclaim, spec.message.clone());
            if gpus > before.gpus || *spec != (ReservationSpec { gpus, reclaim, message, ..before })
            {
                report.found(Step::Quota, Some(at.index), format!("{what} is not only lowered"));
            }
            return;
        }
        let promised = self.promised(&spec.site, &spec.class);
        let end = spec.until.unwrap_or(Timestamp(u64::MAX));
        for moment in promised.moments(spec.from.max(now), end) {
            let (reserved, offered) =
                (promised.reserved(moment, |_| true), promised.offered(moment));
            if reserved > offered {
                let why = format!("with {what} {reserved} are reserved at {moment}, of {offered}");
                report.found(Step::Quota, Some(at.index), why);
            }
        }
    }

    /// A reservation goes.
    pub(super) fn delete_reservation(
        &mut self,
        at: At<'_>,
        delete: &DeleteReservation,
        report: &mut Report,
    ) {
        let key = (delete.tenant.clone(), delete.name.clone());
        let gone = self.reservations.rows.remove(&key);
        let site = gone.and_then(|spec| self.sites.get(&spec.site));
        let what = format!("the end of reservation {}/{}", delete.tenant, delete.name);
        self.own_word(at, site.map(|(operator, _)| operator), &what, report);
    }
}
