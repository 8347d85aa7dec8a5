//! When to try again: pauses that double, on the boottime clock.

use crate::limit::{NS_PER_MS, RETRY_MS};

/// The pauses of one kind of attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Retry {
    due_ns: u64,
    pause_ms: u64,
}

impl Retry {
    pub(crate) fn is_due(&self, now_ns: u64) -> bool {
        self.due_ns <= now_ns
    }

    pub(crate) fn due_ns(&self) -> u64 {
        self.due_ns
    }

    /// An attempt failed at `now_ns`.
    pub(crate) fn failed(&mut self, now_ns: u64) {
        let (first, longest) = RETRY_MS;
        self.pause_ms = self.pause_ms.saturating_mul(2).clamp(first, longest);
        self.due_ns = now_ns.saturating_add(self.pause_ms.saturating_mul(NS_PER_MS));
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound() {
        let mut retry = Retry::default();
        assert!(retry.is_due(0));
        let mut pauses = Vec::new();
        for _ in 0..8 {
            retry.failed(1000);
            pauses.push((retry.due_ns() - 1000) / NS_PER_MS);
        }
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        retry.succeeded();
        assert!(retry.is_due(0));
    }
}
