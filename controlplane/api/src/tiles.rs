//! The audit log as tiles, in the layout of C2SP tlog-tiles, by plain HTTP/2 GET on the members' port.
//!
//! ```text
//! /checkpoint                        the newest note of k operators
//! /tile/L/N   /tile/L/N.p/W          256 hashes, or the first W, of level L of the tree
//! /tile/entries/N   …/N.p/W          256 records, or the first W, each behind its length in two bytes
//! ```
//! Must hold: the same callers as of the audit service, and nobody else (D3); what was served under a path never changes, so
//! that any cache may keep it; what the log does not have yet is not there (404), and comes. A member whose log was not
//! backfilled says so (503) and gives no part of an answer.
//!
//! A record of more than 65,535 bytes has no place in the format's two bytes of length. A tile of entries that has one is
//! answered with 422; such a record is read by `ListRecords`.

use crate::call::Call;
use crate::core::Core;
use crate::journal::refuses;
use crate::limit::{RECORDS_BYTES, TILES_AT_ONCE};
use crate::replica::{Archive, ArchiveError};
use crate::service::audit::stored;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use parking_lot::Mutex;
use sekisho_evidence::tile::{TilePath, pack};
use sekisho_proto::status::ApiError;
use sekisho_transport::identity::Peer;
use sekisho_types::error_code::ErrorCode;
use std::convert::Infallible;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tower::Service;

/// What was served under the path of a tile stays: a year, as caches understand "for ever".
const FOR_EVER: &str = "private, max-age=31536000, immutable";
/// The newest checkpoint is another one a second later.
const NEVER: &str = "private, no-cache";
const TEXT: &str = "text/plain; charset=utf-8";
const OCTETS: &str = "application/octet-stream";

/// Where the newest note is.
pub(crate) const CHECKPOINT: &str = "/checkpoint";
/// Where tiles are, as the router names it.
pub(crate) const TILE: &str = "/tile/{*rest}";
/// Where tiles are, as metrics name it.
pub(crate) const TILE_PREFIX: &str = "/tile/";

/// Serves tiles.
#[derive(Debug, Clone)]
pub(crate) struct Tiles {
    core: Arc<Core>,
    room: Arc<Semaphore>,
}

/// What becomes of a request.
enum Answer {
    Note(Vec<u8>),
    Tile(Vec<u8>),
    Refused(StatusCode, String),
}

fn refused(error: &ApiError) -> Answer {
    const STATUS: [(ErrorCode, StatusCode); 4] = [
        (ErrorCode::Unauthenticated, StatusCode::UNAUTHORIZED),
        (ErrorCode::PermissionDenied, StatusCode::FORBIDDEN),
        (ErrorCode::NotFound, StatusCode::NOT_FOUND),
        (ErrorCode::TooLarge, StatusCode::UNPROCESSABLE_ENTITY),
    ];
    let status = STATUS.iter().find(|(code, _)| *code == error.code);
    let status = status.map_or(StatusCode::SERVICE_UNAVAILABLE, |(_, status)| *status);
    Answer::Refused(status, format!("{}: {}\n", error.code.as_str(), error.message))
}

impl Answer {
    fn respond(self) -> Response<Body> {
        let (status, kind, keep, body) = match self {
            Self::Note(note) => (StatusCode::OK, TEXT, NEVER, note),
            Self::Tile(bytes) => (StatusCode::OK, OCTETS, FOR_EVER, bytes),
            Self::Refused(status, why) => (status, TEXT, NEVER, why.into_bytes()),
        };
        let body = Body::new(http_body_util::Full::new(bytes::Bytes::from(body)));
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(keep));
        response
    }
}

/// Reads the bytes of a tile that the log has; blocks on the disk.
fn read(archive: &dyn Archive, tile: TilePath) -> Result<Vec<u8>, ApiError> {
    if let Some(range) = tile.entries() {
        let records = records(archive, range).map_err(|error| stored(&error))?;
        return pack(&records).map_err(|e| ApiError::new(ErrorCode::TooLarge, e.to_string()));
    }
    let failed = Mutex::new(None);
    let hashes = |index: u64| {
        archive.hash(index).unwrap_or_else(|error| {
            failed.lock().get_or_insert(error);
            None
        })
    };
    let bytes = tile.hashes(&hashes);
    let missing = ArchiveError::Incomplete { first: archive.first() };
    bytes.map_err(|_missing| stored(&failed.into_inner().unwrap_or(missing)))
}

fn records(archive: &dyn Archive, range: Range<u64>) -> Result<Vec<Vec<u8>>, ArchiveError> {
    let (mut all, mut next) = (Vec::new(), range.start);
    while next < range.end {
        let some = archive.records(next..range.end, RECORDS_BYTES)?;
        if some.is_empty() {
            return Err(ArchiveError::Failed(format!("audit record {next} is missing")));
        }
        next = next.saturating_add(u64::try_from(some.len()).unwrap_or(u64::MAX));
        all.extend(some);
    }
    Ok(all)
}

impl Tiles {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, room: Arc::new(Semaphore::new(TILES_AT_ONCE)) }
    }

    async fn answer(
        &self,
        method: &Method,
        path: &str,
        peer: Option<Peer>,
    ) -> Result<Answer, ApiError> {
        let identity = peer.and_then(|peer| peer.identity);
        let nobody = || refuses(ApiError::new(ErrorCode::Unauthenticated, ""), "");
        let call = Call { peer: identity.ok_or_else(nobody)?, wait: None };
        let state = self.core.audit_for(&call)?;
        if method != Method::GET {
            let why = "only GET is answered here\n".to_owned();
            return Ok(Answer::Refused(StatusCode::METHOD_NOT_ALLOWED, why));
        }
        let none = |what: String| ApiError::new(ErrorCode::NotFound, what);
        if path == CHECKPOINT {
            let newest = self.core.notes.newest();
            let note =
                newest.ok_or_else(|| none("no checkpoint of enough operators yet".to_owned()))?;
            return Ok(Answer::Note(note.bytes.clone()));
        }
        let size = state.audit_size();
        let tile = TilePath::parse(path).filter(|tile| tile.is_in(size));
        let tile = tile.ok_or_else(|| none(format!("the log has {size} records")))?;
        let closed =
            |error: &dyn std::fmt::Display| ApiError::new(ErrorCode::Internal, error.to_string());
        let _room = self.room.acquire().await.map_err(|error| closed(&error))?;
        let archive = Arc::clone(&self.core.archive);
        let bytes = tokio::task::spawn_blocking(move || read(archive.as_ref(), tile)).await;
        Ok(Answer::Tile(bytes.map_err(|error| closed(&error))??))
    }
}

impl<B> Service<Request<B>> for Tiles {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let (peer, tiles) = (request.extensions().get::<Peer>().cloned(), self.clone());
        Box::pin(async move {
            let answer = tiles.answer(&method, &path, peer).await;
            Ok(answer.unwrap_or_else(|error| refused(&error)).respond())
        })
    }
}

#[cfg(test)]
mod tests;
