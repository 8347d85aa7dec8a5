//! One walk over all nodes for one question, with the number of nodes left after each filter.

use crate::filter::Filter;
use crate::node::{has_devices, has_free, has_room, usable};
use crate::residency::{Places, judge};
use crate::sides::Sides;
use crate::till::Till;
use sekisho_evidence::grant::BoundRules;
use sekisho_fsm::State;
use sekisho_fsm::purse::{Own, Purse};
use sekisho_fsm::state::Node;
use sekisho_fsm::topology::{Stand, Tally};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{NodeId, SiteId};
use sekisho_types::job::{JobFacts, Resources};
use std::collections::{BTreeMap, BTreeSet};

/// A question: the needs of a group, changed or not.
#[derive(Debug, Clone)]
pub(crate) struct Ask<'a> {
    /// What the job asks for.
    pub(crate) facts: JobFacts,
    /// Every rule set that binds.
    pub(crate) rules: Vec<BoundRules>,
    /// Nodes that refused the job.
    pub(crate) avoid: BTreeSet<NodeId>,
    /// Sites whose agents cannot read what it runs.
    pub(crate) unsealed: BTreeSet<&'a SiteId>,
    /// No member keeps what it runs.
    pub(crate) missing: bool,
    /// Others are being moved to make room for it.
    pub(crate) making: bool,
}

impl Ask<'_> {
    /// Needs of each member.
    pub(crate) fn wanted(&self) -> &Resources {
        &self.facts.resources
    }
}

/// A node with what does not depend on the question.
#[derive(Debug)]
pub(crate) struct Host<'s> {
    pub(crate) id: &'s NodeId,
    pub(crate) node: &'s Node,
    place: usize,
    usable: Result<(), Filter>,
}

/// All nodes of a state.
#[derive(Debug)]
pub(crate) struct Survey<'s> {
    pub(crate) state: &'s State,
    pub(crate) hosts: Vec<Host<'s>>,
    places: Places,
}

/// What became of the nodes under one question.
#[derive(Debug)]
pub(crate) struct Funnel<'v, 's> {
    /// Nodes that each filter dropped.
    dropped: BTreeMap<Filter, u32>,
    /// All nodes.
    pub(crate) total: u32,
    /// Nodes that pass everything before [`Filter::Capacity`].
    pub(crate) eligible: Vec<&'v Host<'s>>,
    /// Sites whose nodes were dropped because their agents cannot read what the job runs.
    pub(crate) closed: BTreeSet<&'s SiteId>,
    /// Members that may be charged together on nodes with room, and what keeps the next one off.
    pub(crate) charged: (u32, Option<ErrorCode>),
    /// The whole group is more than the tenant could ever hold.
    pub(crate) beyond: bool,
    /// Members that find places that stand to one another as they ask, and whether all of them would if every node were empty.
    pub(crate) together: (u32, bool),
    /// Some node has a free share, on a device of jobs that do not share with this one.
    apart: bool,
    need: u32,
}

impl<'s> Survey<'s> {
    /// Looks at every node once.
    pub(crate) fn of(state: &'s State) -> Self {
        let mut places = Places::default();
        let hosts = state.nodes().map(|(id, node)| Host {
            id,
            node,
            place: places.number(node, state.clock()),
            usable: usable(state, id, node),
        });
        let hosts = hosts.collect();
        Self { state, hosts, places }
    }

    /// Passes every node through the filters.
    pub(crate) fn funnel(&self, ask: &Ask<'_>) -> Funnel<'_, 's> {
        self.funnel_on(self.state, ask)
    }

    /// What the places of the nodes are to the rules.
    fn verdicts(&self, ask: &Ask<'_>) -> Vec<Result<(), Filter>> {
        let examples = self.places.examples.iter();
        examples.map(|example| judge(self.state, &ask.rules, example)).collect()
    }

