//! How long a synced write takes where the data lies.
//!
//! Must hold: nothing is left of it, and nothing of it is ever seen: the file has no name, so that a program that starts
//! meanwhile finds the directory as it was, and a doctor that is killed leaves nothing behind.

use crate::catalogue::host::{SYNC_FAILED, SYNC_FAST, SYNC_SLOW, SYNC_UNTRIED};
use crate::check::Finding;
use crate::limit::SYNC_BYTES;
use crate::unit::brief;
use nix::errno::Errno;
use nix::libc;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Why no write was measured.
#[derive(Debug)]
enum Trouble {
    /// It could not be tried.
    Untried(io::Error),
    /// It was tried, and failed.
    Failed(io::Error),
}

/// The check `data-sync`: `count` writes in `dir`, whose median may be `slow`.
#[must_use]
pub fn sync(dir: &Path, count: usize, slow: Duration) -> Finding {
    match measure(dir, count) {
        Ok(times) => judge(times, slow),
        Err(Trouble::Untried(error)) => Finding::new(&SYNC_UNTRIED).with("cause", error),
        Err(Trouble::Failed(error)) => Finding::new(&SYNC_FAILED).with("cause", error),
    }
}

fn measure(dir: &Path, count: usize) -> Result<Vec<Duration>, Trouble> {
    let opened = OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).mode(0o600).open(dir);
    let mut file = opened.map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
        // A disk that does not take a file would not take the program's either.
        Some(Errno::EIO | Errno::ENOSPC | Errno::EROFS | Errno::EDQUOT) => Trouble::Failed(error),
        Some(_) | None => Trouble::Untried(error),
    })?;
    let bytes = [0x5a; SYNC_BYTES];
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(Trouble::Failed)?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

fn judge(mut times: Vec<Duration>, slow: Duration) -> Finding {
    times.sort_unstable();
    let count = times.len();
    // The smallest that so many of a hundred do not exceed.
    let of = |percent: usize| {
        let rank = count.saturating_mul(percent).div_ceil(100).saturating_sub(1);
        times.get(rank).copied().unwrap_or_default()
    };
    let (p50, p99) = (of(50), of(99));
    Finding::new(if p50 > slow { &SYNC_SLOW } else { &SYNC_FAST })
        .with("count", count)
        .with("p50", brief(p50))
        .with("p99", brief(p99))
        .with("bound", brief(slow))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_timed_and_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let found = sync(dir.path(), 3, Duration::from_secs(60));
        assert_eq!(found.outcome.code, "SYNC_FAST", "{found:?}");
        assert_eq!(found.values()["count"], "3");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let none = sync(&dir.path().join("none"), 3, Duration::from_secs(60));
        assert_eq!(none.outcome.code, "SYNC_UNTRIED");
    }

    #[test]
    fn a_slow_disk_is_told_by_its_median_and_not_by_one_outlier() {
        let ms = Duration::from_millis;
        let mut times = vec![ms(2); 63];
        times.push(ms(900));
        let found = judge(times, ms(20));
        assert_eq!((found.outcome.code, found.values()["p99"].as_str()), ("SYNC_FAST", "900.0 ms"));
        let found = judge(vec![ms(30); 10], ms(20));
        assert_eq!((found.outcome.code, found.values()["p50"].as_str()), ("SYNC_SLOW", "30.0 ms"));
    }
}
