//! `ReservationService`: what operators promise to tenants out of what they offer.
//!
//! Must hold: a reservation is shown to whoever may read what is reserved for its tenant, or at its operator's; others learn no
//! more than that devices are reserved, when they ask why a job waits. Only the operator of the devices writes.

use crate::admission::Admitted;
use crate::call::{Call, not_found};
use crate::core::Core;
use crate::list::{Field, Kind, List, wish};
use sekisho_fsm::State;
use sekisho_fsm::command::{Command, DeleteReservation, PutReservation};
use sekisho_fsm::reservation::{Reservation, ReservationKey, Standing};
use sekisho_fsm::role::{Target, Verb};
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::reservation as wire;
use sekisho_proto::name::{ReservationId, Resource as _};
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::{self, reservation_service_server::ReservationService};
use sekisho_types::id::{SiteId, TenantId};
use sekisho_types::time::Timestamp;
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct ReservationApi(pub(crate) Arc<Core>);

/// A reservation, how it stands, and at which time.
pub(super) type Row<'s> = (&'s ReservationKey, &'s Reservation, Standing, Timestamp);

pub(super) fn fields<'s>() -> [Field<Row<'s>>; 11] {
    [
        Field::new("name", Kind::Text, |(key, ..)| name(key).into()),
        Field::new("tenant", Kind::Text, |((tenant, _), ..)| tenant.name().into()),
        Field::new("site", Kind::Text, |(_, row, ..)| row.spec.site.name().into()),
        Field::new("device_class", Kind::Text, |(_, row, ..)| row.spec.class.as_str().into()),
        Field::new("gpus", Kind::Number, |(_, row, ..)| row.spec.gpus.into()),
        Field::new("from_ms", Kind::Number, |(_, row, ..)| row.spec.from.0.into()),
        // One without end ends after every other.
        Field::new("until_ms", Kind::Number, |(_, row, ..)| {
            row.spec.until.map_or(u64::MAX, |until| until.0).into()
        }),
        Field::new("used", Kind::Number, |(_, _, standing, _)| standing.used.into()),
        Field::new("short", Kind::Number, |(_, _, standing, _)| standing.short.into()),
        Field::new("occupied", Kind::Number, |(_, _, standing, _)| standing.occupied.into()),
        Field::new("over", Kind::Flag, |(_, row, _, now)| row.spec.is_over(*now).into()),
    ]
}

/// The name of a reservation.
fn name((tenant, name): &ReservationKey) -> String {
    ReservationId { tenant: tenant.clone(), name: name.clone() }.name()
}

fn row<'s>(state: &State, key: &'s ReservationKey, row: &'s Reservation) -> Row<'s> {
    (key, row, state.standing(key, row), state.clock())
}

fn shown((key, row, standing, now): Row<'_>) -> v1::Reservation {
    let Standing { used, short, occupied } = standing;
    let (over, holds) = (row.spec.is_over(now), row.spec.holds_at(now));
    let (name, etag) = (name(key), row.revision.to_string());
    v1::Reservation { name, used, short, occupied, over, holds, etag, ..(&row.spec).into() }
}

/// One reservation; `None` = it is no more.
pub(crate) fn message(state: &State, key: &ReservationKey) -> Option<v1::Reservation> {
    let found = state.reservation(&key.0, &key.1)?;
    Some(shown(row(state, key, found)))
}

/// Whether the caller may read a reservation of this tenant at this site.
fn can_read(call: &Call, state: &State, tenant: &TenantId, site: &SiteId) -> bool {
    let read = Verb::ReadReservations;
    let at_its_operator = || {
        let site = state.site(site);
        site.is_some_and(|site| call.can(state, read, Target::Operator(&site.operator)))
    };
    call.can(state, read, Target::Tenant(tenant)) || at_its_operator()
}

