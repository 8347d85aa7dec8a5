//! Which nodes stand otherwise than they did: what changed of them or their site, and whom time alone changes.
//!
//! Must hold: an index that sets these anew, and no others, is the one that would be built of the later state.
//! Does not know: what of a node an index looks at.

use sekisho_fsm::State;
use sekisho_fsm::state::Node;
use sekisho_types::id::NodeId;
use sekisho_types::time::Timestamp;
use std::collections::BTreeSet;

/// When time alone changes whom.
#[derive(Debug, Default)]
pub(crate) struct Due(BTreeSet<(Timestamp, NodeId)>);

impl Due {
    /// Nodes to set anew on the way from one state to a later one; what was due by then is not any more.
    pub(crate) fn changed(&mut self, before: &State, after: &State) -> BTreeSet<NodeId> {
        let mut changed: BTreeSet<NodeId> = after.changed_nodes(before).cloned().collect();
        for site in after.changed_sites(before) {
            changed.extend(after.nodes().map(|(id, _)| id).filter(|id| id.site == *site).cloned());
        }
        // Not reached: the state clock is that instant or later.
        while let Some((due, node)) = self.0.pop_first() {
            if due > after.clock() {
                self.0.insert((due, node));
                break;
            }
            changed.insert(node);
        }
        changed
    }

    /// Notes when a node is due.
    pub(crate) fn put(&mut self, due: Option<Timestamp>, node: &NodeId) {
        self.0.extend(due.map(|due| (due, node.clone())));
    }

    /// Forgets it.
    pub(crate) fn drop(&mut self, due: Option<Timestamp>, node: &NodeId) {
        if let Some(due) = due {
            self.0.remove(&(due, node.clone()));
        }
    }
}

/// When time alone next changes how a node stands: its tag begins or ends, or its proof ends.
pub(crate) fn next_change(node: &Node, now: Timestamp) -> Option<Timestamp> {
    let proof = node.proof.map(|proof| proof.expires);
    let all = [Some(node.tag.issued), Some(node.tag.expires), proof];
    all.into_iter().flatten().filter(|at| *at > now).min()
}
