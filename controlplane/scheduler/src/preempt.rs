//! Whom to move for a job that has a right to it: as few as can be, the least urgent and the latest begun first.
//!
//! Must hold: what is found passes the check of apply on the same state, so nobody is moved in vain; a job that may not be
//! moved is not named. Where nothing suffices nothing is found: a gang that would still lack one place moves nobody. What is missing
//! may be devices, or quota alone: then those who hold it are moved, wherever they stand.
//! Does not know: when to look. A look costs a walk over the buckets of a class, so whoever asks does it now and then.

use crate::choose;
use crate::limit::QUOTA_LOOKS_MAX;
use crate::pick::{Allowed, stand};
use crate::shelf::Spot;
use sekisho_fsm::State;
use sekisho_fsm::command::{Preempt, Slot};
use sekisho_fsm::preemption::{Moves, PENDING_MAX, VICTIMS_MAX};
use sekisho_fsm::state::{Job, Node, Placement};
use sekisho_types::id::{JobId, TenantId};
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
    asked: BTreeMap<&'s JobId, bool>,
    moves: Moves<'s>,
}

impl<'s> Search<'s> {
    pub(crate) fn of(state: &'s State, job: &'s Job) -> Self {
        Self { state, job, asked: BTreeMap::new(), moves: Moves::of(state, &job.facts) }
    }

