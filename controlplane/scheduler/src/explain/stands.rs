//! What is told of a job that has its places: since when, where, how many of it run, and what is going to move it.
//!
//! Must hold: nothing is asked of the filters, because nothing is to be placed: by them the job's own devices would look taken.
//! Does not say what a host is silent about, which leaders alone know, nor the sentence of whoever stops it: it is in the job's status,
//! and in no scheduler snapshot.

use super::{Explanation, Verdict};
use sekisho_fsm::State;
use sekisho_fsm::state::{Job, Placement};
use sekisho_types::id::NodeId;
use sekisho_types::placement::Phase;
use sekisho_types::time::Timestamp;
use std::collections::BTreeSet;

/// Nodes that are named; of more, how many they are.
const NODES_MAX: usize = 8;

/// The answer about a job of which something stands and nothing waits to be placed; `None` of any other.
pub(super) fn of(state: &State, job: &Job) -> Option<Explanation> {
    let rows = job.placements.iter().filter_map(|id| state.placement(id));
    let rows: Vec<&Placement> = rows.filter(|row| !row.phase.is_ended()).collect();
    let told = if rows.is_empty() { tasks(job)? } else { members(state, job, &rows) };
    Some(Explanation {
        basis: state.revision(),
        nodes_needed: job.facts.group,
        nodes: u32::try_from(state.nodes().count()).unwrap_or(u32::MAX),
        steps: Vec::new(),
        verdict: Verdict::PlacedNow,
        binding: None,
        detail: told.join("; "),
        relaxations: Vec::new(),
        position: None,
        called_before: None,
        more_before: false,
        estimate: None,
        has_places: true,
    })
}

/// Of an array or service that grants no more of them.
fn tasks(job: &Job) -> Option<Vec<String>> {
    let tasks = job.tasks.as_ref().filter(|tasks| tasks.open > 0 && !job.is_queued())?;
    Some(vec![format!("{} of its tasks have places, {} run", tasks.open, tasks.running)])
}

fn members(state: &State, job: &Job, rows: &[&Placement]) -> Vec<String> {
    let since = rows.iter().map(|row| row.charge.from).min().unwrap_or(Timestamp(0));
    let nodes: BTreeSet<&NodeId> = rows.iter().map(|row| &row.grant.node).collect();
    let mut told = vec![format!("has its places on {} since {since}", named(&nodes))];
    let runs = rows.iter().filter(|row| row.phase == Phase::Running);
    let (run, all) = (runs.clone().count(), job.placements.len());
    let begun = runs.map(|row| row.changed).max().filter(|_| run == all);
    told.push(begun.map_or_else(
        || format!("{run} of {all} members run"),
        |begun| format!("all its members run since {begun}"),
    ));
    told.extend(moves(state, job, &nodes));
    told
}

fn named(nodes: &BTreeSet<&NodeId>) -> String {
    if nodes.len() > NODES_MAX {
        return format!("{} nodes", nodes.len());
    }
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What is under way that ends its stay.
fn moves(state: &State, job: &Job, nodes: &BTreeSet<&NodeId>) -> Vec<String> {
    let id = &job.facts.id;
    let for_whom = state.preemptions().filter(|(_, row)| row.victims.contains(id));
    let mut told: Vec<String> =
        for_whom.map(|(other, _)| format!("makes room for job {other}")).collect();
    let drained = |node: &&&NodeId| state.node(node).is_some_and(|row| row.drain.is_some());
    let drained: Vec<_> = nodes.iter().filter(drained).take(NODES_MAX).collect();
    told.extend(drained.iter().map(|node| format!("{node} is being drained")));
    let leaves = |placement| state.residence(placement)?.leaves().cloned();
    let left = job.placements.iter().find_map(leaves);
    told.extend(left.map(|why| format!("{}: {}", why.code, why.detail)));
    told
}
