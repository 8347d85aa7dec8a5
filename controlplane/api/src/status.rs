//! The health of the federation as one member sees it, worst first, each line with the command that helps.
//!
//! Must hold: derived from applied state and what this member hears, so that it can be asked without a leader; what is
//! not known is not shown as well.

use crate::core::{Core, federation};
use crate::limit::{FINDINGS_MAX, SIGNER_LATE, TAG_ENDS_SOON};
use crate::replica::Membership;
use sekisho_evidence::genesis::GenesisMember;
use sekisho_fsm::State;
use sekisho_fsm::state::Federation;
use sekisho_proto::name::Resource as _;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1;
use sekisho_proto::v1::status::{Finding, Severity};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{MemberId, OperatorId, SiteId};
use sekisho_types::job::JobPhase;
use sekisho_types::limit::{CLOCK_AHEAD_MAX, CLOCK_BEHIND_MAX};
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

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

/// Members, then operators, without whom no majority is left.
pub(crate) fn can_stop_quorum(
    voters: &BTreeSet<MemberId>,
    operator_of: impl Fn(MemberId) -> Option<OperatorId>,
) -> Vec<String> {
    let need = majority(voters.len());
    let stops = |own: usize| voters.len().saturating_sub(own) < need;
    let mut by_operator: BTreeMap<OperatorId, usize> = BTreeMap::new();
    for operator in voters.iter().filter_map(|id| operator_of(*id)) {
        let own = by_operator.entry(operator).or_default();
        *own = own.saturating_add(1);
    }
    let members = voters.iter().filter(|_| stops(1)).map(|id| id.name());
    let operators = by_operator.iter().filter(|(_, own)| stops(**own));
    members.chain(operators.map(|(operator, _)| format!("operators/{operator}"))).collect()
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
        self.federation.members.values().map(|member| self.member(member)).collect()
    }

    fn member(&self, member: &GenesisMember) -> v1::Member {
        let id = member.member;
        let own = id == self.core.identity.member;
        let heard = self.core.peers.of(id, self.now_ns).map(|(heard, _)| heard);
        let problem = if own {
            self.core.heads.problem().unwrap_or_default()
        } else {
            heard.map(|heard| heard.problem).unwrap_or_default()
        };
        let voter = self.membership.voters.contains(&id);
        v1::Member {
            name: id.name(),
            operator: member.operator.to_string(),
            site: member.site.to_string(),
            address: member.address.clone(),
            leader: self.membership.leader == Some(id),
            role: if voter { "voter" } else { "learner" }.to_owned(),
            lag: self.membership.lag.get(&id).copied(),
            reachable: self.core.hears(id, self.now_ns),
            signed_revision: self.core.notes.signed_by(id).0,
            signer_problem: problem,
        }
    }

    pub(crate) fn can_stop_quorum(&self) -> Vec<String> {
        let members = &self.federation.members;
        let operator_of = |id: MemberId| members.get(&id).map(|member| member.operator.clone());
        can_stop_quorum(&self.membership.voters, operator_of)
    }

    fn covered(&self) -> u64 {
        self.core.notes.newest().map_or(0, |note| note.checkpoint.head.size)
    }

    fn missing_signers(&self) -> Vec<String> {
        let since = Timestamp(self.state.clock().0.saturating_sub(ms(SIGNER_LATE)));
        let missing = self.core.notes.missing(&self.federation.bundle, since);
        missing.iter().map(ToString::to_string).collect()
    }

    pub(crate) fn status(&self) -> Result<v1::Status, ApiError> {
        let state = self.state;
        let running = |phase| matches!(phase, JobPhase::Placed | JobPhase::Running);
        let (mut ready, mut used, mut total) = (0u32, 0u64, 0u64);
        for (id, node) in state.nodes() {
            if self.core.node_phase(state, id, node) == v1::node::State::Ready {
                ready = ready.saturating_add(1);
            }
            let sum = |numbers: &mut dyn Iterator<Item = u32>| {
                numbers.fold(0u64, |sum, n| sum.saturating_add(u64::from(n)))
            };
            used = used.saturating_add(sum(&mut node.used.values().copied()));
            total = total.saturating_add(sum(&mut node.buckets.iter().map(|b| b.count)));
        }
        let digest = state.digest();
        let digest = digest.map_err(|e| ApiError::new(ErrorCode::Internal, e.to_string()))?;
        Ok(v1::Status {
            revision: state.revision().0,
            term: self.membership.term,
            leader: self.membership.leader.map(|id| id.name()).unwrap_or_default(),
            audit_size: state.audit_size(),
            audit_uncovered: state.audit_size().saturating_sub(self.covered()),
            k: self.federation.bundle.k,
            missing_signers: self.missing_signers(),
            findings: self.findings(),
            jobs_queued: small(state.queue_len()),
            jobs_running: small(state.jobs().filter(|(_, job)| running(job.phase)).count()),
            nodes_ready: ready,
            nodes_total: small(state.nodes().count()),
            gpus_used: used,
            gpus_total: total,
            cluster: self.federation.cluster.to_string(),
            state_digest: digest.to_string(),
            members: self.members(),
        })
    }

    fn findings(&self) -> Vec<Finding> {
        let mut all = Vec::new();
        self.quorum(&mut all);
        self.signers(&mut all);
        self.clocks(&mut all);
        self.nodes(&mut all);
        all.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        all.truncate(FINDINGS_MAX);
        if all.is_empty() {
            all.push(finding(Severity::Ok, "all members, signers and nodes are well", ""));
        }
        all
    }

    fn quorum(&self, all: &mut Vec<Finding>) {
        let members = "sekisho member list";
        if self.membership.leader.is_none() {
            all.push(finding(Severity::Bad, "no leader is known: nothing can be written", members));
        }
        let silent: Vec<MemberId> = self.membership.voters.iter().copied().collect();
        let silent: Vec<MemberId> =
            silent.into_iter().filter(|id| !self.core.hears(*id, self.now_ns)).collect();
        let voters = self.membership.voters.len();
        let left = voters.saturating_sub(silent.len());
        for id in &silent {
            let severity = if left > majority(voters) { Severity::Warn } else { Severity::Bad };
            let what = format!("{} does not answer; {left} of {voters} voters do", id.name());
            all.push(finding(severity, what, members));
        }
        for who in self.can_stop_quorum().iter().filter(|who| who.starts_with("operators/")) {
            let what = format!("{who} can stop the quorum alone");
            all.push(finding(Severity::Bad, what, members));
        }
    }

    fn signers(&self, all: &mut Vec<Finding>) {
        let (status, k) = ("sekisho audit checkpoint", self.federation.bundle.k);
        let missing = self.missing_signers();
        let operators = self.federation.bundle.operators().count();
        let left = operators.saturating_sub(missing.len());
        for operator in &missing {
            let short = u32::try_from(left).is_ok_and(|left| left < k);
            let severity = if short { Severity::Bad } else { Severity::Warn };
            let what =
                format!("{operator} signs no checkpoints; {left} of {operators} do, {k} needed");
            all.push(finding(severity, what, status));
        }
        if k < 2 {
            let what = "a single operator signs: it alone could start work";
            all.push(finding(Severity::Warn, what, ""));
        } else if operators == 2 {
            let what = "two operators: an outage of either stops every job but run_to_completion";
            all.push(finding(Severity::Warn, what, ""));
        }
    }

    fn clocks(&self, all: &mut Vec<Finding>) {
        let (state, wall) = (self.state.clock(), self.core.clock.wall());
        let (ahead, behind) = (state.since_ms(wall), wall.since_ms(state));
        if ahead > ms(CLOCK_AHEAD_MAX) {
            let what = format!("the state clock is {} s ahead of this member's", ahead / 1000);
            all.push(finding(Severity::Bad, what, "timedatectl"));
        }
        if behind > ms(CLOCK_BEHIND_MAX) {
            let what = format!("the state clock is {} s behind this member's", behind / 1000);
            all.push(finding(Severity::Bad, what, "sekisho member list"));
        }
    }

    fn nodes(&self, all: &mut Vec<Finding>) {
        let now = self.state.clock();
        for (id, node) in self.state.nodes() {
            let get = format!("sekisho node get {id}");
            match self.core.node_phase(self.state, id, node) {
                v1::node::State::Unreachable => {
                    let what = format!("{id} missed three beats; its lease may still run");
                    all.push(finding(Severity::Warn, what, get));
                }
                v1::node::State::Lost => {
                    all.push(finding(
                        Severity::Warn,
                        format!("{id} is lost: its lease ended"),
                        get,
                    ));
                }
                v1::node::State::Ready if node.tag.expires.since_ms(now) < ms(TAG_ENDS_SOON) => {
                    let what = format!("the site tag of {id} ends at {}", node.tag.expires);
                    all.push(finding(Severity::Warn, what, get));
                }
                v1::node::State::Ready
                | v1::node::State::Enrolled
                | v1::node::State::Revoked
                | v1::node::State::Unspecified => {}
            }
            if all.len() > FINDINGS_MAX.saturating_mul(2) {
                return;
            }
        }
    }
}

fn finding(severity: Severity, what: impl Into<String>, command: impl Into<String>) -> Finding {
    Finding { severity: severity.into(), what: what.into(), command: command.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_can_stop_the_quorum_is_named() {
        let stop = |operators: &str| {
            let of: Vec<OperatorId> = operators.split(' ').map(|o| o.parse().unwrap()).collect();
            let voters = (1..=of.len() as u64).map(MemberId).collect();
            let operator_of = |id: MemberId| of.get(usize::try_from(id.0).unwrap() - 1).cloned();
            can_stop_quorum(&voters, operator_of).join(" ")
        };
        assert_eq!(stop("a"), "members/1 operators/a");
        assert_eq!(stop("a b"), "members/1 members/2 operators/a operators/b");
        assert_eq!(stop("a b c"), "");
        assert_eq!(stop("a a b"), "operators/a");
        assert_eq!(stop("a a b b c"), "");
        assert_eq!(stop("a a a b b c c"), "");
    }
}
