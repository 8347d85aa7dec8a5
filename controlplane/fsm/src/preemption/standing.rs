//! Which of a tenant's jobs are within what is its own, and which are borrowed: by that it is decided who is moved for whom.
//!
//! Counted from the most urgent on, of equals from the one that began first: a job is within what is its tenant's own if it fits there
//! beside those before it that are, in every row of the tenant that covers where it stands. The others are borrowed, each as a
//! whole.
//!
//! Must hold: a job that begins changes the standing of none that is more urgent, or as urgent and was there before; a borrowed one
//! changes that of none at all. Together with the order of [`Moves`] it follows that preemption ends: each move either raises what
//! is within owners' own at some priority and at none above it lowers it, or leaves that as it is and does the same with what is
//! borrowed. What a tenant's parts lend is theirs.

use super::{Preemption, refuse};
use crate::outcome::Rejection;
use crate::state::{Job, Placement, State};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{DeviceClass, JobId, TenantId};
use sekisho_types::job::{JobFacts, JobPhase};
use sekisho_types::jurisdiction::Area;
use sekisho_types::quota::Amount;
use sekisho_types::time::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// What a job holds, by where.
type Held = BTreeMap<Area, u64>;

/// What is left of each row of a tenant.
#[derive(Debug)]
struct Own(Vec<(Area, Amount)>);

impl Own {
    /// Takes what a job holds, if every row that covers it has that much left. Without rows nothing is a tenant's own.
    fn take(&mut self, held: &Held) -> bool {
        let of_row = |row: Area| {
            let inside = held.iter().filter(|(place, _)| row.contains(**place));
            inside.fold(0u64, |sum, (_, gpus)| sum.saturating_add(*gpus))
        };
        let fits = self.0.iter().all(|(row, left)| left.covers(of_row(*row)));
        if self.0.is_empty() || !fits {
            return false;
        }
        for (row, left) in &mut self.0 {
            *left = left.less(of_row(*row));
        }
        true
    }
}

impl State {
    /// Rows of a tenant for a class, with what was set for it in each.
    fn own_of(&self, tenant: &TenantId, class: &DeviceClass) -> Own {
        let lines = self.holding(tenant, class).into_iter().flat_map(|held| &held.lines);
        let set = lines
            .filter_map(|(area, line)| Some((*area, Amount::from(line.quota?.allotment.nominal))));
        Own(set.collect())
    }

    /// What a job holds and is to hold on, and since when.
    fn has_now(&self, job: &Job) -> Option<(Timestamp, Held)> {
        let rows: Vec<&Placement> = self.living(job).map(|(_, row)| row).collect();
        let begun = rows.iter().map(|row| row.charge.from).min()?;
        let mut held = Held::new();
        for row in rows {
            let sum = held.entry(row.charge.place).or_default();
            *sum = sum.saturating_add(u64::from(row.grant.gpus));
        }
        Some((begun, held))
    }

    /// What is kept for a job that room is being made for.
    fn will_have(&self, job: &Job, row: &Preemption) -> (Timestamp, Held) {
        let mut held = Held::new();
        for slot in &row.places {
            let node = self.nodes.get(&slot.node);
            let place = node.and_then(|node| node.tag.area.domestic()).unwrap_or(Area::Japan);
            let sum = held.entry(place).or_default();
            *sum = sum.saturating_add(u64::from(job.facts.resources.gpus));
        }
        (row.since, held)
    }

    /// The jobs of a tenant that are within what is its own, and what of that they leave to one of a priority.
    fn ranks<'s>(
        &'s self,
        tenant: &TenantId,
        class: &DeviceClass,
        priority: u8,
    ) -> (BTreeSet<&'s JobId>, Own) {
        let of_class = self.jobs_of(tenant).filter(|(_, job)| job.facts.resources.class == *class);
        let mut all: Vec<(Reverse<u8>, Timestamp, &JobId, Held)> = Vec::new();
        for (id, job) in of_class {
            let kept = self.preemptions.get(id).map(|row| self.will_have(job, row));
            if let Some((begun, held)) = self.has_now(job).or(kept) {
                all.push((Reverse(job.facts.priority), begun, id, held));
            }
        }
        all.sort_unstable();
        let (mut own, mut within) = (self.own_of(tenant, class), BTreeSet::new());
        let mut left = None;
        for (Reverse(urgency), _, id, held) in &all {
            if *urgency < priority && left.is_none() {
                left = Some(Own(own.0.clone()));
            }
            if own.take(held) {
                within.insert(*id);
            }
        }
        (within, left.unwrap_or(own))
    }
}

