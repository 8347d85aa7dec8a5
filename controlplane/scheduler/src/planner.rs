//! The planner: an index of the fleet and of the queue that follows the state, and rounds made on it.
//!
//! ```text
//! priority ─> tenant whose turn it is ─> its oldest job ─> shelves ─> places
//! ```
//! Must hold: all-or-nothing groups; each group sees the room, quotas, budgets and offers that earlier groups of the plan take;
//! residency as in apply (D1); never beyond free devices (P1, Q1). A planner that followed plans what a new one would.
//! A job that does not fit is passed over, and its lane with it: smaller ones behind it may start, as far as they leave it what it
//! will need (`claim`).

use crate::books::Overlay;
use crate::claim::{Claimant, Claims};
use crate::filter::Filter;
use crate::fleet::Fleet;
use crate::limit::{
    GROUP_OVERHEAD, HELD_MAX, LANES_PER_PLAN_MAX, PLAN_BYTES_MAX, SLOT_OVERHEAD,
};
use crate::pick::{Allowed, Picked, Search};
use crate::preempt;
use crate::queue::{Age, Lane, LaneKey, Queue};
use crate::residency::Verdicts;
use crate::share::{Shares, Turns};
use sekisho_fsm::State;
use sekisho_fsm::command::{Group, Preempt, Slot};
use sekisho_fsm::purse::Purse;
use sekisho_fsm::state::Job;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{DeviceClass, JobId, SiteId, TenantId};
use sekisho_types::limit::{GROUPS_PER_PLAN_MAX, KILL_GRACE};
use sekisho_types::quota::Amount;
use sekisho_types::revision::{KeyEpoch, Revision};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// From the end of a job's time to the moment at which nothing of it is left.
const GRACE_MS: u64 = KILL_GRACE.as_secs() * 1000;

/// What to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Revision of the state that was planned on.
    pub basis: Revision,
    /// In the order in which apply has to take them.
    pub groups: Vec<Group>,
    /// Jobs looked at and passed over, by what they wait for first.
    pub waiting: Waiting,
    /// A bound ended the round: there may be more to place.
    pub more: bool,
    /// The first jobs that room or quota held, at most [`HELD_MAX`]: room may be made for them ([`Planner::preempt`]).
    pub held: Vec<JobId>,
}

/// Jobs passed over by one round, one of each lane. [`crate::explain()`] tells the full reason of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// A policy of theirs, or their tenant, does not exist.
    pub rules: u32,
    /// The tenant's quotas do not admit them now.
    pub quota: u32,
    /// A budget does not.
    pub budget: u32,
    /// What is offered to them is in use, or nothing is offered.
    pub offer: u32,
    /// Not enough suitable nodes have room.
    pub room: u32,
    /// No member keeps what they run.
    pub payload: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    Rules,
    Quota,
    Budget,
    Offer,
    Room,
    Payload,
    /// Others are being moved for it.
    Making,
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

impl Waiting {
    fn count(&mut self, hold: Hold) {
        let counter = match hold {
            Hold::Rules => &mut self.rules,
            Hold::Quota => &mut self.quota,
            Hold::Budget => &mut self.budget,
            Hold::Offer => &mut self.offer,
            Hold::Room | Hold::Making => &mut self.room,
            Hold::Payload => &mut self.payload,
        };
        *counter = counter.saturating_add(1);
    }
}

/// An index that follows the state.
#[derive(Debug, Default)]
pub struct Planner {
    seen: State,
    fleet: Fleet,
    queue: Queue,
}

/// Plans by a new index.
#[must_use]
pub fn plan(state: &State) -> Plan {
    Planner::default().plan(state)
}

impl Planner {
    /// Plans on a state, whichever: the index follows from one to the next.
    #[must_use]
    pub fn plan(&mut self, state: &State) -> Plan {
        if state.clock() < self.seen.clock() {
            // What time alone had changed would have to be changed back.
            *self = Self::default();
        }
        self.fleet.follow(&self.seen, state);
        self.queue.follow(&self.seen, state);
        self.seen = state.clone();
        let basis = state.revision();
        let (groups, waiting, held) = (Vec::new(), Waiting::default(), Vec::new());
        let mut plan = Plan { basis, groups, waiting, more: false, held };
        if self.queue.len() == 0 {
            return plan;
        }
        let mut round = Round::of(state, &mut self.fleet);
        let mut levels: BTreeMap<u8, Vec<(&Arc<LaneKey>, &Lane)>> = BTreeMap::new();
        for lane in self.queue.lanes() {
            levels.entry(lane.0.level).or_default().push(lane);
        }
        for (_, lanes) in levels {
            if round.level(lanes, &mut plan) {
                plan.more = true;
                break;
            }
        }
        plan
    }
}

