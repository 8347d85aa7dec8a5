//! Bounds of one planning round and one explanation, each with its reason.

use sekisho_types::limit::{ENTRY_MAX, GROUP_MAX};
use sekisho_types::name::NAME_MAX;

/// Lanes in which one round looks in vain: about 20 ms, so that a fresh urgent job never waits for a pass over all.
pub const LANES_PER_PLAN_MAX: u32 = 20_000;

/// Jobs of a class that room, offers or power hold and that claim in one round, and as many that quotas hold: whoever is placed
/// beside them and ends later is asked on the books of each. Who is called claims beyond that.
pub const CLAIMS_PER_CLASS_MAX: usize = 2;

/// Jobs of a class for which one round looks for a claim: of some there is none, and to know that every bucket is looked at.
pub(crate) const CLAIMS_TRIED_MAX: usize = 4;

/// Ends that one claim tries as its beginning, beside the last one of all.
pub(crate) const CLAIM_ENDS_MAX: usize = 4096;

/// Jobs that a plan names as held by room or quota: others may be moved for them.
pub const HELD_MAX: usize = 64;

/// Of these, for how many one look asks whom to move: each walks over the buckets of a class. The next look goes on behind them.
pub const PREEMPT_LOOKS_MAX: usize = 8;

/// Estimated bytes of the places in one plan: leaves a quarter of an entry for the rest of it.
pub const PLAN_BYTES_MAX: usize = ENTRY_MAX / 4 * 3;

/// Bytes of a place beside its node's names: two lengths and a bucket number.
pub(crate) const SLOT_OVERHEAD: usize = 5;

/// Bytes of a group beside its places and its job's names: three lengths.
pub(crate) const GROUP_OVERHEAD: usize = 7;

/// Placements whose end an explanation considers: each costs a microsecond. Leaving some out only makes the estimate
/// later.
pub const PLACEMENTS_CONSIDERED_MAX: usize = 4096;

/// Relaxations that an explanation names: people read three and act on one.
pub const RELAXATIONS_MAX: usize = 5;

/// Jobs of the queue that an explanation plans before the one that is asked about: each costs two microseconds. Whoever has more
/// before it learns that, and how it stands behind these.
pub const AHEAD_MAX: usize = 1_000;

/// Jobs before it that an explanation counts: half a millisecond; beyond it "more" says as much.
pub const COUNTED_MAX: usize = 10_000;

/// Instants that an explanation tries one by one where neither the first nor the last one does: each is a look at the fleet.
pub const EVENTS_TRIED_MAX: usize = 8;

/// Jobs of which an explanation asks whether their end alone would do, and limits, offers and vetoes of which it asks whether
/// they would: each is a look at the fleet.
pub const TRIED_MAX: usize = 4;

/// Other device classes that an explanation tries.
pub const CLASSES_TRIED_MAX: usize = 16;

/// Periods that a job which budgets hold looks ahead for one that covers it: what lasts into the third is charged there already.
pub(crate) const BUDGET_PERIODS_TRIED_MAX: usize = 4;

/// Jobs for which one round keeps something of budgets.
pub(crate) const BUDGETS_KEPT_MAX: usize = 64;

/// Running jobs that one search asks whether they give quota back: each costs a state without it.
pub(crate) const QUOTA_LOOKS_MAX: usize = 256;

const _: () = assert!(
    GROUP_MAX as usize * (2 * NAME_MAX + SLOT_OVERHEAD) + 2 * NAME_MAX + GROUP_OVERHEAD
        < PLAN_BYTES_MAX,
    "the largest group must fit a plan of its own, or it would never be placed"
);
