//! What is reserved, against what was made, is offered and lives: every sum computed once more from its parts.

use crate::reservation::{NOW, ReservationKey, Stock, StockKey};
use crate::state::State;
use sekisho_types::id::TenantId;
use sekisho_types::name::Name;
use sekisho_types::reservation::left_by;
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

type Keys = BTreeSet<ReservationKey>;

/// Offers of the class at the site that exclude no holder.
fn backing(state: &State, (site, class): &StockKey, keys: &Keys) -> BTreeSet<Name> {
    let excludes = |tenant: &TenantId| keys.iter().any(|(holder, _)| holder == tenant);
    let offers = state.offers().filter(|((at, _), offer)| {
        let spec = &offer.spec;
        at == site
            && spec.class == *class
            && !offer.withdrawn
            && !spec.excluded.iter().any(excludes)
    });
    offers.map(|((_, name), _)| name.clone()).collect()
}

/// What lives on those offers and lasts beyond a moment, by whose reservations it uses.
fn beyond(
    state: &State,
    (site, class): &StockKey,
    (keys, backing): (&Keys, &BTreeSet<Name>),
    at: Timestamp,
) -> BTreeMap<Option<TenantId>, u64> {
    let mut sums = BTreeMap::new();
    for (_, row) in state.placements().filter(|(_, row)| !row.phase.is_ended()) {
        let there = row.grant.node.site == *site && row.grant.class == *class;
        let backed = row.charge.offer.as_ref().is_some_and(|offer| backing.contains(offer));
        if there && backed && (at == NOW || at < left_by(row.charge.until)) {
            let mut path = state.path(&row.grant.job.tenant).into_iter();
            let holder = path.find(|tenant| keys.iter().any(|(of, _)| of == tenant));
            let sum = sums.entry(holder).or_insert(0u64);
            *sum = sum.saturating_add(u64::from(row.grant.gpus));
        }
    }
    sums
}

/// Q1: where something is reserved, and nowhere else, the sums are kept, and they are those of what lives.
pub(super) fn stocks_are_what_is_reserved_and_lives(state: &State) -> Result<(), String> {
    let mut made: BTreeMap<StockKey, Keys> = BTreeMap::new();
    for (key, row) in state.reservations.iter() {
        if state.tenant(&key.0).is_none() || state.site(&row.spec.site).is_none_or(|at| at.revoked)
        {
            return Err(format!("Q1: reservation {key:?} of nobody, or nowhere"));
        }
        let at = (row.spec.site.clone(), row.spec.class.clone());
        made.entry(at).or_default().insert(key.clone());
    }
    if made.len() != state.stocks.len() {
        return Err(format!("Q1: sums of {} classes, {} reserved", state.stocks.len(), made.len()));
    }
    for (key, keys) in &made {
        let stock = state.stocks.get(key).ok_or_else(|| format!("Q1: no sums of {key:?}"))?;
        whole(state, key, keys, stock)?;
    }
    Ok(())
}

fn whole(state: &State, key: &StockKey, keys: &Keys, stock: &Stock) -> Result<(), String> {
    let backing = backing(state, key, keys);
    if stock.keys != *keys || stock.backing != backing {
        return Err(format!("Q1: {key:?} has {stock:?}, made are {keys:?} on {backing:?}"));
    }
    let begins = keys.iter().filter_map(|key| Some(state.reservations.get(key)?.spec.from));
    let offers = state.offers().filter(|((at, name), _)| *at == key.0 && backing.contains(name));
    let ends = offers.filter_map(|(_, offer)| offer.spec.until);
    let later = |at: &Timestamp| *at > state.clock;
    let mut marks = begins.chain(ends).filter(later).chain([NOW]);
    if let Some(missing) = marks.find(|at| !stock.beyond.contains_key(at)) {
        return Err(format!("Q1: {key:?} does not look at {missing}"));
    }
    for (at, sums) in &stock.beyond {
        let anew = beyond(state, key, (keys, &backing), *at);
        if *sums != anew {
            return Err(format!("Q1: beyond {at} {key:?} has {sums:?}, what lives is {anew:?}"));
        }
    }
    Ok(())
}
