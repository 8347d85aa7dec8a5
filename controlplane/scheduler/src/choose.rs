//! The first places, best first, on which a group stands as its topology asks.
//!
//! Must hold: where places that suffice are among those that it was given, it finds some, and with fewer it finds none (`brute`
//! in the tests); of those that it was given it takes as early ones as can be. Each member stands on a node of its own.
//! Does not know: purses and claims.

use sekisho_fsm::topology::{Domain, Stand};
use sekisho_types::id::NodeId;
use sekisho_types::topology::Topology;
use std::collections::{BTreeMap, BTreeSet};

/// What is chosen in one rack or site, or anywhere.
#[derive(Debug, Default)]
struct Choice<'p> {
    taken: Vec<usize>,
    nodes: BTreeSet<&'p NodeId>,
    counts: BTreeMap<Domain<'p>, u32>,
}

fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

impl<'p> Choice<'p> {
    /// Takes a place if the group can still become what it has to be.
    fn offer(
        &mut self,
        (topology, group): (&Topology, u32),
        at: usize,
        (node, stand): Candidate<'p>,
    ) {
        let left = group.saturating_sub(count(self.taken.len()));
        if left == 0 || self.nodes.contains(node) {
            return;
        }
        if let Some(spread) = topology.spread {
            let Some(domain) = stand.domain(spread.over) else { return };
            let has = self.counts.get(&domain).copied().unwrap_or(0);
            // Those that are left have to reach what is missing.
            let missing = spread.at_least.saturating_sub(count(self.counts.len()));
            if has >= spread.most_in_one(group) || (has > 0 && left <= missing) {
                return;
            }
            self.counts.insert(domain, has.saturating_add(1));
        }
        self.nodes.insert(node);
        self.taken.push(at);
    }
}

/// A place: its node, and where that stands.
pub(crate) type Candidate<'p> = (&'p NodeId, Stand<'p>);

/// Numbers of the places to take; `None` if no group of them would do.
pub(crate) fn first<'p>(
    topology: &Topology,
    group: u32,
    places: impl Iterator<Item = Candidate<'p>>,
) -> Option<Vec<usize>> {
    let mut choices: BTreeMap<Option<Domain<'p>>, Choice<'p>> = BTreeMap::new();
    for (at, (node, stand)) in places.enumerate() {
        let side = match topology.within.map(|within| stand.domain(within.over())) {
            None => None,
            Some(None) => continue,
            Some(known) => known,
        };
        let choice = choices.entry(side).or_default();
        choice.offer((topology, group), at, (node, stand));
        if count(choice.taken.len()) >= group {
            return Some(std::mem::take(&mut choice.taken));
        }
    }
    None
}
