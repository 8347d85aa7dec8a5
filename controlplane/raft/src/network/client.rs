//! openraft's network client over a [`RaftLink`].
//!
//! Must hold: the peer is a member in this member's applied state, and where that says, each time something is begun
//! (openraft keeps its clients when a node moves); an append stream
//! whose requests stay unanswered ends ([`APPEND_STALL`]) instead of keeping replication waiting for ever; and so does one
//! whose peer answers and stays behind ([`Outbound::lag_max`]), because the log before it cannot be purged.

use crate::codec::{CodecError, decode, encode};
use crate::limit::{APPEND_STALL, OPEN_PAUSE, OPEN_PAUSE_MAX, OPEN_TIMEOUT, SNAPSHOT_CHUNK};
use crate::network::frame::{Header, MemberDirectory};
use crate::network::link::{Lane, LinkError, Links, Method, Packet, RaftLink, Replies};
use crate::network::message::{SnapshotHead, SnapshotOffset};
use crate::platform::Platform;
use crate::snapshot::{Meta, Origin, SnapshotData, SnapshotError};
use crate::type_config::{LogId, PeerNode, Snapshot, TypeConfig, Vote, index};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{
    Backoff, NetBackoff, NetSnapshot, NetStreamAppend, NetTransferLeader, NetVote, RPCOption,
    RaftNetworkFactory,
};
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use sekisho_types::id::{Digest, MemberId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What every client of this member shares.
#[derive(Debug, Clone)]
pub(crate) struct Outbound {
    pub(crate) origin: Origin,
    pub(crate) me: MemberId,
    pub(crate) links: Arc<dyn Links>,
    pub(crate) directory: Arc<dyn MemberDirectory>,
    /// The highest that this program knows.
    pub(crate) feature_level: u32,
    /// Committed entries that a peer may lack and still be sent entries. openraft purges nothing that an open stream
    /// has still to carry: one slow peer would let the leader's log grow without end (L4). When its stream ends with an
    /// error the log is purged, and the peer is sent a snapshot.
    pub(crate) lag_max: u64,
}

/// The way to one member, as openraft uses it.
#[derive(Debug)]
pub(crate) struct PeerClient {
    out: Outbound,
    to: MemberId,
    lane: Lane,
    /// Append streams in a row that could not be opened.
    failed: u32,
}

/// How long to wait before the next append stream is opened.
///
/// openraft waits only between requests of an open stream: to a peer whose host refuses at once it would dial
/// thousands of times a second, and say so in the log each time.
fn open_pause(failed: u32) -> Duration {
    let Some(doublings) = failed.checked_sub(1) else { return Duration::ZERO };
    OPEN_PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(OPEN_PAUSE_MAX)
}

impl Outbound {
    /// A packet with its header, and the way to where `to` is now: it may have moved since it was last talked to.
    ///
    /// # Errors
    /// [`LinkError::Refused`] if it is no member in applied state (D3).
    pub(crate) fn packet(
        &self,
        to: MemberId,
        body: Vec<u8>,
    ) -> Result<(Packet, Arc<dyn RaftLink>), LinkError> {
        let node = self.directory.node(to);
        let node = node
            .ok_or_else(|| LinkError::Refused(format!("{to} is not a member in applied state")))?;
        let header =
            Header::new(self.origin, self.me, to, self.feature_level).bytes().map_err(own)?;
        Ok((Packet { header, body: body.into() }, self.links.link(to, &node)))
    }

    fn client(&self, to: u64, lane: Lane) -> PeerClient {
        PeerClient { out: self.clone(), to: MemberId(to), lane, failed: 0 }
    }
}

/// An error of our own encoding: nothing was sent.
fn own(error: CodecError) -> LinkError {
    LinkError::Refused(error.to_string())
}

fn rpc<P: Platform>(error: LinkError) -> RPCError<TypeConfig<P>> {
    RPCError::Unreachable(Unreachable::from_string(error))
}

impl<P: Platform> RaftNetworkFactory<TypeConfig<P>> for Outbound {
    type Network = PeerClient;

    async fn new_client(&mut self, to: u64, _node: &PeerNode) -> PeerClient {
        self.client(to, Lane::Entries)
    }

    async fn new_heartbeat_client(&mut self, to: u64, _node: &PeerNode) -> PeerClient {
        self.client(to, Lane::Heartbeats)
    }
}

impl PeerClient {
    async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        request: &Q,
        ttl: Duration,
    ) -> Result<A, LinkError> {
        let (packet, link) = self.out.packet(self.to, encode(request).map_err(own)?)?;
        let answer = link.call(method, packet, ttl).await?;
        decode(&answer).map_err(own)
    }

    async fn open_append<P, S>(&self, input: S, ttl: Duration) -> Result<Answers, LinkError>
    where
        P: Platform,
        S: Stream<Item = AppendEntriesRequest<TypeConfig<P>>> + Send + Unpin + 'static,
    {
        // The first packet goes at once: the peer answers the header before there is anything to replicate.
        let (hello, link) = self.out.packet(self.to, Vec::new())?;
        let sent = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&sent);
        let (directory, to) = (Arc::clone(&self.out.directory), self.to);
        let at = directory.node(to);
        let mut before = None;
        let bulk = self.lane == Lane::Entries;
        let committed = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&committed);
        // A request that may not or cannot be sent ends the stream; the answers then end, too.
        let requests = input.scan((), move |(), request| {
            counted.fetch_add(1, Ordering::AcqRel);
            if let Some(id) = &request.leader_commit {
                told.fetch_max(index(id), Ordering::AcqRel);
            }
            let now = position(&request);
            let idle = bulk && now.is_some() && now == before;
            before = now;
            // A member that moved is no longer at the end of this stream.
            let send = !idle && directory.node(to) == at;
            let body = send.then(|| encode(&request).ok()).flatten();
            let packet = body.map(|body| Packet { header: Bytes::new(), body: body.into() });
            std::future::ready(packet)
        });
        let packets = stream::iter([hello]).chain(requests);
        let replies = link.append(self.lane, packets.boxed(), ttl.max(OPEN_TIMEOUT)).await?;
        let lag_max = if bulk { self.out.lag_max } else { u64::MAX };
        Ok(Answers { replies, sent, answered: 0, committed, lag_max, behind: false })
    }
}

