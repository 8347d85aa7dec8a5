//! Datagrams whose way is timed, and the clock for it.
//!
//! Must hold (D1): a time that is told is never shorter than the one that passed. So it is read by the caller's own
//! thread before a datagram is sent and after another was received, and nothing is taken off it; and it is read from two
//! clocks, of which the larger counts: `CLOCK_MONOTONIC_RAW`, which nobody can slew, and `CLOCK_BOOTTIME`, which goes on
//! while the host is suspended.
//!
//! The kernel could say when a datagram arrived (`SO_TIMESTAMPNS`), and save what it takes to wake a thread, some
//! microseconds. It says so on the wall clock, which anyone who is believed to know the time can set back between nonce and
//! reply: then a host abroad would seem near. A kilometre is not worth that.
//!
//! Everything here blocks: it is for a thread of its own (`spawn_blocking`), because an executor that is busy would add its
//! own time. Who is at the other end, the caller has to know: datagrams prove nothing, and carry no federation state (D3).

use crate::identity::PeerClass;
use nix::time::{ClockId, clock_gettime};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Bytes of a datagram, at most: what fits every path in one piece (RFC 8200, section 5), and far more than is needed.
pub const DATAGRAM_MAX: usize = 1_232;

/// Shortest wait for a datagram: the kernel takes zero for "for ever".
const WAIT_MIN: Duration = Duration::from_micros(1);

/// An instant on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    raw_ns: u64,
    boot_ns: u64,
}

fn nanoseconds(id: ClockId) -> Option<u64> {
    let time = clock_gettime(id).ok()?;
    let (s, ns) = (u64::try_from(time.tv_sec()).ok()?, u64::try_from(time.tv_nsec()).ok()?);
    s.checked_mul(1_000_000_000)?.checked_add(ns)
}

impl Stamp {
    /// Now; `None` if the kernel does not know the clocks, which every supported one does.
    #[must_use]
    pub fn now() -> Option<Self> {
        let raw_ns = nanoseconds(ClockId::CLOCK_MONOTONIC_RAW)?;
        Some(Self { raw_ns, boot_ns: nanoseconds(ClockId::CLOCK_BOOTTIME)? })
    }

    /// Nanoseconds since an earlier instant, at least 1: the larger of what the two clocks say.
    #[must_use]
    pub fn since_ns(self, earlier: Self) -> u64 {
        let raw = self.raw_ns.saturating_sub(earlier.raw_ns);
        let boot = self.boot_ns.saturating_sub(earlier.boot_ns);
        // Both readings are whole nanoseconds, rounded down: the true time may be one longer.
        raw.max(boot).saturating_add(1)
    }
}

/// A datagram that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Its bytes in the caller's buffer. What did not fit is lost: a buffer that is a byte longer than what is expected tells.
    pub length: usize,
    /// Who says to have sent it.
    pub from: SocketAddr,
    /// When the thread had it.
    pub at: Stamp,
}

