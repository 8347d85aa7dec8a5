//! The placement duty: plans on the published state and commits the plan.
//!
//! Must hold: one `CommitPlacement` in flight, at most one per [`PLACEMENT_EVERY`] (each makes every voter sign); the
//! next plan is made on a state that has the last one.

use crate::driver::{Duty, DutyError};
use crate::limit::{
    PLACEMENT_EVERY, PLACEMENT_PERIOD, PLAN_INLINE_MAX, PREEMPT_EVERY, RELIEVED_MAX,
};
use crate::replica::{Proposed, Replica};
use crate::stamp::Stamp;
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_fsm::outcome::{Rejection, Reply};
use sekisho_raft::view::{View, Wake};
use sekisho_scheduler::limit::PREEMPT_LOOKS_MAX;
use sekisho_scheduler::{Plan, Planner, Waiting};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::JobId;
use sekisho_types::limit::{EVICTIONS_MAX, PROPOSE_DEADLINE};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The duty.
#[derive(Debug)]
pub struct Placement<R> {
    replica: R,
    stamp: Stamp,
    committed: Option<Instant>,
    /// When it last looked for jobs to move.
    looked: Option<Instant>,
    /// How many of those that are held it has asked for in vain: who waits behind some for whom nobody may be moved has its turn, too.
    passed: usize,
    /// When it last looked for replicas to stop.
    relieved: Option<Instant>,
    /// Follows the state from plan to plan. One that was lost with a plan that was given up is built anew.
    planner: Planner,
}

impl<R: Replica> Placement<R> {
    /// Placements by this member.
    #[must_use]
    pub fn new(replica: R, stamp: Stamp) -> Self {
        let (committed, looked, relieved, passed) = (None, None, None, 0);
        Self { replica, stamp, committed, looked, passed, relieved, planner: Planner::default() }
    }

    /// Has the planner do something, apart if it may take long.
    async fn ask<T: Send + 'static>(
        &mut self,
        view: &Arc<View>,
        work: impl FnOnce(&mut Planner, &State) -> T + Send + 'static,
    ) -> Result<T, DutyError> {
        let mut planner = std::mem::take(&mut self.planner);
        let size =
            view.state.queue_len().saturating_add(view.state.nodes().take(PLAN_INLINE_MAX).count());
        let (found, planner) = if size <= PLAN_INLINE_MAX {
            (work(&mut planner, &view.state), planner)
        } else {
            let view = Arc::clone(view);
            let apart = move || (work(&mut planner, &view.state), planner);
            tokio::task::spawn_blocking(apart).await.map_err(DutyError::Planner)?
        };
        self.planner = planner;
        Ok(found)
    }

    /// A plan on the published state, by the index that has followed so far.
    async fn plan(&mut self, view: &Arc<View>) -> Result<Plan, DutyError> {
        let plan = self.ask(view, |planner, state| planner.plan(state)).await?;
        let Waiting { rules, quota, budget, offer, room, payload } = plan.waiting;
        record_waiting([rules, quota, budget, offer, room, payload].map(f64::from));
        Ok(plan)
    }

    /// Now and then: moves jobs for one of those that are held, if any of them has a right to it.
    async fn make_room(&mut self, view: &Arc<View>, held: Vec<JobId>) -> Result<(), DutyError> {
        let due = self.looked.is_none_or(|looked| looked.elapsed() >= PREEMPT_EVERY);
        if held.is_empty() || !due {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let passed = if self.passed < held.len() { self.passed } else { 0 };
        let asked: Vec<JobId> = held.into_iter().skip(passed).take(PREEMPT_LOOKS_MAX).collect();
        self.passed = passed.saturating_add(asked.len());
        let found = self.ask(view, move |planner, _| planner.preempt(&asked)).await?;
        let Some(preempt) = found else { return Ok(()) };
        self.passed = 0;
        let (job, moved) = (preempt.beneficiary.clone(), preempt.victims.len());
        let entry = self.stamp.entry(&view.state, Command::Preempt(Box::new(preempt)))?;
        let proposed = self.replica.propose(entry, PROPOSE_DEADLINE).await?;
        self.replica.wait_applied(proposed.revision).await;
        match proposed.outcome {
            Ok(_) => {
                metrics::counter!("sekisho_placement_preempted_total")
                    .increment(u64::try_from(moved).unwrap_or(u64::MAX));
                tracing::info!(%job, moved, revision = %proposed.revision, "jobs make room");
            }
            // The state has moved on since; the next look sees it.
            Err(rejection) => tracing::debug!(%job, %rejection, "a preemption was rejected"),
        }
        Ok(())
    }

    /// Now and then: stops replicas that their services can do without, because others run in their place. By an entry for each
    /// service: all of an entry are stopped or none, and one service that has moved on since holds up no other.
    async fn relieve(&mut self, view: &Arc<View>) -> Result<(), DutyError> {
        if self.relieved.is_some_and(|at| at.elapsed() < PREEMPT_EVERY) {
            return Ok(());
        }
        self.relieved = Some(Instant::now());
        let replicas = self.ask(view, |planner, _| planner.surplus(EVICTIONS_MAX)).await?;
        let of_services = replicas.chunk_by(|a, b| (&a.tenant, &a.name) == (&b.tenant, &b.name));
        for replicas in of_services.take(RELIEVED_MAX) {
            let (count, replicas) = (replicas.len(), replicas.to_vec());
            let entry = self.stamp.entry(&view.state, Command::StopReplicas { replicas })?;
            let proposed = self.replica.propose(entry, PROPOSE_DEADLINE).await?;
            self.replica.wait_applied(proposed.revision).await;
            let revision = proposed.revision;
            match proposed.outcome {
                Ok(_) => tracing::info!(count, %revision, "replicas are stopped"),
                // The state has moved on since; the next look sees it.
                Err(rejection) => tracing::debug!(%rejection, "a stop of replicas was rejected"),
            }
        }
        Ok(())
    }

    async fn commit(&mut self, state: &State, command: Command) -> Result<Proposed, DutyError> {
        if let Some(committed) = self.committed {
            tokio::time::sleep_until(committed + PLACEMENT_EVERY).await;
        }
        let entry = self.stamp.entry(state, command)?;
        self.committed = Some(Instant::now());
        let proposed = self.replica.propose(entry, PROPOSE_DEADLINE).await?;
        self.replica.wait_applied(proposed.revision).await;
        Ok(proposed)
    }
}

