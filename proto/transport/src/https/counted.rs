//! The stream to an identity provider, whose bytes count for a class of their own.

use crate::socket::Socket;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

/// Label of what is exchanged with identity providers.
const CLASS: &str = "identity-provider";

/// Counts application data, as every other connection does.
pub(super) struct Counted {
    stream: TlsStream<Socket>,
    sent: metrics::Counter,
    received: metrics::Counter,
}

impl Counted {
    pub(super) fn new(stream: TlsStream<Socket>) -> Self {
        let counter = |direction: &'static str| {
            metrics::counter!(
                "sekisho_transport_bytes_total", "direction" => direction, "class" => CLASS
            )
        };
        Self { stream, sent: counter("sent"), received: counter("received") }
    }
}

fn count(counter: &metrics::Counter, bytes: usize) {
    counter.increment(u64::try_from(bytes).unwrap_or(u64::MAX));
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        count(&self.received, buf.filled().len().saturating_sub(before));
        result
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(bytes)) = &result {
            count(&self.sent, *bytes);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").finish_non_exhaustive()
    }
}
