//! What services lack and can do without, asked anew only of those of which something changed.
//!
//! Must hold: what is known here is what [`State::replicas`] says of the state that was followed last. That changes with the row of
//! the service, which changes with each of its replicas; with a drain that begins or ends; and when a replica comes near its
//! time limit. So a service that runs as it should costs a round a look at its row, however many replicas it has.

use sekisho_fsm::State;
use sekisho_fsm::tasks::Replicas;
use sekisho_types::id::{JobId, NodeId};
use sekisho_types::revision::Revision;
use std::collections::BTreeMap;

/// Services that are not over.
#[derive(Debug, Default)]
pub(crate) struct Services {
    known: BTreeMap<JobId, (Revision, Replicas)>,
}

impl Services {
    /// Follows from `before` to `after`, in which there are these services.
    pub(crate) fn follow<'q, I>(&mut self, before: &State, after: &State, services: I)
    where
        I: Iterator<Item = &'q JobId>,
    {
        let drained = |state: &State, id: &NodeId| state.node(id).map(|node| node.drain.is_some());
        let turned = |id: &&NodeId| drained(before, id) != drained(after, id);
        if !self.known.is_empty() && after.changed_nodes(before).any(|id| turned(&id)) {
            self.known.clear();
        }
        let mut last = std::mem::take(&mut self.known);
        for id in services {
            let Some(job) = after.job(id) else { continue };
            let stands = |(revision, found): &(Revision, Replicas)| {
                *revision == job.revision && after.clock() < found.until
            };
            let known = last.remove_entry(id).filter(|(_, known)| stands(known));
            let known = known.unwrap_or_else(|| (id.clone(), (job.revision, after.replicas(job))));
            self.known.insert(known.0, known.1);
        }
    }

    /// What one of them lacks, and can do without.
    pub(crate) fn get(&self, id: &JobId) -> Option<&Replicas> {
        self.known.get(id).map(|(_, found)| found)
    }

    /// How many more replicas each of them lacks.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = (&JobId, u32)> {
        self.known.iter().map(|(id, (_, found))| (id, found.wanted))
    }
}
