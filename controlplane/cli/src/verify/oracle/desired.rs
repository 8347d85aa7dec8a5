//! A node's desired set, judged: the record commits to exactly what is granted and not ordered to stop (P2).

use super::At;
use super::model::{Life, Model};
use crate::verify::report::{Report, Step};
use sekisho_evidence::grant::{NodeDesired, set_hash};
use sekisho_types::id::Digest;
use sekisho_types::revision::Epoch;

impl Model {
    pub(super) fn desired(&mut self, at: At<'_>, desired: &NodeDesired, report: &mut Report) {
        self.untold.remove(&desired.node);
        if let Err(why) = self.check_desired(at, desired) {
            report.found(Step::Fencing, Some(at.index), format!("set of {}: {why}", desired.node));
        }
    }

    fn check_desired(&mut self, at: At<'_>, desired: &NodeDesired) -> Result<(), String> {
        let epoch = Epoch { incarnation: self.bundle.incarnation, revision: at.record.revision };
        let node = self.nodes.get_mut(&desired.node).ok_or("the node is not enrolled")?;
        let floor = node.floor.replace(desired.epoch);
        if desired.epoch != epoch || floor.is_some_and(|floor| floor >= epoch) {
            return Err("its epoch is not this entry's, or does not grow".to_owned());
        }
        let digests: Vec<Digest> = node
            .held
            .iter()
            .filter_map(|id| self.placements.get(id))
            .filter(|row| row.life != Life::Stopping)
            .map(|row| row.digest)
            .collect();
        let count = u32::try_from(digests.len()).unwrap_or(u32::MAX);
        if desired.cluster != self.bundle.cluster
            || desired.count != count
            || desired.hash != set_hash(digests)
        {
            return Err(format!("does not commit to the {count} placements that it should hold"));
        }
        Ok(())
    }
}
