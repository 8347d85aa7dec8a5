//! Nodes with room, by the rack or site in which a group would stand whole.
//!
//! Must hold: a group finds places here where the planner's search would find some: the same nodes, the same shares, one
//! purse for each rack or site. It is asked of jobs with a topology only; of others nodes count one by one.

use sekisho_fsm::purse::{Books, Purse};
use sekisho_fsm::topology::{Domain, Stand, Tally};
use sekisho_types::job::JobFacts;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// The nodes of one question.
#[derive(Debug)]
pub(crate) struct Sides<'a, 's> {
    facts: &'a JobFacts,
    /// Where each stands, and what a member may draw there.
    sides: BTreeMap<Option<Domain<'s>>, Vec<(Stand<'s>, u64)>>,
}

impl<'a, 's> Sides<'a, 's> {
    pub(crate) fn of(facts: &'a JobFacts) -> Self {
        Self { facts, sides: BTreeMap::new() }
    }

    /// Whether the job says how its members stand to one another.
    pub(crate) fn is_asked(&self) -> bool {
        self.facts.topology.places_members()
    }

    /// One node with room more, on which a member may draw so many watts.
    pub(crate) fn add(&mut self, stand: Stand<'s>, watts: u64) {
        if !self.is_asked() {
            return;
        }
        let side = self.facts.topology.within.map(|within| stand.domain(within.over()));
        if side != Some(None) {
            self.sides.entry(side.flatten()).or_default().push((stand, watts));
        }
    }

    /// Members that may be charged together in one rack or site, none over its share; the whole group if it finds places.
    pub(crate) fn most(&self, books: &impl Books, purse: &Purse<'_>) -> u32 {
        let mut sides: Vec<&Vec<(Stand<'s>, u64)>> = self.sides.values().collect();
        // The largest first: what is smaller than what was found need not be looked at.
        sides.sort_by_key(|stands| Reverse(stands.len()));
        let mut most = 0u32;
        for stands in sides {
            let larger = u32::try_from(stands.len()).map_or(true, |nodes| nodes > most);
            if !larger || most >= self.facts.group {
                break;
            }
            most = most.max(self.charged(books, purse.clone(), stands));
        }
        most
    }

    /// The same of one, in the order of the search: first one member in each that has to be reached.
    fn charged(
        &self,
        books: &impl Books,
        mut purse: Purse<'_>,
        stands: &[(Stand<'s>, u64)],
    ) -> u32 {
        let (topology, group) = (&self.facts.topology, self.facts.group);
        let mut spend = |(stand, watts): &(Stand<'s>, u64)| {
            let at = (stand.site, stand.operator);
            stand.area.is_some_and(|place| purse.spend(books, at, (place, *watts)).is_ok())
        };
        let mut tally = Tally::of(topology, group);
        let mut taken = BTreeSet::new();
        let mut counts: BTreeMap<Domain<'s>, u32> = BTreeMap::new();
        if let Some(spread) = topology.spread {
            for (at, one) in stands.iter().enumerate() {
                let Some(domain) = one.0.domain(spread.over) else { continue };
                let wide =
                    u32::try_from(counts.len()).is_ok_and(|several| several >= spread.at_least);
                if !wide && !counts.contains_key(&domain) && spend(one) {
                    counts.insert(domain, 1);
                    taken.insert(at);
                    tally.add(&one.0);
                }
            }
        }
        for (_, one) in stands.iter().enumerate().filter(|(at, _)| !taken.contains(at)) {
            if tally.is_met() {
                break;
            }
            if let Some(spread) = topology.spread {
                let Some(domain) = one.0.domain(spread.over) else { continue };
                let count = counts.entry(domain).or_default();
                if *count >= spread.most_in_one(group) || !spend(one) {
                    continue;
                }
                *count = count.saturating_add(1);
            } else if !spend(one) {
                continue;
            }
            tally.add(&one.0);
        }
        tally.most()
    }
}
