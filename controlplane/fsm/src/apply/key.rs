//! Registered keys: which principal may do what.

use super::change::{Change, not_found};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::role::{Target, Verb};
use crate::state::Key;
use sekisho_evidence::key::Purpose;
use sekisho_evidence::package::opening;
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
    not_taken_back(change, record)?;
    let (role, expires) = (record.role.clone(), record.expires);
    let row = Key { role, expires, issuer: Some(*issuer), revoked: false };
    change.state.keys.insert((record.principal.clone(), record.public_key), row);
    change.effects.events.insert(Event::Trust);
    Ok(Reply::Done)
}

/// Whoever reads the audit log has the record and the issuer's signature of every key: they must not bring one back that
/// was stolen (A3, P5).
pub(super) fn not_taken_back(change: &Change<'_>, record: &KeyRecord) -> Result<(), Rejection> {
    let id = (record.principal.clone(), record.public_key);
    let revoked = change.state.keys.get(&id).is_some_and(|row| row.revoked);
    let steps = change.state.federation().map(|federation| federation.agreements.iter());
    let withdrawn = steps.into_iter().flatten().filter_map(|step| opening(step));
    let withdrawn =
        withdrawn.into_iter().any(|told| told.withdrawn.keys.contains(&record.public_key));
    if revoked || withdrawn {
        let why = format!("this key of {} was taken back: make another", record.principal);
        return Err(Rejection::new(ErrorCode::InvalidArgument, why));
    }
    Ok(())
}

/// Takes a key back. Rows of keys that were taken back and have expired since go: nobody could register those.
pub(super) fn revoke(change: &mut Change<'_>, principal: &Principal, key: &PublicKey) -> Outcome {
    change.authorize(Verb::RevokeKey, Target::Operator(&principal.operator))?;
    let id = (principal.clone(), *key);
    if change.state.key(principal, key).is_none() {
        return Err(not_found("the key"));
    }
    let now = change.now();
    let over = change.state.keys.iter().filter(|(_, row)| row.revoked && row.expires <= now);
    let over: Vec<_> = over.map(|(id, _)| id.clone()).collect();
    for id in &over {
        change.state.keys.remove(id);
    }
    change.state.keys.update(&id, |row| row.revoked = true);
    change.effects.checkpoint = true;
    change.effects.events.insert(Event::Trust);
    Ok(Reply::Done)
}
