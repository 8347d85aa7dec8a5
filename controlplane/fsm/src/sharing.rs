//! Who stands on a shared device.
//!
//! Must hold (P1): a share is held until it is confirmed dead, so whoever is being stopped still counts; one that is kept for a
//! job counts as if it stood there. Planner and apply ask here.

use crate::state::{Node, State};
use sekisho_types::device::Bucket;
use sekisho_types::id::JobId;
use sekisho_types::job::JobFacts;
use sekisho_types::sharing::Party;

impl State {
    /// Those on a shared device of a node, and whom a share of it is kept for, but for one job.
    #[must_use]
    pub fn party(&self, node: &Node, bucket: u16, but: Option<&JobId>) -> Party {
        let rows = node.placements.iter().filter_map(|id| self.placements.get(id));
        let there = rows
            .filter(|row| row.bucket == bucket)
            .map(|row| (&row.grant.job.tenant, row.grant.sharing()));
        let kept = node.kept.get(&bucket).filter(|kept| Some(&kept.job) != but);
        let kept = kept.and_then(|kept| self.jobs.get(&kept.job));
        let kept = kept.map(|job| (&job.facts.id.tenant, job.facts.resources.sharing));
        there
            .chain(kept)
            .fold(Party::Nobody, |party, (tenant, sharing)| party.with(tenant, sharing))
    }

    /// Whether a job agrees with those on a bucket, and they with it; nobody else stands on one that is not shared.
    #[must_use]
    pub fn agree_with(&self, node: &Node, bucket: u16, facts: &JobFacts) -> bool {
        let shared = node.buckets.get(usize::from(bucket)).and_then(Bucket::shared_device);
        let party = || self.party(node, bucket, Some(&facts.id));
        shared.is_none() || party().admits(&facts.id.tenant, facts.resources.sharing)
    }
}
