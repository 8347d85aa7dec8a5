//! What the auditor keeps while reading: registry, rules, what is charged, and the placements that live.

use super::At;
use super::approval::Proposal;
use super::budget::Budgets;
use super::charge::Charge;
use super::escrow::{Escrow, EscrowKey};
use super::offer::Offers;
use super::power::Caps;
use super::quota::Ledger;
use super::reservation::Reservations;
use crate::verify::report::{Report, Step};
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::genesis::Genesis;
use sekisho_evidence::genesis::GenesisSite;
use sekisho_evidence::grant::{SessionId, Share};
use sekisho_evidence::location::fix::Fix;
use sekisho_evidence::location::landmark::LandmarkTable;
use sekisho_evidence::location::range::Pair;
use sekisho_evidence::package::opening;
use sekisho_evidence::tag::SiteTag;
use sekisho_evidence::terms::{Agreement, Terms};
use sekisho_fsm::command::{Command, Item};
use sekisho_fsm::entry::Entry;
use sekisho_types::device::Bucket;
use sekisho_types::id::{
    ApprovalId, DeviceClass, Digest, JobId, NodeId, OperatorId, PolicyId, PublicKey, SiteId,
    TenantId,
};
use sekisho_types::job::{JobFacts, OnDisconnect};
use sekisho_types::name::Name;
use sekisho_types::offer::Vetoed;
use sekisho_types::placement::Ending;
use sekisho_types::principal::Principal;
use sekisho_types::rare::Rare;
use sekisho_types::residency::Rules;
use sekisho_types::revision::{Epoch, PlacementId, Revision};
use sekisho_types::time::Timestamp;
use sekisho_types::topology::Topology;
use std::collections::{BTreeMap, BTreeSet};

/// A node as enrolled.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) operator: OperatorId,
    pub(super) key: Digest,
    pub(super) receipt_key: PublicKey,
    /// `None` if its tag did not verify: every grant on it is a violation.
    pub(super) tag: Option<SiteTag>,
    pub(super) buckets: Vec<Bucket>,
    /// As its agent told with its session.
    pub(super) rack: Option<Name>,
    pub(super) session: Option<SessionId>,
    pub(super) expired: bool,
    /// Its session is of the incarnation before.
    pub(super) stale: bool,
    pub(super) revoked: bool,
    pub(super) held: BTreeSet<PlacementId>,
    /// Epoch of its newest desired set.
    pub(super) floor: Option<Epoch>,
    /// The entry that last said how it is drained.
    pub(super) drain: Option<Revision>,
}

/// How far a living placement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// The agent has said nothing.
    Granted,
    /// The agent began.
    Begun,
    /// Ordered to stop: charged, but no longer desired.
    Stopping,
}

/// A placement that is not confirmed dead.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) job: JobId,
    /// What its job asked for when it was granted.
    pub(super) topology: Rare<Topology>,
    pub(super) rank: u32,
    pub(super) node: NodeId,
    pub(super) class: DeviceClass,
    pub(super) memory_mib: u64,
    pub(super) island: u16,
    pub(super) gpus: u32,
    pub(super) share: Option<Share>,
    pub(super) on_disconnect: OnDisconnect,
    pub(super) digest: Digest,
    pub(super) life: Life,
    pub(super) charge: Charge,
}

/// A submitted job.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) facts: JobFacts,
    pub(super) submitter: Principal,
    pub(super) submitted: Revision,
    /// Of all its tasks.
    pub(super) held: BTreeSet<PlacementId>,
    /// The highest task that was granted, and in which entry.
    pub(super) newest: Option<(u32, Revision)>,
}

