//! Names of what there is, asked of the federation or remembered from a moment ago.

use super::WHOLE;
use crate::ask;
use crate::client::Client;
use crate::command::short;
use crate::context::{Context, Contexts, locate};
use crate::failure::Failure;
use crate::reach::{self, Reach};
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_proto::name::{ANY, Resource as _};
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::id::{JobId, NodeId};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// How long names are remembered: the next key presses of the same line, and no longer.
const KEPT: Duration = Duration::from_secs(5);

/// Names that are asked for: what a shell can show, and one page of an answer.
const NAMES_MAX: u32 = 500;

/// Tenants whose jobs are asked for one after the other: a person belongs to one or two.
const TENANTS_MAX: usize = 3;

/// Kinds of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    Contexts,
    Sites,
    Nodes,
    Tenants,
    Jobs,
    Policies,
    Members,
    Operators,
    Landmarks,
    Approvals,
    Budgets,
    Offers,
    Reservations,
}

impl Names {
    fn word(self) -> &'static str {
        match self {
            Self::Contexts => "contexts",
            Self::Sites => "sites",
            Self::Nodes => "nodes",
            Self::Tenants => "tenants",
            Self::Jobs => "jobs",
            Self::Policies => "policies",
            Self::Members => "members",
            Self::Operators => "operators",
            Self::Landmarks => "landmarks",
            Self::Approvals => "approvals",
            Self::Budgets => "budgets",
            Self::Offers => "offers",
            Self::Reservations => "reservations",
        }
    }
}

/// Where names come from, for the line that is completed.
#[derive(Debug)]
pub(crate) struct Asking {
    begun: Instant,
    contexts: Option<PathBuf>,
    context: Option<String>,
    folder: Option<PathBuf>,
}

