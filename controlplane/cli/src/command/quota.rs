//! `sekisho quota`: GPUs of one class that a tenant may hold at once in an area.

mod status;

use super::list::{ListArgs, beside, pages};
use super::{approval, etag, site};
use crate::app::{App, PAGE, Session};
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::Text;
use crate::output::{Column, Listed, Shown, column, wide};
use sekisho_proto::convert::quota::SetQuota;
use sekisho_proto::name::{ANY, QuotaId, Resource as _};
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::id::{DeviceClass, TenantId};
use sekisho_types::joint::Joint;
use sekisho_types::jurisdiction::Area;
use sekisho_types::quota::{Allotment, Limit};
use serde::Serialize;

/// Verbs of a quota.
#[derive(Debug, clap::Subcommand)]
pub enum QuotaCommand {
    /// List limits and what is used of them
    List {
        /// Only of this tenant
        #[arg(long)]
        tenant: Option<TenantId>,
        /// Which of them
        #[command(flatten)]
        args: ListArgs,
    },
    /// Show one limit and what is used of it
    Get {
        /// The tenant
        tenant: TenantId,
        /// Device class
        class: DeviceClass,
        /// Where: a code such as JP-13 or 131016, or a name; all Japan if left out
        #[arg(long)]
        area: Option<String>,
    },
    /// Show what each tenant holds, may still be granted, and whether a budget ends before its period does
    Status {
        /// Only of this tenant
        #[arg(long)]
        tenant: Option<TenantId>,
    },
    /// Set a limit; federation-admins of two operators sign. Lowering keeps running jobs
    Set(SetArgs),
}

/// A limit to set.
#[derive(Debug, clap::Args)]
pub struct SetArgs {
    /// The tenant
    tenant: TenantId,
    /// Device class
    class: DeviceClass,
    /// `none`, `unlimited` or a number of GPUs
    #[arg(value_parser = limit)]
    limit: Limit,
    /// Where: a code such as JP-13 or 131016, or a name; all Japan if left out
    #[arg(long)]
    area: Option<String>,
    /// What it may use beyond that of its parent and the parent's other parts, as LIMIT; stays as it is if left out
    #[arg(long, value_name = "LIMIT", value_parser = limit)]
    borrow: Option<Limit>,
    /// What of its own they may use while it does not, as LIMIT; stays as it is if left out
    #[arg(long, value_name = "LIMIT", value_parser = limit)]
    lend: Option<Limit>,
}

/// What becomes of a quota; what is not said stays as it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// Its own.
    pub(crate) nominal: Limit,
    /// What it borrows at most.
    pub(crate) borrowing: Option<Limit>,
    /// What it lends at most.
    pub(crate) lending: Option<Limit>,
}

fn limit(text: &str) -> Result<Limit, String> {
    Limit::parse(text).ok_or_else(|| "must be none, unlimited or a number".to_owned())
}

/// The area that was named; all Japan if none was.
pub(super) fn area_or_japan(area: Option<&str>) -> Result<Area, Failure> {
    area.map_or(Ok(Area::Japan), site::area)
}

/// An area of an answer, for people: its name beside the code, unless it is the whole country.
pub(super) fn place(area: &str) -> String {
    match Area::resolve(area) {
        Ok(Area::Japan) | Err(_) => area.to_owned(),
        Ok(area) => area.label(),
    }
}

#[derive(Debug, Serialize)]
pub(super) struct QuotaView {
    name: String,
    tenant: String,
    device_class: String,
    limit: String,
    used: u64,
    etag: String,
    area: String,
    borrowing: String,
    lending: String,
    pool: String,
    borrowed: u64,
    room: String,
    own: u64,
    escrowed: u64,
}

/// A limit as a member says it: nothing is none.
fn said(limit: String) -> String {
    if limit.is_empty() { Limit::None.to_string() } else { limit }
}

impl From<v1::Quota> for QuotaView {
    fn from(quota: v1::Quota) -> Self {
        let v1::Quota { name, limit, used, etag, borrowing, lending, pool, borrowed, .. } = quota;
        let (room, own, escrowed) = (quota.room, quota.own, quota.escrowed);
        let (borrowing, lending) = (said(borrowing), said(lending));
        let id = QuotaId::from_name(&name);
        let (tenant, device_class, area) = id
            .map(|id| (id.tenant.to_string(), id.class.to_string(), id.area.to_string()))
            .unwrap_or_default();
        Self {
            name,
            tenant,
            device_class,
            limit,
            used,
            etag,
            area,
            borrowing,
            lending,
            pool,
            borrowed,
            room,
            own,
            escrowed,
        }
    }
}

