//! One grant, judged: D1 inside every rule that binds, Q1 within what may be charged, P1 within the bucket, P2 fenced.

use super::At;
use super::charge::Charge;
use super::model::{Held, Job, Life, Model, Node};
use crate::verify::report::{Report, Step};
use sekisho_evidence::grant::{BoundRules, Grant, Share};
use sekisho_evidence::location::fix::proven;
use sekisho_types::device::{Bucket, BucketKind};
use sekisho_types::id::{Digest, JobId, PolicyId};
use sekisho_types::job::Kind;
use sekisho_types::residency::{Rules, verdict};
use sekisho_types::revision::{Epoch, PlacementId};
use sekisho_types::sharing::Sharing;
use std::collections::BTreeSet;

impl Model {
    pub(super) fn grant(&mut self, at: At<'_>, grant: &Grant, report: &mut Report) {
        // Judged when it was granted, and again by its proof; what may be charged may be less since. The proof is of these
        // very bytes: of another grant with its name everything is judged.
        let adopted = self.adopting.take();
        if adopted.is_some() && adopted == grant.digest().ok() {
            let charge = self.brought(at, grant);
            self.hold(grant, charge);
            return;
        }
        let mut fail = |step, why: Result<(), String>| {
            if let Err(why) = why {
                report.found(
                    step,
                    Some(at.index),
                    format!("{} on {}: {why}", grant.placement, grant.node),
                );
            }
        };
        fail(Step::Residency, self.residency(at, grant));
        fail(Step::Fencing, self.fencing(at, grant));
        fail(Step::Fencing, self.in_time(at, grant));
        fail(Step::Capacity, self.capacity(grant));
        let (charge, wrong) = self.charge(at, grant);
        wrong.into_iter().for_each(|why| fail(Step::Quota, Err(why)));
        self.fresh.insert(grant.job.clone());
        self.hold(grant, charge);
    }

    /// D1: the rules are those that bind the job at this moment, and the node's verified tag satisfies them.
    fn residency(&self, at: At<'_>, grant: &Grant) -> Result<(), String> {
        let node = self.node(grant)?;
        let job = self.job(grant)?;
        let tag = node.tag.as_ref().ok_or("the node has no tag that verifies")?;
        tag.check_time(at.record.time).map_err(|error| error.to_string())?;
        if grant.table != self.table {
            return Err("judged by another jurisdiction table".to_owned());
        }
        let bound: Vec<&BoundRules> = grant.rules.iter().collect();
        let expected = self.binding(job)?;
        if bound.len() != expected.len() || bound.iter().zip(&expected).any(|(a, b)| **a != *b) {
            return Err("does not carry the rules that bind the job".to_owned());
        }
        let rules: Vec<&Rules> = grant.rules.iter().map(|bound| &*bound.rules).collect();
        if grant.landmarks != self.basis()? {
            return Err("judged by another table of landmarks".to_owned());
        }
        let now = at.record.time;
        let place = proven(tag.place(), self.proof(&grant.node, now));
        verdict(&place, &rules, now).map_err(|denial| format!("{}: {denial}", denial.code()))
    }

    /// The job's own rules, the policy that it names, its tenant's.
    fn binding(&self, job: &Job) -> Result<Vec<BoundRules>, String> {
        let tenant = self.tenants.get(&job.facts.id.tenant).ok_or("the tenant does not exist")?;
        let mut bound = vec![BoundRules { policy: None, rules: job.facts.residency.clone() }];
        for id in job.facts.policy.iter().chain(tenant) {
            let missing = |id: &PolicyId| format!("policy {id} does not exist");
            let (revision, rules) = self.policies.get(id).ok_or_else(|| missing(id))?;
            bound.push(BoundRules { policy: Some((id.clone(), *revision)), rules: rules.clone() });
        }
        Ok(bound)
    }

