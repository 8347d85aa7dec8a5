//! `GET /metrics` over HTTP/1.1, on connections that the transport authenticated (D3).
//!
//! Must hold: whoever may not read learns nothing but that; one connection is one request, bounded in size and in
//! time, so that a slow reader holds one slot of a few for a few seconds (L3, L4). A client without a certificate is
//! given no connection at all: nobody takes that stream.

use http::header::{ALLOW, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sekisho_transport::conn::Conn;
use sekisho_transport::deadline::{Deadline, within};
use sekisho_transport::listen::{ConnStream, Limits, Protocol};
use sekisho_transport::task::{TaskGroup, TaskKind};
use sekisho_types::principal::Principal;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio_stream::StreamExt as _;

/// Connections at once: two monitors of each of seven operators, and a person.
const CONNECTIONS: usize = 16;

/// From connection to the last byte of the answer: below the shortest usual scrape interval.
const SCRAPE_DEADLINE: Duration = Duration::from_secs(10);

/// Head of a request, bytes: hyper's least.
const HEAD_MAX: usize = 8 * 1024;

/// Header lines of a request: Prometheus sends six.
const HEADERS_MAX: usize = 32;

/// Largest answer, bytes. The table's labels are bounded, so that more is a fault of ours.
const ANSWER_MAX: usize = 8 << 20;

/// The exposition format, version 0.0.4.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is served and to whom.
pub trait Source: Send + Sync + 'static {
    /// Whether this principal may read, now.
    fn may_read(&self, principal: &Principal) -> bool;

    /// The exposition; may take as long as a walk over the state.
    fn render(&self) -> String;
}

/// Bounds of the listener.
#[must_use]
pub fn limits() -> Limits {
    Limits {
        protocol: Protocol::Http1,
        handshakes: CONNECTIONS,
        connections: CONNECTIONS,
        ..Limits::default()
    }
}

/// Answers what comes in until the group is cancelled.
pub fn serve(connections: ConnStream, source: Arc<dyn Source>, tasks: &TaskGroup) {
    serve_within(SCRAPE_DEADLINE, connections, source, tasks);
}

pub(super) fn serve_within(
    deadline: Duration,
    mut connections: ConnStream,
    source: Arc<dyn Source>,
    tasks: &TaskGroup,
) {
    let group = tasks.clone();
    tasks.spawn(TaskKind::Critical, "metrics", async move {
        while let Some(connection) = connections.next().await {
            let Ok(connection) = connection else { continue };
            let source = Arc::clone(&source);
            group.spawn(TaskKind::Ordinary, "scrape", async move {
                let answer = within(Deadline::after(deadline), answer(connection, source));
                if let Err(error) = answer.await.map_err(anyhow::Error::new).flatten() {
                    tracing::debug!(%error, "scrape not finished");
                }
            });
        }
    });
}

async fn answer(connection: Conn, source: Arc<dyn Source>) -> anyhow::Result<()> {
    let identity = connection.peer().identity.clone();
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let (source, identity) = (Arc::clone(&source), identity.clone());
        async move {
            let principal = identity.as_ref().map(|identity| &identity.principal);
            let response = respond(&request, principal, source).await;
            let code = response.status().as_str().to_owned();
            metrics::counter!("sekisho_metrics_scrapes_total", "code" => code).increment(1);
            Ok::<_, Infallible>(response)
        }
    });
    let mut server = http1::Builder::new();
    server.keep_alive(false).max_buf_size(HEAD_MAX).max_headers(HEADERS_MAX);
    Ok(server.serve_connection(TokioIo::new(connection), service).await?)
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

async fn respond<B>(
    request: &Request<B>,
    principal: Option<&Principal>,
    source: Arc<dyn Source>,
) -> Response<Full<Bytes>> {
    if !principal.is_some_and(|principal| source.may_read(principal)) {
        tracing::warn!(?principal, "metrics refused");
        return empty(StatusCode::FORBIDDEN);
    }
    if request.uri().path() != "/metrics" {
        return empty(StatusCode::NOT_FOUND);
    }
    if request.method() != Method::GET {
        let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(ALLOW, http::HeaderValue::from_static("GET"));
        return response;
    }
    // Not on a worker: it walks the state.
    let rendered = tokio::task::spawn_blocking(move || source.render()).await;
    let Some(text) = rendered.ok().filter(|text| text.len() <= ANSWER_MAX) else {
        tracing::error!("metrics cannot be rendered within their bound");
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = Response::new(Full::from(text));
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(EXPOSITION));
    response
}
