//! Clients: tenants, a planner, agents, a ticker and readers, each with requests that nobody else makes.
//!
//! They keep to the rules of the product: what a person asks for is asked again under its request id until it has an
//! answer; what members and agents propose is not repeated when its fate is unknown. Each answer goes to the oracle.

use super::cluster::{Cluster, Process};
use super::fixture::stamped;
use super::limit::PATIENCE;
use super::oracle::Fate;
use super::plan::Bug;
use super::platform::{Sim, sleep};
use super::world::{chance, now};
use rand::Rng as _;
use rand::rngs::StdRng;
use sekisho_fsm::State;
use sekisho_fsm::command::{Command, Item};
use sekisho_fsm::entry::Entry;
use sekisho_fsm::role::is_deduplicated;
use sekisho_fsm::testing::{agent, job, member, user};
use sekisho_raft::consensus::Committed;
use sekisho_raft::error::ProposeError;
use sekisho_raft::platform::Platform as _;
use sekisho_types::placement::{Ending, Phase};
use sekisho_types::principal::Principal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What one try came to.
enum Try {
    Answered(Committed),
    /// It had no effect.
    Refused,
    Unknown,
}

/// One client.
pub(super) struct Client {
    number: u64,
    cluster: Cluster,
    chance: StdRng,
    bug: Option<Bug>,
    /// Set when clients are to finish.
    closing: Arc<AtomicBool>,
    requests: u64,
}

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trade {
    /// Submits jobs and cancels some.
    Tenant,
    /// Plans on some member's state.
    Planner,
    /// Lets placed jobs run and end.
    Agent,
    /// Moves the clock.
    Ticker,
    /// Reads.
    Reader,
}

impl Client {
    pub(super) fn new(
        (seed, number): (u64, u64),
        cluster: &Cluster,
        bug: Option<Bug>,
        closing: &Arc<AtomicBool>,
    ) -> Self {
        let (cluster, closing) = (cluster.clone(), Arc::clone(closing));
        let chance = chance(seed, &format!("client {number}"));
        Self { number, cluster, chance, bug, closing, requests: 0 }
    }

    /// Works until told to finish.
    pub(super) async fn work(mut self, trade: Trade) {
        let mut seen = None;
        while !self.closing.load(Ordering::Acquire) {
            let pause = match trade {
                Trade::Tenant => self.tenant().await,
                Trade::Planner => self.planner().await,
                Trade::Agent => self.agent().await,
                Trade::Ticker => self.ticker().await,
                Trade::Reader => self.reader(&mut seen).await,
            };
            let pause = self.chance.random_range(pause / 4..=pause);
            sleep(Duration::from_millis(pause)).await;
        }
    }

    fn entry(&mut self, actor: Principal, command: Command) -> Entry {
        self.requests = self.requests.saturating_add(1);
        let request = (u128::from(self.number) << 32) | u128::from(self.requests);
        stamped(actor, request, now(), command)
    }

    /// Some member that runs.
    fn pick(&mut self) -> Option<Process> {
        let mut running = self.cluster.running();
        let at = self.chance.random_range(0..running.len().max(1));
        (at < running.len()).then(|| running.swap_remove(at))
    }

    /// Asks until there is an answer or no use; whether there is one.
    pub(super) async fn ask(&mut self, entry: Entry) -> Option<Committed> {
        let (until, again) = (now() + PATIENCE, is_deduplicated(&entry.command));
        let mut fate = Fate::Refused;
        let request = entry.request;
        while now() < until {
            match self.once(&entry).await {
                Try::Answered(committed) => {
                    self.cluster.world().note(&format!(
                        "client {} has {:?} of {:?}",
                        self.number, committed.revision, request.0
                    ));
                    self.cluster.oracle().answered(request, committed.clone());
                    self.cluster.answered();
                    return Some(committed);
                }
                Try::Refused => {}
                Try::Unknown => {
                    self.cluster.world().count(|totals| totals.unknown += 1);
                    fate = Fate::Unknown;
                    if !again {
                        break;
                    }
                }
            }
            let pause = self.chance.random_range(5..150);
            sleep(Duration::from_millis(pause)).await;
        }
        self.cluster.oracle().unanswered(request, fate);
        None
    }

