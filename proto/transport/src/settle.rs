//! From finished handshake to connection: the same last steps for dialled and accepted ones.
//!
//! Must hold: the connection is registered first and judged by what is in force after that. Whoever changes
//! bundles or policy does it in the other order, change then cut, so one of the two always sees the other.

use crate::bundle::{BundleSet, TrustBundles};
use crate::clock::unix_time;
use crate::conn::{Conn, TlsStream};
use crate::connections::Direction;
use crate::identity::{Peer, PeerClass};
use crate::limit::{KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES, UNACKNOWLEDGED_MAX};
use crate::tls::{Protocol, exporter};
use crate::verify::{Role, VerifyError, identify, judge};
use nix::sys::socket::{setsockopt, sockopt};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Why a finished handshake does not become a connection.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The peer does not speak what this connection is for.
    #[error("the peer did not agree on {0:?}")]
    Protocol(Protocol),
    /// The chain is not valid any more, or is not whom the caller expects.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The link policy forbids it.
    #[error("the link policy forbids this connection")]
    Forbidden,
    /// The TLS library gave no channel binding.
    #[error("no channel binding")]
    Exporter(#[source] rustls::Error),
}

/// What the end that made the socket knows about it.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) addr: SocketAddr,
    /// What the connection is for.
    pub(crate) protocol: Protocol,
    /// How long a peer without certificate may stay.
    pub(crate) anonymous_lifetime: Duration,
    /// Ends the connection.
    pub(crate) cut: CancellationToken,
}

/// `before` is the bundle set that was in force when the handshake began.
pub(crate) fn settle(
    bundles: &TrustBundles,
    before: &Arc<BundleSet>,
    role: Role<'_>,
    mut stream: TlsStream,
    terms: Terms,
) -> Result<Conn, SettleError> {
    let (_socket, tls) = stream.get_ref();
    if !terms.protocol.accepts(tls.alpn_protocol()) {
        return Err(SettleError::Protocol(terms.protocol));
    }
    let chain = tls.peer_certificates().unwrap_or_default();
    let identity = match (role, chain) {
        (Role::Client, []) => None,
        _ => Some(Arc::new(identify(before, role, chain)?)),
    };
    let exporter = match &stream {
        tokio_rustls::TlsStream::Client(stream) => exporter(stream.get_ref().1),
        tokio_rustls::TlsStream::Server(stream) => exporter(stream.get_ref().1),
    };
    let exporter = exporter.map_err(SettleError::Exporter)?;
    let direction = match role {
        Role::Client => Direction::Accepted,
        Role::Server(_) => Direction::Dialled,
    };
    let now = bundles.clock().wall();
    let lifetime = identity.as_ref().map_or(terms.anonymous_lifetime, |identity| {
        Duration::from_millis(identity.not_after.since_ms(now))
    });
    let peer = Peer { addr: terms.addr, identity, exporter };
    let registration = bundles.connections().register(
        direction,
        peer.clone(),
        class(terms.protocol, &peer),
        terms.cut,
    );
    let after = bundles.current();
    if peer.identity.is_some() && !Arc::ptr_eq(before, &after) {
        judge(&after, role, chain, unix_time(now))?;
    }
    if !bundles.connections().policy().allow(direction, &peer) {
        return Err(SettleError::Forbidden);
    }
    if peer.identity.is_some() {
        stream.get_mut().0.proven();
    }
    Ok(Conn::new(stream, peer, registration, lifetime))
}

/// As which a connection's bytes are counted: by what it is for, where that is one thing only, else by who is there.
fn class(protocol: Protocol, peer: &Peer) -> PeerClass {
    match (protocol, &peer.identity) {
        (Protocol::Http2 | Protocol::Http1 | Protocol::Ranging, None) => PeerClass::Anonymous,
        (Protocol::Http2, Some(identity)) => identity.class(),
        (Protocol::Http1, Some(_)) => PeerClass::Monitor,
        (Protocol::Ranging, Some(_)) => PeerClass::Landmark,
    }
}

/// Socket options of every connection.
#[expect(clippy::disallowed_types, reason = "the crate that makes sockets")]
pub(crate) fn tune(socket: &tokio::net::TcpStream) -> io::Result<()> {
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let milliseconds = u32::try_from(UNACKNOWLEDGED_MAX.as_millis()).unwrap_or(u32::MAX);
    socket.set_nodelay(true)?;
    setsockopt(socket, sockopt::KeepAlive, &true)?;
    setsockopt(socket, sockopt::TcpKeepIdle, &seconds(KEEPALIVE_IDLE))?;
    setsockopt(socket, sockopt::TcpKeepInterval, &seconds(KEEPALIVE_INTERVAL))?;
    setsockopt(socket, sockopt::TcpKeepCount, &KEEPALIVE_PROBES)?;
    setsockopt(socket, sockopt::TcpUserTimeout, &milliseconds)?;
    Ok(())
}
