//! The lease of one session: until when jobs may run without hearing more (P4).
//!
//! Must hold: it counts from the *send* time of a renewal that the leader and members of k - 1 further operators
//! have acknowledged, on the boottime clock, so that the agent's end comes before the leader's (W). A lease that
//! is being taken back is never extended again. That the leader has, only its signature says, whoever brings it: the word
//! of a stream counts for its own operator alone.
//! Shims and watchdog enforce the same deadline when this agent hangs: they read it from a file ([`Action::Hold`]).
//!
//! [`Action::Hold`]: crate::reconcile::Action::Hold

use crate::limit::{BEATS_MAX, LEASE_MS, NS_PER_MS, START_MARGIN_MS};
use sekisho_types::id::OperatorId;
use sekisho_types::revision::Revision;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, PartialEq, Eq)]
struct Beat {
    sent_ns: u64,
    leader: Option<OperatorId>,
    followers: BTreeSet<OperatorId>,
}

/// The lease of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    k: u32,
    opened_ns: u64,
    sequence: u64,
    beats: BTreeMap<u64, Beat>,
    held_from_ns: Option<u64>,
    expiring: bool,
    /// The newest renewal that the leader acknowledged on a stream of its own.
    direct: u64,
    /// The highest revision that members of each operator told.
    heard: BTreeMap<OperatorId, Revision>,
}

/// L in nanoseconds.
const LEASE_NS: u64 = LEASE_MS.saturating_mul(NS_PER_MS);

impl Lease {
    /// A session opened at `now_ns`; nothing is held before the first acknowledged renewal.
    #[must_use]
    pub fn new(k: u32, now_ns: u64) -> Self {
        Self {
            k,
            opened_ns: now_ns,
            sequence: 0,
            beats: BTreeMap::new(),
            held_from_ns: None,
            expiring: false,
            direct: 0,
            heard: BTreeMap::new(),
        }
    }

    /// Begins a renewal. `now_ns` must be read before anything of it is sent.
    pub fn renew(&mut self, now_ns: u64) -> u64 {
        self.sequence = self.sequence.saturating_add(1);
        let beat = Beat { sent_ns: now_ns, leader: None, followers: BTreeSet::new() };
        self.beats.insert(self.sequence, beat);
        while self.beats.len() > BEATS_MAX {
            self.beats.pop_first();
        }
        self.sequence
    }

    /// Notes one member's acknowledgement. Returns whether the lease got longer.
    pub fn acknowledged(&mut self, sequence: u64, operator: &OperatorId, leader: bool) -> bool {
        if self.expiring {
            return false;
        }
        let Some(beat) = self.beats.get_mut(&sequence) else { return false };
        if leader {
            beat.leader = Some(operator.clone());
        } else {
            beat.followers.insert(operator.clone());
        }
        let Some(leader) = &beat.leader else { return false };
        let further = beat.followers.iter().filter(|follower| *follower != leader).count();
        if further < usize::try_from(self.k.saturating_sub(1)).unwrap_or(usize::MAX) {
            return false;
        }
        let sent_ns = beat.sent_ns;
        // Older renewals can add nothing; those sent after stay.
        self.beats.retain(|other, _| *other > sequence);
        let longer = self.held_from_ns.is_none_or(|held| held < sent_ns);
        self.held_from_ns = self.held_from_ns.max(Some(sent_ns));
        longer
    }

    /// Notes that the leader acknowledged a renewal on a stream of its own.
    pub fn reached(&mut self, sequence: u64) {
        self.direct = self.direct.max(sequence.min(self.sequence));
    }

    /// Notes a revision that a member told.
    pub fn hear(&mut self, operator: &OperatorId, revision: Revision) {
        let heard = self.heard.entry(operator.clone()).or_default();
        *heard = revision.max(*heard);
    }

    /// If the newest renewal has to be carried to the leader, because the one before it was not acknowledged by the
    /// leader itself: the newest revision that k operators have told of. One alone could name any.
    #[must_use]
    pub fn carry(&self) -> Option<Revision> {
        if self.sequence.saturating_sub(self.direct) < 2 {
            return None;
        }
        let mut heard: Vec<Revision> = self.heard.values().copied().collect();
        heard.sort_unstable_by_key(|revision| std::cmp::Reverse(*revision));
        let kth = usize::try_from(self.k.saturating_sub(1)).unwrap_or(usize::MAX);
        Some(heard.get(kth).copied().unwrap_or_default())
    }

    /// From now on so many operators have to acknowledge. What is held stays held.
    pub fn require(&mut self, k: u32) {
        self.k = k;
    }

    /// The control plane takes the lease back: what is held may be used up, nothing more is added.
    pub fn expire(&mut self) {
        self.expiring = true;
    }

    /// Whether it is being taken back.
    #[must_use]
    pub fn is_expiring(&self) -> bool {
        self.expiring
    }

    /// When jobs have to stop, boottime in nanoseconds; `None` before the first acknowledged renewal.
    #[must_use]
    pub fn deadline_ns(&self) -> Option<u64> {
        self.held_from_ns.map(|from| from.saturating_add(LEASE_NS))
    }

    /// When the session is over: at the deadline, or a lease after it opened if it never held one, or at once if it
    /// is taken back with nothing held.
    #[must_use]
    pub fn over_ns(&self) -> u64 {
        match self.deadline_ns() {
            Some(deadline) => deadline,
            None if self.expiring => 0,
            None => self.opened_ns.saturating_add(LEASE_NS),
        }
    }

