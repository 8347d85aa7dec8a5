//! The planner: an index of the fleet and of the queue that follows the state, and rounds made on it.
//!
//! ```text
//! priority ─> who is called; tenant whose turn it is ─> its oldest job ─> shelves ─> places
//! ```
//! Must hold: all-or-nothing groups; each group sees the room, quotas, budgets and offers that earlier groups of the plan take;
//! residency as in apply (D1); never beyond free devices (P1, Q1). A planner that followed plans what a new one would.
//! A job that does not fit is passed over, and its lane with it: smaller ones behind it may start, as far as they leave it what it
//! will need (`claim`). Whoever claims is called, and goes before others of its priority until it starts: so turns that its tenant
//! loses meanwhile do not cost it its claim.

use crate::fleet::Fleet;
use crate::level::Level;
use crate::pick::Allowed;
use crate::preempt;
use crate::queue::{Lane, LaneKey, Queue};
use crate::residency::Verdicts;
use crate::round::{Hold, Round};
use crate::services::Services;
use sekisho_fsm::State;
use sekisho_fsm::command::{Command, Group, Preempt};
use sekisho_types::id::JobId;
use sekisho_types::revision::Revision;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Revision of the state that was planned on.
    pub basis: Revision,
    /// In the order in which apply has to take them.
    pub groups: Vec<Group>,
    /// Who is called from now on, if it is not as before: something is kept for each, and in the next round they go before others of
    /// their priority.
    pub calls: Option<Vec<JobId>>,
    /// Jobs looked at and passed over, by what they wait for first.
    pub waiting: Waiting,
    /// A bound ended the round: there may be more to place.
    pub more: bool,
    /// The first jobs that room or quota held, at most [`HELD_MAX`](crate::limit::HELD_MAX): room may be made for them ([`Planner::preempt`]).
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
    /// What is offered to them is in use, or nothing is offered, or sites may draw no more.
    pub offer: u32,
    /// Not enough suitable nodes have room.
    pub room: u32,
    /// No member keeps what they run.
    pub payload: u32,
}

impl Plan {
    /// Nothing yet, on a state.
    pub(crate) fn on(state: &State) -> Self {
        let (groups, waiting, held) = (Vec::new(), Waiting::default(), Vec::new());
        Self { basis: state.revision(), groups, calls: None, waiting, more: false, held }
    }

    /// What commits it; `None` if there is nothing to.
    #[must_use]
    pub fn into_command(self) -> Option<Command> {
        let Self { basis, groups, calls, .. } = self;
        let is_any = !groups.is_empty() || calls.is_some();
        is_any.then_some(Command::CommitPlacement { basis, groups, calls })
    }
}

impl Waiting {
    pub(crate) fn count(&mut self, hold: Hold) {
        let counter = match hold {
            Hold::Rules => &mut self.rules,
            Hold::Quota => &mut self.quota,
            Hold::Budget => &mut self.budget,
            Hold::Offer => &mut self.offer,
            Hold::Room | Hold::Making => &mut self.room,
            Hold::Payload => &mut self.payload,
            // It waits for nothing any more.
            Hold::Late => return,
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
    services: Services,
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
        self.services.follow(&self.seen, state, self.queue.services());
        self.seen = state.clone();
        let mut plan = Plan::on(state);
        if self.queue.len() == 0 {
            return plan;
        }
        let mut round = Round::of(state, &mut self.fleet);
        self.services.wanted().for_each(|(id, wanted)| round.knows(id, wanted));
        let mut levels: BTreeMap<u8, Vec<(&Arc<LaneKey>, &Lane)>> = BTreeMap::new();
        for lane in self.queue.lanes() {
            levels.entry(lane.0.level).or_default().push(lane);
        }
        for (level, lanes) in levels {
            if Level::of(level, lanes).run(&mut round, &mut plan) {
                plan.more = true;
                break;
            }
        }
        let calls = round.called();
        plan.calls = (calls != state.calls()).then_some(calls);
        plan
    }
}

impl Planner {
    /// Replicas that their services can do without, on the state that was planned on last; at most so many.
    #[must_use]
    pub fn surplus(&self, most: usize) -> Vec<JobId> {
        let services = self.queue.services().filter_map(|id| self.services.get(id));
        services.flat_map(|found| &found.surplus).take(most).cloned().collect()
    }

    /// Whom to move for the first of these jobs for which that makes room, on the state that was planned on last. What the plan
    /// itself takes is not counted: it is asked when there is none, or its own is applied.
    #[must_use]
    pub fn preempt(&self, held: &[JobId]) -> Option<Preempt> {
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
