//! What this member heard from the others: applied revisions, and when.
//!
//! Must hold: a member that does not lead acknowledges renewals only while it cannot have missed a revocation for long
//! (design section 9): it heard from another operator lately, and it applied everything that anyone had applied
//! `BEHIND_MAX` ago.

use crate::limit::{BEHIND_MAX, HIGHER_KEPT, SILENT_AFTER};
use parking_lot::Mutex;
use sekisho_evidence::genesis::GenesisMember;
use sekisho_fsm::state::Federation;
use sekisho_proto::convert::finding::Finding;
use sekisho_types::id::{MemberId, OperatorId};
use sekisho_types::revision::Revision;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The last word of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) operator: OperatorId,
    pub(crate) applied: Revision,
    /// On `CLOCK_BOOTTIME`, nanoseconds.
    pub(crate) at_ns: u64,
    /// Why it signs nothing; empty = it signs.
    pub(crate) problem: String,
    /// What it finds wrong with itself.
    pub(crate) findings: Vec<Finding>,
}

#[derive(Debug, Default)]
struct Table {
    heard: BTreeMap<MemberId, Heard>,
    /// Revisions above this member's own, ascending, each with the time at which it was first heard of.
    higher: VecDeque<(Revision, u64)>,
}

/// The last words of all members.
#[derive(Debug, Default)]
pub struct PeerTable(Mutex<Table>);

/// Whether what was at `at_ns` is at most `limit` ago.
pub(crate) fn within(at_ns: u64, now_ns: u64, limit: Duration) -> bool {
    u128::from(now_ns.saturating_sub(at_ns)) <= limit.as_nanos()
}

impl PeerTable {
    /// Notes what a member said.
    pub(crate) fn hear(
        &self,
        member: &GenesisMember,
        applied: Revision,
        problem: Option<&str>,
        now_ns: u64,
    ) {
        let mut table = self.0.lock();
        let (known, findings) =
            table.heard.remove(&member.member).map(|h| (h.problem, h.findings)).unzip();
        let problem = problem.map(str::to_owned).or(known).unwrap_or_default();
        let (operator, findings) = (member.operator.clone(), findings.unwrap_or_default());
        let heard = Heard { operator, applied, at_ns: now_ns, problem, findings };
        table.heard.insert(member.member, heard);
        // The oldest entries are what counts: a full table keeps them.
        let newest = table.higher.back().map(|(revision, _)| *revision);
        if newest.is_none_or(|newest| applied > newest) && table.higher.len() < HIGHER_KEPT {
            table.higher.push_back((applied, now_ns));
        }
    }

    /// Notes what a member that was heard found wrong with itself.
    pub(crate) fn found(&self, member: MemberId, findings: Vec<Finding>) {
        if let Some(heard) = self.0.lock().heard.get_mut(&member) {
            heard.findings = findings;
        }
    }

    /// Whether a renewal may be acknowledged by this member, which has applied `own` and does not lead.
    pub(crate) fn may_acknowledge(
        &self,
        own: Revision,
        operator: &OperatorId,
        federation: &Federation,
        now_ns: u64,
    ) -> bool {
        let mut table = self.0.lock();
        while table.higher.front().is_some_and(|(revision, _)| *revision <= own) {
            table.higher.pop_front();
        }
        let behind =
            table.higher.front().is_some_and(|(_, at_ns)| !within(*at_ns, now_ns, BEHIND_MAX));
        let others = federation.members.values().any(|member| member.operator != *operator);
        let in_contact = table
            .heard
            .values()
            .any(|heard| heard.operator != *operator && within(heard.at_ns, now_ns, SILENT_AFTER));
        !behind && (in_contact || !others)
    }

    /// What a member said last, and whether that was lately.
    pub(crate) fn of(&self, member: MemberId, now_ns: u64) -> Option<(Heard, bool)> {
        let heard = self.0.lock().heard.get(&member)?.clone();
        let lately = within(heard.at_ns, now_ns, SILENT_AFTER);
        Some((heard, lately))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_fsm::testing;

    const SECOND: u64 = 1_000_000_000;

    fn member(state: &testing::Federation, id: u64) -> GenesisMember {
        state.state.federation().unwrap().members[&MemberId(id)].clone()
    }

    #[test]
    fn a_member_that_is_behind_or_alone_acknowledges_nothing() {
        let fixture = testing::Federation::new();
        let federation = fixture.state.federation().unwrap();
        let own = "kanto".parse().unwrap();
        let peers = PeerTable::default();
        let may = |revision, at| peers.may_acknowledge(Revision(revision), &own, federation, at);
        assert!(!may(10, 0), "heard from nobody");
        peers.hear(&member(&fixture, 2), Revision(10), None, 0);
        assert!(!may(10, 0), "a member of the own operator is no other witness");
        peers.hear(&member(&fixture, 1), Revision(10), None, 0);
        assert!(may(10, 0));
        // Behind since second 1: fine for two seconds, whatever comes later.
        peers.hear(&member(&fixture, 1), Revision(11), None, SECOND);
        peers.hear(&member(&fixture, 1), Revision(12), None, 2 * SECOND);
        assert!(may(10, 3 * SECOND));
        peers.hear(&member(&fixture, 3), Revision(12), None, 3 * SECOND);
        assert!(!may(10, 3 * SECOND + 1));
        assert!(may(11, 3 * SECOND + 1), "12 is known since second 2 only");
        assert!(!may(11, 4 * SECOND + 1));
        assert!(may(12, 4 * SECOND + 1));
        // The silence of all others counts as being cut off.
        assert!(may(12, 6 * SECOND));
        assert!(!may(12, 6 * SECOND + 1));
    }

    #[test]
    fn the_last_word_keeps_its_problem_until_another_is_said() {
        let fixture = testing::Federation::new();
        let peers = PeerTable::default();
        let hokuto = member(&fixture, 1);
        assert_eq!(peers.of(hokuto.member, 0), None);
        peers.hear(&hokuto, Revision(1), Some("CLOCK_AHEAD"), 0);
        peers.hear(&hokuto, Revision(2), None, SECOND);
        let (heard, lately) = peers.of(hokuto.member, SECOND).unwrap();
        assert_eq!(
            (heard.applied, heard.problem.as_str(), lately),
            (Revision(2), "CLOCK_AHEAD", true)
        );
        peers.hear(&hokuto, Revision(3), Some(""), SECOND);
        let (heard, lately) = peers.of(hokuto.member, 5 * SECOND).unwrap();
        assert_eq!((heard.problem.as_str(), lately), ("", false));
    }
}
