//! Who is asked, what is believed, for how long.

#![expect(clippy::disallowed_types, reason = "the other end of a question")]

use super::*;
use crate::dial::{DialError, Dialer};
use crate::fixture::trust;
use crate::verify::Expect;
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, SOA};
use hickory_resolver::proto::rr::{RData, Record};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::AbortHandle;

/// What a resolver does with a question.
#[derive(Clone, Copy)]
enum Manner {
    /// One address of each family, kept for this many seconds.
    Knows(u32),
    /// This many addresses, which fit no datagram.
    KnowsMany(u8),
    NoSuchName,
    Refuses,
    Silent,
    /// Answers another question than it was asked, by its number.
    WrongId,
    /// Answers about another name.
    WrongName,
}

/// A resolver on loopback, and how often it was asked.
struct Server {
    addr: SocketAddr,
    asked: Arc<AtomicU64>,
    tasks: [AbortHandle; 2],
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Server {
    async fn new(manner: Manner) -> Self {
        // The number may be taken for the other protocol by a test beside this one.
        let (udp, tcp, addr) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let addr = udp.local_addr().unwrap();
            if let Ok(tcp) = TcpListener::bind(addr).await {
                break (udp, tcp, addr);
            }
        };
        let asked = Arc::<AtomicU64>::default();
        let count = Arc::clone(&asked);
        let datagrams = async move {
            let mut buffer = [0; 1500];
            loop {
                let (length, from) = udp.recv_from(&mut buffer).await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                if let Some(answer) = answer(&buffer[..length], manner) {
                    let bytes = answer.to_vec().unwrap();
                    let bytes =
                        if bytes.len() > 512 { answer.truncate().to_vec().unwrap() } else { bytes };
                    udp.send_to(&bytes, from).await.unwrap();
                }
            }
        };
        let streams = async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                while let Ok(length) = stream.read_u16().await {
                    let mut question = vec![0; usize::from(length)];
                    stream.read_exact(&mut question).await.unwrap();
                    let bytes = answer(&question, manner).unwrap().to_vec().unwrap();
                    stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
                    stream.write_all(&bytes).await.unwrap();
                }
            }
        };
        #[expect(clippy::disallowed_methods, reason = "aborted with the server")]
        let tasks = [tokio::spawn(datagrams).abort_handle(), tokio::spawn(streams).abort_handle()];
        Self { addr, asked, tasks }
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(question: &[u8], manner: Manner) -> Option<Message> {
    let question = Message::from_vec(question).unwrap();
    let id = if matches!(manner, Manner::WrongId) { !question.id } else { question.id };
    let mut answer = Message::response(id, question.metadata.op_code);
    let mut query = question.queries[0].clone();
    if matches!(manner, Manner::WrongName) {
        query.set_name(Name::from_ascii("other.example.").unwrap());
    }
    let name = query.name().clone();
    answer.add_query(query.clone());
    let data = |last: u8| {
        if query.query_type() == RecordType::AAAA {
            RData::AAAA(AAAA(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into())))
        } else {
            RData::A(A(Ipv4Addr::new(192, 0, 2, last)))
        }
    };
    let (count, ttl) = match manner {
        Manner::Silent => return None,
        Manner::Knows(ttl) => (1, ttl),
        Manner::WrongId | Manner::WrongName => (1, 60),
        Manner::KnowsMany(count) => (count, 60),
        Manner::NoSuchName => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            let soa = SOA::new(name.clone(), name.clone(), 1, 60, 60, 60, 60);
            answer.add_authority(Record::from_rdata(name, 60, RData::SOA(soa)));
            return Some(answer);
        }
        Manner::Refuses => {
            answer.metadata.response_code = ResponseCode::Refused;
            return Some(answer);
        }
    };
    for last in 1..=count {
        answer.add_answer(Record::from_rdata(name.clone(), ttl, data(last)));
    }
    Some(answer)
}

fn names(servers: &[&Server]) -> Names {
    let addrs: Vec<_> = servers.iter().map(|server| server.addr).collect();
    Names::configured(&addrs).unwrap()
}

async fn resolve(names: &Names, address: &str) -> Result<Vec<String>, ResolveError> {
    let found = names.resolve(&address.parse().unwrap()).await?;
    Ok(found.iter().map(ToString::to_string).collect())
}

const ADDRESS: &str = "c1.kanto.example:7443";
const FOUND: [&str; 2] = ["192.0.2.1:7443", "[2001:db8::1]:7443"];

#[tokio::test]
async fn a_name_is_asked_of_the_configured_resolvers_only() {
    let (ours, stranger) =
        (Server::new(Manner::Knows(60)).await, Server::new(Manner::Silent).await);
    let names = names(&[&ours]);
    assert_eq!(resolve(&names, ADDRESS).await.unwrap(), FOUND);
    assert_eq!(ours.asked(), 2, "one question for each family");
    // Kept as long as the answer says; and neither an address nor this host is asked for.
    assert_eq!(resolve(&names, ADDRESS).await.unwrap(), FOUND);
    assert_eq!(resolve(&names, "192.0.2.9:1").await.unwrap(), ["192.0.2.9:1"]);
    assert_eq!(resolve(&names, "localhost:9").await.unwrap()[0], "127.0.0.1:9");
    // A short name stays one: nothing is appended to it.
    assert_eq!(resolve(&names, "c1:7443").await.unwrap(), FOUND);
    assert_eq!((ours.asked(), stranger.asked()), (4, 0));
}

