//! What members call of each other.

use crate::admission::unanswered;
use crate::call::Call;
use crate::contact::news;
use crate::core::{Core, federation};
use crate::holding::digests;
use crate::journal::refuses;
use crate::limit::{EXCHANGE_SIGNED_MAX, LOG_BYTES_MAX, LOG_DEADLINE, LOG_WAIT, PROVE_DEADLINE};
use crate::logs::may_pass;
use sekisho_evidence::checkpoint::SignatureLine;
use sekisho_proto::convert::finding::{Finding, OWN_MAX};
use sekisho_proto::field::FieldError;
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::internal::v1::peer_service_server::PeerService;
use sekisho_proto::name::Resource as _;
use sekisho_proto::status::ApiError;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::limit::TEXT_MAX;
use sekisho_types::revision::{PlacementId, Revision};
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct PeerApi(pub(crate) Arc<Core>);

#[tonic::async_trait]
impl PeerService for PeerApi {
    async fn exchange(
        &self,
        request: Request<internal::ExchangeRequest>,
    ) -> Result<Response<internal::ExchangeResponse>, Status> {
        let call = Call::of(&request)?;
        let state = self.0.replica.state();
        let caller = call.member(&state)?;
        let ask = request.get_ref();
        if ask.signed.len() > EXCHANGE_SIGNED_MAX || ask.signer_problem.len() > TEXT_MAX {
            return Err(FieldError::new("signed", "must be within its bound").into());
        }
        let now = self.0.clock.boottime_ns();
        let applied = Revision(ask.applied_revision);
        self.0.peers.hear(caller, applied, Some(&ask.signer_problem), now);
        self.0.hear_clock(caller.member, ask.wall_ms);
        let own = |told| Finding::of_member(told, &caller.member.name());
        let found = ask.conditions.iter().take(OWN_MAX).filter_map(own).collect();
        self.0.peers.found(caller.member, found);
        if let Some(leases) = &ask.leases {
            self.0.hear_leases(caller.member, news(leases, now)?);
        }
        let bundle = &federation(&state)?.bundle;
        for signed in &ask.signed {
            let line = SignatureLine(signed.line.clone());
            self.0.note(bundle, caller.member, &signed.text, &line);
        }
        let applied_revision = self.0.replica.applied().0;
        let wall_ms = self.0.clock.wall().0;
        Ok(Response::new(internal::ExchangeResponse { applied_revision, wall_ms }))
    }

    async fn carry_renewal(
        &self,
        request: Request<internal::CarryRenewalRequest>,
    ) -> Result<Response<internal::CarryRenewalResponse>, Status> {
        let call = Call::of(&request)?;
        call.member(&self.0.replica.state())?;
        Ok(Response::new(self.0.carried(&request.get_ref().renewal).await?))
    }

    async fn prove_node(
        &self,
        request: Request<internal::ProveNodeRequest>,
    ) -> Result<Response<internal::ProveNodeResponse>, Status> {
        let call = Call::of(&request)?;
        call.member(&self.0.replica.state())?;
        let bad = |error: &dyn std::fmt::Display| FieldError::new("node", error.to_string());
        let node: NodeId = request.get_ref().node.parse().map_err(|error| bad(&error))?;
        // Never on to another one: the caller asks them all.
        let running = self.0.sessions.prove(&node, call.deadline(PROVE_DEADLINE)).await?;
        Ok(Response::new(internal::ProveNodeResponse { running }))
    }

    async fn ask_payloads(
        &self,
        request: Request<internal::AskPayloadsRequest>,
    ) -> Result<Response<internal::AskPayloadsResponse>, Status> {
        let call = Call::of(&request)?;
        call.member(&self.0.replica.state())?;
        let held = self.0.holds(&digests(&request.get_ref().digests)?).await?;
        Ok(Response::new(internal::AskPayloadsResponse { held }))
    }

    async fn fetch_held(
        &self,
        request: Request<internal::FetchHeldRequest>,
    ) -> Result<Response<internal::FetchHeldResponse>, Status> {
        let call = Call::of(&request)?;
        let state = self.0.replica.state();
        let caller = call.member(&state)?;
        let digest = <[u8; 32]>::try_from(request.get_ref().digest.as_ref()).map(Digest);
        let digest = digest.map_err(|_length| FieldError::new("digest", "must have 32 bytes"))?;
        let payload = self.0.give_to_member(&state, caller, digest).await?.into();
        Ok(Response::new(internal::FetchHeldResponse { payload }))
    }

    async fn read_node_log(
        &self,
        request: Request<internal::ReadNodeLogRequest>,
    ) -> Result<Response<internal::ReadNodeLogResponse>, Status> {
        let call = Call::of(&request)?;
        call.member(&self.0.replica.state())?;
        let mut ask = request.into_inner();
        ask.max_bytes = ask.max_bytes.min(LOG_BYTES_MAX);
        ask.wait_ms = ask.wait_ms.min(u32::try_from(LOG_WAIT.as_millis()).unwrap_or(u32::MAX));
        let placement: PlacementId =
            ask.placement.parse().map_err(|error: sekisho_types::revision::PlacementIdError| {
                FieldError::new("placement", error.to_string())
            })?;
        let deadline = call.deadline(LOG_DEADLINE);
        // The asking member saw the placement: this one may be behind it (R2).
        if self.0.replica.state().placement(&placement).is_none() {
            self.0.replica.read_index(deadline).await.map_err(unanswered)?;
        }
        let state = self.0.replica.state();
        let caller = call.member(&state)?;
        let gone = || ApiError::new(ErrorCode::NotFound, format!("{placement} is not kept"));
        let job = state.placement(&placement).and_then(|p| state.job(&p.grant.job));
        let job = job.ok_or_else(gone)?;
        // Both ends judge: a member that asks for what it may not see is faulty.
        let own = federation(&state)?.members.get(&self.0.identity.member);
        if !may_pass(&state, job, caller) || !own.is_some_and(|own| may_pass(&state, job, own)) {
            let why = "output of this job may not pass here";
            let error = ApiError::new(ErrorCode::PermissionDenied, why);
            return Err(refuses(error, placement).into());
        }
        Ok(Response::new(self.0.read_node_log(&state, placement, &ask, deadline).await?))
    }
}
