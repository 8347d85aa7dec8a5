//! Runs a duty while this member leads.
//!
//! Must hold: runs of one duty never overlap; a run is dropped at once when leadership is lost, and nothing of it is
//! kept for the next term; a failing run is repeated with growing pauses and is never silent.

use crate::lease::NotCounted;
use crate::limit::{DUTY_BACKOFF, DUTY_BACKOFF_MAX};
use crate::replica::Replica;
use crate::stamp::NotBegun;
use crate::status::DutyHealth;
use sekisho_fsm::outcome::Rejection;
use sekisho_raft::consensus::MembershipError;
use sekisho_raft::error::ProposeError;
use sekisho_raft::view::Wake;
use sekisho_types::cause::explain;
use sekisho_types::time::Clock;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Why a run failed. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum DutyError {
    /// Nothing to do yet.
    #[error(transparent)]
    NotBegun(#[from] NotBegun),
    /// The proposal has no answer.
    #[error("proposal failed")]
    Propose(#[from] ProposeError),
    /// Apply refused what this duty took to be right.
    #[error("apply rejected the proposal")]
    Rejected(#[from] Rejection),
    /// This member is not certain to lead.
    #[error("leadership not confirmed")]
    NotConfirmed(#[from] NotCounted),
    /// The membership did not change.
    #[error("the membership is not changed")]
    Membership(#[from] MembershipError),
    /// The planner broke.
    #[error("the planner panicked")]
    Planner(#[source] tokio::task::JoinError),
}

/// A duty of the leader.
pub trait Duty: Send {
    /// Name in logs, metrics and status.
    const NAME: &'static str;
    /// What wakes it before its pause is over.
    const WAKE: Option<Wake>;

    /// Leadership begins: forget everything of an earlier one.
    fn begin(&mut self, term: u64);

    /// Looks at the state and does what is due. Answers the longest pause until it wants to look again.
    fn run(&mut self) -> impl Future<Output = Result<Duration, DutyError>> + Send;

    /// Leadership is over.
    fn end(&mut self);
}

/// Drives `duty` for ever; ends only by being dropped.
pub async fn drive<R: Replica, D: Duty>(
    replica: R,
    mut duty: D,
    health: DutyHealth,
    clock: Arc<dyn Clock>,
) {
    let mut term = replica.term();
    loop {
        let Some(led) = term else {
            term = replica.term_other_than(None).await;
            continue;
        };
        tracing::info!(duty = D::NAME, term = led, "duty begins");
        duty.begin(led);
        health.leads(term);
        let wake = D::WAKE.map(|wake| replica.wakes(wake));
        term = tokio::select! {
            biased;
            next = replica.term_other_than(Some(led)) => next,
            never = lead(&mut duty, wake, &health, clock.as_ref()) => match never {},
        };
        duty.end();
        health.leads(None);
        tracing::info!(duty = D::NAME, term = led, "duty ends");
    }
}

async fn lead<D: Duty>(
    duty: &mut D,
    mut wake: Option<watch::Receiver<u64>>,
    health: &DutyHealth,
    clock: &dyn Clock,
) -> Infallible {
    let mut backoff = DUTY_BACKOFF;
    loop {
        // Marked before the run: what changes during it wakes the next one.
        if let Some(wake) = &mut wake {
            wake.mark_unchanged();
        }
        match duty.run().await {
            Ok(pause) => {
                health.succeeded(clock.wall());
                backoff = DUTY_BACKOFF;
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = changed(&mut wake) => {}
                }
            }
            Err(error) => {
                let failing = health.failed(explain(&error));
                metrics::counter!("sekisho_duty_failures_total", "duty" => D::NAME).increment(1);
                tracing::warn!(duty = D::NAME, failing, %error, "duty failed; it is tried again");
                tokio::time::sleep(backoff).await;
                backoff = backoff.saturating_mul(2).min(DUTY_BACKOFF_MAX);
            }
        }
    }
}

async fn changed(wake: &mut Option<watch::Receiver<u64>>) {
    let gone = match wake {
        Some(wake) => wake.changed().await.is_err(),
        None => true,
    };
    if gone {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Fake, FakeClock};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Debug, Default)]
    struct Seen {
        calls: watch::Sender<Vec<String>>,
        running: AtomicUsize,
    }

    /// Counts its runs; blocks in the run of a term that is odd.
    struct Probe(Arc<Seen>, u64);

    struct Running<'s>(&'s Seen);
    impl Drop for Running<'_> {
        fn drop(&mut self) {
            self.0.running.fetch_sub(1, Ordering::SeqCst);
        }
    }

    impl Duty for Probe {
        const NAME: &'static str = "probe";
        const WAKE: Option<Wake> = Some(Wake::Plannable);
        fn begin(&mut self, term: u64) {
            self.1 = term;
            self.0.note(format!("begin {term}"));
        }
        async fn run(&mut self) -> Result<Duration, DutyError> {
            assert_eq!(self.0.running.fetch_add(1, Ordering::SeqCst), 0, "runs overlap");
            let _running = Running(&self.0);
            self.0.note("run".to_owned());
            match self.1 {
                1 => std::future::pending().await,
                2 => Err(NotBegun.into()),
                _ => Ok(Duration::from_secs(3600)),
            }
        }
        fn end(&mut self) {
            self.0.note("end".to_owned());
        }
    }

    impl Seen {
        fn note(&self, call: String) {
            self.calls.send_modify(|calls| calls.push(call));
        }
    }

    async fn until(seen: &Seen, count: usize) -> Vec<String> {
        seen.calls.subscribe().wait_for(|calls| calls.len() >= count).await.unwrap().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn a_duty_runs_only_while_this_member_leads_and_never_twice_at_once() {
        let (fake, seen) = (Fake::new(), Arc::new(Seen::default()));
        let health = DutyHealth::new(Probe::NAME);
        let clock = Arc::new(FakeClock::default());
        let driven = drive(fake.clone(), Probe(Arc::clone(&seen), 0), health.clone(), clock);
        let script = async {
            // waits: nothing may happen however long this member does not lead
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(seen.calls.borrow().len(), 0);
            fake.lead(Some(1));
            assert_eq!(until(&seen, 2).await, ["begin 1", "run"]);
            // The run never ends by itself: losing leadership drops it.
            fake.lead(None);
            assert_eq!(until(&seen, 3).await, ["begin 1", "run", "end"]);
            fake.lead(Some(2));
            let calls = until(&seen, 7).await;
            assert_eq!(calls[3..7], ["begin 2", "run", "run", "run"]);
            assert!(health.get().failing >= 2);
            assert_eq!(health.get().last_error.as_deref(), Some("the federation has not begun"));
            // From one term to the next without a gap is a new leadership all the same.
            fake.lead(Some(4));
            let renewed = |calls: &Vec<String>| {
                calls.ends_with(&["end", "begin 4", "run"].map(str::to_owned))
            };
            let calls = seen.calls.subscribe().wait_for(renewed).await.unwrap().clone();
            fake.wake(Wake::Plannable);
            assert_eq!(until(&seen, calls.len() + 1).await.last().unwrap(), "run");
            assert_eq!((health.get().failing, health.get().term), (0, Some(4)));
        };
        tokio::select! {
            () = driven => panic!("the driver ended"),
            () = script => {}
        }
    }
}
