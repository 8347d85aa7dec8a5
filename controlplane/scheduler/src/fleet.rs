//! The devices of usable nodes, kept so that places are found without a walk over the nodes.
//!
//! ```text
//! class ─> shelf: site, memory, units, watts, place, who is there ─> free devices ─> rack, node, bucket
//! ```
//! Everything on a shelf is equal to rules, offers, quotas, budgets, power caps and those who share, so each of them is asked
//! once for a shelf. The index follows the state by what changed of it; a plan takes from it, and what it took from is set right with the
//! next state.
//!
//! Must hold: an index that followed is the one that would be built anew, so equal states give equal plans; it holds usable
//! nodes alone, and of each bucket as many free devices as the state says (P1).

use crate::due::{Due, next_change};
use crate::marked::{Marked, Taken};
use crate::node::usable;
use crate::release::{Release, Releases};
use crate::residency::{example, place_key};
use crate::shelf::{Ends, Shelf, ShelfKey, Spot};
use sekisho_fsm::State;
use sekisho_fsm::state::{Node, Placement};
use sekisho_types::id::{DeviceClass, NodeId, TenantId};
use sekisho_types::job::{JobFacts, Resources};
use sekisho_types::limit::KILL_GRACE;
use sekisho_types::placement::Phase;
use sekisho_types::revision::PlacementId;
use sekisho_types::sharing::Party;
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A bucket in the index.
#[derive(Debug)]
struct Held {
    class: DeviceClass,
    key: Arc<ShelfKey>,
    spot: Spot,
    free: u32,
    ends: Ends,
}

/// What somebody holds, until when at the latest.
#[derive(Debug)]
struct Ending {
    of: (TenantId, DeviceClass),
    at: (Timestamp, PlacementId),
    gpus: u32,
    priority: u8,
    release: Release,
}

/// Where a node stands in the index.
#[derive(Debug)]
struct Standing {
    held: Vec<Held>,
    endings: Vec<Ending>,
    /// When time alone changes it.
    due: Option<Timestamp>,
}

/// The index.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    classes: BTreeMap<DeviceClass, BTreeMap<Arc<ShelfKey>, Shelf>>,
    nodes: BTreeMap<NodeId, Standing>,
    /// Of each class, nodes with more than one bucket.
    several: BTreeMap<DeviceClass, u32>,
    due: Due,
    /// What tenants hold of a class, by when it comes back at the latest.
    ends: BTreeMap<(TenantId, DeviceClass), BTreeMap<(Timestamp, PlacementId), u32>>,
    /// The same of all tenants, with what else it gives back.
    releases: Releases,
    /// How many placements of a class have a priority.
    urgencies: BTreeMap<DeviceClass, BTreeMap<u8, u32>>,
    /// Where jobs with marks stand.
    marked: Marked,
    /// Nodes that a plan has taken from.
    touched: BTreeSet<NodeId>,
}

impl Fleet {
    /// Follows from `before` to `after`; from nothing it is built.
    pub(crate) fn follow(&mut self, before: &State, after: &State) {
        let mut changed: BTreeSet<NodeId> = std::mem::take(&mut self.touched);
        changed.extend(self.due.changed(before, after));
        for id in &changed {
            self.set(after, id);
        }
    }

    fn set(&mut self, state: &State, id: &NodeId) {
        if let Some(Standing { held, endings, due }) = self.nodes.remove(id) {
            for one in &held {
                self.drop_spot(&one.class, &one.key, one.free, &one.spot);
            }
            for class in several(&held) {
                if let Some(nodes) = self.several.get_mut(class) {
                    *nodes = nodes.saturating_sub(1);
                }
            }
            endings.iter().for_each(|ending| self.drop_ending(ending));
            self.due.drop(due, id);
        }
        self.marked.clear(id);
        let Some(node) = state.node(id) else { return };
        for row in node.placements.iter().filter_map(|placement| state.placement(placement)) {
            if let Some(job) = state.job(&row.grant.job) {
                self.marked.put(id, &job.facts, end_of(row));
            }
        }
        let due = next_change(node, state.clock());
        let mut standing = Standing { held: Vec::new(), endings: endings(state, node), due };
        for ending in &standing.endings {
            self.ends.entry(ending.of.clone()).or_default().insert(ending.at, ending.gpus);
            self.releases.put(&ending.of.1, ending.at, &ending.release);
            let urgencies = self.urgencies.entry(ending.of.1.clone()).or_default();
            let count = urgencies.entry(ending.priority).or_default();
            *count = count.saturating_add(1);
        }
        if usable(state, id, node).is_ok() {
            let place = place_key(node, state.clock());
            for (at, bucket) in (0u16..).zip(&node.buckets) {
                let shared = bucket.shared_device().is_some();
                let key = Arc::new(ShelfKey {
                    site: id.site.clone(),
                    memory_mib: bucket.memory_mib,
                    units: bucket.units,
                    watts: bucket.rated_watts(),
                    place: place.clone(),
                    party: if shared { state.party(node, at, None) } else { Party::Nobody },
                });
                let (free, spot) = (node.free(at), (node.rack.clone(), id.clone(), at));
                let stands = || Arc::new(example(node, &key.place));
                let (class, ends) = (bucket.class.clone(), ends_in(state, node, at));
                self.put_spot(&class, &key, (free, spot.clone(), Arc::clone(&ends)), stands);
                standing.held.push(Held { class, key, spot, free, ends });
            }
        }
        for class in several(&standing.held) {
            let nodes = self.several.entry(class.clone()).or_default();
            *nodes = nodes.saturating_add(1);
        }
        self.due.put(due, id);
        self.nodes.insert(id.clone(), standing);
    }

