//! Jobs of a made-up fleet, drawn by the laws.
//!
//! Must hold: no job asks for a class that has not enough nodes for it, in use or not. Ours, for lack of a law: the class is
//! drawn by its GPUs, and a job that is larger than a node takes as few nodes as can be, the same of each.

use super::chance::Chance;
use super::node::Class;
use super::tenant::Tenant;
use super::{Fleet, law};
use sekisho_fsm::testing::PAYLOAD;
use sekisho_types::id::{DeviceClass, Digest, JobId};
use sekisho_types::job::{JobFacts, Kind, OnDisconnect, OverLimit, Resources};
use sekisho_types::name::Name;
use sekisho_types::rare::Rare;
use std::time::Duration;

/// Keeps the numbers of jobs apart from those of others who draw by the fleet's seed.
const STREAM: u64 = 0x6a6f_6273;

/// What a job needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// Device class.
    pub class: DeviceClass,
    /// Members, each on a node of its own.
    pub group: u32,
    /// GPUs of each member.
    pub gpus: u32,
}

impl Shape {
    /// So many GPUs on nodes of a class; `None` if it has not enough of them.
    #[must_use]
    pub fn of(class: &Class, gpus: u32) -> Option<Self> {
        let each = (1..=class.per_node.min(gpus)).rev().find(|each| gpus.is_multiple_of(*each))?;
        let group = gpus.checked_div(each).filter(|group| *group <= class.nodes)?;
        Some(Self { class: class.name.clone(), group, gpus: each })
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Tenant and name.
    pub id: JobId,
    /// What it needs.
    pub shape: Shape,
    /// 0 (least) to 100.
    pub priority: u8,
    /// How long it runs, seconds.
    pub duration_s: u64,
    /// How long its user says that it runs at most, seconds.
    pub time_limit_s: u64,
    /// When it is submitted, milliseconds from the beginning of the first day.
    pub arrives_ms: u64,
}

impl Job {
    /// What is submitted.
    #[must_use]
    pub fn facts(&self) -> JobFacts {
        let Shape { class, group, gpus } = self.shape.clone();
        JobFacts {
            id: self.id.clone(),
            kind: Kind::Batch,
            group,
            resources: Resources::of(class, gpus),
            topology: Rare::default(),
            priority: self.priority,
            policy: None,
            reservation: None,
            residency: Rare::default(),
            on_disconnect: OnDisconnect::Stop,
            over_limit: OverLimit::Queue,
            time_limit_s: self.time_limit_s,
            after: Rare::default(),
            not_before: None,
            start_by: None,
            payload: Digest::of(PAYLOAD),
            payload_len: u32::try_from(PAYLOAD.len()).unwrap_or(u32::MAX),
            sealed_to: Rare::default(),
            area_only: false,
        }
    }
}

/// Jobs in the order of their arrival, without end.
#[derive(Debug, Clone)]
pub struct Jobs<'f> {
    fleet: &'f Fleet,
    tenants: Vec<(&'f Tenant, u64)>,
    chance: Chance,
    made: u64,
    /// Of the last arrival, were all hours alike.
    even_s: f64,
}

impl<'f> Jobs<'f> {
    pub(super) fn of(fleet: &'f Fleet) -> Self {
        let chance = Chance::new(fleet.seed ^ STREAM);
        Self { fleet, tenants: fleet.submitters(), chance, made: 0, even_s: 0.0 }
    }

    fn shape(&mut self, gpus: u32) -> Option<Shape> {
        let able = self.fleet.classes.iter().filter(|class| Shape::of(class, gpus).is_some());
        let able: Vec<(&Class, u64)> = able.map(|class| (class, class.gpus())).collect();
        Shape::of(self.chance.pick(&able)?, gpus)
    }
}

impl Iterator for Jobs<'_> {
    type Item = Job;

    fn next(&mut self) -> Option<Job> {
        self.even_s += law::gap_s(&mut self.chance);
        let gpus = law::gpus(&mut self.chance);
        let duration_s = law::duration_s(&mut self.chance, gpus);
        let tenant = self.chance.pick(&self.tenants)?;
        let name = Name::parse(&format!("j-{}", self.made)).ok()?;
        self.made = self.made.saturating_add(1);
        let arrival = Duration::try_from_secs_f64(law::by_hour(self.even_s)).ok()?;
        Some(Job {
            id: JobId { tenant: tenant.id.clone(), name, task: None },
            shape: self.shape(gpus)?,
            priority: self.chance.pick(&law::PRIORITIES)?,
            duration_s,
            time_limit_s: law::limit_s(&mut self.chance, duration_s),
            arrives_ms: u64::try_from(arrival.as_millis()).ok()?,
        })
    }
}
