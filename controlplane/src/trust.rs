//! Whom this member talks to: roots from the genesis, and connections cut when the state says so (P5).

use sekisho_evidence::genesis::SignedGenesis;
use sekisho_fsm::state::Standing;
use sekisho_raft::PeerNode;
use sekisho_raft::consensus::Consensus;
use sekisho_raft::view::{View, Wake};
use sekisho_transport::bundle::{Bundle, BundleError, TrustBundles};
use sekisho_transport::identity::Peer;
use sekisho_transport::pki::root_hash;
use sekisho_types::id::{MemberId, NodeId, OperatorId};
use sekisho_types::principal::{Principal, Workload};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Root;

/// Why the roots cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A root file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not a root certificate.
    #[error("root of {operator}")]
    Bundle {
        /// Whose.
        operator: OperatorId,
        /// Why.
        #[source]
        source: BundleError,
    },
    /// The genesis pins another root, or none.
    #[error("the root of {0} is not the one that the genesis pins")]
    Pin(OperatorId),
    /// The bundles contradict each other.
    #[error("the roots cannot be used together")]
    Together(#[source] BundleError),
}

/// Installs every operator's root, each checked against the hash in the genesis, and returns them as DER.
///
/// # Errors
/// [`TrustError`]: a member that trusts other roots than its federation may not start.
pub fn install(
    genesis: &SignedGenesis,
    roots: &[Root],
    bundles: &TrustBundles,
) -> Result<BTreeMap<OperatorId, Vec<u8>>, TrustError> {
    let (mut by_domain, mut by_operator) = (BTreeMap::new(), BTreeMap::new());
    for keys in &genesis.genesis.bundle.operators {
        let operator = &keys.operator;
        let root = roots.iter().find(|root| root.operator == *operator);
        let path =
            root.map(|root| root.file.clone()).ok_or_else(|| TrustError::Pin(operator.clone()))?;
        let pem =
            std::fs::read_to_string(&path).map_err(|source| TrustError::Read { path, source })?;
        let bundle = Bundle::from_pem(operator.clone(), &pem)
            .map_err(|source| TrustError::Bundle { operator: operator.clone(), source })?;
        let pinned = bundle.roots.iter().find(|root| root_hash(root) == keys.root_hash);
        let der = pinned.ok_or_else(|| TrustError::Pin(operator.clone()))?.to_vec();
        if bundle.roots.len() != 1 {
            return Err(TrustError::Pin(operator.clone()));
        }
        by_operator.insert(operator.clone(), der);
        by_domain.insert(keys.trust_domain.clone(), bundle);
    }
    bundles.replace(&by_domain).map_err(TrustError::Together)?;
    Ok(by_operator)
}

/// Whether the state no longer wants to hear from this peer.
fn is_out(view: &View, peer: &Peer) -> bool {
    let state = &view.state;
    let Some(identity) = &peer.identity else { return false };
    match &identity.principal.workload {
        Workload::Agent { site, node } => {
            let id = NodeId { site: site.clone(), name: node.clone() };
            state.node(&id).is_some_and(|row| row.revoked || row.node_key != identity.spki_sha256)
        }
        Workload::Member { member, .. } => state.federation().is_some_and(|federation| {
            let id = MemberId(*member);
            federation.standing(id) == Some(Standing::Removed) && !view.group.contains_key(&id)
        }),
        Workload::User { .. } => false,
    }
}

/// Whom a member may send federation state to (D3).
fn enrolled(members: &BTreeMap<MemberId, PeerNode>) -> BTreeSet<Principal> {
    members.iter().map(|(id, node)| node.principal(*id)).collect()
}

/// Judges every byte sent by the genesis, until there is a state to judge by.
pub fn judge_by_genesis(genesis: &SignedGenesis, bundles: &TrustBundles) {
    let members = genesis.genesis.members.iter().map(|m| (m.member, PeerNode::from(m))).collect();
    bundles.connections().judge_by(enrolled(&members));
}

/// Follows the trust of applied state: cuts connections of revoked nodes and removed members as soon as it has them, and
/// judges what is sent by the members that it lists and those who still vote.
pub async fn follow(consensus: Consensus, bundles: Arc<TrustBundles>) {
    let mut changed = consensus.wakes(Wake::Trust);
    // What was replayed before this task began counts as news.
    changed.mark_changed();
    while changed.changed().await.is_ok() {
        let view = consensus.view();
        if let Some(members) = view.members() {
            bundles.connections().judge_by(enrolled(&members));
        }
        let cut = bundles.connections().cut(|peer| is_out(&view, peer));
        if cut > 0 {
            tracing::info!(cut, "connections of revoked nodes and removed members were cut");
        }
    }
}
