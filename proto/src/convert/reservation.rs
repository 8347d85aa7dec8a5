//! Reservations: what makes, lowers or takes one out.
//!
//! A change carries all of the reservation, as it was read but for what changes.

use super::site::same_name;
use crate::field::{FieldError, FieldResult, etag, parsed, required, words};
use crate::mask;
use crate::name::{ReservationId, Resource};
use crate::v1;
use sekisho_types::id::{SiteId, TenantId};
use sekisho_types::name::Name;
use sekisho_types::reservation::{Reclaim, ReservationSpec};
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;

/// A reservation to make or lower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutReservation {
    /// Which.
    pub reservation: ReservationId,
    /// What it is.
    pub spec: ReservationSpec,
    /// Revision at which the caller read it; `None` = must not exist.
    pub expected: Option<Revision>,
}

/// A reservation to take out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteReservation {
    /// Which.
    pub reservation: ReservationId,
    /// Revision at which the caller read it.
    pub expected: Revision,
}

const FIELDS: [&str; 3] = ["gpus", "reclaim", "message"];

/// The name of a reservation, if one is named.
pub(super) fn optional_reservation(field: &str, name: &str) -> FieldResult<Option<Name>> {
    if name.is_empty() { Ok(None) } else { parsed(field, name).map(Some) }
}

fn reclaim(value: i32) -> FieldResult<Reclaim> {
    match v1::reservation::Reclaim::try_from(value) {
        Ok(v1::reservation::Reclaim::Wait) => Ok(Reclaim::Wait),
        Ok(v1::reservation::Reclaim::Drain) => Ok(Reclaim::Drain),
        Ok(v1::reservation::Reclaim::Unspecified) | Err(_) => {
            Err(FieldError::new("reservation.reclaim", "must be WAIT or DRAIN"))
        }
    }
}

fn spec(content: &v1::Reservation) -> FieldResult<ReservationSpec> {
    Ok(ReservationSpec {
        site: SiteId::from_field("reservation.site", &content.site)?,
        class: parsed("reservation.device_class", &content.device_class)?,
        gpus: content.gpus,
        from: Timestamp(content.from_ms),
        until: content.until_ms.map(Timestamp),
        reclaim: reclaim(content.reclaim)?,
        message: words("reservation.message", &content.message)?,
    })
}

impl TryFrom<&v1::CreateReservationRequest> for PutReservation {
    type Error = FieldError;
    fn try_from(message: &v1::CreateReservationRequest) -> FieldResult<Self> {
        let content = required("reservation", message.reservation.as_ref())?;
        let tenant = TenantId::from_field("parent", &message.parent)?;
        let name = parsed("reservation_id", &message.reservation_id)?;
        let reservation = ReservationId { tenant, name };
        same_name("reservation.name", &content.name, &reservation.name())?;
        Ok(Self { reservation, spec: spec(content)?, expected: None })
    }
}

impl TryFrom<&v1::UpdateReservationRequest> for PutReservation {
    type Error = FieldError;
    fn try_from(message: &v1::UpdateReservationRequest) -> FieldResult<Self> {
        let content = required("reservation", message.reservation.as_ref())?;
        // The message has all of it whatever the mask names: what is signed must not depend on what stands now.
        let fields = FIELDS.map(|field| (field, true));
        mask::named("reservation", message.update_mask.as_ref(), &fields)?;
        let reservation = ReservationId::from_field("reservation.name", &content.name)?;
        let expected = Some(etag("reservation.etag", &content.etag)?);
        Ok(Self { reservation, spec: spec(content)?, expected })
    }
}

impl From<&ReservationSpec> for v1::Reservation {
    fn from(spec: &ReservationSpec) -> Self {
        let reclaim = match spec.reclaim {
            Reclaim::Wait => v1::reservation::Reclaim::Wait,
            Reclaim::Drain => v1::reservation::Reclaim::Drain,
        };
        Self {
            site: spec.site.name(),
            device_class: spec.class.to_string(),
            gpus: spec.gpus,
            from_ms: spec.from.0,
            until_ms: spec.until.map(|until| until.0),
            reclaim: reclaim.into(),
            message: spec.message.clone(),
            ..Self::default()
        }
    }
}

impl PutReservation {
    /// The request that makes it; [`PutReservation::expected`] must be `None`.
    #[must_use]
    pub fn create_request(&self, intent: v1::Intent) -> v1::CreateReservationRequest {
        let name = self.reservation.name();
        v1::CreateReservationRequest {
            parent: self.reservation.tenant.name(),
            reservation_id: self.reservation.name.to_string(),
            reservation: Some(v1::Reservation { name, ..(&self.spec).into() }),
            intent: Some(intent),
        }
    }

