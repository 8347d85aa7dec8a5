//! Quotas of the fixture's tenants, and what its operators offer.

use super::{BEGIN, CLASS, Federation, OPERATORS, admin};
use crate::command::{Command, PutReservation};
use sekisho_types::id::{SiteId, TenantId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::offer::{OfferSpec, OnLower};
use sekisho_types::patch::Patch;
use sekisho_types::quota::{Allotment, Limit};
use sekisho_types::reservation::{Reclaim, ReservationSpec};
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use std::collections::BTreeSet;

/// Revision of the one quota of [`Federation::furnished`].
#[must_use]
pub fn first_quota() -> Revision {
    let state = Federation::furnished().state;
    state.quotas().find_map(|(_, _, line)| line.quota).map(|quota| quota.revision).unwrap()
}

/// An offer of [`CLASS`] without end, for nothing.
#[must_use]
pub fn offer(gpus: u64) -> OfferSpec {
    OfferSpec {
        class: CLASS.parse().unwrap(),
        gpus,
        from: Timestamp(0),
        until: None,
        excluded: BTreeSet::new(),
        yen_per_gpu_hour: 0,
        on_lower: OnLower::Drain,
    }
}

/// A reservation of [`CLASS`] at a site, from the beginning on and without an end.
#[must_use]
pub fn reservation(site: &str, gpus: u64) -> ReservationSpec {
    ReservationSpec {
        site: site.parse().unwrap(),
        class: CLASS.parse().unwrap(),
        gpus,
        from: BEGIN,
        until: None,
        reclaim: Reclaim::Wait,
        message: String::new(),
    }
}

impl Federation {
    /// What makes a reservation, or lowers it.
    #[must_use]
    pub fn reserving(&self, tenant: &str, name: &str, spec: ReservationSpec) -> Command {
        let tenant: TenantId = tenant.parse().unwrap();
        let name: Name = name.parse().unwrap();
        let expected = self.state.reservation(&tenant, &name).map(|row| row.revision);
        Command::PutReservation(Box::new(PutReservation { tenant, name, spec, expected }))
    }

    /// Makes a reservation, or lowers it, as the administrator of its site's operator.
    pub fn reserve(&mut self, tenant: &str, name: &str, spec: ReservationSpec) {
        let operator = self.state.site(&spec.site).unwrap().operator.clone();
        let put = self.reserving(tenant, name, spec);
        self.accept(admin(operator.as_str()), put);
    }

    /// Sets a tenant's own quota of [`CLASS`] in all Japan.
    pub fn quota(&mut self, tenant: &TenantId, limit: Limit) {
        self.allot(tenant, Area::Japan, Allotment::own(limit));
    }

    /// Sets what a tenant may hold of [`CLASS`] in an area.
    pub fn allot(&mut self, tenant: &TenantId, area: Area, allotment: Allotment) {
        let (tenant, class) = (tenant.clone(), CLASS.parse().unwrap());
        let expected = self.state.quota_revision(&tenant, &class, area);
        let set = Command::SetQuota { tenant, class, area, allotment, expected };
        self.accept(admin("kanto"), set);
    }

    /// A tenant's own quota of [`CLASS`] in all Japan.
    #[must_use]
    pub fn limit(&self, tenant: &str) -> Limit {
        self.state.quota(&tenant.parse().unwrap(), &CLASS.parse().unwrap(), Area::Japan).nominal
    }

    /// Makes a tenant a part of another.
    pub fn part_of(&mut self, tenant: &TenantId, parent: &TenantId) {
        let expected = self.state.tenant(tenant).map(|row| row.revision);
        let put = Command::PutTenant {
            tenant: tenant.clone(),
            display_name: Patch::Keep,
            policy: Patch::Keep,
            parent: Patch::Set(Some(parent.clone())),
            expected,
        };
        self.accept(admin("kanto"), put);
    }

    /// Makes or changes the offer `all` of a site.
    pub fn offer(&mut self, site: &str, spec: OfferSpec) {
        let (site, name): (SiteId, _) = (site.parse().unwrap(), "all".parse().unwrap());
        let operator = self.state.site(&site).unwrap().operator.clone();
        let expected = self.state.offer(&site, &name).map(|row| row.revision);
        let offer = Box::new(spec);
        let put = Command::PutOffer { site, name, offer, expected };
        self.accept(admin(operator.as_str()), put);
    }

    /// Caps the power of a site, or lifts that.
    pub fn cap(&mut self, site: &str, watts: Option<u64>) {
        let site: SiteId = site.parse().unwrap();
        let row = self.state.site(&site).unwrap();
        let (operator, expected) = (row.operator.clone(), row.revision);
        let set = Command::SetPowerCap { site, watts, expected };
        self.accept(admin(operator.as_str()), set);
    }

    /// Every site offers all that anybody could ask for.
    pub(super) fn offer_all(&mut self) {
        for (_, site, _) in OPERATORS {
            self.offer(site, offer(1_000_000));
        }
    }
}
