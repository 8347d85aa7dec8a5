//! Places for one group: as its topology asks, near together, begun nodes first.
//!
//! ```text
//! one member: the fullest bucket that has room
//! a gang:     one rack ─> one site ─> anywhere; the smallest rack or site that has room
//! spread:     one member in each that has to be reached, then all others, none with more than its share
//! ```
//! Of what is as good, that at the site whose power cap leaves most: of one member where the fullest bucket is as full, of a
//! gang where the rack or site has as little room. So it never begins a node while a begun one would do.
//! Must hold: every member stands on a node of its own, and the purse admits all of them; or nothing is taken.
//! What a gang prefers it gets where it can: a group that waits for a rack while a site has room waits for nothing. What it
//! asks for it gets, or nothing.

use crate::claim::{Claims, Later};
use crate::marked::{Taken, taken_until};
use crate::shelf::{Shelf, ShelfKey, Spot};
use sekisho_fsm::purse::{Books, Purse, Spend};
use sekisho_fsm::topology::{Domain, Stand};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{NodeId, SiteId};
use sekisho_types::name::Name;
use sekisho_types::time::Timestamp;
use sekisho_types::topology::{Over, Spread, Topology, Within};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A place on its shelf.
pub(crate) type Place = (Arc<ShelfKey>, Spot);

/// A shelf that may hold the job.
pub(crate) type Allowed<'f> = (&'f Arc<ShelfKey>, &'f Shelf);

/// A shelf, or what stands in one rack of it.
type Section<'f> = (Allowed<'f>, Option<Option<&'f Name>>);

/// A rack as far as it is on one shelf: its buckets with room there, and which shelf.
type Part<'f> = (&'f SiteId, &'f Name, u32, usize);

/// Where everything on a shelf stands, in this rack.
pub(crate) fn stand<'f>((key, shelf): Allowed<'f>, rack: Option<&'f Name>) -> Stand<'f> {
    let (operator, area) = (&shelf.example.operator, shelf.example.tag.area.domestic());
    Stand { operator, area, site: &key.site, rack }
}

