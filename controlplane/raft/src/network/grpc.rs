//! [`RaftLink`] over gRPC channels of `transport`.
//!
//! Four connections to each member, made when first used: heartbeats and votes; entries; snapshots and audit records;
//! forwarded proposals and reads. So a full pipe of one kind never delays another (L4).

use crate::limit::FRAME_BYTES;
use crate::network::link::{Lane, LinkError, Links, Method, Packet, RaftLink, Replies};
use crate::type_config::PeerNode;
use bytes::Bytes;
use futures::Stream;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{BoxStream, StreamExt as _};
use parking_lot::Mutex;
use sekisho_proto::internal::v1::Frame;
use sekisho_proto::internal::v1::raft_service_client::RaftServiceClient;
use sekisho_proto::status::ApiError;
use sekisho_transport::address::Address;
use sekisho_transport::dial::{ChannelOptions, Dialer};
use sekisho_transport::trace;
use sekisho_transport::verify::Expect;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::MemberId;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Request, Status};

type Client = RaftServiceClient<Channel>;

/// Links over mutual TLS. A link is shared as long as the member's address and principal stay the same.
#[derive(Debug)]
pub struct GrpcLinks {
    dialer: Dialer,
    made: Mutex<BTreeMap<MemberId, Made>>,
}

/// A link with what it was made for.
type Made = (PeerNode, Arc<dyn RaftLink>);

impl GrpcLinks {
    /// Links dialled by `dialer`.
    #[must_use]
    pub fn new(dialer: Dialer) -> Arc<Self> {
        Arc::new(Self { dialer, made: Mutex::default() })
    }

    fn make(&self, member: MemberId, node: &PeerNode) -> Arc<dyn RaftLink> {
        let channels =
            node.address.parse::<Address>().map_err(|e| e.to_string()).and_then(|address| {
                let expect = Expect::Principal(node.principal(member));
                let channel = || {
                    let route = self.dialer.channel(&address, &expect, ChannelOptions::default());
                    route.map(|route| client(route.channel())).map_err(|e| e.to_string())
                };
                let (control, entries) = (channel()?, channel()?);
                Ok(Channels { control, entries, snapshots: channel()?, forwards: channel()? })
            });
        Arc::new(GrpcLink(channels))
    }
}

impl Links for GrpcLinks {
    fn link(&self, member: MemberId, node: &PeerNode) -> Arc<dyn RaftLink> {
        let mut made = self.made.lock();
        if let Some((known, link)) = made.get(&member)
            && known == node
        {
            return Arc::clone(link);
        }
        let link = self.make(member, node);
        made.insert(member, (node.clone(), Arc::clone(&link)));
        link
    }
}

fn client(channel: Channel) -> Client {
    RaftServiceClient::new(channel)
        .max_decoding_message_size(FRAME_BYTES)
        .max_encoding_message_size(FRAME_BYTES)
}

#[derive(Debug, Clone)]
struct Channels {
    control: Client,
    entries: Client,
    snapshots: Client,
    forwards: Client,
}

/// `Err` for an address that cannot be dialled at all.
#[derive(Debug)]
struct GrpcLink(Result<Channels, String>);

fn frame(packet: Packet) -> Frame {
    Frame { header: packet.header, body: packet.body }
}

/// A call of its own. Made in the caller's task, which knows what it works for.
fn traced(packet: Packet) -> Request<Frame> {
    let mut request = Request::new(frame(packet));
    trace::inject(request.metadata_mut());
    request
}

/// Packets as frames. A type of its own, because the compiler cannot see that a call over a mapped `dyn Stream` is
/// `Send` (rust-lang/rust#102211).
struct Frames(BoxStream<'static, Packet>);

impl Stream for Frames {
    type Item = Frame;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        self.0.as_mut().poll_next(cx).map(|packet| packet.map(frame))
    }
}

/// Codes that the service answers before anything happened; all others leave open what happened.
const BEFORE: [ErrorCode; 5] = [
    ErrorCode::Unauthenticated,
    ErrorCode::PermissionDenied,
    ErrorCode::InvalidArgument,
    ErrorCode::TooLarge,
    ErrorCode::Overloaded,
];

