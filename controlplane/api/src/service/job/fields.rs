//! What filters and orders of jobs may name.

use crate::list::{Field, Kind};
use sekisho_fsm::State;
use sekisho_fsm::state::Job;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1::job::Phase;
use sekisho_types::id::JobId;
use sekisho_types::job;

/// A job.
#[derive(Debug, Clone, Copy)]
pub(in crate::service) struct Row<'s> {
    pub(super) state: &'s State,
    pub(super) id: &'s JobId,
    pub(super) job: &'s Job,
}

/// As the enumeration has them.
const PHASES: Kind = Kind::Word(&[
    "QUEUED",
    "PLACED",
    "RUNNING",
    "STOPPING",
    "SUCCEEDED",
    "FAILED",
    "CANCELLED",
    "HELD",
]);

/// As a spec has them; what is neither an array nor a service runs once.
const KINDS: Kind = Kind::Word(&["BATCH", "ARRAY", "SERVICE"]);

fn kind(kind: job::Kind) -> &'static str {
    match kind {
        job::Kind::Batch => "BATCH",
        job::Kind::Array { .. } => "ARRAY",
        job::Kind::Service { .. } => "SERVICE",
    }
}

fn nodes(row: &Row<'_>) -> Vec<String> {
    let placements = row.job.placements.iter().filter_map(|id| row.state.placement(id));
    placements.map(|placement| placement.grant.node.name()).collect()
}

pub(in crate::service) fn fields<'s>() -> [Field<Row<'s>>; 14] {
    [
        Field::new("name", Kind::Text, |row| row.id.name().into()),
        Field::new("tenant", Kind::Text, |row| row.id.tenant.name().into()),
        Field::new("phase", PHASES, |row| Phase::from(row.job.phase).as_str_name().into()),
        Field::new("submitter", Kind::Text, |row| row.job.submitter.to_string().into()),
        Field::new("submitted_ms", Kind::Number, |row| row.job.submitted_at.0.into()),
        Field::new("attempts", Kind::Number, |row| row.job.attempts.into()),
        Field::new("priority", Kind::Number, |row| u32::from(row.job.facts.priority).into()),
        Field::new("policy", Kind::Text, |row| {
            row.job.facts.policy.as_ref().map(|policy| policy.name()).unwrap_or_default().into()
        }),
        Field::new("device_class", Kind::Text, |row| {
            row.job.facts.resources.class.to_string().into()
        }),
        Field::new("group", Kind::Number, |row| row.job.facts.group.into()),
        Field::new("gpus", Kind::Number, |row| row.job.facts.resources.gpus.into()),
        Field::new("kind", KINDS, |row| kind(row.job.facts.kind).into()),
        Field::new("short", Kind::Flag, |row| row.job.is_short().into()),
        Field::new("node", Kind::Texts, |row| nodes(row).into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_enumeration() {
        let Kind::Word(words) = PHASES else { panic!("words") };
        let known = (1..32).filter_map(|n| Phase::try_from(n).ok());
        assert_eq!(known.map(|phase| phase.as_str_name()).collect::<Vec<_>>(), words);
    }
}
