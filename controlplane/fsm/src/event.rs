//! What changed, as facts. Events only wake; whoever is woken reads the state.
//!
//! Must hold: an entry that changes a row that is shown names it; otherwise who watches would not see it. What a row only
//! counts (a tenant's open jobs, what is used of a quota) is as of its reading and makes no event.

use crate::escrow::EscrowKey;
use crate::offer::VetoKey;
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_types::id::{
    ApprovalId, DeviceClass, JobId, MemberId, NodeId, PolicyId, PublicKey, SiteId, TenantId,
};
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::principal::Principal;
use sekisho_types::revision::Revision;

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// The queue, capacity, quota or a policy changed: the planner may find something.
    Plannable,
    /// A node's desired set changed.
    Desired(NodeId),
    /// A node was enrolled, opened a session, lost it or was revoked.
    Node(NodeId),
    /// Of a node something changed on which nobody acts: its tag, or what it holds.
    NodeShown(NodeId),
    /// A job moved, or one of its placements did.
    Job(JobId),
    /// Operators' keys, members or sites changed: trust has to be derived again.
    Trust,
    /// An approval was proposed, signed or closed.
    Approval(ApprovalId),
    /// A break-glass was opened, used or ended.
    BreakGlass(Revision),
    /// A site was registered or taken out, or has another sealing key.
    Site(SiteId),
    /// An administrator changed a tenant.
    Tenant(TenantId),
    /// A policy has another version.
    Policy(PolicyId),
    /// A limit changed.
    Quota(TenantId, DeviceClass, Area),
    /// A budget was set or went.
    Budget(TenantId, Name),
    /// A site holds another slice of a tenant's quota.
    Escrow(Box<EscrowKey>),
    /// An offer was made, changed or withdrawn, or its last placement ended.
    Offer(SiteId, Name),
    /// A reservation was made, lowered or taken out.
    Reservation(TenantId, Name),
    /// An operator vetoed something, or took that back.
    Veto(Box<VetoKey>),
    /// A key was registered or taken back.
    Key(Box<(Principal, PublicKey)>),
    /// A landmark came, went, or contradicts another one.
    Landmark(LandmarkId),
    /// A controller came, went, moved, or shall be something else.
    Member(MemberId),
}
