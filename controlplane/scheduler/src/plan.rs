//! The plan: whole groups to places, first fit, urgent and old jobs first.
//!
//! Must hold: all-or-nothing groups, each member on a node of its own; each group sees the room and quota that earlier
//! groups of the plan take; never beyond free devices or quota (P1, Q1); residency as in apply (D1).
//! A job that does not fit is passed over: smaller ones behind it may start (backfill without reservation).

use crate::limit::{GROUP_OVERHEAD, JOBS_PER_PLAN_MAX, PLAN_BYTES_MAX, SLOT_OVERHEAD};
use crate::quota::{Fit, Overlay, fit};
use crate::residency::Verdicts;
use crate::room::Room;
use sekisho_fsm::State;
use sekisho_fsm::command::Group;
use sekisho_fsm::state::{Job, QueueKey};
use sekisho_types::id::{DeviceClass, SiteId, TenantId};
use sekisho_types::limit::GROUPS_PER_PLAN_MAX;
use sekisho_types::revision::{KeyEpoch, Revision};
use std::collections::BTreeMap;

/// What to commit, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Revision of the state that was planned on.
    pub basis: Revision,
    /// In the order in which apply has to take them.
    pub groups: Vec<Group>,
    /// Jobs looked at and passed over, by what they wait for first.
    pub waiting: Waiting,
    /// Where the next round goes on if this one did not see the end of the queue.
    pub resume: Option<QueueKey>,
}

/// Jobs passed over by one round. [`crate::explain()`] tells the full reason of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// A policy of theirs, or their tenant, does not exist.
    pub rules: u32,
    /// The tenant's quota does not admit them now.
    pub quota: u32,
    /// Not enough suitable nodes have room.
    pub room: u32,
    /// No member keeps what they run.
    pub payload: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    Rules,
    Quota,
    Room,
    Payload,
}

/// What the planner can tell jobs apart by. A shape that was held stays held for the rest of the round, because room
/// and quota only shrink in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shape<'s> {
    rules: usize,
    tenant: &'s TenantId,
    class: &'s DeviceClass,
    gpus: u32,
    memory_mib: u64,
    group: u32,
    sealed_to: &'s BTreeMap<SiteId, KeyEpoch>,
}

#[derive(Debug)]
struct Round<'s> {
    state: &'s State,
    room: Room<'s>,
    charges: Overlay<'s>,
    verdicts: Verdicts<'s>,
    held: BTreeMap<Shape<'s>, Hold>,
}

/// Plans from the head of the queue.
#[must_use]
pub fn plan(state: &State) -> Plan {
    plan_from(state, None)
}

/// Plans from the first job at or behind `from`; `None` = the head of the queue.
#[must_use]
pub fn plan_from(state: &State, from: Option<QueueKey>) -> Plan {
    let basis = state.revision();
    let (mut groups, mut waiting, mut resume) = (Vec::new(), Waiting::default(), None);
    if state.queue_len() == 0 {
        return Plan { basis, groups, waiting, resume };
    }
    let mut round = Round::of(state);
    let (mut bytes, mut seen) = (0usize, 0u32);
    for (key, id) in state.queue().skip_while(|(key, _)| from.is_some_and(|from| **key < from)) {
        if groups.len() >= GROUPS_PER_PLAN_MAX || seen >= JOBS_PER_PLAN_MAX {
            resume = Some(*key);
            break;
        }
        seen = seen.saturating_add(1);
        let Some(job) = state.job(id) else { continue };
        match round.place(job) {
            Ok(group) => {
                bytes = bytes.saturating_add(size(&group));
                if bytes > PLAN_BYTES_MAX {
                    resume = Some(*key);
                    break;
                }
                groups.push(group);
            }
            Err(hold) => waiting.count(hold),
        }
    }
    Plan { basis, groups, waiting, resume }
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

impl Waiting {
    fn count(&mut self, hold: Hold) {
        let counter = match hold {
            Hold::Rules => &mut self.rules,
            Hold::Quota => &mut self.quota,
            Hold::Room => &mut self.room,
            Hold::Payload => &mut self.payload,
        };
        *counter = counter.saturating_add(1);
    }
}

impl<'s> Round<'s> {
    fn of(state: &'s State) -> Self {
        Self {
            state,
            room: Room::of(state),
            charges: Overlay::default(),
            verdicts: Verdicts::default(),
            held: BTreeMap::new(),
        }
    }

    fn place(&mut self, job: &'s Job) -> Result<Group, Hold> {
        let facts = &job.facts;
        let rules = self.verdicts.number(self.state, facts).ok_or(Hold::Rules)?;
        // Says nothing about its equals, which run something else.
        if self.state.is_missing(&facts.payload) {
            return Err(Hold::Payload);
        }
        let shape = Shape {
            rules,
            tenant: &facts.id.tenant,
            class: &facts.resources.class,
            gpus: facts.resources.gpus,
            memory_mib: facts.resources.memory_mib,
            group: facts.group,
            sealed_to: &facts.sealed_to,
        };
        if let Some(hold) = self.held.get(&shape) {
            return Err(*hold);
        }
        let placed = self.try_place(job, &shape);
        if let Err(hold) = &placed {
            // A job that may not use some node says nothing about its equals that may.
            if *hold != Hold::Room || job.avoid.is_empty() {
                self.held.insert(shape, *hold);
            }
        }
        placed
    }

    fn try_place(&mut self, job: &'s Job, shape: &Shape<'s>) -> Result<Group, Hold> {
        let (state, need) = (self.state, job.facts.gpus());
        let used = self.charges.used(state, shape.tenant, shape.class);
        match fit(state.quota(shape.tenant, shape.class), used, need) {
            Fit::Admitted => {}
            Fit::Exceeded(_) | Fit::Never => return Err(Hold::Quota),
        }
        let verdicts = &mut self.verdicts;
        let places = self
            .room
            .take(&job.facts.resources, shape.group, |cell, places| {
                !job.avoid.contains(cell.node)
                    && state.can_open(&job.facts, &cell.node.site)
                    && verdicts.allows(state, shape.rules, cell.place, places)
            })
            .ok_or(Hold::Room)?;
        self.charges.charge(shape.tenant, shape.class, need);
        Ok(Group { job: job.facts.id.clone(), places })
    }
}
