//! Jobs: upload what stays in its area, submit, cancel, read, plan, explain, output.

pub(super) mod fields;

use super::count;
use crate::admission::Admitted;
use crate::call::{Call, not_found};
use crate::core::Core;
use crate::limit::READ_DEADLINE;
use crate::list::{List, wish};
use fields::{Row, fields};
use sekisho_evidence::payload;
use sekisho_evidence::sealed::SealedPayload;
use sekisho_fsm::State;
use sekisho_fsm::command::{Command, Item};
use sekisho_fsm::role::{Target, Verb};
use sekisho_fsm::state::Job;
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::job::{self as convert, NewJob, Upload};
use sekisho_proto::convert::plan::PlanGuard;
use sekisho_proto::field::{FieldError, names};
use sekisho_proto::name::Resource as _;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::{self, job_service_server::JobService};
use sekisho_scheduler::{Explanation, Verdict};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, JobId, TenantId};
use sekisho_types::job::{JobFacts, Kind};
use sekisho_types::jurisdiction::Area;
use sekisho_types::revision::PlacementId;
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct JobApi(pub(crate) Arc<Core>);

fn placement(state: &State, id: &PlacementId) -> Option<v1::Placement> {
    let placement = state.placement(id)?;
    let node = state.node(&placement.grant.node);
    let area = node.and_then(|node| node.tag.area.domestic());
    Some(v1::Placement {
        id: id.to_string(),
        rank: placement.grant.rank,
        node: placement.grant.node.name(),
        operator: node.map(|node| node.operator.to_string()).unwrap_or_default(),
        area_label: area.map(Area::label).unwrap_or_default(),
        gpus: placement.grant.gpus,
        device_class: placement.grant.class.to_string(),
        phase: placement.phase.to_string(),
        changed_ms: placement.changed.0,
        audit_index: placement.record,
    })
}

pub(crate) fn message(state: &State, id: &JobId, job: &Job) -> v1::Job {
    v1::Job {
        name: id.name(),
        spec: Some((&job.facts).into()),
        phase: v1::job::Phase::from(job.phase).into(),
        message: job.message.clone(),
        submitter: job.submitter.to_string(),
        submitted_ms: job.submitted_at.0,
        submitted_revision: job.submitted.0,
        attempts: job.attempts,
        placements: job.placements.iter().filter_map(|id| placement(state, id)).collect(),
        etag: job.revision.to_string(),
        tasks: job.tasks.as_ref().map(|tasks| v1::TaskCounts {
            granted: tasks.next,
            open: tasks.open,
            running: tasks.running,
            succeeded: tasks.succeeded,
            failed: tasks.failed,
            wanted: match job.facts.kind {
                Kind::Array { tasks: all, .. } if job.is_queued() => all.saturating_sub(tasks.next),
                Kind::Batch | Kind::Array { .. } | Kind::Service { .. } => {
                    state.replicas(job).wanted
                }
            },
        }),
        started_ms: job.started_at.map_or(0, |at| at.0),
        ended_ms: job.ended_at.map_or(0, |at| at.0),
        waits: Vec::new(),
        kept_by: Vec::new(),
    }
}

fn explanation(explanation: &Explanation) -> v1::Explanation {
    let verdict = match explanation.verdict {
        Verdict::PlacedNow => v1::explanation::Verdict::PlacedNow,
        Verdict::WouldWait => v1::explanation::Verdict::WouldWait,
        Verdict::Never => v1::explanation::Verdict::Never,
    };
    let step = |step: &sekisho_scheduler::Step| v1::explanation::Step {
        reason: step.token.to_owned(),
        condition: step.condition.clone(),
        nodes_left: step.nodes_left,
    };
    let relaxation = |change: &sekisho_scheduler::Relaxation| v1::explanation::Relaxation {
        change: change.change.clone(),
        effect: change.effect.to_string(),
    };
    v1::Explanation {
        revision: explanation.basis.0,
        verdict: verdict.into(),
        steps: explanation.steps.iter().map(step).collect(),
        binding: explanation.binding.map(|code| code.to_string()).unwrap_or_default(),
        relaxations: explanation.relaxations.iter().map(relaxation).collect(),
        queue_position: explanation.before(),
        summary: explanation.summary(),
        more_before: explanation.more_before,
        estimate_ms: explanation.estimate.map(|(at, _)| at.0),
        estimate_basis: explanation
            .estimate
            .map(|(_, basis)| basis.as_str().to_owned())
            .unwrap_or_default(),
        waits: Vec::new(),
        has_places: explanation.has_places,
        called_before: explanation.called_before,
    }
}

