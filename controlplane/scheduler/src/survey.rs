//! One look at all nodes for one question, with the number of nodes left after each filter.
//!
//! Must hold: it says of every node what the filters say of it one by one. Nodes that are alike are judged once; those that the
//! job alone sets apart are taken out of them by name.

use crate::alike::{Alike, Corner, Kin, Likeness};
use crate::filter::Filter;
use crate::residency::judge;
use crate::sides::Sides;
use crate::till::Till;
use sekisho_evidence::grant::BoundRules;
use sekisho_fsm::State;
use sekisho_fsm::purse::{Own, Purse};
use sekisho_fsm::topology::{Stand, Tally};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{NodeId, SiteId};
use sekisho_types::job::{JobFacts, Resources};
use sekisho_types::name::Name;
use std::borrow::Cow;
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
    /// Nodes of jobs from which it keeps apart, if it does as it was submitted.
    pub(crate) apart: &'a BTreeSet<NodeId>,
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

/// Nodes that are alike, with what does not depend on the question.
#[derive(Debug)]
pub(crate) struct Herd<'s> {
    pub(crate) like: &'s Likeness,
    pub(crate) kin: &'s Kin,
    place: usize,
}

/// All nodes of a state.
#[derive(Debug)]
pub(crate) struct Survey<'s> {
    pub(crate) state: &'s State,
    pub(crate) alike: &'s Alike,
    /// In the order of what they are like, so by site.
    pub(crate) herds: Vec<Herd<'s>>,
    /// What the places are to the rules of the job as it is.
    judged: (Vec<BoundRules>, Vec<Result<(), Filter>>),
}

