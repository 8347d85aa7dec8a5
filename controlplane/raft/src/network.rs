//! Members talking to each other.
//!
//! ```text
//! openraft ── client ── RaftLink ──(grpc: mTLS channels)──> service ── inbound ── openraft
//! ```
//! [`link::RaftLink`] is where a simulator puts its own network: packets in, bytes out. Everything above it (client,
//! inbound) knows nothing of gRPC; everything below knows nothing of raft.
//!
//! Must hold (D3, R5): nothing is sent to a peer that is not a member in this member's own applied state (genesis
//! before that), and nothing of a peer reaches openraft before its certificate, its claimed id, cluster and
//! incarnation agree and it is such a member.

pub(crate) mod client;
pub mod frame;
pub mod grpc;
pub mod inbound;
pub mod link;
pub mod message;
pub mod service;
