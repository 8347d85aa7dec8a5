//! Quotas: the limit of one tenant for one class, as a word or a number.

use crate::field::{FieldError, FieldResult, etag, required};
use crate::mask;
use crate::name::{QuotaId, Resource as _};
use crate::v1;
use sekisho_types::quota::Limit;
use sekisho_types::revision::Revision;

/// A limit to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetQuota {
    /// Tenant and class.
    pub quota: QuotaId,
    /// The limit.
    pub limit: Limit,
    /// Revision at which the caller read it; 0 = it was none.
    pub expected: Revision,
}

impl TryFrom<&v1::UpdateQuotaRequest> for SetQuota {
    type Error = FieldError;
    fn try_from(message: &v1::UpdateQuotaRequest) -> FieldResult<Self> {
        let content = required("quota", message.quota.as_ref())?;
        let bad = || FieldError::new("quota.limit", "must be `none`, `unlimited` or a number");
        mask::named("quota", message.update_mask.as_ref(), &[("limit", true)])?;
        Ok(Self {
            quota: QuotaId::from_field("quota.name", &content.name)?,
            limit: Limit::parse(&content.limit).ok_or_else(bad)?,
            expected: etag("quota.etag", &content.etag)?,
        })
    }
}

impl SetQuota {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::UpdateQuotaRequest {
        let (name, limit, etag) =
            (self.quota.name(), self.limit.to_string(), self.expected.to_string());
        let quota = v1::Quota { name, limit, used: 0, etag };
        let update_mask = Some(mask::of(&["limit"]));
        v1::UpdateQuotaRequest { quota: Some(quota), update_mask, intent: Some(intent) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(limit: Limit) -> SetQuota {
        let quota = QuotaId { tenant: "acme".parse().unwrap(), class: "h100-80g".parse().unwrap() };
        SetQuota { quota, limit, expected: Revision(3) }
    }

    #[test]
    fn quotas_round_trip_and_every_bad_field_is_named() {
        for limit in [Limit::None, Limit::Gpus(0), Limit::Gpus(64), Limit::Unlimited] {
            let message = set(limit).request(v1::Intent::default());
            assert_eq!(SetQuota::try_from(&message), Ok(set(limit)));
        }
        let mut message = set(Limit::None).request(v1::Intent::default());
        for bad in ["", "-1", "Unlimited"] {
            message.quota.as_mut().unwrap().limit = bad.into();
            assert_eq!(SetQuota::try_from(&message).unwrap_err().field, "quota.limit", "{bad}");
        }
        message.quota.as_mut().unwrap().limit = "1".into();
        message.quota.as_mut().unwrap().etag.clear();
        assert_eq!(SetQuota::try_from(&message).unwrap_err().field, "quota.etag");
        message.quota.as_mut().unwrap().name = "acme/h100-80g".into();
        assert_eq!(SetQuota::try_from(&message).unwrap_err().field, "quota.name");
        message.quota = None;
        assert_eq!(SetQuota::try_from(&message).unwrap_err().field, "quota");
    }
}
