//! Offers and vetoes of operators: what makes, changes or withdraws an offer, and what vetoes.
//!
//! A change carries all of the offer, as it was read but for what changes.

use super::site::same_name;
use crate::field::{FieldError, FieldResult, etag, parsed, required, words};
use crate::mask;
use crate::name::{OfferId, Resource};
use crate::v1;
use sekisho_types::id::{JobId, OperatorId, SiteId, TenantId};
use sekisho_types::offer::{EXCLUDED_MAX, OfferSpec, OnLower, Vetoed};
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use std::collections::BTreeSet;

/// An offer to make or change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutOffer {
    /// Which.
    pub offer: OfferId,
    /// What it is.
    pub spec: OfferSpec,
    /// Revision at which the caller read it; `None` = must not exist.
    pub expected: Option<Revision>,
}

/// An offer to withdraw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawOffer {
    /// Which.
    pub offer: OfferId,
    /// Revision at which the caller read it.
    pub expected: Revision,
}

/// A veto.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVeto {
    /// Whose devices.
    pub operator: OperatorId,
    /// What it does not take.
    pub of: Vetoed,
    /// Why, for people.
    pub reason: String,
}

const FIELDS: [&str; 6] =
    ["gpus", "from_ms", "until_ms", "excluded", "yen_per_gpu_hour", "on_lower"];

fn on_lower(value: i32) -> FieldResult<OnLower> {
    match v1::offer::OnLower::try_from(value) {
        Ok(v1::offer::OnLower::Keep) => Ok(OnLower::Keep),
        Ok(v1::offer::OnLower::Drain) => Ok(OnLower::Drain),
        Ok(v1::offer::OnLower::Unspecified) | Err(_) => {
            Err(FieldError::new("offer.on_lower", "must be KEEP or DRAIN"))
        }
    }
}

fn excluded(names: &[String]) -> FieldResult<BTreeSet<TenantId>> {
    if names.len() > EXCLUDED_MAX {
        let must = format!("must have at most {EXCLUDED_MAX} entries");
        return Err(FieldError::new("offer.excluded", must));
    }
    let read =
        |(at, name): (usize, &String)| TenantId::from_field(&format!("offer.excluded[{at}]"), name);
    names.iter().enumerate().map(read).collect()
}

fn spec(content: &v1::Offer) -> FieldResult<OfferSpec> {
    Ok(OfferSpec {
        class: parsed("offer.device_class", &content.device_class)?,
        gpus: content.gpus,
        from: Timestamp(content.from_ms),
        until: content.until_ms.map(Timestamp),
        excluded: excluded(&content.excluded)?,
        yen_per_gpu_hour: content.yen_per_gpu_hour,
        on_lower: on_lower(content.on_lower)?,
    })
}

impl TryFrom<&v1::CreateOfferRequest> for PutOffer {
    type Error = FieldError;
    fn try_from(message: &v1::CreateOfferRequest) -> FieldResult<Self> {
        let content = required("offer", message.offer.as_ref())?;
        let site = SiteId::from_field("parent", &message.parent)?;
        let offer = OfferId { site, name: parsed("offer_id", &message.offer_id)? };
        same_name("offer.name", &content.name, &offer.name())?;
        Ok(Self { offer, spec: spec(content)?, expected: None })
    }
}

impl TryFrom<&v1::UpdateOfferRequest> for PutOffer {
    type Error = FieldError;
    fn try_from(message: &v1::UpdateOfferRequest) -> FieldResult<Self> {
        let content = required("offer", message.offer.as_ref())?;
        // The message has all of it whatever the mask names: what is signed must not depend on what stands now.
        mask::named("offer", message.update_mask.as_ref(), &FIELDS.map(|field| (field, true)))?;
        let offer = OfferId::from_field("offer.name", &content.name)?;
        let expected = Some(etag("offer.etag", &content.etag)?);
        Ok(Self { offer, spec: spec(content)?, expected })
    }
}

