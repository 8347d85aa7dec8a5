//! Dialling: raw connections, and gRPC channels that reconnect by themselves.
//!
//! Must hold: every dial says whom it expects, and no byte of application data leaves before the peer is that (D3);
//! an attempt ends within [`CONNECT_TIMEOUT`] and [`HANDSHAKE_TIMEOUT`] per address, and the time for its name (L3).
//! A TLS 1.3 client is done before the server has judged its certificate: a refusal shows at the first call, so
//! that the first call on a connection should be one that explains (`Hello`).

use crate::address::Address;
use crate::bundle::TrustBundles;
use crate::conn::{Conn, TlsStream};
use crate::credential::Identity;
use crate::datagram::Datagrams;
use crate::explain::explain;
use crate::identity::{Peer, PeerClass};
use crate::limit::{
    CONNECT_TIMEOUT, CONNECTION_WINDOW, HANDSHAKE_TIMEOUT, PING_INTERVAL, PING_TIMEOUT,
    STREAM_WINDOW,
};
use crate::names::{Names, ResolveError};
use crate::settle::{SettleError, Terms, settle, tune};
use crate::socket::Socket;
use crate::tls::{Protocol, client_config};
use crate::verify::{Expect, Role};
use arc_swap::ArcSwapOption;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

/// Why a dial failed.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No address is known for the name, or nobody may be asked.
    #[error("cannot resolve {0}")]
    Resolve(Address, #[source] ResolveError),
    /// The TLS library refused the configuration.
    #[error("TLS configuration refused")]
    Config(#[source] rustls::Error),
    /// No TCP connection.
    #[error("cannot connect to {0}")]
    Connect(SocketAddr, #[source] io::Error),
    /// No answer in time.
    #[error("{0} did not answer in time")]
    Slow(SocketAddr),
    /// The peer is not who it should be, or did not finish the handshake.
    #[error("handshake with {0} failed")]
    Handshake(SocketAddr, #[source] io::Error),
    /// The handshake was good, the connection is not wanted.
    #[error("connection to {0} refused")]
    Settle(SocketAddr, #[source] SettleError),
    /// The link policy forbids this address.
    #[error("the link policy forbids dialling {0}")]
    Forbidden(SocketAddr),
    /// The peer does not begin HTTP/2.
    #[error("{0} did not begin HTTP/2")]
    Http2(SocketAddr, #[source] hyper::Error),
    /// Not an address that a URI can hold.
    #[error("{0} is not usable in a URI")]
    Uri(Address),
}

/// Settings of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelOptions {
    /// Default deadline of unary calls and stream set-up; `None` for channels that carry long streams.
    pub call_timeout: Option<Duration>,
    /// HTTP/2 ping interval, also while idle.
    pub ping_interval: Duration,
    /// Time for the answer.
    pub ping_timeout: Duration,
    /// HTTP/2 window of one stream, bytes.
    pub stream_window: u32,
    /// HTTP/2 window of the connection, bytes.
    pub connection_window: u32,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            call_timeout: None,
            ping_interval: PING_INTERVAL,
            ping_timeout: PING_TIMEOUT,
            stream_window: STREAM_WINDOW,
            connection_window: CONNECTION_WINDOW,
        }
    }
}

/// Dials with one identity (or none, to join) under one set of bundles.
#[derive(Debug, Clone)]
pub struct Dialer {
    identity: Option<Identity>,
    bundles: Arc<TrustBundles>,
    names: Names,
    source: Option<IpAddr>,
}

/// A lazy, reconnecting gRPC channel to one address and one expected peer. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Route {
    channel: Channel,
    state: Arc<RouteState>,
}

#[derive(Debug)]
struct RouteState {
    bundles: Arc<TrustBundles>,
    names: Names,
    source: Option<IpAddr>,
    config: Arc<ClientConfig>,
    address: Address,
    expect: Expect,
    /// A connection that was made before a call asked for one.
    ready: Mutex<Option<Conn>>,
    established: ArcSwapOption<(u64, Peer)>,
    last_error: ArcSwapOption<String>,
    refused: Arc<ArcSwapOption<String>>,
}

impl Route {
    /// The channel, for generated clients.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The verified peer of the present connection; `None` between connections. The next call may still travel
    /// over a newer one: what is bound to an exporter has to be answered with a retryable error there.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        let established = self.state.established.load_full()?;
        let (id, peer) = &*established;
        self.state.bundles.connections().is_live(*id).then(|| peer.clone())
    }

    /// Connects, if there is no connection now: the next call finds one that stands. For callers that have several
    /// members to choose from and take the one that answers first.
    ///
    /// # Errors
    /// [`DialError`] of the last address tried.
    pub async fn connect(&self) -> Result<(), DialError> {
        if self.peer().is_none() {
            let conn = self.state.connect().await?;
            drop(self.state.ready.lock().replace(conn));
        }
        Ok(())
    }

    /// Why the last dial failed; cleared by the next one that succeeds.
    #[must_use]
    pub fn last_error(&self) -> Option<Arc<String>> {
        self.state.last_error.load_full()
    }

    /// Why the peer refused this end's certificate; cleared by the first word that it says. Such a refusal comes when
    /// the handshake is over here, so that the dial has succeeded and a call breaks off without a reason.
    #[must_use]
    pub fn refused(&self) -> Option<Arc<String>> {
        self.state.refused.load_full()
    }
}

