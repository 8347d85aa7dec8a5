//! Why a job is, or is not, placed: the funnel, its binding filter, and what would change the answer.
//!
//! Must hold: the answer speaks of one state and of the same filters as the plan. It looks at this job alone: jobs
//! ahead of it in the queue may take what is free before its turn. Nothing depends on who asks.

mod charge;
mod topology;

use crate::filter::Filter;
use crate::survey::{Ask, Funnel, Survey};
use crate::{relax, wait};
use sekisho_evidence::grant::BoundRules;
use sekisho_fsm::State;
use sekisho_fsm::outcome::Rejection;
use sekisho_fsm::state::Job;
use sekisho_types::error_code::{ErrorCode, Kind};
use sekisho_types::id::{OperatorId, SiteId};
use sekisho_types::job::{JobFacts, JobPhase, PRIORITY_MAX};
use sekisho_types::jurisdiction::Area;
use sekisho_types::residency::{Tier, describe};
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use std::collections::BTreeSet;
use std::fmt;

/// Said of an empty fleet, where every filter is short of nodes and none of them is the reason.
const NO_NODES: &str = "no node is enrolled";

/// What would become of a job, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Every filter leaves enough nodes.
    PlacedNow,
    /// Waiting may help.
    WouldWait,
    /// Waiting cannot help: the request, a policy, a quota or the fleet has to change.
    Never,
}

/// In words, as part of a sentence.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::PlacedNow => "placed now",
            Self::WouldWait => "would wait",
            Self::Never => "never",
        })
    }
}

/// One line of the funnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Constant reason: the text of an [`ErrorCode`].
    pub token: &'static str,
    /// Nodes that pass this filter and all before it.
    pub nodes_left: u32,
    /// What the filter wants, in words.
    pub condition: String,
}

/// A change that would give a better verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relaxation {
    /// What to change, in words.
    pub change: String,
    /// The verdict with it.
    pub effect: Verdict,
}

/// The answer about one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Revision of the state that was asked.
    pub basis: Revision,
    /// Distinct nodes that the group needs.
    pub nodes_needed: u32,
    /// Nodes before the first filter.
    pub nodes: u32,
    /// The funnel, always every filter, in order. Empty if the rules that bind the job are not known.
    pub steps: Vec<Step>,
    /// What would become of the job now.
    pub verdict: Verdict,
    /// The filter that decides, unless the job would be placed now.
    pub binding: Option<ErrorCode>,
    /// Why, in words, where no filter says it.
    pub detail: String,
    /// Single changes that would give a better verdict, best first.
    pub relaxations: Vec<Relaxation>,
    /// Place in the queue from 1, if the job is queued.
    pub position: Option<u64>,
    /// When running jobs will at the latest have left enough room and quota, if nobody gets ahead; state clock.
    pub estimate: Option<Timestamp>,
}

impl Explanation {
    /// One sentence without the verdict, which whoever shows it says in the reader's language.
    #[must_use]
    pub fn summary(&self) -> String {
        let left = self.steps.last().map_or(0, |step| step.nodes_left);
        let (needed, nodes) = (self.nodes_needed, self.nodes);
        let mut parts = vec![format!("{left} of {nodes} nodes pass, {needed} needed")];
        parts.extend(self.binding.map(|code| code.to_string()));
        parts.extend(Some(self.detail.clone()).filter(|detail| !detail.is_empty()));
        parts.extend(self.estimate.map(|estimate| format!("at the latest {estimate}")));
        parts.join("; ")
    }

    /// Queued jobs before it, if it is queued.
    #[must_use]
    pub fn before(&self) -> Option<u32> {
        let before = self.position?.saturating_sub(1);
        Some(u32::try_from(before).unwrap_or(u32::MAX))
    }
}

