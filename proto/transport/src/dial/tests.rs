//! Channels: whom they take, how they come back, what they tell when they do not.

use super::*;
use crate::fixture::{Authority, Echo, say, say_to, trust};
use crate::identity::PeerClass;
use crate::listen::{Limits, Listener};
use crate::pki::root_hash;
use crate::task::TaskGroup;
use sekisho_types::id::Digest;
use tonic::client::Grpc;

const ONE: &str = "/site/tokyo-1/member/1";
const TWO: &str = "/site/tokyo-1/member/2";

fn member(path: &str) -> Expect {
    Expect::Principal(format!("kanto{path}").parse().unwrap())
}

/// Serves an echo that tells the exporter, as `path`.
async fn serve(kanto: &Authority, path: &str, addr: SocketAddr) -> (SocketAddr, TaskGroup) {
    let tasks = TaskGroup::new();
    let (identity, bundles) = (kanto.identity(path), trust(&[kanto]));
    let listener =
        Listener::bind(addr, &identity, &bundles, &tasks, Limits::default()).await.unwrap();
    let hex = |peer: &Peer| Digest(peer.exporter).to_string();
    Echo::new(move |_text, peer| Ok(hex(&peer))).serve(&tasks, listener.authenticated);
    Echo::new(|_text, _peer| Ok("join".to_owned())).serve(&tasks, listener.anonymous);
    (listener.addr, tasks)
}

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// Calls until the channel has come back; each failed call makes it dial again.
async fn until_back(route: &Route) -> String {
    let back = async {
        loop {
            if let Ok(answer) = say(route.channel(), "").await {
                return answer;
            }
        }
    };
    timeout(Duration::from_secs(10), back).await.unwrap()
}

#[tokio::test]
async fn a_channel_is_lazy_knows_its_peer_and_reconnects() {
    let kanto = Authority::new("kanto");
    let (addr, tasks) = serve(&kanto, ONE, anywhere()).await;
    let bundles = trust(&[&kanto]);
    let dialer = Dialer::new(Some(kanto.identity("/user/alice")), Arc::clone(&bundles));
    let route = dialer.channel(&addr.into(), &member(ONE), ChannelOptions::default()).unwrap();
    assert!(route.peer().is_none());
    let first = say(route.channel(), "").await.unwrap();
    let peer = route.peer().unwrap();
    assert_eq!(Digest(peer.exporter).to_string(), first);
    assert_eq!(peer.identity.unwrap().principal.to_string(), "kanto/site/tokyo-1/member/1");
    let bytes = bundles.connections().bytes(PeerClass::Member);
    assert!(bytes.sent > 0 && bytes.received > 0);
    // Cut here: the channel dials again by itself, and gets another binding.
    assert_eq!(bundles.connections().cut(|_peer| true), 1);
    assert!(route.peer().is_none());
    let second = until_back(&route).await;
    assert_ne!(first, second);
    // Cut there: the server is gone and comes back.
    assert!(tasks.shutdown(Duration::from_secs(10)).await);
    let gone = async {
        while route.last_error().is_none() {
            say(route.channel(), "").await.unwrap_err();
        }
    };
    timeout(Duration::from_secs(10), gone).await.unwrap();
    let (_addr, _tasks) = serve(&kanto, ONE, addr).await;
    assert_ne!(until_back(&route).await, second);
    assert!(route.last_error().is_none());
}

#[tokio::test]
async fn another_server_than_expected_gets_no_request() {
    let kanto = Authority::new("kanto");
    let (addr, _tasks) = serve(&kanto, TWO, anywhere()).await;
    let dialer = Dialer::new(Some(kanto.identity("/user/alice")), trust(&[&kanto]));
    let route = dialer.channel(&addr.into(), &member(ONE), ChannelOptions::default()).unwrap();
    say(route.channel(), "secret").await.unwrap_err();
    let told = route.last_error().unwrap();
    assert!(told.contains("member/2"), "{told}");
    let foreign = Dialer::new(Some(kanto.identity("/user/alice")), trust(&[]));
    let refused = foreign.connect(&addr.into(), &Expect::AnyMember).await;
    assert!(matches!(refused, Err(DialError::Handshake(..))), "{refused:?}");
}

#[tokio::test]
async fn an_agent_without_bundle_joins_by_the_hash_of_the_root() {
    let kanto = Authority::new("kanto");
    let (addr, _tasks) = serve(&kanto, ONE, anywhere()).await;
    let joining = Dialer::new(None, trust(&[]));
    let route = |hash| {
        joining.channel(&addr.into(), &Expect::CaHash(hash), ChannelOptions::default()).unwrap()
    };
    let good = route(root_hash(&kanto.root()));
    assert_eq!(say(good.channel(), "").await.unwrap(), "join");
    assert_eq!(good.peer().unwrap().identity.unwrap().principal.operator.as_str(), "kanto");
    let bad = route(Digest([0; 32]));
    say(bad.channel(), "").await.unwrap_err();
    assert!(bad.last_error().unwrap().contains("has no root"), "{:?}", bad.last_error());
}

