//! Every bound of the product that more than one crate knows, each with its reason.

use std::time::Duration;

/// Opaque payload of a job (command, environment), bytes: one log entry must stay far below a gRPC message.
pub const PAYLOAD_MAX: usize = 64 * 1024;

/// Most sites that one payload is sealed to. Entries of 64 sites take at most 10 KiB and leave the rest to the payload;
/// who wants more sites than that narrows the policy.
pub const RECIPIENTS_MAX: usize = 64;

/// Longest life of a payload of `area-only` that no accepted job names, on the state clock: who uploads it submits the job in
/// the same run.
pub const UPLOAD_KEPT: Duration = Duration::from_secs(600);

/// One proposed entry, bytes, payload included: four fit a replication batch of 1 MiB.
pub const ENTRY_MAX: usize = 256 * 1024;

/// Members of one all-or-nothing group: a placement entry of this size still applies in under a millisecond.
pub const GROUP_MAX: u32 = 1024;

/// Tasks of one array: a page of its rows stays readable, and its counters fit any message. Larger work comes as several arrays.
pub const TASKS_MAX: u32 = 10_000;

/// Replicas of one service: what has to be weighed at once when one of them changes.
pub const REPLICAS_MAX: u32 = 256;

/// GPUs that one member of a group may ask for on one node: twice the largest shipping node.
pub const GPUS_PER_TASK_MAX: u32 = 16;

/// Marks that one job bears, and that it keeps apart from: each is looked up for each node that is tried.
pub const MARKS_MAX: usize = 8;

/// Groups in one `CommitPlacement`: bounds the apply time of an entry.
pub const GROUPS_PER_PLAN_MAX: usize = 256;

/// Jobs that are called at a time: four of each of sixteen device classes that are short at once.
pub const CALLS_MAX: usize = 64;

/// Buckets that one node may advertise: 16 devices times the MIG profiles seen on them.
pub const BUCKETS_MAX: usize = 64;

/// Devices in one bucket: more than 8 devices of 7 MIG instances each.
pub const BUCKET_DEVICES_MAX: u32 = 64;

/// Jobs that may take turns on one device: with more, each waits longer than it computes.
pub const SHARES_MAX: u32 = 16;

/// Bytes of the name of a MIG profile; the longest known has 11: `1c.7g.141gb`.
pub const PROFILE_MAX: usize = 32;

/// Jobs of one tenant that are not finished: protects the state's memory from one runaway script.
pub const OPEN_JOBS_PER_TENANT_MAX: u32 = 1_000_000;

/// Jobs that one job may wait for: steps of a workflow join a few others, and each is looked up at its submission.
pub const AFTER_MAX: usize = 16;

/// Jobs that wait for one job: all of them are judged in one entry. More can wait for one that waits for it.
pub const DEPENDENTS_MAX: usize = 1024;

/// Dependents that are judged in one entry before the rest is left to the next ticks: a chain of a million jobs that fails
/// does not keep a federation busy for a minute.
pub const JUDGED_PER_ENTRY_MAX: usize = 4096;

/// Timers of jobs that one tick takes: bounds the apply time of an entry.
pub const TIMERS_PER_TICK_MAX: usize = 1024;

/// How long a job that is over is kept: whoever comes back from a holiday week still finds it. The audit log keeps all.
pub const JOBS_KEPT_FOR: Duration = Duration::from_secs(7 * 86_400);

/// Jobs of one tenant that are over and kept; the oldest beyond go earlier. What a list of them is good for ends before that.
pub const FINAL_JOBS_PER_TENANT_MAX: u32 = 100_000;

/// Rows of jobs, tasks and placements that one tick forgets, and those of one group more: ten ticks a second keep up with ten
/// thousand ends a second.
pub const FORGET_PER_TICK_MAX: usize = 2048;

/// Levels of a tree of tenants: a ministry, its bureaus and their projects; each is looked at for each placement.
pub const TENANT_DEPTH_MAX: usize = 8;

/// Budgets of one tenant: each that counts a placement is charged with it.
pub const BUDGETS_PER_TENANT_MAX: usize = 16;

/// Periods of a budget that are kept when they are over: three years of months, for whoever compares.
pub const BUDGET_PERIODS_KEPT: usize = 36;

/// Things that one operator vetoes: each is looked at where it is asked for, and people have to oversee them.
pub const VETOES_PER_OPERATOR_MAX: usize = 1024;

/// Longest time limit of a job: 30 days. Longer work checkpoints and resubmits.
pub const TIME_LIMIT_MAX: Duration = Duration::from_secs(30 * 86_400);

/// How often a job is placed again after its node was lost or refused it, before it fails for good.
pub const ATTEMPTS_MAX: u32 = 3;

/// How long a node that refused a job is not tried again for it: who mends a host sees it used within the hour, and a service that
/// lives for months has not lost it for good.
pub const AVOIDED_FOR: Duration = Duration::from_secs(3600);

/// How long the answer to a request id is kept, on the state clock (R3).
pub const REPLY_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Furthest that one entry may move the state clock forward: a leader with a wild clock cannot expire tokens and
/// replies at once.
pub const CLOCK_STEP_MAX: Duration = Duration::from_secs(10);

/// A voter signs no checkpoint while the state clock is further ahead of its own wall clock than this.
pub const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(5);

/// A voter signs no checkpoint while the state clock is further behind its own wall clock than this.
pub const CLOCK_BEHIND_MAX: Duration = Duration::from_secs(15);

/// Longest life of a join token.
pub const JOIN_TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// A repeated join by the same key within this time gets the same answer, so that a lost reply loses no node.
pub const JOIN_REPEAT: Duration = Duration::from_secs(600);

