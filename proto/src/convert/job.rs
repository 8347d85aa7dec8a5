//! Jobs: the facts that the log carries, and the payload beside them.

mod life;
mod start;

pub use life::phase;

use super::reservation::optional_reservation;
use super::resources;
use super::tenant::{optional_policy, policy_name};
use super::topology;
use crate::field::{FieldError, FieldResult, items, parsed, required};
use crate::name::Resource as _;
use crate::v1::{self, job_spec};
use bytes::Bytes;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, JobId, SiteId, TenantId};
use sekisho_types::job::{JobFacts, Kind, OnDisconnect, OverLimit};
use sekisho_types::limit::{PAYLOAD_MAX, RECIPIENTS_MAX};
use sekisho_types::residency::Rules;
use sekisho_types::revision::KeyEpoch;
use std::collections::BTreeMap;

/// A job to queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Its facts.
    pub facts: JobFacts,
    /// Canonical bytes of what it runs; digest and length are those in the facts. Empty where it stays in the job's area and
    /// was uploaded before.
    pub payload: Bytes,
}

/// The id that `parent` and `job_id` of a request name.
///
/// # Errors
/// [`FieldError`].
pub fn job_id(parent: &str, job_id: &str) -> FieldResult<JobId> {
    let tenant = TenantId::from_field("parent", parent)?;
    Ok(JobId { tenant, name: parsed("job_id", job_id)?, task: None })
}

/// The facts of a spec. Bounds that need no state are checked.
///
/// # Errors
/// [`FieldError`] with a path that begins with `spec`.
pub fn facts(id: JobId, spec: &v1::JobSpec) -> FieldResult<JobFacts> {
    read(id, spec).map_err(|error| error.within("spec"))
}

fn read(id: JobId, spec: &v1::JobSpec) -> FieldResult<JobFacts> {
    let rules =
        |rules: &v1::Rules| Rules::try_from(rules).map_err(|error| error.within("residency"));
    let priority = u8::try_from(spec.priority);
    let (after, not_before, start_by) = start::read(&id.tenant, spec)?;
    let facts = JobFacts {
        id,
        kind: kind(spec)?,
        group: spec.group.max(1),
        resources: resources::read(spec)?,
        topology: topology::read(spec.topology.as_ref())?.into(),
        priority: priority.map_err(|_range| FieldError::new("priority", "must be 0 to 100"))?,
        policy: optional_policy("policy", &spec.policy)?,
        reservation: optional_reservation("reservation", &spec.reservation)?,
        residency: spec.residency.as_ref().map_or_else(|| Ok(Rules::default()), rules)?.into(),
        on_disconnect: on_disconnect(spec.on_disconnect)?,
        over_limit: over_limit(spec.over_limit)?,
        time_limit_s: spec.time_limit_s,
        after: after.into(),
        not_before,
        start_by,
        payload: parsed("payload_sha256", &spec.payload_sha256)?,
        payload_len: spec.payload_len,
        sealed_to: sealed_to(&spec.sealed_to)?.into(),
        area_only: spec.area_only,
    };
    facts.check().map_err(|error| FieldError::new(wire_field(&error.field), error.must))?;
    Ok(facts)
}

/// The message's name of a field that the domain names as the spec file does.
fn wire_field(field: &str) -> &str {
    match field {
        "resources.gpus" => "gpus",
        "resources.sharing" => "sharing",
        "time_limit" => "time_limit_s",
        "run" => "payload_len",
        "start_by" => "start_by_ms",
        same => same,
    }
}

fn kind(spec: &v1::JobSpec) -> FieldResult<Kind> {
    match (&spec.array, &spec.service) {
        (None, None) => Ok(Kind::Batch),
        (Some(_), Some(_)) => Err(FieldError::new("service", "must be absent beside `array`")),
        (Some(array), None) => {
            let at_most = if array.at_most == 0 { array.tasks } else { array.at_most };
            Ok(Kind::Array { tasks: array.tasks, at_most })
        }
        (None, Some(service)) => {
            Ok(Kind::Service { replicas: service.replicas, surge: service.surge.max(1) })
        }
    }
}

fn on_disconnect(value: i32) -> FieldResult<OnDisconnect> {
    match job_spec::OnDisconnect::try_from(value) {
        Ok(job_spec::OnDisconnect::Unspecified | job_spec::OnDisconnect::Stop) => {
            Ok(OnDisconnect::Stop)
        }
        Ok(job_spec::OnDisconnect::RunToCompletion) => Ok(OnDisconnect::RunToCompletion),
        Err(_unknown) => Err(FieldError::new("on_disconnect", "must be a known mode")),
    }
}

