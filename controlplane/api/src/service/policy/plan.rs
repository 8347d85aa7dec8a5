//! What other rules of a policy, or another policy of a tenant, would do now: asked of two states, the one that stands and the
//! one with the change, by the functions that would do it.
//!
//! Must hold: it changes nothing; what the caller may not read is neither named nor counted.

use super::check::{alone, judge, message};
use crate::limit::{PLAN_KINDS_MAX, PLAN_QUEUE_MAX, PLAN_ROWS_MAX};
use crate::service::count;
use sekisho_evidence::canonical::encode;
use sekisho_fsm::State;
use sekisho_fsm::eviction::{Residence, Stay};
use sekisho_fsm::outcome::Rejection;
use sekisho_fsm::state::Job;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_scheduler::{Explainer, Verdict};
use sekisho_types::id::{JobId, NodeId, PolicyId, SiteId, TenantId};
use sekisho_types::job::OnDisconnect;
use sekisho_types::limit::EVICTION_WITHIN;
use sekisho_types::residency::Rules;
use sekisho_types::revision::Revision;
use std::collections::{BTreeMap, BTreeSet};

/// The change.
#[derive(Debug)]
pub(super) struct Change<'c> {
    pub(super) now: &'c State,
    /// The same with the change.
    pub(super) then: &'c State,
    pub(super) of: Changed<'c>,
    /// Tenants whose jobs the caller may read.
    pub(super) readable: &'c BTreeSet<TenantId>,
}

/// What would be changed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Changed<'c> {
    /// The rules of a policy.
    Policy(&'c PolicyId),
    /// The policy that bounds a tenant.
    Tenant(&'c TenantId),
}

impl Changed<'_> {
    fn revision(self, state: &State) -> Option<Revision> {
        match self {
            Self::Policy(id) => state.policy(id).map(|policy| policy.revision),
            Self::Tenant(id) => state.tenant(id).map(|tenant| tenant.revision),
        }
    }

    /// Whether the change is one of what binds this job.
    fn binds(self, state: &State, job: &Job) -> bool {
        match self {
            Self::Policy(id) => state.binds(id, job),
            Self::Tenant(id) => job.facts.id.tenant == *id,
        }
    }

    /// The rules that it is about; of a tenant that no policy bounds, such as allow all of Japan.
    fn rules(self, state: &State) -> Option<Rules> {
        let of = |id: &PolicyId| state.policy(id).map(|policy| Rules::clone(&policy.rules));
        match self {
            Self::Policy(id) => of(id),
            Self::Tenant(id) => {
                state.tenant(id)?.policy.as_ref().map_or_else(|| Some(Rules::default()), of)
            }
        }
    }
}

/// What it would do.
pub(super) fn plan(change: &Change<'_>) -> v1::PlanPolicyResponse {
    let now = change.now;
    let departures = change.departures();
    let completing = departures.iter().filter(|row| row.run_to_completion).count();
    let jobs: BTreeSet<&str> = departures.iter().map(|row| row.job.as_str()).collect();
    let (stranded, queue_cut) = change.stranded();
    let nodes = change.nodes();
    v1::PlanPolicyResponse {
        revision: now.revision().0,
        etag: change.of.revision(now).map(|of| of.to_string()).unwrap_or_default(),
        departure_count: count(departures.len()),
        completing_count: count(completing),
        job_count: count(jobs.len()),
        departures: first(departures),
        stranded_count: count(stranded.len()),
        stranded: first(stranded),
        queue_cut,
        lost_count: count(nodes.lost.len()),
        lost: first(nodes.lost),
        gained_count: count(nodes.gained.len()),
        gained: first(nodes.gained),
        lost_sites: nodes.lost_sites,
        gained_sites: nodes.gained_sites,
        within_ms: u64::try_from(EVICTION_WITHIN.as_millis()).unwrap_or(u64::MAX),
        partial: now.tenants().any(|(id, _)| !change.readable.contains(id)),
    }
}

fn first<T>(mut rows: Vec<T>) -> Vec<T> {
    rows.truncate(PLAN_ROWS_MAX);
    rows
}

/// Nodes and sites that the rules in question would no longer allow, or allow for the first time.
#[derive(Debug, Default)]
struct Nodes {
    lost: Vec<v1::NodeVerdict>,
    gained: Vec<v1::NodeVerdict>,
    lost_sites: Vec<String>,
    gained_sites: Vec<String>,
}

