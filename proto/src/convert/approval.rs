//! Approvals: the change that is asked for, as the request that would make it by itself, and a signature under it.
//!
//! Must hold: what a signer builds from the message is what the proposer signed, byte for byte, or no message.

use super::budget::{DeleteBudget, PutBudget};
use super::key::RegisterKey;
use super::member::{SetMemberAddress, SetVoter};
use super::policy::PutPolicy;
use super::quota::SetQuota;
use super::site::NewSite;
use super::tenant::PutTenant;
use crate::field::{FieldError, FieldResult, required, words};
use crate::name::{BudgetId, QuotaId, Resource as _};
use crate::v1::{self, approval::change::Change};
use sekisho_evidence::command::CommandSignature;
use sekisho_types::budget::BudgetSpec;
use sekisho_types::id::ApprovalId;
use sekisho_types::joint::Joint;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;

impl TryFrom<&v1::approval::Change> for Joint {
    type Error = FieldError;
    fn try_from(message: &v1::approval::Change) -> FieldResult<Self> {
        Ok(match required("change", message.change.as_ref())? {
            Change::CreateSite(request) => {
                let NewSite { site, operator, area, display_name } = NewSite::try_from(request)?;
                Self::CreateSite { site, operator, area, display_name }
            }
            Change::UpdateTenant(request) => {
                let put = PutTenant::try_from(request)?;
                let none = || FieldError::new("tenant.etag", "must be given");
                let expected = put.expected.ok_or_else(none)?;
                let PutTenant { tenant, display_name, policy, parent, expected: _ } = put;
                Self::UpdateTenant { tenant, display_name, policy, parent, expected }
            }
            Change::CreatePolicy(request) => put_policy(PutPolicy::try_from(request)?),
            Change::UpdatePolicy(request) => put_policy(PutPolicy::try_from(request)?),
            Change::UpdateQuota(request) => {
                let SetQuota { quota, allotment, expected } = SetQuota::try_from(request)?;
                let QuotaId { tenant, class, area } = quota;
                Self::SetQuota { tenant, class, area, allotment, expected }
            }
            Change::SetVoter(request) => {
                let SetVoter { member, voter, accept_quorum_in_one_hand } =
                    SetVoter::try_from(request)?;
                Self::SetVoter { member, voter, accept_quorum_in_one_hand }
            }
            Change::RegisterKey(request) => {
                let RegisterKey { record, issuer } = RegisterKey::try_from(request)?;
                Self::RegisterKey { record, issuer }
            }
            Change::SetMemberAddress(request) => {
                let SetMemberAddress { member, address } = SetMemberAddress::try_from(request)?;
                Self::SetMemberAddress { member, address }
            }
            Change::CreateBudget(request) => put_budget(PutBudget::try_from(request)?),
            Change::UpdateBudget(request) => put_budget(PutBudget::try_from(request)?),
            Change::DeleteBudget(request) => {
                let DeleteBudget { budget, expected } = DeleteBudget::try_from(request)?;
                let BudgetId { tenant, name } = budget;
                Self::SetBudget { tenant, name, budget: None, expected }
            }
        })
    }
}

fn put_policy(put: PutPolicy) -> Joint {
    let PutPolicy { policy, rules, expected } = put;
    Joint::PutPolicy { policy, rules, expected }
}

fn put_budget(put: PutBudget) -> Joint {
    let PutBudget { budget: BudgetId { tenant, name }, spec, expected } = put;
    Joint::SetBudget { tenant, name, budget: Some(spec), expected }
}

impl From<&Joint> for v1::approval::Change {
    fn from(joint: &Joint) -> Self {
        Self { change: Some(change(joint)) }
    }
}