    async fn once(&mut self, entry: &Entry) -> Try {
        let Some(process) = self.pick() else { return Try::Refused };
        let deadline = Sim::deadline(Duration::from_millis(self.chance.random_range(300..3000)));
        let answer = tokio::select! {
            biased;
            // Whatever it would have said, nobody hears it.
            () = process.killed() => return Try::Unknown,
            answer = process.consensus.propose(entry.clone(), deadline) => answer,
        };
        match answer {
            Ok(committed) => Try::Answered(committed),
            Err(ProposeError::OutcomeUnknown) => Try::Unknown,
            Err(
                ProposeError::NoLeader
                | ProposeError::Overloaded { .. }
                | ProposeError::ShuttingDown
                | ProposeError::Failed(_),
            ) => Try::Refused,
            Err(error @ (ProposeError::TooLarge { .. } | ProposeError::Malformed(_))) => {
                self.cluster.world().violation(&format!("a good entry is refused: {error}"));
                Try::Refused
            }
        }
    }

    async fn tenant(&mut self) -> u64 {
        let actor = user("kanto", "sapporo");
        let name = format!("c{}-{}", self.number, self.requests);
        let (group, gpus) = (self.chance.random_range(1..3), self.chance.random_range(1..4));
        let facts = job(&name, group, gpus, &[]);
        let id = facts.id.clone();
        let submit = self.entry(actor.clone(), Command::SubmitJob { facts: Box::new(facts) });
        let submitted = self.ask(submit).await;
        if self.chance.random_ratio(1, 4) {
            let facts = |n: u32| Box::new(job(&format!("{name}-{n}"), 1, 1, &[]));
            let mut items: Vec<Item> =
                (0..3).map(|n| Item::SubmitJob { facts: facts(n) }).collect();
            // Of a job that may be over, or was never taken: then all of it is refused.
            items.push(Item::CancelJob { job: id.clone() });
            let batch = self.entry(actor.clone(), Command::Batch(items));
            self.ask(batch).await;
        }
        if submitted.is_some() && self.chance.random_ratio(1, 3) {
            let cancel = self.entry(actor, Command::CancelJob { job: id });
            self.ask(cancel).await;
        }
        200
    }

    async fn planner(&mut self) -> u64 {
        if let Some(process) = self.pick() {
            let plan = sekisho_scheduler::plan(&process.consensus.view().state);
            if let Some(command) = plan.into_command() {
                let commit = self.entry(member("kanto"), command);
                self.ask(commit).await;
            }
        }
        150
    }

    async fn agent(&mut self) -> u64 {
        if let Some(process) = self.pick() {
            let view = process.consensus.view();
            if let Some((actor, report)) = self.report(&view.state) {
                let report = self.entry(actor, report);
                self.ask(report).await;
            }
        }
        100
    }

    /// The next phase of some placement that lives.
    fn report(&mut self, state: &State) -> Option<(Principal, Command)> {
        let living: Vec<_> = state.placements().filter(|(_, row)| !row.phase.is_ended()).collect();
        let (id, row) = living.get(self.chance.random_range(0..living.len().max(1)))?;
        let node = row.grant.node.clone();
        let session = state.node(&node)?.session.as_ref()?.id;
        let phase = match self.chance.random_range(0..3) {
            0 => Phase::Running,
            1 => Phase::Ended(Ending::Exited(0)),
            _ => Phase::Ended(Ending::Exited(1)),
        };
        Some((agent(&node), Command::Report { node, session, phases: vec![(**id, phase)] }))
    }

    async fn ticker(&mut self) -> u64 {
        self.tick().await;
        1000
    }

    /// Moves the clock; whether that was acknowledged.
    pub(super) async fn tick(&mut self) -> bool {
        let tick = self.entry(member("hokuto"), Command::Tick);
        self.ask(tick).await.is_some()
    }

    async fn reader(&mut self, seen: &mut Option<u64>) -> u64 {
        let Some(process) = self.pick() else { return 50 };
        let need = self.cluster.oracle().told();
        let view = if self.bug == Some(Bug::StaleReads) {
            let leads = process.consensus.leader().map(|leader| leader.member.0);
            (leads == Some(process.member)).then(|| process.consensus.view())
        } else {
            let deadline =
                Sim::deadline(Duration::from_millis(self.chance.random_range(200..2000)));
            tokio::select! {
                biased;
                () = process.killed() => None,
                view = process.consensus.read_index(deadline) => view.ok(),
            }
        };
        if let Some(view) = view {
            self.cluster.world().note(&format!(
                "client {} reads {:?} on {} (at least {need:?})",
                self.number, view.applied, process.member
            ));
            self.cluster.oracle().read(self.number, need, &view, seen);
        }
        50
    }
}
