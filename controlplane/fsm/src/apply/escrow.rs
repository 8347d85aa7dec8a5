//! Granting slices of tenants' quotas to sites, and taking them back (Q1).

use super::change::{Change, not_found};
use crate::escrow::{Escrow, EscrowKey};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::quota::{charge, refund};
use crate::role::{Target, Verb};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{DeviceClass, SiteId, TenantId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::quota::GPUS_MAX;
use sekisho_types::revision::Revision;

/// Sets what a site holds. What it holds more has to be free, in every row that binds the site's area.
pub(super) fn set(
    change: &mut Change<'_>,
    (site, tenant, class): (&SiteId, &TenantId, &DeviceClass),
    gpus: u64,
    expected: Revision,
) -> Outcome {
    change.authorize(Verb::SetEscrow, Target::Federation)?;
    if !change.state.tenants.contains(tenant) {
        return Err(not_found(format!("tenant {tenant}")));
    }
    let row = change.state.sites.get(site).ok_or_else(|| not_found(format!("site {site}")))?;
    let (revoked, area) = (row.revoked, row.area);
    if gpus > GPUS_MAX {
        let why = format!("gpus: at most {GPUS_MAX}");
        return Err(Rejection::new(ErrorCode::InvalidArgument, why));
    }
    let key = (site.clone(), tenant.clone(), class.clone());
    let held = change.state.escrows.get(&key).copied();
    let stands = held.map_or(Revision(0), |row| row.revision);
    Change::unchanged(Some(expected), Some(stands), &format!("escrow {site}/{tenant}/{class}"))?;
    let (has, place) = held.map_or((0, area), |row| (row.gpus, row.place));
    if revoked && gpus > has {
        return Err(Rejection::new(ErrorCode::NodeRevoked, format!("site {site} was revoked")));
    }
    fits(change, (tenant, class, place), gpus.saturating_sub(has))?;
    move_to(change, key, place, gpus);
    change.effects.events.insert(Event::Plannable);
    Ok(Reply::Done)
}

fn fits(
    change: &Change<'_>,
    (tenant, class, place): (&TenantId, &DeviceClass, Area),
    more: u64,
) -> Result<(), Rejection> {
    if more == 0 {
        return Ok(());
    }
    let rows = change.state.holding(tenant, class).into_iter().flat_map(|held| &held.lines);
    let rows = rows.filter(|(area, line)| line.quota.is_some() && area.contains(place));
    let rooms = rows.map(|(area, _)| (area, change.state.room(tenant, class, *area)));
    let Some((area, room)) = rooms.min_by_key(|(_, room)| *room) else {
        let why = format!("{tenant} has no quota for {class} in {place}");
        return Err(Rejection::new(ErrorCode::QuotaNone, why));
    };
    if room.covers(more) {
        return Ok(());
    }
    let why = format!("{tenant} has room for {room} {class} in {area}, {more} more are asked for");
    Err(Rejection::new(ErrorCode::QuotaExceeded, why))
}

fn move_to(change: &mut Change<'_>, key: EscrowKey, place: Area, gpus: u64) {
    let (_, tenant, class) = &key;
    let path = change.state.path(tenant);
    let held = change.state.escrows.get(&key).map_or(0, |row| row.gpus);
    let quotas = &mut change.state.quotas;
    if gpus > held {
        charge(quotas, &path, class, place, gpus.saturating_sub(held));
    } else {
        refund(quotas, &path, class, place, held.saturating_sub(gpus));
    }
    change.effects.events.insert(Event::Escrow(Box::new(key.clone())));
    if gpus == 0 {
        change.state.escrows.remove(&key);
    } else {
        let revision = change.revision;
        change.state.escrows.insert(key, Escrow { gpus, place, revision });
    }
}

/// Takes back what a site holds that is taken out.
pub(super) fn take_back(change: &mut Change<'_>, site: &SiteId) {
    let of_site = change.state.escrows.iter().filter(|((of, _, _), _)| of == site);
    let held: Vec<(EscrowKey, Area)> = of_site.map(|(key, row)| (key.clone(), row.place)).collect();
    for (key, place) in held {
        move_to(change, key, place, 0);
    }
}