fn over_limit(value: i32) -> FieldResult<OverLimit> {
    match job_spec::OverLimit::try_from(value) {
        Ok(job_spec::OverLimit::Unspecified | job_spec::OverLimit::Queue) => Ok(OverLimit::Queue),
        Ok(job_spec::OverLimit::Reject) => Ok(OverLimit::Reject),
        Err(_unknown) => Err(FieldError::new("over_limit", "must be a known mode")),
    }
}

impl From<&JobFacts> for v1::JobSpec {
    fn from(facts: &JobFacts) -> Self {
        let on_disconnect = match facts.on_disconnect {
            OnDisconnect::Stop => job_spec::OnDisconnect::Stop,
            OnDisconnect::RunToCompletion => job_spec::OnDisconnect::RunToCompletion,
        };
        let over_limit = match facts.over_limit {
            OverLimit::Queue => job_spec::OverLimit::Queue,
            OverLimit::Reject => job_spec::OverLimit::Reject,
        };
        let (array, service) = match facts.kind {
            Kind::Batch => (None, None),
            Kind::Array { tasks, at_most } => (Some(v1::ArraySpec { tasks, at_most }), None),
            Kind::Service { replicas, surge } => (None, Some(v1::ReplicaSpec { replicas, surge })),
        };
        Self {
            array,
            service,
            group: facts.group,
            device_class: facts.resources.class.to_string(),
            gpus: facts.resources.gpus,
            memory_mib: facts.resources.memory_mib,
            priority: u32::from(facts.priority),
            policy: policy_name(facts.policy.as_ref()),
            reservation: facts.reservation.as_ref().map(ToString::to_string).unwrap_or_default(),
            residency: Some((&*facts.residency).into()),
            on_disconnect: on_disconnect.into(),
            over_limit: over_limit.into(),
            time_limit_s: facts.time_limit_s,
            payload_sha256: facts.payload.to_string(),
            payload_len: facts.payload_len,
            sealed_to: facts.sealed_to.iter().map(recipient).collect(),
            area_only: facts.area_only,
            units: facts.resources.units,
            sharing: resources::sharing(&facts.resources).into(),
            after: start::messages(facts),
            not_before_ms: facts.not_before.map(|at| at.0),
            start_by_ms: facts.start_by.map(|at| at.0),
            topology: topology::message(&facts.topology),
        }
    }
}

fn recipient((site, epoch): (&SiteId, &KeyEpoch)) -> v1::SealedTo {
    v1::SealedTo { site: site.name(), epoch: epoch.0 }
}

/// Each site once, in any order.
fn sealed_to(entries: &[v1::SealedTo]) -> FieldResult<BTreeMap<SiteId, KeyEpoch>> {
    if entries.len() > RECIPIENTS_MAX {
        let must = format!("must have at most {RECIPIENTS_MAX} entries");
        return Err(FieldError::new("sealed_to", must));
    }
    let mut sites = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let field = format!("sealed_to[{index}].site");
        let site = SiteId::from_field(&field, &entry.site)?;
        if sites.insert(site, KeyEpoch(entry.epoch)).is_some() {
            return Err(FieldError::new(field, "must not stand there twice"));
        }
    }
    Ok(sites)
}

impl TryFrom<v1::CreateJobRequest> for NewJob {
    type Error = FieldError;
    fn try_from(message: v1::CreateJobRequest) -> FieldResult<Self> {
        fits(&message.payload)?;
        let id = job_id(&message.parent, &message.job_id)?;
        Self::of(id, message.spec.as_ref(), message.payload)
    }
}

impl TryFrom<v1::ReplaceJobRequest> for NewJob {
    type Error = FieldError;
    fn try_from(message: v1::ReplaceJobRequest) -> FieldResult<Self> {
        fits(&message.payload)?;
        let id = JobId::from_field("name", &message.name)?;
        Self::of(id, message.spec.as_ref(), message.payload)
    }
}

impl TryFrom<v1::ResealJobRequest> for NewJob {
    type Error = FieldError;
    fn try_from(message: v1::ResealJobRequest) -> FieldResult<Self> {
        fits(&message.payload)?;
        let id = JobId::from_field("name", &message.name)?;
        Self::of(id, message.spec.as_ref(), message.payload)
    }
}

/// A payload that comes ahead of its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload(pub NewJob);

impl TryFrom<v1::UploadPayloadRequest> for Upload {
    type Error = FieldError;
    fn try_from(message: v1::UploadPayloadRequest) -> FieldResult<Self> {
        fits(&message.payload)?;
        let id = JobId::from_field("name", &message.name)?;
        let facts = facts(id, required("spec", message.spec.as_ref())?)?;
        if !facts.area_only {
            let must = "must be set: every other payload comes with its job";
            return Err(FieldError::new("spec.area_only", must));
        }
        NewJob::matching(facts, message.payload).map(Self)
    }
}

