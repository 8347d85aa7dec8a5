//! Quarantine of nodes of which there are two, and the operator's word that one is gone.
//!
//! Must hold: P1. Both hosts stop by the end of the lease, because nobody renews it; what they held comes back when the
//! leader has waited W, and not on the word of either (P3): a node in quarantine reports nothing and opens nothing.
//! What runs to completion stays charged until a session after the release does not list it.
//!
//! **No false alarm.** One host, whatever becomes of its agent, the network and the leaders, is no evidence:
//! - A session that was open once is no news when it is asked for again: the entry was under way while a later one
//!   opened. An agent asks for one id until it hears that it is open, so every late entry of an honest one names an id
//!   of [`Session::before`].
//! - A host that names no session before has lost its ledger, or never had one. It waits for the end of the lease.
//! - A session of another incarnation than this one was restored with the state. What its host opened since then is
//!   lost, so it names what nobody knows.
//!
//! **A hostile member** gains nothing that it has not: it can say that any lease is over (`ExpireLease`), as often as it
//! likes, which does not only stop a node but frees what it holds; and it speaks for the agents that are connected to
//! it. Quarantine frees nothing, names whom it comes from in the audit log, and is taken back by the node's operator.
//!
//! [`Session::before`]: crate::state::Session::before

use super::change::{Change, not_found};
use crate::outcome::{Outcome, Rejection, Reply};
use crate::quarantine::{Quarantine, Twin};
use crate::role::{Target, Verb};
use crate::state::Node;
use sekisho_evidence::grant::SessionId;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::NodeId;

/// Sessions of a node that are remembered after they were open. An entry is under way for ten seconds at most unless
/// its leader stands still, and an agent that begins anew without pause opens one every two.
pub(super) const SESSIONS_BEFORE: usize = 16;

/// Refuses whatever comes from a node in quarantine.
pub(super) fn free(id: &NodeId, node: &Node) -> Result<(), Rejection> {
    if node.quarantine.is_none() {
        return Ok(());
    }
    let why = format!("two hosts claim to be {id}; it was put into quarantine");
    Err(Rejection::new(ErrorCode::NodeQuarantined, why))
}

/// What it means that somebody wants `wanted` after `named`, though another session is open and its lease is live.
pub(super) fn judge(
    change: &mut Change<'_>,
    id: &NodeId,
    wanted: SessionId,
    named: Option<SessionId>,
) -> Outcome {
    let opened = change.federation()?.opened;
    let node = change.state.nodes.get(id).ok_or_else(|| not_found(format!("node {id}")))?;
    let Some(open) = node.live_session() else { return Ok(Reply::Done) };
    let waits = |why: &str| {
        let why = format!("session {} of {id} is open and its lease has not ended: {why}", open.id);
        Err(Rejection::new(ErrorCode::SessionWaits, why))
    };
    let Some(named) = named else {
        return waits("the host knows of no session");
    };
    if open.opened <= opened {
        return waits("it was restored with the state");
    }
    let why = Twin::Sessions { open: open.id, wanted, named };
    enter(change, id, why);
    Ok(Reply::Quarantined)
}

/// Takes a member's word that two starts of an agent use the open session.
pub(super) fn seen(change: &mut Change<'_>, id: &NodeId, why: &Twin) -> Outcome {
    change.member()?;
    let Twin::Instances { session, first, second } = why else {
        let why = "a second session is found out in apply and nowhere else";
        return Err(Rejection::new(ErrorCode::InvalidArgument, why));
    };
    if first == second {
        return Err(Rejection::new(ErrorCode::InvalidArgument, "one start is no evidence"));
    }
    let node = change.state.nodes.get(id).ok_or_else(|| not_found(format!("node {id}")))?;
    let stale = node.live_session().is_none_or(|live| live.id != *session);
    if node.revoked || node.quarantine.is_some() || stale {
        // Seen by several members, or of a session that is over: nothing is left to stop.
        return Ok(Reply::Done);
    }
    enter(change, id, *why);
    Ok(Reply::Done)
}

fn enter(change: &mut Change<'_>, id: &NodeId, why: Twin) {
    let (revision, since) = (change.revision, change.now());
    change.set_node(id, |node| node.quarantine = Some(Quarantine { why, revision, since }));
}

/// Ends a quarantine: the node's operator says that one host is left. The first that asks then gets the session; if
/// there are still two, the other one is evidence again.
pub(super) fn release(change: &mut Change<'_>, id: &NodeId) -> Outcome {
    let node = change.state.nodes.get(id).ok_or_else(|| not_found(format!("node {id}")))?;
    change.authorize(Verb::ReleaseNode, Target::Operator(&node.operator))?;
    if node.revoked {
        return Err(Rejection::new(ErrorCode::NodeRevoked, format!("{id} was revoked")));
    }
    if node.quarantine.is_none() {
        return Err(Rejection::new(ErrorCode::WrongPhase, format!("{id} is in no quarantine")));
    }
    if let Some(session) = node.live_session() {
        // Before, either host would be renewed again with all that it runs.
        let why = format!("the lease of session {} has not ended yet", session.id);
        return Err(Rejection::new(ErrorCode::WrongPhase, why));
    }
    change.set_node(id, |node| node.quarantine = None);
    Ok(Reply::Done)
}
