//! Deadlines: the instant until which an answer is of use. Passed down a call, never a fresh timeout per hop (L3).

use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// An instant on the runtime's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

/// The deadline came before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("deadline passed")]
pub struct DeadlinePassed;

/// Furthest deadline, 30 years: an instant that no arithmetic on it can overflow.
const FURTHEST: Duration = Duration::from_secs(30 * 365 * 86_400);

impl Deadline {
    /// `after` from now, at most 30 years.
    #[must_use]
    pub fn after(after: Duration) -> Self {
        Self(Instant::now() + after.min(FURTHEST))
    }

    /// The earlier of this deadline and `limit` from now.
    #[must_use]
    pub fn at_most(self, limit: Duration) -> Self {
        self.min(Self::after(limit))
    }

    /// Time left; zero once passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    #[must_use]
    pub fn passed(self) -> bool {
        self.remaining().is_zero()
    }
}

/// Runs `future` until the deadline.
///
/// # Errors
/// [`DeadlinePassed`]; the future is dropped then, and what it had begun elsewhere may still happen.
pub async fn within<F: Future>(deadline: Deadline, future: F) -> Result<F::Output, DeadlinePassed> {
    timeout_at(deadline.0, future).await.map_err(|_elapsed| DeadlinePassed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_in_time_passes_and_a_late_one_does_not() {
        let long = Deadline::after(Duration::from_secs(3600));
        assert_eq!(within(long, std::future::ready(7)).await, Ok(7));
        assert!(!long.passed() && long.remaining() > Duration::from_secs(3000));
        let short = long.at_most(Duration::from_millis(1));
        assert_eq!(within(short, std::future::pending::<()>()).await, Err(DeadlinePassed));
        assert!(short.passed() && short < long);
        assert_eq!(short.remaining(), Duration::ZERO);
        assert_eq!(
            Deadline::after(Duration::MAX).at_most(Duration::ZERO).remaining(),
            Duration::ZERO
        );
    }
}
