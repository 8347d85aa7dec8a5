//! Sessions of agents.
//!
//! Must hold: P1 and P3. No device is counted twice. A new session confirms that everything of the last one which it does not
//! list is dead: the agent swept its host first. A copied host cannot take over, because it does not know the newest session;
//! while the old lease may run, only the ledger that holds the open session may open the next, and whoever names another one
//! shows that there are two hosts.

use super::change::Change;
use super::fix;
use super::placement::{self, end};
use super::power;
use super::preemption;
use super::quarantine::{self, SESSIONS_BEFORE};
use crate::outcome::{Outcome, Rejection, Reply};
use crate::state::{Node, Session};
use sekisho_evidence::grant::SessionId;
use sekisho_types::device::{self, Bucket};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::fitness::{self, Unfit};
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::name::Name;
use sekisho_types::placement::Ending;
use sekisho_types::revision::PlacementId;

#[derive(Debug)]
pub(super) struct Opening<'o> {
    pub(super) session: SessionId,
    pub(super) previous: Option<SessionId>,
    pub(super) buckets: &'o [Bucket],
    pub(super) live: &'o [PlacementId],
    pub(super) table: &'o Digest,
    pub(super) findings: &'o [Unfit],
    pub(super) rack: &'o Option<Name>,
}

fn check_buckets(buckets: &[Bucket]) -> Result<(), Rejection> {
    device::check(buckets)
        .map_err(|error| Rejection::new(error.code(), format!("buckets: {error}")))
}

pub(super) fn check_findings(findings: &[Unfit]) -> Result<(), Rejection> {
    fitness::check(findings)
        .map_err(|error| Rejection::new(ErrorCode::InvalidArgument, format!("findings: {error}")))
}

pub(super) fn open(change: &mut Change<'_>, id: &NodeId, opening: &Opening<'_>) -> Outcome {
    let node = change.agent(id)?;
    if *opening.table != change.federation()?.table {
        return Err(Rejection::new(
            ErrorCode::TableMismatch,
            "the agent carries another jurisdiction table",
        ));
    }
    check_buckets(opening.buckets)?;
    check_findings(opening.findings)?;
    if let Some(session) = &node.session {
        if session.id == opening.session {
            // The answer was lost; the session is open.
            return Ok(Reply::Done);
        }
        if session.before.contains(&opening.session) {
            // It was under way while a later one opened, or a host that was set back asks for what it once had.
            let why = format!("session {} was open before {}", opening.session, session.id);
            return Err(Rejection::new(ErrorCode::SessionStale, why));
        }
        if !session.expired && opening.previous != Some(session.id) {
            return quarantine::judge(change, id, opening.session, opening.previous);
        }
    }
    let held = node.placements.clone();
    let survive = held.iter().any(|placement| opening.live.contains(placement));
    let others = !device::same_devices(&node.buckets, opening.buckets);
    if survive && others {
        return Err(Rejection::new(
            ErrorCode::InvalidArgument,
            "buckets: may not change while placements live",
        ));
    }
    if others {
        preemption::lapse_on(change, id);
    }
    let (revision, drew) =
        (change.revision, change.state.nodes.get(id).map_or(0, Node::used_watts));
    change.set_node(id, |node| {
        let last = node.session.take();
        let before = last.into_iter().flat_map(|last| [last.id].into_iter().chain(last.before));
        let before = before.take(SESSIONS_BEFORE).collect();
        let session = opening.session;
        node.session = Some(Session { id: session, opened: revision, expired: false, before });
        // Before anything ends: the end of a victim may grant what was kept here, on the host as it is now.
        node.buckets = opening.buckets.to_vec();
        node.findings = opening.findings.to_vec();
        node.rack = opening.rack.clone();
    });
    // What ends next is given back as its devices are rated now.
    power::rate_anew(change, id, drew);
    // It may be another start, on a host that was moved meanwhile; the same start hands its fix in again.
    fix::forget(change, id);
    for placement in held.iter().filter(|placement| !opening.live.contains(placement)) {
        end(change, placement, &Ending::Lost);
    }
    placement::resettle(change, id);
    Ok(Reply::Done)
}
