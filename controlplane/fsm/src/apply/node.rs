//! Nodes after enrolment: approval, tag renewal, cordon, revocation, decommission.
//!
//! Must hold: P5. Nothing un-revokes a node, and the key of one that was decommissioned enrols no node ever again; what is
//! not approved takes no placement.

use super::change::{Change, not_found};
use super::token::check_tag;
use super::{fix, placement, preemption, site_key};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::role::{Target, Verb};
use crate::state::{Fate, Retired};
use sekisho_evidence::tag::SignedTag;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, NodeId};

/// Replaces a node's tag by a newer one of the same key.
pub(super) fn renew_tag(change: &mut Change<'_>, id: &NodeId, tag: &SignedTag) -> Outcome {
    let renewing = change.member()?.clone();
    change.state.clock_behind(change.entry.proposed_at)?;
    let node = change.state.nodes.get(id).ok_or_else(|| not_found(format!("node {id}")))?;
    if node.revoked {
        return Err(Rejection::new(ErrorCode::NodeRevoked, format!("{id} was revoked")));
    }
    let (serial, key) = (node.tag.serial, node.node_key);
    let (verified, operator) = check_tag(change.state, id, &key, tag)?;
    if renewing != operator {
        return Err(Rejection::new(
            ErrorCode::PermissionDenied,
            "a tag is renewed by the node's own operator",
        ));
    }
    if verified.serial <= serial {
        return Err(Rejection::new(
            ErrorCode::TagInvalid,
            "the tag is not newer than the one in force",
        ));
    }
    change.state.nodes.update(id, |node| {
        node.signed_tag = tag.clone();
        node.tag = verified;
    });
    change.effects.events.insert(Event::NodeShown(id.clone()));
    change.effects.events.insert(Event::Plannable);
    Ok(Reply::Done)
}

pub(super) fn owned(change: &Change<'_>, id: &NodeId, verb: Verb) -> Result<(), Rejection> {
    let node = change.state.nodes.get(id).ok_or_else(|| not_found(format!("node {id}")))?;
    change.authorize(verb, Target::Operator(&node.operator))
}

/// Cordons or uncordons.
pub(super) fn cordon(change: &mut Change<'_>, id: &NodeId, schedulable: bool) -> Outcome {
    owned(change, id, if schedulable { Verb::Uncordon } else { Verb::Cordon })?;
    if schedulable {
        came_over(change, id)?;
        // Nothing would come all the same, and whoever asks for it should learn that here.
        if change.state.nodes.get(id).is_some_and(|node| node.drain.is_some()) {
            let why =
                format!("{id} is being drained: call that off first (`sekisho node undrain`)");
            return Err(Rejection::new(ErrorCode::WrongPhase, why));
        }
    }
    change.set_node(id, |node| node.schedulable = schedulable);
    Ok(Reply::Done)
}

/// Whether the node's agent has come over to this incarnation: what its session of before holds, the state may not know.
pub(super) fn came_over(change: &Change<'_>, id: &NodeId) -> Result<(), Rejection> {
    let opened = change.federation()?.opened;
    let session = change.state.nodes.get(id).and_then(|node| node.session.as_ref());
    if session.is_none_or(|session| session.opened > opened) {
        return Ok(());
    }
    let why = format!("the agent of {id} has not come over to this incarnation yet");
    Err(Rejection::new(ErrorCode::WrongPhase, why))
}

/// Takes a node out for good (P5).
pub(super) fn revoke(change: &mut Change<'_>, id: &NodeId) -> Outcome {
    owned(change, id, Verb::RevokeNode)?;
    take_out(change, id);
    change.effects.checkpoint = true;
    Ok(Reply::Done)
}

/// Revokes a node and orders everything on it to stop. What runs stays charged until it is confirmed dead or its
/// lease ends (P3).
pub(super) fn take_out(change: &mut Change<'_>, id: &NodeId) {
    let revision = change.revision;
    change.state.nodes.update(id, |node| {
        node.revoked = true;
        node.revision = revision;
    });
    fix::forget(change, id);
    site_key::outdated(change, &id.site);
    let why = "its node was revoked";
    placement::stop_all_on(change, id, &Fate::Requeue(why.to_owned()), why);
    change.effects.events.insert(Event::Node(id.clone()));
    change.effects.events.insert(Event::Trust);
}

/// Lets a node that has joined take placements. The key is what its operator compared: one that joined in its place under
/// the same name has another.
pub(super) fn approve(change: &mut Change<'_>, id: &NodeId, node_key: &Digest) -> Outcome {
    owned(change, id, Verb::ApproveNode)?;
    let node = change.state.nodes.get(id).ok_or_else(|| not_found(format!("node {id}")))?;
    if node.revoked {
        return Err(Rejection::new(ErrorCode::NodeRevoked, format!("{id} was revoked")));
    }
    if node.node_key != *node_key {
        let why = format!("{id} joined with another key");
        return Err(Rejection::new(ErrorCode::NodeKeyMismatch, why));
    }
    if node.approved {
        return Ok(Reply::Done);
    }
    change.set_node(id, |node| node.approved = true);
    Ok(Reply::Done)
}

/// Takes an empty node out of the federation. Its name may be enrolled anew with another key; its own never again.
pub(super) fn decommission(change: &mut Change<'_>, id: &NodeId) -> Outcome {
    owned(change, id, Verb::Decommission)?;
    let node = change.state.nodes.get(id).ok_or_else(|| not_found(format!("node {id}")))?;
    if !node.revoked && node.drain.is_none() {
        let why = format!("{id} is in service: drain or revoke it first");
        return Err(Rejection::new(ErrorCode::WrongPhase, why));
    }
    let left = node.placements.len();
    if left > 0 {
        // What runs there is charged until it is confirmed dead (P3), and nobody else could say so.
        let why = format!("{left} placements on {id} are not confirmed dead");
        return Err(Rejection::new(ErrorCode::WrongPhase, why));
    }
    let (node_key, revoked, at) = (node.node_key, node.revoked, change.now());
    fix::forget(change, id);
    preemption::lapse_on(change, id);
    change.state.countersigned.remove(id);
    change.state.nodes.remove(id);
    // One that was revoked before has made it so already, and its site may have the next key since.
    if !revoked {
        site_key::outdated(change, &id.site);
    }
    change.state.retired.insert(node_key, Retired { node: id.clone(), at });
    change.effects.checkpoint = true;
    change.effects.events.insert(Event::Node(id.clone()));
    change.effects.events.insert(Event::Plannable);
    change.effects.events.insert(Event::Trust);
    Ok(Reply::Done)
}
