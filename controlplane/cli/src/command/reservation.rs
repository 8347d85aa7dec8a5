//! `sekisho reservation`: GPUs of a site that its operator promises to a tenant.

mod change;

use super::list::{ListArgs, beside, pages};
use super::{short, when};
use crate::app::{App, PAGE, Session};
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::pick;
use crate::output::{Column, Listed, Shown, column, wide};
use sekisho_proto::name::{ANY, ReservationId, Resource as _};
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::id::{DeviceClass, SiteId, TenantId};
use sekisho_types::name::Name;
use sekisho_types::reservation::Reclaim;
use sekisho_types::time::Timestamp;
use serde::Serialize;

/// Verbs of a reservation.
#[derive(Debug, clap::Subcommand)]
pub enum ReservationCommand {
    /// List reservations, what is used of them, and what they lack
    List {
        /// Only of this tenant
        #[arg(long)]
        tenant: Option<TenantId>,
        /// Which of them
        #[command(flatten)]
        args: ListArgs,
    },
    /// Show one reservation
    #[command(alias = "show")]
    Get {
        /// The tenant
        tenant: TenantId,
        /// Its name
        #[arg(value_name = "NAME")]
        reservation: Name,
    },
    /// Reserve GPUs of a site of one's own operator for a tenant, out of what is offered there
    Create(CreateArgs),
    /// Lower a reservation, or say something else of it: only what is said
    Update(UpdateArgs),
    /// Take a reservation out: what runs goes on
    Delete {
        /// The tenant
        tenant: TenantId,
        /// Its name
        #[arg(value_name = "NAME")]
        reservation: Name,
        /// Do it: the GPUs are everybody's again
        #[arg(long)]
        yes: bool,
    },
}

/// A reservation to make.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// The tenant
    tenant: TenantId,
    /// Its name
    #[arg(value_name = "NAME")]
    reservation: Name,
    /// Where
    #[arg(long)]
    site: SiteId,
    /// Device class
    #[arg(long)]
    class: DeviceClass,
    /// How many at once
    #[arg(long, value_name = "N")]
    gpus: u64,
    /// They are held from here on: 2027-04-01 or 2027-04-01T09:00+09:00; at once if left out
    #[arg(long, value_name = "TIME", value_parser = when::instant)]
    from: Option<Timestamp>,
    /// They are held to here; without an end if left out
    #[arg(long, value_name = "TIME", value_parser = when::instant)]
    until: Option<Timestamp>,
    /// What becomes of work of others that still holds them then: wait for its end, or drain, which moves what came last
    #[arg(long, value_name = "WHAT", value_parser = reclaim, default_value = "wait")]
    reclaim: Reclaim,
    /// What for, for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    message: String,
}

/// A reservation to lower.
#[derive(Debug, clap::Args)]
pub struct UpdateArgs {
    /// The tenant
    tenant: TenantId,
    /// Its name
    #[arg(value_name = "NAME")]
    reservation: Name,
    /// How many at once from now on: not more than now
    #[arg(long, value_name = "N")]
    gpus: Option<u64>,
    /// What becomes of work of others that still holds them: wait or drain
    #[arg(long, value_name = "WHAT", value_parser = reclaim)]
    reclaim: Option<Reclaim>,
    /// What for, for people
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
}

fn reclaim(text: &str) -> Result<Reclaim, String> {
    Reclaim::parse(text).ok_or_else(|| "must be wait or drain".to_owned())
}

/// A reservation as shown.
#[derive(Debug, Serialize)]
pub(super) struct ReservationView {
    name: String,
    tenant: String,
    site: String,
    device_class: String,
    gpus: u64,
    used: u64,
    short: u64,
    occupied: u64,
    from_ms: u64,
    until_ms: Option<u64>,
    reclaim: &'static str,
    message: String,
    over: bool,
    etag: String,
}

fn word(reclaim: v1::reservation::Reclaim) -> &'static str {
    match reclaim {
        v1::reservation::Reclaim::Unspecified => "unknown",
        v1::reservation::Reclaim::Wait => Reclaim::Wait.as_str(),
        v1::reservation::Reclaim::Drain => Reclaim::Drain.as_str(),
    }
}

