//! What filters and orders of nodes may name.

use crate::core::Core;
use crate::list::{Field, Kind};
use sekisho_fsm::State;
use sekisho_fsm::state::Node;
use sekisho_proto::name::Resource as _;
use sekisho_types::id::NodeId;
use sekisho_types::name::Name;
use sekisho_types::residency::Tier;

/// A node, as the answering member sees it.
#[derive(Debug, Clone, Copy)]
pub(in crate::service) struct Row<'s> {
    pub(super) core: &'s Core,
    pub(super) state: &'s State,
    pub(super) id: &'s NodeId,
    pub(super) node: &'s Node,
}

const TIERS: Kind = Kind::Word(&["T0", "T1", "T2", "T3", "T4"]);

/// As the enumeration has them.
const STATES: Kind = Kind::Word(&[
    "STATE_UNSPECIFIED",
    "ENROLLED",
    "READY",
    "UNREACHABLE",
    "LOST",
    "REVOKED",
    "QUARANTINED",
]);

/// How well its country and area are established now.
pub(super) fn tiers(state: &State, node: &Node) -> (Tier, Tier) {
    let in_force = node.tag.check_time(state.clock()).is_ok();
    // An expired tag establishes nothing: what it said is a claim again.
    let tier = |tier: Tier| if in_force { tier } else { Tier::Claimed };
    let place = node.place(state.clock());
    (tier(place.country_tier), tier(place.area_tier))
}

pub(in crate::service) fn fields<'s>() -> [Field<Row<'s>>; 14] {
    [
        Field::new("name", Kind::Text, |row| row.id.name().into()),
        Field::new("site", Kind::Text, |row| row.id.site.name().into()),
        Field::new("operator", Kind::Text, |row| row.node.operator.as_str().into()),
        Field::new("area", Kind::Text, |row| row.node.tag.area.to_string().into()),
        Field::new("country_tier", TIERS, |row| tiers(row.state, row.node).0.to_string().into()),
        Field::new("area_tier", TIERS, |row| tiers(row.state, row.node).1.to_string().into()),
        Field::new("state", STATES, |row| {
            row.core.node_phase(row.state, row.id, row.node).as_str_name().into()
        }),
        Field::new("schedulable", Kind::Flag, |row| row.node.schedulable.into()),
        Field::new("draining", Kind::Flag, |row| row.node.drain.is_some().into()),
        Field::new("pending", Kind::Flag, |row| (!row.node.approved).into()),
        Field::new("device_class", Kind::Texts, |row| {
            let classes = row.node.buckets.iter().map(|bucket| bucket.class.to_string());
            classes.collect::<Vec<String>>().into()
        }),
        Field::new("joined_ms", Kind::Number, |row| row.node.joined.0.into()),
        Field::new("tag_expires_ms", Kind::Number, |row| row.node.tag.expires.0.into()),
        Field::new("rack", Kind::Text, |row| {
            row.node.rack.as_ref().map(Name::as_str).unwrap_or_default().into()
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_proto::v1::node::State as Shown;

    #[test]
    fn the_words_are_those_of_the_enumeration() {
        let Kind::Word(words) = STATES else { panic!("words") };
        let known = (0..32).filter_map(|n| Shown::try_from(n).ok());
        assert_eq!(known.map(|state| state.as_str_name()).collect::<Vec<_>>(), words);
    }
}
