//! Counts and times every call.
//!
//! Label values are bounded: a path that no service knows is counted as `unknown`.

use http::{Request, Response};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::Instant;
use tonic::Code;
use tower::{Layer, Service};

/// Wraps a service with [`Measured`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Measure;

/// A service whose calls are counted and timed.
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
        let (begun, answer) = (Instant::now(), self.0.call(request));
        Box::pin(async move {
            let answer = answer.await;
            if let Ok(response) = &answer {
                count(path, response, begun);
            }
            answer
        })
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
