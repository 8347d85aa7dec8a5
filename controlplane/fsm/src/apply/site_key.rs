//! Sites' sealing keys: the next one comes from the site's operator, and a host that is taken out makes the present one
//! outdated.
//!
//! Must hold: a site has the keys that its own operator signed for it, one epoch after the other; nobody puts an old one in
//! force again. It does not say who can read what: that is [`crate::State::can_open`].

use super::change::{Change, not_found};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::state::{EARLIER_KEYS_MAX, SiteKeys};
use sekisho_evidence::sealed::SignedSiteKey;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::SiteId;
use sekisho_types::job::JobFacts;
use sekisho_types::revision::KeyEpoch;

/// Puts the next key of a site in force.
pub(super) fn put(change: &mut Change<'_>, signed: &SignedSiteKey) -> Outcome {
    let proposing = change.member()?.clone();
    let (record, id) = (&signed.record, &signed.record.key.site);
    let refused = |code, why: &str| Err(Rejection::new(code, format!("key of site {id}: {why}")));
    let site = change.state.sites.get(id).ok_or_else(|| not_found(format!("site {id}")))?;
    if site.revoked {
        return refused(ErrorCode::NodeRevoked, "the site was revoked");
    }
    if proposing != site.operator || record.operator != site.operator {
        return refused(ErrorCode::PermissionDenied, "it is its own operator's to give");
    }
    if record.area != site.area {
        return refused(ErrorCode::TagInvalid, "the site stands elsewhere");
    }
    let federation = change.federation()?;
    let keys = federation.bundle.keys(&site.operator).ok_or_else(|| {
        Rejection::new(ErrorCode::OperatorUnknown, site.operator.as_str().to_owned())
    })?;
    signed
        .verify(&federation.cluster, keys)
        .map_err(|error| Rejection::new(error.code(), error.to_string()))?;
    let held = change.state.site_keys.get(id);
    let next = held.map_or(1, |held| held.current.record.key.epoch.0.saturating_add(1));
    if record.key.epoch != KeyEpoch(next) {
        return refused(ErrorCode::AlreadyExists, &format!("the next is number {next}"));
    }
    let mut earlier: Vec<_> = held.map(|held| held.keys().cloned().collect()).unwrap_or_default();
    earlier.drain(..earlier.len().saturating_sub(EARLIER_KEYS_MAX));
    let row = SiteKeys { current: signed.clone(), earlier, outdated: false };
    change.state.site_keys.insert(id.clone(), row);
    change.effects.events.insert(Event::Site(id.clone()));
    change.effects.events.insert(Event::Trust);
    change.effects.events.insert(Event::Plannable);
    Ok(Reply::Done)
}

/// A host of this site, which has its keys, was taken out.
pub(super) fn outdated(change: &mut Change<'_>, site: &SiteId) {
    change.state.site_keys.update(site, |keys| keys.outdated = true);
}

/// What is submitted is sealed to the keys in use: a member that shows a key of before, which a revoked host has, gains nothing.
pub(super) fn check_in_use(change: &Change<'_>, facts: &JobFacts) -> Result<(), Rejection> {
    let in_use = |site| change.state.site_keys.get(site).map(|keys| keys.current.record.key.epoch);
    let other = facts.sealed_to.iter().find(|(site, epoch)| in_use(site) != Some(**epoch));
    let Some((site, epoch)) = other else { return Ok(()) };
    let why = format!("key {epoch} of site {site} is not the one in use: seal it anew");
    Err(Rejection::new(ErrorCode::PayloadNotSealed, why))
}
