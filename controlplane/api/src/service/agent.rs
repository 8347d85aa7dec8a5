//! What enrolled agents call.

use crate::call::{Call, check_alone, quarantined};
use crate::core::{Core, federation};
use crate::gate::{Lane, Ticket};
use crate::limit::{ATTACH_DEADLINE, SESSION_DEADLINE};
use crate::service::landmark::addresses;
use crate::service::trust::package;
use crate::session::Down;
use crate::session::stream::{AgentStream, session_in_force};
use sekisho_evidence::adoption::Adoption;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::grant::{Instance, SessionId};
use sekisho_evidence::receipt::Receipt;
use sekisho_fsm::command::Command;
use sekisho_fsm::quarantine::Twin;
use sekisho_proto::convert::agent::{Attach, FetchPayload, OpenSession, Report};
use sekisho_proto::convert::fitness::ReportFitness;
use sekisho_proto::convert::landmark::SubmitFix;
use sekisho_proto::field::FieldError;
use sekisho_proto::internal::v1::agent_service_server::AgentService;
use sekisho_proto::internal::v1::{self as internal, agent_message};
use sekisho_proto::status::ApiError;
use sekisho_transport::deadline::{Deadline, within};
use sekisho_transport::identity::Peer;
use sekisho_transport::task::TaskKind;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, NodeId};
use std::sync::Arc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

#[derive(Debug)]
pub(crate) struct AgentApi(pub(crate) Arc<Core>);

impl AgentApi {
    /// The calling agent's node, if it is enrolled and not revoked.
    fn node<T>(&self, request: &Request<T>) -> Result<(Call, NodeId), ApiError> {
        let call = Call::of(request)?;
        let state = self.0.replica.state();
        let (id, _) = call.agent(&state)?;
        Ok((call, id))
    }

    /// As [`Self::node`], and there is one host of it.
    fn alone<T>(&self, request: &Request<T>) -> Result<(Call, NodeId), ApiError> {
        let call = Call::of(request)?;
        let state = self.0.replica.state();
        let (id, node) = call.agent(&state)?;
        check_alone(&id, node)?;
        Ok((call, id))
    }

    /// Waits until this member has time for another agent.
    async fn enter(&self, id: &NodeId) -> Result<Ticket, ApiError> {
        let lane = self.0.replica.state().node(id).map_or(Lane::New, Lane::of);
        self.0.gate.enter(lane).await
    }

    /// Proposes in the agent's own name: apply knows it by its certificate's principal.
    async fn propose(&self, call: &Call, command: Command) -> Result<u64, ApiError> {
        let actor = call.principal().clone();
        Ok(self.0.write_for(actor, command, Some(call)).await?.0)
    }

    /// Bytes of the payload table. A member that is behind does not have them yet.
    async fn kept(&self, digest: Digest) -> Result<Vec<u8>, ApiError> {
        let bytes = self.0.archive.payload(digest).await;
        bytes
            .map_err(|error| ApiError::new(ErrorCode::StorageFailed, error.to_string()))?
            .ok_or_else(|| ApiError::new(ErrorCode::StaleRead, "the payload is not here yet"))
    }

    /// Has a node put into quarantine of which this member saw two starts of an agent in one session. Returns what the
    /// second one hears; if nobody could be told, it will be seen again when it dials again.
    async fn twin(
        &self,
        node: &NodeId,
        (session, second): (SessionId, Instance),
        first: Instance,
    ) -> ApiError {
        tracing::error!(%node, %session, %first, %second, "two agents use one session");
        let why = Twin::Instances { session, first, second };
        let command = Command::QuarantineNode { node: node.clone(), why };
        match self.0.write_for(self.0.identity.principal(), command, None).await {
            Ok(_revision) => quarantined(node),
            Err(error) => error,
        }
    }

    /// Waits until the session of an attaching agent shows in this member's state: it was opened through another.
    async fn session_shows(&self, node: &NodeId, attach: &Attach) -> Result<(), ApiError> {
        let mut changes = self.0.replica.node_changes();
        let deadline = Deadline::after(SESSION_DEADLINE);
        loop {
            let state = self.0.replica.state();
            let Err(missing) = session_in_force(&state, node, &attach.session) else {
                return Ok(());
            };
            let known = state.node(node).and_then(|node| node.session.as_ref());
            let over = known.is_some_and(|session| session.id == attach.session);
            if over || missing.code != ErrorCode::SessionStale {
                return Err(missing);
            }
            match within(deadline, changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(missing),
            }
        }
    }
}

