//! What nodes do in the log: enrolment, tags, sessions, reports, refusals, leases, revocation.

use super::At;
use super::model::{Job, Life, Model, Node};
use crate::verify::census::add;
use crate::verify::report::{Report, Step};
use sekisho_evidence::adoption::Adoption;
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::receipt::Receipt;
use sekisho_evidence::tag::{SignedTag, SiteTag, Subject};
use sekisho_types::device::Bucket;
use sekisho_types::id::{Digest, JobId, NodeId, PublicKey};
use sekisho_types::job::OnDisconnect;
use sekisho_types::name::Name;
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::revision::{PlacementId, Revision};
use std::collections::BTreeSet;

impl Model {
    pub(super) fn enroll(
        &mut self,
        at: At<'_>,
        id: &NodeId,
        (key, approved): (Digest, bool),
        receipt_key: PublicKey,
        report: &mut Report,
    ) {
        if self.retired.contains(&key) {
            let why = format!("{id} was enrolled with a key that was retired (P5)");
            report.found(Step::Fencing, Some(at.index), why);
        }
        let Some((operator, _)) = self.sites.get(&id.site) else {
            report.found(
                Step::Residency,
                Some(at.index),
                format!("{id} was enrolled at a site that nobody registered"),
            );
            return;
        };
        let node = Node {
            operator: operator.clone(),
            key,
            receipt_key,
            tag: None,
            buckets: Vec::new(),
            rack: None,
            session: None,
            expired: false,
            stale: false,
            revoked: false,
            held: BTreeSet::new(),
            floor: None,
            drain: None,
        };
        if !approved {
            self.pending.insert(id.clone());
        }
        self.nodes.insert(id.clone(), node);
    }

    /// Takes a tag after verifying it: the operator's key, this node, inside the site's area.
    pub(super) fn retag(&mut self, at: At<'_>, id: &NodeId, tag: &SignedTag, report: &mut Report) {
        let verified = self.check_tag(at, id, tag);
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.tag = match verified {
            Ok(tag) => Some(tag),
            Err(why) => {
                report.found(Step::Residency, Some(at.index), format!("tag of {id}: {why}"));
                None
            }
        };
    }

    fn check_tag(&self, at: At<'_>, id: &NodeId, tag: &SignedTag) -> Result<SiteTag, String> {
        let node = self.nodes.get(id).ok_or("the node is not enrolled")?;
        let (_, area) = self.sites.get(&id.site).ok_or("its site is not registered")?;
        let keys = self.bundle.keys(&node.operator).ok_or("its operator is unknown")?;
        let subject = Subject {
            cluster: &self.bundle.cluster,
            operator: &node.operator,
            node: id,
            node_key: &node.key,
        };
        let tag = tag.verify(&keys.site_tags, subject).map_err(|error| error.to_string())?;
        tag.check_time(at.record.time).map_err(|error| error.to_string())?;
        if tag.area.domestic().is_none_or(|tagged| !area.contains(tagged)) {
            return Err(format!("names {}, the site stands in {area}", tag.area));
        }
        Ok(tag)
    }

