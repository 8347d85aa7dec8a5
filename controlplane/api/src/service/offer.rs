//! `OfferService`: what operators offer, and what they do not take.
//!
//! Must hold: a name of a tenant that the caller may not read is shown by neither an offer nor a veto, unless the caller may
//! read what that operator does not take. Only the operator of the devices writes.

use crate::admission::Admitted;
use crate::call::{Call, not_found};
use crate::core::Core;
use crate::list::{Field, Kind, List, wish};
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_fsm::offer::{Offer, OfferKey, Veto, VetoKey};
use sekisho_fsm::role::{Target, Verb};
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::offer::{NewVeto, PutOffer, WithdrawOffer};
use sekisho_proto::name::{OfferId, Resource as _, VetoId};
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::{self, offer_service_server::OfferService};
use sekisho_types::id::{OperatorId, SiteId, TenantId};
use sekisho_types::offer::Vetoed;
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct OfferApi(pub(crate) Arc<Core>);

/// An offer, and whose devices it is of.
pub(super) type Row<'s> = (&'s OfferKey, &'s Offer, &'s OperatorId);

pub(super) fn fields<'s>() -> [Field<Row<'s>>; 10] {
    [
        Field::new("name", Kind::Text, |(key, ..)| name(key).into()),
        Field::new("site", Kind::Text, |((site, _), ..)| site.name().into()),
        Field::new("operator", Kind::Text, |(.., operator)| operator.as_str().into()),
        Field::new("device_class", Kind::Text, |(_, row, _)| row.spec.class.as_str().into()),
        Field::new("gpus", Kind::Number, |(_, row, _)| row.spec.gpus.into()),
        Field::new("used", Kind::Number, |(_, row, _)| row.used.into()),
        Field::new("from_ms", Kind::Number, |(_, row, _)| row.spec.from.0.into()),
        // One without end ends after every other.
        Field::new("until_ms", Kind::Number, |(_, row, _)| {
            row.spec.until.map_or(u64::MAX, |until| until.0).into()
        }),
        Field::new("yen_per_gpu_hour", Kind::Number, |(_, row, _)| {
            row.spec.yen_per_gpu_hour.into()
        }),
        Field::new("withdrawn", Kind::Flag, |(_, row, _)| row.withdrawn.into()),
    ]
}

/// The name of an offer.
pub(crate) fn name((site, name): &OfferKey) -> String {
    OfferId { site: site.clone(), name: name.clone() }.name()
}

/// An offer with whose devices it is of. A site stays in the state for good, so each has an operator.
fn owned<'s>(state: &'s State, key: &'s OfferKey, offer: &'s Offer) -> Option<Row<'s>> {
    Some((key, offer, &state.site(&key.0)?.operator))
}

/// One offer.
fn row<'s>(state: &'s State, key: &'s OfferKey) -> Option<Row<'s>> {
    owned(state, key, state.offer(&key.0, &key.1)?)
}

/// An offer as this caller may see it.
fn shown(call: &Call, state: &State, (key, offer, operator): Row<'_>) -> v1::Offer {
    let message: v1::Offer = (&offer.spec).into();
    let whole = call.can(state, Verb::ReadVetoes, Target::Operator(operator));
    let may =
        |tenant: &&TenantId| whole || call.can(state, Verb::ReadTenant, Target::Tenant(tenant));
    v1::Offer {
        name: name(key),
        excluded: offer.spec.excluded.iter().filter(may).map(TenantId::name).collect(),
        withdrawn: offer.withdrawn,
        used: offer.used,
        etag: offer.revision.to_string(),
        ..message
    }
}

/// One offer as this caller may see it; `None` = it is no more.
pub(crate) fn message(call: &Call, state: &State, key: &OfferKey) -> Option<v1::Offer> {
    Some(shown(call, state, row(state, key)?))
}

/// A veto.
pub(super) type VetoRow<'s> = (&'s VetoKey, &'s Veto);

pub(super) fn veto_fields<'s>() -> [Field<VetoRow<'s>>; 6] {
    [
        Field::new("name", Kind::Text, |(key, _)| veto_name(key).into()),
        Field::new("operator", Kind::Text, |((operator, _), _)| operator.as_str().into()),
        Field::new("tenant", Kind::Text, |((_, of), _)| match of {
            Vetoed::Tenant(tenant) => tenant.name().into(),
            Vetoed::Job(job) => job.tenant.name().into(),
        }),
        Field::new("job", Kind::Text, |((_, of), _)| match of {
            Vetoed::Tenant(_) => "".into(),
            Vetoed::Job(job) => job.name().into(),
        }),
        Field::new("by", Kind::Text, |(_, row)| row.by.to_string().into()),
        Field::new("since_ms", Kind::Number, |(_, row)| row.since.0.into()),
    ]
}

/// The name of a veto.
pub(crate) fn veto_name((operator, of): &VetoKey) -> String {
    VetoId { operator: operator.clone(), of: of.clone() }.name()
}

pub(crate) fn veto_message((key, row): VetoRow<'_>) -> v1::Veto {
    v1::Veto {
        name: veto_name(key),
        by: row.by.to_string(),
        reason: row.reason.clone(),
        since_ms: row.since.0,
        etag: row.revision.to_string(),
    }
}

