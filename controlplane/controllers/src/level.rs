//! The level duty: raises the feature level in force once every member's program knows a higher one.
//!
//! Must hold: R4. Nothing is raised while one member was not heard lately, and never past what the least of them knows;
//! all of them have known it for [`LEVEL_SETTLED`], so that an upgrade which is taken back at once costs nothing. It
//! cannot be lowered again: a member that goes back to an older program then stops, and says why.

use crate::driver::{Duty, DutyError};
use crate::limit::{LEVEL_LOOK, LEVEL_SETTLED};
use crate::replica::Replica;
use crate::stamp::Stamp;
use sekisho_fsm::command::Command;
use sekisho_raft::view::Wake;
use sekisho_types::limit::PROPOSE_DEADLINE;
use std::time::Duration;
use tokio::time::Instant;

/// The duty.
#[derive(Debug)]
pub struct LevelDuty<R> {
    replica: R,
    stamp: Stamp,
    term: u64,
    /// The level that all members know, and since when as far as this leader saw.
    common: Option<(u32, Instant)>,
}

impl<R: Replica> LevelDuty<R> {
    /// The duty of this member.
    #[must_use]
    pub fn new(replica: R, stamp: Stamp) -> Self {
        Self { replica, stamp, term: 0, common: None }
    }

    /// The level to raise to now.
    fn due(&mut self, in_force: u32) -> Option<u32> {
        let known = self.replica.common_level().filter(|known| *known > in_force);
        let since = self.common.filter(|(level, _)| Some(*level) == known).map(|(_, since)| since);
        self.common = known.map(|level| (level, since.unwrap_or_else(Instant::now)));
        let settled = self.common.filter(|(_, since)| since.elapsed() >= LEVEL_SETTLED);
        settled.map(|(level, _)| level)
    }
}

impl<R: Replica> Duty for LevelDuty<R> {
    const NAME: &'static str = "level";
    const WAKE: Option<Wake> = None;

    fn begin(&mut self, term: u64) {
        (self.term, self.common) = (term, None);
    }

    async fn run(&mut self) -> Result<Duration, DutyError> {
        let view = self.replica.view();
        let from = view.state.feature_level();
        let Some(to) = self.due(from) else { return Ok(LEVEL_LOOK) };
        let entry = self.stamp.entry(&view.state, Command::RaiseFeatureLevel { level: to })?;
        // What this leader heard is not the next one's knowledge.
        let proposed = self.replica.propose_led(self.term, entry, PROPOSE_DEADLINE).await?;
        proposed.outcome?;
        tracing::info!(from, to, "every member knows it: the feature level is raised");
        Ok(LEVEL_LOOK)
    }

    fn end(&mut self) {
        self.common = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Fake, FakeClock};
    use sekisho_fsm::entry::FEATURE_LEVEL;
    use sekisho_raft::error::ProposeError;
    use sekisho_types::id::MemberId;
    use sekisho_types::principal::MemberIdentity;
    use std::sync::Arc;
    use tokio::time::advance;

    const NEXT: u32 = FEATURE_LEVEL + 1;

    fn duty(fake: &Fake) -> LevelDuty<Fake> {
        let identity = MemberIdentity {
            operator: "kanto".parse().unwrap(),
            site: "tokyo-1".parse().unwrap(),
            member: MemberId(2),
        };
        let stamp = Stamp::new(&identity, Arc::new(FakeClock::default()));
        let mut duty = LevelDuty::new(fake.clone(), stamp);
        fake.lead(Some(1));
        duty.begin(1);
        duty
    }

    async fn look(duty: &mut LevelDuty<Fake>, after: Duration) {
        advance(after).await;
        assert_eq!(duty.run().await.unwrap(), LEVEL_LOOK);
    }

    #[tokio::test(start_paused = true)]
    async fn the_level_is_raised_once_all_have_known_it_for_a_while() {
        let fake = Fake::new();
        let mut duty = duty(&fake);
        let in_force = || fake.change(|federation| federation.state.feature_level());
        // One is silent; then it is back and knows no more than what is in force.
        fake.announce(None);
        look(&mut duty, 2 * LEVEL_SETTLED).await;
        fake.announce(Some(FEATURE_LEVEL));
        look(&mut duty, 2 * LEVEL_SETTLED).await;
        // All know it, one of them goes back, all know it again: the time counts from there.
        fake.announce(Some(NEXT));
        look(&mut duty, Duration::ZERO).await;
        fake.announce(Some(FEATURE_LEVEL));
        look(&mut duty, LEVEL_SETTLED).await;
        fake.announce(Some(NEXT));
        look(&mut duty, Duration::ZERO).await;
        look(&mut duty, LEVEL_SETTLED / 2).await;
        assert_eq!((in_force(), fake.proposed().len()), (FEATURE_LEVEL, 0));
        look(&mut duty, LEVEL_SETTLED).await;
        assert_eq!((in_force(), fake.proposed().len()), (NEXT, 1));
        // Once.
        look(&mut duty, LEVEL_SETTLED).await;
        assert_eq!(fake.proposed().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_leader_saw_is_not_the_next_ones_knowledge() {
        let fake = Fake::new();
        let mut duty = duty(&fake);
        fake.announce(Some(NEXT));
        look(&mut duty, Duration::ZERO).await;
        fake.lead(Some(2));
        advance(LEVEL_SETTLED).await;
        let error = duty.run().await.unwrap_err();
        assert!(matches!(error, DutyError::Propose(ProposeError::NoLeader)), "{error}");
        duty.end();
        duty.begin(2);
        look(&mut duty, Duration::ZERO).await;
        assert!(fake.proposed().is_empty());
        look(&mut duty, LEVEL_SETTLED).await;
        assert_eq!(fake.proposed().len(), 1);
    }
}
