//! What a plan charges beside its state: quotas, budgets, offers with what is reserved of them, and power of sites (Q1).
//!
//! Must hold: each group of a plan is admitted by the purse that apply opens for it, on books that have the charges of the
//! groups before it. The sums are the state machine's own.

use crate::limit::BUDGET_PERIODS_TRIED_MAX;
use sekisho_fsm::State;
use sekisho_fsm::budget::BudgetKey;
use sekisho_fsm::offer::OfferKey;
use sekisho_fsm::purse::{Books, Spend};
use sekisho_fsm::quota::{Holding, HoldingKey, Holdings, Keep, charge, refund};
use sekisho_fsm::reservation::{Stock, StockKey};
use sekisho_types::budget::{BudgetSpec, Exhausted, Unit};
use sekisho_types::id::{DeviceClass, SiteId, TenantId};
use sekisho_types::job::JobFacts;
use sekisho_types::jurisdiction::Area;
use sekisho_types::time::Timestamp;
use std::collections::BTreeMap;

/// The books of one planning round, or of a later time on paper.
#[derive(Debug, Clone)]
pub(crate) struct Overlay<'s> {
    state: &'s State,
    holdings: BTreeMap<HoldingKey, Holding>,
    budgets: BTreeMap<(BudgetKey, Timestamp), u128>,
    offers: BTreeMap<OfferKey, u64>,
    /// What of an offer has come back by then.
    ended: BTreeMap<OfferKey, u64>,
    watts: BTreeMap<SiteId, u64>,
    /// What sites have back by then.
    ended_watts: BTreeMap<SiteId, u64>,
    stocks: BTreeMap<StockKey, Stock>,
}

impl Holdings for Overlay<'_> {
    fn holding(&self, key: &HoldingKey) -> Option<&Holding> {
        self.holdings.get(key).or_else(|| self.state.holding(&key.0, &key.1))
    }
}

impl Keep for Overlay<'_> {
    fn keep(&mut self, key: HoldingKey, holding: Holding) {
        self.holdings.insert(key, holding);
    }
}

impl Books for Overlay<'_> {
    fn planned_of_budget(&self, key: &BudgetKey, first: Timestamp) -> u128 {
        self.budgets.get(&(key.clone(), first)).copied().unwrap_or(0)
    }

    fn planned_of_offer(&self, key: &OfferKey) -> u64 {
        self.offers.get(key).copied().unwrap_or(0)
    }

    fn planned_watts(&self, site: &SiteId) -> u64 {
        self.watts.get(site).copied().unwrap_or(0)
    }

    fn ended_watts(&self, site: &SiteId) -> u64 {
        self.ended_watts.get(site).copied().unwrap_or(0)
    }

    fn ended_of_offer(&self, key: &OfferKey) -> u64 {
        self.ended.get(key).copied().unwrap_or(0)
    }

    fn stock(&self, key: &StockKey) -> Option<&Stock> {
        self.stocks.get(key).or_else(|| self.state.stock(key))
    }
}

impl<'s> Overlay<'s> {
    /// Nothing beside the state.
    pub(crate) fn of(state: &'s State) -> Self {
        let (holdings, budgets, offers) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (ended, stocks) = (BTreeMap::new(), BTreeMap::new());
        let (watts, ended_watts) = (BTreeMap::new(), BTreeMap::new());
        Self { state, holdings, budgets, offers, ended, watts, ended_watts, stocks }
    }

    /// The first of `path` has given GPUs at a place back.
    pub(crate) fn give_back(
        &mut self,
        path: &[TenantId],
        class: &DeviceClass,
        place: Area,
        gpus: u64,
    ) {
        refund(self, path, class, place, gpus);
    }

    /// Devices of an offer have come back.
    pub(crate) fn end(&mut self, offer: OfferKey, gpus: u64) {
        let ended = self.ended.entry(offer).or_default();
        *ended = ended.saturating_add(gpus);
    }

    /// Devices of a site draw no more.
    pub(crate) fn end_watts(&mut self, site: &SiteId, watts: u64) {
        let ended = self.ended_watts.entry(site.clone()).or_default();
        *ended = ended.saturating_add(watts);
    }

    /// What this round charged of an offer and a site has come back by then.
    pub(crate) fn unplan(&mut self, offer: &OfferKey, gpus: u64, watts: u64) {
        if let Some(planned) = self.offers.get_mut(offer) {
            *planned = planned.saturating_sub(gpus);
        }
        if let Some(planned) = self.watts.get_mut(&offer.0) {
            *planned = planned.saturating_sub(watts);
        }
    }

