//! Streams: connections that keep order and break.

use super::super::limit::WINDOW;
use super::super::plan::Bug;
use super::super::platform::{sleep, spawn};
use super::super::wire;
use super::super::world::now;
use super::{Network, SimLink, refused};
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use rand::Rng as _;
use sekisho_raft::network::link::{LinkError, Packet, Replies};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// Whether a connection stands. Either end, either pump, and the weather may break it.
#[derive(Debug, Clone, Default)]
struct Connection(Arc<(AtomicBool, Notify)>);

impl Connection {
    fn reset(&self) {
        self.0.0.store(true, Ordering::Release);
        self.0.1.notify_waiters();
    }

    fn is_reset(&self) -> bool {
        self.0.0.load(Ordering::Acquire)
    }

    /// Resolves once it is broken.
    async fn broken(&self) {
        loop {
            let mut told = std::pin::pin!(self.0.1.notified());
            told.as_mut().enable();
            if self.is_reset() {
                return;
            }
            told.await;
        }
    }
}

fn reset_by_peer() -> LinkError {
    LinkError::Unreachable("connection reset".to_owned())
}

impl Network {
    /// How long a connection holds out on a cut way.
    fn patience(&self) -> Duration {
        Duration::from_millis(self.wires.lock().chance.random_range(200..6000))
    }

    /// Waits until what goes from one to the other arrives again. `false`: the connection does not hold out.
    async fn passable(&self, from: u64, to: u64) -> bool {
        let until = now() + self.patience();
        while self.is_cut(from, to) {
            if now() >= until {
                return false;
            }
            sleep(Duration::from_millis(20)).await;
        }
        true
    }
}

/// One direction of a connection: items leave it in order, each after its delay. Ends with its source.
fn pump<T: Send + 'static>(
    link: &SimLink,
    (from, to): (u64, u64),
    connection: &Connection,
    mut source: BoxStream<'static, T>,
) -> mpsc::Receiver<T> {
    let (network, connection) = (link.network.clone(), connection.clone());
    let (sent, mut under_way) = mpsc::channel(WINDOW);
    let (arrived, out) = mpsc::channel(WINDOW);
    let (timing, broken) = (network.clone(), connection.clone());
    spawn(async move {
        loop {
            let next = tokio::select! {
                biased;
                () = broken.broken() => return,
                next = source.next() => next,
            };
            let Some(item) = next else { return };
            let (delay, lost) = timing.draw();
            // A lost segment comes again, later.
            let delay = if lost { delay + Duration::from_millis(200) } else { delay };
            if sent.send((now() + delay, item)).await.is_err() {
                return;
            }
        }
    });
    let link = link.clone();
    spawn(async move {
        while let Some((at, item)) = under_way.recv().await {
            sleep(at.saturating_sub(now())).await;
            if !network.passable(from, to).await || link.peer().is_err() {
                connection.reset();
            }
            if connection.is_reset() || arrived.send(item).await.is_err() {
                return;
            }
        }
    });
    out
}

fn stream_of<T: Send + 'static>(receiver: mpsc::Receiver<T>) -> BoxStream<'static, T> {
    futures::stream::unfold(receiver, |mut receiver| async move {
        let item = receiver.recv().await?;
        Some((item, receiver))
    })
    .boxed()
}

impl SimLink {
    /// Opens an append stream.
    pub(super) async fn connect(
        &self,
        mut packets: BoxStream<'static, Packet>,
    ) -> Result<Replies, LinkError> {
        let first = packets.next().await.ok_or_else(reset_by_peer)?;
        if !self.network.passable(self.from, self.to).await {
            return Err(reset_by_peer());
        }
        sleep(self.network.draw().0).await;
        let (end, principal) = self.peer()?;
        let opened = end.inbound.open(&first.header, &principal).map_err(refused);
        sleep(self.network.draw().0).await;
        let header = opened?;
        let (there, back) = ((self.from, self.to), (self.to, self.from));
        let connection = Connection::default();
        let link = self.clone();
        let bodies = packets.map(move |packet| link.tampered(packet.body)).boxed();
        let requests = stream_of(pump(self, there, &connection, bodies));
        let link = self.clone();
        let requests = requests.inspect(move |body| link.note(&format!("append {}", body.len())));
        let answers = end.inbound.append(header, requests.boxed());
        let replies = pump(self, back, &connection, answers);
        let broken = connection.clone();
        let replies = futures::stream::unfold(Some(replies), move |replies| {
            let broken = broken.clone();
            async move {
                let mut replies = replies?;
                let next = tokio::select! {
                    biased;
                    next = replies.recv() => next,
                    () = broken.broken() => Some(Ok(Bytes::new())),
                };
                match next {
                    _ if broken.is_reset() => Some((Err(reset_by_peer()), None)),
                    None => None,
                    Some(Ok(answer)) => Some((Ok(answer), Some(replies))),
                    Some(Err(refusal)) => Some((Err(refused(refusal)), None)),
                }
            }
        });
        // A caller that goes away closes its connection.
        Ok(Closing { replies: replies.boxed(), connection }.into_stream())
    }

    /// The request, or with the planted bug one that claims too much.
    fn tampered(&self, body: Bytes) -> Bytes {
        if self.network.bug != Some(Bug::ApplyBeforeCommit) {
            return body;
        }
        match wire::committed_too_early(&body) {
            Some(bytes) => {
                self.network.world.count(|totals| totals.tampered += 1);
                bytes.into()
            }
            None => body,
        }
    }

    /// Sends a snapshot whole, then asks for the answer.
    pub(super) async fn transfer(
        &self,
        packets: BoxStream<'static, Packet>,
    ) -> Result<Bytes, LinkError> {
        let packets: Vec<Packet> = packets.collect().await;
        for _packet in &packets {
            let (delay, lost) = self.network.draw();
            sleep(delay).await;
            if lost || !self.network.passable(self.from, self.to).await {
                return Err(reset_by_peer());
            }
        }
        let (end, principal) = self.peer()?;
        let mut packets = packets.into_iter();
        let head = packets.next().ok_or_else(reset_by_peer)?;
        let header = end.inbound.open(&head.header, &principal).map_err(refused)?;
        self.note(&format!("snapshot head {}", head.body.len()));
        let pieces = futures::stream::iter(packets.map(|packet| packet.body)).boxed();
        let answer = end.inbound.snapshot(header, &head.body, pieces).await.map_err(refused);
        sleep(self.network.draw().0).await;
        if self.network.passable(self.to, self.from).await { answer } else { Err(reset_by_peer()) }
    }
}

/// Replies whose end, whatever it is, ends the connection.
struct Closing {
    replies: Replies,
    connection: Connection,
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.connection.reset();
    }
}

impl Closing {
    fn into_stream(self) -> Replies {
        futures::stream::unfold(self, |mut closing| async move {
            let next = closing.replies.next().await?;
            Some((next, closing))
        })
        .boxed()
    }
}
