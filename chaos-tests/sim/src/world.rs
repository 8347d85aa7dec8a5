//! What a run writes down: its trace, its counts, what it found.
//!
//! Must hold: everything that happens outside of the members (packets, syncs, answers, faults) is in the trace, in
//! order, so that two runs with one trace hash were one run.

use super::limit::TAIL;
use super::report::Totals;
use openraft_rt_sim::SimInstant;
use parking_lot::Mutex;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// FNV-1a, 64 bit. Not for security: it tells two runs apart, and two contents of one log id.
pub(super) fn fingerprint(bytes: &[u8], from: u64) -> u64 {
    bytes.iter().fold(from, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Where a fingerprint begins.
pub(super) const FINGERPRINT: u64 = 0xcbf2_9ce4_8422_2325;

/// Virtual time since the run began; zero outside of one.
pub(super) fn now() -> Duration {
    SimInstant::try_now().map(SimInstant::elapsed_since_start).unwrap_or_default()
}

/// A stream of chance of its own for each actor, so that one more draw here changes nothing there.
pub(super) fn chance(seed: u64, actor: &str) -> StdRng {
    StdRng::seed_from_u64(fingerprint(actor.as_bytes(), FINGERPRINT ^ seed.rotate_left(17)))
}

#[derive(Debug)]
struct Inner {
    hash: u64,
    tail: VecDeque<String>,
    keep: usize,
    violations: Vec<String>,
    totals: Totals,
}

/// The run's notebook. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct World(Arc<Mutex<Inner>>);

impl World {
    /// `whole`: every line is kept, not only the last.
    pub(super) fn new(whole: bool) -> Self {
        let keep = if whole { usize::MAX } else { TAIL };
        let (tail, violations, totals) = (VecDeque::new(), Vec::new(), Totals::default());
        Self(Arc::new(Mutex::new(Inner { hash: FINGERPRINT, tail, keep, violations, totals })))
    }

    /// Adds a line to the trace.
    pub(super) fn note(&self, line: &str) {
        let mut text = format!("{:>11.6} ", now().as_secs_f64());
        text.push_str(line);
        let mut inner = self.0.lock();
        inner.hash = fingerprint(text.as_bytes(), inner.hash);
        inner.tail.push_back(text);
        if inner.tail.len() > inner.keep {
            inner.tail.pop_front();
        }
    }

    /// Notes a promise that did not hold. The first ones are kept.
    pub(super) fn violation(&self, what: &str) {
        self.note(&format!("VIOLATION {what}"));
        let mut inner = self.0.lock();
        if inner.violations.len() < 8 {
            inner.violations.push(what.to_owned());
        }
    }

    /// Whether any promise was broken.
    pub(super) fn broken(&self) -> bool {
        !self.0.lock().violations.is_empty()
    }

    /// Counts.
    pub(super) fn count(&self, add: impl FnOnce(&mut Totals)) {
        add(&mut self.0.lock().totals);
    }

    /// Trace hash, violations, counts, last lines.
    pub(super) fn close(&self) -> (u64, Vec<String>, Totals, Vec<String>) {
        let inner = self.0.lock();
        let tail = inner.tail.iter().cloned().collect();
        (inner.hash, inner.violations.clone(), inner.totals, tail)
    }
}

/// Ids in a line.
pub(super) fn list(ids: &[u64]) -> String {
    let mut out = String::new();
    for id in ids {
        // Writing to a String cannot fail.
        write!(out, "{}{id}", if out.is_empty() { "" } else { "," }).unwrap_or_default();
    }
    out
}