impl Planner {
    /// Whom to move for the first of these jobs for which that makes room, on the state that was planned on last. What the plan
    /// itself takes is not counted: it is asked when there is none, or its own is applied.
    #[must_use]
    pub fn preempt(&mut self, held: &[JobId]) -> Option<Preempt> {
        let state = self.seen.clone();
        let mut verdicts = Verdicts::default();
        held.iter().filter_map(|id| state.job(id)).find_map(|job| {
            let facts = &job.facts;
            let less_urgent = self.fleet.least_urgent(&facts.resources.class);
            let lower = less_urgent.is_some_and(|least| least < facts.priority);
            if state.preemption(&facts.id).is_some() || !(lower || state.is_owed(facts)) {
                return None;
            }
            let rules = verdicts.number(&state, facts)?;
            let shelves: Vec<Allowed<'_>> = self
                .fleet
                .shelves(&facts.resources)
                .filter(|(key, shelf)| {
                    state.can_open(facts, &key.site)
                        && verdicts.allows(&state, rules, &key.place, &shelf.example)
                })
                .collect();
            preempt::Search::of(&state, job).run(&shelves)
        })
    }
}

/// A lane in a round: what of it was placed, and from which time limit on it is held.
#[derive(Debug)]
struct Track<'q> {
    jobs: &'q Lane,
    /// By limit, the age of the last job that was placed or passed over.
    past: BTreeMap<u64, Age>,
    held: Option<u64>,
}

impl<'q> Track<'q> {
    /// The oldest job that is left, with its limit.
    fn next(&self) -> Option<(Age, u64, &'q JobId)> {
        let limits =
            self.jobs.iter().filter(|(limit, _)| self.held.is_none_or(|held| **limit < held));
        let heads = limits.filter_map(|(limit, jobs)| {
            let after = self
                .past
                .get(limit)
                .map_or(std::ops::Bound::Unbounded, |age| std::ops::Bound::Excluded(*age));
            let (age, id) = jobs.range((after, std::ops::Bound::Unbounded)).next()?;
            Some((*age, *limit, id))
        });
        heads.min()
    }
}

/// What decides where there is room for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Need<'s> {
    class: &'s DeviceClass,
    gpus: u32,
    memory_mib: u64,
    group: u32,
    rules: usize,
    sealed_to: &'s BTreeMap<SiteId, KeyEpoch>,
}

#[derive(Debug)]
struct Round<'s, 'f> {
    state: &'s State,
    fleet: &'f mut Fleet,
    books: Overlay<'s>,
    shares: Shares,
    claims: Claims,
    paths: BTreeMap<&'s TenantId, Vec<TenantId>>,
    verdicts: Verdicts<'s>,
    /// Needs for which there was no room, whoever asked, with the least time limit that found none. Room only shrinks.
    full: BTreeMap<Need<'s>, u64>,
    /// What tenants may have more of a class at most; nor does that grow.
    rooms: BTreeMap<(&'s TenantId, &'s DeviceClass), Amount>,
    looked: u32,
    bytes: usize,
}

impl<'s, 'f> Round<'s, 'f> {
    fn of(state: &'s State, fleet: &'f mut Fleet) -> Self {
        Self {
            state,
            fleet,
            books: Overlay::of(state),
            shares: Shares::of(state),
            claims: Claims::default(),
            paths: BTreeMap::new(),
            verdicts: Verdicts::default(),
            full: BTreeMap::new(),
            rooms: BTreeMap::new(),
            looked: 0,
            bytes: 0,
        }
    }

    /// Places jobs of one priority; whether a bound ended it.
    fn level(&mut self, lanes: Vec<(&Arc<LaneKey>, &Lane)>, plan: &mut Plan) -> bool {
        let mut tracks: Vec<Track<'_>> = Vec::with_capacity(lanes.len());
        // By tenant, the oldest job of each lane that is left.
        let mut heads: BTreeMap<TenantId, BTreeSet<(Age, u64, usize)>> = BTreeMap::new();
        for (at, (key, jobs)) in lanes.into_iter().enumerate() {
            let track = Track { jobs, past: BTreeMap::new(), held: None };
            if let Some((age, limit, _)) = track.next() {
                heads.entry(key.tenant.clone()).or_default().insert((age, limit, at));
            }
            tracks.push(track);
        }
        let mut turns = Turns::of(&self.shares, heads.keys());
        while let Some(tenant) = turns.next() {
            let Some((age, limit, at)) = heads.get_mut(&tenant).and_then(BTreeSet::pop_first)
            else {
                turns.leave(&self.shares, &tenant);
                continue;
            };
            if plan.groups.len() >= GROUPS_PER_PLAN_MAX || self.looked >= LANES_PER_PLAN_MAX {
                return true;
            }
            let Some(track) = tracks.get_mut(at) else { continue };
            let Some((_, _, id)) = track.next() else { continue };
            track.past.insert(limit, age);
            if let Some(job) = self.state.job(id) {
                match self.place(job) {
                    Ok(group) => {
                        self.bytes = self.bytes.saturating_add(size(&group));
                        if self.bytes > PLAN_BYTES_MAX {
                            return true;
                        }
                        plan.groups.push(group);
                        let weight = self.weight(job);
                        turns.grant(&mut self.shares, &tenant, weight);
                    }
                    Err(hold) => {
                        self.looked = self.looked.saturating_add(1);
                        plan.waiting.count(hold);
                        let for_room = matches!(hold, Hold::Room | Hold::Quota);
                        if for_room && plan.held.len() < HELD_MAX {
                            plan.held.push(job.facts.id.clone());
                        }
                        if !self.concerns_it_alone(job, hold) {
                            track.held = Some(track.held.map_or(limit, |held| held.min(limit)));
                        }
                    }
                }
            }
            if let Some((age, limit, _)) = track.next() {
                heads.entry(tenant).or_default().insert((age, limit, at));
            }
        }
        false
    }

