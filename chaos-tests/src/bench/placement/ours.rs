//! Our side of placements: three controllers, the agents of a made-up fleet, and jobs that are submitted and followed until
//! they are placed.
//!
//! Must hold: the shipped programs, with mutual TLS, syncs, audit and checkpoints on; the planner and apply are those of the
//! leader, and nothing is seeded beside the API. A job is placed when the applied state of the leader says so: what is charged
//! to its tenant for a whole load, the job's own phase for a single one. The agents are light (`crate::agents::fleet`).

use super::stock::{Stock, Submitter, TENANT};
use crate::agents::fleet::Agents;
use crate::bench::cluster::{Cluster as _, MEMBERS, Op, PATIENCE, Session, Timing, whole};
use crate::bench::load::{CONNECTIONS, End, Sample, run};
use crate::bench::meter::{Span, Spent, cpu_of, memory};
use crate::bench::process::Process;
use crate::bench::sekisho::Sekisho;
use crate::federation::{Answer, beside};
use crate::fleet::{Fleet, Job, SEED, Shape};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1::job_service_client::JobServiceClient;
use sekisho_proto::v1::quota_service_client::QuotaServiceClient;
use sekisho_proto::v1::{
    ExplainJobRequest, GetJobRequest, GetQuotaRequest, ListJobsRequest, Read, job,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tonic::transport::Channel;

/// Ports of the members, as in the other parts: they do not run at once.
const PORT: u16 = 27_300;
/// After the agents have come, before anything is measured.
const SETTLE: Duration = Duration::from_secs(3);
/// Until a controller's allocator has given back what it keeps for ten seconds after it was freed.
const GIVEN_BACK: Duration = Duration::from_secs(12);
/// The site of the agents, and tenants above the one that submits: what is placed is charged to each of them.
const SITE: &str = "tokyo-1";
const ABOVE: [&str; 2] = ["state", "research"];
/// More than any fleet has.
const OFFERED: &str = "1000000";
/// Class of which nothing is there any more: its jobs stay in the queue.
const NOT_THERE: &str = "sim-h100";
/// Longest that a load may take to be placed.
const PLACED: Duration = Duration::from_secs(120);
/// Between two looks at what is charged.
const LOOK: Duration = Duration::from_millis(5);
/// Between two looks at a job that is followed.
const POLL: Duration = Duration::from_millis(2);
/// Clients beside a load, each of which follows one job at a time.
const PROBES: usize = 4;
/// Clients of the load under which the leader is killed, and what they go on for after it.
const KILL_CLIENTS: usize = 64;
const AFTER_KILL: Duration = Duration::from_millis(500);
/// Rows of a page when jobs are read back.
const PAGE: u32 = 1000;

/// A load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) op: Op,
    pub(super) clients: usize,
    /// Jobs of all clients together.
    pub(super) jobs: u64,
}

/// A job that was followed: from its submission.
#[derive(Debug, Clone)]
pub(super) struct Followed {
    name: String,
    pub(super) acknowledged: Duration,
    pub(super) placed: Duration,
}

/// What a load came to.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) sample: Sample,
    /// Jobs, those that were followed too.
    pub(super) jobs: usize,
    pub(super) members: u64,
    /// From the first submission until all of them were placed.
    pub(super) wall: Duration,
    pub(super) followed: Vec<Followed>,
    pub(super) spent: Spent,
    /// CPU of the agents' processes.
    pub(super) agents: Duration,
}

/// The federation.
#[derive(Debug)]
pub(super) struct Ours {
    agents: Agents,
    cluster: Sekisho,
    leader: usize,
    stock: Arc<Stock>,
    /// To the leader, for whoever looks.
    channel: Channel,
    /// Names of the quotas that jobs of the fleet are charged to.
    quotas: Vec<String>,
    fleet: Fleet,
    home: tempfile::TempDir,
}

/// Runs `sekisho --context kanto ARGUMENTS` against the federation in `dir`.
fn administrate(dir: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new(beside()?.join("sekisho"))
        .env("SEKISHO_CONFIG", dir.join("contexts.toml"))
        .args(["--context", "kanto"])
        .args(arguments)
        .output()
        .context("sekisho")?;
    Answer::of(&output).ok().map(drop).with_context(|| arguments.join(" "))
}