/// Explains a job, submitted or not. For a submitted one its own past (nodes that refused it) counts too.
#[must_use]
pub fn explain(state: &State, facts: &JobFacts) -> Explanation {
    let known = state.job(&facts.id).filter(|job| job.facts == *facts);
    let position = known.and_then(|job| position(state, job));
    let rules = match state.rules_for(facts) {
        Ok(rules) => rules,
        Err(rejection) => return unknown(state, facts, rejection, position),
    };
    let ask = Ask {
        facts: facts.clone(),
        rules,
        avoid: known.map(|job| &job.avoid),
        unsealed: unsealed(state, facts),
        missing: state.is_missing(&facts.payload),
    };
    let survey = Survey::of(state);
    let funnel = survey.funnel(&ask);
    let binding = funnel.binding();
    let verdict = verdict(&funnel);
    let outlook = match verdict {
        Verdict::WouldWait => wait::outlook(&survey, &ask, &funnel),
        Verdict::PlacedNow | Verdict::Never => wait::Outlook::default(),
    };
    let mut relaxations = relax::relaxations(&survey, &ask, &funnel);
    if let Some(one) = &outlook.one {
        let change = format!("wait for job {} to end, by {} at the latest", one.job, one.by);
        relaxations.insert(0, Relaxation { change, effect: Verdict::PlacedNow });
    }
    relaxations.truncate(crate::limit::RELAXATIONS_MAX);
    Explanation {
        basis: state.revision(),
        nodes_needed: facts.group,
        nodes: funnel.total,
        steps: steps(state, &ask, &funnel),
        verdict,
        binding: binding.map(|(_, code)| code),
        detail: detail(state, facts, &funnel),
        relaxations,
        position,
        estimate: outlook.all,
    }
}

/// Sites with nodes that the payload is not sealed to.
fn unsealed<'s>(state: &'s State, facts: &JobFacts) -> BTreeSet<&'s SiteId> {
    let closed = |site: &&SiteId| !state.can_open(facts, site);
    state.nodes().map(|(id, _)| &id.site).filter(closed).collect()
}

fn detail(state: &State, facts: &JobFacts, funnel: &Funnel<'_, '_>) -> String {
    if funnel.total == 0 {
        return NO_NODES.to_owned();
    }
    let making = state.preemption(&facts.id).map(|row| row.victims.len());
    making.map_or_else(String::new, |moved| format!("{moved} job(s) are being moved to make room"))
}

pub(crate) fn verdict(funnel: &Funnel<'_, '_>) -> Verdict {
    match funnel.binding() {
        None => Verdict::PlacedNow,
        Some((_, code)) if code.kind() == Kind::Never => Verdict::Never,
        Some(_) => Verdict::WouldWait,
    }
}

pub(crate) use charge::within;
pub(crate) use topology::several;

fn unknown(
    state: &State,
    facts: &JobFacts,
    rejection: Rejection,
    position: Option<u64>,
) -> Explanation {
    Explanation {
        basis: state.revision(),
        nodes_needed: facts.group,
        nodes: u32::try_from(state.nodes().count()).unwrap_or(u32::MAX),
        steps: Vec::new(),
        verdict: Verdict::Never,
        binding: Some(rejection.code),
        detail: rejection.detail,
        relaxations: Vec::new(),
        position,
        estimate: None,
    }
}

fn position(state: &State, job: &Job) -> Option<u64> {
    if job.phase != JobPhase::Queued {
        return None;
    }
    let level = PRIORITY_MAX.saturating_sub(job.facts.priority);
    let ahead = state.queue().position(|(key, id)| key.0 == level && *id == job.facts.id)?;
    u64::try_from(ahead).ok().map(|ahead| ahead.saturating_add(1))
}

fn steps(state: &State, ask: &Ask<'_>, funnel: &Funnel<'_, '_>) -> Vec<Step> {
    let step = |filter: Filter| Step {
        token: funnel.code(filter).as_str(),
        nodes_left: funnel.left(filter),
        condition: condition(state, ask, funnel, filter),
    };
    Filter::ALL.into_iter().map(step).collect()
}

