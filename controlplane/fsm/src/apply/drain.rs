//! Drains: a node takes nothing new, and what is left on it at the deadline is moved.
//!
//! Must hold: P3 and P7: what is moved is ordered to stop and stays charged until it is confirmed dead; only then does its
//! job, as a whole group, go back to its old place in the queue, and the attempt does not count against it. The deadline is
//! judged here, by the state clock, whoever proposes the eviction.
//! Does not say when a drain is done: it is when the node holds nothing, which every reader sees for itself.

use super::change::{Change, not_found};
use super::node::{came_over, owned};
use super::placement::{is_desired, stop_all_on};
use crate::outcome::{Outcome, Rejection, Reply};
use crate::role::{Target, Verb};
use crate::state::{Drain, Fate, Node};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::NodeId;
use sekisho_types::limit::TIME_LIMIT_MAX;
use sekisho_types::revision::Revision;

fn row<'c>(change: &'c Change<'_>, id: &NodeId) -> Result<&'c Node, Rejection> {
    change.state.nodes.get(id).ok_or_else(|| not_found(format!("node {id}")))
}

/// Begins a drain, or changes the deadline and message of one.
pub(super) fn begin(
    change: &mut Change<'_>,
    id: &NodeId,
    within_s: Option<u64>,
    message: &str,
) -> Outcome {
    owned(change, id, Verb::Drain)?;
    let node = row(change, id)?;
    if node.revoked {
        return Err(Rejection::new(ErrorCode::NodeRevoked, format!("{id} was revoked")));
    }
    Change::text(message, "message")?;
    if message.chars().any(char::is_control) {
        let why = "message: must be one line without control characters";
        return Err(Rejection::new(ErrorCode::InvalidArgument, why));
    }
    let longest = TIME_LIMIT_MAX.as_secs();
    if within_s.is_some_and(|within| within > longest) {
        // No job runs longer than that by itself.
        let why = format!("within_s: at most {longest} seconds, or none");
        return Err(Rejection::new(ErrorCode::InvalidArgument, why));
    }
    let (now, revision) = (change.now(), change.revision);
    let since = node.drain.as_ref().map_or(now, |drain| drain.since);
    let deadline = within_s.map(|within| now.plus_ms(within.saturating_mul(1000)));
    let held = node.drain.as_ref().and_then(|drain| drain.deadline);
    let puts_off = held.is_some_and(|held| deadline.is_none_or(|deadline| deadline > held));
    let target = Target::Operator(&node.operator);
    if puts_off && !change.state.holds(&change.entry.actor, Verb::Drain, target) {
        let why = format!("a break-glass may not put off the drain of {id}");
        return Err(Rejection::new(ErrorCode::PermissionDenied, why));
    }
    let drain = Drain {
        by: change.entry.actor.clone(),
        since,
        deadline,
        message: message.to_owned(),
        revision,
    };
    change.set_node(id, |node| node.drain = Some(drain));
    Ok(Reply::Done)
}

/// Calls a drain off. The node takes placements again unless it is cordoned.
pub(super) fn call_off(change: &mut Change<'_>, id: &NodeId, keep_cordoned: bool) -> Outcome {
    owned(change, id, Verb::Undrain)?;
    if row(change, id)?.drain.is_none() {
        let why = format!("{id} is not being drained");
        return Err(Rejection::new(ErrorCode::WrongPhase, why));
    }
    if !keep_cordoned {
        came_over(change, id)?;
    }
    change.set_node(id, |node| {
        node.drain = None;
        node.schedulable &= !keep_cordoned;
    });
    Ok(Reply::Done)
}

/// Moves what is left on a node at the end of its drain's deadline.
pub(super) fn evict(change: &mut Change<'_>, id: &NodeId, drain: Revision) -> Outcome {
    change.member()?;
    // A clock that lags would still be early; one that has caught up is asked again.
    let (node, now) = (row(change, id)?, change.now());
    let Some(held) = node.drain.as_ref().filter(|held| held.revision == drain) else {
        // Called off or changed while the proposal was on its way.
        return Ok(Reply::Done);
    };
    if node.overdue(now).is_none() {
        let why = format!("{id}: the drain's deadline has not come");
        return Err(Rejection::new(ErrorCode::WrongPhase, why));
    }
    let why = match held.message.as_str() {
        "" => format!("{id} is drained"),
        message => format!("{id} is drained: {message}"),
    };
    let living = |node: &Node| {
        let mut rows = node.placements.iter().filter_map(|id| change.state.placements.get(id));
        rows.any(|row| is_desired(&row.phase))
    };
    if !living(node) {
        return Ok(Reply::Done);
    }
    stop_all_on(change, id, &Fate::Move(why.clone()), &why);
    // Its drain moves on, which a monitor shows.
    change.set_node(id, |_node| {});
    Ok(Reply::Done)
}