    pub(super) fn open_session(
        &mut self,
        id: &NodeId,
        sessions: (SessionId, Option<SessionId>),
        (buckets, rack): (&[Bucket], Option<&Name>),
        live: &[PlacementId],
    ) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let (session, previous) = sessions;
        if node.session == Some(session) {
            return;
        }
        if node.session.is_some() && !node.expired && node.session != previous {
            // Accepted, and yet not opened: it showed that there are two of the node.
            self.quarantined.insert(id.clone());
            return;
        }
        // What was measured may be of another start, elsewhere.
        self.fixes.remove(id);
        node.session = Some(session);
        node.expired = false;
        node.stale = false;
        node.buckets = buckets.to_vec();
        node.rack = rack.cloned();
        let dead: Vec<PlacementId> =
            node.held.iter().filter(|p| !live.contains(p)).copied().collect();
        dead.iter().for_each(|placement| self.end(placement, &Ending::Lost));
        self.untold.insert(id.clone());
    }

    /// What a host brings over from the incarnation before: proven as it was granted, and dead nowhere else.
    pub(super) fn adopt(
        &mut self,
        at: At<'_>,
        id: &NodeId,
        adoption: &Adoption,
        report: &mut Report,
    ) {
        let proven = self.before.iter().rev().find_map(|b| adoption.open(b, &self.bundle).ok());
        let Some((grant, submission)) = proven.filter(|(grant, _)| grant.node == *id) else {
            report.found(
                Step::Fencing,
                Some(at.index),
                format!("what {id} brings over is not proven"),
            );
            return;
        };
        if self.placements.contains_key(&grant.placement) {
            return;
        }
        let job = self.jobs.entry(grant.job.whole()).or_insert_with(|| Job {
            facts: submission.facts,
            submitter: grant.submitter.clone(),
            submitted: Revision(0),
            held: BTreeSet::new(),
            newest: None,
        });
        let (rows, job_id) = (&self.placements, &grant.job);
        let earlier = |held: &&PlacementId| {
            held.epoch < grant.placement.epoch
                && rows.get(held).is_some_and(|row| row.job == *job_id)
        };
        let earlier: Vec<PlacementId> = job.held.iter().filter(earlier).copied().collect();
        earlier.iter().for_each(|placement| self.end(placement, &Ending::Lost));
        let twin =
            self.placements.values().any(|row| row.job == grant.job && row.rank == grant.rank);
        if twin {
            let why = format!("rank {} of {} lives elsewhere (P7)", grant.rank, grant.job);
            report.found(Step::Fencing, Some(at.index), why);
        }
        if let Err(why) = self.capacity(&grant) {
            report.found(Step::Capacity, Some(at.index), format!("{}: {why}", grant.placement));
        }
        self.adopting = grant.digest().ok();
    }

    pub(super) fn report(&mut self, id: &NodeId, phases: &[(PlacementId, Phase)]) {
        for (placement, phase) in phases {
            let Some(row) = self.placements.get_mut(placement).filter(|row| row.node == *id) else {
                continue;
            };
            match phase {
                Phase::Ended(ending) => self.end(placement, ending),
                Phase::Starting | Phase::Running if row.life == Life::Granted => {
                    row.life = Life::Begun;
                }
                Phase::Granted | Phase::Starting | Phase::Running | Phase::Stopping => {}
            }
        }
    }

    /// A refusal ends what had not begun, if it names this very grant. An accepted one has the node's own signature, and is of
    /// this federation; it may be of a grant that this log never gave, which somebody should look at.
    pub(super) fn refuse(
        &mut self,
        at: At<'_>,
        id: &NodeId,
        receipt: &Receipt,
        report: &mut Report,
    ) {
        let bad = |why: &str| format!("the receipt of {id}: {why}");
        let Some(node) = self.nodes.get(id) else {
            report.found(Step::Receipts, Some(at.index), bad("the node is not enrolled"));
            return;
        };
        let refusal = match receipt.verify(&node.receipt_key) {
            Ok(refusal) => refusal,
            Err(error) => {
                report.found(Step::Receipts, Some(at.index), bad(&error.to_string()));
                return;
            }
        };
        if refusal.node != *id || refusal.cluster != self.bundle.cluster {
            report.found(Step::Receipts, Some(at.index), bad("of another node or federation"));
        }
        if refusal.log_size > at.index {
            let why = format!("it knows {} records, of {}", refusal.log_size, at.index);
            // Where an incarnation was lost, a host may know more than the log for a while.
            if self.opened == Revision(0) {
                report.found(Step::Receipts, Some(at.index), bad(&why));
            } else {
                report.note(Step::Receipts, Some(at.index), bad(&why));
            }
        }
        self.receipts = self.receipts.saturating_add(1);
        add(&mut report.counts.refusals, refusal.code.as_str(), 1);
        if self.granted.get(&refusal.placement) != Some(&refusal.grant) {
            let why =
                format!("{} was shown a grant that this log never gave: {}", id, refusal.placement);
            report.note(Step::Receipts, Some(at.index), why);
        }
        let open = self.placements.get(&refusal.placement).is_some_and(|row| {
            row.node == *id && row.digest == refusal.grant && row.life != Life::Begun
        });
        if open {
            self.end(&refusal.placement, &Ending::Refused(refusal.code));
        }
    }

    /// A lease ended: what had to stop is dead, what may run to completion stays charged.
    pub(super) fn expire(&mut self, id: &NodeId, session: SessionId) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        if node.expired || node.session != Some(session) {
            return;
        }
        node.expired = true;
        let held = node.held.clone();
        for placement in held {
            let row = self.placements.get(&placement);
            if row.is_some_and(|row| row.on_disconnect == OnDisconnect::Stop) {
                self.end(&placement, &Ending::Lost);
            }
        }
    }

    pub(super) fn approve(&mut self, at: At<'_>, id: &NodeId, key: &Digest, report: &mut Report) {
        if self.nodes.get(id).is_some_and(|node| node.key == *key) {
            self.pending.remove(id);
        } else {
            report.found(
                Step::Fencing,
                Some(at.index),
                format!("{id} was approved with another key"),
            );
        }
    }

    /// Its key is retired; nothing of it may live.
    pub(super) fn decommission(&mut self, at: At<'_>, id: &NodeId, report: &mut Report) {
        let Some(node) = self.nodes.remove(id) else { return };
        self.retired.insert(node.key);
        self.fixes.remove(id);
        self.pending.remove(id);
        if let Some(left) = node.held.first() {
            let why = format!("{id} was taken out with {left} on it (P3)");
            report.found(Step::Fencing, Some(at.index), why);
        }
    }

    /// A member saw two starts of an agent in one session.
    pub(super) fn quarantine(&mut self, id: &NodeId, session: SessionId) {
        let open = |node: &Node| !node.expired && node.session == Some(session);
        if self.nodes.get(id).is_some_and(open) {
            self.quarantined.insert(id.clone());
        }
    }

    /// Its operator says that one host of it is left; with a lease that may still run that would be none of its
    /// matter (P1).
    pub(super) fn release(&mut self, at: At<'_>, id: &NodeId, report: &mut Report) {
        self.quarantined.remove(id);
        if self.nodes.get(id).is_some_and(|node| node.session.is_some() && !node.expired) {
            let why = format!("{id} was released while a lease of it may run (P1)");
            report.found(Step::Fencing, Some(at.index), why);
        }
    }

    pub(super) fn drain(&mut self, id: &NodeId, said: Option<Revision>) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.drain = said;
        }
    }

    /// At the end of that drain's deadline everything on the node is ordered to stop.
    pub(super) fn evict(&mut self, id: &NodeId, drain: Revision) {
        if self.nodes.get(id).is_some_and(|node| node.drain == Some(drain)) {
            self.stop_all_on(id);
        }
    }

    pub(super) fn revoke(&mut self, id: &NodeId) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.revoked = true;
        }
        self.stop_all_on(id);
    }

    fn stop_all_on(&mut self, id: &NodeId) {
        let Some(node) = self.nodes.get(id) else { return };
        let of = |placement| self.placements.get(placement).map(|row| row.job.clone());
        let jobs: BTreeSet<JobId> = node.held.iter().filter_map(of).collect();
        jobs.iter().for_each(|job| self.stop_job(job));
    }
}
