//! Attempts to be measured: which one runs, and whether another may begin now.
//!
//! Must hold: whoever asks for one is answered at once, and brings none about that every landmark would refuse: a landmark
//! measures no host twice a minute, and the last exchange of an attempt may be as late as its end.

use super::limit::RETRY_AFTER;
use parking_lot::Mutex;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The attempts of one prover, which makes the first one when it starts.
#[derive(Debug, Default)]
pub struct Attempts {
    /// When the last one was over; `None` while one runs, or is about to.
    over: Mutex<Option<Instant>>,
    wanted: Notify,
}

/// What becomes of a wish for an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// It begins.
    Begins,
    /// One runs already.
    Runs,
    /// Not for so long.
    In(Duration),
}

impl Attempts {
    /// Has an attempt made now, if it can be.
    pub fn ask(&self, now: Instant) -> Wish {
        let mut over = self.over.lock();
        let Some(since) = *over else { return Wish::Runs };
        let left = RETRY_AFTER.saturating_sub(now.saturating_duration_since(since));
        if !left.is_zero() {
            return Wish::In(left);
        }
        *over = None;
        self.wanted.notify_one();
        Wish::Begins
    }

    /// Waits for a wish that was granted.
    pub(super) async fn wanted(&self) {
        // What a timer was quicker than has left a permit behind, and is no wish any more.
        loop {
            self.wanted.notified().await;
            if self.over.lock().is_none() {
                return;
            }
        }
    }

    /// One begins.
    pub(super) fn begins(&self) {
        *self.over.lock() = None;
    }

    /// It is over.
    pub(super) fn ends(&self, now: Instant) {
        *self.over.lock() = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wish_is_granted_once_the_landmarks_measure_again_and_only_once() {
        let (attempts, begun) = (Attempts::default(), Instant::now());
        let at = |after: Duration| attempts.ask(begun + after);
        assert_eq!(at(Duration::ZERO), Wish::Runs, "the first attempt is made without a wish");
        attempts.begins();
        assert_eq!(at(Duration::ZERO), Wish::Runs);
        attempts.ends(begun);
        assert_eq!(at(Duration::ZERO), Wish::In(RETRY_AFTER));
        let before = RETRY_AFTER - Duration::from_millis(1);
        assert_eq!(at(before), Wish::In(Duration::from_millis(1)));
        assert_eq!(at(RETRY_AFTER), Wish::Begins);
        assert_eq!(at(RETRY_AFTER), Wish::Runs, "who asks next gets the same one");
        attempts.wanted().await;
        attempts.begins();
        attempts.ends(begun + RETRY_AFTER);
        assert_eq!(at(RETRY_AFTER + before), Wish::In(Duration::from_millis(1)));
    }
}