/// Where a request without entries stands: what it follows and what it says is committed. Two of them at one place are
/// the sign of a command whose entries are purged ([`crate::log_store`]): without an end it would go on for ever and
/// the peer would never get what it lacks. A new stream begins with the newest command.
fn position<P: Platform>(
    request: &AppendEntriesRequest<TypeConfig<P>>,
) -> Option<(Option<LogId>, Option<LogId>)> {
    request.entries.is_empty().then_some((request.prev_log_id, request.leader_commit))
}

/// What openraft is given for one append request.
type Answer<P> = Result<StreamAppendResult<TypeConfig<P>>, RPCError<TypeConfig<P>>>;

/// Answers of one append stream, with the count that tells a stall from having nothing to do.
struct Answers {
    replies: Replies,
    sent: Arc<AtomicU64>,
    answered: u64,
    /// The last committed entry that a request told of.
    committed: Arc<AtomicU64>,
    /// See [`Outbound::lag_max`].
    lag_max: u64,
    /// The last answer was that of a peer too far behind.
    behind: bool,
}

impl Answers {
    /// Whether a peer that has everything up to `matched` is too far behind to be sent entries.
    fn is_behind(&self, matched: Option<&LogId>) -> bool {
        let next = matched.map_or(0, |id| index(id).saturating_add(1));
        self.committed.load(Ordering::Acquire).saturating_sub(next) > self.lag_max
    }

    async fn next<P: Platform>(
        mut self,
    ) -> Option<(Result<StreamAppendResult<TypeConfig<P>>, LinkError>, Self)> {
        if self.behind {
            let why = format!("it stays more than {} entries behind", self.lag_max);
            return Some((Err(LinkError::Refused(why)), self));
        }
        loop {
            let answered = self.answered;
            match P::within(P::deadline(APPEND_STALL), self.replies.next()).await {
                Ok(None) => return None,
                Ok(Some(Ok(bytes))) => {
                    self.answered = self.answered.saturating_add(1);
                    let answer: Result<StreamAppendResult<TypeConfig<P>>, _> = decode(&bytes);
                    // This answer still counts.
                    if let Ok(Ok(matched)) = &answer {
                        self.behind = self.is_behind(matched.as_ref());
                    }
                    return Some((answer.map_err(own), self));
                }
                Ok(Some(Err(error))) => return Some((Err(error), self)),
                // Requests are sent late and answered early, so a stall is seen within two of these.
                Err(_elapsed) if self.sent.load(Ordering::Acquire) > answered => {
                    return Some((Err(LinkError::Timeout), self));
                }
                Err(_elapsed) => {}
            }
        }
    }