    /// Nodes on which the job may stand as they are, once offers, room, quotas and budgets let it.
    pub(crate) fn standing(&self, ask: &Ask<'_>) -> Vec<&Host<'s>> {
        let verdicts = self.verdicts(ask);
        let takes = |host: &Host<'_>| {
            let veto = self.state.vetoed(&host.node.operator, &ask.facts.id);
            veto.map_or(Ok(()), |_veto| Err(Filter::Vetoed))
        };
        let stands = |host: &&Host<'s>| {
            let reside = verdicts.get(host.place).copied().unwrap_or(Err(Filter::Country));
            reside.and_then(|()| eligible(self.state, host, ask, || takes(host))).is_ok()
        };
        self.hosts.iter().filter(stands).collect()
    }

    /// Passes every node through the filters of another state that has these very nodes: one that is supposed.
    pub(crate) fn funnel_on(&self, state: &State, ask: &Ask<'_>) -> Funnel<'_, 's> {
        let verdicts = self.verdicts(ask);
        let tenant = &ask.facts.id.tenant;
        let most = state.most(tenant, &ask.wanted().class);
        let path = state.path(tenant);
        let mut till = Till::of(state, &ask.facts, &path);
        let mut funnel = Funnel {
            dropped: BTreeMap::new(),
            total: u32::try_from(self.hosts.len()).unwrap_or(u32::MAX),
            eligible: Vec::new(),
            closed: BTreeSet::new(),
            charged: (0, None),
            beyond: !most.ever.covers(ask.facts.gpus()),
            together: (u32::MAX, true),
            apart: false,
            need: ask.facts.group,
        };
        let mut now = Sides::of(&ask.facts);
        let mut ever = Tally::of(&ask.facts.topology, ask.facts.group);
        for host in &self.hosts {
            let reside = verdicts.get(host.place).copied().unwrap_or(Err(Filter::Country));
            let offered = || till.offered(host);
            let judged = reside.and_then(|()| eligible(self.state, host, ask, offered));
            if now.is_asked() && judged.err().is_none_or(|filter| !filter.is_never()) {
                ever.add(&Stand::of(host.id, host.node));
            }
            if let Err(filter) = judged {
                funnel.drop(filter);
                if filter == Filter::Sealed {
                    funnel.closed.insert(&host.id.site);
                }
                continue;
            }
            funnel.eligible.push(host);
            if !has_room(self.state, host.node, &ask.facts) {
                funnel.apart |= has_free(host.node, ask.wanted());
                funnel.drop(Filter::Capacity);
            } else if let Err(filter) = till.take(host) {
                funnel.drop(filter);
            } else {
                now.add(Stand::of(host.id, host.node), host.node.least_watts(&ask.facts));
            }
        }
        funnel.charged = till.charged();
        if now.is_asked() {
            let purse = Purse::open(state, &Own(state), &ask.facts, &path);
            funnel.together = (now.most(&Own(state), &purse), ever.is_met());
        }
        funnel
    }
}

fn eligible(
    state: &State,
    host: &Host<'_>,
    ask: &Ask<'_>,
    offered: impl FnOnce() -> Result<(), Filter>,
) -> Result<(), Filter> {
    let offered = offered();
    if offered == Err(Filter::Vetoed) {
        return offered;
    }
    if !has_devices(host.node, ask.wanted()) {
        return Err(Filter::Device);
    }
    if host.usable == Err(Filter::Enrolled) {
        return Err(Filter::Enrolled);
    }
    offered?;
    if ask.unsealed.contains(&host.id.site) {
        return Err(Filter::Sealed);
    }
    if ask.missing {
        return Err(Filter::Kept);
    }
    if ask.avoid.contains(host.id) {
        return Err(Filter::Willing);
    }
    host.usable?;
    let apart = state.apart_from(&ask.facts, host.node);
    if apart.is_some() { Err(Filter::Apart) } else { Ok(()) }
}

impl Funnel<'_, '_> {
    fn drop(&mut self, filter: Filter) {
        let count = self.dropped.entry(filter).or_default();
        *count = count.saturating_add(1);
    }

    /// Nodes that pass `filter` and everything before it.
    pub(crate) fn left(&self, filter: Filter) -> u32 {
        let dropped =
            self.dropped.range(..=filter).fold(0u32, |sum, (_, count)| sum.saturating_add(*count));
        let mut left = self.total.saturating_sub(dropped);
        let (together, _) = self.together;
        if filter == Filter::Topology && together < self.need {
            left = left.min(together);
        }
        // Each of them may be charged, but not all that it takes together.
        let (members, kept_off) = self.charged;
        let together = kept_off.map(Filter::of_purse).filter(|_| members < self.need);
        if together.is_some_and(|at| at <= filter) { left.min(members) } else { left }
    }

    /// The code of a filter, if the group is held by it.
    pub(crate) fn code(&self, filter: Filter) -> ErrorCode {
        if filter == Filter::Quota && self.beyond {
            return ErrorCode::QuotaNone;
        }
        if filter == Filter::Topology && !self.together.1 {
            return ErrorCode::TopologyNone;
        }
        if filter == Filter::Capacity && self.apart {
            return ErrorCode::ShareNeighbours;
        }
        let (_, kept_off) = self.charged;
        kept_off.filter(|code| Filter::of_purse(*code) == filter).unwrap_or_else(|| filter.code())
    }

    /// The filter to name if the group cannot be placed now: the first that leaves too few nodes, unless waiting for it would be
    /// in vain because the quota can never admit the group, or no rack or site is as large. An empty fleet lacks devices: to name
    /// the first filter would send people after a residency rule that dropped nothing.
    pub(crate) fn binding(&self) -> Option<(Filter, ErrorCode)> {
        if self.total == 0 {
            return Some((Filter::Device, Filter::Device.code()));
        }
        let first = Filter::ALL.into_iter().find(|filter| self.left(*filter) < self.need)?;
        if self.beyond && !first.is_never() {
            return Some((Filter::Quota, ErrorCode::QuotaNone));
        }
        if !self.together.1 && !first.is_never() {
            return Some((Filter::Topology, ErrorCode::TopologyNone));
        }
        Some((first, self.code(first)))
    }
}
