//! A worker of the drill: so many agents as one process has files for, told what to do by lines.

use super::enrol::Registry;
use super::host::{Devices, Host, Tally};
use super::{patience, raise_files};
use crate::fleet::{self, Fleet};
use anyhow::{Context as _, Result, bail};
use sekisho_transport::task::{TaskGroup, TaskKind};
use sekisho_types::id::{MemberId, NodeId};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Lines that wait to be obeyed: the drill sends one at a time.
const LINES: usize = 4;

/// What a worker is told.
#[derive(Debug, Clone, clap::Args)]
pub struct WorkerOptions {
    /// Folder of the federation
    #[arg(long)]
    dir: PathBuf,
    /// Port of its first controller
    #[arg(long)]
    port_base: u16,
    /// Number of the first agent
    #[arg(long)]
    first: u32,
    /// Agents
    #[arg(long)]
    count: u32,
    /// Agents of all workers
    #[arg(long)]
    all: u32,
    /// Their hosts are the nodes of a made-up fleet of so many
    #[arg(long)]
    fleet: bool,
    /// They keep to this member, and its word alone counts
    #[arg(long)]
    only: Option<u64>,
}

/// Its agents, and what keeps each of them alive.
#[derive(Debug)]
struct Worker {
    hosts: BTreeMap<NodeId, Arc<Host>>,
    /// Agents of all workers.
    all: u32,
    lives: BTreeMap<NodeId, TaskGroup>,
}

/// A worker's life: its agents join, live and are asked about.
///
/// # Errors
/// The federation cannot be reached, or whoever started it is gone.
pub fn work(options: &WorkerOptions) -> Result<()> {
    raise_files()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut registry = Registry::open(&options.dir, options.port_base)?;
        if options.fleet {
            registry = registry.having(devices(options.all)?);
        }
        if let Some(member) = options.only {
            registry = registry.only(MemberId(member));
        }
        let end = options.first.saturating_add(options.count);
        let hosts = registry.enrol(options.first..end).await?;
        let mut worker = Worker { hosts, all: options.all, lives: BTreeMap::new() };
        say("enrolled")?;
        let mut lines = lines()?;
        while let Some(line) = lines.recv().await {
            worker.obey(&line).await?;
        }
        Ok(())
    })
}

/// What the nodes of the made-up fleet have.
fn devices(nodes: u32) -> Result<Vec<Devices>> {
    let nodes = Fleet::new(fleet::SEED, nodes)?.nodes.into_iter();
    Ok(nodes.map(|node| Devices { bucket: node.bucket, rack: Some(node.rack) }).collect())
}

/// Lines of the standard input, read by a thread of their own: it ends with the process.
fn lines() -> Result<mpsc::Receiver<String>> {
    let (told, lines) = mpsc::channel(LINES);
    let read = move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if told.blocking_send(line).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("lines".to_owned()).spawn(read)?;
    Ok(lines)
}

impl Worker {
    async fn obey(&mut self, line: &str) -> Result<()> {
        match line {
            "begin" => {
                for (node, host) in &self.hosts {
                    let (life, host) = (TaskGroup::new(), Arc::clone(host));
                    life.spawn(TaskKind::Ordinary, "agent", host.live());
                    self.lives.insert(node.clone(), life);
                }
                self.await_renewed().await?;
                say("begun")
            }
            "renewed" => {
                self.await_renewed().await?;
                say("renewed")
            }
            "tally" => say(&serde_json::to_string(&Tally::of(&self.hosts))?),
            "kill" => {
                let Some((node, _)) = self.hosts.pop_first() else { bail!("nobody is left") };
                if let Some(life) = self.lives.remove(&node) {
                    life.cancel();
                }
                say(&node.to_string())
            }
            other => bail!("{other} is nothing that a worker knows"),
        }
    }

    async fn await_renewed(&self) -> Result<()> {
        let all = futures::future::try_join_all(self.hosts.values().map(|host| host.renewed()));
        // The other workers' agents come at the same time.
        let done = tokio::time::timeout(patience(self.all), all).await;
        let without = || {
            let tally = Tally::of(&self.hosts);
            format!("in time: {} of {} agents have no lease now", tally.lost, tally.agents)
        };
        done.with_context(|| format!("not every agent was renewed {}", without()))?.map(drop)
    }
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
