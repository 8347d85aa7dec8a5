//! Thousands of simulated agents at a federation of real controllers, one of which is killed: who is lost, how soon who is
//! dead is noticed, and what all of it costs.
//!
//! ```text
//! drill ── sekisho dev (three controllers) ── kill -9 of the leader
//!   └── workers, so many agents each: a process has so many files
//! ```
//! Must hold: every agent has a certificate of its own and a connection of its own to each member, and nothing on the way of
//! a renewal is left out; what a worker counts it counts by the agent's own clock and rules.

pub mod acknowledge;
mod enrol;
pub(crate) mod fleet;
mod host;
mod worker;

pub use worker::{WorkerOptions, work};

use crate::bench::meter::{cpu, memory};
use crate::bench::sekisho::{ADMIN, ADMIN_DIR, Caller};
use crate::federation::Federation;
use anyhow::{Context as _, Result, ensure};
use host::Tally;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1::node_service_client::NodeServiceClient;
use sekisho_proto::v1::{GetNodeRequest, ListNodesRequest, Read, node};
use sekisho_types::id::NodeId;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;
use tonic::transport::Channel;

/// Agents of one worker: three connections each must stay below 20,000 open files.
const PER_WORKER: u32 = 5_000;
/// Longest wait for one node to be shown as unreachable.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for all agents to have a lease, and for each of them: three handshakes of both sides, a session and a
/// desired set, on the cores that the members have, too.
const ALL: (Duration, Duration) = (Duration::from_secs(120), Duration::from_millis(120));
/// Between two looks at a node whose agent was killed.
const LOOK: Duration = Duration::from_millis(50);

/// What the drill does.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Agents
    #[arg(long, default_value_t = 10_000)]
    pub count: u32,
    /// How long to measure before anything is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    pub steady: u64,
    /// Agents that are killed
    #[arg(long, default_value_t = 50)]
    pub kill: u32,
    /// First of ten ports
    #[arg(long, default_value_t = 27_960)]
    pub port_base: u16,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Agents that took part.
    pub agents: u64,
    /// Leases that were ended though their agent lived, after all had one: shown as such at the end, or given up for
    /// another session before. Must be none.
    pub falsely_lost: u64,
    /// Leases of which a renewal had been counted and that ended before all agents had one.
    pub in_the_rush: u64,
    /// Agents that held no lease by their own clock when all was over: must be none.
    pub without_lease: u64,
    /// Agents that were put off at least once, together.
    pub put_off: u64,
    /// From the kill of the leader until every agent had a renewal counted that it sent after it.
    pub renewed_within: Duration,
    /// Nodes whose agents were killed.
    pub killed: Vec<NodeId>,
    /// From the death of an agent until its node is shown as unreachable.
    pub noticed: Vec<Duration>,
    /// The table, for people.
    pub table: String,
}

/// Longest wait for so many agents.
fn patience(agents: u32) -> Duration {
    ALL.0.saturating_add(ALL.1.saturating_mul(agents))
}

/// As many open files as are allowed.
fn raise_files() -> Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

/// A worker's part of the agents.
#[derive(Debug, Clone, Copy)]
struct Part {
    port_base: u16,
    first: u32,
    count: u32,
    /// Agents of all workers.
    all: u32,
    /// Their hosts are those of a made-up fleet.
    fleet: bool,
    /// The one member that they keep to.
    only: Option<u64>,
}

/// A worker's process, asked and answering by lines.
#[derive(Debug)]
struct Worker {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn start(program: &Path, dir: &Path, part: Part) -> Result<Self> {
        let Part { port_base, first, count, all, fleet, only } = part;
        let mut command = Command::new(program);
        command
            .args(["agents-worker", "--dir"])
            .arg(dir)
            .args(["--port-base", &port_base.to_string()])
            .args(["--first", &first.to_string(), "--count", &count.to_string()])
            .args(["--all", &all.to_string()]);
        if fleet {
            command.arg("--fleet");
        }
        if let Some(member) = only {
            command.args(["--only", &member.to_string()]);
        }
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("the worker")?;
        let ask = child.stdin.take().context("piped")?;
        let answers = BufReader::new(child.stdout.take().context("piped")?);
        Ok(Self { child, ask, answers })
    }

    fn send(&mut self, what: &str) -> Result<()> {
        writeln!(self.ask, "{what}").context("the worker is gone")
    }

    fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        let bytes = self.answers.read_line(&mut line)?;
        ensure!(bytes > 0, "the worker is gone");
        Ok(line.trim().to_owned())
    }

    fn tally(&mut self) -> Result<Tally> {
        self.send("tally")?;
        Ok(serde_json::from_str(&self.hear()?)?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Gone already is as good.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The drill, and its table.
///
/// # Errors
/// What went wrong, or that an agent was lost that lived.
pub fn run(options: &Options, dir: &Path) -> Result<Outcome> {
    let files = raise_files()?;
    let program = crate::federation::beside()?.join("sekisho-drill");
    ensure!(program.is_file(), "sekisho-drill is not built");
    let mut federation = Federation::start(dir, options.port_base)?;
    let mut table = String::new();
    line(&mut table, "agents; files a process", &format!("{}; {files}", options.count));
    let begun = Instant::now();
    let mut workers = Vec::new();
    for first in (0..options.count).step_by(usize::try_from(PER_WORKER)?) {
        let (port_base, all) = (options.port_base, options.count);
        let count = PER_WORKER.min(all.saturating_sub(first));
        let part = Part { port_base, first, count, all, fleet: false, only: None };
        workers.push(Worker::start(&program, dir, part)?);
    }
    workers.iter_mut().try_for_each(|worker| worker.hear().map(drop))?;
    line(&mut table, "enrolled within", &seconds(begun.elapsed()));
    let begun = Instant::now();
    all(&mut workers, "begin")?;
    line(&mut table, "all have sessions, streams and a lease within", &seconds(begun.elapsed()));
    let in_the_rush = sum(&mut workers)?.dropped;
    line(&mut table, "leases lost again while all came at once", &in_the_rush.to_string());
    steady(&federation, &mut workers, options, &mut table)?;
    let mut outcome = kill_leader(&mut federation, &mut workers, &mut table)?;
    kill_agents(&federation, &mut workers, options, &mut outcome)?;
    let (p50, p99) = (quantile(&outcome.noticed, 50), quantile(&outcome.noticed, 99));
    line(
        &mut table,
        "agent killed to unreachable, p50 and p99",
        &format!("{} {}", seconds(p50), seconds(p99)),
    );
    let sum = sum(&mut workers)?;
    (outcome.agents, outcome.without_lease) = (sum.agents, sum.lost);
    outcome.put_off = sum.put_off;
    let shown = lost(&federation, options, &outcome.killed)?;
    outcome.falsely_lost = shown.max(sum.dropped.saturating_sub(in_the_rush));
    outcome.in_the_rush = in_the_rush;
    line(&mut table, "put off at the gate", &outcome.put_off.to_string());
    line(&mut table, "falsely lost", &outcome.falsely_lost.to_string());
    line(&mut table, "without a lease by their own clock", &outcome.without_lease.to_string());
    outcome.table = table;
    Ok(outcome)
}

/// The drill for people: fails if an agent was lost that lived.
///
/// # Errors
/// As [`run`], or an agent was lost.
pub fn tell(options: &Options, dir: &Path) -> Result<()> {
    let outcome = run(options, dir)?;
    let lost = (outcome.falsely_lost, outcome.without_lease);
    ensure!(
        lost == (0, 0),
        "{} nodes were falsely lost, {} agents are without a lease",
        lost.0,
        lost.1
    );
    Ok(())
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// A line of the table, told at once: at the end it would be lost with what failed meanwhile.
fn line(table: &mut String, what: &str, value: &str) {
    let line = format!("{what:<50} {value}\n");
    table.push_str(&line);
    // Without a terminal the table remains.
    std::io::stdout().lock().write_all(line.as_bytes()).ok();
}

/// The value that so many percent do not exceed; 0 of none.
pub(crate) fn quantile<T: Copy + Ord + Default>(values: &[T], percent: usize) -> T {
    let mut values = values.to_vec();
    values.sort_unstable();
    let at = values.len().saturating_sub(1).saturating_mul(percent).div_ceil(100);
    values.get(at).copied().unwrap_or_default()
}

fn all(workers: &mut [Worker], what: &str) -> Result<()> {
    workers.iter_mut().try_for_each(|worker| worker.send(what))?;
    workers.iter_mut().try_for_each(|worker| worker.hear().map(drop))
}

fn sum(workers: &mut [Worker]) -> Result<Tally> {
    let mut sum = Tally::default();
    for worker in workers {
        let part = worker.tally()?;
        sum.agents = sum.agents.saturating_add(part.agents);
        sum.counted = sum.counted.saturating_add(part.counted);
        sum.put_off = sum.put_off.saturating_add(part.put_off);
        sum.lost = sum.lost.saturating_add(part.lost);
        sum.dropped = sum.dropped.saturating_add(part.dropped);
    }
    Ok(sum)
}

/// Cost of renewals while nothing happens.
fn steady(
    federation: &Federation,
    workers: &mut [Worker],
    options: &Options,
    table: &mut String,
) -> Result<()> {
    let pids = (1..=3).map(|n| federation.pid(&format!("controller-{n}")));
    let pids = pids.collect::<Result<Vec<_>>>()?;
    let used = || pids.iter().map(|pid| cpu(&pid.to_string())).collect::<Result<Vec<_>>>();
    let (before, counted, begun) = (used()?, sum(workers)?.counted, Instant::now());
    // waits: for what renewals cost in this time
    std::thread::sleep(Duration::from_secs(options.steady));
    let (after, renewals) = (used()?, sum(workers)?.counted.saturating_sub(counted));
    let wall = begun.elapsed();
    let mut spent = Duration::ZERO;
    for (member, ((before, after), pid)) in (1..).zip(before.iter().zip(&after).zip(&pids)) {
        let cpu = after.saturating_sub(*before);
        spent = spent.saturating_add(cpu);
        let cores = cpu.as_secs_f64() / wall.as_secs_f64();
        let rss = memory(*pid)?.rss;
        line(
            table,
            &format!("member {member}: cores, memory"),
            &format!("{cores:.2}, {rss:.0} MiB"),
        );
    }
    let rate = f64::from(u32::try_from(renewals)?) / wall.as_secs_f64();
    line(table, "renewals counted a second", &format!("{rate:.0}"));
    let each = spent.checked_div(u32::try_from(renewals)?.max(1)).unwrap_or_default();
    line(table, "CPU of all members for each", &format!("{} us", each.as_micros()));
    Ok(())
}

fn kill_leader(
    federation: &mut Federation,
    workers: &mut [Worker],
    table: &mut String,
) -> Result<Outcome> {
    let leader = federation.leader()?;
    federation.signal(&format!("controller-{leader}"), Signal::SIGKILL)?;
    let killed = Instant::now();
    all(workers, "renewed")?;
    let renewed_within = killed.elapsed();
    line(table, "leader killed to the last agent renewed", &seconds(renewed_within));
    federation.revive(leader)?;
    federation.whole()?;
    Ok(Outcome { renewed_within, ..Outcome::default() })
}

fn leader_port(federation: &Federation, options: &Options) -> Result<u16> {
    let leader = u16::try_from(federation.leader()?)?;
    Ok(options.port_base.saturating_add(leader.saturating_sub(1)))
}

fn kill_agents(
    federation: &Federation,
    workers: &mut [Worker],
    options: &Options,
    outcome: &mut Outcome,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let port = leader_port(federation, options)?;
    let caller = Caller::open(federation.dir(), ADMIN, ADMIN_DIR)?;
    runtime.block_on(async {
        let channel = caller.channel(port)?;
        let mut watched = Vec::new();
        let parts = workers.len().max(1);
        for number in 0..usize::try_from(options.kill)? {
            let worker = workers.get_mut(number % parts).context("a worker")?;
            worker.send("kill")?;
            let (node, killed): (NodeId, _) = (worker.hear()?.parse()?, Instant::now());
            outcome.killed.push(node.clone());
            watched.push(noticed(channel.clone(), node, killed));
        }
        outcome.noticed = futures::future::try_join_all(watched).await?;
        Ok(())
    })
}

/// How long it takes until the node is shown as unreachable.
async fn noticed(channel: Channel, node: NodeId, killed: Instant) -> Result<Duration> {
    let mut client = NodeServiceClient::new(channel);
    loop {
        let read = Some(Read { local: true });
        let ask = GetNodeRequest { name: node.name(), read };
        let state = client.get_node(ask).await?.into_inner().state();
        if matches!(state, node::State::Unreachable | node::State::Lost) {
            return Ok(killed.elapsed());
        }
        ensure!(killed.elapsed() < PATIENCE, "{node} is still {state:?}");
        // waits: between two looks at what a member shows
        tokio::time::sleep(LOOK).await;
    }
}

/// Nodes of the drill whose lease was ended, but for those whose agent was killed.
fn lost(federation: &Federation, options: &Options, killed: &[NodeId]) -> Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let port = leader_port(federation, options)?;
    let caller = Caller::open(federation.dir(), ADMIN, ADMIN_DIR)?;
    let killed: BTreeSet<String> = killed.iter().map(NodeId::name).collect();
    runtime.block_on(async {
        let mut client = NodeServiceClient::new(caller.channel(port)?);
        let (mut lost, mut page_token) = (0u64, String::new());
        loop {
            let parent = "sites/tokyo-1".to_owned();
            let ask = ListNodesRequest {
                parent,
                page_size: 1000,
                page_token,
                ..ListNodesRequest::default()
            };
            let page = client.list_nodes(ask).await?.into_inner();
            let gone = page
                .nodes
                .iter()
                .filter(|row| row.state() == node::State::Lost && !killed.contains(&row.name));
            let gone = gone.count();
            lost = lost.saturating_add(u64::try_from(gone)?);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(lost);
            }
        }
    })
}
