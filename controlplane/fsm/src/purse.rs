//! What one group may charge: quota, budgets, offers with what others reserved of them, and power of sites, member by member.
//!
//! Must hold: one function says for the planner and for apply whether the next member may be charged, so that they agree;
//! a group is charged whole or not at all, in the entry that grants it (Q1). What binds members binds areas that contain one
//! another or are apart, or sites: so members that are taken one by one are as many as can be, but where a row's border runs
//! through a site, a budget of yen meets sites of different prices, or a capped site has devices of one class that are rated
//! differently. There it may be fewer, never more than are admitted.
//! Does not know: devices, nodes and what else keeps a job off them.

mod several;

use crate::budget::{Budget, BudgetKey, Charged};
use crate::offer::{Offer, OfferKey};
use crate::power::SitePower;
use crate::quota::{Held, Holding, HoldingKey, Holdings};
use crate::reservation::{Moment, Stock, StockKey, Wish};
use crate::state::State;
use sekisho_types::budget::Exhausted;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{OperatorId, SiteId, TenantId};
use sekisho_types::job::JobFacts;
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::quota::Amount;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a placement was charged; by it everything is given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The place that counts for quotas and budgets.
    pub place: Area,
    /// The offer of its site; `None` of what a host brought over from another incarnation.
    pub offer: Option<Name>,
    /// At this price.
    pub yen_per_gpu_hour: u64,
    /// Budgets are charged from here, on the state clock …
    pub from: Timestamp,
    /// … to here.
    pub until: Timestamp,
    /// Which budgets.
    pub budgets: Vec<Charged>,
}

/// What is charged already: in the state, and by what a plan has taken beside it.
pub trait Books: Holdings {
    /// Charged to a budget in the period that begins at `first`, beside what the state says.
    fn planned_of_budget(&self, key: &BudgetKey, first: Timestamp) -> u128;
    /// Devices charged to an offer, beside what the state says.
    fn planned_of_offer(&self, key: &OfferKey) -> u64;
    /// Watts charged at a site, beside what the state says.
    fn planned_watts(&self, site: &SiteId) -> u64;
    /// Watts of a site that will have come back when the group is granted: none, unless that is later than now.
    fn ended_watts(&self, _site: &SiteId) -> u64 {
        0
    }
    /// Devices of an offer that will have come back when the group is granted: none, unless that is later than now.
    fn ended_of_offer(&self, _key: &OfferKey) -> u64 {
        0
    }
    /// What is charged of a class at a site where something is reserved, with it.
    fn stock(&self, key: &StockKey) -> Option<&Stock>;
}

/// The state's own books: nothing beside it.
#[derive(Debug, Clone, Copy)]
pub struct Own<'s>(pub &'s State);

impl Holdings for Own<'_> {
    fn holding(&self, key: &HoldingKey) -> Option<&Holding> {
        self.0.quotas.get(key)
    }
}

impl Books for Own<'_> {
    fn planned_of_budget(&self, _key: &BudgetKey, _first: Timestamp) -> u128 {
        0
    }
    fn planned_of_offer(&self, _key: &OfferKey) -> u64 {
        0
    }
    fn planned_watts(&self, _site: &SiteId) -> u64 {
        0
    }
    fn stock(&self, key: &StockKey) -> Option<&Stock> {
        self.0.stock(key)
    }
}

/// What the cap of a site leaves, watts; `None` = it has none.
fn watts_left(state: &State, books: &impl Books, site: &SiteId) -> Option<u64> {
    let power = state.power(site);
    let used = power.used.saturating_sub(books.ended_watts(site));
    SitePower { used, ..power }.left(books.planned_watts(site))
}

#[derive(Debug, Clone)]
struct Row {
    area: Area,
    room: Amount,
    /// The room if nobody else held anything.
    ceiling: Amount,
}

/// A part of the time limit in one period.
#[derive(Debug, Clone, Copy)]
struct Part {
    ms: u64,
    /// What is left of the period.
    left: u128,
    /// What would be left if nobody else had used any.
    whole: u128,
}

#[derive(Debug, Clone)]
struct Left<'s> {
    key: &'s BudgetKey,
    budget: &'s Budget,
    /// Of each period that the time limit lies in.
    periods: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Offered<'s> {
    key: &'s OfferKey,
    yen: u64,
    left: u64,
    /// It backs what is reserved at the site.
    backs: bool,
}

