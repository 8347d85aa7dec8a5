//! Agents and landmarks over real sockets and mutual TLS (ADR 13): who is measured, how near, and who is not.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a broken set-up should fail loudly"
)]

mod apart;
mod liar;
mod process;

use parking_lot::Mutex;
use sekisho_agent::location::exchange::{ExchangeError, Occasion};
use sekisho_agent::location::prover::{FixError, Prover};
use sekisho_agent::location::{Fixes, Host, LandmarkAt, Landmarks, OwnFix, Table};
use sekisho_chaos::landmark::world::{CLUSTER, LIFE, SOON, World, anywhere};
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::location::transcript::{Expected, FixId, SignedTranscript, Subject};
use sekisho_evidence::location::wire::{Datagram, Frame, Hello, Ready, Refusal};
use sekisho_proto::status::ApiError;
use sekisho_transport::clock::SystemClock;
use sekisho_transport::conn::Conn;
use sekisho_transport::datagram::{Datagrams, Stamp};
use sekisho_transport::deadline::Deadline;
use sekisho_transport::identity::PeerClass;
use sekisho_transport::listen::Protocol;
use sekisho_transport::ranging;
use sekisho_transport::verify::Expect;
use sekisho_types::id::Digest;
use sekisho_types::time::Clock as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn occasion() -> Occasion<'static> {
    Occasion { cluster: &CLUSTER, incarnation: LIFE, fix: FixId([9; 16]) }
}

fn refusal(result: Result<SignedTranscript, ExchangeError>) -> Refusal {
    let error = result.unwrap_err();
    let ExchangeError::Refused(refusal) = error else { panic!("{error:?}") };
    refusal
}

fn verify(host: &Host, at: &LandmarkAt, signed: &SignedTranscript) {
    let expected = Expected {
        cluster: &CLUSTER,
        incarnation: LIFE,
        landmark: &at.landmark,
        subject: &host.subject,
        subject_key: &host.subject_key,
        signing_key: &host.receipt_key.public(),
    };
    signed.verify(expected).unwrap();
}

/// Stands between a host and a landmark, and does something with what comes from either. Ends when nothing comes.
fn between(
    landmark: &LandmarkAt,
    mut act: impl FnMut(&mut Vec<u8>, bool) -> bool + Send + 'static,
) -> SocketAddr {
    let front = Datagrams::bind(anywhere(), PeerClass::Agent).unwrap();
    let to = landmark.datagrams.as_ref().unwrap().to_string().parse().unwrap();
    let back = Datagrams::connect(to, PeerClass::Member).unwrap();
    let addr = front.addr();
    let idle = Duration::from_millis(1);
    let forward = move || {
        let (mut host, mut buffer) = (None, [0; 64]);
        let begun = Stamp::now().unwrap();
        while u128::from(Stamp::now().unwrap().since_ns(begun)) < SOON.as_nanos() {
            if let Some(got) = front.receive(&mut buffer, idle).unwrap() {
                host = Some(got.from);
                let mut bytes = buffer[..got.length].to_vec();
                if act(&mut bytes, false) {
                    back.send(&bytes).unwrap();
                }
            }
            if let Some(got) = back.receive(&mut buffer, idle).unwrap() {
                let mut bytes = buffer[..got.length].to_vec();
                if act(&mut bytes, true) {
                    // Back to the landmark if it was answered on the way.
                    match Datagram::parse(&bytes) {
                        Some(Datagram::Reply(..)) => back.send(&bytes).unwrap(),
                        _ => front.send_to(&bytes, host.unwrap()).unwrap(),
                    }
                }
            }
        }
    };
    drop(std::thread::Builder::new().name("between".into()).spawn(forward).unwrap());
    addr
}

struct Told(Table);

impl Landmarks for Told {
    async fn landmarks(&self) -> Result<Table, ApiError> {
        Ok(self.0.clone())
    }
}

#[derive(Default)]
struct Taken(Arc<Mutex<Vec<OwnFix>>>);

