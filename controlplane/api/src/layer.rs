//! Around every call: its span, and its count and time.
//!
//! Must hold: label values are bounded: a path that no service knows is counted as `unknown`. What a caller says about
//! its trace names log lines and nothing else.

use http::{Request, Response};
use sekisho_transport::trace::{self, TraceContext};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::Instant;
use tonic::Code;
use tower::{Layer, Service};
use tracing::Instrument as _;

/// Wraps a service with [`Measured`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Measure;

/// A service whose calls are traced, counted and timed.
#[derive(Debug, Clone)]
pub struct Measured<S>(S);

impl<S> Layer<S> for Measure {
    type Service = Measured<S>;
    fn layer(&self, inner: S) -> Measured<S> {
        Measured(inner)
    }
}

impl<S, B, C> Service<Request<B>> for Measured<S>
where
    S: Service<Request<B>, Response = Response<C>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let context = TraceContext::of_call(request.headers());
        let span = tracing::info_span!(
            "call",
            method = path.as_str(),
            trace_id = %context.trace_id(),
            span_id = %context.span_id(),
        );
        let (begun, answer) = (Instant::now(), self.0.call(request));
        let running = InFlight::begin();
        let call = async move {
            let answer = answer.await;
            drop(running);
            if let Ok(response) = &answer {
                count(path, response, begun);
            }
            answer
        };
        Box::pin(trace::scope(context, call).instrument(span))
    }
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
    let method = if code == Code::Unimplemented { "unknown".to_owned() } else { path };
    let labels = [("method", method.clone()), ("code", format!("{code:?}"))];
    metrics::counter!("sekisho_api_requests_total", &labels).increment(1);
    let took = begun.elapsed().as_secs_f64();
    metrics::histogram!("sekisho_api_request_seconds", "method" => method).record(took);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
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
        let response = Measure.layer(seen).oneshot(request).await.unwrap();
        *response.extensions().get::<TraceContext>().unwrap()
    }

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