impl Shown for QuotaView {
    const COLUMNS: &'static [Column] = &[
        column("tenant", "テナント"),
        column("class", "種別"),
        column("area", "地域"),
        column("used", "使用"),
        column("limit", "上限"),
        column("borrowed", "借用"),
        column("room", "残り"),
        wide("borrows", "借用上限"),
        wide("lends", "貸出上限"),
        wide("pool", "枠の合計"),
        wide("own", "自身の使用"),
        wide("escrowed", "拠点預け"),
        wide("etag", "etag"),
    ];
    fn cells(&self, _language: Language) -> Vec<String> {
        vec![
            self.tenant.clone(),
            self.device_class.clone(),
            place(&self.area),
            self.used.to_string(),
            self.limit.clone(),
            self.borrowed.to_string(),
            self.room.clone(),
            self.borrowing.clone(),
            self.lending.clone(),
            self.pool.clone(),
            self.own.to_string(),
            self.escrowed.to_string(),
            self.etag.clone(),
        ]
    }
}

pub(super) async fn run(app: &mut App<'_>, command: QuotaCommand) -> Result<Exit, Failure> {
    match command {
        QuotaCommand::List { tenant, args } => list(app, tenant.as_ref(), &args).await?,
        QuotaCommand::Get { tenant, class, area } => {
            let area = area_or_japan(area.as_deref())?;
            let session = app.session()?;
            let found = get(app, &session, &QuotaId { tenant, class, area }).await?;
            app.output.one(&QuotaView::from(found))?;
        }
        QuotaCommand::Status { tenant } => Box::pin(status::run(app, tenant.as_ref())).await?,
        QuotaCommand::Set(SetArgs { tenant, class, limit, area, borrow, lend }) => {
            let area = area_or_japan(area.as_deref())?;
            let wanted = Wanted { nominal: limit, borrowing: borrow, lending: lend };
            Box::pin(set(app, QuotaId { tenant, class, area }, wanted)).await?;
        }
    }
    Ok(Exit::Ok)
}

async fn get(app: &App<'_>, session: &Session, quota: &QuotaId) -> Result<v1::Quota, Failure> {
    let request = v1::GetQuotaRequest { name: quota.name(), read: app.read() };
    ask!(session.client, quota_service_client::QuotaServiceClient, get_quota, request)
}

/// Every quota of a tenant, or of all.
async fn all(
    app: &App<'_>,
    session: &Session,
    tenant: Option<&TenantId>,
    ListArgs { filter, sort }: &ListArgs,
) -> Result<(Vec<QuotaView>, Listed), Failure> {
    let parent = tenant.map_or_else(|| format!("tenants/{ANY}"), TenantId::name);
    let (quotas, page) = pages!(quotas, |page_token| {
        let request = v1::ListQuotasRequest {
            parent: parent.clone(),
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        ask!(session.client, quota_service_client::QuotaServiceClient, list_quotas, request)
    });
    Ok((quotas.into_iter().map(QuotaView::from).collect(), beside!(page)))
}

async fn list(
    app: &mut App<'_>,
    tenant: Option<&TenantId>,
    args: &ListArgs,
) -> Result<(), Failure> {
    let session = app.session()?;
    let (items, beside) = all(app, &session, tenant, args).await?;
    app.output.list(&items, &beside)
}

/// The limit that an answer tells.
fn stands(text: &str) -> Result<Limit, Failure> {
    let none = Some(Limit::None).filter(|_| text.is_empty());
    let known = none.or_else(|| Limit::parse(text));
    known.ok_or_else(|| Failure::invalid("the answer has no usable limits"))
}

/// Sets a limit.
pub(crate) async fn set(app: &mut App<'_>, quota: QuotaId, wanted: Wanted) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let read = get(app, &session, &quota).await?;
    let allotment = Allotment {
        nominal: wanted.nominal,
        borrowing: wanted.borrowing.map_or_else(|| stands(&read.borrowing), Ok)?,
        lending: wanted.lending.map_or_else(|| stands(&read.lending), Ok)?,
    };
    let set = SetQuota { quota, allotment, expected: etag(&read.etag)? };
    let (QuotaId { tenant, class, area }, expected) = (set.quota.clone(), set.expected);
    let joint = Joint::SetQuota { tenant: tenant.clone(), class, area, allotment, expected };
    let of = set.quota.name();
    let Some(prepared) = approval::prepare(app, &session, joint, &of).await? else {
        return Ok(());
    };
    let request = set.request(prepared.intent);
    let written =
        ask!(session.client, quota_service_client::QuotaServiceClient, update_quota, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let next = format!("sekisho quota status --tenant {tenant}");
    app.changed(
        &set.quota.name(),
        prepared.request,
        written.revision,
        Text::new("set", "を設定しました"),
        Some(next),
    )
}
