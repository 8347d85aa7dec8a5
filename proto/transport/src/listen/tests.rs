//! Real sockets over loopback: who gets in, who is cut, and that one peer cannot hold up another.

mod crowd;

use super::*;
use crate::connections::{Direction, LinkPolicy};
use crate::dial::{DialError, Dialer};
use crate::fixture::{Authority, Echo, clock, next, raw, say, trust, trust_at};
use crate::identity::{Peer, PeerClass};
use crate::tls::client_config;
use crate::verify::Expect;
use arc_swap::ArcSwapOption;
use futures::StreamExt as _;
use rustls::HandshakeKind;
use rustls_pki_types::ServerName;
use sekisho_types::limit::UNPROVEN_MAX;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const SERVER: &str = "/site/tokyo-1/member/1";
const AGENT: &str = "/site/ishikari-1/node/n-01";

/// A listener of operator kanto that trusts kanto and hokuto.
struct Site {
    kanto: Authority,
    hokuto: Authority,
    bundles: Arc<TrustBundles>,
    tasks: TaskGroup,
    listener: Listener,
}

async fn site(limits: Limits) -> Site {
    site_at(clock(), limits).await
}

async fn site_at(clock: Arc<crate::fixture::StandingClock>, limits: Limits) -> Site {
    let (kanto, hokuto) = (Authority::new("kanto"), Authority::new("hokuto"));
    let (bundles, tasks) = (trust_at(clock, &[&kanto, &hokuto]), TaskGroup::new());
    let any = "127.0.0.1:0".parse().unwrap();
    let identity = kanto.identity(SERVER);
    let listener = Listener::bind(any, &identity, &bundles, &tasks, limits).await.unwrap();
    Site { kanto, hokuto, bundles, tasks, listener }
}

impl Site {
    /// Dials from another process's point of view: with bundles and connections of its own.
    async fn dial(&self, identity: Option<Identity>) -> Result<Conn, DialError> {
        let dialer = Dialer::new(identity, trust(&[&self.kanto, &self.hokuto]));
        dialer.connect(&self.listener.addr.into(), &Expect::AnyMember).await
    }

    async fn pair(&mut self, identity: Identity) -> (Conn, Conn) {
        let client = self.dial(Some(identity)).await.unwrap();
        (client, next(&mut self.listener.authenticated).await)
    }

    /// Dials with a certificate that the server must refuse; TLS 1.3 tells the client at its first read.
    async fn refused(&self, identity: Identity) -> bool {
        match self.dial(Some(identity)).await {
            Ok(mut conn) => conn.read_u8().await.is_err(),
            Err(_) => true,
        }
    }
}

#[tokio::test]
async fn both_ends_know_each_other_and_share_the_channel_binding() {
    let mut site = site(Limits::default()).await;
    let (mut client, mut server) = site.pair(site.hokuto.identity(AGENT)).await;
    let name = |conn: &Conn| conn.peer().identity.as_ref().unwrap().principal.to_string();
    assert_eq!(name(&server), "hokuto/site/ishikari-1/node/n-01");
    assert_eq!(name(&client), "kanto/site/tokyo-1/member/1");
    assert_eq!(client.peer().exporter, server.peer().exporter);
    let (other, _server) = site.pair(site.hokuto.identity(AGENT)).await;
    assert_ne!(client.peer().exporter, other.peer().exporter);
    client.write_all(b"question").await.unwrap();
    client.flush().await.unwrap();
    let mut text = [0; 8];
    server.read_exact(&mut text).await.unwrap();
    server.write_all(b"answer").await.unwrap();
    server.flush().await.unwrap();
    client.read_exact(&mut text[..6]).await.unwrap();
    assert_eq!(&text, b"answeron");
    let counted = site.bundles.connections().bytes(PeerClass::Agent);
    assert_eq!((counted.sent, counted.received), (6, 8));
    let members = site.bundles.connections().bytes(PeerClass::Member);
    assert_eq!((members.sent, members.received), (0, 0));
}