async fn first(inbound: &mut Streaming<internal::AgentMessage>) -> Result<Attach, Status> {
    let message = within(Deadline::after(ATTACH_DEADLINE), inbound.message()).await;
    let message =
        message.map_err(|passed| ApiError::new(ErrorCode::Deadline, passed.to_string()))??;
    let Some(agent_message::Message::Attach(attach)) = message.and_then(|m| m.message) else {
        return Err(FieldError::new("message", "must be `attach` at first").into());
    };
    Ok(Attach::try_from(&attach)?)
}

#[tonic::async_trait]
impl AgentService for AgentApi {
    type AttachStream = ReceiverStream<Down>;

    async fn open_session(
        &self,
        request: Request<internal::OpenSessionRequest>,
    ) -> Result<Response<internal::OpenSessionResponse>, Status> {
        let (call, node) = self.alone(&request)?;
        let open = OpenSession::try_from(request.get_ref())?;
        let OpenSession { session, previous, buckets, live, table, incarnation, findings, rack } =
            open;
        let present = federation(&self.0.replica.state())?.incarnation;
        if incarnation != present {
            // What it would be granted it could not believe.
            let why = format!("incarnation {present} is in force, the agent follows {incarnation}");
            return Err(ApiError::new(ErrorCode::IncarnationOver, why).into());
        }
        let _place = self.enter(&node).await?;
        let command = Command::OpenSession {
            node: node.clone(),
            session,
            previous,
            buckets,
            live,
            table,
            findings,
            rack,
        };
        let revision = self.propose(&call, command).await?;
        tracing::info!(%node, %session, revision, "agent session opened");
        Ok(Response::new(internal::OpenSessionResponse { revision }))
    }

    async fn attach(
        &self,
        request: Request<Streaming<internal::AgentMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (_, node) = self.node(&request)?;
        // For whoever has to find the second host of a node.
        let from = request.extensions().get::<Peer>().map(|peer| peer.addr);
        let mut inbound = request.into_inner();
        let attach = first(&mut inbound).await?;
        // First: who waits for its session, perhaps in vain, holds no place of somebody who has one.
        self.session_shows(&node, &attach).await?;
        let place = self.enter(&node).await?;
        // It may have ended meanwhile.
        session_in_force(&self.0.replica.state(), &node, &attach.session)?;
        let now = self.0.clock.boottime_ns();
        let run = (attach.session, attach.instance);
        let (attached, queue) = match self.0.sessions.attach(&node, run, now) {
            Ok(attached) => attached,
            Err(first) => {
                tracing::error!(%node, ?from, "a second agent came");
                return Err(self.twin(&node, run, first).await.into());
            }
        };
        tracing::info!(%node, session = %attach.session, ?from, "agent attached");
        let stream = AgentStream::new(Arc::clone(&self.0), node, attached, &attach);
        self.0.tasks.spawn(TaskKind::Ordinary, "agent-stream", stream.run(inbound, place));
        Ok(Response::new(ReceiverStream::new(queue)))
    }

    async fn report(
        &self,
        request: Request<internal::ReportRequest>,
    ) -> Result<Response<internal::ReportResponse>, Status> {
        let (call, node) = self.node(&request)?;
        let Report { session, phases } = Report::try_from(request.get_ref())?;
        let revision = self.propose(&call, Command::Report { node, session, phases }).await?;
        Ok(Response::new(internal::ReportResponse { revision }))
    }

    async fn report_fitness(
        &self,
        request: Request<internal::ReportFitnessRequest>,
    ) -> Result<Response<internal::ReportFitnessResponse>, Status> {
        let (call, node) = self.node(&request)?;
        let ReportFitness { session, findings } = ReportFitness::try_from(request.get_ref())?;
        tracing::info!(%node, findings = findings.len(), "a host tells how its checks came out");
        let command = Command::ReportFitness { node, session, findings };
        let revision = self.propose(&call, command).await?;
        Ok(Response::new(internal::ReportFitnessResponse { revision }))
    }

    async fn adopt(
        &self,
        request: Request<internal::AdoptRequest>,
    ) -> Result<Response<internal::AdoptResponse>, Status> {
        let (call, node) = self.alone(&request)?;
        let ask = request.into_inner();
        let adoption = Adoption::parse(&ask.adoption)
            .map_err(|error| FieldError::new("adoption", error.to_string()))?;
        if adoption.is_area_only() && !ask.payload.is_empty() {
            let must = "must be empty: it stays in the job's area";
            return Err(FieldError::new("payload", must).into());
        }
        let command = Command::Adopt {
            node: node.clone(),
            adoption: Box::new(adoption),
            running: ask.running,
        };
        let (actor, payload) = (call.principal().clone(), ask.payload.to_vec());
        let revision = self.0.write_with(actor, command, payload, Some(&call)).await?.0;
        tracing::info!(%node, revision, "a placement was brought over");
        Ok(Response::new(internal::AdoptResponse { revision }))
    }

