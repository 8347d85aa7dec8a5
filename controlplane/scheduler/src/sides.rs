//! Nodes with room, by the rack or site in which a group would stand whole.
//!
//! Must hold: a group finds places here where the planner's search would find some: the same nodes, the same shares, one
//! purse for each rack or site. It is asked of jobs with a topology only; of others nodes count one by one.

use crate::survey::{Ask, Host};
use sekisho_fsm::State;
use sekisho_fsm::purse::{Own, Purse};
use sekisho_fsm::topology::{Domain, Stand, Tally};
use sekisho_types::id::TenantId;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// The nodes of one question.
#[derive(Debug)]
pub(crate) struct Sides<'a, 'v, 's> {
    ask: &'a Ask<'a>,
    sides: BTreeMap<Option<Domain<'s>>, Vec<&'v Host<'s>>>,
}

impl<'a, 'v, 's> Sides<'a, 'v, 's> {
    pub(crate) fn of(ask: &'a Ask<'a>) -> Self {
        Self { ask, sides: BTreeMap::new() }
    }

    /// Whether the job says how its members stand to one another.
    pub(crate) fn is_asked(&self) -> bool {
        self.ask.facts.topology.places_members()
    }

    /// One node with room more.
    pub(crate) fn add(&mut self, host: &'v Host<'s>) {
        if !self.is_asked() {
            return;
        }
        let stand = Stand::of(host.id, host.node);
        let within = self.ask.facts.topology.within;
        let side = within.map(|within| stand.domain(within.over()));
        if side != Some(None) {
            self.sides.entry(side.flatten()).or_default().push(host);
        }
    }

    /// Members that may be charged together in one rack or site, none over its share; the whole group if it finds places.
    pub(crate) fn most(&self, state: &State, path: &[TenantId]) -> u32 {
        let mut sides: Vec<&Vec<&Host<'_>>> = self.sides.values().collect();
        // The largest first: what is smaller than what was found need not be looked at.
        sides.sort_by_key(|hosts| Reverse(hosts.len()));
        let mut most = 0u32;
        for hosts in sides {
            let larger = u32::try_from(hosts.len()).map_or(true, |nodes| nodes > most);
            if !larger || most >= self.ask.facts.group {
                break;
            }
            most = most.max(self.charged(state, path, hosts));
        }
        most
    }

    /// The same of one, in the order of the search: first one member in each that has to be reached.
    fn charged(&self, state: &State, path: &[TenantId], hosts: &[&Host<'_>]) -> u32 {
        let (facts, own) = (&self.ask.facts, Own(state));
        let topology = &facts.topology;
        let mut purse = Purse::open(state, &own, facts, path);
        let mut spend = |host: &Host<'_>| {
            let place = host.node.tag.area.domestic();
            let at = (&host.id.site, &host.node.operator);
            place.is_some_and(|place| purse.spend(&own, at, place).is_ok())
        };
        let mut tally = Tally::of(topology, facts.group);
        let mut taken = BTreeSet::new();
        let mut counts: BTreeMap<Domain<'_>, u32> = BTreeMap::new();
        if let Some(spread) = topology.spread {
            for host in hosts {
                let stand = Stand::of(host.id, host.node);
                let Some(domain) = stand.domain(spread.over) else { continue };
                let wide =
                    u32::try_from(counts.len()).is_ok_and(|several| several >= spread.at_least);
                if !wide && !counts.contains_key(&domain) && spend(host) {
                    counts.insert(domain, 1);
                    taken.insert(host.id);
                    tally.add(&stand);
                }
            }
        }
        for host in hosts.iter().filter(|host| !taken.contains(host.id)) {
            if tally.is_met() {
                break;
            }
            let stand = Stand::of(host.id, host.node);
            if let Some(spread) = topology.spread {
                let Some(domain) = stand.domain(spread.over) else { continue };
                let count = counts.entry(domain).or_default();
                if *count >= spread.most_in_one(facts.group) || !spend(host) {
                    continue;
                }
                *count = count.saturating_add(1);
            } else if !spend(host) {
                continue;
            }
            tally.add(&stand);
        }
        tally.most()
    }
}
