//! The power caps of sites.
//!
//! Must hold: nothing is granted at a site beyond its cap: what the devices of all that lives there may draw is summed anew from
//! the placements, by what the nodes' newest sessions told. A cap is the word of the site's own operator.

use super::At;
use super::model::{Held, Model, Node};
use crate::verify::report::Report;
use sekisho_evidence::grant::{Grant, Share};
use sekisho_types::device::Bucket;
use sekisho_types::id::{DeviceClass, SiteId};
use std::collections::BTreeMap;

/// What a device is told apart by on its node.
type Kind<'k> = (&'k DeviceClass, u64, u16, Option<Share>);

/// The caps that are in force, watts.
#[derive(Debug, Default)]
pub(super) struct Caps(BTreeMap<SiteId, u64>);

fn draws(node: &Node, (class, memory_mib, island, share): Kind<'_>, gpus: u32) -> u64 {
    let device = share.map(|share| share.device);
    let is_it = |bucket: &&Bucket| bucket.key() == (class, memory_mib, island, device);
    let each = node.buckets.iter().find(is_it).map_or(0, Bucket::rated_watts);
    u64::from(each).saturating_mul(u64::from(gpus))
}

fn draws_of(node: &Node, row: &Held) -> u64 {
    draws(node, (&row.class, row.memory_mib, row.island, row.share), row.gpus)
}

impl Model {
    /// Whether the cap of a grant's site leaves what it may draw.
    pub(super) fn leaves_power(&self, grant: &Grant) -> Result<(), String> {
        let site = &grant.node.site;
        let Some(cap) = self.caps.0.get(site) else { return Ok(()) };
        let own = self.nodes.get(&grant.node).map_or(0, |node| {
            draws(node, (&grant.class, grant.memory_mib, grant.island, grant.share), grant.gpus)
        });
        let placements = &self.placements;
        let at_site = self.nodes.iter().filter(|(id, _)| id.site == *site);
        let living = at_site.flat_map(|(_, node)| {
            let rows = node.held.iter().filter_map(move |id| placements.get(id));
            rows.map(move |row| draws_of(node, row))
        });
        let all = living.fold(own, u64::saturating_add);
        if all <= *cap {
            return Ok(());
        }
        Err(format!("{all} W may be drawn at {site} then, its cap is {cap}"))
    }

    /// A site is capped from now on, or no more.
    pub(super) fn set_cap(
        &mut self,
        at: At<'_>,
        site: &SiteId,
        watts: Option<u64>,
        report: &mut Report,
    ) {
        let operator = self.sites.get(site).map(|(operator, _)| operator);
        self.own_word(at, operator, &format!("the power cap of {site}"), report);
        match watts {
            Some(watts) => self.caps.0.insert(site.clone(), watts),
            None => self.caps.0.remove(site),
        };
    }
}
