//! Tenants: what creates or changes one. A change names the revision that was read, so that none is overwritten.

use super::site::same_name;
use crate::field::{FieldError, FieldResult, etag, parsed, required, words};
use crate::mask;
use crate::name::Resource;
use crate::v1;
use sekisho_types::id::{PolicyId, TenantId};
use sekisho_types::patch::Patch;
use sekisho_types::revision::Revision;

/// A tenant to create or change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutTenant {
    /// Its id.
    pub tenant: TenantId,
    /// Name for people.
    pub display_name: Patch<String>,
    /// A policy that binds every job of it.
    pub policy: Patch<Option<PolicyId>>,
    /// The tenant that it is a part of.
    pub parent: Patch<Option<TenantId>>,
    /// Revision at which the caller read it; `None` = must not exist.
    pub expected: Option<Revision>,
}

/// A tenant to take out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteTenant {
    /// Its id.
    pub tenant: TenantId,
    /// Revision at which the caller read it.
    pub expected: Revision,
}

/// A policy name, or nothing.
pub(super) fn optional_policy(field: &str, name: &str) -> FieldResult<Option<PolicyId>> {
    if name.is_empty() { Ok(None) } else { PolicyId::from_field(field, name).map(Some) }
}

/// The name of a policy, or nothing.
pub(super) fn policy_name(policy: Option<&PolicyId>) -> String {
    policy.map(Resource::name).unwrap_or_default()
}

/// The name of a tenant, or nothing.
fn tenant_name(tenant: Option<&TenantId>) -> String {
    tenant.map(Resource::name).unwrap_or_default()
}

/// A tenant name, or nothing.
fn optional_tenant(field: &str, name: &str) -> FieldResult<Option<TenantId>> {
    if name.is_empty() { Ok(None) } else { TenantId::from_field(field, name).map(Some) }
}

const NAME: &str = "display_name";
const POLICY: &str = "policy";
const PARENT: &str = "parent";

fn read(
    tenant: TenantId,
    content: &v1::Tenant,
    (named, expected): (&[&str], Option<Revision>),
) -> FieldResult<PutTenant> {
    let display_name = words("tenant.display_name", &content.display_name)?;
    let policy = optional_policy("tenant.policy", &content.policy)?;
    let parent = optional_tenant("tenant.parent", &content.parent)?;
    Ok(PutTenant {
        tenant,
        display_name: if named.contains(&NAME) { Patch::Set(display_name) } else { Patch::Keep },
        policy: if named.contains(&POLICY) { Patch::Set(policy) } else { Patch::Keep },
        parent: if named.contains(&PARENT) { Patch::Set(parent) } else { Patch::Keep },
        expected,
    })
}

impl TryFrom<&v1::CreateTenantRequest> for PutTenant {
    type Error = FieldError;
    fn try_from(message: &v1::CreateTenantRequest) -> FieldResult<Self> {
        let content = required("tenant", message.tenant.as_ref())?;
        let tenant: TenantId = parsed("tenant_id", &message.tenant_id)?;
        same_name("tenant.name", &content.name, &tenant.name())?;
        read(tenant, content, (&[NAME, POLICY, PARENT], None))
    }
}

impl TryFrom<&v1::UpdateTenantRequest> for PutTenant {
    type Error = FieldError;
    fn try_from(message: &v1::UpdateTenantRequest) -> FieldResult<Self> {
        let content = required("tenant", message.tenant.as_ref())?;
        let tenant = TenantId::from_field("tenant.name", &content.name)?;
        let known = [
            (NAME, !content.display_name.is_empty()),
            (POLICY, !content.policy.is_empty()),
            (PARENT, !content.parent.is_empty()),
        ];
        let named = mask::named("tenant", message.update_mask.as_ref(), &known)?;
        read(tenant, content, (&named, Some(etag("tenant.etag", &content.etag)?)))
    }
}

