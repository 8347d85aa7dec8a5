//! The queued jobs by what the planner can tell them apart by: lanes.
//!
//! Must hold: it follows the state's queue by what changed of it. Jobs of a lane differ in their time limits and in what concerns
//! one of them alone (nodes that refused it, a payload that nobody keeps); of those that differ in the limit only, what keeps a
//! shorter one off keeps a longer one off too.

use sekisho_fsm::State;
use sekisho_fsm::state::{Job, QueueKey};
use sekisho_types::id::{DeviceClass, JobId, PolicyId, SiteId, TenantId};
use sekisho_types::job::{JobFacts, Kind, OnDisconnect};
use sekisho_types::name::Name;
use sekisho_types::rare::Rare;
use sekisho_types::residency::Rules;
use sekisho_types::revision::{KeyEpoch, Revision};
use sekisho_types::sharing::Sharing;
use sekisho_types::topology::Topology;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Age of a job: its entry, and its place in the batch.
pub(crate) type Age = (Revision, u32, u32);

/// What is equal in a lane.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LaneKey {
    /// `100 - priority`.
    pub(crate) level: u8,
    pub(crate) tenant: TenantId,
    class: DeviceClass,
    gpus: u32,
    memory_mib: u64,
    units: u32,
    sharing: Sharing,
    group: u32,
    topology: Rare<Topology>,
    policy: Option<PolicyId>,
    reservation: Option<Name>,
    completes: bool,
    rules: Rare<Rules>,
    pub(crate) sealed_to: Rare<BTreeMap<SiteId, KeyEpoch>>,
}

impl LaneKey {
    fn of(level: u8, facts: &JobFacts) -> Self {
        Self {
            level,
            tenant: facts.id.tenant.clone(),
            class: facts.resources.class.clone(),
            gpus: facts.resources.gpus,
            memory_mib: facts.resources.memory_mib,
            units: facts.resources.units,
            sharing: facts.resources.sharing,
            group: facts.group,
            topology: facts.topology.clone(),
            policy: facts.policy.clone(),
            reservation: facts.reservation.clone(),
            completes: facts.on_disconnect == OnDisconnect::RunToCompletion,
            rules: facts.residency.clone(),
            sealed_to: facts.sealed_to.clone(),
        }
    }
}

/// Jobs of one lane, by time limit in seconds, then age.
pub(crate) type Lane = BTreeMap<u64, BTreeMap<Age, JobId>>;

/// All lanes that have jobs.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    lanes: BTreeMap<Arc<LaneKey>, Lane>,
    found: BTreeMap<QueueKey, (Arc<LaneKey>, u64)>,
    services: BTreeMap<QueueKey, JobId>,
}

impl Queue {
    /// Follows from `before` to `after`; from nothing it is built.
    pub(crate) fn follow(&mut self, before: &State, after: &State) {
        for key in after.changed_queue(before) {
            self.drop(key);
            let job = after.queued(key).and_then(|id| after.job(id));
            if let Some(job) = job {
                self.put(*key, job);
            }
        }
    }

    /// Some jobs of a queue.
    pub(crate) fn of<'q, T: IntoIterator<Item = (QueueKey, &'q Job)>>(jobs: T) -> Self {
        let mut queue = Self::default();
        jobs.into_iter().for_each(|(key, job)| queue.put(key, job));
        queue
    }

    fn put(&mut self, key: QueueKey, job: &Job) {
        let (level, entry, ordinal, task) = key;
        let wanted = LaneKey::of(level, &job.facts);
        let known = self.lanes.get_key_value(&wanted).map(|(known, _)| Arc::clone(known));
        let lane = known.unwrap_or_else(|| Arc::new(wanted));
        let limit = job.facts.time_limit_s;
        let jobs = self.lanes.entry(Arc::clone(&lane)).or_default().entry(limit).or_default();
        jobs.insert((entry, ordinal, task), job.facts.id.clone());
        if job.tasks.is_some() && matches!(job.facts.kind, Kind::Service { .. }) {
            self.services.insert(key, job.facts.id.clone());
        }
        self.found.insert(key, (lane, limit));
    }

    fn drop(&mut self, key: &QueueKey) {
        self.services.remove(key);
        let Some((lane, limit)) = self.found.remove(key) else { return };
        let Some(limits) = self.lanes.get_mut(&lane) else { return };
        if let Some(jobs) = limits.get_mut(&limit) {
            jobs.remove(&(key.1, key.2, key.3));
            if jobs.is_empty() {
                limits.remove(&limit);
            }
        }
        if limits.is_empty() {
            self.lanes.remove(&lane);
        }
    }

    /// All lanes, urgent ones first.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = (&Arc<LaneKey>, &Lane)> {
        self.lanes.iter()
    }

    /// Services that are not over, urgent ones first.
    pub(crate) fn services(&self) -> impl Iterator<Item = &JobId> {
        self.services.values()
    }

    /// Jobs in it.
    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }
}