fn condition(state: &State, ask: &Ask<'_>, funnel: &Funnel<'_, '_>, filter: Filter) -> String {
    let (wanted, rules) = (ask.wanted(), &ask.rules);
    match filter {
        Filter::Country => "inside Japan".to_owned(),
        Filter::Tier => {
            let (country, area) = tiers(rules);
            format!("country established at {country} or better, area at {area} or better")
        }
        Filter::Area => all(rules.iter().map(areas).collect(), "anywhere in Japan"),
        Filter::Operator => all(rules.iter().map(operators).collect(), "of any operator"),
        Filter::Device => format!("has {} in one bucket", devices(ask)),
        Filter::Enrolled => "not revoked".to_owned(),
        Filter::Sealed => sealed(funnel),
        Filter::Kept if ask.missing => "no member inside the area keeps the payload".to_owned(),
        Filter::Kept => "some member keeps the payload".to_owned(),
        Filter::Willing => "has not refused this job".to_owned(),
        Filter::Approved => "approved by its operator".to_owned(),
        Filter::Fit => "passes its own checks".to_owned(),
        Filter::Staying => "not being drained".to_owned(),
        Filter::Alone => "not in quarantine".to_owned(),
        Filter::Usable => "schedulable and in contact".to_owned(),
        Filter::Tag => "site tag in force".to_owned(),
        Filter::Capacity => format!("{} of them free in one bucket", wanted.gpus),
        Filter::Vetoed => "taken by its operator".to_owned(),
        Filter::Offered => charge::offered(state, &ask.facts),
        Filter::Offer => format!("{} of what is offered free", wanted.gpus),
        Filter::Quota => charge::quota(state, &ask.facts),
        Filter::Budget => charge::budget(state, &ask.facts),
        Filter::Apart => topology::apart(&ask.facts),
        Filter::Topology => topology::topology(&ask.facts),
    }
}

/// Names the sites that the payload would have to be sealed to, besides.
fn sealed(funnel: &Funnel<'_, '_>) -> String {
    let sites: Vec<&str> = funnel.closed.iter().map(|site| site.as_str()).collect();
    if sites.is_empty() {
        return "can read the payload".to_owned();
    }
    format!("payload not sealed to {}", sites.join(", "))
}

fn devices(ask: &Ask<'_>) -> String {
    let wanted = ask.wanted();
    if wanted.memory_mib == 0 {
        return format!("{} x {}", wanted.gpus, wanted.class);
    }
    format!("{} x {} with {} MiB or more each", wanted.gpus, wanted.class, wanted.memory_mib)
}

fn tiers(rules: &[BoundRules]) -> (Tier, Tier) {
    rules.iter().fold((Tier::BASELINE, Tier::BASELINE), |(country, area), bound| {
        (country.max(bound.rules.country_tier), area.max(bound.rules.area_tier))
    })
}

/// Whose rules they are, for people.
pub(crate) fn source(bound: &BoundRules) -> String {
    bound.policy.as_ref().map_or_else(|| "the job".to_owned(), |(id, _)| format!("policy {id}"))
}

fn all(parts: Vec<Option<String>>, none: &str) -> String {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { none.to_owned() } else { parts.join("; ") }
}

fn areas(bound: &BoundRules) -> Option<String> {
    let (rules, source) = (&bound.rules, source(bound));
    match (rules.areas.is_empty(), rules.denied_areas.is_empty()) {
        (true, true) => None,
        (false, true) => Some(format!("in {} ({source})", describe(rules))),
        (_, false) => {
            let denied = list(&rules.denied_areas, |area: &Area| area.label());
            Some(format!("in {} but not in {denied} ({source})", describe(rules)))
        }
    }
}

fn operators(bound: &BoundRules) -> Option<String> {
    let (rules, source) = (&bound.rules, source(bound));
    let name = |operator: &OperatorId| operator.to_string();
    let (allowed, denied) = (list(&rules.operators, name), list(&rules.denied_operators, name));
    match (allowed.is_empty(), denied.is_empty()) {
        (true, true) => None,
        (false, true) => Some(format!("of {allowed} ({source})")),
        (true, false) => Some(format!("not of {denied} ({source})")),
        (false, false) => Some(format!("of {allowed} but not of {denied} ({source})")),
    }
}

pub(crate) fn list<T>(items: &BTreeSet<T>, name: impl Fn(&T) -> String) -> String {
    items.iter().map(name).collect::<Vec<_>>().join(", ")
}