/// What a site offers the group.
#[derive(Debug, Clone)]
struct Counter<'s> {
    /// In the order in which they are charged.
    offers: Vec<Offered<'s>>,
    /// Watts that the cap of the site leaves; `None` = it has none.
    watts: Option<u64>,
    /// What is left beside reservations, at each moment of its time at which it may be less; none where nothing is reserved.
    moments: Vec<Moment>,
    /// The group names a reservation, and it is none that it could use here now.
    elsewhere: bool,
}

/// What a group may still charge.
#[derive(Debug, Clone)]
pub struct Purse<'s> {
    state: &'s State,
    facts: &'s JobFacts,
    now: Timestamp,
    until: Timestamp,
    rows: Vec<Row>,
    budgets: Vec<Left<'s>>,
    wish: Wish<'s>,
    sites: BTreeMap<SiteId, Counter<'s>>,
}

impl<'s> Purse<'s> {
    /// The purse of a job; `path` is its tenant and all above it ([`State::path`]).
    #[must_use]
    pub fn open(
        state: &'s State,
        books: &impl Books,
        facts: &'s JobFacts,
        path: &[TenantId],
    ) -> Self {
        Self::open_at(state, books, facts, path, state.clock)
    }

    /// The same if the group were granted at `now`, which the state clock may not have reached: in the periods and by the offers of
    /// then. What will have come back by then, the books say.
    #[must_use]
    pub fn open_at(
        state: &'s State,
        books: &impl Books,
        facts: &'s JobFacts,
        path: &[TenantId],
        now: Timestamp,
    ) -> Self {
        let until = now.plus_ms(facts.time_limit_s.saturating_mul(1000));
        Self::open_for(state, books, facts, path, (now, until))
    }

    /// The same for a part of its time.
    #[must_use]
    pub fn open_for(
        state: &'s State,
        books: &impl Books,
        facts: &'s JobFacts,
        path: &[TenantId],
        (now, until): (Timestamp, Timestamp),
    ) -> Self {
        let class = &facts.resources.class;
        let held = Held::of(books, path, class);
        let row = |area| Row { area, room: held.room(area), ceiling: held.ceiling(area) };
        let all = path.iter().flat_map(|tenant| state.budgets_of(tenant));
        let hard = all.filter(|(_, budget)| {
            budget.spec.exhausted == Exhausted::Stop
                && budget.spec.class.as_ref().is_none_or(|of| of == class)
        });
        let left = |(key, budget): (&'s BudgetKey, &'s Budget)| {
            let periods = budget.spec.period.parts(now, until);
            let periods = periods.map(|(first, ms)| {
                let left = budget.left(first).saturating_sub(books.planned_of_budget(key, first));
                Part { ms, left, whole: budget.spec.whole() }
            });
            Left { key, budget, periods: periods.collect() }
        };
        Self {
            state,
            facts,
            now,
            until,
            rows: held.rows().map(row).collect(),
            budgets: hard.map(left).collect(),
            wish: state.wish(facts, path, until),
            sites: BTreeMap::new(),
        }
    }

    /// Room of the rows all together.
    #[must_use]
    pub fn room(&self) -> Amount {
        self.widest().map(|row| row.room).fold(Amount::NONE, Amount::plus)
    }

    fn widest(&self) -> impl Iterator<Item = &Row> {
        let inside = |row: &Row| {
            self.rows.iter().any(|of| of.area != row.area && of.area.contains(row.area))
        };
        self.rows.iter().filter(move |row| !inside(row))
    }

    /// Whether the rows all together have room for a whole group, and budgets of the whole country are as large as it: no more
    /// than a first look, which places it nowhere.
    ///
    /// # Errors
    /// `QUOTA_NONE`, `BUDGET_TOO_SMALL` or `RESERVATION_NONE` if they never will have, else `QUOTA_EXCEEDED`.
    pub fn covers(&self, gpus: u64) -> Result<(), ErrorCode> {
        if matches!(self.wish, Wish::Gone) {
            return Err(ErrorCode::ReservationNone);
        }
        let ever = self.widest().map(|row| row.ceiling).fold(Amount::NONE, Amount::plus);
        if !ever.covers(gpus) {
            return Err(ErrorCode::QuotaNone);
        }
        let national = self.budgets.iter().filter(|left| left.budget.spec.area == Area::Japan);
        for left in national {
            // What it costs is not known before its places are; in GPU-hours it is.
            let rate = left.budget.spec.rate(gpus, 0);
            let need = |part: &Part| rate.saturating_mul(u128::from(part.ms));
            if left.periods.iter().any(|part| need(part) > part.whole) {
                return Err(ErrorCode::BudgetTooSmall);
            }
        }
        if self.room().covers(gpus) { Ok(()) } else { Err(ErrorCode::QuotaExceeded) }
    }

