//! Links that delay, lose, cut one way, and deliver late.
//!
//! A call is a packet each way; one that is lost leaves its caller waiting until its time is over, and one that is
//! delayed still takes effect. A stream is a connection: in order, held up while its way is cut, reset when that lasts
//! too long or by chance, and when either end is gone.
//!
//! Must hold: what [`sekisho_raft::network::link`] says of links, and nothing better.

mod stream;

use super::plan::Bug;
use super::platform::{Sim, limited, sleep, spawn};
use super::world::{World, chance};
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::BoxStream;
use parking_lot::Mutex;
use rand::Rng as _;
use rand::rngs::StdRng;
use sekisho_raft::PeerNode;
use sekisho_raft::network::inbound::Inbound;
use sekisho_raft::network::link::{Lane, LinkError, Links, Method, Packet, RaftLink, Replies};
use sekisho_raft::network::message::Refusal;
use sekisho_types::id::MemberId;
use sekisho_types::principal::Principal;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// A member as the network reaches it.
#[derive(Clone)]
pub(super) struct End {
    pub(super) inbound: Inbound<Sim>,
    pub(super) alive: Arc<AtomicBool>,
}

/// The weather.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    /// One way, microseconds, at least and at most.
    pub(super) delay: (u64, u64),
    /// Share of packets that are lost, in thousandths.
    pub(super) loss: u32,
    /// Share of packets that come seconds late, in thousandths.
    pub(super) late: u32,
}

struct Wires {
    chance: StdRng,
    weather: Weather,
    cut: BTreeSet<(u64, u64)>,
    ends: BTreeMap<u64, End>,
}

/// The network of one run. Clones share it.
#[derive(Clone)]
pub(super) struct Network {
    world: World,
    bug: Option<Bug>,
    principals: Arc<BTreeMap<u64, Principal>>,
    wires: Arc<Mutex<Wires>>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

impl Network {
    pub(super) fn new(
        seed: u64,
        world: &World,
        nodes: &BTreeMap<MemberId, PeerNode>,
        weather: Weather,
        bug: Option<Bug>,
    ) -> Self {
        let principals = nodes.iter().map(|(id, node)| (id.0, node.principal(*id))).collect();
        let (cut, ends) = (BTreeSet::new(), BTreeMap::new());
        let wires = Wires { chance: chance(seed, "network"), weather, cut, ends };
        let wires = Arc::new(Mutex::new(wires));
        Self { world: world.clone(), bug, principals: Arc::new(principals), wires }
    }

    /// A member can be reached from now on.
    pub(super) fn connect(&self, member: u64, end: End) {
        self.wires.lock().ends.insert(member, end);
    }

    /// It cannot.
    pub(super) fn disconnect(&self, member: u64) {
        let gone = self.wires.lock().ends.remove(&member);
        drop(gone);
    }

    /// Forgets everybody, so that nobody keeps anybody alive.
    pub(super) fn clear(&self) {
        let gone = std::mem::take(&mut self.wires.lock().ends);
        drop(gone);
    }

    pub(super) fn set_weather(&self, weather: Weather) {
        self.wires.lock().weather = weather;
    }

    /// Nothing goes from `a` to `b`.
    pub(super) fn cut(&self, a: u64, b: u64) {
        self.wires.lock().cut.insert((a, b));
    }

    /// What goes from `a` to `b` arrives again.
    pub(super) fn mend(&self, a: u64, b: u64) {
        self.wires.lock().cut.remove(&(a, b));
    }

    fn is_cut(&self, from: u64, to: u64) -> bool {
        self.wires.lock().cut.contains(&(from, to))
    }

    fn end(&self, member: u64) -> Option<End> {
        let end = self.wires.lock().ends.get(&member).cloned();
        end.filter(|end| end.alive.load(Ordering::Acquire))
    }

    /// Delay of the next packet; whether it is lost; whether it comes after its sender has given up.
    fn draw(&self) -> (Duration, bool) {
        let mut wires = self.wires.lock();
        let Weather { delay: (least, most), loss, late } = wires.weather;
        let mut delay = Duration::from_micros(wires.chance.random_range(least..=most));
        if wires.chance.random_ratio(late.min(1000), 1000) {
            delay += Duration::from_millis(wires.chance.random_range(300..8000));
            self.world.count(|totals| totals.late += 1);
        }
        (delay, wires.chance.random_ratio(loss.min(1000), 1000))
    }