    /// What would make room for it.
    pub(crate) fn run(&mut self, shelves: &[Allowed<'_>]) -> Option<Preempt> {
        if self.state.preemptions().count() >= PENDING_MAX {
            return None;
        }
        let found = self.found(shelves)?;
        self.spare(found)
    }

    /// Places, and whoever may be moved that stands in the way.
    fn found(&mut self, shelves: &[Allowed<'_>]) -> Option<Preempt> {
        let mut options: Vec<(Choice, usize)> = Vec::new();
        for (number, (_, shelf)) in shelves.iter().enumerate() {
            let of_shelf = shelf.spots(0).filter_map(|spot| self.option(spot.clone()));
            options.extend(of_shelf.map(|option| (option, number)));
        }
        options.sort_unstable();
        let facts = &self.job.facts;
        let found = options.iter().filter_map(|(option, number)| {
            let shelf = shelves.get(*number)?;
            Some((&option.spot.1, stand(*shelf, option.spot.0.as_ref())))
        });
        let chosen = choose::first(&facts.topology, facts.group, found)?;
        let (mut victims, mut places) = (BTreeSet::<JobId>::new(), Vec::new());
        for (option, _) in chosen.into_iter().filter_map(|at| options.get(at)) {
            victims.extend(option.victims.iter().cloned());
            let (_, node, bucket) = option.spot.clone();
            places.push(Slot { node, bucket });
        }
        let beneficiary = self.job.facts.id.clone();
        let victims = victims.into_iter().collect();
        let mut preempt = Preempt { beneficiary, victims, places };
        self.take_back(&mut preempt);
        let several = preempt.victims.len();
        (several > 0 && several <= VICTIMS_MAX).then_some(preempt)
    }

    /// Adds those who hold what is missing of its quota, wherever they stand: there may be devices enough.
    fn take_back(&mut self, preempt: &mut Preempt) {
        let mut lacks = self.state.lacks_quota(preempt);
        if lacks == 0 {
            return;
        }
        for (_, _, id, _) in self.holders().into_iter().take(QUOTA_LOOKS_MAX) {
            if lacks == 0 || preempt.victims.len() >= VICTIMS_MAX {
                return;
            }
            let Err(at) = preempt.victims.binary_search(&id) else { continue };
            preempt.victims.insert(at, id);
            let left = self.state.lacks_quota(preempt);
            if left < lacks {
                lacks = left;
            } else {
                preempt.victims.remove(at);
            }
        }
    }

    /// Who may be moved of all that hold quotas of its tree.
    fn holders(&mut self) -> Vec<Movable> {
        let (state, facts) = (self.state, &self.job.facts);
        let class = &facts.resources.class;
        let mut trees: BTreeMap<&TenantId, bool> = BTreeMap::new();
        let held = state.nodes().flat_map(|(_, node)| &node.placements);
        let rows = held.filter_map(|id| state.placement(id)).filter(|row| {
            let tenant = &row.grant.job.tenant;
            row.grant.class == *class
                && *trees.entry(tenant).or_insert_with(|| state.same_tree(tenant, &facts.id.tenant))
        });
        let rows: Vec<&Placement> = rows.collect();
        self.ordered(rows)
    }

    /// Without those that need not be moved; `None` if that would not pass either.
    fn spare(&self, mut preempt: Preempt) -> Option<Preempt> {
        for _ in 0..preempt.victims.len() {
            if self.state.check_preemption(&preempt).is_ok() {
                return Some(preempt);
            }
            preempt = (0..preempt.victims.len()).find_map(|at| {
                let mut fewer = preempt.clone();
                fewer.victims.remove(at);
                let makes_room = self.state.makes_room(&fewer);
                (makes_room && !fewer.victims.is_empty()).then_some(fewer)
            })?;
        }
        None
    }

    /// Who would have to leave a place: whom the job keeps apart from, who does not share with it, and as many more as it takes.
    fn option(&mut self, spot: Spot) -> Option<Choice> {
        let (_, id, bucket) = &spot;
        let node = self.state.node(id)?;
        let count = node.buckets.get(usize::from(*bucket))?.count;
        let gpus = self.job.facts.resources.gpus;
        if count < gpus || node.kept.contains_key(bucket) || self.state.avoids(self.job, id) {
            return None;
        }
        let (apart, strangers) = (self.apart(node)?, self.strangers(node, *bucket));
        let free = node.free(*bucket);
        let wanted = free < gpus || !apart.is_empty() || !strangers.is_empty();
        let goes = |job: &JobId| apart.contains(job) || strangers.contains(job);
        let (leaving, staying): (Vec<Movable>, Vec<Movable>) =
            self.movable(node, *bucket, wanted).into_iter().partition(|(_, _, job, _)| goes(job));
        let mut free =
            leaving.iter().fold(free, |free, (_, _, _, held)| free.saturating_add(*held));
        let mut victims: BTreeSet<JobId> = leaving.into_iter().map(|(_, _, job, _)| job).collect();
        if !strangers.is_subset(&victims) {
            return None;
        }
        victims.extend(apart);
        for (_, _, job, held) in staying {
            if free >= gpus {
                break;
            }
            free = free.saturating_add(held);
            victims.insert(job);
        }
        if free < gpus {
            return None;
        }
        let urgency = |job: &JobId| self.state.job(job).map_or(0, |job| job.facts.priority);
        let priority = victims.iter().map(urgency).max().unwrap_or(0);
        let victims: Vec<JobId> = victims.into_iter().collect();
        Some(Choice { moved: victims.len(), priority, spot, victims })
    }

    /// Jobs on a node that the job keeps apart from; `None` if one of them may not be moved.
    fn apart(&mut self, node: &Node) -> Option<BTreeSet<JobId>> {
        let (state, wanted) = (self.state, &self.job.facts);
        let mut found = BTreeSet::new();
        if !wanted.topology.minds_others() {
            return Some(found);
        }
        for row in node.placements.iter().filter_map(|id| state.placement(id)) {
            let id = &row.grant.job;
            let job = state.job(id).filter(|job| {
                id.tenant == wanted.id.tenant
                    && *id != wanted.id
                    && wanted.topology.keeps_apart(&job.facts.topology)
            });
            let Some(job) = job else { continue };
            if !self.may_move(job) {
                return None;
            }
            found.insert(id.clone());
        }
        Some(found)
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

    fn may_move(&mut self, job: &'s Job) -> bool {
        let moves = &mut self.moves;
        *self.asked.entry(&job.facts.id).or_insert_with(|| moves.may_move(job).is_ok())
    }

    fn movable(&mut self, node: &Node, bucket: u16, wanted: bool) -> Vec<Movable> {
        let state = self.state;
        let rows = node.placements.iter().filter_map(|id| state.placement(id));
        self.ordered(rows.filter(|row| wanted && row.bucket == bucket))
    }

    /// Of these placements the jobs that may be moved, in the order in which they are.
    fn ordered<'r, R>(&mut self, rows: R) -> Vec<Movable>
    where
        R: IntoIterator<Item = &'r Placement>,
    {
        let mut found: BTreeMap<JobId, (u8, Timestamp, u32)> = BTreeMap::new();
        let state = self.state;
        for row in rows {
            let goes_on = match row.phase {
                Phase::Granted | Phase::Starting | Phase::Running => true,
                Phase::Stopping | Phase::Ended(_) => false,
            };
            let Some(job) = state.job(&row.grant.job).filter(|_| goes_on) else { continue };
            if self.may_move(job) {
                let held = found.entry(row.grant.job.clone());
                let held = held.or_insert((job.facts.priority, row.charge.from, 0));
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
