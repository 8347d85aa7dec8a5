//! The health of the federation as one member sees it, worst first, each line with the command that helps.
//!
//! Must hold: derived from applied state and what this member hears, so that it can be asked without a leader; what is
//! not known is not shown as well. What only a member can know of itself (its disk, its certificate, its load) it tells
//! the others, so that whoever is asked shows all.

mod findings;
mod gauges;

use crate::core::{Core, federation};
use crate::limit::SIGNER_LATE;
use crate::replica::Membership;
use sekisho_evidence::genesis::GenesisMember;
use sekisho_fsm::State;
use sekisho_fsm::state::{Federation, Standing};
use sekisho_proto::name::Resource as _;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{MemberId, OperatorId, SiteId};
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Nodes by state, and their GPUs.
#[derive(Debug, Default)]
struct Fleet {
    nodes: BTreeMap<v1::node::State, u32>,
    gpus_used: u64,
    gpus_total: u64,
}

impl Fleet {
    fn count(&self, state: v1::node::State) -> u32 {
        self.nodes.get(&state).copied().unwrap_or_default()
    }
}

/// One member's view of the federation at one moment.
#[derive(Debug)]
pub(crate) struct Health<'h> {
    core: &'h Core,
    state: &'h State,
    federation: &'h Federation,
    pub(crate) membership: Membership,
    now_ns: u64,
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn small(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Voters that must stand for a majority.
fn majority(voters: usize) -> usize {
    (voters / 2).saturating_add(1)
}

/// Members, then sites, then operators, without whom no majority is left.
pub(crate) fn can_stop_quorum(
    voters: &BTreeSet<MemberId>,
    place_of: impl Fn(MemberId) -> Option<(SiteId, OperatorId)>,
) -> Vec<String> {
    let need = majority(voters.len());
    let stops = |own: usize| voters.len().saturating_sub(own) < need;
    let (mut sites, mut operators) = (BTreeMap::new(), BTreeMap::new());
    for (site, operator) in voters.iter().filter_map(|id| place_of(*id)) {
        let at_site: &mut usize = sites.entry(site).or_default();
        *at_site = at_site.saturating_add(1);
        let own: &mut usize = operators.entry(operator).or_default();
        *own = own.saturating_add(1);
    }
    let members = voters.iter().filter(|_| stops(1)).map(|id| id.name());
    let sites = sites.iter().filter(|(_, own)| stops(**own)).map(|(site, _)| site.name());
    let operators = operators.iter().filter(|(_, own)| stops(**own));
    let operators = operators.map(|(operator, _)| format!("operators/{operator}"));
    members.chain(sites).chain(operators).collect()
}

impl Core {
    /// Sites all of whose members are silent: what their controllers would say is missing, not empty.
    pub(crate) fn unreachable_sites(&self, state: &State) -> Vec<String> {
        let now = self.clock.boottime_ns();
        let mut sites: BTreeMap<&SiteId, bool> = BTreeMap::new();
        for member in state.federation().iter().flat_map(|f| f.members.values()) {
            let reachable = sites.entry(&member.site).or_default();
            *reachable |= self.hears(member.member, now);
        }
        sites.iter().filter(|(_, reachable)| !**reachable).map(|(site, _)| site.name()).collect()
    }

    /// Whether this member heard from another lately; of itself it always has.
    pub(crate) fn hears_now(&self, member: MemberId) -> bool {
        self.hears(member, self.clock.boottime_ns())
    }

    fn hears(&self, member: MemberId, now_ns: u64) -> bool {
        member == self.identity.member
            || self.peers.of(member, now_ns).is_some_and(|(_, lately)| lately)
    }
}

impl<'h> Health<'h> {
    pub(crate) fn of(core: &'h Core, state: &'h State) -> Result<Self, ApiError> {
        let federation = federation(state)?;
        let (membership, now_ns) = (core.replica.membership(), core.clock.boottime_ns());
        Ok(Self { core, state, federation, membership, now_ns })
    }

    pub(crate) fn members(&self) -> Vec<v1::Member> {
        let members = self.federation.members.values();
        let lags = self.lags();
        members.chain(&self.membership.leaving).map(|member| self.member(member, &lags)).collect()
    }

    fn member(&self, member: &GenesisMember, lags: &BTreeMap<MemberId, u64>) -> v1::Member {
        let (id, group) = (member.member, &self.membership);
        let own = id == self.core.identity.member;
        let heard = self.core.peers.of(id, self.now_ns).map(|(heard, _)| heard);
        let problem = if own {
            self.core.heads.problem().unwrap_or_default()
        } else {
            heard.map(|heard| heard.problem).unwrap_or_default()
        };
        let role = match (group.voters.contains(&id), group.learners.contains(&id)) {
            (true, _) => "voter",
            (false, true) => "learner",
            (false, false) => "none",
        };
        let standing = match self.federation.standing(id) {
            Some(Standing::Voter) => "voter",
            Some(Standing::Learner) => "learner",
            Some(Standing::Removed) | None => "removed",
        };
        v1::Member {
            name: id.name(),
            operator: member.operator.to_string(),
            site: member.site.to_string(),
            address: member.address.clone(),
            leader: group.leader == Some(id),
            role: role.to_owned(),
            lag: lags.get(&id).copied(),
            reachable: self.core.hears(id, self.now_ns),
            signed_revision: self.core.notes.signed_by(id).0,
            signer_problem: problem,
            standing: standing.to_owned(),
            matched: group.matched.get(&id).map(|matched| matched.0),
            silent_for_ms: group.silent_for.get(&id).map(|silent| ms(*silent)),
            waits_for: group.waits.get(&id).cloned().unwrap_or_default(),
        }
    }

    pub(crate) fn can_stop_quorum(&self) -> Vec<String> {
        let place_of = |id: MemberId| {
            let known = self.federation.members.get(&id);
            let member =
                known.or_else(|| self.membership.leaving.iter().find(|m| m.member == id))?;
            Some((member.site.clone(), member.operator.clone()))
        };
        can_stop_quorum(&self.membership.voters, place_of)
    }

    /// Audit records that no checkpoint of k operators covers, as far as this member knows.
    fn uncovered(&self) -> u64 {
        let covered = self.core.notes.newest().map_or(0, |note| note.checkpoint.head.size);
        self.state.audit_size().saturating_sub(covered)
    }

    fn missing_signers(&self) -> Vec<String> {
        let since = Timestamp(self.state.clock().0.saturating_sub(ms(SIGNER_LATE)));
        let missing = self.core.notes.missing(&self.federation.bundle, since);
        missing.iter().map(ToString::to_string).collect()
    }

    fn fleet(&self) -> Fleet {
        let mut fleet = Fleet::default();
        for (id, node) in self.state.nodes() {
            let count = fleet.nodes.entry(self.core.node_phase(self.state, id, node)).or_default();
            *count = count.saturating_add(1);
            let sum = |numbers: &mut dyn Iterator<Item = u32>| {
                numbers.fold(0u64, |sum, n| sum.saturating_add(u64::from(n)))
            };
            let used = sum(&mut node.used.values().copied());
            let total = sum(&mut node.buckets.iter().map(|b| b.count));
            fleet.gpus_used = fleet.gpus_used.saturating_add(used);
            fleet.gpus_total = fleet.gpus_total.saturating_add(total);
        }
        fleet
    }

    pub(crate) fn status(&self) -> Result<v1::Status, ApiError> {
        let state = self.state;
        let fleet = self.fleet();
        let digest = state.digest();
        let digest = digest.map_err(|e| ApiError::new(ErrorCode::Internal, e.to_string()))?;
        Ok(v1::Status {
            revision: state.revision().0,
            term: self.membership.term,
            leader: self.membership.leader.map(|id| id.name()).unwrap_or_default(),
            audit_size: state.audit_size(),
            audit_uncovered: self.uncovered(),
            k: self.federation.bundle.k,
            missing_signers: self.missing_signers(),
            findings: self.findings().iter().map(v1::status::Finding::from).collect(),
            jobs_queued: small(state.queue_len()),
            jobs_running: u32::try_from(state.job_counts().running).unwrap_or(u32::MAX),
            nodes_ready: fleet.count(v1::node::State::Ready),
            nodes_total: small(state.nodes().count()),
            gpus_used: fleet.gpus_used,
            gpus_total: fleet.gpus_total,
            cluster: self.federation.cluster.to_string(),
            state_digest: digest.to_string(),
            members: self.members(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_can_stop_the_quorum_is_named() {
        let stop = |operators: &str| {
            let of: Vec<OperatorId> = operators.split(' ').map(|o| o.parse().unwrap()).collect();
            let voters = (1..=of.len() as u64).map(MemberId).collect();
            let place_of = |id: MemberId| {
                let operator = of.get(usize::try_from(id.0).unwrap() - 1)?;
                // The second member of an operator stands at its second site, the third at its first.
                let nth = of.iter().take(usize::try_from(id.0).unwrap()).filter(|o| *o == operator);
                let site = format!("{operator}-{}", nth.count() % 2).parse().unwrap();
                Some((site, operator.clone()))
            };
            can_stop_quorum(&voters, place_of).join(" ")
        };
        assert_eq!(stop("a"), "members/1 sites/a-1 operators/a");
        assert_eq!(stop("a b"), "members/1 members/2 sites/a-1 sites/b-1 operators/a operators/b");
        assert_eq!(stop("a b c"), "");
        assert_eq!(stop("a a b"), "operators/a");
        assert_eq!(stop("a a a b"), "sites/a-1 operators/a");
        assert_eq!(stop("a a b b c"), "");
        assert_eq!(stop("a a a b b c c"), "");
    }
}
