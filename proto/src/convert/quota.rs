//! Quotas: what one tenant may hold of one class in one area, borrow and lend; each number as a word or in digits.

use crate::field::{FieldError, FieldResult, etag, required};
use crate::mask;
use crate::name::{QuotaId, Resource as _};
use crate::v1;
use sekisho_types::quota::{Allotment, Limit};
use sekisho_types::revision::Revision;

/// Limits to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetQuota {
    /// Tenant, class and area.
    pub quota: QuotaId,
    /// What it may hold, borrow and lend there.
    pub allotment: Allotment,
    /// Revision at which the caller read it; 0 = it was none.
    pub expected: Revision,
}

const FIELDS: [&str; 3] = ["limit", "borrowing", "lending"];

fn limit(field: &str, text: &str) -> FieldResult<Limit> {
    let bad = || FieldError::new(field, "must be `none`, `unlimited` or a number");
    Limit::parse(text).ok_or_else(bad)
}

/// One that may be left out: none.
fn optional(field: &str, text: &str) -> FieldResult<Limit> {
    if text.is_empty() { Ok(Limit::None) } else { limit(field, text) }
}

impl TryFrom<&v1::UpdateQuotaRequest> for SetQuota {
    type Error = FieldError;
    fn try_from(message: &v1::UpdateQuotaRequest) -> FieldResult<Self> {
        let content = required("quota", message.quota.as_ref())?;
        // The message has all of them whatever the mask names: what is signed must not depend on what stands now.
        mask::named("quota", message.update_mask.as_ref(), &FIELDS.map(|field| (field, true)))?;
        let allotment = Allotment {
            nominal: limit("quota.limit", &content.limit)?,
            borrowing: optional("quota.borrowing", &content.borrowing)?,
            lending: optional("quota.lending", &content.lending)?,
        };
        Ok(Self {
            quota: QuotaId::from_field("quota.name", &content.name)?,
            allotment,
            expected: etag("quota.etag", &content.etag)?,
        })
    }
}

impl SetQuota {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::UpdateQuotaRequest {
        let quota = v1::Quota {
            name: self.quota.name(),
            limit: self.allotment.nominal.to_string(),
            borrowing: self.allotment.borrowing.to_string(),
            lending: self.allotment.lending.to_string(),
            etag: self.expected.to_string(),
            ..v1::Quota::default()
        };
        let update_mask = Some(mask::of(&FIELDS));
        v1::UpdateQuotaRequest { quota: Some(quota), update_mask, intent: Some(intent) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(allotment: Allotment) -> SetQuota {
        let quota = QuotaId::from_name("tenants/acme/quotas/h100-80g.131016").unwrap();
        SetQuota { quota, allotment, expected: Revision(3) }
    }

    fn refused(change: impl FnOnce(&mut v1::Quota)) -> String {
        let mut message = set(Allotment::own(Limit::Gpus(1))).request(v1::Intent::default());
        change(message.quota.as_mut().unwrap());
        SetQuota::try_from(&message).unwrap_err().field
    }

    #[test]
    fn quotas_round_trip() {
        let all = [Limit::None, Limit::Gpus(0), Limit::Gpus(64), Limit::Unlimited];
        for (nominal, borrowing) in all.into_iter().zip(all.into_iter().rev()) {
            let set = set(Allotment { nominal, borrowing, lending: nominal });
            let message = set.request(v1::Intent::default());
            assert_eq!(SetQuota::try_from(&message), Ok(set));
        }
        // What is left out is none, and the mask chooses nothing.
        let mut message = set(Allotment::own(Limit::Gpus(64))).request(v1::Intent::default());
        let content = message.quota.as_mut().unwrap();
        (content.borrowing, content.lending) = (String::new(), String::new());
        for named in [None, Some(mask::of(&["lending"])), Some(mask::of(&["*"]))] {
            message.update_mask = named;
            assert_eq!(SetQuota::try_from(&message), Ok(set(Allotment::own(Limit::Gpus(64)))));
        }
    }

    #[test]
    fn every_bad_field_is_named() {
        for bad in ["", "-1", "Unlimited"] {
            assert_eq!(refused(|quota| quota.limit = bad.into()), "quota.limit", "{bad}");
        }
        for bad in ["-1", "Unlimited", "all"] {
            assert_eq!(refused(|quota| quota.borrowing = bad.into()), "quota.borrowing", "{bad}");
            assert_eq!(refused(|quota| quota.lending = bad.into()), "quota.lending", "{bad}");
        }
        assert_eq!(refused(|quota| quota.etag.clear()), "quota.etag");
        for bad in ["acme/h100-80g", "tenants/acme/quotas/h100-80g.JP"] {
            assert_eq!(refused(|quota| quota.name = bad.into()), "quota.name", "{bad}");
        }
        let mut message = set(Allotment::NONE).request(v1::Intent::default());
        message.update_mask = Some(mask::of(&["used"]));
        assert_eq!(SetQuota::try_from(&message).unwrap_err().field, "update_mask");
        message.quota = None;
        assert_eq!(SetQuota::try_from(&message).unwrap_err().field, "quota");
    }
}
