//! Making, lowering and taking out reservations.
//!
//! Must hold: only the operator of the devices promises them, and no more than it offers at every moment of the time. Whoever
//! holds one keeps what was promised: it changes by getting smaller, and its time never does. What runs is not stopped here: if
//! it says so, the leader's duty moves what still holds it when its time has come (`eviction`).

use super::change::{Change, not_found};
use crate::command::{DeleteReservation, PutReservation};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::reservation::{Reservation, ReservationKey, StockKey, Wish, sum_up};
use crate::role::{Target, Verb};
use crate::state::State;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{SiteId, TenantId};
use sekisho_types::job::JobFacts;
use sekisho_types::reservation::{
    RESERVATIONS_PER_SITE_CLASS_MAX, RESERVATIONS_PER_TENANT_MAX, RESERVED_AHEAD_MAX_MS,
    RESERVED_FOR_MAX_MS, ReservationSpec,
};

fn refuse<T>(code: ErrorCode, why: String) -> Result<T, Rejection> {
    Err(Rejection::new(code, why))
}

fn stock_of(spec: &ReservationSpec) -> StockKey {
    (spec.site.clone(), spec.class.clone())
}

/// Whoever reserves at a site is of its operator.
fn authorize(change: &Change<'_>, verb: Verb, site: &SiteId) -> Result<(), Rejection> {
    let row = change.state.sites.get(site).ok_or_else(|| not_found(format!("site {site}")))?;
    let operator = row.operator.clone();
    change.authorize(verb, Target::Operator(&operator))
}

/// Makes a reservation or lowers it.
pub(super) fn put(change: &mut Change<'_>, put: &PutReservation) -> Outcome {
    let PutReservation { tenant, name, spec, expected } = put;
    authorize(change, Verb::PutReservation, &spec.site)?;
    spec.check().map_err(|why| Rejection::new(ErrorCode::InvalidArgument, why))?;
    Change::text(&spec.message, "message")?;
    if !change.state.tenants.contains(tenant) {
        return Err(not_found(format!("tenant {tenant}")));
    }
    let key = (tenant.clone(), name.clone());
    let what = format!("reservation {tenant}/{name}");
    let forgotten = past(change.state, tenant, spec);
    let found = change.state.reservations.get(&key).filter(|_| !forgotten.contains(&key));
    Change::unchanged(*expected, found.map(|row| row.revision), &what)?;
    match found {
        Some(found) => may_lower(change, found, spec, &what)?,
        None => may_make(change, tenant, spec, &forgotten)?,
    }
    for old in forgotten {
        take_out(change, &old);
    }
    let row = Reservation { spec: spec.clone(), revision: change.revision };
    change.state.reservations.insert(key.clone(), row);
    sum_up(change.state, &stock_of(spec));
    told(change, &key);
    Ok(Reply::Done)
}

/// Reservations of the class at the site, and of the tenant, but for those that are forgotten.
fn crowd(
    state: &State,
    (tenant, spec): (&TenantId, &ReservationSpec),
    forgotten: &[ReservationKey],
) -> (usize, usize) {
    let (mut there, mut own) = (0usize, 0usize);
    for (key, row) in state.reservations.iter().filter(|(key, _)| !forgotten.contains(key)) {
        let same = row.spec.site == spec.site && row.spec.class == spec.class;
        there = there.saturating_add(usize::from(same));
        own = own.saturating_add(usize::from(key.0 == *tenant));
    }
    (there, own)
}

/// What may be forgotten to make room for one more: reservations of the tenant and of the class at the site that are long over,
/// and those over at all where there are as many as there may be.
fn past(state: &State, tenant: &TenantId, spec: &ReservationSpec) -> Vec<ReservationKey> {
    let (there, own) = crowd(state, (tenant, spec), &[]);
    let full = there >= RESERVATIONS_PER_SITE_CLASS_MAX || own >= RESERVATIONS_PER_TENANT_MAX;
    let gone = |(key, row): &(&ReservationKey, &Reservation)| {
        let same = row.spec.site == spec.site && row.spec.class == spec.class;
        let over = state.is_past(&row.spec) || (full && row.spec.is_over(state.clock));
        over && (same || key.0 == *tenant)
    };
    state.reservations.iter().filter(gone).map(|(key, _)| key.clone()).collect()
}

