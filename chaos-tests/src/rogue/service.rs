//! The agent's service as a rogue controller answers it: everything is granted, and signed.

use super::history::{Delivery, History, PAYLOAD};
use super::log::Leaf;
use super::replay::deliveries;
use sekisho_evidence::grant::SessionId;
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::receipt::Receipt;
use sekisho_proto::internal::v1::agent_message::Message as Up;
use sekisho_proto::internal::v1::agent_service_server::AgentService;
use sekisho_proto::internal::v1::controller_message::{
    Acknowledged, Attached, Desired, Message as Down, Proved,
};
use sekisho_proto::internal::v1::{
    AdoptRequest, AdoptResponse, AgentMessage, ControllerMessage, FetchPayloadRequest,
    FetchPayloadResponse, FetchSiteKeysRequest, FetchSiteKeysResponse, FetchTrustRequest,
    FetchTrustResponse, JoinResponse, ListLandmarksRequest, ListLandmarksResponse,
    OpenSessionRequest, OpenSessionResponse, RefuseRequest, RefuseResponse, RenewRequest,
    ReportFitnessRequest, ReportFitnessResponse, ReportRequest, ReportResponse, SubmitFixRequest,
    SubmitFixResponse,
};
use sekisho_types::id::{MemberId, OperatorId};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

#[derive(Debug)]
pub(super) struct Rogue {
    pub(super) operator: OperatorId,
    pub(super) member: MemberId,
    pub(super) key: SigningKey,
    /// Plays the leader.
    pub(super) leads: bool,
    pub(super) history: Arc<History>,
    pub(super) receipts: mpsc::Sender<Receipt>,
}

fn internal(error: impl std::fmt::Display) -> Status {
    Status::internal(error.to_string())
}

fn proved(leaf: &Leaf) -> Proved {
    let path = leaf.path.iter().map(|hash| hash.0.to_vec().into()).collect();
    Proved { record: leaf.record.clone().into(), index: leaf.index, path }
}

impl Rogue {
    fn desired(&self, delivery: Delivery) -> Result<Desired, Status> {
        let Delivery { grants, desired, checkpoint, from_size, consistency } = delivery;
        let line = checkpoint.sign(&self.operator, self.member, &self.key).map_err(internal)?;
        Ok(Desired {
            desired: Some(proved(&desired)),
            grants: grants.iter().map(proved).collect(),
            checkpoint: checkpoint.text().map_err(internal)?,
            line: line.0,
            from_size,
            consistency: consistency.iter().map(|hash| hash.0.to_vec().into()).collect(),
            revision: checkpoint.revision.0,
        })
    }
}

#[tonic::async_trait]
impl AgentService for Rogue {
    async fn open_session(
        &self,
        request: Request<OpenSessionRequest>,
    ) -> Result<Response<OpenSessionResponse>, Status> {
        let session = request.into_inner().session.as_ref().try_into().map_err(internal)?;
        self.history.opened(SessionId(session));
        Ok(Response::new(OpenSessionResponse { revision: 900 }))
    }

    type AttachStream = Pin<Box<dyn Stream<Item = Result<ControllerMessage, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (send, receive) = mpsc::channel(16);
        let down = |message| Ok(ControllerMessage { message: Some(message) });
        let attached = Attached { member: self.member.0, operator: self.operator.to_string() };
        send.try_send(down(Down::Attached(attached))).map_err(internal)?;
        let deliveries = deliveries(&self.history, self.history.attempt).map_err(internal)?;
        let sets = deliveries.into_iter().map(|delivery| self.desired(delivery));
        let mut sets = sets.collect::<Result<VecDeque<_>, _>>()?;
        let first = sets.pop_front().ok_or_else(|| Status::internal("nothing to deliver"))?;
        send.try_send(down(Down::Desired(first))).map_err(internal)?;
        let (history, leader) = (Arc::clone(&self.history), self.leads);
        let (member, key) = (self.member, self.key.clone());
        // The sender stays with the stream, or it would end after the first messages.
        let answers =
            request.into_inner().filter_map(move |message| match message.ok()?.message? {
                Up::Renewal(renewal) => {
                    let sequence = renewal.sequence;
                    let signed =
                        if leader { history.word(member, sequence, &key)? } else { vec![] };
                    let signed = signed.into();
                    let answer = Acknowledged { sequence, revision: 1000, signed, wall_ms: 0 };
                    Some(down(Down::Acknowledged(answer)))
                }
                // What follows the first set only means something to an agent that has taken it.
                Up::Accepted(_) => {
                    sets.drain(..).for_each(|set| drop(send.try_send(down(Down::Desired(set)))));
                    None
                }
                Up::Attach(_)
                | Up::Head(_)
                | Up::Log(_)
                | Up::Proving(_)
                | Up::Countersigned(_) => None,
            });
        let stream = ReceiverStream::new(receive).merge(answers);
        Ok(Response::new(Box::pin(stream)))
    }

    async fn report(
        &self,
        _request: Request<ReportRequest>,
    ) -> Result<Response<ReportResponse>, Status> {
        Ok(Response::new(ReportResponse { revision: 1001 }))
    }

    async fn report_fitness(
        &self,
        _request: Request<ReportFitnessRequest>,
    ) -> Result<Response<ReportFitnessResponse>, Status> {
        Ok(Response::new(ReportFitnessResponse { revision: 1001 }))
    }

    async fn adopt(
        &self,
        _request: Request<AdoptRequest>,
    ) -> Result<Response<AdoptResponse>, Status> {
        Err(Status::unimplemented("it has one incarnation"))
    }

    async fn refuse(
        &self,
        request: Request<RefuseRequest>,
    ) -> Result<Response<RefuseResponse>, Status> {
        let receipt = Receipt(request.into_inner().receipt.to_vec());
        // A second receipt is as good as the first; the drill takes one.
        self.receipts.try_send(receipt).ok();
        Ok(Response::new(RefuseResponse { revision: 1001 }))
    }

    async fn list_landmarks(
        &self,
        _request: Request<ListLandmarksRequest>,
    ) -> Result<Response<ListLandmarksResponse>, Status> {
        Ok(Response::new(ListLandmarksResponse::default()))
    }

    async fn submit_fix(
        &self,
        _request: Request<SubmitFixRequest>,
    ) -> Result<Response<SubmitFixResponse>, Status> {
        Err(Status::unimplemented("it has no landmarks"))
    }

    async fn fetch_payload(
        &self,
        _request: Request<FetchPayloadRequest>,
    ) -> Result<Response<FetchPayloadResponse>, Status> {
        let submission = self.history.submission().map_err(internal)?;
        let submission = submission.bytes().map_err(internal)?.into();
        Ok(Response::new(FetchPayloadResponse { payload: PAYLOAD.into(), submission }))
    }

    async fn fetch_site_keys(
        &self,
        _request: Request<FetchSiteKeysRequest>,
    ) -> Result<Response<FetchSiteKeysResponse>, Status> {
        Err(Status::unimplemented("rogues have no keys of sites"))
    }

    async fn fetch_trust(
        &self,
        _request: Request<FetchTrustRequest>,
    ) -> Result<Response<FetchTrustResponse>, Status> {
        Err(Status::unimplemented("the rogue quorum shows no way"))
    }

    async fn renew(
        &self,
        _request: Request<RenewRequest>,
    ) -> Result<Response<JoinResponse>, Status> {
        Err(Status::unimplemented("rogues issue nothing"))
    }
}
