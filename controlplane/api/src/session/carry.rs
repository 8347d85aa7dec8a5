//! Renewals of agents that do not reach the leader, carried to it by a member that they reach.
//!
//! Must hold: P1, P4. A carrier counts nothing: it passes the agent's signed renewal on and the leader's signed word back,
//! and the agent believes neither without the signature. The leader takes nothing from a carrier that the node's own key
//! did not sign. Carrying is bounded, and over before the agent's next beat; what finds no room is dropped (L4).

use super::Attached;
use super::stream::session_in_force;
use crate::core::{Core, federation};
use crate::duty::Renewal;
use crate::limit::CARRY_DEADLINE;
use bytes::Bytes;
use sekisho_evidence::acknowledgement::{ACKNOWLEDGEMENT_MAX, Renewal as Asked, SignedRenewal};
use sekisho_evidence::genesis::GenesisMember;
use sekisho_proto::field::FieldError;
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::internal::v1::controller_message::{Acknowledged, Expiring, Message};
use sekisho_proto::status::ApiError;
use sekisho_transport::deadline::{Deadline, within};
use sekisho_transport::task::TaskKind;
use sekisho_types::error_code::ErrorCode;
use std::sync::Arc;

fn count(result: &'static str) {
    metrics::counter!("sekisho_api_renewals_carried_total", "result" => result).increment(1);
}

impl Core {
    /// Carries a renewal to the leader beside the stream that it came by, and its word back.
    pub(crate) fn carry(self: Arc<Self>, asked: Asked, signed: Bytes, stream: Arc<Attached>) {
        // What is not this stream's own would be work for the leader and nothing else.
        let own = SignedRenewal::parse(&signed).is_ok_and(|told| told.asked.renewal == asked);
        if !own {
            return count("malformed");
        }
        let Ok(room) = Arc::clone(&self.carrying).try_acquire_owned() else {
            return count("no_room");
        };
        let core = Arc::clone(&self);
        self.tasks.spawn(TaskKind::Ordinary, "carry-renewal", async move {
            let _room = room;
            match core.ask_leader(signed).await {
                Ok(answer) => core.bring_back(asked.sequence, answer, &stream),
                Err(error) => {
                    count("unanswered");
                    tracing::debug!(node = %asked.node, %error, "renewal not carried");
                }
            }
        });
    }

    async fn ask_leader(&self, signed: Bytes) -> Result<internal::CarryRenewalResponse, ApiError> {
        let leader = self.leading_member()?;
        let mut client = self.links.client(&leader)?;
        let request = internal::CarryRenewalRequest { renewal: signed };
        let answer = within(Deadline::after(CARRY_DEADLINE), client.carry_renewal(request)).await;
        let answer = answer
            .map_err(|passed| ApiError::new(ErrorCode::Deadline, passed.to_string()))?
            .map_err(|status| ApiError::from_status(&status))?;
        Ok(answer.into_inner())
    }

    /// The member that leads, if it is another one.
    fn leading_member(&self) -> Result<GenesisMember, ApiError> {
        let none = || ApiError::new(ErrorCode::NoLeader, "no other member is known to lead");
        let leader = self.replica.membership().leader.filter(|id| *id != self.identity.member);
        let state = self.replica.state();
        let member = federation(&state)?.members.get(&leader.ok_or_else(none)?);
        member.cloned().ok_or_else(none)
    }

    fn bring_back(&self, sequence: u64, answer: internal::CarryRenewalResponse, stream: &Attached) {
        let internal::CarryRenewalResponse { signed, expiring } = answer;
        if expiring {
            count("expiring");
            stream.send(Message::Expiring(Expiring {}));
        } else if signed.is_empty() || signed.len() > ACKNOWLEDGEMENT_MAX {
            count("not_counted");
        } else {
            count("acknowledged");
            let (revision, wall_ms) = (self.replica.applied().0, self.clock.wall().0);
            stream.send(Message::Acknowledged(Acknowledged {
                sequence,
                revision,
                signed,
                wall_ms,
            }));
        }
    }

    /// The leader's part: counts a renewal that another member brought.
    pub(crate) async fn carried(
        &self,
        bytes: &[u8],
    ) -> Result<internal::CarryRenewalResponse, ApiError> {
        let received = self.clock.boottime_ns();
        let bad = |error: &dyn std::fmt::Display| FieldError::new("renewal", error.to_string());
        let signed = SignedRenewal::parse(bytes).map_err(|error| bad(&error))?;
        let state = self.replica.state();
        let renewal = &signed.asked.renewal;
        let node = session_in_force(&state, &renewal.node, &renewal.session)?;
        let bundle = &federation(&state)?.bundle;
        let asked = signed.verify(bundle, &node.receipt_key).map_err(|error| bad(&error))?;
        let word = self.leases.renew(&asked.renewal, received, Some(asked.heard)).await;
        let mut answer = internal::CarryRenewalResponse::default();
        match word {
            Renewal::Acknowledged(word) => {
                let bytes = word.bytes();
                let broken = |e: sekisho_evidence::canonical::CanonicalError| {
                    ApiError::new(ErrorCode::Internal, e.to_string())
                };
                answer.signed = bytes.map_err(broken)?.into();
            }
            Renewal::Expiring => answer.expiring = true,
            Renewal::NotLeader => {}
        }
        Ok(answer)
    }
}
