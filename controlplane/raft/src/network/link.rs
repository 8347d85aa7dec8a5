//! The network as a trait: what carries packets to one other member.
//!
//! Must hold: packets of one stream arrive in order or the stream ends; every call ends within its time; nothing is
//! delivered twice. May lose anything by ending it.

use crate::type_config::PeerNode;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use sekisho_types::id::MemberId;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One message with its header; the header is empty after the first packet of a stream.
#[derive(Debug, Clone, Default)]
pub struct Packet {
    /// Bytes of a [`crate::network::frame::Header`].
    pub header: Bytes,
    /// What it carries.
    pub body: Bytes,
}

/// The calls with one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// A candidate asks for a vote.
    Vote,
    /// A member asks whether it would get a vote.
    PreVote,
    /// A leader names its successor.
    TransferLeader,
    /// A follower hands an entry to the leader.
    Propose,
    /// A follower asks the leader for a log id to wait for.
    ReadIndex,
    /// A leader asks a voter whose its vote is.
    Confirm,
    /// A member says which data directory it holds (R6).
    Claim,
    /// Asks whoever is at a member's address which process it is (R6).
    Identify,
    /// A member that was away asks for the way to the endorser bundle in force.
    Way,
    /// Where the transfer of a snapshot goes on that was cut off.
    SnapshotOffset,
    /// A member that installed a snapshot asks for audit records before it.
    ReadAudit,
}

/// Which connection an append stream takes, so that bulk never delays a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Entries.
    Entries,
    /// Heartbeats.
    Heartbeats,
}

/// Why a packet got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The peer did not get it, or nobody knows whether it did.
    #[error("peer unreachable: {0}")]
    Unreachable(String),
    /// The peer refused it before anything happened.
    #[error("peer refused: {0}")]
    Refused(String),
    /// No answer within the time.
    #[error("no answer in time")]
    Timeout,
}

/// Answers to a stream of append requests.
pub type Replies = BoxStream<'static, Result<Bytes, LinkError>>;

/// The way to one member. Cheap to clone behind its `Arc`.
pub trait RaftLink: Send + Sync + fmt::Debug {
    /// One call with one answer, within `ttl`.
    fn call(
        &self,
        method: Method,
        packet: Packet,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Bytes, LinkError>>;

    /// A stream of append requests and their answers in order; opened within `ttl`.
    fn append(
        &self,
        lane: Lane,
        packets: BoxStream<'static, Packet>,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Replies, LinkError>>;

    /// A snapshot in pieces, answered once, within `ttl`.
    fn snapshot(
        &self,
        packets: BoxStream<'static, Packet>,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Bytes, LinkError>>;
}

/// Makes links. A link to the same member at the same address may be shared.
pub trait Links: Send + Sync + fmt::Debug {
    /// The way to `member`.
    fn link(&self, member: MemberId, node: &PeerNode) -> Arc<dyn RaftLink>;
}
