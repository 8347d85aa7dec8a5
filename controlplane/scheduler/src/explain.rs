//! Why a job is, or is not, placed: the funnel, its binding filter, and what would change the answer.
//!
//! Must hold: the answer speaks of one state, of the same filters as the plan, and behind them of the plan's own round: whose turn
//! comes first and what is kept for others. Nothing depends on who asks.

mod charge;
mod stands;
mod start;
mod topology;

use crate::ahead::{Ahead, Booked, Stand};
use crate::alike::Alike;
use crate::filter::Filter;
use crate::fleet::Fleet;
use crate::limit::{AHEAD_MAX, RELAXATIONS_MAX};
use crate::relax::{Case, Cost, Others, Relaxation, With};
use crate::round::Probe;
use crate::survey::{Ask, Funnel, Survey};
use crate::wait::Basis;
use crate::{relax, wait};
use sekisho_evidence::grant::BoundRules;
use sekisho_fsm::State;
use sekisho_fsm::held::Hold;
use sekisho_fsm::outcome::Rejection;
use sekisho_fsm::state::Job;
use sekisho_types::error_code::{ErrorCode, Kind};
use sekisho_types::id::{JobId, NodeId, OperatorId, SiteId};
use sekisho_types::job::{JobFacts, Resources};
use sekisho_types::jurisdiction::Area;
use sekisho_types::residency::{Tier, describe};
use sekisho_types::revision::Revision;
use sekisho_types::sharing::Sharing;
use sekisho_types::time::Timestamp;
use std::collections::BTreeSet;
use std::fmt;

/// Said of an empty fleet, where every filter is short of nodes and none of them is the reason.
const NO_NODES: &str = "no node is enrolled";

/// Said of what waits for something else than time.
const NO_ESTIMATE: &str = "no estimate: nothing that is known to end or begin lets it start";

/// What would become of a job, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Every filter leaves enough nodes, or it has its places.
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
    /// There are more before it than were counted ([`COUNTED_MAX`](crate::limit::COUNTED_MAX)).
    pub more_before: bool,
    /// How many were called before it and wait, if it was called ([`State::calls`]): its turn came, and something is kept for it.
    pub called_before: Option<u32>,
    /// When it will be placed at the latest, if nobody comes who gets ahead, on the state clock; and what that rests on. `None` of a
    /// job that waits: nothing that a clock brings lets it start.
    pub estimate: Option<(Timestamp, Basis)>,
    /// It has its places already, and nothing more of it is to be placed: [`detail`](Self::detail) says where and since when, and
    /// there is no funnel.
    pub has_places: bool,
}

impl Explanation {
    /// One sentence without the verdict, which whoever shows it says in the reader's language.
    #[must_use]
    pub fn summary(&self) -> String {
        if self.has_places {
            return self.detail.clone();
        }
        let left = self.steps.last().map_or(0, |step| step.nodes_left);
        let (needed, nodes) = (self.nodes_needed, self.nodes);
        let mut parts = vec![format!("{left} of {nodes} nodes pass, {needed} needed")];
        parts.extend(self.binding.map(|code| code.to_string()));
        parts.extend(Some(self.detail.clone()).filter(|detail| !detail.is_empty()));
        parts.extend(self.estimate.map(|(at, basis)| format!("at the latest {at}, {basis}")));
        let waits = self.verdict == Verdict::WouldWait && self.estimate.is_none();
        parts.extend(waits.then(|| NO_ESTIMATE.to_owned()));
        parts.join("; ")
    }

    /// Queued jobs before it, if it is queued.
    #[must_use]
    pub fn before(&self) -> Option<u32> {
        let before = self.position?.saturating_sub(1);
        Some(u32::try_from(before).unwrap_or(u32::MAX))
    }
}

/// Indexes of the fleet that follow from one explanation to the next, so that each costs what changed, and the kinds of nodes that
/// there are. They keep nodes and sites alone of the state that they followed to.
#[derive(Debug, Default)]
pub struct Explainer {
    seen: State,
    fleet: Fleet,
    alike: Alike,
}

/// Explains a job by new indexes.
#[must_use]
pub fn explain(state: &State, facts: &JobFacts) -> Explanation {
    Explainer::default().explain(state, facts)
}

impl Explainer {
    /// Explains a job, submitted or not. For a submitted one its own past (nodes that refused it) counts too; of one that has its
    /// places it says where they are.
    #[must_use]
    pub fn explain(&mut self, state: &State, facts: &JobFacts) -> Explanation {
        let known = state.job(&facts.id).filter(|job| job.facts == *facts);
        if let Some(found) = known.and_then(|job| stands::of(state, job)) {
            return found;
        }
        let rules = match state.rules_for(facts) {
            Ok(rules) => rules,
            Err(rejection) => return unknown(state, facts, rejection),
        };
        self.follow(state);
        let (survey, apart) =
            (Survey::of(state, &self.alike, &rules), apart(state, &self.fleet, facts));
        let ask = Ask {
            facts: facts.clone(),
            rules,
            avoid: known.map(|job| state.avoided(job)).unwrap_or_default(),
            apart: &apart,
            unsealed: unsealed(&survey, facts),
            missing: state.is_missing(&facts.payload),
            making: state.preemption(&facts.id).is_some(),
        };
        answer(&survey, &ask, &Stand::of(state, facts), &mut self.fleet)
    }