    /// P2: the epoch is this entry's and above the node's floor, the session is the node's live one, and no other
    /// instance of this member of the group lives (P7).
    fn fencing(&mut self, at: At<'_>, grant: &Grant) -> Result<(), String> {
        let epoch = Epoch { incarnation: self.bundle.incarnation, revision: at.record.revision };
        let expected = PlacementId { epoch, ordinal: self.ordinal };
        self.ordinal = self.ordinal.saturating_add(1);
        if grant.placement != expected || grant.cluster != self.bundle.cluster {
            return Err(format!("must be {expected} of this federation"));
        }
        let node = self.node(grant)?;
        if node.revoked {
            return Err("the node was revoked (P5)".to_owned());
        }
        if self.pending.contains(&grant.node) {
            return Err("the node was not approved".to_owned());
        }
        if self.quarantined.contains(&grant.node) {
            return Err("the node was in quarantine (P1)".to_owned());
        }
        if node.expired || node.session != Some(grant.session) || node.key != grant.node_key {
            return Err("not made out to the node's key and live session".to_owned());
        }
        if node.floor.is_some_and(|floor| floor >= epoch) {
            return Err("not above the node's fence floor".to_owned());
        }
        if node.stale {
            return Err("the node has not come over to this incarnation".to_owned());
        }
        let job = self.job(grant)?;
        if job.submitted < self.opened {
            return Err("the job is of the incarnation before (P7)".to_owned());
        }
        self.task(grant, job)?;
        let twin = job
            .held
            .iter()
            .filter_map(|id| self.placements.get(id))
            .any(|row| row.job == grant.job && row.rank == grant.rank);
        if twin || grant.rank >= job.facts.group || grant.group != job.facts.group {
            return Err(format!(
                "rank {} of {} lives already or is none of the group (P7)",
                grant.rank, grant.job
            ));
        }
        let facts = &job.facts;
        if facts.is_sealed() && !facts.sealed_to.contains_key(&grant.node.site) {
            return Err("the payload was not sealed to its site".to_owned());
        }
        let same = grant.payload == facts.payload
            && grant.submitter == job.submitter
            && grant.gpus == facts.resources.gpus
            && grant.class == facts.resources.class
            && grant.units >= facts.resources.units
            && grant.sharing() == facts.resources.sharing
            && grant.on_disconnect == facts.on_disconnect
            && grant.time_limit_s == facts.time_limit_s;
        if same { Ok(()) } else { Err("is not what was submitted".to_owned()) }
    }

    /// P7: it is a task of the job, of an array no more than may run at once, of a service one that never was.
    fn task(&self, grant: &Grant, job: &Job) -> Result<(), String> {
        if !job.facts.kind.has(grant.job.task) {
            return Err(format!("{} is no task of what was submitted", grant.job));
        }
        match (job.facts.kind, grant.job.task, job.newest) {
            (Kind::Service { .. }, Some(task), Some((newest, at)))
                if task < newest || (task == newest && at != grant.placement.epoch.revision) =>
            {
                Err(format!("replica {} was granted before (P7)", grant.job))
            }
            (Kind::Array { at_most, .. }, _, _) => {
                let rows = job.held.iter().filter_map(|id| self.placements.get(id));
                let others: BTreeSet<&JobId> =
                    rows.map(|row| &row.job).filter(|id| **id != grant.job).collect();
                if u32::try_from(others.len()).is_ok_and(|others| others < at_most) {
                    return Ok(());
                }
                Err(format!("{} tasks of {} run, at most {at_most} may", others.len(), grant.job))
            }
            (Kind::Batch | Kind::Service { .. }, _, _) => Ok(()),
        }
    }

    /// Neither before the earliest start that its submitter signed, nor from the latest on. What became of other jobs is a
    /// matter of the replay.
    fn in_time(&self, at: At<'_>, grant: &Grant) -> Result<(), String> {
        let Some(job) = self.jobs.get(&grant.job.whole()) else { return Ok(()) };
        let (facts, now) = (&job.facts, at.record.time);
        if let Some(from) = facts.not_before.filter(|from| now < *from) {
            return Err(format!("the job was not to start before {from}"));
        }
        match facts.start_by.filter(|by| *by <= now) {
            Some(by) => Err(format!("the job was to start before {by}")),
            None => Ok(()),
        }
    }

