//! `sekisho quota`: GPUs of one class that a tenant may hold at once.

use super::list::{ListArgs, beside};
use super::{approval, etag};
use crate::app::{App, PAGE, Session};
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::Text;
use crate::output::{Column, Shown, column, wide};
use sekisho_proto::convert::quota::SetQuota;
use sekisho_proto::name::{ANY, QuotaId, Resource as _};
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::id::{DeviceClass, TenantId};
use sekisho_types::joint::Joint;
use sekisho_types::quota::Limit;
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
    },
    /// Set a limit; federation-admins of two operators sign. Lowering keeps running jobs
    Set {
        /// The tenant
        tenant: TenantId,
        /// Device class
        class: DeviceClass,
        /// `none`, `unlimited` or a number of GPUs
        #[arg(value_parser = limit)]
        limit: Limit,
    },
}

fn limit(text: &str) -> Result<Limit, String> {
    Limit::parse(text).ok_or_else(|| "must be none, unlimited or a number".to_owned())
}

#[derive(Debug, Serialize)]
pub(super) struct QuotaView {
    name: String,
    tenant: String,
    device_class: String,
    limit: String,
    used: u64,
    etag: String,
}

impl From<v1::Quota> for QuotaView {
    fn from(quota: v1::Quota) -> Self {
        let v1::Quota { name, limit, used, etag } = quota;
        let id = QuotaId::from_name(&name);
        let (tenant, device_class) =
            id.map(|id| (id.tenant.to_string(), id.class.to_string())).unwrap_or_default();
        Self { name, tenant, device_class, limit, used, etag }
    }
}

impl Shown for QuotaView {
    const COLUMNS: &'static [Column] = &[
        column("tenant", "テナント"),
        column("class", "種別"),
        column("used", "使用"),
        column("limit", "上限"),
        wide("etag", "etag"),
    ];
    fn cells(&self, _language: Language) -> Vec<String> {
        vec![
            self.tenant.clone(),
            self.device_class.clone(),
            self.used.to_string(),
            self.limit.clone(),
            self.etag.clone(),
        ]
    }
}

pub(super) async fn run(app: &mut App<'_>, command: QuotaCommand) -> Result<Exit, Failure> {
    match command {
        QuotaCommand::List { tenant, args } => list(app, tenant, args).await?,
        QuotaCommand::Get { tenant, class } => {
            let session = app.session()?;
            let found = get(app, &session, &QuotaId { tenant, class }).await?;
            app.output.one(&QuotaView::from(found))?;
        }
        QuotaCommand::Set { tenant, class, limit } => {
            set(app, QuotaId { tenant, class }, limit).await?;
        }
    }
    Ok(Exit::Ok)
}

async fn get(app: &App<'_>, session: &Session, quota: &QuotaId) -> Result<v1::Quota, Failure> {
    let request = v1::GetQuotaRequest { name: quota.name(), read: app.read() };
    ask!(session.client, quota_service_client::QuotaServiceClient, get_quota, request)
}

async fn list(
    app: &mut App<'_>,
    tenant: Option<TenantId>,
    ListArgs { filter, sort }: ListArgs,
) -> Result<(), Failure> {
    let session = app.session()?;
    let parent = tenant.map_or_else(|| format!("tenants/{ANY}"), |tenant| tenant.name());
    let (mut items, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListQuotasRequest {
            parent: parent.clone(),
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        let page =
            ask!(session.client, quota_service_client::QuotaServiceClient, list_quotas, request)?;
        items.extend(page.quotas.into_iter().map(QuotaView::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return app.output.list(&items, &beside!(page));
        }
    }
}

/// Sets a limit.
pub(crate) async fn set(app: &mut App<'_>, quota: QuotaId, limit: Limit) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let read = get(app, &session, &quota).await?;
    let set = SetQuota { quota, limit, expected: etag(&read.etag)? };
    let (QuotaId { tenant, class }, expected) = (set.quota.clone(), set.expected);
    let joint = Joint::SetQuota { tenant: tenant.clone(), class, limit, expected };
    let of = set.quota.name();
    let Some(prepared) = approval::prepare(app, &session, joint, &of).await? else {
        return Ok(());
    };
    let request = set.request(prepared.intent);
    let written =
        ask!(session.client, quota_service_client::QuotaServiceClient, update_quota, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let next = format!("sekisho quota list --tenant {tenant}");
    app.changed(
        &set.quota.name(),
        prepared.request,
        written.revision,
        Text::new("set", "を設定しました"),
        Some(next),
    )
}
