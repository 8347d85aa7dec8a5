//! The membership duty: makes the Raft group what applied state says that it shall be, one step at a time.
//!
//! Must hold: R5. It decides nothing: apply judged the set of voters, [`plan`] finds the next step towards exactly that
//! set, and whoever leads next goes on from where the group stands. It waits as long as a member needs to catch up, and
//! says for what.

use crate::driver::{Duty, DutyError};
use crate::limit::{MEMBERSHIP_LOOK, MEMBERSHIP_PERIOD, MEMBERSHIP_STEP_DEADLINE};
use crate::replica::Replica;
use sekisho_raft::consensus::MembershipError;
use sekisho_raft::membership::{Plan, Wait, plan};
use sekisho_raft::view::Wake;
use std::collections::BTreeSet;
use std::time::Duration;

/// The duty.
#[derive(Debug)]
pub struct MembershipDuty<R> {
    replica: R,
    /// What was told last, so that a long wait is one line.
    told: BTreeSet<String>,
}

impl<R: Replica> MembershipDuty<R> {
    /// The duty of this member.
    #[must_use]
    pub fn new(replica: R) -> Self {
        Self { replica, told: BTreeSet::new() }
    }

    fn tell(&mut self, plan: &Plan) {
        let kind = |wait: Wait| match wait {
            // The number moves with every look.
            Wait::Behind(_) => "behind".to_owned(),
            Wait::Listing | Wait::Silent | Wait::Other(_) | Wait::Majority | Wait::Change => {
                wait.to_string()
            }
        };
        let waits = plan.waits.iter().map(|(member, wait)| format!("{member}: {}", kind(*wait)));
        let waits: BTreeSet<String> = waits.collect();
        if waits != self.told {
            tracing::info!(?waits, "the membership is not yet what the state says");
            self.told = waits;
        }
    }
}

impl<R: Replica> Duty for MembershipDuty<R> {
    const NAME: &'static str = "membership";
    const WAKE: Option<Wake> = Some(Wake::Trust);

    fn begin(&mut self, _term: u64) {
        self.told.clear();
    }

    async fn run(&mut self) -> Result<Duration, DutyError> {
        let (view, now) = (self.replica.view(), self.replica.membership());
        let Some(federation) = view.state.federation().filter(|_| now.leads) else {
            return Ok(MEMBERSHIP_PERIOD);
        };
        let plan = plan(federation, &now);
        self.tell(&plan);
        let Some(step) = plan.step else {
            return Ok(if plan.waits.is_empty() { MEMBERSHIP_PERIOD } else { MEMBERSHIP_LOOK });
        };
        tracing::info!(?step, "changing the membership");
        match self.replica.take_step(&step, &now, MEMBERSHIP_STEP_DEADLINE).await {
            // At most so many steps a second, whatever they come to: each is an entry or two.
            Ok(()) => Ok(MEMBERSHIP_LOOK),
            // Somebody else's step, or a member that fell back since the look: look again.
            Err(MembershipError::Overtaken | MembershipError::NotReady { .. }) => {
                Ok(MEMBERSHIP_LOOK)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn end(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;
    use sekisho_fsm::command::Command;
    use sekisho_fsm::testing::{Federation, admin};
    use sekisho_raft::PeerNode;
    use sekisho_raft::error::ProposeError;
    use sekisho_raft::member::{MemberRole, MemberStatus};
    use sekisho_raft::membership::{Membership, Step};
    use sekisho_types::id::MemberId;
    use sekisho_types::revision::Revision;

    /// The group as it is when a fourth member was just listed, `lag` entries behind.
    fn group(federation: &Federation, lag: u64) -> Membership {
        let members = federation.state.federation().unwrap().members.values().map(|member| {
            let node = PeerNode::from(member);
            let newcomer = member.member == MemberId(4);
            MemberStatus {
                member: member.member,
                operator: node.operator,
                site: node.site,
                address: node.address,
                role: if newcomer { MemberRole::Learner } else { MemberRole::Voter },
                leads: false,
                matched: Some(Revision(9)),
                lag: Some(if newcomer { lag } else { 0 }),
                silent_for: Some(Duration::ZERO),
            }
        });
        Membership::of(MemberId(2), true, false, members.collect())
    }

    fn growing() -> (Fake, Membership) {
        let mut federation = Federation::new();
        let before = group(&federation, 0);
        let add = federation.newcomer(4, "kanto");
        federation.accept(admin("kanto"), add);
        let member = MemberId(4);
        federation.accept(
            admin("kanto"),
            Command::SetVoter { member, voter: true, accept_quorum_in_one_hand: false },
        );
        (Fake::of(federation), before)
    }

    #[tokio::test]
    async fn it_lists_waits_promotes_and_rests() {
        let (fake, before) = growing();
        let mut duty = MembershipDuty::new(fake.clone());
        duty.begin(1);
        fake.set_membership(before);
        assert_eq!(duty.run().await.unwrap(), MEMBERSHIP_LOOK);
        assert!(matches!(fake.steps()[..], [Step::Add(MemberId(4), _)]));
        // Listed, and far behind: looked at often, touched never.
        let at = |lag| fake.change(|federation| group(federation, lag));
        fake.set_membership(at(50_000));
        for _ in 0..3 {
            assert_eq!(duty.run().await.unwrap(), MEMBERSHIP_LOOK);
        }
        assert_eq!(fake.steps().len(), 1);
        fake.set_membership(at(0));
        assert_eq!(duty.run().await.unwrap(), MEMBERSHIP_LOOK);
        assert_eq!(fake.steps()[1], Step::Vote([1, 2, 3, 4].map(MemberId).into()));
        let mut done = at(0);
        done.members.iter_mut().for_each(|member| member.role = MemberRole::Voter);
        fake.set_membership(done);
        assert_eq!(duty.run().await.unwrap(), MEMBERSHIP_PERIOD);
        assert_eq!(fake.steps().len(), 2);
        duty.end();
    }

    #[tokio::test]
    async fn a_step_that_fails_is_tried_again_and_a_follower_takes_none() {
        let (fake, mut before) = growing();
        let mut duty = MembershipDuty::new(fake.clone());
        before.leads = false;
        fake.set_membership(before.clone());
        assert_eq!(duty.run().await.unwrap(), MEMBERSHIP_PERIOD);
        assert!(fake.steps().is_empty());
        before.leads = true;
        fake.set_membership(before);
        fake.fail_proposals(Some(ProposeError::NoLeader));
        let error = duty.run().await.unwrap_err();
        assert!(matches!(error, DutyError::Membership(MembershipError::InProgress)), "{error}");
        fake.fail_proposals(None);
        assert_eq!(duty.run().await.unwrap(), MEMBERSHIP_LOOK);
        assert_eq!(fake.steps().len(), 2, "the same step twice");
    }
}
