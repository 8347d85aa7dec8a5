//! Backups: one moment of the federation with every audit record, sealed to the operators.
//!
//! Must hold (D3): before a byte leaves it is known that the caller's role names a site of its own operator, registered,
//! not revoked; all sites are in Japan. What leaves is sealed: only an operator that runs a controller can read it. The
//! file covers nothing that its own records do not give, and k operators have signed a head at or past it.
//! Does not know: where the bytes end up. That is the archivist's operator's word.

use crate::admission::unanswered;
use crate::call::Call;
use crate::core::{Core, federation};
use crate::layer::kept_inside;
use crate::limit::{
    CHUNK_DEADLINE, COVER_DEADLINE, COVER_EVERY, EXPORT_QUEUE, MOMENT_DEADLINE, RECORDS_BYTES,
    SAVES,
};
use crate::replica::{ArchiveError, Moment};
use crate::service::audit::stored;
use bytes::Bytes;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::checkpoint::verify_note;
use sekisho_evidence::merkle::{Head, prove_consistency};
use sekisho_evidence::operator::BackupKey;
use sekisho_evidence::snapshot_file::{FORMAT, SnapshotFileError, SnapshotHead, SnapshotWriter};
use sekisho_fsm::State;
use sekisho_fsm::image::Image;
use sekisho_fsm::role::{Target, Verb};
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::{self, snapshot_service_server::SnapshotService};
use sekisho_transport::deadline::{Deadline, within};
use sekisho_transport::seal::{SealError, seal};
use sekisho_transport::task::TaskKind;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, SiteId};
use sekisho_types::principal::Role;
use std::io::{self, Write};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct SnapshotApi {
    core: Arc<Core>,
    saves: Arc<Semaphore>,
}

pub(super) type Chunk = Result<v1::SaveSnapshotResponse, Status>;

impl SnapshotApi {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, saves: Arc::new(Semaphore::new(SAVES)) }
    }
}

/// The site that the backup goes to.
fn destination(call: &Call, state: &State) -> Result<SiteId, ApiError> {
    let own = &call.principal().operator;
    call.may(state, Verb::SaveSnapshot, Target::Operator(own))?;
    let mut why = "no archivist key is in force".to_owned();
    for role in state.roles(call.principal()) {
        let Role::Archivist(site) = role else { continue };
        match state.site(site) {
            Some(row) if row.operator == *own && !row.revoked => return Ok(site.clone()),
            Some(row) if row.revoked => why = format!("{site} was revoked"),
            Some(_) | None => why = format!("{site} is no site of {own}"),
        }
    }
    Err(ApiError::new(ErrorCode::SnapshotDestination, why))
}

fn internal(error: impl ToString) -> ApiError {
    ApiError::new(ErrorCode::Internal, error.to_string())
}

/// A note of k operators at or past `head`, and what shows that it extends it. `None` while there is none yet, or while
/// this member lacks hashes under it. Reads the disk.
fn cover(core: &Core, bundle: &EndorserBundle, head: Head) -> Option<(Vec<u8>, Vec<Digest>)> {
    let note = core.notes.newest()?;
    let signed = note.checkpoint.head;
    if signed.size < head.size || verify_note(bundle, &note.bytes).is_err() {
        return None;
    }
    let hashes = |index: u64| core.archive.hash(index).ok().flatten();
    let path = if signed.size == head.size {
        Vec::new()
    } else {
        prove_consistency(signed.size, head.size, &hashes).ok()?
    };
    Some((note.bytes.clone(), path))
}

/// Waits for such a note.
async fn covered(
    core: &Arc<Core>,
    bundle: &Arc<EndorserBundle>,
    head: Head,
) -> Result<(Vec<u8>, Vec<Digest>), ApiError> {
    let deadline = Deadline::after(COVER_DEADLINE);
    loop {
        let (here, under) = (Arc::clone(core), Arc::clone(bundle));
        let found = tokio::task::spawn_blocking(move || cover(&here, &under, head)).await;
        if let Some(found) = found.map_err(internal)? {
            return Ok(found);
        }
        if deadline.passed() {
            let why = format!("no note of enough operators covers {} records", head.size);
            return Err(ApiError::new(ErrorCode::GrantSigners, why));
        }
        tokio::time::sleep(COVER_EVERY).await;
    }
}

/// Everything that stands before the records, and to whom it is sealed.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) head: SnapshotHead,
    pub(super) recipients: Vec<BackupKey>,
}

pub(super) async fn prepare(core: &Arc<Core>, moment: &Moment) -> Result<Prepared, ApiError> {
    let bytes = moment.image.clone();
    let image = tokio::task::spawn_blocking(move || Image::decode(&bytes)).await;
    let state = image.map_err(internal)?.map_err(internal)?.state;
    let federation = federation(&state)?;
    let head = state.audit_head().map_err(internal)?;
    let bundle = Arc::new(federation.bundle.clone());
    let (note, consistency) = covered(core, &bundle, head).await?;
    let head = SnapshotHead {
        format: FORMAT,
        package: federation.package(),
        incarnation: federation.incarnation,
        saved: core.clock.wall(),
        revision: state.revision(),
        last_log: moment.last_log,
        voters: moment.voters.clone(),
        head,
        image: Digest::of(&moment.image),
        image_len: u64::try_from(moment.image.len()).unwrap_or(u64::MAX),
        note: Some(note),
        consistency,
    };
    Ok(Prepared { head, recipients: bundle.backup_keys() })
}

