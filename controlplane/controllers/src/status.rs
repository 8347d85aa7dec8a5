//! How the duties fare, for `sekisho status`.

use parking_lot::Mutex;
use sekisho_types::time::Timestamp;
use std::sync::Arc;

/// One duty at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DutyStatus {
    /// Its name.
    pub duty: &'static str,
    /// The term in which it runs here; `None` on members that do not lead.
    pub term: Option<u64>,
    /// Runs that succeeded since this process started.
    pub runs: u64,
    /// Runs that failed since the last that succeeded: above zero is worth a look.
    pub failing: u32,
    /// When it last succeeded, wall clock.
    pub succeeded: Option<Timestamp>,
    /// Why it last failed.
    pub last_error: Option<String>,
}

/// Health of one duty. Clones share it.
#[derive(Debug, Clone)]
pub struct DutyHealth(Arc<Mutex<DutyStatus>>);

impl DutyHealth {
    /// A duty that has not run.
    #[must_use]
    pub fn new(duty: &'static str) -> Self {
        Self(Arc::new(Mutex::new(DutyStatus {
            duty,
            term: None,
            runs: 0,
            failing: 0,
            succeeded: None,
            last_error: None,
        })))
    }

    /// As it stands.
    #[must_use]
    pub fn get(&self) -> DutyStatus {
        self.0.lock().clone()
    }

    pub(crate) fn leads(&self, term: Option<u64>) {
        let mut status = self.0.lock();
        status.term = term;
        // What failed under another leadership says nothing about this one.
        status.failing = 0;
    }

    pub(crate) fn succeeded(&self, at: Timestamp) {
        let mut status = self.0.lock();
        status.runs = status.runs.saturating_add(1);
        status.failing = 0;
        status.succeeded = Some(at);
    }

    pub(crate) fn failed(&self, error: String) -> u32 {
        let mut status = self.0.lock();
        status.failing = status.failing.saturating_add(1);
        status.last_error = Some(error);
        status.failing
    }
}