/// Makes offers and quotas for what the fleet has, and tenants above the one that submits.
fn furnish(dir: &Path, fleet: &Fleet) -> Result<()> {
    let mut above = None;
    for tenant in ABOVE {
        let mut create = vec!["tenant", "create", tenant];
        create.extend(above.into_iter().flat_map(|parent| ["--parent", parent]));
        administrate(dir, &create)?;
        above = Some(tenant);
    }
    let parent = above.context("a tenant above")?;
    let both = ["--cosign", "naniwa"];
    administrate(dir, &[&both[..], &["tenant", "update", TENANT, "--parent", parent]].concat())?;
    for class in &fleet.classes {
        let class = class.name.to_string();
        let offer = ["offer", "create", "--class", &class, "--gpus", OFFERED, SITE, &class];
        administrate(dir, &offer)?;
        let quota = ["quota", "set", TENANT, &class, "unlimited"];
        administrate(dir, &[&both[..], &quota].concat())?;
    }
    Ok(())
}

fn port(member: usize) -> Result<u16> {
    Ok(PORT.saturating_add(u16::try_from(member)?))
}

impl Ours {
    /// Starts it with the agents of so many nodes, and draws so many jobs.
    pub(super) async fn start(dir: &Path, nodes: u32, jobs: usize) -> Result<Self> {
        let home = tempfile::tempdir_in(dir)?;
        let cluster = Sekisho::start(home.path(), PORT, Timing::Wan)?;
        let leader = whole(&cluster).await?;
        let fleet = Fleet::new(SEED, nodes)?;
        furnish(home.path(), &fleet)?;
        let number = u64::try_from(leader)?.saturating_add(1);
        let agents = Agents::start(home.path(), PORT, nodes, number)?;
        let stock = Stock::new(home.path(), fleet.jobs().take(jobs))?;
        let quota = |class: String| format!("tenants/{TENANT}/quotas/{class}");
        let quotas = fleet.classes.iter().map(|class| quota(class.name.to_string())).collect();
        let channel = stock.channel(port(leader)?)?;
        tokio::time::sleep(SETTLE).await;
        Ok(Self { agents, cluster, leader, stock, channel, quotas, fleet, home })
    }

    fn pids(&mut self) -> Result<Vec<Pid>> {
        self.cluster.members().iter().map(Process::pid).collect()
    }

    fn leader_pid(&mut self) -> Result<Pid> {
        self.cluster.members().get(self.leader).context("the leader")?.pid()
    }

    /// Agents that hold no lease now: none may be, or places were lost under the measurement.
    pub(super) fn without_lease(&mut self) -> Result<u64> {
        self.agents.without_lease()
    }

    fn submitter(&self, stock: &Arc<Stock>) -> Result<Submitter> {
        let channel = stock.channel(port(self.leader)?)?;
        Ok(Submitter { channel, stock: Arc::clone(stock) })
    }

    fn sessions(&self, stock: &Arc<Stock>, clients: usize) -> Result<Vec<Arc<dyn Session>>> {
        let session = |_connection| Ok(Arc::new(self.submitter(stock)?) as Arc<dyn Session>);
        (0..clients.min(CONNECTIONS)).map(session).collect()
    }

    /// GPUs that the leader's state has charged for jobs of the fleet, of each class.
    async fn used_of_each(&self) -> Result<Vec<u64>> {
        let mut client = QuotaServiceClient::new(self.channel.clone());
        let mut used = Vec::new();
        for name in self.quotas.clone() {
            let ask = GetQuotaRequest { name, read: Some(Read { local: true }) };
            used.push(client.get_quota(ask).await?.into_inner().used);
        }
        Ok(used)
    }

    async fn used(&self) -> Result<u64> {
        Ok(self.used_of_each().await?.into_iter().sum())
    }

