//! The runtime `process`: each job is a process tree in a PID namespace of its own.
//!
//! One thread, the supervisor, spawns the shims and watches them, those of an earlier runtime like its own (ADR 11). Dropping
//! the runtime ends no job: the next one takes them over, and if none comes, their shims end them ([`crate::guard`]).

mod child;
mod supervisor;

use std::collections::BTreeMap;
use std::io::{self, PipeWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::unistd::getpid;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::capability::{Capability, OwnUsers};
use crate::cgroup::{self, Wanted};
use crate::deadline::Deadline;
use crate::directory::PlacementDir;
use crate::guard::{Guard, Watch};
use crate::limit;
use crate::placement::{PlacementKey, PlacementSpec};
use crate::runtime::{Exit, Running, Runtime, RuntimeError, State};
use crate::sandbox::{Sandbox, SandboxSettings};
use crate::shim::ShimCommand;
use crate::shim::namespace;
use crate::shim::wire::{Order, RunAs};
use crate::users::JobUsers;
use child::Shim;
use supervisor::{Request, Supervisor};

/// Settings of the runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessSettings {
    /// Directory of the placements, absolute; made when missing. One runtime at a time uses it.
    pub root: PathBuf,
    /// How to run the shim.
    pub shim: ShimCommand,
    /// How jobs are kept apart.
    pub sandbox: SandboxSettings,
    /// About how much of each output stream of a job to keep, bytes.
    pub log_bytes: u64,
}

/// What a placement is to the runtime.
#[derive(Debug)]
struct Entry {
    /// Of one that this runtime has not started yet.
    spec: Option<Box<PlacementSpec>>,
    run_as: Option<RunAs>,
    wanted: Wanted,
    state: State,
}

type Table = Arc<Mutex<BTreeMap<PlacementKey, Entry>>>;

/// The runtime. Dropping it lets its jobs run on.
#[derive(Debug)]
pub struct ProcessRuntime {
    settings: ProcessSettings,
    capability: Capability,
    table: Table,
    requests: Option<SyncSender<Request>>,
    wake: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
    _watch: Watch,
}

impl ProcessRuntime {
    /// Opens the runtime and takes over what runs of an earlier one: `adopted`, as [`crate::sweep::sweep`] has found it. Of
    /// anything else nothing may live any more; its directories are not taken over. Events say that a placement has ended;
    /// when nobody reads them they are dropped at [`limit::EVENTS_MAX`].
    ///
    /// # Errors
    /// [`RuntimeError::NamespacesUnavailable`]: this host runs no process jobs. [`RuntimeError::RunAsNeedsRoot`],
    /// [`RuntimeError::RootInUse`], [`RuntimeError::Record`] of one to be taken over, [`RuntimeError::Io`].
    pub fn open(
        settings: ProcessSettings,
        adopted: &[PlacementKey],
    ) -> Result<(Self, mpsc::Receiver<Exit>), RuntimeError> {
        let watch = Guard::Agent.take(&settings.root).map_err(|source| {
            if source.kind() == io::ErrorKind::WouldBlock {
                RuntimeError::RootInUse
            } else {
                RuntimeError::Io { what: "take the runtime directory", source }
            }
        })?;
        let capability =
            Capability::probe(&settings.shim, &settings.root, &settings.sandbox).map_err(
                |reason| RuntimeError::NamespacesUnavailable { reason, remedy: namespace::REMEDY },
            )?;
        let asked = matches!(settings.sandbox.users, JobUsers::One(_) | JobUsers::Range(_));
        if asked && capability.users == OwnUsers::Agent {
            return Err(RuntimeError::RunAsNeedsRoot);
        }
        sweep_groups(&capability, &settings.root);
        let mut shims = BTreeMap::new();
        for key in adopted {
            shims.insert(key.clone(), Shim::adopt(PlacementDir::new(&settings.root, key))?);
        }
        let of = |(key, shim): (&PlacementKey, &Shim)| {
            let running = shim.running().and_then(|_since| shim.pid());
            let state = running.map_or(State::Starting, |pid| State::Running { pid });
            (key.clone(), Entry { spec: None, run_as: None, wanted: Wanted::default(), state })
        };
        let table: Table = Arc::new(Mutex::new(shims.iter().map(of).collect()));
        let (requests, inbox) = sync_channel(limit::COMMANDS_MAX);
        let (events, receiver) = mpsc::channel(limit::EVENTS_MAX);
        let (woken, wake) = io::pipe().map_err(RuntimeError::io("make a pipe"))?;
        let root = settings.root.clone();
        let supervisor = Supervisor::new(root, Arc::clone(&table), inbox, woken, events, shims)
            .map_err(RuntimeError::io("set up the supervisor"))?;
        let thread = std::thread::Builder::new()
            .name("sekisho-process".to_owned())
            .spawn(move || supervisor.run())
            .map_err(RuntimeError::io("start the supervisor"))?;
        let runtime = Self {
            settings,
            capability,
            table,
            requests: Some(requests),
            wake: Some(wake),
            thread: Some(thread),
            _watch: watch,
        };
        Ok((runtime, receiver))
    }

