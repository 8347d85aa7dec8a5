//! Whom to move for a job that has a right to it: as few as can be, the least urgent and the latest begun first.
//!
//! Must hold: what is found passes the check of apply on the same state, so nobody is moved in vain; a job that may not be
//! moved is not named. Where nothing suffices nothing is found: a gang that would still lack one place moves nobody.
//! Does not know: when to look. A look costs a walk over the buckets of a class, so whoever asks does it now and then.

use crate::fleet::Spot;
use crate::pick::Allowed;
use sekisho_fsm::State;
use sekisho_fsm::command::{Preempt, Slot};
use sekisho_fsm::preemption::{PENDING_MAX, VICTIMS_MAX};
use sekisho_fsm::state::{Job, Node, Placement};
use sekisho_types::id::JobId;
use sekisho_types::placement::Phase;
use sekisho_types::sharing::Party;
use sekisho_types::time::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A job on a bucket that may be moved, in the order in which they are.
type Movable = (u8, Reverse<Timestamp>, JobId, u32);

/// A place with those who would have to leave it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Choice {
    moved: usize,
    /// Of the most urgent of them.
    priority: u8,
    spot: Spot,
    victims: Vec<JobId>,
}

/// A search for one job.
#[derive(Debug)]
pub(crate) struct Search<'s> {
    state: &'s State,
    job: &'s Job,
    /// Whether a job may be moved, as far as it was asked.
    asked: BTreeMap<JobId, bool>,
}

impl<'s> Search<'s> {
    pub(crate) fn of(state: &'s State, job: &'s Job) -> Self {
        Self { state, job, asked: BTreeMap::new() }
    }

    /// What would make room for it.
    pub(crate) fn run(&mut self, shelves: &[Allowed<'_>]) -> Option<Preempt> {
        if self.state.preemptions().count() >= PENDING_MAX {
            return None;
        }
        let mut options: Vec<Choice> = Vec::new();
        for (_, shelf) in shelves {
            options.extend(shelf.spots(0).filter_map(|spot| self.option(spot)));
        }
        options.sort_unstable();
        let (mut nodes, mut victims, mut places) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for option in options {
            let enough = u32::try_from(places.len()).is_ok_and(|got| got >= self.job.facts.group);
            if enough {
                break;
            }
            let (_, node, bucket) = option.spot;
            if nodes.insert(node.clone()) {
                victims.extend(option.victims);
                places.push(Slot { node, bucket });
            }
        }
        let whole = u32::try_from(places.len()).is_ok_and(|got| got >= self.job.facts.group);
        if !whole || victims.is_empty() || victims.len() > VICTIMS_MAX {
            return None;
        }
        let beneficiary = self.job.facts.id.clone();
        self.spare(Preempt { beneficiary, victims: victims.into_iter().collect(), places })
    }

    /// Without those that need not be moved; `None` if it would not pass.
    fn spare(&self, mut preempt: Preempt) -> Option<Preempt> {
        for _ in 0..preempt.victims.len() {
            if self.state.check_preemption(&preempt).is_ok() {
                return Some(preempt);
            }
            let fewer = (0..preempt.victims.len()).find_map(|at| {
                let mut fewer = preempt.clone();
                fewer.victims.remove(at);
                let makes_room = self.state.makes_room(&fewer);
                (makes_room && !fewer.victims.is_empty()).then_some(fewer)
            });
            preempt = fewer?;
        }
        None
    }

    /// Who would have to leave a place.
    fn option(&mut self, spot: Spot) -> Option<Choice> {
        let (_, id, bucket) = &spot;
        let node = self.state.node(id)?;
        let count = node.buckets.get(usize::from(*bucket))?.count;
        let gpus = self.job.facts.resources.gpus;
        if count < gpus || node.kept.contains_key(bucket) || self.job.avoid.contains(id) {
            return None;
        }
        let (mut free, mut victims, mut priority) = (node.free(*bucket), Vec::new(), 0);
        let strangers = self.strangers(node, *bucket);
        let mut movable = self.movable(node, *bucket, free < gpus || !strangers.is_empty());
        movable.sort_by_key(|(_, _, job, _)| !strangers.contains(job));
        for (urgency, _, job, held) in movable {
            if free >= gpus && !strangers.contains(&job) {
                break;
            }
            free = free.saturating_add(held);
            priority = priority.max(urgency);
            victims.push(job);
        }
        let moved = victims.len();
        let apart = strangers.iter().any(|job| !victims.contains(job));
        (free >= gpus && !apart).then_some(Choice { moved, priority, spot, victims })
    }

    /// Who stands on a shared device and does not share it with the job: it would have to leave whatever is free.
    fn strangers(&self, node: &Node, bucket: u16) -> BTreeSet<JobId> {
        let facts = &self.job.facts;
        let (tenant, sharing) = (&facts.id.tenant, facts.resources.sharing);
        if !sharing.is_agreed() {
            return BTreeSet::new();
        }
        let rows = node.placements.iter().filter_map(|id| self.state.placement(id));
        let apart = |row: &&Placement| {
            let there = Party::Nobody.with(&row.grant.job.tenant, row.grant.sharing());
            row.bucket == bucket && !there.admits(tenant, sharing)
        };
        rows.filter(apart).map(|row| row.grant.job.clone()).collect()
    }

    fn movable(&mut self, node: &Node, bucket: u16, wanted: bool) -> Vec<Movable> {
        let mut found: BTreeMap<JobId, (u8, Timestamp, u32)> = BTreeMap::new();
        let rows = node.placements.iter().filter_map(|id| self.state.placement(id));
        for row in rows.filter(|row| wanted && row.bucket == bucket) {
            let goes_on = match row.phase {
                Phase::Granted | Phase::Starting | Phase::Running => true,
                Phase::Stopping | Phase::Ended(_) => false,
            };
            let Some(job) = self.state.job(&row.grant.job).filter(|_| goes_on) else { continue };
            let may = |_: &JobId| self.state.may_move(&self.job.facts, job).is_ok();
            let id = row.grant.job.clone();
            let asked = self.asked.get(&id).copied().unwrap_or_else(|| may(&id));
            self.asked.insert(id.clone(), asked);
            if asked {
                let held = found.entry(id).or_insert((job.facts.priority, row.charge.from, 0));
                held.2 = held.2.saturating_add(row.grant.gpus);
            }
        }
        let found = found.into_iter();
        let mut all: Vec<Movable> =
            found.map(|(id, (priority, from, gpus))| (priority, Reverse(from), id, gpus)).collect();
        all.sort_unstable();
        all
    }
}
