//! Test-only: vitals and a clock that show what a test puts there.

use crate::vitals::{Vitals, VitalsSource};
use parking_lot::Mutex;
use sekisho_fsm::testing;
use sekisho_types::time::{Clock, Timestamp};
use std::sync::atomic::{AtomicU64, Ordering};

/// Shows what a test puts there.
#[derive(Debug, Default)]
pub(crate) struct FakeVitals(pub(crate) Mutex<Vitals>);

impl VitalsSource for FakeVitals {
    fn vitals(&self) -> Vitals {
        *self.0.lock()
    }
}

/// Stands at the fixture's beginning until moved.
#[derive(Debug)]
pub(crate) struct FakeClock(pub(crate) AtomicU64);

impl Clock for FakeClock {
    fn wall(&self) -> Timestamp {
        testing::BEGIN.plus_ms(self.0.load(Ordering::Relaxed))
    }
    fn boottime_ns(&self) -> u64 {
        self.0.load(Ordering::Relaxed) * 1_000_000
    }
}
