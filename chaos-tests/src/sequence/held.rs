//! Jobs that wait for others and for times, as steps of random sequences.

use super::{facts, id, tenant_name};
use proptest::prelude::*;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::user;
use sekisho_types::job::{After, JobFacts, When};
use sekisho_types::principal::Principal;
use sekisho_types::time::Timestamp;

const WHENS: [When; 4] = [When::Started, When::Succeeded, When::Failed, When::Ended];

/// What a job waits for: another one, by its name, and what has to become of it; the earliest and the latest start, seconds from
/// now. What contradicts itself is refused.
#[derive(Debug, Clone)]
pub struct Held {
    on: Option<(u8, u8)>,
    from: Option<u8>,
    by: Option<u8>,
}

pub(super) fn steps() -> impl Strategy<Value = Held> {
    let on = prop::option::weighted(0.8, (0u8..8, 0u8..4));
    let (from, by) = (prop::option::weighted(0.4, 0u8..30), prop::option::weighted(0.4, 0u8..60));
    (on, from, by).prop_map(|(on, from, by)| Held { on, from, by })
}

impl Held {
    /// The submission of this job of a tenant.
    pub(super) fn submission(&self, tenant: u8, name: u8, now: Timestamp) -> (Principal, Command) {
        let after = |(name, when): (u8, u8)| {
            let when = WHENS.get(usize::from(when)).copied().unwrap_or(When::Ended);
            After { job: id(tenant, name).name, when }
        };
        let at = |seconds: u8| now.plus_ms(u64::from(seconds).saturating_mul(1000));
        let facts = JobFacts {
            after: self.on.map(after).into_iter().collect(),
            not_before: self.from.map(at),
            start_by: self.by.map(at),
            ..facts(tenant, name, 1, 1, 0, false)
        };
        (user("kanto", tenant_name(tenant)), Command::SubmitJob { facts: Box::new(facts) })
    }
}