/// A reservation that the caller may read.
fn found(
    call: &Call,
    state: &State,
    id: &ReservationId,
) -> Result<(ReservationKey, SiteId), ApiError> {
    let read = Verb::ReadFederation;
    call.may_on(state, read, read, Target::Federation, &id.name())?;
    let row = state.reservation(&id.tenant, &id.name);
    let row = row.filter(|row| can_read(call, state, &id.tenant, &row.spec.site));
    let row = row.ok_or_else(|| not_found(&id.name()))?;
    Ok(((id.tenant.clone(), id.name.clone()), row.spec.site.clone()))
}

/// Whether the caller may do this to reservations at a site. Whoever may not read sites does not learn that there is one.
fn may(call: &Call, state: &State, verb: Verb, site: &SiteId) -> Result<(), ApiError> {
    let name = site.name();
    let operator = state.site(site).map(|row| &row.operator).ok_or_else(|| not_found(&name))?;
    call.may_on(state, verb, Verb::ReadFederation, Target::Operator(operator), &name)
}

fn command(put: wire::PutReservation) -> Command {
    let wire::PutReservation { reservation: ReservationId { tenant, name }, spec, expected } = put;
    Command::PutReservation(Box::new(PutReservation { tenant, name, spec, expected }))
}

#[tonic::async_trait]
impl ReservationService for ReservationApi {
    async fn list_reservations(
        &self,
        request: Request<v1::ListReservationsRequest>,
    ) -> Result<Response<v1::ListReservationsResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let tenant = TenantId::from_parent("parent", &ask.parent)?;
        let list = List::of(&format!("reservations/{}", ask.parent), &wish!(ask), &fields())?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        if let Some(tenant) = &tenant {
            let read = Verb::ReadReservations;
            call.may_on(&state, read, read, Target::Tenant(tenant), &ask.parent)?;
        } else {
            call.may(&state, Verb::ReadFederation, Target::Federation)?;
        }
        // A list shows what the caller may read, and no more.
        let wanted = |of: &TenantId, site: &SiteId| {
            tenant.as_ref().is_none_or(|tenant| of == tenant) && can_read(&call, &state, of, site)
        };
        let rows = state.reservations().filter(|((of, _), row)| wanted(of, &row.spec.site));
        let rows = rows.map(|(key, found)| (key, row(&state, key, found)));
        let (rows, next_page_token) = list.take(state.revision(), rows);
        Ok(Response::new(v1::ListReservationsResponse {
            reservations: rows.into_iter().map(shown).collect(),
            next_page_token,
            revision: state.revision().0,
            unreachable: self.0.unreachable_sites(&state),
        }))
    }

    async fn get_reservation(
        &self,
        request: Request<v1::GetReservationRequest>,
    ) -> Result<Response<v1::Reservation>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let id = ReservationId::from_field("name", &ask.name)?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        let (key, _) = found(&call, &state, &id)?;
        let found = message(&state, &key).ok_or_else(|| not_found(&ask.name))?;
        Ok(Response::new(found))
    }

    async fn create_reservation(
        &self,
        request: Request<v1::CreateReservationRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let put = wire::PutReservation::try_from(&ask)?;
        may(&call, &self.0.replica.state(), Verb::PutReservation, &put.spec.site)?;
        let admitted = Admitted::new(intent, command(put));
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }

    async fn update_reservation(
        &self,
        request: Request<v1::UpdateReservationRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let put = wire::PutReservation::try_from(&ask)?;
        let state = self.0.replica.state();
        let (_, site) = found(&call, &state, &put.reservation)?;
        may(&call, &state, Verb::PutReservation, &site)?;
        let admitted = Admitted::new(intent, command(put));
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }

    async fn delete_reservation(
        &self,
        request: Request<v1::DeleteReservationRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let wire::DeleteReservation { reservation, expected } =
            wire::DeleteReservation::try_from(&ask)?;
        let state = self.0.replica.state();
        let (_, site) = found(&call, &state, &reservation)?;
        may(&call, &state, Verb::DeleteReservation, &site)?;
        let ReservationId { tenant, name } = reservation;
        let delete = DeleteReservation { tenant, name, expected };
        let command = Command::DeleteReservation(Box::new(delete));
        Ok(Response::new(self.0.write(&call, Admitted::new(intent, command)).await?))
    }
}
