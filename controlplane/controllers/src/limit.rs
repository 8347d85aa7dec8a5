//! Bounds and periods of the duties, each with its reason.

use std::time::Duration;

/// Least time between two `CommitPlacement`: each makes every voter sign a checkpoint, and 200 signatures a second
/// are a few percent of a core.
pub const PLACEMENT_EVERY: Duration = Duration::from_millis(5);

/// The planner looks at the state this often even if nothing woke it: tags expire without an entry.
pub const PLACEMENT_PERIOD: Duration = Duration::from_secs(1);

/// Between two looks for jobs to move for others: each walks over the buckets of a class, and what is moved takes longer to end.
pub const PREEMPT_EVERY: Duration = Duration::from_secs(1);

/// Services of which one look stops replicas: each is an entry, for which the next plan waits. The others come with the next look.
pub const RELIEVED_MAX: usize = 16;

/// Nodes plus queued jobs above which a plan is made on a blocking thread: below, it takes less than a millisecond.
pub const PLAN_INLINE_MAX: usize = 256;

/// From so many nodes on, what the rules no longer allow is looked for on a blocking thread: a placement takes a
/// microsecond, and a node may hold hundreds.
pub const EVICTION_INLINE_MAX: usize = 64;

/// Pause between ticks while audit records are uncovered by a checkpoint.
pub const TICK_UNCOVERED: Duration = Duration::from_secs(1);

/// Pause between ticks while a job is due to be looked at: what one tick leaves over waits no longer.
pub const TICK_DUE: Duration = Duration::from_millis(100);

/// Pause between ticks otherwise.
pub const TICK_IDLE: Duration = Duration::from_secs(5);

/// Pause between ticks while the state clock is more than one step behind: an hour is caught up in 8 s.
pub const TICK_CATCH_UP: Duration = Duration::from_millis(20);

/// How often leases are looked through: adds at most this to W, and 10,000 of them take a millisecond.
pub const LEASE_SCAN_EVERY: Duration = Duration::from_millis(200);

/// How often placements that are stopping are looked through: far more often than one is taken back, and 80,000 of them
/// take some milliseconds.
pub const TEARDOWN_LOOK: Duration = Duration::from_secs(1);

/// Renewals that arrive within this time share one confirmation of leadership.
pub const CONFIRM_EVERY: Duration = Duration::from_millis(50);

/// How often nodes are looked through for drains that are past their deadline: the state clock moves as often at best.
pub const DRAIN_LOOK: Duration = Duration::from_secs(1);
/// Renewals that were confirmed together are signed together if they come within this: a hundredth of what it adds to a
/// beat is noticed by nobody.
pub const ACKNOWLEDGE_GATHER: Duration = Duration::from_millis(2);

/// More renewals are hashed and signed on a blocking thread: below, it takes half a millisecond.
pub const ACKNOWLEDGE_INLINE_MAX: usize = 256;

/// How often a leader looks whether agents know its signature; a lease is three times as long.
pub const KEYLESS_LOOK: Duration = Duration::from_secs(5);

/// `ExpireLease` proposals in flight: a whole site that is lost must not wait for one round trip per node, nor fill
/// the proposal queue.
pub const EXPIRES_IN_FLIGHT: usize = 64;

/// Longest wait for one of them: after it the proposal is given up, and made again only after a new confirmation of
/// leadership, so that none arrives late at another leader.
pub const EXPIRE_DEADLINE: Duration = Duration::from_secs(2);

/// Longest wait for a confirmation: a member that cannot confirm for this long is not the leader any more.
pub const CONFIRM_DEADLINE: Duration = Duration::from_secs(2);

/// First pause after a duty failed; doubles up to [`DUTY_BACKOFF_MAX`].
pub const DUTY_BACKOFF: Duration = Duration::from_millis(50);

/// Longest pause after a duty failed.
pub const DUTY_BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Signature lines that a member keeps in memory: at one per 5 ms that is 20 s, longer than an agent's session needs
/// to be opened again. Each is under 300 bytes.
pub const SIGNATURES_KEPT: usize = 4096;

/// Signed checkpoints that wait for a slow subscriber; one that falls further behind asks by revision.
pub const SIGNATURES_BUFFERED: usize = 256;

/// Checkpoints whose signing is made durable together.
pub const SIGN_BATCH_MAX: usize = 64;

/// How often the membership is compared with the state if nothing woke the duty: what an earlier leader left half done is
/// seen at once on taking over, so this is for what nobody foresaw.
pub const MEMBERSHIP_PERIOD: Duration = Duration::from_secs(5);

/// How often a member is looked at that is waited for: it may be caught up at any time, and that is no event. Also the least
/// pause between two steps.
pub const MEMBERSHIP_LOOK: Duration = Duration::from_millis(200);

/// Longest wait for one step: a joint change is two entries, and a hand-over that fails is one election. What is not done
/// by then is looked at anew.
pub const MEMBERSHIP_STEP_DEADLINE: Duration = Duration::from_secs(10);

/// How often the levels that the members' programs know are looked at: as often as each member says its own.
pub const LEVEL_LOOK: Duration = Duration::from_secs(10);

/// For so long every member has to have known a level before it is in force: the time to see that a new program is no
/// good and to go back, which is no longer possible afterwards.
pub const LEVEL_SETTLED: Duration = Duration::from_secs(10 * 60);