    /// The directory of a placement, for [`crate::log::tail`].
    #[must_use]
    pub fn directory(&self, key: &PlacementKey) -> PlacementDir {
        PlacementDir::new(&self.settings.root, key)
    }

    /// What this host gives to keep jobs apart.
    #[must_use]
    pub const fn capability(&self) -> &Capability {
        &self.capability
    }

    /// Until when what the host's lease binds may live. Blocks.
    ///
    /// # Errors
    /// What the file system says; the deadline of before stands then.
    pub fn hold(&self, deadline: Deadline) -> io::Result<()> {
        deadline.write(&self.settings.root)
    }

    fn ask(&self, request: Request) -> Result<(), RuntimeError> {
        let (Some(requests), Some(mut wake)) = (self.requests.as_ref(), self.wake.as_ref()) else {
            return Err(RuntimeError::Gone);
        };
        requests.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => RuntimeError::Busy,
            TrySendError::Disconnected(_) => RuntimeError::Gone,
        })?;
        // Cannot block: at most as many bytes wait as requests, far fewer than a pipe holds.
        match wake.write_all(b"w") {
            Ok(()) => Ok(()),
            Err(_) => Err(RuntimeError::Gone),
        }
    }

    /// Marks a prepared placement as starting, so that no second start can begin.
    fn claim(&self, key: &PlacementKey) -> Result<Order, RuntimeError> {
        let mut table = self.table.lock();
        let entry = table.get_mut(key).ok_or(RuntimeError::Unknown)?;
        let (State::Prepared, Some(spec)) = (&entry.state, &entry.spec) else {
            return Err(RuntimeError::WrongState(name_of(&entry.state)));
        };
        let placement = spec.as_ref().clone();
        entry.state = State::Starting;
        Ok(Order {
            placement,
            dir: self.directory(key).path().to_owned(),
            namespaces: self.capability.namespaces,
            run_as: entry.run_as,
            sandbox: Sandbox {
                mounts: self.capability.mounts.is_ok(),
                seccomp: self.capability.seccomp.is_ok(),
                hidden: self.settings.sandbox.hidden.clone(),
                groups: self.capability.cgroup.parents.clone(),
                wanted: entry.wanted.clone(),
            },
            log_bytes: self.settings.log_bytes,
            parent: getpid().as_raw(),
        })
    }

    fn unclaim(&self, key: &PlacementKey) {
        if let Some(entry) = self.table.lock().get_mut(key)
            && entry.state == State::Starting
        {
            entry.state = State::Prepared;
        }
    }

    /// Passes a stop or a kill on. A placement not yet started is marked here and now: a start that comes before
    /// the supervisor has read the request must be refused.
    fn end(&self, key: &PlacementKey, request: Request) -> Result<(), RuntimeError> {
        {
            let mut table = self.table.lock();
            let entry = table.get_mut(key).ok_or(RuntimeError::Unknown)?;
            match entry.state {
                State::Ended(_) => return Ok(()),
                State::Prepared => entry.state = State::Stopping { pid: None },
                State::Starting | State::Running { .. } | State::Stopping { .. } => {}
            }
        }
        self.ask(request)
    }
}

