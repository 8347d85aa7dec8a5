//! Output of a job. It is answered only by a member inside the job's area; any other names one, which is followed
//! if the context knows it. An address that the context does not know is shown, never dialled: a member could
//! otherwise lead people anywhere.

use crate::app::{App, Session};
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_proto::v1::read_job_logs_request::Stream;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::JobId;
use std::time::Duration;

/// Pause when everything was read and more may come.
const POLL_EVERY: Duration = Duration::from_millis(500);

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) rank: u32,
    pub(super) stderr: bool,
    pub(super) follow: bool,
}

pub(super) async fn run(app: &mut App<'_>, job: &JobId, wanted: Wanted) -> Result<Exit, Failure> {
    let session = app.session()?;
    let (mut offset, mut moved) = (0u64, false);
    loop {
        let answer = match read(&session, job, wanted, offset).await {
            Ok(answer) => answer,
            Err(failure) if failure.code == ErrorCode::LogsElsewhere && !moved => {
                moved = true;
                follow(&session, failure)?;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        offset = answer.next_offset;
        app.output.bytes(&answer.data)?;
        if answer.end || (answer.data.is_empty() && !wanted.follow) {
            return Ok(Exit::Ok);
        }
        if answer.data.is_empty() {
            tokio::time::sleep(POLL_EVERY).await;
        }
    }
}

async fn read(
    session: &Session,
    job: &JobId,
    wanted: Wanted,
    offset: u64,
) -> Result<v1::ReadJobLogsResponse, Failure> {
    let stream = if wanted.stderr { Stream::Stderr } else { Stream::Stdout };
    let request = v1::ReadJobLogsRequest {
        name: job.name(),
        rank: wanted.rank,
        stream: stream.into(),
        offset,
        max_bytes: 0,
    };
    ask!(session.client, job_service_client::JobServiceClient, read_job_logs, request)
}

/// Goes on with the member that the refusal named.
fn follow(session: &Session, failure: Failure) -> Result<(), Failure> {
    let named = failure.endpoint.clone();
    let known = named.filter(|named| session.context.endpoints.iter().any(|e| e.address == *named));
    let Some(address) = known.and_then(|address| address.parse().ok()) else {
        let fix = failure
            .endpoint
            .as_ref()
            .map(|named| format!("use a context with the endpoint {named}"));
        return Err(match fix {
            Some(fix) => failure.remedy(fix),
            None => failure,
        });
    };
    session.client.go_to(&address)
}
