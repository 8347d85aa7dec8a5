//! What a probe tells of a member that answers, is silent, is somebody else, or refuses us.

use super::*;
use crate::fixture::{Authority, Echo, trust};
use crate::listen::{Limits, Listener};
use crate::task::TaskGroup;
use std::io::{Read as _, Write as _};

const ONE: &str = "/site/tokyo-1/member/1";

fn member(path: &str) -> Expect {
    Expect::Principal(format!("kanto{path}").parse().unwrap())
}

/// A member that trusts `trusted`.
async fn serve(kanto: &Authority, trusted: &[&Authority]) -> (SocketAddr, TaskGroup) {
    let tasks = TaskGroup::new();
    let (identity, bundles) = (kanto.identity(ONE), trust(trusted));
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let listener =
        Listener::bind(anywhere, &identity, &bundles, &tasks, Limits::default()).await.unwrap();
    Echo::new(|_text, _peer| Ok(String::new())).serve(&tasks, listener.authenticated);
    (listener.addr, tasks)
}

#[tokio::test]
async fn a_member_that_answers_tells_who_it_is_and_its_time() {
    let kanto = Authority::new("kanto");
    let (addr, _tasks) = serve(&kanto, &[&kanto]).await;
    let dialer = Dialer::new(Some(kanto.identity("/user/alice")), trust(&[&kanto]));
    let answer = dialer.probe(&addr.into(), &member(ONE)).await.unwrap();
    assert_eq!(answer.identity.unwrap().principal.to_string(), "kanto/site/tokyo-1/member/1");
    // The server's real clock, whatever clock its certificates are judged by.
    assert!(answer.date.unwrap() > Timestamp(1_760_000_000_000), "{:?}", answer.date);
    let other = dialer.probe(&addr.into(), &member("/site/tokyo-1/member/2")).await;
    let Err(Trouble::Stranger(why)) = other else { panic!("{other:?}") };
    assert!(why.contains("whom this connection is not for"), "{why}");
}

#[tokio::test]
async fn who_trusts_another_authority_says_so_at_either_end() {
    let (kanto, naniwa) = (Authority::new("kanto"), Authority::new("naniwa"));
    let (addr, _tasks) = serve(&kanto, &[&kanto]).await;
    let stranger = Dialer::new(Some(naniwa.identity("/user/bob")), trust(&[&kanto]));
    let refused = stranger.probe(&addr.into(), &member(ONE)).await.unwrap_err();
    let Trouble::Refused(why) = refused else { panic!("{refused:?}") };
    assert!(why.contains("not trusted there"), "{why}");
    // The same name and another key: a copy of the federation, or its former root.
    let copy = Authority::new("kanto");
    let dialer = Dialer::new(Some(kanto.identity("/user/alice")), trust(&[&copy]));
    let refused = dialer.probe(&addr.into(), &member(ONE)).await.unwrap_err();
    assert!(matches!(refused, Trouble::Stranger(_)), "{refused:?}");
}

#[tokio::test]
async fn nobody_and_who_speaks_something_else_are_unreachable() {
    let kanto = Authority::new("kanto");
    let dialer = Dialer::new(Some(kanto.identity("/user/alice")), trust(&[&kanto]));
    #[expect(clippy::disallowed_types, reason = "a port without our listener")]
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = other.local_addr().unwrap();
    let speaks = std::thread::Builder::new().spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        let mut hello = [0; 64];
        assert!(stream.read(&mut hello).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let heard = dialer.probe(&addr.into(), &member(ONE)).await;
    assert!(matches!(heard, Err(Trouble::Unreachable(_))), "{heard:?}");
    speaks.unwrap().join().unwrap();
    let silent = dialer.probe(&addr.into(), &member(ONE)).await.unwrap_err();
    let Trouble::Unreachable(why) = silent else { panic!("{silent:?}") };
    assert!(why.contains("refused"), "{why}");
}

#[tokio::test]
async fn a_port_is_free_taken_or_not_ours() {
    #[expect(clippy::disallowed_types, reason = "somebody else's listener")]
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = other.local_addr().unwrap();
    assert!(matches!(port(addr), Port::Taken));
    drop(other);
    assert!(matches!(port(addr), Port::Free));
    assert!(matches!(port("192.0.2.1:9".parse().unwrap()), Port::Refused(_)));
}

#[test]
fn dates_of_http_are_read_and_others_are_not() {
    let at = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
    assert_eq!(at.to_string(), "1994-11-06T08:49:37.000Z");
    let at = http_date("Tue, 29 Feb 2028 23:59:60 GMT").unwrap();
    assert_eq!(at.to_string(), "2028-03-01T00:00:00.000Z");
    for bad in [
        "",
        "Sun, 06 Nov 1994",
        "06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nix 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
    ] {
        assert_eq!(http_date(bad), None, "{bad}");
    }
}

#[test]
fn a_certificates_time_is_read_whatever_else_it_says() {
    let kanto = Authority::new("kanto");
    let leaf = kanto.leaf(ONE).days(-3, -1).issue();
    let (from, until) = validity(&leaf.der[0]).unwrap();
    assert_eq!(until.since_ms(from), 2 * 86_400_000);
    assert_eq!(validity(b"rubbish"), None);
}