impl Runtime for ProcessRuntime {
    fn prepare(&self, spec: PlacementSpec) -> Result<(), RuntimeError> {
        spec.check()?;
        let mut table = self.table.lock();
        if table.contains_key(&spec.key) {
            return Err(RuntimeError::AlreadyPrepared);
        }
        if table.len() >= limit::PLACEMENTS_MAX {
            return Err(RuntimeError::Full);
        }
        let SandboxSettings { users, limits, .. } = &self.settings.sandbox;
        let wanted = Wanted::of(&spec.limits, limits)?;
        let run_as = match self.capability.users {
            OwnUsers::Agent => None,
            OwnUsers::Each | OwnUsers::Shared => users
                .choose(&self.settings.root, &spec.key)
                .map_err(RuntimeError::io("choose a user for the job"))?,
        };
        let owner = run_as.map(|run_as| (run_as.uid, run_as.gid));
        if let Err(source) = self.directory(&spec.key).create(owner) {
            return Err(if source.kind() == io::ErrorKind::AlreadyExists {
                RuntimeError::AlreadyPrepared
            } else {
                RuntimeError::Io { what: "make the placement's directory", source }
            });
        }
        let (key, spec) = (spec.key.clone(), Some(Box::new(spec)));
        table.insert(key, Entry { spec, run_as, wanted, state: State::Prepared });
        Ok(())
    }

    async fn start(&self, key: &PlacementKey) -> Result<Running, RuntimeError> {
        let order = self.claim(key)?;
        let (reply, answer) = oneshot::channel();
        let start =
            Request::Start { order: Box::new(order), shim: self.settings.shim.clone(), reply };
        if let Err(error) = self.ask(start) {
            // Nothing was begun, so it can be tried again.
            self.unclaim(key);
            return Err(error);
        }
        answer.await.unwrap_or(Err(RuntimeError::Gone))
    }

    async fn running(&self, key: &PlacementKey) -> Result<Running, RuntimeError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Tell { key: key.clone(), reply })?;
        answer.await.unwrap_or(Err(RuntimeError::Gone))
    }

    fn stop(&self, key: &PlacementKey, grace: Duration) -> Result<(), RuntimeError> {
        self.end(key, Request::Stop { key: key.clone(), grace: grace.min(limit::GRACE_MAX) })
    }

    fn kill(&self, key: &PlacementKey) -> Result<(), RuntimeError> {
        self.end(key, Request::Kill { key: key.clone() })
    }

    fn observe(&self) -> Vec<(PlacementKey, State)> {
        self.table.lock().iter().map(|(key, entry)| (key.clone(), entry.state.clone())).collect()
    }

    fn forget(&self, key: &PlacementKey) -> Result<(), RuntimeError> {
        let mut table = self.table.lock();
        let state = &table.get(key).ok_or(RuntimeError::Unknown)?.state;
        if !matches!(state, State::Prepared | State::Ended(_)) {
            return Err(RuntimeError::WrongState(name_of(state)));
        }
        self.directory(key)
            .remove()
            .map_err(RuntimeError::io("remove the placement's directory"))?;
        cgroup::sweep(&self.capability.cgroup.parents, |gone| gone == key);
        table.remove(key);
        Ok(())
    }
}

impl Drop for ProcessRuntime {
    fn drop(&mut self) {
        // The end of both tells the supervisor to finish.
        self.requests = None;
        self.wake = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the supervisor panicked");
        }
        sweep_groups(&self.capability, &self.settings.root);
        self.capability.cgroup.leave();
    }
}

/// Removes the cgroups of placements that are over: those whose shim was killed before it could.
fn sweep_groups(capability: &Capability, root: &Path) {
    cgroup::sweep(&capability.cgroup.parents, |key| PlacementDir::new(root, key).is_over());
}

const fn name_of(state: &State) -> &'static str {
    match state {
        State::Prepared => "prepared",
        State::Starting => "starting",
        State::Running { .. } => "running",
        State::Stopping { .. } => "stopping",
        State::Ended(_) => "ended",
    }
}
