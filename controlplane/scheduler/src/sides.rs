//! Nodes with room, by the rack or site in which a group would stand whole.
//!
//! Must hold: a group finds places here where the planner's search would find some: the same nodes, the same shares, one
//! purse for each rack or site. It is asked of jobs with a topology only; of others nodes count one by one.

use sekisho_fsm::purse::{Books, Purse};
use sekisho_fsm::topology::{Domain, Stand, Tally};
use sekisho_types::job::JobFacts;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Nodes that stand alike, at one site and place.
#[derive(Debug, Clone, Copy)]
struct Run<'s> {
    stand: Stand<'s>,
    /// What a member may draw there.
    watts: u64,
    nodes: u32,
}

/// The nodes of one question.
#[derive(Debug)]
pub(crate) struct Sides<'a, 's> {
    facts: &'a JobFacts,
    sides: BTreeMap<Option<Domain<'s>>, Vec<Run<'s>>>,
}

impl<'a, 's> Sides<'a, 's> {
    pub(crate) fn of(facts: &'a JobFacts) -> Self {
        Self { facts, sides: BTreeMap::new() }
    }

    /// Whether the job says how its members stand to one another.
    pub(crate) fn is_asked(&self) -> bool {
        self.facts.topology.places_members()
    }

    /// So many nodes with room more, one at least, on each of which a member may draw so many watts.
    pub(crate) fn add(&mut self, stand: Stand<'s>, watts: u64, nodes: u32) {
        if !self.is_asked() {
            return;
        }
        let side = self.facts.topology.within.map(|within| stand.domain(within.over()));
        if side != Some(None) {
            self.sides.entry(side.flatten()).or_default().push(Run { stand, watts, nodes });
        }
    }

    /// Members that may be charged together in one rack or site, none over its share; the whole group if it finds places.
    pub(crate) fn most(&self, books: &impl Books, purse: &Purse<'_>) -> u32 {
        let nodes =
            |runs: &[Run<'s>]| runs.iter().fold(0u32, |sum, run| sum.saturating_add(run.nodes));
        let mut sides: Vec<(u32, &[Run<'s>])> =
            self.sides.values().map(|runs| (nodes(runs), runs.as_slice())).collect();
        // The largest first: what is smaller than what was found need not be looked at.
        sides.sort_by_key(|(nodes, _)| Reverse(*nodes));
        let mut most = 0u32;
        for (nodes, runs) in sides {
            if nodes <= most || most >= self.facts.group {
                break;
            }
            most = most.max(self.charged(books, purse.clone(), runs));
        }
        most
    }

    /// The same of one, in the order of the search: first one member in each that has to be reached. A member that is refused tells
    /// of all that stand alike, since nothing of a purse grows.
    fn charged(&self, books: &impl Books, mut purse: Purse<'_>, runs: &[Run<'s>]) -> u32 {
        let (topology, group) = (&self.facts.topology, self.facts.group);
        let mut spend = |Run { stand, watts, .. }: &Run<'s>| {
            let at = (stand.site, stand.operator);
            stand.area.is_some_and(|place| purse.spend(books, at, (place, *watts)).is_ok())
        };
        let mut tally = Tally::of(topology, group);
        let mut taken = BTreeSet::new();
        let mut counts: BTreeMap<Domain<'s>, u32> = BTreeMap::new();
        let is_wide = |counts: &BTreeMap<Domain<'s>, u32>| {
            topology.spread.is_none_or(|spread| {
                u32::try_from(counts.len()).is_ok_and(|several| several >= spread.at_least)
            })
        };
        if let Some(spread) = topology.spread {
            for (at, run) in runs.iter().enumerate() {
                let Some(domain) = run.stand.domain(spread.over) else { continue };
                if !is_wide(&counts) && !counts.contains_key(&domain) && spend(run) {
                    counts.insert(domain, 1);
                    taken.insert(at);
                    tally.add(&run.stand);
                }
            }
        }
        // Where there are too few things to spread over, the last member never finds a place.
        let goal = if is_wide(&counts) { group } else { group.saturating_sub(1) };
        for (at, run) in runs.iter().enumerate() {
            let stand = &run.stand;
            let mut left = run.nodes.saturating_sub(u32::from(taken.contains(&at)));
            let domain = topology.spread.map(|spread| (spread, stand.domain(spread.over)));
            while left > 0 && tally.most() < goal {
                let count = match domain {
                    None => None,
                    Some((_, None)) => break,
                    Some((spread, Some(domain))) => {
                        let count = counts.entry(domain).or_default();
                        if *count >= spread.most_in_one(group) {
                            break;
                        }
                        Some(count)
                    }
                };
                if !spend(run) {
                    break;
                }
                if let Some(count) = count {
                    *count = count.saturating_add(1);
                }
                tally.add(stand);
                left = left.saturating_sub(1);
            }
        }
        tally.most()
    }
}
