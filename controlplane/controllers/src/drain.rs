//! The drain duty: moves what is left on nodes whose drain is past its deadline.
//!
//! Must hold: L1: whoever leads finds in the state what is due, whatever an earlier leader had begun. It decides nothing:
//! apply judges the deadline by the state clock, and an eviction names the drain that it is of, so that one that was called
//! off or changed meanwhile moves nothing. One node that cannot be emptied keeps no other waiting.

use crate::driver::{Duty, DutyError};
use crate::limit::DRAIN_LOOK;
use crate::replica::Replica;
use crate::stamp::Stamp;
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_raft::view::Wake;
use sekisho_types::id::NodeId;
use sekisho_types::limit::PROPOSE_DEADLINE;
use sekisho_types::revision::Revision;
use std::time::Duration;

/// The duty.
#[derive(Debug)]
pub struct DrainDuty<R> {
    replica: R,
    stamp: Stamp,
}

/// Nodes on which something goes on past the deadline of their drain, with the entry that said how.
fn due(state: &State) -> Vec<(NodeId, Revision)> {
    let now = state.clock();
    let due = state.nodes().filter_map(|(id, node)| {
        let drain = node.overdue(now)?;
        state.desired(node).next().map(|_goes_on| (id.clone(), drain.revision))
    });
    due.collect()
}

impl<R: Replica> DrainDuty<R> {
    /// The duty of this member.
    #[must_use]
    pub fn new(replica: R, stamp: Stamp) -> Self {
        Self { replica, stamp }
    }

    async fn evict(&self, state: &State, node: NodeId, drain: Revision) -> Result<(), DutyError> {
        let command = Command::EvictDrained { node: node.clone(), drain };
        let entry = self.stamp.entry(state, command)?;
        let proposed = self.replica.propose(entry, PROPOSE_DEADLINE).await?;
        proposed.outcome?;
        metrics::counter!("sekisho_drain_evictions_total").increment(1);
        tracing::info!(%node, revision = %proposed.revision, "what is left on a draining node is moved");
        Ok(())
    }
}

impl<R: Replica> Duty for DrainDuty<R> {
    const NAME: &'static str = "drain";
    const WAKE: Option<Wake> = Some(Wake::Node);

    fn begin(&mut self, _term: u64) {}

    async fn run(&mut self) -> Result<Duration, DutyError> {
        let view = self.replica.view();
        let mut failed = None;
        for (node, drain) in due(&view.state) {
            if let Err(error) = self.evict(&view.state, node, drain).await {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(DRAIN_LOOK), Err)
    }

    fn end(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Fake, FakeClock};
    use sekisho_fsm::testing::{admin, job, member};
    use sekisho_raft::error::ProposeError;
    use sekisho_types::id::{JobId, MemberId};
    use sekisho_types::job::JobPhase;
    use sekisho_types::principal::MemberIdentity;
    use std::sync::Arc;

    const NODES: [&str; 2] = ["tokyo-1/n-01", "tokyo-1/n-02"];

    fn duty(fake: &Fake, clock: &Arc<FakeClock>) -> DrainDuty<Fake> {
        let identity = MemberIdentity {
            operator: "kanto".parse().unwrap(),
            site: "tokyo-1".parse().unwrap(),
            member: MemberId(2),
        };
        DrainDuty::new(fake.clone(), Stamp::new(&identity, Arc::clone(clock) as _))
    }

    /// A job on each of two nodes that are drained within these seconds.
    fn draining(fake: &Fake, within_s: [Option<u64>; 2]) -> [JobId; 2] {
        let both =
            [("a", 0), ("b", 1)].map(|(name, at): (&str, usize)| (name, NODES[at], within_s[at]));
        both.map(|(name, node, within_s)| {
            fake.change(|federation| {
                let id = federation.submit(job(name, 1, 1, &[]));
                federation.place(&id, &[node]);
                let (node, message) = (node.parse().unwrap(), String::new());
                federation.accept(admin("kanto"), Command::DrainNode { node, within_s, message });
                id
            })
        })
    }

    fn pass(fake: &Fake, clock: &FakeClock, seconds: u64) {
        clock.forward(Duration::from_secs(seconds));
        fake.change(|federation| {
            federation.now = federation.now.plus_ms(seconds * 1000);
            federation.accept(member("kanto"), Command::Tick);
        });
    }

    fn phases(fake: &Fake, jobs: &[JobId; 2]) -> [JobPhase; 2] {
        let view = fake.view();
        [&jobs[0], &jobs[1]].map(|id| view.state.job(id).unwrap().phase)
    }

    #[tokio::test]
    async fn what_is_past_its_deadline_is_moved_once_and_nothing_else() {
        let (fake, clock) = (Fake::new(), Arc::new(FakeClock::default()));
        let jobs = draining(&fake, [Some(5), None]);
        let mut duty = duty(&fake, &clock);
        pass(&fake, &clock, 4);
        assert_eq!(duty.run().await.unwrap(), DRAIN_LOOK);
        assert!(fake.proposed().is_empty(), "early");
        pass(&fake, &clock, 1);
        duty.run().await.unwrap();
        assert_eq!(phases(&fake, &jobs), [JobPhase::Stopping, JobPhase::Placed]);
        // What is ordered to stop is not ordered again, however long it takes.
        pass(&fake, &clock, 9);
        duty.run().await.unwrap();
        assert_eq!(fake.proposed().len(), 1);
    }

    #[tokio::test]
    async fn another_leader_goes_on_where_the_last_one_was_cut_off() {
        let (fake, clock) = (Fake::new(), Arc::new(FakeClock::default()));
        let jobs = draining(&fake, [Some(0), Some(0)]);
        let mut first = duty(&fake, &clock);
        fake.fail_proposals(Some(ProposeError::OutcomeUnknown));
        let error = first.run().await.unwrap_err();
        assert!(matches!(error, DutyError::Propose(ProposeError::OutcomeUnknown)), "{error}");
        assert_eq!(fake.proposed().len(), 2, "one that fails keeps no other waiting");
        first.end();
        fake.fail_proposals(None);
        let mut next = duty(&fake, &clock);
        next.begin(2);
        next.run().await.unwrap();
        assert_eq!(phases(&fake, &jobs), [JobPhase::Stopping; 2]);
    }
}
