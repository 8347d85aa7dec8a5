//! Every live connection, so that it can be ended: by trust domain, by principal, or by an injected fault.
//!
//! Must hold: a connection stands here before its first byte is handed to anyone, and whoever changes what is
//! allowed changes it first and cuts second; so no connection slips between the two (P5).

use crate::identity::{Peer, PeerClass};
use crate::source::Source;
use crate::traffic::{Meter, Traffic};
use parking_lot::{Mutex, RwLock};
use sekisho_types::principal::Principal;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_util::sync::CancellationToken;

/// Who made the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// The peer.
    Accepted,
    /// This process.
    Dialled,
}

/// Which links may exist: the hook of fault injection, which closes real sockets instead of pretending. Asked when
/// a connection is made and for each live one when the policy is set.
pub trait LinkPolicy: Send + Sync + fmt::Debug {
    /// Whether to try this address at all.
    fn allow_dial(&self, addr: SocketAddr) -> bool;
    /// Whether a connection with this authenticated (or anonymous) peer may exist.
    fn allow(&self, direction: Direction, peer: &Peer) -> bool;
}

/// The policy of production: every authenticated link may exist.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllowAll;

impl LinkPolicy for AllowAll {
    fn allow_dial(&self, _addr: SocketAddr) -> bool {
        true
    }
    fn allow(&self, _direction: Direction, _peer: &Peer) -> bool {
        true
    }
}

#[derive(Debug)]
struct Live {
    direction: Direction,
    peer: Peer,
    cut: CancellationToken,
}

/// The live connections, and how many were accepted from each principal, and without a certificate from each source.
#[derive(Debug, Default)]
struct LiveSet {
    rows: BTreeMap<u64, Live>,
    accepted: BTreeMap<Principal, usize>,
    anonymous: BTreeMap<Source, usize>,
}

/// One more is counted under `key`; how many there are now.
fn count_up<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) -> usize {
    let count = counts.entry(key).or_default();
    *count = count.saturating_add(1);
    *count
}

/// One less; what has none left is forgotten.
fn count_down<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl LiveSet {
    /// How many of the same maker there are now, this one included; 0 for a dialled one.
    fn insert(&mut self, id: u64, live: Live) -> usize {
        let crowd = match live.accepted_from() {
            Some(Maker::Principal(principal)) => count_up(&mut self.accepted, principal.clone()),
            Some(Maker::Source(source)) => count_up(&mut self.anonymous, source),
            None => 0,
        };
        self.rows.insert(id, live);
        crowd
    }

    fn remove(&mut self, id: u64) -> Option<Live> {
        let live = self.rows.remove(&id)?;
        match live.accepted_from() {
            Some(Maker::Principal(principal)) => count_down(&mut self.accepted, principal),
            Some(Maker::Source(source)) => count_down(&mut self.anonymous, &source),
            None => {}
        }
        Some(live)
    }
}

/// From whom a connection was accepted.
enum Maker<'a> {
    /// Somebody with a certificate.
    Principal(&'a Principal),
    /// Nobody that is known: only where it came from.
    Source(Source),
}

impl Live {
    /// Who made it, if it was accepted.
    fn accepted_from(&self) -> Option<Maker<'_>> {
        match (self.direction, &self.peer.identity) {
            (Direction::Dialled, _) => None,
            (Direction::Accepted, Some(identity)) => Some(Maker::Principal(&identity.principal)),
            (Direction::Accepted, None) => Some(Maker::Source(Source::of(self.peer.addr.ip()))),
        }
    }
}

/// The registry of live connections.
#[derive(Debug)]
pub struct Connections {
    next: AtomicU64,
    live: Mutex<LiveSet>,
    policy: RwLock<Arc<dyn LinkPolicy>>,
    traffic: Traffic,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            next: AtomicU64::new(0),
            live: Mutex::default(),
            policy: RwLock::new(Arc::new(AllowAll)),
            traffic: Traffic::default(),
        }
    }
}

impl Connections {
    /// Ends every live connection that `chosen` picks; both ends see it closed. Returns how many.
    pub fn cut(&self, chosen: impl Fn(&Peer) -> bool) -> usize {
        self.cut_links(|_direction, peer| chosen(peer))
    }

    fn cut_links(&self, chosen: impl Fn(Direction, &Peer) -> bool) -> usize {
        // Tokens are cancelled after the lock is released: cancelling wakes tasks that deregister here.
        let tokens: Vec<CancellationToken> = self
            .live
            .lock()
            .rows
            .values()
            .filter(|live| !live.cut.is_cancelled() && chosen(live.direction, &live.peer))
            .map(|live| live.cut.clone())
            .collect();
        tokens.iter().for_each(CancellationToken::cancel);
        tokens.len()
    }

    /// Puts a link policy in force and cuts what it no longer allows. Returns how many were cut.
    pub fn set_policy(&self, policy: Arc<dyn LinkPolicy>) -> usize {
        *self.policy.write() = Arc::clone(&policy);
        self.cut_links(|direction, peer| !policy.allow(direction, peer))
    }

    pub(crate) fn policy(&self) -> Arc<dyn LinkPolicy> {
        Arc::clone(&self.policy.read())
    }

    /// Peers of the live connections.
    #[must_use]
    pub fn live(&self) -> Vec<(Direction, Peer)> {
        self.live.lock().rows.values().map(|live| (live.direction, live.peer.clone())).collect()
    }

    /// Bytes of application data to (`sent`) and from peers of a class since start, both directions of dialling.
    #[must_use]
    pub fn bytes(&self, class: PeerClass) -> Bytes {
        self.traffic.bytes(class)
    }

    /// Tells who is enrolled in applied state, or in what stands for it: from now on every byte that this process
    /// writes on a connection that it dialled to anyone else is counted as sent to an unproven peer (D3). Before the
    /// first call nothing is judged: an agent has no applied state.
    pub fn judge_by(&self, enrolled: BTreeSet<Principal>) {
        self.traffic.judge_by(enrolled);
    }

    /// Bytes of application data to dialled peers that were not enrolled when they were written. Reads 0 (D3).
    #[must_use]
    pub fn bytes_to_unproven(&self) -> u64 {
        self.traffic.to_unproven()
    }

    /// Enters a connection. It leaves when the registration is dropped.
    pub(crate) fn register(
        self: &Arc<Self>,
        direction: Direction,
        peer: Peer,
        class: PeerClass,
        cut: CancellationToken,
    ) -> Registration {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let meter = self.traffic.meter(direction, &peer, class);
        let crowd = self.live.lock().insert(id, Live { direction, peer, cut: cut.clone() });
        Registration { registry: Arc::clone(self), id, cut, meter, crowd }
    }

    pub(crate) fn is_live(&self, id: u64) -> bool {
        self.live.lock().rows.get(&id).is_some_and(|live| !live.cut.is_cancelled())
    }
}

/// Bytes counted for one class of peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bytes {
    /// To peers.
    pub sent: u64,
    /// From peers.
    pub received: u64,
}

/// Keeps one connection in the registry.
#[derive(Debug)]
pub(crate) struct Registration {
    registry: Arc<Connections>,
    pub(crate) id: u64,
    pub(crate) cut: CancellationToken,
    pub(crate) meter: Meter,
    /// Live connections of the same principal, or without a certificate of the same source, when this one came, itself
    /// included. Counted once, in the order in which they came: those that came in time are not sent away by those after them.
    pub(crate) crowd: usize,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let gone = self.registry.live.lock().remove(self.id);
        drop(gone);
    }
}
