//! Tenants: what creates or changes one. A change names the revision that was read, so that none is overwritten.

use super::site::same_name;
use crate::field::{FieldError, FieldResult, etag, parsed, required, words};
use crate::name::Resource;
use crate::v1;
use sekisho_types::id::{PolicyId, TenantId};
use sekisho_types::revision::Revision;

/// A tenant to create or change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutTenant {
    /// Its id.
    pub tenant: TenantId,
    /// Name for people.
    pub display_name: String,
    /// A policy that binds every job of it.
    pub policy: Option<PolicyId>,
    /// Revision at which the caller read it; `None` = must not exist.
    pub expected: Option<Revision>,
}

/// A policy name, or nothing.
pub(super) fn optional_policy(field: &str, name: &str) -> FieldResult<Option<PolicyId>> {
    if name.is_empty() { Ok(None) } else { PolicyId::from_field(field, name).map(Some) }
}

/// The name of a policy, or nothing.
pub(super) fn policy_name(policy: Option<&PolicyId>) -> String {
    policy.map(Resource::name).unwrap_or_default()
}

fn read(
    tenant: TenantId,
    content: &v1::Tenant,
    expected: Option<Revision>,
) -> FieldResult<PutTenant> {
    Ok(PutTenant {
        tenant,
        display_name: words("tenant.display_name", &content.display_name)?,
        policy: optional_policy("tenant.policy", &content.policy)?,
        expected,
    })
}

impl TryFrom<&v1::CreateTenantRequest> for PutTenant {
    type Error = FieldError;
    fn try_from(message: &v1::CreateTenantRequest) -> FieldResult<Self> {
        let content = required("tenant", message.tenant.as_ref())?;
        let tenant: TenantId = parsed("tenant_id", &message.tenant_id)?;
        same_name("tenant.name", &content.name, &tenant.name())?;
        read(tenant, content, None)
    }
}

impl TryFrom<&v1::UpdateTenantRequest> for PutTenant {
    type Error = FieldError;
    fn try_from(message: &v1::UpdateTenantRequest) -> FieldResult<Self> {
        let content = required("tenant", message.tenant.as_ref())?;
        let tenant = TenantId::from_field("tenant.name", &content.name)?;
        read(tenant, content, Some(etag("tenant.etag", &content.etag)?))
    }
}

impl PutTenant {
    fn content(&self) -> v1::Tenant {
        v1::Tenant {
            name: self.tenant.name(),
            display_name: self.display_name.clone(),
            policy: policy_name(self.policy.as_ref()),
            etag: self.expected.map(|revision| revision.to_string()).unwrap_or_default(),
            ..v1::Tenant::default()
        }
    }

    /// The request that creates it; [`PutTenant::expected`] must be `None`.
    #[must_use]
    pub fn create_request(&self, intent: v1::Intent) -> v1::CreateTenantRequest {
        v1::CreateTenantRequest {
            tenant_id: self.tenant.to_string(),
            tenant: Some(self.content()),
            intent: Some(intent),
        }
    }

    /// The request that changes it; [`PutTenant::expected`] must be the revision that was read.
    #[must_use]
    pub fn update_request(&self, intent: v1::Intent) -> v1::UpdateTenantRequest {
        v1::UpdateTenantRequest { tenant: Some(self.content()), intent: Some(intent) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(expected: Option<u64>) -> PutTenant {
        PutTenant {
            tenant: "acme".parse().unwrap(),
            display_name: "市役所".into(),
            policy: Some("gov".parse().unwrap()),
            expected: expected.map(Revision),
        }
    }

    #[test]
    fn tenants_round_trip() {
        let intent = v1::Intent::default;
        let free = PutTenant { policy: None, ..put(None) };
        for new in [put(None), free] {
            assert_eq!(PutTenant::try_from(&new.create_request(intent())), Ok(new));
        }
        let changed = put(Some(42));
        assert_eq!(PutTenant::try_from(&changed.update_request(intent())), Ok(changed));
    }

    #[test]
    fn every_bad_field_is_named() {
        let refused = |change: &dyn Fn(&mut v1::Tenant)| {
            let mut content = put(Some(42)).content();
            change(&mut content);
            let message = v1::UpdateTenantRequest { tenant: Some(content), intent: None };
            PutTenant::try_from(&message).unwrap_err().field
        };
        assert_eq!(refused(&|t| t.name = "acme".into()), "tenant.name");
        assert_eq!(refused(&|t| t.policy = "gov".into()), "tenant.policy");
        assert_eq!(refused(&|t| t.display_name = "\u{7}".into()), "tenant.display_name");
        // Without the etag an update would overwrite what somebody else wrote.
        for bad in ["", "x", "042", "+42"] {
            assert_eq!(refused(&|t| t.etag = bad.into()), "tenant.etag");
        }
        let none = v1::CreateTenantRequest::default();
        assert_eq!(PutTenant::try_from(&none).unwrap_err().field, "tenant");
        let odd = v1::CreateTenantRequest { tenant: Some(v1::Tenant::default()), ..none };
        assert_eq!(PutTenant::try_from(&odd).unwrap_err().field, "tenant_id");
    }
}