    /// P1: the bucket has room beside everything on it that is not confirmed dead, and who shares a device has agreed to that.
    pub(super) fn capacity(&self, grant: &Grant) -> Result<(), String> {
        let node = self.node(grant)?;
        counted_once(&node.buckets)?;
        let device = grant.share.map(|share| share.device);
        let mut buckets = node.buckets.iter();
        let bucket = buckets
            .find(|b| {
                b.class == grant.class
                    && b.memory_mib == grant.memory_mib
                    && b.island == grant.island
                    && b.shared_device() == device
            })
            .ok_or("the node has no such bucket")?;
        if bucket.units != grant.units {
            return Err(format!("{} units granted of a bucket of {}", grant.units, bucket.units));
        }
        let there: Vec<&Held> = node
            .held
            .iter()
            .filter_map(|id| self.placements.get(id))
            .filter(|row| {
                row.class == grant.class
                    && row.memory_mib == grant.memory_mib
                    && row.island == grant.island
                    && row.share.map(|share| share.device) == device
            })
            .collect();
        let used = there.iter().fold(0u64, |sum, row| sum.saturating_add(u64::from(row.gpus)));
        let all = used.saturating_add(u64::from(grant.gpus));
        if all > u64::from(bucket.count) {
            return Err(format!("{all} devices granted of a bucket of {}", bucket.count));
        }
        let stranger = there.iter().find(|row| {
            let with = |share: Option<Share>| share.map_or(Sharing::Alone, |share| share.with);
            let any = [with(row.share), grant.sharing()].iter().all(|with| *with == Sharing::Any);
            device.is_some() && row.job.tenant != grant.job.tenant && !any
        });
        match stranger {
            None => Ok(()),
            Some(row) => Err(format!("shares a device with {}, and both did not agree", row.job)),
        }
    }

    fn hold(&mut self, grant: &Grant, charge: Charge) {
        let Ok(digest) = grant.digest() else { return };
        self.held(grant, digest, charge);
        self.untold.insert(grant.node.clone());
        self.granted.insert(grant.placement, digest);
    }

    fn held(&mut self, grant: &Grant, digest: Digest, charge: Charge) {
        let job = self.jobs.get(&grant.job.whole());
        let topology = job.map(|job| job.facts.topology.clone()).unwrap_or_default();
        let row = Held {
            job: grant.job.clone(),
            topology,
            rank: grant.rank,
            node: grant.node.clone(),
            class: grant.class.clone(),
            memory_mib: grant.memory_mib,
            island: grant.island,
            gpus: grant.gpus,
            share: grant.share,
            on_disconnect: grant.on_disconnect,
            digest,
            life: Life::Granted,
            charge,
        };
        self.pay(&row);
        self.placements.insert(grant.placement, row);
        if let Some(node) = self.nodes.get_mut(&grant.node) {
            node.held.insert(grant.placement);
        }
        if let Some(job) = self.jobs.get_mut(&grant.job.whole()) {
            job.held.insert(grant.placement);
            let granted = grant.job.task.map(|task| (task, grant.placement.epoch.revision));
            job.newest = job.newest.max(granted);
        }
    }

    fn node(&self, grant: &Grant) -> Result<&Node, String> {
        self.nodes.get(&grant.node).ok_or_else(|| "the node is not enrolled".to_owned())
    }

    fn job(&self, grant: &Grant) -> Result<&Job, String> {
        self.jobs
            .get(&grant.job.whole())
            .ok_or_else(|| format!("job {} was never submitted", grant.job))
    }
}

/// P1: no device stands in two buckets, and of one in instances nothing else does.
fn counted_once(buckets: &[Bucket]) -> Result<(), String> {
    let (mut ids, mut alone, mut sliced) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for bucket in buckets {
        let of_kind = match bucket.kind {
            BucketKind::Whole | BucketKind::Shared => &mut alone,
            BucketKind::Mig(_) => &mut sliced,
        };
        for part in &bucket.parts {
            of_kind.insert(part.gpu);
            if !ids.insert(part.id) {
                return Err(format!("the node counts device {} twice", part.id));
            }
        }
    }
    match alone.intersection(&sliced).next() {
        None => Ok(()),
        Some(device) => Err(format!("the node counts device {device} whole and in parts")),
    }
}
