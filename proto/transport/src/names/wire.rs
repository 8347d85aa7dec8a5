//! The sockets by which resolvers are asked: datagrams, and TCP for what does not fit one.
//!
//! Must hold (D3): each is connected to one resolver, so that the kernel lets nobody else's answers in; every byte counts for
//! the class `resolver`.

#![expect(clippy::disallowed_types, reason = "sockets are made in this crate (D3)")]

use crate::limit::CONNECT_TIMEOUT;
use futures::io::{AsyncRead, AsyncWrite};
use hickory_resolver::net::runtime::{
    DnsTcpStream, DnsUdpSocket, RuntimeProvider, TokioHandle, TokioTime,
};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Label of what is sent to resolvers.
const CLASS: &str = "resolver";

/// Makes the library's sockets. Its tasks end with the last clone.
#[derive(Clone, Default)]
pub(super) struct Wire(TokioHandle);

type Making<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl RuntimeProvider for Wire {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = Question;
    type Tcp = Dialogue;

    fn create_handle(&self) -> TokioHandle {
        self.0.clone()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        _own: Option<SocketAddr>,
        within: Option<Duration>,
    ) -> Making<Dialogue> {
        Box::pin(async move {
            let within = within.unwrap_or(CONNECT_TIMEOUT);
            let tcp = timeout(within, TcpStream::connect(server)).await??;
            tcp.set_nodelay(true)?;
            Ok(Dialogue { tcp, counts: Counts::new() })
        })
    }

    fn bind_udp(&self, own: SocketAddr, server: SocketAddr) -> Making<Question> {
        Box::pin(async move {
            let socket = UdpSocket::bind(own).await?;
            socket.connect(server).await?;
            Ok(Question { socket, server, counts: Counts::new() })
        })
    }
}

struct Counts {
    sent: metrics::Counter,
    received: metrics::Counter,
}

impl Counts {
    fn new() -> Self {
        let counter = |direction: &'static str| {
            metrics::counter!(
                "sekisho_transport_bytes_total", "direction" => direction, "class" => CLASS
            )
        };
        Self { sent: counter("sent"), received: counter("received") }
    }

    fn count(counter: &metrics::Counter, bytes: usize) {
        counter.increment(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

/// The socket of one question.
pub(super) struct Question {
    socket: UdpSocket,
    server: SocketAddr,
    counts: Counts,
}

impl DnsUdpSocket for Question {
    type Time = TokioTime;

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut buf = ReadBuf::new(buf);
        ready!(self.socket.poll_recv(cx, &mut buf))?;
        let read = buf.filled().len();
        Counts::count(&self.counts.received, read);
        Poll::Ready(Ok((read, self.server)))
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        if target != self.server {
            return Poll::Ready(Err(io::ErrorKind::PermissionDenied.into()));
        }
        let sent = ready!(self.socket.poll_send(cx, buf))?;
        Counts::count(&self.counts.sent, sent);
        Poll::Ready(Ok(sent))
    }
}

/// A connection to a resolver.
pub(super) struct Dialogue {
    tcp: TcpStream,
    counts: Counts,
}

impl DnsTcpStream for Dialogue {
    type Time = TokioTime;
}

impl AsyncRead for Dialogue {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut buf))?;
        let read = buf.filled().len();
        Counts::count(&self.counts.received, read);
        Poll::Ready(Ok(read))
    }
}

impl AsyncWrite for Dialogue {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = ready!(Pin::new(&mut self.tcp).poll_write(cx, buf))?;
        Counts::count(&self.counts.sent, sent);
        Poll::Ready(Ok(sent))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
