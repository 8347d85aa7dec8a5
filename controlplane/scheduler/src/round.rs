//! One planning round: what it has taken so far, and whether one more job fits.
//!
//! Must hold: each group sees the room, quotas, budgets, offers and claims that earlier groups leave (P1, Q1); residency as in
//! apply (D1).

mod probe;

use crate::books::Overlay;
use crate::claim::{Claimant, Claims};
use crate::filter::Filter;
use crate::fleet::Fleet;
use crate::limit::{
    BUDGETS_KEPT_MAX, GROUP_OVERHEAD, LANES_PER_PLAN_MAX, PLAN_BYTES_MAX, SLOT_OVERHEAD,
};
use crate::pick::{Allowed, Picked, Place, Search};
use crate::planner::Plan;
use crate::residency::Verdicts;
use crate::share::Shares;
use sekisho_fsm::State;
use sekisho_fsm::command::{Group, Slot};
use sekisho_fsm::purse::Purse;
use sekisho_fsm::state::Job;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{DeviceClass, JobId, SiteId, TenantId};
use sekisho_types::job::JobFacts;
use sekisho_types::limit::{CALLS_MAX, GROUPS_PER_PLAN_MAX, KILL_GRACE};
use sekisho_types::quota::Amount;
use sekisho_types::revision::KeyEpoch;
use sekisho_types::sharing::Sharing;
use sekisho_types::time::Timestamp;
use sekisho_types::topology::Topology;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) use probe::Probe;

/// From the end of a job's time to the moment at which nothing of it is left.
pub(crate) const GRACE_MS: u64 = KILL_GRACE.as_secs() * 1000;

/// What keeps a job off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    Rules,
    Quota,
    Budget,
    Offer,
    Room,
    Payload,
    /// Others are being moved for it.
    Making,
    /// Its latest start has passed: the next tick ends it.
    Late,
}

impl Hold {
    /// What a purse refused for.
    fn of(code: ErrorCode) -> Self {
        if Filter::of_purse(code) == Filter::Budget {
            return Self::Budget;
        }
        if Filter::of_purse(code) == Filter::Quota { Self::Quota } else { Self::Offer }
    }
}

/// What became of a job in its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tried {
    /// It was placed; so much does it count.
    Granted(u128),
    /// It waits on.
    Held,
    /// A bound ends the round.
    Full,
}

/// What decides where there is room for a job; rules are of one tenant, and so are marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Need<'s> {
    class: &'s DeviceClass,
    gpus: u32,
    memory_mib: u64,
    units: u32,
    group: u32,
    topology: &'s Topology,
    /// Who asks for a share; room there is not the same for all.
    sharer: Option<(&'s TenantId, Sharing)>,
    rules: usize,
    sealed_to: &'s BTreeMap<SiteId, KeyEpoch>,
}

/// The round.
#[derive(Debug)]
pub(crate) struct Round<'s, 'f> {
    pub(crate) state: &'s State,
    fleet: &'f mut Fleet,
    books: Overlay<'s>,
    pub(crate) shares: Shares,
    claims: Claims<'s>,
    paths: BTreeMap<&'s TenantId, Vec<TenantId>>,
    verdicts: Verdicts<'s>,
    /// Some site has a power cap.
    capped: bool,
    /// Needs for which there was no room, whoever asked, with the least time limit that found none. Room only shrinks.
    full: BTreeMap<Need<'s>, u64>,
    /// What tenants may have more of a class at most; nor does that grow.
    rooms: BTreeMap<(&'s TenantId, &'s DeviceClass), Amount>,
    /// Groups that wholes still want, of those that were tried.
    wanted: BTreeMap<&'s JobId, u32>,
    looked: u32,
    /// Who is called and waits, in order.
    calls: Vec<&'s Job>,
    /// It is the turn of one of them.
    calling: bool,
    /// Those of them that had it.
    heard: BTreeSet<&'s JobId>,
    /// Jobs for which something of budgets is kept.
    kept: usize,
    bytes: usize,
}

