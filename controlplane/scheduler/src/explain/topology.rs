//! What a topology wants, in words.

use super::list;
use sekisho_types::id::Mark;
use sekisho_types::job::JobFacts;
use sekisho_types::topology::{Over, Within};
use std::collections::BTreeSet;

/// What members are spread over, where there are several.
pub(crate) fn several(over: Over) -> &'static str {
    match over {
        Over::Operator => "operators",
        Over::Prefecture => "prefectures",
        Over::Site => "sites",
        Over::Rack => "racks",
    }
}

pub(super) fn apart(facts: &JobFacts) -> String {
    let topology = &facts.topology;
    if !topology.minds_others() {
        return "beside any job".to_owned();
    }
    let marks = |marks: &BTreeSet<Mark>| list(marks, Mark::to_string);
    match (topology.apart.is_empty(), topology.marks.is_empty()) {
        (false, true) => format!("beside no job of {}", marks(&topology.apart)),
        (true, _) => format!("beside no job that keeps apart from {}", marks(&topology.marks)),
        (false, false) => {
            let (apart, marks) = (marks(&topology.apart), marks(&topology.marks));
            format!("beside no job of {apart}, and none that keeps apart from {marks}")
        }
    }
}

pub(super) fn topology(facts: &JobFacts) -> String {
    let spread = facts.topology.spread.map(|spread| {
        let (least, over) = (spread.at_least, several(spread.over));
        format!("in {least} or more {over}, at most {} in one", spread.most_in_one(facts.group))
    });
    match (facts.topology.within, spread) {
        (Some(Within::Rack), _) => format!("all {} in one rack", facts.group),
        (Some(Within::Site), None) => format!("all {} at one site", facts.group),
        (Some(Within::Site), Some(spread)) => {
            format!("all {} at one site; {spread}", facts.group)
        }
        (None, Some(spread)) => spread,
        (None, None) => "members anywhere".to_owned(),
    }
}