/// The next handshake that is told to have been refused.
async fn told(site: &mut Site) -> Refused {
    let told = timeout(Duration::from_secs(5), site.listener.refused.recv()).await;
    told.unwrap().unwrap()
}

#[tokio::test]
async fn refused_certificates_get_no_connection() {
    let mut site = site(Limits::default()).await;
    let stranger = Authority::new("naniwa");
    assert!(site.refused(stranger.identity(AGENT)).await);
    assert!(site.refused(site.hokuto.leaf(AGENT).days(-2, -1).issue().identity()).await);
    assert!(site.bundles.connections().live().is_empty());
    // Both are told, in words; who only closes the socket is not.
    for _ in 0..2 {
        let told = told(&mut site).await;
        assert!(told.addr.ip().is_loopback() && told.before == 0 && !told.why.is_empty());
    }
    drop(raw(site.listener.addr).await);
    assert!(site.refused(stranger.identity(AGENT)).await);
    told(&mut site).await;
    assert!(site.listener.refused.try_recv().is_err(), "a closed socket is nobody's denial");
}

/// It writes first, as HTTP/2 does; by then the server has said why and has closed.
#[tokio::test]
async fn who_is_refused_and_only_writes_hears_why() {
    let site = site(Limits::default()).await;
    let stranger = Authority::new("naniwa").identity(AGENT);
    let why: Arc<ArcSwapOption<String>> = Arc::default();
    let mut client = site.dial(Some(stranger)).await.unwrap().noting(Arc::clone(&why));
    let failed = async {
        while client.write_all(b"?").await.is_ok() && client.flush().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(5), failed).await.unwrap();
    assert!(why.load().is_some(), "the close is all that it heard");
}

#[tokio::test]
async fn a_removed_bundle_cuts_its_connections_and_admits_no_new_one() {
    let mut site = site(Limits::default()).await;
    let (mut foreign, mut foreign_end) = site.pair(site.hokuto.identity(AGENT)).await;
    let (mut own, mut own_end) = site.pair(site.kanto.identity(AGENT)).await;
    assert_eq!(site.bundles.connections().live().len(), 2);
    let only_kanto = BTreeMap::from([site.kanto.bundle()]);
    assert_eq!(site.bundles.replace(&only_kanto).unwrap(), 1);
    let error = foreign_end.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    foreign_end.write_all(b"secret").await.unwrap_err();
    drop(foreign_end);
    foreign.read_u8().await.unwrap_err();
    own.write_all(b"!").await.unwrap();
    own.flush().await.unwrap();
    assert_eq!(own_end.read_u8().await.unwrap(), b'!');
    assert!(site.refused(site.hokuto.identity(AGENT)).await);
    assert_eq!(site.bundles.connections().live().len(), 1);
    // The same roots again: nobody is cut.
    assert_eq!(site.bundles.replace(&only_kanto).unwrap(), 0);
    // A root more, then the old one less: peers of the old one have to come back.
    let (domain, mut bundle) = site.kanto.bundle();
    bundle.roots.push(Authority::new("kanto").root());
    let both = BTreeMap::from([(domain.clone(), bundle.clone())]);
    assert_eq!(site.bundles.replace(&both).unwrap(), 0);
    bundle.roots.remove(0);
    assert_eq!(site.bundles.replace(&BTreeMap::from([(domain, bundle)])).unwrap(), 1);
    own_end.ended().await;
}

#[tokio::test]
async fn one_principal_can_be_cut_alone() {
    let mut site = site(Limits::default()).await;
    let (_client, mut revoked) = site.pair(site.hokuto.identity(AGENT)).await;
    let (_other, _kept) = site.pair(site.hokuto.identity("/user/alice")).await;
    let name = "hokuto/site/ishikari-1/node/n-01".parse().unwrap();
    let cut = |peer: &Peer| peer.identity.as_ref().is_some_and(|peer| peer.principal == name);
    assert_eq!(site.bundles.connections().cut(cut), 1);
    revoked.ended().await;
    drop(revoked);
    assert_eq!(site.bundles.connections().live().len(), 1);
    assert_eq!(site.bundles.connections().cut(cut), 0);
}