impl From<&OfferSpec> for v1::Offer {
    fn from(spec: &OfferSpec) -> Self {
        let on_lower = match spec.on_lower {
            OnLower::Keep => v1::offer::OnLower::Keep,
            OnLower::Drain => v1::offer::OnLower::Drain,
        };
        Self {
            device_class: spec.class.to_string(),
            gpus: spec.gpus,
            from_ms: spec.from.0,
            until_ms: spec.until.map(|until| until.0),
            excluded: spec.excluded.iter().map(Resource::name).collect(),
            yen_per_gpu_hour: spec.yen_per_gpu_hour,
            on_lower: on_lower.into(),
            ..Self::default()
        }
    }
}

impl PutOffer {
    /// The request that makes it; [`PutOffer::expected`] must be `None`.
    #[must_use]
    pub fn create_request(&self, intent: v1::Intent) -> v1::CreateOfferRequest {
        v1::CreateOfferRequest {
            parent: self.offer.site.name(),
            offer_id: self.offer.name.to_string(),
            offer: Some(v1::Offer { name: self.offer.name(), ..(&self.spec).into() }),
            intent: Some(intent),
        }
    }

    /// The request that changes it; [`PutOffer::expected`] must be the revision that was read.
    #[must_use]
    pub fn update_request(&self, intent: v1::Intent) -> v1::UpdateOfferRequest {
        let etag = self.expected.map(|revision| revision.to_string()).unwrap_or_default();
        let name = self.offer.name();
        v1::UpdateOfferRequest {
            offer: Some(v1::Offer { name, etag, ..(&self.spec).into() }),
            update_mask: Some(mask::of(&FIELDS)),
            intent: Some(intent),
        }
    }
}

impl TryFrom<&v1::WithdrawOfferRequest> for WithdrawOffer {
    type Error = FieldError;
    fn try_from(message: &v1::WithdrawOfferRequest) -> FieldResult<Self> {
        let offer = OfferId::from_field("name", &message.name)?;
        Ok(Self { offer, expected: etag("etag", &message.etag)? })
    }
}

impl WithdrawOffer {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::WithdrawOfferRequest {
        v1::WithdrawOfferRequest {
            name: self.offer.name(),
            etag: self.expected.to_string(),
            intent: Some(intent),
        }
    }
}

/// What a veto is of, by its name.
fn vetoed(field: &str, name: &str) -> FieldResult<Vetoed> {
    let tenant = TenantId::from_name(name).map(Vetoed::Tenant);
    let found = tenant.or_else(|| JobId::from_name(name).map(Vetoed::Job));
    let (tenants, jobs) = (TenantId::FORM, JobId::FORM);
    let bad = || FieldError::new(field, format!("must be a name `{tenants}` or `{jobs}`"));
    found.ok_or_else(bad)
}

impl TryFrom<&v1::CreateVetoRequest> for NewVeto {
    type Error = FieldError;
    fn try_from(message: &v1::CreateVetoRequest) -> FieldResult<Self> {
        Ok(Self {
            operator: OperatorId::from_field("parent", &message.parent)?,
            of: vetoed("of", &message.of)?,
            reason: words("reason", &message.reason)?,
        })
    }
}