/// What a job runs must be readable by the agent, and may hold no secret if every member can read it. Of what is sealed, only
/// to whom can be told, and of what stays in its area not even that: who took it has looked.
fn check_payload(job: &NewJob) -> Result<(), FieldError> {
    if job.facts.area_only {
        let must = "must not be empty: what stays in the job's area is sealed";
        let sealed = job.facts.is_sealed().then_some(());
        return sealed.ok_or_else(|| FieldError::new("spec.sealed_to", must));
    }
    check_content(job)
}

/// As [`check_payload`], of what is at hand.
fn check_content(job: &NewJob) -> Result<(), FieldError> {
    let bytes = &job.payload;
    if job.facts.is_sealed() || job.facts.area_only {
        let sealed = SealedPayload::parse(bytes).map_err(|error| {
            FieldError::new("payload", error.to_string()).with_code(error.code())
        })?;
        let told = job.facts.sealed_to.iter().map(|(site, epoch)| (site, *epoch));
        if sealed.sites().eq(told) {
            return Ok(());
        }
        return Err(FieldError::new("spec.sealed_to", "must be the sites that the payload names"));
    }
    let payload = payload::read(bytes).map_err(|error| FieldError::new(error.field, error.must))?;
    match payload.suspicious_secret() {
        None => Ok(()),
        Some(name) => {
            let must = "must not hold a secret unless it is sealed: every voter can read it";
            let field = format!("run.env.{name}");
            Err(FieldError::new(field, must).with_code(ErrorCode::SecretRefused))
        }
    }
}

impl JobApi {
    /// Submits jobs. What stays in its area is kept there before it is submitted; a dry run submits nothing. A repeat hears what
    /// the first run heard (R3), although its job may be over by now, nobody keep the payload any more, and it fare worse than it
    /// was planned.
    async fn submit(
        &self,
        call: &Call,
        state: &State,
        admitted: Admitted,
        jobs: &[&JobFacts],
        guard: Option<PlanGuard>,
    ) -> Result<v1::Written, Status> {
        if let Some(told) = self.0.answered(state, call, &admitted)? {
            return Ok(told);
        }
        if let (Some(guard), Some(facts)) = (guard, jobs.first()) {
            self.0.check_plan(call, &guard, facts).await?;
        }
        if !admitted.intent.validate_only {
            self.0.check_kept(state, jobs).await?;
        }
        Ok(self.0.write(call, admitted).await?)
    }

    /// Has a job that there is run something else, or the same in another way.
    async fn renew(
        &self,
        call: &Call,
        intent: Intent,
        new: NewJob,
        command: impl Fn(Box<JobFacts>) -> Command,
    ) -> Result<v1::Written, Status> {
        check_payload(&new)?;
        let NewJob { facts, payload } = new;
        let (name, target) = (facts.id.name(), Target::Tenant(&facts.id.tenant));
        let state = self.0.replica.state();
        call.may_on(&state, Verb::SubmitJob, Verb::ReadTenant, target, &name)?;
        let command = command(Box::new(facts.clone()));
        let admitted = Admitted { intent, command, payload: payload.to_vec() };
        self.submit(call, &state, admitted, &[&facts], None).await
    }

    /// A job with what keeps its places taken.
    fn job(&self, state: &State, id: &JobId, job: &Job) -> v1::Job {
        v1::Job { waits: self.0.waits_of(state, job), ..message(state, id, job) }
    }

    /// A job that the caller may act on.
    async fn existing(
        &self,
        call: &Call,
        name: &str,
        verb: Verb,
        read: Option<&v1::Read>,
    ) -> Result<(State, JobId), Status> {
        let id = JobId::from_field("name", name)?;
        let state = self.0.read(call, read).await?;
        call.may_on(&state, verb, Verb::ReadTenant, Target::Tenant(&id.tenant), name)?;
        Ok((state, id))
    }

    /// The place whose output is asked for, if the caller may read it.
    async fn placed(
        &self,
        call: &Call,
        ask: &v1::ReadJobLogsRequest,
        read: Option<&v1::Read>,
    ) -> Result<(State, PlacementId), Status> {
        let (state, id) = self.existing(call, &ask.name, Verb::ReadLogs, read).await?;
        let placements = &state.job(&id).ok_or_else(|| not_found(&ask.name))?.placements;
        let rank = usize::try_from(ask.rank).unwrap_or(usize::MAX);
        let none = || FieldError::new("rank", format!("must be below {}", count(placements.len())));
        let placement = *placements.get(rank).ok_or_else(none)?;
        Ok((state, placement))
    }
}