/// Jobs at the head of the queue by what they wait for; NaN from a member that does not plan.
fn record_waiting([rules, quota, budget, offer, room, payload]: [f64; 6]) {
    let gauge = |reason: &'static str, jobs: f64| {
        metrics::gauge!("sekisho_placement_waiting", "for" => reason).set(jobs);
    };
    gauge("rules", rules);
    gauge("quota", quota);
    gauge("budget", budget);
    gauge("offer", offer);
    gauge("room", room);
    gauge("payload", payload);
}

/// Takes note of what became of a plan.
///
/// A group may be rejected because the state moved on; a plan of which nothing was granted is treated as a failure,
/// or a disagreement between planner and apply would fill the audit log as fast as the disk allows.
fn settle(proposed: &Proposed) -> Result<bool, DutyError> {
    let Reply::Placed { granted, rejected } = proposed.outcome.clone()? else {
        let why = "a plan was answered as another command";
        return Err(Rejection::new(ErrorCode::Internal, why).into());
    };
    let count = |groups: usize| u64::try_from(groups).unwrap_or(u64::MAX);
    metrics::counter!("sekisho_placement_granted_total").increment(count(granted.len()));
    metrics::counter!("sekisho_placement_rejected_total").increment(count(rejected.len()));
    for job in &granted {
        tracing::debug!(%job, revision = %proposed.revision, "placed");
    }
    for (job, code) in &rejected {
        tracing::warn!(%job, %code, revision = %proposed.revision, "planned group rejected");
    }
    match rejected.first() {
        Some((job, code)) if granted.is_empty() => {
            Err(Rejection::new(*code, format!("nothing of the plan was granted; first {job}"))
                .into())
        }
        Some(_) => Ok(true),
        None => Ok(false),
    }
}

impl<R: Replica> Duty for Placement<R> {
    const NAME: &'static str = "placement";
    const WAKE: Option<Wake> = Some(Wake::Plannable);

    fn begin(&mut self, _term: u64) {
        (self.committed, self.looked, self.relieved, self.passed) = (None, None, None, 0);
        self.planner = Planner::default();
    }

