//! Where members stand, against what their jobs asked for, as far as nothing changes it after the grant: sites, companies and
//! the jobs beside them. Racks and tags may be told anew.

use crate::state::{Job, Placement, State};
use sekisho_types::id::{OperatorId, SiteId};
use sekisho_types::topology::{Over, Within};
use std::collections::{BTreeMap, BTreeSet};

/// A host brought it over from another incarnation: it was judged there.
fn is_adopted(row: &Placement) -> bool {
    row.charge.offer.is_none()
}

/// No two jobs stand on a node of which one keeps apart from the other.
pub(super) fn jobs_that_keep_apart_share_no_node(state: &State) -> Result<(), String> {
    for (id, node) in state.nodes() {
        let rows: Vec<&Placement> =
            node.placements.iter().filter_map(|placement| state.placement(placement)).collect();
        if rows.iter().any(|row| is_adopted(row)) {
            continue;
        }
        let jobs: BTreeSet<_> = rows.iter().map(|row| &row.grant.job).collect();
        let jobs: Vec<&Job> = jobs.into_iter().filter_map(|job| state.job(job)).collect();
        for (at, one) in jobs.iter().enumerate() {
            let apart = |other: &&&Job| {
                one.facts.id.tenant == other.facts.id.tenant
                    && one.facts.topology.keeps_apart(&other.facts.topology)
            };
            if let Some(other) = jobs.iter().skip(at.saturating_add(1)).find(apart) {
                let (one, other) = (&one.facts.id, &other.facts.id);
                return Err(format!("topology: {one} and {other} keep apart, and stand on {id}"));
            }
        }
    }
    Ok(())
}

/// A group that was granted whole stands at one site, or over as many sites or companies, as it asked.
pub(super) fn groups_stand_as_they_asked(state: &State) -> Result<(), String> {
    for (id, job) in state.jobs() {
        let (topology, group) = (&job.facts.topology, job.facts.group);
        let rows: Vec<&Placement> =
            job.placements.iter().filter_map(|placement| state.placement(placement)).collect();
        let whole = u32::try_from(rows.len()).is_ok_and(|members| members == group);
        if !topology.places_members() || !whole || rows.iter().any(|row| is_adopted(row)) {
            continue;
        }
        let mut sites: BTreeMap<&SiteId, u32> = BTreeMap::new();
        let mut operators: BTreeMap<&OperatorId, u32> = BTreeMap::new();
        for row in rows {
            let site = &row.grant.node.site;
            let operator = state.site(site).map(|site| &site.operator);
            let operator = operator.ok_or_else(|| format!("topology: {id} at no site"))?;
            for count in [sites.entry(site).or_default(), operators.entry(operator).or_default()] {
                *count = count.saturating_add(1);
            }
        }
        let together = match topology.within {
            Some(Within::Rack | Within::Site) => sites.len() == 1,
            None => true,
        };
        let spread = topology.spread.is_none_or(|spread| {
            let counts: Vec<u32> = match spread.over {
                Over::Site => sites.values().copied().collect(),
                Over::Operator => operators.values().copied().collect(),
                Over::Prefecture | Over::Rack => return true,
            };
            let several = u32::try_from(counts.len()).is_ok_and(|all| all >= spread.at_least);
            several && counts.iter().all(|count| *count <= spread.most_in_one(group))
        });
        if !together || !spread {
            return Err(format!("topology: {id} asked for {topology:?}, and stands at {sites:?}"));
        }
    }
    Ok(())
}
