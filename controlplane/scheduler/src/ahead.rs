//! What goes before a job: those whose turn comes first, and what is kept for them.
//!
//! The planner itself is asked: a round over the first jobs of the queue that ends where the turn of this one comes.
//!
//! Must hold: it takes nothing from anybody; of a queue that is looked at whole, what it says is what the next plan does. Jobs of
//! other classes are none of it, unless they keep apart from it: they share budgets with it at most.
//! Does not know: jobs beyond [`AHEAD_MAX`], and whoever comes later.

use crate::books::Overlay;
use crate::claim::Claims;
use crate::fleet::Fleet;
use crate::level::Level;
use crate::limit::{AHEAD_MAX, COUNTED_MAX};
use crate::planner::Plan;
use crate::queue::{Age, Lane, LaneKey, Queue};
use crate::round::{GRACE_MS, Probe, Round};
use crate::survey::Ask;
use sekisho_fsm::State;
use sekisho_fsm::state::{Job, QueueKey};
use sekisho_types::id::{NodeId, TenantId};
use sekisho_types::job::{JobFacts, PRIORITY_MAX};
use sekisho_types::jurisdiction::Area;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a job stands in the queue, or would if it were submitted now.
#[derive(Debug)]
pub(crate) struct Stand<'j> {
    facts: &'j JobFacts,
    level: u8,
    age: Age,
    /// It is queued, or not submitted yet: others may go before it.
    waits: bool,
    is_queued: bool,
}

impl<'j> Stand<'j> {
    pub(crate) fn of(state: &State, facts: &'j JobFacts) -> Self {
        let known = state.job(&facts.id).filter(|job| job.facts == *facts);
        let queued = known.filter(|job| job.is_queued());
        let waits = known.is_none() || queued.is_some();
        // Whoever comes now comes last.
        let last = (PRIORITY_MAX.saturating_sub(facts.priority), Revision(u64::MAX), 0, 0);
        let (level, entry, ordinal, task) = queued.map_or(last, Job::queue_key);
        let age = (entry, ordinal, task);
        Self { facts, level, age, waits, is_queued: queued.is_some() }
    }

    /// Its place in the queue from 1, if it is queued, and whether there are more before it than were counted.
    pub(crate) fn position(&self, state: &State) -> Option<(u64, bool)> {
        if !self.is_queued {
            return None;
        }
        let own: QueueKey = (self.level, self.age.0, self.age.1, self.age.2);
        let before = state.queue().take_while(|(key, _)| **key < own).take(COUNTED_MAX);
        let before = before.count();
        let place = u64::try_from(before).unwrap_or(u64::MAX).saturating_add(1);
        let found = state.queue().nth(before).is_some_and(|(key, _)| *key == own);
        Some((place, !found))
    }

    /// Whether what becomes of another job may change what becomes of this one.
    fn concerns(&self, other: &JobFacts) -> bool {
        let apart = || {
            other.id.tenant == self.facts.id.tenant
                && other.topology.keeps_apart(&self.facts.topology)
        };
        other.resources.class == self.facts.resources.class || apart()
    }

    /// The jobs that may go before it, and whether there are more of them.
    pub(crate) fn before(&self, state: &State) -> (Queue, bool) {
        let rows = state.queue().take_while(|(key, _)| self.waits && key.0 <= self.level);
        let rows = rows.filter(|(_, id)| **id != self.facts.id);
        let mut jobs = Vec::new();
        let mut looked = 0usize;
        for (key, id) in rows {
            if looked >= AHEAD_MAX {
                return (Queue::of(jobs), true);
            }
            looked = looked.saturating_add(1);
            let behind = key.0 == self.level
                && id.tenant == self.facts.id.tenant
                && (key.1, key.2, key.3) > self.age;
            let job = state.job(id).filter(|job| !behind && self.concerns(&job.facts));
            jobs.extend(job.map(|job| (*key, job)));
        }
        (Queue::of(jobs), false)
    }
}

/// The round as it is when the job's turn comes.
#[derive(Debug)]
pub(crate) struct Ahead<'s, 'f> {
    round: Round<'s, 'f>,
    plan: Plan,
    /// A bound ended the round before its turn.
    is_full: bool,
}

impl<'s, 'f> Ahead<'s, 'f> {
    pub(crate) fn of(
        fleet: &'f mut Fleet,
        queue: &Queue,
        state: &'s State,
        stand: &Stand<'_>,
    ) -> Self {
        let mut round = Round::of(state, fleet);
        round.heed(|facts| stand.concerns(facts));
        let mut plan = Plan::on(state);
        let mut levels: BTreeMap<u8, Vec<(&Arc<LaneKey>, &Lane)>> = BTreeMap::new();
        for lane in queue.lanes() {
            levels.entry(lane.0.level).or_default().push(lane);
        }
        let mut is_full = false;
        for (level, lanes) in levels {
            let guest = (level == stand.level).then_some((&stand.facts.id.tenant, stand.age));
            is_full = Level::of(level, lanes).run_to(&mut round, &mut plan, guest);
            if is_full {
                break;
            }
        }
        Self { round, plan, is_full }
    }

    /// Nodes that are left to a job like this one at its turn.
    pub(crate) fn probe(&self, ask: &Ask<'_>) -> Probe {
        if self.is_full { Probe { left: 0, unkept: 0 } } else { self.round.probe(ask) }
    }

    /// How long a job of now may last so that it is over before anything is kept for another.
    pub(crate) fn gaps_ms(&self) -> impl Iterator<Item = u64> {
        let now = self.round.state.clock();
        let begins = self.round.claims().begins().into_iter();
        begins.map(move |begin| begin.since_ms(now).saturating_sub(GRACE_MS))
    }

    /// What is booked by then.
    pub(crate) fn booked(self) -> Booked<'s> {
        let state = self.round.state;
        let mut booked = Booked::none(state);
        for group in &self.plan.groups {
            let Some(facts) = state.job(&group.job).map(|job| &job.facts) else { continue };
            let lasts_ms = facts.time_limit_s.saturating_mul(1000).saturating_add(GRACE_MS);
            let until = state.clock().plus_ms(lasts_ms);
            for slot in &group.places {
                let place = state.node(&slot.node).and_then(|node| node.tag.area.domestic());
                let gpus = facts.resources.gpus;
                let taken = booked.taken.entry(slot.node.clone()).or_default();
                taken.entry(slot.bucket).or_default().push((until, gpus));
                let tenant = facts.id.tenant.clone();
                booked.ends.extend(place.map(|place| (until, tenant, place, u64::from(gpus))));
            }
        }
        (booked.books, booked.claims) = self.round.into_books();
        booked
    }
}

/// What those before a job take and claim.
#[derive(Debug)]
pub(crate) struct Booked<'s> {
    /// Devices of buckets of nodes, until when at the latest.
    pub(crate) taken: BTreeMap<NodeId, BTreeMap<u16, Vec<(Timestamp, u32)>>>,
    /// When what of whose quota comes back.
    pub(crate) ends: Vec<(Timestamp, TenantId, Area, u64)>,
    pub(crate) claims: Claims<'s>,
    pub(crate) books: Overlay<'s>,
}

impl<'s> Booked<'s> {
    /// Nobody goes before it.
    pub(crate) fn none(state: &'s State) -> Self {
        let (taken, ends, claims) = (BTreeMap::new(), Vec::new(), Claims::none(false));
        Self { taken, ends, claims, books: Overlay::of(state) }
    }
}