impl Asking {
    /// As the line says, else the environment.
    pub(crate) fn of(line: &[OsString], variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let words: Vec<&str> = line.iter().filter_map(|word| word.to_str()).collect();
        let option = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            words.get(at.saturating_add(1)).map(|value| (*value).to_owned())
        };
        let named = option("--config").map(PathBuf::from);
        Self {
            begun: Instant::now(),
            contexts: locate(named.as_deref(), |name| variable(name).map(OsString::from)),
            context: option("--context").or_else(|| variable("SEKISHO_CONTEXT")),
            folder: reach::folder(variable("XDG_RUNTIME_DIR").map(PathBuf::from)),
        }
    }

    /// The names of a kind; none if they are not to be had in time.
    pub(crate) fn names(&self, names: Names) -> Vec<String> {
        let Some(contexts) = self.contexts.as_ref().and_then(|path| Contexts::load(path).ok())
        else {
            return Vec::new();
        };
        if names == Names::Contexts {
            return contexts.context.into_keys().collect();
        }
        let Ok((name, context)) = contexts.pick(self.context.as_deref(), Language::En) else {
            return Vec::new();
        };
        let kept = self.folder.as_ref().map(|folder| {
            let whose = format!("{}-{name}", context.cluster);
            let whose: String =
                whose.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            folder.join(format!("names-{whose}-{}", names.word()))
        });
        if let Some(text) = kept.as_ref().and_then(|file| reach::read(file, Some(KEPT))) {
            return text.lines().map(str::to_owned).collect();
        }
        let found = self.ask(context, names).unwrap_or_default();
        if let Some(file) = kept {
            // Also that there are none: a federation that does not answer is not asked at each key.
            reach::keep(&file, &found.join("\n"));
        }
        found
    }

    fn ask(&self, context: &Context, names: Names) -> Option<Vec<String>> {
        let left = WHOLE.checked_sub(self.begun.elapsed())?;
        let reach = self.folder.as_deref().map_or_else(Reach::none, |folder| {
            Reach::of(folder, context.cluster, &context.operator)
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        runtime.block_on(async {
            let (client, _) = Client::open_from(context, left, reach).ok()?;
            let found = tokio::time::timeout(left, list(&client, names)).await.ok()?.ok()?;
            Some(found.into_iter().collect())
        })
    }
}

/// What the federation says there is. A member's own state is new enough.
async fn list(client: &Client, names: Names) -> Result<BTreeSet<String>, Failure> {
    let read = Some(v1::Read { local: true });
    let shorts = |names: Vec<String>| names.iter().map(|name| short(name).to_owned()).collect();
    Ok(match names {
        Names::Contexts => BTreeSet::new(),
        Names::Sites => {
            let request = v1::ListSitesRequest { page_size: NAMES_MAX, read, ..Default::default() };
            let page = ask!(client, site_service_client::SiteServiceClient, list_sites, request)?;
            shorts(page.sites.into_iter().map(|site| site.name).collect())
        }
        Names::Nodes => {
            let parent = format!("sites/{ANY}");
            let request =
                v1::ListNodesRequest { parent, page_size: NAMES_MAX, read, ..Default::default() };
            let page = ask!(client, node_service_client::NodeServiceClient, list_nodes, request)?;
            let nodes = page.nodes.iter().filter_map(|node| NodeId::from_name(&node.name));
            nodes.map(|node| node.to_string()).collect()
        }
        Names::Tenants => {
            let request =
                v1::ListTenantsRequest { page_size: NAMES_MAX, read, ..Default::default() };
            let page =
                ask!(client, tenant_service_client::TenantServiceClient, list_tenants, request)?;
            shorts(page.tenants.into_iter().map(|tenant| tenant.name).collect())
        }
        Names::Jobs => {
            let all = jobs(client, format!("tenants/{ANY}")).await;
            if let Ok(all) = all {
                return Ok(all);
            }
            // Who may not see every tenant's sees those of the tenants that there are for them.
            let mut own = BTreeSet::new();
            for tenant in Box::pin(list(client, Names::Tenants)).await?.iter().take(TENANTS_MAX) {
                own.extend(jobs(client, format!("tenants/{tenant}")).await?);
            }
            own
        }
        Names::Policies => {
            let request =
                v1::ListPoliciesRequest { page_size: NAMES_MAX, read, ..Default::default() };
            let page =
                ask!(client, policy_service_client::PolicyServiceClient, list_policies, request)?;
            shorts(page.policies.into_iter().map(|policy| policy.name).collect())
        }
        Names::Members => {
            let members = members(client, read).await?;
            shorts(members.into_iter().map(|member| member.name).collect())
        }
        Names::Operators => {
            members(client, read).await?.into_iter().map(|member| member.operator).collect()
        }
        Names::Landmarks => {
            let landmarks = landmarks(client, read).await?;
            let all = landmarks.iter().filter_map(|l| LandmarkId::from_name(&l.name));
            all.map(|landmark| landmark.to_string()).collect()
        }
        Names::Approvals => {
            let all = approvals(client, read).await?;
            shorts(all.into_iter().map(|approval| approval.name).collect())
        }
        Names::Budgets => shorts(all_budgets(client).await?),
        Names::Offers => shorts(offers(client, read).await?),
        Names::Reservations => shorts(reservations(client, read).await?),
    })
}

/// As of jobs, for who may not see every tenant's.
async fn all_budgets(client: &Client) -> Result<Vec<String>, Failure> {
    if let Ok(all) = budgets(client, format!("tenants/{ANY}")).await {
        return Ok(all);
    }
    let mut own = Vec::new();
    for tenant in Box::pin(list(client, Names::Tenants)).await?.iter().take(TENANTS_MAX) {
        own.extend(budgets(client, format!("tenants/{tenant}")).await?);
    }
    Ok(own)
}

async fn budgets(client: &Client, parent: String) -> Result<Vec<String>, Failure> {
    let read = Some(v1::Read { local: true });
    let request =
        v1::ListBudgetsRequest { parent, page_size: NAMES_MAX, read, ..Default::default() };
    let page = ask!(client, budget_service_client::BudgetServiceClient, list_budgets, request)?;
    Ok(page.budgets.into_iter().map(|budget| budget.name).collect())
}

async fn offers(client: &Client, read: Option<v1::Read>) -> Result<Vec<String>, Failure> {
    let parent = format!("sites/{ANY}");
    let request =
        v1::ListOffersRequest { parent, page_size: NAMES_MAX, read, ..Default::default() };
    let page = ask!(client, offer_service_client::OfferServiceClient, list_offers, request)?;
    Ok(page.offers.into_iter().map(|offer| offer.name).collect())
}

/// Those that the caller may read.
async fn reservations(client: &Client, read: Option<v1::Read>) -> Result<Vec<String>, Failure> {
    let parent = format!("tenants/{ANY}");
    let request =
        v1::ListReservationsRequest { parent, page_size: NAMES_MAX, read, ..Default::default() };
    let page = ask!(
        client,
        reservation_service_client::ReservationServiceClient,
        list_reservations,
        request
    )?;
    Ok(page.reservations.into_iter().map(|row| row.name).collect())
}

async fn jobs(client: &Client, parent: String) -> Result<BTreeSet<String>, Failure> {
    let read = Some(v1::Read { local: true });
    let request = v1::ListJobsRequest { parent, page_size: NAMES_MAX, read, ..Default::default() };
    let page = ask!(client, job_service_client::JobServiceClient, list_jobs, request)?;
    let jobs = page.jobs.iter().filter_map(|job| JobId::from_name(&job.name));
    Ok(jobs.map(|job| job.to_string()).collect())
}

async fn members(client: &Client, read: Option<v1::Read>) -> Result<Vec<v1::Member>, Failure> {
    let request = v1::ListMembersRequest { page_size: NAMES_MAX, read, ..Default::default() };
    let page = ask!(client, member_service_client::MemberServiceClient, list_members, request)?;
    Ok(page.members)
}

async fn landmarks(client: &Client, read: Option<v1::Read>) -> Result<Vec<v1::Landmark>, Failure> {
    let parent = format!("operators/{ANY}");
    let request =
        v1::ListLandmarksRequest { parent, page_size: NAMES_MAX, read, ..Default::default() };
    let page =
        ask!(client, landmark_service_client::LandmarkServiceClient, list_landmarks, request)?;
    Ok(page.landmarks)
}

/// Those that wait: of the others there is nothing to sign or refuse, and they are many.
async fn approvals(client: &Client, read: Option<v1::Read>) -> Result<Vec<v1::Approval>, Failure> {
    let filter = "state = PENDING".to_owned();
    let request =
        v1::ListApprovalsRequest { page_size: NAMES_MAX, filter, read, ..Default::default() };
    let page =
        ask!(client, approval_service_client::ApprovalServiceClient, list_approvals, request)?;
    Ok(page.approvals)
}
