//! A TCP socket that counts what its peer may still receive.
//!
//! Must hold (D3): until a peer has proven who it is, everything that leaves for it counts, the handshake and the refusal
//! included; after [`UNPROVEN_MAX`] bytes nothing more leaves. So no fault above, in the handshake, in the join service or
//! in whatever is served there one day, can hand a stranger more than that.

#![expect(clippy::disallowed_types, reason = "the wrapped socket of the crate that makes them")]

use sekisho_types::limit::UNPROVEN_MAX;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The socket of one connection; its peer begins as one that has proven nothing.
#[derive(Debug)]
pub(crate) struct Socket {
    tcp: TcpStream,
    /// Bytes that may still leave; `None` once the peer has proven itself.
    left: Option<usize>,
}

impl Socket {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Self { tcp, left: Some(UNPROVEN_MAX) }
    }

    /// From now on nothing is counted: the caller knows who the peer is.
    pub(crate) fn proven(&mut self) {
        self.left = None;
    }

    /// How many of `wanted` bytes may leave now.
    fn allowance(&self, wanted: usize) -> io::Result<usize> {
        match self.left {
            Some(0) if wanted > 0 => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "a peer without identity has had all it may receive",
            )),
            Some(left) => Ok(wanted.min(left)),
            None => Ok(wanted),
        }
    }

    fn written(&mut self, result: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = result {
            self.left = self.left.map(|left| left.saturating_sub(*count));
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let may = self.allowance(buf.len())?;
        let buf = buf.get(..may).unwrap_or_default();
        let result = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.written(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.left.is_some() {
            // One after another: a cut inside a list of slices is not worth the few handshakes that would gain by it.
            let first = bufs.iter().find(|buf| !buf.is_empty());
            return self.poll_write(cx, first.map_or(&[], |buf| buf));
        }
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// A bounded end, and the plain one that counts what comes.
    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (dialled, accepted) = tokio::join!(TcpStream::connect(addr), listener.accept());
        (Socket::new(accepted.unwrap().0), dialled.unwrap())
    }

    /// Writes until that fails; how much arrived, and why it ended.
    async fn pour(mut socket: Socket, mut peer: TcpStream, piece: usize) -> (usize, io::Error) {
        let mut arrived = Vec::new();
        let (read, why) = tokio::join!(peer.read_to_end(&mut arrived), async {
            loop {
                let bytes = vec![7; piece];
                let slices = [io::IoSlice::new(&[]), io::IoSlice::new(&bytes)];
                let written = socket.write_vectored(&slices).await.map(drop);
                if let Err(error) = written.and(socket.write_all(&bytes).await) {
                    drop(socket);
                    return error;
                }
            }
        });
        read.unwrap();
        (arrived.len(), why)
    }

    #[tokio::test]
    async fn a_stranger_gets_its_bytes_and_not_one_more() {
        for piece in [1000, UNPROVEN_MAX * 2] {
            let (socket, peer) = pair().await;
            let (arrived, why) = pour(socket, peer, piece).await;
            assert_eq!((arrived, why.kind()), (UNPROVEN_MAX, io::ErrorKind::PermissionDenied));
        }
    }

    #[tokio::test]
    async fn whoever_has_proven_itself_gets_all() {
        let (mut socket, mut peer) = pair().await;
        socket.proven();
        let sent = vec![7; UNPROVEN_MAX * 4];
        let mut arrived = vec![0; sent.len()];
        let (written, read) = tokio::join!(socket.write_all(&sent), peer.read_exact(&mut arrived));
        written.unwrap();
        read.unwrap();
        assert!(arrived == sent);
    }
}