/// Everything at one point of the log.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) bundle: EndorserBundle,
    pub(super) table: Digest,
    /// The entry that opened the incarnation.
    pub(super) opened: Revision,
    pub(super) sites: BTreeMap<SiteId, (OperatorId, sekisho_types::jurisdiction::Area)>,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    /// Whether the node of a token needs no approval.
    pub(super) tokens: BTreeMap<Digest, bool>,
    /// Nodes that wait for approval.
    pub(super) pending: BTreeSet<NodeId>,
    /// Keys of decommissioned nodes.
    pub(super) retired: BTreeSet<Digest>,
    /// Nodes of which there are two.
    pub(super) quarantined: BTreeSet<NodeId>,
    pub(super) tenants: BTreeMap<TenantId, Option<PolicyId>>,
    pub(super) policies: BTreeMap<PolicyId, (Revision, Rare<Rules>)>,
    pub(super) ledger: Ledger,
    pub(super) budgets: Budgets,
    pub(super) offers: Offers,
    pub(super) caps: Caps,
    pub(super) reservations: Reservations,
    pub(super) escrows: BTreeMap<EscrowKey, Escrow>,
    /// Wholes, with the placements of all their tasks.
    pub(super) jobs: BTreeMap<JobId, Job>,
    pub(super) placements: BTreeMap<PlacementId, Held>,
    /// Every grant of the log so far, with its digest: what agents may have been shown.
    pub(super) granted: BTreeMap<PlacementId, Digest>,
    /// Refusal receipts that were verified.
    pub(super) receipts: usize,
    /// Nodes whose set changed in this entry and was not told yet.
    pub(super) untold: BTreeSet<NodeId>,
    /// Grants of this entry so far.
    pub(super) ordinal: u32,
    /// Jobs that it granted.
    pub(super) fresh: BTreeSet<JobId>,
    /// Digest of the grant that this entry takes over from the incarnation before; it follows as a record.
    pub(super) adopting: Option<Digest>,
    /// Bundles of this incarnation that were replaced, and those of the one before.
    pub(super) replaced: Vec<EndorserBundle>,
    pub(super) before: Vec<EndorserBundle>,
    pub(super) landmarks: LandmarkTable,
    /// One was registered at some time.
    pub(super) landmarks_known: bool,
    /// The last fix of each node in its session.
    pub(super) fixes: BTreeMap<NodeId, Fix>,
    /// When each landmark measured each other one last.
    pub(super) ranged: BTreeMap<Pair, Timestamp>,
    /// Pairs of which one measured what cannot be, by who measured.
    pub(super) contradictions: BTreeSet<Pair>,
    /// What was proposed and not carried out.
    pub(super) proposals: BTreeMap<ApprovalId, Proposal>,
    /// Who took the emergency right, by the entry, and until when.
    pub(super) glasses: BTreeMap<Revision, (Principal, Timestamp)>,
    /// Who asked for what is being read.
    pub(super) actor: Option<Principal>,
    /// The state clock after the entry that is being read.
    pub(super) now: Timestamp,
}

impl Model {
    pub(super) fn new(genesis: &Genesis) -> Self {
        let site = |s: &GenesisSite| (s.site.clone(), (s.operator.clone(), s.area));
        Self {
            bundle: genesis.bundle.clone(),
            table: genesis.table,
            opened: Revision(0),
            sites: genesis.sites.iter().map(site).collect(),
            nodes: BTreeMap::new(),
            tokens: BTreeMap::new(),
            pending: BTreeSet::new(),
            retired: BTreeSet::new(),
            quarantined: BTreeSet::new(),
            tenants: BTreeMap::new(),
            policies: BTreeMap::new(),
            ledger: Ledger::default(),
            budgets: Budgets::default(),
            offers: Offers::default(),
            caps: Caps::default(),
            reservations: Reservations::default(),
            escrows: BTreeMap::new(),
            jobs: BTreeMap::new(),
            placements: BTreeMap::new(),
            granted: BTreeMap::new(),
            receipts: 0,
            untold: BTreeSet::new(),
            ordinal: 0,
            fresh: BTreeSet::new(),
            adopting: None,
            replaced: Vec::new(),
            before: Vec::new(),
            landmarks: LandmarkTable::default(),
            landmarks_known: false,
            fixes: BTreeMap::new(),
            ranged: BTreeMap::new(),
            contradictions: BTreeSet::new(),
            proposals: BTreeMap::new(),
            glasses: BTreeMap::new(),
            actor: None,
            now: genesis.created,
        }
    }

