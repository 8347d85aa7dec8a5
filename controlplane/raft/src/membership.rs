//! The membership of the Raft group against what applied state says that it shall be: the one next step, or what is
//! waited for.
//!
//! Must hold: R5. Voters change in one joint change to exactly the set that apply judged, never to another on the way
//! there; nobody gets a vote before it holds nearly all of the log, because every commit might have to wait for it; no
//! change begins that would leave no majority to end it. A function of its arguments: whoever leads finds the same step,
//! so a change that was interrupted is ended by the next leader.
//! Does not decide who takes part: that is `fsm`, on every replica.

use crate::limit::{CATCH_UP_MAX, HEARD_LATELY};
use crate::member::{MemberRole, MemberStatus};
use crate::type_config::{LogId, PeerNode};
use sekisho_fsm::state::Federation;
use sekisho_types::id::MemberId;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The membership in force, as one member sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// This member.
    pub me: MemberId,
    /// Whether it leads. Only a leader knows how the others fare.
    pub leads: bool,
    /// Whether a change of voters is half done: both sets have to agree to everything.
    pub joint: bool,
    /// Everybody in it, by id. During a joint change a voter of either set is a voter.
    pub members: Vec<MemberStatus>,
    /// The entry that it stands in.
    pub(crate) at: Option<LogId>,
}

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send the log to a new member.
    Add(MemberId, PeerNode),
    /// Look for a member elsewhere.
    Move(MemberId, PeerNode),
    /// Have another member lead: this one shall not vote any more.
    HandOver(MemberId),
    /// Make these the voters, or end such a change that was begun.
    Vote(BTreeSet<MemberId>),
    /// Send these the log no longer.
    Drop(BTreeSet<MemberId>),
}

/// Why a member is not yet what it shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It is not in the membership yet.
    Listing,
    /// It lacks this many entries.
    Behind(u64),
    /// The leader does not hear from it.
    Silent,
    /// Another member, which changes its part together with it.
    Other(MemberId),
    /// No majority of the voters-to-be is heard.
    Majority,
    /// The change is under way.
    Change,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listing => f.write_str("to be listed"),
            Self::Behind(entries) => write!(f, "{entries} entries behind"),
            Self::Silent => f.write_str("not heard by the leader"),
            Self::Other(member) => write!(f, "waits for member {member}"),
            Self::Majority => f.write_str("no majority of the new voters is heard"),
            Self::Change => f.write_str("changing"),
        }
    }
}

/// The next step, if there is one now, and what the others wait for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What to do.
    pub step: Option<Step>,
    /// Members that are not yet what they shall be.
    pub waits: BTreeMap<MemberId, Wait>,
}

impl Membership {
    /// A membership for tests and simulations: not one that a change can be based on.
    #[must_use]
    pub fn of(me: MemberId, leads: bool, joint: bool, members: Vec<MemberStatus>) -> Self {
        Self { me, leads, joint, members, at: None }
    }

    /// Members with a vote.
    #[must_use]
    pub fn voters(&self) -> BTreeSet<MemberId> {
        let voters = self.members.iter().filter(|m| m.role == MemberRole::Voter);
        voters.map(|m| m.member).collect()
    }

    pub(crate) fn status(&self, member: MemberId) -> Option<&MemberStatus> {
        self.members.iter().find(|m| m.member == member)
    }

    /// Why a member is not ready to be counted on, if it is not.
    #[must_use]
    pub fn lacks(&self, member: MemberId) -> Option<Wait> {
        let Some(status) = self.status(member) else { return Some(Wait::Listing) };
        if status.silent_for.is_none_or(|silent| silent > HEARD_LATELY) {
            return Some(Wait::Silent);
        }
        // Heard, but nothing of the log is known to be there.
        let Some(lag) = status.lag else { return Some(Wait::Silent) };
        (lag > CATCH_UP_MAX).then_some(Wait::Behind(lag))
    }

    /// The voter other than this member that holds most of the log, of those in `among` that can be counted on.
    #[must_use]
    pub fn successor(&self, among: &BTreeSet<MemberId>) -> Option<MemberId> {
        let able = self.members.iter().filter(|m| {
            m.role == MemberRole::Voter
                && m.member != self.me
                && among.contains(&m.member)
                && self.lacks(m.member).is_none()
        });
        able.max_by_key(|m| (m.matched, Reverse(m.member))).map(|m| m.member)
    }

    fn majority_is_heard(&self, of: &BTreeSet<MemberId>) -> bool {
        let silent =
            |member: &MemberId| matches!(self.lacks(*member), Some(Wait::Silent | Wait::Listing));
        of.iter().filter(|member| !silent(member)).count() > of.len() / 2
    }
}

impl Plan {
    fn first(&mut self, step: Step) {
        self.step.get_or_insert(step);
    }

    fn wait(&mut self, members: &BTreeSet<MemberId>, wait: Wait) {
        for member in members {
            self.waits.entry(*member).or_insert(wait);
        }
    }
}

