//! Submitting and cancelling: one job, or several of one tenant under one signature.
//!
//! Must hold: of several, all or none; what one job does alone goes by the call for one, whose answers name it.

use super::seal::seal_all;
use super::upload::upload;
use super::{Planned, Wait, wait_for};
use crate::app::App;
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::Text;
use crate::spec::{JobSpec, Sealing};
use sekisho_fsm::command::{Command, Item};
use sekisho_proto::convert::job::{NewJob, batch_request};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_types::id::{JobId, TenantId};
use std::time::Duration;
use tokio::time::Instant;

/// The tenant of all of these.
fn tenant_of(jobs: &[JobId]) -> Result<TenantId, Failure> {
    let none = || Failure::invalid("there is no job");
    let tenant = jobs.first().map(|job| &job.tenant).ok_or_else(none)?;
    match jobs.iter().find(|job| job.tenant != *tenant) {
        None => Ok(tenant.clone()),
        Some(other) => {
            let why = format!("{other} is of another tenant than {tenant}");
            Err(Failure::invalid(why).remedy("give the jobs of each tenant in a call of their own"))
        }
    }
}

pub(super) async fn submit(
    app: &mut App<'_>,
    (specs, plain, if_plan): (Vec<JobSpec>, bool, Option<Planned>),
    wait: Option<Wait>,
    longest: Duration,
) -> Result<Exit, Failure> {
    let jobs: Vec<JobId> = specs.iter().map(|spec| spec.facts.id.clone()).collect();
    let tenant = tenant_of(&jobs)?;
    let session = app.signing_session().await?;
    let new = Box::pin(seal_all(app, &session, specs, plain)).await?;
    let new = Box::pin(upload(app, &session, new)).await?;
    let queued = Text::new("queued", "を受け付けました");
    if let [new] = new.as_slice() {
        let command = Command::SubmitJob { facts: Box::new(new.facts.clone()) };
        let prepared = app.prepare(&session, &command)?;
        let if_plan = if_plan.map(|planned| planned.0.into());
        let request = v1::CreateJobRequest { if_plan, ..new.request(prepared.intent) };
        let written =
            ask!(session.client, job_service_client::JobServiceClient, create_job, request)
                .map_err(|failure| failure.of_request(prepared.request))?;
        let job = &new.facts.id;
        let next = wait.is_none().then(|| format!("sekisho job status {job}"));
        app.changed(&job.name(), prepared.request, written.revision, queued, next)?;
    } else {
        let item = |new: &NewJob| Item::SubmitJob { facts: Box::new(new.facts.clone()) };
        let command = Command::Batch(new.iter().map(item).collect());
        let prepared = app.prepare(&session, &command)?;
        let request = batch_request(&tenant, &new, prepared.intent);
        let written =
            ask!(session.client, job_service_client::JobServiceClient, batch_create_jobs, request)
                .map_err(|failure| failure.of_request(prepared.request))?;
        let names: Vec<String> = jobs.iter().map(JobId::name).collect();
        let next = wait.is_none().then(|| format!("sekisho job list --tenant {tenant}"));
        app.changed_all(&names, prepared.request, written.revision, queued, next)?;
    }
    let Some(wait) = wait.filter(|_| !app.global.dry_run) else { return Ok(Exit::Ok) };
    // One wait for all of them; what goes wrong with one does not hide how the others end.
    let until = Instant::now().checked_add(longest);
    let mut outcome = Ok(Exit::Ok);
    for job in &jobs {
        let one = wait_for(app, &session, job, wait, until).await;
        if matches!(outcome, Ok(Exit::Ok)) {
            outcome = one;
        }
    }
    outcome
}

/// Seals the payload of a queued job anew, to the sites that may run it now.
pub(super) async fn reseal(app: &mut App<'_>, spec: JobSpec) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let sealing = match spec.sealing {
        Sealing::AreaOnly => Sealing::AreaOnly,
        Sealing::Auto | Sealing::Sealed | Sealing::Plain => Sealing::Sealed,
    };
    let new = seal_all(app, &session, vec![JobSpec { sealing, ..spec }], false);
    let new = Box::pin(new).await?;
    let mut new = Box::pin(upload(app, &session, new)).await?;
    let Some(new) = new.pop() else { return Err(Failure::invalid("there is no job")) };
    let prepared =
        app.prepare(&session, &Command::ResealJob { facts: Box::new(new.facts.clone()) })?;
    let request = new.reseal_request(prepared.intent);
    let written = ask!(session.client, job_service_client::JobServiceClient, reseal_job, request)
        .map_err(|failure| failure.of_request(prepared.request))?;
    let job = &new.facts.id;
    let sealed = Text::new("sealed anew", "を封緘し直しました");
    let next = Some(format!("sekisho job explain {job}"));
    app.changed(&job.name(), prepared.request, written.revision, sealed, next)
}

/// Has a service run something else from now on.
pub(super) async fn replace(app: &mut App<'_>, spec: JobSpec) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let new = Box::pin(seal_all(app, &session, vec![spec], false)).await?;
    let mut new = Box::pin(upload(app, &session, new)).await?;
    let Some(new) = new.pop() else { return Err(Failure::invalid("there is no job")) };
    let prepared =
        app.prepare(&session, &Command::ReplaceJob { facts: Box::new(new.facts.clone()) })?;
    let request = new.replace_request(prepared.intent);
    let written = ask!(session.client, job_service_client::JobServiceClient, replace_job, request)
        .map_err(|failure| failure.of_request(prepared.request))?;
    let job = &new.facts.id;
    let replaced = Text::new("replaced", "を置き換えました");
    let next = Some(format!("sekisho job list --tasks-of {job}"));
    app.changed(&job.name(), prepared.request, written.revision, replaced, next)
}

pub(super) async fn cancel(app: &mut App<'_>, jobs: &[JobId]) -> Result<(), Failure> {
    let tenant = tenant_of(jobs)?;
    let session = app.signing_session().await?;
    let cancelled = Text::new("cancelled", "を取り消しました");
    if let [job] = jobs {
        let prepared = app.prepare(&session, &Command::CancelJob { job: job.clone() })?;
        let request = v1::CancelJobRequest { name: job.name(), intent: Some(prepared.intent) };
        let written =
            ask!(session.client, job_service_client::JobServiceClient, cancel_job, request)
                .map_err(|failure| failure.of_request(prepared.request))?;
        let next = Some(format!("sekisho job status {job}"));
        return app.changed(&job.name(), prepared.request, written.revision, cancelled, next);
    }
    let items = jobs.iter().map(|job| Item::CancelJob { job: job.clone() }).collect();
    let prepared = app.prepare(&session, &Command::Batch(items))?;
    let names: Vec<String> = jobs.iter().map(JobId::name).collect();
    let request = v1::BatchCancelJobsRequest {
        parent: tenant.name(),
        names: names.clone(),
        intent: Some(prepared.intent),
    };
    let written =
        ask!(session.client, job_service_client::JobServiceClient, batch_cancel_jobs, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let next = Some(format!("sekisho job list --tenant {tenant}"));
    app.changed_all(&names, prepared.request, written.revision, cancelled, next)
}