    fn weight(&self, job: &Job) -> u128 {
        let ms = job.facts.time_limit_s.saturating_mul(1000);
        self.state.fair_weight(job.facts.gpus(), ms)
    }

    /// Whether what holds a job says nothing about the others of its lane.
    fn concerns_it_alone(&self, job: &Job, hold: Hold) -> bool {
        match hold {
            Hold::Payload | Hold::Making => true,
            Hold::Rules => false,
            // Others may use the nodes that refused this one, and sites whose operators vetoed it.
            Hold::Room | Hold::Quota | Hold::Budget | Hold::Offer => {
                !job.avoid.is_empty() || self.state.is_vetoed_itself(&job.facts.id)
            }
        }
    }

    fn place(&mut self, job: &'s Job) -> Result<Group, Hold> {
        let (state, facts) = (self.state, &job.facts);
        let rules = self.verdicts.number(state, facts).ok_or(Hold::Rules)?;
        if state.is_missing(&facts.payload) {
            return Err(Hold::Payload);
        }
        if state.preemption(&facts.id).is_some() {
            return Err(Hold::Making);
        }
        let (tenant, class, need) = (&facts.id.tenant, &facts.resources.class, facts.gpus());
        if self.rooms.get(&(tenant, class)).is_some_and(|room| !room.covers(need)) {
            return Err(Hold::Quota);
        }
        let sought = Need {
            class,
            gpus: facts.resources.gpus,
            memory_mib: facts.resources.memory_mib,
            group: facts.group,
            rules,
            sealed_to: &facts.sealed_to,
        };
        if self.full.get(&sought).is_some_and(|limit| *limit <= facts.time_limit_s) {
            return Err(Hold::Room);
        }
        let path = self.paths.entry(tenant).or_insert_with(|| state.path(tenant));
        let purse = Purse::open(state, &self.books, facts, path);
        let until = purse.until().plus_ms(GRACE_MS);
        if let Err(code) = purse.covers(need) {
            self.rooms.insert((tenant, class), purse.room());
            // Nothing is kept for what never fits.
            if code == ErrorCode::QuotaExceeded {
                let short = purse.room().short_of(need);
                self.claims.make_charge(self.fleet, (tenant, class), short);
            }
            return Err(Hold::of(code));
        }
        if !self.claims.admits_charge(tenant, class, need, until) {
            return Err(Hold::Quota);
        }
        let verdicts = &mut self.verdicts;
        let shelves: Vec<Allowed<'_>> = self
            .fleet
            .shelves(&facts.resources)
            .filter(|(key, shelf)| {
                state.can_open(facts, &key.site)
                    && verdicts.allows(state, rules, &key.place, &shelf.example)
            })
            .collect();
        let mut search = Search {
            gpus: facts.resources.gpus,
            group: facts.group,
            shelves,
            avoid: &job.avoid,
            books: &self.books,
            purse,
            claims: &self.claims,
            until,
            refused: None,
        };
        let Some(Picked { places, spends, .. }) = search.run() else {
            let Search { shelves, refused, .. } = search;
            if refused.is_none() {
                let (gpus, group) = (facts.resources.gpus, facts.group);
                let (avoid, now) = (&job.avoid, state.clock());
                let claimant = Claimant { gpus, group, avoid, now };
                let _from = self.claims.make(self.fleet, &shelves, &claimant);
                if job.avoid.is_empty() {
                    self.full.insert(sought, facts.time_limit_s);
                }
            }
            return Err(refused.map_or(Hold::Room, Hold::of));
        };
        let charged = search.purse.until();
        drop(search);
        self.books.charge(facts, path, &spends, charged);
        self.claims.charge(tenant, class, need, until);
        self.claims.place(places.iter().map(|(_, spot)| spot), facts.resources.gpus, until);
        let mut slots = Vec::with_capacity(places.len());
        for (key, spot) in places {
            self.fleet.take(class, &key, &spot, facts.resources.gpus);
            slots.push(Slot { node: spot.1, bucket: spot.2 });
        }
        Ok(Group { job: facts.id.clone(), places: slots })
    }
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
