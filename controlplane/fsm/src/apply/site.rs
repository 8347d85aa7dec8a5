//! Sites: their registration by an operator of the federation, and their revocation.
//!
//! Must hold: D2 and P5. A site lies in a Japanese area that is valid on the day; a revoked one stays revoked and its
//! id taken, and its nodes go with it. It judges no node's place: that is `residency`.

use super::change::{Change, not_found};
use super::{escrow, node, offer, power, reservation};
use crate::event::Event;
use crate::outcome::{Outcome, Rejection, Reply};
use crate::role::{Target, Verb};
use crate::state::Site;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{NodeId, OperatorId, SiteId};
use sekisho_types::jurisdiction::{Area, AreaError};
use sekisho_types::revision::Revision;

pub(super) fn area_rejection(error: &AreaError) -> Rejection {
    let code = match error {
        AreaError::Unknown(_) => ErrorCode::AreaUnknown,
        AreaError::Foreign(_) => ErrorCode::ResidencyOutsideJp,
        AreaError::Ambiguous { .. } => ErrorCode::AreaAmbiguous,
        AreaError::Retired { .. } => ErrorCode::AreaRetired,
    };
    Rejection::new(code, error.to_string())
}

/// Registers a site.
pub(super) fn create(
    change: &mut Change<'_>,
    site: &SiteId,
    operator: &OperatorId,
    area: Area,
    display_name: &str,
) -> Outcome {
    change.authorize(Verb::CreateSite, Target::Federation)?;
    Change::text(display_name, "display_name")?;
    if change.federation()?.bundle.keys(operator).is_none() {
        return Err(Rejection::new(ErrorCode::OperatorUnknown, operator.as_str()));
    }
    area.valid_on(change.today()).map_err(|error| area_rejection(&error))?;
    // A revoked site's id stays taken: nothing un-revokes it (P5).
    Change::unchanged(
        None,
        change.state.sites.get(site).map(|s| s.revision),
        &format!("site {site}"),
    )?;
    let row = Site {
        operator: operator.clone(),
        area,
        display_name: display_name.to_owned(),
        revoked: false,
        revision: change.revision,
    };
    change.put_site(site, row);
    change.effects.events.insert(Event::Trust);
    Ok(Reply::Done)
}

/// Changes a site's name. Operator and area are what it is: another one is another site.
pub(super) fn update(
    change: &mut Change<'_>,
    site: &SiteId,
    display_name: &str,
    expected: Revision,
) -> Outcome {
    let found = change.state.sites.get(site).ok_or_else(|| not_found(format!("site {site}")))?;
    let (operator, at) = (found.operator.clone(), found.revision);
    change.authorize(Verb::UpdateSite, Target::Operator(&operator))?;
    Change::text(display_name, "display_name")?;
    Change::unchanged(Some(expected), Some(at), &format!("site {site}"))?;
    let revision = change.revision;
    change.state.sites.update(site, |row| {
        display_name.clone_into(&mut row.display_name);
        row.revision = revision;
    });
    change.effects.events.insert(Event::Site(site.clone()));
    Ok(Reply::Done)
}

/// Takes a site out for good, with every node of it (P5).
pub(super) fn revoke(change: &mut Change<'_>, site: &SiteId) -> Outcome {
    let operator = change
        .state
        .sites
        .get(site)
        .ok_or_else(|| not_found(format!("site {site}")))?
        .operator
        .clone();
    change.authorize(Verb::RevokeSite, Target::Operator(&operator))?;
    take_out(change, site);
    change.effects.checkpoint = true;
    Ok(Reply::Done)
}

/// Revokes a site with its nodes.
pub(super) fn take_out(change: &mut Change<'_>, site: &SiteId) {
    let revision = change.revision;
    change.state.sites.update(site, |row| {
        row.revoked = true;
        row.revision = revision;
    });
    change.effects.events.insert(Event::Site(site.clone()));
    let nodes: Vec<NodeId> = change
        .state
        .nodes
        .iter()
        .map(|(id, _)| id)
        .filter(|id| id.site == *site)
        .cloned()
        .collect();
    for id in &nodes {
        node::take_out(change, id);
    }
    escrow::take_back(change, site);
    offer::take_out_of(change, site);
    power::forget_cap(change, site);
    reservation::forget(change, |_, spec| spec.site == *site);
    change.effects.events.insert(Event::Trust);
}
