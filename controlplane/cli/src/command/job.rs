//! `sekisho job`: submit, plan, import, list, status, explain, reseal, cancel, logs.

mod batch;
mod explain;
pub mod import;
mod logs;
mod planned;
mod seal;
mod topology;
mod upload;
mod view;

use super::list::{ListArgs, beside, pages};
use crate::app::{App, PAGE, Session, quoted};
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::spec::{JobSpec, Override, parse, read_text};
pub(super) use explain::show_found;
pub use planned::Planned;
use sekisho_proto::name::{ANY, Resource as _};
use sekisho_proto::v1;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{JobId, TenantId};
use std::path::{Path, PathBuf};
use std::time::Duration;
pub(super) use view::JobView;
use view::{is_final, word};

/// Pause between two looks at a job that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Verbs of a job.
#[derive(Debug, clap::Subcommand)]
pub enum JobCommand {
    /// Queue a job, or several of one tenant: all of them or none
    Submit {
        /// Spec files, YAML or JSON; `-` = stdin
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// What is in no file
        #[command(flatten)]
        over: OverArgs,
        /// Wait until the job is in this phase, or over
        #[arg(long, value_name = "PHASE")]
        wait: Option<Wait>,
        /// Longest wait, for all of them
        #[arg(long, value_name = "TIME", default_value = "10m", value_parser = crate::duration::seconds)]
        wait_timeout: u64,
        /// Let every member read what it runs
        #[arg(long)]
        plain: bool,
        /// Only if it fares no worse than it was planned: what `job plan` printed, e.g. placed-now@4711
        #[arg(long, value_name = "PLAN")]
        if_plan: Option<Planned>,
    },
    /// What would happen to a job now; changes nothing. Exit 0 placed now, 10 would wait, 11 never
    Plan {
        /// What and where
        #[command(flatten)]
        file: SpecArgs,
    },
    /// Print the spec that a job of another system comes to; asks no federation
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// List jobs, or the tasks of an array or service
    List {
        /// Only of this tenant
        #[arg(long)]
        tenant: Option<TenantId>,
        /// The tasks of this job: TENANT/JOB
        #[arg(long, value_name = "JOB", conflicts_with = "tenant")]
        tasks_of: Option<JobId>,
        /// Which of them
        #[command(flatten)]
        args: ListArgs,
    },
    /// Show one job and its placements
    Status {
        /// TENANT/JOB
        job: JobId,
    },
    /// Why a job is where it is, and what would admit it
    Explain {
        /// TENANT/JOB
        job: JobId,
    },
    /// Have a service run something else, or more or fewer replicas: one by one, without a gap
    Replace {
        /// What it is from now on
        #[command(flatten)]
        file: SpecArgs,
    },
    /// Seal what a queued job runs anew, to the sites that may run it now
    Reseal {
        /// What was submitted
        #[command(flatten)]
        file: SpecArgs,
    },
    /// End a job, or several of one tenant: all of them or none. What runs is stopped
    Cancel {
        /// TENANT/JOB
        #[arg(required = true, value_name = "JOB")]
        jobs: Vec<JobId>,
    },
    /// Output of one member of a job's group
    Logs {
        /// TENANT/JOB
        job: JobId,
        /// Which member of the group
        #[arg(long, default_value_t = 0)]
        rank: u32,
        /// Standard error in place of standard output
        #[arg(long)]
        stderr: bool,
        /// Standard error as well, to standard error
        #[arg(long, conflicts_with = "stderr")]
        both: bool,
        /// Go on until the process ends; waits for a place first
        #[arg(short, long)]
        follow: bool,
        /// Begin with so many of the last lines; 0 = with what comes
        #[arg(long, value_name = "LINES")]
        tail: Option<u32>,
    },
}

impl JobCommand {
    /// The tenant of which alone it reads, if it is one.
    pub(crate) fn reads_of(&self) -> Option<&TenantId> {
        match self {
            Self::List { tenant, tasks_of, .. } => {
                tasks_of.as_ref().map(|job| &job.tenant).or(tenant.as_ref())
            }
            Self::Status { job } | Self::Explain { job } | Self::Logs { job, .. } => {
                Some(&job.tenant)
            }
            Self::Submit { .. }
            | Self::Plan { .. }
            | Self::Import(_)
            | Self::Replace { .. }
            | Self::Reseal { .. }
            | Self::Cancel { .. } => None,
        }
    }
}

/// The spec file of a job.
#[derive(Debug, clap::Args)]
pub struct SpecArgs {
    /// Spec file, YAML or JSON; `-` = stdin
    file: PathBuf,
    /// What is in no file
    #[command(flatten)]
    over: OverArgs,
}

impl SpecArgs {
    /// As it was written, for a command that names the same.
    fn words(&self) -> String {
        self.named(self.over.name.as_deref())
    }

    /// The same under this name, or under the one in the file.
    fn named(&self, name: Option<&str>) -> String {
        let mut words = vec![quoted(&self.file.display().to_string())];
        words.extend(self.over.tenant.as_ref().map(|tenant| format!("--tenant {tenant}")));
        words.extend(name.map(|name| format!("--name {}", quoted(name))));
        words.join(" ")
    }
}

/// What a spec leaves out, or what replaces it.
#[derive(Debug, clap::Args)]
pub struct OverArgs {
    /// Tenant of a spec that names none
    #[arg(long)]
    tenant: Option<TenantId>,
    /// In place of the spec's name
    #[arg(long)]
    name: Option<String>,
}

