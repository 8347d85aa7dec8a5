//! Who the members are, and how they fare as this one sees it.

use crate::network::frame::MemberDirectory;
use crate::platform::Platform;
use crate::type_config::{PeerNode, TypeConfig, index};
use crate::view::View;
use openraft::async_runtime::Instant as _;
use openraft::{RaftMetrics, ServerState};
use parking_lot::RwLock;
use sekisho_evidence::genesis::GenesisMember;
use sekisho_evidence::package::Trust;
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

/// The members of a bundle of endorsers, to which this member walked from one that it held (D4).
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Version of the bundle.
    pub bundle: u64,
    /// Its members.
    pub members: BTreeMap<MemberId, PeerNode>,
}

impl From<&Trust> for Known {
    fn from(trust: &Trust) -> Self {
        let member = |m: &GenesisMember| (m.member, PeerNode::from(m));
        Self { bundle: trust.bundle.version, members: trust.members.iter().map(member).collect() }
    }
}

/// The members of applied state (D3). Where this member walked to a later bundle than its state has, those of that one as well,
/// whom the state does not list: a newcomer that leads could otherwise never send the entry by which it came to a member that
/// was away. What the state lists is as it says: a package tells addresses without anybody's signature.
#[derive(Debug)]
pub(crate) struct AppliedMembers {
    known: RwLock<Arc<Known>>,
    view: watch::Receiver<Arc<View>>,
}

impl AppliedMembers {
    pub(crate) fn new(known: Known, view: watch::Receiver<Arc<View>>) -> Self {
        Self { known: RwLock::new(Arc::new(known)), view }
    }

    pub(crate) fn learn(&self, known: Known) {
        *self.known.write() = Arc::new(known);
    }

    /// Version of the latest bundle, applied or walked to.
    pub(crate) fn bundle(&self) -> u64 {
        applied(&self.view.borrow()).unwrap_or_default().max(self.known.read().bundle)
    }

    /// Whether the state lists it; before there is a state, whether it is known at all. Who was only walked to is heard as a
    /// leader and asked nothing, and told nothing of the federation (D3).
    pub(crate) fn lists(&self, member: MemberId) -> bool {
        let view = Arc::clone(&self.view.borrow());
        match applied(&view) {
            Some(_) => listed(&view, member).is_some(),
            None => self.node(member).is_some(),
        }
    }

    /// The state, and what is known beyond it.
    fn sources(&self) -> (Arc<View>, Option<Arc<Known>>) {
        let view = Arc::clone(&self.view.borrow());
        let known = Arc::clone(&self.known.read());
        let beyond = applied(&view).is_none_or(|applied| known.bundle > applied);
        (view, beyond.then_some(known))
    }
}

fn listed(view: &View, member: MemberId) -> Option<PeerNode> {
    let of_state = view.state.federation()?.members.get(&member).map(PeerNode::from);
    of_state.or_else(|| view.group.get(&member).cloned())
}

/// Version of the bundle in applied state.
pub(crate) fn applied(view: &View) -> Option<u64> {
    Some(view.state.federation()?.bundle.version)
}

impl MemberDirectory for AppliedMembers {
    fn members(&self) -> BTreeMap<MemberId, PeerNode> {
        let (view, beyond) = self.sources();
        let mut members = beyond.map(|known| known.members.clone()).unwrap_or_default();
        members.extend(view.members().unwrap_or_default());
        members
    }

    fn node(&self, member: MemberId) -> Option<PeerNode> {
        let (view, beyond) = self.sources();
        listed(&view, member).or_else(|| beyond?.members.get(&member).cloned())
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