impl Fixes for Taken {
    async fn submit(&self, fix: OwnFix) -> Result<(), ApiError> {
        self.0.lock().push(fix);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_measured_by_two_landmarks_and_both_sign() {
    let world = World::new();
    let host = world.host("n-01", true);
    let landmarks =
        vec![world.landmark("kanto/otemachi").await, world.landmark("naniwa/otemachi").await];
    let taken = Taken::default();
    let fixes = Arc::clone(&taken.0);
    let table = Table { cluster: CLUSTER, incarnation: LIFE, landmarks: landmarks.clone() };
    let attempts = Arc::default();
    let prover = Prover { host: host.clone(), landmarks: Told(table), fixes: taken, attempts };
    assert_eq!(prover.once().await.unwrap(), 2);
    let fix = fixes.lock().pop().unwrap();
    for at in &landmarks {
        let id = &at.landmark.id;
        let signed = fix.transcripts.iter().find(|s| s.transcript.landmark == *id).unwrap();
        verify(&host, at, signed);
        let said = &signed.transcript;
        println!("{id}: {} of {} in {} ns", said.answered, said.asked, said.rtt_min_ns);
        assert_eq!((said.fix, said.instance), (fix.fix, host.instance));
        assert!(said.rtt_min_ns < 50_000_000, "{} ns on loopback", said.rtt_min_ns);
    }
    // Within a minute nobody measures it again.
    assert!(matches!(prover.once().await, Err(FixError::Unmeasured(2))));
    assert_eq!(refusal(host.exchange(occasion(), &landmarks[0]).await), Refusal::TooSoon);
    // Another one is.
    let other = world.host("n-02", true);
    let later = other.exchange(occasion(), &landmarks[0]).await.unwrap();
    let serial = |of: &SignedTranscript| of.transcript.serial;
    let first = fix.transcripts.iter().find(|s| s.transcript.landmark == landmarks[0].landmark.id);
    assert!(serial(&later) > serial(first.unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_delays_makes_a_host_seem_as_far_away_and_not_nearer() {
    let world = World::new();
    let at = world.landmark("kanto/otemachi").await;
    let mut host = world.host("n-01", true);
    let delay = Duration::from_millis(3);
    let addr = between(&at, move |_bytes, _home| {
        // waits: it is the delay
        std::thread::sleep(delay);
        true
    });
    host.via.insert(at.landmark.id.clone(), addr.into());
    let signed = host.exchange(occasion(), &at).await.unwrap();
    let rtt = Duration::from_nanos(signed.transcript.rtt_min_ns);
    assert!((2 * delay..Duration::from_millis(250)).contains(&rtt), "{rtt:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_without_the_key_is_not_counted() {
    let world = World::new();
    let at = world.landmark("kanto/otemachi").await;
    let mut host = world.host("n-01", true);
    let addr = between(&at, |bytes, home| {
        if let Some(Datagram::Ask(round, nonce)) = Datagram::parse(bytes).filter(|_| home) {
            *bytes = Datagram::Reply(round, nonce).bytes().to_vec();
        }
        true
    });
    host.via.insert(at.landmark.id.clone(), addr.into());
    assert_eq!(refusal(host.exchange(occasion(), &at).await), Refusal::Silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_not_measured() {
    let world = World::new();
    let at = world.landmark("kanto/otemachi").await;
    let stranger = world.host("n-01", false);
    assert_eq!(refusal(stranger.exchange(occasion(), &at).await), Refusal::NotEnrolled);
    // An enrolled one under the name of another.
    let _other = world.host("n-02", true);
    let mut liar = world.host("n-03", true);
    liar.subject = Subject::Node("tokyo-1/n-02".parse().unwrap());
    assert_eq!(refusal(liar.exchange(occasion(), &at).await), Refusal::NotEnrolled);
    // Or with the key of another.
    let mut liar = world.host("n-04", true);
    liar.subject_key = Digest([1; 32]);
    assert_eq!(refusal(liar.exchange(occasion(), &at).await), Refusal::NotEnrolled);
    // A landmark that another operator has in its place.
    let host = world.host("n-05", true);
    let mut other = at.clone();
    other.landmark.id = "naniwa/otemachi".parse().unwrap();
    assert!(matches!(host.exchange(occasion(), &other).await, Err(ExchangeError::Dial(_))));
    // Who signs with another key than the state's.
    let mut host = world.host("n-06", true);
    host.receipt_key = SigningKey::from_seed(&[1; 32]);
    assert_eq!(refusal(host.exchange(occasion(), &at).await), Refusal::NotSigned);
}

async fn dial(host: &Host, at: &LandmarkAt) -> Conn {
    let dialled = host.dialer.connect_for(Protocol::Ranging, &at.address, &Expect::AnyMember);
    dialled.await.unwrap()
}

async fn read(conn: &mut Conn) -> Frame {
    ranging::read(conn, Deadline::after(SOON)).await.unwrap()
}

async fn write(conn: &mut Conn, frame: &Frame) {
    ranging::write(conn, frame, Deadline::after(SOON)).await.unwrap();
}

fn hello(host: &Host, at: &LandmarkAt) -> Frame {
    Frame::Hello(Hello {
        landmark: at.landmark.id.clone(),
        fix: occasion().fix,
        subject: host.subject.clone(),
        subject_key: host.subject_key,
        instance: host.instance,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_who_does_not_show_the_cookie() {
    let world = World::new();
    let (at, host) = (world.landmark("kanto/otemachi").await, world.host("n-01", true));
    let mut conn = dial(&host, &at).await;
    write(&mut conn, &hello(&host, &at)).await;
    let Frame::Ready(Ready { mut cookie, port, .. }) = read(&mut conn).await else { panic!() };
    let to = at.datagrams.as_ref().unwrap().to_string().parse().unwrap();
    let socket = Datagrams::connect(to, PeerClass::Member).unwrap();
    assert_eq!(port, to.port());
    cookie[15] ^= 1;
    let sent = [
        Datagram::Cookie(cookie).bytes().to_vec(),
        [&Datagram::Cookie(cookie).bytes()[..], &[0]].concat(),
        Datagram::Reply(0, cookie).bytes().to_vec(),
        Vec::new(),
    ];
    for bytes in sent {
        socket.send(&bytes).unwrap();
    }
    assert_eq!(read(&mut conn).await, Frame::Refused(Refusal::NoCookie));
    assert_eq!(socket.receive(&mut [0; 64], Duration::from_millis(1)).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_or_says_nothing_ends_in_time() {
    let world = World::new();
    let (at, host) = (world.landmark("kanto/otemachi").await, world.host("n-01", true));
    for bytes in [&[0xff, 0xff][..], &[0, 0], &[0, 1, 0xff]] {
        let mut conn = dial(&host, &at).await;
        conn.write_all(bytes).await.unwrap();
        conn.flush().await.unwrap();
        assert_eq!(read(&mut conn).await, Frame::Refused(Refusal::Malformed), "{bytes:?}");
        assert!(conn.read_u8().await.is_err(), "it is closed");
    }
    let mut silent = dial(&host, &at).await;
    assert_eq!(read(&mut silent).await, Frame::Refused(Refusal::Malformed));
    // One that goes silent after the cookie holds the landmark no longer than a few rounds.
    let mut conn = dial(&host, &at).await;
    write(&mut conn, &hello(&host, &at)).await;
    let Frame::Ready(Ready { cookie, .. }) = read(&mut conn).await else { panic!() };
    let to = at.datagrams.as_ref().unwrap().to_string().parse().unwrap();
    let socket = Datagrams::connect(to, PeerClass::Member).unwrap();
    socket.send(&Datagram::Cookie(cookie).bytes()).unwrap();
    let other = world.host("n-02", true);
    verify(&other, &at, &other.exchange(occasion(), &at).await.unwrap());
    assert_eq!(read(&mut conn).await, Frame::Refused(Refusal::Silent));
}
