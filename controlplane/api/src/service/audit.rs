//! The audit log: records, the newest note, and bundles that verify with no cluster at hand (A1).
//!
//! Must hold (D3): what leaves here leaves to people of operators with a site in Japan that stands, and to nobody else.

use crate::call::Call;
use crate::core::Core;
use crate::journal::refuses;
use crate::layer::kept_inside;
use crate::limit::{
    CHUNK_DEADLINE, EXPORT_QUEUE, EXPORTS_MAX, PAGE_DEFAULT, PAGE_MAX, RECORDS_BYTES,
};
use crate::notes::Note;
use crate::replica::{Archive, ArchiveError};
use bytes::Bytes;
use sekisho_evidence::audit_bundle::{AuditBundleError, AuditBundleHead, BundleWriter, FORMAT};
use sekisho_evidence::canonical::{CanonicalError, decode, encode};
use sekisho_evidence::record::{Body, Record};
use sekisho_fsm::State;
use sekisho_fsm::audit::Contradicted;
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::Entry;
use sekisho_fsm::role::{Target, Verb};
use sekisho_proto::name::Resource as _;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::{self, audit_service_server::AuditService};
use sekisho_transport::deadline::{Deadline, within};
use sekisho_transport::task::TaskKind;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::NodeId;
use sekisho_types::jurisdiction::table_hash;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct AuditApi {
    core: Arc<Core>,
    exports: Arc<Semaphore>,
}

impl AuditApi {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, exports: Arc::new(Semaphore::new(EXPORTS_MAX)) }
    }
}

type Chunk = Result<v1::ExportBundleResponse, Status>;

pub(crate) fn stored(error: &ArchiveError) -> ApiError {
    let code = match error {
        ArchiveError::Incomplete { .. } => ErrorCode::AuditIncomplete,
        ArchiveError::Failed(_) => ErrorCode::StorageFailed,
    };
    ApiError::new(code, error.to_string())
}

fn damaged(why: &str) -> ApiError {
    ApiError::new(ErrorCode::StorageFailed, why)
}

fn written(error: &AuditBundleError) -> ApiError {
    ApiError::new(ErrorCode::Internal, error.to_string())
}

impl Core {
    /// The state, if the caller may read the audit log of it, and it may leave to where its operator stands (D3).
    pub(crate) fn audit_for(&self, call: &Call) -> Result<State, ApiError> {
        let state = self.replica.state();
        call.may(&state, Verb::ReadAudit, Target::Federation)?;
        let operator = &call.principal().operator;
        if !state.is_at_home(operator) {
            let why =
                format!("{operator} has no site in Japan that stands: no audit records leave");
            return Err(refuses(ApiError::new(ErrorCode::PermissionDenied, why), "federation"));
        }
        Ok(state)
    }
}

impl AuditApi {
    fn allowed<T>(&self, request: &Request<T>) -> Result<State, ApiError> {
        self.core.audit_for(&Call::of(request)?)
    }

    fn note(&self) -> Result<Arc<Note>, ApiError> {
        let none = || {
            let why = "no checkpoint is signed by enough operators yet";
            ApiError::new(ErrorCode::GrantSigners, why)
        };
        self.core.notes.newest().ok_or_else(none)
    }
}

/// The genesis, out of the first record.
fn head(archive: &dyn Archive, note: &Note) -> Result<AuditBundleHead, ApiError> {
    let first = archive.records(0..1, RECORDS_BYTES).map_err(|error| stored(&error))?;
    let record = first.first().and_then(|bytes| Record::parse(bytes).ok());
    let Some(Record { body: Body::Entry { entry, .. }, .. }) = record else {
        return Err(damaged("the first audit record is no entry"));
    };
    let entry: Entry =
        decode(&entry).map_err(|_form| damaged("the first entry is not readable"))?;
    let Command::Bootstrap(genesis) = entry.command else {
        return Err(damaged("the first audit record is not the genesis"));
    };
    Ok(AuditBundleHead {
        format: FORMAT,
        cluster: note.checkpoint.cluster,
        incarnation: note.checkpoint.incarnation,
        genesis: *genesis,
        table: table_hash(),
        note: note.bytes.clone(),
        count: note.checkpoint.head.size,
    })
}