#[tokio::test]
async fn a_connection_ends_with_the_certificate_of_its_peer() {
    let clock = clock();
    let mut site = site_at(clock.clone(), Limits::default()).await;
    let long = site.kanto.leaf("/user/bob").days(0, 2).issue().identity();
    // Both certificates of the second pair end 50 ms after the handshake.
    clock.advance(Duration::from_secs(86_400) - Duration::from_millis(50));
    let dialer = Dialer::new(Some(site.hokuto.identity(AGENT)), Arc::clone(&site.bundles));
    let to = site.listener.addr.into();
    let mut client = dialer.connect(&to, &Expect::AnyMember).await.unwrap();
    let mut server = next(&mut site.listener.authenticated).await;
    let error = server.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    client.read_u8().await.unwrap_err();
    client.ended().await;
    // The user's own certificate lives on, but the server's ended too.
    let dialer = Dialer::new(Some(long), Arc::clone(&site.bundles));
    let mut late = dialer.connect(&to, &Expect::AnyMember).await.unwrap();
    late.ended().await;
}

#[tokio::test]
async fn without_a_certificate_there_is_only_the_anonymous_stream_and_few_bytes() {
    let mut site = site(Limits { anonymous: 1, ..Limits::default() }).await;
    let mut client = site.dial(None).await.unwrap();
    let mut server = next(&mut site.listener.anonymous).await;
    assert!(server.peer().identity.is_none());
    assert_eq!(server.peer().exporter, client.peer().exporter);
    let reader = tokio::io::AsyncReadExt::read_to_end;
    let mut received = Vec::new();
    let too_much = vec![7; UNPROVEN_MAX + 1];
    let (read, written) = tokio::join!(reader(&mut client, &mut received), async {
        // What the library has taken need not have left.
        let written = match server.write_all(&too_much).await {
            Ok(()) => server.flush().await,
            refused => refused,
        };
        drop(server);
        written
    });
    assert_eq!(written.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    // Cut off without a goodbye, after at most the allowance.
    read.unwrap_err();
    assert!(received.len() < UNPROVEN_MAX, "{}", received.len());
    // The slot is free again; the one after that is not.
    let first = site.dial(None).await.unwrap();
    let held = next(&mut site.listener.anonymous).await;
    let mut second = site.dial(None).await.unwrap();
    second.read_u8().await.unwrap_err();
    drop((first, held));
}

#[tokio::test]
async fn an_anonymous_peer_has_little_time() {
    let anonymous_lifetime = Duration::from_millis(20);
    let mut site = site(Limits { anonymous_lifetime, ..Limits::default() }).await;
    let _client = site.dial(None).await.unwrap();
    let mut server = next(&mut site.listener.anonymous).await;
    let error = server.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    // Whoever has a certificate is not in a hurry.
    let (_client, mut server) = site.pair(site.hokuto.identity(AGENT)).await;
    assert!(timeout(2 * anonymous_lifetime, server.ended()).await.is_err());
}

/// The order that the registry relies on: change, then cut. A handshake that straddles the change is judged again.
#[tokio::test]
async fn a_bundle_removed_during_the_handshake_is_noticed() {
    let (kanto, hokuto) = (Authority::new("kanto"), Authority::new("hokuto"));
    let bundles = trust(&[&kanto, &hokuto]);
    let acceptor = TlsAcceptor::from(
        server_config(&kanto.identity(SERVER), &bundles, Protocol::Http2).unwrap(),
    );
    #[expect(clippy::disallowed_types, reason = "a listener whose steps the test takes")]
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    let dialer = Dialer::new(Some(hokuto.identity(AGENT)), trust(&[&kanto]));
    for removed in [false, true] {
        let before = bundles.current();
        let to = addr.into();
        let (client, stream) = tokio::join!(dialer.connect(&to, &Expect::AnyMember), async {
            acceptor.accept(Socket::new(socket.accept().await.unwrap().0)).await.unwrap()
        });
        if removed {
            bundles.replace(&BTreeMap::from([kanto.bundle()])).unwrap();
        }
        let anonymous_lifetime = Duration::ZERO;
        let cut = TaskGroup::new().child_token();
        let terms = Terms { addr, protocol: Protocol::Http2, anonymous_lifetime, cut };
        let stream = TlsStream::Server(stream);
        let settled = settle(&bundles, &before, Role::Client, stream, terms);
        let refused = matches!(settled, Err(SettleError::Verify(_)));
        assert_eq!((settled.is_ok(), refused), (!removed, removed), "{settled:?}");
        drop((settled, client.unwrap()));
        assert!(bundles.connections().live().is_empty());
    }
}

/// A listener for stock tools speaks HTTP/1.1 and nothing else, to whoever has a certificate and to nobody else.
#[tokio::test]
async fn each_listener_speaks_one_protocol() {
    let mut old = site(Limits { protocol: Protocol::Http1, ..Limits::default() }).await;
    let identity = old.hokuto.identity(AGENT);
    let dialer = Dialer::new(Some(identity.clone()), trust(&[&old.kanto, &old.hokuto]));
    let to = old.listener.addr.into();
    let mut client = dialer.connect_for(Protocol::Http1, &to, &Expect::AnyMember).await.unwrap();
    let mut server = next(&mut old.listener.authenticated).await;
    client.write_all(b"GET").await.unwrap();
    client.flush().await.unwrap();
    assert_eq!(server.read_u8().await.unwrap(), b'G');
    assert!(old.refused(identity.clone()).await, "h2 at a listener for HTTP/1.1");
    let new = site(Limits::default()).await;
    let dialer = Dialer::new(Some(identity), trust(&[&new.kanto, &new.hokuto]));
    let to = new.listener.addr.into();
    dialer.connect_for(Protocol::Http1, &to, &Expect::AnyMember).await.unwrap_err();
}

#[tokio::test]
async fn bytes_to_a_dialled_peer_that_is_not_enrolled_are_counted() {
    let mut site = site(Limits::default()).await;
    let bundles = trust(&[&site.kanto, &site.hokuto]);
    let dialer = Dialer::new(Some(site.hokuto.identity(AGENT)), Arc::clone(&bundles));
    let to = site.listener.addr.into();
    let mut conn = dialer.connect(&to, &Expect::AnyMember).await.unwrap();
    let mut server = next(&mut site.listener.authenticated).await;
    let peer = conn.peer().identity.as_ref().unwrap().principal.clone();
    // Nothing is judged yet; then the peer is enrolled; then it is not any more.
    for (judged, counted) in [(None, 0), (Some(vec![peer]), 0), (Some(vec![]), 4)] {
        if let Some(enrolled) = judged {
            bundles.connections().judge_by(enrolled.into_iter().collect());
        }
        conn.write_all(b"data").await.unwrap();
        assert_eq!(bundles.connections().bytes_to_unproven(), counted);
    }
    // An answer to whoever dialled is none.
    site.bundles.connections().judge_by(std::collections::BTreeSet::new());
    server.write_all(b"no").await.unwrap();
    assert_eq!(site.bundles.connections().bytes_to_unproven(), 0);
}

/// No resumption: a resumed session would skip the verifiers.
#[tokio::test]
async fn every_handshake_is_a_full_one() {
    let mut site = site(Limits::default()).await;
    let identity = site.hokuto.identity(AGENT);
    let mut config =
        client_config(Some(&identity), &site.bundles, Expect::AnyMember, Protocol::Http2).unwrap();
    // Also for a client that would resume if it could.
    Arc::get_mut(&mut config).unwrap().resumption =
        rustls::client::Resumption::in_memory_sessions(8);
    for _ in 0..3 {
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&config));
        let socket = raw(site.listener.addr).await;
        let name = ServerName::IpAddress(site.listener.addr.ip().into());
        let mut stream = connector.connect(name, socket).await.unwrap();
        let mut server = next(&mut site.listener.authenticated).await;
        server.write_all(b".").await.unwrap();
        server.flush().await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'.');
        let tls = stream.get_ref().1;
        assert_eq!(tls.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(tls.tls13_tickets_received(), 0);
    }
}

