//! The end of a node's lease: its session is over, and what had to stop on the node has stopped.
//!
//! Must hold: P3 and P4. Only the session that is named ends; what was granted to run to completion stays charged. It
//! measures no time: that the lease, the kill grace and the clock bound have passed is the leader's word.

use super::change::{Change, not_found};
use super::placement::end;
use crate::outcome::{Outcome, Reply};
use sekisho_evidence::grant::SessionId;
use sekisho_types::id::NodeId;
use sekisho_types::job::OnDisconnect;
use sekisho_types::placement::Ending;
use sekisho_types::revision::PlacementId;

/// Ends the lease of a session: the leader waited W, so all that had to stop has stopped (P3, P4). What was granted
/// to run to completion stays charged until its node tells. No effect if another session is open by now.
pub(super) fn expire(change: &mut Change<'_>, id: &NodeId, session: SessionId) -> Outcome {
    change.member()?;
    let node = change.state.nodes.get(id).ok_or_else(|| not_found(format!("node {id}")))?;
    if node.live_session().is_none_or(|live| live.id != session) {
        return Ok(Reply::Done);
    }
    let dead: Vec<PlacementId> = node
        .placements
        .iter()
        .filter(|placement| {
            let row = change.state.placements.get(placement);
            row.is_some_and(|row| row.grant.on_disconnect == OnDisconnect::Stop)
        })
        .copied()
        .collect();
    change.set_node(id, |node| {
        if let Some(session) = &mut node.session {
            session.expired = true;
        }
    });
    for placement in &dead {
        end(change, placement, &Ending::Lost);
    }
    Ok(Reply::Done)
}