    /// Ends the records of one entry: every changed set was told in a record, and each group stands as it was submitted.
    pub(super) fn settled(&mut self, at: At<'_>, report: &mut Report) {
        self.stand(at, report);
        self.ordinal = 0;
        self.adopting = None;
        for node in std::mem::take(&mut self.untold) {
            let why = format!("before it, the set of {node} changed without a record");
            report.found(Step::Fencing, Some(at.index), why);
        }
    }

    /// A step of the endorser bundle.
    fn agreed(&mut self, agreement: &Agreement) {
        if let Terms::AddOperator(newcomer) = &agreement.terms {
            let site = |s: &GenesisSite| (s.site.clone(), (s.operator.clone(), s.area));
            self.sites.extend(newcomer.sites.iter().map(site));
        }
        if let Terms::RemoveOperator(gone) = &agreement.terms {
            self.remove_landmarks(|id| id.operator == *gone);
            self.offers.forget(|by, _| by == gone);
        }
        let next = agreement.signed.bundle.clone();
        let old = std::mem::replace(&mut self.bundle, next);
        let another = old.incarnation != self.bundle.incarnation;
        self.replaced.push(old);
        if another {
            self.before = std::mem::take(&mut self.replaced);
        }
    }

    /// A new incarnation: what it takes away is gone, and every node is told its set anew.
    fn begin(&mut self, at: At<'_>, agreement: &Agreement, report: &mut Report) {
        let Some(opening) = opening(agreement) else {
            report.found(Step::Fencing, Some(at.index), "the agreement opens no incarnation");
            return;
        };
        let gone = &opening.withdrawn;
        let out = |(id, node): (&NodeId, &Node)| {
            let left = self.bundle.keys(&node.operator).is_none();
            let named = gone.nodes.contains(id) || gone.sites.contains(&id.site);
            (left || named).then(|| id.clone())
        };
        let out: Vec<NodeId> = self.nodes.iter().filter_map(out).collect();
        out.iter().for_each(|node| self.revoke(node));
        let goes = |id: &SiteId, operator: &OperatorId| {
            gone.sites.contains(id) || self.bundle.keys(operator).is_none()
        };
        let sites = self.sites.iter().filter(|(id, (operator, _))| goes(id, operator));
        let sites: Vec<SiteId> = sites.map(|(id, _)| id.clone()).collect();
        sites.iter().for_each(|site| self.take_back(site));
        self.untold.extend(self.nodes.keys().cloned());
        self.nodes.values_mut().for_each(|node| (node.stale, node.drain) = (true, None));
        self.remove_landmarks(|_| true);
        self.proposals.clear();
        self.opened = at.record.revision;
    }

