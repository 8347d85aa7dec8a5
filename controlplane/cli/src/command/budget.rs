//! `sekisho budget`: what a tenant, with all its parts, may use over time.

mod set;
mod view;

pub(super) use view::{BudgetView, exhausted, unit, used};

use super::approval;
use super::list::{ListArgs, beside, pages};
use crate::app::{App, PAGE, Session};
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::Text;
use crate::output::Listed;
use sekisho_proto::convert::budget::{DeleteBudget, PutBudget};
use sekisho_proto::name::{ANY, BudgetId, Resource as _};
use sekisho_proto::v1;
use sekisho_types::id::TenantId;
use sekisho_types::joint::Joint;
use sekisho_types::name::Name;

/// Verbs of a budget.
#[derive(Debug, clap::Subcommand)]
pub enum BudgetCommand {
    /// List budgets, what is used of them, and which end before their period does
    List {
        /// Only of this tenant
        #[arg(long)]
        tenant: Option<TenantId>,
        /// Which of them
        #[command(flatten)]
        args: ListArgs,
    },
    /// Show one budget, with its earlier periods
    Get {
        /// The tenant
        tenant: TenantId,
        /// Its name
        #[arg(value_name = "NAME")]
        budget: Name,
    },
    /// Make a budget, or change its amount; federation-admins of two operators sign. What runs goes on
    Set(set::SetArgs),
    /// Take a budget out; federation-admins of two operators sign
    Delete {
        /// The tenant
        tenant: TenantId,
        /// Its name
        #[arg(value_name = "NAME")]
        budget: Name,
        /// Do it: what was used of it is forgotten
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(app: &mut App<'_>, command: BudgetCommand) -> Result<Exit, Failure> {
    match command {
        BudgetCommand::List { tenant, args } => {
            let session = app.session()?;
            let (budgets, beside) = all(app, &session, tenant.as_ref(), &args).await?;
            let items: Vec<BudgetView> = budgets.into_iter().map(BudgetView::from).collect();
            app.output.list(&items, &beside)?;
        }
        BudgetCommand::Get { tenant, budget } => {
            let session = app.session()?;
            let found = get(app, &session, &BudgetId { tenant, name: budget }).await?;
            app.output.one(&BudgetView::from(found))?;
        }
        BudgetCommand::Set(args) => Box::pin(set::run(app, args)).await?,
        BudgetCommand::Delete { tenant, budget, yes } => {
            delete(app, BudgetId { tenant, name: budget }, yes).await?;
        }
    }
    Ok(Exit::Ok)
}

async fn get(app: &App<'_>, session: &Session, budget: &BudgetId) -> Result<v1::Budget, Failure> {
    let request = v1::GetBudgetRequest { name: budget.name(), read: app.read() };
    ask!(session.client, budget_service_client::BudgetServiceClient, get_budget, request)
}

/// A budget as it stands, read strictly: what is signed is all of it.
fn stands(read: v1::Budget) -> Result<PutBudget, Failure> {
    let whole = v1::UpdateBudgetRequest { budget: Some(read), update_mask: None, intent: None };
    PutBudget::try_from(&whole)
        .map_err(|error| Failure::invalid(format!("the answer is not usable: {error}")))
}

/// Every budget of a tenant, or of all.
pub(super) async fn all(
    app: &App<'_>,
    session: &Session,
    tenant: Option<&TenantId>,
    ListArgs { filter, sort }: &ListArgs,
) -> Result<(Vec<v1::Budget>, Listed), Failure> {
    let parent = tenant.map_or_else(|| format!("tenants/{ANY}"), TenantId::name);
    let (budgets, page) = pages!(budgets, |page_token| {
        let request = v1::ListBudgetsRequest {
            parent: parent.clone(),
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        ask!(session.client, budget_service_client::BudgetServiceClient, list_budgets, request)
    });
    Ok((budgets, beside!(page)))
}

async fn delete(app: &mut App<'_>, budget: BudgetId, yes: bool) -> Result<(), Failure> {
    app.confirm(yes, &budget.name())?;
    let session = app.signing_session().await?;
    let PutBudget { expected, .. } = stands(get(app, &session, &budget).await?)?;
    let delete = DeleteBudget { budget, expected };
    let BudgetId { tenant, name } = delete.budget.clone();
    let joint = Joint::SetBudget { tenant, name, budget: None, expected };
    let of = delete.budget.name();
    let Some(prepared) = approval::prepare(app, &session, joint, &of).await? else {
        return Ok(());
    };
    let request = delete.request(prepared.intent);
    let written =
        ask!(session.client, budget_service_client::BudgetServiceClient, delete_budget, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let done = Text::new("deleted", "を削除しました");
    app.changed(&of, prepared.request, written.revision, done, None)
}
