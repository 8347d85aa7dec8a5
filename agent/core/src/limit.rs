//! Bounds of the agent's decisions, each with its reason.

use sekisho_types::limit::{KILL_GRACE, LEASE, RENEW_EVERY, STALE_PROOF_LAST};

/// Nanoseconds of a millisecond.
pub(crate) const NS_PER_MS: u64 = 1_000_000;

/// Placements in one desired set: what the runtime holds at once, and more than the devices of any host.
pub const DESIRED_MAX: usize = 512;

/// Open and ended placements in the ledger. Ended ones wait for the acknowledgement of their report; an agent whose
/// reports are never acknowledged takes no new set instead of growing.
pub const ENTRIES_MAX: usize = 2048;

/// Refused placements in the ledger. Those that were never proved to be granted stay until fenced, and a lying
/// member could name any number of them.
pub const REFUSED_MAX: usize = 512;

/// Texts that one member may have in the assembly: the one that gathers signatures and its successor.
pub const TEXTS_PER_MEMBER: usize = 2;

/// Renewals that wait for acknowledgement: a lease holds five, an older one extends nothing.
pub const BEATS_MAX: usize = 8;

/// Phases that wait to be told beyond which a member's word to stop what was never accepted here is not answered: it comes
/// again, and a lying one could name any number.
pub const STRANGERS_MAX: usize = 512;

/// Phases in one report: a few KiB.
pub const REPORT_MAX: usize = 128;

/// First and longest pause before a failed report, receipt, payload or session is tried again, ms.
pub const RETRY_MS: (u64, u64) = (200, 5_000);

/// How often in all every member may say that it does not keep what is to run, before the grant is refused: by the pauses
/// between, some twenty seconds, in which a member that was started anew has fetched it or answers itself.
pub const NOWHERE_MAX: u32 = 8;

/// Nothing is started with less of the lease left, ms: it would be stopped while it loads.
pub const START_MARGIN_MS: u64 = 1_000;

/// Between the last moment at which a job may live on after the lease's end and the order to kill it, ms: the
/// kernel needs time to end a process tree, and this program to be scheduled.
pub const KILL_MARGIN_MS: u64 = 500;

/// How long after its order a kill is ordered again, and after the time limit the shim has to have acted, ms.
pub const KILL_AGAIN_MS: u64 = 1_000;

/// How often what runs is judged by this host's own proof, ms: with each renewal. It takes two milliseconds, and nothing
/// where no rule says `drain`.
pub const PROOF_LOOK_MS: u64 = as_ms(RENEW_EVERY);

/// How long this host's own verdict may be against a job whose rules say `drain`, ms.
pub const STALE_LAST_MS: u64 = as_ms(STALE_PROOF_LAST);

/// A proof is made anew after this part of the age that the rules of what runs allow: a landmark measures a host once a
/// minute, and a fix takes up to two.
pub const MEASURE_AFTER: u64 = 3;

/// L, ms.
pub const LEASE_MS: u64 = as_ms(LEASE);

/// G, ms.
pub const KILL_GRACE_MS: u64 = as_ms(KILL_GRACE);

const fn as_ms(time: std::time::Duration) -> u64 {
    time.as_secs().saturating_mul(1000)
}

const _: () = assert!(KILL_MARGIN_MS < KILL_GRACE_MS, "a job must have some grace");
const _: () = assert!(
    LEASE.subsec_nanos() == 0 && KILL_GRACE.subsec_nanos() == 0,
    "converted by whole seconds"
);
