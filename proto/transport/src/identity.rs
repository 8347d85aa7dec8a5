//! Who is at the other end: what a verified certificate says about a peer.
//!
//! A [`PeerIdentity`] exists only after path validation against the bundle of its trust domain. It says who, never
//! what they may do: roles, enrolment and tier are looked up in applied state (D3, A3).

use sekisho_types::id::{Digest, SiteId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::principal::{Principal, TrustDomain, Workload};
use sekisho_types::time::Timestamp;
use std::net::SocketAddr;
use std::sync::Arc;

/// What the residency extension of a certificate claims. The site is already equal to the SPIFFE site; the area is
/// a claim (T0) until a site tag or a proof confirms it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResidencyClaim {
    /// The site; equal to [`PeerIdentity::site`].
    pub site: SiteId,
    /// The area that the operator wrote into the certificate.
    pub area: Area,
}

/// An authenticated peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Operator and workload.
    pub principal: Principal,
    /// Trust domain of the SPIFFE id; its bundle validated the chain.
    pub trust_domain: TrustDomain,
    /// SHA-256 of the SubjectPublicKeyInfo: what a site tag binds.
    pub spki_sha256: Digest,
    /// Site of members and agents; DNS site label and SPIFFE site agree.
    pub site: Option<SiteId>,
    /// The residency extension, where the certificate has one.
    pub residency: Option<ResidencyClaim>,
    /// End of the certificate; the connection is cut then.
    pub not_after: Timestamp,
}

impl PeerIdentity {
    /// Its class, by which bytes of the API are counted.
    #[must_use]
    pub fn class(&self) -> PeerClass {
        match self.principal.workload {
            Workload::Member { .. } => PeerClass::Member,
            Workload::Agent { .. } => PeerClass::Agent,
            Workload::User { .. } => PeerClass::User,
            Workload::Landmark { .. } => PeerClass::Landmark,
        }
    }
}

/// The far end of one connection; stands in the extensions of every request that came over it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its socket address.
    pub addr: SocketAddr,
    /// Who it is; `None` for a client without a certificate, which may only join.
    pub identity: Option<Arc<PeerIdentity>>,
    /// RFC 9266 channel binding: the same 32 bytes at both ends of this connection and of no other.
    pub exporter: [u8; 32],
}

/// Kinds of peers, as metrics label them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerClass {
    /// A controller.
    Member,
    /// An agent.
    Agent,
    /// A person or pipeline.
    User,
    /// Whoever reads metrics; what may be read there, the state says.
    Monitor,
    /// The other end of a timed exchange: of a landmark, or of whoever shows where it is. Also a landmark apart from a
    /// controller that asks one.
    Landmark,
    /// No certificate.
    Anonymous,
}

impl PeerClass {
    /// Every class.
    pub const ALL: [Self; 6] =
        [Self::Member, Self::Agent, Self::User, Self::Monitor, Self::Landmark, Self::Anonymous];

    /// Label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Agent => "agent",
            Self::User => "user",
            Self::Monitor => "monitor",
            Self::Landmark => "landmark",
            Self::Anonymous => "anonymous",
        }
    }
}
