//! Free devices of the usable nodes, by class, and what a plan takes from them.
//!
//! Must hold: a plan never takes a device twice (P1). Within a plan room only shrinks, which is why a shape that
//! found no room once is not tried again.

use crate::node::usable;
use crate::residency::Places;
use sekisho_fsm::State;
use sekisho_fsm::command::Slot;
use sekisho_types::id::{DeviceClass, NodeId};
use sekisho_types::job::Resources;
use std::collections::BTreeMap;

/// One bucket of one usable node.
#[derive(Debug)]
pub(crate) struct Cell<'s> {
    /// Its node.
    pub(crate) node: &'s NodeId,
    /// Number of the node's place.
    pub(crate) place: usize,
    bucket: u16,
    memory_mib: u64,
    free: u32,
}

#[derive(Debug, Default)]
struct Shelf<'s> {
    /// In order of node, then bucket.
    cells: Vec<Cell<'s>>,
    /// Everything before it is full.
    first: usize,
}

/// All room.
#[derive(Debug)]
pub(crate) struct Room<'s> {
    shelves: BTreeMap<&'s DeviceClass, Shelf<'s>>,
    /// Places of the nodes in it.
    pub(crate) places: Places,
}

impl<'s> Room<'s> {
    /// The room of `state`: usable nodes with at least one free device.
    pub(crate) fn of(state: &'s State) -> Self {
        let mut room = Self { shelves: BTreeMap::new(), places: Places::default() };
        for (id, node) in state.nodes() {
            if usable(state, id, node).is_err() {
                continue;
            }
            let place = room.places.number(node, state.clock());
            for (at, bucket) in (0u16..).zip(&node.buckets) {
                let free = node.free(at);
                if free == 0 {
                    continue;
                }
                room.shelves.entry(&bucket.class).or_default().cells.push(Cell {
                    node: id,
                    place,
                    bucket: at,
                    memory_mib: bucket.memory_mib,
                    free,
                });
            }
        }
        room
    }

    /// Takes places for a whole group, each on a node of its own, first fit in order of nodes; takes nothing and
    /// answers `None` if there are not enough that `suits` accepts.
    pub(crate) fn take(
        &mut self,
        wanted: &Resources,
        group: u32,
        mut suits: impl FnMut(&Cell<'s>, &Places) -> bool,
    ) -> Option<Vec<Slot>> {
        let shelf = self.shelves.get_mut(&wanted.class)?;
        let group = usize::try_from(group).ok()?;
        let mut picked: Vec<usize> = Vec::with_capacity(group.min(shelf.cells.len()));
        let mut last: Option<&NodeId> = None;
        for (at, cell) in shelf.cells.iter().enumerate().skip(shelf.first) {
            if picked.len() == group {
                break;
            }
            let fits = cell.free >= wanted.gpus && cell.memory_mib >= wanted.memory_mib;
            if !fits || last == Some(cell.node) || !suits(cell, &self.places) {
                continue;
            }
            last = Some(cell.node);
            picked.push(at);
        }
        if picked.len() < group {
            return None;
        }
        let slots = picked.into_iter().filter_map(|at| {
            let cell = shelf.cells.get_mut(at)?;
            cell.free = cell.free.saturating_sub(wanted.gpus);
            Some(Slot { node: cell.node.clone(), bucket: cell.bucket })
        });
        let slots = slots.collect();
        let full = shelf.cells.iter().skip(shelf.first).take_while(|cell| cell.free == 0).count();
        shelf.first = shelf.first.saturating_add(full);
        Some(slots)
    }
}
