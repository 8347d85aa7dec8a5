//! Commands that take two operators: each may be proposed by one and signed by others later.
//!
//! Must hold: append-only, with the fields of the command of the same name, because these bytes are signed and kept.
//! Does not know: the commands themselves, who may do what, and how many have to sign.

use crate::budget::BudgetSpec;
use crate::id::{DeviceClass, MemberId, OperatorId, PolicyId, Signature, SiteId, TenantId};
use crate::jurisdiction::Area;
use crate::name::Name;
use crate::patch::Patch;
use crate::principal::KeyRecord;
use crate::quota::Allotment;
use crate::residency::Rules;
use crate::revision::Revision;
use serde::{Deserialize, Serialize};

/// A command that takes two operators. Append-only, as the command type is; a type of its own, so that no bytes nest proposals
/// in proposals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Joint {
    /// `CreateSite`.
    CreateSite {
        /// Its id.
        site: SiteId,
        /// Who runs it.
        operator: OperatorId,
        /// Where it stands.
        area: Area,
        /// Name for people.
        display_name: String,
    },
    /// `PutTenant`; of one that exists.
    UpdateTenant {
        /// Its id.
        tenant: TenantId,
        /// Name for people.
        display_name: Patch<String>,
        /// A policy that binds every job of it.
        policy: Patch<Option<PolicyId>>,
        /// The tenant that it is a part of.
        parent: Patch<Option<TenantId>>,
        /// Revision at which the proposer read it.
        expected: Revision,
    },
    /// `PutPolicy`.
    PutPolicy {
        /// Its id.
        policy: PolicyId,
        /// Its rules.
        rules: Rules,
        /// Revision at which the proposer read it; `None` = must not exist.
        expected: Option<Revision>,
    },
    /// `SetQuota`.
    SetQuota {
        /// The tenant.
        tenant: TenantId,
        /// The class.
        class: DeviceClass,
        /// Where.
        area: Area,
        /// What it may hold there.
        allotment: Allotment,
        /// Revision at which the proposer read it; 0 = it was none.
        expected: Revision,
    },
    /// `SetVoter`.
    SetVoter {
        /// Which.
        member: MemberId,
        /// Whether it shall vote.
        voter: bool,
        /// See there.
        accept_quorum_in_one_hand: bool,
    },
    /// `SetMemberAddress`.
    SetMemberAddress {
        /// Which.
        member: MemberId,
        /// `host:port`.
        address: String,
    },
    /// `RegisterKey`, of a federation-admin.
    RegisterKey {
        /// The binding.
        record: KeyRecord,
        /// By the issuer key of the principal's operator.
        issuer: Signature,
    },
    /// `SetBudget`.
    SetBudget {
        /// The tenant.
        tenant: TenantId,
        /// Its name.
        name: Name,
        /// What it is; `None` = it goes.
        budget: Option<BudgetSpec>,
        /// Revision at which the proposer read it; 0 = there was none.
        expected: Revision,
    },
}
