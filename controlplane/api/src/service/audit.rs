//! The audit log: records, the newest note, and bundles that verify with no cluster at hand (A1).
//!
//! Must hold (D3): what leaves here leaves to people of operators with a site in Japan that stands, and to nobody else.

use crate::call::Call;
use crate::core::Core;
use crate::limit::{EXPORT_QUEUE, PAGE_DEFAULT, PAGE_MAX, RECORDS_BYTES};
use crate::notes::Note;
use crate::replica::{Archive, ArchiveError};
use bytes::Bytes;
use sekisho_evidence::audit_bundle::{AuditBundleError, AuditBundleHead, BundleWriter, FORMAT};
use sekisho_evidence::canonical::decode;
use sekisho_evidence::record::{Body, Record};
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::Entry;
use sekisho_fsm::role::{Target, Verb};
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::{self, audit_service_server::AuditService};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::jurisdiction::table_hash;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct AuditApi(pub(crate) Arc<Core>);

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

impl AuditApi {
    fn allowed<T>(&self, request: &Request<T>) -> Result<State, ApiError> {
        let call = Call::of(request)?;
        let state = self.0.replica.state();
        call.may(&state, Verb::ReadAudit, Target::Federation)?;
        let operator = &call.principal().operator;
        if !state.is_at_home(operator) {
            let why =
                format!("{operator} has no site in Japan that stands: no audit records leave");
            return Err(ApiError::new(ErrorCode::PermissionDenied, why));
        }
        Ok(state)
    }

    fn note(&self) -> Result<Arc<Note>, ApiError> {
        let none = || {
            let why = "no checkpoint is signed by enough operators yet";
            ApiError::new(ErrorCode::GrantSigners, why)
        };
        self.0.notes.newest().ok_or_else(none)
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

/// Writes a whole bundle in chunks; runs on a blocking thread and stops when the reader is gone.
fn export(core: &Core, note: &Note, out: &mpsc::Sender<Chunk>) -> Result<(), ApiError> {
    let archive = core.archive.as_ref();
    let send = |bytes: Vec<u8>| -> bool {
        // Frames are smaller than a chunk but for single large records, which travel alone.
        let chunk = v1::ExportBundleResponse { chunk: Bytes::from(bytes) };
        out.blocking_send(Ok(chunk)).is_ok()
    };
    let head = head(archive, note)?;
    let (mut writer, mut chunk) = BundleWriter::start(&head).map_err(|e| written(&e))?;
    let mut next = 0u64;
    while next < head.count {
        let records = archive.records(next..head.count, RECORDS_BYTES).map_err(|e| stored(&e))?;
        if records.is_empty() {
            return Err(damaged("audit records under a signed checkpoint are missing"));
        }
        for record in &records {
            let frame = writer.record(record).map_err(|e| written(&e))?;
            let full = chunk.len().saturating_add(frame.len()) > RECORDS_BYTES;
            if full && !chunk.is_empty() && !send(std::mem::take(&mut chunk)) {
                return Ok(());
            }
            chunk.extend(frame);
            next = next.saturating_add(1);
        }
    }
    chunk.extend(writer.finish().map_err(|e| written(&e))?);
    let _sent = send(chunk);
    Ok(())
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
        let archive = Arc::clone(&self.0.archive);
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

    async fn export_bundle(
        &self,
        request: Request<v1::ExportBundleRequest>,
    ) -> Result<Response<Self::ExportBundleStream>, Status> {
        self.allowed(&request)?;
        let note = self.note()?;
        if self.0.archive.first() > 0 {
            let first = self.0.archive.first();
            return Err(stored(&ArchiveError::Incomplete { first }).into());
        }
        let (out, queue) = mpsc::channel(EXPORT_QUEUE);
        let core = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = export(&core, &note, &out) {
                // The reader may be gone already.
                let _told = out.blocking_send(Err(error.into()));
            }
        });
        Ok(Response::new(ReceiverStream::new(queue)))
    }
}