    /// Folds an accepted entry in.
    #[expect(clippy::too_many_lines, reason = "one arm for each command, and nothing else")]
    pub(super) fn entry(&mut self, at: At<'_>, entry: &Entry, report: &mut Report) {
        match &entry.command {
            Command::Propose { .. }
            | Command::SignApproval { .. }
            | Command::RefuseApproval { .. }
            | Command::BreakGlass { .. }
            | Command::EndBreakGlass { .. } => self.access(at, entry),
            Command::Bootstrap(_) | Command::Tick | Command::SetSchedulable { .. } => {}
            Command::DrainNode { node, .. } => self.drain(node, Some(at.record.revision)),
            Command::UndrainNode { node, .. } => self.drain(node, None),
            Command::EvictDrained { node, drain } => self.evict(node, *drain),
            // Accepted, all of them were to go; that they had to is a matter of the replay.
            Command::EvictDenied { jobs } => jobs.iter().for_each(|job| self.stop_job(job)),
            Command::Preempt(of) => of.victims.iter().for_each(|job| self.stop_job(job)),
            Command::RaiseFeatureLevel { .. } => {}
            Command::RegisterKey { .. } | Command::RevokeKey { .. } | Command::Login(_) => {}
            Command::CreateToken { token, approved, .. } => {
                self.tokens.insert(*token, *approved);
            }
            // What a host says of itself keeps work away and lets none come that should not.
            Command::ReportFitness { .. } => {}
            Command::ApproveNode { node, node_key } => self.approve(at, node, node_key, report),
            Command::DecommissionNode { node } => self.decommission(at, node, report),
            // They decide who agrees to a placement, not what it may be.
            Command::SetVoter { .. } | Command::SetMemberAddress { .. } => {}
            Command::ChangeBundle(agreement) => self.agreed(agreement),
            Command::OpenIncarnation { base, agreement } => {
                base.iter().chain([agreement.as_ref()]).for_each(|step| self.agreed(step));
                self.begin(at, agreement, report);
            }
            // What was granted follows as records of its own.
            Command::CommitPlacement { .. } => {}
            Command::CreateSite { site, operator, area, .. } => {
                self.sites.insert(site.clone(), (operator.clone(), *area));
            }
            Command::RevokeSite { site } => self.revoke_site(site),
            Command::RevokeNode { node } => self.revoke(node),
            Command::QuarantineNode { node, why } => self.quarantine(node, why.session()),
            Command::ReleaseNode { node } => self.release(at, node, report),
            Command::RegisterLandmark { landmark: of, .. } => self.landmark(at, of, report),
            Command::RemoveLandmark { id, .. } => self.remove_landmarks(|landmark| landmark == id),
            Command::SubmitFix { node, fix, transcripts, .. } => {
                self.fixed(at, node, *fix, transcripts, report);
            }
            Command::SubmitRange { transcripts } => self.ranges(at, transcripts, report),
            Command::EnrollNode { token, node, node_key, receipt_key, tag } => {
                // A repeated enrolment by the same key is the same answer once more; its tag is not taken.
                if !self.nodes.contains_key(node) {
                    let approved = self.tokens.get(token).copied().unwrap_or(false);
                    self.enroll(at, node, (*node_key, approved), *receipt_key, report);
                    self.retag(at, node, tag, report);
                }
            }
            Command::RenewTag { node, tag } => self.retag(at, node, tag, report),
            Command::OpenSession { node, session, previous, buckets, live, rack, .. } => {
                self.open_session(node, (*session, *previous), (buckets, rack.as_ref()), live);
            }
            Command::Adopt { node, adoption, .. } => self.adopt(at, node, adoption, report),
            Command::Report { node, phases, .. } => self.report(node, phases),
            Command::Refuse { node, receipt } => self.refuse(at, node, receipt, report),
            Command::ExpireLease { node, session } => self.expire(node, *session),
            Command::PutTenant { tenant, policy, parent, .. } => {
                self.put_tenant(at, tenant, (policy, parent), report);
            }
            Command::PutPolicy { policy, rules, .. } => {
                self.policies.insert(policy.clone(), (at.record.revision, rules.clone().into()));
            }
            Command::SetQuota { tenant, class, area, allotment, .. } => {
                self.ledger.set(tenant, class, *area, *allotment);
            }
            Command::SetBudget { tenant, name, budget, .. } => {
                self.set_budget(at, (tenant, name), budget.as_ref(), report);
            }
            Command::SetEscrow { site, tenant, class, gpus, .. } => {
                let key = (site.clone(), tenant.clone(), class.clone());
                self.set_escrow(at, key, *gpus, report);
            }
            Command::PutOffer { site, name, offer, .. } => {
                self.put_offer(at, (site, name), offer, report);
            }
            Command::WithdrawOffer { site, name, .. } => self.offers.withdraw(site, name),
            Command::Veto { operator, of, .. } => self.offers.veto(operator, of),
            Command::LiftVeto { operator, of } => self.lift_veto(at, operator, of, report),
            Command::PutReservation(of) => self.put_reservation(at, of, report),
            Command::DeleteReservation(of) => self.delete_reservation(at, of, report),
            Command::SubmitJob { facts } => self.submitted(at, &entry.actor, facts),
            // It has no more to do with a grant than whether its site can read, or whether there is anything to run.
            Command::PutSiteKey(_) | Command::FoundPayload(_) => {}
            // What the log says of itself grants nothing.
            Command::Countersign { .. } | Command::RecordJournal(_) => {}
            Command::ResealJob { facts } => self.resealed(facts),
            Command::ReplaceJob { facts } => self.replaced(at, &entry.actor, facts),
            Command::StopReplicas { replicas } => {
                replicas.iter().for_each(|replica| self.stop_job(replica));
            }
            Command::SetPowerCap { site, watts, .. } => self.set_cap(at, site, *watts, report),
            // A name decides nothing.
            Command::UpdateSite { .. } => {}
            Command::DeletePolicy { policy, .. } => self.delete_policy(at, policy, report),
            Command::DeleteTenant { tenant, .. } => self.delete_tenant(at, tenant, report),
            Command::CancelJob { job } => self.stop_job(job),
            Command::Batch(all) => all.iter().for_each(|item| self.item(at, &entry.actor, item)),
        }
    }

