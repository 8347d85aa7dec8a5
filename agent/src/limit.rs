//! Bounds of the agent program, each with its reason.

use sekisho_types::limit::{CLOCK_AHEAD_MAX, CLOCK_BEHIND_MAX};
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

/// From dialling to the first answer of a stream: as long as a connection and a handshake may take, and a member lets an
/// agent wait at its gate. Whoever gives up before throws away what has been done for it, again and again, and that just
/// when a member has to do it for thousands. A member that does not answer at all is found by the bounds of those parts.
pub const ATTACH_WITHIN: Duration = Duration::from_secs(12);

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

/// Before the runtime is asked again whose queue was full: it takes thousands a second.
pub const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// How long an orderly end may take: kill grace, confirmed deaths, last reports.
pub const SHUTDOWN_WITHIN: Duration = Duration::from_secs(12);

/// How long tasks may take to end after that.
pub const TASKS_WITHIN: Duration = Duration::from_secs(2);

/// Ended placements whose output is kept for `sekisho job logs`; well below what the runtime holds.
pub const ENDED_KEPT: usize = 64;

/// Ledger file, bytes: 2,048 grants of 2 KiB and what surrounds them.
pub const LEDGER_MAX: u64 = 8 * 1024 * 1024;

/// Room that the ledger's spare has beyond the ledger, bytes: ends and refusals of some hundred placements.
pub const LEDGER_SPARE: u64 = 64 * 1024;

/// Enrolment file, bytes: chains, roots and a bundle.
pub const ENROLMENT_MAX: u64 = 1024 * 1024;

/// Configuration and token files, bytes.
pub const TEXT_FILE_MAX: u64 = 64 * 1024;

/// How often the host checks itself: a full disk or a lost device is told within half a minute.
pub const FITNESS_EVERY: Duration = Duration::from_secs(30);

/// Free bytes of the data directory below which nothing new may come: output and ledger of a full node need them.
pub const DATA_FREE_MIN: u64 = 256 << 20;

/// Free bytes below which somebody should look.
pub const DATA_FREE_LOW: u64 = 2 << 30;

/// The wall clock may be so far from what the members say before somebody should look: a voter's bound to one side.
pub const CLOCK_OFF_LOW: Duration = CLOCK_AHEAD_MAX;

/// Beyond this nothing new may come: the host would judge tags and certificates by a time that nobody else has.
pub const CLOCK_OFF_MAX: Duration = CLOCK_BEHIND_MAX;

/// Answers of each member by which the clock is judged: one that was late on its way says nothing of the clock.
pub const CLOCK_SAMPLES: usize = 4;

/// A certificate of whose life less than this part is left was not renewed in time: renewals begin at a third.
pub const CERTIFICATE_LOW_PART: u64 = 4;

/// With less than this part, an hour of a day, nothing new may come: with the certificate the host loses its session.
pub const CERTIFICATE_MIN_PART: u64 = 24;

/// Pause after a failed renewal of the certificate; a third of a day is left when the first is tried.
pub const RENEW_PAUSE: Duration = Duration::from_secs(30);

/// Longest sleep before the certificate's end is looked at again: the wall clock may step.
pub const RENEW_LOOK: Duration = Duration::from_secs(60);

/// Longest time that a reader of output is kept waiting for some: shorter than a member waits for the agent.
pub const LOG_WAIT_MAX: Duration = Duration::from_secs(3);

/// How often a waiting reader's output is looked at: what a person takes for "at once".
pub const LOG_LOOK_EVERY: Duration = Duration::from_millis(50);

/// Readers that wait at once on one stream: as many as a member lets in.
pub const LOG_WAITS_MAX: usize = 64;

/// Bytes of output in one answer to a reader.
pub const LOG_CHUNK_MAX: usize = 256 * 1024;

/// Keys of its site that an agent keeps: all that the state keeps, and as many of before.
pub const SITE_KEYS_MAX: usize = 32;

/// Largest file of them, bytes: each with its record takes some four hundred.
pub const SITE_KEYS_BYTES_MAX: u64 = 64 * 1024;

/// Least time between two countersignatures of an agent. 10,000 agents whose sets change all the time make 17 in a second,
/// 6 at each of three members, one entry of 28 every 5 s there: 3 KB/s of log, 270 MB a day, and 1 ms of verifying in each
/// second on every replica. Most sets change less often, and an agent that saw nothing new says nothing.
pub const COUNTERSIGN_EVERY: Duration = Duration::from_secs(600);
