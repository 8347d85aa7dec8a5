//! `sekisho offer`: devices that an operator offers at one of its sites.

mod change;

pub(crate) use change::create;

use super::list::{ListArgs, beside, pages};
use super::{short, when};
use crate::app::{App, PAGE, Session};
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Column, Listed, Shown, column, wide};
use sekisho_proto::name::{ANY, OfferId, Resource as _};
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::id::{DeviceClass, SiteId, TenantId};
use sekisho_types::name::Name;
use sekisho_types::offer::OnLower;
use sekisho_types::time::Timestamp;
use serde::Serialize;

/// Verbs of an offer.
#[derive(Debug, clap::Subcommand)]
pub enum OfferCommand {
    /// List offers and what is used of them
    List {
        /// Only of this site
        #[arg(long)]
        site: Option<SiteId>,
        /// Which of them
        #[command(flatten)]
        args: ListArgs,
    },
    /// Show one offer
    Get {
        /// The site
        site: SiteId,
        /// Its name
        #[arg(value_name = "NAME")]
        offer: Name,
    },
    /// Offer GPUs of a site of one's own operator
    Create(CreateArgs),
    /// Offer fewer GPUs
    Lower {
        /// The site
        site: SiteId,
        /// Its name
        #[arg(value_name = "NAME")]
        offer: Name,
        /// How many at once from now on: fewer than now
        #[arg(long, value_name = "N")]
        gpus: u64,
    },
    /// Change an offer: only what is said. A price counts for what is granted from then on
    Update(UpdateArgs),
    /// Offer nothing any more: the offer goes when nothing is charged to it
    Withdraw {
        /// The site
        site: SiteId,
        /// Its name
        #[arg(value_name = "NAME")]
        offer: Name,
    },
}

/// An offer to make.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// The site
    site: SiteId,
    /// Its name
    #[arg(value_name = "NAME")]
    offer: Name,
    /// Device class
    #[arg(long)]
    class: DeviceClass,
    /// How many at once
    #[arg(long, value_name = "N")]
    gpus: u64,
    /// What else an offer says
    #[command(flatten)]
    terms: TermArgs,
}

/// An offer to change.
#[derive(Debug, clap::Args)]
pub struct UpdateArgs {
    /// The site
    site: SiteId,
    /// Its name
    #[arg(value_name = "NAME")]
    offer: Name,
    /// How many at once
    #[arg(long, value_name = "N")]
    gpus: Option<u64>,
    /// What else an offer says
    #[command(flatten)]
    terms: TermArgs,
    /// It has no end any more
    #[arg(long, conflicts_with = "until")]
    no_until: bool,
    /// It is made to every tenant again
    #[arg(long, conflicts_with = "exclude")]
    no_exclude: bool,
}

/// What an offer says beside how many.
#[derive(Debug, clap::Args)]
pub struct TermArgs {
    /// Nothing is granted before it: 2027-04-01 or 2027-04-01T09:00+09:00; a new one begins at once
    #[arg(long, value_name = "TIME", value_parser = when::instant)]
    from: Option<Timestamp>,
    /// What is granted ends before it by its own time limit; a new one has no end
    #[arg(long, value_name = "TIME", value_parser = when::instant)]
    until: Option<Timestamp>,
    /// A tenant to whom it is not made; repeatable, in place of all that it excludes
    #[arg(long, value_name = "TENANT")]
    exclude: Vec<TenantId>,
    /// Price of one GPU and hour, yen; a new one costs nothing
    #[arg(long, value_name = "YEN")]
    yen_per_gpu_hour: Option<u64>,
    /// What becomes of running work when less is offered: keep, or drain, which moves what came last; a new one keeps
    #[arg(long, value_name = "WHAT", value_parser = on_lower)]
    on_lower: Option<OnLower>,
}

fn on_lower(text: &str) -> Result<OnLower, String> {
    OnLower::parse(text).ok_or_else(|| "must be keep or drain".to_owned())
}

/// An offer as shown.
#[derive(Debug, Serialize)]
pub(super) struct OfferView {
    name: String,
    site: String,
    device_class: String,
    gpus: u64,
    used: u64,
    from_ms: u64,
    until_ms: Option<u64>,
    excluded: Vec<String>,
    yen_per_gpu_hour: u64,
    on_lower: &'static str,
    withdrawn: bool,
    etag: String,
}