    fn into_stream<P: Platform>(self) -> BoxStream<'static, Answer<P>> {
        let answers = stream::unfold(Some(self), |answers| async move {
            let (answer, rest) = answers?.next::<P>().await?;
            let rest = answer.is_ok().then_some(rest);
            Some((answer.map_err(rpc), rest))
        });
        Box::pin(answers)
    }
}

impl<P: Platform> NetStreamAppend<TypeConfig<P>> for PeerClient {
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<
        's,
        Result<
            BoxStream<'s, Result<StreamAppendResult<TypeConfig<P>>, RPCError<TypeConfig<P>>>>,
            RPCError<TypeConfig<P>>,
        >,
    >
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig<P>>> + Send + Unpin + 'static,
    {
        Box::pin(async move {
            // Heartbeats have their own beat.
            if self.lane == Lane::Entries && self.failed > 0 {
                P::sleep(open_pause(self.failed)).await;
            }
            let opened = self.open_append::<P, S>(input, option.hard_ttl()).await;
            self.failed = if opened.is_ok() { 0 } else { self.failed.saturating_add(1) };
            let answers = opened.map_err(rpc)?;
            let answers: BoxStream<'s, _> = answers.into_stream::<P>();
            Ok(answers)
        })
    }
}

impl<P: Platform> NetVote<TypeConfig<P>> for PeerClient {
    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig<P>>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig<P>>, RPCError<TypeConfig<P>>> {
        self.call(Method::Vote, &request, option.hard_ttl()).await.map_err(rpc)
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig<P>>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig<P>>, RPCError<TypeConfig<P>>> {
        self.call(Method::PreVote, &request, option.hard_ttl()).await.map_err(rpc)
    }
}

impl<P: Platform> NetTransferLeader<TypeConfig<P>> for PeerClient {
    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig<P>>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig<P>>, RPCError<TypeConfig<P>>> {
        self.call(Method::TransferLeader, &request, option.hard_ttl()).await.map_err(rpc)
    }
}

impl<P: Platform> NetBackoff<TypeConfig<P>> for PeerClient {
    fn backoff(&self) -> Option<Backoff> {
        None
    }
}

impl<P: Platform> NetSnapshot<TypeConfig<P>> for PeerClient {
    type SnapshotData = SnapshotData;

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig<P>>, StreamingError<TypeConfig<P>>> {
        let unreachable = |why: String| StreamingError::Unreachable(Unreachable::from_string(why));
        let Snapshot { meta, snapshot } = snapshot;
        let loading = P::blocking(move || {
            let data = snapshot.load()?;
            let digest = Digest::of(&data);
            Ok::<_, SnapshotError>((data, digest))
        });
        let loaded = loading.await.map_err(|e| unreachable(e.to_string()))?;
        let (data, digest) = loaded.map_err(|e| unreachable(e.to_string()))?;
        let meta = encode(&Meta::new(self.out.origin, &meta));
        let meta = meta.map_err(|e| unreachable(e.to_string()))?;
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let mut head = SnapshotHead { vote, meta, length, digest, offset: 0 };
        let held: Result<SnapshotOffset, LinkError> =
            self.call(Method::SnapshotOffset, &head, OPEN_TIMEOUT).await;
        head.offset = held.map_err(|e| unreachable(e.to_string()))?.offset.min(length);
        let begin = usize::try_from(head.offset).unwrap_or(usize::MAX);
        let head = encode(&head).map_err(|e| unreachable(e.to_string()))?;
        let first = self.out.packet(self.to, head);
        let (first, link) = first.map_err(|e| unreachable(e.to_string()))?;
        let pieces = (begin..data.len()).step_by(SNAPSHOT_CHUNK).map(move |at| {
            let end = at.saturating_add(SNAPSHOT_CHUNK).min(data.len());
            Packet { header: Bytes::new(), body: data.slice(at..end) }
        });
        let packets = stream::iter([first].into_iter().chain(pieces)).boxed();
        let sending = link.snapshot(packets, option.hard_ttl());
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            answer = sending => {
                let answer = answer.map_err(|e| unreachable(e.to_string()))?;
                decode(&answer).map_err(|e| unreachable(e.to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_refuses_is_dialled_less_and_less() {
        let pauses: Vec<u128> = (0..12).map(|failed| open_pause(failed).as_millis()).collect();
        assert_eq!(pauses, [0, 10, 20, 40, 80, 160, 320, 500, 500, 500, 500, 500]);
        assert_eq!(open_pause(u32::MAX), OPEN_PAUSE_MAX);
    }
}