    /// By an index of these.
    #[cfg(test)]
    pub(crate) fn of(alike: Alike) -> Self {
        Self { alike, ..Self::default() }
    }

    fn follow(&mut self, state: &State) {
        if state.clock() < self.seen.clock() {
            // What time alone had changed would have to be changed back.
            *self = Self::default();
        }
        self.fleet.follow(&self.seen, state);
        self.alike.follow(&self.seen, state);
        self.seen = state.fleet_alone();
    }
}

fn answer(survey: &Survey<'_>, ask: &Ask<'_>, stand: &Stand<'_>, fleet: &mut Fleet) -> Explanation {
    let (state, facts) = (survey.state, &ask.facts);
    let funnel = survey.funnel(ask);
    let (queue, more) = stand.before(state);
    let ahead = if queue.len() > 0 { Some(Ahead::of(fleet, &queue, state, stand)) } else { None };
    let probe = ahead.as_ref().map(|ahead| ahead.probe(ask));
    let binding = binding(&funnel, ask, || probe);
    let steps = steps(state, ask, &funnel, probe);
    let case = binding.map(|binding| Case { survey, ask, funnel: &funnel, probe, binding });
    let mut costed =
        case.as_ref().map_or_else(Vec::new, |case| relax::of_job(case, ahead.as_ref()));
    let booked = ahead.map_or_else(|| Booked::none(state), Ahead::booked);
    if let Some(case) = &case {
        costed.extend(relax::of_others(case, &mut Others { fleet, queue: &queue, stand }));
    }
    let verdict = verdict(binding);
    let outlook = match verdict {
        Verdict::WouldWait => wait::outlook(survey, ask, booked),
        Verdict::PlacedNow | Verdict::Never => wait::Outlook::default(),
    };
    costed.extend(outlook.one.map(|wait::Ending { job, by }| {
        let change = format!("wait for job {job} to end, by {by} at the latest");
        let effect = Verdict::PlacedNow;
        (Cost::Wait, Relaxation { change, effect, with: With::End(job) })
    }));
    costed.sort_by_key(|(cost, relaxation)| (relaxation.effect, *cost));
    costed.truncate(RELAXATIONS_MAX);
    let (position, more_before) = stand.position(state).unzip();
    let found = Explanation {
        basis: state.revision(),
        nodes_needed: facts.group,
        nodes: funnel.total,
        steps,
        verdict,
        binding,
        detail: detail(state, facts, &funnel, more),
        relaxations: costed.into_iter().map(|(_, relaxation)| relaxation).collect(),
        position,
        called_before: called_before(state, facts),
        more_before: more_before.unwrap_or(false),
        estimate: outlook.all,
        has_places: false,
    };
    start::add(state, facts, found)
}

/// How many were called before a job and wait, if it was called itself.
fn called_before(state: &State, facts: &JobFacts) -> Option<u32> {
    let waits = |id: &&JobId| state.job(id).is_some_and(Job::is_queued);
    let before = state.calls().iter().filter(waits).position(|id| *id == facts.id)?;
    u32::try_from(before).ok()
}

/// Nodes on which a job stands from which this one keeps apart.
fn apart(state: &State, fleet: &Fleet, facts: &JobFacts) -> BTreeSet<NodeId> {
    let marked = fleet.against(facts).into_iter().flat_map(|taken| taken.keys());
    let stands =
        |id: &&NodeId| state.node(id).is_some_and(|node| state.apart_from(facts, node).is_some());
    marked.filter(stands).cloned().collect()
}

/// Sites with nodes that the payload is not sealed to.
fn unsealed<'s>(survey: &Survey<'s>, facts: &JobFacts) -> BTreeSet<&'s SiteId> {
    let closed = |site: &&SiteId| !survey.state.can_open(facts, site);
    survey.herds.iter().map(|herd| &herd.like.site).filter(closed).collect()
}

fn detail(state: &State, facts: &JobFacts, funnel: &Funnel<'_>, more: bool) -> String {
    if funnel.total == 0 {
        return NO_NODES.to_owned();
    }
    if let Some(row) = state.preemption(&facts.id) {
        return format!("{} job(s) are being moved to make room", row.victims.len());
    }
    if more {
        format!("only the first {AHEAD_MAX} jobs of the queue were looked at")
    } else {
        String::new()
    }
}

