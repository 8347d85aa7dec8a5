//! One run of the agent: from a swept host to the last report, or to the next run, which finds the jobs as this one left them
//! (ADR 11).

mod begin;
mod follow;

pub use follow::accept;

use crate::calls::Calls;
use crate::config::Config;
use crate::countersign::Countersigning;
use crate::driver::{After, Driver};
use crate::enrolment::Enrolment;
use crate::failure::Failure;
use crate::fitness::{Checker, Clocks, Host};
use crate::fix::{Ends, FixPort};
use crate::host::{Inventory, OutputFiles, inherited_ns, lock};
use crate::kept::KeptFiles;
use crate::ledger::LedgerFile;
use crate::limit::{
    COUNTERSIGN_EVERY, EVENTS_MAX, LOOK_EVERY, SHUTDOWN_WITHIN, TASKS_WITHIN, TICK,
};
use crate::location::prover::Prover;
use crate::location::{self, Via};
use crate::renew::Renewer;
use crate::site_keys::SiteKeys;
use crate::stream::Link;
use arc_swap::ArcSwap;
use begin::{Found, blocking, find};
use sekisho_agent_core::devices::Device;
use sekisho_agent_core::location::Location;
use sekisho_agent_core::reconcile::{Action, Input, Moment, Reconciler};
use sekisho_agent_runtime::runtime::Exit;
use sekisho_agent_runtime::shim::ShimCommand;
use sekisho_evidence::grant::Instance;
use sekisho_evidence::location::transcript::Subject;
use sekisho_evidence::package::TrustPackage;
use sekisho_proto::status::ApiError;
use sekisho_transport::bundle::TrustBundles;
use sekisho_transport::credential::Identity;
use sekisho_transport::dial::Dialer;
use sekisho_transport::task::{TaskGroup, TaskKind};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::Digest;
use sekisho_types::time::Clock;
use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

/// What the main loop hears.
#[derive(Debug)]
pub(crate) enum Event {
    /// For the core.
    Core(Input),
    /// Certificate and tag were renewed.
    Renewed(Box<Enrolment>),
    /// A member told that this version of the endorser bundle is in force.
    Told(u64),
    /// The way to it.
    Fetched(Result<Box<TrustPackage>, ApiError>),
    /// The devices were looked at.
    Looked(Inventory, Vec<Device>),
}

/// An agent that has everything that it needs to run.
#[derive(Debug)]
pub struct Agent {
    clock: Arc<dyn Clock>,
    core: Reconciler,
    driver: Driver,
    data_dir: PathBuf,
    enrolment: Enrolment,
    /// The same, for the renewer.
    held: watch::Sender<Arc<Enrolment>>,
    identity: Identity,
    trust: Arc<TrustBundles>,
    /// The latest endorser bundle that a member told of.
    told: u64,
    fetching: bool,
    renew_now: Arc<Notify>,
    events: mpsc::Receiver<Event>,
    exits: mpsc::Receiver<Exit>,
    renewer: Option<Renewer>,
    checker: Option<Checker>,
    /// Where something forwards to landmarks.
    via: Via,
    /// Digest of the certificate key, which is the host's for as long as it is enrolled.
    node_key: Digest,
    looked: Instant,
    countersigning: Countersigning,
    _lock: File,
}

/// How a run of the agent ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its jobs run on for the next run: an upgrade, a restart of the service.
    Leave,
    /// They are stopped, and that is told.
    StopAll,
}

/// What streams need; no attempt to be measured was made yet.
fn link(dialer: Dialer, events: mpsc::Sender<Event>, root: PathBuf, clocks: Clocks) -> Link {
    let outputs = Arc::new(OutputFiles(root));
    Link { dialer, events, outputs, clocks, attempts: Arc::default() }
}

/// Somewhere in the first interval.
fn spread() -> Duration {
    rand::random_range(Duration::ZERO..COUNTERSIGN_EVERY)
}

