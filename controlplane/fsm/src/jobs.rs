//! The table of jobs, and how many there are of what people ask for at every moment.
//!
//! Must hold: the counts follow each change of a row, so that asking costs nothing however many jobs there are. They are made of the
//! rows alone and are in no snapshot and no digest: equal rows have equal counts (R4).

use crate::state::Job;
use crate::table::Table;
use sekisho_types::id::JobId;
use sekisho_types::job::{JobPhase, Kind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ops::Deref;
use std::sync::Arc;

/// With the two counters of its [`Arc`] a row fills a size class of the allocator; a word more would cost each of a million queued
/// jobs the next class, 128 bytes up.
const JOB_ROW_MAX: usize = 512;
const _: () = assert!(size_of::<Job>().saturating_add(2 * size_of::<usize>()) <= JOB_ROW_MAX);

/// How many jobs there are; tasks count like jobs where nothing else is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Placed or running.
    pub running: u64,
    /// Waiting for other jobs or for their time.
    pub held: u64,
    /// Tasks of arrays and services that are not over.
    pub tasks_open: u64,
    /// Services of which fewer replicas run than they have.
    pub services_short: u64,
}

impl Counts {
    /// Of one job.
    fn of(job: &Job) -> Self {
        let running = matches!(job.phase, JobPhase::Placed | JobPhase::Running);
        Self {
            running: u64::from(running),
            held: u64::from(job.phase == JobPhase::Held),
            tasks_open: u64::from(job.facts.id.task.is_some() && !job.phase.is_final()),
            services_short: u64::from(job.is_short()),
        }
    }

    /// Of one job, or of none.
    fn of_any(job: Option<&Job>) -> Self {
        job.map(Self::of).unwrap_or_default()
    }

    fn add(self, other: Self) -> Self {
        Self {
            running: self.running.saturating_add(other.running),
            held: self.held.saturating_add(other.held),
            tasks_open: self.tasks_open.saturating_add(other.tasks_open),
            services_short: self.services_short.saturating_add(other.services_short),
        }
    }

    /// Never below zero: what is taken away was added before.
    fn subtract(self, other: Self) -> Self {
        Self {
            running: self.running.saturating_sub(other.running),
            held: self.held.saturating_sub(other.held),
            tasks_open: self.tasks_open.saturating_sub(other.tasks_open),
            services_short: self.services_short.saturating_sub(other.services_short),
        }
    }
}

impl Job {
    /// Whether it is a service that goes on, and fewer of its replicas run than it has.
    #[must_use]
    pub fn is_short(&self) -> bool {
        let Kind::Service { replicas, .. } = self.facts.kind else { return false };
        let running = self.tasks.as_ref().map(|tasks| tasks.running);
        self.is_queued() && running.is_some_and(|running| running < replicas)
    }
}

/// Jobs and their tasks by name, counted.
#[derive(Debug, Clone, Default)]
pub struct Jobs {
    rows: Table<JobId, Job>,
    counts: Counts,
}

/// Reading is the table's; what changes a row is here.
impl Deref for Jobs {
    type Target = Table<JobId, Job>;

    fn deref(&self) -> &Self::Target {
        &self.rows
    }
}

impl From<Table<JobId, Job>> for Jobs {
    fn from(rows: Table<JobId, Job>) -> Self {
        let counts = rows.iter().fold(Counts::default(), |sum, (_, job)| sum.add(Counts::of(job)));
        Self { rows, counts }
    }
}

impl Jobs {
    /// How many there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// As [`Table::settle`].
    pub(crate) fn settle(&mut self) {
        self.rows.settle();
    }

    /// Puts a row, in place of an older one.
    pub fn insert(&mut self, id: JobId, job: Job) {
        let (before, after) = (Counts::of_any(self.rows.get(&id)), Counts::of(&job));
        self.rows.insert(id, job);
        self.counts = self.counts.subtract(before).add(after);
    }

    /// Takes a row out.
    pub fn remove(&mut self, id: &JobId) -> Option<Arc<Job>> {
        let job = self.rows.remove(id)?;
        self.counts = self.counts.subtract(Counts::of(&job));
        Some(job)
    }

    /// Changes a row in place; `None` if there is none.
    pub fn update<R>(&mut self, id: &JobId, change: impl FnOnce(&mut Job) -> R) -> Option<R> {
        let before = Counts::of(self.rows.get(id)?);
        let result = self.rows.update(id, change);
        let after = Counts::of_any(self.rows.get(id));
        self.counts = self.counts.subtract(before).add(after);
        result
    }
}

impl Serialize for Jobs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.rows.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Jobs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Table::<JobId, Job>::deserialize(deserializer).map(Self::from)
    }
}
