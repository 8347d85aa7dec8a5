//! A leader whose signature no agent knows hands over.
//!
//! Must hold: L1, P4. Agents go on only by acknowledgements that the leader signed; under one without a checkpoint key, or
//! with a key that the bundle in force does not name, every lease of the federation would end. It hands over to the
//! next voter that can be counted on, by number, so that two such members do not pass the lead to each other for ever.

use super::Leases;
use crate::driver::{Duty, DutyError};
use crate::limit::{KEYLESS_LOOK, MEMBERSHIP_STEP_DEADLINE};
use crate::replica::Replica;
use sekisho_raft::membership::{Membership, Step};
use sekisho_raft::view::Wake;
use sekisho_types::id::MemberId;
use std::collections::BTreeSet;
use std::time::Duration;

/// The duty.
#[derive(Debug)]
pub struct KeylessDuty<R> {
    leases: Leases<R>,
}

impl<R: Replica> KeylessDuty<R> {
    /// Of the member with these leases.
    #[must_use]
    pub fn new(leases: Leases<R>) -> Self {
        Self { leases }
    }
}

/// The voter to hand over to: the next by number after this member, around, of those that can be counted on.
fn next(membership: &Membership) -> Option<MemberId> {
    let voters = membership.voters();
    let after = voters.iter().filter(|member| **member > membership.me);
    let around = after.chain(voters.iter().filter(|member| **member < membership.me));
    let able = |member: &&MemberId| membership.successor(&BTreeSet::from([**member])).is_some();
    around.copied().find(|member| able(&member))
}

impl<R: Replica> Duty for KeylessDuty<R> {
    const NAME: &'static str = "signing-leader";
    const WAKE: Option<Wake> = None;

    fn begin(&mut self, _term: u64) {}

    async fn run(&mut self) -> Result<Duration, DutyError> {
        let shared = &self.leases.0;
        let view = shared.replica.view();
        // Before there is a federation there is no bundle that could name anybody.
        if view.state.federation().is_none() || shared.acknowledger.is_known(&view.state) {
            return Ok(KEYLESS_LOOK);
        }
        let membership = shared.replica.membership();
        if let Some(to) = next(&membership).filter(|_| membership.leads) {
            tracing::error!(%to, "no agent knows this leader's signature: it hands over");
            let step = Step::HandOver(to);
            shared.replica.take_step(&step, &membership, MEMBERSHIP_STEP_DEADLINE).await?;
        }
        Ok(KEYLESS_LOOK)
    }

    fn end(&mut self) {}
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use sekisho_evidence::genesis::GenesisMember;
    use sekisho_fsm::testing::Federation;
    use sekisho_raft::PeerNode;
    use sekisho_raft::member::{MemberRole, MemberStatus};
    use sekisho_types::revision::Revision;

    /// The fixture's voters as member `me` leads them, of which these can be counted on.
    pub(in crate::lease) fn group(me: u64, able: &[u64]) -> Membership {
        let federation = Federation::new();
        let members = &federation.state.federation().unwrap().members;
        let status = |genesis: &GenesisMember| {
            let node = PeerNode::from(genesis);
            MemberStatus {
                member: genesis.member,
                operator: node.operator,
                site: node.site,
                address: node.address,
                role: MemberRole::Voter,
                leads: genesis.member == MemberId(me),
                matched: Some(Revision(9)),
                lag: Some(0),
                silent_for: able.contains(&genesis.member.0).then_some(Duration::ZERO),
            }
        };
        Membership::of(MemberId(me), true, false, members.values().map(status).collect())
    }

    #[test]
    fn the_lead_goes_round_among_those_that_can_be_counted_on() {
        let to = |me, able: &[u64]| next(&group(me, able)).map(|member| member.0);
        assert_eq!([1, 2, 3].map(|me| to(me, &[1, 2, 3])), [Some(2), Some(3), Some(1)]);
        assert_eq!(to(2, &[1, 2]), Some(1), "the next is silent");
        assert_eq!(to(2, &[2]), None);
    }
}
