//! Ways between members that hang or crawl when told to. [`super::cluster::Cluster::isolate`] ends connections, so that
//! both sides know; on a held way everything only waits, and nobody is told.

use crate::network::link::{Lane, LinkError, Links, Method, Packet, RaftLink, Replies};
use crate::type_config::PeerNode;
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{BoxStream, StreamExt as _};
use parking_lot::Mutex;
use sekisho_types::id::MemberId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// Packets of one stream that such a way takes before it delivers the first: a path with deep queues.
const DEPTH: usize = 4096;

/// What goes from one member to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Calls,
    Entries,
    Heartbeats,
    Snapshots,
    /// Answers to entries, on their way back to the one that sent these.
    Answers,
}

impl What {
    /// All that goes out.
    pub(super) const ALL: [Self; 4] =
        [Self::Calls, Self::Entries, Self::Heartbeats, Self::Snapshots];
}

type Way = (u64, u64, What);

#[derive(Debug, Default)]
struct State {
    held: watch::Sender<BTreeSet<Way>>,
    /// Those at which something waits, or has.
    stuck: watch::Sender<BTreeSet<Way>>,
    /// Time between two packets of one stream.
    crawls: Mutex<BTreeMap<Way, Duration>>,
}

/// The ways of one cluster. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Ways(Arc<State>);

impl Ways {
    /// From now on nothing of this kind gets from `from` to `to`, and nobody is told.
    pub(super) fn hold(&self, from: u64, to: u64, what: &[What]) {
        let ways = what.iter().map(|what| (from, to, *what));
        self.0.held.send_modify(|held| held.extend(ways));
    }

    /// What waits on this way goes on.
    pub(super) fn let_go(&self, from: u64, to: u64, what: What) {
        self.0.held.send_modify(|held| _ = held.remove(&(from, to, what)));
    }

    /// Whatever waits goes on.
    pub(super) fn release(&self) {
        self.0.held.send_modify(BTreeSet::clear);
        self.0.crawls.lock().clear();
    }

    /// At most one packet of a stream of this kind gets from `from` to `to` in each `pause`.
    pub(super) fn crawl(&self, from: u64, to: u64, what: What, pause: Duration) {
        self.0.crawls.lock().insert((from, to, what), pause);
    }

    /// The links of member `from`, over these ways.
    pub(super) fn over(&self, from: u64, links: Arc<dyn Links>) -> Arc<dyn Links> {
        Arc::new(Over { ways: self.clone(), from, links })
    }

    /// Resolves once something waits on this way.
    pub(super) async fn stuck(&self, from: u64, to: u64, what: What) {
        let mut stuck = self.0.stuck.subscribe();
        stuck.wait_for(|stuck| stuck.contains(&(from, to, what))).await.unwrap();
    }

    async fn free(&self, way: Way) {
        let mut held = self.0.held.subscribe();
        if held.borrow().contains(&way) {
            self.0.stuck.send_if_modified(|stuck| stuck.insert(way));
        }
        // The sender lives as long as this handle.
        held.wait_for(|held| !held.contains(&way)).await.unwrap();
    }

    fn through(self, way: Way, packets: BoxStream<'static, Packet>) -> BoxStream<'static, Packet> {
        let mut turn = Instant::now();
        let passing = packets.map(move |packet| {
            let (ways, pause) = (self.clone(), self.0.crawls.lock().get(&way).copied());
            turn = turn.max(Instant::now()) + pause.unwrap_or_default();
            async move {
                // waits: a path that crawls is the subject
                sleep_until(turn).await;
                ways.free(way).await;
                packet
            }
        });
        passing.buffered(DEPTH).boxed()
    }
}

#[derive(Debug)]
struct Over {
    ways: Ways,
    from: u64,
    links: Arc<dyn Links>,
}

impl Links for Over {
    fn link(&self, member: MemberId, node: &PeerNode) -> Arc<dyn RaftLink> {
        let link = self.links.link(member, node);
        Arc::new(OverLink { ways: self.ways.clone(), from: self.from, to: member.0, link })
    }
}

#[derive(Debug)]
struct OverLink {
    ways: Ways,
    from: u64,
    to: u64,
    link: Arc<dyn RaftLink>,
}

impl RaftLink for OverLink {
    fn call(
        &self,
        method: Method,
        packet: Packet,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Bytes, LinkError>> {
        let (ways, way) = (self.ways.clone(), (self.from, self.to, What::Calls));
        let call = self.link.call(method, packet, ttl);
        let whole = async move {
            ways.free(way).await;
            call.await
        };
        timeout(ttl, whole).map(|done| done.unwrap_or(Err(LinkError::Timeout))).boxed()
    }

    fn append(
        &self,
        lane: Lane,
        packets: BoxStream<'static, Packet>,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Replies, LinkError>> {
        let what = match lane {
            Lane::Entries => What::Entries,
            Lane::Heartbeats => What::Heartbeats,
        };
        let packets = self.ways.clone().through((self.from, self.to, what), packets);
        let (ways, back) = (self.ways.clone(), (self.from, self.to, What::Answers));
        let opening = self.link.append(lane, packets, ttl);
        if lane == Lane::Heartbeats {
            return opening;
        }
        async move {
            let answers = opening.await?;
            let held = answers.then(move |answer| {
                let ways = ways.clone();
                async move {
                    ways.free(back).await;
                    answer
                }
            });
            Ok(held.boxed())
        }
        .boxed()
    }

    fn snapshot(
        &self,
        packets: BoxStream<'static, Packet>,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Bytes, LinkError>> {
        let way = (self.from, self.to, What::Snapshots);
        self.link.snapshot(self.ways.clone().through(way, packets), ttl)
    }
}
