//! What one more job would find in a round, without taking anything.
//!
//! Must hold: nodes, rules, purse and claims are asked as [`Round::attempt`] asks them, so that what is told to people is what
//! happens. It has no wishes: near together or not, a group that finds its nodes finds them. Where its members have to stand in
//! some way to one another or to other jobs, it counts what stands so.

use super::{GRACE_MS, Round};
use crate::books::Overlay;
use crate::claim::Claims;
use crate::fleet::Spot;
use crate::marked::taken_until;
use crate::pick::{Allowed, stand};
use crate::residency::judge;
use crate::sides::Sides;
use crate::survey::Ask;
use sekisho_fsm::purse::Purse;
use sekisho_types::id::NodeId;
use std::collections::BTreeSet;

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
        if ask.facts.topology.places_members() {
            return self.standing((ask, books), shelves, &purse, admits);
        }
        let (gpus, group) = (ask.facts.resources.gpus, ask.facts.group);
        let avoided = |node: &NodeId| ask.avoid.contains(node);
        let (mut nodes, mut members) = (BTreeSet::new(), 0u32);
        for (key, shelf) in shelves {
            let example = &shelf.example;
            let Some(place) = example.tag.area.domestic() else { continue };
            let mut is_open = true;
            for spot in shelf.spots(gpus) {
                if avoided(&spot.1) || !admits(&spot) || !nodes.insert(spot.1) {
                    continue;
                }
                if members < group && is_open {
                    let whose = (&key.site, &example.operator);
                    let place = (place, key.member_watts(gpus));
                    is_open = purse.spend(books, whose, place).is_ok();
                    members = members.saturating_add(u32::from(is_open));
                }
            }
        }
        let found = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
        if members < group { found.min(members) } else { found }
    }

    /// The same of members that have to stand to one another in some way.
    fn standing(
        &self,
        (ask, books): (&Ask<'_>, &Overlay<'_>),
        shelves: &[Allowed<'_>],
        purse: &Purse<'_>,
        admits: impl Fn(&Spot) -> bool,
    ) -> u32 {
        let avoided = |node: &NodeId| ask.avoid.contains(node);
        let (mut nodes, mut found) = (BTreeSet::new(), Vec::new());
        for shelf in shelves {
            for spot in shelf.1.spots(ask.facts.resources.gpus) {
                if !avoided(&spot.1) && admits(&spot) && nodes.insert(spot.1.clone()) {
                    found.push((spot, *shelf));
                }
            }
        }
        let mut sides = Sides::of(&ask.facts);
        for (spot, shelf) in &found {
            let watts = shelf.0.member_watts(ask.facts.resources.gpus);
            sides.add(stand(*shelf, spot.0.as_ref()), watts);
        }
        sides.most(books, purse)
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