impl From<v1::Reservation> for ReservationView {
    fn from(row: v1::Reservation) -> Self {
        let reclaim = word(row.reclaim());
        let v1::Reservation { name, site, device_class, gpus, used, short: lacks, .. } = row;
        let (occupied, over, message) = (row.occupied, row.over, row.message);
        let tenant = ReservationId::from_name(&name).map(|id| id.tenant.to_string());
        Self {
            tenant: tenant.unwrap_or_default(),
            site: short(&site).to_owned(),
            name,
            device_class,
            gpus,
            used,
            short: lacks,
            occupied,
            from_ms: row.from_ms,
            until_ms: row.until_ms,
            reclaim,
            message,
            over,
            etag: row.etag,
        }
    }
}

impl Shown for ReservationView {
    const COLUMNS: &'static [Column] = &[
        column("tenant", "テナント"),
        column("reservation", "予約"),
        column("site", "拠点"),
        column("class", "種別"),
        column("used", "使用"),
        column("reserved", "予約数"),
        column("from", "開始"),
        column("until", "終了"),
        column("state", "状態"),
        wide("reclaim", "回収"),
        wide("message", "説明"),
        wide("etag", "etag"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let time = |ms| when::shown(Timestamp(ms));
        let begins = if self.from_ms == 0 { "-".to_owned() } else { time(self.from_ms) };
        vec![
            self.tenant.clone(),
            short(&self.name).to_owned(),
            self.site.clone(),
            self.device_class.clone(),
            self.used.to_string(),
            self.gpus.to_string(),
            begins,
            self.until_ms.map_or_else(|| "-".to_owned(), time),
            self.state(language),
            self.reclaim.to_owned(),
            self.message.clone(),
            self.etag.clone(),
        ]
    }
    fn is_alarming(&self) -> bool {
        self.short > 0
    }
}

impl ReservationView {
    /// What is wrong with it, before all.
    fn state(&self, language: Language) -> String {
        let Self { short, occupied, .. } = self;
        if self.over {
            return pick(language, "over", "終了").to_owned();
        }
        if *short > 0 {
            return pick(language, format!("short by {short}"), format!("{short} 台不足"));
        }
        if *occupied > 0 {
            return pick(
                language,
                format!("{occupied} held by others"),
                format!("{occupied} 台を他者が使用中"),
            );
        }
        "ok".to_owned()
    }
}

pub(super) async fn run(app: &mut App<'_>, command: ReservationCommand) -> Result<Exit, Failure> {
    match command {
        ReservationCommand::List { tenant, args } => {
            let session = app.session()?;
            let (rows, beside) = all(app, &session, tenant.as_ref(), &args).await?;
            let items: Vec<ReservationView> = rows.into_iter().map(ReservationView::from).collect();
            app.output.list(&items, &beside)?;
        }
        ReservationCommand::Get { tenant, reservation } => {
            let session = app.session()?;
            let id = ReservationId { tenant, name: reservation };
            let found = get(app, &session, &id).await?;
            app.output.one(&ReservationView::from(found))?;
        }
        ReservationCommand::Create(args) => Box::pin(change::create(app, args)).await?,
        ReservationCommand::Update(args) => Box::pin(change::update(app, args)).await?,
        ReservationCommand::Delete { tenant, reservation, yes } => {
            let id = ReservationId { tenant, name: reservation };
            Box::pin(change::delete(app, id, yes)).await?;
        }
    }
    Ok(Exit::Ok)
}

async fn get(
    app: &App<'_>,
    session: &Session,
    id: &ReservationId,
) -> Result<v1::Reservation, Failure> {
    let request = v1::GetReservationRequest { name: id.name(), read: app.read() };
    ask!(
        session.client,
        reservation_service_client::ReservationServiceClient,
        get_reservation,
        request
    )
}

/// Every reservation of a tenant, or of all that the caller may read.
pub(super) async fn all(
    app: &App<'_>,
    session: &Session,
    tenant: Option<&TenantId>,
    ListArgs { filter, sort }: &ListArgs,
) -> Result<(Vec<v1::Reservation>, Listed), Failure> {
    let parent = tenant.map_or_else(|| format!("tenants/{ANY}"), TenantId::name);
    let (reservations, page) = pages!(reservations, |page_token| {
        let request = v1::ListReservationsRequest {
            parent: parent.clone(),
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        ask!(
            session.client,
            reservation_service_client::ReservationServiceClient,
            list_reservations,
            request
        )
    });
    Ok((reservations, beside!(page)))
}