fn may_make(
    change: &Change<'_>,
    tenant: &TenantId,
    spec: &ReservationSpec,
    forgotten: &[ReservationKey],
) -> Result<(), Rejection> {
    let (site, class, now) = (&spec.site, &spec.class, change.now());
    if change.state.sites.get(site).is_some_and(|row| row.revoked) {
        return refuse(ErrorCode::NodeRevoked, format!("site {site} was revoked"));
    }
    if spec.is_over(now) {
        return refuse(ErrorCode::ReservationPast, "until: is over".to_owned());
    }
    if spec.from.since_ms(now) > RESERVED_AHEAD_MAX_MS {
        let why = "from: must come within five years".to_owned();
        return refuse(ErrorCode::InvalidArgument, why);
    }
    if spec.until.is_some_and(|until| until.since_ms(spec.from.max(now)) > RESERVED_FOR_MAX_MS) {
        let why = "until: must come within 366 days of from".to_owned();
        return refuse(ErrorCode::InvalidArgument, why);
    }
    let (there, own) = crowd(change.state, (tenant, spec), forgotten);
    if there >= RESERVATIONS_PER_SITE_CLASS_MAX {
        let most = RESERVATIONS_PER_SITE_CLASS_MAX;
        let why =
            format!("{site} has {most} reservations of {class}, the most of a class at a site");
        return refuse(ErrorCode::TooLarge, why);
    }
    if own >= RESERVATIONS_PER_TENANT_MAX {
        let most = RESERVATIONS_PER_TENANT_MAX;
        let why = format!("{tenant} has {most} reservations, the most of a tenant");
        return refuse(ErrorCode::TooLarge, why);
    }
    change.state.has_room_to_reserve(tenant, spec).or_else(|short| {
        let why = format!("{short} {class} more than {site} offers would be reserved at once");
        refuse(ErrorCode::ReservationNoRoom, why)
    })
}

fn may_lower(
    change: &Change<'_>,
    found: &Reservation,
    spec: &ReservationSpec,
    what: &str,
) -> Result<(), Rejection> {
    if found.spec.is_over(change.now()) {
        return refuse(ErrorCode::ReservationPast, format!("{what} is over"));
    }
    let (gpus, reclaim) = (spec.gpus, spec.reclaim);
    let message = spec.message.clone();
    let lowered = ReservationSpec { gpus, reclaim, message, ..found.spec.clone() };
    if lowered != *spec || gpus > found.spec.gpus {
        let why = format!("{what} can be lowered; for more, or another time, make another one");
        return refuse(ErrorCode::InvalidArgument, why);
    }
    Ok(())
}

/// Takes a reservation out.
pub(super) fn delete(change: &mut Change<'_>, delete: &DeleteReservation) -> Outcome {
    let DeleteReservation { tenant, name, expected } = delete;
    let key = (tenant.clone(), name.clone());
    let what = format!("reservation {tenant}/{name}");
    let found = change.state.reservations.get(&key).ok_or_else(|| not_found(&what))?;
    let (site, at) = (found.spec.site.clone(), found.revision);
    authorize(change, Verb::DeleteReservation, &site)?;
    Change::unchanged(Some(*expected), Some(at), &what)?;
    take_out(change, &key);
    Ok(Reply::Done)
}

fn take_out(change: &mut Change<'_>, key: &ReservationKey) {
    let Some(row) = change.state.reservations.remove(key) else { return };
    sum_up(change.state, &stock_of(&row.spec));
    told(change, key);
}

/// Takes out every reservation for which `gone` says so: its tenant or its site goes.
pub(super) fn forget(
    change: &mut Change<'_>,
    gone: impl Fn(&ReservationKey, &ReservationSpec) -> bool,
) {
    let rows = change.state.reservations.iter().filter(|(key, row)| gone(key, &row.spec));
    let keys: Vec<ReservationKey> = rows.map(|(key, _)| key.clone()).collect();
    keys.iter().for_each(|key| take_out(change, key));
}

fn told(change: &mut Change<'_>, key: &ReservationKey) {
    change.effects.events.insert(Event::Reservation(key.0.clone(), key.1.clone()));
    change.effects.events.insert(Event::Plannable);
}

/// Refuses a job that names a reservation out of which it could never be placed.
pub(super) fn check(change: &Change<'_>, facts: &JobFacts) -> Result<(), Rejection> {
    let Some(name) = &facts.reservation else { return Ok(()) };
    let until = change.now().plus_ms(facts.time_limit_s.saturating_mul(1000));
    let path = change.state.path(&facts.id.tenant);
    match change.state.wish(facts, &path, until) {
        Wish::Any | Wish::Of(..) => Ok(()),
        Wish::Gone => {
            let tenant = &facts.id.tenant;
            let why = format!(
                "{tenant} has no reservation {name} for {}, that many and that long",
                facts.resources.class
            );
            refuse(ErrorCode::ReservationNone, why)
        }
    }
}