/// A bundle that is being written.
#[derive(Debug)]
struct Export {
    core: Arc<Core>,
    writer: BundleWriter,
    next: u64,
    count: u64,
    ended: bool,
}

impl Export {
    /// Begins one, with its first bytes. Reads the disk.
    fn start(core: Arc<Core>, note: &Note) -> Result<(Self, Vec<u8>), ApiError> {
        let head = head(core.archive.as_ref(), note)?;
        let (writer, first) = BundleWriter::start(&head).map_err(|e| written(&e))?;
        Ok((Self { core, writer, next: 0, count: head.count, ended: false }, first))
    }

    /// The bytes that come next; `None` behind the last. A page of records, or one that is larger alone. Reads the disk.
    fn chunk(&mut self) -> Result<Option<Vec<u8>>, ApiError> {
        if self.ended {
            return Ok(None);
        }
        let mut chunk = Vec::new();
        if self.next < self.count {
            let page = self.core.archive.records(self.next..self.count, RECORDS_BYTES);
            let page = page.map_err(|e| stored(&e))?;
            if page.is_empty() {
                return Err(damaged("audit records under a signed checkpoint are missing"));
            }
            for record in &page {
                chunk.extend(self.writer.record(record).map_err(|e| written(&e))?);
                self.next = self.next.saturating_add(1);
            }
        } else {
            chunk.extend(self.writer.clone().finish().map_err(|e| written(&e))?);
            self.ended = true;
        }
        Ok(Some(chunk))
    }
}

/// Does what reads the disk where it holds up nobody.
async fn reading<R: Send + 'static>(
    read: impl FnOnce() -> R + Send + 'static,
) -> Result<R, ApiError> {
    let done = tokio::task::spawn_blocking(read).await;
    done.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))
}

/// Writes a whole bundle in chunks. It ends early when the reader is gone, or takes nothing for [`CHUNK_DEADLINE`]: its place is
/// another one's then (L3). No thread is held while it waits for the reader.
async fn export(
    core: Arc<Core>,
    note: Arc<Note>,
    out: &mpsc::Sender<Chunk>,
) -> Result<(), ApiError> {
    let (mut export, mut chunk) = reading(move || Export::start(core, &note)).await??;
    loop {
        let send = out.send(Ok(v1::ExportBundleResponse { chunk: Bytes::from(chunk) }));
        if !matches!(within(Deadline::after(CHUNK_DEADLINE), send).await, Ok(Ok(()))) {
            return Ok(());
        }
        let (same, next) = reading(move || {
            let next = export.chunk();
            (export, next)
        })
        .await?;
        let Some(next) = next? else { return Ok(()) };
        (export, chunk) = (same, next);
    }
}

#[tonic::async_trait]
impl AuditService for AuditApi {
    type ExportBundleStream = ReceiverStream<Chunk>;

    async fn list_records(
        &self,
        request: Request<v1::ListRecordsRequest>,
    ) -> Result<Response<v1::ListRecordsResponse>, Status> {
        let state = self.allowed(&request)?;
        let ask = request.into_inner();
        let wanted = if ask.page_size == 0 { PAGE_DEFAULT } else { ask.page_size.min(PAGE_MAX) };
        let size = state.audit_size();
        let end = ask.start.saturating_add(u64::from(wanted)).min(size);
        let archive = Arc::clone(&self.core.archive);
        let range = ask.start.min(end)..end;
        let read = tokio::task::spawn_blocking(move || archive.records(range, RECORDS_BYTES));
        let records = read
            .await
            .map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?
            .map_err(|error| stored(&error))?;
        let message =
            |(index, record): (u64, Vec<u8>)| v1::AuditRecord { index, record: record.into() };
        let records = (ask.start..).zip(records).map(message).collect();
        Ok(Response::new(v1::ListRecordsResponse { records, size }))
    }

