//! Approvals: proposed, signed, refused; and carried out with the last signature.
//!
//! Must hold: A3. What is carried out is judged as if all had signed it at once, now: each signature, each key and role in
//! force, the proposer as actor, every rule of the command on the state of now. It takes effect whole or not at all, and
//! which of both, a record of its own says. What would be refused in any case is not proposed: nobody signs it in vain.

use super::change::{Change, Effects, not_found};
use super::{Ahead, dispatch};
use crate::approval::{
    Approval, KEPT, PENDING_MAX, ROWS_MAX, Ruling, Stage, WAIT_MAX, command, on,
};
use crate::entry::Entry;
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use sekisho_evidence::command::CommandSignature;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{ApprovalId, RequestId};
use sekisho_types::joint::Joint;
use sekisho_types::revision::PlacementId;
use sekisho_types::time::Timestamp;
use std::collections::BTreeSet;

/// Rows forgotten at one proposal: more than one, so that the table shrinks after a burst, few enough to bound apply.
const FORGET_PER_ENTRY: usize = 4;

fn refuse<T>(code: ErrorCode, why: impl Into<String>) -> Result<T, Rejection> {
    Err(Rejection::new(code, why))
}

fn ms(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Puts a command up for signature. Who signs it at once is in the entry, the caller among them.
pub(super) fn propose(change: &mut Change<'_>, joint: &Joint, expires: Timestamp) -> Outcome {
    let (id, now) = (ApprovalId(change.entry.request.0), change.now());
    change.authorize_as(on(joint), 1)?;
    if expires <= now || expires.since_ms(now) > ms(WAIT_MAX) {
        let why = format!("expires: after {now}, within {} days", WAIT_MAX.as_secs() / 86_400);
        return refuse(ErrorCode::InvalidArgument, why);
    }
    if change.state.approvals.contains(&id) {
        return refuse(ErrorCode::AlreadyExists, format!("approval {id} exists"));
    }
    let row = Approval {
        proposer: change.entry.actor.clone(),
        joint: joint.clone(),
        proposal: change.digest(),
        signatures: first_signatures(change)?,
        proposed: now,
        expires,
        ruling: Ruling::Pending,
        closed: None,
        revision: change.revision,
    };
    let gone = make_room(change, &row)?;
    attempt(change, id, &row, Attempt::Look)?;
    for id in gone {
        change.state.approvals.remove(&id);
        change.effects.events.insert(Event::Approval(id));
    }
    change.state.approvals.insert(id, row);
    settle(change, id);
    change.effects.events.insert(Event::Approval(id));
    Ok(Reply::Done)
}

/// The signatures of the entry, the actor's first; one of each operator.
fn first_signatures(change: &Change<'_>) -> Result<Vec<CommandSignature>, Rejection> {
    let entry = change.entry;
    let own = |one: &&CommandSignature| one.principal == entry.actor;
    let others = entry.signatures.iter().filter(|one| one.principal != entry.actor);
    let all: Vec<_> =
        entry.signatures.iter().find(own).into_iter().chain(others).cloned().collect();
    let operators: BTreeSet<_> = all.iter().map(|one| &one.principal.operator).collect();
    if operators.len() != all.len() {
        return refuse(ErrorCode::ApprovalSigned, "two signatures of one operator");
    }
    Ok(all)
}

/// Rows that go so that this one may come.
fn make_room(change: &Change<'_>, row: &Approval) -> Result<Vec<ApprovalId>, Rejection> {
    let (now, operator) = (change.now(), &row.proposer.operator);
    let rows: Vec<_> = change.state.approvals.iter().collect();
    let is_own = |(_, row): &&(_, &Approval)| row.proposer.operator == *operator;
    let own: Vec<_> = rows.iter().filter(is_own).collect();
    let pending = own.iter().filter(|(_, row)| row.stage(now) == Stage::Pending).count();
    if pending >= PENDING_MAX {
        let why = format!("{pending} approvals of {operator} wait already");
        return refuse(ErrorCode::AccessFull, why);
    }
    let mut over: Vec<_> = rows
        .iter()
        .filter(|(_, row)| row.stage(now) != Stage::Pending && now.since_ms(row.over()) > ms(KEPT))
        .map(|(id, row)| (row.over(), **id))
        .collect();
    over.sort_unstable();
    let mut gone: Vec<ApprovalId> =
        over.into_iter().take(FORGET_PER_ENTRY).map(|(_, id)| id).collect();
    if own.len() >= ROWS_MAX && !own.iter().any(|(id, _)| gone.contains(id)) {
        let closed = own.iter().filter(|(_, row)| row.over() <= now);
        let Some((id, _)) = closed.min_by_key(|(id, row)| (row.over(), **id)) else {
            let why = format!("{operator} has made {ROWS_MAX} proposals whose end is yet to come");
            return refuse(ErrorCode::AccessFull, why);
        };
        gone.push(**id);
    }
    Ok(gone)
}

/// A row that waits, for somebody who may do what it asks for.
fn pending<'c>(change: &'c Change<'_>, id: ApprovalId) -> Result<&'c Approval, Rejection> {
    let row = change.state.approvals.get(&id);
    let row = row.ok_or_else(|| not_found(format!("approval {id}")))?;
    change.authorize_as(on(&row.joint), 0)?;
    let stage = row.stage(change.now());
    if stage != Stage::Pending {
        return refuse(ErrorCode::ApprovalClosed, format!("approval {id} is {stage}"));
    }
    Ok(row)
}

/// Whether somebody of the actor's operator has signed.
fn has_signed(change: &Change<'_>, row: &Approval) -> bool {
    row.signed_by().contains(&change.entry.actor.operator)
}

/// Adds a signature.
pub(super) fn sign(
    change: &mut Change<'_>,
    id: ApprovalId,
    signature: &CommandSignature,
) -> Outcome {
    // After an outage one that is long over would still look pending.
    change.state.clock_behind(change.entry.proposed_at)?;
    let row = pending(change, id)?;
    if signature.principal != change.entry.actor {
        return refuse(ErrorCode::PermissionDenied, "only whoever signed brings a signature");
    }
    if has_signed(change, row) {
        let why = format!("{} has signed approval {id}", change.entry.actor.operator);
        return refuse(ErrorCode::ApprovalSigned, why);
    }
    let intention = change.state.approval_intention(&id, row);
    let intention = intention.ok_or_else(|| not_found("the federation"))?;
    change.state.check_signature(signature, Some(&intention), on(&row.joint))?;
    let revision = change.revision;
    change.state.approvals.update(&id, |row| {
        row.signatures.push(signature.clone());
        row.revision = revision;
    });
    settle(change, id);
    change.effects.events.insert(Event::Approval(id));
    Ok(Reply::Done)
}

/// Refuses it for good; its proposer withdraws it so.
pub(super) fn refuse_it(change: &mut Change<'_>, id: ApprovalId, reason: &str) -> Outcome {
    let row = pending(change, id)?;
    if row.proposer != change.entry.actor && has_signed(change, row) {
        let why = format!("{} has signed approval {id}", change.entry.actor.operator);
        return refuse(ErrorCode::ApprovalSigned, why);
    }
    Change::text(reason, "reason")?;
    if reason.chars().any(char::is_control) {
        let why = "reason: must be one line without control characters";
        return refuse(ErrorCode::InvalidArgument, why);
    }
    let (by, reason) = (change.entry.actor.clone(), reason.to_owned());
    close(change, id, Ruling::Refused { by, reason });
    Ok(Reply::Done)
}

fn close(change: &mut Change<'_>, id: ApprovalId, ruling: Ruling) {
    let (now, revision) = (change.now(), change.revision);
    change.state.approvals.update(&id, |row| {
        row.ruling = ruling;
        row.closed = Some(now);
        row.revision = revision;
    });
    change.effects.events.insert(Event::Approval(id));
}

/// A new incarnation begins: what waits was signed for the one before.
pub(super) fn lapse(change: &mut Change<'_>) {
    let waits = |row: &Approval| row.ruling == Ruling::Pending;
    let rows = change.state.approvals.iter().filter(|(_, row)| waits(row));
    let ids: Vec<ApprovalId> = rows.map(|(id, _)| *id).collect();
    for id in ids {
        close(change, id, Ruling::Lapsed);
    }
}

/// Carries it out if enough have signed.
fn settle(change: &mut Change<'_>, id: ApprovalId) {
    let Some(row) = change.state.approvals.get(&id).cloned() else { return };
    if change.state.signatures_missing(&row) > 0 {
        return;
    }
    let outcome = attempt(change, id, &row, Attempt::Do);
    change.settled = Some((id, outcome.as_ref().err().map(|rejection| rejection.code)));
    let ruling = match outcome {
        Ok(()) => Ruling::Done,
        Err(Rejection { code, detail, .. }) => Ruling::Failed { code, detail },
    };
    close(change, id, ruling);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// Whether it could be done but for signatures that are missing; nothing is changed.
    Look,
    /// In earnest.
    Do,
}

/// Applies the command as its proposer's, with everybody's signatures.
fn attempt(
    change: &mut Change<'_>,
    id: ApprovalId,
    row: &Approval,
    how: Attempt,
) -> Result<(), Rejection> {
    let outer = change.entry;
    let entry = Entry {
        cluster: outer.cluster,
        incarnation: outer.incarnation,
        proposed_at: outer.proposed_at,
        actor: row.proposer.clone(),
        request: RequestId(id.0),
        feature_level: outer.feature_level,
        command: command(&row.joint),
        signatures: row.signatures.clone(),
        payload: Vec::new(),
    };
    let ahead = Ahead { command: row.proposal, signed: false, tree: None };
    let before = change.state.clone();
    let mut inner = Change::new(change.state, change.revision, &entry, ahead, change.source);
    inner.one_suffices = how == Attempt::Look;
    let outcome = dispatch(&mut inner, &entry.command).map(|_reply| ());
    let (effects, grants) = (inner.effects, inner.grants);
    if how == Attempt::Look || outcome.is_err() {
        *change.state = before;
        return outcome;
    }
    take_over(change, effects, grants);
    Ok(())
}

fn take_over(change: &mut Change<'_>, effects: Effects, grants: Vec<PlacementId>) {
    let Effects { touched, events, payloads, checkpoint, acted } = effects;
    change.effects.touched.extend(touched);
    change.effects.events.extend(events);
    change.effects.payloads.extend(payloads);
    change.effects.checkpoint |= checkpoint;
    change.effects.acted |= acted;
    change.grants.extend(grants);
}
