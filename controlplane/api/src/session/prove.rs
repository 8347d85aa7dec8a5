//! The wish for a proof of a node's place, on its way to the agent.
//!
//! Must hold: who may wish it was checked before; the agent decides, and bounds how often it is measured. Asks that wait
//! for its word are bounded, and so is each wait (L3, L4). A wish is no command: nothing of it is in the state.

use super::{Attached, Sessions};
use crate::core::{Core, federation};
use crate::limit::{PROVE_ASKS_PER_NODE, PROVE_DEADLINE};
use sekisho_evidence::genesis::GenesisMember;
use sekisho_fsm::State;
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::internal::v1::agent_message::Proving;
use sekisho_proto::internal::v1::controller_message::{Message, Prove};
use sekisho_proto::status::ApiError;
use sekisho_transport::deadline::{Deadline, within};
use sekisho_transport::trace;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::NodeId;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

impl Attached {
    /// Hands the agent's word to whoever asked.
    pub(crate) fn proving(&self, told: Proving) {
        let asker = self.proofs.lock().remove(&told.request);
        if let Some(asker) = asker {
            // Whoever asked may have given up.
            let _given = asker.send(told);
        }
    }
}

fn away(node: &NodeId) -> ApiError {
    ApiError::new(ErrorCode::NodeUnavailable, format!("{node} is not attached here"))
}

fn too_soon(node: &NodeId, wait_ms: u64) -> ApiError {
    let seconds = wait_ms.div_ceil(1000);
    let why = format!("{node} can be measured again in {seconds} s");
    ApiError::new(ErrorCode::ProofTooSoon, why).with("wait_ms", wait_ms.to_string())
}

impl Sessions {
    /// Has a node that is attached here measured now: whether it was being measured already.
    ///
    /// # Errors
    /// `NODE_UNAVAILABLE` if the node is not attached here, `PROOF_TOO_SOON`, `OVERLOADED`, `DEADLINE`.
    pub(crate) async fn prove(&self, node: &NodeId, deadline: Deadline) -> Result<bool, ApiError> {
        let attached = self.get(node).ok_or_else(|| away(node))?;
        let request = attached.next_read.fetch_add(1, Ordering::Relaxed);
        let (asker, answer) = oneshot::channel();
        {
            let mut proofs = attached.proofs.lock();
            proofs.retain(|_, asker| !asker.is_closed());
            if proofs.len() >= PROVE_ASKS_PER_NODE {
                let why = format!("too many ask for a proof of {node}");
                return Err(ApiError::new(ErrorCode::Overloaded, why));
            }
            proofs.insert(request, asker);
        }
        if !attached.send(Message::Prove(Prove { request })) {
            return Err(away(node));
        }
        let told = within(deadline.at_most(PROVE_DEADLINE), answer)
            .await
            .map_err(|passed| ApiError::new(ErrorCode::Deadline, passed.to_string()))?
            .map_err(|_gone| away(node))?;
        if told.wait_ms > 0 { Err(too_soon(node, told.wait_ms)) } else { Ok(told.running) }
    }
}

impl Core {
    /// Has a node measured now, through whichever member its agent is attached to: whether it was being measured already.
    ///
    /// # Errors
    /// As [`Sessions::prove`], of the last member that was asked.
    pub(crate) async fn prove_node(
        &self,
        state: &State,
        node: &NodeId,
        deadline: Deadline,
    ) -> Result<bool, ApiError> {
        match self.sessions.prove(node, deadline).await {
            Err(error) if error.code == ErrorCode::NodeUnavailable => {
                self.prove_elsewhere(state, node, deadline).await
            }
            other => other,
        }
    }

    /// Asks the other members one after the other, those first that were heard of lately.
    async fn prove_elsewhere(
        &self,
        state: &State,
        node: &NodeId,
        deadline: Deadline,
    ) -> Result<bool, ApiError> {
        let now = self.clock.boottime_ns();
        let silent = |member: &&GenesisMember| {
            !self.peers.of(member.member, now).is_some_and(|(_, lately)| lately)
        };
        let others = federation(state)?.members.values();
        let mut others: Vec<&GenesisMember> =
            others.filter(|member| member.member != self.identity.member).collect();
        others.sort_by_key(silent);
        let why = format!("the agent of {node} is attached to no member that answers");
        let none = ApiError::new(ErrorCode::NodeUnavailable, why);
        for member in others {
            let Ok(mut client) = self.links.client(member) else { continue };
            let ask = internal::ProveNodeRequest { node: node.to_string() };
            let mut request = tonic::Request::new(ask);
            trace::inject(request.metadata_mut());
            let answer = client.prove_node(request);
            let answer = within(deadline.at_most(PROVE_DEADLINE), answer).await;
            let Ok(answer) = answer else { continue };
            match answer.map_err(|status| ApiError::from_status(&status)) {
                Ok(answer) => return Ok(answer.into_inner().running),
                // It has the agent, and the agent said no.
                Err(error) if error.code == ErrorCode::ProofTooSoon => return Err(error),
                Err(error) => {
                    tracing::debug!(member = %member.member, %error, "no proof asked for");
                }
            }
        }
        Err(none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_evidence::grant::{Instance, SessionId};
    use sekisho_proto::internal::v1::ControllerMessage;
    use std::time::Duration;

    fn node() -> NodeId {
        "tokyo-1/n-01".parse().unwrap()
    }

    const RUN: (SessionId, Instance) = (SessionId([1; 16]), Instance([2; 16]));

    #[tokio::test]
    async fn the_agent_says_whether_it_begins_runs_or_when_it_can() {
        let sessions = Sessions::default();
        let soon = || Deadline::after(Duration::from_secs(5));
        let refused = sessions.prove(&node(), soon()).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::NodeUnavailable);
        let (stream, mut queue) = sessions.attach(&node(), RUN, 0).unwrap();
        for (running, wait_ms) in [(false, 0), (true, 0), (false, 42_001)] {
            let agent = async {
                let Some(Ok(ControllerMessage { message: Some(Message::Prove(ask)) })) =
                    queue.recv().await
                else {
                    panic!("no ask")
                };
                let told = Proving { request: ask.request, running, wait_ms };
                stream.proving(told);
                // A second answer finds nobody.
                stream.proving(told);
            };
            let id = node();
            let (answer, ()) = tokio::join!(sessions.prove(&id, soon()), agent);
            if wait_ms == 0 {
                assert_eq!(answer, Ok(running));
            } else {
                let error = answer.unwrap_err();
                assert_eq!(error.code, ErrorCode::ProofTooSoon);
                assert!(error.message.contains("in 43 s"), "{error}");
                assert_eq!(error.metadata["wait_ms"], "42001");
            }
        }
        let late = sessions.prove(&node(), Deadline::after(Duration::ZERO)).await;
        assert_eq!(late.unwrap_err().code, ErrorCode::Deadline);
    }

    #[tokio::test]
    async fn asks_that_wait_for_one_agent_are_bounded() {
        let sessions = Sessions::default();
        let (stream, _queue) = sessions.attach(&node(), RUN, 0).unwrap();
        let (asks, _answers): (Vec<_>, Vec<_>) =
            (0..PROVE_ASKS_PER_NODE).map(|_| oneshot::channel()).unzip();
        stream.proofs.lock().extend((1000..).zip(asks));
        let refused = sessions.prove(&node(), Deadline::after(Duration::from_secs(5))).await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::Overloaded);
    }
}