/// A socket for datagrams.
pub struct Datagrams {
    #[expect(clippy::disallowed_types, reason = "sockets are made in this crate (D3)")]
    socket: std::net::UdpSocket,
    addr: SocketAddr,
    sent: metrics::Counter,
    received: metrics::Counter,
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagrams").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Datagrams {
    /// A socket that hears everyone at `addr`. Bytes count for peers of `class`.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn bind(addr: SocketAddr, class: PeerClass) -> io::Result<Self> {
        #[expect(clippy::disallowed_types, reason = "this is where sockets are made (D3)")]
        let socket = std::net::UdpSocket::bind(addr)?;
        let counter = |direction: &'static str| {
            metrics::counter!(
                "sekisho_transport_bytes_total", "direction" => direction, "class" => class.as_str()
            )
        };
        let (sent, received) = (counter("sent"), counter("received"));
        Ok(Self { addr: socket.local_addr()?, socket, sent, received })
    }

    /// A socket on a port of its own that sends to `peer` and hears nobody else: [`crate::dial::Dialer::datagrams`] for
    /// whoever has a link policy to heed.
    ///
    /// # Errors
    /// The kernel has no port, or no way to the peer.
    pub fn connect(peer: SocketAddr, class: PeerClass) -> io::Result<Self> {
        let any: IpAddr = match peer {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let mut own = Self::bind(SocketAddr::new(any, 0), class)?;
        own.socket.connect(peer)?;
        own.addr = own.socket.local_addr()?;
        Ok(own)
    }

    /// Where it is.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Sends to the peer of a connected socket.
    ///
    /// # Errors
    /// The kernel's. That nobody listens there may be told at any later call, and is then no error of that.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let sent = self.socket.send(bytes);
        self.sent(sent)
    }

    /// Sends.
    ///
    /// # Errors
    /// The kernel's.
    pub fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        let sent = self.socket.send_to(bytes, to);
        self.sent(sent)
    }

    fn sent(&self, result: io::Result<usize>) -> io::Result<()> {
        match result {
            Ok(bytes) => self.sent.increment(u64::try_from(bytes).unwrap_or(u64::MAX)),
            Err(error) if is_nothing(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The next datagram, for at most about `within`; `None` if none came. May return early with none.
    ///
    /// # Errors
    /// The kernel's.
    pub fn receive(&self, buffer: &mut [u8], within: Duration) -> io::Result<Option<Received>> {
        self.socket.set_read_timeout(Some(within.max(WAIT_MIN)))?;
        let got = self.socket.recv_from(buffer);
        let at = Stamp::now().ok_or(io::ErrorKind::Unsupported)?;
        match got {
            Ok((length, from)) => {
                self.received.increment(u64::try_from(length).unwrap_or(u64::MAX));
                Ok(Some(Received { length, from, at }))
            }
            Err(error) if is_nothing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// From now on [`Self::receive`] takes only what is there already: for owners that wait for several sockets at once.
    ///
    /// # Errors
    /// The kernel's.
    pub fn never_wait(&self) -> io::Result<()> {
        self.socket.set_nonblocking(true)
    }
}

/// What a lost datagram looks like: nothing in time, a signal, or word that nobody listened to an earlier one.
fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock
            | io::ErrorKind::TimedOut
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionRefused
    )
}

impl AsFd for Datagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn loopback() -> Datagrams {
        Datagrams::bind("127.0.0.1:0".parse().unwrap(), PeerClass::Agent).unwrap()
    }

    #[test]
    fn the_larger_of_two_clocks_counts_and_no_time_is_zero() {
        let early = Stamp { raw_ns: 1_000, boot_ns: 5_000 };
        assert_eq!(Stamp { raw_ns: 1_500, boot_ns: 5_400 }.since_ns(early), 501);
        assert_eq!(Stamp { raw_ns: 1_500, boot_ns: 9_000 }.since_ns(early), 4_001, "suspended");
        assert_eq!(early.since_ns(early), 1);
        assert_eq!(Stamp { raw_ns: 0, boot_ns: 0 }.since_ns(early), 1);
        let now = Stamp::now().unwrap();
        assert!(Stamp::now().unwrap().since_ns(now) < 10_000_000_000);
    }

    #[test]
    fn a_connected_socket_hears_its_peer_alone_and_what_is_too_long_shows() {
        let (server, stranger) = (loopback(), loopback());
        let client = Datagrams::connect(server.addr(), PeerClass::Member).unwrap();
        assert!(client.addr().ip().is_loopback());
        client.send(b"question").unwrap();
        let mut buffer = [0; 9];
        let got = server.receive(&mut buffer, SOON).unwrap().unwrap();
        assert_eq!((&buffer[..got.length], got.from), (&b"question"[..], client.addr()));
        stranger.send_to(b"forged", client.addr()).unwrap();
        server.send_to(b"an answer that is long", client.addr()).unwrap();
        let got = client.receive(&mut buffer, SOON).unwrap().unwrap();
        assert_eq!((&buffer[..got.length], got.from), (&b"an answer"[..], server.addr()));
        client.never_wait().unwrap();
        assert_eq!(client.receive(&mut buffer, SOON).unwrap(), None);
    }

    #[test]
    fn nobody_at_the_other_end_is_no_error_but_silence() {
        let gone = loopback().addr();
        let client = Datagrams::connect(gone, PeerClass::Agent).unwrap();
        for _ in 0..3 {
            client.send(b"question").unwrap();
            assert_eq!(client.receive(&mut [0; 9], Duration::from_millis(5)).unwrap(), None);
        }
    }

    /// What a keyed reply costs on loopback; told, and held only to what a hung thread would exceed.
    #[test]
    fn round_trips_on_loopback_take_microseconds() {
        let server = loopback();
        let client = Datagrams::connect(server.addr(), PeerClass::Agent).unwrap();
        let echo = std::thread::Builder::new().name("echo".into()).spawn(move || {
            let mut buffer = [0; 32];
            while let Some(got) =
                server.receive(&mut buffer, SOON).unwrap().filter(|g| g.length > 1)
            {
                server.send_to(&buffer[..got.length], got.from).unwrap();
            }
        });
        let mut best = u64::MAX;
        for _ in 0..64 {
            let begun = Stamp::now().unwrap();
            client.send(&[7; 21]).unwrap();
            let got = client.receive(&mut [0; 32], SOON).unwrap().unwrap();
            best = best.min(got.at.since_ns(begun));
        }
        client.send(&[0]).unwrap();
        echo.unwrap().join().unwrap();
        println!("shortest of 64 round trips on loopback: {best} ns");
        assert!((1..50_000_000).contains(&best), "{best} ns");
    }
}
