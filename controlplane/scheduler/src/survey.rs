//! One walk over all nodes for one question, with the number of nodes left after each filter.

use crate::filter::Filter;
use crate::node::{has_devices, has_room, usable};
use crate::quota::{Fit, fit};
use crate::residency::{Places, judge};
use sekisho_evidence::grant::BoundRules;
use sekisho_fsm::State;
use sekisho_fsm::state::Node;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{NodeId, SiteId, TenantId};
use sekisho_types::job::Resources;
use std::collections::{BTreeMap, BTreeSet};

/// A question: the needs of a group, changed or not.
#[derive(Debug, Clone)]
pub(crate) struct Ask<'a> {
    /// Who pays.
    pub(crate) tenant: &'a TenantId,
    /// Every rule set that binds.
    pub(crate) rules: Vec<BoundRules>,
    /// Needs of each member.
    pub(crate) resources: Resources,
    /// Members.
    pub(crate) group: u32,
    /// Nodes that refused the job.
    pub(crate) avoid: Option<&'a BTreeSet<NodeId>>,
    /// Sites whose agents cannot read what it runs.
    pub(crate) unsealed: BTreeSet<&'a SiteId>,
    /// No member keeps what it runs.
    pub(crate) missing: bool,
}

impl Ask<'_> {
    /// GPUs that the whole group charges.
    pub(crate) fn gpus(&self) -> u64 {
        u64::from(self.group).saturating_mul(u64::from(self.resources.gpus))
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
    /// How the need stands to the tenant's quota.
    pub(crate) quota: Fit,
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
        let examples = self.places.examples.iter();
        let verdicts: Vec<Result<(), Filter>> =
            examples.map(|example| judge(self.state, &ask.rules, example)).collect();
        let (limit, used) = (
            self.state.quota(ask.tenant, &ask.resources.class),
            self.state.usage(ask.tenant, &ask.resources.class),
        );
        let mut funnel = Funnel {
            dropped: BTreeMap::new(),
            total: u32::try_from(self.hosts.len()).unwrap_or(u32::MAX),
            eligible: Vec::new(),
            closed: BTreeSet::new(),
            quota: fit(limit, used, ask.gpus()),
            need: ask.group,
        };
        for host in &self.hosts {
            let reside = verdicts.get(host.place).copied().unwrap_or(Err(Filter::Country));
            if let Err(filter) = reside.and_then(|()| eligible(host, ask)) {
                funnel.drop(filter);
                if filter == Filter::Sealed {
                    funnel.closed.insert(&host.id.site);
                }
                continue;
            }
            funnel.eligible.push(host);
            if !has_room(host.node, &ask.resources) {
                funnel.drop(Filter::Capacity);
            }
        }
        funnel
    }
}

fn eligible(host: &Host<'_>, ask: &Ask<'_>) -> Result<(), Filter> {
    if !has_devices(host.node, &ask.resources) {
        return Err(Filter::Device);
    }
    if host.usable == Err(Filter::Enrolled) {
        return Err(Filter::Enrolled);
    }
    if ask.unsealed.contains(&host.id.site) {
        return Err(Filter::Sealed);
    }
    if ask.missing {
        return Err(Filter::Kept);
    }
    if ask.avoid.is_some_and(|avoid| avoid.contains(host.id)) {
        return Err(Filter::Willing);
    }
    host.usable
}

impl Funnel<'_, '_> {
    fn drop(&mut self, filter: Filter) {
        let count = self.dropped.entry(filter).or_default();
        *count = count.saturating_add(1);
    }

    /// Nodes that pass `filter` and everything before it.
    pub(crate) fn left(&self, filter: Filter) -> u32 {
        if filter == Filter::Quota && self.quota != Fit::Admitted {
            return 0;
        }
        let dropped =
            self.dropped.range(..=filter).fold(0u32, |sum, (_, count)| sum.saturating_add(*count));
        self.total.saturating_sub(dropped)
    }

    /// The filter to name if the group cannot be placed now: the first that leaves too few nodes, unless waiting
    /// for it would be in vain because the quota can never admit the group. An empty fleet lacks devices: to name the
    /// first filter would send people after a residency rule that dropped nothing.
    pub(crate) fn binding(&self) -> Option<(Filter, ErrorCode)> {
        if self.total == 0 {
            return Some((Filter::Device, Filter::Device.code()));
        }
        let first = Filter::ALL.into_iter().find(|filter| self.left(*filter) < self.need)?;
        if self.quota == Fit::Never && !first.is_never() {
            return Some((Filter::Quota, ErrorCode::QuotaNone));
        }
        Some((first, first.code()))
    }
}
