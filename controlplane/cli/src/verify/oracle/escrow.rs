//! Slices of tenants' quotas that sites hold: charged as if they ran there, given back when the site goes (Q1).

use super::At;
use super::model::Model;
use crate::verify::report::{Report, Step};
use sekisho_types::id::{DeviceClass, SiteId, TenantId};
use sekisho_types::jurisdiction::Area;

/// Which site holds of whose quota.
pub(super) type EscrowKey = (SiteId, TenantId, DeviceClass);

/// GPUs that a site holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Escrow {
    gpus: u64,
    place: Area,
}

impl Model {
    /// A site holds so many from now on. What is more than before needs room.
    pub(super) fn set_escrow(
        &mut self,
        at: At<'_>,
        key: EscrowKey,
        gpus: u64,
        report: &mut Report,
    ) {
        let (site, tenant, class) = &key;
        let stands = || self.sites.get(site).map(|(_, place)| Escrow { gpus: 0, place: *place });
        let Some(held) = self.escrows.get(&key).copied().or_else(stands) else {
            let why = format!("escrow at {site}: nobody registered it");
            report.found(Step::Quota, Some(at.index), why);
            return;
        };
        let more = gpus.saturating_sub(held.gpus);
        if more > 0
            && let Err(why) = self.ledger.admits((tenant, class), held.place, more)
        {
            report.found(Step::Quota, Some(at.index), format!("escrow at {site}: {why}"));
        }
        self.move_escrow(key, held, gpus);
    }

    fn move_escrow(&mut self, key: EscrowKey, held: Escrow, gpus: u64) {
        let whose = (&key.1, &key.2);
        self.ledger.take(whose, held.place, held.gpus);
        self.ledger.add(whose, held.place, gpus);
        if gpus == 0 {
            self.escrows.remove(&key);
        } else {
            self.escrows.insert(key, Escrow { gpus, ..held });
        }
    }

    /// What a site held that goes is free again, and it offers and promises nothing more.
    pub(super) fn take_back(&mut self, site: &SiteId) {
        self.reservations.forget(|_, at| at == site);
        self.offers.withdraw_all(site);
        let of_site = self.escrows.iter().filter(|((of, _, _), _)| of == site);
        let rows: Vec<_> = of_site.map(|(key, held)| (key.clone(), *held)).collect();
        for (key, held) in rows {
            self.move_escrow(key, held, 0);
        }
    }
}
