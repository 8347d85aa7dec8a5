//! Whether what runs may stay where it is: the rules in force now, not those of its grant (D1, ADR 14).
//!
//! ```text
//! allowed by the rules in force? ── yes ──> stays
//!   │ no, whatever proof the node had; or its tag is over ──> leaves
//!   │ no, for want of a proof
//!   └── rules say keep, and the grant was checked for as good a proof ──> stays, stale
//!       otherwise ──> leaves once it has been so for STALE_PROOF_GRACE
//! ```
//! Must hold: one function tells it for the leader's duty, for apply, for plans and for status. It reads a state and
//! changes nothing; a plan asks it of a state with other rules ([`State::supposing_policy`]).
//! Does not say what is revoked, drained or in quarantine: that has ways of its own.

use crate::apply::placement::is_desired;
use crate::apply::policy::check_rules;
use crate::apply::residency::{in_force, may_complete, named};
use crate::location::NodeProof;
use crate::outcome::Rejection;
use crate::state::{Job, Node, Placement, Policy, State, Tenant};
use sekisho_evidence::location::fix::{FIX_AGE_MAX_MS, proven};
use sekisho_evidence::tag::SiteTag;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{JobId, NodeId, PolicyId, TenantId};
use sekisho_types::job::{JobPhase, OnDisconnect};
use sekisho_types::jurisdiction::Area;
use sekisho_types::limit::{EVICTION_WITHIN, STALE_PROOF_GRACE};
use sekisho_types::placement::Phase;
use sekisho_types::residency::{OnStaleProof, PlaceProof, Rules, Tier, verdict};
use sekisho_types::revision::{PlacementId, Revision};
use sekisho_types::time::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// How a placement stands to the rules in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stay {
    /// They allow it.
    Allowed,
    /// They do not, for want of a proof; it goes on until then on the state clock, or for as long as it takes.
    Stale(Rejection, Option<Timestamp>),
    /// They do not.
    Leaves(Rejection),
}

/// A placement that is to go on, and how it stands.
#[derive(Debug, Clone)]
pub struct Residence<'s> {
    /// Which.
    pub id: PlacementId,
    /// The placement.
    pub row: &'s Placement,
    /// Its node.
    pub node: &'s Node,
    /// Its job.
    pub job: &'s Job,
    /// How it stands.
    pub stay: Stay,
}

impl Residence<'_> {
    /// Whether an order reaches it. What runs to completion on a host whose lease is over is told when that is back.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.node.live_session().is_some()
    }

    /// Why it has to leave now.
    #[must_use]
    pub fn leaves(&self) -> Option<&Rejection> {
        match &self.stay {
            Stay::Leaves(why) => Some(why),
            Stay::Allowed | Stay::Stale(..) => None,
        }
    }
}

/// What an eviction of a job finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing of it goes on.
    Gone,
    /// All of it may stay.
    Stays,
    /// It has to leave this node.
    Leaves(NodeId, Rejection),
}

/// The last instant at which a proof that is or was over at some time was enough for a rule set.
fn proven_until(rules: &Rules, tag: &SiteTag, held: NodeProof) -> Option<Timestamp> {
    let NodeProof { proof, expires } = held;
    let aged = rules.max_proof_age_s.unwrap_or(FIX_AGE_MAX_MS.div_ceil(1000));
    let until = expires.min(proof.oldest.plus_ms(aged.saturating_mul(1000)));
    let is_site = proven(tag.place(), Some(proof)).area_tier >= Tier::SiteProven;
    let is_enough = rules.enough_f(proof.f) && (is_site || !rules.wants_site());
    is_enough.then_some(until)
}

/// The same of all that is known of the node's proofs.
fn last_proven(rules: &Rules, node: &Node) -> Option<Timestamp> {
    let known = node.proof.into_iter().chain(node.lapsed);
    known.filter_map(|held| proven_until(rules, &node.tag, held)).max()
}

/// The prefecture of the tag, as a proof of the site names it.
fn home(tag: &SiteTag) -> Option<Area> {
    tag.area.domestic().and_then(Area::prefecture)
}