impl<'s, 'f> Round<'s, 'f> {
    pub(crate) fn of(state: &'s State, fleet: &'f mut Fleet) -> Self {
        let calls = state.calls().iter().filter_map(|id| state.job(id));
        let capped = state.caps_power();
        Self {
            state,
            fleet,
            books: Overlay::of(state),
            shares: Shares::of(state),
            claims: Claims::none(capped),
            paths: BTreeMap::new(),
            verdicts: Verdicts::default(),
            capped,
            full: BTreeMap::new(),
            rooms: BTreeMap::new(),
            wanted: BTreeMap::new(),
            looked: 0,
            calls: calls.filter(|job| job.is_queued()).collect(),
            calling: false,
            heard: BTreeSet::new(),
            kept: 0,
            bytes: 0,
        }
    }

    /// Places a job that was called, if it fits; else it claims anew, whoever was refused before it.
    pub(crate) fn attempt_called(&mut self, job: &'s Job, plan: &mut Plan) -> Result<Tried, Hold> {
        self.calling = true;
        let tried = self.attempt(job, plan);
        self.calling = false;
        if tried != Ok(Tried::Full) {
            self.heard.insert(&job.facts.id);
        }
        tried
    }

    /// Who of a level is called.
    pub(crate) fn calls(&self, level: u8) -> Vec<&'s Job> {
        self.calls.iter().filter(|job| job.queue_key().0 == level).copied().collect()
    }

    /// Leaves calls out that are no concern of this round's.
    pub(crate) fn heed(&mut self, concerns: impl Fn(&JobFacts) -> bool) {
        self.calls.retain(|job| concerns(&job.facts));
    }

    /// Who is called from now on: whoever has claimed, and who was called before and had no turn because a bound ended the round.
    pub(crate) fn called(&self) -> Vec<JobId> {
        let unheard = self.calls.iter().map(|job| &job.facts.id);
        let unheard = unheard.filter(|id| !self.heard.contains(id));
        self.claims.claimants().chain(unheard).take(CALLS_MAX).cloned().collect()
    }

    /// Places a job, if it fits.
    pub(crate) fn attempt(&mut self, job: &'s Job, plan: &mut Plan) -> Result<Tried, Hold> {
        if plan.groups.len() >= GROUPS_PER_PLAN_MAX || self.looked >= LANES_PER_PLAN_MAX {
            return Ok(Tried::Full);
        }
        if !self.wants(job) {
            return Ok(Tried::Held);
        }
        let group = self.place(job).inspect_err(|_hold| {
            self.looked = self.looked.saturating_add(1);
        })?;
        self.bytes = self.bytes.saturating_add(size(&group));
        if self.bytes > PLAN_BYTES_MAX {
            return Ok(Tried::Full);
        }
        plan.groups.push(group);
        if let Some(left) = self.wanted.get_mut(&job.facts.id) {
            *left = left.saturating_sub(1);
        }
        Ok(Tried::Granted(self.weight(job)))
    }

    /// How many replicas a service lacks, where that is known.
    pub(crate) fn knows(&mut self, id: &JobId, wanted: u32) {
        let Some(job) = self.state.job(id) else { return };
        let paused = job.tasks.as_ref().is_some_and(|tasks| self.state.clock() < tasks.pause);
        self.wanted.insert(&job.facts.id, if paused { 0 } else { wanted });
    }

    /// Whether one more group of it is wanted.
    pub(crate) fn wants(&mut self, job: &'s Job) -> bool {
        let state = self.state;
        *self.wanted.entry(&job.facts.id).or_insert_with(|| state.wanted(job)) > 0
    }

    fn weight(&self, job: &Job) -> u128 {
        let ms = job.facts.time_limit_s.saturating_mul(1000);
        self.state.fair_weight(job.facts.gpus(), ms)
    }

    /// Whether what holds a job says nothing about the others of its lane.
    pub(crate) fn concerns_it_alone(&self, job: &Job, hold: Hold) -> bool {
        match hold {
            Hold::Payload | Hold::Making | Hold::Late => true,
            Hold::Rules => false,
            // Others may use the nodes that refused this one, and sites whose operators vetoed it.
            Hold::Room | Hold::Quota | Hold::Budget | Hold::Offer => {
                !self.state.avoided(job).is_empty() || self.state.is_vetoed_itself(&job.facts.id)
            }
        }
    }

    fn place(&mut self, job: &'s Job) -> Result<Group, Hold> {
        let (state, facts) = (self.state, &job.facts);
        let rules = self.verdicts.number(state, facts).ok_or(Hold::Rules)?;
        if state.is_missing(&facts.payload) {
            return Err(Hold::Payload);
        }
        if state.check_start(facts).is_err() {
            return Err(Hold::Late);
        }
        if state.preemption(&facts.id).is_some() {
            return Err(Hold::Making);
        }
        let (tenant, class, need) = (&facts.id.tenant, &facts.resources.class, facts.gpus());
        let is_small = self.rooms.get(&(tenant, class)).is_some_and(|room| !room.covers(need));
        if is_small && !self.calling {
            return Err(Hold::Quota);
        }
        let sought = Need {
            class,
            gpus: facts.resources.gpus,
            memory_mib: facts.resources.memory_mib,
            units: facts.resources.units,
            group: facts.group,
            topology: &facts.topology,
            sharer: class.is_shared().then_some((tenant, facts.resources.sharing)),
            rules,
            sealed_to: &facts.sealed_to,
        };
        let is_full = self.full.get(&sought).is_some_and(|limit| *limit <= facts.time_limit_s);
        if is_full && !self.calling {
            return Err(Hold::Room);
        }
        let path = self.paths.entry(tenant).or_insert_with(|| state.path(tenant));
        let purse = Purse::open(state, &self.books, facts, path);
        let until = purse.until().plus_ms(GRACE_MS);
        if let Err(code) = purse.covers(need) {
            self.rooms.insert((tenant, class), purse.room());
            let short = purse.room().short_of(need);
            // Nothing is kept for what never fits.
            if code == ErrorCode::QuotaExceeded && !self.claim(job, rules, until, true) {
                let lasts_ms = until.since_ms(state.clock());
                self.claims.make_charge(self.fleet, (tenant, class), short, lasts_ms);
            }
            return Err(Hold::of(code));
        }
        if !self.claims.admits_charge(tenant, class, need, until) {
            let _claimed = self.claim(job, rules, until, true);
            return Err(Hold::Quota);
        }
        self.search(job, (rules, sought), purse)
    }

    /// Keeps for a job that budgets hold what it will need of them.
    fn keep_budgets(&mut self, facts: &JobFacts) {
        if self.kept < BUDGETS_KEPT_MAX {
            self.kept = self.kept.saturating_add(1);
            let path = self.paths.get(&facts.id.tenant).map(Vec::as_slice).unwrap_or_default();
            self.books.keep_budgets(facts, path);
        }
    }

    /// Claims for a job that cannot start now the time at which it can; whether there is one.
    fn claim(&mut self, job: &'s Job, rules: usize, until: Timestamp, is_of_quota: bool) -> bool {
        let (state, facts) = (self.state, &job.facts);
        if !self.claims.may_look(facts, is_of_quota, self.calling) {
            self.keep_budgets(facts);
            return false;
        }
        let avoid = state.avoided(job);
        self.fleet.know(&facts.resources);
        let against = self.fleet.against(facts);
        let now = state.clock();
        let shelves = allowed(self.fleet, (state, &mut self.verdicts), (facts, rules));
        let claimant = Claimant {
            job,
            path: self.paths.get(&facts.id.tenant).map(Vec::as_slice).unwrap_or_default(),
            avoid: &avoid,
            against: &against,
            now,
            lasts_ms: until.since_ms(now),
            is_of_quota,
        };
        let books = (&mut self.books, &*self.fleet);
        if self.claims.make(books, &shelves, &claimant).is_some() {
            return true;
        }
        drop((shelves, against));
        self.keep_budgets(facts);
        false
    }

    /// Looks for places, and takes them.
    fn search(
        &mut self,
        job: &'s Job,
        (rules, sought): (usize, Need<'s>),
        purse: Purse<'s>,
    ) -> Result<Group, Hold> {
        let (state, facts) = (self.state, &job.facts);
        let tenant = &facts.id.tenant;
        let until = purse.until().plus_ms(GRACE_MS);
        let avoid = state.avoided(job);
        let shelves = allowed(self.fleet, (state, &mut self.verdicts), (facts, rules));
        let path = self.paths.get(tenant).map(Vec::as_slice).unwrap_or_default();
        let mut search = Search {
            gpus: facts.resources.gpus,
            group: facts.group,
            topology: &facts.topology,
            shelves,
            avoid: &avoid,
            against: self.fleet.against(facts),
            books: &self.books,
            purse,
            claims: &self.claims,
            later: self.claims.later(facts, path, until),
            kept_off: None,
            capped: self.capped,
            until,
            refused: None,
        };
        let Some(Picked { places, spends, .. }) = search.run() else {
            let Search { refused, kept_off, .. } = search;
            match refused {
                Some(ErrorCode::BudgetExhausted) => self.keep_budgets(facts),
                Some(code) if !comes_back(code) => {}
                Some(_) | None => {
                    let _claimed = self.claim(job, rules, until, false);
                }
            }
            // What is kept of a quota is kept from some.
            if refused.is_none() && kept_off.is_none() && avoid.is_empty() {
                self.full.insert(sought, facts.time_limit_s);
            }
            return Err(refused.or(kept_off).map_or(Hold::Room, Hold::of));
        };
        let charged = search.purse.until();
        drop(search);
        let slot = |(_, spot): &Place| Slot { node: spot.1.clone(), bucket: spot.2 };
        let slots: Vec<Slot> = places.iter().map(slot).collect();
        // Apply asks the same of what it is told.
        if state.stands_as_asked(facts, &slots).is_err() {
            return Err(Hold::Room);
        }
        let path = self.paths.get(tenant).map(Vec::as_slice).unwrap_or_default();
        self.books.charge(facts, path, &spends, charged);
        self.claims.grant(facts, path, &spends, until);
        self.claims.place(&places, facts.resources.gpus, until);
        for (_, spot) in &places {
            self.fleet.take(spot, facts, until);
            self.fleet.mark(&spot.1, facts, until);
        }
        Ok(Group { job: facts.id.clone(), places: slots })
    }
}

/// Shelves on which a job may stand.
fn allowed<'f, 's>(
    fleet: &'f Fleet,
    (state, verdicts): (&'s State, &mut Verdicts<'s>),
    (facts, rules): (&JobFacts, usize),
) -> Vec<Allowed<'f>> {
    let shelves = fleet.shelves(&facts.resources).filter(|(key, shelf)| {
        key.admits(facts)
            && state.can_open(facts, &key.site)
            && verdicts.allows(state, rules, &key.place, &shelf.example)
    });
    shelves.collect()
}

/// Whether what refused a member is in use, and comes back.
fn comes_back(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::QuotaExceeded | ErrorCode::OfferFull | ErrorCode::PowerFull)
}

/// Upper bound of the group's bytes in an entry.
fn size(group: &Group) -> usize {
    let names = |a: &str, b: &str| a.len().saturating_add(b.len());
    let slots = group.places.iter().map(|slot| {
        names(slot.node.site.as_str(), slot.node.name.as_str()).saturating_add(SLOT_OVERHEAD)
    });
    slots
        .fold(names(group.job.tenant.as_str(), group.job.name.as_str()), usize::saturating_add)
        .saturating_add(GROUP_OVERHEAD)
}
