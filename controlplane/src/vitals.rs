//! What this member knows of itself, looked up beside its work: its disk, its load, the end of its certificate, and
//! whether it has sent anything to whom it should not (D3).
//!
//! Must hold: whoever asks never waits for the disk; a disk that does not answer is unknown, not as it was.

use parking_lot::Mutex;
use sekisho_api::vitals::{Disk, Load, Vitals, VitalsSource};
use sekisho_raft::consensus::{Consensus, InFlight, Priority};
use sekisho_transport::connections::Connections;
use sekisho_transport::credential::Identity;
use sekisho_types::time::Clock;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A disk that takes longer to say how full it is has failed.
const DISK_ANSWERS: Duration = Duration::from_secs(2);

/// How long a refused proposal is shown.
const SHED_SHOWN: Duration = Duration::from_secs(60);

/// A lane's count of refused proposals, and when it last grew.
#[derive(Debug, Clone, Copy, Default)]
struct Shed {
    count: u64,
    /// On `CLOCK_BOOTTIME`, nanoseconds.
    grew_ns: Option<u64>,
}

impl Shed {
    fn note(&mut self, count: u64, now_ns: u64) {
        if count > self.count {
            *self = Self { count, grew_ns: Some(now_ns) };
        }
    }

    fn lately(self, now_ns: u64) -> bool {
        let within = |at: u64| u128::from(now_ns.saturating_sub(at)) < SHED_SHOWN.as_nanos();
        self.grew_ns.is_some_and(within)
    }
}

#[derive(Debug, Default)]
struct Seen {
    disk: Option<Disk>,
    ordinary: Shed,
    internal: Shed,
}

/// The vitals of this process.
#[derive(Debug)]
pub struct MemberVitals {
    dir: PathBuf,
    identity: Identity,
    consensus: Consensus,
    connections: Arc<Connections>,
    clock: Arc<dyn Clock>,
    seen: Mutex<Seen>,
}

/// Room in the file system of `dir`. Blocks.
fn disk(dir: &Path) -> Option<Disk> {
    let found = nix::sys::statvfs::statvfs(dir).ok()?;
    let block = found.fragment_size();
    let (free, size) = (found.blocks_available(), found.blocks());
    Some(Disk { free: free.saturating_mul(block), size: size.saturating_mul(block) })
}

impl MemberVitals {
    /// Vitals of a member whose data lies in `dir`.
    #[must_use]
    pub fn new(
        dir: PathBuf,
        identity: Identity,
        consensus: Consensus,
        connections: Arc<Connections>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        Arc::new(Self { dir, identity, consensus, connections, clock, seen: Mutex::default() })
    }

    /// Looks again and again; ends only by being dropped.
    pub async fn follow(self: Arc<Self>) {
        loop {
            let dir = self.dir.clone();
            let looked = tokio::task::spawn_blocking(move || disk(&dir));
            let disk = timeout(DISK_ANSWERS, looked).await.ok().and_then(Result::ok).flatten();
            self.note(disk);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn note(&self, disk: Option<Disk>) {
        let now = self.clock.boottime_ns();
        let [ordinary, internal] = self.lanes();
        let mut seen = self.seen.lock();
        seen.disk = disk;
        seen.ordinary.note(ordinary.shed, now);
        seen.internal.note(internal.shed, now);
    }

    fn lanes(&self) -> [InFlight; 2] {
        [Priority::Ordinary, Priority::Internal].map(|lane| self.consensus.in_flight(lane))
    }
}

impl VitalsSource for MemberVitals {
    fn vitals(&self) -> Vitals {
        let now = self.clock.boottime_ns();
        let [ordinary, internal] = self.lanes();
        let seen = self.seen.lock();
        let load = |lane: InFlight, shed: Shed| {
            let shed_lately = shed.lately(now) || lane.shed > shed.count;
            Load { in_flight: lane.used, bound: lane.limit, shed_lately }
        };
        Vitals {
            certificate_ends: Some(self.identity.validity().1),
            disk: seen.disk,
            ordinary: load(ordinary, seen.ordinary),
            internal: load(internal, seen.internal),
            unproven_bytes: self.connections.bytes_to_unproven(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_shown_for_a_minute() {
        let (mut shed, second) = (Shed::default(), 1_000_000_000);
        assert!(!shed.lately(0));
        shed.note(3, 10 * second);
        shed.note(3, 40 * second);
        assert!(shed.lately(69 * second) && !shed.lately(70 * second));
        shed.note(4, 100 * second);
        assert!(shed.lately(101 * second));
    }

    #[test]
    fn a_disk_says_how_full_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let Disk { free, size } = disk(dir.path()).unwrap();
        assert!(size >= free && size > 0);
        assert_eq!(disk(&dir.path().join("gone")), None);
    }
}