fn word(on_lower: v1::offer::OnLower) -> &'static str {
    match on_lower {
        v1::offer::OnLower::Unspecified => "unknown",
        v1::offer::OnLower::Keep => OnLower::Keep.as_str(),
        v1::offer::OnLower::Drain => OnLower::Drain.as_str(),
    }
}

impl From<v1::Offer> for OfferView {
    fn from(offer: v1::Offer) -> Self {
        let on_lower = word(offer.on_lower());
        let v1::Offer { name, device_class, gpus, used, from_ms, until_ms, excluded, .. } = offer;
        let (yen_per_gpu_hour, withdrawn) = (offer.yen_per_gpu_hour, offer.withdrawn);
        let site = OfferId::from_name(&name).map(|id| id.site.to_string()).unwrap_or_default();
        Self {
            name,
            site,
            device_class,
            gpus,
            used,
            from_ms,
            until_ms,
            excluded,
            yen_per_gpu_hour,
            on_lower,
            withdrawn,
            etag: offer.etag,
        }
    }
}

impl Shown for OfferView {
    const COLUMNS: &'static [Column] = &[
        column("site", "拠点"),
        column("offer", "提供"),
        column("class", "種別"),
        column("used", "使用"),
        column("offered", "提供数"),
        column("yen/gpu-hour", "円/GPU時間"),
        column("until", "終了"),
        wide("from", "開始"),
        wide("when lowered", "減少時"),
        wide("excluded", "対象外"),
        wide("etag", "etag"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let excluded: Vec<&str> = self.excluded.iter().map(|name| short(name)).collect();
        let withdrawn = crate::language::pick(language, "withdrawn", "取り下げ済み");
        let time = |ms| when::shown(Timestamp(ms));
        let until = self.until_ms.map_or_else(|| "-".to_owned(), time);
        let begins = if self.from_ms == 0 { "-".to_owned() } else { time(self.from_ms) };
        vec![
            self.site.clone(),
            short(&self.name).to_owned(),
            self.device_class.clone(),
            self.used.to_string(),
            self.gpus.to_string(),
            self.yen_per_gpu_hour.to_string(),
            if self.withdrawn { withdrawn.to_owned() } else { until },
            begins,
            self.on_lower.to_owned(),
            excluded.join(", "),
            self.etag.clone(),
        ]
    }
    fn is_alarming(&self) -> bool {
        self.used > self.gpus
    }
}

pub(super) async fn run(app: &mut App<'_>, command: OfferCommand) -> Result<Exit, Failure> {
    match command {
        OfferCommand::List { site, args } => {
            let session = app.session()?;
            let (offers, beside) = all(app, &session, site.as_ref(), &args).await?;
            let items: Vec<OfferView> = offers.into_iter().map(OfferView::from).collect();
            app.output.list(&items, &beside)?;
        }
        OfferCommand::Get { site, offer } => {
            let session = app.session()?;
            let found = get(app, &session, &OfferId { site, name: offer }).await?;
            app.output.one(&OfferView::from(found))?;
        }
        OfferCommand::Create(args) => Box::pin(create(app, args.offer())).await?,
        OfferCommand::Lower { site, offer, gpus } => {
            Box::pin(change::lower(app, OfferId { site, name: offer }, gpus)).await?;
        }
        OfferCommand::Update(args) => Box::pin(change::update(app, args)).await?,
        OfferCommand::Withdraw { site, offer } => {
            change::withdraw(app, OfferId { site, name: offer }).await?;
        }
    }
    Ok(Exit::Ok)
}

async fn get(app: &App<'_>, session: &Session, offer: &OfferId) -> Result<v1::Offer, Failure> {
    let request = v1::GetOfferRequest { name: offer.name(), read: app.read() };
    ask!(session.client, offer_service_client::OfferServiceClient, get_offer, request)
}

/// Every offer of a site, or of all.
pub(crate) async fn all(
    app: &App<'_>,
    session: &Session,
    site: Option<&SiteId>,
    ListArgs { filter, sort }: &ListArgs,
) -> Result<(Vec<v1::Offer>, Listed), Failure> {
    let parent = site.map_or_else(|| format!("sites/{ANY}"), SiteId::name);
    let (offers, page) = pages!(offers, |page_token| {
        let request = v1::ListOffersRequest {
            parent: parent.clone(),
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        ask!(session.client, offer_service_client::OfferServiceClient, list_offers, request)
    });
    Ok((offers, beside!(page)))
}
