//! `sekisho escrow`: slices of tenants' quotas that sites hold.

use super::etag;
use super::list::{ListArgs, beside, pages};
use super::quota::place;
use crate::app::{App, PAGE, Session};
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::Text;
use crate::output::{Column, Listed, Shown, column, wide};
use sekisho_fsm::command::Command;
use sekisho_proto::convert::escrow::SetEscrow;
use sekisho_proto::name::{ANY, EscrowId, Resource as _};
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::id::{DeviceClass, SiteId, TenantId};
use serde::Serialize;

/// Verbs of an escrow.
#[derive(Debug, clap::Subcommand)]
pub enum EscrowCommand {
    /// List what sites hold
    List {
        /// Only of this site
        #[arg(long)]
        site: Option<SiteId>,
        /// Which of them
        #[command(flatten)]
        args: ListArgs,
    },
    /// Show what a site holds of one tenant's quota
    Get {
        /// The site
        site: SiteId,
        /// The tenant
        tenant: TenantId,
        /// Device class
        class: DeviceClass,
    },
    /// Set what a site holds: more has to be free in the quota, less is given back
    Set {
        /// The site
        site: SiteId,
        /// The tenant
        tenant: TenantId,
        /// Device class
        class: DeviceClass,
        /// All that the site holds from now on; 0 takes it away
        gpus: u64,
    },
}

/// An escrow as shown.
#[derive(Debug, Serialize)]
pub(super) struct EscrowView {
    name: String,
    site: String,
    tenant: String,
    device_class: String,
    gpus: u64,
    area: String,
    etag: String,
}

impl From<v1::Escrow> for EscrowView {
    fn from(escrow: v1::Escrow) -> Self {
        let v1::Escrow { name, gpus, area, etag } = escrow;
        let id = EscrowId::from_name(&name);
        let (site, tenant, device_class) = id
            .map(|id| (id.site.to_string(), id.tenant.to_string(), id.class.to_string()))
            .unwrap_or_default();
        Self { name, site, tenant, device_class, gpus, area, etag }
    }
}

impl Shown for EscrowView {
    const COLUMNS: &'static [Column] = &[
        column("site", "拠点"),
        column("tenant", "テナント"),
        column("class", "種別"),
        column("gpus", "GPU数"),
        column("area", "地域"),
        wide("etag", "etag"),
    ];
    fn cells(&self, _language: Language) -> Vec<String> {
        vec![
            self.site.clone(),
            self.tenant.clone(),
            self.device_class.clone(),
            self.gpus.to_string(),
            place(&self.area),
            self.etag.clone(),
        ]
    }
}

pub(super) async fn run(app: &mut App<'_>, command: EscrowCommand) -> Result<Exit, Failure> {
    match command {
        EscrowCommand::List { site, args } => {
            let session = app.session()?;
            let (escrows, beside) = all(app, &session, site.as_ref(), &args).await?;
            let items: Vec<EscrowView> = escrows.into_iter().map(EscrowView::from).collect();
            app.output.list(&items, &beside)?;
        }
        EscrowCommand::Get { site, tenant, class } => {
            let session = app.session()?;
            let found = get(app, &session, &EscrowId { site, tenant, class }).await?;
            app.output.one(&EscrowView::from(found))?;
        }
        EscrowCommand::Set { site, tenant, class, gpus } => {
            set(app, EscrowId { site, tenant, class }, gpus).await?;
        }
    }
    Ok(Exit::Ok)
}

async fn get(app: &App<'_>, session: &Session, escrow: &EscrowId) -> Result<v1::Escrow, Failure> {
    let request = v1::GetEscrowRequest { name: escrow.name(), read: app.read() };
    ask!(session.client, escrow_service_client::EscrowServiceClient, get_escrow, request)
}

/// Everything that a site holds, or all of them.
async fn all(
    app: &App<'_>,
    session: &Session,
    site: Option<&SiteId>,
    ListArgs { filter, sort }: &ListArgs,
) -> Result<(Vec<v1::Escrow>, Listed), Failure> {
    let parent = site.map_or_else(|| format!("sites/{ANY}"), SiteId::name);
    let (escrows, page) = pages!(escrows, |page_token| {
        let request = v1::ListEscrowsRequest {
            parent: parent.clone(),
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        ask!(session.client, escrow_service_client::EscrowServiceClient, list_escrows, request)
    });
    Ok((escrows, beside!(page)))
}

async fn set(app: &mut App<'_>, escrow: EscrowId, gpus: u64) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let read = get(app, &session, &escrow).await?;
    let set = SetEscrow { escrow, gpus, expected: etag(&read.etag)? };
    let EscrowId { site, tenant, class } = set.escrow.clone();
    let next = format!("sekisho quota status --tenant {tenant}");
    let command = Command::SetEscrow { site, tenant, class, gpus, expected: set.expected };
    let prepared = app.prepare(&session, &command)?;
    let request = set.request(prepared.intent);
    let written =
        ask!(session.client, escrow_service_client::EscrowServiceClient, update_escrow, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let done = Text::new("set", "を設定しました");
    app.changed(&set.escrow.name(), prepared.request, written.revision, done, Some(next))
}
