//! One round of checks: each for itself, none longer than its deadline.
//!
//! Must hold: a check that hangs or breaks becomes a finding and stops no other (L3). A look that hangs in the kernel is left
//! behind on its thread; the program does not wait for it at its end.

use crate::catalogue::any::{ANY_BROKEN, ANY_LATE};
use crate::check::{Check, Finding};
use crate::limit::CHECK_WITHIN;
use std::time::Duration;
use tokio::time::timeout;

/// What was found so far.
#[derive(Debug, Default)]
pub struct Round {
    findings: Vec<Finding>,
}

impl Round {
    /// A round that has looked at nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what is known already.
    pub fn note(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
    }

    /// Looks, on a thread of its own.
    pub async fn look<F>(&mut self, check: &'static Check, look: F)
    where
        F: FnOnce() -> Vec<Finding> + Send + 'static,
    {
        let looked = look_within(check, CHECK_WITHIN, look).await;
        self.findings.extend(looked.unwrap_or_else(|finding| vec![finding]));
    }

    /// As [`Round::look`], for what other checks need, too. `None` if it was late or broke, which is noted.
    pub async fn fetch<T, F>(&mut self, check: &'static Check, fetch: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        self.fetch_within(check, CHECK_WITHIN, fetch).await
    }

    /// As [`Round::fetch`], for what may take another time.
    pub async fn fetch_within<T, F>(
        &mut self,
        check: &'static Check,
        within: Duration,
        fetch: F,
    ) -> Option<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let fetched = look_within(check, within, fetch).await;
        fetched.map_err(|finding| self.findings.push(finding)).ok()
    }

    /// Asks others.
    pub async fn ask<F>(&mut self, check: &'static Check, within: Duration, ask: F)
    where
        F: Future<Output = Vec<Finding>>,
    {
        match timeout(within, ask).await {
            Ok(found) => self.findings.extend(found),
            Err(_elapsed) => self.findings.push(late(check, within)),
        }
    }

    /// What was found, in the order of looking.
    #[must_use]
    pub fn findings(self) -> Vec<Finding> {
        self.findings
    }
}

fn late(check: &'static Check, within: Duration) -> Finding {
    Finding::new(&ANY_LATE).of(check).with("seconds", within.as_secs())
}

async fn look_within<T, F>(check: &'static Check, within: Duration, look: F) -> Result<T, Finding>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    match timeout(within, tokio::task::spawn_blocking(look)).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(broken)) => Err(Finding::new(&ANY_BROKEN).of(check).with("cause", broken)),
        Err(_elapsed) => Err(late(check, within)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::host::{DATA_SYNC, KERNEL, KERNEL_SOUND};
    use std::sync::mpsc::sync_channel;

    #[tokio::test]
    async fn what_hangs_or_breaks_is_a_finding_and_stops_nothing() {
        let (hold, held) = sync_channel::<()>(1);
        let late = look_within(&DATA_SYNC, Duration::from_millis(20), move || held.recv().is_ok());
        let late = late.await.unwrap_err();
        assert_eq!((late.check.id, late.outcome.code), ("data-sync", "ANY_LATE"));
        drop(hold);
        let mut round = Round::new();
        round.look(&DATA_SYNC, || panic!("on purpose")).await;
        assert_eq!(round.fetch(&KERNEL, || 7).await, Some(7));
        round.look(&KERNEL, || vec![Finding::new(&KERNEL_SOUND).with("version", "6.1")]).await;
        let pending = std::future::pending::<Vec<Finding>>();
        round.ask(&KERNEL, Duration::from_millis(20), pending).await;
        let codes: Vec<_> = round.findings().iter().map(|found| found.outcome.code).collect();
        assert_eq!(codes, ["ANY_BROKEN", "KERNEL_SOUND", "ANY_LATE"]);
    }
}