fn fits(payload: &Bytes) -> FieldResult<()> {
    if payload.len() <= PAYLOAD_MAX {
        return Ok(());
    }
    let must = format!("must be at most {PAYLOAD_MAX} bytes");
    Err(FieldError::new("payload", must).with_code(ErrorCode::TooLarge))
}

/// The jobs of a batch, all of one tenant.
///
/// # Errors
/// [`FieldError`] with a path that begins with `requests[INDEX]`.
pub fn batch(message: v1::BatchCreateJobsRequest) -> FieldResult<(TenantId, Vec<NewJob>)> {
    let tenant = TenantId::from_field("parent", &message.parent)?;
    items("requests", message.requests.len())?;
    let of = |mut one: v1::CreateJobRequest| {
        if one.intent.is_some() {
            return Err(FieldError::new("intent", "must be absent: the batch has one"));
        }
        if one.if_plan.is_some() {
            return Err(FieldError::new("if_plan", "must be absent: a plan is of one job"));
        }
        if one.parent.is_empty() {
            one.parent.clone_from(&message.parent);
        } else if one.parent != message.parent {
            return Err(FieldError::new("parent", "must be empty or that of the batch"));
        }
        NewJob::try_from(one)
    };
    let read = message.requests.into_iter().enumerate().map(|(index, one)| {
        of(one).map_err(|error: FieldError| error.within(&format!("requests[{index}]")))
    });
    Ok((tenant, read.collect::<FieldResult<_>>()?))
}

/// The request that stands for these jobs of one tenant.
#[must_use]
pub fn batch_request(
    tenant: &TenantId,
    jobs: &[NewJob],
    intent: v1::Intent,
) -> v1::BatchCreateJobsRequest {
    let one = |job: &NewJob| {
        let request = job.request(v1::Intent::default());
        v1::CreateJobRequest { parent: String::new(), intent: None, ..request }
    };
    let requests = jobs.iter().map(one).collect();
    v1::BatchCreateJobsRequest { parent: tenant.name(), requests, intent: Some(intent) }
}

impl NewJob {
    fn of(id: JobId, spec: Option<&v1::JobSpec>, payload: Bytes) -> FieldResult<Self> {
        let facts = facts(id, required("spec", spec)?)?;
        if facts.area_only {
            let must =
                "must be empty: it stays in the job's area, and is uploaded to the members there";
            let empty = payload.is_empty().then_some(Self { facts, payload });
            return empty.ok_or_else(|| FieldError::new("payload", must));
        }
        Self::matching(facts, payload)
    }

    fn matching(facts: JobFacts, payload: Bytes) -> FieldResult<Self> {
        let len = usize::try_from(facts.payload_len).unwrap_or(usize::MAX);
        if len != payload.len() || facts.payload != Digest::of(&payload) {
            let must = "must have the length and SHA-256 that the spec names";
            return Err(FieldError::new("payload", must));
        }
        Ok(Self { facts, payload })
    }

    /// What goes with its submission.
    fn sent(&self) -> Bytes {
        if self.facts.area_only { Bytes::new() } else { self.payload.clone() }
    }

    /// The request that uploads it to a member.
    #[must_use]
    pub fn upload_request(&self) -> v1::UploadPayloadRequest {
        v1::UploadPayloadRequest {
            name: self.facts.id.name(),
            spec: Some((&self.facts).into()),
            payload: self.payload.clone(),
        }
    }

    /// The request that has it sealed anew.
    #[must_use]
    pub fn reseal_request(&self, intent: v1::Intent) -> v1::ResealJobRequest {
        v1::ResealJobRequest {
            name: self.facts.id.name(),
            spec: Some((&self.facts).into()),
            payload: self.sent(),
            intent: Some(intent),
        }
    }

    /// The request that has a service run it from now on.
    #[must_use]
    pub fn replace_request(&self, intent: v1::Intent) -> v1::ReplaceJobRequest {
        v1::ReplaceJobRequest {
            name: self.facts.id.name(),
            spec: Some((&self.facts).into()),
            payload: self.sent(),
            intent: Some(intent),
        }
    }

    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::CreateJobRequest {
        v1::CreateJobRequest {
            parent: self.facts.id.tenant.name(),
            job_id: self.facts.id.name.to_string(),
            spec: Some((&self.facts).into()),
            payload: self.sent(),
            intent: Some(intent),
            if_plan: None,
        }
    }
}

#[cfg(test)]
mod tests;