impl NewVeto {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::CreateVetoRequest {
        let of = match &self.of {
            Vetoed::Tenant(tenant) => tenant.name(),
            Vetoed::Job(job) => job.name(),
        };
        v1::CreateVetoRequest {
            parent: self.operator.name(),
            of,
            reason: self.reason.clone(),
            intent: Some(intent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(expected: Option<u64>) -> PutOffer {
        let spec = OfferSpec {
            class: "h100-80g".parse().unwrap(),
            gpus: 64,
            from: Timestamp(1000),
            until: Some(Timestamp(9000)),
            excluded: ["osaka", "sakai"].map(|tenant| tenant.parse().unwrap()).into(),
            yen_per_gpu_hour: 400,
            on_lower: OnLower::Drain,
        };
        let offer = OfferId::from_name("sites/tokyo-1/offers/night").unwrap();
        PutOffer { offer, spec, expected: expected.map(Revision) }
    }

    #[test]
    fn offers_round_trip() {
        let intent = v1::Intent::default;
        let endless = |put: PutOffer| {
            let spec = OfferSpec { until: None, on_lower: OnLower::Keep, ..put.spec };
            PutOffer { spec, ..put }
        };
        for new in [put(None), endless(put(None))] {
            assert_eq!(PutOffer::try_from(&new.create_request(intent())), Ok(new));
        }
        for changed in [put(Some(42)), endless(put(Some(42)))] {
            assert_eq!(PutOffer::try_from(&changed.update_request(intent())), Ok(changed));
        }
        let withdraw = WithdrawOffer { offer: put(None).offer, expected: Revision(7) };
        let request = withdraw.request(intent());
        assert_eq!(WithdrawOffer::try_from(&request), Ok(withdraw));
        let blind = v1::WithdrawOfferRequest { etag: String::new(), ..request.clone() };
        assert_eq!(WithdrawOffer::try_from(&blind).unwrap_err().field, "etag");
        let odd = v1::WithdrawOfferRequest { name: "night".into(), ..request };
        assert_eq!(WithdrawOffer::try_from(&odd).unwrap_err().field, "name");
    }

    #[test]
    fn vetoes_round_trip_and_every_bad_field_is_named() {
        for of in
            [Vetoed::Tenant("acme".parse().unwrap()), Vetoed::Job("acme/train".parse().unwrap())]
        {
            let (operator, reason) = ("kanto".parse().unwrap(), "未払い".to_owned());
            let veto = NewVeto { operator, of, reason };
            let request = veto.request(v1::Intent::default());
            assert_eq!(NewVeto::try_from(&request), Ok(veto));
            let refused = |change: &dyn Fn(&mut v1::CreateVetoRequest)| {
                let mut bad = request.clone();
                change(&mut bad);
                NewVeto::try_from(&bad).unwrap_err().field
            };
            assert_eq!(refused(&|m| m.parent = "kanto".into()), "parent");
            for bad in ["", "acme", "tenants/acme.train", "sites/tokyo-1"] {
                assert_eq!(refused(&|m| m.of = bad.into()), "of", "{bad}");
            }
            assert_eq!(refused(&|m| m.reason = "a\u{7}".into()), "reason");
        }
    }

    #[test]
    fn every_bad_field_is_named() {
        let refused = |change: &dyn Fn(&mut v1::UpdateOfferRequest, &mut v1::Offer)| {
            let mut message = put(Some(42)).update_request(v1::Intent::default());
            let mut content = message.offer.take().unwrap();
            change(&mut message, &mut content);
            message.offer = Some(content);
            PutOffer::try_from(&message).unwrap_err().field
        };
        assert_eq!(refused(&|_, o| o.name = "tokyo-1/night".into()), "offer.name");
        assert_eq!(refused(&|_, o| o.device_class.clear()), "offer.device_class");
        assert_eq!(refused(&|_, o| o.excluded[1] = "acme".into()), "offer.excluded[1]");
        let many = vec!["tenants/acme".to_owned(); EXCLUDED_MAX + 1];
        assert_eq!(refused(&|_, o| o.excluded = many.clone()), "offer.excluded");
        for bad in [0, 9] {
            assert_eq!(refused(&|_, o| o.on_lower = bad), "offer.on_lower");
        }
        for bad in ["", "x", "042", "+42"] {
            assert_eq!(refused(&|_, o| o.etag = bad.into()), "offer.etag");
        }
        let class = || Some(mask::of(&["device_class"]));
        assert_eq!(refused(&|m, _| m.update_mask = class()), "update_mask");
        let field =
            |message: &v1::CreateOfferRequest| PutOffer::try_from(message).unwrap_err().field;
        let good = put(None).create_request(v1::Intent::default());
        let bad = v1::CreateOfferRequest { parent: "tokyo-1".into(), ..good.clone() };
        assert_eq!(field(&bad), "parent");
        let bad = v1::CreateOfferRequest { offer_id: "Night".into(), ..good.clone() };
        assert_eq!(field(&bad), "offer_id");
        let bad = v1::CreateOfferRequest { offer_id: "day".into(), ..good.clone() };
        assert_eq!(field(&bad), "offer.name");
        assert_eq!(field(&v1::CreateOfferRequest { offer: None, ..good }), "offer");
    }
}
