//! The types that openraft is used with.
//!
//! Must hold: an entry is encoded once, by the member that was asked to propose it, and decoded once on every other:
//! the log, the wire and apply share one [`Proposal`].

use crate::codec::CodecError;
use crate::platform::{Native, Platform};
use openraft::impls::{BoxedErrorSource, InlineBatch, ProgressResponder, leader_id_adv};
use openraft::type_config::alias::{
    EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf,
};
use openraft::vote::RaftLeaderId;
use openraft::{EntryPayload, RaftTypeConfig};
use sekisho_fsm::entry::Entry as FsmEntry;
use sekisho_fsm::outcome::Outcome;
use sekisho_types::id::{MemberId, OperatorId, SiteId};
use sekisho_types::principal::{Principal, Workload};
use sekisho_types::revision::Revision;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

/// Member ids are numbers; leaders are ordered by (term, member), so one term may see two of them. The platform
/// decides on the runtime and on nothing that is stored or sent: the aliases below are the same on every platform.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TypeConfig<P = Native>(PhantomData<P>);

impl<P: Platform> RaftTypeConfig for TypeConfig<P> {
    type D = Proposal;
    type R = Response;
    type NodeId = u64;
    type Node = PeerNode;
    type Term = u64;
    type LeaderId = leader_id_adv::LeaderId<u64, u64>;
    type Vote = openraft::impls::Vote<Self::LeaderId>;
    type Payload = EntryPayload<Proposal, u64, PeerNode>;
    type Entry = openraft::Entry<<Self::LeaderId as RaftLeaderId>::Committed, Self::Payload>;
    type Responder<T>
        = ProgressResponder<Self, T>
    where
        T: Send + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: Send + 'static;
    type AsyncRuntime = P::Engine;
    type ErrorSource = BoxedErrorSource;
}

pub(crate) type Raft<P> = openraft::Raft<TypeConfig<P>, crate::state_machine::StateMachine<P>>;
pub(crate) type Entry = EntryOf<TypeConfig>;
pub(crate) type LogId = LogIdOf<TypeConfig>;
pub(crate) type Vote = VoteOf<TypeConfig>;
pub(crate) type StoredMembership = StoredMembershipOf<TypeConfig>;
pub(crate) type Membership = openraft::Membership<u64, PeerNode>;
pub(crate) type SnapshotMeta = SnapshotMetaOf<TypeConfig>;
pub(crate) type RaftState<P> = openraft::RaftState<TypeConfig<P>>;
pub(crate) type Snapshot = SnapshotOf<TypeConfig, crate::snapshot::SnapshotData>;

/// Where a member is and who it has to prove to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerNode {
    /// `host:port`.
    pub address: String,
    /// Whose controller.
    pub operator: OperatorId,
    /// Where it stands.
    pub site: SiteId,
}

impl PeerNode {
    /// Whom the certificate at that address has to name.
    #[must_use]
    pub fn principal(&self, member: MemberId) -> Principal {
        Principal {
            operator: self.operator.clone(),
            workload: Workload::Member { site: self.site.clone(), member: member.0 },
        }
    }
}

/// openraft's conformance suite makes members out of nothing.
#[cfg(test)]
impl Default for PeerNode {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:1".to_owned(),
            operator: "kanto".parse().unwrap(),
            site: "tokyo-1".parse().unwrap(),
        }
    }
}

struct Content {
    bytes: Vec<u8>,
    entry: OnceLock<Result<Arc<FsmEntry>, CodecError>>,
}

/// One entry: its canonical bytes, and the value once somebody asked for it. Clones share both.
#[derive(Clone)]
pub(crate) struct Proposal(Arc<Content>);

impl Proposal {
    /// Encodes an entry.
    pub(crate) fn new(entry: FsmEntry) -> Result<Self, CodecError> {
        let bytes = sekisho_evidence::canonical::encode(&entry)
            .map_err(|e| CodecError::Malformed(e.to_string()))?;
        Ok(Self(Arc::new(Content { bytes, entry: OnceLock::from(Ok(Arc::new(entry))) })))
    }

    /// Takes bytes as they are; [`Self::entry`] tells whether they are an entry.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Content { bytes, entry: OnceLock::new() }))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// The entry, decoded at the first call. Strict: a second spelling of an entry would be signed and hashed as
    /// something that nobody sent.
    pub(crate) fn entry(&self) -> Result<&Arc<FsmEntry>, CodecError> {
        let decoded = self.0.entry.get_or_init(|| {
            sekisho_evidence::canonical::decode(&self.0.bytes)
                .map(Arc::new)
                .map_err(|e| CodecError::Malformed(e.to_string()))
        });
        decoded.as_ref().map_err(Clone::clone)
    }
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry of {} bytes", self.0.bytes.len())
    }
}

impl Serialize for Proposal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0.bytes)
    }
}

impl<'de> Deserialize<'de> for Proposal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Raw;
        impl<'de> Visitor<'de> for Raw {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, _seq: A) -> Result<Vec<u8>, A::Error> {
                Err(A::Error::custom("an entry is bytes, not a list"))
            }
        }
        deserializer.deserialize_bytes(Raw).map(Self::from_bytes)
    }
}

/// What apply answers: nothing for entries that are not ours (blank, membership).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Response {
    /// The entry that gave the outcome: an earlier one for a repeated request (R3).
    pub(crate) revision: Revision,
    pub(crate) outcome: Option<Outcome>,
}

/// Log index of an id.
pub(crate) fn index(id: &LogId) -> u64 {
    id.index()
}