/// What a search is for.
#[derive(Debug)]
pub(crate) struct Search<'f, 'c, 's, B> {
    /// Devices of each member.
    pub(crate) gpus: u32,
    /// Members.
    pub(crate) group: u32,
    /// How they stand.
    pub(crate) topology: &'s Topology,
    /// Shelves that may hold it, best first.
    pub(crate) shelves: Vec<Allowed<'f>>,
    /// Nodes that refused the job.
    pub(crate) avoid: &'f BTreeSet<NodeId>,
    /// Nodes of jobs from which it keeps apart.
    pub(crate) against: Vec<&'f Taken>,
    pub(crate) books: &'f B,
    /// What the group may charge.
    pub(crate) purse: Purse<'s>,
    /// What is kept for others.
    pub(crate) claims: &'c Claims<'s>,
    /// What it may charge when that begins.
    pub(crate) later: Vec<Later<'c, 's>>,
    /// The first code for which that refused a member.
    pub(crate) kept_off: Option<ErrorCode>,
    /// Some site has a power cap.
    pub(crate) capped: bool,
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
        let mut shelves = std::mem::take(&mut self.shelves);
        if self.capped {
            self.by_headroom(&mut shelves);
        }
        let near = self.topology.near.as_ref();
        let is_near = |key: &ShelfKey| near.is_some_and(|near| key.site == *near);
        // Stable: without such a site the order is as it was.
        shelves.sort_by_key(|(key, _)| !is_near(key));
        let own = shelves.partition_point(|(key, _)| is_near(key));
        let own = shelves.get(..own).unwrap_or_default();
        let found = self.close(own).or_else(|| self.close(&shelves));
        let found = found.or_else(|| self.anywhere(&shelves));
        self.shelves = shelves;
        found
    }

    /// What the power cap of a site leaves, watts; of one that has none, more than of any other.
    fn headroom(&self, site: &SiteId) -> u64 {
        let left = if self.capped { self.purse.watts_left(self.books, site) } else { None };
        left.unwrap_or(u64::MAX)
    }

    /// Puts shelves that are as good into the order of what their sites' caps leave. Which of them is fuller still decides first.
    fn by_headroom(&self, shelves: &mut [Allowed<'f>]) {
        shelves.sort_by_cached_key(|(key, shelf)| {
            let fullest = shelf.fullest(self.gpus).unwrap_or(u32::MAX);
            (key.memory_mib, key.units, fullest, Reverse(self.headroom(&key.site)))
        });
    }

    /// In one rack, else at one site, as far as it may and would.
    fn close(&mut self, shelves: &[Allowed<'f>]) -> Option<Picked<'s>> {
        let over = self.topology.spread.map(|spread| spread.over);
        let (rack, site) = match (self.topology.within, over) {
            (Some(Within::Rack), _) => (true, false),
            (Some(Within::Site), None) => (true, true),
            (Some(Within::Site), Some(_)) | (None, Some(Over::Rack)) => (false, true),
            (None, None) => (self.group > 1, self.group > 1),
            (None, Some(Over::Operator | Over::Prefecture | Over::Site)) => (false, false),
        };
        let found = if rack { self.in_one_rack(shelves) } else { None };
        found.or_else(|| if site { self.at_one_site(shelves) } else { None })
    }

    /// In the smallest rack that has room for all of it.
    fn in_one_rack(&mut self, shelves: &[Allowed<'f>]) -> Option<Picked<'s>> {
        let mut racks: Vec<Part<'f>> = Vec::new();
        for (at, &(key, shelf)) in shelves.iter().enumerate() {
            let site = &key.site;
            let named = shelf.racks(self.gpus).filter(|(_, count)| *count > 0);
            racks.extend(named.filter_map(|(rack, count)| Some((site, rack.as_ref()?, count, at))));
        }
        racks.sort_unstable();
        // A rack may have a part on several shelves.
        let mut rooms: Vec<(u32, &[Part<'f>])> = racks
            .chunk_by(|a, b| (a.0, a.1) == (b.0, b.1))
            .map(|parts| (parts.iter().fold(0u32, |sum, part| sum.saturating_add(part.2)), parts))
            .filter(|(room, _)| *room >= self.group)
            .collect();
        let headroom = |parts: &[Part<'f>]| parts.first().map(|part| self.headroom(part.0));
        rooms.sort_by_cached_key(|(room, parts)| (*room, Reverse(headroom(parts))));
        rooms.into_iter().find_map(|(_, parts)| {
            let section = |part: &Part<'f>| Some((*shelves.get(part.3)?, Some(Some(part.1))));
            let order: Vec<Section<'f>> = parts.iter().filter_map(section).collect();
            self.attempt(&order)
        })
    }

    /// At the site with the least room that suffices, in as few racks as there.
    fn at_one_site(&mut self, shelves: &[Allowed<'f>]) -> Option<Picked<'s>> {
        let mut sites: BTreeMap<&'f SiteId, (u32, Vec<Allowed<'f>>)> = BTreeMap::new();
        for &(key, shelf) in shelves {
            let (room, own) = sites.entry(&key.site).or_default();
            *room = room.saturating_add(shelf.count(self.gpus));
            own.push((key, shelf));
        }
        let mut sites: Vec<_> =
            sites.into_iter().filter(|(_, (room, _))| *room >= self.group).collect();
        sites.sort_by_cached_key(|(site, (room, _))| (*room, Reverse(self.headroom(site)), *site));
        sites.into_iter().find_map(|(_, (_, own))| {
            let order = self.by_rack(&own);
            self.attempt(&order)
        })
    }

    /// The racks of shelves, the fullest of room first.
    fn by_rack(&self, shelves: &[Allowed<'f>]) -> Vec<Section<'f>> {
        let mut racks: Vec<(u32, Allowed<'f>, Option<&'f Name>)> = Vec::new();
        for &(key, shelf) in shelves {
            let all = shelf.racks(self.gpus).filter(|(_, count)| *count > 0);
            racks.extend(all.map(|(rack, count)| (count, (key, shelf), rack.as_ref())));
        }
        racks.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| (a.1.0, a.2).cmp(&(b.1.0, b.2))));
        racks.into_iter().map(|(_, shelf, rack)| (shelf, Some(rack))).collect()
    }

    /// Wherever there is room, one shelf after the other, unless it has to stand together.
    fn anywhere(&mut self, shelves: &[Allowed<'f>]) -> Option<Picked<'s>> {
        if self.topology.within.is_some() {
            return None;
        }
        let over = self.topology.spread.map(|spread| spread.over);
        if over == Some(Over::Rack) {
            let order = self.by_rack(shelves);
            return self.attempt(&order);
        }
        let order: Vec<Section<'f>> = shelves.iter().map(|shelf| (*shelf, None)).collect();
        self.attempt(&order)
    }

    /// Takes members from one shelf, or one rack of it, after the other. The purse is as before unless there are enough.
    fn attempt(&mut self, order: &[Section<'f>]) -> Option<Picked<'s>> {
        let before = (self.purse.clone(), self.later.clone());
        let mut picked = Picked::default();
        match self.topology.spread {
            Some(spread) => self.spread(order, spread, &mut picked),
            None => {
                for section in order {
                    let left = self.left(&picked);
                    if left == 0 {
                        break;
                    }
                    self.fill(*section, left, &mut picked);
                }
            }
        }
        if self.left(&picked) == 0 {
            return Some(picked);
        }
        (self.purse, self.later) = before;
        None
    }

    /// Takes one member in each that has to be reached, while there is quota for it, and then all others.
    fn spread(&mut self, order: &[Section<'f>], spread: Spread, picked: &mut Picked<'s>) {
        let mut taken: BTreeMap<Domain<'f>, u32> = BTreeMap::new();
        let domain =
            |(shelf, rack): &Section<'f>| stand(*shelf, rack.flatten()).domain(spread.over);
        for section in order {
            if u32::try_from(taken.len()).is_ok_and(|several| several >= spread.at_least) {
                break;
            }
            let Some(domain) = domain(section).filter(|domain| !taken.contains_key(domain)) else {
                continue;
            };
            if self.fill(*section, 1, picked) > 0 {
                taken.insert(domain, 1);
            }
        }
        if u32::try_from(taken.len()).is_ok_and(|several| several < spread.at_least) {
            return;
        }
        let most = spread.most_in_one(self.group);
        for section in order {
            let Some(domain) = domain(section) else { continue };
            let count = taken.entry(domain).or_default();
            let more = most.saturating_sub(*count).min(self.left(picked));
            if more > 0 {
                *count = count.saturating_add(self.fill(*section, more, picked));
            }
        }
    }

    /// Members that are still without a place.
    fn left(&self, picked: &Picked<'s>) -> u32 {
        let placed = u32::try_from(picked.places.len()).unwrap_or(u32::MAX);
        self.group.saturating_sub(placed)
    }

    /// Takes up to `most` members as far as there is room and the purse goes; says how many.
    fn fill(
        &mut self,
        ((key, shelf), rack): Section<'f>,
        most: u32,
        picked: &mut Picked<'s>,
    ) -> u32 {
        let example = &shelf.example;
        let mut taken = 0u32;
        let Some(place) = example.tag.area.domestic() else { return taken };
        let place = (place, key.member_watts(self.gpus));
        let spots: Box<dyn Iterator<Item = Spot> + 'f> = match rack {
            None => Box::new(shelf.spots(self.gpus).cloned()),
            Some(rack) => Box::new(shelf.spots_in(rack.cloned(), self.gpus)),
        };
        for spot in spots {
            if taken >= most {
                break;
            }
            if picked.nodes.contains(&spot.1)
                || self.avoid.contains(&spot.1)
                || taken_until(&self.against, &spot.1).is_some()
                || !self.claims.admits(&spot, self.gpus, self.until)
            {
                continue;
            }
            let whose = (&key.site, &example.operator);
            let kept = self.later.iter_mut().try_for_each(|later| later.spend(whose, place));
            if let Err(code) = kept {
                self.kept_off = self.kept_off.or(Some(code));
                break;
            }
            match self.purse.spend(self.books, whose, place) {
                Ok(spend) => picked.spends.push(spend),
                Err(code) => {
                    self.refused = self.refused.or(Some(code));
                    break;
                }
            }
            picked.nodes.insert(spot.1.clone());
            picked.places.push((Arc::clone(key), spot));
            taken = taken.saturating_add(1);
        }
        taken
    }
}
