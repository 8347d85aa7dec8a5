//! The load generator: a closed loop of clients over a few connections, the same for every side.
//!
//! Must hold: only acknowledged calls are counted; a client has one call in flight; the loop ends by its count or
//! by its time, whichever is asked for, and each call by its deadline.

use super::cluster::{Op, Session};
use anyhow::{Context as _, Result, ensure};
use futures::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Connections of a loop, if it has so many clients.
pub(super) const CONNECTIONS: usize = 16;
/// A call without an answer is a failed call (L3).
const CALL: Duration = Duration::from_secs(10);
/// Before a client that failed tries again.
const AFTER_FAILURE: Duration = Duration::from_millis(5);
/// Keys that writes go round through.
const KEYS: u64 = 100_000;

/// When a loop ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    After(Duration),
    /// Calls, over all clients.
    Count(u64),
}

/// What a loop counted.
#[derive(Debug)]
pub(super) struct Sample {
    /// Acknowledged commands.
    pub(super) commands: u64,
    /// Calls that failed.
    pub(super) failed: u64,
    /// What the first of them said.
    pub(super) why: Option<String>,
    pub(super) wall: Duration,
    /// Highest log position of an answer.
    pub(super) position: u64,
    /// Of each acknowledged call, microseconds, ascending.
    latencies: Vec<u64>,
}

impl Sample {
    /// Acknowledged commands a second.
    pub(super) fn rate(&self) -> f64 {
        let commands = u32::try_from(self.commands).unwrap_or(u32::MAX);
        f64::from(commands) / self.wall.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Latency that `percent` of the calls do not exceed, milliseconds.
    pub(super) fn percentile(&self, percent: usize) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let at = self.latencies.len().saturating_mul(percent) / 100;
        let micros = self.latencies.get(at.min(last)).copied().unwrap_or(0);
        Duration::from_micros(micros).as_secs_f64() * 1000.0
    }
}

#[derive(Debug, Default)]
struct Client {
    latencies: Vec<u64>,
    failed: u64,
    why: Option<String>,
    position: u64,
}

/// Runs `clients` clients over `sessions`.
///
/// # Errors
/// Nothing was acknowledged: such a loop measures nothing.
pub(super) async fn run(
    sessions: &[Arc<dyn Session>],
    op: Op,
    clients: usize,
    end: End,
) -> Result<Sample> {
    ensure!(!sessions.is_empty() && clients > 0, "a loop needs clients and connections");
    let (next, begun) = (AtomicU64::new(0), Instant::now());
    let goes_on = |call: u64| match end {
        End::After(time) => begun.elapsed() < time,
        End::Count(count) => call < count,
    };
    let (next, goes_on) = (&next, &goes_on);
    let loops = sessions.iter().cycle().take(clients).map(|session| async move {
        let mut client = Client::default();
        loop {
            let call = next.fetch_add(1, Ordering::Relaxed);
            if !goes_on(call) {
                return client;
            }
            let sent = Instant::now();
            let key = call.wrapping_mul(op.commands()) % KEYS;
            match timeout(CALL, session.perform(op, key)).await {
                Ok(Ok(position)) => {
                    let micros = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
                    client.latencies.push(micros);
                    client.position = client.position.max(position);
                }
                Ok(Err(error)) => client.fail(format!("{error:#}")).await,
                Err(_late) => client.fail(format!("no answer in {CALL:?}")).await,
            }
        }
    });
    let clients = join_all(loops).await;
    sum(clients, op, begun.elapsed())
}

impl Client {
    async fn fail(&mut self, why: String) {
        self.failed = self.failed.saturating_add(1);
        self.why.get_or_insert(why);
        tokio::time::sleep(AFTER_FAILURE).await;
    }
}

fn sum(clients: Vec<Client>, op: Op, wall: Duration) -> Result<Sample> {
    let failed = clients.iter().map(|client| client.failed).sum();
    let position = clients.iter().map(|client| client.position).max().unwrap_or(0);
    let why = clients.iter().find_map(|client| client.why.clone());
    let mut latencies: Vec<u64> = clients.into_iter().flat_map(|client| client.latencies).collect();
    if latencies.is_empty() {
        let why = why.context("the loop was over before its first call")?;
        anyhow::bail!("nothing was acknowledged: {why}");
    }
    latencies.sort_unstable();
    let calls = u64::try_from(latencies.len()).unwrap_or(u64::MAX);
    let commands = calls.saturating_mul(op.commands());
    Ok(Sample { commands, failed, why, wall, position, latencies })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::BoxFuture;

    /// Answers after a millisecond; every third call fails.
    #[derive(Default)]
    struct Every3(AtomicU64, AtomicU64);

    impl Session for Every3 {
        fn perform(&self, _op: Op, _sequence: u64) -> BoxFuture<'_, Result<u64>> {
            Box::pin(async move {
                let call = self.0.fetch_add(1, Ordering::Relaxed);
                let flying = self.1.fetch_add(1, Ordering::Relaxed);
                assert!(flying < 4, "more in flight than clients");
                // waits: the time that a call takes; the clock is paused
                tokio::time::sleep(Duration::from_millis(1)).await;
                self.1.fetch_sub(1, Ordering::Relaxed);
                ensure!(!call.is_multiple_of(3), "the third");
                Ok(call)
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_was_acknowledged_counts() {
        let session: Arc<dyn Session> = Arc::new(Every3::default());
        let found = run(&[Arc::clone(&session)], Op::Batch, 4, End::Count(300)).await.unwrap();
        assert_eq!((found.commands, found.failed, found.position), (200 * 64, 100, 299));
        assert_eq!(found.why.as_deref(), Some("the third"));
        assert!(found.percentile(50) >= 1.0 && found.percentile(99) < 10.0);
        let found = run(&[session], Op::Write, 1, End::After(Duration::from_secs(1))).await;
        let rate = found.unwrap().rate();
        assert!((200.0..1000.0).contains(&rate), "{rate}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_without_an_answer_is_an_error() {
        struct Dead;
        impl Session for Dead {
            fn perform(&self, _op: Op, _sequence: u64) -> BoxFuture<'_, Result<u64>> {
                Box::pin(futures::future::pending())
            }
        }
        let dead: [Arc<dyn Session>; 1] = [Arc::new(Dead)];
        let error = run(&dead, Op::Read, 2, End::After(Duration::from_secs(1))).await.unwrap_err();
        assert!(error.to_string().contains("no answer"), "{error}");
        run(&[], Op::Read, 2, End::Count(1)).await.unwrap_err();
    }
}
