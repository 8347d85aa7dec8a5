//! Buckets of one class that are alike, by what is free of them and by when they have so many devices.
//!
//! Must hold: whatever way one looks, the same buckets are there. When they have so many is kept for those numbers alone that
//! a claim has asked for, from its first question on; it is a matter of speed, and decides nothing.

use crate::residency::PlaceKey;
use sekisho_fsm::state::Node;
use sekisho_types::id::{NodeId, SiteId};
use sekisho_types::job::JobFacts;
use sekisho_types::name::Name;
use sekisho_types::sharing::Party;
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is equal on a shelf.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ShelfKey {
    pub(crate) site: SiteId,
    pub(crate) memory_mib: u64,
    pub(crate) units: u32,
    /// What each device may draw: of devices that are as good, those that draw less come first.
    pub(crate) watts: u32,
    pub(crate) place: PlaceKey,
    /// Of shared devices; nobody on others.
    pub(crate) party: Party,
}

impl ShelfKey {
    /// What a member with so many devices may draw, watts.
    pub(crate) fn member_watts(&self, gpus: u32) -> u64 {
        u64::from(self.watts).saturating_mul(u64::from(gpus))
    }

    /// Whether a job may stand beside those who are there.
    pub(crate) fn admits(&self, facts: &JobFacts) -> bool {
        let sharing = facts.resources.sharing;
        !sharing.is_agreed() || self.party.admits(&facts.id.tenant, sharing)
    }
}

/// A bucket of a node: its rack first, so that neighbours stand together.
pub(crate) type Spot = (Option<Name>, NodeId, u16);

/// A bucket on its rack.
type Seat = (NodeId, u16);

/// What comes back of a bucket, and by when at the latest, the soonest first.
pub(crate) type Ends = Arc<[(Timestamp, u32)]>;

/// When a bucket has so many devices at the latest, and how many are free now.
type Soon = (Timestamp, u32, Spot);

/// Before all others: what is free now.
const AT_ONCE: Timestamp = Timestamp(0);

/// When a bucket of which so many are free has that many; `None` if it is not as large.
fn soon(gpus: u32, mut free: u32, ends: &Ends) -> Option<Timestamp> {
    if free >= gpus {
        return Some(AT_ONCE);
    }
    ends.iter().find_map(|(at, back)| {
        free = free.saturating_add(*back);
        (free >= gpus).then_some(*at)
    })
}

/// Buckets of one class, alike but for what is free.
#[derive(Debug)]
pub(crate) struct Shelf {
    /// By free devices.
    by_free: BTreeMap<u32, BTreeMap<Spot, Ends>>,
    /// The same of each rack.
    racks: BTreeMap<Option<Name>, BTreeMap<u32, BTreeSet<Seat>>>,
    /// By devices that a member wants, those that have so many or will have.
    soon: BTreeMap<u32, BTreeSet<Soon>>,
    /// One node of it stands for all.
    pub(crate) example: Arc<Node>,
}

impl Shelf {
    /// One without buckets.
    pub(crate) fn new(example: Arc<Node>) -> Self {
        let (by_free, racks, soon) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { by_free, racks, soon, example }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_free.is_empty()
    }

    pub(crate) fn put(&mut self, free: u32, spot: Spot, ends: Ends) {
        let (rack, node, bucket) = spot.clone();
        self.racks.entry(rack).or_default().entry(free).or_default().insert((node, bucket));
        for (gpus, rows) in &mut self.soon {
            rows.extend(soon(*gpus, free, &ends).map(|at| (at, free, spot.clone())));
        }
        self.by_free.entry(free).or_default().insert(spot, ends);
    }

    pub(crate) fn take(&mut self, free: u32, spot: &Spot) {
        if let Some(spots) = self.by_free.get_mut(&free) {
            if let Some(ends) = spots.remove(spot) {
                for (gpus, rows) in &mut self.soon {
                    if let Some(at) = soon(*gpus, free, &ends) {
                        rows.remove(&(at, free, spot.clone()));
                    }
                }
            }
            if spots.is_empty() {
                self.by_free.remove(&free);
            }
        }
        let Some(seats) = self.racks.get_mut(&spot.0) else { return };
        if let Some(free_seats) = seats.get_mut(&free) {
            free_seats.remove(&(spot.1.clone(), spot.2));
            if free_seats.is_empty() {
                seats.remove(&free);
            }
        }
        if seats.is_empty() {
            self.racks.remove(&spot.0);
        }
    }

    /// Lets [`Self::ready`] answer for members of so many devices from now on.
    pub(crate) fn know(&mut self, gpus: u32) {
        let by_free = &self.by_free;
        self.soon.entry(gpus).or_insert_with(|| {
            let all = by_free.iter().flat_map(|(free, spots)| {
                spots.iter().map(move |(spot, ends)| (*free, spot, ends))
            });
            let rows = all.filter_map(|(free, spot, ends)| {
                Some((soon(gpus, free, ends)?, free, spot.clone()))
            });
            rows.collect()
        });
    }