#[tonic::async_trait]
impl JobService for JobApi {
    async fn list_jobs(
        &self,
        request: Request<v1::ListJobsRequest>,
    ) -> Result<Response<v1::ListJobsResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        // Tasks are listed as what their job has: a hundred thousand of them would hide everything else.
        let whole = JobId::from_name(&ask.parent).filter(|id| id.task.is_none());
        let tenant = match &whole {
            Some(whole) => Some(whole.tenant.clone()),
            None => TenantId::from_parent("parent", &ask.parent)?,
        };
        let list = List::of(&format!("jobs/{}", ask.parent), &wish!(ask), &fields())?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        let read = Verb::ReadTenant;
        if let Some(tenant) = &tenant {
            call.may_on(&state, read, read, Target::Tenant(tenant), &ask.parent)?;
        }
        // Of tenants that were taken out, too: whoever may read every tenant reads what they ran.
        let mut may: BTreeMap<&TenantId, bool> = BTreeMap::new();
        let rows: Box<dyn Iterator<Item = (&JobId, &Job)> + Send> = match &whole {
            Some(whole) => Box::new(state.tasks(whole)),
            None => Box::new(state.jobs().filter(|(id, _)| id.task.is_none())),
        };
        let rows = rows.filter(|(id, _)| {
            let wanted = tenant.as_ref().is_none_or(|tenant| *tenant == id.tenant);
            let can = || call.can(&state, read, Target::Tenant(&id.tenant));
            wanted && *may.entry(&id.tenant).or_insert_with(can)
        });
        let rows = rows.map(|(id, job)| (id, Row { state: &state, id, job }));
        let (rows, next_page_token) = list.take(state.revision(), rows);
        Ok(Response::new(v1::ListJobsResponse {
            jobs: rows.into_iter().map(|row| self.job(&state, row.id, row.job)).collect(),
            next_page_token,
            revision: state.revision().0,
            unreachable: self.0.unreachable_sites(&state),
        }))
    }

    async fn get_job(
        &self,
        request: Request<v1::GetJobRequest>,
    ) -> Result<Response<v1::Job>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let (state, id) =
            self.existing(&call, &ask.name, Verb::ReadTenant, ask.read.as_ref()).await?;
        let job = state.job(&id).ok_or_else(|| not_found(&ask.name))?;
        let kept_by = self.0.kept_by(&state, job).await;
        Ok(Response::new(v1::Job { kept_by, ..self.job(&state, &id, job) }))
    }

    async fn upload_payload(
        &self,
        request: Request<v1::UploadPayloadRequest>,
    ) -> Result<Response<v1::UploadPayloadResponse>, Status> {
        let call = Call::of(&request)?;
        let Upload(new) = Upload::try_from(request.into_inner())?;
        check_content(&new)?;
        let state = self.0.replica.state();
        let (target, name) = (Target::Tenant(&new.facts.id.tenant), new.facts.id.name());
        call.may_on(&state, Verb::SubmitJob, Verb::ReadTenant, target, &name)?;
        self.0.take_payload(&state, new).await?;
        Ok(Response::new(v1::UploadPayloadResponse {}))
    }

    async fn create_job(
        &self,
        request: Request<v1::CreateJobRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let guard = PlanGuard::of(ask.if_plan.as_ref())?;
        let new = NewJob::try_from(ask)?;
        check_payload(&new)?;
        let NewJob { facts, payload } = new;
        let tenant = &facts.id.tenant;
        let (target, name) = (Target::Tenant(tenant), tenant.name());
        let state = self.0.replica.state();
        call.may_on(&state, Verb::SubmitJob, Verb::ReadTenant, target, &name)?;
        let command = Command::SubmitJob { facts: Box::new(facts.clone()) };
        let admitted = Admitted { intent, command, payload: payload.to_vec() };
        Ok(Response::new(self.submit(&call, &state, admitted, &[&facts], guard).await?))
    }

    async fn batch_create_jobs(
        &self,
        request: Request<v1::BatchCreateJobsRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let (tenant, jobs) = convert::batch(ask)?;
        for (index, job) in jobs.iter().enumerate() {
            check_payload(job).map_err(|error| error.within(&format!("requests[{index}]")))?;
        }
        let (target, name) = (Target::Tenant(&tenant), tenant.name());
        let state = self.0.replica.state();
        call.may_on(&state, Verb::SubmitJob, Verb::ReadTenant, target, &name)?;
        let facts: Vec<&JobFacts> = jobs.iter().map(|job| &job.facts).collect();
        let (mut items, mut payload) = (Vec::with_capacity(jobs.len()), Vec::new());
        for job in &jobs {
            payload.extend_from_slice(&job.payload);
            items.push(Item::SubmitJob { facts: Box::new(job.facts.clone()) });
        }
        let admitted = Admitted { intent, command: Command::Batch(items), payload };
        Ok(Response::new(self.submit(&call, &state, admitted, &facts, None).await?))
    }

    async fn batch_cancel_jobs(
        &self,
        request: Request<v1::BatchCancelJobsRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let tenant = TenantId::from_field("parent", &ask.parent)?;
        let jobs = names(&ask.names, |job: &JobId| job.tenant == tenant)?;
        let (target, name) = (Target::Tenant(&tenant), tenant.name());
        let state = self.0.replica.state();
        call.may_on(&state, Verb::CancelJob, Verb::ReadTenant, target, &name)?;
        let items = jobs.into_iter().map(|job| Item::CancelJob { job }).collect();
        let admitted = Admitted::new(intent, Command::Batch(items));
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }

    async fn cancel_job(
        &self,
        request: Request<v1::CancelJobRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        // Whether the job exists is apply's to say; here only who asks matters.
        let local = v1::Read { local: true };
        let (_, job) = self.existing(&call, &ask.name, Verb::CancelJob, Some(&local)).await?;
        let admitted = Admitted::new(intent, Command::CancelJob { job });
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }

    async fn reseal_job(
        &self,
        request: Request<v1::ResealJobRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let new = NewJob::try_from(ask)?;
        let command = |facts| Command::ResealJob { facts };
        Ok(Response::new(self.renew(&call, intent, new, command).await?))
    }

    async fn replace_job(
        &self,
        request: Request<v1::ReplaceJobRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let new = NewJob::try_from(ask)?;
        let command = |facts| Command::ReplaceJob { facts };
        Ok(Response::new(self.renew(&call, intent, new, command).await?))
    }

    async fn plan_job(
        &self,
        request: Request<v1::PlanJobRequest>,
    ) -> Result<Response<v1::Explanation>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let id = convert::job_id(&ask.parent, &ask.job_id)?;
        let mut spec = ask.spec.ok_or_else(|| FieldError::new("spec", "must be given"))?;
        if spec.payload_sha256.is_empty() {
            // What it runs does not matter to where it could.
            spec.payload_sha256 = Digest([0; 32]).to_string();
        }
        let facts = convert::facts(id, &spec)?;
        let state = self.0.read(&call, None).await?;
        let target = Target::Tenant(&facts.id.tenant);
        call.may_on(&state, Verb::SubmitJob, Verb::ReadTenant, target, &ask.parent)?;
        if state.job(&facts.id).is_some() {
            // As its submission would hear, whatever room there is.
            let why = format!("job {} exists", facts.id);
            return Err(ApiError::new(ErrorCode::AlreadyExists, why).into());
        }
        Ok(Response::new(explanation(&self.0.explained(state, facts).await?)))
    }

    async fn explain_job(
        &self,
        request: Request<v1::ExplainJobRequest>,
    ) -> Result<Response<v1::Explanation>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let (state, id) = self.existing(&call, &ask.name, Verb::ReadTenant, None).await?;
        let job = state.job(&id).ok_or_else(|| not_found(&ask.name))?;
        let found = self.0.explained(state.clone(), job.facts.clone()).await?;
        let waits = if job.placements.is_empty() {
            self.0.waits_before(&state, job, found.binding)
        } else {
            self.0.waits_of(&state, job)
        };
        Ok(Response::new(v1::Explanation { waits, ..explanation(&found) }))
    }

    async fn read_job_logs(
        &self,
        request: Request<v1::ReadJobLogsRequest>,
    ) -> Result<Response<v1::ReadJobLogsResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        // What is known here is enough and needs no quorum. What is not may have been acknowledged by another member, which
        // sent the caller here (R2): this one has to catch up before it denies anything.
        let local = v1::Read { local: true };
        let (state, placement) = match self.placed(&call, &ask, Some(&local)).await {
            Ok(found) => found,
            Err(_behind) => self.placed(&call, &ask, None).await?,
        };
        let id = JobId::from_field("name", &ask.name)?;
        let job = state.job(&id).ok_or_else(|| not_found(&ask.name))?;
        let chunk =
            self.0.read_output(&state, job, placement, &ask, call.deadline(READ_DEADLINE)).await?;
        Ok(Response::new(chunk))
    }
}