impl PutTenant {
    fn content(&self) -> v1::Tenant {
        v1::Tenant {
            name: self.tenant.name(),
            display_name: self.display_name.set().cloned().unwrap_or_default(),
            policy: policy_name(self.policy.set().and_then(Option::as_ref)),
            parent: tenant_name(self.parent.set().and_then(Option::as_ref)),
            etag: self.expected.map(|revision| revision.to_string()).unwrap_or_default(),
            ..v1::Tenant::default()
        }
    }

    /// The request that creates it; [`PutTenant::expected`] must be `None`, and no field be kept.
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
        let name = self.display_name.set().map(|_| NAME);
        let policy = self.policy.set().map(|_| POLICY);
        let parent = self.parent.set().map(|_| PARENT);
        let named: Vec<&str> = name.into_iter().chain(policy).chain(parent).collect();
        v1::UpdateTenantRequest {
            tenant: Some(self.content()),
            update_mask: Some(mask::of(&named)),
            intent: Some(intent),
        }
    }
}

impl TryFrom<&v1::DeleteTenantRequest> for DeleteTenant {
    type Error = FieldError;
    fn try_from(message: &v1::DeleteTenantRequest) -> FieldResult<Self> {
        let tenant = TenantId::from_field("name", &message.name)?;
        Ok(Self { tenant, expected: etag("etag", &message.etag)? })
    }
}

impl DeleteTenant {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::DeleteTenantRequest {
        v1::DeleteTenantRequest {
            name: self.tenant.name(),
            etag: self.expected.to_string(),
            intent: Some(intent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(expected: Option<u64>) -> PutTenant {
        PutTenant {
            tenant: "acme".parse().unwrap(),
            display_name: Patch::Set("市役所".into()),
            policy: Patch::Set(Some("gov".parse().unwrap())),
            parent: Patch::Set(Some("ministry".parse().unwrap())),
            expected: expected.map(Revision),
        }
    }

    #[test]
    fn tenants_round_trip() {
        let intent = v1::Intent::default;
        let free = PutTenant { policy: Patch::Set(None), ..put(None) };
        let apart = PutTenant { parent: Patch::Set(None), ..put(None) };
        for new in [put(None), free, apart] {
            assert_eq!(PutTenant::try_from(&new.create_request(intent())), Ok(new));
        }
        let changed = put(Some(42));
        let renamed = PutTenant { policy: Patch::Keep, ..changed.clone() };
        let freed =
            PutTenant { display_name: Patch::Keep, policy: Patch::Set(None), ..changed.clone() };
        let (kept, parted) = (Patch::Keep, Patch::Set(None));
        let moved =
            PutTenant { policy: kept.clone(), display_name: Patch::Keep, ..changed.clone() };
        let apart = PutTenant { parent: parted, policy: kept, ..changed.clone() };
        let stays = PutTenant { parent: Patch::Keep, ..changed.clone() };
        for change in [changed, renamed, freed, moved, apart, stays] {
            assert_eq!(PutTenant::try_from(&change.update_request(intent())), Ok(change));
        }
        let delete = DeleteTenant { tenant: "acme".parse().unwrap(), expected: Revision(7) };
        let request = delete.request(intent());
        assert_eq!(DeleteTenant::try_from(&request), Ok(delete));
        let blind = v1::DeleteTenantRequest { etag: String::new(), ..request };
        assert_eq!(DeleteTenant::try_from(&blind).unwrap_err().field, "etag");
    }

    #[test]
    fn every_bad_field_is_named() {
        let refused = |change: &dyn Fn(&mut v1::Tenant)| {
            let mut content = put(Some(42)).content();
            change(&mut content);
            let tenant = Some(content);
            let message = v1::UpdateTenantRequest { tenant, update_mask: None, intent: None };
            PutTenant::try_from(&message).unwrap_err().field
        };
        assert_eq!(refused(&|t| t.name = "acme".into()), "tenant.name");
        assert_eq!(refused(&|t| t.policy = "gov".into()), "tenant.policy");
        assert_eq!(refused(&|t| t.parent = "ministry".into()), "tenant.parent");
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