/// Life of a member's or agent's certificate and site tag.
pub const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Lease length L: the agent stops its jobs this long after it sent the last renewal that was acknowledged.
pub const LEASE: Duration = Duration::from_secs(15);

/// Kill grace G: after `LEASE` plus this, nothing of the job runs any more.
pub const KILL_GRACE: Duration = Duration::from_secs(5);

/// ρ: largest rate error of any clock, in parts per million. Beyond it P1 is not promised.
pub const CLOCK_DRIFT_PPM: u32 = 1000;

/// ε: scheduling slack added to W.
pub const LEASE_SLACK: Duration = Duration::from_millis(50);

/// Renewal interval: five tries within one lease.
pub const RENEW_EVERY: Duration = Duration::from_secs(3);

/// Missed beats after which a node is shown as `unreachable`; only the end of its lease frees anything.
pub const BEATS_MISSED_UNREACHABLE: u32 = 3;

/// A placement that was ordered to stop and is not confirmed dead after this is taken back with its node's lease, which
/// is then renewed no more (design section 9): longer than any teardown takes that is going to succeed.
pub const TEARDOWN_WITHIN: Duration = Duration::from_secs(60);

/// Leases out of the ordinary of which a leader tells the others in one message: a site with a thousand nodes.
pub const LEASE_NEWS_MAX: usize = 1024;

/// W = ⌈(L+G)(1+ρ)/(1−ρ)⌉ + ε: how long the leader waits from receipt of the last renewal before capacity counts
/// as free (P3).
#[must_use]
pub fn lease_wait() -> Duration {
    let held_us =
        u64::try_from(LEASE.as_micros().saturating_add(KILL_GRACE.as_micros())).unwrap_or(u64::MAX);
    let rho = u64::from(CLOCK_DRIFT_PPM);
    let (fast, slow) = (1_000_000u64.saturating_add(rho), 1_000_000u64.saturating_sub(rho));
    let stretched = held_us.saturating_mul(fast).div_ceil(slow.max(1));
    Duration::from_micros(stretched).saturating_add(LEASE_SLACK)
}

/// Longest time that a caller waits for a proposal before it is told `OUTCOME_UNKNOWN` (L3).
pub const PROPOSE_DEADLINE: Duration = Duration::from_secs(10);

/// Longest life of a person's certificate, and of a key that a login registers: one working day (design section 10).
pub const LOGIN_LIFETIME_MAX: Duration = Duration::from_secs(12 * 3600);

/// So much later may the end of a login lie than that: who signs it and the state clock do not read the same second.
pub const LOGIN_CLOCK_SLACK: Duration = Duration::from_secs(60);

/// Keys of logins that one person may have in force: some machines a day; the oldest makes room.
pub const LOGINS_MAX: usize = 16;

/// Bytes that a peer which has not proven itself may receive (D3).
pub const UNPROVEN_MAX: usize = 32 * 1024;

/// Longest age of a fix that proves a place; agents make a new one after half of it. A host that is moved is noticed by
/// its restart at once, and by this at the latest.
pub const FIX_AGE_MAX: Duration = Duration::from_secs(3600);

/// How often the leader looks for placements that the rules in force no longer allow where they are: nothing else notices
/// that time has ended a proof.
pub const RULES_LOOK: Duration = Duration::from_secs(1);

/// From a change of rules to the moment at which what they no longer allow has stopped, while somebody leads and but for
/// `run_to_completion` on a host that is out of contact: it is noticed, ordered, and obeyed within G, or the host is out
/// of contact and its lease ends.
pub const EVICTION_WITHIN: Duration =
    Duration::from_secs(RULES_LOOK.as_secs() + LEASE.as_secs() + KILL_GRACE.as_secs());

/// So long a proof may be over before a job whose rules say `drain` is moved: an agent that starts anew, or whose landmark
/// was removed, has itself measured within two minutes, and once more if that fails.
pub const STALE_PROOF_GRACE: Duration = Duration::from_secs(300);

/// So long by its own measure an agent lets such a job go on: by then the control plane has moved it, if it did its part.
pub const STALE_PROOF_LAST: Duration = Duration::from_secs(600);

/// Jobs in one eviction: each is the work of an order to stop on all its nodes, and an entry must apply within
/// milliseconds.
pub const EVICTIONS_MAX: usize = 128;

/// Findings of one host about itself: there are not so many checks.
pub const FITNESS_FINDINGS_MAX: usize = 16;

/// Words of one such finding, bytes: a line that a person reads in a table.
pub const FINDING_TEXT_MAX: usize = 200;

/// Text of a label, message or reason that is stored, bytes.
pub const TEXT_MAX: usize = 512;

const _: () =
    assert!(TEARDOWN_WITHIN.as_secs() > 2 * KILL_GRACE.as_secs(), "a kill takes its grace");
const _: () = assert!(
    STALE_PROOF_LAST.as_secs() > STALE_PROOF_GRACE.as_secs() + EVICTION_WITHIN.as_secs(),
    "the agent is the last line, not the first"
);
const _: () = assert!(PAYLOAD_MAX < ENTRY_MAX, "a payload must fit its entry");
const _: () =
    assert!(RENEW_EVERY.as_secs() * 4 < LEASE.as_secs(), "several renewals must fit one lease");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_exceeds_the_lease_on_clocks_that_drift_apart() {
        // A slow agent stretches 20 s to 20 s / (1 - rho); a fast leader shortens W by (1 + rho).
        let agent_us: u128 = (20_000_000 * 1_000_000u128).div_ceil(999_000);
        let leader_us: u128 = lease_wait().as_micros() * 1_000_000 / 1_001_000;
        assert!(leader_us > agent_us, "{leader_us} {agent_us}");
        assert!(lease_wait() < Duration::from_millis(20_150));
    }
}