    /// Whether something may be started at `now_ns`.
    #[must_use]
    pub fn allows_start(&self, now_ns: u64) -> bool {
        let margin = START_MARGIN_MS.saturating_mul(NS_PER_MS);
        !self.expiring && self.deadline_ns().is_some_and(|end| now_ns.saturating_add(margin) < end)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::arithmetic_side_effects, reason = "test values are small")]
    use super::*;
    use proptest::prelude::*;

    const S: u64 = 1_000_000_000;

    fn of(name: &str) -> OperatorId {
        name.parse().unwrap()
    }

    #[test]
    fn it_counts_from_the_send_time_once_the_leader_and_another_operator_answered() {
        let mut lease = Lease::new(2, 0);
        assert_eq!((lease.deadline_ns(), lease.over_ns()), (None, 15 * S));
        let first = lease.renew(S);
        assert!(!lease.acknowledged(first, &of("kanto"), true));
        assert!(!lease.acknowledged(first, &of("kanto"), false), "the leader's own operator");
        assert!(!lease.allows_start(2 * S));
        assert!(lease.acknowledged(first, &of("hokuto"), false));
        assert_eq!(lease.deadline_ns(), Some(16 * S));
        assert!(lease.allows_start(2 * S) && !lease.allows_start(15 * S + 1));
        assert!(!lease.acknowledged(first, &of("naniwa"), false), "used up");
    }

    #[test]
    fn followers_alone_extend_nothing_and_order_does_not_matter() {
        let mut lease = Lease::new(2, 0);
        let first = lease.renew(S);
        let second = lease.renew(4 * S);
        for operator in ["hokuto", "naniwa"] {
            assert!(!lease.acknowledged(second, &of(operator), false));
        }
        assert!(lease.acknowledged(second, &of("kanto"), true));
        assert_eq!(lease.deadline_ns(), Some(19 * S));
        assert!(!lease.acknowledged(first, &of("kanto"), true));
        assert!(!lease.acknowledged(first, &of("hokuto"), false));
        assert_eq!(lease.deadline_ns(), Some(19 * S), "an older renewal never shortens it");
        assert!(!lease.acknowledged(99, &of("kanto"), true), "never sent");
    }

    #[test]
    fn a_renewal_is_carried_once_the_leader_itself_has_missed_one() {
        let mut lease = Lease::new(2, 0);
        lease.renew(S);
        assert_eq!(lease.carry(), None, "nothing was missed yet");
        lease.renew(4 * S);
        assert_eq!(lease.carry(), Some(Revision(0)), "and nothing was heard");
        for (operator, revision) in [("hokuto", 9), ("naniwa", u64::MAX), ("hokuto", 7)] {
            lease.hear(&of(operator), Revision(revision));
        }
        assert_eq!(lease.carry(), Some(Revision(9)), "what two operators know of");
        lease.reached(99);
        assert_eq!(lease.carry(), None, "no more than was sent");
        lease.renew(7 * S);
        assert_eq!(lease.carry(), None);
        lease.renew(10 * S);
        assert_eq!(lease.carry(), Some(Revision(9)));
    }

    #[test]
    fn one_operator_needs_its_leader_only() {
        let mut lease = Lease::new(1, 0);
        let first = lease.renew(S);
        assert!(!lease.acknowledged(first, &of("kanto"), false));
        assert!(lease.acknowledged(first, &of("kanto"), true));
    }

    #[test]
    fn a_lease_that_is_taken_back_ends_at_the_deadline_already_held() {
        let mut lease = Lease::new(1, 0);
        let first = lease.renew(S);
        assert!(lease.acknowledged(first, &of("kanto"), true));
        let second = lease.renew(4 * S);
        lease.expire();
        assert!(!lease.acknowledged(second, &of("kanto"), true));
        assert_eq!((lease.deadline_ns(), lease.over_ns()), (Some(16 * S), 16 * S));
        assert!(!lease.allows_start(2 * S));
        let mut never = Lease::new(1, 5 * S);
        never.expire();
        assert_eq!(never.over_ns(), 0);
    }

    proptest! {
        /// Whatever is lost, doubled or reordered: never later than L after the newest send, and only with the
        /// leader and another operator behind it.
        #[test]
        fn the_deadline_is_never_beyond_what_was_acknowledged(
            answers in proptest::collection::vec((1u64..20, 0usize..3, any::<bool>()), 0..60)
        ) {
            let operators = [of("hokuto"), of("kanto"), of("naniwa")];
            let mut lease = Lease::new(2, 0);
            for n in 0..10 {
                lease.renew(n * 3 * S);
            }
            let mut seen: BTreeMap<u64, (BTreeSet<usize>, BTreeSet<usize>)> = BTreeMap::new();
            for (sequence, operator, leader) in answers {
                let entry = seen.entry(sequence).or_default();
                if leader { entry.0.insert(operator); } else { entry.1.insert(operator); }
                lease.acknowledged(sequence, &operators[operator], leader);
            }
            if let Some(deadline) = lease.deadline_ns() {
                let sequence = (deadline - LEASE_NS) / (3 * S) + 1;
                let (leaders, followers) = &seen[&sequence];
                prop_assert!(leaders.iter().any(|l| followers.iter().any(|f| f != l)));
            }
        }
    }
}
