//! What one more job would find in a round, without taking anything.
//!
//! Must hold: nodes, rules, purse and claims are asked as [`Round::attempt`] asks them, so that what is told to people is what
//! happens. It has no wishes: near together or not, a group that finds its nodes finds them. Where its members have to stand in
//! some way to one another or to other jobs, it counts what stands so.

use super::{GRACE_MS, Round};
use crate::alike::Corner;
use crate::books::Overlay;
use crate::claim::Claims;
use crate::marked::taken_until;
use crate::pick::{Allowed, stand};
use crate::residency::judge;
use crate::shelf::{ShelfKey, Spot};
use crate::sides::Sides;
use crate::survey::Ask;
use sekisho_fsm::purse::Purse;
use sekisho_fsm::state::Node;
use sekisho_types::id::{NodeId, SiteId};
use sekisho_types::name::Name;
use std::collections::{BTreeMap, BTreeSet};

/// Nodes on a shelf, or in one rack of it.
type Section<'f> = (Allowed<'f>, Option<&'f Name>, u32);

/// Nodes that a job would find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Probe {
    /// With room, and as many as may be charged.
    pub(crate) left: u32,
    /// The same without what is kept for others.
    pub(crate) unkept: u32,
}

impl<'s> Round<'s, '_> {
    /// What a job would find now.
    pub(crate) fn probe(&self, ask: &Ask<'_>) -> Probe {
        let facts = &ask.facts;
        let path = self.state.path(&facts.id.tenant);
        let purse = Purse::open(self.state, &self.books, facts, &path);
        let until = purse.until().plus_ms(GRACE_MS);
        let shelves: Vec<Allowed<'_>> = self
            .fleet
            .shelves(&facts.resources)
            .filter(|(key, shelf)| {
                key.admits(facts)
                    && !ask.unsealed.contains(&key.site)
                    && judge(self.state, &ask.rules, &shelf.example).is_ok()
            })
            .collect();
        let against = self.fleet.against(facts);
        let is_open = |spot: &Spot| taken_until(&against, &spot.1).is_none();
        let left = self.members((ask, &self.books), &shelves, purse.clone(), is_open);
        let (tenant, class) = (&facts.id.tenant, &facts.resources.class);
        if !self.claims.admits_charge(tenant, class, facts.gpus(), until) {
            return Probe { left, unkept: 0 };
        }
        let gpus = facts.resources.gpus;
        let admits = |spot: &Spot| is_open(spot) && self.claims.admits(spot, gpus, until);
        let mut unkept = self.members((ask, &self.books), &shelves, purse, admits);
        for later in self.claims.later(facts, &path, until) {
            let (books, purse) = later.parts();
            unkept = unkept.min(self.members((ask, books), &shelves, purse.clone(), admits));
        }
        Probe { left, unkept }
    }

    /// Distinct nodes with room; no more than may be charged, if these are too few.
    fn members(
        &self,
        (ask, books): (&Ask<'_>, &Overlay<'_>),
        shelves: &[Allowed<'_>],
        mut purse: Purse<'_>,
        admits: impl Fn(&Spot) -> bool,
    ) -> u32 {
        let sections = self.sections(ask, shelves, admits);
        let mut sides = Sides::of(&ask.facts);
        if sides.is_asked() {
            for (shelf, rack, nodes) in sections {
                let watts = shelf.0.member_watts(ask.facts.resources.gpus);
                sides.add(stand(shelf, rack), watts, nodes);
            }
            return sides.most(books, &purse);
        }
        let (mut found, mut members) = (0u32, 0u32);
        for ((key, shelf), _, nodes) in sections {
            let example = &shelf.example;
            let Some(place) = example.tag.area.domestic() else { continue };
            let most = nodes.min(ask.facts.group.saturating_sub(members));
            let whose = (&key.site, &example.operator);
            let place = (place, key.member_watts(ask.facts.resources.gpus));
            let (charged, _) = purse.spend_most(books, whose, place, most);
            members = members.saturating_add(charged);
            found = found.saturating_add(nodes);
        }
        if members < ask.facts.group { found.min(members) } else { found }
    }

    /// Distinct nodes with room: how many on each shelf, and in which rack if that matters. Where a purse tells shelves of a site apart
    /// the racks are in the order of the search: who is charged in which rack decides what is left for the next shelf.
    fn sections<'f>(
        &'f self,
        ask: &'f Ask<'_>,
        shelves: &[Allowed<'f>],
        admits: impl Fn(&Spot) -> bool,
    ) -> Vec<Section<'f>> {
        let (wanted, by_rack) = (ask.wanted(), ask.facts.topology.places_members());
        let is_open = |spot: &Spot| !ask.avoid.contains(&spot.1) && admits(spot);
        let rack = |spot: &'f Spot| if by_rack { spot.0.as_ref() } else { None };
        let (mut sections, several) = (Vec::new(), self.fleet.has_several(&wanted.class));
        // A node counts once, where it is found first.
        let mut nodes: BTreeSet<&NodeId> = BTreeSet::new();
        let walked = if by_rack { self.mixed(shelves, wanted.gpus) } else { BTreeSet::new() };
        // Those that are not open are few, and known by name.
        let named = ask.avoid.iter().chain(self.claims.nodes());
        let against = self.fleet.against(&ask.facts);
        let named: BTreeSet<&NodeId> =
            named.chain(against.iter().flat_map(|taken| taken.keys())).collect();
        let mut shut: BTreeMap<(&ShelfKey, Option<&Name>), u32> = BTreeMap::new();
        for node in named {
            for (key, spot, free) in self.fleet.spots_of(node, &wanted.class) {
                if free >= wanted.gpus && !is_open(spot) {
                    let count = shut.entry((key, rack(spot))).or_default();
                    *count = count.saturating_add(1);
                }
            }
        }
        for (key, shelf) in shelves {
            if several || walked.contains(&key.site) {
                let open = shelf.spots(wanted.gpus).filter(|spot| is_open(spot));
                let once = open.filter(|spot| nodes.insert(&spot.1));
                let racks: Vec<Option<&'f Name>> = once.map(rack).collect();
                sections.extend(racks.chunk_by(PartialEq::eq).filter_map(|run| {
                    let nodes = u32::try_from(run.len()).unwrap_or(u32::MAX);
                    Some(((*key, *shelf), *run.first()?, nodes))
                }));
                continue;
            }
            let known: &ShelfKey = key;
            let mut put = |rack: Option<&'f Name>, count: u32| {
                let shut = shut.get(&(known, rack)).copied().unwrap_or(0);
                let left = count.saturating_sub(shut);
                sections.extend((left > 0).then_some(((*key, *shelf), rack, left)));
            };
            if by_rack {
                shelf.racks(wanted.gpus).for_each(|(rack, count)| put(rack.as_ref(), count));
            } else {
                put(None, shelf.count(wanted.gpus));
            }
        }
        sections
    }

    /// Sites of several shelves that a purse tells apart.
    fn mixed<'f>(&self, shelves: &[Allowed<'f>], gpus: u32) -> BTreeSet<&'f SiteId> {
        let corner = |(key, shelf): &Allowed<'f>| {
            let capped = self.state.power(&key.site).cap.is_some();
            let watts = if capped { key.member_watts(gpus) } else { 0 };
            let Node { operator, tag, .. } = shelf.example.as_ref();
            Corner { site: &key.site, operator, place: tag.area.domestic(), watts }
        };
        let (mut first, mut mixed) = (BTreeMap::new(), BTreeSet::new());
        for corner in shelves.iter().map(corner) {
            if *first.entry(corner.site).or_insert(corner) != corner {
                mixed.insert(corner.site);
            }
        }
        mixed
    }

    /// What is kept for others.
    pub(crate) fn claims(&self) -> &Claims<'s> {
        &self.claims
    }

    /// What it has charged and claimed.
    pub(crate) fn into_books(self) -> (Overlay<'s>, Claims<'s>) {
        (self.books, self.claims)
    }
}
