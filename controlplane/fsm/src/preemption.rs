//! Room for one job, made by moving others: which may be moved, and for whom.
//!
//! ```text
//! Preempt ──> victims stop, their room is kept ──> each teardown passes its charge on ──> the last one grants, or all lapses
//! ```
//! Must hold: who is moved comes after the one that it is moved for ([`Moves`]); it has run for a while; each victim is needed, and
//! together they suffice. Nobody is moved for whom no room would be made. Preemption never loops.
//! Does not choose: the planner does (`scheduler::preempt`).

mod standing;

use crate::apply::group::check_group;
use crate::apply::placement::is_desired;
use crate::command::{Group, Preempt, Slot};
use crate::outcome::Rejection;
use crate::quota::{Line, refund};
use crate::reservation;
use crate::state::{Job, Placement, State};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{DeviceClass, JobId, TenantId};
use sekisho_types::job::JobFacts;
use sekisho_types::jurisdiction::Area;
use sekisho_types::quota::Amount;
use sekisho_types::revision::{PlacementId, Revision};
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub use standing::Moves;

/// Jobs that one preemption moves at most: each is checked to be needed.
pub const VICTIMS_MAX: usize = 16;

/// Preemptions under way at once: the rest of the fleet goes on with its work.
pub const PENDING_MAX: usize = 32;

/// A job is not moved before it has run so long: what it has loaded is worth that much.
pub const LEAST_RUN_MS: u64 = 300_000;

/// The same in a federation of `sekisho dev`, where nobody waits five minutes to see it.
const LEAST_RUN_DEV_MS: u64 = 5_000;

/// GPUs of a bucket that are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// For whom.
    pub job: JobId,
    /// How many by now; victims that still run hold the others.
    pub gpus: u32,
}

/// Room that is being made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preemption {
    /// Where the members will stand.
    pub places: Vec<Slot>,
    /// Who is moved.
    pub victims: BTreeSet<JobId>,
    /// GPUs charged to the tenant that gets the room, by place: those for which there was quota, and what victims gave back.
    pub charged: BTreeMap<Area, u64>,
    /// Since when, on the state clock.
    pub since: Timestamp,
    /// The entry that began it.
    pub revision: Revision,
}

fn refuse<T>(code: ErrorCode, why: String) -> Result<T, Rejection> {
    Err(Rejection::new(code, why))
}

impl State {
    /// The room that is being made for a job.
    #[must_use]
    pub fn preemption(&self, job: &JobId) -> Option<&Preemption> {
        self.preemptions.get(job)
    }

    /// All room that is being made, by job.
    pub fn preemptions(&self) -> impl DoubleEndedIterator<Item = (&JobId, &Preemption)> {
        self.preemptions.iter()
    }

    /// GPUs that a tenant is charged for jobs that room is being made for.
    #[must_use]
    pub fn pending(&self, tenant: &TenantId, class: &DeviceClass) -> u64 {
        let own = self.preemptions.iter().filter(|(job, _)| job.tenant == *tenant);
        let of_class = own.filter(|(job, _)| {
            self.jobs.get(job).is_some_and(|job| job.facts.resources.class == *class)
        });
        of_class
            .flat_map(|(_, row)| row.charged.values())
            .fold(0, |sum, gpus| sum.saturating_add(*gpus))
    }

    /// How long a job has to have run before it may be moved.
    #[must_use]
    pub fn least_run_ms(&self) -> u64 {
        if self.federation().is_some_and(|held| held.dev) { LEAST_RUN_DEV_MS } else { LEAST_RUN_MS }
    }

