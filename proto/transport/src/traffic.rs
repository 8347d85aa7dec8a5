//! Bytes by class of peer: `sekisho_transport_bytes_total` and the same numbers for tests and `status` (D3).
//! Counts application data above TLS: what a peer can learn, without record and handshake overhead.

use crate::connections::Bytes;
use crate::identity::PeerClass;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Totals of all classes.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    member: Arc<Totals>,
    agent: Arc<Totals>,
    user: Arc<Totals>,
    anonymous: Arc<Totals>,
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

    pub(crate) fn meter(&self, class: PeerClass) -> Meter {
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
        }
    }
}

/// Counts for one connection.
pub(crate) struct Meter {
    totals: Arc<Totals>,
    sent: metrics::Counter,
    received: metrics::Counter,
    open: metrics::Gauge,
}

impl Meter {
    pub(crate) fn sent(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.totals.sent.fetch_add(bytes, Ordering::Relaxed);
        self.sent.increment(bytes);
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
