//! Cells of what operators promise.

use super::*;
use crate::service::reservation::ReservationApi;
use sekisho_proto::convert::reservation::PutReservation;
use sekisho_proto::name::ReservationId;
use sekisho_proto::v1::reservation_service_server::ReservationService as _;

/// What an operator promises: to a tenant that nobody here is of, so that its reader is one of the operator.
pub(super) async fn cells(fake: &Fake, cells: &mut Cells, (operator, site, _): (&str, &str, &str)) {
    let operator: OperatorId = operator.parse().unwrap();
    let target = Target::Operator(&operator);
    let api = ReservationApi(Arc::clone(&fake.core));
    let promised = |name: &str| {
        let spec = testing::reservation(site, 1);
        let name = format!("tenants/otaru/reservations/{name}-{site}");
        let reservation = ReservationId::from_name(&name).unwrap();
        PutReservation { reservation, spec, expected: None }
    };
    let put = promised("new");
    cell!(cells, Verb::PutReservation, target, api, create_reservation, put.create_request(dry()));
    let known = promised("kept");
    let name = known.reservation.name();
    fake.replica.elsewhere(|federation| {
        let ReservationId { tenant, name } = known.reservation.clone();
        federation.reserve(tenant.as_str(), name.as_str(), known.spec.clone());
    });
    let get = || v1::GetReservationRequest { name: name.clone(), read: None };
    cell!(cells, Verb::ReadReservations, target, api, get_reservation, get());
    let delete = || v1::DeleteReservationRequest {
        name: name.clone(),
        etag: "1".into(),
        intent: Some(dry()),
    };
    cell!(cells, Verb::DeleteReservation, target, api, delete_reservation, delete());
}
