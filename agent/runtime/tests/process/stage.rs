//! What a test needs around a job: a runtime in a directory of its own, and eyes on its processes.

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sekisho_agent_runtime::directory::{ExitRecord, ExitStatus};
use sekisho_agent_runtime::limit::LOG_BYTES_DEFAULT;
use sekisho_agent_runtime::log::{Stream, tail};
use sekisho_agent_runtime::placement::{Epoch, Limits, PlacementKey, PlacementSpec};
use sekisho_agent_runtime::process::{ProcessRuntime, ProcessSettings};
use sekisho_agent_runtime::procfs;
use sekisho_agent_runtime::runtime::{Exit, Running, Runtime, RuntimeError, State};
use sekisho_agent_runtime::sandbox::SandboxSettings;
use sekisho_agent_runtime::shim::ShimCommand;
use sekisho_agent_runtime::shim::wire::RunAs;
use sekisho_agent_runtime::users::JobUsers;
use sekisho_types::payload::JobPayload;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// No condition in these tests needs longer, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Stage {
    pub(crate) runtime: ProcessRuntime,
    pub(crate) exits: mpsc::Receiver<Exit>,
    pub(crate) dir: TempDir,
}

impl Stage {
    /// `None`, and told, where no namespaces can be made.
    pub(crate) fn open() -> Option<Self> {
        Self::open_with(|_| {})
    }

    pub(crate) fn open_as(run_as: RunAs) -> Option<Self> {
        Self::open_with(|settings| settings.sandbox.users = JobUsers::One(run_as))
    }

    pub(crate) fn open_with(change: impl FnOnce(&mut ProcessSettings)) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        // A job of another user must reach its own directory.
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))
            .unwrap();
        let mut settings = settings(&dir.path().join("run"));
        change(&mut settings);
        match ProcessRuntime::open(settings, &[]) {
            Ok((runtime, exits)) => Some(Self { runtime, exits, dir }),
            Err(
                error @ (RuntimeError::NamespacesUnavailable { .. } | RuntimeError::RunAsNeedsRoot),
            ) => {
                not_run(&error);
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    pub(crate) async fn start(&self, spec: PlacementSpec) -> Result<Running, RuntimeError> {
        let key = spec.key.clone();
        self.runtime.prepare(spec).unwrap();
        self.runtime.start(&key).await
    }

    /// Starts a shell script and waits until it has said `ready`.
    pub(crate) async fn start_ready(&self, name: &str, script: &str) -> PlacementSpec {
        let spec = shell(name, script);
        self.start(spec.clone()).await.unwrap();
        until("the job is ready", || self.stdout(&spec.key).contains("ready")).await;
        spec
    }

    /// Runs a shell script to its end.
    pub(crate) async fn run(&mut self, name: &str, script: &str) -> (ExitStatus, String) {
        let spec = shell(name, script);
        let key = spec.key.clone();
        self.start(spec).await.unwrap();
        let status = self.ended(&key).await;
        (status, self.stdout(&key))
    }

    /// The end of `key`, by its event, which must agree with what is observed and what is on disk.
    pub(crate) async fn ended(&mut self, key: &PlacementKey) -> ExitStatus {
        let exit = tokio::time::timeout(PATIENCE, self.exits.recv()).await.unwrap().unwrap();
        assert_eq!(&exit.key, key);
        let observed = self.state(key);
        assert_eq!(observed, State::Ended(exit.record.clone()));
        assert_eq!(on_disk(&self.root(), key), Some(exit.record.clone()));
        assert_eq!(processes_of(key), Vec::<i32>::new(), "an end is told before all are dead");
        exit.record.status
    }

    pub(crate) fn state(&self, key: &PlacementKey) -> State {
        self.runtime.observe().into_iter().find(|(known, _)| known == key).unwrap().1
    }

    pub(crate) fn stdout(&self, key: &PlacementKey) -> String {
        let chunk = tail(self.runtime.directory(key).path(), Stream::Stdout, 0, 1 << 20).unwrap();
        String::from_utf8(chunk.data).unwrap()
    }
}

pub(crate) fn settings(root: &Path) -> ProcessSettings {
    let shim = ShimCommand { program: env!("CARGO_BIN_EXE_sekisho-shim").into(), args: vec![] };
    let (root, sandbox) = (root.to_owned(), SandboxSettings::default());
    ProcessSettings { root, shim, sandbox, log_bytes: LOG_BYTES_DEFAULT }
}

pub(crate) fn on_disk(root: &Path, key: &PlacementKey) -> Option<ExitRecord> {
    sekisho_agent_runtime::directory::PlacementDir::new(root, key).exit().unwrap()
}

/// A placement whose key no other test or run on this host has.
pub(crate) fn shell(name: &str, script: &str) -> PlacementSpec {
    let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    PlacementSpec {
        key: PlacementKey::new(format!("{name}-{}", std::process::id())).unwrap(),
        job: name.to_owned(),
        epoch: Epoch { incarnation: 1, index: 42 },
        rank: 0,
        group_size: 1,
        devices: vec![],
        payload: JobPayload { command, ..JobPayload::default() },
        limits: Limits::default(),
        grace: Duration::from_secs(5),
        time_limit: None,
        bound: false,
    }
}

/// Every living process on the host, shims included, that carries the placement in its environment.
pub(crate) fn processes_of(key: &PlacementKey) -> Vec<i32> {
    let mark = format!("SEKISHO_PLACEMENT={key}");
    let carries = |pid: &i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|b| *b == 0).any(|line| line == mark.as_bytes())
    };
    let alive =
        |pid: &i32| procfs::ProcessId::of(*pid).unwrap().is_some_and(|p| p.is_alive().unwrap());
    procfs::pids().unwrap().into_iter().filter(carries).filter(alive).collect()
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        // waits: for other processes, which tell us nothing.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn not_run(reason: &dyn Display) {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    drop(writeln!(std::io::stderr(), "NOT RUN: {reason}"));
    if let Some(path) = std::env::var_os("SEKISHO_NOT_RUN") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(file, "{test}: {reason}").unwrap();
    }
}
