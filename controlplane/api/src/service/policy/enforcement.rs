//! How far policies are enforced: what of them runs where, what has to leave, and what agents say they enforce.
//!
//! Must hold: a node counts as enforcing only if nothing on it has to leave, and its agent says that it enforces the set in
//! force; whose agent has no stream here is not known to. What an agent says is believed as far as a figure that people
//! read: nothing is freed by it.

use crate::core::Core;
use crate::limit::LAGGING_MAX;
use crate::service::count;
use sekisho_fsm::State;
use sekisho_fsm::eviction::{Residence, Stay};
use sekisho_fsm::state::Node;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_proto::v1::lagging::Cause;
use sekisho_types::id::{NodeId, PolicyId, TenantId};
use sekisho_types::limit::{EVICTION_WITHIN, KILL_GRACE, LEASE};
use sekisho_types::placement::Phase;
use sekisho_types::revision::{Epoch, Revision};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is found of one policy.
#[derive(Debug, Default)]
struct Tally {
    placements: u32,
    leaving: u32,
    stopping: u32,
    stale: u32,
    /// What keeps each of its nodes from enforcing it, as far as placements tell.
    nodes: BTreeMap<NodeId, Option<Cause>>,
    left: Option<Duration>,
}

fn add(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}

impl Tally {
    fn take(&mut self, state: &State, residence: &Residence<'_>) {
        add(&mut self.placements);
        let cause = self.nodes.entry(residence.row.grant.node.clone()).or_default();
        let stopping = match &residence.row.phase {
            Phase::Granted | Phase::Starting | Phase::Running => false,
            Phase::Stopping | Phase::Ended(_) => true,
        };
        match (&residence.stay, stopping) {
            (Stay::Leaves(_), false) => {
                add(&mut self.leaving);
                if residence.is_reachable() {
                    *cause = Some(Cause::Leaving);
                    self.left = self.left.max(Some(EVICTION_WITHIN));
                } else {
                    // It is told when its host is back, and nobody knows when that is.
                    cause.get_or_insert(Cause::OutOfContact);
                }
            }
            (Stay::Leaves(_), true) => {
                add(&mut self.stopping);
                cause.get_or_insert(Cause::Stopping);
                let told = Duration::from_millis(state.clock().since_ms(residence.row.changed));
                let left = LEASE.saturating_add(KILL_GRACE).saturating_sub(told);
                self.left = self.left.max(Some(left));
            }
            (Stay::Stale(..), _) => add(&mut self.stale),
            (Stay::Allowed, _) => {}
        }
    }
}

impl Core {
    /// The status of each of these policies, in their order.
    pub(crate) fn enforcement(
        &self,
        state: &State,
        policies: &[PolicyId],
        readable: &BTreeSet<TenantId>,
    ) -> Vec<v1::PolicyStatus> {
        let none = |id: &PolicyId| (id.clone(), Tally::default());
        let mut tallies: BTreeMap<PolicyId, Tally> = policies.iter().map(none).collect();
        let held = state.nodes().flat_map(|(_, node)| &node.placements);
        for residence in held.filter_map(|id| state.residence(id)) {
            let facts = &residence.job.facts;
            let tenant = state.tenant(&facts.id.tenant).and_then(|tenant| tenant.policy.as_ref());
            let binding: BTreeSet<&PolicyId> = facts.policy.iter().chain(tenant).collect();
            for policy in binding {
                if let Some(tally) = tallies.get_mut(policy) {
                    tally.take(state, &residence);
                }
            }
        }
        let status = |id: &PolicyId| {
            let tally = tallies.remove(id)?;
            self.policy_status(state, id, tally, readable)
        };
        policies.iter().filter_map(status).collect()
    }

    fn policy_status(
        &self,
        state: &State,
        id: &PolicyId,
        tally: Tally,
        readable: &BTreeSet<TenantId>,
    ) -> Option<v1::PolicyStatus> {
        let policy = state.policy(id)?;
        let bound = state.tenants().filter(|(_, tenant)| tenant.policy.as_ref() == Some(id));
        let bound = bound.filter(|(tenant, _)| readable.contains(tenant));
        let nodes = count(tally.nodes.len());
        let lags = |(id, cause)| self.lagging(state, &id, cause);
        let mut lagging: Vec<v1::Lagging> = tally.nodes.into_iter().filter_map(lags).collect();
        let enforcing = nodes.saturating_sub(count(lagging.len()));
        lagging.truncate(LAGGING_MAX);
        let ms = |left: Duration| u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        Some(v1::PolicyStatus {
            name: id.name(),
            etag: policy.revision.to_string(),
            since_ms: policy.since.0,
            tenants: bound.map(|(tenant, _)| tenant.name()).collect(),
            placements: tally.placements,
            leaving: tally.leaving,
            stopping: tally.stopping,
            stale: tally.stale,
            nodes,
            enforcing,
            lagging,
            left_ms: tally.left.map(ms),
        })
    }

    /// Why a node is not known to enforce what is in force.
    fn lagging(&self, state: &State, id: &NodeId, cause: Option<Cause>) -> Option<v1::Lagging> {
        let node = state.node(id)?;
        let accepted = self.sessions.accepted(id);
        let desired = desired(state, node);
        let told = || match accepted {
            None => Some(Cause::Elsewhere),
            Some(accepted) => (accepted < desired).then_some(Cause::Behind),
        };
        let gone = || node.live_session().is_none().then_some(Cause::OutOfContact);
        let cause = cause.or_else(gone).or_else(told)?;
        let accepted = accepted.unwrap_or_default().revision.0;
        let desired = desired.revision.0;
        Some(v1::Lagging { node: id.name(), cause: cause.into(), accepted, desired })
    }
}

/// Epoch of the set in force of a node.
fn desired(state: &State, node: &Node) -> Epoch {
    let incarnation = state.federation().map(|federation| federation.incarnation);
    let revision = node.desired.map_or(Revision(0), |(_, revision)| revision);
    incarnation.map_or_else(Epoch::default, |incarnation| Epoch { incarnation, revision })
}
