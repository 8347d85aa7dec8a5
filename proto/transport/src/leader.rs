//! Following the leader: one client over several members, which moves on when the present one cannot answer.
//!
//! Must hold: a call ends by its deadline (L3); retries come out of a shared budget (L4); whether a refusal is worth
//! another attempt is the caller's to say, because only it knows the error codes and whether its request carries
//! an id that makes a repetition harmless (R3).
//! A member that is silent costs a call no more than [`CallOptions::head_start`]: then the next one is dialled beside it, and
//! whichever stands first is asked. Addresses are tried in their order, so that the nearest comes first.
//! A hint to another address is followed only as far as [`Expect`] goes: it can point, it cannot vouch.

use crate::address::Address;
use crate::deadline::{Deadline, within};
use crate::dial::{ChannelOptions, DialError, Dialer, Route};
use crate::limit::ENDPOINTS_MAX;
use crate::retry::{Backoff, BackoffOptions, RetryBudget};
use crate::verify::Expect;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
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
    /// As [`Verdict::Again`], after so long at least: it said so. Where the deadline is earlier, its answer is the answer.
    After(Duration),
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
    /// How long one member may take to connect before the next is dialled beside it; never more than
    /// [`HEAD_START_SHARE`] of what is left of the deadline.
    pub head_start: Duration,
    /// Pauses between attempts.
    pub backoff: BackoffOptions,
    /// Retries that all calls of this client share, see [`RetryBudget`].
    pub retries: u32,
}

impl Default for CallOptions {
    /// [`ATTEMPT`]; 250 ms of head start, ten round trips through Japan.
    fn default() -> Self {
        Self {
            channel: ChannelOptions::default(),
            attempt: ATTEMPT,
            head_start: Duration::from_millis(250),
            backoff: BackoffOptions::default(),
            retries: 64,
        }
    }
}

/// Longest wait for one member's answer unless the caller says otherwise: ten times a slow election. It runs from before the
/// connection is made, so that whoever asks a member to wait has to ask for clearly less.
pub const ATTEMPT: Duration = Duration::from_secs(3);

/// A head start is at most one part in so many of the time that is left: with 16 addresses, all but one of them silent, half
/// of it stays for the call.
pub const HEAD_START_SHARE: u32 = 32;

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
            let attempt = deadline.at_most(self.options.attempt);
            // Without an answering member the present one is asked, whose error says why.
            let _late = within(attempt, self.connect(deadline)).await;
            let (address, route) = self.current();
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

    /// Goes to a member that is connected: the present one if it is, else the first of all to be, each dialled a head start
    /// after the one before it, or at once when that one has failed.
    async fn connect(&self, deadline: Deadline) {
        let (order, present) = {
            let routes = self.routes.lock();
            let known = routes.known.iter();
            let order: Vec<_> =
                known.clone().skip(routes.at).chain(known.take(routes.at)).cloned().collect();
            (order, routes.known.get(routes.at).is_some_and(|(_, route)| route.peer().is_some()))
        };
        if present {
            return;
        }
        let head_start = self.options.head_start.min(deadline.remaining() / HEAD_START_SHARE);
        let mut waiting = order.iter();
        let mut dials = FuturesUnordered::new();
        loop {
            let next = waiting.next();
            if let Some((address, route)) = next {
                dials.push(async move { (address, route.connect().await.is_ok()) });
            }
            let heard = if next.is_some() && waiting.len() > 0 {
                within(Deadline::after(head_start), dials.next()).await
            } else {
                Ok(dials.next().await)
            };
            match heard {
                Ok(Some((address, true))) => {
                    let mut routes = self.routes.lock();
                    if let Some(at) = routes.known.iter().position(|(known, _)| known == address) {
                        routes.at = at;
                    }
                    return;
                }
                Ok(None) if waiting.len() == 0 => return,
                // It has failed or is slow: on to the next.
                Ok(_) | Err(_) => {}
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
        let least = match verdict {
            Verdict::Leader(leader) if leader != *failed && self.go_to(&leader).is_ok() => {
                return !deadline.passed();
            }
            Verdict::Leader(_) | Verdict::Next => {
                self.move_on(failed);
                Duration::ZERO
            }
            Verdict::Again => Duration::ZERO,
            Verdict::After(least) => least,
            Verdict::Return => return false,
        };
        // On top of what was said: callers that heard the same at once must not come back at once.
        let wait = least.saturating_add(backoff.next_pause(&mut **self.random.lock()));
        if wait >= deadline.remaining() {
            return false;
        }
        tokio::time::sleep(wait).await;
        true
    }
}

#[cfg(test)]
mod tests;
