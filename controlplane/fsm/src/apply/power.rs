//! The power cap of a site, and what is charged to it.
//!
//! Must hold: only the operator of the site sets, lowers or lifts its cap. Nothing is stopped here: what runs beyond a lowered cap
//! goes on, and nothing more is granted until it fits.

use super::change::{Change, not_found};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::role::{Target, Verb};
use crate::state::Placement;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{NodeId, SiteId};
use sekisho_types::power::SITE_WATTS_MAX;
use sekisho_types::revision::Revision;

/// Sets the cap of a site; `None` lifts it.
pub(super) fn set_cap(
    change: &mut Change<'_>,
    site: &SiteId,
    cap: Option<u64>,
    expected: Revision,
) -> Outcome {
    let found = change.state.sites.get(site).ok_or_else(|| not_found(format!("site {site}")))?;
    let (operator, at, revoked) = (found.operator.clone(), found.revision, found.revoked);
    change.authorize(Verb::SetPowerCap, Target::Operator(&operator))?;
    if cap.is_some_and(|watts| watts > SITE_WATTS_MAX) {
        let why = format!("watts: at most {SITE_WATTS_MAX}");
        return Err(Rejection::new(ErrorCode::InvalidArgument, why));
    }
    if revoked {
        return Err(Rejection::new(ErrorCode::NodeRevoked, format!("site {site} was revoked")));
    }
    Change::unchanged(Some(expected), Some(at), &format!("site {site}"))?;
    let revision = change.revision;
    change.state.sites.update(site, |row| row.revision = revision);
    change.state.edit_power(site, |power| power.cap = cap);
    change.effects.events.insert(Event::Site(site.clone()));
    change.effects.events.insert(Event::Plannable);
    Ok(Reply::Done)
}

/// A site is taken out: what still runs there is counted until it is dead.
pub(super) fn forget_cap(change: &mut Change<'_>, site: &SiteId) {
    change.state.edit_power(site, |power| power.cap = None);
}

fn of(change: &Change<'_>, row: &Placement) -> u64 {
    let node = change.state.nodes.get(&row.grant.node);
    node.map_or(0, |node| node.watts(row.bucket, row.grant.gpus))
}

/// Charges a placement to its site. The caller has asked a purse.
pub(super) fn charge(change: &mut Change<'_>, row: &Placement) {
    let watts = of(change, row);
    let site = &row.grant.node.site;
    change.state.edit_power(site, |power| power.used = power.used.saturating_add(watts));
}

/// Gives back what it was charged.
pub(super) fn refund(change: &mut Change<'_>, row: &Placement) {
    let watts = of(change, row);
    change.state.give_power_back(&row.grant.node.site, watts);
}

/// What lives on a node drew so much by what its devices were rated at before, and draws what they are rated at now.
pub(super) fn rate_anew(change: &mut Change<'_>, id: &NodeId, drew: u64) {
    let draws = change.state.nodes.get(id).map_or(0, crate::state::Node::used_watts);
    if draws != drew {
        change.state.edit_power(&id.site, |power| {
            power.used = power.used.saturating_sub(drew).saturating_add(draws);
        });
    }
}