/// A TLS 1.2 ClientHello: no `supported_versions`, one ECDSA suite.
fn tls12_hello() -> Vec<u8> {
    let extensions = [
        &[0x00, 0x0a, 0x00, 0x04, 0x00, 0x02, 0x00, 0x17][..],
        &[0x00, 0x0d, 0x00, 0x04, 0x00, 0x02, 0x04, 0x03],
    ]
    .concat();
    let length = u8::try_from(extensions.len()).unwrap();
    let body = [
        &[0x03, 0x03][..],
        &[0x42; 32],
        &[0x00, 0x00, 0x02, 0xc0, 0x2b, 0x01, 0x00, 0x00, length],
        &extensions,
    ]
    .concat();
    let length = u8::try_from(body.len()).unwrap();
    let record = u8::try_from(body.len() + 4).unwrap();
    [&[0x16, 0x03, 0x01, 0x00, record, 0x01, 0x00, 0x00, length][..], &body].concat()
}

#[tokio::test]
async fn tls_12_is_refused() {
    let site = site(Limits::default()).await;
    let mut socket = raw(site.listener.addr).await;
    socket.write_all(&tls12_hello()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    // One fatal alert, protocol_version (70).
    assert_eq!(answer, [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 70]);
}

#[tokio::test]
async fn a_peer_that_says_nothing_delays_nobody_and_is_dropped() {
    let handshake_timeout = Duration::from_secs(2);
    let mut site = site(Limits { handshakes: 4, handshake_timeout, ..Limits::default() }).await;
    let mut mute = Vec::new();
    for _ in 0..3 {
        mute.push(raw(site.listener.addr).await);
    }
    let _pair = site.pair(site.hokuto.identity(AGENT)).await;
    for mut socket in mute {
        assert_eq!(socket.read(&mut [0; 1]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn connections_are_bounded_and_a_closed_one_makes_room() {
    let mut site = site(Limits { connections: 1, ..Limits::default() }).await;
    let (client, held) = site.pair(site.hokuto.identity(AGENT)).await;
    assert!(site.refused(site.hokuto.identity(AGENT)).await);
    drop((client, held));
    let _pair = site.pair(site.hokuto.identity(AGENT)).await;
}

#[tokio::test]
async fn a_client_that_does_not_speak_h2_is_refused() {
    let mut site = site(Limits::default()).await;
    let identity = site.hokuto.identity(AGENT);
    let mut config =
        client_config(Some(&identity), &site.bundles, Expect::AnyMember, Protocol::Http2).unwrap();
    Arc::get_mut(&mut config).unwrap().alpn_protocols.clear();
    let connector = tokio_rustls::TlsConnector::from(config);
    let socket = raw(site.listener.addr).await;
    let name = ServerName::IpAddress(site.listener.addr.ip().into());
    let mut stream = connector.connect(name, socket).await.unwrap();
    stream.read_u8().await.unwrap_err();
    site.tasks.cancel();
    assert!(site.listener.authenticated.next().await.is_none());
}

/// Forbids one site in one direction.
#[derive(Debug)]
struct Partition(Direction, &'static str);

impl LinkPolicy for Partition {
    fn allow_dial(&self, _addr: SocketAddr) -> bool {
        self.1 != "everyone"
    }
    fn allow(&self, direction: Direction, peer: &Peer) -> bool {
        let site = peer.identity.as_ref().and_then(|peer| peer.site.as_ref());
        direction != self.0 || site.is_none_or(|site| site.as_str() != self.1)
    }
}

#[tokio::test]
async fn a_link_policy_cuts_live_links_and_prevents_new_ones() {
    let mut site = site(Limits::default()).await;
    let (_client, mut server) = site.pair(site.hokuto.identity(AGENT)).await;
    let (_other, _kept) = site.pair(site.hokuto.identity("/site/tokyo-1/node/n-02")).await;
    let connections = Arc::clone(site.bundles.connections());
    let accepted = |name| Arc::new(Partition(Direction::Accepted, name));
    assert_eq!(connections.set_policy(accepted("ishikari-1")), 1);
    server.ended().await;
    assert!(site.refused(site.hokuto.identity(AGENT)).await);
    let _pair = site.pair(site.hokuto.identity("/site/tokyo-1/node/n-02")).await;
    // Healed.
    assert_eq!(connections.set_policy(Arc::new(crate::connections::AllowAll)), 0);
    let _pair = site.pair(site.hokuto.identity(AGENT)).await;
    // The dialling side has the same hook.
    let dialer = Dialer::new(Some(site.hokuto.identity(AGENT)), Arc::clone(&site.bundles));
    let dial = || async { dialer.connect(&site.listener.addr.into(), &Expect::AnyMember).await };
    connections.set_policy(Arc::new(Partition(Direction::Dialled, "tokyo-1")));
    assert!(matches!(dial().await, Err(DialError::Settle(_, SettleError::Forbidden))));
    connections.set_policy(Arc::new(Partition(Direction::Dialled, "everyone")));
    assert!(matches!(dial().await, Err(DialError::Forbidden(_))));
}

#[tokio::test]
async fn tonic_serves_the_streams_and_handlers_see_the_peer() {
    let site = site(Limits::default()).await;
    let Listener { addr, authenticated, anonymous, .. } = site.listener;
    let who = |peer: &Peer| match &peer.identity {
        Some(identity) => identity.principal.to_string(),
        None => "nobody".to_owned(),
    };
    Echo::new(move |text, peer| Ok(format!("{text} {}", who(&peer))))
        .serve(&site.tasks, authenticated);
    Echo::new(|_text, _peer| Ok("join only".to_owned())).serve(&site.tasks, anonymous);
    let expect = Expect::Principal("kanto/site/tokyo-1/member/1".parse().unwrap());
    for (identity, answer) in
        [(Some(site.hokuto.identity("/user/alice")), "hi hokuto/user/alice"), (None, "join only")]
    {
        let dialer = Dialer::new(identity, trust(&[&site.kanto]));
        let route = dialer.channel(&addr.into(), &expect, Default::default()).unwrap();
        assert_eq!(say(route.channel(), "hi").await.unwrap(), answer);
    }
    assert!(site.tasks.shutdown(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn a_listener_for_ranging_takes_who_means_it_and_both_ends_export_one_key() {
    let mut site = site(Limits { protocol: Protocol::Ranging, ..Limits::default() }).await;
    let identity = site.hokuto.identity(AGENT);
    let dialer = Dialer::new(Some(identity), trust(&[&site.kanto, &site.hokuto]));
    let address = site.listener.addr.into();
    assert!(dialer.connect(&address, &Expect::AnyMember).await.is_err(), "h2 is not spoken here");
    let dialled = dialer.connect_for(Protocol::Ranging, &address, &Expect::AnyMember).await;
    let (client, server) = (dialled.unwrap(), next(&mut site.listener.authenticated).await);
    let key = |conn: &Conn, label: &[u8], context: &[u8]| conn.keying_material(label, context);
    let ours = key(&client, b"EXPORTER-test", b"one").unwrap();
    assert_eq!(ours, key(&server, b"EXPORTER-test", b"one").unwrap());
    assert_ne!(ours, key(&server, b"EXPORTER-test", b"two").unwrap());
    assert_ne!(ours, key(&server, b"EXPORTER-tset", b"one").unwrap());
    assert_ne!(ours, server.peer().exporter);
}
