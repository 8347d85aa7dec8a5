//! Nodes by what an explanation can tell apart: those that are alike are judged once, and counted.
//!
//! ```text
//! site, place, health, devices, what they draw and what is free of them ─> rack ─> nodes
//! ```
//! The index follows the state by what changed of it, as the planner's fleet does. Ten thousand nodes are alike in a few hundred
//! ways at most: as many as there are sites, kinds of nodes and numbers of free devices.
//!
//! Must hold: whatever a filter says of one node without knowing its name, it says of all that are alike; an index that followed
//! is the one that would be built anew. What is of one job alone (nodes that refused it, jobs from which it keeps apart) is no
//! likeness: whoever asks takes those nodes out.

use crate::due::{Due, next_change};
use crate::filter::Filter;
use crate::node::usable;
use crate::residency::{PlaceKey, example, place_key};
use sekisho_fsm::State;
use sekisho_fsm::state::Node;
use sekisho_fsm::topology::Stand;
use sekisho_types::device::Bucket;
use sekisho_types::id::{DeviceClass, JobId, NodeId, OperatorId, SiteId};
use sekisho_types::job::{JobFacts, Resources};
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::revision::PlacementId;
use sekisho_types::sharing::Party;
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A bucket, as a filter sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Devices {
    pub(crate) class: DeviceClass,
    pub(crate) memory_mib: u64,
    pub(crate) units: u32,
    pub(crate) count: u32,
    pub(crate) free: u32,
    /// What each of them may draw.
    watts: u32,
    /// For whom so many of them are kept.
    kept: Option<(JobId, u32)>,
    /// Of a shared device: who is there.
    sharers: Option<Party>,
}

impl Devices {
    fn of(state: &State, node: &Node, (at, bucket): (u16, &Bucket)) -> Self {
        let kept = node.kept.get(&at);
        let sharers =
            bucket.shared_device().map(|_shared| state.party(node, at, kept.map(|kept| &kept.job)));
        Self {
            class: bucket.class.clone(),
            memory_mib: bucket.memory_mib,
            units: bucket.units,
            count: bucket.count,
            free: node.free(at),
            watts: bucket.rated_watts(),
            kept: kept.map(|kept| (kept.job.clone(), kept.gpus)),
            sharers,
        }
    }

    /// Free for a job, with what is kept for it.
    fn free_for(&self, job: &JobId) -> u32 {
        let own = self.kept.as_ref().filter(|(of, _)| of == job);
        self.free.saturating_add(own.map_or(0, |(_, gpus)| *gpus))
    }

    /// Whether they are of the wanted class, memory and units.
    pub(crate) fn suit(&self, wanted: &Resources) -> bool {
        self.class == wanted.class
            && self.memory_mib >= wanted.memory_mib
            && self.units >= wanted.units
    }
}

/// What is the same of nodes that are alike. The site stands first: they are in the order of their sites.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Likeness {
    pub(crate) site: SiteId,
    /// Of a node that is counted by itself, whatever it is like.
    #[cfg(test)]
    alone: Option<NodeId>,
    pub(crate) operator: OperatorId,
    /// Where they stand, as their tags say.
    pub(crate) area: Option<Area>,
    place: PlaceKey,
    /// The first thing that keeps all work off.
    pub(crate) usable: Result<(), Filter>,
    /// By bucket index.
    pub(crate) buckets: Vec<Devices>,
}

impl Likeness {
    fn of(state: &State, id: &NodeId, node: &Node) -> Self {
        let buckets = (0u16..).zip(&node.buckets);
        Self {
            site: id.site.clone(),
            #[cfg(test)]
            alone: None,
            operator: node.operator.clone(),
            area: node.tag.area.domestic(),
            place: place_key(node, state.clock()),
            usable: usable(state, id, node),
            buckets: buckets.map(|bucket| Devices::of(state, node, bucket)).collect(),
        }
    }

    /// Buckets with devices of the wanted class, memory and units, by index.
    pub(crate) fn matching(&self, wanted: &Resources) -> impl Iterator<Item = (u16, &Devices)> {
        (0u16..).zip(&self.buckets).filter(move |(_, devices)| devices.suit(wanted))
    }

    /// Classes of their devices.
    pub(crate) fn classes(&self) -> impl Iterator<Item = &DeviceClass> {
        self.buckets.iter().map(|devices| &devices.class)
    }

    /// Where they stand in a rack.
    pub(crate) fn stand<'s>(&'s self, rack: Option<&'s Name>) -> Stand<'s> {
        Stand { operator: &self.operator, area: self.area, site: &self.site, rack }
    }

    /// Their place, by which rules judge them.
    pub(crate) fn place(&self) -> &PlaceKey {
        &self.place
    }

    /// What a purse tells apart of them, when it charges a member of a job. Where no cap binds what it draws is nothing to it.
    pub(crate) fn corner(&self, state: &State, facts: &JobFacts) -> Corner<'_> {
        let capped = state.power(&self.site).cap.is_some();
        let watts = if capped { self.least_watts(facts) } else { 0 };
        Corner { site: &self.site, operator: &self.operator, place: self.area, watts }
    }

    /// The least that one member of a job may draw, watts; it is [`Node::least_watts`].
    pub(crate) fn least_watts(&self, facts: &JobFacts) -> u64 {
        let gpus = facts.resources.gpus;
        let large = self.matching(&facts.resources).filter(|(_, devices)| devices.count >= gpus);
        let least = large.map(|(_, devices)| {
            let full = devices.free_for(&facts.id) < gpus;
            (full, u64::from(devices.watts).saturating_mul(u64::from(gpus)))
        });
        least.min().map_or(0, |(_, watts)| watts)
    }
}