    /// Placements of a job that are to go on.
    fn living<'s>(
        &'s self,
        job: &'s Job,
    ) -> impl Iterator<Item = (&'s PlacementId, &'s Placement)> {
        let rows = job.placements.iter().filter_map(|id| Some((id, self.placements.get(id)?)));
        rows.filter(|(_, row)| is_desired(&row.phase))
    }

    /// This state as it would be if jobs had ended, for what concerns room and charges.
    fn without(&self, victims: &[JobId]) -> Self {
        let mut supposed = self.clone();
        for job in victims.iter().filter_map(|id| self.jobs.get(id)) {
            for (id, row) in self.living(job) {
                let gpus = row.grant.gpus;
                supposed.nodes.update(&row.grant.node, |node| {
                    node.placements.remove(id);
                    let used = node.used.entry(row.bucket).or_default();
                    *used = used.saturating_sub(gpus);
                });
                let (tenant, class) = (&row.grant.job.tenant, &row.grant.class);
                let path = self.path(tenant);
                refund(&mut supposed.quotas, &path, class, row.charge.place, u64::from(gpus));
                reservation::refund(&mut supposed, row);
                let watts =
                    self.nodes.get(&row.grant.node).map_or(0, |n| n.watts(row.bucket, gpus));
                supposed.give_power_back(&row.grant.node.site, watts);
                if let Some(name) = &row.charge.offer {
                    let key = (row.grant.node.site.clone(), name.clone());
                    supposed.offers.update(&key, |offer| {
                        offer.used = offer.used.saturating_sub(u64::from(gpus));
                    });
                }
            }
        }
        supposed
    }

    /// Whether a job would find room at its places without others.
    #[must_use]
    pub fn makes_room(&self, preempt: &Preempt) -> bool {
        let Preempt { beneficiary, victims, places } = preempt;
        let group = Group { job: beneficiary.clone(), places: places.clone() };
        check_group(&self.without(victims), &group).is_ok()
    }

    /// GPUs of its tenant's quota that a job would lack at its places if others had ended: by row, of all that bind there.
    #[must_use]
    pub fn lacks_quota(&self, preempt: &Preempt) -> u64 {
        let Preempt { beneficiary, victims, places } = preempt;
        let Some(job) = self.jobs.get(beneficiary) else { return 0 };
        let (tenant, class) = (&beneficiary.tenant, &job.facts.resources.class);
        let stands = |slot: &Slot| self.nodes.get(&slot.node)?.tag.area.domestic();
        let places: Vec<Area> = places.iter().filter_map(stands).collect();
        let then = self.without(victims);
        let rows = then.holding(tenant, class).into_iter().flat_map(|held| &held.lines);
        let rows = rows.filter(|(_, line)| line.quota.is_some());
        rows.fold(0u64, |sum, (area, _)| {
            let members = places.iter().filter(|place| area.contains(**place)).count();
            let members = u64::try_from(members).unwrap_or(u64::MAX);
            let wanted = members.saturating_mul(u64::from(job.facts.resources.gpus));
            sum.saturating_add(then.room(tenant, class, *area).short_of(wanted))
        })
    }

    /// Whether two tenants are of one tree.
    #[must_use]
    pub fn same_tree(&self, one: &TenantId, other: &TenantId) -> bool {
        one == other || self.path(one).last() == self.path(other).last()
    }

    /// Whether anybody might be moved for a job because he borrows: a first look, at what tenants use of the class in all.
    #[must_use]
    pub fn is_owed(&self, facts: &JobFacts) -> bool {
        let (tenant, class) = (&facts.id.tenant, &facts.resources.class);
        let own = |line: &Line| line.quota.map(|quota| Amount::from(quota.allotment.nominal));
        let mut borrowers = self.quotas.iter().filter(|((of, of_class), holding)| {
            let borrows = |line: &Line| own(line).is_some_and(|own| !own.covers(line.own));
            of_class == class && of != tenant && holding.lines.values().any(borrows)
        });
        borrowers.any(|((of, _), _)| self.same_tree(tenant, of))
    }

    /// Whether jobs may be moved for another one: each of them may, and is needed, and together they make room.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check_preemption(&self, preempt: &Preempt) -> Result<(), Rejection> {
        let Preempt { beneficiary, victims, places } = preempt;
        if victims.is_empty()
            || victims.len() > VICTIMS_MAX
            || !victims.is_sorted_by(|a, b| a < b)
            || victims.contains(beneficiary)
        {
            let why =
                format!("victims: 1 to {VICTIMS_MAX} other jobs, ordered and without doubles");
            return refuse(ErrorCode::InvalidArgument, why);
        }
        let missing = |id: &JobId| Rejection::new(ErrorCode::NotFound, format!("job {id}"));
        let job = self.jobs.get(beneficiary).ok_or_else(|| missing(beneficiary))?;
        if self.preemptions.contains(beneficiary) {
            let why = format!("room is being made for job {beneficiary}");
            return refuse(ErrorCode::WrongPhase, why);
        }
        if self.preemptions.len() >= PENDING_MAX {
            return refuse(
                ErrorCode::Overloaded,
                format!("{PENDING_MAX} preemptions are under way"),
            );
        }
        let mut moves = Moves::of(self, &job.facts);
        for victim in victims {
            moves.may_move(self.jobs.get(victim).ok_or_else(|| missing(victim))?)?;
        }
        let taken = |slot: &Slot| {
            self.nodes.get(&slot.node).is_some_and(|node| node.kept.contains_key(&slot.bucket))
        };
        if places.iter().any(taken) {
            return refuse(ErrorCode::CapacityFull, "a place is kept for another job".to_owned());
        }
        let group = Group { job: beneficiary.clone(), places: places.clone() };
        let fits = |victims: &[JobId]| check_group(&self.without(victims), &group);
        if let Err(code) = fits(victims) {
            let why = format!("job {beneficiary} would find no room without them");
            return refuse(code, why);
        }
        for at in 0..victims.len() {
            let mut fewer = victims.clone();
            let spared = fewer.remove(at);
            if fits(&fewer).is_ok() {
                return refuse(ErrorCode::WrongPhase, format!("job {spared} need not be moved"));
            }
        }
        Ok(())
    }
}