/// Cuts what is written into chunks, and waits while the reader is slow.
struct Chunks {
    out: mpsc::Sender<Chunk>,
    chunk: Vec<u8>,
}

impl Chunks {
    fn send(&mut self, last: bool) -> io::Result<()> {
        let chunk = Bytes::from(std::mem::take(&mut self.chunk));
        let send = self.out.send(Ok(v1::SaveSnapshotResponse { chunk, last }));
        // One that reads nothing any more must not keep others from their backups (L3).
        let sent = within(Deadline::after(CHUNK_DEADLINE), send);
        let sent = Handle::current().block_on(sent);
        let taken = sent.is_ok_and(|sent| sent.is_ok());
        if taken { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.len() >= RECORDS_BYTES {
            self.send(false)?;
        }
        let room = RECORDS_BYTES.saturating_sub(self.chunk.len()).min(bytes.len());
        self.chunk.extend_from_slice(bytes.get(..room).unwrap_or_default());
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why the writing ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error(transparent)]
    File(#[from] SnapshotFileError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("audit records under the state are missing")]
    Missing,
}

impl WriteError {
    /// What to tell, unless it is the reader that is gone.
    fn told(&self) -> Option<ApiError> {
        match self {
            Self::Io(error) | Self::File(SnapshotFileError::Io(error))
                if error.kind() == io::ErrorKind::BrokenPipe =>
            {
                None
            }
            Self::Archive(error) => Some(stored(error)),
            Self::Missing => Some(ApiError::new(ErrorCode::StorageFailed, self.to_string())),
            Self::File(_) | Self::Seal(_) | Self::Io(_) => Some(internal(self)),
        }
    }
}

/// Writes the whole file; blocks.
pub(super) fn write(
    core: &Core,
    Prepared { head, recipients }: &Prepared,
    image: &[u8],
    out: mpsc::Sender<Chunk>,
) -> Result<(), WriteError> {
    let sealed = seal(recipients, Chunks { out, chunk: Vec::new() })?;
    let mut writer = SnapshotWriter::start(sealed, head, image)?;
    let mut next = 0u64;
    while next < head.head.size {
        let records = core.archive.records(next..head.head.size, RECORDS_BYTES)?;
        if records.is_empty() {
            return Err(WriteError::Missing);
        }
        for record in &records {
            writer.record(record)?;
            next = next.saturating_add(1);
        }
    }
    let mut chunks = writer.finish()?.finish()?;
    Ok(chunks.send(true)?)
}

/// A backup from its beginning to its end.
async fn save(core: Arc<Core>, out: mpsc::Sender<Chunk>) {
    let ready = async {
        let moment = core.replica.moment(Deadline::after(MOMENT_DEADLINE)).await;
        let moment = moment.map_err(unanswered)?;
        let prepared = prepare(&core, &moment).await?;
        Ok::<_, ApiError>((moment, prepared))
    };
    let told = match ready.await {
        Err(error) => Some(error),
        Ok((moment, prepared)) => {
            let (core, to) = (Arc::clone(&core), out.clone());
            let written =
                tokio::task::spawn_blocking(move || write(&core, &prepared, &moment.image, to))
                    .await;
            written.map_or_else(|error| Some(internal(error)), |done| done.err()?.told())
        }
    };
    if let Some(error) = told {
        tracing::warn!(error = %error.message, "no backup was written");
        // The reader may be gone already.
        let _told = out.send(Err(kept_inside(error, None).into())).await;
    }
}

#[tonic::async_trait]
impl SnapshotService for SnapshotApi {
    type SaveStream = ReceiverStream<Chunk>;

    async fn save(
        &self,
        request: Request<v1::SaveSnapshotRequest>,
    ) -> Result<Response<Self::SaveStream>, Status> {
        let call = Call::of(&request)?;
        // A member that was left behind might not know yet that a site was revoked (P5).
        let state = self.core.read(&call, None).await?;
        let site = destination(&call, &state)?;
        let first = self.core.archive.first();
        if first > 0 {
            return Err(stored(&ArchiveError::Incomplete { first }).into());
        }
        let busy = || ApiError::new(ErrorCode::Overloaded, "another backup is being written");
        let permit = Arc::clone(&self.saves).try_acquire_owned().map_err(|_taken| busy())?;
        tracing::info!(principal = %call.principal(), %site, "a backup is taken");
        let (out, queue) = mpsc::channel(EXPORT_QUEUE);
        let core = Arc::clone(&self.core);
        self.core.tasks.spawn(TaskKind::Ordinary, "save-snapshot", async move {
            save(core, out).await;
            drop(permit);
        });
        Ok(Response::new(ReceiverStream::new(queue)))
    }
}
