//! Where jobs with marks stand, kept so that no node is walked over for a job that keeps apart.
//!
//! Must hold: it follows the state node by node, as the fleet does, and knows what a plan has placed before; what it says of a
//! node is what `State::apart_from` says on the state that there will be.

use sekisho_types::id::{Mark, NodeId, TenantId};
use sekisho_types::job::JobFacts;
use sekisho_types::time::Timestamp;
use sekisho_types::topology::Topology;
use std::collections::{BTreeMap, BTreeSet};

/// Why a job stands in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// It bears the mark.
    Bears,
    /// It keeps apart from jobs that bear it.
    Shuns,
}

type Key = (Why, TenantId, Mark);

/// Nodes, and when what stands there has left at the latest.
pub(crate) type Taken = BTreeMap<NodeId, Timestamp>;

/// Nodes by the marks of the jobs on them.
#[derive(Debug, Default)]
pub(crate) struct Marked {
    rows: BTreeMap<Key, Taken>,
    of: BTreeMap<NodeId, BTreeSet<Key>>,
}

fn keys(
    tenant: &TenantId,
    (bears, shuns): (Why, Why),
    topology: &Topology,
) -> impl Iterator<Item = Key> {
    let of = |why: Why, marks: &BTreeSet<Mark>| {
        marks.iter().map(|mark| (why, tenant.clone(), mark.clone())).collect::<Vec<_>>()
    };
    of(bears, &topology.marks).into_iter().chain(of(shuns, &topology.apart))
}

impl Marked {
    /// A job stands on a node until then at the latest.
    pub(crate) fn put(&mut self, node: &NodeId, facts: &JobFacts, until: Timestamp) {
        if !facts.topology.minds_others() {
            return;
        }
        for key in keys(&facts.id.tenant, (Why::Bears, Why::Shuns), &facts.topology) {
            let last = self.rows.entry(key.clone()).or_default().entry(node.clone());
            let last = last.or_insert(until);
            *last = until.max(*last);
            self.of.entry(node.clone()).or_default().insert(key);
        }
    }

    /// Forgets what stands on a node.
    pub(crate) fn clear(&mut self, node: &NodeId) {
        for key in self.of.remove(node).into_iter().flatten() {
            if let Some(nodes) = self.rows.get_mut(&key) {
                nodes.remove(node);
                if nodes.is_empty() {
                    self.rows.remove(&key);
                }
            }
        }
    }

    /// Nodes on which a job may not stand now, in one or more parts.
    pub(crate) fn against(&self, facts: &JobFacts) -> Vec<&Taken> {
        if self.rows.is_empty() || !facts.topology.minds_others() {
            return Vec::new();
        }
        // Who bears what it shuns, and who shuns what it bears.
        let keys = keys(&facts.id.tenant, (Why::Shuns, Why::Bears), &facts.topology);
        keys.filter_map(|key| self.rows.get(&key)).collect()
    }
}

/// When a node is left by all from whom a job keeps apart; `None` = nobody of them stands there.
pub(crate) fn taken_until(against: &[&Taken], node: &NodeId) -> Option<Timestamp> {
    against.iter().filter_map(|nodes| nodes.get(node)).max().copied()
}