    /// Charges one more member at a site of `operator`, in `place`, whose devices may draw so many `watts`.
    ///
    /// # Errors
    /// The code of the first that does not admit it; nothing is charged then.
    pub fn spend(
        &mut self,
        books: &impl Books,
        (site, operator): (&SiteId, &OperatorId),
        (place, watts): (Area, u64),
    ) -> Result<Spend<'s>, ErrorCode> {
        if self.state.vetoed(operator, &self.facts.id).is_some() {
            return Err(ErrorCode::OfferVetoed);
        }
        if matches!(self.wish, Wish::Gone) {
            return Err(ErrorCode::ReservationNone);
        }
        if !self.state.power(site).ever_covers(watts) {
            return Err(ErrorCode::PowerTooSmall);
        }
        let gpus = u64::from(self.facts.resources.gpus);
        let offer = self.offered(books, site, gpus)?;
        self.has_power(site, watts)?;
        self.has_room(place, gpus)?;
        let (key, yen) = self
            .sites
            .get(site)
            .and_then(|counter| counter.offers.get(offer))
            .map(|offered| (offered.key, offered.yen))
            .ok_or(ErrorCode::Internal)?;
        let bound = |left: &&Left<'_>| left.budget.spec.area.contains(place);
        for left in self.budgets.iter().filter(bound) {
            let rate = left.budget.spec.rate(gpus, yen);
            let need = |ms: u64| rate.saturating_mul(u128::from(ms));
            if left.periods.iter().any(|part| need(part.ms) > part.whole) {
                return Err(ErrorCode::BudgetTooSmall);
            }
            if left.periods.iter().any(|part| need(part.ms) > part.left) {
                return Err(ErrorCode::BudgetExhausted);
            }
        }
        self.take((place, gpus, watts), (site, offer), yen);
        Ok(Spend { place, offer: key, yen_per_gpu_hour: yen, watts })
    }

    /// The number of the offer to charge, in the order in which they are.
    fn offered(
        &mut self,
        books: &impl Books,
        site: &SiteId,
        gpus: u64,
    ) -> Result<usize, ErrorCode> {
        let (state, facts, wish) = (self.state, self.facts, self.wish);
        let time = (self.now, self.until);
        let counter = self.sites.entry(site.clone());
        let counter =
            counter.or_insert_with(|| Counter::of((state, books), site, (facts, wish, time)));
        if counter.offers.is_empty() {
            return Err(ErrorCode::OfferNone);
        }
        let named = matches!(self.wish, Wish::Of(..));
        let mut code = ErrorCode::OfferFull;
        let with_room = counter.offers.iter().enumerate().filter(|(_, offer)| offer.left >= gpus);
        for (at, offer) in with_room {
            match counter.leaves_what_is_reserved(offer, gpus, named) {
                Ok(()) => return Ok(at),
                Err(held) => code = held,
            }
        }
        Err(code)
    }

    /// Whether the cap of a site that was asked leaves so many watts.
    fn has_power(&self, site: &SiteId, watts: u64) -> Result<(), ErrorCode> {
        let left = self.sites.get(site).and_then(|counter| counter.watts);
        if left.is_some_and(|left| left < watts) { Err(ErrorCode::PowerFull) } else { Ok(()) }
    }

    fn has_room(&self, place: Area, gpus: u64) -> Result<(), ErrorCode> {
        let bound = || self.rows.iter().filter(|row| row.area.contains(place));
        if bound().next().is_none() || bound().any(|row| !row.ceiling.covers(gpus)) {
            return Err(ErrorCode::QuotaNone);
        }
        if bound().all(|row| row.room.covers(gpus)) {
            return Ok(());
        }
        Err(ErrorCode::QuotaExceeded)
    }

    fn take(
        &mut self,
        (place, gpus, watts): (Area, u64, u64),
        (site, offer): (&SiteId, usize),
        yen: u64,
    ) {
        for row in self.rows.iter_mut().filter(|row| row.area.contains(place)) {
            row.room = row.room.less(gpus);
            row.ceiling = row.ceiling.less(gpus);
        }
        let bound = |left: &&mut Left<'_>| left.budget.spec.area.contains(place);
        for left in self.budgets.iter_mut().filter(bound) {
            let rate = left.budget.spec.rate(gpus, yen);
            for part in &mut left.periods {
                let spent = rate.saturating_mul(u128::from(part.ms));
                part.left = part.left.saturating_sub(spent);
                part.whole = part.whole.saturating_sub(spent);
            }
        }
        if let Some(counter) = self.sites.get_mut(site) {
            counter.take(offer, gpus);
            counter.watts = counter.watts.map(|left| left.saturating_sub(watts));
        }
    }

    /// The hard budgets that bind the job, with the least part of a period that is left to it.
    pub fn budgets(&self) -> impl Iterator<Item = (&'s BudgetKey, &'s Budget)> + '_ {
        self.budgets.iter().map(|left| (left.key, left.budget))
    }

    /// Rows of its tenant, and the room in each.
    pub fn rows(&self) -> impl Iterator<Item = (Area, Amount)> + '_ {
        self.rows.iter().map(|row| (row.area, row.room))
    }

    /// What the cap of a site leaves before the group, watts; `None` = it has none.
    #[must_use]
    pub fn watts_left(&self, books: &impl Books, site: &SiteId) -> Option<u64> {
        watts_left(self.state, books, site)
    }

    /// Until when the job's time is charged.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.until
    }
}

