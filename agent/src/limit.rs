//! Bounds of the agent program, each with its reason.

use std::time::Duration;

/// Events that wait for the main loop: a burst of acknowledgements and sets of every member.
pub const EVENTS_MAX: usize = 256;

/// Messages that wait for one member's stream. A stream that is slower loses renewals, and by them the lease.
pub const STREAM_QUEUE: usize = 64;

/// Members that streams are kept to: every member of a federation of seven. More than the k + 1 operators that are
/// needed, because the leader has to be among them, and nobody tells an agent who leads.
pub const STREAMS_MAX: usize = 7;

/// Members, roots and endpoints in a join answer.
pub const MEMBERS_MAX: usize = 16;

/// A join as a whole, retries included: an election fits several times.
pub const JOIN_WITHIN: Duration = Duration::from_secs(60);

/// A unary call, retries included: as long as a proposal may take, and some.
pub const CALL_WITHIN: Duration = Duration::from_secs(12);

/// From dialling to the first answer of a stream.
pub const ATTACH_WITHIN: Duration = Duration::from_secs(5);

/// First bound of the pause before a stream is dialled again.
pub const REDIAL_FIRST: Duration = Duration::from_millis(100);

/// Longest pause: L/3, so that agents that lost a member together do not come back together, and still in time.
pub const REDIAL_MAX: Duration = Duration::from_secs(5);

/// Agents that were put off come again within so long after the time that they were told: L/3.
pub const COME_AGAIN_WITHIN: Duration = Duration::from_secs(5);

/// Longest time that a member can tell an agent to wait: beyond it a lease would be lost for nothing.
pub const PUT_OFF_MAX: Duration = Duration::from_secs(5);

/// How often devices are looked at, and the runtime asked for ends whose event was lost.
pub const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Longest sleep of the main loop.
pub const TICK: Duration = Duration::from_secs(1);

/// How long leftovers of an earlier run may take to die.
pub const SWEEP_WITHIN: Duration = Duration::from_secs(5);

/// How long an orderly end may take: kill grace, confirmed deaths, last reports.
pub const SHUTDOWN_WITHIN: Duration = Duration::from_secs(12);

/// How long tasks may take to end after that.
pub const TASKS_WITHIN: Duration = Duration::from_secs(2);

/// Ended placements whose output is kept for `sekisho job logs`; well below what the runtime holds.
pub const ENDED_KEPT: usize = 64;

/// Ledger file, bytes: 2,048 grants of 2 KiB and what surrounds them.
pub const LEDGER_MAX: u64 = 8 * 1024 * 1024;

/// Enrolment file, bytes: chains, roots and a bundle.
pub const ENROLMENT_MAX: u64 = 1024 * 1024;

/// Configuration and token files, bytes.
pub const TEXT_FILE_MAX: u64 = 64 * 1024;

/// Pause after a failed renewal of the certificate; a third of a day is left when the first is tried.
pub const RENEW_PAUSE: Duration = Duration::from_secs(30);

/// Longest sleep before the certificate's end is looked at again: the wall clock may step.
pub const RENEW_LOOK: Duration = Duration::from_secs(60);

/// Bytes of output in one answer to a reader.
pub const LOG_CHUNK_MAX: usize = 256 * 1024;
