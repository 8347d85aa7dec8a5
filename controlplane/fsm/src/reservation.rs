//! Devices that operators promise to tenants out of what they offer, and what others leave of it.
//!
//! ```text
//! offers in force at a moment ─ what is reserved then, used or not ─ what others hold that long = room for others
//! ```
//! Must hold: whoever is granted a place leaves, at every moment until it has left at the latest, what is reserved for others; one
//! function says so for the planner and for apply. What a holder and its parts use there counts as its reservations' use first, so
//! a reservation is never held twice; of holders above one another it counts for the nearest whose reservation holds at that moment.
//! All of it is offered: an offer that excludes a holder backs nothing there, and takes nothing.
//! The sums change at few moments, which are all kept: now, where a reservation begins, where an offer ends.
//! What becomes of work of others that still holds it: `reclaim`.
//! Does not know: quotas, budgets and nodes. A reservation promises none of them.

mod reclaim;

use crate::offer::{Offer, OfferKey};
use crate::purse::Books;
use crate::state::{Placement, State};
use sekisho_types::id::{DeviceClass, SiteId, TenantId};
use sekisho_types::job::JobFacts;
use sekisho_types::name::Name;
use sekisho_types::reservation::{RESERVATION_KEPT_MS, ReservationSpec, left_by};
use sekisho_types::revision::{PlacementId, Revision};
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The key of a reservation.
pub type ReservationKey = (TenantId, Name);

/// Where reservations meet: a class at a site.
pub type StockKey = (SiteId, DeviceClass);

/// A reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// As it was made, or lowered.
    pub spec: ReservationSpec,
    /// Last change.
    pub revision: Revision,
}

/// Stands among moments for now, whenever that is: what lives then is all that lives.
pub(crate) const NOW: Timestamp = Timestamp(0);

/// What is charged of a class at a site where something is reserved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// The reservations there.
    pub(crate) keys: BTreeSet<ReservationKey>,
    /// The offers that back them.
    pub(crate) backing: BTreeSet<Name>,
    /// For now and each later moment at which less may be left: devices of what is charged to those offers and lasts beyond it, by
    /// whose reservations it uses; `None` = nobody's.
    pub(crate) beyond: BTreeMap<Timestamp, BTreeMap<Option<TenantId>, u64>>,
    /// Since when it is as it is, on the state clock, but for what those who reserved nothing come and go with.
    pub(crate) since: Timestamp,
}

/// A moment of a group's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// What is reserved for the group's own holder then, and not used.
    pub(crate) own: u64,
    /// What is left beside everything that is reserved.
    pub(crate) free: u64,
}

/// What one tenant reserved at a moment, and what of it is used.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    reserved: u64,
    used: u64,
}

/// What each holder has reserved at a moment and uses then, and what all others hold.
#[derive(Debug, Default)]
struct Shares {
    of: BTreeMap<TenantId, Share>,
    others: u64,
}

impl Shares {
    /// What is held, or kept for its holders, then.
    fn taken(&self) -> u64 {
        let all = self.of.values();
        all.fold(self.others, |sum, share| sum.saturating_add(share.reserved.max(share.used)))
    }
}

/// How a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Devices of the holder's and its parts' work that it covers now.
    pub used: u64,
    /// Devices that the offers lack, at the worst moment that is to come.
    pub short: u64,
    /// Devices that work of others may still hold, beside what the offers lack: now, or when it begins.
    pub occupied: u64,
}

/// The reservation that a job names.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wish<'s> {
    /// None: it is placed wherever it is.
    Any,
    /// One that is not there for it, or not for so long or so many.
    Gone,
    /// This one.
    Of(&'s ReservationKey, &'s Reservation),
}

