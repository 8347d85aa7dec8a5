//! Read-only questions to the state. What a reader may not ask here, it does not need to know.

use crate::apply::residency;
use crate::audit::{Contradicted, Countersigned, RecordedJournal};
use crate::jobs::Counts;
use crate::location::{Convicted, KeptFix, Landmarks};
use crate::outcome::Rejection;
use crate::state::{
    Federation, Job, KeptReply, Key, Node, Placement, Policy, QueueKey, ReplyKey, Retired, Site,
    SiteKeys, State, Tenant, Token,
};
use sekisho_evidence::grant::BoundRules;
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_evidence::location::range::{Pair, Range};
use sekisho_evidence::merkle::{Head, MerkleError};
use sekisho_types::id::{
    Digest, JobId, MemberId, NodeId, OperatorId, PolicyId, PublicKey, RequestId, SiteId, TenantId,
};
use sekisho_types::job::JobFacts;
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::principal::{Principal, Role};
use sekisho_types::revision::{PlacementId, Revision};
use sekisho_types::time::Timestamp;

impl State {
    /// What genesis fixed; `None` before the first entry.
    #[must_use]
    pub fn federation(&self) -> Option<&Federation> {
        self.federation.as_deref()
    }
    /// Log index of the last applied entry.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }
    /// The state clock.
    #[must_use]
    pub fn clock(&self) -> Timestamp {
        self.clock
    }
    /// The feature level in force.
    #[must_use]
    pub fn feature_level(&self) -> u32 {
        self.feature_level
    }
    /// Records in the audit log.
    #[must_use]
    pub fn audit_size(&self) -> u64 {
        self.frontier.size()
    }
    /// The audit head.
    ///
    /// # Errors
    /// Only for a state decoded from damaged bytes.
    pub fn audit_head(&self) -> Result<Head, MerkleError> {
        Ok(Head { size: self.frontier.size(), root: self.frontier.root()? })
    }

    /// Roots of the audit tree's complete subtrees, for a store that begins here.
    pub fn audit_frontier(&self) -> impl Iterator<Item = (u64, Digest)> {
        self.frontier.roots()
    }

