//! Places for one group: near together, begun nodes first.
//!
//! ```text
//! one member: the fullest bucket that has room
//! a gang:     one rack ─> one site ─> anywhere; the smallest rack or site that has room
//! ```
//! Must hold: every member stands on a node of its own, and the purse admits all of them; or nothing is taken.
//! What a gang prefers it gets where it can: a group that waits for a rack while a site has room waits for nothing.

use crate::claim::Claims;
use crate::fleet::{Shelf, ShelfKey, Spot};
use sekisho_fsm::purse::{Books, Purse, Spend};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{NodeId, SiteId};
use sekisho_types::name::Name;
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A place on its shelf.
pub(crate) type Place = (Arc<ShelfKey>, Spot);

/// A shelf that may hold the job.
pub(crate) type Allowed<'f> = (&'f Arc<ShelfKey>, &'f Shelf);

/// What a search is for.
#[derive(Debug)]
pub(crate) struct Search<'f, 'c, 's, B> {
    /// Devices of each member.
    pub(crate) gpus: u32,
    /// Members.
    pub(crate) group: u32,
    /// Shelves that may hold it, best first.
    pub(crate) shelves: Vec<Allowed<'f>>,
    /// Nodes that refused the job.
    pub(crate) avoid: &'f BTreeSet<NodeId>,
    pub(crate) books: &'f B,
    /// What the group may charge.
    pub(crate) purse: Purse<'s>,
    /// What is kept for others.
    pub(crate) claims: &'c Claims,
    /// When the job is over at the latest.
    pub(crate) until: Timestamp,
    /// The first code for which the purse refused a member.
    pub(crate) refused: Option<ErrorCode>,
}

/// Places, and what each is charged.
#[derive(Debug, Default)]
pub(crate) struct Picked<'s> {
    pub(crate) places: Vec<Place>,
    pub(crate) spends: Vec<Spend<'s>>,
    nodes: BTreeSet<NodeId>,
}

impl<'f, 's, B: Books> Search<'f, '_, 's, B> {
    /// Places for the whole group.
    pub(crate) fn run(&mut self) -> Option<Picked<'s>> {
        if self.group == 1 {
            return self.anywhere();
        }
        self.in_one_rack().or_else(|| self.at_one_site()).or_else(|| self.anywhere())
    }

    /// In the smallest rack that has room for all of it.
    fn in_one_rack(&mut self) -> Option<Picked<'s>> {
        let mut racks: Vec<(u32, usize, &'f Name)> = Vec::new();
        for (at, (_, shelf)) in self.shelves.iter().enumerate() {
            let named = shelf.racks(self.gpus).filter(|(_, count)| *count >= self.group);
            racks.extend(named.filter_map(|(rack, count)| Some((count, at, rack.as_ref()?))));
        }
        racks.sort_unstable();
        racks.into_iter().find_map(|(_, at, rack)| {
            let shelf = self.shelves.get(at).copied()?;
            self.attempt(&[(shelf, Some(Some(rack)))])
        })
    }

    /// At the site with the least room that suffices, in as few racks as there.
    fn at_one_site(&mut self) -> Option<Picked<'s>> {
        let mut sites: BTreeMap<&'f SiteId, (u32, Vec<Allowed<'f>>)> = BTreeMap::new();
        for (key, shelf) in &self.shelves {
            let (room, shelves) = sites.entry(&key.site).or_default();
            *room = room.saturating_add(shelf.count(self.gpus));
            shelves.push((key, shelf));
        }
        let mut sites: Vec<_> =
            sites.into_iter().filter(|(_, (room, _))| *room >= self.group).collect();
        sites.sort_by_key(|(site, (room, _))| (*room, *site));
        sites.into_iter().find_map(|(_, (_, shelves))| {
            let mut racks: Vec<(u32, Allowed<'f>, Option<&'f Name>)> = Vec::new();
            for (key, shelf) in shelves {
                let all = shelf.racks(self.gpus).filter(|(_, count)| *count > 0);
                racks.extend(all.map(|(rack, count)| (count, (key, shelf), rack.as_ref())));
            }
            racks.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| (a.1.0, a.2).cmp(&(b.1.0, b.2))));
            let order: Vec<_> =
                racks.into_iter().map(|(_, shelf, rack)| (shelf, Some(rack))).collect();
            self.attempt(&order)
        })
    }

    /// Wherever there is room, one shelf after the other.
    fn anywhere(&mut self) -> Option<Picked<'s>> {
        let order: Vec<_> = self.shelves.iter().map(|shelf| (*shelf, None)).collect();
        self.attempt(&order)
    }

    /// Takes members from one shelf, or one rack of it, after the other. The purse is as before unless there are enough.
    fn attempt(&mut self, order: &[(Allowed<'f>, Option<Option<&'f Name>>)]) -> Option<Picked<'s>> {
        let before = self.purse.clone();
        let mut picked = Picked::default();
        for (shelf, rack) in order {
            self.fill(*shelf, *rack, &mut picked);
            if self.is_whole(&picked) {
                return Some(picked);
            }
        }
        self.purse = before;
        None
    }

    fn is_whole(&self, picked: &Picked<'s>) -> bool {
        u32::try_from(picked.places.len()).is_ok_and(|members| members >= self.group)
    }

    /// Takes members as far as there is room and the purse goes.
    fn fill(
        &mut self,
        (key, shelf): Allowed<'f>,
        rack: Option<Option<&'f Name>>,
        picked: &mut Picked<'s>,
    ) {
        let example = &shelf.example;
        let Some(place) = example.tag.area.domestic() else { return };
        let spots: Box<dyn Iterator<Item = Spot> + 'f> = match rack {
            None => Box::new(shelf.spots(self.gpus)),
            Some(rack) => Box::new(shelf.spots_in(rack.cloned(), self.gpus)),
        };
        for spot in spots {
            if self.is_whole(picked) {
                return;
            }
            if picked.nodes.contains(&spot.1) || self.avoid.contains(&spot.1) {
                continue;
            }
            if !self.claims.admits(&spot, self.gpus, self.until) {
                continue;
            }
            match self.purse.spend(self.books, (&key.site, &example.operator), place) {
                Ok(spend) => picked.spends.push(spend),
                Err(code) => {
                    self.refused = self.refused.or(Some(code));
                    return;
                }
            }
            picked.nodes.insert(spot.1.clone());
            picked.places.push((Arc::clone(key), spot));
        }
    }
}