    fn item(&mut self, at: At<'_>, actor: &Principal, item: &Item) {
        match item {
            Item::SubmitJob { facts } => self.submitted(at, actor, facts),
            Item::CancelJob { job } => self.stop_job(job),
            Item::SetSchedulable { .. } => {}
            Item::DrainNode { node, .. } => self.drain(node, Some(at.record.revision)),
            Item::UndrainNode { node, .. } => self.drain(node, None),
        }
    }

    fn resealed(&mut self, facts: &JobFacts) {
        if let Some(job) = self.jobs.get_mut(&facts.id) {
            job.facts = facts.clone();
        }
    }

    fn revoke_site(&mut self, site: &SiteId) {
        let of_site = |id: &&NodeId| id.site == *site;
        let nodes: Vec<NodeId> = self.nodes.keys().filter(of_site).cloned().collect();
        nodes.iter().for_each(|node| self.revoke(node));
        self.take_back(site);
    }

    fn submitted(&mut self, at: At<'_>, submitter: &Principal, facts: &JobFacts) {
        let job = Job {
            facts: facts.clone(),
            submitter: submitter.clone(),
            submitted: at.record.revision,
            held: BTreeSet::new(),
            newest: None,
        };
        if self.jobs.insert(facts.id.clone(), job).is_some() {
            // A veto of the one before it ended with that.
            self.offers.forget(|_, of| *of == Vetoed::Job(facts.id.clone()));
        }
    }

    /// A service runs something else from now on.
    fn replaced(&mut self, at: At<'_>, submitter: &Principal, facts: &JobFacts) {
        if let Some(job) = self.jobs.get_mut(&facts.id) {
            job.facts = facts.clone();
            job.submitter = submitter.clone();
            job.submitted = at.record.revision;
        }
    }

    /// Every member of a job is ordered to stop: of one task, or of all.
    pub(super) fn stop_job(&mut self, job: &JobId) {
        let held = self.jobs.get(&job.whole()).map(|job| job.held.clone()).unwrap_or_default();
        for id in held {
            if let Some(row) = self.placements.get_mut(&id)
                && (job.task.is_none() || row.job == *job)
                && row.life != Life::Stopping
            {
                row.life = Life::Stopping;
                self.untold.insert(row.node.clone());
            }
        }
    }

    /// A placement is confirmed dead: what it was charged returns, as far as it is not used up. Unless it exited well, its
    /// group goes with it.
    pub(super) fn end(&mut self, id: &PlacementId, ending: &Ending) {
        let Some(row) = self.placements.remove(id) else { return };
        if row.life != Life::Stopping {
            self.untold.insert(row.node.clone());
        }
        if let Some(node) = self.nodes.get_mut(&row.node) {
            node.held.remove(id);
        }
        if let Some(job) = self.jobs.get_mut(&row.job.whole()) {
            job.held.remove(id);
        }
        self.give_back(&row);
        if *ending != Ending::Exited(0) {
            self.stop_job(&row.job);
        }
    }
}
