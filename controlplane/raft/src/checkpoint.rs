//! Points at which every voter signs a checkpoint, in the order of the log.
//!
//! Must hold: each point is handed out, never only the last of a batch: agents wait for the one that covers their
//! desired set. Bounded: a signer that is further behind than [`CHECKPOINTS_KEPT`] is told what it missed and
//! goes on with the oldest kept. After a restart, points that were signed before come again.

use crate::limit::CHECKPOINTS_KEPT;
use parking_lot::Mutex;
use sekisho_evidence::checkpoint::Checkpoint;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;

#[derive(Debug, Default)]
struct Ring {
    /// Number of the first kept.
    first: u64,
    points: VecDeque<Checkpoint>,
}

impl Ring {
    fn next(&self) -> u64 {
        self.first.saturating_add(u64::try_from(self.points.len()).unwrap_or(u64::MAX))
    }
}

/// The ring. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Checkpoints {
    ring: Arc<Mutex<Ring>>,
    end: Arc<watch::Sender<u64>>,
}

impl Checkpoints {
    pub(crate) fn push(&self, points: Vec<Checkpoint>) {
        if points.is_empty() {
            return;
        }
        let mut ring = self.ring.lock();
        ring.points.extend(points);
        while ring.points.len() > CHECKPOINTS_KEPT {
            ring.points.pop_front();
            ring.first = ring.first.saturating_add(1);
        }
        let next = ring.next();
        drop(ring);
        self.end.send_replace(next);
    }

    /// The newest point since this process started.
    #[must_use]
    pub fn latest(&self) -> Option<Checkpoint> {
        self.ring.lock().points.back().copied()
    }

    /// Every point from the oldest kept on.
    #[must_use]
    pub fn subscribe(&self) -> CheckpointStream {
        let end = self.end.subscribe();
        CheckpointStream { ring: Arc::clone(&self.ring), next: self.ring.lock().first, end }
    }
}

/// What a subscriber gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointEvent {
    /// The next point.
    Point(Checkpoint),
    /// So many points were pushed out before this subscriber took them.
    Missed(u64),
}

/// A reader of the ring.
#[derive(Debug)]
pub struct CheckpointStream {
    ring: Arc<Mutex<Ring>>,
    next: u64,
    end: watch::Receiver<u64>,
}

impl CheckpointStream {
    /// The next event; waits for it. `None` once the member is gone.
    pub async fn next(&mut self) -> Option<CheckpointEvent> {
        loop {
            if let Some(event) = self.take() {
                return Some(event);
            }
            self.end.changed().await.ok()?;
        }
    }

    fn take(&mut self) -> Option<CheckpointEvent> {
        let ring = self.ring.lock();
        if self.next < ring.first {
            let missed = ring.first.saturating_sub(self.next);
            self.next = ring.first;
            return Some(CheckpointEvent::Missed(missed));
        }
        let at = usize::try_from(self.next.saturating_sub(ring.first)).ok()?;
        let point = ring.points.get(at)?;
        self.next = self.next.saturating_add(1);
        Some(CheckpointEvent::Point(*point))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_evidence::merkle::Head;
    use sekisho_types::id::{ClusterId, Digest};
    use sekisho_types::revision::{Incarnation, Revision};
    use sekisho_types::time::Timestamp;

    fn point(revision: u64) -> Checkpoint {
        Checkpoint {
            cluster: ClusterId([1; 16]),
            incarnation: Incarnation(1),
            head: Head { size: revision, root: Digest([0; 32]) },
            revision: Revision(revision),
            time: Timestamp(0),
        }
    }

    #[tokio::test]
    async fn every_point_comes_once_and_a_slow_reader_learns_what_it_missed() {
        let checkpoints = Checkpoints::default();
        assert_eq!(checkpoints.latest(), None);
        let mut slow = checkpoints.subscribe();
        checkpoints.push(vec![point(1), point(2)]);
        let mut late = checkpoints.subscribe();
        for reader in [&mut slow, &mut late] {
            assert_eq!(reader.next().await, Some(CheckpointEvent::Point(point(1))));
        }
        let kept = u64::try_from(CHECKPOINTS_KEPT).unwrap();
        checkpoints.push((3..kept + 10).map(point).collect());
        assert_eq!(slow.next().await, Some(CheckpointEvent::Missed(8)));
        assert_eq!(slow.next().await, Some(CheckpointEvent::Point(point(10))));
        assert_eq!(checkpoints.latest(), Some(point(kept + 9)));
        drop(checkpoints);
        for _ in 11..kept + 10 {
            assert!(matches!(slow.next().await, Some(CheckpointEvent::Point(_))));
        }
        assert_eq!(slow.next().await, None);
    }
}
