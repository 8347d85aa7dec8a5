//! Who was measured within the last minute.

use super::limit::{SUBJECT_EVERY, SUBJECTS_MAX};
use parking_lot::Mutex;
use sekisho_evidence::location::transcript::Subject;
use sekisho_evidence::location::wire::Refusal;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// Subjects by the time at which they were let in.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<BTreeMap<Subject, Instant>>);

impl Recent {
    /// Lets a subject in, or not yet.
    ///
    /// # Errors
    /// [`Refusal::TooSoon`], and [`Refusal::Busy`] if so many came that they cannot be remembered.
    pub(super) fn enter(&self, subject: &Subject, now: Instant) -> Result<(), Refusal> {
        let mut known = self.0.lock();
        let is_recent = |at: &Instant| now.saturating_duration_since(*at) < SUBJECT_EVERY;
        if known.get(subject).is_some_and(is_recent) {
            return Err(Refusal::TooSoon);
        }
        if known.len() >= SUBJECTS_MAX {
            known.retain(|_subject, at| is_recent(at));
        }
        if known.len() >= SUBJECTS_MAX {
            return Err(Refusal::Busy);
        }
        known.insert(subject.clone(), now);
        Ok(())
    }

    /// Takes it back: the subject was not measured, for no fault of its own.
    pub(super) fn forget(&self, subject: &Subject) {
        self.0.lock().remove(subject);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn node(name: &str) -> Subject {
        Subject::Node(format!("a/{name}").parse().unwrap())
    }

    #[test]
    fn once_a_minute_each() {
        let (recent, begun) = (Recent::default(), Instant::now());
        assert_eq!(recent.enter(&node("n-01"), begun), Ok(()));
        assert_eq!(recent.enter(&node("n-02"), begun), Ok(()));
        let before = begun + SUBJECT_EVERY - Duration::from_millis(1);
        assert_eq!(recent.enter(&node("n-01"), before), Err(Refusal::TooSoon));
        assert_eq!(recent.enter(&node("n-01"), begun + SUBJECT_EVERY), Ok(()));
        recent.forget(&node("n-01"));
        assert_eq!(recent.enter(&node("n-01"), begun + SUBJECT_EVERY), Ok(()));
    }

    #[test]
    fn what_cannot_be_remembered_is_not_let_in() {
        let (recent, begun) = (Recent::default(), Instant::now());
        for n in 0..SUBJECTS_MAX {
            recent.enter(&node(&format!("n-{n}")), begun).unwrap();
        }
        assert_eq!(recent.enter(&node("more"), begun), Err(Refusal::Busy));
        assert_eq!(recent.enter(&node("more"), begun + SUBJECT_EVERY), Ok(()));
        assert_eq!(recent.0.lock().len(), 1);
    }
}