impl Stock {
    /// Under whom the work of a tenant is counted: it, or the nearest above it that has a reservation there, whether that holds or not.
    fn holder<'p>(&self, path: &'p [TenantId]) -> Option<&'p TenantId> {
        path.iter().find(|tenant| self.keys.iter().any(|(of, _)| of == *tenant))
    }

    /// The holder whose reservations the work of a tenant uses now.
    pub(crate) fn holder_of(&self, state: &State, tenant: &TenantId) -> Option<TenantId> {
        user_of(&state.path(tenant), &state.made(&self.keys), state.clock).cloned()
    }

    /// Whether an offer of the site backs what is reserved.
    #[must_use]
    pub fn is_backed_by(&self, offer: &Name) -> bool {
        self.backing.contains(offer)
    }

    /// Counts devices that are charged until then to an offer that backs it; `path` is their tenant and all above it.
    pub fn add(&mut self, path: &[TenantId], until: Timestamp, gpus: u64) {
        self.each(path, until, |sum| sum.saturating_add(gpus));
    }

    fn subtract(&mut self, path: &[TenantId], until: Timestamp, gpus: u64) {
        self.each(path, until, |sum| sum.saturating_sub(gpus));
    }

    fn each(&mut self, path: &[TenantId], until: Timestamp, act: impl Fn(u64) -> u64) {
        let (holder, end) = (self.holder(path).cloned(), left_by(until));
        for (_, by) in self.beyond.iter_mut().filter(|(at, _)| **at < end || **at == NOW) {
            let sum = act(by.get(&holder).copied().unwrap_or(0));
            if sum == 0 {
                by.remove(&holder);
            } else {
                by.insert(holder.clone(), sum);
            }
        }
    }
}

/// A reservation there, and whose.
type Made<'s> = (&'s TenantId, &'s ReservationSpec);