/// What is to be done next, as the leader of `now`, so that the group becomes what `federation` says.
#[must_use]
pub fn plan(federation: &Federation, now: &Membership) -> Plan {
    let mut plan = Plan::default();
    let (wanted, voting) = (federation.voters(), now.voters());
    if now.joint && wanted.iter().all(|id| now.status(*id).is_some()) {
        // Any other change would end it as a side effect, with the voters that were wanted before.
        voters(&mut plan, now, &wanted, &voting);
        return plan;
    }
    for (id, member) in &federation.members {
        let node = PeerNode::from(member);
        match now.status(*id) {
            None => {
                plan.waits.insert(*id, Wait::Listing);
                plan.first(Step::Add(*id, node));
            }
            Some(status) if status.address != node.address => plan.first(Step::Move(*id, node)),
            Some(_) => {}
        }
    }
    if wanted != voting {
        voters(&mut plan, now, &wanted, &voting);
    } else if !wanted.contains(&now.me)
        && let Some(to) = now.successor(&wanted)
    {
        plan.first(Step::HandOver(to));
    }
    // A leader does not drop itself: whoever comes after it does.
    let gone =
        now.members.iter().map(|m| m.member).filter(|id| {
            !federation.members.contains_key(id) && !voting.contains(id) && *id != now.me
        });
    let gone: BTreeSet<MemberId> = gone.collect();
    if !gone.is_empty() {
        plan.first(Step::Drop(gone));
    }
    plan
}