fn change(joint: &Joint) -> Change {
    match joint.clone() {
        Joint::CreateSite { site, operator, area, display_name } => {
            let new = NewSite { site, operator, area, display_name };
            Change::CreateSite(v1::CreateSiteRequest { intent: None, ..new.request(none()) })
        }
        Joint::UpdateTenant { tenant, display_name, policy, parent, expected } => {
            let expected = Some(expected);
            let put = PutTenant { tenant, display_name, policy, parent, expected };
            let request = put.update_request(none());
            Change::UpdateTenant(v1::UpdateTenantRequest { intent: None, ..request })
        }
        Joint::PutPolicy { policy, rules, expected } => {
            let put = PutPolicy { policy, rules, expected };
            if expected.is_none() {
                let request = put.create_request(none());
                return Change::CreatePolicy(v1::CreatePolicyRequest { intent: None, ..request });
            }
            let request = put.update_request(none());
            Change::UpdatePolicy(v1::UpdatePolicyRequest { intent: None, ..request })
        }
        Joint::SetQuota { tenant, class, area, allotment, expected } => {
            let set = SetQuota { quota: QuotaId { tenant, class, area }, allotment, expected };
            Change::UpdateQuota(v1::UpdateQuotaRequest { intent: None, ..set.request(none()) })
        }
        Joint::SetVoter { member, voter, accept_quorum_in_one_hand } => {
            let set = SetVoter { member, voter, accept_quorum_in_one_hand };
            Change::SetVoter(v1::SetVoterRequest { intent: None, ..set.request(none()) })
        }
        Joint::RegisterKey { record, issuer } => {
            let register = RegisterKey { record, issuer };
            let request = register.request(none());
            Change::RegisterKey(v1::RegisterKeyRequest { intent: None, ..request })
        }
        Joint::SetMemberAddress { member, address } => {
            let set = SetMemberAddress { member, address };
            let request = set.request(none());
            Change::SetMemberAddress(v1::SetMemberAddressRequest { intent: None, ..request })
        }
        Joint::SetBudget { tenant, name, budget, expected } => {
            set_budget(BudgetId { tenant, name }, budget, expected)
        }
    }
}

fn set_budget(budget: BudgetId, spec: Option<BudgetSpec>, expected: Revision) -> Change {
    let Some(spec) = spec else {
        let request = DeleteBudget { budget, expected }.request(none());
        return Change::DeleteBudget(v1::DeleteBudgetRequest { intent: None, ..request });
    };
    let put = PutBudget { budget, spec, expected };
    if expected == Revision(0) {
        let request = put.create_request(none());
        return Change::CreateBudget(v1::CreateBudgetRequest { intent: None, ..request });
    }
    let request = put.update_request(none());
    Change::UpdateBudget(v1::UpdateBudgetRequest { intent: None, ..request })
}

/// The intent that the request by itself would carry, and that of the proposal stands for.
fn none() -> v1::Intent {
    v1::Intent::default()
}

/// A change to propose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApproval {
    /// What is asked for.
    pub joint: Joint,
    /// Not carried out from this instant on.
    pub expires: Timestamp,
}

impl TryFrom<&v1::CreateApprovalRequest> for NewApproval {
    type Error = FieldError;
    fn try_from(message: &v1::CreateApprovalRequest) -> FieldResult<Self> {
        let joint = Joint::try_from(required("change", message.change.as_ref())?);
        let joint = joint.map_err(|error| error.within("change"))?;
        Ok(Self { joint, expires: Timestamp(message.expires_ms) })
    }
}

impl NewApproval {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::CreateApprovalRequest {
        v1::CreateApprovalRequest {
            change: Some((&self.joint).into()),
            expires_ms: self.expires.0,
            intent: Some(intent),
        }
    }
}

/// A signature under an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignApproval {
    /// Which.
    pub id: ApprovalId,
    /// Under what its proposer signed.
    pub signature: CommandSignature,
}

impl TryFrom<&v1::SignApprovalRequest> for SignApproval {
    type Error = FieldError;
    fn try_from(message: &v1::SignApprovalRequest) -> FieldResult<Self> {
        let signature = required("signature", message.signature.as_ref())?;
        Ok(Self {
            id: ApprovalId::from_field("name", &message.name)?,
            signature: CommandSignature::try_from(signature)
                .map_err(|error| error.within("signature"))?,
        })
    }
}