    /// The state beside which they are.
    pub(crate) fn state(&self) -> &'s State {
        self.state
    }

    /// Charges what a purse has admitted.
    pub(crate) fn charge(
        &mut self,
        facts: &JobFacts,
        path: &[TenantId],
        spends: &[Spend<'s>],
        until: Timestamp,
    ) {
        self.hold(facts, path, spends, until);
        self.charge_budgets(facts, path, spends, (self.state.clock(), until));
    }

    /// Charges what is held, and no budget.
    pub(crate) fn hold(
        &mut self,
        facts: &JobFacts,
        path: &[TenantId],
        spends: &[Spend<'s>],
        until: Timestamp,
    ) {
        let gpus = u64::from(facts.resources.gpus);
        for spend in spends {
            charge(self, path, &facts.resources.class, spend.place, gpus);
            let used = self.offers.entry(spend.offer.clone()).or_default();
            *used = used.saturating_add(gpus);
            let watts = self.watts.entry(spend.offer.0.clone()).or_default();
            *watts = watts.saturating_add(spend.watts);
            self.charge_stock(spend.offer, (&facts.resources.class, path), (until, gpus));
        }
    }

    /// Charges budgets with this time.
    pub(crate) fn charge_budgets(
        &mut self,
        facts: &JobFacts,
        path: &[TenantId],
        spends: &[Spend<'s>],
        (from, until): (Timestamp, Timestamp),
    ) {
        let (gpus, class) = (u64::from(facts.resources.gpus), &facts.resources.class);
        for spend in spends {
            let all = path.iter().flat_map(|tenant| self.state.budgets_of(tenant));
            for (key, budget) in all.filter(|(_, one)| one.spec.counts(class, spend.place)) {
                let rate = budget.spec.rate(gpus, spend.yen_per_gpu_hour);
                for (first, ms) in budget.spec.period.parts(from, until) {
                    let sum = self.budgets.entry((key.clone(), first)).or_default();
                    *sum = sum.saturating_add(rate.saturating_mul(u128::from(ms)));
                }
            }
        }
    }

    /// Keeps for a group that budgets hold now what it is charged if it begins with the next period of theirs in which they cover it:
    /// or others that last into it would charge it ahead, each time anew. Only of budgets that bind it wherever it stands, and of
    /// GPU-hours: what it costs is not known before its places are.
    pub(crate) fn keep_budgets(&mut self, facts: &JobFacts, path: &[TenantId]) {
        let (state, class) = (self.state, &facts.resources.class);
        let binds = |spec: &BudgetSpec| {
            let of_class = spec.class.as_ref().is_none_or(|of| of == class);
            let hard = spec.exhausted == Exhausted::Stop && spec.unit == Unit::GpuHours;
            hard && of_class && spec.area == Area::Japan
        };
        let all = path.iter().flat_map(|tenant| state.budgets_of(tenant));
        let hard: Vec<_> = all.filter(|(_, budget)| binds(&budget.spec)).collect();
        let mut begin = state.clock();
        for _ in 0..BUDGET_PERIODS_TRIED_MAX {
            let end = begin.plus_ms(facts.time_limit_s.saturating_mul(1000));
            let lacks = hard.iter().filter(|(key, budget)| {
                let rate = budget.spec.rate(facts.gpus(), 0);
                budget.spec.period.parts(begin, end).any(|(first, ms)| {
                    let planned = self.planned_of_budget(key, first);
                    budget.left(first).saturating_sub(planned) < rate.saturating_mul(u128::from(ms))
                })
            });
            let next =
                lacks.filter_map(|(_, budget)| Some(budget.spec.period.span(begin)?.1)).max();
            if let Some(next) = next {
                begin = next;
                continue;
            }
            if begin == state.clock() {
                // Something else holds it.
                return;
            }
            for (key, budget) in &hard {
                let rate = budget.spec.rate(facts.gpus(), 0);
                for (first, ms) in budget.spec.period.parts(begin, end) {
                    let sum = self.budgets.entry(((*key).clone(), first)).or_default();
                    *sum = sum.saturating_add(rate.saturating_mul(u128::from(ms)));
                }
            }
            return;
        }
    }

    /// Charges a member where something is reserved.
    fn charge_stock(
        &mut self,
        (site, offer): &OfferKey,
        (class, path): (&DeviceClass, &[TenantId]),
        (until, gpus): (Timestamp, u64),
    ) {
        let key = (site.clone(), class.clone());
        let stock = self.stock(&key).filter(|stock| stock.is_backed_by(offer));
        if let Some(mut stock) = stock.cloned() {
            stock.add(path, until, gpus);
            self.stocks.insert(key, stock);
        }
    }
}