/// Nodes of a herd that the job alone sets apart: which filter drops each, and its rack.
type Strays<'s> = BTreeMap<&'s NodeId, (Filter, Option<&'s Name>)>;

/// Herds of one site with nodes that a purse charges, and who of them is none.
type Roomy<'v, 's> = [(&'v Herd<'s>, Corner<'s>, Option<&'v Strays<'s>>)];

/// What became of the nodes under one question.
#[derive(Debug)]
pub(crate) struct Funnel<'s> {
    /// Nodes that each filter dropped.
    dropped: BTreeMap<Filter, u32>,
    /// All nodes.
    pub(crate) total: u32,
    /// What a member may draw at least at sites with power caps, on nodes that pass everything before [`Filter::Capacity`].
    pub(crate) watts: BTreeMap<&'s SiteId, u64>,
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

/// Nodes of a herd on which a job may stand as they are.
#[derive(Debug)]
pub(crate) struct Standing<'v, 's> {
    pub(crate) herd: &'v Herd<'s>,
    /// How many.
    pub(crate) count: u32,
    /// Nodes of the herd that are none of them.
    strays: Option<Strays<'s>>,
}

impl<'s> Standing<'_, 's> {
    /// Whether a node of the herd is one of them.
    pub(crate) fn holds(&self, node: &NodeId) -> bool {
        self.strays.as_ref().is_none_or(|strays| !strays.contains_key(node))
    }

    /// Racks, with how many of them are in each.
    pub(crate) fn racks(&self) -> impl Iterator<Item = (Option<&'s Name>, u32)> {
        self.herd.racks(self.strays.as_ref())
    }
}

/// Whether a purse tells nodes of one site apart: there they are charged in their order.
pub(crate) fn is_mixed<'v, I: IntoIterator<Item = Corner<'v>>>(corners: I) -> bool {
    let mut corners = corners.into_iter();
    let first = corners.next();
    corners.any(|corner| Some(corner) != first)
}

fn count(nodes: usize) -> u32 {
    u32::try_from(nodes).unwrap_or(u32::MAX)
}

impl<'s> Herd<'s> {
    /// Racks, with how many nodes are in each, without strays.
    fn racks(&self, strays: Option<&Strays<'s>>) -> impl Iterator<Item = (Option<&'s Name>, u32)> {
        let mut away: BTreeMap<Option<&Name>, u32> = BTreeMap::new();
        for (_, rack) in strays.into_iter().flat_map(BTreeMap::values) {
            let nodes = away.entry(*rack).or_default();
            *nodes = nodes.saturating_add(1);
        }
        let racks = self.kin.racks.iter().map(move |(rack, nodes)| {
            let away = away.get(&rack.as_ref()).copied().unwrap_or(0);
            (rack.as_ref(), count(nodes.len()).saturating_sub(away))
        });
        racks.filter(|(_, nodes)| *nodes > 0)
    }
}

impl<'s> Survey<'s> {
    /// Looks at each kind of node once.
    pub(crate) fn of(state: &'s State, alike: &'s Alike, rules: &[BoundRules]) -> Self {
        let numbers: BTreeMap<_, usize> =
            alike.places().map(|(place, _)| place).zip(0usize..).collect();
        let herds: Vec<Herd<'s>> = alike
            .kins()
            .filter_map(|(like, kin)| Some(Herd { like, kin, place: *numbers.get(like.place())? }))
            .collect();
        let judged = alike.places().map(|(_, example)| judge(state, rules, example)).collect();
        Self { state, alike, herds, judged: (rules.to_vec(), judged) }
    }

    /// Passes every node through the filters.
    pub(crate) fn funnel(&self, ask: &Ask<'_>) -> Funnel<'s> {
        self.funnel_on(self.state, ask)
    }

    /// What the places of the nodes are to the rules.
    fn verdicts(&self, ask: &Ask<'_>) -> Cow<'_, [Result<(), Filter>]> {
        let (rules, judged) = &self.judged;
        if *rules == ask.rules {
            return Cow::Borrowed(judged);
        }
        let places = self.alike.places();
        places.map(|(_, example)| judge(self.state, &ask.rules, example)).collect()
    }

    /// What an offer makes of nodes is asked last: it takes the most.
    fn eligible(
        &self,
        herd: &Herd<'_>,
        ask: &Ask<'_>,
        reside: &[Result<(), Filter>],
        offered: impl FnOnce() -> Result<(), Filter>,
    ) -> Result<(), Filter> {
        reside.get(herd.place).copied().unwrap_or(Err(Filter::Country))?;
        let offered = offered();
        if offered == Err(Filter::Vetoed) {
            return offered;
        }
        let wanted = ask.wanted();
        if !herd.like.matching(wanted).any(|(_, devices)| devices.count >= wanted.gpus) {
            return Err(Filter::Device);
        }
        if herd.like.usable == Err(Filter::Enrolled) {
            return Err(Filter::Enrolled);
        }
        offered?;
        if ask.unsealed.contains(&herd.like.site) {
            return Err(Filter::Sealed);
        }
        if ask.missing {
            return Err(Filter::Kept);
        }
        herd.like.usable
    }

    /// Nodes that refused the job, and those of jobs from which it keeps apart.
    fn strays(&self, ask: &Ask<'_>) -> BTreeMap<usize, Strays<'s>> {
        let mut strays: BTreeMap<usize, Strays<'s>> = BTreeMap::new();
        let mut put = |node: &NodeId, filter: Filter| {
            let Some((node, like, rack)) = self.alike.of(node) else { return };
            if let Ok(at) = self.herds.binary_search_by(|herd| herd.like.cmp(like)) {
                strays.entry(at).or_default().entry(node).or_insert((filter, rack));
            }
        };
        for node in &ask.avoid {
            put(node, Filter::Willing);
        }
        if ask.facts.topology.minds_others() {
            ask.apart.iter().for_each(|node| put(node, Filter::Apart));
        }
        strays
    }

    /// Nodes on which the job may stand as they are, once offers, room, quotas and budgets let it.
    pub(crate) fn standing(&self, ask: &Ask<'_>) -> Vec<Standing<'_, 's>> {
        let (reside, mut strays) = (self.verdicts(ask), self.strays(ask));
        let mut standing = Vec::new();
        for (at, herd) in self.herds.iter().enumerate() {
            let veto = || self.state.vetoed(&herd.like.operator, &ask.facts.id);
            let takes = || veto().map_or(Ok(()), |_veto| Err(Filter::Vetoed));
            if self.eligible(herd, ask, &reside, takes).is_err() {
                continue;
            }
            let strays = strays.remove(&at);
            let away = count(strays.as_ref().map_or(0, BTreeMap::len));
            let count = herd.kin.count.saturating_sub(away);
            if count > 0 {
                standing.push(Standing { herd, count, strays });
            }
        }
        standing
    }

    /// Sites with such nodes.
    pub(crate) fn sites(&self, ask: &Ask<'_>) -> BTreeSet<&'s SiteId> {
        self.standing(ask).into_iter().map(|standing| &standing.herd.like.site).collect()
    }

    /// Whether any of such nodes has enough free devices in one bucket; and beside those with whom the job shares a device.
    fn room(&self, like: &Likeness, kin: &Kin, facts: &JobFacts) -> (bool, bool) {
        let wanted = &facts.resources;
        let node = kin.first().and_then(|id| self.state.node(id));
        let gpus = wanted.gpus;
        let free = || like.matching(wanted).filter(move |(_, devices)| devices.free >= gpus);
        let agrees =
            |bucket: u16| node.is_some_and(|node| self.state.agree_with(node, bucket, facts));
        (free().next().is_some(), free().any(|(bucket, _)| agrees(bucket)))
    }

    /// Passes every node through the filters of another state that has these very nodes: one that is supposed.
    pub(crate) fn funnel_on(&self, state: &State, ask: &Ask<'_>) -> Funnel<'s> {
        let (reside, strays) = (self.verdicts(ask), self.strays(ask));
        let tenant = &ask.facts.id.tenant;
        let most = state.most(tenant, &ask.wanted().class);
        let path = state.path(tenant);
        let mut till = Till::of(state, &ask.facts, &path);
        let mut funnel = Funnel {
            dropped: BTreeMap::new(),
            total: count(self.alike.len()),
            watts: BTreeMap::new(),
            closed: BTreeSet::new(),
            charged: (0, None),
            beyond: !most.ever.covers(ask.facts.gpus()),
            together: (u32::MAX, true),
            apart: false,
            need: ask.facts.group,
        };
        let mut now = Sides::of(&ask.facts);
        let mut ever = Tally::of(&ask.facts.topology, ask.facts.group);
        let herds: Vec<(usize, &Herd<'s>)> = self.herds.iter().enumerate().collect();
        for site in herds.chunk_by(|(_, a), (_, b)| a.like.site == b.like.site) {
            let mut roomy = Vec::new();
            for (at, herd) in site {
                let corner = herd.like.corner(state, &ask.facts);
                let offered = || till.offered(corner);
                let judged = self.eligible(herd, ask, &reside, offered);
                if now.is_asked() && judged.err().is_none_or(|filter| !filter.is_never()) {
                    for (rack, nodes) in herd.racks(None) {
                        ever.add_many(&herd.like.stand(rack), nodes);
                    }
                }
                let strays = strays.get(at);
                let left = funnel.judge(herd, judged, strays);
                if left == 0 {
                    continue;
                }
                funnel.draws(corner);
                let (free, has_room) = self.room(herd.like, herd.kin, &ask.facts);
                if has_room {
                    roomy.push((*herd, corner, strays));
                } else {
                    funnel.apart |= free;
                    funnel.drop(Filter::Capacity, left);
                }
            }
            Self::charge(&roomy, &mut till, (&mut funnel, &mut now));
        }
        funnel.charged = till.charged();
        if now.is_asked() {
            let purse = Purse::open(state, &Own(state), &ask.facts, &path);
            funnel.together = (now.most(&Own(state), &purse), ever.is_met());
        }
        funnel
    }

    /// Charges the nodes with room of one site. Where a purse tells none of them apart their order does not matter.
    fn charge<'t>(
        roomy: &Roomy<'_, 's>,
        till: &mut Till<'t>,
        (funnel, now): (&mut Funnel<'s>, &mut Sides<'_, 's>),
    ) where
        's: 't,
    {
        let Some((_, first, _)) = roomy.first() else { return };
        if is_mixed(roomy.iter().map(|(_, corner, _)| *corner)) {
            let mut nodes: Vec<(&NodeId, Corner<'s>, Stand<'s>)> = Vec::new();
            for (herd, corner, strays) in roomy {
                let here = |node: &NodeId| strays.is_none_or(|strays| !strays.contains_key(node));
                let left = herd.kin.nodes().filter(|(_, node)| here(node));
                let stand = |rack: &'s Option<Name>| herd.like.stand(rack.as_ref());
                nodes.extend(left.map(|(rack, node)| (node, *corner, stand(rack))));
            }
            nodes.sort_unstable_by_key(|(node, ..)| *node);
            for run in nodes.chunk_by(|(_, a, _), (_, b, _)| a == b) {
                let Some((_, corner, _)) = run.first() else { continue };
                match till.take(*corner, count(run.len())) {
                    Ok(()) => run.iter().for_each(|(.., stand)| now.add(*stand, corner.watts, 1)),
                    Err(filter) => funnel.drop(filter, count(run.len())),
                }
            }
            return;
        }
        let left = roomy.iter().fold(0u32, |sum, (herd, _, strays)| {
            let away = count(strays.map_or(0, BTreeMap::len));
            sum.saturating_add(herd.kin.count.saturating_sub(away))
        });
        if let Err(filter) = till.take(*first, left) {
            funnel.drop(filter, left);
        } else if now.is_asked() {
            for (herd, corner, strays) in roomy {
                for (rack, nodes) in herd.racks(*strays) {
                    now.add(herd.like.stand(rack), corner.watts, nodes);
                }
            }
        }
    }
}

impl<'s> Funnel<'s> {
    /// Drops nodes of a herd by what was judged of all of them, and strays by what sets them apart if that comes first; says how many
    /// are left.
    fn judge(
        &mut self,
        herd: &Herd<'s>,
        judged: Result<(), Filter>,
        strays: Option<&Strays<'s>>,
    ) -> u32 {
        let mut left = herd.kin.count;
        for (filter, _) in strays.into_iter().flat_map(BTreeMap::values) {
            let first = judged.err().map_or(*filter, |judged| judged.min(*filter));
            self.drop(first, 1);
            left = left.saturating_sub(1);
        }
        let Err(filter) = judged else { return left };
        self.drop(filter, left);
        if filter == Filter::Sealed {
            self.closed.insert(&herd.like.site);
        }
        0
    }

    /// Some nodes may be charged, as far as filters go that do not look at room.
    fn draws(&mut self, corner: Corner<'s>) {
        let least = self.watts.entry(corner.site).or_insert(corner.watts);
        *least = corner.watts.min(*least);
    }

    fn drop(&mut self, filter: Filter, nodes: u32) {
        if nodes > 0 {
            let count = self.dropped.entry(filter).or_default();
            *count = count.saturating_add(nodes);
        }
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
