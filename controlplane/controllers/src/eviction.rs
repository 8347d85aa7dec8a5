//! The eviction duty: moves what the rules in force no longer allow where it is (D1, ADR 14).
//!
//! Must hold: L1: whoever leads finds in the state what is due, whatever an earlier leader had begun. It decides nothing: it
//! asks the state what apply will ask it, and apply refuses an eviction of what may stay by then. Nothing is proposed while
//! the state clock is behind: what was renewed meanwhile would look as if it were over.

use crate::driver::{Duty, DutyError};
use crate::limit::EVICTION_INLINE_MAX;
use crate::replica::Replica;
use crate::stamp::Stamp;
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_raft::view::{View, Wake};
use sekisho_types::id::JobId;
use sekisho_types::limit::{EVICTIONS_MAX, PROPOSE_DEADLINE, RULES_LOOK};
use std::sync::Arc;
use std::time::Duration;

/// The duty.
#[derive(Debug)]
pub struct EvictionDuty<R> {
    replica: R,
    stamp: Stamp,
}

impl<R: Replica> EvictionDuty<R> {
    /// The duty of this member.
    #[must_use]
    pub fn new(replica: R, stamp: Stamp) -> Self {
        Self { replica, stamp }
    }

    async fn evict(&self, state: &State, jobs: Vec<JobId>) -> Result<(), DutyError> {
        let count = u64::try_from(jobs.len()).unwrap_or(u64::MAX);
        let entry = self.stamp.entry(state, Command::EvictDenied { jobs })?;
        let proposed = self.replica.propose(entry, PROPOSE_DEADLINE).await?;
        proposed.outcome?;
        metrics::counter!("sekisho_eviction_jobs_total").increment(count);
        tracing::info!(jobs = count, revision = %proposed.revision, "jobs leave where the rules no longer allow them");
        Ok(())
    }
}

/// Jobs that have to leave; many nodes are looked through beside the runtime's threads.
async fn denied(view: &Arc<View>) -> Result<Vec<JobId>, DutyError> {
    let found = |view: &View| view.state.denied().into_keys().collect();
    if view.state.nodes().take(EVICTION_INLINE_MAX).count() < EVICTION_INLINE_MAX {
        return Ok(found(view));
    }
    let view = Arc::clone(view);
    tokio::task::spawn_blocking(move || found(&view)).await.map_err(DutyError::Planner)
}

impl<R: Replica> Duty for EvictionDuty<R> {
    const NAME: &'static str = "eviction";
    // Whatever ends a placement would wake it. A policy changes rarely, and time wakes nobody.
    const WAKE: Option<Wake> = None;

    fn begin(&mut self, _term: u64) {}

    async fn run(&mut self) -> Result<Duration, DutyError> {
        let view = self.replica.view();
        if self.stamp.is_behind(&view.state) {
            return Ok(RULES_LOOK);
        }
        let jobs = denied(&view).await?;
        let mut failed = None;
        for some in jobs.chunks(EVICTIONS_MAX) {
            if let Err(error) = self.evict(&view.state, some.to_vec()).await {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(RULES_LOOK), Err)
    }

    fn end(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Fake, FakeClock};
    use sekisho_fsm::testing::{Federation, admin, job, member};
    use sekisho_raft::error::ProposeError;
    use sekisho_types::id::MemberId;
    use sekisho_types::job::JobPhase;
    use sekisho_types::jurisdiction::Area;
    use sekisho_types::limit::{CLOCK_BEHIND_MAX, CLOCK_STEP_MAX};
    use sekisho_types::principal::MemberIdentity;
    use sekisho_types::residency::Rules;

    fn duty(fake: &Fake, clock: &Arc<FakeClock>) -> EvictionDuty<Fake> {
        let identity = MemberIdentity {
            operator: "kanto".parse().unwrap(),
            site: "tokyo-1".parse().unwrap(),
            member: MemberId(2),
        };
        EvictionDuty::new(fake.clone(), Stamp::new(&identity, Arc::clone(clock) as _))
    }

    /// Policy `gov` lets jobs in there and nowhere else.
    fn allow(federation: &mut Federation, area: &str) {
        let areas = [Area::resolve(area).unwrap()].into();
        let policy = "gov".parse().unwrap();
        let expected = federation.state.policy(&policy).map(|row| row.revision);
        let rules = Rules { areas, ..Rules::default() };
        federation.accept(admin("kanto"), Command::PutPolicy { policy, rules, expected });
    }

    /// A job under `gov` in Tokyo, and another one that no policy binds.
    fn placed(fake: &Fake) -> [JobId; 2] {
        fake.change(|federation| {
            allow(federation, "JP-13");
            let mut bound = job("bound", 1, 1, &[]);
            bound.policy = Some("gov".parse().unwrap());
            [bound, job("free", 1, 1, &[])].map(|facts| {
                let id = federation.submit(facts);
                federation.place(&id, &["tokyo-1/n-01"]);
                id
            })
        })
    }

    fn phases(fake: &Fake, jobs: &[JobId; 2]) -> [JobPhase; 2] {
        let view = fake.view();
        [&jobs[0], &jobs[1]].map(|id| view.state.job(id).unwrap().phase)
    }

    #[tokio::test]
    async fn what_a_tighter_policy_refuses_is_moved_once_and_nothing_else() {
        let (fake, clock) = (Fake::new(), Arc::new(FakeClock::default()));
        let jobs = placed(&fake);
        let mut duty = duty(&fake, &clock);
        assert_eq!(duty.run().await.unwrap(), RULES_LOOK);
        assert!(fake.proposed().is_empty());
        fake.change(|federation| allow(federation, "JP-27"));
        duty.run().await.unwrap();
        assert_eq!(phases(&fake, &jobs), [JobPhase::Stopping, JobPhase::Placed]);
        duty.run().await.unwrap();
        assert_eq!(fake.proposed().len(), 1, "what is ordered to stop is not ordered again");
    }

    #[tokio::test]
    async fn another_leader_goes_on_where_the_last_one_was_cut_off() {
        let (fake, clock) = (Fake::new(), Arc::new(FakeClock::default()));
        let jobs = placed(&fake);
        fake.change(|federation| allow(federation, "JP-27"));
        let mut first = duty(&fake, &clock);
        fake.fail_proposals(Some(ProposeError::OutcomeUnknown));
        let error = first.run().await.unwrap_err();
        assert!(matches!(error, DutyError::Propose(ProposeError::OutcomeUnknown)), "{error}");
        fake.fail_proposals(None);
        let mut next = duty(&fake, &clock);
        next.begin(2);
        next.run().await.unwrap();
        assert_eq!(phases(&fake, &jobs), [JobPhase::Stopping, JobPhase::Placed]);
    }

    #[tokio::test]
    async fn nothing_is_moved_by_a_clock_that_is_behind() {
        let (fake, clock) = (Fake::new(), Arc::new(FakeClock::default()));
        let jobs = placed(&fake);
        fake.change(|federation| allow(federation, "JP-27"));
        clock.forward(2 * CLOCK_BEHIND_MAX);
        let mut duty = duty(&fake, &clock);
        duty.run().await.unwrap();
        assert!(fake.proposed().is_empty());
        fake.change(|federation| {
            for _ in 0..4 {
                let step = u64::try_from(CLOCK_STEP_MAX.as_millis()).unwrap();
                federation.now = federation.now.plus_ms(step);
                federation.accept(member("kanto"), Command::Tick);
            }
        });
        duty.run().await.unwrap();
        assert_eq!(phases(&fake, &jobs), [JobPhase::Stopping, JobPhase::Placed]);
    }
}
