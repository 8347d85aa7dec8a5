//! Named residency policies.

use super::site::same_name;
use crate::field::{FieldError, FieldResult, etag, parsed, required};
use crate::mask;
use crate::name::Resource as _;
use crate::v1;
use sekisho_types::id::PolicyId;
use sekisho_types::residency::Rules;
use sekisho_types::revision::Revision;

/// A policy to create or change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutPolicy {
    /// Its id.
    pub policy: PolicyId,
    /// Its rules.
    pub rules: Rules,
    /// Revision at which the caller read it; `None` = must not exist.
    pub expected: Option<Revision>,
}

fn rules(content: &v1::Policy) -> FieldResult<Rules> {
    let rules = required("policy.rules", content.rules.as_ref())?;
    Rules::try_from(rules).map_err(|error| error.within("policy.rules"))
}

impl TryFrom<&v1::CreatePolicyRequest> for PutPolicy {
    type Error = FieldError;
    fn try_from(message: &v1::CreatePolicyRequest) -> FieldResult<Self> {
        let content = required("policy", message.policy.as_ref())?;
        let policy: PolicyId = parsed("policy_id", &message.policy_id)?;
        same_name("policy.name", &content.name, &policy.name())?;
        Ok(Self { policy, rules: rules(content)?, expected: None })
    }
}

impl TryFrom<&v1::UpdatePolicyRequest> for PutPolicy {
    type Error = FieldError;
    fn try_from(message: &v1::UpdatePolicyRequest) -> FieldResult<Self> {
        let content = required("policy", message.policy.as_ref())?;
        let has_rules = content.rules.is_some();
        mask::named("policy", message.update_mask.as_ref(), &[("rules", has_rules)])?;
        Ok(Self {
            policy: PolicyId::from_field("policy.name", &content.name)?,
            rules: rules(content)?,
            expected: Some(etag("policy.etag", &content.etag)?),
        })
    }
}

impl PutPolicy {
    fn content(&self) -> v1::Policy {
        v1::Policy {
            name: self.policy.name(),
            rules: Some((&self.rules).into()),
            etag: self.expected.map(|revision| revision.to_string()).unwrap_or_default(),
            since_ms: 0,
        }
    }

    /// The request that creates it; [`PutPolicy::expected`] must be `None`.
    #[must_use]
    pub fn create_request(&self, intent: v1::Intent) -> v1::CreatePolicyRequest {
        v1::CreatePolicyRequest {
            policy_id: self.policy.to_string(),
            policy: Some(self.content()),
            intent: Some(intent),
        }
    }

    /// The request that changes it; [`PutPolicy::expected`] must be the revision that was read.
    #[must_use]
    pub fn update_request(&self, intent: v1::Intent) -> v1::UpdatePolicyRequest {
        v1::UpdatePolicyRequest {
            policy: Some(self.content()),
            update_mask: Some(mask::of(&["rules"])),
            intent: Some(intent),
        }
    }
}

/// A policy to take out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletePolicy {
    /// Its id.
    pub policy: PolicyId,
    /// Revision at which the caller read it.
    pub expected: Revision,
}

impl TryFrom<&v1::DeletePolicyRequest> for DeletePolicy {
    type Error = FieldError;
    fn try_from(message: &v1::DeletePolicyRequest) -> FieldResult<Self> {
        let policy = PolicyId::from_field("name", &message.name)?;
        Ok(Self { policy, expected: etag("etag", &message.etag)? })
    }
}

impl DeletePolicy {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::DeletePolicyRequest {
        v1::DeletePolicyRequest {
            name: self.policy.name(),
            etag: self.expected.to_string(),
            intent: Some(intent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(expected: Option<u64>) -> PutPolicy {
        PutPolicy {
            policy: "gov".parse().unwrap(),
            rules: crate::convert::rules::tests::rules(),
            expected: expected.map(Revision),
        }
    }

    #[test]
    fn policies_round_trip() {
        let (new, changed) = (put(None), put(Some(7)));
        let intent = v1::Intent::default;
        assert_eq!(PutPolicy::try_from(&new.create_request(intent())), Ok(new));
        assert_eq!(PutPolicy::try_from(&changed.update_request(intent())), Ok(changed));
        let delete = DeletePolicy { policy: "gov".parse().unwrap(), expected: Revision(7) };
        let request = delete.request(intent());
        assert_eq!(DeletePolicy::try_from(&request), Ok(delete));
        let blind = v1::DeletePolicyRequest { etag: String::new(), ..request };
        assert_eq!(DeletePolicy::try_from(&blind).unwrap_err().field, "etag");
    }

    #[test]
    fn every_bad_field_is_named() {
        let refused = |content: Option<v1::Policy>| {
            let message = v1::UpdatePolicyRequest {
                policy: content,
                update_mask: Some(mask::of(&["rules"])),
                intent: None,
            };
            PutPolicy::try_from(&message).unwrap_err().field
        };
        let good = || put(Some(7)).content();
        assert_eq!(refused(None), "policy");
        assert_eq!(refused(Some(v1::Policy { name: "gov".into(), ..good() })), "policy.name");
        assert_eq!(refused(Some(v1::Policy { rules: None, ..good() })), "policy.rules");
        assert_eq!(refused(Some(v1::Policy { etag: String::new(), ..good() })), "policy.etag");
        let rules = v1::Rules { areas: vec!["x".into()], ..v1::Rules::default() };
        let nested = v1::Policy { rules: Some(rules), ..good() };
        assert_eq!(refused(Some(nested)), "policy.rules.areas");
        let odd = v1::CreatePolicyRequest { policy: Some(good()), ..Default::default() };
        assert_eq!(PutPolicy::try_from(&odd).unwrap_err().field, "policy_id");
    }
}
