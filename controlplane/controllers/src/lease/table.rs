//! The leader's table of leases, as a pure value: time comes in as boottime nanoseconds.
//!
//! Must hold: capacity of a node counts as free only W after the receipt of its last counted renewal (P1, P3). A
//! lease that is marked expiring stays marked until its session is over in applied state, whatever became of the
//! proposal. The table of a new leader is empty and gives every live session a full W.
//! Does not know: whether this member is the leader, or whether a proposal was committed.

use sekisho_evidence::grant::SessionId;
use sekisho_types::id::NodeId;
use sekisho_types::limit::{BEATS_MISSED_UNREACHABLE, RENEW_EVERY, lease_wait};
use std::collections::BTreeMap;
use std::time::Duration;

/// The answer to a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// Counted: the agent may go on to the send time of this renewal plus L.
    Acknowledged,
    /// The lease is being taken back: the agent stops at the deadline that it holds, then opens a new session.
    Expiring,
    /// Not the live session of this node.
    UnknownSession,
}

/// A lease out of the ordinary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// Since the receipt of the last counted renewal, or the beginning of the wait, nanoseconds.
    pub silent_ns: u64,
    /// Until the wait is over.
    pub left_ns: u64,
    /// It is renewed no more.
    pub expiring: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Lease {
    session: SessionId,
    /// Receipt of the last counted renewal, or the beginning of the wait.
    since: u64,
    expiring: bool,
    /// The newest renewal that was carried here.
    carried: u64,
}

