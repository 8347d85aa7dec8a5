//! Fixes: what landmarks measured of a node, verified and judged here on every replica (ADR 13, D1).
//!
//! Must hold: a node is proven only by transcripts that both sides signed, of its live session, and only until they are an
//! hour old, another session opens, or a landmark goes. What does not prove anything is kept all the same, so that people
//! see why; what contradicts itself is no proof.

use super::change::Change;
use crate::event::Event;
use crate::location::{KeptFix, NodeProof};
use crate::outcome::{Outcome, Rejection, Reply};
use crate::state::{Node, State};
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::location::fix::{Fix, Host, judge};
use sekisho_evidence::location::transcript::{FixId, SignedTranscript};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::NodeId;

/// Takes a fix.
pub(super) fn submit(
    change: &mut Change<'_>,
    id: &NodeId,
    session: SessionId,
    fix: FixId,
    transcripts: &[SignedTranscript],
) -> Outcome {
    let node = change.agent(id)?;
    if node.live_session().is_none_or(|open| open.id != session) {
        let why = "the fix is of a session that is over";
        return Err(Rejection::new(ErrorCode::SessionStale, why));
    }
    // While the clock catches up, what is long over would still look good.
    change.state.clock_behind(change.entry.proposed_at)?;
    let kept = change.state.fixes.get(id);
    if kept.is_some_and(|kept| kept.fix.fix == fix) {
        // The answer was lost; the fix is here.
        return Ok(Reply::Done);
    }
    let judged = judged(change.state, id, node, fix, transcripts)?;
    if kept.is_some_and(|kept| judged.measured <= kept.fix.measured) {
        let why = "the fix is not newer than the one that is kept";
        return Err(Rejection::new(ErrorCode::LocationInvalid, why));
    }
    let proof = judged.proof(change.now()).map(NodeProof::from);
    let row = KeptFix { fix: judged, revision: change.revision };
    change.state.fixes.insert(id.clone(), row);
    set_proof(change, id, proof);
    Ok(Reply::Done)
}

fn judged(
    state: &State,
    id: &NodeId,
    node: &Node,
    fix: FixId,
    transcripts: &[SignedTranscript],
) -> Result<Fix, Rejection> {
    let begun = || Rejection::new(ErrorCode::WrongCluster, "the federation has not begun");
    let federation = state.federation().ok_or_else(begun)?;
    let host = Host {
        cluster: &federation.cluster,
        incarnation: federation.incarnation,
        landmarks: state.landmarks.table(),
        node: id,
        node_key: &node.node_key,
        receipt_key: &node.receipt_key,
        area: node.tag.area.domestic(),
    };
    judge(host, fix, transcripts, state.clock)
        .map_err(|error| Rejection::new(error.code(), error.to_string()))
}

/// Forgets the fix of a node, and that it is proven.
pub(super) fn forget(change: &mut Change<'_>, id: &NodeId) {
    if change.state.fixes.remove(id).is_some() {
        set_proof(change, id, None);
    }
}

/// The planner cares only for how good a proof is; each is a little newer than the one before.
fn set_proof(change: &mut Change<'_>, id: &NodeId, proof: Option<NodeProof>) {
    let good = |proof: Option<NodeProof>| proof.map(|held| (held.proof.f, held.proof.prefecture));
    let now = change.now();
    let Some(node) = change.state.nodes.get(id) else { return };
    let worse = node.proof.filter(|old| proof.is_none_or(|new| !new.is_as_good_as(old)));
    if good(node.proof) != good(proof) {
        change.set_node(id, |node| {
            node.proof = proof;
            if let Some(old) = worse {
                node.lapsed = Some(NodeProof { expires: old.expires.min(now), ..old });
            }
        });
        return;
    }
    change.state.nodes.update(id, |node| node.proof = proof);
    change.effects.events.insert(Event::NodeShown(id.clone()));
    change.effects.events.insert(Event::Plannable);
}