    /// Buckets that are as large, the soonest first: when each has so many free devices at the latest, and how many it has now.
    /// Nothing unless it is known ([`Self::know`]).
    pub(crate) fn ready(
        &self,
        gpus: u32,
        now: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, u32, &Spot)> {
        let rows = self.soon.get(&gpus).into_iter().flatten();
        rows.map(move |(at, free, spot)| (now.max(*at), *free, spot))
    }

    /// Buckets with so many free devices, fullest first, then by rack and node: what is begun is filled up, so that whole
    /// nodes stay free for whom needs them.
    pub(crate) fn spots(&self, gpus: u32) -> impl Iterator<Item = &Spot> {
        self.by_free.range(gpus..).flat_map(|(_, spots)| spots.keys())
    }

    /// The same as [`Self::spots`] of one rack.
    pub(crate) fn spots_in(
        &self,
        rack: Option<Name>,
        gpus: u32,
    ) -> impl Iterator<Item = Spot> + use<'_> {
        let seats = self.racks.get(&rack).into_iter().flat_map(move |seats| seats.range(gpus..));
        let seats = seats.flat_map(|(_, seats)| seats);
        seats.map(move |(node, bucket)| (rack.clone(), node.clone(), *bucket))
    }

    /// Free devices of the fullest bucket that has so many.
    pub(crate) fn fullest(&self, gpus: u32) -> Option<u32> {
        self.by_free.range(gpus..).next().map(|(free, _)| *free)
    }

    /// Racks, with the buckets of each that have so many free devices.
    pub(crate) fn racks(&self, gpus: u32) -> impl Iterator<Item = (&Option<Name>, u32)> {
        self.racks.iter().map(move |(rack, seats)| {
            let fit =
                seats.range(gpus..).fold(0usize, |sum, (_, seats)| sum.saturating_add(seats.len()));
            (rack, u32::try_from(fit).unwrap_or(u32::MAX))
        })
    }

    /// Buckets with so many free devices.
    pub(crate) fn count(&self, gpus: u32) -> u32 {
        let fit = self.by_free.range(gpus..).map(|(_, spots)| spots.len());
        u32::try_from(fit.fold(0usize, usize::saturating_add)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sekisho_fsm::testing::Federation;

    /// What a bucket has free, and what comes back of it, by number of the bucket.
    type Rows = BTreeMap<usize, (u32, Vec<(u64, u32)>)>;

    fn spot(number: usize) -> Spot {
        let (rack, node) = (number % 3, format!("tokyo-1/n-{number}"));
        let rack = (rack > 0).then(|| format!("r-{rack}").parse().unwrap());
        (rack, node.parse().unwrap(), 0)
    }

    fn ends(rows: &[(u64, u32)]) -> Ends {
        let mut ends: Vec<_> = rows.iter().map(|(at, gpus)| (Timestamp(*at), *gpus)).collect();
        ends.sort_unstable();
        ends.into()
    }

    /// By a look at every bucket.
    fn walked(rows: &Rows, gpus: u32, now: Timestamp) -> Vec<(Timestamp, u32, Spot)> {
        let ready = rows.iter().filter_map(|(number, (free, back))| {
            let back = ends(back);
            let had = |at: u64| {
                let by = back.iter().filter(|(end, _)| end.0 <= at);
                by.map(|(_, gpus)| gpus).chain([free]).sum::<u32>()
            };
            let instants = std::iter::once(0).chain(back.iter().map(|(at, _)| at.0));
            let at = instants.filter(|at| had(*at) >= gpus).min()?;
            Some((Timestamp(at), *free, spot(*number)))
        });
        let mut ready: Vec<_> = ready.collect();
        ready.sort();
        ready.into_iter().map(|(at, free, spot)| (now.max(at), free, spot)).collect()
    }

    proptest! {
        #[test]
        fn whoever_asks_when_hears_of_the_same_buckets(
            steps in prop::collection::vec(
                (0usize..8, 0u32..5, prop::collection::vec((1u64..40, 1u32..4), 0..4), 0u32..7),
                1..40,
            ),
        ) {
            let mut federation = Federation::new();
            federation.ready_node("tokyo-1/n-1", 4);
            let node = federation.state.node(&"tokyo-1/n-1".parse().unwrap()).unwrap();
            let (mut shelf, mut rows) = (Shelf::new(Arc::new(node.clone())), Rows::new());
            let now = Timestamp(10);
            for (number, free, back, gpus) in steps {
                if let Some((free, _)) = rows.remove(&number) {
                    shelf.take(free, &spot(number));
                } else {
                    shelf.put(free, spot(number), ends(&back));
                    rows.insert(number, (free, back));
                }
                shelf.know(gpus);
                for gpus in 0..7 {
                    if !shelf.soon.contains_key(&gpus) {
                        continue;
                    }
                    let ready = shelf.ready(gpus, now);
                    let ready: Vec<_> = ready.map(|(at, free, spot)| (at, free, spot.clone())).collect();
                    prop_assert_eq!(ready, walked(&rows, gpus, now));
                }
            }
        }
    }
}
