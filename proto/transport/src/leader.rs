//! Following the leader: one client over several members, which moves on when the present one cannot answer.
//!
//! Must hold: a call ends by its deadline (L3); retries come out of a shared budget (L4); whether a refusal is worth
//! another attempt is the caller's to say, because only it knows the error codes and whether its request carries
//! an id that makes a repetition harmless (R3).
//! A hint to another address is followed only as far as [`Expect`] goes: it can point, it cannot vouch.

use crate::address::Address;
use crate::deadline::{Deadline, within};
use crate::dial::{ChannelOptions, DialError, Dialer, Route};
use crate::limit::ENDPOINTS_MAX;
use crate::retry::{Backoff, BackoffOptions, RetryBudget};
use crate::verify::Expect;
use parking_lot::Mutex;
use rand::RngCore;
use std::fmt;
use std::time::Duration;
use tonic::Status;
use tonic::transport::Channel;

/// What a caller makes of a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is the answer.
    Return,
    /// The same member, after a pause: it is the right one but busy.
    Again,
    /// Another member, after a pause.
    Next,
    /// That member, at once: this one named it as leader.
    Leader(Address),
}

/// How calls are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallOptions {
    /// Settings of the channels.
    pub channel: ChannelOptions,
    /// Longest wait for one member's answer before it counts as `DEADLINE_EXCEEDED` and the caller is asked.
    pub attempt: Duration,
    /// Pauses between attempts.
    pub backoff: BackoffOptions,
    /// Retries that all calls of this client share, see [`RetryBudget`].
    pub retries: u32,
}

impl Default for CallOptions {
    /// 3 s an attempt, ten times a slow election.
    fn default() -> Self {
        Self {
            channel: ChannelOptions::default(),
            attempt: Duration::from_secs(3),
            backoff: BackoffOptions::default(),
            retries: 64,
        }
    }
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EndpointsError {
    /// No address, or more than [`ENDPOINTS_MAX`].
    #[error("between 1 and {ENDPOINTS_MAX} addresses are needed, not {0}")]
    Count(usize),
    /// An address is unusable.
    #[error(transparent)]
    Dial(#[from] DialError),
}

/// A call that got no answer the caller would take.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{address} after {attempts} attempts: {status}")]
pub struct CallError {
    /// The last status. `DEADLINE_EXCEEDED` and transport errors leave the outcome unknown.
    pub status: Status,
    /// Attempts made, this one included.
    pub attempts: u32,
    /// The member that was asked last.
    pub address: Address,
}

struct Routes {
    known: Vec<(Address, Route)>,
    at: usize,
}

/// The members that a client may ask.
pub struct Endpoints {
    dialer: Dialer,
    expect: Expect,
    options: CallOptions,
    configured: usize,
    routes: Mutex<Routes>,
    budget: RetryBudget,
    random: Mutex<Box<dyn RngCore + Send>>,
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints").field("current", &self.current().0).finish_non_exhaustive()
    }
}

impl Endpoints {
    /// A client that begins with the first address.
    ///
    /// # Errors
    /// [`EndpointsError`].
    pub fn new(
        dialer: Dialer,
        addresses: &[Address],
        expect: Expect,
        options: CallOptions,
        random: Box<dyn RngCore + Send>,
    ) -> Result<Self, EndpointsError> {
        if addresses.is_empty() || addresses.len() > ENDPOINTS_MAX {
            return Err(EndpointsError::Count(addresses.len()));
        }
        let known = addresses
            .iter()
            .map(|to| Ok((to.clone(), dialer.channel(to, &expect, options.channel)?)))
            .collect::<Result<Vec<_>, DialError>>()?;
        Ok(Self {
            dialer,
            expect,
            options,
            configured: known.len(),
            routes: Mutex::new(Routes { known, at: 0 }),
            budget: RetryBudget::new(options.retries),
            random: Mutex::new(random),
        })
    }

    /// The member that the next call goes to; for streams, which follow the leader by themselves.
    #[must_use]
    pub fn current(&self) -> (Address, Route) {
        let routes = self.routes.lock();
        // `at` is an index of `known`, which never shrinks below the configured ones.
        #[expect(clippy::indexing_slicing, reason = "kept in range by `go_to`, the only writer")]
        routes.known[routes.at].clone()
    }

    /// Leaves `failed` for the next member, unless another call has already moved on.
    pub fn move_on(&self, failed: &Address) {
        let mut routes = self.routes.lock();
        if routes.known.get(routes.at).is_some_and(|(at, _)| at == failed) {
            routes.at = routes.at.saturating_add(1).checked_rem(routes.known.len()).unwrap_or(0);
        }
    }

    /// Goes to the member that was named as leader. An address outside the configuration takes the place of the
    /// last such one, so that a liar cannot fill the list.
    ///
    /// # Errors
    /// [`DialError`] for an unusable address.
    pub fn go_to(&self, leader: &Address) -> Result<(), DialError> {
        let mut routes = self.routes.lock();
        if let Some(at) = routes.known.iter().position(|(known, _)| known == leader) {
            routes.at = at;
            return Ok(());
        }
        let route = self.dialer.channel(leader, &self.expect, self.options.channel)?;
        if routes.known.len() >= ENDPOINTS_MAX.max(self.configured.saturating_add(1)) {
            routes.known.pop();
        }
        routes.known.push((leader.clone(), route));
        routes.at = routes.known.len().saturating_sub(1);
        Ok(())
    }

    /// Calls until an answer, a final status, the deadline or the end of the retry budget.
    ///
    /// # Errors
    /// [`CallError`] with the last status.
    pub async fn call<T, F, Fut>(
        &self,
        deadline: Deadline,
        call: F,
        decide: impl Fn(&Status) -> Verdict,
    ) -> Result<T, CallError>
    where
        F: Fn(Channel) -> Fut,
        Fut: Future<Output = Result<T, Status>>,
    {
        let mut backoff = Backoff::new(self.options.backoff);
        let mut attempts = 0u32;
        loop {
            attempts = attempts.saturating_add(1);
            let (address, route) = self.current();
            let attempt = deadline.at_most(self.options.attempt);
            let status = match within(attempt, call(route.channel())).await {
                Ok(Ok(answer)) => {
                    self.budget.earn();
                    return Ok(answer);
                }
                Ok(Err(status)) => status,
                Err(passed) => Status::deadline_exceeded(passed.to_string()),
            };
            let verdict = decide(&status);
            let failed = CallError { status, attempts, address };
            if verdict == Verdict::Return || !self.budget.spend() {
                return Err(failed);
            }
            if !self.prepare(deadline, &failed.address, verdict, &mut backoff).await {
                return Err(failed);
            }
        }
    }

    /// Chooses the next member and pauses; `false` when the deadline leaves no time for another attempt.
    async fn prepare(
        &self,
        deadline: Deadline,
        failed: &Address,
        verdict: Verdict,
        backoff: &mut Backoff,
    ) -> bool {
        let pause = match verdict {
            Verdict::Leader(leader) if leader != *failed && self.go_to(&leader).is_ok() => {
                return !deadline.passed();
            }
            Verdict::Leader(_) | Verdict::Next => {
                self.move_on(failed);
                true
            }
            Verdict::Again => true,
            Verdict::Return => false,
        };
        if !pause {
            return false;
        }
        let wait = backoff.next_pause(&mut **self.random.lock());
        if wait >= deadline.remaining() {
            return false;
        }
        tokio::time::sleep(wait).await;
        true
    }
}

#[cfg(test)]
mod tests;
