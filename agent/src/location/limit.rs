//! Bounds of the prover, each with its reason.

use sekisho_evidence::location::verdict::FIX_SPAN_MAX_MS;
use std::time::Duration;

/// Exchanges at once: each is with another landmark, and few enough that their threads do not wait for each other.
pub const PARALLEL: usize = 4;

/// One exchange with everything: a landmark's own bounds, and a dial.
pub const EXCHANGE_WITHIN: Duration = Duration::from_secs(50);

/// A fix with everything: less than its transcripts may be apart.
pub const FIX_WITHIN: Duration = Duration::from_secs(110);

/// For a frame that the landmark has at hand.
pub const FRAME_WITHIN: Duration = Duration::from_secs(5);

/// From [`Hello`](sekisho_evidence::location::wire::Hello) to its answer: the landmark measures others before.
pub const READY_WITHIN: Duration = Duration::from_secs(15);

/// From the cookie to the transcript: 64 rounds of which each takes as long as it may.
pub const DRAWN_WITHIN: Duration = Duration::from_secs(25);

/// Between two cookies, as long as no nonce came: two or three get there before the landmark gives up.
pub const COOKIE_EVERY: Duration = Duration::from_millis(200);

/// How soon the answering thread hears that the exchange is over.
pub const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Before the next attempt after a failed one: no landmark measures a host twice a minute.
pub const RETRY_AFTER: Duration = Duration::from_secs(65);

/// First bound of what chance adds to that.
pub const RETRY_JITTER: Duration = Duration::from_secs(30);

/// Largest bound of it: hosts that failed together come back apart, and still several times before a fix is too old.
pub const RETRY_JITTER_MAX: Duration = Duration::from_secs(480);

/// How far chance brings the next fix forward: hosts that were started together make theirs apart.
pub const EARLY_MAX: Duration = Duration::from_secs(240);

const _: () = assert!(
    FIX_WITHIN.as_millis() < FIX_SPAN_MAX_MS as u128,
    "what is made in time may be put together"
);
