//! How many more tasks an array wants now, which replicas a service wants and which it can do without.
//!
//! ```text
//! wanted  = replicas - fresh, and at most replicas + surge - all
//! surplus = what does not run and is to be replaced; of what runs, the oldest to be replaced, down to `replicas`
//! ```
//! A replica is to be replaced when the service runs something else by now, when its host is being drained, or when its time limit
//! is near. Must hold: no stop that is asked for here leaves fewer replicas running than the service has, as long as that many
//! run; a replacement runs before what it replaces is stopped.
//! Functions of the state alone: planner, duty and apply ask the same ones.

use crate::state::{Job, Placement, QueueKey, State};
use sekisho_types::id::{JobId, NodeId};
use sekisho_types::job::{JobPhase, Kind, PRIORITY_MAX};
use sekisho_types::time::Timestamp;
use std::collections::BTreeSet;

/// A replica is replaced so much of its time limit before it is over: its replacement has to be placed and to start.
const AHEAD_SHARE: u64 = 10;

/// The same at most, for each time that a service replaces as many as its surge: an hour suffices for any start. What began together
/// comes near its limit together, and the last of them has to wait for the others.
const AHEAD_MAX_MS: u64 = 3_600_000;

/// What a service lacks, and can do without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replicas {
    /// More of them to be placed.
    pub wanted: u32,
    /// To be stopped, in this order.
    pub surplus: Vec<JobId>,
    /// When time alone makes it another, on the state clock: a replica comes near its limit. Until then it stays so as long as the
    /// service's row does, which changes with each of its replicas, and no drain begins or ends.
    pub until: Timestamp,
}

/// Replicas that are not being stopped, in the order of their numbers.
#[derive(Debug, Default)]
struct Sorted<'s> {
    /// Of those that stay: the ones that run, and the ones that do not yet.
    fresh: (Vec<&'s JobId>, Vec<&'s JobId>),
    /// Of those that are to be replaced, the same.
    old: (Vec<&'s JobId>, Vec<&'s JobId>),
    /// When the first that stays is to be replaced because of its time limit.
    until: Timestamp,
}

fn count<T>(of: &[T]) -> u32 {
    u32::try_from(of.len()).unwrap_or(u32::MAX)
}

impl Job {
    /// Where it stands in the queue if it is there.
    #[must_use]
    pub fn queue_key(&self) -> QueueKey {
        let level = PRIORITY_MAX.saturating_sub(self.facts.priority);
        (level, self.submitted, self.ordinal, self.facts.id.task.unwrap_or(u32::MAX))
    }

    /// Whether it is in the queue: it waits for places, or more of its tasks may.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        let Some(tasks) = &self.tasks else { return self.phase == JobPhase::Queued };
        let held = self.phase == JobPhase::Held;
        let goes_on = !held && !self.phase.is_final() && self.fate.is_none();
        goes_on
            && match self.facts.kind {
                Kind::Batch => false,
                Kind::Array { tasks: all, .. } => tasks.next < all,
                Kind::Service { .. } => true,
            }
    }
}

impl State {
    /// How many groups of a job are to be placed now: one of a queued job, as many as its bounds admit of an array or service.
    #[must_use]
    pub fn wanted(&self, job: &Job) -> u32 {
        if !job.is_queued() {
            return 0;
        }
        let Some(tasks) = &job.tasks else { return 1 };
        match job.facts.kind {
            Kind::Batch => 0,
            Kind::Array { tasks: all, at_most } => {
                all.saturating_sub(tasks.next).min(at_most.saturating_sub(tasks.open))
            }
            Kind::Service { .. } if self.clock < tasks.pause => 0,
            Kind::Service { .. } => self.replicas(job).wanted,
        }
    }

    /// Whether one more group of a job is to be placed now: whether [`State::wanted`] is above zero. It is asked for each grant, so of
    /// a service that grows it reads its counters alone, and of one that is replaced as many replicas as it takes to find one
    /// that is to go.
    #[must_use]
    pub fn wants_more(&self, job: &Job) -> bool {
        let (Kind::Service { replicas, surge }, Some(tasks)) = (job.facts.kind, &job.tasks) else {
            return self.wanted(job) > 0;
        };
        if !job.is_queued() || self.clock < tasks.pause {
            return false;
        }
        let all = tasks.open.saturating_sub(tasks.stopping);
        let Some(beyond) = all.checked_sub(replicas) else { return true };
        if beyond >= surge {
            return false;
        }
        // Each that there is beyond the replicas of the service takes the place of one.
        let goes_on = self
            .living_tasks(&job.facts.id)
            .filter(|(_, replica)| replica.phase != JobPhase::Stopping);
        let mut old = goes_on.filter(|(_, replica)| self.is_outdated(job, replica));
        usize::try_from(beyond).is_ok_and(|beyond| old.nth(beyond).is_some())
    }