/// Whose reservations the work of a tenant uses at a moment; `path` is it and all above it. One that is over, or has not begun, of
/// the nearest is in nobody's way.
fn user_of<'p>(path: &'p [TenantId], made: &[Made<'_>], at: Timestamp) -> Option<&'p TenantId> {
    path.iter().find(|tenant| made.iter().any(|(of, spec)| of == tenant && spec.holds_at(at)))
}

/// What is reserved at a moment.
fn reserved(made: &[Made<'_>], at: Timestamp) -> u64 {
    let held = made.iter().filter(|(_, spec)| spec.holds_at(at));
    held.fold(0, |sum, (_, spec)| sum.saturating_add(spec.gpus))
}

fn given(offers: &[(&OfferKey, &Offer)], at: Timestamp) -> u64 {
    offers.iter().fold(0, |sum, (_, offer)| sum.saturating_add(offer.amount(at)))
}

/// By how much the offers fall short of what is reserved, at the worst moment of a reservation's time from now on.
fn lack(
    offers: &[(&OfferKey, &Offer)],
    made: &[Made<'_>],
    spec: &ReservationSpec,
    now: Timestamp,
) -> u64 {
    let begins = made.iter().map(|(_, one)| one.from);
    let ends = offers.iter().filter_map(|(_, offer)| offer.spec.until);
    let begin = spec.from.max(now);
    let inside = |at: &Timestamp| begin <= *at && !spec.is_over(*at);
    let moments = begins.chain(ends).chain([begin]).filter(inside);
    let short = moments.map(|at| reserved(made, at).saturating_sub(given(offers, at)));
    short.max().unwrap_or(0)
}

impl State {
    /// One reservation, if it is not so long over that nobody is shown it.
    #[must_use]
    pub fn reservation(&self, tenant: &TenantId, name: &Name) -> Option<&Reservation> {
        let row = self.reservations.get(&(tenant.clone(), name.clone()));
        row.filter(|row| !self.is_past(&row.spec))
    }

    /// All reservations that are shown, by tenant and name.
    pub fn reservations(&self) -> impl DoubleEndedIterator<Item = (&ReservationKey, &Reservation)> {
        self.reservations.iter().filter(|(_, row)| !self.is_past(&row.spec))
    }

    /// Whether it is so long over that it may be forgotten.
    pub(crate) fn is_past(&self, spec: &ReservationSpec) -> bool {
        spec.until.is_some_and(|until| until.plus_ms(RESERVATION_KEPT_MS) <= self.clock)
    }

    /// What is charged of a class at a site, if anything is reserved there.
    #[must_use]
    pub fn stock(&self, key: &StockKey) -> Option<&Stock> {
        self.stocks.get(key)
    }

    fn made<'s>(&'s self, keys: &'s BTreeSet<ReservationKey>) -> Vec<Made<'s>> {
        let rows = keys.iter().filter_map(|key| Some((&key.0, &self.reservations.get(key)?.spec)));
        rows.collect()
    }

    /// Offers of a class at a site that exclude none of these.
    fn backing<'s>(
        &'s self,
        (site, class): &StockKey,
        holders: &BTreeSet<&TenantId>,
    ) -> Vec<(&'s OfferKey, &'s Offer)> {
        let backs = |offer: &Offer| {
            !offer.withdrawn
                && offer.spec.class == *class
                && !offer.spec.excluded.iter().any(|tenant| holders.contains(tenant))
        };
        self.offers_of(site).filter(|(_, offer)| backs(offer)).collect()
    }

    /// What a group may still take at a site, moment by moment until it has left; nothing is kept from it where nothing is reserved.
    pub(crate) fn moments(
        &self,
        books: &impl Books,
        key: &StockKey,
        (tenant, until): (&TenantId, Timestamp),
    ) -> Vec<Moment> {
        let Some(stock) = books.stock(key) else { return Vec::new() };
        let (path, end, now) = (self.path(tenant), left_by(until), self.clock);
        let made = self.made(&stock.keys);
        let offers = self.backed(key, stock);
        let later = stock.beyond.keys().copied().filter(|at| now < *at && *at < end);
        let marks = std::iter::once((now, NOW)).chain(later.map(|at| (at, at)));
        let moment = |(at, mark): (Timestamp, Timestamp)| {
            let shares = self.shares(stock, &made, (at, mark));
            let own = user_of(&path, &made, at).and_then(|own| shares.of.get(own));
            let mine = own.copied().unwrap_or_default();
            let free = given(&offers, at).saturating_sub(shares.taken());
            Moment { own: mine.reserved.saturating_sub(mine.used), free }
        };
        marks.map(moment).collect()
    }

    fn backed<'s>(&'s self, (site, _): &StockKey, stock: &Stock) -> Vec<(&'s OfferKey, &'s Offer)> {
        let backs = |key: &OfferKey| stock.is_backed_by(&key.1);
        self.offers_of(site).filter(|(key, _)| backs(key)).collect()
    }

    /// Whether the offers have room for one more reservation of a tenant, whatever runs.
    ///
    /// # Errors
    /// By how much they fall short.
    pub(crate) fn has_room_to_reserve(
        &self,
        tenant: &TenantId,
        spec: &ReservationSpec,
    ) -> Result<(), u64> {
        let key = (spec.site.clone(), spec.class.clone());
        let none = BTreeSet::new();
        let before = self.made(self.stocks.get(&key).map_or(&none, |stock| &stock.keys));
        let with = [before.as_slice(), &[(tenant, spec)]].concat();
        let backing = |made: &[Made<'_>]| {
            let holders = made.iter().map(|(tenant, _)| *tenant).collect();
            self.backing(&key, &holders)
        };
        let (old, new) = (backing(&before), backing(&with));
        // An offer that excludes one more holder backs the others' no more, either.
        let worse = before.iter().map(|(_, one)| {
            let lack = |offers, made| lack(offers, made, one, self.clock);
            lack(&new, &with).saturating_sub(lack(&old, &before))
        });
        match worse.chain([lack(&new, &with, spec, self.clock)]).max() {
            None | Some(0) => Ok(()),
            Some(short) => Err(short),
        }
    }

    /// What each holder has reserved at a moment and uses then, and what all others hold.
    fn shares(
        &self,
        stock: &Stock,
        made: &[Made<'_>],
        (at, mark): (Timestamp, Timestamp),
    ) -> Shares {
        let mut shares = Shares::default();
        for (holder, used) in stock.beyond.get(&mark).into_iter().flatten() {
            let path = holder.as_ref().map(|holder| self.path(holder)).unwrap_or_default();
            let sum = match user_of(&path, made, at) {
                Some(user) => &mut shares.of.entry(user.clone()).or_default().used,
                None => &mut shares.others,
            };
            *sum = sum.saturating_add(*used);
        }
        for (tenant, spec) in made.iter().filter(|(_, spec)| spec.holds_at(at)) {
            let share = shares.of.entry((*tenant).clone()).or_default();
            share.reserved = share.reserved.saturating_add(spec.gpus);
        }
        shares
    }

    /// How a reservation stands.
    #[must_use]
    pub fn standing(&self, of: &ReservationKey, row: &Reservation) -> Standing {
        let spec = &row.spec;
        let key = (spec.site.clone(), spec.class.clone());
        let nothing = Standing { used: 0, short: 0, occupied: 0 };
        let Some(stock) = self.stocks.get(&key).filter(|_| !spec.is_over(self.clock)) else {
            return nothing;
        };
        let (made, offers) = (self.made(&stock.keys), self.backed(&key, stock));
        let short = lack(&offers, &made, spec, self.clock).min(spec.gpus);
        let begun = spec.from <= self.clock;
        let (at, mark) = if begun { (self.clock, NOW) } else { (spec.from, spec.from) };
        let shares = self.shares(stock, &made, (at, mark));
        let mine = shares.of.get(&of.0).copied().unwrap_or_default();
        let beyond = shares.taken().saturating_sub(given(&offers, at)).saturating_sub(short);
        // Of several the one that began first is used first, then by name.
        let rows =
            stock.keys.iter().filter_map(|key| Some((key, &self.reservations.get(key)?.spec)));
        let before = rows.filter(|(key, one)| {
            key.0 == of.0 && one.holds_at(at) && (one.from, *key) < (spec.from, of)
        });
        let before = before.fold(0u64, |sum, (_, one)| sum.saturating_add(one.gpus));
        let used = mine.used.saturating_sub(before).min(spec.gpus);
        let unused = spec.gpus.saturating_sub(used);
        Standing { used: if begun { used } else { 0 }, short, occupied: beyond.min(unused) }
    }

    /// The reservation that a job names, if it could be placed out of it.
    pub(crate) fn wish<'s>(
        &'s self,
        facts: &JobFacts,
        path: &[TenantId],
        until: Timestamp,
    ) -> Wish<'s> {
        let Some(name) = &facts.reservation else { return Wish::Any };
        let found = path.iter().find_map(|tenant| {
            let key = (tenant.clone(), name.clone());
            self.reservations.range(key.clone()..).next().filter(|(at, _)| **at == key)
        });
        let fits = |spec: &ReservationSpec| {
            spec.class == facts.resources.class
                && spec.gpus >= facts.gpus()
                && spec.until.is_none_or(|over| left_by(until) <= over)
        };
        match found.filter(|(_, row)| fits(&row.spec)) {
            Some((key, row)) => Wish::Of(key, row),
            None => Wish::Gone,
        }
    }

    /// Windows of others' reservations of a class that work until `until` would run into, soonest first.
    #[must_use]
    pub fn reserved_for_others<'s>(
        &'s self,
        class: &'s DeviceClass,
        path: &'s [TenantId],
        until: Timestamp,
    ) -> Vec<&'s ReservationSpec> {
        let (now, end) = (self.clock, left_by(until));
        let rows = self.reservations.iter().filter(|((tenant, _), _)| !path.contains(tenant));
        let specs = rows.map(|(_, row)| &row.spec);
        let mut met: Vec<_> =
            specs.filter(|spec| spec.class == *class && spec.meets(now, end)).collect();
        met.sort_by_key(|spec| (spec.from, spec.site.clone()));
        met
    }
}

