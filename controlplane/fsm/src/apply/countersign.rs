//! Countersignatures of agents, verified and compared here on every replica (A1, ADR 21).
//!
//! Must hold: only the enrolled receipt key speaks for a node. What apply can know without the tree is compared: no head is
//! longer than the log, of the log's present length only the present root is true, and a node's own words may not shrink. A
//! head that cannot be of this log is kept, not refused: that it was signed is the news. Heads in between are compared by
//! members with their tiles before they propose, and by the auditor, who has all records.

use super::change::Change;
use crate::audit::{COUNTERSIGNATURES_MAX, Contradicted, Countersigned};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use sekisho_evidence::countersign::{Countersignature, Seen};
use sekisho_evidence::merkle::Head;
use sekisho_types::error_code::ErrorCode;

/// Takes countersignatures. Those that do not count are left out.
pub(super) fn take(change: &mut Change<'_>, heads: &[Countersignature]) -> Outcome {
    change.member()?;
    if heads.is_empty() || heads.len() > COUNTERSIGNATURES_MAX {
        let why = format!("{} countersignatures, 1 to {COUNTERSIGNATURES_MAX}", heads.len());
        return Err(Rejection::new(ErrorCode::InvalidArgument, why));
    }
    let own = change.state.audit_head();
    let own = own.map_err(|e| Rejection::new(ErrorCode::Internal, e.to_string()))?;
    let mut refused = None;
    let mut good = Vec::new();
    for signed in heads {
        match judge(change, signed) {
            Ok(()) => good.push(signed),
            Err(why) => drop(refused.get_or_insert(why)),
        }
    }
    if let (true, Some(why)) = (good.is_empty(), refused) {
        return Err(why);
    }
    good.into_iter().for_each(|signed| keep(change, signed, own));
    Ok(Reply::Done)
}

/// Whether it is the word of a node of this federation in this life of it.
fn judge(change: &Change<'_>, signed: &Countersignature) -> Result<(), Rejection> {
    let Seen { cluster, incarnation, node: id, .. } = &signed.seen;
    let federation = change.federation()?;
    if *cluster != federation.cluster || *incarnation != federation.incarnation {
        let why = "the countersignature is of another cluster or incarnation";
        return Err(Rejection::new(ErrorCode::WrongCluster, why));
    }
    let unknown = || Rejection::new(ErrorCode::NotFound, format!("node {id} does not exist"));
    let node = change.state.nodes.get(id).ok_or_else(unknown)?;
    if node.revoked {
        return Err(Rejection::new(ErrorCode::NodeRevoked, format!("{id} was revoked")));
    }
    let bad = |_why| {
        let why = format!("countersignature of {id}");
        Rejection::new(ErrorCode::SignatureInvalid, why)
    };
    signed.verify(&node.receipt_key).map(drop).map_err(bad)
}

fn keep(change: &mut Change<'_>, signed: &Countersignature, own: Head) {
    let seen = &signed.seen;
    let kept = change.state.countersigned.get(&seen.node).copied();
    let of_later = seen.revision >= change.revision || seen.head.size > own.size;
    let shrinks = kept.is_some_and(|kept| !follow(&kept, seen));
    if of_later || shrinks || !seen.agrees(&own) {
        contradicted(change, signed, own);
    } else if kept.is_none_or(|kept| kept.seen < seen.revision) {
        let row = Countersigned { head: seen.head, seen: seen.revision, at: change.now() };
        change.state.countersigned.insert(seen.node.clone(), row);
    }
}

/// Whether two words of one node can be of one log, in whichever order they came.
fn follow(kept: &Countersigned, seen: &Seen) -> bool {
    let (kept, seen) = ((kept.seen, kept.head), (seen.revision, seen.head));
    let (early, late) = if kept.0 <= seen.0 { (kept, seen) } else { (seen, kept) };
    if early.0 == late.0 || early.1.size == late.1.size {
        return early.1 == late.1;
    }
    early.1.size < late.1.size
}

fn contradicted(change: &mut Change<'_>, signed: &Countersignature, ours: Head) {
    let node = &signed.seen.node;
    if change.state.contradicted.contains(node) {
        return;
    }
    let row = Contradicted {
        countersignature: signed.clone(),
        ours,
        revision: change.revision,
        at: change.now(),
    };
    change.state.contradicted.insert(node.clone(), row);
    change.effects.events.insert(Event::NodeShown(node.clone()));
}