    fn drop_ending(&mut self, ending: &Ending) {
        if let Some(ends) = self.ends.get_mut(&ending.of) {
            ends.remove(&ending.at);
            if ends.is_empty() {
                self.ends.remove(&ending.of);
            }
        }
        self.releases.drop(&ending.of.1, ending.at, &ending.release.account);
        let Some(urgencies) = self.urgencies.get_mut(&ending.of.1) else { return };
        if let Some(count) = urgencies.get_mut(&ending.priority) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                urgencies.remove(&ending.priority);
            }
        }
    }

    /// Priority of the least urgent of what runs on a class.
    pub(crate) fn least_urgent(&self, class: &DeviceClass) -> Option<u8> {
        self.urgencies.get(class)?.first_key_value().map(|(priority, _)| *priority)
    }

    /// Nodes on which a job may not stand, with whom it keeps apart from.
    pub(crate) fn against(&self, facts: &JobFacts) -> Vec<&Taken> {
        self.marked.against(facts)
    }

    /// Whether any node has more than one bucket of a class.
    pub(crate) fn has_several(&self, class: &DeviceClass) -> bool {
        self.several.get(class).is_some_and(|nodes| *nodes > 0)
    }

    /// Buckets of a node of a class: their shelf and free devices.
    pub(crate) fn spots_of(
        &self,
        node: &NodeId,
        class: &DeviceClass,
    ) -> impl Iterator<Item = (&ShelfKey, &Spot, u32)> {
        let held = self.nodes.get(node).into_iter().flat_map(|standing| &standing.held);
        let of_class = held.filter(move |held| held.class == *class);
        of_class.map(|held| (held.key.as_ref(), &held.spot, held.free))
    }

    fn held(&self, spot: &Spot) -> Option<&Held> {
        self.nodes.get(&spot.1)?.held.iter().find(|held| held.spot.2 == spot.2)
    }

    /// Devices of a bucket that are free by then at the latest.
    pub(crate) fn free_at(&self, spot: &Spot, at: Timestamp) -> u32 {
        let Some(held) = self.held(spot) else { return 0 };
        let back = held.ends.iter().filter(|(end, _)| *end <= at);
        back.fold(held.free, |free, (_, gpus)| free.saturating_add(*gpus))
    }

    /// What comes back when.
    pub(crate) fn releases(&self) -> &Releases {
        &self.releases
    }

    /// When what a tenant holds of a class comes back at the latest, the soonest first.
    pub(crate) fn ends_of(
        &self,
        of: &(TenantId, DeviceClass),
    ) -> impl Iterator<Item = (Timestamp, u32)> {
        self.ends.get(of).into_iter().flatten().map(|((at, _), gpus)| (*at, *gpus))
    }

    fn put_spot(
        &mut self,
        class: &DeviceClass,
        key: &Arc<ShelfKey>,
        (free, spot, ends): (u32, Spot, Ends),
        stands: impl FnOnce() -> Arc<Node>,
    ) {
        let shelves = self.classes.entry(class.clone()).or_default();
        let shelf = shelves.entry(Arc::clone(key)).or_insert_with(|| Shelf::new(stands()));
        shelf.put(free, spot, ends);
    }

    fn drop_spot(&mut self, class: &DeviceClass, key: &Arc<ShelfKey>, free: u32, spot: &Spot) {
        let Some(shelves) = self.classes.get_mut(class) else { return };
        if let Some(shelf) = shelves.get_mut(key) {
            shelf.take(free, spot);
            if shelf.is_empty() {
                shelves.remove(key);
            }
        }
        if shelves.is_empty() {
            self.classes.remove(class);
        }
    }

    /// Lets shelves tell when each bucket has what a member wants ([`Shelf::ready`]).
    pub(crate) fn know(&mut self, wanted: &Resources) {
        let of_class = self.classes.get_mut(&wanted.class).into_iter().flatten();
        of_class.for_each(|(_, shelf)| shelf.know(wanted.gpus));
    }

    /// Shelves of the wanted class, memory and units, in one order, whoever is there.
    pub(crate) fn shelves(
        &self,
        wanted: &Resources,
    ) -> impl Iterator<Item = (&Arc<ShelfKey>, &Shelf)> {
        let of_class = self.classes.get(&wanted.class).into_iter().flatten();
        let (memory_mib, units) = (wanted.memory_mib, wanted.units);
        of_class.filter(move |(key, _)| key.memory_mib >= memory_mib && key.units >= units)
    }

    /// Takes what a member of a job needs of a spot for the rest of this plan, until when at the latest. A shared device moves to the
    /// shelf of those who are there then.
    pub(crate) fn take(&mut self, spot: &Spot, facts: &JobFacts, until: Timestamp) {
        let Some(standing) = self.nodes.get_mut(&spot.1) else { return };
        let Some(held) = standing.held.iter_mut().find(|held| held.spot.2 == spot.2) else {
            return;
        };
        let (had, left) = (held.free, held.free.saturating_sub(facts.resources.gpus));
        held.free = left;
        held.ends = with_end(&held.ends, (until, facts.resources.gpus));
        self.touched.insert(spot.1.clone());
        let (class, before) = (held.class.clone(), Arc::clone(&held.key));
        let sharing = facts.resources.sharing;
        if sharing.is_agreed() {
            let party = before.party.clone().with(&facts.id.tenant, sharing);
            held.key = Arc::new(ShelfKey { party, ..ShelfKey::clone(&before) });
        }
        let (after, ends) = (Arc::clone(&held.key), Arc::clone(&held.ends));
        let shelf = self.classes.get_mut(&class).and_then(|shelves| shelves.get_mut(&before));
        let Some(shelf) = shelf else { return };
        if before == after {
            shelf.take(had, spot);
            shelf.put(left, spot.clone(), ends);
            return;
        }
        let example = Arc::clone(&shelf.example);
        self.drop_spot(&class, &before, had, spot);
        self.put_spot(&class, &after, (left, spot.clone(), ends), || example);
    }

    /// A job stands on a node for the rest of this plan, of which something was taken.
    pub(crate) fn mark(&mut self, node: &NodeId, facts: &JobFacts, until: Timestamp) {
        self.marked.put(node, facts, until);
    }
}

