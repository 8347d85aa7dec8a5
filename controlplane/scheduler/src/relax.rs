//! Single changes that would give a job a better verdict, found by asking again with one thing changed.
//!
//! Must hold: a change is named only if asking again with it, by all filters, those whose turn comes first and what is kept for
//! others, gave the stated verdict. The national baseline is never offered for relaxation (D2).
//! Does not know: who may make it.

mod charge;
mod job;
mod rules;
mod topology;

use crate::ahead::{Ahead, Stand};
use crate::explain::{Verdict, binding, verdict};
use crate::fleet::Fleet;
use crate::queue::Queue;
use crate::round::Probe;
use crate::survey::{Ask, Funnel, Survey};
use sekisho_fsm::supposed::Supposed;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::JobId;
use sekisho_types::job::JobFacts;

pub(crate) use job::of_job;

/// What is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum With {
    /// Nothing: this job ends.
    End(JobId),
    /// The job asks for this.
    Job(Box<JobFacts>),
    /// Its payload is sealed anew.
    Seal,
    /// Something else than the job.
    Other(Supposed),
}

/// A change that would give a better verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relaxation {
    /// What to change, in words.
    pub change: String,
    /// The verdict with it.
    pub effect: Verdict,
    /// The same for programs.
    pub with: With,
}

/// What a change costs, the least first: what the submitter does alone, then what one's own administrators do, then what takes
/// another company, last what a law or a contract may have asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cost {
    Wait,
    Limit,
    Topology,
    Gpus,
    Group,
    Memory,
    Seal,
    Class,
    Rules,
    Quota,
    Budget,
    Offer,
    Power,
    Price,
    Veto,
    Policy,
}

/// A change that helps, with its cost.
pub(crate) type Costed = (Cost, Relaxation);

/// The job as it is asked about, and how it stands.
#[derive(Debug)]
pub(crate) struct Case<'c> {
    pub(crate) survey: &'c Survey<'c>,
    pub(crate) ask: &'c Ask<'c>,
    pub(crate) funnel: &'c Funnel<'c>,
    /// What it would find at its turn, if others go before it.
    pub(crate) probe: Option<Probe>,
    pub(crate) binding: ErrorCode,
}

impl Case<'_> {
    fn now(&self) -> Verdict {
        verdict(Some(self.binding))
    }
}

/// What has to be asked anew where something else than the job changes.
#[derive(Debug)]
pub(crate) struct Others<'o> {
    pub(crate) fleet: &'o mut Fleet,
    pub(crate) queue: &'o Queue,
    pub(crate) stand: &'o Stand<'o>,
}

/// Changes of quotas, budgets, offers and vetoes that would help.
pub(crate) fn of_others(case: &Case<'_>, others: &mut Others<'_>) -> Vec<Costed> {
    let state = case.survey.state;
    let mut found = Vec::new();
    for (cost, change, supposed) in charge::candidates(case) {
        let then = state.supposing(&supposed);
        let funnel = case.survey.funnel_on(&then, case.ask);
        let probe = || {
            // What the round before took is free again.
            others.fleet.follow(state, state);
            let behind = others.queue.len() > 0;
            behind
                .then(|| Ahead::of(others.fleet, others.queue, &then, others.stand).probe(case.ask))
        };
        let effect = verdict(binding(&funnel, case.ask, probe));
        if effect < case.now() {
            found.push((cost, Relaxation { change, effect, with: With::Other(supposed) }));
        }
    }
    found
}