impl Agent {
    /// Reads the ledger, sweeps the host by it, and joins if it has to. Nothing is told to anyone before all of it worked.
    ///
    /// # Errors
    /// Why this host must start nothing.
    pub async fn open(
        config: Config,
        shim: ShimCommand,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let lock = lock(&config.data_dir)?;
        let probe = shim.clone();
        let Found { enrolment, ledger, standing, inventory, devices, runtime, exits } =
            Box::pin(find(&config, shim, &clock)).await?;
        let root = config.runtime_dir();
        let identity = enrolment.identity()?;
        let trust = enrolment.trust(&clock)?;
        let dialer = Dialer::new(Some(identity.clone()), Arc::clone(&trust));
        let dialer = dialer.asking(config.names()?);
        let calls = Calls::new(dialer.clone(), &enrolment.members)?;
        let calls = Arc::new(ArcSwap::from_pointee(calls));
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let (held, holds) = watch::channel(Arc::new(enrolment.clone()));
        let renew_now = Arc::new(Notify::new());
        let renewer = Renewer {
            identity: identity.clone(),
            clock: Arc::clone(&clock),
            calls: Arc::clone(&calls),
            events: sender.clone(),
            held: holds,
            now: Arc::clone(&renew_now),
        };
        let host = Host::of(&config, inventory.clone(), probe, identity.clone(), &clock);
        let clocks = host.clocks.clone();
        let checker = Checker::begin(host, Arc::clone(&calls)).await?;
        let node_key = *standing.node_key();
        let site_keys = SiteKeys::open(&config.data_dir, &enrolment, ledger.bundle(), node_key)?;
        let driver = Driver {
            runtime: Arc::new(runtime),
            inventory,
            file: LedgerFile::of(&config.data_dir),
            kept: KeptFiles::of(&config.data_dir),
            calls,
            link: link(dialer, sender, root.clone(), clocks),
            members: enrolment.members.clone(),
            receipt_key: enrolment.receipt_key(),
            instance: Instance(rand::random()),
            rack: config.rack,
            tasks: TaskGroup::new(),
            streams: None,
            ended: VecDeque::new(),
            fitness: checker.fitness.clone(),
            site_keys,
        };
        let location = Location::new(driver.instance, driver.receipt_key.public());
        tracing::info!(node = %enrolment.node, devices = devices.len(), "agent ready");
        Ok(Self {
            clock,
            core: Reconciler::new(ledger, standing, devices, location, inherited_ns(&root)),
            driver,
            data_dir: config.data_dir,
            enrolment,
            held,
            identity,
            trust,
            told: 0,
            fetching: false,
            renew_now,
            events,
            exits,
            renewer: Some(renewer),
            checker: Some(checker),
            via: config.landmark_via,
            node_key,
            looked: Instant::now(),
            countersigning: Countersigning::begin(Instant::now(), spread()),
            _lock: lock,
        })
    }

    /// What has this host's place proven, for as long as it runs.
    fn prover(&self) -> Prover<Ends, Ends> {
        let port = FixPort {
            calls: Arc::clone(&self.driver.calls),
            events: self.driver.link.events.clone(),
        };
        let ends = Ends { port, held: self.held.subscribe() };
        let host = location::Host {
            subject: Subject::Node(self.enrolment.node.clone()),
            subject_key: self.node_key,
            instance: self.driver.instance,
            receipt_key: self.driver.receipt_key.clone(),
            dialer: self.driver.link.dialer.clone(),
            clock: Arc::clone(&self.clock),
            via: self.via.clone(),
        };
        let attempts = Arc::clone(&self.driver.link.attempts);
        Prover { host, landmarks: ends.clone(), fixes: ends, attempts }
    }

    /// Runs until `end` resolves and, where it says so, everything is stopped and told; or until it cannot go on. Jobs that
    /// were not stopped run on.
    ///
    /// # Errors
    /// A ledger that cannot be written, above all.
    pub async fn run(mut self, end: impl Future<Output = End> + Send) -> Result<(), Failure> {
        if let Some(renewer) = self.renewer.take() {
            self.driver.tasks.spawn(TaskKind::Ordinary, "renew", renewer.run());
        }
        if let Some(checker) = self.checker.take() {
            self.driver.tasks.spawn(TaskKind::Ordinary, "fitness", checker.run());
        }
        self.driver.tasks.spawn(TaskKind::Ordinary, "prover", self.prover().run());
        self.driver.fetch_site_keys(self.core.ledger());
        let result = self.serve(end).await;
        self.driver.streams = None;
        if !self.driver.tasks.shutdown(TASKS_WITHIN).await {
            tracing::warn!("tasks were still running at the end");
        }
        // The runtime waits for its thread when it is dropped.
        blocking(move || {
            drop(self);
            Ok(())
        })
        .await?;
        result
    }

