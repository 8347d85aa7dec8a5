//! Offers and vetoes of operators.
//!
//! Must hold: only the operator of the devices makes, changes or withdraws an offer, and says or takes back a veto. What runs
//! is never stopped here: the leader's duty moves what an offer or veto no longer allows (`eviction`).

use super::change::{Change, not_found};
use crate::event::Event;
use crate::offer::{Offer, OfferKey, Veto, VetoKey};
use crate::outcome::{Outcome, Rejection, Reply};
use crate::reservation::sum_up_all;
use crate::role::{Target, Verb};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{JobId, OperatorId, SiteId};
use sekisho_types::limit::VETOES_PER_OPERATOR_MAX;
use sekisho_types::name::Name;
use sekisho_types::offer::{OFFERS_PER_SITE_MAX, OfferSpec, Vetoed};
use sekisho_types::revision::Revision;

fn refuse<T>(code: ErrorCode, why: String) -> Result<T, Rejection> {
    Err(Rejection::new(code, why))
}

fn operator_of(change: &Change<'_>, site: &SiteId) -> Result<OperatorId, Rejection> {
    let row = change.state.sites.get(site).ok_or_else(|| not_found(format!("site {site}")))?;
    Ok(row.operator.clone())
}

/// Makes an offer or changes it.
pub(super) fn put(
    change: &mut Change<'_>,
    (site, name): (&SiteId, &Name),
    spec: &OfferSpec,
    expected: Option<Revision>,
) -> Outcome {
    let operator = operator_of(change, site)?;
    change.authorize(Verb::PutOffer, Target::Operator(&operator))?;
    spec.check().map_err(|why| Rejection::new(ErrorCode::InvalidArgument, why))?;
    if change.state.sites.get(site).is_some_and(|row| row.revoked) {
        return refuse(ErrorCode::NodeRevoked, format!("site {site} was revoked"));
    }
    let key = (site.clone(), name.clone());
    let found = change.state.offers.get(&key);
    let what = format!("offer {site}/{name}");
    Change::unchanged(expected, found.map(|row| row.revision), &what)?;
    if let Some(found) = found {
        if found.withdrawn {
            return refuse(ErrorCode::WrongPhase, format!("{what} was withdrawn"));
        }
        if found.spec.class != spec.class {
            let why = format!("{what} is of {}: make another one", found.spec.class);
            return refuse(ErrorCode::InvalidArgument, why);
        }
    } else if change.state.offers_of(site).count() >= OFFERS_PER_SITE_MAX {
        let why = format!("{site} has {OFFERS_PER_SITE_MAX} offers, the most of a site");
        return refuse(ErrorCode::TooLarge, why);
    }
    if spec.until.is_some_and(|until| until <= change.now()) {
        return refuse(ErrorCode::InvalidArgument, "until: is over".to_owned());
    }
    let used = found.map_or(0, |row| row.used);
    let row = Offer {
        spec: spec.clone(),
        withdrawn: false,
        used,
        since: change.now(),
        revision: change.revision,
    };
    change.state.offers.insert(key, row);
    told(change, site, name);
    Ok(Reply::Done)
}

/// Withdraws an offer; its row goes when nothing is charged to it.
pub(super) fn withdraw(
    change: &mut Change<'_>,
    (site, name): (&SiteId, &Name),
    expected: Revision,
) -> Outcome {
    let operator = operator_of(change, site)?;
    change.authorize(Verb::WithdrawOffer, Target::Operator(&operator))?;
    let key = (site.clone(), name.clone());
    let found = change.state.offers.get(&key).map(|row| row.revision);
    Change::unchanged(Some(expected), found, &format!("offer {site}/{name}"))?;
    take_out(change, &key);
    Ok(Reply::Done)
}

fn take_out(change: &mut Change<'_>, key: &OfferKey) {
    let (now, revision) = (change.now(), change.revision);
    change.state.offers.update(key, |row| {
        (row.withdrawn, row.since, row.revision) = (true, now, revision);
    });
    sweep(change, key);
    told(change, &key.0, &key.1);
}