    /// Until so much is charged.
    async fn await_placed(&self, asked: u64) -> Result<()> {
        let end = Instant::now() + PLACED;
        loop {
            let used = self.used().await?;
            if used >= asked {
                return Ok(());
            }
            ensure!(Instant::now() < end, "{used} of {asked} GPUs are placed after {PLACED:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Submits one job and looks at it until it is placed.
    async fn follow(&self, submitter: &Submitter) -> Result<Followed> {
        let begun = Instant::now();
        let name = submitter.one().await?.name();
        let acknowledged = begun.elapsed();
        let mut client = JobServiceClient::new(submitter.channel.clone());
        loop {
            let ask = GetJobRequest { name: name.clone(), read: Some(Read { local: true }) };
            let phase = client.get_job(ask).await?.into_inner().phase();
            if phase != job::Phase::Queued {
                return Ok(Followed { name, acknowledged, placed: begun.elapsed() });
            }
            ensure!(begun.elapsed() < PLACED, "{name} is not placed after {PLACED:?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Follows one job after the other until `stop`, and adds each to `found`.
    async fn probe(&self, stop: &AtomicBool, found: &Mutex<Vec<Followed>>) -> Result<()> {
        let submitter = self.submitter(&self.stock)?;
        while !stop.load(Ordering::Relaxed) {
            let followed = timeout(PLACED, self.follow(&submitter)).await??;
            found.lock().push(followed);
        }
        Ok(())
    }

    /// Follows so many jobs, one after the other, and nothing beside them.
    pub(super) async fn alone(&self, jobs: u32) -> Result<Vec<Followed>> {
        let (submitter, mut found) = (self.submitter(&self.stock)?, Vec::new());
        for _job in 0..jobs {
            found.push(self.follow(&submitter).await?);
        }
        Ok(found)
    }

    /// Submits a load and waits until all of it is placed.
    pub(super) async fn measure(&mut self, load: Load) -> Result<Found> {
        let Load { op, clients, jobs } = load;
        let sessions = self.sessions(&self.stock, clients)?;
        let calls = jobs.div_ceil(op.commands());
        let (before, agents) = (self.stock.acknowledged(), cpu_of(&self.agents.pids()?)?);
        let (stop, followed) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        let (span, begun) = (Span::begin(self.pids()?)?, Instant::now());
        let all = async {
            let sample = run(&sessions, op, clients, End::Count(calls)).await;
            stop.store(true, Ordering::Relaxed);
            sample
        };
        // A lone client stays alone.
        let probes = (0..PROBES).filter(|_| clients > 1).map(|_| self.probe(&stop, &followed));
        let (sample, probed) = futures::join!(all, futures::future::try_join_all(probes));
        let sample = sample?;
        probed?;
        self.await_placed(self.stock.gpus()).await?;
        let (wall, spent) = (begun.elapsed(), span.end()?);
        let agents = cpu_of(&self.agents.pids()?)?.saturating_sub(agents);
        let after = self.stock.acknowledged();
        let jobs = after.jobs.len().saturating_sub(before.jobs.len());
        let members = after.members.saturating_sub(before.members);
        let followed = followed.into_inner();
        Ok(Found { sample, jobs, members, wall, followed, spent, agents })
    }

    /// Submits arrays of so many tasks of one GPU each, of the class of which most is free, and waits until all of them are placed:
    /// half of what is free, at most so many. After all loads: what it takes is in none of their sums.
    pub(super) async fn arrays(&mut self, tasks: u32, most: u64) -> Result<Found> {
        let used = self.used_of_each().await?;
        let free = self.fleet.classes.iter().zip(&used);
        let free = free.map(|(class, used)| (class.gpus().saturating_sub(*used), &class.name));
        let (free, class) = free.max().context("a class")?;
        let count = (free / 2).min(most) / u64::from(tasks);
        let one = |mut job: Job| {
            job.shape = Shape { class: class.clone(), group: 1, gpus: 1 };
            job.id.name = format!("a-{}", job.id.name).parse()?;
            Ok(job)
        };
        let drawn = self.fleet.jobs().take(usize::try_from(count)?).map(one);
        let drawn = drawn.collect::<Result<Vec<_>>>()?;
        let stock = Stock::arrays(self.home.path(), drawn.into_iter(), tasks)?;
        let sessions = self.sessions(&stock, CONNECTIONS)?;
        let before: u64 = used.into_iter().sum();
        let agents = cpu_of(&self.agents.pids()?)?;
        let (span, begun) = (Span::begin(self.pids()?)?, Instant::now());
        let sample = run(&sessions, Op::Write, CONNECTIONS, End::Count(count)).await?;
        self.await_placed(before.saturating_add(stock.gpus())).await?;
        let (wall, spent) = (begun.elapsed(), span.end()?);
        let agents = cpu_of(&self.agents.pids()?)?.saturating_sub(agents);
        let members = stock.acknowledged().members;
        let (jobs, followed) = (usize::try_from(members)?, Vec::new());
        Ok(Found { sample, jobs, members, wall, followed, spent, agents })
    }

    /// Runs `job submit` of the command line so many times: from the start of its process to its end. The jobs stay queued.
    pub(super) fn command_line(&self, times: u32) -> Result<Vec<Duration>> {
        let (program, mut found) = (beside()?.join("sekisho"), Vec::new());
        for number in 0..times {
            let file = self.home.path().join("bench-job.yaml");
            let spec = format!(
                "name: c-{number}\ntenant: {TENANT}\nresources: {{ class: {NOT_THERE}, gpus: 1 }}\n\
                 time_limit: 10m\nrun: {{ command: [\"true\"] }}\n"
            );
            std::fs::write(&file, spec)?;
            let mut command = Command::new(&program);
            command.env("SEKISHO_CONFIG", self.home.path().join("contexts.toml"));
            command.args(["--context", TENANT, "job", "submit"]).arg(&file);
            let begun = Instant::now();
            let output = command.output()?;
            let time = begun.elapsed();
            Answer::of(&output).ok()?;
            found.push(time);
        }
        Ok(found)
    }

    /// Queues so many jobs for which there is no room. The growth of the leader's memory for each, bytes, and what it
    /// takes to have some of them explained.
    pub(super) async fn queue(&mut self, jobs: u64, asked: usize) -> Result<(f64, Vec<Duration>)> {
        let home = self.home.path().to_owned();
        let stays = |mut job: Job| {
            job.shape.class = NOT_THERE.parse()?;
            (job.shape.group, job.shape.gpus) = (1, 1);
            job.id.name = format!("q-{}", job.id.name).parse()?;
            Ok(job)
        };
        let drawn = self.fleet.jobs().take(usize::try_from(jobs)?).map(stays);
        let stock = Stock::new(&home, drawn.collect::<Result<Vec<_>>>()?.into_iter())?;
        tokio::time::sleep(GIVEN_BACK).await;
        let before = memory(self.leader_pid()?)?.rss;
        let sessions = self.sessions(&stock, CONNECTIONS)?;
        let calls = jobs.div_ceil(Op::Batch.commands());
        run(&sessions, Op::Batch, CONNECTIONS, End::Count(calls)).await?;
        tokio::time::sleep(GIVEN_BACK).await;
        let grown = (memory(self.leader_pid()?)?.rss - before) * 1_048_576.0;
        let queued = stock.acknowledged().jobs;
        let count = f64::from(u32::try_from(queued.len())?.max(1));
        let mut client = JobServiceClient::new(self.channel.clone());
        let mut times = Vec::new();
        for name in queued.into_iter().rev().take(asked) {
            let begun = Instant::now();
            client.explain_job(ExplainJobRequest { name }).await?;
            times.push(begun.elapsed());
        }
        Ok((grown / count, times))
    }

    /// Kills the leader under load, after so long. What had been acknowledged, and what the others do not know of it; the same
    /// of jobs that had been seen in their places.
    pub(super) async fn kill(&mut self, after: Duration) -> Result<[(usize, usize); 2]> {
        let sessions = self.sessions(&self.stock, KILL_CLIENTS)?;
        let before = self.stock.acknowledged().jobs.len();
        let (stop, seen) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        let leader = self.leader_pid()?;
        let end = End::After(after.saturating_add(AFTER_KILL));
        let load = run(&sessions, Op::Write, KILL_CLIENTS, end);
        let killed = async {
            tokio::time::sleep(after).await;
            let killed = kill(leader, Signal::SIGKILL);
            stop.store(true, Ordering::Relaxed);
            killed
        };
        // They end by themselves: what they ask is dead.
        let probes = (0..PROBES).map(|_| self.probe(&stop, &seen));
        let probes = futures::future::join_all(probes);
        let (sample, killed, _probes) = futures::join!(load, killed, probes);
        killed.context("killing the leader")?;
        sample.context("before the leader was killed")?;
        let known = self.read_back().await?;
        let acknowledged = self.stock.acknowledged().jobs;
        let submitted = acknowledged.get(before..).unwrap_or_default();
        let lost = acknowledged.iter().filter(|name| !known.contains_key(*name)).count();
        let placed: Vec<String> = seen.into_inner().into_iter().map(|one| one.name).collect();
        let granted = |name: &&String| known.get(*name).is_some_and(|attempts| *attempts > 0);
        let kept = placed.iter().filter(granted).count();
        Ok([(submitted.len(), lost), (placed.len(), placed.len().saturating_sub(kept))])
    }

    /// All jobs of the tenant with their attempts, as a survivor tells once it serves.
    async fn read_back(&self) -> Result<BTreeMap<String, u32>> {
        let end = Instant::now() + PATIENCE;
        loop {
            for member in (0..MEMBERS).filter(|member| *member != self.leader) {
                match self.list(member).await {
                    Ok(jobs) => return Ok(jobs),
                    Err(error) => ensure!(Instant::now() < end, "nobody tells: {error:#}"),
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn list(&self, member: usize) -> Result<BTreeMap<String, u32>> {
        let mut client = JobServiceClient::new(self.stock.channel(port(member)?)?);
        let (mut jobs, mut page_token) = (BTreeMap::new(), String::new());
        loop {
            let parent = format!("tenants/{TENANT}");
            let ask = ListJobsRequest {
                parent,
                page_size: PAGE,
                page_token,
                ..ListJobsRequest::default()
            };
            let page = client.list_jobs(ask).await?.into_inner();
            jobs.extend(page.jobs.into_iter().map(|job| (job.name, job.attempts)));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(jobs);
            }
        }
    }
}