/// Leases of one term of leadership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseTable {
    /// No wait begins earlier: until then another leader may have acknowledged.
    began: u64,
    wait_ns: u64,
    unreachable_ns: u64,
    leases: BTreeMap<NodeId, Lease>,
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl LeaseTable {
    /// The empty table of a leader whose term began, with an entry of its own applied, at or before `now`.
    #[must_use]
    pub fn new(now: u64) -> Self {
        Self {
            began: now,
            wait_ns: nanoseconds(lease_wait()),
            unreachable_ns: nanoseconds(RENEW_EVERY.saturating_mul(BEATS_MISSED_UNREACHABLE)),
            leases: BTreeMap::new(),
        }
    }

    /// Follows the live sessions of applied state. A session seen for the first time has a full W from `now`: its
    /// agent may have been acknowledged by another leader until just now. One that is over is forgotten.
    pub fn observe<'s>(
        &mut self,
        live: impl Iterator<Item = (&'s NodeId, &'s SessionId)>,
        now: u64,
    ) {
        let mut old = std::mem::take(&mut self.leases);
        for (node, session) in live {
            let known = old.remove(node).filter(|lease| lease.session == *session);
            let fresh = Lease { session: *session, since: now, expiring: false, carried: 0 };
            self.leases.insert(node.clone(), known.unwrap_or(fresh));
        }
    }

    /// Counts a renewal that was received at `received`, if `session` is the `live` one of applied state.
    ///
    /// The caller confirmed its leadership by a round begun after the receipt, and passes states to this method and
    /// to [`Self::observe`] in their order: an older one would bring back a session that is over.
    pub fn renew(
        &mut self,
        node: &NodeId,
        session: SessionId,
        live: Option<SessionId>,
        received: u64,
    ) -> Renewal {
        if live != Some(session) {
            return Renewal::UnknownSession;
        }
        let received = received.max(self.began);
        match self.leases.get_mut(node) {
            Some(lease) if lease.session == session => {
                if lease.expiring {
                    return Renewal::Expiring;
                }
                // Renewals overtake each other; the wait is never shortened.
                lease.since = lease.since.max(received);
            }
            Some(_) | None => {
                let fresh = Lease { session, since: received, expiring: false, carried: 0 };
                self.leases.insert(node.clone(), fresh);
            }
        }
        Renewal::Acknowledged
    }

    /// Marks every lease whose wait is over at `now`, and answers all that are marked: those of before too, because
    /// what became of their proposal may be unknown.
    pub fn due(&mut self, now: u64) -> Vec<(NodeId, SessionId)> {
        let mut due = Vec::new();
        for (node, lease) in &mut self.leases {
            if now.saturating_sub(lease.since) >= self.wait_ns {
                lease.expiring = true;
            }
            // One that is taken back is marked before: it ends when the last renewal that counted is used up.
            if lease.expiring && now.saturating_sub(lease.since) >= self.wait_ns {
                due.push((node.clone(), lease.session));
            }
        }
        due
    }

    /// Notes a renewal that another member carried here; `false` if it is not newer than the last one so, or of no lease
    /// that was seen: then it says nothing of whether its agent lives.
    pub fn carried(&mut self, node: &NodeId, session: SessionId, sequence: u64) -> bool {
        match self.leases.get_mut(node).filter(|lease| lease.session == session) {
            Some(lease) if lease.carried < sequence => {
                lease.carried = sequence;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Renews the lease of a node no more, for good.
    pub fn take_back(&mut self, node: &NodeId) {
        if let Some(lease) = self.leases.get_mut(node) {
            lease.expiring = true;
        }
    }

    /// Nodes that missed several beats at `now`, or whose lease is taken back. Only shown; nothing is freed by it.
    pub fn silent(&self, now: u64) -> impl Iterator<Item = (&NodeId, Silence)> {
        self.leases.iter().filter_map(move |(node, lease)| {
            let silent_ns = now.saturating_sub(lease.since);
            let shown = lease.expiring || silent_ns >= self.unreachable_ns;
            let left_ns = self.wait_ns.saturating_sub(silent_ns);
            shown.then_some((node, Silence { silent_ns, left_ns, expiring: lease.expiring }))
        })
    }

    /// W.
    pub(super) fn wait_ns(&self) -> u64 {
        self.wait_ns
    }

    /// Leases in the table, and how many of them are marked expiring.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.leases.len(), self.leases.values().filter(|lease| lease.expiring).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: u64 = 1_000_000_000;

    fn node(n: u8) -> NodeId {
        format!("ishikari-1/n-{n:02}").parse().unwrap()
    }
    fn session(n: u8) -> SessionId {
        SessionId([n; 16])
    }
    fn wait() -> u64 {
        u64::try_from(lease_wait().as_nanos()).unwrap()
    }
    fn with_one(now: u64) -> LeaseTable {
        let mut table = LeaseTable::new(now);
        table.observe([(&node(1), &session(1))].into_iter(), now);
        table
    }

    #[test]
    fn a_new_leader_waits_a_full_w_for_every_live_session() {
        let mut table = with_one(100 * S);
        assert_eq!(table.due(100 * S + wait() - 1), []);
        assert_eq!(table.due(100 * S + wait()), [(node(1), session(1))]);
    }

    #[test]
    fn a_renewal_received_before_the_term_counts_from_its_beginning() {
        let mut table = LeaseTable::new(100 * S);
        let live = Some(session(1));
        // Meanwhile the leader before may have acknowledged a later one.
        assert_eq!(table.renew(&node(1), session(1), live, 99 * S), Renewal::Acknowledged);
        assert_eq!(table.due(100 * S + wait() - 1), []);
        assert_eq!(table.due(100 * S + wait()).len(), 1);
    }

    #[test]
    fn a_renewal_counts_from_its_receipt_and_never_backwards() {
        let mut table = with_one(0);
        let live = Some(session(1));
        assert_eq!(table.renew(&node(1), session(1), live, 5 * S), Renewal::Acknowledged);
        assert_eq!(table.renew(&node(1), session(1), live, 3 * S), Renewal::Acknowledged);
        assert_eq!(table.due(5 * S + wait() - 1), []);
        assert_eq!(table.due(5 * S + wait()).len(), 1);
    }

    #[test]
    fn expiring_is_marked_before_it_is_answered_and_never_unmarked() {
        let mut table = with_one(0);
        let live = Some(session(1));
        assert_eq!(table.due(wait()), [(node(1), session(1))]);
        // A renewal that came in time but is confirmed late is too late as well.
        assert_eq!(table.renew(&node(1), session(1), live, wait() - 1), Renewal::Expiring);
        table.observe([(&node(1), &session(1))].into_iter(), wait() + S);
        assert_eq!(table.renew(&node(1), session(1), live, wait() + S), Renewal::Expiring);
        // An unknown outcome is proposed again.
        assert_eq!(table.due(wait() + S), [(node(1), session(1))]);
        // Over in applied state: forgotten, and the session is never taken up again.
        table.observe(std::iter::empty(), wait() + 2 * S);
        assert_eq!(table.due(9 * wait()), []);
        assert_eq!(table.renew(&node(1), session(1), None, 9 * wait()), Renewal::UnknownSession);
    }

    #[test]
    fn the_renewal_of_an_old_session_is_refused() {
        let mut table = with_one(0);
        let live = Some(session(2));
        assert_eq!(table.renew(&node(1), session(1), live, S), Renewal::UnknownSession);
        // The new session may renew before the next look at the state, and has a wait of its own.
        assert_eq!(table.renew(&node(1), session(2), live, 4 * S), Renewal::Acknowledged);
        table.observe([(&node(1), &session(2))].into_iter(), 5 * S);
        assert_eq!(table.due(wait()), []);
        assert_eq!(table.due(4 * S + wait()), [(node(1), session(2))]);
    }

    #[test]
    fn unreachable_is_shown_long_before_anything_is_freed() {
        let mut table = with_one(0);
        assert_eq!(table.silent(9 * S - 1).count(), 0);
        let silence = Silence { silent_ns: 9 * S, left_ns: wait() - 9 * S, expiring: false };
        assert_eq!(table.silent(9 * S).collect::<Vec<_>>(), [(&node(1), silence)]);
        assert_eq!(table.due(9 * S), []);
        assert_eq!(table.counts(), (1, 0));
    }

    #[derive(Debug, Clone)]
    enum Act {
        Renew(u8, u8, u64),
        Due,
        Observe(Vec<(u8, u8)>),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (0u8..3, 0u8..3, 0u64..4).prop_map(|(n, s, age)| Act::Renew(n, s, age)),
            Just(Act::Due),
            prop::collection::vec((0u8..3, 0u8..3), 0..3).prop_map(Act::Observe),
        ]
    }

    proptest! {
        /// Whatever happens: nothing acknowledged is due before W from its receipt, and a session that was due is
        /// never acknowledged again while it is the live one.
        #[test]
        fn no_acknowledged_lease_ends_early(acts in prop::collection::vec((act(), 0u64..12), 1..60)) {
            let (mut table, mut now) = (LeaseTable::new(10 * S), 10 * S);
            let mut live: BTreeMap<NodeId, SessionId> = BTreeMap::new();
            let mut acked: BTreeMap<(NodeId, SessionId), u64> = BTreeMap::new();
            let mut marked: BTreeMap<NodeId, SessionId> = BTreeMap::new();
            for (act, pause) in acts {
                now += pause * S;
                match act {
                    Act::Renew(n, s, age) => {
                        let (node, session) = (node(n), session(s));
                        let received = now.saturating_sub(age * S);
                        let answer = table.renew(&node, session, live.get(&node).copied(), received);
                        if answer == Renewal::Acknowledged {
                            prop_assert_ne!(marked.get(&node), Some(&session));
                            let at = acked.entry((node, session)).or_default();
                            *at = received.max(*at);
                        }
                    }
                    Act::Due => for (node, session) in table.due(now) {
                        if let Some(at) = acked.get(&(node.clone(), session)) {
                            prop_assert!(now - at >= wait());
                        }
                        marked.insert(node, session);
                    },
                    Act::Observe(pairs) => {
                        live = pairs.into_iter().map(|(n, s)| (node(n), session(s))).collect();
                        table.observe(live.iter(), now);
                        marked.retain(|node, session| live.get(node) == Some(session));
                        acked.retain(|(node, session), _| live.get(node) == Some(session));
                    }
                }
            }
        }
    }
}
