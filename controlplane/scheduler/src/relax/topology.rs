//! Less of what a job asks of its members' places.

use crate::explain::several;
use crate::survey::Ask;
use sekisho_types::topology::{Spread, Topology, Within};
use std::collections::BTreeSet;

/// Each change in words, with the question that it makes; what keeps most of it first.
pub(super) fn loosened<'a>(ask: &Ask<'a>) -> Vec<(String, Ask<'a>)> {
    let asked = &ask.facts.topology;
    let mut changes: Vec<(String, Topology)> = within(asked);
    changes.extend(spread(asked));
    if asked.minds_others() {
        let (apart, marks) = (BTreeSet::new(), BTreeSet::new());
        let change = "let it stand beside any job".to_owned();
        changes.push((change, Topology { apart, marks, ..Topology::clone(asked) }));
    }
    let relaxed = changes.into_iter().map(|(change, topology)| {
        let mut relaxed = ask.clone();
        relaxed.facts.topology = topology.into();
        (change, relaxed)
    });
    relaxed.collect()
}

fn within(asked: &Topology) -> Vec<(String, Topology)> {
    let of =
        |change: &str, within| (change.to_owned(), Topology { within, ..Topology::clone(asked) });
    let anywhere = || of("let the members stand at several sites", None);
    match asked.within {
        None => Vec::new(),
        Some(Within::Site) => vec![anywhere()],
        Some(Within::Rack) => {
            let site = Some(Within::Site);
            vec![of("let the members stand in several racks of a site", site), anywhere()]
        }
    }
}

fn spread(asked: &Topology) -> Vec<(String, Topology)> {
    let Some(Spread { over, at_least }) = asked.spread else { return Vec::new() };
    let of = |change: String, spread| (change, Topology { spread, ..Topology::clone(asked) });
    let (fewer, several) = (at_least.saturating_sub(1), several(over));
    let mut changes = Vec::new();
    if fewer > 1 {
        let change = format!("spread over {fewer} {several} instead of {at_least}");
        changes.push(of(change, Some(Spread { over, at_least: fewer })));
    }
    changes.push(of(format!("do not spread over {several}"), None));
    changes
}
