//! Making, lowering and taking out a reservation. Only the administrators of the site's operator may.

use super::{CreateArgs, UpdateArgs, get};
use crate::app::{App, Session};
use crate::ask;
use crate::failure::Failure;
use crate::language::Text;
use sekisho_fsm::command::{self, Command};
use sekisho_proto::convert::reservation::{DeleteReservation, PutReservation};
use sekisho_proto::name::{ReservationId, Resource as _};
use sekisho_proto::v1;
use sekisho_types::reservation::ReservationSpec;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;

impl CreateArgs {
    /// The reservation that is made.
    fn reservation(self) -> PutReservation {
        let Self { tenant, reservation: name, site, class, gpus, from, until, reclaim, message } =
            self;
        let from = from.unwrap_or(Timestamp(0));
        let spec = ReservationSpec { site, class, gpus, from, until, reclaim, message };
        PutReservation { reservation: ReservationId { tenant, name }, spec, expected: None }
    }
}

impl UpdateArgs {
    fn over(&self, stands: ReservationSpec) -> ReservationSpec {
        ReservationSpec {
            gpus: self.gpus.unwrap_or(stands.gpus),
            reclaim: self.reclaim.unwrap_or(stands.reclaim),
            message: self.message.clone().unwrap_or(stands.message),
            ..stands
        }
    }
}

/// A reservation as it stands, read strictly: what is signed is all of it.
async fn stands(
    app: &App<'_>,
    session: &Session,
    id: &ReservationId,
) -> Result<PutReservation, Failure> {
    let read = get(app, session, id).await?;
    let (reservation, update_mask, intent) = (Some(read), None, None);
    let whole = v1::UpdateReservationRequest { reservation, update_mask, intent };
    PutReservation::try_from(&whole)
        .map_err(|error| Failure::invalid(format!("the answer is not usable: {error}")))
}

fn command(put: &PutReservation) -> Command {
    let PutReservation { reservation, spec, expected } = put.clone();
    let ReservationId { tenant, name } = reservation;
    Command::PutReservation(Box::new(command::PutReservation { tenant, name, spec, expected }))
}

/// Makes a reservation.
pub(super) async fn create(app: &mut App<'_>, args: CreateArgs) -> Result<(), Failure> {
    let put = args.reservation();
    let session = app.signing_session().await?;
    let prepared = app.prepare(&session, &command(&put))?;
    let request = put.create_request(prepared.intent);
    let written = ask!(
        session.client,
        reservation_service_client::ReservationServiceClient,
        create_reservation,
        request
    )
    .map_err(|failure| failure.of_request(prepared.request))?;
    let next = format!("sekisho reservation list --tenant {}", put.reservation.tenant);
    let done = Text::new("created", "を作成しました");
    app.changed(&put.reservation.name(), prepared.request, written.revision, done, Some(next))
}

/// Changes what is said.
pub(super) async fn update(app: &mut App<'_>, args: UpdateArgs) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let id = ReservationId { tenant: args.tenant.clone(), name: args.reservation.clone() };
    let PutReservation { reservation, spec, expected } = stands(app, &session, &id).await?;
    let put = PutReservation { reservation, spec: args.over(spec), expected };
    let prepared = app.prepare(&session, &command(&put))?;
    let request = put.update_request(prepared.intent);
    let written = ask!(
        session.client,
        reservation_service_client::ReservationServiceClient,
        update_reservation,
        request
    )
    .map_err(|failure| failure.of_request(prepared.request))?;
    let next = format!("sekisho reservation get {} {}", id.tenant, id.name);
    let done = Text::new("updated", "を更新しました");
    app.changed(&put.reservation.name(), prepared.request, written.revision, done, Some(next))
}

/// Takes one out.
pub(super) async fn delete(app: &mut App<'_>, id: ReservationId, yes: bool) -> Result<(), Failure> {
    app.confirm(yes, &id.name())?;
    let session = app.signing_session().await?;
    let PutReservation { reservation, expected, .. } = stands(app, &session, &id).await?;
    let delete = DeleteReservation { reservation, expected: expected.unwrap_or(Revision(0)) };
    let ReservationId { tenant, name } = delete.reservation.clone();
    let expected = delete.expected;
    let take_out = command::DeleteReservation { tenant, name, expected };
    let prepared = app.prepare(&session, &Command::DeleteReservation(Box::new(take_out)))?;
    let request = delete.request(prepared.intent);
    let written = ask!(
        session.client,
        reservation_service_client::ReservationServiceClient,
        delete_reservation,
        request
    )
    .map_err(|failure| failure.of_request(prepared.request))?;
    let done = Text::new("deleted", "を削除しました");
    app.changed(&delete.reservation.name(), prepared.request, written.revision, done, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;
    use sekisho_types::reservation::Reclaim;

    #[derive(Debug, clap::Parser)]
    struct Create {
        #[command(flatten)]
        args: CreateArgs,
    }

    #[derive(Debug, clap::Parser)]
    struct Update {
        #[command(flatten)]
        args: UpdateArgs,
    }

    fn made(more: &str) -> ReservationSpec {
        let line = format!("create sapporo night --site tokyo-1 --class h100 --gpus 8{more}");
        Create::try_parse_from(line.split(' ')).unwrap().args.reservation().spec
    }

    fn changed(more: &str, stands: &ReservationSpec) -> ReservationSpec {
        let line = format!("update sapporo night{more}");
        Update::try_parse_from(line.split(' ')).unwrap().args.over(stands.clone())
    }

    #[test]
    fn an_update_changes_what_it_says_and_nothing_else() {
        let plain = made("");
        assert_eq!((plain.from, plain.until, plain.reclaim), (Timestamp(0), None, Reclaim::Wait));
        let full = made(" --from 2027-04-01 --until 2027-05-01 --reclaim drain --message night");
        assert_eq!((full.reclaim, full.message.as_str()), (Reclaim::Drain, "night"));
        assert_eq!(changed("", &full), full);
        let fewer = ReservationSpec { gpus: 4, reclaim: Reclaim::Wait, ..full.clone() };
        assert_eq!(changed(" --gpus 4 --reclaim wait", &full), fewer);
        let longer = "update sapporo night --until 2028-04-01";
        Update::try_parse_from(longer.split(' ')).unwrap_err();
    }
}
