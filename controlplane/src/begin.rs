//! Beginning a federation: the first membership, then the genesis as its first entry.
//!
//! Must hold: repeatable at any point. Whoever starts with the least id makes the first membership; whoever leads
//! proposes the genesis; a second genesis is refused by apply without harm.

use sekisho_evidence::genesis::SignedGenesis;
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::{Entry, FEATURE_LEVEL};
use sekisho_raft::PeerNode;
use sekisho_raft::consensus::{Consensus, Priority};
use sekisho_transport::deadline::Deadline;
use sekisho_types::id::{MemberId, RequestId};
use sekisho_types::principal::MemberIdentity;
use sekisho_types::time::Clock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Between tries: an election takes about two of them.
const PAUSE: Duration = Duration::from_millis(500);
/// For one try.
const TRY: Duration = Duration::from_secs(5);

/// Tries until the state has begun.
pub async fn begin(
    consensus: Consensus,
    genesis: Arc<SignedGenesis>,
    identity: MemberIdentity,
    clock: Arc<dyn Clock>,
) {
    let members: BTreeMap<MemberId, PeerNode> =
        genesis.genesis.members.iter().map(|m| (m.member, PeerNode::from(m))).collect();
    let first = members.keys().next() == Some(&identity.member);
    while consensus.view().state.federation().is_none() {
        if first && consensus.view().applied.is_none() {
            if let Err(error) = consensus.initialize(&members, Deadline::after(TRY)).await {
                tracing::info!(%error, "the first membership is not committed yet");
            }
        } else if consensus.leadership().borrow().is_some() {
            let entry = entry(&genesis, &identity, clock.as_ref());
            match consensus.propose_as(Priority::Internal, entry, Deadline::after(TRY)).await {
                Ok(committed) => tracing::info!(outcome = ?committed.outcome, "genesis proposed"),
                Err(error) => tracing::info!(%error, "the genesis is not committed yet"),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn entry(genesis: &SignedGenesis, identity: &MemberIdentity, clock: &dyn Clock) -> Entry {
    let bundle = &genesis.genesis.bundle;
    Entry {
        cluster: bundle.cluster,
        incarnation: bundle.incarnation,
        proposed_at: clock.wall(),
        actor: identity.principal(),
        // One intention in the life of a federation.
        request: RequestId([0; 16]),
        feature_level: FEATURE_LEVEL,
        command: Command::Bootstrap(Box::new(genesis.clone())),
        signatures: Vec::new(),
        payload: Vec::new(),
    }
}