/// Charges a placement where something is reserved.
pub(crate) fn charge(state: &mut State, row: &Placement) {
    each(state, row, Stock::add);
}

/// Gives it back.
pub(crate) fn refund(state: &mut State, row: &Placement) {
    each(state, row, Stock::subtract);
}

fn each(state: &mut State, row: &Placement, act: fn(&mut Stock, &[TenantId], Timestamp, u64)) {
    let Some(offer) = row.charge.offer.as_ref().filter(|_| !state.stocks.is_empty()) else {
        return;
    };
    let key = (row.grant.node.site.clone(), row.grant.class.clone());
    if state.stocks.get(&key).is_none_or(|stock| !stock.is_backed_by(offer)) {
        return;
    }
    let (path, now) = (state.path(&row.grant.job.tenant), state.clock);
    state.stocks.update(&key, |stock| {
        act(stock, &path, row.charge.until, u64::from(row.grant.gpus));
        if stock.holder(&path).is_some() {
            stock.since = now;
        }
    });
}

/// Sums up anew what is charged of a class at a site, after a change of what is reserved or offered there, or of the tree.
pub(crate) fn sum_up(state: &mut State, key: &StockKey) {
    let there = |spec: &ReservationSpec| spec.site == key.0 && spec.class == key.1;
    let rows = state.reservations.iter().filter(|(_, row)| there(&row.spec));
    let keys: BTreeSet<ReservationKey> = rows.map(|(key, _)| key.clone()).collect();
    if keys.is_empty() {
        state.stocks.remove(key);
        return;
    }
    let now = state.clock;
    let offers = state.backing(key, &keys.iter().map(|(tenant, _)| tenant).collect());
    let begins = state.made(&keys).into_iter().map(|(_, spec)| spec.from);
    let ends = offers.iter().filter_map(|(_, offer)| offer.spec.until);
    let marks = begins.chain(ends).filter(|at| *at > now).chain([NOW]);
    let beyond = marks.map(|at| (at, BTreeMap::new())).collect();
    let backing = offers.iter().map(|(key, _)| key.1.clone()).collect();
    let mut stock = Stock { keys, backing, beyond, since: now };
    for (_, row) in state.charged_where_reserved(key, &stock) {
        let path = state.path(&row.grant.job.tenant);
        stock.add(&path, row.charge.until, u64::from(row.grant.gpus));
    }
    state.stocks.insert(key.clone(), stock);
}