impl Dialer {
    /// `None` dials without a certificate: only the join service answers that. Names are refused.
    #[must_use]
    pub fn new(identity: Option<Identity>, bundles: Arc<TrustBundles>) -> Self {
        Self { identity, bundles, names: Names::default(), source: None }
    }

    /// The same, with somebody to ask for the addresses of names.
    #[must_use]
    pub fn asking(self, names: Names) -> Self {
        Self { names, ..self }
    }

    /// The same, for a host with several addresses: connections and channels leave from this one.
    #[must_use]
    pub fn leaving(self, source: IpAddr) -> Self {
        Self { source: Some(source), ..self }
    }

    /// One connection, used as a byte stream.
    ///
    /// # Errors
    /// [`DialError`] of the last address tried.
    pub async fn connect(&self, address: &Address, expect: &Expect) -> Result<Conn, DialError> {
        self.connect_for(Protocol::Http2, address, expect).await
    }

    /// As [`Dialer::connect`], to a listener that speaks `protocol`.
    ///
    /// # Errors
    /// [`DialError`] of the last address tried.
    pub async fn connect_for(
        &self,
        protocol: Protocol,
        address: &Address,
        expect: &Expect,
    ) -> Result<Conn, DialError> {
        let config = self.config(expect, protocol)?;
        let with = (&*self.bundles, &self.names, self.source);
        dial(with, (config, protocol), address, expect).await
    }

    /// A socket for datagrams to and from one address: the first that the name has. Nothing is sent.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn datagrams(
        &self,
        address: &Address,
        class: PeerClass,
    ) -> Result<Datagrams, DialError> {
        let unknown = |why| DialError::Resolve(address.clone(), why);
        let resolved = self.names.resolve(address).await.map_err(unknown)?;
        let addr = resolved.first().copied().ok_or_else(|| unknown(ResolveError::NoAddress))?;
        if !self.bundles.connections().policy().allow_dial(addr) {
            return Err(DialError::Forbidden(addr));
        }
        Datagrams::connect(addr, class).map_err(|e| DialError::Connect(addr, e))
    }

    fn config(&self, expect: &Expect, protocol: Protocol) -> Result<Arc<ClientConfig>, DialError> {
        client_config(self.identity.as_ref(), &self.bundles, expect.clone(), protocol)
            .map_err(DialError::Config)
    }

    /// A gRPC channel. Nothing is dialled before the first call.
    ///
    /// # Errors
    /// [`DialError::Uri`] and [`DialError::Config`].
    pub fn channel(
        &self,
        address: &Address,
        expect: &Expect,
        options: ChannelOptions,
    ) -> Result<Route, DialError> {
        let state = Arc::new(RouteState {
            bundles: Arc::clone(&self.bundles),
            names: self.names.clone(),
            source: self.source,
            config: self.config(expect, Protocol::Http2)?,
            address: address.clone(),
            expect: expect.clone(),
            ready: Mutex::new(None),
            established: ArcSwapOption::empty(),
            last_error: ArcSwapOption::empty(),
            refused: Arc::default(),
        });
        let shared = Arc::clone(&state);
        let connector = tower::service_fn(move |_uri: http::Uri| {
            let state = Arc::clone(&shared);
            async move { state.connection().await.map(TokioIo::new) }
        });
        let endpoint = endpoint(address, options)?;
        Ok(Route { channel: endpoint.connect_with_connector_lazy(connector), state })
    }
}

