//! What agents tell: phases, refusals, and what they find wrong with their hosts.

use super::change::Change;
use super::placement::{end, moved};
use super::session::check_findings;
use super::{payload, quarantine};
use crate::outcome::{Outcome, Rejection, Reply};
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::receipt::Receipt;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::fitness::Unfit;
use sekisho_types::id::NodeId;
use sekisho_types::limit::{BUCKET_DEVICES_MAX, BUCKETS_MAX, TEXT_MAX};
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::revision::PlacementId;

/// Phases in one report: every device of a full node could change at once.
const PHASES_MAX: usize = BUCKETS_MAX.saturating_mul(BUCKET_DEVICES_MAX as usize);

/// Whether an agent may say this of a placement. `Lost` is the lease's to say, `Refused` needs a receipt.
fn may_say(phase: &Phase) -> bool {
    match phase {
        Phase::Starting | Phase::Running => true,
        Phase::Ended(Ending::StartFailed(why)) => why.len() <= TEXT_MAX,
        Phase::Ended(
            Ending::Exited(_)
            | Ending::Signaled(_)
            | Ending::TimedOut
            | Ending::Stopped
            | Ending::OutOfMemory,
        ) => true,
        Phase::Granted | Phase::Stopping | Phase::Ended(Ending::Refused(_) | Ending::Lost) => false,
    }
}

/// Takes a report. Old news is dropped without a word: reports are repeated until acknowledged.
pub(super) fn report(
    change: &mut Change<'_>,
    id: &NodeId,
    session: SessionId,
    phases: &[(PlacementId, Phase)],
) -> Outcome {
    let node = change.agent_even_revoked(id)?;
    let revoked = node.revoked;
    if !revoked {
        // Which of two hosts speaks, nobody can tell: not even an end is believed.
        quarantine::free(id, node)?;
    }
    let known =
        node.session.as_ref().is_some_and(|open| open.id == session && (revoked || !open.expired));
    if !known {
        return Err(Rejection::new(
            ErrorCode::SessionStale,
            "the report is from a session that is over",
        ));
    }
    if revoked && phases.iter().any(|(_, phase)| !phase.is_ended()) {
        return Err(Rejection::new(
            ErrorCode::NodeRevoked,
            "a revoked node may only tell what ended",
        ));
    }
    if phases.len() > PHASES_MAX {
        return Err(Rejection::new(ErrorCode::TooLarge, "too many phases in one report"));
    }
    if let Some((placement, _)) = phases.iter().find(|(_, phase)| !may_say(phase)) {
        return Err(Rejection::new(
            ErrorCode::InvalidArgument,
            format!("an agent may not say this of {placement}"),
        ));
    }
    for (placement, phase) in phases {
        let news = change
            .state
            .placements
            .get(placement)
            .is_some_and(|row| row.grant.node == *id && row.phase.may_become(phase));
        if !news {
            continue;
        }
        if let Phase::Ended(ending) = phase {
            end(change, placement, ending);
        } else {
            moved(change, placement, phase);
        }
    }
    Ok(Reply::Done)
}

/// Takes a refusal. Its receipt enters the log even when the state knows no such placement: a grant that was never
/// granted is exactly what an auditor wants to see (D4).
pub(super) fn refuse(change: &mut Change<'_>, id: &NodeId, receipt: &Receipt) -> Outcome {
    let node = change.agent(id)?;
    let refusal = receipt
        .verify(&node.receipt_key)
        .map_err(|error| Rejection::new(ErrorCode::SignatureInvalid, error.to_string()))?;
    let cluster = change.federation()?.cluster;
    if refusal.node != *id || refusal.cluster != cluster {
        return Err(Rejection::new(
            ErrorCode::InvalidArgument,
            "the receipt is of another node or cluster",
        ));
    }
    let open = change.state.placements.get(&refusal.placement).is_some_and(|row| {
        // Only what has not begun can be refused; the digest ties the receipt to this very grant.
        row.grant.node == *id
            && row.digest == refusal.grant
            && matches!(row.phase, Phase::Granted | Phase::Stopping)
    });
    if open {
        if refusal.code == ErrorCode::PayloadNotHere {
            let row = change.state.placements.get(&refusal.placement);
            let digest = row.map(|row| row.grant.payload);
            digest.iter().for_each(|digest| payload::missing(change, digest));
        }
        end(change, &refusal.placement, &Ending::Refused(refusal.code));
    }
    Ok(Reply::Done)
}

/// Takes what the host finds wrong with itself. What runs there goes on.
pub(super) fn fitness(
    change: &mut Change<'_>,
    id: &NodeId,
    session: SessionId,
    findings: &[Unfit],
) -> Outcome {
    let node = change.agent(id)?;
    if node.live_session().is_none_or(|open| open.id != session) {
        let why = "the findings are of a session that is over";
        return Err(Rejection::new(ErrorCode::SessionStale, why));
    }
    check_findings(findings)?;
    if node.findings == findings {
        return Ok(Reply::Done);
    }
    change.set_node(id, |node| node.findings = findings.to_vec());
    Ok(Reply::Done)
}