/// Nodes of one site, operator and place on which a member may draw as much: a purse charges all of them alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Corner<'s> {
    pub(crate) site: &'s SiteId,
    pub(crate) operator: &'s OperatorId,
    pub(crate) place: Option<Area>,
    /// What a member may draw, where a cap binds it; else none.
    pub(crate) watts: u64,
}

/// Nodes that are alike.
#[derive(Debug, Default)]
pub(crate) struct Kin {
    pub(crate) racks: BTreeMap<Option<Name>, BTreeSet<NodeId>>,
    /// All of them.
    pub(crate) count: u32,
}

impl Kin {
    /// One of them.
    pub(crate) fn first(&self) -> Option<&NodeId> {
        self.racks.first_key_value()?.1.first()
    }

    /// Each, with its rack.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&Option<Name>, &NodeId)> {
        self.racks.iter().flat_map(|(rack, nodes)| nodes.iter().map(move |node| (rack, node)))
    }
}

/// Where a node is in the index.
#[derive(Debug)]
struct Entry {
    like: Arc<Likeness>,
    rack: Option<Name>,
    /// Classes of what runs there.
    runs: Vec<DeviceClass>,
    due: Option<Timestamp>,
}

/// The index.
#[derive(Debug, Default)]
pub(crate) struct Alike {
    kins: BTreeMap<Arc<Likeness>, Kin>,
    nodes: BTreeMap<NodeId, Entry>,
    /// Distinct places: one node that stands for all, and how many likenesses have it.
    places: BTreeMap<PlaceKey, (Node, usize)>,
    /// Placements by class and node.
    runs: BTreeMap<DeviceClass, BTreeMap<NodeId, Vec<PlacementId>>>,
    due: Due,
    /// No node is alike to another.
    #[cfg(test)]
    is_apart: bool,
}

impl Alike {
    /// An index in which no node is alike to another.
    #[cfg(test)]
    pub(crate) fn apart() -> Self {
        Self { is_apart: true, ..Self::default() }
    }

    /// Follows from `before` to `after`; from nothing it is built.
    pub(crate) fn follow(&mut self, before: &State, after: &State) {
        for id in self.due.changed(before, after) {
            self.drop(&id);
            if let Some(node) = after.node(&id) {
                self.put(after, &id, node);
            }
        }
    }

    fn drop(&mut self, id: &NodeId) {
        let Some(Entry { like, rack, runs, due }) = self.nodes.remove(id) else { return };
        self.due.drop(due, id);
        for class in &runs {
            if let Some(nodes) = self.runs.get_mut(class) {
                nodes.remove(id);
                if nodes.is_empty() {
                    self.runs.remove(class);
                }
            }
        }
        let Some(kin) = self.kins.get_mut(&like) else { return };
        kin.count = kin.count.saturating_sub(1);
        if let Some(nodes) = kin.racks.get_mut(&rack) {
            nodes.remove(id);
            if nodes.is_empty() {
                kin.racks.remove(&rack);
            }
        }
        if kin.racks.is_empty() {
            self.kins.remove(&like);
            if let Some((_, users)) = self.places.get_mut(&like.place) {
                *users = users.saturating_sub(1);
                if *users == 0 {
                    self.places.remove(&like.place);
                }
            }
        }
    }

    fn put(&mut self, state: &State, id: &NodeId, node: &Node) {
        let like = Likeness::of(state, id, node);
        #[cfg(test)]
        let like = Likeness { alone: self.is_apart.then(|| id.clone()), ..like };
        let like = match self.kins.get_key_value(&like) {
            Some((known, _)) => Arc::clone(known),
            None => {
                let stands = || (example(node, &like.place), 0);
                let (_, users) = self.places.entry(like.place.clone()).or_insert_with(stands);
                *users = users.saturating_add(1);
                Arc::new(like)
            }
        };
        let kin = self.kins.entry(Arc::clone(&like)).or_default();
        kin.count = kin.count.saturating_add(1);
        kin.racks.entry(node.rack.clone()).or_default().insert(id.clone());
        let mut runs: BTreeMap<DeviceClass, Vec<PlacementId>> = BTreeMap::new();
        for placement in &node.placements {
            if let Some(row) = state.placement(placement) {
                runs.entry(row.grant.class.clone()).or_default().push(*placement);
            }
        }
        let classes = runs.keys().cloned().collect();
        for (class, placements) in runs {
            self.runs.entry(class).or_default().insert(id.clone(), placements);
        }
        let due = next_change(node, state.clock());
        self.due.put(due, id);
        self.nodes.insert(id.clone(), Entry { like, rack: node.rack.clone(), runs: classes, due });
    }

    /// Those that are alike, by site.
    pub(crate) fn kins(&self) -> impl Iterator<Item = (&Likeness, &Kin)> {
        self.kins.iter().map(|(like, kin)| (like.as_ref(), kin))
    }

    /// All nodes in their order.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&NodeId, &Likeness)> {
        self.nodes.iter().map(|(id, entry)| (id, entry.like.as_ref()))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// What a node is like, and its rack.
    pub(crate) fn of(&self, id: &NodeId) -> Option<(&NodeId, &Likeness, Option<&Name>)> {
        let (id, entry) = self.nodes.get_key_value(id)?;
        Some((id, entry.like.as_ref(), entry.rack.as_ref()))
    }

    /// Distinct places, each with a node that stands for all there.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&PlaceKey, &Node)> {
        self.places.iter().map(|(place, (node, _))| (place, node))
    }

    /// What runs of a class, node by node.
    pub(crate) fn runs(
        &self,
        class: &DeviceClass,
    ) -> impl Iterator<Item = (&NodeId, &[PlacementId])> {
        let nodes = self.runs.get(class).into_iter().flatten();
        nodes.map(|(node, placements)| (node, placements.as_slice()))
    }
}