    async fn run(&mut self) -> Result<Duration, DutyError> {
        let view = self.replica.view();
        if view.state.queue_len() == 0 {
            record_waiting([0.0; 6]);
        }
        if view.state.queue_len() == 0 || self.stamp.is_behind(&view.state) {
            return Ok(PLACEMENT_PERIOD);
        }
        let began = Instant::now();
        let plan = self.plan(&view).await?;
        metrics::histogram!("sekisho_placement_plan_seconds").record(began.elapsed().as_secs_f64());
        let (more_behind, held) = (plan.more, plan.held.clone());
        self.relieve(&view).await?;
        let Some(command) = plan.into_command() else {
            self.make_room(&view, held).await?;
            return Ok(PLACEMENT_PERIOD);
        };
        let proposed = self.commit(&view.state, command).await?;
        self.make_room(&view, held).await?;
        let again = settle(&proposed)?;
        Ok(if again || more_behind { Duration::ZERO } else { PLACEMENT_PERIOD })
    }

    fn end(&mut self) {
        self.planner = Planner::default();
        record_waiting([f64::NAN; 6]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Fake, FakeClock};
    use sekisho_fsm::testing::{Federation, agent, job, user};
    use sekisho_raft::error::ProposeError;
    use sekisho_types::id::MemberId;
    use sekisho_types::job::{JobFacts, JobPhase, Kind};
    use sekisho_types::limit::{CLOCK_BEHIND_MAX, GROUPS_PER_PLAN_MAX};
    use sekisho_types::placement::Phase;
    use sekisho_types::principal::MemberIdentity;
    use sekisho_types::quota::Limit;

    fn identity() -> MemberIdentity {
        MemberIdentity {
            operator: "kanto".parse().unwrap(),
            site: "tokyo-1".parse().unwrap(),
            member: MemberId(2),
        }
    }

    fn duty(fake: &Fake, clock: &Arc<FakeClock>) -> Placement<Fake> {
        Placement::new(fake.clone(), Stamp::new(&identity(), Arc::clone(clock) as _))
    }

    #[tokio::test(start_paused = true)]
    async fn queued_jobs_are_placed_at_the_stated_pace() {
        let mut federation = Federation::new();
        federation.tenant("sapporo", Limit::Unlimited);
        for node in 0..5 {
            federation.ready_node(&format!("tokyo-1/n-{node}"), 64);
        }
        for n in 0..GROUPS_PER_PLAN_MAX + 10 {
            federation.submit(job(&format!("j-{n}"), 1, 1, &[]));
        }
        let (fake, clock) = (Fake::of(federation), Arc::new(FakeClock::default()));
        let mut placement = duty(&fake, &clock);
        placement.begin(1);
        let began = Instant::now();
        assert_eq!(placement.run().await.unwrap(), Duration::ZERO);
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(placement.run().await.unwrap(), PLACEMENT_PERIOD);
        assert!(began.elapsed() >= PLACEMENT_EVERY);
        assert_eq!(fake.proposed().len(), 2);
        assert_eq!(fake.view().state.queue_len(), 0);
        // Nothing left: nothing proposed.
        assert_eq!(placement.run().await.unwrap(), PLACEMENT_PERIOD);
        assert_eq!(fake.proposed().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_outcome_is_planned_again_on_the_state_that_stands() {
        let (fake, clock) = (Fake::new(), Arc::new(FakeClock::default()));
        fake.change(|federation| federation.submit(job("a", 1, 1, &[])));
        let mut placement = duty(&fake, &clock);
        placement.begin(1);
        fake.fail_proposals(Some(ProposeError::OutcomeUnknown));
        assert!(matches!(placement.run().await, Err(DutyError::Propose(_))));
        fake.fail_proposals(None);
        placement.run().await.unwrap();
        assert_eq!(fake.view().state.queue_len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_planned_while_the_state_clock_catches_up() {
        let (fake, clock) = (Fake::new(), Arc::new(FakeClock::default()));
        fake.change(|federation| federation.submit(job("a", 1, 1, &[])));
        clock.forward(CLOCK_BEHIND_MAX + Duration::from_millis(1));
        let mut placement = duty(&fake, &clock);
        placement.begin(1);
        placement.run().await.unwrap();
        assert_eq!(fake.proposed().len(), 0);
    }

    /// Two services of one replica each, which are to be replaced and of which the new ones run.
    fn relieved() -> Federation {
        let mut f = Federation::furnished();
        let kind = Kind::Service { replicas: 1, surge: 1 };
        let web =
            |name: &str, limit| JobFacts { kind, time_limit_s: limit, ..job(name, 1, 1, &[]) };
        for name in ["one", "two"] {
            let whole = f.submit(web(name, 3600));
            for number in 0..2 {
                f.place(&whole, &["tokyo-1/n-01"]);
                let placement = f.placements(&whole.task(number))[0];
                let node = f.state.placement(&placement).unwrap().grant.node.clone();
                let session = f.state.node(&node).unwrap().session.as_ref().unwrap().id;
                let phases = vec![(placement, Phase::Running)];
                f.accept(agent(&node), Command::Report { node, session, phases });
                if number == 0 {
                    let facts = Box::new(web(name, 7200));
                    f.accept(user("kanto", "sapporo"), Command::ReplaceJob { facts });
                }
            }
        }
        f
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_called_is_told_once_and_with_nothing_placed() {
        let mut federation = Federation::furnished();
        federation.submit(job("runs", 2, 4, &["Tokyo"]));
        let (fake, clock) = (Fake::of(federation), Arc::new(FakeClock::default()));
        let mut placement = duty(&fake, &clock);
        placement.begin(1);
        placement.run().await.unwrap();
        fake.change(|f| f.submit(job("waits", 1, 4, &["Tokyo"])));
        for _ in 0..3 {
            placement.run().await.unwrap();
        }
        assert_eq!(fake.view().state.calls(), ["sapporo/waits".parse().unwrap()]);
        assert_eq!(fake.proposed().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_for_jobs_to_move_goes_on_behind_those_it_was_in_vain_for() {
        let mut federation = Federation::furnished();
        let low = federation.submit(job("low", 1, 4, &["Tokyo"]));
        federation.place(&low, &["tokyo-1/n-01"]);
        federation.now = federation.now.plus_ms(400_000);
        // Nobody may be moved for them, as there are no such devices.
        for n in 0..PREEMPT_LOOKS_MAX {
            let facts = job(&format!("large-{n}"), 1, 16, &["Tokyo"]);
            federation.submit(JobFacts { priority: 90, ..facts });
        }
        let wanted = JobFacts { priority: 80, ..job("wanted", 2, 4, &["Tokyo"]) };
        let wanted = federation.submit(wanted);
        let held: Vec<JobId> = federation.state.queue().map(|(_, id)| id.clone()).collect();
        assert_eq!(held.last(), Some(&wanted));
        let (fake, clock) = (Fake::of(federation), Arc::new(FakeClock::default()));
        let mut placement = duty(&fake, &clock);
        placement.begin(1);
        let view = fake.view();
        placement.plan(&view).await.unwrap();
        placement.make_room(&view, held.clone()).await.unwrap();
        assert_eq!(fake.proposed().len(), 0);
        tokio::time::advance(PREEMPT_EVERY).await;
        placement.make_room(&view, held).await.unwrap();
        assert_eq!(fake.view().state.job(&low).unwrap().phase, JobPhase::Stopping);
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_moved_on_holds_up_no_other() {
        let (fake, clock) = (Fake::of(relieved()), Arc::new(FakeClock::default()));
        let mut placement = duty(&fake, &clock);
        placement.begin(1);
        let view = fake.view();
        placement.plan(&view).await.unwrap();
        // Before anything is proposed the first service takes its old word back.
        let (one, two): (JobId, JobId) =
            ("sapporo/one".parse().unwrap(), "sapporo/two".parse().unwrap());
        fake.change(|f| {
            f.accept(user("kanto", "sapporo"), Command::CancelJob { job: one.clone() })
        });
        placement.relieve(&view).await.unwrap();
        let after = fake.view();
        let state = &after.state;
        let phase = |id: &JobId| state.job(id).unwrap().phase;
        assert_eq!(phase(&two.task(0)), JobPhase::Stopping);
        assert_eq!(phase(&two.task(1)), JobPhase::Running);
        assert_eq!(fake.proposed().len(), 2);
    }

    #[test]
    fn a_plan_of_which_nothing_was_granted_is_a_failure() {
        let proposed = |granted: &[&str], rejected: &[&str]| Proposed {
            revision: sekisho_types::revision::Revision(9),
            outcome: Ok(Reply::Placed {
                granted: granted.iter().map(|id| id.parse().unwrap()).collect(),
                rejected: rejected
                    .iter()
                    .map(|id| (id.parse().unwrap(), ErrorCode::CapacityFull))
                    .collect(),
            }),
        };
        assert!(matches!(settle(&proposed(&["t/a"], &[])), Ok(false)));
        assert!(matches!(settle(&proposed(&["t/a"], &["t/b"])), Ok(true)));
        assert!(matches!(settle(&proposed(&[], &["t/b"])), Err(DutyError::Rejected(_))));
    }
}
