//! The endorser bundle: changed only by an agreement of the operators, one step at a time.
//!
//! Must hold (D4): a bundle follows from the one in force by exactly its terms, signed by issuers of k operators of that
//! one; every step is kept, so that who was away can follow. What the terms do to the state is judged by their subject:
//! `member` and `operator`.

use super::change::Change;
use super::{member, operator};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::role::{Target, Verb};
use crate::state::Federation;
use sekisho_evidence::bundle::{BundleError, EndorserBundle};
use sekisho_evidence::operator::BundleRoot;
use sekisho_evidence::package::PACKAGE_MAX;
use sekisho_evidence::terms::{Agreement, Rotation, Terms};
use sekisho_types::error_code::ErrorCode;
use std::sync::Arc;

/// Of a package, kept for addresses and for the steps of a new incarnation.
const PACKAGE_RESERVE: usize = 64 * 1024;

/// Makes an agreement so.
pub(super) fn change(change: &mut Change<'_>, agreement: &Agreement) -> Outcome {
    change.authorize(Verb::ChangeBundle, Target::Federation)?;
    let (terms, next) = (&agreement.terms, &agreement.signed.bundle);
    match terms {
        Terms::AddMember(newcomer) => member::may_come(change, newcomer)?,
        Terms::RemoveMember(id) => member::may_go(change, *id)?,
        Terms::AddOperator(newcomer) => operator::may_come(change, newcomer, next)?,
        Terms::RemoveOperator(id) => operator::may_go(change, id)?,
        Terms::RotateOperator { operator, rotation } => {
            operator::may_rotate(change, operator, rotation)?;
        }
        Terms::Open(_) => {
            let why = "an incarnation is opened by its founders";
            return Err(Rejection::new(ErrorCode::WrongPhase, why));
        }
    }
    let federation = change.federation()?;
    agreement.follows(&federation.bundle).map_err(rejection)?;
    room_for(federation, &[agreement])?;
    make_so(change, agreement);
    change.effects.checkpoint = true;
    Ok(Reply::Done)
}

/// What the terms do to the state, once they are judged.
pub(super) fn make_so(change: &mut Change<'_>, agreement: &Agreement) {
    let (terms, next) = (&agreement.terms, &agreement.signed.bundle);
    match terms {
        Terms::AddMember(_) | Terms::RemoveMember(_) | Terms::Open(_) => {}
        Terms::AddOperator(newcomer) => operator::come(change, newcomer),
        Terms::RemoveOperator(id) => operator::go(change, id),
        Terms::RotateOperator { operator, rotation } => {
            operator::rotate(change, operator, rotation, next);
        }
    }
    let now = change.now();
    amend(change, |federation| {
        match terms {
            Terms::AddMember(newcomer) => member::come(federation, newcomer),
            Terms::RemoveMember(id) => member::go(federation, *id),
            Terms::RotateOperator { operator, rotation: Rotation::Begin { .. } } => {
                federation.rotations.insert(operator.clone(), now);
            }
            Terms::RotateOperator {
                operator,
                rotation: Rotation::Finish { .. } | Rotation::Abort,
            }
            | Terms::RemoveOperator(operator) => drop(federation.rotations.remove(operator)),
            Terms::AddOperator(_) | Terms::Open(_) => {}
        }
        federation.roots.extend(terms.root());
        federation.bundle = next.clone();
        federation.roots = roots(&federation.roots, next);
        federation.agreements.push(Arc::new(agreement.clone()));
    });
}

/// Of the known roots those that the bundle names, in its order.
fn roots(known: &[BundleRoot], bundle: &EndorserBundle) -> Vec<BundleRoot> {
    let named = bundle.operators.iter().flat_map(|keys| keys.roots.iter());
    named.filter_map(|hash| known.iter().find(|root| root.hash() == *hash).cloned()).collect()
}

/// Changes the federation, once everything is checked.
pub(super) fn amend(change: &mut Change<'_>, how: impl FnOnce(&mut Federation)) {
    if let Some(federation) = change.state.federation.as_mut() {
        let before = Arc::clone(federation);
        how(Arc::make_mut(federation));
        let members = before.standings.keys().chain(federation.standings.keys());
        let shown = |of: &Federation, id| (of.members.get(id).cloned(), of.standing(*id));
        let moved = members.filter(|id| shown(&before, id) != shown(federation, id));
        change.effects.events.extend(moved.map(|id| Event::Member(*id)));
    }
    change.effects.events.insert(Event::Trust);
}

/// Whether the way to the bundle in force, with these steps, still fits into what is handed to those who follow it.
pub(super) fn room_for(federation: &Federation, steps: &[&Agreement]) -> Result<(), Rejection> {
    let so_far = super::bytes_of(&federation.package()).len();
    let added = steps.iter().map(|step| super::bytes_of(step).len());
    let all = added.fold(so_far, usize::saturating_add);
    if all.saturating_add(PACKAGE_RESERVE) <= PACKAGE_MAX {
        return Ok(());
    }
    let why = "the way from the genesis to this bundle is too long to be handed on";
    Err(Rejection::new(ErrorCode::TooLarge, why))
}

pub(super) fn rejection(error: BundleError) -> Rejection {
    let (code, remedy) = match &error {
        BundleError::Signatures { .. } => {
            (ErrorCode::SignaturesMissing, ": have more operators sign the change")
        }
        BundleError::Party(_) => (ErrorCode::SignaturesMissing, ""),
        BundleError::WrongCluster => (ErrorCode::WrongCluster, ""),
        BundleError::Version { .. } => {
            (ErrorCode::BundleMismatch, ": another change came first, prepare this one anew")
        }
        BundleError::Malformed(_) | BundleError::Threshold(_) | BundleError::Unrelated => {
            (ErrorCode::BundleMismatch, "")
        }
    };
    Rejection::new(code, format!("{error}{remedy}"))
}