/// When a placement has given everything back at the latest.
pub(crate) fn end_of(row: &Placement) -> Timestamp {
    let end = match row.phase {
        Phase::Granted | Phase::Starting | Phase::Running => row.charge.until,
        Phase::Stopping | Phase::Ended(_) => row.changed,
    };
    end.plus_ms(u64::try_from(KILL_GRACE.as_millis()).unwrap_or(u64::MAX))
}

/// What each placement on a node holds of whose quota.
fn endings(state: &State, node: &Node) -> Vec<Ending> {
    let rows = node.placements.iter().filter_map(|id| Some((*id, state.placement(id)?)));
    let endings = rows.map(|(id, row)| Ending {
        of: (row.grant.job.tenant.clone(), row.grant.class.clone()),
        at: (end_of(row), id),
        gpus: row.grant.gpus,
        priority: state.job(&row.grant.job).map_or(0, |job| job.facts.priority),
        release: Release::of(row, node),
    });
    endings.collect()
}

/// What comes back of a bucket, the soonest first.
fn ends_in(state: &State, node: &Node, bucket: u16) -> Ends {
    let rows = node.placements.iter().filter_map(|id| state.placement(id));
    let of_bucket = rows.filter(|row| row.bucket == bucket);
    let mut ends: Vec<_> = of_bucket.map(|row| (end_of(row), row.grant.gpus)).collect();
    ends.sort_unstable();
    ends.into()
}

/// The same with one more.
fn with_end(ends: &Ends, end: (Timestamp, u32)) -> Ends {
    let (before, after) = ends.split_at(ends.partition_point(|one| *one <= end));
    [before, &[end], after].concat().into()
}

/// Classes of which there is more than one bucket.
fn several(held: &[Held]) -> BTreeSet<&DeviceClass> {
    let mut seen = BTreeSet::new();
    held.iter().map(|held| &held.class).filter(|class| !seen.insert(*class)).collect()
}