#[tokio::test]
async fn a_renewed_certificate_is_used_by_the_next_handshake() {
    let kanto = Authority::new("kanto");
    let (bundles, tasks) = (trust(&[&kanto]), TaskGroup::new());
    let identity = kanto.identity(ONE);
    let listener =
        Listener::bind(anywhere(), &identity, &bundles, &tasks, Limits::default()).await.unwrap();
    let client = kanto.identity("/user/alice");
    let dialer = Dialer::new(Some(client), trust(&[&kanto]));
    let to = listener.addr.into();
    let key = |conn: &Conn| conn.peer().identity.as_ref().unwrap().spki_sha256;
    let before = dialer.connect(&to, &member(ONE)).await.unwrap();
    let renewed = kanto.leaf(ONE).days(0, 2).issue();
    identity.renew(&renewed.chain, &renewed.key).unwrap();
    let after = dialer.connect(&to, &member(ONE)).await.unwrap();
    assert_ne!(key(&before), key(&after));
}

#[tokio::test]
async fn a_bound_channel_is_one_connection_and_never_another() {
    let kanto = Authority::new("kanto");
    let (addr, _tasks) = serve(&kanto, ONE, anywhere()).await;
    let (bundles, tasks) = (trust(&[&kanto]), TaskGroup::new());
    let dialer = Dialer::new(Some(kanto.identity("/user/alice")), Arc::clone(&bundles));
    let channel =
        dialer.bound(&addr.into(), &member(ONE), ChannelOptions::default(), &tasks).await.unwrap();
    let exporter = Digest(channel.peer().exporter).to_string();
    let say = || say_to(Grpc::with_origin(channel.clone(), channel.origin()), "");
    for _ in 0..2 {
        assert_eq!(say().await.unwrap(), exporter);
    }
    bundles.connections().cut(|_peer| true);
    say().await.unwrap_err();
    assert!(channel.is_closed());
    // Its group ends it too.
    let channel =
        dialer.bound(&addr.into(), &member(ONE), ChannelOptions::default(), &tasks).await.unwrap();
    assert!(tasks.shutdown(Duration::from_secs(10)).await);
    say_to(Grpc::with_origin(channel.clone(), channel.origin()), "").await.unwrap_err();
}

#[tokio::test]
async fn a_refused_certificate_is_told_in_words_and_forgotten_when_another_is_taken() {
    let kanto = Authority::new("kanto");
    let (addr, _tasks) = serve(&kanto, ONE, anywhere()).await;
    let client = kanto.leaf("/user/alice").days(-3, -2).issue();
    let identity = Identity::from_pem(&client.chain, &client.key).unwrap();
    let impostor = Authority::new("kanto").identity("/user/alice");
    let stranger = Authority::new("naniwa").identity("/user/bob");
    for (identity, words) in [
        (&identity, "has expired"),
        (&impostor, "does not verify"),
        (&stranger, "not trusted there"),
    ] {
        let dialer = Dialer::new(Some(identity.clone()), trust(&[&kanto]));
        let route = dialer.channel(&addr.into(), &member(ONE), ChannelOptions::default()).unwrap();
        assert!(route.refused().is_none());
        let told = async {
            while route.refused().is_none() {
                say(route.channel(), "").await.unwrap_err();
            }
        };
        timeout(Duration::from_secs(10), told).await.unwrap();
        let told = route.refused().unwrap();
        assert!(told.contains(words), "{told}");
        if words == "has expired" {
            let good = kanto.leaf("/user/alice").issue();
            identity.renew(&good.chain, &good.key).unwrap();
            until_back(&route).await;
            assert!(route.refused().is_none());
        }
    }
}

#[tokio::test]
async fn nobody_there_is_said_plainly() {
    let kanto = Authority::new("kanto");
    let (addr, tasks) = serve(&kanto, ONE, anywhere()).await;
    assert!(tasks.shutdown(Duration::from_secs(10)).await);
    let dialer = Dialer::new(None, trust(&[&kanto]));
    let refused = dialer.connect(&addr.into(), &Expect::AnyMember).await;
    assert!(matches!(refused, Err(DialError::Connect(..))), "{refused:?}");
}

#[tokio::test]
async fn a_dialler_leaves_from_the_address_that_it_was_given() {
    let kanto = Authority::new("kanto");
    let (bundles, tasks) = (trust(&[&kanto]), TaskGroup::new());
    let identity = kanto.identity(ONE);
    let listener =
        Listener::bind(anywhere(), &identity, &bundles, &tasks, Limits::default()).await.unwrap();
    Echo::new(|_text, peer| Ok(peer.addr.ip().to_string())).serve(&tasks, listener.authenticated);
    let source: IpAddr = "127.2.0.1".parse().unwrap();
    let dialer = Dialer::new(Some(kanto.identity("/user/alice")), trust(&[&kanto]));
    let dialer = dialer.leaving(source);
    let to = listener.addr.into();
    let route = dialer.channel(&to, &member(ONE), ChannelOptions::default()).unwrap();
    assert_eq!(say(route.channel(), "").await.unwrap(), source.to_string());
}
