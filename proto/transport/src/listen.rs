//! Accepting: sockets in, authenticated connections out, as streams that tonic serves.
//!
//! Must hold: a slow or hostile peer costs one slot of a bounded number for at most [`HANDSHAKE_TIMEOUT`] and never
//! delays another handshake, and a crowd of them takes neither the slots nor the processor from those that had a good one
//! (`standing.rs`); no principal takes all places, and no source those of the clients without a certificate (L4); these
//! come out of a stream of their own, which is given the join service and nothing else (D3).

mod standing;

use crate::bundle::TrustBundles;
use crate::conn::{Conn, TlsStream};
use crate::credential::Identity;
use crate::explain::explain;
use crate::limit::{
    ACCEPT_PAUSE, ACCEPT_QUEUE, ANONYMOUS_LIFETIME, ANONYMOUS_MAX, ANONYMOUS_PER_SOURCE, BACKLOG,
    CONNECTIONS_MAX, CONNECTIONS_PER_PEER, HANDSHAKE_TIMEOUT, HANDSHAKES_MAX, REFUSED_QUEUE,
};
use crate::settle::{SettleError, Terms, settle, tune};
use crate::socket::Socket;
use crate::source::Source;
use crate::task::{TaskGroup, TaskKind};
pub use crate::tls::Protocol;
use crate::tls::server_config;
use crate::verify::Role;
use parking_lot::Mutex;
use standing::Standing;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

/// Connections ready to be served; what `serve_with_incoming` takes. Ends when the task group is cancelled.
pub type ConnStream = ReceiverStream<io::Result<Conn>>;

/// What one listener speaks, and its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// What its connections are for.
    pub protocol: Protocol,
    /// Handshakes in progress.
    pub handshakes: usize,
    /// Authenticated connections.
    pub connections: usize,
    /// Those of one principal.
    pub per_peer: usize,
    /// Anonymous connections.
    pub anonymous: usize,
    /// Those of one source.
    pub anonymous_per_source: usize,
    /// From accepted socket to authenticated peer.
    pub handshake_timeout: Duration,
    /// Life of an anonymous connection.
    pub anonymous_lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            protocol: Protocol::Http2,
            handshakes: HANDSHAKES_MAX,
            connections: CONNECTIONS_MAX,
            per_peer: CONNECTIONS_PER_PEER,
            anonymous: ANONYMOUS_MAX,
            anonymous_per_source: ANONYMOUS_PER_SOURCE,
            handshake_timeout: HANDSHAKE_TIMEOUT,
            anonymous_lifetime: ANONYMOUS_LIFETIME,
        }
    }
}

/// A bound address with its two streams of connections. A stream that is dropped refuses its kind of peer.
#[derive(Debug)]
pub struct Listener {
    /// Where it listens; with the real port where port 0 was asked for.
    pub addr: SocketAddr,
    /// Peers with a verified certificate.
    pub authenticated: ConnStream,
    /// Clients without one.
    pub anonymous: ConnStream,
    /// Whom the handshake refused for what it showed, and no one else: not who was slow, left, or found no room. Whoever
    /// does not listen misses nothing else.
    pub refused: mpsc::Receiver<Refused>,
}

/// A handshake that was refused for what the peer showed.
#[derive(Debug)]
pub struct Refused {
    /// Where it came from.
    pub addr: SocketAddr,
    /// In words.
    pub why: String,
    /// Others before it of which nobody heard, because the listener was behind.
    pub before: u64,
}