    /// One site.
    #[must_use]
    pub fn site(&self, id: &SiteId) -> Option<&Site> {
        self.sites.get(id)
    }
    /// All sites, by id.
    pub fn sites(&self) -> impl DoubleEndedIterator<Item = (&SiteId, &Site)> {
        self.sites.iter()
    }
    /// Whether an operator has a place of its own in Japan: a site that stands. What is more than an answer about somebody's
    /// own work (metrics, audit records) goes to people of such operators only (D3).
    #[must_use]
    pub fn is_at_home(&self, operator: &OperatorId) -> bool {
        let own = |site: &Site| site.operator == *operator && Area::Japan.contains(site.area);
        self.sites.iter().any(|(_, site)| own(site) && !site.revoked)
    }
    /// One node.
    #[must_use]
    pub fn node(&self, id: &NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }
    /// All nodes, by id.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = (&NodeId, &Node)> {
        self.nodes.iter()
    }
    /// Nodes that are not what they were in an earlier state, by id; it costs what changed, not what there is.
    pub fn changed_nodes<'s>(&'s self, before: &'s Self) -> impl Iterator<Item = &'s NodeId> {
        self.nodes.changed(&before.nodes)
    }
    /// As [`State::changed_nodes`], of sites.
    pub fn changed_sites<'s>(&'s self, before: &'s Self) -> impl Iterator<Item = &'s SiteId> {
        self.sites.changed(&before.sites)
    }
    /// The node that had a key until it was decommissioned.
    #[must_use]
    pub fn retired(&self, node_key: &Digest) -> Option<&Retired> {
        self.retired.get(node_key)
    }
    /// The jobs of a tenant that are kept, and their tasks.
    pub fn jobs_of(&self, tenant: &TenantId) -> impl Iterator<Item = (&JobId, &Job)> {
        // The least of all names.
        let first = Name::parse("a").map(|name| JobId { tenant: tenant.clone(), name, task: None });
        let rows = first.into_iter().flat_map(|first| self.jobs.range(first..));
        rows.take_while(move |(id, _)| id.tenant == *tenant)
    }

    /// Jobs whose turn came and for which something is kept until they start, in that order: the planner places them before others
    /// of their priority. Some of them may have been cancelled since. It orders and grants nothing.
    #[must_use]
    pub fn calls(&self) -> &[JobId] {
        &self.calls
    }

    /// The landmarks.
    #[must_use]
    pub fn landmarks(&self) -> &Landmarks {
        &self.landmarks
    }
    /// The last fix of a node.
    #[must_use]
    pub fn fix(&self, node: &NodeId) -> Option<&KeptFix> {
        self.fixes.get(node)
    }
    /// The last fix of each node that has one.
    pub fn fixes(&self) -> impl DoubleEndedIterator<Item = (&NodeId, &KeptFix)> {
        self.fixes.iter()
    }
    /// What landmarks measured of one another last: who measured, who was measured.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = (&Pair, &Range)> {
        self.ranges.iter()
    }
    /// A landmark that was taken out because it contradicts others.
    #[must_use]
    pub fn convicted(&self, id: &LandmarkId) -> Option<&Convicted> {
        self.convicted.get(id)
    }
    /// All of those, by id.
    pub fn convictions(&self) -> impl DoubleEndedIterator<Item = (&LandmarkId, &Convicted)> {
        self.convicted.iter()
    }
    /// Pairs of landmarks that count of which one measured what cannot be, by who measured.
    pub fn contradictions(&self) -> impl Iterator<Item = &Pair> {
        let stands = |id: &LandmarkId| self.landmarks.table().get(id).is_some();
        let wrong = self.ranges.iter().filter(|(_, range)| range.conviction.is_some());
        wrong.map(|(pair, _)| pair).filter(move |(a, b)| stands(a) && stands(b))
    }
    /// The newest audit head that an agent countersigned.
    #[must_use]
    pub fn countersigned(&self, id: &NodeId) -> Option<&Countersigned> {
        self.countersigned.get(id)
    }
    /// All of those, by node.
    pub fn countersignatures(&self) -> impl DoubleEndedIterator<Item = (&NodeId, &Countersigned)> {
        self.countersigned.iter()
    }
    /// An agent's word that this log contradicts.
    #[must_use]
    pub fn contradicted(&self, id: &NodeId) -> Option<&Contradicted> {
        self.contradicted.get(id)
    }
    /// All of those, by node.
    pub fn contradictions_seen(&self) -> impl DoubleEndedIterator<Item = (&NodeId, &Contradicted)> {
        self.contradicted.iter()
    }
    /// How far a member's journal of denials goes, as recorded.
    #[must_use]
    pub fn journal(&self, member: MemberId) -> Option<&RecordedJournal> {
        self.journals.get(&member)
    }
    /// All of those, by member.
    pub fn journals(&self) -> impl DoubleEndedIterator<Item = (&MemberId, &RecordedJournal)> {
        self.journals.iter()
    }
    /// One join token, by the hash of its secret.
    #[must_use]
    pub fn token(&self, hash: &Digest) -> Option<&Token> {
        self.tokens.get(hash)
    }
    /// One registered key; none that was taken back.
    #[must_use]
    pub fn key(&self, principal: &Principal, key: &PublicKey) -> Option<&Key> {
        self.keys.get(&(principal.clone(), *key)).filter(|key| !key.revoked)
    }
    /// Registered keys but those that were taken back, by principal.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = (&(Principal, PublicKey), &Key)> {
        self.keys.iter().filter(|(_, key)| !key.revoked)
    }
    /// Roles that `principal` holds by keys in force.
    pub fn roles<'s>(&'s self, principal: &'s Principal) -> impl Iterator<Item = &'s Role> {
        let from = (principal.clone(), PublicKey([0; 32]));
        self.keys
            .range(from..)
            .take_while(move |((owner, _), _)| owner == principal)
            .filter(|(_, key)| !key.revoked && self.clock < key.expires)
            .map(|(_, key)| &key.role)
    }
    /// Whether a login's key was taken back whose certificate this is: it ends with the key, whatever it says itself.
    /// Once it has expired by itself nobody needs to know any more.
    #[must_use]
    pub fn certificate_ended(&self, principal: &Principal, spki: &Digest) -> bool {
        let from = (principal.clone(), PublicKey([0; 32]));
        let mut own = self.keys.range(from..).take_while(|((owner, _), _)| owner == principal);
        own.any(|(_, key)| {
            key.revoked && self.clock < key.expires && key.certificate.as_ref() == Some(spki)
        })
    }
    /// One tenant.
    #[must_use]
    pub fn tenant(&self, id: &TenantId) -> Option<&Tenant> {
        self.tenants.get(id)
    }
    /// All tenants, by id.
    pub fn tenants(&self) -> impl DoubleEndedIterator<Item = (&TenantId, &Tenant)> {
        self.tenants.iter()
    }
    /// One policy.
    #[must_use]
    pub fn policy(&self, id: &PolicyId) -> Option<&Policy> {
        self.policies.get(id)
    }
    /// All policies, by id.
    pub fn policies(&self) -> impl DoubleEndedIterator<Item = (&PolicyId, &Policy)> {
        self.policies.iter()
    }
    /// One job.
    #[must_use]
    pub fn job(&self, id: &JobId) -> Option<&Job> {
        self.jobs.get(id)
    }
    /// All jobs, by id.
    pub fn jobs(&self) -> impl DoubleEndedIterator<Item = (&JobId, &Job)> {
        self.jobs.iter()
    }
    /// How many jobs run, are held, and so on; it costs nothing.
    #[must_use]
    pub fn job_counts(&self) -> Counts {
        self.jobs.counts()
    }
    /// The tasks of an array or service that have rows, by number.
    pub fn tasks<'s>(
        &'s self,
        whole: &'s JobId,
    ) -> impl DoubleEndedIterator<Item = (&'s JobId, &'s Job)> {
        self.jobs.range(whole.task(0)..=whole.task(u32::MAX))
    }
    /// Queued jobs in the order in which they are planned: priority, then age.
    pub fn queue(&self) -> impl DoubleEndedIterator<Item = (&QueueKey, &JobId)> {
        self.queue.iter()
    }
    /// The job that is queued under a key.
    #[must_use]
    pub fn queued(&self, key: &QueueKey) -> Option<&JobId> {
        self.queue.get(key)
    }
    /// Keys of the queue under which there is not the same job as in an earlier state; it costs what changed.
    pub fn changed_queue<'s>(&'s self, before: &'s Self) -> impl Iterator<Item = &'s QueueKey> {
        self.queue.changed(&before.queue)
    }
    /// Jobs in the queue; services are in it as long as they are not over.
    #[must_use]
    pub fn queue_len(&self) -> usize {
        self.queue.len()
    }
    /// One placement.
    #[must_use]
    pub fn placement(&self, id: &PlacementId) -> Option<&Placement> {
        self.placements.get(id)
    }
    /// All placements kept, by id: those not ended, and those of jobs that are kept.
    pub fn placements(&self) -> impl DoubleEndedIterator<Item = (&PlacementId, &Placement)> {
        self.placements.iter()
    }
    /// Placements that a node should be running, in order: granted, starting or running.
    pub fn desired<'s>(
        &'s self,
        node: &'s Node,
    ) -> impl Iterator<Item = (&'s PlacementId, &'s Placement)> {
        node.placements.iter().filter_map(|id| {
            let placement = self.placements.get(id)?;
            crate::apply::placement::is_desired(&placement.phase).then_some((id, placement))
        })
    }
    /// The kept answer to a request id (R3).
    #[must_use]
    pub fn reply(&self, principal: &Principal, request: &RequestId) -> Option<&KeptReply> {
        self.replies.get(&ReplyKey::of(principal, request))
    }
    /// Whether some open job refers to a payload.
    #[must_use]
    pub fn refers_to_payload(&self, digest: &Digest) -> bool {
        self.payloads.contains(digest)
    }
    /// The keys that payloads for a site are sealed to.
    #[must_use]
    pub fn site_keys(&self, site: &SiteId) -> Option<&SiteKeys> {
        self.site_keys.get(site)
    }

    /// Whether agents at `site` can read what the job runs.
    #[must_use]
    pub fn can_open(&self, facts: &JobFacts, site: &SiteId) -> bool {
        let opens = |epoch| self.site_keys.get(site).is_some_and(|keys| keys.opens(epoch));
        !facts.is_sealed() || facts.sealed_to.get(site).copied().is_some_and(opens)
    }
    /// Every rule set that binds a job now: its own, the policy that it names, its tenant's.
    ///
    /// # Errors
    /// `NOT_FOUND` if a named policy or the tenant does not exist: unknown = denied.
    pub fn rules_for(&self, facts: &JobFacts) -> Result<Vec<BoundRules>, Rejection> {
        residency::rules_for(self, facts)
    }
    /// Whether a job may run on a node now, by residency alone (D1). The same function that apply uses.
    ///
    /// # Errors
    /// The code and words of the first rule that denies.
    pub fn may_reside(&self, rules: &[BoundRules], node: &Node) -> Result<(), Rejection> {
        residency::may_reside(self, rules, node)
    }
}
