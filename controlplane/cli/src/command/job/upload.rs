//! Sending what a job runs ahead of the job, to members inside its area.
//!
//! Must hold: it goes to members that may keep it by signed word alone, each dialled as the very principal that it is, and to
//! nobody else; the job itself is submitted without it, wherever. At least one has it, durably, before that; a dry run sends
//! nothing. The same run with the same request id sends the same bytes.

use super::seal::Sealed;
use crate::app::{App, Session};
use crate::ask;
use crate::failure::Failure;
use sekisho_evidence::genesis::GenesisMember;
use sekisho_proto::convert::job::NewJob;
use sekisho_proto::v1;
use sekisho_types::error_code::ErrorCode;
use std::time::Duration;

/// Longest time for one payload to one member: who does not answer is left for the others.
const UPLOAD_WITHIN: Duration = Duration::from_secs(5);

/// Sends all that stays in its area. Returns the jobs.
pub(super) async fn upload(
    app: &mut App<'_>,
    session: &Session,
    sealed: Vec<Sealed>,
) -> Result<Vec<NewJob>, Failure> {
    let mut jobs = Vec::with_capacity(sealed.len());
    for Sealed { job, keepers } in sealed {
        if job.facts.area_only && !app.global.dry_run {
            Box::pin(upload_one(app, session, &job, &keepers)).await?;
        }
        jobs.push(job);
    }
    Ok(jobs)
}

async fn upload_one(
    app: &mut App<'_>,
    session: &Session,
    job: &NewJob,
    keepers: &[GenesisMember],
) -> Result<(), Failure> {
    let (mut kept, mut refused) = (Vec::new(), None);
    for member in keepers {
        match Box::pin(send(session, member, job)).await {
            Ok(()) => kept.push(member.site.to_string()),
            Err(failure) => {
                let (site, detail) = (&member.site, &failure.detail);
                let note = app.output.pick(
                    format!("payload not uploaded to {site}: {}: {detail}", failure.code),
                    format!("ペイロードを {site} に送れませんでした: {}: {detail}", failure.code),
                );
                app.output.note(&note)?;
                refused = Some(failure);
            }
        }
    }
    let id = &job.facts.id;
    if kept.is_empty() {
        let why = format!("{id}: no member inside its area took what it runs");
        let cause = refused.map(|failure| format!("; the last said {}", failure.code));
        let why = format!("{why}{}", cause.unwrap_or_default());
        return Err(Failure::new(ErrorCode::PayloadNotHere, why)
            .remedy("Run it again when a controller there answers: sekisho member list"));
    }
    let (number, sites) = (kept.len(), kept.join(", "));
    let note = app.output.pick(
        format!(
            "{id}: payload kept by {number} of {} members inside its area: {sites}",
            keepers.len()
        ),
        format!(
            "{id}: ペイロードは地域内のメンバー {} のうち {number} が保持しています: {sites}",
            keepers.len()
        ),
    );
    app.output.note(&note)?;
    if number == 1 {
        let warning = app.output.pick(
            format!("{id}: if that one member is lost, so is what the job runs"),
            format!("{id}: そのメンバーが失われると、ジョブの実行内容も失われます"),
        );
        app.output.note(&warning)?;
    }
    Ok(())
}

async fn send(session: &Session, member: &GenesisMember, job: &NewJob) -> Result<(), Failure> {
    let client = session.client.of_member(member, UPLOAD_WITHIN)?;
    let request = job.upload_request();
    let taken: Result<v1::UploadPayloadResponse, Failure> =
        ask!(client, job_service_client::JobServiceClient, upload_payload, request);
    taken.map(|_taken| ())
}
