//! `sekisho tenant`: customers.

use super::list::{ListArgs, beside};
use super::policy::plan_bound;
use super::{approval, etag, short};
use crate::app::{App, PAGE, Session};
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::Text;
use crate::output::{Column, Shown, column, wide};
use sekisho_fsm::command::Command;
use sekisho_proto::convert::tenant::{DeleteTenant, PutTenant};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::id::{PolicyId, TenantId};
use sekisho_types::joint::Joint;
use sekisho_types::patch::Patch;
use serde::Serialize;

/// Verbs of a tenant.
#[derive(Debug, clap::Subcommand)]
pub enum TenantCommand {
    /// List tenants
    List(ListArgs),
    /// Show one tenant
    Get {
        /// Its id
        tenant: TenantId,
    },
    /// Create a tenant
    Create {
        /// Its id
        tenant: TenantId,
        /// Name for people
        #[arg(long, default_value = "")]
        display_name: String,
        /// Policy that binds every job of it
        #[arg(long)]
        policy: Option<PolicyId>,
    },
    /// Change a tenant; federation-admins of two operators sign
    Update {
        /// Its id
        tenant: TenantId,
        /// New name for people
        #[arg(long)]
        display_name: Option<String>,
        /// New policy
        #[arg(long, conflicts_with = "no_policy")]
        policy: Option<PolicyId>,
        /// Take the policy away
        #[arg(long)]
        no_policy: bool,
    },
    /// Take a tenant out, with its quotas: one that has no open job, and whose users' keys were taken back
    Delete {
        /// Its id
        tenant: TenantId,
        /// Do it: it cannot be undone
        #[arg(long)]
        yes: bool,
    },
    /// What an update with this policy would do now: what would leave, wait for ever, be lost or gained. Changes nothing
    Plan {
        /// Its id
        tenant: TenantId,
        /// New policy
        #[arg(long, conflicts_with = "no_policy", required_unless_present = "no_policy")]
        policy: Option<PolicyId>,
        /// Take the policy away
        #[arg(long)]
        no_policy: bool,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct TenantView {
    name: String,
    display_name: String,
    policy: Option<String>,
    open_jobs: u32,
    etag: String,
}

impl From<v1::Tenant> for TenantView {
    fn from(tenant: v1::Tenant) -> Self {
        let v1::Tenant { name, display_name, policy, open_jobs, etag } = tenant;
        let policy = Some(policy).filter(|policy| !policy.is_empty());
        Self { name, display_name, policy, open_jobs, etag }
    }
}

impl Shown for TenantView {
    const COLUMNS: &'static [Column] = &[
        column("tenant", "テナント"),
        column("name", "名称"),
        column("policy", "ポリシー"),
        column("open jobs", "未完了ジョブ"),
        wide("etag", "etag"),
    ];
    fn cells(&self, _language: Language) -> Vec<String> {
        vec![
            short(&self.name).to_owned(),
            self.display_name.clone(),
            self.policy.as_deref().map_or("-", short).to_owned(),
            self.open_jobs.to_string(),
            self.etag.clone(),
        ]
    }
}

pub(super) async fn run(app: &mut App<'_>, command: TenantCommand) -> Result<Exit, Failure> {
    match command {
        TenantCommand::List(args) => list(app, args).await?,
        TenantCommand::Get { tenant } => {
            let session = app.session()?;
            let found = get(app, &session, &tenant).await?;
            app.output.one(&TenantView::from(found))?;
        }
        TenantCommand::Create { tenant, display_name, policy } => {
            let (display_name, policy) = (Patch::Set(display_name), Patch::Set(policy));
            create(app, PutTenant { tenant, display_name, policy, expected: None }).await?;
        }
        TenantCommand::Update { tenant, display_name, policy, no_policy } => {
            let session = app.signing_session().await?;
            let read = get(app, &session, &tenant).await?;
            let bound = policy.is_some() || no_policy;
            let put = PutTenant {
                tenant,
                display_name: display_name.map_or(Patch::Keep, Patch::Set),
                policy: if bound { Patch::Set(policy) } else { Patch::Keep },
                expected: Some(etag(&read.etag)?),
            };
            update(app, &session, put).await?;
        }
        TenantCommand::Delete { tenant, yes } => delete(app, tenant, yes).await?,
        // `no_policy` is that none is named: one of the two is.
        TenantCommand::Plan { tenant, policy, no_policy: _ } => {
            plan_bound(app, &tenant, policy.as_ref()).await?;
        }
    }
    Ok(Exit::Ok)
}

async fn get(app: &App<'_>, session: &Session, tenant: &TenantId) -> Result<v1::Tenant, Failure> {
    let request = v1::GetTenantRequest { name: tenant.name(), read: app.read() };
    ask!(session.client, tenant_service_client::TenantServiceClient, get_tenant, request)
}

async fn list(app: &mut App<'_>, ListArgs { filter, sort }: ListArgs) -> Result<(), Failure> {
    let session = app.session()?;
    let (mut items, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListTenantsRequest {
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        let page = ask!(
            session.client,
            tenant_service_client::TenantServiceClient,
            list_tenants,
            request
        )?;
        items.extend(page.tenants.into_iter().map(TenantView::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return app.output.list(&items, &beside!(page));
        }
    }
}

fn command(put: &PutTenant) -> Command {
    Command::PutTenant {
        tenant: put.tenant.clone(),
        display_name: put.display_name.clone(),
        policy: put.policy.clone(),
        expected: put.expected,
    }
}

/// Creates a tenant.
pub(crate) async fn create(app: &mut App<'_>, put: PutTenant) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let prepared = app.prepare(&session, &command(&put))?;
    let request = put.create_request(prepared.intent);
    let written =
        ask!(session.client, tenant_service_client::TenantServiceClient, create_tenant, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let next = format!("sekisho quota set {} CLASS LIMIT", put.tenant);
    app.changed(
        &put.tenant.name(),
        prepared.request,
        written.revision,
        Text::new("created", "を作成しました"),
        Some(next),
    )
}

async fn update(app: &mut App<'_>, session: &Session, put: PutTenant) -> Result<(), Failure> {
    let expected = put.expected.unwrap_or_default();
    let PutTenant { tenant, display_name, policy, expected: _ } = put.clone();
    let joint = Joint::UpdateTenant { tenant, display_name, policy, expected };
    let of = put.tenant.name();
    let Some(prepared) = approval::prepare(app, session, joint, &of).await? else {
        return Ok(());
    };
    let request = put.update_request(prepared.intent);
    let written =
        ask!(session.client, tenant_service_client::TenantServiceClient, update_tenant, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    app.changed(
        &put.tenant.name(),
        prepared.request,
        written.revision,
        Text::new("updated", "を更新しました"),
        None,
    )
}

async fn delete(app: &mut App<'_>, tenant: TenantId, yes: bool) -> Result<(), Failure> {
    app.confirm(yes, &tenant.name())?;
    let session = app.signing_session().await?;
    let read = get(app, &session, &tenant).await?;
    let delete = DeleteTenant { tenant, expected: etag(&read.etag)? };
    let command =
        Command::DeleteTenant { tenant: delete.tenant.clone(), expected: delete.expected };
    let prepared = app.prepare(&session, &command)?;
    let request = delete.request(prepared.intent);
    let written =
        ask!(session.client, tenant_service_client::TenantServiceClient, delete_tenant, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let done = Text::new("deleted", "を削除しました");
    app.changed(&delete.tenant.name(), prepared.request, written.revision, done, None)
}
