//! The first membership of a group.
//!
//! Must hold (R6): nobody votes before all first members have met, or one that was wiped could not be told from one that
//! is late; told as done only when it is committed, because a crash before would undo it silently.

use super::{Consensus, failure_of};
use crate::error::{InitializeError, ReadError};
use crate::platform::Platform;
use crate::type_config::PeerNode;
use openraft::errors::{InitializeError as EngineInitializeError, RaftError};
use sekisho_types::id::MemberId;
use sekisho_types::revision::Revision;
use std::collections::BTreeMap;

impl<P: Platform> Consensus<P> {
    /// Makes `members` the first membership, once all of them have met (R6), and waits until that is committed. May be
    /// repeated, on any of them; once there is a membership it changes nothing.
    ///
    /// # Errors
    /// [`InitializeError`].
    pub async fn initialize(
        &self,
        members: &BTreeMap<MemberId, PeerNode>,
        deadline: P::Deadline,
    ) -> Result<(), InitializeError> {
        let core = &self.0;
        if !members.contains_key(&core.me()) {
            return Err(InitializeError::NotInMembers(core.me()));
        }
        let nodes: BTreeMap<u64, PeerNode> =
            members.iter().map(|(id, node)| (id.0, node.clone())).collect();
        let first = members.keys().copied().collect();
        let met = P::within(deadline, core.all_met(&first)).await;
        met.map_err(|_passed| InitializeError::NotCommitted)?;
        let done = P::within(deadline, core.raft.initialize(nodes)).await;
        match done.map_err(|_passed| InitializeError::NotCommitted)? {
            Ok(()) | Err(RaftError::APIError(EngineInitializeError::NotAllowed(_))) => {}
            Err(RaftError::APIError(EngineInitializeError::NotInMembers(_))) => {
                return Err(InitializeError::NotInMembers(core.me()));
            }
            Err(RaftError::Fatal(_)) if core.closing() => {
                return Err(InitializeError::ShuttingDown);
            }
            Err(RaftError::Fatal(fatal)) => {
                let failure = core.publisher.failure();
                return Err(InitializeError::Failed(failure.unwrap_or_else(|| failure_of(&fatal))));
            }
        }
        // openraft answers before the entry is durable anywhere: a crash now would undo it silently.
        match core.wait_for(Revision(0), deadline).await {
            Ok(_view) => Ok(()),
            Err(ReadError::NoLeader | ReadError::Behind { .. }) => {
                Err(InitializeError::NotCommitted)
            }
            Err(ReadError::ShuttingDown) => Err(InitializeError::ShuttingDown),
            Err(ReadError::Failed(failure)) => Err(InitializeError::Failed(failure)),
        }
    }
}
