//! Bounds of the side that is measured, each with its reason.

use std::time::Duration;

/// One exchange with everything: a landmark's own bounds, and a dial.
pub const EXCHANGE_WITHIN: Duration = Duration::from_secs(50);

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
