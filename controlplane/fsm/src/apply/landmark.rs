//! Landmarks: their registration and removal by their own operators (ADR 13).
//!
//! Must hold: a proof ends when a landmark that it rests on goes. That a landmark stands where it says is its operator's
//! word, until others contradict it (`range.rs`): then it is none until that operator registers it anew.

use super::change::Change;
use super::{fix, member};
use crate::event::Event;
use crate::location::{Landmarks, Reach, RegisterError};
use crate::outcome::{Outcome, Rejection, Reply};
use crate::role::{Target, Verb};
use sekisho_evidence::location::landmark::{LANDMARKS_MAX, Landmark, LandmarkError, LandmarkId};
use sekisho_evidence::location::range::Pair;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::NodeId;
use sekisho_types::revision::Revision;
use std::collections::BTreeSet;
use std::sync::Arc;

fn refusal(error: &RegisterError) -> Rejection {
    let code = match error {
        RegisterError::Table(LandmarkError::TooMany(_)) => ErrorCode::TooLarge,
        RegisterError::Table(LandmarkError::Order(_)) => ErrorCode::AlreadyExists,
        RegisterError::Table(LandmarkError::Abroad(_)) => ErrorCode::ResidencyOutsideJp,
        RegisterError::Table(LandmarkError::SharedKey(_) | LandmarkError::Survey(..)) => {
            ErrorCode::InvalidArgument
        }
        RegisterError::Form(_) => ErrorCode::Internal,
    };
    Rejection::new(code, error.to_string())
}

/// Registers a landmark.
pub(super) fn register(
    change: &mut Change<'_>,
    landmark: &Landmark,
    address: &str,
    datagrams: &str,
) -> Outcome {
    let operator = &landmark.id.operator;
    change.authorize(Verb::RegisterLandmark, Target::Operator(operator))?;
    if change.federation()?.bundle.keys(operator).is_none() {
        return Err(Rejection::new(ErrorCode::OperatorUnknown, operator.as_str()));
    }
    member::check_form(address)?;
    member::check_form(datagrams)?;
    let reach = Reach {
        address: address.to_owned(),
        datagrams: datagrams.to_owned(),
        revision: change.revision,
    };
    check_convicted(change, landmark)?;
    let with = change.state.landmarks.with(landmark.clone(), reach);
    let with = with.map_err(|error| refusal(&error))?;
    // Its operator has looked: what was found of it before is of another place, or of a fault that was mended.
    forget(change, |id| *id == landmark.id);
    set(change, with);
    Ok(Reply::Done)
}

/// Those that were taken out keep their places and their keys: another name gives no way around it.
fn check_convicted(change: &Change<'_>, landmark: &Landmark) -> Result<(), Rejection> {
    let mut others = change.state.convicted.iter().filter(|(id, _)| **id != landmark.id);
    if others.any(|(_, row)| row.landmark.key == landmark.key) {
        let error = LandmarkError::SharedKey(landmark.id.clone());
        return Err(refusal(&error.into()));
    }
    let out = change.state.convicted.iter().filter(|(id, _)| **id != landmark.id).count();
    let count = change.state.landmarks.table().iter().count().saturating_add(out);
    if count >= LANDMARKS_MAX {
        return Err(refusal(&LandmarkError::TooMany(count.saturating_add(1)).into()));
    }
    Ok(())
}

/// Takes a landmark out. Another one may come in its name, with another key or elsewhere.
pub(super) fn remove(change: &mut Change<'_>, id: &LandmarkId, expected: Revision) -> Outcome {
    change.authorize(Verb::RemoveLandmark, Target::Operator(&id.operator))?;
    let out = || change.state.convicted.get(id).map(|row| row.reach.revision);
    let found = change.state.landmarks.get(id).map(|(_, reach)| reach.revision).or_else(out);
    Change::unchanged(Some(expected), found, &format!("landmark {id}"))?;
    take_out(change, |landmark| landmark == id);
    Ok(Reply::Done)
}

/// Takes out what `gone` names, with every fix that rests on it and all that was measured of it.
pub(super) fn take_out(change: &mut Change<'_>, gone: impl Fn(&LandmarkId) -> bool) {
    forget(change, &gone);
    silence(change, gone);
}

/// Forgets what was measured of landmarks and by them, and that they were taken out for it.
fn forget(change: &mut Change<'_>, gone: impl Fn(&LandmarkId) -> bool) {
    let pairs = change.state.ranges.iter().map(|(pair, _)| pair.clone());
    let pairs: Vec<Pair> = pairs.filter(|(a, b)| gone(a) || gone(b)).collect();
    for (by, of) in pairs {
        // Who was measured wrongly contradicts one less.
        let pair = (by, of);
        if change.state.ranges.remove(&pair).is_some_and(|range| range.conviction.is_some()) {
            show(change, [pair.0, pair.1]);
        }
    }
    let rows = change.state.convicted.iter().map(|(id, _)| id.clone());
    let rows: Vec<LandmarkId> = rows.filter(|id| gone(id)).collect();
    rows.iter().for_each(|id| drop(change.state.convicted.remove(id)));
    show(change, rows);
}

/// Whoever looks on sees these anew.
pub(super) fn show(change: &mut Change<'_>, ids: impl IntoIterator<Item = LandmarkId>) {
    change.effects.events.extend(ids.into_iter().map(Event::Landmark));
}

/// Has landmarks count no more, nor any fix that rests on them.
pub(super) fn silence(change: &mut Change<'_>, gone: impl Fn(&LandmarkId) -> bool) {
    let ids: Vec<LandmarkId> =
        change.state.landmarks.iter().map(|(id, _)| id.clone()).filter(&gone).collect();
    if ids.is_empty() {
        return;
    }
    let resting =
        change.state.fixes.iter().filter(|(_, row)| ids.iter().any(|id| row.rests_on(id)));
    let resting: Vec<NodeId> = resting.map(|(node, _)| node.clone()).collect();
    resting.iter().for_each(|node| fix::forget(change, node));
    // Types of the state always encode; without a hash nothing would count, which is safe.
    let left = change.state.landmarks.without(gone).unwrap_or_default();
    set(change, left);
}

fn set(change: &mut Change<'_>, landmarks: Landmarks) {
    let before = Arc::clone(&change.state.landmarks);
    let ids: BTreeSet<&LandmarkId> =
        before.iter().chain(landmarks.iter()).map(|(id, _)| id).collect();
    let moved = ids.into_iter().filter(|id| before.get(id) != landmarks.get(id));
    show(change, moved.cloned().collect::<Vec<_>>());
    change.state.landmarks = Arc::new(landmarks);
    change.effects.events.insert(Event::Trust);
}
