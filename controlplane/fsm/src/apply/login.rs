//! Logging in: a person's key for half a day, without an administrator's hand.
//!
//! Must hold: A3. The person's own operator vouches for the record, by its issuer or by a registrar whose key is in force;
//! whoever logs in has shown that the key is theirs; nothing that widens for all comes in this way. A registrar takes no
//! name that the issuer gave to somebody, and the issuer gives none that a registrar's login still holds: who runs an
//! identity provider becomes no administrator by calling a user so, neither before nor after the administrator came.

use super::change::Change;
use super::incarnation;
use super::key::{may_hold, no_login_holds};
use crate::command::Login;
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::state::Key;
use sekisho_evidence::package::opening;
use sekisho_evidence::voucher::{Voucher, possesses};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::PublicKey;
use sekisho_types::limit::{LOGIN_CLOCK_SLACK, LOGIN_LIFETIME_MAX, LOGINS_MAX};
use sekisho_types::principal::{KeyRecord, Principal};
use std::time::Duration;

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Registers the key of whoever logged in.
pub(super) fn login(change: &mut Change<'_>, login: &Login) -> Outcome {
    let Login { record, voucher, certificate_key, possession } = login;
    change.state.clock_behind(change.entry.proposed_at)?;
    brought(change, &record.principal)?;
    let operator = &record.principal.operator;
    let keys = change.federation()?.bundle.keys(operator);
    let keys = keys.ok_or_else(|| Rejection::new(ErrorCode::OperatorUnknown, operator.as_str()))?;
    let unsigned = |why: String| Rejection::new(ErrorCode::SignatureInvalid, why);
    voucher.check(keys, record).map_err(|error| unsigned(error.to_string()))?;
    possesses(&record.public_key, certificate_key, possession)
        .map_err(|_bad| unsigned("of the key that is to be registered".to_owned()))?;
    registered_by(change, record, voucher)?;
    if record.role.for_login().is_none() {
        let why = format!("role: {} is given by `key register` alone", record.role);
        return Err(Rejection::new(ErrorCode::InvalidArgument, why));
    }
    not_just_opened(change, record)?;
    let longest = LOGIN_LIFETIME_MAX.saturating_add(LOGIN_CLOCK_SLACK);
    if record.expires > change.now().plus_ms(ms(longest)) {
        let why = "expires: a login is good for 12 hours at most";
        return Err(Rejection::new(ErrorCode::InvalidArgument, why));
    }
    may_hold(change, record)?;
    let held = change.state.key(&record.principal, &record.public_key);
    if held.is_some_and(|row| row.certificate.is_some_and(|other| other != *certificate_key)) {
        // Of two certificates only one would end when the key is taken back.
        let why =
            format!("this key of {} has another certificate: make both anew", record.principal);
        return Err(Rejection::new(ErrorCode::InvalidArgument, why));
    }
    make_room(change, &record.principal);
    let (role, expires) = (record.role.clone(), record.expires);
    let (voucher, certificate) = (Some(voucher.clone()), Some(*certificate_key));
    let row = Key { role, expires, voucher, certificate, revoked: false };
    change.put_key((record.principal.clone(), record.public_key), row);
    change.effects.events.insert(Event::Trust);
    Ok(Reply::Done)
}

/// By the person, or by a member of the person's own operator.
fn brought(change: &Change<'_>, person: &Principal) -> Result<(), Rejection> {
    if change.entry.actor == *person || *change.member()? == person.operator {
        return Ok(());
    }
    let why = format!("{person} logs in through members of its own operator");
    Err(Rejection::new(ErrorCode::PermissionDenied, why))
}

/// A login that was taken back in the tail that an opening lost, nobody knows to be one, and whoever stole it has its record
/// and voucher as long as it is good. What ends with an opening does not come back by them.
fn not_just_opened(change: &Change<'_>, record: &KeyRecord) -> Result<(), Rejection> {
    let opened = change.federation()?.agreements.iter().rev().find_map(|step| opening(step));
    let longest = LOGIN_LIFETIME_MAX.saturating_add(LOGIN_CLOCK_SLACK);
    let lately = opened.is_some_and(|told| change.now() < told.opened.plus_ms(ms(longest)));
    if lately && incarnation::ends_with(&record.role) {
        let why = format!(
            "role: for 12 hours after an opening, {} is given by `key register` alone",
            record.role
        );
        return Err(Rejection::new(ErrorCode::WrongPhase, why));
    }
    Ok(())
}

/// The registrar, if it is one's word, has a key in force, and the name is not taken.
fn registered_by(
    change: &Change<'_>,
    record: &KeyRecord,
    voucher: &Voucher,
) -> Result<(), Rejection> {
    let Some(registrar) = voucher.registrar() else {
        return no_login_holds(change, &record.principal);
    };
    let row = change.state.key(&registrar.principal, &registrar.public_key);
    let now = change.now();
    if !row.is_some_and(|row| row.role == registrar.role && now < row.expires) {
        let why = format!("registrar {} has no such key in force", registrar.principal);
        return Err(Rejection::new(ErrorCode::KeyUnknown, why));
    }
    let mut own = change.state.keys.iter().filter(|((who, _), _)| *who == record.principal);
    let given = own.any(|(_, row)| {
        let by_registrar = row.voucher.as_ref().is_some_and(|by| by.registrar().is_some());
        !by_registrar && !row.revoked && now < row.expires
    });
    if given {
        let why = format!("{} is a name that the issuer gave", record.principal);
        return Err(Rejection::new(ErrorCode::PermissionDenied, why));
    }
    Ok(())
}

/// Rows that are over go, whoever vouched: nothing takes an expired record, so none of them is needed to keep one out. Of one's
/// own logins the oldest goes, if there are many.
fn make_room(change: &mut Change<'_>, person: &Principal) {
    let now = change.now();
    let by_registrar = |row: &Key| row.voucher.as_ref().is_some_and(|by| by.registrar().is_some());
    let over = change.state.keys.iter();
    let over = over.filter(|(_, row)| row.voucher.is_some() && row.expires <= now);
    let mut gone: Vec<(Principal, PublicKey)> = over.map(|(id, _)| id.clone()).collect();
    let own = change.state.keys.iter().filter(|((who, _), _)| who == person);
    let mut own: Vec<_> = own
        .filter(|(_, row)| by_registrar(row) && !row.revoked && row.expires > now)
        .map(|(id, row)| (row.expires, id.clone()))
        .collect();
    own.sort();
    let over = own.len().saturating_add(1).saturating_sub(LOGINS_MAX);
    gone.extend(own.into_iter().take(over).map(|(_, id)| id));
    for id in gone {
        change.drop_key(id);
    }
}