/// Who may be moved for one job.
///
/// Who is within its tenant's own comes before who borrows, then the more urgent, and nobody moves what comes before itself.
#[derive(Debug)]
pub struct Moves<'s> {
    state: &'s State,
    facts: &'s JobFacts,
    /// It would be within its tenant's own, beside those that are as urgent.
    within: bool,
    /// Of each tenant that was asked about, those that are.
    standing: BTreeMap<&'s TenantId, BTreeSet<&'s JobId>>,
}

impl<'s> Moves<'s> {
    /// For a job that waits.
    #[must_use]
    pub fn of(state: &'s State, facts: &'s JobFacts) -> Self {
        let (tenant, class) = (&facts.id.tenant, &facts.resources.class);
        let (standing, Own(rows)) = state.ranks(tenant, class, facts.priority);
        // Where it will stand is not known: every row has to have so much.
        let within = !rows.is_empty() && rows.iter().all(|(_, left)| left.covers(facts.gpus()));
        Self { state, facts, within, standing: BTreeMap::from([(tenant, standing)]) }
    }

    /// Whether a job may be moved for it.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn may_move(&mut self, victim: &'s Job) -> Result<(), Rejection> {
        let (state, id) = (self.state, &victim.facts.id);
        match victim.phase {
            JobPhase::Placed | JobPhase::Running => {}
            JobPhase::Held
            | JobPhase::Queued
            | JobPhase::Stopping
            | JobPhase::Succeeded
            | JobPhase::Failed
            | JobPhase::Cancelled => {
                return refuse(ErrorCode::WrongPhase, format!("job {id} is {}", victim.phase));
            }
        }
        let class = &self.facts.resources.class;
        if victim.facts.resources.class != *class || !self.comes_before(victim) {
            let why = format!("job {id} is as urgent, or within what is its tenant's own");
            return refuse(ErrorCode::WrongPhase, why);
        }
        let begun = state.living(victim).map(|(_, row)| row.charge.from).max();
        let least = state.least_run_ms();
        if begun.is_none_or(|begun| state.clock.since_ms(begun) < least) {
            let why = format!("job {id} has run for less than {least} ms");
            return refuse(ErrorCode::WrongPhase, why);
        }
        let away = |row: &Placement| {
            state.nodes.get(&row.grant.node).is_none_or(|node| node.live_session().is_none())
        };
        if state.living(victim).any(|(_, row)| away(row)) {
            let why = format!("a node of job {id} is out of contact");
            return refuse(ErrorCode::NodeUnavailable, why);
        }
        Ok(())
    }

    /// Whether it comes before one that runs.
    fn comes_before(&mut self, victim: &'s Job) -> bool {
        let (tenant, of) = (&self.facts.id.tenant, &victim.facts.id.tenant);
        let more_urgent = victim.facts.priority < self.facts.priority;
        if self.within && (more_urgent || !self.state.same_tree(tenant, of)) {
            return more_urgent;
        }
        // It takes back what is its tenant's own; or it would borrow as the other does.
        let takes_back = self.within && tenant != of;
        (takes_back || more_urgent) && self.borrows(victim)
    }

    fn borrows(&mut self, victim: &'s Job) -> bool {
        let (state, facts, id) = (self.state, self.facts, &victim.facts.id);
        let class = &facts.resources.class;
        let standing = self.standing.entry(&id.tenant);
        let standing = standing.or_insert_with(|| state.ranks(&id.tenant, class, facts.priority).0);
        !standing.contains(id)
    }
}