/// The same of every class at a site, or everywhere.
pub(crate) fn sum_up_all(state: &mut State, site: Option<&SiteId>) {
    let keys = state.stocks.iter().map(|(key, _)| key);
    let keys = keys.filter(|(at, _)| site.is_none_or(|site| at == site));
    let keys: Vec<StockKey> = keys.cloned().collect();
    keys.iter().for_each(|key| sum_up(state, key));
}

impl State {
    /// Living placements that are charged to offers which back what is reserved, oldest first.
    fn charged_where_reserved<'s>(
        &'s self,
        (site, class): &StockKey,
        stock: &Stock,
    ) -> Vec<(PlacementId, &'s Placement)> {
        let at_site = self.nodes.iter().filter(|(id, _)| id.site == *site);
        let held = at_site.flat_map(|(_, node)| &node.placements);
        let rows = held.filter_map(|id| Some((*id, self.placements.get(id)?)));
        let counts = |row: &Placement| {
            row.grant.class == *class
                && row.charge.offer.as_ref().is_some_and(|offer| stock.is_backed_by(offer))
        };
        let mut rows: Vec<_> = rows.filter(|(_, row)| counts(row)).collect();
        rows.sort_by_key(|(id, _)| *id);
        rows
    }
}

#[cfg(test)]
mod tests;
