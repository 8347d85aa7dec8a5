//! The jobs of one priority in a round: whose turn it is, and which of its jobs.
//!
//! Must hold: who is called goes first, in the order of the calls; of a lane the oldest job goes first, of a tenant the oldest of
//! its lanes'; what holds a job holds those of its lane that would last as long.

use crate::limit::HELD_MAX;
use crate::planner::Plan;
use crate::queue::{Age, Lane, LaneKey};
use crate::round::{Hold, Round, Tried};
use crate::share::Turns;
use sekisho_fsm::state::Job;
use sekisho_types::id::{JobId, TenantId};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// A lane in a round: what of it was placed, and from which time limit on it is held.
#[derive(Debug)]
struct Track<'q> {
    key: &'q LaneKey,
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
            let after = self.past.get(limit).map_or(Bound::Unbounded, |age| Bound::Excluded(*age));
            let (age, id) = jobs.range((after, Bound::Unbounded)).next()?;
            Some((*age, *limit, id))
        });
        heads.min()
    }
}

/// The oldest job of a lane that is left: its age and limit, and which lane.
type Head = (Age, u64, usize);

/// Jobs of one priority.
#[derive(Debug)]
pub(crate) struct Level<'q, 's> {
    /// `100 - priority`.
    level: u8,
    tracks: Vec<Track<'q>>,
    heads: BTreeMap<TenantId, BTreeSet<Head>>,
    /// Who was called and has been tried: it has no other turn.
    called: BTreeSet<&'s JobId>,
}

impl<'q, 's> Level<'q, 's> {
    pub(crate) fn of(level: u8, lanes: Vec<(&'q Arc<LaneKey>, &'q Lane)>) -> Self {
        let (tracks, heads) = (Vec::with_capacity(lanes.len()), BTreeMap::new());
        let mut level = Self { level, tracks, heads, called: BTreeSet::new() };
        for (at, (key, jobs)) in lanes.into_iter().enumerate() {
            level.tracks.push(Track { key, jobs, past: BTreeMap::new(), held: None });
            level.put_back(at);
        }
        level
    }

    /// Places them; whether a bound ended it.
    pub(crate) fn run(self, round: &mut Round<'s, '_>, plan: &mut Plan) -> bool {
        self.run_to(round, plan, None)
    }

    /// Places those whose turn comes before that of a job of this tenant and age, if one is named; whether a bound ended it.
    pub(crate) fn run_to(
        mut self,
        round: &mut Round<'s, '_>,
        plan: &mut Plan,
        guest: Option<(&TenantId, Age)>,
    ) -> bool {
        for job in round.calls(self.level) {
            let (_, entry, ordinal, task) = job.queue_key();
            if guest == Some((&job.facts.id.tenant, (entry, ordinal, task))) {
                return false;
            }
            if self.call(round, job, plan) == Tried::Full {
                return true;
            }
        }
        let tenants = self.heads.keys().chain(guest.map(|(tenant, _)| tenant));
        let mut turns = Turns::of(&round.shares, tenants);
        while let Some(tenant) = turns.next() {
            let oldest = self.heads.get(&tenant).and_then(BTreeSet::first);
            let is_its = |(of, age): (&TenantId, Age)| {
                *of == tenant && oldest.is_none_or(|(head, _, _)| *head > age)
            };
            if guest.is_some_and(is_its) {
                return false;
            }
            let Some(head) = self.heads.get_mut(&tenant).and_then(BTreeSet::pop_first) else {
                turns.leave(&round.shares, &tenant);
                continue;
            };
            match self.attempt(round, head, plan) {
                Tried::Granted(weight) => turns.grant(&mut round.shares, &tenant, weight),
                Tried::Held => {}
                Tried::Full => return true,
            }
        }
        false
    }

    /// Tries to place one that was called. With what a whole wants beyond its first group it waits for its turn again.
    fn call(&mut self, round: &mut Round<'s, '_>, job: &'s Job, plan: &mut Plan) -> Tried {
        let tried = round.attempt_called(job, plan).unwrap_or_else(|hold| {
            count(plan, job, hold);
            Tried::Held
        });
        if let Tried::Granted(weight) = tried {
            round.shares.add(&job.facts.id.tenant, weight);
        }
        if tried == Tried::Held || !round.wants(job) {
            self.called.insert(&job.facts.id);
        }
        tried
    }

    /// Tries to place one job.
    fn attempt(&mut self, round: &mut Round<'s, '_>, head: Head, plan: &mut Plan) -> Tried {
        let (age, limit, at) = head;
        let Some(track) = self.tracks.get_mut(at) else { return Tried::Held };
        let Some((_, _, id)) = track.next() else { return Tried::Held };
        if self.called.contains(id) {
            track.past.insert(limit, age);
            self.put_back(at);
            return Tried::Held;
        }
        let job = round.state.job(id);
        let tried = job.map_or(Ok(Tried::Held), |job| round.attempt(job, plan));
        // A whole of which more is wanted comes again in its turn.
        let again =
            matches!(tried, Ok(Tried::Granted(_))) && job.is_some_and(|job| round.wants(job));
        if !again {
            track.past.insert(limit, age);
        }
        if let (Err(hold), Some(job)) = (&tried, job) {
            count(plan, job, *hold);
            // It may have been sealed anew since it came to its lane.
            let like_others = job.facts.sealed_to == track.key.sealed_to;
            if like_others && !round.concerns_it_alone(job, *hold) {
                track.held = Some(track.held.map_or(limit, |held| held.min(limit)));
            }
        }
        self.put_back(at);
        tried.unwrap_or(Tried::Held)
    }

    /// The next job of a lane waits for its turn.
    fn put_back(&mut self, at: usize) {
        let Some(track) = self.tracks.get(at) else { return };
        if let Some((age, limit, _)) = track.next() {
            self.heads.entry(track.key.tenant.clone()).or_default().insert((age, limit, at));
        }
    }
}

/// Takes note of a job that waits on.
fn count(plan: &mut Plan, job: &Job, hold: Hold) {
    plan.waiting.count(hold);
    if matches!(hold, Hold::Room | Hold::Quota) && plan.held.len() < HELD_MAX {
        plan.held.push(job.facts.id.clone());
    }
}