    /// Whether a node refused a job so short a time ago that it is not tried again for it.
    #[must_use]
    pub fn avoids(&self, job: &Job, node: &NodeId) -> bool {
        job.avoid.get(node).is_some_and(|until| self.clock < *until)
    }

    /// All of those nodes.
    #[must_use]
    pub fn avoided(&self, job: &Job) -> BTreeSet<NodeId> {
        let still = job.avoid.iter().filter(|(_, until)| self.clock < **until);
        still.map(|(node, _)| node.clone()).collect()
    }

    /// What a service lacks, and can do without; nothing of any other job, nor of a service that is over or ends.
    #[must_use]
    pub fn replicas(&self, whole: &Job) -> Replicas {
        let Kind::Service { replicas, surge } = whole.facts.kind else {
            return Replicas::default();
        };
        if !whole.is_queued() {
            return Replicas::default();
        }
        let Sorted { fresh, old, until } = self.sorted(whole);
        let stay = count(&fresh.0).saturating_add(count(&fresh.1));
        let all = stay.saturating_add(count(&old.0)).saturating_add(count(&old.1));
        let room = replicas.saturating_add(surge).saturating_sub(all);
        let wanted = replicas.saturating_sub(stay).min(room);
        // What is to be replaced and does not run yet serves nobody.
        let mut surplus: Vec<&JobId> = old.1;
        let mut running = count(&fresh.0).saturating_add(count(&old.0));
        for id in old.0 {
            if running > replicas {
                running = running.saturating_sub(1);
                surplus.push(id);
            }
        }
        // Of a service that was made smaller, what is youngest goes; first what does not run.
        let over = usize::try_from(stay.saturating_sub(replicas)).unwrap_or(usize::MAX);
        let youngest = fresh.1.into_iter().rev().chain(fresh.0.into_iter().rev());
        surplus.extend(youngest.take(over));
        Replicas { wanted, surplus: surplus.into_iter().cloned().collect(), until }
    }

    fn sorted(&self, whole: &Job) -> Sorted<'_> {
        let mut sorted = Sorted { until: Timestamp(u64::MAX), ..Sorted::default() };
        for (id, replica) in self.living_tasks(&whole.facts.id) {
            if replica.phase == JobPhase::Stopping {
                continue;
            }
            let of = if self.is_outdated(whole, replica) {
                &mut sorted.old
            } else {
                sorted.until =
                    self.near_from(whole, replica).map_or(sorted.until, |at| at.min(sorted.until));
                &mut sorted.fresh
            };
            let runs = replica.phase == JobPhase::Running;
            if runs { of.0.push(id) } else { of.1.push(id) }
        }
        sorted
    }

    /// Tasks that are not over, by number.
    fn living_tasks<'s>(&'s self, whole: &JobId) -> impl Iterator<Item = (&'s JobId, &'s Job)> {
        self.jobs
            .range(whole.task(0)..=whole.task(u32::MAX))
            .filter(|(_, task)| !task.phase.is_final())
    }

    fn placed<'s>(&'s self, replica: &'s Job) -> impl Iterator<Item = &'s Placement> {
        replica.placements.iter().filter_map(|id| self.placements.get(id))
    }

    /// From when on the time limit of a replica is near.
    fn near_from(&self, whole: &Job, replica: &Job) -> Option<Timestamp> {
        let times = match whole.facts.kind {
            Kind::Service { replicas, surge } => replicas.div_ceil(surge.max(1)),
            Kind::Batch | Kind::Array { .. } => 1,
        };
        let limit_ms = replica.facts.time_limit_s.saturating_mul(1000);
        let most = AHEAD_MAX_MS.saturating_mul(u64::from(times));
        let ahead = limit_ms.checked_div(AHEAD_SHARE).unwrap_or(0).min(most);
        let until = self.placed(replica).map(|row| row.charge.until).min()?;
        Some(Timestamp(until.0.saturating_sub(ahead)))
    }

    /// Whether a replica is to be replaced.
    fn is_outdated(&self, whole: &Job, replica: &Job) -> bool {
        let near = self.near_from(whole, replica).is_some_and(|from| from <= self.clock);
        let leaves = near
            || self
                .placed(replica)
                .any(|row| self.nodes.get(&row.grant.node).is_none_or(|node| node.drain.is_some()));
        // What was signed once is the same.
        let as_whole =
            || replica.submission == whole.submission || replica.facts.runs_as(&whole.facts);
        leaves || !as_whole()
    }
}
