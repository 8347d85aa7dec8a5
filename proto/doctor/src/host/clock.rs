//! The clocks of this host.
//!
//! The wall clock cannot be proven right from within; it can be shown wrong by what is known to have happened, and the
//! kernel tells whether somebody keeps it right.

use crate::catalogue::any::ANY_UNREADABLE;
use crate::catalogue::clock::*;
use crate::check::Finding;
use crate::host::program::processes;
use crate::limit::{CLOCK_LOOSE, CLOCK_MOVES_WITHIN, SUSPEND_LEAST};
use crate::unit::{brief, long};
use nix::libc;
use nix::time::{ClockId, clock_gettime};
use sekisho_types::time::{Clock, Timestamp};
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// Something that is known to have happened, and what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Not before.
    pub at: Timestamp,
    /// How it is known, in words that stand in either language: the name of a file or a certificate.
    pub what: String,
}

/// The first day on which this program can have been built: its oldest file format is of 2026.
#[must_use]
pub fn oldest() -> Known {
    // 2026-11-01T00:00:00Z.
    Known { at: Timestamp(1_793_491_200_000), what: "sekisho".to_owned() }
}

/// When a file was last written, by this host's clock of then.
#[must_use]
pub fn written(path: &std::path::Path) -> Option<Known> {
    let modified = std::fs::metadata(path).ok()?.modified().ok()?;
    let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
    let at = Timestamp(u64::try_from(since.as_millis()).ok()?);
    Some(Known { at, what: path.display().to_string() })
}

/// The check `clock-wall`: by the latest of what is `known`.
#[must_use]
pub fn wall(clock: &dyn Clock, known: Vec<Known>) -> Finding {
    let last = known.into_iter().max_by_key(|known| known.at).unwrap_or_else(oldest);
    let now = clock.wall();
    Finding::new(if now < last.at { &WALL_BEHIND } else { &WALL_SOUND })
        .with("now", now)
        .with("bound", last.at)
        .with("what", last.what)
}

/// What the kernel knows of its wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kept {
    synced: bool,
    maxerror: Duration,
}

fn kept() -> io::Result<Kept> {
    #[expect(
        unsafe_code,
        reason = "nix has no adjtimex; no safe call tells whether the clock is kept"
    )]
    // SAFETY: all zero is a valid `timex`, by which nothing is set.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    #[expect(unsafe_code, reason = "as above")]
    // SAFETY: `timex` lives for the whole call, and with `modes` 0 the kernel only fills it in.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    let synced = state != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0;
    let maxerror = Duration::from_micros(u64::try_from(timex.maxerror).unwrap_or(0));
    Ok(Kept { synced, maxerror })
}

/// Programs that keep a wall clock right.
const SERVICES: [&str; 6] = ["chronyd", "systemd-timesyn", "ntpd", "ntpd-rs", "ptp4l", "openntpd"];

/// The check `clock-sync`.
#[must_use]
pub fn sync() -> Finding {
    let mut found: Vec<String> = processes().into_iter().map(|(_, name)| name).collect();
    found.retain(|name| SERVICES.contains(&name.as_str()));
    found.sort();
    found.dedup();
    let service = if found.is_empty() { "-".to_owned() } else { found.join(", ") };
    match kept() {
        Ok(kept) => judge_kept(kept, &service),
        Err(error) => Finding::new(&ANY_UNREADABLE).of(&CLOCK_SYNC).with("cause", error),
    }
}

fn judge_kept(kept: Kept, service: &str) -> Finding {
    let outcome = match kept {
        Kept { synced: false, .. } => &CLOCK_UNSYNCED,
        Kept { maxerror, .. } if maxerror > CLOCK_LOOSE => &CLOCK_LOOSE_BY,
        Kept { .. } => &CLOCK_SYNCED,
    };
    Finding::new(outcome).with("maxerror", brief(kept.maxerror)).with("service", service)
}

/// The check `clock-boot`. Blocks for as long as a clock may take to move.
#[must_use]
pub fn boot(clock: &dyn Clock) -> Finding {
    let begun = Instant::now();
    let first = clock.boottime_ns();
    let mut now = first;
    while now == first && begun.elapsed() < CLOCK_MOVES_WITHIN {
        std::thread::yield_now();
        now = clock.boottime_ns();
    }
    if now == first {
        return Finding::new(&BOOT_STANDS);
    }
    judge_boot(Duration::from_nanos(now), awake())
}

/// Time since boot without suspends.
fn awake() -> Option<Duration> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).ok()?;
    let (s, ns) = (u64::try_from(now.tv_sec()).ok()?, u32::try_from(now.tv_nsec()).ok()?);
    Some(Duration::new(s, ns))
}

fn judge_boot(uptime: Duration, awake: Option<Duration>) -> Finding {
    let suspended = awake.map_or(Duration::ZERO, |awake| uptime.saturating_sub(awake));
    let outcome = if suspended >= SUSPEND_LEAST { &BOOT_SUSPENDED } else { &BOOT_RUNS };
    Finding::new(outcome).with("uptime", long(uptime)).with("suspended", long(suspended))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_transport::clock::SystemClock;

    /// A wall clock that stands; boottime stands, too.
    #[derive(Debug)]
    struct Standing(u64);

    impl Clock for Standing {
        fn wall(&self) -> Timestamp {
            Timestamp(self.0)
        }
        fn boottime_ns(&self) -> u64 {
            7
        }
    }

    #[test]
    fn a_clock_before_what_has_happened_fails() {
        let at = oldest().at.0;
        let known = |at, what: &str| Known { at: Timestamp(at), what: what.to_owned() };
        let all = || vec![oldest(), known(at + 5000, "ledger"), known(at + 9000, "tag")];
        let behind = wall(&Standing(at + 8999), all());
        assert_eq!((behind.outcome.code, behind.values()["what"].as_str()), ("WALL_BEHIND", "tag"));
        assert_eq!(wall(&Standing(at + 9000), all()).outcome.code, "WALL_SOUND");
        assert_eq!(wall(&Standing(0), Vec::new()).outcome.code, "WALL_BEHIND");
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            wall(&SystemClock, written(dir.path()).into_iter().collect()).outcome.code,
            "WALL_SOUND"
        );
        assert_eq!(written(&dir.path().join("none")), None);
    }

    #[test]
    fn what_the_kernel_says_of_its_clock_decides() {
        let judged = |synced, ms| {
            let kept = Kept { synced, maxerror: Duration::from_millis(ms) };
            judge_kept(kept, "chronyd").outcome.code
        };
        assert_eq!(judged(true, 30), "CLOCK_SYNCED");
        assert_eq!(judged(true, 3000), "CLOCK_LOOSE_BY");
        assert_eq!(judged(false, 16_000), "CLOCK_UNSYNCED");
        assert_ne!(sync().outcome.code, "ANY_UNREADABLE");
    }

    #[test]
    fn a_clock_that_stands_or_slept_is_told() {
        assert_eq!(boot(&Standing(0)).outcome.code, "BOOT_STANDS");
        assert_ne!(boot(&SystemClock).outcome.code, "BOOT_STANDS");
        let judged = |awake| {
            judge_boot(Duration::from_secs(7200), Some(Duration::from_millis(awake))).outcome.code
        };
        assert_eq!(judged(7_199_500), "BOOT_RUNS");
        assert_eq!(judged(3_600_000), "BOOT_SUSPENDED");
    }
}