fn voters(
    plan: &mut Plan,
    now: &Membership,
    wanted: &BTreeSet<MemberId>,
    voting: &BTreeSet<MemberId>,
) {
    let changing: BTreeSet<MemberId> = wanted.symmetric_difference(voting).copied().collect();
    for id in wanted.difference(voting) {
        if let Some(lack) = now.lacks(*id) {
            plan.waits.insert(*id, lack);
        }
    }
    // All at once or none: a set that nobody judged might put the quorum into one hand.
    if let Some(slow) = wanted.difference(voting).find(|id| now.lacks(**id).is_some()) {
        plan.wait(&changing, Wait::Other(*slow));
        return;
    }
    if !now.majority_is_heard(wanted) {
        plan.wait(&changing, Wait::Majority);
        return;
    }
    plan.wait(&changing, Wait::Change);
    if wanted.contains(&now.me) {
        plan.first(Step::Vote(wanted.clone()));
        return;
    }
    match now.successor(wanted) {
        Some(to) => plan.first(Step::HandOver(to)),
        // Nobody who votes now shall go on voting: this member leads until the others can.
        None if wanted.is_disjoint(voting) => plan.first(Step::Vote(wanted.clone())),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_fsm::command::Command;
    use sekisho_fsm::testing::{self, admin};
    use sekisho_types::revision::Revision;
    use std::time::Duration;

    const LAST: u64 = 10_000;

    /// The membership that the fixture's state asks for, with everybody well.
    fn well(federation: &Federation, me: u64) -> Membership {
        let members =
            federation.members.iter().map(|(id, member)| status(&PeerNode::from(member), id.0));
        Membership::of(MemberId(me), true, false, members.collect())
    }

    fn status(node: &PeerNode, id: u64) -> MemberStatus {
        MemberStatus {
            member: MemberId(id),
            operator: node.operator.clone(),
            site: node.site.clone(),
            address: node.address.clone(),
            role: if id <= 3 { MemberRole::Voter } else { MemberRole::Learner },
            leads: false,
            matched: Some(Revision(LAST)),
            lag: Some(0),
            silent_for: Some(Duration::ZERO),
        }
    }

    fn of(now: &mut Membership, id: u64) -> &mut MemberStatus {
        now.members.iter_mut().find(|m| m.member == MemberId(id)).unwrap()
    }

    fn vote(ids: &[u64]) -> Option<Step> {
        Some(Step::Vote(ids.iter().map(|id| MemberId(*id)).collect()))
    }

    fn set(f: &mut testing::Federation, id: u64, voter: bool) {
        let member = MemberId(id);
        f.accept(
            admin("kanto"),
            Command::SetVoter { member, voter, accept_quorum_in_one_hand: false },
        );
    }

    #[test]
    fn a_newcomer_is_listed_then_waited_for_then_promoted() {
        let mut f = testing::Federation::new();
        let calm = plan(f.state.federation().unwrap(), &well(f.state.federation().unwrap(), 1));
        assert_eq!(calm, Plan::default());
        let mut now = well(f.state.federation().unwrap(), 1);
        let add = f.newcomer(4, "kanto");
        f.accept(admin("kanto"), add);
        let federation = f.state.federation().unwrap();
        let node = PeerNode::from(&federation.members[&MemberId(4)]);
        assert_eq!(plan(federation, &now).step, Some(Step::Add(MemberId(4), node.clone())));
        now.members.push(status(&node, 4));
        assert_eq!(plan(federation, &now), Plan::default());
        set(&mut f, 4, true);
        let federation = f.state.federation().unwrap();
        let waits = |now: &Membership| {
            let plan = plan(federation, now);
            assert_eq!(plan.step, None);
            plan.waits[&MemberId(4)]
        };
        of(&mut now, 4).lag = Some(CATCH_UP_MAX + 1);
        assert_eq!(waits(&now), Wait::Behind(CATCH_UP_MAX + 1));
        of(&mut now, 4).silent_for = None;
        assert_eq!(waits(&now), Wait::Silent);
        of(&mut now, 4).silent_for = Some(Duration::ZERO);
        of(&mut now, 4).lag = Some(CATCH_UP_MAX);
        assert_eq!(plan(federation, &now).step, vote(&[1, 2, 3, 4]));
        // No majority of the new set is there to end the change.
        for id in [2, 3] {
            of(&mut now, id).silent_for = Some(HEARD_LATELY * 2);
        }
        assert_eq!(waits(&now), Wait::Majority);
    }

    #[test]
    fn a_change_that_was_left_half_done_is_ended() {
        let f = testing::Federation::new();
        let federation = f.state.federation().unwrap();
        // Towards the voters that are wanted, and towards others.
        let mut now = well(federation, 1);
        now.joint = true;
        assert_eq!(plan(federation, &now).step, vote(&[1, 2, 3]));
        now.members.push(status(&PeerNode::from(&testing::newcomer(4, "kanto")), 4));
        of(&mut now, 4).role = MemberRole::Voter;
        assert_eq!(plan(federation, &now).step, vote(&[1, 2, 3]));
        // Nor does any other step come before its end; one would end it, towards those wanted before.
        let elsewhere = std::mem::replace(&mut of(&mut now, 2).address, "10.0.0.9:7009".into());
        assert_eq!(plan(federation, &now).step, vote(&[1, 2, 3]));
        of(&mut now, 2).address = elsewhere;
        // What was dropped from the state is dropped from the group once it has no vote.
        of(&mut now, 4).role = MemberRole::Learner;
        now.joint = false;
        assert_eq!(plan(federation, &now).step, Some(Step::Drop([MemberId(4)].into())));
    }

    #[test]
    fn a_dead_voter_goes_and_the_sets_change_at_once() {
        let mut f = testing::Federation::new();
        let add = f.newcomer(4, "naniwa");
        f.accept(admin("kanto"), add);
        let mut now = well(f.state.federation().unwrap(), 1);
        set(&mut f, 4, true);
        let remove = f.leaver(3);
        f.accept(admin("kanto"), remove);
        let federation = f.state.federation().unwrap();
        of(&mut now, 3).silent_for = None;
        assert_eq!(plan(federation, &now).step, vote(&[1, 2, 4]));
        // The dead one is not dropped first: two of three would be what no apply has judged.
        of(&mut now, 4).lag = None;
        let waiting = plan(federation, &now);
        assert_eq!((waiting.step, waiting.waits[&MemberId(3)]), (None, Wait::Other(MemberId(4))));
    }

    #[test]
    fn a_leader_that_shall_not_vote_hands_over_to_the_best_first() {
        let mut f = testing::Federation::new();
        let add = f.newcomer(4, "kanto");
        f.accept(admin("kanto"), add);
        set(&mut f, 4, true);
        set(&mut f, 2, false);
        let federation = f.state.federation().unwrap();
        let mut now = well(federation, 2);
        of(&mut now, 1).matched = Some(Revision(LAST - 1));
        assert_eq!(plan(federation, &now).step, Some(Step::HandOver(MemberId(3))));
        of(&mut now, 3).lag = Some(CATCH_UP_MAX + 1);
        assert_eq!(plan(federation, &now).step, Some(Step::HandOver(MemberId(1))));
        of(&mut now, 1).silent_for = None;
        assert_eq!(plan(federation, &now).step, None);
        // Its successor takes the vote from it.
        let other = well(federation, 3);
        assert_eq!(plan(federation, &other).step, vote(&[1, 3, 4]));
        let mut done = well(federation, 2);
        of(&mut done, 4).role = MemberRole::Voter;
        of(&mut done, 2).role = MemberRole::Learner;
        assert_eq!(plan(federation, &done).step, Some(Step::HandOver(MemberId(1))));
    }

    #[test]
    fn a_member_that_moved_is_looked_for_elsewhere() {
        let mut f = testing::Federation::new();
        let now = well(f.state.federation().unwrap(), 1);
        let (member, address) = (MemberId(3), "10.0.0.3:7003".to_owned());
        f.accept(admin("kanto"), Command::SetMemberAddress { member, address });
        let federation = f.state.federation().unwrap();
        let node = PeerNode::from(&federation.members[&member]);
        assert_eq!(plan(federation, &now).step, Some(Step::Move(member, node)));
    }
}
