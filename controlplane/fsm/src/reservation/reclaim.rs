//! What of others still holds what is reserved, and has to leave it.
//!
//! Must hold: nobody leaves before the time of a reservation that asks for it (`drain`), nor for more than it holds; what its
//! holder and other holders use of theirs stays. Of the rest the oldest stays, as far as there is room beside it.

use super::{Made, NOW, Stock, StockKey, given, reserved, user_of};
use crate::apply::placement::is_desired;
use crate::state::{Placement, State};
use sekisho_types::reservation::Reclaim;
use sekisho_types::revision::PlacementId;
use sekisho_types::time::Timestamp;
use std::collections::BTreeSet;

impl State {
    /// Placements that stand where something is reserved whose holder is to have it at once: what is beyond the holders' own and
    /// does not fit beside it, the newest. What is being stopped makes room for the others already.
    fn displaced(&self, key: &StockKey, stock: &Stock) -> BTreeSet<PlacementId> {
        let (now, made) = (self.clock, self.made(&stock.keys));
        let due = |spec: &Made<'_>| spec.1.reclaim == Reclaim::Drain && spec.1.holds_at(now);
        let drains: Vec<Made<'_>> = made.iter().copied().filter(due).collect();
        if drains.is_empty() {
            return BTreeSet::new();
        }
        let mut shares = self.shares(stock, &made, (now, NOW));
        let (mut kept, mut beyond) = (0u64, shares.others);
        for (tenant, share) in &shares.of {
            let own = share.used.min(share.reserved);
            let theirs: Vec<Made<'_>> =
                drains.iter().copied().filter(|(of, _)| *of == tenant).collect();
            kept = kept.saturating_add(own.max(reserved(&theirs, now)));
            beyond = beyond.saturating_add(share.used.saturating_sub(own));
        }
        let mut room = given(&self.backed(key, stock), now).saturating_sub(kept);
        if beyond <= room {
            return BTreeSet::new();
        }
        let mut gone = BTreeSet::new();
        let rows = self.charged_where_reserved(key, stock).into_iter();
        for (id, row) in rows.filter(|(_, row)| is_desired(&row.phase)) {
            let path = self.path(&row.grant.job.tenant);
            let holder = user_of(&path, &made, now);
            let left = holder.and_then(|of| shares.of.get(of)).map_or(0, |one| one.reserved);
            let gpus = u64::from(row.grant.gpus);
            let own = left.min(gpus);
            let Some(rest) = room.checked_sub(gpus.saturating_sub(own)) else {
                gone.insert(id);
                continue;
            };
            room = rest;
            if let Some(holder) = holder
                && let Some(share) = shares.of.get_mut(holder)
            {
                share.reserved = share.reserved.saturating_sub(own);
            }
        }
        gone
    }

    /// Whether a placement stands where something is reserved whose holder is to have it at once.
    pub(crate) fn is_displaced(&self, id: &PlacementId, row: &Placement) -> bool {
        let Some(offer) = row.charge.offer.as_ref().filter(|_| !self.stocks.is_empty()) else {
            return false;
        };
        let key = (row.grant.node.site.clone(), row.grant.class.clone());
        let stock = self.stocks.get(&key).filter(|stock| stock.is_backed_by(offer));
        stock.is_some_and(|stock| self.displaced(&key, stock).contains(id))
    }

    /// Since when what is reserved around a placement is as it is, at the latest.
    pub(crate) fn reserved_since(&self, row: &Placement) -> Option<Timestamp> {
        let key = (row.grant.node.site.clone(), row.grant.class.clone());
        let stock = self.stocks.get(&key)?;
        let begun = self.made(&stock.keys).into_iter().map(|(_, spec)| spec.from);
        let offers = self.backed(&key, stock).into_iter();
        let over = offers.filter_map(|(_, offer)| offer.spec.until);
        begun.chain(over).chain([stock.since]).filter(|at| *at <= self.clock).max()
    }
}
