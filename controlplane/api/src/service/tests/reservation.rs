//! Reservations: written by the operator of the devices alone, and shown to whoever may know of them.

use super::write::intent;
use super::*;
use crate::service::reservation::ReservationApi;
use sekisho_fsm::command;
use sekisho_fsm::testing::user;
use sekisho_proto::convert::reservation::{DeleteReservation, PutReservation};
use sekisho_proto::name::{ReservationId, Resource as _};
use sekisho_proto::v1;
use sekisho_proto::v1::reservation_service_server::ReservationService as _;
use sekisho_types::principal::Principal;
use sekisho_types::quota::Limit;
use sekisho_types::reservation::{Reclaim, ReservationSpec};
use std::sync::Arc;

const NAME: &str = "tenants/sapporo/reservations/night";

fn put(gpus: u64, expected: Option<u64>) -> PutReservation {
    let reclaim = Reclaim::Drain;
    PutReservation {
        reservation: ReservationId::from_name(NAME).unwrap(),
        spec: ReservationSpec { reclaim, ..testing::reservation("tokyo-1", gpus) },
        expected: expected.map(Revision),
    }
}

fn command(put: &PutReservation) -> Command {
    let PutReservation { reservation, spec, expected } = put.clone();
    let ReservationId { tenant, name } = reservation;
    Command::PutReservation(Box::new(command::PutReservation { tenant, name, spec, expected }))
}

/// Kanto's promise to sapporo, made.
async fn promised() -> (Fake, ReservationApi, u64) {
    let fake = fake();
    fake.replica.elsewhere(|federation| federation.tenant("otaru", Limit::Unlimited));
    let (api, kanto) = (ReservationApi(Arc::clone(&fake.core)), admin("kanto"));
    let new = put(4, None);
    let message = new.create_request(intent(1, &command(&new), std::slice::from_ref(&kanto)));
    let made = api.create_reservation(request(&kanto, message)).await.unwrap().into_inner();
    (fake, api, made.revision)
}

async fn get(api: &ReservationApi, who: &Principal) -> Result<Response<v1::Reservation>, Status> {
    let ask = v1::GetReservationRequest { name: NAME.into(), read: None };
    api.get_reservation(request(who, ask)).await
}

#[tokio::test]
async fn a_reservation_is_made_lowered_and_taken_out_by_its_operator_alone() {
    let (_fake, api, made) = promised().await;
    let kanto = admin("kanto");
    let read = get(&api, &kanto).await.unwrap().into_inner();
    assert_eq!((read.name.as_str(), read.gpus, read.used, read.short), (NAME, 4, 0, 0));
    assert_eq!((read.site.as_str(), read.etag), ("sites/tokyo-1", made.to_string()));
    let lowered = put(2, Some(made));
    let by = |number, who: &Principal| {
        lowered.update_request(intent(number, &command(&lowered), std::slice::from_ref(who)))
    };
    for (number, who, refused) in [
        (2, admin("naniwa"), ErrorCode::PermissionDenied),
        (3, user("kanto", "sapporo"), ErrorCode::PermissionDenied),
        (4, user("kanto", "stranger"), ErrorCode::NotFound),
    ] {
        let answer = api.update_reservation(request(&who, by(number, &who))).await;
        assert_eq!(code(answer), refused, "{who}");
    }
    let change = api.update_reservation(request(&kanto, by(5, &kanto))).await.unwrap().into_inner();
    assert_eq!(get(&api, &kanto).await.unwrap().into_inner().gpus, 2);
    let expected = Revision(change.revision);
    let delete = DeleteReservation { reservation: lowered.reservation.clone(), expected };
    let ReservationId { tenant, name } = delete.reservation.clone();
    let take_out = command::DeleteReservation { tenant, name, expected };
    let take_out = Command::DeleteReservation(Box::new(take_out));
    let message = delete.request(intent(6, &take_out, std::slice::from_ref(&kanto)));
    api.delete_reservation(request(&kanto, message)).await.unwrap();
    assert_eq!(code(get(&api, &kanto).await), ErrorCode::NotFound);
}

#[tokio::test]
async fn it_is_shown_to_its_tenant_and_at_its_operator() {
    let (_fake, api, _) = promised().await;
    let ask = |filter: &str| {
        let (parent, filter) = ("tenants/-".to_owned(), filter.to_owned());
        v1::ListReservationsRequest { parent, filter, ..Default::default() }
    };
    for (who, rows) in [
        (admin("kanto"), 1),
        (admin("naniwa"), 1),
        (user("kanto", "sapporo"), 1),
        (user("kanto", "otaru"), 0),
    ] {
        let page = api.list_reservations(request(&who, ask("gpus = 4 AND over = false"))).await;
        assert_eq!(page.unwrap().into_inner().reservations.len(), rows, "{who}");
    }
    assert_eq!(code(get(&api, &user("kanto", "otaru")).await), ErrorCode::NotFound);
    let stranger = api.list_reservations(request(&user("kanto", "stranger"), ask(""))).await;
    assert_eq!(code(stranger), ErrorCode::PermissionDenied);
}
