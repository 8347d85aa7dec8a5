//! Around every call: its principal's share, its span, its count and time, its last deadline, and the words of its refusal.
//!
//! Must hold: every call is answered, whatever its handler waits for (L3); no principal has more than its share in progress
//! (L4). A refusal leaves with one code, explained, in the caller's language, whoever made it: also what the library beneath
//! the services says to a message that is too large or a method that does not exist. What is a fault of ours is told to our
//! log, and to the caller only by the trace under which it stands there: it may name paths, addresses and other tenants. Label
//! values are bounded: a path that no service knows is counted as `unknown`. What a caller says about its trace names log lines
//! and nothing else.

mod share;

use crate::limit::HANDLER_MAX;
use crate::tiles::TILE_PREFIX;
use http::{HeaderMap, Request, Response};
use sekisho_proto::status::{ACCEPT_LANGUAGE, ApiError};
use sekisho_raft::limit::{CALL_MAX, SNAPSHOT_TIMEOUT};
use sekisho_transport::identity::Peer;
use sekisho_transport::trace::{self, TraceContext};
use sekisho_types::error_code::{ErrorCode, Language};
use share::Shares;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Instrument as _;

/// Wraps the services of one listener with [`Measured`].
#[derive(Debug, Clone, Default)]
pub struct Measure(Shares);

/// A service whose calls are traced, counted and timed.
#[derive(Debug, Clone)]
pub struct Measured<S> {
    inner: S,
    shares: Shares,
}

impl<S> Layer<S> for Measure {
    type Service = Measured<S>;
    fn layer(&self, inner: S) -> Measured<S> {
        Measured { inner, shares: self.0.clone() }
    }
}

impl<S, B, C> Service<Request<B>> for Measured<S>
where
    S: Service<Request<B>, Response = Response<C>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    C: Default + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let context = TraceContext::of_call(request.headers());
        let language = language(request.headers());
        let span = tracing::info_span!(
            "call",
            method = path.as_str(),
            trace_id = %context.trace_id(),
            span_id = %context.span_id(),
        );
        let share = match self.shares.take(request.extensions().get::<Peer>()) {
            Ok(share) => share,
            Err(error) => {
                let response = error.with_arguments().into_status(language).into_http();
                count(path, &response, Instant::now());
                return Box::pin(async move { Ok(response) });
            }
        };
        let (begun, answer) = (Instant::now(), self.inner.call(request));
        let running = (InFlight::begin(), share);
        let call = async move {
            let answer = timeout(longest(&path), answer).await.unwrap_or_else(|_elapsed| {
                tracing::error!("a call was not answered in time");
                // It may have taken effect (R3).
                let error = ApiError::new(ErrorCode::OutcomeUnknown, "not answered in time");
                Ok(Status::from(error).into_http())
            });
            drop(running);
            let answer = answer.map(|response| explained(response, &path, language, &context));
            if let Ok(response) = &answer {
                count(path, response, begun);
            }
            answer
        };
        Box::pin(trace::scope(context, call).instrument(span))
    }
}

/// The language that a caller reads.
fn language(headers: &HeaderMap) -> Language {
    let wish = headers.get(ACCEPT_LANGUAGE).and_then(|wish| wish.to_str().ok());
    wish.map_or_else(Language::default, Language::of_accept)
}

/// A refusal as its caller may read it; every other answer as it is. What ends a stream later travels behind its bytes and
/// is in English.
fn explained<C: Default>(
    response: Response<C>,
    path: &str,
    language: Language,
    context: &TraceContext,
) -> Response<C> {
    let status = Status::from_header_map(response.headers());
    let Some(status) = status.filter(|status| status.code() != Code::Ok) else { return response };
    let error = in_place_of(&status, path).with_arguments();
    if is_ours(error.code) {
        tracing::error!(code = %error.code, why = %error.message, "a call met a fault of this member");
    }
    kept_inside(error, Some(&context.trace_id())).into_status(language).into_http()
}

