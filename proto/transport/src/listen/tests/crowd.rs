//! Many that are not let in, and what the others notice of them: nothing.

use super::*;
use crate::limit::{TROUBLE_FAILURES, UNKNOWN_PER_SECOND};

/// A socket from an address of this machine's that nobody else comes from.
#[expect(clippy::disallowed_types, reason = "a client that the test takes apart")]
async fn raw_from(source: u16, to: SocketAddr) -> tokio::net::TcpStream {
    let [high, low] = source.to_be_bytes();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 1, high, low], 0))).unwrap();
    socket.connect(to).await.unwrap()
}

/// Shows a certificate of an authority that the site does not know; whether the server so much as answered.
async fn knock(site: &Site, source: u16, stranger: &Identity) -> bool {
    let trust = trust(&[&site.kanto]);
    let config = client_config(Some(stranger), &trust, Expect::AnyMember, Protocol::Http2).unwrap();
    let name = ServerName::IpAddress(site.listener.addr.ip().into());
    let socket = raw_from(source, site.listener.addr).await;
    match tokio_rustls::TlsConnector::from(config).connect(name, socket).await {
        // TLS 1.3 tells a client at its first read that its certificate is refused.
        Ok(mut stream) => {
            stream.read_u8().await.unwrap_err();
            true
        }
        Err(error) => error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_in_number_are_turned_away_and_who_had_a_good_handshake_is_not() {
    let mut site = site(Limits::default()).await;
    let _pair = site.pair(site.hokuto.identity(AGENT)).await;
    let stranger = Authority::new("naniwa").identity(AGENT);
    let (mut answered, mut turned_away) = (0, 0);
    for source in 0..u16::try_from(4 * TROUBLE_FAILURES).unwrap() {
        if knock(&site, source, &stranger).await { answered += 1 } else { turned_away += 1 }
    }
    assert!(answered >= TROUBLE_FAILURES, "{answered} of them showed their certificates");
    assert!(turned_away > 0, "{answered} answered: more than {UNKNOWN_PER_SECOND} in a second");
    // Meanwhile, and as often as it likes.
    for _ in 0..200 {
        let _pair = site.pair(site.hokuto.identity(AGENT)).await;
    }
    assert!(site.bundles.connections().live().len() <= 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_that_say_nothing_take_no_place_from_who_had_a_good_handshake() {
    let handshake_timeout = Duration::from_millis(300);
    let mut site = site(Limits { handshake_timeout, ..Limits::default() }).await;
    let _pair = site.pair(site.hokuto.identity(AGENT)).await;
    let mut mute = Vec::new();
    for source in 0..u16::try_from(HANDSHAKES_MAX).unwrap() {
        mute.push(raw_from(source, site.listener.addr).await);
    }
    // Their time is over.
    for mut socket in mute {
        assert_eq!(socket.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
    // A second wave of other addresses leaves places: most of it is closed at once.
    let mut mute = Vec::new();
    for source in 1000..1000 + u16::try_from(2 * HANDSHAKES_MAX).unwrap() {
        mute.push(raw_from(source, site.listener.addr).await);
    }
    let _pair = site.pair(site.hokuto.identity(AGENT)).await;
}

#[tokio::test]
async fn one_principal_takes_few_of_all_places() {
    let mut site = site(Limits { per_peer: 2, ..Limits::default() }).await;
    let first = site.pair(site.hokuto.identity(AGENT)).await;
    let _second = site.pair(site.hokuto.identity(AGENT)).await;
    assert!(site.refused(site.hokuto.identity(AGENT)).await);
    let _other = site.pair(site.hokuto.identity("/user/alice")).await;
    // A closed one makes room.
    let (client, mut server) = first;
    drop(client);
    server.read_u8().await.unwrap_err();
    drop(server);
    let _third = site.pair(site.hokuto.identity(AGENT)).await;
}

/// An anonymous client that comes from this address and stays; `None` if it is not served.
async fn anonymous(site: &Site, from: [u8; 4]) -> Option<Conn> {
    let dialer = Dialer::new(None, trust(&[&site.kanto])).leaving(from.into());
    let mut conn = dialer.connect(&site.listener.addr.into(), &Expect::AnyMember).await.ok()?;
    // The server closes what it refuses; what it keeps stays silent.
    let kept = timeout(Duration::from_secs(1), conn.read_u8()).await.is_err();
    kept.then_some(conn)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_host_without_a_certificate_does_not_take_the_places_of_those_that_join() {
    let mut site = site(Limits::default()).await;
    let all = ANONYMOUS_MAX;
    let crowd = futures::future::join_all((0..all).map(|_| anonymous(&site, [127, 1, 0, 1])));
    let held: Vec<Conn> = crowd.await.into_iter().flatten().collect();
    assert_eq!(held.len(), ANONYMOUS_PER_SOURCE);
    let mut served = Vec::new();
    for _ in 0..ANONYMOUS_PER_SOURCE {
        served.push(next(&mut site.listener.anonymous).await);
    }
    let other = anonymous(&site, [127, 1, 0, 2]).await.expect("somebody else joins");
    served.push(next(&mut site.listener.anonymous).await);
    // A place comes back with its connection.
    drop((held, other, served));
    let mut again = None;
    while again.is_none() {
        again = anonymous(&site, [127, 1, 0, 1]).await;
    }
}