/// Withdraws what a site offers that is taken out.
pub(super) fn take_out_of(change: &mut Change<'_>, site: &SiteId) {
    let keys: Vec<OfferKey> = change.state.offers_of(site).map(|(key, _)| key.clone()).collect();
    keys.iter().for_each(|key| take_out(change, key));
}

/// Takes back every veto for which `gone` says so.
pub(super) fn forget_vetoes(change: &mut Change<'_>, gone: impl Fn(&VetoKey) -> bool) {
    let keys = change.state.vetoes.iter().map(|(key, _)| key).filter(|key| gone(key));
    let keys: Vec<VetoKey> = keys.cloned().collect();
    for key in keys {
        change.state.vetoes.remove(&key);
        change.effects.events.insert(Event::Veto(Box::new(key)));
    }
}

/// Takes a withdrawn offer out that nothing is charged to.
fn sweep(change: &mut Change<'_>, key: &OfferKey) {
    if change.state.offers.get(key).is_some_and(|row| row.withdrawn && row.used == 0) {
        change.state.offers.remove(key);
        change.effects.events.insert(Event::Offer(key.0.clone(), key.1.clone()));
    }
}

fn told(change: &mut Change<'_>, site: &SiteId, name: &Name) {
    // Another offer may back what is reserved there, and end at another time.
    sum_up_all(change.state, Some(site));
    change.effects.events.insert(Event::Offer(site.clone(), name.clone()));
    change.effects.events.insert(Event::Plannable);
}

/// Charges devices to an offer. The caller has asked a purse.
pub(super) fn charge(change: &mut Change<'_>, key: &OfferKey, gpus: u64) {
    change.state.offers.update(key, |row| row.used = row.used.saturating_add(gpus));
}

/// Gives them back.
pub(super) fn refund(change: &mut Change<'_>, key: &OfferKey, gpus: u64) {
    change.state.offers.update(key, |row| row.used = row.used.saturating_sub(gpus));
    sweep(change, key);
}

/// Says that an operator takes no work of somebody.
pub(super) fn veto(
    change: &mut Change<'_>,
    operator: &OperatorId,
    of: &Vetoed,
    reason: &str,
) -> Outcome {
    change.authorize(Verb::Veto, Target::Operator(operator))?;
    if change.federation()?.bundle.keys(operator).is_none() {
        return refuse(ErrorCode::OperatorUnknown, operator.to_string());
    }
    Change::text(reason, "reason")?;
    if let Vetoed::Job(job) = of
        && job.task.is_some()
    {
        let why = format!("job {job} is a task: a veto is of a whole job");
        return refuse(ErrorCode::InvalidArgument, why);
    }
    let key = (operator.clone(), of.clone());
    let own = change.state.vetoes.iter().filter(|((by, _), _)| by == operator).count();
    if own >= VETOES_PER_OPERATOR_MAX && !change.state.vetoes.contains(&key) {
        let why =
            format!("{operator} has {VETOES_PER_OPERATOR_MAX} vetoes, the most of an operator");
        return refuse(ErrorCode::TooLarge, why);
    }
    let row = Veto {
        by: change.entry.actor.clone(),
        reason: reason.to_owned(),
        since: change.now(),
        revision: change.revision,
    };
    change.state.vetoes.insert(key.clone(), row);
    change.effects.events.insert(Event::Veto(Box::new(key)));
    Ok(Reply::Done)
}

/// Takes a veto back.
pub(super) fn lift(change: &mut Change<'_>, operator: &OperatorId, of: &Vetoed) -> Outcome {
    change.authorize(Verb::LiftVeto, Target::Operator(operator))?;
    let key = (operator.clone(), of.clone());
    if change.state.vetoes.remove(&key).is_none() {
        return Err(not_found(format!("a veto of {operator} against {of}")));
    }
    change.effects.events.insert(Event::Veto(Box::new(key)));
    change.effects.events.insert(Event::Plannable);
    Ok(Reply::Done)
}

/// A job is over: nobody has to keep it off any more.
pub(super) fn forget(change: &mut Change<'_>, job: &JobId) {
    if change.state.vetoes.is_empty() {
        return;
    }
    let of = Vetoed::Job(job.clone());
    forget_vetoes(change, |(_, what)| *what == of);
}