/// Phases that can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Wait {
    /// Every member has a place.
    Placed,
    /// Every member runs.
    Running,
    /// Nothing more happens to it.
    Ended,
}

pub(super) async fn run(app: &mut App<'_>, command: JobCommand) -> Result<Exit, Failure> {
    match command {
        JobCommand::Submit { files, over, wait, wait_timeout, plain, if_plan } => {
            if files.len() > 1 && if_plan.is_some() {
                let why = "--if-plan is the plan of one job, and there are several";
                return Err(Failure::invalid(why).remedy("submit each job by itself"));
            }
            if files.len() > 1 && over.name.is_some() {
                let why = "--name gives one name, and there are several jobs";
                return Err(
                    Failure::invalid(why).remedy("leave --name out; each spec names its job")
                );
            }
            let specs: Vec<JobSpec> =
                files.iter().map(|file| read_spec(app, file, &over)).collect::<Result<_, _>>()?;
            let longest = Duration::from_secs(wait_timeout);
            Box::pin(batch::submit(app, (specs, plain, if_plan), wait, longest)).await
        }
        JobCommand::Plan { file } => {
            let spec = read_spec(app, &file.file, &file.over)?;
            Box::pin(explain::plan(app, &spec, &file)).await
        }
        JobCommand::Import(command) => import::run(app, command),
        JobCommand::List { tenant, tasks_of, args } => {
            let of = tasks_of.map(|job| job.name()).or_else(|| tenant.map(|tenant| tenant.name()));
            list(app, of, args).await.map(|()| Exit::Ok)
        }
        JobCommand::Status { job } => {
            let session = app.session()?;
            let found = get(app, &session, &job).await?;
            view::show(app, found)?;
            Ok(Exit::Ok)
        }
        JobCommand::Explain { job } => explain::explain(app, &job).await,
        JobCommand::Replace { file } => {
            let spec = read_spec(app, &file.file, &file.over)?;
            Box::pin(batch::replace(app, spec)).await.map(|()| Exit::Ok)
        }
        JobCommand::Reseal { file } => {
            let spec = read_spec(app, &file.file, &file.over)?;
            Box::pin(batch::reseal(app, spec)).await.map(|()| Exit::Ok)
        }
        JobCommand::Cancel { jobs } => batch::cancel(app, &jobs).await.map(|()| Exit::Ok),
        JobCommand::Logs { job, rank, stderr, both, follow, tail } => {
            let streams = match (stderr, both) {
                (_, true) => logs::Streams::Both,
                (true, false) => logs::Streams::Error,
                (false, false) => logs::Streams::Out,
            };
            logs::run(app, &job, logs::Wanted { rank, streams, follow, tail }).await
        }
    }
}

fn read_spec(app: &App<'_>, file: &Path, over: &OverArgs) -> Result<JobSpec, Failure> {
    let over = Override { tenant: over.tenant.clone(), name: over.name.clone() };
    parse(&read_text(file)?, &over, app.today())
}

async fn get(app: &App<'_>, session: &Session, job: &JobId) -> Result<v1::Job, Failure> {
    let request = v1::GetJobRequest { name: job.name(), read: app.read() };
    ask!(session.client, job_service_client::JobServiceClient, get_job, request)
}

/// Whether a job in `phase` is what was waited for; a failed or cancelled one only for `ended`.
fn arrived(wait: Wait, phase: v1::job::Phase) -> bool {
    match wait {
        Wait::Placed => matches!(
            phase,
            v1::job::Phase::Placed | v1::job::Phase::Running | v1::job::Phase::Succeeded
        ),
        Wait::Running => matches!(phase, v1::job::Phase::Running | v1::job::Phase::Succeeded),
        Wait::Ended => is_final(phase),
    }
}

async fn wait_for(
    app: &mut App<'_>,
    session: &Session,
    job: &JobId,
    wait: Wait,
    until: Option<tokio::time::Instant>,
) -> Result<Exit, Failure> {
    let mut last = v1::job::Phase::Unspecified;
    loop {
        let found = get(app, session, job).await?;
        let phase = found.phase();
        if phase != last {
            last = phase;
            app.output.note(&format!("{job}: {} ({})", word(phase), found.message))?;
        }
        if arrived(wait, phase) {
            let failed = matches!(phase, v1::job::Phase::Failed | v1::job::Phase::Cancelled);
            return Ok(if failed { Exit::Error } else { Exit::Ok });
        }
        if is_final(phase) {
            let why = format!("{job} is {}: {}", word(phase), found.message);
            return Err(Failure::new(ErrorCode::WrongPhase, why).exit_as(Exit::Error));
        }
        if until.is_some_and(|until| tokio::time::Instant::now() >= until) {
            let why = format!("{job} is still {}: {}", word(phase), found.message);
            let fix = format!("sekisho job explain {job}");
            return Err(Failure::new(ErrorCode::Deadline, why).remedy(fix));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn list(
    app: &mut App<'_>,
    of: Option<String>,
    ListArgs { filter, sort }: ListArgs,
) -> Result<(), Failure> {
    let session = app.session()?;
    let parent = of.unwrap_or_else(|| format!("tenants/{ANY}"));
    let (jobs, page) = pages!(jobs, |page_token| {
        let request = v1::ListJobsRequest {
            parent: parent.clone(),
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        ask!(session.client, job_service_client::JobServiceClient, list_jobs, request)
    });
    let items: Vec<JobView> = jobs.into_iter().map(JobView::from).collect();
    app.output.list(&items, &beside!(page))
}
