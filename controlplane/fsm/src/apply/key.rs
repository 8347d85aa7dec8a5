//! Registered keys: which principal may do what.

use super::change::{Change, not_found};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::role::{Target, Verb};
use crate::state::Key;
use sekisho_evidence::key::Purpose;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{PublicKey, Signature};
use sekisho_types::principal::{KeyRecord, Principal, Role, Workload};

/// Binds a key. The issuer of the principal's own operator vouches for it, so no other operator's administrator,
/// not even the federation's, can make a person of this operator.
pub(super) fn register(change: &mut Change<'_>, record: &KeyRecord, issuer: &Signature) -> Outcome {
    let operator = &record.principal.operator;
    change.authorize(Verb::RegisterKey, Target::Operator(operator))?;
    let keys = change
        .federation()?
        .bundle
        .keys(operator)
        .ok_or_else(|| Rejection::new(ErrorCode::OperatorUnknown, operator.as_str()))?;
    keys.issued(Purpose::KeyRecord, &super::bytes_of(record), issuer).map_err(|_bad| {
        Rejection::new(ErrorCode::SignatureInvalid, "issuer's signature under the key record")
    })?;
    if !matches!(record.principal.workload, Workload::User { .. }) {
        return Err(Rejection::new(ErrorCode::InvalidArgument, "keys are registered for users"));
    }
    match &record.role {
        Role::FederationAdmin => {
            // Whoever may widen for all is made by those who already may, of two operators.
            change.authorize(Verb::PutPolicy, Target::Federation)?;
        }
        Role::TenantAdmin(tenant) | Role::TenantUser(tenant) => {
            if !change.state.tenants.contains(tenant) {
                return Err(not_found(format!("tenant {tenant}")));
            }
        }
        // Where a backup may lie is its operator's word, so the place is one of the operator's own (D3).
        Role::Archivist(site) => {
            if change.state.sites.get(site).is_none_or(|row| row.operator != *operator) {
                return Err(not_found(format!("site {site} of {operator}")));
            }
        }
        Role::OperatorAdmin | Role::Auditor | Role::Monitor => {}
        Role::Agent | Role::Member => {
            return Err(Rejection::new(
                ErrorCode::InvalidArgument,
                "this role is bound by enrolment",
            ));
        }
    }
    if record.expires <= change.now() {
        return Err(Rejection::new(ErrorCode::InvalidArgument, "expires: must lie ahead"));
    }
    let row = Key { role: record.role.clone(), expires: record.expires, issuer: Some(*issuer) };
    change.state.keys.insert((record.principal.clone(), record.public_key), row);
    change.effects.events.insert(Event::Trust);
    Ok(Reply::Done)
}

/// Takes a key back.
pub(super) fn revoke(change: &mut Change<'_>, principal: &Principal, key: &PublicKey) -> Outcome {
    change.authorize(Verb::RevokeKey, Target::Operator(&principal.operator))?;
    if change.state.keys.remove(&(principal.clone(), *key)).is_none() {
        return Err(not_found("the key"));
    }
    change.effects.checkpoint = true;
    change.effects.events.insert(Event::Trust);
    Ok(Reply::Done)
}
