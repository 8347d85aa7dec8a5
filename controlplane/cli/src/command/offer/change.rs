//! Making, changing and withdrawing an offer. Only the operator's own administrators may.

use super::{CreateArgs, TermArgs, UpdateArgs, get};
use crate::app::{App, Session};
use crate::ask;
use crate::failure::Failure;
use crate::language::Text;
use sekisho_fsm::command::Command;
use sekisho_proto::convert::offer::{PutOffer, WithdrawOffer};
use sekisho_proto::name::{OfferId, Resource as _};
use sekisho_proto::v1;
use sekisho_types::offer::{OfferSpec, OnLower};
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;

impl CreateArgs {
    /// The offer that is made; what is not said is the widest, but that running work stays.
    pub(super) fn offer(self) -> PutOffer {
        let Self { site, offer: name, class, gpus, terms } = self;
        let TermArgs { from, until, exclude, yen_per_gpu_hour, on_lower } = terms;
        let spec = OfferSpec {
            class,
            gpus,
            from: from.unwrap_or(Timestamp(0)),
            until,
            excluded: exclude.into_iter().collect(),
            yen_per_gpu_hour: yen_per_gpu_hour.unwrap_or(0),
            on_lower: on_lower.unwrap_or(OnLower::Keep),
        };
        PutOffer { offer: OfferId { site, name }, spec, expected: None }
    }
}

impl UpdateArgs {
    fn over(&self, stands: OfferSpec) -> OfferSpec {
        let TermArgs { from, until, exclude, yen_per_gpu_hour, on_lower } = &self.terms;
        let keeps = exclude.is_empty() && !self.no_exclude;
        OfferSpec {
            gpus: self.gpus.unwrap_or(stands.gpus),
            from: from.unwrap_or(stands.from),
            until: if self.no_until { None } else { until.or(stands.until) },
            excluded: if keeps { stands.excluded } else { exclude.iter().cloned().collect() },
            yen_per_gpu_hour: yen_per_gpu_hour.unwrap_or(stands.yen_per_gpu_hour),
            on_lower: on_lower.unwrap_or(stands.on_lower),
            class: stands.class,
        }
    }
}

/// An offer as it stands, read strictly: what is signed is all of it.
async fn stands(app: &App<'_>, session: &Session, offer: &OfferId) -> Result<PutOffer, Failure> {
    let read = get(app, session, offer).await?;
    let whole = v1::UpdateOfferRequest { offer: Some(read), update_mask: None, intent: None };
    PutOffer::try_from(&whole)
        .map_err(|error| Failure::invalid(format!("the answer is not usable: {error}")))
}

fn command(put: &PutOffer) -> Command {
    Command::PutOffer {
        site: put.offer.site.clone(),
        name: put.offer.name.clone(),
        offer: Box::new(put.spec.clone()),
        expected: put.expected,
    }
}

/// Makes an offer.
pub(crate) async fn create(app: &mut App<'_>, put: PutOffer) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let prepared = app.prepare(&session, &command(&put))?;
    let request = put.create_request(prepared.intent);
    let written =
        ask!(session.client, offer_service_client::OfferServiceClient, create_offer, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let next = format!("sekisho offer list --site {}", put.offer.site);
    let done = Text::new("created", "を作成しました");
    app.changed(&put.offer.name(), prepared.request, written.revision, done, Some(next))
}

/// Offers fewer.
pub(super) async fn lower(app: &mut App<'_>, offer: OfferId, gpus: u64) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let mut put = stands(app, &session, &offer).await?;
    let now = put.spec.gpus;
    if gpus >= now {
        let why = app.output.pick(
            format!("--gpus: {gpus} is not lower than the {now} that are offered"),
            format!("--gpus: {gpus} は現在の提供数 {now} より少なくありません"),
        );
        let OfferId { site, name } = &offer;
        let fix = format!("sekisho offer update {site} {name} --gpus {gpus}");
        return Err(Failure::invalid(why).remedy(fix));
    }
    put.spec.gpus = gpus;
    write(app, &session, put, Text::new("lowered", "を減らしました")).await
}

/// Changes what is said.
pub(super) async fn update(app: &mut App<'_>, args: UpdateArgs) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let offer = OfferId { site: args.site.clone(), name: args.offer.clone() };
    let PutOffer { offer, spec, expected } = stands(app, &session, &offer).await?;
    let put = PutOffer { offer, spec: args.over(spec), expected };
    write(app, &session, put, Text::new("updated", "を更新しました")).await
}

async fn write(
    app: &mut App<'_>,
    session: &Session,
    put: PutOffer,
    done: Text,
) -> Result<(), Failure> {
    let prepared = app.prepare(session, &command(&put))?;
    let request = put.update_request(prepared.intent);
    let written =
        ask!(session.client, offer_service_client::OfferServiceClient, update_offer, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let OfferId { site, name } = &put.offer;
    let next = format!("sekisho offer get {site} {name}");
    app.changed(&put.offer.name(), prepared.request, written.revision, done, Some(next))
}

/// Offers nothing any more.
pub(super) async fn withdraw(app: &mut App<'_>, offer: OfferId) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let PutOffer { offer, expected, .. } = stands(app, &session, &offer).await?;
    let withdraw = WithdrawOffer { offer, expected: expected.unwrap_or(Revision(0)) };
    let command = Command::WithdrawOffer {
        site: withdraw.offer.site.clone(),
        name: withdraw.offer.name.clone(),
        expected: withdraw.expected,
    };
    let prepared = app.prepare(&session, &command)?;
    let request = withdraw.request(prepared.intent);
    let written =
        ask!(session.client, offer_service_client::OfferServiceClient, withdraw_offer, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let done = Text::new("withdrawn", "を取り下げました");
    // What is still charged to it keeps it there.
    let next = format!("sekisho offer list --site {}", withdraw.offer.site);
    app.changed(&withdraw.offer.name(), prepared.request, written.revision, done, Some(next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

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

    fn made(more: &str) -> OfferSpec {
        let line = format!("create tokyo-1 all --class h100 --gpus 8{more}");
        Create::try_parse_from(line.split(' ')).unwrap().args.offer().spec
    }

    fn changed(more: &str, stands: &OfferSpec) -> OfferSpec {
        let line = format!("update tokyo-1 all{more}");
        Update::try_parse_from(line.split(' ')).unwrap().args.over(stands.clone())
    }

    #[test]
    fn an_update_changes_what_it_says_and_nothing_else() {
        let plain = made("");
        assert_eq!((plain.from, plain.until, plain.on_lower), (Timestamp(0), None, OnLower::Keep));
        let full = made(
            " --from 2027-04-01 --until 2028-04-01 --exclude a --exclude b --yen-per-gpu-hour 300 --on-lower drain",
        );
        assert_eq!((full.excluded.len(), full.yen_per_gpu_hour), (2, 300));
        assert_eq!(changed("", &full), full);
        let freed = OfferSpec { until: None, excluded: [].into(), ..full.clone() };
        assert_eq!(changed(" --no-until --no-exclude", &full), freed);
        let other = OfferSpec { gpus: 4, excluded: ["c".parse().unwrap()].into(), ..full.clone() };
        assert_eq!(changed(" --gpus 4 --exclude c", &full), other);
        let twice = "update tokyo-1 all --until 2028-04-01 --no-until";
        Update::try_parse_from(twice.split(' ')).unwrap_err();
    }
}
