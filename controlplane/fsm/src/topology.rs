//! Whether a group's members stand to one another, and to other jobs, as their job asks.
//!
//! Must hold: planner, explanation and apply count by the one [`Tally`], and look for other jobs by the one
//! [`State::apart_from`]. What is not known of a node, its rack or prefecture, is no place: unknown = refused.
//! It is judged when places are granted; a host that says later that it stands in another rack moves nobody.

use crate::command::Slot;
use crate::state::{Node, State};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{JobId, NodeId, OperatorId, SiteId};
use sekisho_types::job::JobFacts;
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::topology::{Over, Topology};
use std::collections::BTreeMap;

/// One of the things that members stand in or are spread over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Domain<'s> {
    /// A company.
    Operator(&'s OperatorId),
    /// A prefecture.
    Prefecture(Area),
    /// A site.
    Site(&'s SiteId),
    /// A rack of a site.
    Rack(&'s SiteId, &'s Name),
}

/// Where a node stands.
#[derive(Debug, Clone, Copy)]
pub struct Stand<'s> {
    /// Who runs it.
    pub operator: &'s OperatorId,
    /// Its area, if that is in Japan.
    pub area: Option<Area>,
    /// Its site.
    pub site: &'s SiteId,
    /// Its rack, if it was told.
    pub rack: Option<&'s Name>,
}

impl<'s> Stand<'s> {
    /// That of a node.
    #[must_use]
    pub fn of(id: &'s NodeId, node: &'s Node) -> Self {
        let (area, rack) = (node.tag.area.domestic(), node.rack.as_ref());
        Self { operator: &node.operator, area, site: &id.site, rack }
    }

    /// What it is a part of; `None` if that is not known.
    #[must_use]
    pub fn domain(&self, over: Over) -> Option<Domain<'s>> {
        match over {
            Over::Operator => Some(Domain::Operator(self.operator)),
            Over::Prefecture => Some(Domain::Prefecture(self.area?.prefecture()?)),
            Over::Site => Some(Domain::Site(self.site)),
            Over::Rack => Some(Domain::Rack(self.site, self.rack?)),
        }
    }
}

/// What stands in one rack or site, or anywhere where that is not asked for.
#[derive(Debug, Clone, Default)]
struct Side<'s> {
    /// Members of a group that find a place, none with more than its share.
    members: u32,
    /// By what members are spread over.
    counts: BTreeMap<Domain<'s>, u32>,
}

/// Counts nodes, and says how many members of a group could stand on them as a topology asks.
#[derive(Debug, Clone)]
pub struct Tally<'t, 's> {
    topology: &'t Topology,
    group: u32,
    sides: BTreeMap<Option<Domain<'s>>, Side<'s>>,
}

impl<'t, 's> Tally<'t, 's> {
    /// Of a group, without a node.
    #[must_use]
    pub fn of(topology: &'t Topology, group: u32) -> Self {
        Self { topology, group, sides: BTreeMap::new() }
    }

    /// One node more.
    pub fn add(&mut self, stand: &Stand<'s>) {
        self.add_many(stand, 1);
    }

    /// So many nodes more that stand there.
    pub fn add_many(&mut self, stand: &Stand<'s>, nodes: u32) {
        if nodes == 0 {
            return;
        }
        let side = match self.topology.within.map(|within| stand.domain(within.over())) {
            None => None,
            Some(None) => return,
            Some(known) => known,
        };
        let side = self.sides.entry(side).or_default();
        let mut members = nodes;
        if let Some(spread) = self.topology.spread {
            let Some(domain) = stand.domain(spread.over) else { return };
            let count = side.counts.entry(domain).or_default();
            let room = spread.most_in_one(self.group).saturating_sub(*count);
            *count = count.saturating_add(nodes);
            members = nodes.min(room);
        }
        side.members = side.members.saturating_add(members);
    }

    /// Members that could stand as it asks, at most the whole group; less than the group where there are too few things to
    /// spread it over.
    #[must_use]
    pub fn most(&self) -> u32 {
        let wide = |side: &Side<'_>| {
            let several = u32::try_from(side.counts.len()).unwrap_or(u32::MAX);
            self.topology.spread.is_none_or(|spread| several >= spread.at_least)
        };
        let of = |side: &Side<'_>| {
            let most = if wide(side) { self.group } else { self.group.saturating_sub(1) };
            side.members.min(most)
        };
        self.sides.values().map(of).max().unwrap_or(0)
    }

    /// Whether the whole group could.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.most() >= self.group
    }
}