/// The least proof that the rules of a grant asked for, as young as a proof can be: age is not a matter of what was asked.
fn asked(row: &Placement, node: &Node, now: Timestamp) -> Option<PlaceProof> {
    let all = || row.grant.rules.iter().map(|bound| &*bound.rules);
    if !all().any(Rules::wants_proof) {
        return None;
    }
    let of_country = all().filter(|rules| rules.country_tier >= Tier::CountryProven);
    let f = of_country.map(|rules| rules.proof_f).max().unwrap_or_default();
    let prefecture = home(&node.tag).filter(|_| all().any(Rules::wants_site));
    Some(PlaceProof { f, oldest: now, prefecture })
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How a placement stands on its node.
fn stay(state: &State, (id, row): (&PlacementId, &Placement), node: &Node, job: &Job) -> Stay {
    let facts = &job.facts;
    if let Some(((operator, of), veto)) = state.vetoed(&node.operator, &facts.id) {
        let why = format!("{operator} takes no work of {of}: {}", veto.reason);
        return Stay::Leaves(Rejection::new(ErrorCode::OfferVetoed, why));
    }
    if state.is_surplus(id, row) {
        let why = format!("less is offered at {} than runs there", row.grant.node.site);
        return Stay::Leaves(Rejection::new(ErrorCode::OfferFull, why));
    }
    if state.is_displaced(id, row) {
        let why =
            format!("devices at {} that others reserved are to be had now", row.grant.node.site);
        return Stay::Leaves(Rejection::new(ErrorCode::OfferReserved, why));
    }
    // A policy that the state does not know, of a job that was adopted into it: what it was granted under binds.
    let rules: Vec<&Rules> = match named(state, facts) {
        Ok(named) => named.into_iter().map(|(_, rules)| &**rules).collect(),
        Err(_unknown) => row.grant.rules.iter().map(|bound| &*bound.rules).collect(),
    };
    let held = in_force(state, node).and_then(|()| may_complete(facts, rules.iter().copied()));
    if let Err(why) = held {
        return Stay::Leaves(why);
    }
    let now = state.clock;
    let Err(denial) = verdict(&node.place(now), &rules, now) else { return Stay::Allowed };
    // No proof is better than one that withstands everybody, is of the site and of this moment.
    let best = PlaceProof { f: u32::MAX, oldest: now, prefecture: home(&node.tag) };
    if let Err(denial) = verdict(&proven(node.tag.place(), Some(best)), &rules, now) {
        return Stay::Leaves(Rejection::new(denial.code(), denial.to_string()));
    }
    let why = Rejection::new(denial.code(), denial.to_string());
    stale(row, node, &rules, now, why)
}

/// Of a placement whose place is in order but for its proof.
fn stale(row: &Placement, node: &Node, rules: &[&Rules], now: Timestamp, why: Rejection) -> Stay {
    let (place, granted) = (node.place(now), proven(node.tag.place(), asked(row, node, now)));
    let mut leaves: Option<Timestamp> = None;
    for rule in rules {
        if verdict(&place, &[*rule], now).is_ok() {
            continue;
        }
        let kept =
            rule.on_stale_proof == OnStaleProof::Keep && verdict(&granted, &[*rule], now).is_ok();
        if !kept {
            let due = last_proven(rule, node)
                .map_or(Timestamp(0), |at| at.plus_ms(ms(STALE_PROOF_GRACE)));
            leaves = Some(leaves.map_or(due, |earlier| earlier.min(due)));
        }
    }
    match leaves {
        Some(due) if due <= now => Stay::Leaves(why),
        until => Stay::Stale(why, until),
    }
}

impl State {
    /// How a placement stands to the rules in force; `None` if it is not known or its job or node is gone.
    #[must_use]
    pub fn residence(&self, id: &PlacementId) -> Option<Residence<'_>> {
        let row = self.placements.get(id)?;
        let (node, job) = (self.nodes.get(&row.grant.node)?, self.jobs.get(&row.grant.job)?);
        Some(Residence { id: *id, row, node, job, stay: stay(self, (id, row), node, job) })
    }

    /// How each placement stands that is to go on, node by node.
    pub fn residences(&self) -> impl Iterator<Item = Residence<'_>> {
        let held = self.nodes.iter().flat_map(|(_, node)| &node.placements);
        let goes_on = |residence: &Residence<'_>| is_desired(&residence.row.phase);
        held.filter_map(|id| self.residence(id)).filter(goes_on)
    }

    /// Placements that the rules in force refuse and that should have stopped, each with the instant by which: nobody
    /// ordered it, or nobody obeyed. Without those that are to run to completion on a host that is out of contact, which
    /// is told when it is back.
    pub fn overdue(&self) -> impl Iterator<Item = (Residence<'_>, Timestamp)> {
        let held = self.nodes.iter().flat_map(|(_, node)| &node.placements);
        held.filter_map(|id| self.residence(id)).filter_map(|residence| {
            residence.leaves()?;
            let waits = residence.row.grant.on_disconnect == OnDisconnect::RunToCompletion
                && !residence.is_reachable();
            let ended = matches!(residence.row.phase, Phase::Ended(_));
            let by = self.refused_since(&residence).plus_ms(ms(EVICTION_WITHIN));
            (!waits && !ended && by < self.clock).then_some((residence, by))
        })
    }

    /// Since when what has to leave is refused, at the latest: the last that happened of all that can make it so.
    fn refused_since(&self, residence: &Residence<'_>) -> Timestamp {
        let (facts, node) = (&residence.job.facts, residence.node);
        let bound = self.tenants.get(&facts.id.tenant).filter(|tenant| tenant.policy.is_some());
        let named = facts.policy.iter().chain(bound.and_then(|tenant| tenant.policy.as_ref()));
        let policies: Vec<&Policy> = named.filter_map(|id| self.policies.get(id)).collect();
        let rules = policies.iter().map(|policy| &policy.rules).chain([&facts.residency]);
        let proofs = rules
            .filter(|rules| rules.country_tier >= Tier::CountryProven)
            .filter_map(|rules| last_proven(rules, node))
            .map(|last| last.plus_ms(ms(STALE_PROOF_GRACE)));
        let put = policies.iter().map(|policy| policy.since);
        let bound = bound.and_then(|tenant| self.written(tenant.revision));
        let tag = [node.tag.issued, node.tag.expires];
        let veto = self.vetoed(&node.operator, &facts.id).map(|(_, veto)| veto.since);
        let offer = self.offer_of(residence.row).map(|offer| offer.lowered(self.clock));
        let reserved = self.reserved_since(residence.row);
        let all = put.chain(proofs).chain(bound).chain(tag).chain(veto).chain(offer);
        let all = all.chain(reserved);
        all.filter(|at| *at <= self.clock).max().unwrap_or_default()
    }

    /// When a signed command was applied, if that is not so long ago that its answer is forgotten.
    fn written(&self, revision: Revision) -> Option<Timestamp> {
        let found = self.replies.iter().find(|(_, kept)| kept.revision == revision);
        found.map(|(_, kept)| kept.at)
    }

    /// Jobs that have to leave where they are and can be told so, with a node that they have to leave and why.
    #[must_use]
    pub fn denied(&self) -> BTreeMap<JobId, (NodeId, Rejection)> {
        let due = self.residences().filter(Residence::is_reachable);
        let due = due.filter_map(|residence| {
            let why = residence.leaves()?.clone();
            Some((residence.row.grant.job.clone(), (residence.row.grant.node.clone(), why)))
        });
        due.collect()
    }

    /// The same of one job.
    pub(crate) fn due(&self, id: &JobId) -> Due {
        let Some(job) = self.jobs.get(id) else { return Due::Gone };
        match job.phase {
            JobPhase::Placed | JobPhase::Running => {}
            JobPhase::Held
            | JobPhase::Queued
            | JobPhase::Stopping
            | JobPhase::Succeeded
            | JobPhase::Failed
            | JobPhase::Cancelled => return Due::Gone,
        }
        let residences = job.placements.iter().filter_map(|id| self.residence(id));
        let goes_on = |residence: &Residence<'_>| is_desired(&residence.row.phase);
        let mut due = residences.filter(goes_on).filter(Residence::is_reachable);
        let found = due.find_map(|residence| {
            let why = residence.leaves()?.clone();
            Some(Due::Leaves(residence.row.grant.node.clone(), why))
        });
        found.unwrap_or(Due::Stays)
    }

    /// Whether rules could be stored now.
    ///
    /// # Errors
    /// As of the command that would store them.
    pub fn check_rules(&self, rules: &Rules) -> Result<(), Rejection> {
        check_rules(self, rules, self.clock.date_in_japan())
    }

    /// This state with other rules in a policy, to ask it what would become of it.
    ///
    /// # Errors
    /// As of the command that would change it.
    pub fn supposing_policy(&self, id: &PolicyId, rules: &Rules) -> Result<Self, Rejection> {
        if !self.policies.contains(id) {
            return Err(Rejection::new(ErrorCode::NotFound, format!("policy {id} does not exist")));
        }
        self.check_rules(rules)?;
        let mut supposed = self.clone();
        let revision = Revision(self.revision.0.saturating_add(1));
        let row = Policy { rules: rules.clone().into(), revision, since: self.clock };
        supposed.policies.insert(id.clone(), row);
        Ok(supposed)
    }

    /// This state with another policy that bounds a tenant, or none, to ask it the same.
    ///
    /// # Errors
    /// As of the command that would change it.
    pub fn supposing_bound(
        &self,
        id: &TenantId,
        policy: Option<&PolicyId>,
    ) -> Result<Self, Rejection> {
        let missing = |what: String| Rejection::new(ErrorCode::NotFound, what);
        let row = self.tenants.get(id);
        let row = row.ok_or_else(|| missing(format!("tenant {id} does not exist")))?;
        if let Some(policy) = policy.filter(|policy| !self.policies.contains(policy)) {
            return Err(missing(format!("policy {policy} does not exist")));
        }
        let mut supposed = self.clone();
        let revision = Revision(self.revision.0.saturating_add(1));
        let row = Tenant { policy: policy.cloned(), revision, ..row.clone() };
        supposed.tenants.insert(id.clone(), row);
        Ok(supposed)
    }

    /// Whether the policy is among what binds a job: it names it, or its tenant is bound to it.
    #[must_use]
    pub fn binds(&self, policy: &PolicyId, job: &Job) -> bool {
        let tenant = self.tenants.get(&job.facts.id.tenant);
        job.facts.policy.as_ref() == Some(policy)
            || tenant.is_some_and(|tenant| tenant.policy.as_ref() == Some(policy))
    }
}