/// Scheme `http`: TLS is ours, tonic must not add its own.
fn endpoint(address: &Address, options: ChannelOptions) -> Result<Endpoint, DialError> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|_uri| DialError::Uri(address.clone()))?
        .http2_keep_alive_interval(options.ping_interval)
        .keep_alive_timeout(options.ping_timeout)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(options.stream_window)
        .initial_connection_window_size(options.connection_window);
    Ok(match options.call_timeout {
        Some(timeout) => endpoint.timeout(timeout),
        None => endpoint,
    })
}

impl RouteState {
    /// The connection that stands ready, else a new one. One that is cut meanwhile fails its first call, which is then
    /// repeated as after any other cut.
    async fn connection(&self) -> Result<Conn, DialError> {
        let ready = self.ready.lock().take();
        match ready.filter(|conn| self.bundles.connections().is_live(conn.id())) {
            Some(conn) => Ok(conn),
            None => self.connect().await,
        }
    }

    async fn connect(&self) -> Result<Conn, DialError> {
        let with = (&*self.bundles, &self.names, self.source);
        let (address, config) = (&self.address, Arc::clone(&self.config));
        let result = dial(with, (config, Protocol::Http2), address, &self.expect).await;
        match &result {
            Ok(conn) => {
                self.established.store(Some(Arc::new((conn.id(), conn.peer().clone()))));
                self.last_error.store(None);
            }
            Err(error) => {
                let text = explain(error);
                tracing::debug!(%address, error = text, "dial failed");
                self.last_error.store(Some(Arc::new(text)));
            }
        }
        result.map(|conn| conn.noting(Arc::clone(&self.refused)))
    }
}

/// How to shake hands, and for what.
type Config = (Arc<ClientConfig>, Protocol);

async fn dial(
    (bundles, names, source): (&TrustBundles, &Names, Option<IpAddr>),
    config: Config,
    address: &Address,
    expect: &Expect,
) -> Result<Conn, DialError> {
    let unknown = |why| DialError::Resolve(address.clone(), why);
    let resolved = names.resolve(address).await.map_err(unknown)?;
    let mut last = unknown(ResolveError::NoAddress);
    for addr in resolved {
        match dial_one(bundles, config.clone(), (source, addr), expect).await {
            Ok(conn) => return Ok(conn),
            Err(error) => last = error,
        }
    }
    metrics::counter!("sekisho_transport_dial_errors_total").increment(1);
    Err(last)
}

#[expect(clippy::disallowed_types, reason = "this is where sockets are dialled (D3)")]
async fn connect(source: Option<IpAddr>, to: SocketAddr) -> io::Result<tokio::net::TcpStream> {
    use tokio::net::{TcpSocket, TcpStream};
    let Some(source) = source else { return TcpStream::connect(to).await };
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(source, 0))?;
    socket.connect(to).await
}

async fn dial_one(
    bundles: &TrustBundles,
    (config, protocol): Config,
    (source, addr): (Option<IpAddr>, SocketAddr),
    expect: &Expect,
) -> Result<Conn, DialError> {
    if !bundles.connections().policy().allow_dial(addr) {
        return Err(DialError::Forbidden(addr));
    }
    let socket = timeout(CONNECT_TIMEOUT, connect(source, addr))
        .await
        .map_err(|_elapsed| DialError::Slow(addr))?
        .map_err(|e| DialError::Connect(addr, e))?;
    tune(&socket).map_err(|e| DialError::Connect(addr, e))?;
    let socket = Socket::new(socket);
    let before = bundles.current();
    // The address, so that no name is sent in clear; the verifier looks at the SPIFFE id alone.
    let name = ServerName::IpAddress(addr.ip().into());
    let stream = timeout(HANDSHAKE_TIMEOUT, TlsConnector::from(config).connect(name, socket))
        .await
        .map_err(|_elapsed| DialError::Slow(addr))?
        .map_err(|e| DialError::Handshake(addr, e))?;
    let stream = TlsStream::Client(stream);
    // A server without a certificate does not get here, so the lifetime is never used.
    let anonymous_lifetime = Duration::ZERO;
    let cut = CancellationToken::new();
    let terms = Terms { addr, protocol, anonymous_lifetime, cut };
    settle(bundles, &before, Role::Server(expect), stream, terms)
        .map_err(|e| DialError::Settle(addr, e))
}

#[cfg(test)]
mod tests;
