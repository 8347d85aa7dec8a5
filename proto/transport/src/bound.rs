//! A gRPC channel that is one connection: no hidden reconnect, so that its channel binding (RFC 9266) belongs to
//! every call made through it. For what is signed over the exporter, such as location transcripts.

use crate::address::Address;
use crate::dial::{ChannelOptions, DialError, Dialer};
use crate::identity::Peer;
use crate::task::{TaskGroup, TaskKind};
use crate::verify::Expect;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::body::Body;

/// One connection, for generated clients: `Client::with_origin(channel.clone(), channel.origin())`. Once it is
/// closed every call fails; dial again then.
#[derive(Debug, Clone)]
pub struct BoundChannel {
    send: http2::SendRequest<Body>,
    peer: Peer,
    origin: http::Uri,
}

impl BoundChannel {
    /// The verified peer, and the exporter that both ends share.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// URI that requests are addressed to.
    #[must_use]
    pub fn origin(&self) -> http::Uri {
        self.origin.clone()
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.send.is_closed()
    }
}

impl Dialer {
    /// Dials one connection for gRPC; it lives in `tasks` and ends with it, or when the last clone is dropped.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn bound(
        &self,
        address: &Address,
        expect: &Expect,
        options: ChannelOptions,
        tasks: &TaskGroup,
    ) -> Result<BoundChannel, DialError> {
        let origin = http::Uri::try_from(format!("http://{address}"))
            .map_err(|_uri| DialError::Uri(address.clone()))?;
        let conn = self.connect(address, expect).await?;
        let peer = conn.peer().clone();
        let (send, driver) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(options.ping_interval)
            .keep_alive_timeout(options.ping_timeout)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(options.stream_window)
            .initial_connection_window_size(options.connection_window)
            .handshake(TokioIo::new(conn))
            .await
            .map_err(|error| DialError::Http2(peer.addr, error))?;
        tasks.spawn(TaskKind::Ordinary, "bound channel", async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "bound channel ended");
            }
        });
        Ok(BoundChannel { send, peer, origin })
    }
}

impl tower::Service<http::Request<Body>> for BoundChannel {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.send.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.send.send_request(request))
    }
}
