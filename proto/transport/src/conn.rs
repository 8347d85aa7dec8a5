//! One authenticated connection, as servers and channels use it.
//!
//! Must hold: it ends when it is cut, when the peer's certificate ends, or, for an anonymous peer, when its time or
//! its bytes (`socket.rs`) are used up (D3): then reads and writes fail and both ends see it closed.

use crate::connections::Registration;
use crate::explain::certificate_refused;
use crate::identity::Peer;
use crate::socket::Socket;
use crate::tls::keying_material;
use arc_swap::ArcSwapOption;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;

pub(crate) type TlsStream = tokio_rustls::TlsStream<Socket>;

/// Longest time that a timer is set for; a longer certificate outlives the process anyway.
const TIMER_MAX: Duration = Duration::from_secs(365 * 86_400);

/// A TLS stream with a verified (or anonymous) peer.
pub struct Conn {
    stream: Box<TlsStream>,
    peer: Peer,
    registration: Registration,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    end: Pin<Box<Sleep>>,
    over: bool,
    _permit: Option<OwnedSemaphorePermit>,
    /// Where the peer's refusal of the own certificate is noted.
    refused: Option<Arc<ArcSwapOption<String>>>,
}

impl Conn {
    /// `lifetime` is how long the peer's standing lasts.
    pub(crate) fn new(
        stream: TlsStream,
        peer: Peer,
        registration: Registration,
        lifetime: Duration,
    ) -> Self {
        Self {
            stream: Box::new(stream),
            cut: Box::pin(registration.cut.clone().cancelled_owned()),
            end: Box::pin(tokio::time::sleep(lifetime.min(TIMER_MAX))),
            over: false,
            peer,
            registration,
            _permit: None,
            refused: None,
        }
    }

    /// The how manieth of its principal or source it was when it came; 0 for a dialled one.
    pub(crate) fn crowd(&self) -> usize {
        self.registration.crowd
    }

    pub(crate) fn holding(mut self, permit: OwnedSemaphorePermit) -> Self {
        self._permit = Some(permit);
        self
    }

    /// Notes in `refused` why the peer refuses the own certificate, and clears it when the peer says anything else.
    pub(crate) fn noting(mut self, refused: Arc<ArcSwapOption<String>>) -> Self {
        self.refused = Some(refused);
        self
    }

    fn note(&self, result: &Poll<io::Result<()>>, received: usize) {
        let Some(refused) = &self.refused else { return };
        if let Poll::Ready(Err(error)) = result
            && let Some(why) = certificate_refused(error)
        {
            refused.store(Some(Arc::new(why.to_owned())));
        } else if received > 0 && refused.load().is_some() {
            refused.store(None);
        }
    }

    /// After a write that failed: why, if the peer has said so. Whoever refuses a certificate says it and closes, and a client that
    /// goes on to write hears of the close alone; it would take a refusal for a member that is not there. Of a socket that is
    /// closed there is always something to read, if only its end: until the runtime has seen that, the failure waits.
    fn hear<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Poll::Ready(Err(error)) = &written else { return written };
        let closed = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
        if self.refused.is_none() || !closed.contains(&error.kind()) {
            return written;
        }
        let mut said = [0; 64];
        let result = Pin::new(&mut self.stream).poll_read(cx, &mut ReadBuf::new(&mut said));
        self.note(&result, 0);
        // The next write fails as this one did.
        if result.is_pending() { Poll::Pending } else { written }
    }

    /// The far end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// 32 bytes that both ends of this connection can compute and nobody else: the TLS exporter under a label and a
    /// context of the caller's (RFC 8446, section 7.5).
    ///
    /// # Errors
    /// The TLS library's, e.g. for a label that is its own.
    pub fn keying_material(&self, label: &[u8], context: &[u8]) -> io::Result<[u8; 32]> {
        let exported = match &*self.stream {
            tokio_rustls::TlsStream::Client(stream) => {
                keying_material(stream.get_ref().1, label, context)
            }
            tokio_rustls::TlsStream::Server(stream) => {
                keying_material(stream.get_ref().1, label, context)
            }
        };
        exported.map_err(io::Error::other)
    }

    pub(crate) fn id(&self) -> u64 {
        self.registration.id
    }

    /// Resolves when the connection was cut or its peer's standing ended; for owners that neither read nor write.
    pub async fn ended(&mut self) {
        poll_fn(|cx| self.poll_over(cx)).await;
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let over = self.over
            || self.registration.cut.is_cancelled()
            || self.cut.as_mut().poll(cx).is_ready()
            || self.end.as_mut().poll(cx).is_ready();
        self.over = over;
        if over { Poll::Ready(()) } else { Poll::Pending }
    }

    fn is_over(&self) -> bool {
        self.over || self.registration.cut.is_cancelled()
    }

    /// Whether anything may be written now.
    fn writable(&self) -> io::Result<()> {
        if self.is_over() { Err(aborted()) } else { Ok(()) }
    }

    fn written(&self, result: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = result {
            self.registration.meter.sent(*count);
        }
    }
}

fn aborted() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "cut: the peer's standing ended")
}

impl Connected for Conn {
    type ConnectInfo = Peer;
    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // First, not only when there is nothing to read: a busy peer outlives its certificate otherwise.
        if self.poll_over(cx).is_ready() {
            return Poll::Ready(Err(aborted()));
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        let received = buf.filled().len().saturating_sub(before);
        self.registration.meter.received(received);
        self.note(&result, received);
        result
    }
}

impl AsyncWrite for Conn {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writable()?;
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(&result);
        self.hear(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writable()?;
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(&result);
        self.hear(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writable()?;
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.hear(cx, result)
    }

    /// A cut connection says no goodbye: its path may be gone, and the goodbye would wait for it.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_over() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn")
            .field("peer", &self.peer)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}