/// A refusal with its code, also where the library beneath the services made it: to a method that nobody serves, and to
/// bytes that it cannot read.
fn in_place_of(status: &Status, path: &str) -> ApiError {
    let error = ApiError::from_status(status);
    if error.explained {
        error
    } else if status.code() == Code::Unimplemented && status.message().is_empty() {
        ApiError::new(ErrorCode::MethodUnknown, format!("no method {path}")).with("method", path)
    } else if matches!(status.code(), Code::Unimplemented | Code::Internal) {
        ApiError::new(ErrorCode::InvalidArgument, "the message is not readable")
    } else {
        ApiError::new(error.code, error.message)
    }
}

/// Whether an error is a fault of ours, whose words stay with us.
fn is_ours(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Internal | ErrorCode::StorageFailed)
}

/// A fault of ours without its words: they may name paths, addresses and other tenants. Whoever calls it has told them to the
/// log, under this trace. Every other error as it is.
pub(crate) fn kept_inside(error: ApiError, trace: Option<&str>) -> ApiError {
    match trace {
        _ if !is_ours(error.code) => error,
        Some(trace) => ApiError::new(error.code, format!("trace {trace}")).with("trace", trace),
        None => ApiError::new(error.code, ""),
    }
}

/// The one call that takes as long as it takes: members send each other snapshots on the same listener.
const INSTALL_SNAPSHOT: &str = "/sekisho.internal.v1.RaftService/InstallSnapshot";

fn longest(path: &str) -> Duration {
    if path == INSTALL_SNAPSHOT { SNAPSHOT_TIMEOUT.saturating_add(CALL_MAX) } else { HANDLER_MAX }
}

/// One call in `sekisho_api_in_flight`, also if its caller goes away in the middle.
#[derive(Debug)]
struct InFlight;

impl InFlight {
    fn begin() -> Self {
        metrics::gauge!("sekisho_api_in_flight").increment(1.0);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        metrics::gauge!("sekisho_api_in_flight").decrement(1.0);
    }
}