    async fn get_checkpoint(
        &self,
        request: Request<v1::GetCheckpointRequest>,
    ) -> Result<Response<v1::GetCheckpointResponse>, Status> {
        self.allowed(&request)?;
        let note = self.note()?.bytes.clone().into();
        Ok(Response::new(v1::GetCheckpointResponse { note }))
    }

    async fn list_denials(
        &self,
        request: Request<v1::ListDenialsRequest>,
    ) -> Result<Response<v1::ListDenialsResponse>, Status> {
        self.allowed(&request)?;
        let ask = request.into_inner();
        let wanted = if ask.page_size == 0 { PAGE_DEFAULT } else { ask.page_size.min(PAGE_MAX) };
        let kept = self.core.diary.kept();
        let from = ask.start.max(kept.start);
        let range = from..from.saturating_add(u64::from(wanted));
        let rows = self.core.diary.denials(range, RECORDS_BYTES).await.map_err(|e| stored(&e))?;
        let (start, rows) = rows;
        let before = rows.first().map(|row| row.before.to_vec()).unwrap_or_default();
        Ok(Response::new(v1::ListDenialsResponse {
            member: self.core.identity.member.0,
            start,
            before: before.into(),
            entries: rows.into_iter().map(|row| row.entry.into()).collect(),
            count: kept.end,
            first: kept.start,
        }))
    }

    async fn list_forks(
        &self,
        request: Request<v1::ListForksRequest>,
    ) -> Result<Response<v1::ListForksResponse>, Status> {
        let state = self.allowed(&request)?;
        let encoded = |bytes: Result<Vec<u8>, CanonicalError>| {
            let bytes = bytes.map(Bytes::from);
            bytes.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))
        };
        let forks = self.core.witness.found();
        let forks = forks.iter().map(|kept| encoded(encode(kept))).collect::<Result<_, _>>()?;
        let said = |(node, row): (&NodeId, &Contradicted)| {
            Ok::<_, ApiError>(v1::ContradictedCountersignature {
                node: node.name(),
                countersignature: encoded(row.countersignature.bytes())?,
                size: row.ours.size,
                root: Bytes::from(row.ours.root.0.to_vec()),
                revision: row.revision.0,
            })
        };
        let said = state.contradictions_seen().map(said).collect::<Result<_, _>>()?;
        let member = self.core.identity.member.0;
        Ok(Response::new(v1::ListForksResponse { member, forks, countersignatures: said }))
    }

    async fn export_bundle(
        &self,
        request: Request<v1::ExportBundleRequest>,
    ) -> Result<Response<Self::ExportBundleStream>, Status> {
        self.allowed(&request)?;
        let note = self.note()?;
        if self.core.archive.first() > 0 {
            let first = self.core.archive.first();
            return Err(stored(&ArchiveError::Incomplete { first }).into());
        }
        let busy = || {
            let why =
                format!("a member writes at most {EXPORTS_MAX} bundles at a time; ask another one");
            ApiError::new(ErrorCode::Overloaded, why)
        };
        let permit = Arc::clone(&self.exports).try_acquire_owned().map_err(|_taken| busy())?;
        let (out, queue) = mpsc::channel(EXPORT_QUEUE);
        let core = Arc::clone(&self.core);
        self.core.tasks.spawn(TaskKind::Ordinary, "export-bundle", async move {
            if let Err(error) = export(core, note, &out).await {
                tracing::warn!(error = %error.message, "no bundle was written whole");
                // The reader may be gone already, or take nothing.
                let told = out.send(Err(kept_inside(error, None).into()));
                let _told = within(Deadline::after(CHUNK_DEADLINE), told).await;
            }
            drop(permit);
        });
        Ok(Response::new(ReceiverStream::new(queue)))
    }
}
