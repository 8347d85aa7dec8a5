//! Scheduler snapshots: what the planner reads of a moment, as a file on which anybody can plan again.
//!
//! Must hold (D3): it leaves to people of operators with a site in Japan that stands, who may read the audit log, and to nobody
//! else. The state of one moment is cut on a thread of its own; nobody who reads slowly holds up others.
//! Does not know: what is in one (`fsm/src/planning.rs`).

use crate::call::Call;
use crate::core::Core;
use crate::layer::kept_inside;
use crate::limit::{CHUNK_DEADLINE, EXPORT_QUEUE, SCHEDULER_CHUNK, SCHEDULER_SNAPSHOTS_MAX};
use bytes::Bytes;
use sekisho_fsm::State;
use sekisho_fsm::planning::SchedulerSnapshot;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::{self, scheduler_service_server::SchedulerService};
use sekisho_transport::deadline::{Deadline, within};
use sekisho_transport::task::TaskKind;
use sekisho_types::error_code::ErrorCode;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct SchedulerApi {
    core: Arc<Core>,
    pub(super) snapshots: Arc<Semaphore>,
}

impl SchedulerApi {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, snapshots: Arc::new(Semaphore::new(SCHEDULER_SNAPSHOTS_MAX)) }
    }
}

type Chunk = Result<v1::GetSnapshotResponse, Status>;

/// The file of a state; it looks at every row.
fn file(state: &State) -> Result<Vec<u8>, ApiError> {
    let none = || ApiError::new(ErrorCode::NoLeader, "the federation has not begun");
    let snapshot = SchedulerSnapshot::of(state).ok_or_else(none)?;
    snapshot.bytes().map_err(|error| ApiError::new(error.code(), error.to_string()))
}

/// Sends the file of a state. It ends early when the reader is gone, or takes nothing for [`CHUNK_DEADLINE`] (L3).
async fn send(state: State, out: &mpsc::Sender<Chunk>) -> Result<(), ApiError> {
    let made = tokio::task::spawn_blocking(move || file(&state)).await;
    let made = made.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))??;
    let mut rest = Bytes::from(made);
    while !rest.is_empty() {
        let chunk = rest.split_to(rest.len().min(SCHEDULER_CHUNK));
        let send = out.send(Ok(v1::GetSnapshotResponse { chunk }));
        if !matches!(within(Deadline::after(CHUNK_DEADLINE), send).await, Ok(Ok(()))) {
            return Ok(());
        }
    }
    Ok(())
}

#[tonic::async_trait]
impl SchedulerService for SchedulerApi {
    type GetSnapshotStream = ReceiverStream<Chunk>;

    async fn get_snapshot(
        &self,
        request: Request<v1::GetSnapshotRequest>,
    ) -> Result<Response<Self::GetSnapshotStream>, Status> {
        let call = Call::of(&request)?;
        let state = self.core.audit_for(&call)?;
        let busy = || {
            let why = format!(
                "a member writes at most {SCHEDULER_SNAPSHOTS_MAX} scheduler snapshots at a time; ask another one"
            );
            ApiError::new(ErrorCode::Overloaded, why)
        };
        let permit = Arc::clone(&self.snapshots).try_acquire_owned().map_err(|_taken| busy())?;
        tracing::info!(principal = %call.principal(), "a scheduler snapshot is taken");
        let (out, queue) = mpsc::channel(EXPORT_QUEUE);
        self.core.tasks.spawn(TaskKind::Ordinary, "scheduler-snapshot", async move {
            if let Err(error) = send(state, &out).await {
                tracing::warn!(error = %error.message, "no scheduler snapshot was written");
                // The reader may be gone already, or take nothing.
                let told = out.send(Err(kept_inside(error, None).into()));
                let _told = within(Deadline::after(CHUNK_DEADLINE), told).await;
            }
            drop(permit);
        });
        Ok(Response::new(ReceiverStream::new(queue)))
    }
}
