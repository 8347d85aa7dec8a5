//! The tick: moves the state clock, and gives every audit record a checkpoint.
//!
//! Must hold: each second while records are uncovered, otherwise every five; faster while the state clock lags so
//! far that one entry cannot catch up, because until then apply grants nothing and accepts no token, and while time has come
//! for a job, which is looked at by ticks alone.

use crate::driver::{Duty, DutyError};
use crate::limit::{TICK_CATCH_UP, TICK_DUE, TICK_IDLE, TICK_UNCOVERED};
use crate::replica::Replica;
use crate::stamp::Stamp;
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_raft::view::Wake;
use sekisho_types::limit::{CLOCK_STEP_MAX, PROPOSE_DEADLINE};
use sekisho_types::time::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// What the cadence depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    /// Whether audit records lie beyond the last checkpoint.
    pub uncovered: bool,
    /// How far the state clock is behind the wall clock, ms.
    pub behind_ms: u64,
    /// Whether a tick would find something to do with jobs.
    pub due: bool,
}

impl Cadence {
    /// Of this state, whose last checkpoint covered `covered` records.
    #[must_use]
    pub fn of(state: &State, covered: u64, wall: Timestamp) -> Self {
        Self {
            uncovered: state.audit_size() > covered,
            behind_ms: wall.since_ms(state.clock()),
            due: state.next_due().is_some_and(|at| at <= wall),
        }
    }

    /// Pause between two ticks.
    #[must_use]
    pub fn pause(self) -> Duration {
        if Duration::from_millis(self.behind_ms) > CLOCK_STEP_MAX {
            TICK_CATCH_UP
        } else if self.due {
            TICK_DUE
        } else if self.uncovered {
            TICK_UNCOVERED
        } else {
            TICK_IDLE
        }
    }
}

/// The duty.
#[derive(Debug)]
pub struct Tick<R> {
    replica: R,
    stamp: Stamp,
    last: Option<Instant>,
}

impl<R: Replica> Tick<R> {
    /// Ticks of this member.
    #[must_use]
    pub fn new(replica: R, stamp: Stamp) -> Self {
        Self { replica, stamp, last: None }
    }
}

impl<R: Replica> Duty for Tick<R> {
    const NAME: &'static str = "tick";
    const WAKE: Option<Wake> = None;

    fn begin(&mut self, _term: u64) {
        self.last = None;
    }

    async fn run(&mut self) -> Result<Duration, DutyError> {
        let view = self.replica.view();
        // None since this process started: whatever is there has to be covered anew.
        let covered = self.replica.checkpoints().latest().map_or(0, |point| point.head.size);
        let pause = Cadence::of(&view.state, covered, self.stamp.clock().wall()).pause();
        let waited = self.last.map(|last| last.elapsed());
        match waited.and_then(|waited| pause.checked_sub(waited)).filter(|left| !left.is_zero()) {
            // Looked at again each second: a record may appear at any time.
            Some(left) => Ok(left.min(TICK_UNCOVERED)),
            None => {
                let entry = self.stamp.entry(&view.state, Command::Tick)?;
                self.replica.propose(entry, PROPOSE_DEADLINE).await?.outcome?;
                self.last = Some(Instant::now());
                Ok(pause.min(TICK_UNCOVERED))
            }
        }
    }

    fn end(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Fake, FakeClock};
    use sekisho_types::id::MemberId;
    use sekisho_types::principal::MemberIdentity;
    use sekisho_types::time::Clock;
    use std::sync::Arc;

    #[test]
    fn the_cadence_follows_coverage_and_lag() {
        let pause = |uncovered, behind_ms| Cadence { uncovered, behind_ms, due: false }.pause();
        assert_eq!(pause(true, 0), Duration::from_secs(1));
        assert_eq!(pause(false, 9_000), Duration::from_secs(5));
        assert_eq!(pause(false, 10_000), Duration::from_secs(5));
        assert_eq!(pause(false, 10_001), TICK_CATCH_UP);
        assert_eq!(pause(true, 3_600_000), TICK_CATCH_UP);
        let due = |behind_ms| Cadence { uncovered: false, behind_ms, due: true }.pause();
        assert_eq!((due(0), due(10_001)), (TICK_DUE, TICK_CATCH_UP));
        let federation = sekisho_fsm::testing::Federation::furnished();
        let size = federation.state.audit_size();
        assert!(Cadence::of(&federation.state, size - 1, federation.now).uncovered);
        assert!(!Cadence::of(&federation.state, size, federation.now).uncovered);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lag_is_caught_up_and_then_ticks_are_rare() {
        let fake = Fake::new();
        let clock = Arc::new(FakeClock::default());
        clock.forward(Duration::from_secs(95));
        let identity = MemberIdentity {
            operator: "kanto".parse().unwrap(),
            site: "tokyo-1".parse().unwrap(),
            member: MemberId(2),
        };
        let mut tick = Tick::new(fake.clone(), Stamp::new(&identity, Arc::clone(&clock) as _));
        tick.begin(1);
        while fake.view().state.clock() < clock.wall() {
            let pause = tick.run().await.unwrap();
            assert!(pause <= TICK_UNCOVERED);
            tokio::time::advance(pause).await;
        }
        assert_eq!(fake.proposed().len(), 10);
        let before = fake.proposed().len();
        for _ in 0..10 {
            let pause = tick.run().await.unwrap();
            tokio::time::advance(pause).await;
        }
        // The fake takes no checkpoints, so its records stay uncovered: one tick a second.
        assert_eq!(fake.proposed().len() - before, 10);
    }
}