    /// The request that changes it; [`PutReservation::expected`] must be the revision that was read.
    #[must_use]
    pub fn update_request(&self, intent: v1::Intent) -> v1::UpdateReservationRequest {
        let etag = self.expected.map(|revision| revision.to_string()).unwrap_or_default();
        let name = self.reservation.name();
        v1::UpdateReservationRequest {
            reservation: Some(v1::Reservation { name, etag, ..(&self.spec).into() }),
            update_mask: Some(mask::of(&FIELDS)),
            intent: Some(intent),
        }
    }
}

impl TryFrom<&v1::DeleteReservationRequest> for DeleteReservation {
    type Error = FieldError;
    fn try_from(message: &v1::DeleteReservationRequest) -> FieldResult<Self> {
        let reservation = ReservationId::from_field("name", &message.name)?;
        Ok(Self { reservation, expected: etag("etag", &message.etag)? })
    }
}

impl DeleteReservation {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::DeleteReservationRequest {
        v1::DeleteReservationRequest {
            name: self.reservation.name(),
            etag: self.expected.to_string(),
            intent: Some(intent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(expected: Option<u64>) -> PutReservation {
        let spec = ReservationSpec {
            site: "tokyo-1".parse().unwrap(),
            class: "h100-80g".parse().unwrap(),
            gpus: 16,
            from: Timestamp(1000),
            until: Some(Timestamp(9000)),
            reclaim: Reclaim::Drain,
            message: "夜間の学習".to_owned(),
        };
        let name = "tenants/sapporo/reservations/night";
        let reservation = ReservationId::from_name(name).unwrap();
        PutReservation { reservation, spec, expected: expected.map(Revision) }
    }

    #[test]
    fn reservations_round_trip() {
        let intent = v1::Intent::default;
        let endless = |put: PutReservation| {
            let spec = ReservationSpec { until: None, reclaim: Reclaim::Wait, ..put.spec };
            PutReservation { spec, ..put }
        };
        for new in [put(None), endless(put(None))] {
            assert_eq!(PutReservation::try_from(&new.create_request(intent())), Ok(new));
        }
        for changed in [put(Some(42)), endless(put(Some(42)))] {
            assert_eq!(PutReservation::try_from(&changed.update_request(intent())), Ok(changed));
        }
        let delete =
            DeleteReservation { reservation: put(None).reservation, expected: Revision(7) };
        let request = delete.request(intent());
        assert_eq!(DeleteReservation::try_from(&request), Ok(delete));
        let blind = v1::DeleteReservationRequest { etag: String::new(), ..request };
        assert_eq!(DeleteReservation::try_from(&blind).unwrap_err().field, "etag");
        assert_eq!(optional_reservation("r", ""), Ok(None));
        assert_eq!(optional_reservation("r", "Night").unwrap_err().field, "r");
    }

    #[test]
    fn every_bad_field_is_named() {
        let refused = |change: &dyn Fn(&mut v1::UpdateReservationRequest, &mut v1::Reservation)| {
            let mut message = put(Some(42)).update_request(v1::Intent::default());
            let mut content = message.reservation.take().unwrap();
            change(&mut message, &mut content);
            message.reservation = Some(content);
            PutReservation::try_from(&message).unwrap_err().field
        };
        assert_eq!(refused(&|_, r| r.name = "sapporo/night".into()), "reservation.name");
        assert_eq!(refused(&|_, r| r.site = "tokyo-1".into()), "reservation.site");
        assert_eq!(refused(&|_, r| r.device_class.clear()), "reservation.device_class");
        assert_eq!(refused(&|_, r| r.message = "a\u{7}".into()), "reservation.message");
        for bad in [0, 9] {
            assert_eq!(refused(&|_, r| r.reclaim = bad), "reservation.reclaim");
        }
        for bad in ["", "x", "042"] {
            assert_eq!(refused(&|_, r| r.etag = bad.into()), "reservation.etag");
        }
        let site = || Some(mask::of(&["site"]));
        assert_eq!(refused(&|m, _| m.update_mask = site()), "update_mask");
        let good = put(None).create_request(v1::Intent::default());
        let field =
            |m: &v1::CreateReservationRequest| PutReservation::try_from(m).unwrap_err().field;
        let bad = v1::CreateReservationRequest { parent: "sapporo".into(), ..good.clone() };
        assert_eq!(field(&bad), "parent");
        let bad = v1::CreateReservationRequest { reservation_id: "Night".into(), ..good.clone() };
        assert_eq!(field(&bad), "reservation_id");
        assert_eq!(
            field(&v1::CreateReservationRequest { reservation: None, ..good }),
            "reservation"
        );
    }
}
