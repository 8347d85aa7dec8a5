//! Where members of a sequence's jobs are to stand: by the job's number, so that some stand together, some are spread, and some
//! keep apart.

use sekisho_types::id::Mark;
use sekisho_types::name::Name;
use sekisho_types::topology::{Over, Spread, Topology, Within};
use std::collections::BTreeSet;

fn marks(mark: &str) -> BTreeSet<Mark> {
    mark.parse::<Mark>().into_iter().collect()
}

/// What job number `name` asks for; a group of one is spread over nothing.
pub(super) fn of(name: u8, group: u8) -> Topology {
    let within = |within| Topology { within: Some(within), ..Topology::default() };
    let spread = |over| {
        let spread = (group > 1).then_some(Spread { over, at_least: 2 });
        Topology { spread, ..Topology::default() }
    };
    match name {
        2 => within(Within::Rack),
        3 => Topology { near: "sakai-1".parse().ok(), ..within(Within::Site) },
        4 => spread(Over::Operator),
        5 => Topology { within: Some(Within::Site), ..spread(Over::Rack) },
        6 => Topology { marks: marks("loud"), ..spread(Over::Prefecture) },
        7 => Topology { apart: marks("loud"), marks: marks("shy"), ..Topology::default() },
        _ => Topology::default(),
    }
}

/// The rack of node number `n`; one of each operator's two says none now and then.
pub(super) fn rack(n: u8, size: u64) -> Option<Name> {
    let racks = [Some("r1"), Some("r2"), None];
    let told = u64::from(n).saturating_add(size);
    let at = usize::try_from(told.checked_rem(3)?).ok()?;
    racks.get(at).copied().flatten()?.parse().ok()
}
