//! Bounds of the prover, each with its reason.

use sekisho_evidence::location::verdict::FIX_SPAN_MAX_MS;
use std::time::Duration;

/// Exchanges at once: each is with another landmark, and few enough that their threads do not wait for each other.
pub const PARALLEL: usize = 4;

/// A fix with everything: less than its transcripts may be apart.
pub const FIX_WITHIN: Duration = Duration::from_secs(110);

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