/// A stream counts when it begins; its end is the stream's own to report.
fn count<C>(path: String, response: &Response<C>, begun: Instant) {
    let code =
        response.headers().get("grpc-status").map_or(Code::Ok, |v| Code::from_bytes(v.as_bytes()));
    let method = match path {
        _ if code == Code::Unimplemented => "unknown".to_owned(),
        path if path.starts_with(TILE_PREFIX) => TILE_PREFIX.to_owned(),
        path => path,
    };
    let labels = [("method", method.clone()), ("code", format!("{code:?}"))];
    metrics::counter!("sekisho_api_requests_total", &labels).increment(1);
    let took = begun.elapsed().as_secs_f64();
    metrics::histogram!("sekisho_api_request_seconds", "method" => method).record(took);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::future::pending;
    use tower::ServiceExt as _;

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// The trace in which a call with this header runs.
    async fn within(header: Option<&str>) -> TraceContext {
        let seen = tower::service_fn(|_request: Request<()>| async {
            // As far as a handler's own calls reach.
            tokio::task::yield_now().await;
            let mut response = Response::new(());
            response.extensions_mut().insert(trace::current().unwrap());
            Ok::<_, Infallible>(response)
        });
        let mut request = Request::new(());
        if let Some(header) = header {
            request.headers_mut().insert(trace::TRACEPARENT, header.parse().unwrap());
        }
        let response = Measure::default().layer(seen).oneshot(request).await.unwrap();
        *response.extensions().get::<TraceContext>().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_is_answered_as_unknown() {
        let stuck = |_request: Request<()>| pending::<Result<Response<()>, Infallible>>();
        let call = |path: &str| {
            let request = Request::builder().uri(path).body(()).unwrap();
            Measure::default().layer(tower::service_fn(stuck)).oneshot(request)
        };
        let begun = Instant::now();
        let response = call("/sekisho.v1.JobService/SubmitJob").await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), HANDLER_MAX.as_secs());
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(ApiError::from_status(&status).code, ErrorCode::OutcomeUnknown);
        // A snapshot takes its time, and ends too.
        let begun = Instant::now();
        call(INSTALL_SNAPSHOT).await.unwrap();
        assert!(begun.elapsed() > SNAPSHOT_TIMEOUT);
    }

    /// What a caller reads of a refusal of these words.
    async fn refused(status: Status, accept: Option<&str>) -> Status {
        let refuse = tower::service_fn(move |_request: Request<()>| {
            let response: Response<()> = status.clone().into_http();
            async { Ok::<_, Infallible>(response) }
        });
        let mut request = Request::builder().uri("/sekisho.v1.JobService/GetJob");
        if let Some(accept) = accept {
            request = request.header(ACCEPT_LANGUAGE, accept);
        }
        request = request.header(trace::TRACEPARENT, CALLER);
        let response =
            Measure::default().layer(refuse).oneshot(request.body(()).unwrap()).await.unwrap();
        Status::from_header_map(response.headers()).unwrap()
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_callers_language() {
        use tonic_types::StatusExt as _;
        let quota = "sapporo has room for 2 h100, the job needs 4";
        let error = || Status::from(ApiError::new(ErrorCode::QuotaExceeded, quota));
        for (accept, locale, start) in [
            (None, "en", "The tenant's quota is in use: sapporo has room"),
            (Some("ja, en;q=0.5"), "ja", "テナントの割当枠を使い切っています: sapporo に"),
        ] {
            let status = refused(error(), accept).await;
            let told = status.get_error_details().localized_message().cloned().unwrap();
            assert_eq!(told.locale, locale);
            assert!(told.message.starts_with(start), "{}", told.message);
            assert_eq!(status.message(), quota);
            assert_eq!(ApiError::from_status(&status).metadata["room"], "2");
        }
    }

    #[tokio::test]
    async fn a_fault_of_ours_is_told_by_its_trace_alone() {
        for code in [ErrorCode::Internal, ErrorCode::StorageFailed] {
            let words = "/var/lib/sekisho/log: no space left, of tenant otaru";
            let error = ApiError::new(code, words).with("path", "/var/lib").with_field("a", words);
            let status = refused(error.into(), None).await;
            let error = ApiError::from_status(&status);
            assert_eq!(
                (error.code, &*error.message),
                (code, &*format!("trace {}", &CALLER[3..35]))
            );
            let bytes = String::from_utf8_lossy(status.details()).into_owned();
            assert!(!bytes.contains("otaru") && !bytes.contains("/var/lib"), "{bytes}");
        }
    }

    #[tokio::test]
    async fn what_no_service_answered_is_explained_too() {
        let status = refused(Status::unimplemented(""), None).await;
        let error = ApiError::from_status(&status);
        assert_eq!((error.code, error.explained), (ErrorCode::MethodUnknown, true));
        assert_eq!(error.metadata["method"], "/sekisho.v1.JobService/GetJob");
        for (status, code) in [
            (Status::out_of_range("decoded message length too large"), ErrorCode::TooLarge),
            (Status::internal("failed to decode Protobuf"), ErrorCode::InvalidArgument),
            (Status::unimplemented("Content is compressed"), ErrorCode::InvalidArgument),
            (Status::not_found("service not registered"), ErrorCode::NotFound),
        ] {
            let error = ApiError::from_status(&refused(status, None).await);
            assert_eq!((error.code, error.explained), (code, true));
        }
    }

    /// Otherwise a renamed method would be cut off in the middle of a snapshot.
    #[test]
    fn the_path_of_the_long_call_is_one_that_exists() {
        let found = sekisho_proto::DESCRIPTORS.windows(15).any(|name| name == b"InstallSnapshot");
        assert!(found && INSTALL_SNAPSHOT.ends_with("/InstallSnapshot"));
        assert!(INSTALL_SNAPSHOT.contains(RAFT_SERVICE));
    }

    const RAFT_SERVICE: &str = sekisho_proto::internal::v1::raft_service_server::SERVICE_NAME;

    #[tokio::test]
    async fn a_call_runs_in_its_callers_trace_and_a_malformed_one_is_ignored() {
        let joined = within(Some(CALLER)).await;
        assert_eq!(joined.trace_id(), &CALLER[3..35]);
        assert_ne!(joined.span_id(), &CALLER[36..52]);
        for header in [None, Some("00-what-ever-01"), Some("")] {
            assert_ne!(within(header).await.trace_id(), &CALLER[3..35]);
        }
        assert_eq!(trace::current(), None);
    }
}
