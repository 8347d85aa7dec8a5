//! Registered keys: which principal may do what.

use super::change::{Change, not_found};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::role::{Target, Verb};
use crate::state::Key;
use sekisho_evidence::key::Purpose;
use sekisho_evidence::package::opening;
use sekisho_evidence::voucher::Voucher;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{PublicKey, Signature};
use sekisho_types::principal::{KeyRecord, Principal, REGISTRAR_ROLES_MAX, Role, Workload};

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
    no_login_holds(change, &record.principal)?;
    may_hold(change, record)?;
    let (role, expires) = (record.role.clone(), record.expires);
    let voucher = Some(Voucher::Issuer(*issuer));
    let row = Key { role, expires, voucher, certificate: None, revoked: false };
    change.put_key((record.principal.clone(), record.public_key), row);
    change.effects.events.insert(Event::Trust);
    Ok(Reply::Done)
}

/// Whether a person may be given this role at all, now.
pub(super) fn may_hold(change: &Change<'_>, record: &KeyRecord) -> Result<(), Rejection> {
    let invalid = |why: &str| Err(Rejection::new(ErrorCode::InvalidArgument, why));
    if !matches!(record.principal.workload, Workload::User { .. }) {
        return invalid("keys are registered for users");
    }
    match &record.role {
        Role::FederationAdmin => {
            // Whoever may widen for all is made by those who already may, of two operators.
            change.authorize(Verb::RegisterAdmin, Target::Federation)?;
        }
        Role::TenantAdmin(tenant) | Role::TenantUser(tenant) => {
            if !change.state.tenants.contains(tenant) {
                return Err(not_found(format!("tenant {tenant}")));
            }
        }
        // Where a backup may lie is its operator's word, so the place is one of the operator's own (D3).
        Role::Archivist(site) => {
            let operator = &record.principal.operator;
            if change.state.sites.get(site).is_none_or(|row| row.operator != *operator) {
                return Err(not_found(format!("site {site} of {operator}")));
            }
        }
        // Whether what it may give exists is judged when it gives it.
        Role::Registrar(given) => {
            if given.len() > REGISTRAR_ROLES_MAX {
                return invalid("role: a registrar gives a few roles, not many");
            }
        }
        Role::OperatorAdmin | Role::Auditor | Role::Monitor => {}
        Role::Agent | Role::Member => return invalid("this role is bound by enrolment"),
    }
    if record.expires <= change.now() {
        return invalid("expires: must lie ahead");
    }
    not_taken_back(change, record)
}

/// Roles belong to the principal, so a certificate that a registrar's login has would answer for whatever the issuer gives
/// to the same name. One that was taken back still lives until its login would have ended.
pub(super) fn no_login_holds(change: &Change<'_>, person: &Principal) -> Result<(), Rejection> {
    let now = change.now();
    let mut own = change.state.keys.iter().filter(|((who, _), _)| who == person);
    let held = own.any(|(_, row)| {
        now < row.expires && row.voucher.as_ref().is_some_and(|by| by.registrar().is_some())
    });
    if held {
        let why =
            format!("{person} is a name that a login holds: wait until it ends, or choose another");
        return Err(Rejection::new(ErrorCode::PermissionDenied, why));
    }
    Ok(())
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

/// Takes a key back; one's own, anybody may. Rows of keys that were taken back and have expired since go: nobody could register those.
pub(super) fn revoke(change: &mut Change<'_>, principal: &Principal, key: &PublicKey) -> Outcome {
    if change.entry.actor == *principal {
        // It only narrows. Signatures are not needed, and not to be ignored.
        change.check_signatures_once()?;
    } else {
        change.authorize(Verb::RevokeKey, Target::Operator(&principal.operator))?;
    }
    let id = (principal.clone(), *key);
    if change.state.key(principal, key).is_none() {
        return Err(not_found("the key"));
    }
    let now = change.now();
    let over = change.state.keys.iter().filter(|(_, row)| row.revoked && row.expires <= now);
    let over: Vec<_> = over.map(|(id, _)| id.clone()).collect();
    for id in over {
        change.drop_key(id);
    }
    change.state.keys.update(&id, |row| row.revoked = true);
    change.effects.events.insert(Event::Key(Box::new(id)));
    change.effects.checkpoint = true;
    change.effects.events.insert(Event::Trust);
    Ok(Reply::Done)
}
