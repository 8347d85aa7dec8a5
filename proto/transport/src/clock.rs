//! The system's clocks. The only reader of `CLOCK_REALTIME` and `CLOCK_BOOTTIME` in the product.
//!
//! Must hold: leases are counted on boottime, which counts suspend and never steps (P4).

use nix::time::{ClockId, clock_gettime};
use rustls_pki_types::UnixTime;
use sekisho_types::time::{Clock, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Reads the kernel's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// Nanoseconds of `id`; 0 if the kernel does not know the clock, which no supported one does.
fn nanoseconds(id: ClockId) -> u64 {
    let Ok(time) = clock_gettime(id) else { return 0 };
    let (s, ns) = (u64::try_from(time.tv_sec()), u64::try_from(time.tv_nsec()));
    s.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(ns.unwrap_or(0))
}

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        Timestamp(nanoseconds(ClockId::CLOCK_REALTIME) / 1_000_000)
    }

    fn boottime_ns(&self) -> u64 {
        nanoseconds(ClockId::CLOCK_BOOTTIME)
    }
}

/// Gives rustls the same clock as everyone else, so that a test can move it past an expiry.
#[derive(Debug, Clone)]
pub(crate) struct TlsTime(pub(crate) Arc<dyn Clock>);

impl rustls::time_provider::TimeProvider for TlsTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0.wall()))
    }
}

/// Wall time in the form that path validation takes.
pub(crate) fn unix_time(at: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(at.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_run_and_are_not_each_other() {
        let clock = SystemClock;
        let before = clock.boottime_ns();
        assert!(clock.wall() > Timestamp(1_700_000_000_000));
        let mut after = clock.boottime_ns();
        while after == before {
            after = clock.boottime_ns();
        }
        assert!(after > before);
        // Boottime counts from boot, wall time from 1970.
        assert!(after / 1_000_000 < clock.wall().0);
    }
}
