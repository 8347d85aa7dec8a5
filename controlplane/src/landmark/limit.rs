//! Bounds of a landmark, each with its reason.

use sekisho_evidence::location::exchange::ROUNDS_MAX;
use sekisho_evidence::location::transcript::EXCHANGE_MAX_MS;
use std::time::Duration;

/// Exchanges in progress: one. Two would wait for each other's thread and socket, and every microsecond of that is 150 m.
pub const TIMED_AT_ONCE: usize = 1;

/// Connections of subjects that say who they are, wait for their turn, or sign.
pub const CONNECTIONS: usize = 64;

/// Handshakes in progress: as many as may wait.
pub const HANDSHAKES: usize = 16;

/// Between two exchanges of one subject: a fix is made every half an hour, and by everyone at once only after a power cut.
pub const SUBJECT_EVERY: Duration = Duration::from_secs(60);

/// Subjects that are remembered for that: more than one landmark can measure in a minute, at five milliseconds each where the
/// way is nothing. Two megabytes.
pub const SUBJECTS_MAX: usize = 16_384;

/// From the connection to its first frame: it is under way when the handshake is over.
pub const HELLO_WITHIN: Duration = Duration::from_secs(5);

/// For a turn: some exchanges with hosts that answer, or two with hosts that do not.
pub const TURN_WITHIN: Duration = Duration::from_secs(10);

/// For the cookie, which the subject sends several times.
pub const COOKIE_WITHIN: Duration = Duration::from_secs(2);

/// For the answer to a nonce: eight times the way to Okinawa and back. What takes longer proves nothing.
pub const ROUND_WITHIN: Duration = Duration::from_millis(250);

/// Rounds lost one after the other after which nobody is there: others wait.
pub const LOST_IN_A_ROW: u32 = 16;

/// For the subject's signature, over a path that may be slow for a while.
pub const SIGN_WITHIN: Duration = Duration::from_secs(5);

/// For a frame to be written to a peer that reads.
pub const WRITE_WITHIN: Duration = Duration::from_secs(5);

/// From the connection to its end, whatever the peer does.
#[must_use]
pub fn connection_within() -> Duration {
    let timed = COOKIE_WITHIN.saturating_add(ROUND_WITHIN.saturating_mul(ROUNDS_MAX));
    [TURN_WITHIN, timed, SIGN_WITHIN, WRITE_WITHIN]
        .into_iter()
        .fold(HELLO_WITHIN, Duration::saturating_add)
}

const _: () = assert!(
    ROUND_WITHIN.as_millis() * (ROUNDS_MAX as u128) < EXCHANGE_MAX_MS as u128,
    "an exchange in which every round takes its time has a good transcript"
);