impl Change<'_> {
    fn is_readable(&self, job: &JobId) -> bool {
        self.readable.contains(&job.tenant)
    }

    /// What has to leave with the change and has not without it, each with its whole group.
    fn departures(&self) -> Vec<v1::Departure> {
        let mut out: BTreeMap<&JobId, (&NodeId, &Rejection)> = BTreeMap::new();
        let residences: Vec<Residence<'_>> = self.then.residences().collect();
        for residence in &residences {
            let job = &residence.row.grant.job;
            let leaves_now =
                || self.now.residence(&residence.id).is_some_and(|s| s.leaves().is_some());
            if let Some(why) = residence.leaves().filter(|_| self.is_readable(job) && !leaves_now())
            {
                out.entry(job).or_insert((&residence.row.grant.node, why));
            }
        }
        let row = |residence: &Residence<'_>| {
            let grant = &residence.row.grant;
            let (node, group) = out.get(&grant.job)?;
            let (reason, detail) = match &residence.stay {
                Stay::Leaves(why) => (why.code, why.detail.clone()),
                Stay::Allowed | Stay::Stale(..) => {
                    (group.code, format!("with its group, which leaves {node}"))
                }
            };
            Some(v1::Departure {
                job: grant.job.name(),
                placement: residence.id.to_string(),
                node: grant.node.name(),
                reason: reason.to_string(),
                detail,
                run_to_completion: grant.on_disconnect == OnDisconnect::RunToCompletion,
                out_of_contact: !residence.is_reachable(),
            })
        };
        let mut rows: Vec<v1::Departure> = residences.iter().filter_map(row).collect();
        rows.sort_by(|a, b| {
            let key = |row: &v1::Departure| (!row.run_to_completion, row.job.clone());
            key(a).cmp(&key(b))
        });
        rows
    }

    /// Queued jobs that the change binds and that could be placed nowhere any more; and whether there is more of the queue than was
    /// looked at. Jobs that differ in nothing that matters are explained once.
    fn stranded(&self) -> (Vec<v1::Stranded>, bool) {
        let mut kinds: BTreeMap<Vec<u8>, Option<(String, String)>> = BTreeMap::new();
        let mut rows = Vec::new();
        let (mut before, mut after) = (Explainer::default(), Explainer::default());
        let mut never = |job: &Job| self.never(job, (&mut before, &mut after));
        let mut queue = self.now.queue().filter_map(|(_, id)| Some((id, self.now.job(id)?)));
        for (id, job) in queue.by_ref().take(PLAN_QUEUE_MAX) {
            if !self.is_readable(id) || !self.of.binds(self.now, job) {
                continue;
            }
            let kind = kind(job);
            if !kinds.contains_key(&kind) && kinds.len() >= PLAN_KINDS_MAX {
                return (rows, true);
            }
            let why = kinds.entry(kind).or_insert_with(|| never(job));
            if let Some((reason, detail)) = why {
                let (reason, detail) = (reason.clone(), detail.clone());
                rows.push(v1::Stranded { job: id.name(), reason, detail });
            }
        }
        (rows, queue.next().is_some())
    }

    /// Why a job would never be placed, if without the change it may be.
    fn never(
        &self,
        job: &Job,
        (before, after): (&mut Explainer, &mut Explainer),
    ) -> Option<(String, String)> {
        let then = after.explain(self.then, &job.facts);
        let new = then.verdict == Verdict::Never
            && before.explain(self.now, &job.facts).verdict != Verdict::Never;
        let code = then.binding.filter(|_| new)?;
        let step = then.steps.iter().find(|step| step.token == code.as_str());
        let detail = step.map_or_else(|| then.detail.clone(), |step| step.condition.clone());
        Some((code.to_string(), detail))
    }

    fn nodes(&self) -> Nodes {
        let mut found = Nodes::default();
        let rules = |state: &State| self.of.rules(state).map(|rules| alone(&rules));
        let (Some(old), Some(new)) = (rules(self.now), rules(self.then)) else { return found };
        let mut sites: BTreeMap<&SiteId, (bool, bool)> = BTreeMap::new();
        for (id, node) in self.now.nodes() {
            let (before, after) =
                (judge(self.now, &old, id, node), judge(self.now, &new, id, node));
            let site = sites.entry(&id.site).or_default();
            *site = (site.0 || before.is_ok(), site.1 || after.is_ok());
            if before.is_ok() && after.is_err() {
                found.lost.push(message(self.now, id, node, &after));
            } else if before.is_err() && after.is_ok() {
                found.gained.push(message(self.now, id, node, &after));
            }
        }
        for (site, (before, after)) in sites {
            if before && !after {
                found.lost_sites.push(site.name());
            } else if after && !before {
                found.gained_sites.push(site.name());
            }
        }
        found
    }
}

/// Everything of a queued job that decides whether it can be placed.
fn kind(job: &Job) -> Vec<u8> {
    let facts = &job.facts;
    let asks = (&facts.resources, facts.group, &facts.topology, facts.on_disconnect);
    // Types of the state always encode.
    let avoid: Vec<_> = job.avoid.keys().collect();
    encode(&(&facts.id.tenant, &facts.policy, &facts.residency, asks, avoid)).unwrap_or_default()
}