/// What keeps a job off: what it never passes, what is under way for it, its own filters, and last who goes before it, which is asked
/// only of whom nothing else keeps off.
pub(crate) fn binding(
    funnel: &Funnel<'_>,
    ask: &Ask<'_>,
    probe: impl FnOnce() -> Option<Probe>,
) -> Option<ErrorCode> {
    let own = funnel.binding().map(|(_, code)| code);
    if let Some(code) = own.filter(|code| !ask.making || code.kind() == Kind::Never) {
        return Some(code);
    }
    if ask.making {
        return Some(ErrorCode::RoomInMaking);
    }
    let probe = probe()?;
    if probe.left < ask.facts.group {
        return Some(ErrorCode::TurnOfAnother);
    }
    (probe.unkept < ask.facts.group).then_some(ErrorCode::RoomKept)
}

/// The verdict by what keeps a job off.
pub(crate) fn verdict(binding: Option<ErrorCode>) -> Verdict {
    match binding.map(ErrorCode::kind) {
        None => Verdict::PlacedNow,
        Some(Kind::Never) => Verdict::Never,
        Some(_) => Verdict::WouldWait,
    }
}

pub(crate) use charge::within;
pub(crate) use topology::several;

fn unknown(state: &State, facts: &JobFacts, rejection: Rejection) -> Explanation {
    let (position, more_before) = Stand::of(state, facts).position(state).unzip();
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
        called_before: called_before(state, facts),
        more_before: more_before.unwrap_or(false),
        estimate: None,
        has_places: false,
    }
}

/// What comes behind the filters: which jobs go before this one.
const BEHIND: [ErrorCode; 3] =
    [ErrorCode::RoomInMaking, ErrorCode::TurnOfAnother, ErrorCode::RoomKept];

/// Every code that an explanation of a job may name as a line or as the binding constraint, where its rules are known.
pub fn codes() -> impl Iterator<Item = ErrorCode> {
    let filters = Filter::ALL.into_iter();
    let filters = filters
        .flat_map(|filter| [filter.code()].into_iter().chain(filter.others().iter().copied()));
    filters.chain(BEHIND).chain(Hold::CODES)
}

/// Every filter in order, and behind them what others leave.
fn steps(state: &State, ask: &Ask<'_>, funnel: &Funnel<'_>, probe: Option<Probe>) -> Vec<Step> {
    let step = |filter: Filter| Step {
        token: funnel.code(filter).as_str(),
        nodes_left: funnel.left(filter),
        condition: condition(state, ask, funnel, filter),
    };
    let mut steps: Vec<Step> = Filter::ALL.into_iter().map(step).collect();
    let last = steps.last().map_or(0, |step| step.nodes_left);
    let left = probe.map_or(last, |probe| probe.left.min(last));
    let unkept = probe.map_or(left, |probe| probe.unkept.min(left));
    for (code, nodes_left, condition) in [
        (ErrorCode::TurnOfAnother, left, "left by the jobs whose turn is first"),
        (ErrorCode::RoomKept, unkept, "not kept for another job"),
    ] {
        steps.push(Step { token: code.as_str(), nodes_left, condition: condition.to_owned() });
    }
    steps
}

fn condition(state: &State, ask: &Ask<'_>, funnel: &Funnel<'_>, filter: Filter) -> String {
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
        Filter::Capacity => free(wanted),
        Filter::Vetoed => "taken by its operator".to_owned(),
        Filter::Rated => "no member above its site's power cap".to_owned(),
        Filter::Offered => charge::offered(state, &ask.facts),
        Filter::Offer => format!("{} of what is offered free", wanted.gpus),
        Filter::Reserved => charge::reserved(state, &ask.facts),
        Filter::Power => charge::power(state, funnel),
        Filter::Quota => charge::quota(state, &ask.facts),
        Filter::Budget => charge::budget(state, &ask.facts),
        Filter::Apart => topology::apart(&ask.facts),
        Filter::Topology => topology::topology(&ask.facts),
    }
}

/// Names the sites that the payload would have to be sealed to, besides.
fn sealed(funnel: &Funnel<'_>) -> String {
    let sites: Vec<&str> = funnel.closed.iter().map(|site| site.as_str()).collect();
    if sites.is_empty() {
        return "can read the payload".to_owned();
    }
    format!("payload not sealed to {}", sites.join(", "))
}

fn devices(ask: &Ask<'_>) -> String {
    let Resources { class, gpus, memory_mib, units, .. } = ask.wanted();
    match (memory_mib, units) {
        (0, 0) => format!("{gpus} x {class}"),
        (_, 0) => format!("{gpus} x {class} with {memory_mib} MiB or more each"),
        (0, _) => format!("{gpus} x {class} with {units} units or more each"),
        (_, _) => {
            format!("{gpus} x {class} with {memory_mib} MiB and {units} units or more each")
        }
    }
}

fn free(wanted: &Resources) -> String {
    match wanted.sharing {
        Sharing::Alone => format!("{} of them free in one bucket", wanted.gpus),
        Sharing::Tenant => "a share free beside jobs of the tenant alone".to_owned(),
        Sharing::Any => "a share free beside jobs that share with any tenant".to_owned(),
    }
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