    async fn serve(&mut self, end: impl Future<Output = End> + Send) -> Result<(), Failure> {
        let mut asked = pin!(end);
        let mut end: Option<Instant> = None;
        if let Some(laid) = self.laid_there() {
            self.step(laid).await?;
        }
        loop {
            let pause = tokio::time::sleep(self.pause());
            let inputs = tokio::select! {
                biased;
                how = &mut asked, if end.is_none() => match how {
                    End::Leave => {
                        tracing::info!("leaving; what runs goes on");
                        return Ok(());
                    }
                    End::StopAll => {
                        tracing::info!("stopping");
                        end = Instant::now().checked_add(SHUTDOWN_WITHIN);
                        vec![Input::Shutdown]
                    }
                },
                exit = self.exits.recv() => {
                    let gone = || Failure::new(ErrorCode::Internal, "the runtime has ended");
                    self.driver.exited(exit.ok_or_else(gone)?).into_iter().collect()
                }
                Some(event) = self.events.recv() => self.hear(event).await?,
                () = pause => vec![Input::Tick],
            };
            for input in inputs.into_iter().chain(self.look_around()) {
                if self.step(input).await? == After::Finished {
                    return Ok(());
                }
            }
            if end.is_some_and(|end| end <= Instant::now()) {
                tracing::warn!("ending before everything was told");
                return Ok(());
            }
        }
    }

    fn pause(&self) -> Duration {
        let now = self.clock.boottime_ns();
        self.core
            .wake_ns()
            .map_or(TICK, |wake| Duration::from_nanos(wake.saturating_sub(now)).min(TICK))
    }

    async fn hear(&mut self, event: Event) -> Result<Vec<Input>, Failure> {
        Ok(match event {
            Event::Core(input) => {
                self.heed(&input);
                vec![input]
            }
            Event::Looked(inventory, found) => {
                self.driver.inventory = inventory;
                vec![Input::Devices(found)]
            }
            Event::Renewed(enrolment) => self.renewed(*enrolment).await?,
            Event::Told(version) => {
                self.told = self.told.max(version);
                self.look_for_trust();
                Vec::new()
            }
            Event::Fetched(fetched) => self.fetched(fetched),
        })
    }

    /// Who is told that its incarnation is over looks for the way to the present one.
    fn heed(&mut self, input: &Input) {
        let Input::SessionRefused(reason) = input else { return };
        if reason.code == ErrorCode::IncarnationOver {
            self.told = self.told.max(self.enrolment.bundle.version.saturating_add(1));
            self.look_for_trust();
        }
    }

    /// Every now and then: lost events, and a look at the devices beside the main loop.
    fn look_around(&mut self) -> Vec<Input> {
        if self.looked.elapsed() < LOOK_EVERY {
            return Vec::new();
        }
        self.looked = Instant::now();
        self.look_for_trust();
        self.countersign();
        let (mut inventory, events) =
            (self.driver.inventory.clone(), self.driver.link.events.clone());
        self.driver.tasks.spawn(TaskKind::Ordinary, "look", async move {
            let looked = tokio::task::spawn_blocking(move || {
                let found = inventory.look();
                (inventory, found)
            });
            match looked.await {
                Ok((inventory, Ok(found))) => {
                    drop(events.send(Event::Looked(inventory, found)).await);
                }
                Ok((_, Err(error))) => tracing::warn!(%error, "devices cannot be told"),
                Err(error) => tracing::warn!(%error, "devices cannot be told"),
            }
        });
        let missed = self.driver.missed(self.core.ledger());
        missed.into_iter().chain(self.laid_there()).collect()
    }

    /// Says which audit head it was shown, when that is due.
    fn countersign(&mut self) {
        let Some(seen) = self.core.seen().copied() else { return };
        if self.countersigning.take(&seen, Instant::now()) {
            self.driver.countersign(self.core.ledger(), &seen);
        }
    }

    async fn step(&mut self, input: Input) -> Result<After, Failure> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = Moment {
                boot_ns: self.clock.boottime_ns(),
                wall: self.clock.wall(),
                random: rand::random(),
            };
            for action in self.core.step(input, now) {
                if let Action::Trusted(trust) = &action {
                    inputs.push_back(self.trusted(trust).await?);
                }
                if self.driver.carry_out(self.core.ledger(), action).await? == After::Finished {
                    return Ok(After::Finished);
                }
            }
        }
        Ok(After::GoOn)
    }
}
