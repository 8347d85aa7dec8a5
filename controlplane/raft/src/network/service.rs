//! The gRPC face of [`Inbound`]: frames in, frames out, refusals as codes.

use crate::limit::{FRAME_BYTES, OPEN_TIMEOUT};
use crate::network::inbound::Inbound;
use crate::network::link::Method;
use crate::network::message::Refusal;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use sekisho_proto::internal::v1::Frame;
use sekisho_proto::internal::v1::raft_service_server::{RaftService, RaftServiceServer};
use sekisho_proto::status::ApiError;
use sekisho_transport::identity::Peer;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::principal::Principal;
use tokio::time::timeout;
use tonic::{Extensions, Request, Response, Status, Streaming};

/// Serves [`Inbound`].
#[derive(Debug, Clone)]
pub struct RaftRpc(Inbound);

impl RaftRpc {
    pub(crate) fn server(inbound: Inbound) -> RaftServiceServer<Self> {
        RaftServiceServer::new(Self(inbound))
            .max_decoding_message_size(FRAME_BYTES)
            .max_encoding_message_size(FRAME_BYTES)
    }

    async fn call(
        &self,
        method: Method,
        request: Request<Frame>,
    ) -> Result<Response<Frame>, Status> {
        let peer = principal(request.extensions())?;
        let frame = request.into_inner();
        let header = self.0.open(&frame.header, &peer).map_err(status)?;
        let body = self.0.call(header, method, &frame.body).await.map_err(status)?;
        Ok(Response::new(answer(body)))
    }
}

fn principal(extensions: &Extensions) -> Result<Principal, Status> {
    let identity = extensions.get::<Peer>().and_then(|peer| peer.identity.as_ref());
    let identity = identity.ok_or_else(|| status(Refusal::NoCertificate))?;
    Ok(identity.principal.clone())
}

fn answer(body: Bytes) -> Frame {
    Frame { header: Bytes::new(), body }
}

/// A refusal with the code by which the sender knows whether anything may have happened.
#[expect(clippy::needless_pass_by_value, reason = "used as the function of map_err")]
fn status(refusal: Refusal) -> Status {
    let code = match refusal {
        Refusal::NoCertificate => ErrorCode::Unauthenticated,
        Refusal::Header(_) => ErrorCode::PermissionDenied,
        Refusal::Body(_) => ErrorCode::InvalidArgument,
        Refusal::Busy => ErrorCode::Overloaded,
        Refusal::Stalled(_) | Refusal::Late(_) => ErrorCode::Deadline,
        Refusal::Stopping(_) | Refusal::Unproven => ErrorCode::NoLeader,
    };
    ApiError::new(code, refusal.to_string()).into()
}

/// The first frame of a stream, and the bodies of the others until it ends or breaks. Whoever opens a stream has its
/// first frame at hand: one that does not come would hold a call for ever (L3).
async fn split(mut frames: Streaming<Frame>) -> Result<(Frame, BoxStream<'static, Bytes>), Status> {
    let first = timeout(OPEN_TIMEOUT, frames.message()).await;
    let first = first.map_err(|_elapsed| status(Refusal::Late(OPEN_TIMEOUT)))??;
    let first = first.ok_or_else(|| status(Refusal::Body("the stream is empty".to_owned())))?;
    let bodies = frames
        .take_while(|frame| std::future::ready(frame.is_ok()))
        .filter_map(|frame| std::future::ready(frame.ok().map(|frame| frame.body)));
    Ok((first, bodies.boxed()))
}

#[tonic::async_trait]
impl RaftService for RaftRpc {
    type AppendStreamStream = BoxStream<'static, Result<Frame, Status>>;

    async fn append_stream(
        &self,
        request: Request<Streaming<Frame>>,
    ) -> Result<Response<Self::AppendStreamStream>, Status> {
        let peer = principal(request.extensions())?;
        let (first, bodies) = split(request.into_inner()).await?;
        let header = self.0.open(&first.header, &peer).map_err(status)?;
        let answers = self.0.append(header, bodies);
        Ok(Response::new(answers.map(|body| body.map(answer).map_err(status)).boxed()))
    }

    async fn vote(&self, request: Request<Frame>) -> Result<Response<Frame>, Status> {
        self.call(Method::Vote, request).await
    }

    async fn pre_vote(&self, request: Request<Frame>) -> Result<Response<Frame>, Status> {
        self.call(Method::PreVote, request).await
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<Frame>>,
    ) -> Result<Response<Frame>, Status> {
        let peer = principal(request.extensions())?;
        let (first, bodies) = split(request.into_inner()).await?;
        let header = self.0.open(&first.header, &peer).map_err(status)?;
        let body = self.0.snapshot(header, &first.body, bodies).await.map_err(status)?;
        Ok(Response::new(answer(body)))
    }

    async fn transfer_leader(&self, request: Request<Frame>) -> Result<Response<Frame>, Status> {
        self.call(Method::TransferLeader, request).await
    }

    async fn propose(&self, request: Request<Frame>) -> Result<Response<Frame>, Status> {
        self.call(Method::Propose, request).await
    }

    async fn confirm(&self, request: Request<Frame>) -> Result<Response<Frame>, Status> {
        self.call(Method::Confirm, request).await
    }

    async fn claim(&self, request: Request<Frame>) -> Result<Response<Frame>, Status> {
        self.call(Method::Claim, request).await
    }

    async fn identify(&self, request: Request<Frame>) -> Result<Response<Frame>, Status> {
        self.call(Method::Identify, request).await
    }

    async fn way(&self, request: Request<Frame>) -> Result<Response<Frame>, Status> {
        self.call(Method::Way, request).await
    }

    async fn snapshot_offset(&self, request: Request<Frame>) -> Result<Response<Frame>, Status> {
        self.call(Method::SnapshotOffset, request).await
    }

    async fn read_audit(&self, request: Request<Frame>) -> Result<Response<Frame>, Status> {
        self.call(Method::ReadAudit, request).await
    }

    async fn read_index(&self, request: Request<Frame>) -> Result<Response<Frame>, Status> {
        self.call(Method::ReadIndex, request).await
    }
}
