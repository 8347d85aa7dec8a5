//! The timed part: cookie, then nonces and their replies, one at a time.
//!
//! Must hold (D1): a nonce is drawn after the one before was answered or lost, and its time begins before it is sent; the
//! time of a reply ends after it was received; of all that only the shortest is kept. Nothing here is asynchronous: it
//! runs on a thread of its own.

use super::limit::{COOKIE_WITHIN, LOST_IN_A_ROW, ROUND_WITHIN};
use sekisho_evidence::location::exchange::{Exchange, RangingKey, Tally};
use sekisho_evidence::location::wire::{Cookie, DATAGRAM_SIZE, Datagram, Refusal};
use sekisho_transport::datagram::{Datagrams, Received, Stamp};
use sekisho_types::time::{Clock, Timestamp};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// What the timed part came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timed {
    pub(super) tally: Tally,
    pub(super) started: Timestamp,
    pub(super) ended: Timestamp,
}

/// Room for a datagram and a byte: what is longer is none of ours.
type Buffer = [u8; DATAGRAM_SIZE + 1];

/// Until when to wait.
#[derive(Debug, Clone, Copy)]
struct Wait {
    begun: Stamp,
    within: Duration,
}

impl Wait {
    fn left(&self, now: Stamp) -> Option<Duration> {
        let passed = Duration::from_nanos(now.since_ns(self.begun));
        self.within.checked_sub(passed).filter(|left| !left.is_zero())
    }

    /// The next datagram in time.
    fn next(
        &self,
        socket: &Datagrams,
        now: Stamp,
    ) -> Result<Option<(Received, Option<Datagram>)>, Refusal> {
        let mut now = now;
        while let Some(left) = self.left(now) {
            let mut buffer: Buffer = [0; DATAGRAM_SIZE + 1];
            if let Some(got) = socket.receive(&mut buffer, left).map_err(failed)? {
                let datagram = buffer.get(..got.length).and_then(Datagram::parse);
                return Ok(Some((got, datagram)));
            }
            now = clock()?;
        }
        Ok(None)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` gives")]
fn failed(error: io::Error) -> Refusal {
    tracing::error!(%error, "datagrams of a landmark");
    Refusal::Failed
}

fn clock() -> Result<Stamp, Refusal> {
    Stamp::now().ok_or(Refusal::Failed)
}

/// Waits for the cookie: where its sender is.
fn wait_for_cookie(socket: &Datagrams, cookie: &Cookie) -> Result<SocketAddr, Refusal> {
    let mut now = clock()?;
    let wait = Wait { begun: now, within: COOKIE_WITHIN };
    while let Some((got, datagram)) = wait.next(socket, now)? {
        now = got.at;
        // Cookies are random and live for one exchange: no time tells anything of them.
        if datagram == Some(Datagram::Cookie(*cookie)) {
            return Ok(got.from);
        }
    }
    Err(Refusal::NoCookie)
}

/// One exchange, from the cookie to the last round.
///
/// # Errors
/// [`Refusal::NoCookie`], [`Refusal::Silent`], [`Refusal::Failed`].
pub(super) fn exchange(
    socket: &Datagrams,
    key: RangingKey,
    cookie: &Cookie,
    wall: &dyn Clock,
) -> Result<Timed, Refusal> {
    let subject = wait_for_cookie(socket, cookie)?;
    let started = wall.wall();
    let mut rounds = Rounds { socket, subject, exchange: Exchange::new(key), begun: Vec::new() };
    let mut lost = 0_u32;
    while lost < LOST_IN_A_ROW {
        match rounds.next()? {
            Some(true) => lost = 0,
            Some(false) => lost = lost.saturating_add(1),
            None => break,
        }
    }
    let ended = wall.wall().max(started);
    let tally = rounds.exchange.tally().ok_or(Refusal::Silent)?;
    let count = |result: &'static str, rounds: u32| {
        metrics::counter!("sekisho_landmark_rounds_total", "result" => result)
            .increment(rounds.into());
    };
    count("answered", tally.answered);
    count("lost", tally.asked.saturating_sub(tally.answered));
    Ok(Timed { tally, started, ended })
}

struct Rounds<'r> {
    socket: &'r Datagrams,
    subject: SocketAddr,
    exchange: Exchange,
    /// When each round began.
    begun: Vec<Stamp>,
}

impl Rounds<'_> {
    /// Whether the next round was answered in time; `None` if there is none. An answer that comes late, in a later round,
    /// counts with the time that it took.
    fn next(&mut self) -> Result<Option<bool>, Refusal> {
        let nonce = rand::random();
        let Some(round) = self.exchange.ask(nonce) else { return Ok(None) };
        let question = Datagram::Ask(round, nonce).bytes();
        let begun = clock()?;
        self.begun.push(begun);
        self.socket.send_to(&question, self.subject).map_err(failed)?;
        let wait = Wait { begun, within: ROUND_WITHIN };
        let mut now = begun;
        while let Some((got, datagram)) = wait.next(self.socket, now)? {
            now = got.at;
            let Some(Datagram::Reply(answers, reply)) = datagram else { continue };
            if got.from != self.subject {
                continue;
            }
            let begun = usize::try_from(answers).ok().and_then(|at| self.begun.get(at));
            let Some(begun) = begun else { continue };
            match self.exchange.answer(answers, &reply, got.at.since_ns(*begun)) {
                Ok(()) if answers == round => return Ok(Some(true)),
                Ok(()) => {}
                Err(error) => tracing::debug!(%error, "an answer that does not count"),
            }
        }
        Ok(Some(false))
    }
}