/// Why a listener cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be bound.
    #[error("cannot listen on {0}")]
    Bind(SocketAddr, #[source] io::Error),
    /// The TLS library refused the configuration.
    #[error("TLS configuration refused")]
    Tls(#[source] rustls::Error),
}

/// Why an accepted socket becomes no connection; the label of `sekisho_transport_refused_total`.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("no handshake in time")]
    Slow,
    #[error("handshake failed")]
    Handshake(#[source] io::Error),
    #[error("connection refused")]
    Settle(#[from] SettleError),
    #[error("too many connections")]
    Full,
    #[error("too many connections of one principal, or of one source without a certificate")]
    Crowding,
    #[error("many handshakes fail, and this source had no good one of late")]
    TurnedAway,
    #[error("nobody serves this kind of peer")]
    Unserved,
}

/// Whether a connection is of a peer with a certificate.
struct Proven(bool);

impl Refusal {
    /// Whether it speaks against its source: it took a place and brought nobody.
    fn is_failure(&self) -> bool {
        match self {
            Self::Slow | Self::Handshake(_) | Self::Settle(_) => true,
            Self::Full | Self::Crowding | Self::TurnedAway | Self::Unserved => false,
        }
    }

    /// Whether the peer was refused for what it showed: a socket that was closed, or one too many, says nothing of anybody.
    fn is_denial(&self) -> bool {
        match self {
            Self::Handshake(error) => {
                error.get_ref().is_some_and(|error| error.is::<rustls::Error>())
            }
            Self::Settle(_) => true,
            Self::Slow | Self::Full | Self::Crowding | Self::TurnedAway | Self::Unserved => false,
        }
    }

    fn label(&self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Handshake(_) => "handshake",
            Self::Settle(_) => "settle",
            Self::Full => "full",
            Self::Crowding => "crowding",
            Self::TurnedAway => "turned_away",
            Self::Unserved => "unserved",
        }
    }
}

/// One kind of peer: its bound and where its connections go.
#[derive(Debug)]
struct Gate {
    slots: Arc<Semaphore>,
    out: mpsc::Sender<io::Result<Conn>>,
}

impl Gate {
    fn new(slots: usize) -> (Self, ConnStream) {
        let (out, stream) = mpsc::channel(ACCEPT_QUEUE);
        let slots = Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS)));
        (Self { slots, out }, ReceiverStream::new(stream))
    }
}

#[derive(Debug)]
struct Shared {
    bundles: Arc<TrustBundles>,
    authenticated: Gate,
    anonymous: Gate,
    refused: mpsc::Sender<Refused>,
    /// Refusals that found the queue full.
    untold: AtomicU64,
    limits: Limits,
    tasks: TaskGroup,
    standing: Mutex<Standing>,
}

impl Listener {
    /// Binds and begins to accept; tasks and connections live in `tasks` and end when it is cancelled. To let calls
    /// finish first, shut the server down before the group.
    ///
    /// # Errors
    /// [`ListenError`].
    #[expect(
        clippy::unused_async,
        reason = "whoever binds has to be inside a runtime, as a future is"
    )]
    pub async fn bind(
        addr: SocketAddr,
        identity: &Identity,
        bundles: &Arc<TrustBundles>,
        tasks: &TaskGroup,
        limits: Limits,
    ) -> Result<Self, ListenError> {
        let config = server_config(identity, bundles, limits.protocol);
        let acceptor = TlsAcceptor::from(config.map_err(ListenError::Tls)?);
        let socket = bind(addr).map_err(|e| ListenError::Bind(addr, e))?;
        let addr = socket.local_addr().map_err(|e| ListenError::Bind(addr, e))?;
        let (authenticated, proven) = Gate::new(limits.connections);
        let (anonymous, unproven) = Gate::new(limits.anonymous);
        let (tell, refused) = mpsc::channel(REFUSED_QUEUE);
        let shared = Arc::new(Shared {
            bundles: Arc::clone(bundles),
            authenticated,
            anonymous,
            refused: tell,
            untold: AtomicU64::new(0),
            limits,
            tasks: tasks.clone(),
            standing: Mutex::new(Standing::new(Instant::now())),
        });
        let handshakes = Arc::new(Semaphore::new(limits.handshakes));
        tasks.spawn(TaskKind::Critical, "accept", accept(socket, acceptor, shared, handshakes));
        Ok(Self { addr, authenticated: proven, anonymous: unproven, refused })
    }
}