    /// One packet's way. `false`: it never arrives.
    async fn hop(&self, from: u64, to: u64) -> bool {
        let (delay, lost) = self.draw();
        sleep(delay).await;
        !lost && !self.is_cut(from, to)
    }

    /// Links of one process of `member`.
    pub(super) fn links(&self, member: u64, alive: &Arc<AtomicBool>) -> Arc<dyn Links> {
        Arc::new(SimLinks { network: self.clone(), from: member, alive: Arc::clone(alive) })
    }
}

/// What a refusal looks like over gRPC.
fn refused(refusal: Refusal) -> LinkError {
    match refusal {
        Refusal::NoCertificate | Refusal::Header(_) | Refusal::Body(_) | Refusal::Busy => {
            LinkError::Refused(refusal.to_string())
        }
        Refusal::Stalled(_) | Refusal::Late(_) => LinkError::Timeout,
        Refusal::Stopping(_) | Refusal::Unproven => LinkError::Unreachable(refusal.to_string()),
    }
}

#[derive(Debug)]
struct SimLinks {
    network: Network,
    from: u64,
    alive: Arc<AtomicBool>,
}

impl Links for SimLinks {
    fn link(&self, member: MemberId, _node: &PeerNode) -> Arc<dyn RaftLink> {
        let (network, alive) = (self.network.clone(), Arc::clone(&self.alive));
        Arc::new(SimLink { network, from: self.from, to: member.0, alive })
    }
}

#[derive(Debug, Clone)]
struct SimLink {
    network: Network,
    from: u64,
    to: u64,
    alive: Arc<AtomicBool>,
}

impl SimLink {
    /// The other end, if both ends live; this one's principal as its certificate would show it.
    fn peer(&self) -> Result<(End, Principal), LinkError> {
        let gone = || LinkError::Unreachable("connection refused".to_owned());
        if !self.alive.load(Ordering::Acquire) {
            return Err(gone());
        }
        let principal = self.network.principals.get(&self.from).ok_or_else(gone)?;
        Ok((self.network.end(self.to).ok_or_else(gone)?, principal.clone()))
    }

    fn note(&self, what: &str) {
        self.network.world.note(&format!("{}>{} {what}", self.from, self.to));
    }

    /// Both hops of a call, whether its caller still waits or not. `None`: no answer ever comes.
    async fn exchange(&self, method: Method, packet: Packet) -> Option<Result<Bytes, LinkError>> {
        if !self.network.hop(self.from, self.to).await {
            return None;
        }
        let answer = match self.peer() {
            Err(gone) => Err(gone),
            Ok((end, principal)) => {
                self.note(&format!("{method:?} {}", packet.body.len()));
                match end.inbound.open(&packet.header, &principal) {
                    Ok(header) => {
                        end.inbound.call(header, method, &packet.body).await.map_err(refused)
                    }
                    Err(refusal) => Err(refused(refusal)),
                }
            }
        };
        self.network.hop(self.to, self.from).await.then_some(answer)
    }
}

impl RaftLink for SimLink {
    fn call(
        &self,
        method: Method,
        packet: Packet,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Bytes, LinkError>> {
        let link = self.clone();
        async move {
            let (tell, told) = oneshot::channel();
            // On its own: a packet that is under way arrives although its sender has given up.
            spawn(async move {
                match link.exchange(method, packet).await {
                    Some(answer) => tell.send(answer).unwrap_or_default(),
                    // Silence: the caller must not learn from the end of this task that nothing comes.
                    None => sleep(ttl).await,
                }
            });
            match limited(ttl, told).await {
                Some(Ok(answer)) => answer,
                Some(Err(_)) | None => Err(LinkError::Timeout),
            }
        }
        .boxed()
    }

    fn append(
        &self,
        _lane: Lane,
        packets: BoxStream<'static, Packet>,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Replies, LinkError>> {
        let link = self.clone();
        async move { limited(ttl, link.connect(packets)).await.unwrap_or(Err(LinkError::Timeout)) }
            .boxed()
    }

    fn snapshot(
        &self,
        packets: BoxStream<'static, Packet>,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Bytes, LinkError>> {
        let link = self.clone();
        async move { limited(ttl, link.transfer(packets)).await.unwrap_or(Err(LinkError::Timeout)) }
            .boxed()
    }
}
