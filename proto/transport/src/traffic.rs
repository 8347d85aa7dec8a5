//! Bytes by class of peer: `sekisho_transport_bytes_total` and the same numbers for tests and `status` (D3).
//! Counts application data above TLS: what a peer can learn, without record and handshake overhead.
//!
//! Must hold: `sekisho_transport_unproven_peer_bytes_total` grows by every byte written to a dialled peer that the
//! state of this process does not list (D3). Answers to whoever dialled here are the API's, counted by class: the
//! refusal of a stranger is no federation state.

use crate::connections::{Bytes, Direction};
use crate::identity::{Peer, PeerClass};
use arc_swap::ArcSwapOption;
use sekisho_types::principal::Principal;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Totals of all classes.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    member: Arc<Totals>,
    agent: Arc<Totals>,
    user: Arc<Totals>,
    landmark: Arc<Totals>,
    anonymous: Arc<Totals>,
    proof: Arc<Proof>,
}

/// Who is enrolled, and what went to others.
#[derive(Debug, Default)]
struct Proof {
    enrolled: ArcSwapOption<BTreeSet<Principal>>,
    unproven: AtomicU64,
}

/// The dialled peer of one connection.
struct Judged {
    peer: Option<Principal>,
    proof: Arc<Proof>,
    unproven: metrics::Counter,
}

impl Judged {
    fn sent(&self, bytes: u64) {
        let enrolled = self.proof.enrolled.load();
        let Some(enrolled) = enrolled.as_ref() else { return };
        if self.peer.as_ref().is_none_or(|peer| !enrolled.contains(peer)) {
            self.proof.unproven.fetch_add(bytes, Ordering::Relaxed);
            self.unproven.increment(bytes);
        }
    }
}

fn unproven() -> metrics::Counter {
    metrics::counter!("sekisho_transport_unproven_peer_bytes_total")
}

#[derive(Debug, Default)]
struct Totals {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Traffic {
    fn of(&self, class: PeerClass) -> &Arc<Totals> {
        match class {
            PeerClass::Member => &self.member,
            PeerClass::Agent => &self.agent,
            PeerClass::User => &self.user,
            PeerClass::Landmark => &self.landmark,
            PeerClass::Anonymous => &self.anonymous,
        }
    }

    pub(crate) fn bytes(&self, class: PeerClass) -> Bytes {
        let totals = self.of(class);
        Bytes {
            sent: totals.sent.load(Ordering::Relaxed),
            received: totals.received.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn judge_by(&self, enrolled: BTreeSet<Principal>) {
        // Shown from the start: a series that is missing and one that reads 0 are not the same evidence.
        unproven().increment(0);
        self.proof.enrolled.store(Some(Arc::new(enrolled)));
    }

    pub(crate) fn to_unproven(&self) -> u64 {
        self.proof.unproven.load(Ordering::Relaxed)
    }

    pub(crate) fn meter(&self, direction: Direction, peer: &Peer) -> Meter {
        let class = peer.class();
        let judged = (direction == Direction::Dialled).then(|| Judged {
            peer: peer.identity.as_ref().map(|identity| identity.principal.clone()),
            proof: Arc::clone(&self.proof),
            unproven: unproven(),
        });
        let counter = |direction: &'static str| {
            metrics::counter!(
                "sekisho_transport_bytes_total", "direction" => direction, "class" => class.as_str()
            )
        };
        let open = metrics::gauge!("sekisho_transport_connections", "class" => class.as_str());
        open.increment(1.0);
        Meter {
            totals: Arc::clone(self.of(class)),
            sent: counter("sent"),
            received: counter("received"),
            open,
            judged,
        }
    }
}

/// Counts for one connection.
pub(crate) struct Meter {
    totals: Arc<Totals>,
    sent: metrics::Counter,
    received: metrics::Counter,
    open: metrics::Gauge,
    judged: Option<Judged>,
}

impl Meter {
    pub(crate) fn sent(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.totals.sent.fetch_add(bytes, Ordering::Relaxed);
        self.sent.increment(bytes);
        if let Some(judged) = &self.judged {
            judged.sent(bytes);
        }
    }

    pub(crate) fn received(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.totals.received.fetch_add(bytes, Ordering::Relaxed);
        self.received.increment(bytes);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.open.decrement(1.0);
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("totals", &self.totals).finish_non_exhaustive()
    }
}
