//! The header of every call and stream, and who may present which.

use crate::codec::{CodecError, decode, encode};
use crate::snapshot::Origin;
use crate::type_config::PeerNode;
use bytes::Bytes;
use sekisho_types::id::MemberId;
use sekisho_types::principal::Principal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Version of everything that members send each other.
pub const PROTOCOL: u16 = 1;

/// Who sends what to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`PROTOCOL`] of the sender.
    pub protocol: u16,
    /// Highest feature level that the sender's program knows; how the leader learns what may be raised.
    pub feature_level: u32,
    /// Federation and incarnation of the sender.
    pub origin: Origin,
    /// The sender.
    pub from: MemberId,
    /// The receiver it means.
    pub to: MemberId,
}

/// Why a header is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// No header.
    #[error("header is malformed: {0}")]
    Malformed(String),
    /// Another protocol version.
    #[error("protocol {0} is not spoken here, {PROTOCOL} is")]
    Protocol(u16),
    /// Another federation.
    #[error("sender belongs to another cluster")]
    WrongCluster,
    /// Another life of this federation, or one of the same number that was begun in another way.
    #[error("sender belongs to another incarnation of this cluster")]
    WrongIncarnation,
    /// Meant for somebody else.
    #[error("meant for member {0}")]
    WrongMember(MemberId),
    /// The certificate names someone else than the header, or a member that is none here.
    #[error("the peer is not member {0} of this cluster")]
    NotMember(MemberId),
}

/// Who is a member: applied state, and before that the genesis. One that the state has no more stays as long as it votes:
/// the change that takes its vote may need it.
pub trait MemberDirectory: Send + Sync + fmt::Debug {
    /// All of them, with where they are.
    fn members(&self) -> BTreeMap<MemberId, PeerNode>;

    /// Where one of them is; `None` if it is no member.
    fn node(&self, member: MemberId) -> Option<PeerNode>;

    /// Whom the certificate of `member` has to name; `None` if it is no member.
    fn principal(&self, member: MemberId) -> Option<Principal> {
        Some(self.node(member)?.principal(member))
    }
}

impl Header {
    /// The header of `from` to `to`, by a program that knows this feature level.
    #[must_use]
    pub fn new(origin: Origin, from: MemberId, to: MemberId, feature_level: u32) -> Self {
        Self { protocol: PROTOCOL, feature_level, origin, from, to }
    }

    pub(crate) fn bytes(&self) -> Result<Bytes, CodecError> {
        encode(self).map(Bytes::from)
    }

    /// Reads a header that came from `peer` to member `to` of `origin`.
    ///
    /// # Errors
    /// The first [`HeaderError`] in the order of its variants.
    pub fn open(
        bytes: &[u8],
        origin: Origin,
        to: MemberId,
        peer: &Principal,
        directory: &dyn MemberDirectory,
    ) -> Result<Self, HeaderError> {
        let header: Self = decode(bytes).map_err(|e| HeaderError::Malformed(e.to_string()))?;
        if header.protocol != PROTOCOL {
            return Err(HeaderError::Protocol(header.protocol));
        }
        if header.origin.cluster != origin.cluster {
            return Err(HeaderError::WrongCluster);
        }
        if header.origin != origin {
            return Err(HeaderError::WrongIncarnation);
        }
        if header.to != to {
            return Err(HeaderError::WrongMember(header.to));
        }
        if directory.principal(header.from).as_ref() != Some(peer) || header.from == to {
            return Err(HeaderError::NotMember(header.from));
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_types::id::{ClusterId, Digest};
    use sekisho_types::revision::Incarnation;

    #[derive(Debug)]
    struct Two;

    impl MemberDirectory for Two {
        fn members(&self) -> BTreeMap<MemberId, PeerNode> {
            [1, 2].map(|id| (MemberId(id), PeerNode::default())).into()
        }
        fn node(&self, member: MemberId) -> Option<PeerNode> {
            self.members().remove(&member)
        }
    }

    #[test]
    fn each_lie_has_its_name() {
        let begun = Digest([7; 32]);
        let origin = Origin { cluster: ClusterId([1; 16]), incarnation: Incarnation(1), begun };
        let (me, peer) = (MemberId(1), MemberId(2));
        let principal = PeerNode::default().principal(peer);
        let good = Header::new(origin, peer, me, 7);
        let open =
            |header: Header| Header::open(&header.bytes().unwrap(), origin, me, &principal, &Two);
        assert_eq!(open(good), Ok(good));
        assert_eq!(open(Header { protocol: 9, ..good }), Err(HeaderError::Protocol(9)));
        let foreign = Origin { cluster: ClusterId([2; 16]), ..origin };
        assert_eq!(open(Header { origin: foreign, ..good }), Err(HeaderError::WrongCluster));
        let restored = Origin { incarnation: Incarnation(2), ..origin };
        assert_eq!(open(Header { origin: restored, ..good }), Err(HeaderError::WrongIncarnation));
        let rival = Origin { begun: Digest([8; 32]), ..origin };
        assert_eq!(open(Header { origin: rival, ..good }), Err(HeaderError::WrongIncarnation));
        let stray = Header { to: MemberId(2), ..good };
        assert_eq!(open(stray), Err(HeaderError::WrongMember(MemberId(2))));
        // Another member's name on one's own certificate; a member that is none; oneself.
        for from in [1, 3] {
            let claim = Header { from: MemberId(from), ..good };
            assert_eq!(open(claim), Err(HeaderError::NotMember(MemberId(from))));
        }
        let other = PeerNode { operator: "hokuto".parse().unwrap(), ..PeerNode::default() };
        let refused =
            Header::open(&good.bytes().unwrap(), origin, me, &other.principal(peer), &Two);
        assert_eq!(refused, Err(HeaderError::NotMember(peer)));
        assert!(matches!(
            Header::open(b"x", origin, me, &principal, &Two),
            Err(HeaderError::Malformed(_))
        ));
    }
}