#[tokio::test]
async fn without_resolvers_a_name_is_refused_and_a_dial_says_so() {
    let nobody = Names::configured(&[]).unwrap();
    assert!(nobody.is_nobody());
    for name in [ADDRESS, "localhost:9"] {
        let refused = resolve(&nobody, name).await;
        assert!(matches!(refused, Err(ResolveError::NoResolvers)), "{refused:?}");
    }
    let dialer = Dialer::new(None, trust(&[]));
    let refused = dialer.connect(&ADDRESS.parse().unwrap(), &Expect::AnyMember).await.unwrap_err();
    assert!(matches!(refused, DialError::Resolve(_, ResolveError::NoResolvers)), "{refused:?}");
    assert!(crate::explain::explain(&refused).contains("set `resolvers`"));
}

#[tokio::test]
async fn an_answer_that_may_not_be_kept_is_asked_for_again() {
    let server = Server::new(Manner::Knows(0)).await;
    let names = names(&[&server]);
    for asked in [2, 4] {
        assert_eq!(resolve(&names, ADDRESS).await.unwrap(), FOUND);
        assert_eq!(server.asked(), asked);
    }
}

#[tokio::test]
async fn more_addresses_than_are_tried_are_cut_also_over_tcp() {
    let server = Server::new(Manner::KnowsMany(200)).await;
    let found = resolve(&names(&[&server]), ADDRESS).await.unwrap();
    assert_eq!(found.len(), ADDRESSES_MAX);
}

#[tokio::test]
async fn what_is_no_answer_is_not_believed() {
    let silent = async {
        let server = Server::new(Manner::Silent).await;
        let refused = resolve(&names(&[&server]), ADDRESS).await;
        assert!(matches!(refused, Err(ResolveError::Slow)), "{refused:?}");
    };
    let lies = async {
        for manner in [Manner::WrongId, Manner::WrongName] {
            let server = Server::new(manner).await;
            let refused = resolve(&names(&[&server]), ADDRESS).await;
            assert!(matches!(refused, Err(ResolveError::Slow)), "{refused:?}");
        }
    };
    let unknown = async {
        let server = Server::new(Manner::NoSuchName).await;
        let refused = resolve(&names(&[&server]), ADDRESS).await;
        assert!(matches!(refused, Err(ResolveError::NoAddress)), "{refused:?}");
        let refuses = Server::new(Manner::Refuses).await;
        let refused = resolve(&names(&[&refuses]), ADDRESS).await;
        assert!(matches!(refused, Err(ResolveError::Answer(_))), "{refused:?}");
        let unfit = format!("{}:1", "a".repeat(64));
        let refused = resolve(&names(&[&server]), &unfit).await;
        assert!(matches!(refused, Err(ResolveError::NoName)), "{refused:?}");
    };
    tokio::join!(silent, lies, unknown);
}

#[tokio::test]
async fn one_that_knows_is_enough_beside_those_that_do_not() {
    let knows = Server::new(Manner::Knows(60)).await;
    for manner in [Manner::Silent, Manner::NoSuchName, Manner::Refuses, Manner::WrongId] {
        let other = Server::new(manner).await;
        assert_eq!(resolve(&names(&[&other, &knows]), ADDRESS).await.unwrap(), FOUND);
    }
}

#[test]
fn resolvers_are_addresses_of_hosts_and_few() {
    let configured = |texts: &[&str]| {
        let addrs: Vec<_> = texts.iter().map(|text| text.parse().unwrap()).collect();
        Names::configured(&addrs)
    };
    assert!(!configured(&["192.0.2.53:53", "[2001:db8::53]:53"]).unwrap().is_nobody());
    assert!(matches!(configured(&["192.0.2.53:53"; 4]), Err(ResolversError::Count(4))));
    for bad in ["0.0.0.0:53", "[::]:53", "224.0.0.251:5353", "192.0.2.53:0"] {
        assert!(matches!(configured(&[bad]), Err(ResolversError::Address(_))), "{bad}");
    }
}

#[tokio::test]
async fn a_probe_takes_any_answer_for_one() {
    for manner in [Manner::Knows(60), Manner::NoSuchName, Manner::Refuses] {
        let server = Server::new(manner).await;
        probe(server.addr).await.unwrap();
        assert!(server.asked() > 0);
    }
    let silent = Server::new(Manner::Silent).await;
    assert!(matches!(probe(silent.addr).await, Err(ResolveError::Slow)));
}

/// Holds the counters of resolvers' bytes, sent and received.
#[derive(Default)]
struct Bytes([Arc<AtomicU64>; 2]);

impl Recorder for Bytes {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let has = |value: &str| key.labels().any(|label| label.value() == value);
        if key.name() != "sekisho_transport_bytes_total" || !has("resolver") {
            return Counter::noop();
        }
        Counter::from_arc(Arc::clone(&self.0[usize::from(has("received"))]))
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn questions_and_answers_are_counted() {
    let bytes = Bytes::default();
    let _counted = metrics::set_default_local_recorder(&bytes);
    let count = || bytes.0.each_ref().map(|count| count.load(Ordering::Relaxed));
    let server = Server::new(Manner::Knows(60)).await;
    resolve(&names(&[&server]), ADDRESS).await.unwrap();
    let [sent, received] = count();
    // Two questions of 12 bytes, the name and its kind, and what the library adds; the answers hold the question.
    assert!(sent >= 2 * 39 && received > sent, "{sent} {received}");
    let many = Server::new(Manner::KnowsMany(200)).await;
    resolve(&names(&[&many]), ADDRESS).await.unwrap();
    assert!(count()[1] > received + 2 * 200 * 16, "over TCP too");
}