/// What a refusal means for the sender.
fn link_error(status: &Status) -> LinkError {
    // Made here, of the connection's own end: a dying connection may look like a refusal, but calls that it carried may
    // have taken effect (R3).
    if std::error::Error::source(status).is_some() {
        return LinkError::Unreachable(status.message().to_owned());
    }
    let error = ApiError::from_status(status);
    if !error.explained {
        return LinkError::Unreachable(status.to_string());
    }
    if error.code == ErrorCode::Deadline {
        LinkError::Timeout
    } else if BEFORE.contains(&error.code) {
        LinkError::Refused(error.message)
    } else {
        LinkError::Unreachable(error.to_string())
    }
}

async fn bounded<T>(
    ttl: Duration,
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, LinkError> {
    match timeout(ttl, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(link_error(&status)),
        Err(_elapsed) => Err(LinkError::Timeout),
    }
}

impl GrpcLink {
    fn channels(&self) -> Result<Channels, LinkError> {
        self.0.clone().map_err(LinkError::Refused)
    }
}

impl RaftLink for GrpcLink {
    fn call(
        &self,
        method: Method,
        packet: Packet,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Bytes, LinkError>> {
        let channels = self.channels();
        let request = traced(packet);
        async move {
            let Channels { mut control, mut forwards, mut snapshots, .. } = channels?;
            let answer = match method {
                Method::Vote => bounded(ttl, control.vote(request)).await,
                Method::PreVote => bounded(ttl, control.pre_vote(request)).await,
                Method::TransferLeader => bounded(ttl, control.transfer_leader(request)).await,
                Method::Confirm => bounded(ttl, control.confirm(request)).await,
                Method::Claim => bounded(ttl, control.claim(request)).await,
                Method::Identify => bounded(ttl, control.identify(request)).await,
                Method::SnapshotOffset => bounded(ttl, snapshots.snapshot_offset(request)).await,
                Method::Way => bounded(ttl, snapshots.way(request)).await,
                Method::ReadAudit => bounded(ttl, snapshots.read_audit(request)).await,
                Method::Propose => bounded(ttl, forwards.propose(request)).await,
                Method::ReadIndex => bounded(ttl, forwards.read_index(request)).await,
            };
            answer.map(|frame| frame.body)
        }
        .boxed()
    }

    fn append(
        &self,
        lane: Lane,
        packets: BoxStream<'static, Packet>,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Replies, LinkError>> {
        let channels = self.channels();
        let frames = Frames(packets);
        async move {
            let Channels { control, entries, .. } = channels?;
            let mut client = match lane {
                Lane::Entries => entries,
                Lane::Heartbeats => control,
            };
            let answers = bounded(ttl, client.append_stream(frames)).await?;
            let answers = answers.map(|answer| match answer {
                Ok(frame) => Ok(frame.body),
                Err(status) => Err(link_error(&status)),
            });
            Ok(answers.boxed())
        }
        .boxed()
    }

    fn snapshot(
        &self,
        packets: BoxStream<'static, Packet>,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Bytes, LinkError>> {
        let channels = self.channels();
        let frames = Frames(packets);
        async move {
            let mut client = channels?.snapshots;
            let answer = bounded(ttl, client.install_snapshot(frames)).await;
            answer.map(|frame| frame.body)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_transport::trace::{TRACEPARENT, TraceContext, scope};

    #[test]
    fn only_what_the_service_said_before_it_began_is_a_refusal() {
        let of = |code| link_error(&Status::from(ApiError::new(code, "why")));
        for code in BEFORE {
            assert!(matches!(of(code), LinkError::Refused(why) if why == "why"), "{code}");
        }
        assert!(matches!(of(ErrorCode::Deadline), LinkError::Timeout));
        assert!(matches!(of(ErrorCode::NoLeader), LinkError::Unreachable(_)));
        // Nobody of ours said it: what happened is open.
        let bare = link_error(&Status::invalid_argument("why"));
        assert!(matches!(bare, LinkError::Unreachable(_)));
    }

    #[tokio::test]
    async fn what_is_forwarded_names_the_call_that_it_is_for() {
        let sent = || {
            let request = traced(Packet::default());
            request.metadata().get(TRACEPARENT).map(|value| value.to_str().unwrap().to_owned())
        };
        let call = TraceContext::begin();
        assert_eq!(scope(call, async { sent() }).await, Some(call.to_string()));
        // Elections and the like are for nobody.
        assert_eq!(sent(), None);
    }
}
