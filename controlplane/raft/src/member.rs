//! Who the members are, and how they fare as this one sees it.

use crate::network::frame::MemberDirectory;
use crate::platform::Platform;
use crate::type_config::{PeerNode, TypeConfig, index};
use crate::view::View;
use openraft::async_runtime::Instant as _;
use openraft::{RaftMetrics, ServerState};
use sekisho_evidence::genesis::GenesisMember;
use sekisho_types::id::{MemberId, OperatorId, SiteId};
use sekisho_types::revision::Revision;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

impl From<&GenesisMember> for PeerNode {
    fn from(member: &GenesisMember) -> Self {
        Self {
            address: member.address.clone(),
            operator: member.operator.clone(),
            site: member.site.clone(),
        }
    }
}

/// The members of applied state; of the genesis until there is one (D3).
#[derive(Debug)]
pub(crate) struct AppliedMembers {
    genesis: BTreeMap<MemberId, PeerNode>,
    view: watch::Receiver<Arc<View>>,
}

impl AppliedMembers {
    pub(crate) fn new(
        genesis: BTreeMap<MemberId, PeerNode>,
        view: watch::Receiver<Arc<View>>,
    ) -> Self {
        Self { genesis, view }
    }
}

impl MemberDirectory for AppliedMembers {
    fn members(&self) -> BTreeMap<MemberId, PeerNode> {
        let view = Arc::clone(&self.view.borrow());
        view.members().unwrap_or_else(|| self.genesis.clone())
    }

    fn node(&self, member: MemberId) -> Option<PeerNode> {
        let view = Arc::clone(&self.view.borrow());
        match view.state.federation() {
            Some(federation) => {
                let listed = federation.members.get(&member).map(PeerNode::from);
                listed.or_else(|| view.group.get(&member).cloned())
            }
            None => self.genesis.get(&member).cloned(),
        }
    }
}

/// What a member may do in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberRole {
    /// Counts for a majority.
    Voter,
    /// Receives the log only.
    Learner,
}

/// A member, as this one sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its id.
    pub member: MemberId,
    /// Whose controller.
    pub operator: OperatorId,
    /// Where it stands.
    pub site: SiteId,
    /// `host:port`.
    pub address: String,
    /// Voter or learner.
    pub role: MemberRole,
    /// Leads, as far as this member knows.
    pub leads: bool,
    /// Last entry known to be in its log. Known of others on the leader only.
    pub matched: Option<Revision>,
    /// Entries that it is behind this member's log; where `matched` is known.
    pub lag: Option<u64>,
    /// Time since it last acknowledged anything. Known on the leader only; zero for this member itself.
    pub silent_for: Option<Duration>,
}

/// The members of the effective membership, by id.
pub(crate) fn statuses<P: Platform>(metrics: &RaftMetrics<TypeConfig<P>>) -> Vec<MemberStatus> {
    let membership = metrics.membership_config.membership();
    let leads = metrics.state == ServerState::Leader;
    let last = metrics.last_log_index;
    // Others' progress is the leader's knowledge; that of a former leader is stale.
    let replicated = metrics.replication.as_ref().filter(|_| leads);
    let heard = metrics.heartbeat.as_ref().filter(|_| leads);
    let voter = |id: u64| membership.voter_ids().any(|voter| voter == id);
    membership
        .nodes()
        .map(|(id, node)| {
            let own = *id == metrics.id;
            let matched = match replicated.and_then(|all| all.get(id)) {
                _ if own => last,
                Some(matched) => matched.map(|id| index(&id)),
                None => None,
            };
            let heard = heard.and_then(|all| *all.get(id)?);
            MemberStatus {
                member: MemberId(*id),
                operator: node.operator.clone(),
                site: node.site.clone(),
                address: node.address.clone(),
                role: if voter(*id) { MemberRole::Voter } else { MemberRole::Learner },
                leads: metrics.current_leader == Some(*id),
                matched: matched.map(Revision),
                lag: last.zip(matched).map(|(last, matched)| last.saturating_sub(matched)),
                silent_for: if own { Some(Duration::ZERO) } else { heard.map(|at| at.elapsed()) },
            }
        })
        .collect()
}