    async fn refuse(
        &self,
        request: Request<internal::RefuseRequest>,
    ) -> Result<Response<internal::RefuseResponse>, Status> {
        let (call, node) = self.alone(&request)?;
        let receipt = Receipt(request.into_inner().receipt.to_vec());
        let revision = self.propose(&call, Command::Refuse { node, receipt }).await?;
        Ok(Response::new(internal::RefuseResponse { revision }))
    }

    async fn fetch_payload(
        &self,
        request: Request<internal::FetchPayloadRequest>,
    ) -> Result<Response<internal::FetchPayloadResponse>, Status> {
        let (state, payload, submission) = {
            let call = Call::of(&request)?;
            let state = self.0.replica.state();
            let (_, node) = call.agent(&state)?;
            let FetchPayload { placement } = FetchPayload::try_from(request.get_ref())?;
            // What runs elsewhere is not this node's to read.
            let standing = Some(placement).filter(|id| node.placements.contains(id));
            let row = standing.and_then(|id| state.placement(&id)).ok_or_else(|| {
                let why = format!("no placement {placement} stands on this node");
                ApiError::new(ErrorCode::NotFound, why)
            })?;
            let (payload, submission) = (row.grant.payload, row.grant.submission);
            (state.clone(), payload, submission)
        };
        let payload = match state.area_only(&payload) {
            Some(facts) => self.0.give_payload(&state, facts).await?,
            None => self.kept(payload).await?,
        };
        Ok(Response::new(internal::FetchPayloadResponse {
            payload: payload.into(),
            submission: self.kept(submission).await?.into(),
        }))
    }

    async fn fetch_site_keys(
        &self,
        request: Request<internal::FetchSiteKeysRequest>,
    ) -> Result<Response<internal::FetchSiteKeysResponse>, Status> {
        let call = Call::of(&request)?;
        let state = self.0.replica.state();
        let (id, node) = call.agent(&state)?;
        check_alone(&id, node)?;
        let answer = self.0.keys_for(&state, (&id, node), &request.get_ref().record)?;
        Ok(Response::new(answer))
    }

    async fn renew(
        &self,
        request: Request<internal::RenewRequest>,
    ) -> Result<Response<internal::JoinResponse>, Status> {
        let (call, node) = self.node(&request)?;
        let csr = request.into_inner().csr;
        Ok(Response::new(self.0.renew_node(&call, &node, &csr).await?))
    }

    async fn list_landmarks(
        &self,
        request: Request<internal::ListLandmarksRequest>,
    ) -> Result<Response<internal::ListLandmarksResponse>, Status> {
        self.node(&request)?;
        Ok(Response::new(addresses(&self.0.replica.state())))
    }

    async fn submit_fix(
        &self,
        request: Request<internal::SubmitFixRequest>,
    ) -> Result<Response<internal::SubmitFixResponse>, Status> {
        let (call, node) = self.alone(&request)?;
        let SubmitFix { session, fix, transcripts } = SubmitFix::try_from(request.get_ref())?;
        let id = node.clone();
        let command = Command::SubmitFix { node: id, session, fix, transcripts };
        let revision = self.propose(&call, command).await?;
        let state = self.0.replica.state();
        let kept = state.fix(&node).filter(|kept| kept.fix.fix == fix);
        let verdict = kept.map(|kept| encode(&kept.fix.verdict)).transpose();
        let verdict = verdict.map_err(|e| ApiError::new(ErrorCode::Internal, e.to_string()))?;
        tracing::info!(%node, revision, proven = kept.is_some_and(|k| k.fix.proof(state.clock()).is_some()), "a fix was taken");
        let verdict = verdict.unwrap_or_default().into();
        Ok(Response::new(internal::SubmitFixResponse { revision, verdict }))
    }

    async fn fetch_trust(
        &self,
        request: Request<internal::FetchTrustRequest>,
    ) -> Result<Response<internal::FetchTrustResponse>, Status> {
        self.node(&request)?;
        let (package, _) = package(&self.0.replica.state())?;
        Ok(Response::new(internal::FetchTrustResponse { package: package.into() }))
    }
}
