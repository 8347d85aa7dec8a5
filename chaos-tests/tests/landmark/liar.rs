//! A landmark that measures rightly and then says something else.

use super::*;
use sekisho_chaos::landmark::world::{World, anywhere, named};
use sekisho_evidence::location::exchange::{
    EXPORTER_LABEL, Exchange, ROUNDS_MIN, RangingKey, exporter_context,
};
use sekisho_evidence::location::transcript::{Transcript, TranscriptError};
use sekisho_transport::datagram::Received;
use sekisho_transport::listen::{Limits, Listener};
use tokio_stream::StreamExt as _;

/// Receives until something came.
fn receive(socket: &Datagrams, buffer: &mut [u8]) -> Option<Received> {
    socket.receive(buffer, SOON).unwrap()
}

/// An exchange with such a landmark. Whether its subject signed.
async fn liar(world: &World, spoil: fn(&mut Transcript)) -> (Result<(), ExchangeError>, bool) {
    let (landmark, _key) = named("kanto/otemachi");
    let limits = Limits { protocol: Protocol::Ranging, ..Limits::default() };
    let (identity, trust) = (world.member("kanto"), world.trust());
    let mut listener =
        Listener::bind(anywhere(), &identity, &trust, &world.tasks, limits).await.unwrap();
    let socket = Datagrams::bind(anywhere(), PeerClass::Agent).unwrap();
    let (address, datagrams) = (listener.addr.into(), Some(socket.addr().into()));
    let at = LandmarkAt { landmark: landmark.clone(), address, datagrams };
    let host = world.host("n-01", true);
    let server = async {
        let mut conn = listener.authenticated.next().await.unwrap().unwrap();
        let Frame::Hello(hello) = read(&mut conn).await else { panic!() };
        let context = exporter_context(&CLUSTER, &landmark.id, &hello.fix).unwrap();
        let key = RangingKey::new(conn.keying_material(EXPORTER_LABEL, &context).unwrap());
        let binding = key.binding();
        write(&mut conn, &Frame::Ready(Ready { serial: 1, cookie: [5; 16], port: 1 })).await;
        let started = SystemClock.wall();
        let tally = tokio::task::spawn_blocking(move || {
            let (mut exchange, mut buffer) = (Exchange::new(key), [0; 64]);
            let from = receive(&socket, &mut buffer).unwrap().from;
            for _ in 0..ROUNDS_MIN {
                let nonce = rand::random();
                let asked = exchange.ask(nonce).unwrap();
                socket.send_to(&Datagram::Ask(asked, nonce).bytes(), from).unwrap();
                loop {
                    let got = receive(&socket, &mut buffer).unwrap();
                    let datagram = Datagram::parse(&buffer[..got.length]);
                    if let Some(Datagram::Reply(round, reply)) = datagram {
                        exchange.answer(round, &reply, 1_000).unwrap();
                        break;
                    }
                }
            }
            exchange.tally().unwrap()
        });
        let mut transcript = Transcript {
            cluster: CLUSTER,
            incarnation: LIFE,
            landmark: landmark.id.clone(),
            position: landmark.position,
            subject: hello.subject,
            subject_key: hello.subject_key,
            instance: hello.instance,
            fix: hello.fix,
            binding,
            asked: 0,
            answered: 0,
            rtt_min_ns: 0,
            nonces: Digest([0; 32]),
            started,
            ended: started,
            serial: 1,
        }
        .with_tally(tally.await.unwrap());
        spoil(&mut transcript);
        write(&mut conn, &Frame::Drawn(Box::new(transcript))).await;
        let answer = ranging::read(&mut conn, Deadline::after(SOON)).await;
        matches!(answer, Ok(Frame::Agreed(_)))
    };
    let (exchanged, signed) = tokio::join!(host.exchange(occasion(), &at), server);
    (exchanged.map(drop), signed)
}

/// What it says otherwise, and of what.
type Lie = (fn(&mut Transcript), &'static str);

#[tokio::test(flavor = "multi_thread")]
async fn a_landmark_that_lies_gets_no_signature() {
    let world = World::new();
    let (broken_off, signed) = liar(&world, |_honest| {}).await;
    assert!(signed, "this one breaks off only after the signature: {broken_off:?}");
    let lies: [Lie; 4] = [
        (|t| t.position = "34.696,135.493".parse().unwrap(), "position"),
        (|t| t.nonces = Digest([0; 32]), "nonces"),
        (|t| t.subject = Subject::Node("tokyo-1/n-02".parse().unwrap()), "subject"),
        (|t| t.binding = Digest([0; 32]), "connection"),
    ];
    for (lie, about) in lies {
        let (refused, signed) = liar(&world, lie).await;
        let refused = refused.unwrap_err();
        let ExchangeError::Transcript(TranscriptError::Mismatch(what)) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((what, signed), (about, false));
    }
}