/// Whether the caller may do this to offers of a site. Whoever may not read sites does not learn that there is one.
fn may(
    call: &Call,
    state: &State,
    verb: Verb,
    (site, name): (&SiteId, &str),
) -> Result<(), ApiError> {
    let operator = state.site(site).map(|row| &row.operator).ok_or_else(|| not_found(name))?;
    call.may_on(state, verb, Verb::ReadFederation, Target::Operator(operator), name)
}

fn command(put: PutOffer) -> Command {
    let PutOffer { offer: OfferId { site, name }, spec, expected } = put;
    Command::PutOffer { site, name, offer: Box::new(spec), expected }
}

#[tonic::async_trait]
impl OfferService for OfferApi {
    async fn list_offers(
        &self,
        request: Request<v1::ListOffersRequest>,
    ) -> Result<Response<v1::ListOffersResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let site = SiteId::from_parent("parent", &ask.parent)?;
        let list = List::of(&format!("offers/{}", ask.parent), &wish!(ask), &fields())?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        call.may(&state, Verb::ReadFederation, Target::Federation)?;
        let wanted = |at: &SiteId| site.as_ref().is_none_or(|site| at == site);
        let rows = state.offers().filter(|((at, _), _)| wanted(at));
        let rows = rows.filter_map(|(key, offer)| Some((key, owned(&state, key, offer)?)));
        let (rows, next_page_token) = list.take(state.revision(), rows);
        Ok(Response::new(v1::ListOffersResponse {
            offers: rows.into_iter().map(|row| shown(&call, &state, row)).collect(),
            next_page_token,
            revision: state.revision().0,
            unreachable: self.0.unreachable_sites(&state),
        }))
    }

    async fn get_offer(
        &self,
        request: Request<v1::GetOfferRequest>,
    ) -> Result<Response<v1::Offer>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let OfferId { site, name } = OfferId::from_field("name", &ask.name)?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        let read = Verb::ReadFederation;
        call.may_on(&state, read, read, Target::Federation, &ask.name)?;
        let found = message(&call, &state, &(site, name)).ok_or_else(|| not_found(&ask.name))?;
        Ok(Response::new(found))
    }

    async fn create_offer(
        &self,
        request: Request<v1::CreateOfferRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let put = PutOffer::try_from(&ask)?;
        let state = self.0.replica.state();
        may(&call, &state, Verb::PutOffer, (&put.offer.site, &ask.parent))?;
        let admitted = Admitted::new(intent, command(put));
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }

    async fn update_offer(
        &self,
        request: Request<v1::UpdateOfferRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let put = PutOffer::try_from(&ask)?;
        let (state, name) = (self.0.replica.state(), put.offer.name());
        may(&call, &state, Verb::PutOffer, (&put.offer.site, &name))?;
        let admitted = Admitted::new(intent, command(put));
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }

    async fn withdraw_offer(
        &self,
        request: Request<v1::WithdrawOfferRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let WithdrawOffer { offer, expected } = WithdrawOffer::try_from(&ask)?;
        let state = self.0.replica.state();
        may(&call, &state, Verb::WithdrawOffer, (&offer.site, &ask.name))?;
        let OfferId { site, name } = offer;
        let command = Command::WithdrawOffer { site, name, expected };
        Ok(Response::new(self.0.write(&call, Admitted::new(intent, command)).await?))
    }

    async fn list_vetoes(
        &self,
        request: Request<v1::ListVetoesRequest>,
    ) -> Result<Response<v1::ListVetoesResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let operator = OperatorId::from_parent("parent", &ask.parent)?;
        let list = List::of(&format!("vetoes/{}", ask.parent), &wish!(ask), &veto_fields())?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        let read = Verb::ReadVetoes;
        if let Some(operator) = &operator {
            call.may(&state, read, Target::Operator(operator))?;
        }
        // A list shows what the caller may read, and no more.
        let wanted = |by: &OperatorId| {
            operator.as_ref().is_none_or(|operator| by == operator)
                && call.can(&state, read, Target::Operator(by))
        };
        let rows = state.vetoes().filter(|((by, _), _)| wanted(by));
        let (rows, next_page_token) =
            list.take(state.revision(), rows.map(|(key, row)| (key, (key, row))));
        Ok(Response::new(v1::ListVetoesResponse {
            vetoes: rows.into_iter().map(veto_message).collect(),
            next_page_token,
            revision: state.revision().0,
            unreachable: self.0.unreachable_sites(&state),
        }))
    }

    async fn create_veto(
        &self,
        request: Request<v1::CreateVetoRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let NewVeto { operator, of, reason } = NewVeto::try_from(&ask)?;
        call.may(&self.0.replica.state(), Verb::Veto, Target::Operator(&operator))?;
        let command = Command::Veto { operator, of, reason };
        Ok(Response::new(self.0.write(&call, Admitted::new(intent, command)).await?))
    }

    async fn delete_veto(
        &self,
        request: Request<v1::DeleteVetoRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let VetoId { operator, of } = VetoId::from_field("name", &ask.name)?;
        let state = self.0.replica.state();
        let target = Target::Operator(&operator);
        call.may_on(&state, Verb::LiftVeto, Verb::ReadVetoes, target, &ask.name)?;
        let command = Command::LiftVeto { operator, of };
        Ok(Response::new(self.0.write(&call, Admitted::new(intent, command)).await?))
    }
}