#[expect(clippy::disallowed_types, reason = "this is where sockets are accepted (D3)")]
fn bind(addr: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    // A restarted program does not wait for the last connections of the one before it to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

#[expect(clippy::disallowed_types, reason = "this is where sockets are accepted (D3)")]
async fn accept(
    socket: tokio::net::TcpListener,
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
    handshakes: Arc<Semaphore>,
) {
    // The slot comes first: what cannot be handled yet waits in the kernel's bounded queue.
    while let Ok(slot) = Arc::clone(&handshakes).acquire_owned().await {
        match socket.accept().await {
            Ok((stream, addr)) => {
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
                let source = Source::of(addr.ip());
                let admitted = shared.standing.lock().admit(source, Instant::now());
                let Some(terms) = admitted else {
                    // No log line for each: there may be thousands in a second.
                    count(&Refusal::TurnedAway);
                    continue;
                };
                let tasks = shared.tasks.clone();
                tasks.spawn(TaskKind::Ordinary, "handshake", async move {
                    let outcome = shared.handshake(acceptor, stream, addr, slot).await;
                    let mut standing = shared.standing.lock();
                    standing.release(source, terms);
                    match &outcome {
                        Ok(Proven(true)) => standing.passed(source, Instant::now()),
                        Err(refusal) if refusal.is_failure() => {
                            standing.failed(source, Instant::now());
                        }
                        // Anybody can come without a certificate.
                        Ok(Proven(false)) | Err(_) => {}
                    }
                    drop(standing);
                    if let Err(refusal) = outcome {
                        report(addr, &refusal);
                        shared.tell(addr, &refusal);
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn report(addr: SocketAddr, refusal: &Refusal) {
    tracing::warn!(%addr, reason = explain(refusal), "connection refused");
    count(refusal);
}

fn count(refusal: &Refusal) {
    metrics::counter!("sekisho_transport_refused_total", "reason" => refusal.label()).increment(1);
}

impl Shared {
    /// Tells of a refusal; never waits.
    fn tell(&self, addr: SocketAddr, refusal: &Refusal) {
        if !refusal.is_denial() {
            return;
        }
        let before = self.untold.swap(0, Ordering::Relaxed);
        let told = self.refused.try_send(Refused { addr, why: explain(refusal), before });
        if told.is_err() {
            self.untold.fetch_add(before.saturating_add(1), Ordering::Relaxed);
        }
    }

    #[expect(clippy::disallowed_types, reason = "this is where sockets are accepted (D3)")]
    async fn handshake(
        &self,
        acceptor: TlsAcceptor,
        socket: tokio::net::TcpStream,
        addr: SocketAddr,
        slot: OwnedSemaphorePermit,
    ) -> Result<Proven, Refusal> {
        tune(&socket).map_err(Refusal::Handshake)?;
        let before = self.bundles.current();
        let stream = timeout(self.limits.handshake_timeout, acceptor.accept(Socket::new(socket)))
            .await
            .map_err(|_elapsed| Refusal::Slow)?
            .map_err(Refusal::Handshake)?;
        drop(slot);
        let stream = TlsStream::Server(stream);
        let terms = Terms {
            addr,
            protocol: self.limits.protocol,
            anonymous_lifetime: self.limits.anonymous_lifetime,
            cut: self.tasks.child_token(),
        };
        let conn = settle(&self.bundles, &before, Role::Client, stream, terms)?;
        let (gate, most) = match &conn.peer().identity {
            Some(_) => (&self.authenticated, self.limits.per_peer),
            // Of these nothing is known but where they come from.
            None => (&self.anonymous, self.limits.anonymous_per_source),
        };
        if conn.crowd() > most {
            return Err(Refusal::Crowding);
        }
        let permit = Arc::clone(&gate.slots).try_acquire_owned().map_err(|_full| Refusal::Full)?;
        tracing::debug!(%addr, peer = ?conn.peer().identity, "connection accepted");
        let proven = Proven(conn.peer().identity.is_some());
        let sent = gate.out.send(Ok(conn.holding(permit))).await;
        sent.map(|()| proven).map_err(|_closed| Refusal::Unserved)
    }
}

#[cfg(test)]
mod tests;
