//! `sekisho tenant`: customers.

use super::list::{ListArgs, beside, pages};
use super::policy::plan_bound;
use super::{approval, etag, short};
use crate::app::{App, PAGE, Session};
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::Text;
use crate::output::{Column, Listed, Shown, column, wide};
use sekisho_fsm::command::Command;
use sekisho_proto::convert::tenant::{DeleteTenant, PutTenant};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::id::{PolicyId, TenantId};
use sekisho_types::joint::Joint;
use sekisho_types::name::NameError;
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
        /// Tenant that it is a part of: it may borrow from that one and its other parts; `none` if left out
        #[arg(long, value_name = "TENANT", value_parser = parent)]
        parent: Option<Parent>,
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
        /// Tenant that it is a part of from now on, with all that it holds; `none` takes it out of its parent
        #[arg(long, value_name = "TENANT", value_parser = parent)]
        parent: Option<Parent>,
    },
    /// Take a tenant out, with its quotas and budgets: one that has no open job and no part, and whose users' keys were taken back
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

/// A tenant's place in the tree: what it is a part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent(Option<TenantId>);

fn parent(text: &str) -> Result<Parent, String> {
    if text == "none" {
        return Ok(Parent(None));
    }
    text.parse().map(|tenant| Parent(Some(tenant))).map_err(|error: NameError| error.to_string())
}

#[derive(Debug, Serialize)]
pub(super) struct TenantView {
    name: String,
    display_name: String,
    policy: Option<String>,
    open_jobs: u32,
    etag: String,
    parent: Option<String>,
}

impl From<v1::Tenant> for TenantView {
    fn from(tenant: v1::Tenant) -> Self {
        let v1::Tenant { name, display_name, policy, open_jobs, etag, parent } = tenant;
        let policy = Some(policy).filter(|policy| !policy.is_empty());
        let parent = Some(parent).filter(|parent| !parent.is_empty());
        Self { name, display_name, policy, open_jobs, etag, parent }
    }
}

impl Shown for TenantView {
    const COLUMNS: &'static [Column] = &[
        column("tenant", "テナント"),
        column("name", "名称"),
        column("policy", "ポリシー"),
        column("parent", "親"),
        column("open jobs", "未完了ジョブ"),
        wide("etag", "etag"),
    ];
    fn cells(&self, _language: Language) -> Vec<String> {
        vec![
            short(&self.name).to_owned(),
            self.display_name.clone(),
            self.policy.as_deref().map_or("-", short).to_owned(),
            self.parent.as_deref().map_or("-", short).to_owned(),
            self.open_jobs.to_string(),
            self.etag.clone(),
        ]
    }
}

pub(super) async fn run(app: &mut App<'_>, command: TenantCommand) -> Result<Exit, Failure> {
    match command {
        TenantCommand::List(args) => list(app, &args).await?,
        TenantCommand::Get { tenant } => {
            let session = app.session()?;
            let found = get(app, &session, &tenant).await?;
            app.output.one(&TenantView::from(found))?;
        }
        TenantCommand::Create { tenant, display_name, policy, parent } => {
            let (display_name, policy) = (Patch::Set(display_name), Patch::Set(policy));
            let parent = Patch::Set(parent.and_then(|Parent(parent)| parent));
            create(app, PutTenant { tenant, display_name, policy, parent, expected: None }).await?;
        }
        TenantCommand::Update { tenant, display_name, policy, no_policy, parent } => {
            let session = app.signing_session().await?;
            let read = get(app, &session, &tenant).await?;
            let bound = policy.is_some() || no_policy;
            let put = PutTenant {
                tenant,
                display_name: display_name.map_or(Patch::Keep, Patch::Set),
                policy: if bound { Patch::Set(policy) } else { Patch::Keep },
                parent: parent.map_or(Patch::Keep, |Parent(parent)| Patch::Set(parent)),
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

pub(super) async fn get(
    app: &App<'_>,
    session: &Session,
    tenant: &TenantId,
) -> Result<v1::Tenant, Failure> {
    let request = v1::GetTenantRequest { name: tenant.name(), read: app.read() };
    ask!(session.client, tenant_service_client::TenantServiceClient, get_tenant, request)
}

/// Every tenant that the caller may read, by name.
pub(crate) async fn readable(app: &App<'_>, session: &Session) -> Result<Vec<TenantId>, Failure> {
    let (tenants, _) = all(app, session, &ListArgs::default()).await?;
    Ok(tenants.iter().filter_map(|tenant| TenantId::from_name(&tenant.name)).collect())
}

/// Every tenant that is asked for.
pub(super) async fn all(
    app: &App<'_>,
    session: &Session,
    ListArgs { filter, sort }: &ListArgs,
) -> Result<(Vec<v1::Tenant>, Listed), Failure> {
    let (tenants, page) = pages!(tenants, |page_token| {
        let request = v1::ListTenantsRequest {
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        ask!(session.client, tenant_service_client::TenantServiceClient, list_tenants, request)
    });
    Ok((tenants, beside!(page)))
}

async fn list(app: &mut App<'_>, args: &ListArgs) -> Result<(), Failure> {
    let session = app.session()?;
    let (tenants, beside) = all(app, &session, args).await?;
    let items: Vec<TenantView> = tenants.into_iter().map(TenantView::from).collect();
    app.output.list(&items, &beside)
}

fn command(put: &PutTenant) -> Command {
    Command::PutTenant {
        tenant: put.tenant.clone(),
        display_name: put.display_name.clone(),
        policy: put.policy.clone(),
        parent: put.parent.clone(),
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
    let PutTenant { tenant, display_name, policy, parent, expected: _ } = put.clone();
    let joint = Joint::UpdateTenant { tenant, display_name, policy, parent, expected };
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