impl State {
    /// The first job on a node from which another one keeps apart, or that keeps apart from it. Tasks of one whole are jobs to
    /// one another, so they share a node unless it keeps apart from a mark of its own.
    #[must_use]
    pub fn apart_from<'s>(&'s self, facts: &JobFacts, node: &'s Node) -> Option<&'s JobId> {
        if !facts.topology.minds_others() {
            return None;
        }
        let rows = node.placements.iter().filter_map(|id| self.placements.get(id));
        let mut others = rows
            .map(|row| &row.grant.job)
            .filter(|id| id.tenant == facts.id.tenant && **id != facts.id);
        let apart = |id: &&JobId| {
            let other = self.jobs.get(id);
            other.is_some_and(|other| facts.topology.keeps_apart(&other.facts.topology))
        };
        others.find(apart)
    }

    /// Whether members of a job on these places stand to one another and to other jobs as it asks.
    ///
    /// # Errors
    /// `TOPOLOGY_APART` or `TOPOLOGY_UNMET`; `NOT_FOUND` for a node that is none.
    pub fn stands_as_asked(&self, facts: &JobFacts, places: &[Slot]) -> Result<(), ErrorCode> {
        let topology = &facts.topology;
        if !topology.minds_others() && !topology.places_members() {
            return Ok(());
        }
        let mut tally = Tally::of(topology, facts.group);
        for slot in places {
            let node = self.nodes.get(&slot.node).ok_or(ErrorCode::NotFound)?;
            if self.apart_from(facts, node).is_some() {
                return Err(ErrorCode::TopologyApart);
            }
            tally.add(&Stand::of(&slot.node, node));
        }
        if tally.is_met() { Ok(()) } else { Err(ErrorCode::TopologyUnmet) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_types::topology::{Spread, Within};

    /// How many of a group of four could stand on nodes of these sites and racks.
    fn most(within: Option<Within>, spread: Option<(Over, u32)>, nodes: &[(&str, &str)]) -> u32 {
        let spread = spread.map(|(over, at_least)| Spread { over, at_least });
        let topology = Topology { within, spread, ..Topology::default() };
        let operator: OperatorId = "kanto".parse().unwrap();
        let named: Vec<(SiteId, Option<Name>)> =
            nodes.iter().map(|(site, rack)| (site.parse().unwrap(), rack.parse().ok())).collect();
        let mut tally = Tally::of(&topology, 4);
        for (site, rack) in &named {
            let area = Some(Area::resolve("JP-13").unwrap());
            tally.add(&Stand { operator: &operator, area, site, rack: rack.as_ref() });
        }
        assert_eq!(tally.is_met(), tally.most() == 4);
        // Many at once count as one after the other.
        let mut at_once = Tally::of(&topology, 4);
        for same in named.chunk_by(|a, b| a == b) {
            let ((site, rack), area) = (&same[0], Some(Area::resolve("JP-13").unwrap()));
            let stand = Stand { operator: &operator, area, site, rack: rack.as_ref() };
            at_once.add_many(&stand, u32::try_from(same.len()).unwrap());
        }
        assert_eq!(at_once.most(), tally.most());
        tally.most()
    }

    const NODES: [(&str, &str); 6] =
        [("a", "r1"), ("a", "r1"), ("a", "r2"), ("b", "r1"), ("b", "r1"), ("b", "")];

    #[test]
    fn a_rack_is_of_its_site_and_a_node_without_one_is_in_none() {
        let within = |within, nodes: &[_]| most(within, None, nodes);
        assert_eq!(within(None, &NODES), 4);
        assert_eq!(within(Some(Within::Site), &NODES), 3);
        assert_eq!(within(Some(Within::Rack), &NODES), 2);
        assert_eq!(within(Some(Within::Rack), &[("a", ""); 4]), 0);
        assert_eq!(within(Some(Within::Site), &[("a", ""); 5]), 4);
    }

    #[test]
    fn a_group_is_spread_over_as_many_and_none_has_more_than_its_share() {
        let over = |over, at_least, nodes: &[_]| most(None, Some((over, at_least)), nodes);
        assert_eq!(over(Over::Site, 2, &NODES), 4);
        assert_eq!(over(Over::Site, 3, &NODES), 3, "there are two");
        assert_eq!(over(Over::Rack, 3, &NODES), 4);
        assert_eq!(over(Over::Rack, 4, &NODES), 3, "one each of three");
        assert_eq!(over(Over::Operator, 2, &NODES), 2, "all of one company, which has a half");
        assert_eq!(over(Over::Prefecture, 2, &NODES), 2);
        // Three in one and one in the other is not even.
        assert_eq!(over(Over::Site, 2, &[("a", ""), ("a", ""), ("a", ""), ("b", "")]), 3);
        let both = |nodes: &[_]| most(Some(Within::Site), Some((Over::Rack, 2)), nodes);
        assert_eq!(both(&NODES), 3, "no site has two racks of two");
        assert_eq!(both(&[("a", "r1"), ("a", "r1"), ("a", "r2"), ("a", "r2")]), 4);
    }
}