impl<'s> Counter<'s> {
    fn of(
        (state, books): (&'s State, &impl Books),
        site: &SiteId,
        (facts, wish, time): (&JobFacts, Wish<'_>, (Timestamp, Timestamp)),
    ) -> Self {
        let (tenant, class) = (&facts.id.tenant, &facts.resources.class);
        let key = (site.clone(), class.clone());
        let stock = books.stock(&key);
        let offered = |(key, offer): (&'s OfferKey, &'s Offer)| {
            let used = offer.used.saturating_sub(books.ended_of_offer(key));
            let used = used.saturating_add(books.planned_of_offer(key));
            let left = offer.spec.gpus.saturating_sub(used);
            let backs = stock.is_some_and(|stock| stock.is_backed_by(&key.1));
            Offered { key, yen: offer.spec.yen_per_gpu_hour, left, backs }
        };
        let made = state.offers_for(site, (tenant, class), time).into_iter();
        let elsewhere = match wish {
            Wish::Any | Wish::Gone => false,
            Wish::Of((holder, _), row) => {
                let uses = stock.and_then(|stock| stock.holder_of(state, tenant));
                let held = row.spec.site == *site && row.spec.holds_at(state.clock);
                !held || uses.as_ref() != Some(holder)
            }
        };
        // Of another time than now they are those of now: what is in use comes back by then at the latest.
        let moments = state.moments(books, &key, (tenant, time.1));
        let watts = watts_left(state, books, site);
        Self { offers: made.map(offered).collect(), watts, moments, elsewhere }
    }

    /// Whether a member on an offer leaves what is reserved for others, and stands on what is reserved for it if it asks for that.
    fn leaves_what_is_reserved(
        &self,
        offer: &Offered<'_>,
        gpus: u64,
        named: bool,
    ) -> Result<(), ErrorCode> {
        let own = |moment: &Moment| moment.own >= gpus;
        if named {
            let all = !self.elsewhere && offer.backs && self.moments.iter().all(own);
            return if all { Ok(()) } else { Err(ErrorCode::ReservationFull) };
        }
        let left = |moment: &Moment| gpus.saturating_sub(moment.own) <= moment.free;
        if !offer.backs || self.moments.iter().all(left) {
            return Ok(());
        }
        Err(ErrorCode::OfferReserved)
    }

    fn take(&mut self, offer: usize, gpus: u64) {
        let Some(offered) = self.offers.get_mut(offer) else { return };
        offered.left = offered.left.saturating_sub(gpus);
        for moment in self.moments.iter_mut().filter(|_| offered.backs) {
            let beyond = gpus.saturating_sub(moment.own);
            moment.own = moment.own.saturating_sub(gpus);
            moment.free = moment.free.saturating_sub(beyond);
        }
    }
}

/// What one member is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spend<'s> {
    /// Where it counts.
    pub place: Area,
    /// The offer.
    pub offer: &'s OfferKey,
    /// Its price.
    pub yen_per_gpu_hour: u64,
    /// What it may draw.
    pub watts: u64,
}
