//! `sekisho veto`: tenants and jobs of which an operator takes no work.

use super::instant;
use super::list::{ListArgs, beside, pages};
use crate::app::{App, PAGE, Session};
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::Text;
use crate::output::{Column, Listed, Shown, column, wide};
use sekisho_fsm::command::Command;
use sekisho_proto::convert::offer::NewVeto;
use sekisho_proto::name::{ANY, Resource as _, VetoId};
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::id::{JobId, OperatorId, TenantId};
use sekisho_types::offer::Vetoed;
use serde::Serialize;

/// Verbs of a veto.
#[derive(Debug, clap::Subcommand)]
pub enum VetoCommand {
    /// List what operators do not take, and why
    List {
        /// Only of this operator
        #[arg(long)]
        operator: Option<OperatorId>,
        /// Which of them
        #[command(flatten)]
        args: ListArgs,
    },
    /// Take no work of a tenant, or not a job: what runs of it at one's own sites is moved
    Add {
        /// One's own operator
        operator: OperatorId,
        /// What is not taken
        #[command(flatten)]
        of: OfArgs,
        /// Why, for people
        #[arg(long)]
        reason: String,
    },
    /// Take a veto back
    Lift {
        /// One's own operator
        operator: OperatorId,
        /// What is taken again
        #[command(flatten)]
        of: OfArgs,
    },
}

/// What a veto is of: one of the two.
#[derive(Debug, clap::Args)]
pub struct OfArgs {
    /// All work of this tenant
    #[arg(long, conflicts_with = "job", required_unless_present = "job")]
    tenant: Option<TenantId>,
    /// This job alone, TENANT/JOB
    #[arg(long)]
    job: Option<JobId>,
}

impl OfArgs {
    fn vetoed(self) -> Result<Vetoed, Failure> {
        let job = self.job.map(Vetoed::Job);
        let of = job.or_else(|| self.tenant.map(Vetoed::Tenant));
        of.ok_or_else(|| Failure::invalid("--tenant or --job must be given"))
    }
}

/// A veto as shown.
#[derive(Debug, Serialize)]
pub(super) struct VetoView {
    name: String,
    operator: String,
    tenant: String,
    /// Absent: all work of the tenant.
    job: Option<String>,
    reason: String,
    by: String,
    since_ms: u64,
    etag: String,
}

impl From<v1::Veto> for VetoView {
    fn from(veto: v1::Veto) -> Self {
        let v1::Veto { name, by, reason, since_ms, etag } = veto;
        let (mut operator, mut tenant, mut job) = (String::new(), String::new(), None);
        if let Some(id) = VetoId::from_name(&name) {
            operator = id.operator.to_string();
            (tenant, job) = match id.of {
                Vetoed::Tenant(tenant) => (tenant.to_string(), None),
                Vetoed::Job(id) => (id.tenant.to_string(), Some(id.name.to_string())),
            };
        }
        Self { name, operator, tenant, job, reason, by, since_ms, etag }
    }
}

impl Shown for VetoView {
    const COLUMNS: &'static [Column] = &[
        column("operator", "事業者"),
        column("of", "対象"),
        column("reason", "理由"),
        column("by", "主体"),
        wide("since", "開始"),
        wide("etag", "etag"),
    ];
    fn cells(&self, _language: Language) -> Vec<String> {
        let tenant = &self.tenant;
        let of = self.job.as_ref().map_or_else(|| tenant.clone(), |job| format!("{tenant}/{job}"));
        vec![
            self.operator.clone(),
            of,
            self.reason.clone(),
            self.by.clone(),
            instant(self.since_ms),
            self.etag.clone(),
        ]
    }
}

pub(super) async fn run(app: &mut App<'_>, command: VetoCommand) -> Result<Exit, Failure> {
    match command {
        VetoCommand::List { operator, args } => {
            let session = app.session()?;
            let (vetoes, beside) = all(app, &session, operator.as_ref(), &args).await?;
            let items: Vec<VetoView> = vetoes.into_iter().map(VetoView::from).collect();
            app.output.list(&items, &beside)?;
        }
        VetoCommand::Add { operator, of, reason } => {
            add(app, NewVeto { operator, of: of.vetoed()?, reason }).await?;
        }
        VetoCommand::Lift { operator, of } => {
            lift(app, VetoId { operator, of: of.vetoed()? }).await?;
        }
    }
    Ok(Exit::Ok)
}

/// Every veto of an operator, or of all.
async fn all(
    app: &App<'_>,
    session: &Session,
    operator: Option<&OperatorId>,
    ListArgs { filter, sort }: &ListArgs,
) -> Result<(Vec<v1::Veto>, Listed), Failure> {
    let parent = operator.map_or_else(|| format!("operators/{ANY}"), OperatorId::name);
    let (vetoes, page) = pages!(vetoes, |page_token| {
        let request = v1::ListVetoesRequest {
            parent: parent.clone(),
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        ask!(session.client, offer_service_client::OfferServiceClient, list_vetoes, request)
    });
    Ok((vetoes, beside!(page)))
}

async fn add(app: &mut App<'_>, new: NewVeto) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let NewVeto { operator, of, reason } = new.clone();
    let name = VetoId { operator: operator.clone(), of: of.clone() }.name();
    let next = format!("sekisho veto list --operator {operator}");
    let prepared = app.prepare(&session, &Command::Veto { operator, of, reason })?;
    let request = new.request(prepared.intent);
    let written =
        ask!(session.client, offer_service_client::OfferServiceClient, create_veto, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let done = Text::new("added", "を追加しました");
    app.changed(&name, prepared.request, written.revision, done, Some(next))
}

async fn lift(app: &mut App<'_>, veto: VetoId) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let name = veto.name();
    let VetoId { operator, of } = veto;
    let prepared = app.prepare(&session, &Command::LiftVeto { operator, of })?;
    let request = v1::DeleteVetoRequest { name: name.clone(), intent: Some(prepared.intent) };
    let written =
        ask!(session.client, offer_service_client::OfferServiceClient, delete_veto, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let done = Text::new("lifted", "を取り消しました");
    app.changed(&name, prepared.request, written.revision, done, None)
}
