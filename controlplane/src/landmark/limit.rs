//! Bounds of a landmark, each with its reason.

use sekisho_evidence::location::exchange::ROUNDS_MAX;
use sekisho_evidence::location::range::RANGE_AGE_MAX_MS;
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

/// Between two rounds of being measured by others: a landmark that is moved, or lies, stands a while at most.
pub const RANGES_EVERY: Duration = Duration::from_secs(600);

/// What chance takes off that: landmarks that were started together do not go on together.
pub const RANGES_JITTER: Duration = Duration::from_secs(120);

/// Before the first one: what has to be there is there.
pub const RANGES_FIRST: Duration = Duration::from_secs(30);

/// For a round: less than its first range may be old, so that all of it counts.
pub const RANGES_WITHIN: Duration = Duration::from_secs(240);

/// For a controller to say whether somebody may be measured: the one that asks to be waits for it.
pub const JUDGE_WITHIN: Duration = Duration::from_secs(3);

/// For any other call to a controller.
pub const CALL_WITHIN: Duration = Duration::from_secs(10);

/// Between two looks for later trust: a company that joined is measured a minute later.
pub const TRUST_EVERY: Duration = Duration::from_secs(60);

/// From the connection to its end, whatever the peer does.
#[must_use]
pub fn connection_within() -> Duration {
    let timed = COOKIE_WITHIN.saturating_add(ROUND_WITHIN.saturating_mul(ROUNDS_MAX));
    [TURN_WITHIN, timed, SIGN_WITHIN, WRITE_WITHIN]
        .into_iter()
        .fold(HELLO_WITHIN.saturating_add(JUDGE_WITHIN), Duration::saturating_add)
}

const _: () = assert!(
    RANGES_WITHIN.as_millis() < RANGE_AGE_MAX_MS as u128 / 2,
    "what is measured first is still young when it is handed in"
);

const _: () = assert!(
    ROUND_WITHIN.as_millis() * (ROUNDS_MAX as u128) < EXCHANGE_MAX_MS as u128,
    "an exchange in which every round takes its time has a good transcript"
);