impl SignApproval {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::SignApprovalRequest {
        v1::SignApprovalRequest {
            name: self.id.name(),
            signature: Some((&self.signature).into()),
            intent: Some(intent),
        }
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefuseApproval {
    /// Which.
    pub id: ApprovalId,
    /// Why, for people.
    pub reason: String,
}

impl TryFrom<&v1::RefuseApprovalRequest> for RefuseApproval {
    type Error = FieldError;
    fn try_from(message: &v1::RefuseApprovalRequest) -> FieldResult<Self> {
        Ok(Self {
            id: ApprovalId::from_field("name", &message.name)?,
            reason: words("reason", &message.reason)?,
        })
    }
}

impl RefuseApproval {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::RefuseApprovalRequest {
        v1::RefuseApprovalRequest {
            name: self.id.name(),
            reason: self.reason.clone(),
            intent: Some(intent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::rules::tests::rules;
    use sekisho_types::budget::{Exhausted, Period, Unit};
    use sekisho_types::id::{MemberId, PublicKey, Signature};
    use sekisho_types::jurisdiction::Area;
    use sekisho_types::patch::Patch;
    use sekisho_types::principal::{KeyRecord, Role};
    use sekisho_types::quota::{Allotment, Limit};

    fn all() -> Vec<Joint> {
        let (tenant, policy) = ("acme".parse().unwrap(), "gov".parse().unwrap());
        vec![
            Joint::CreateSite {
                site: "osaka-2".parse().unwrap(),
                operator: "naniwa".parse().unwrap(),
                area: Area::resolve("271004").unwrap(),
                display_name: "大阪".into(),
            },
            Joint::UpdateTenant {
                tenant,
                display_name: Patch::Set("市役所".into()),
                policy: Patch::Set(Some("gov".parse().unwrap())),
                parent: Patch::Set(Some("ministry".parse().unwrap())),
                expected: Revision(7),
            },
            Joint::PutPolicy { policy, rules: rules(), expected: None },
            Joint::PutPolicy {
                policy: "gov".parse().unwrap(),
                rules: rules(),
                expected: Some(Revision(9)),
            },
            Joint::SetQuota {
                tenant: "acme".parse().unwrap(),
                class: "h100-80g".parse().unwrap(),
                area: Area::resolve("131016").unwrap(),
                allotment: Allotment {
                    nominal: Limit::Unlimited,
                    borrowing: Limit::None,
                    lending: Limit::Gpus(8),
                },
                expected: Revision(3),
            },
            Joint::SetVoter { member: MemberId(4), voter: true, accept_quorum_in_one_hand: true },
            Joint::SetMemberAddress { member: MemberId(4), address: "c4:7443".into() },
            Joint::RegisterKey {
                record: KeyRecord {
                    principal: "kanto/user/alice".parse().unwrap(),
                    role: Role::FederationAdmin,
                    public_key: PublicKey([2; 32]),
                    expires: Timestamp(9),
                },
                issuer: Signature([3; 64]),
            },
        ]
    }

    fn budgets() -> Vec<Joint> {
        let spec = BudgetSpec {
            unit: Unit::Yen,
            amount: 5000,
            period: Period::FiscalYear,
            class: None,
            area: Area::Japan,
            exhausted: Exhausted::Stop,
        };
        // One that is made, one that is changed and one that goes.
        let each = [(Some(spec.clone()), 0), (Some(spec), 9), (None, 9)];
        let joint = |(budget, expected)| Joint::SetBudget {
            tenant: "acme".parse().unwrap(),
            name: "fy-2026".parse().unwrap(),
            budget,
            expected: Revision(expected),
        };
        each.into_iter().map(joint).collect()
    }

    #[test]
    fn every_change_round_trips() {
        for joint in all().into_iter().chain(budgets()) {
            let new = NewApproval { joint, expires: Timestamp(12) };
            let request = new.request(v1::Intent::default());
            assert_eq!(NewApproval::try_from(&request), Ok(new));
        }
    }

    #[test]
    fn signatures_and_refusals_round_trip_and_bad_fields_are_named() {
        let signature = CommandSignature {
            principal: "kanto/user/alice".parse().unwrap(),
            key: PublicKey([2; 32]),
            signature: Signature([3; 64]),
        };
        let id = ApprovalId([5; 16]);
        let sign = SignApproval { id, signature };
        let request = sign.request(v1::Intent::default());
        assert_eq!(SignApproval::try_from(&request), Ok(sign));
        let refuse = RefuseApproval { id, reason: "no".into() };
        let refusal = refuse.request(v1::Intent::default());
        assert_eq!(RefuseApproval::try_from(&refusal), Ok(refuse));
        let bad = v1::SignApprovalRequest { name: "approvals/5".into(), ..request.clone() };
        assert_eq!(SignApproval::try_from(&bad).unwrap_err().field, "name");
        let bad = v1::SignApprovalRequest { signature: None, ..request };
        assert_eq!(SignApproval::try_from(&bad).unwrap_err().field, "signature");
        let bad = v1::RefuseApprovalRequest { reason: "a\u{7}".into(), ..refusal };
        assert_eq!(RefuseApproval::try_from(&bad).unwrap_err().field, "reason");
        let none = v1::CreateApprovalRequest::default();
        assert_eq!(NewApproval::try_from(&none).unwrap_err().field, "change");
        let empty = v1::approval::Change::default();
        let none = v1::CreateApprovalRequest { change: Some(empty), ..none };
        assert_eq!(NewApproval::try_from(&none).unwrap_err().field, "change.change");
    }
}
