//! What any way of running placements offers: prepare, start, stop, kill, observe, forget.
//!
//! Level-triggered: `observe` is the truth, events only say that it is worth a look. A placement stays in
//! `observe` after its end until it is forgotten, so that its end cannot be missed.

use std::future::Future;
use std::io;
use std::time::Duration;

use crate::cgroup::LimitError;
use crate::directory::{ExitRecord, StartFailure};
use crate::placement::{PlacementError, PlacementKey, PlacementSpec};
use crate::record::RecordError;

/// Where a placement is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Its directory is made.
    Prepared,
    /// A shim is on its way.
    Starting,
    /// The job runs; `pid` is the init of its namespace.
    Running {
        /// Number of the init, in the agent's namespace.
        pid: i32,
    },
    /// It was asked to stop or killed, and is not confirmed dead.
    Stopping {
        /// As in `Running`; `None` when it was stopped before it ran.
        pid: Option<i32>,
    },
    /// Nothing of it runs, by the kernel's word.
    Ended(ExitRecord),
}

/// A job that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// Number of the init of its namespace, in the agent's namespace.
    pub pid: i32,
    /// Since when, in nanoseconds since boot.
    pub since_boottime_ns: u64,
}

/// The end of a placement, as an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Which.
    pub key: PlacementKey,
    /// How.
    pub record: ExitRecord,
}

/// Why the runtime refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No PID namespace can be made here, so no process job may run.
    #[error("no namespaces for process jobs ({reason}); {remedy}")]
    NamespacesUnavailable {
        /// What the kernel said.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Another runtime uses the directory.
    #[error("runtime directory is in use by another agent")]
    RootInUse,
    /// What an earlier agent left is in the way, or it was adopted.
    #[error("a placement of this key was here before")]
    AlreadyPrepared,
    /// Jobs can change their user only when the agent is root.
    #[error("`run_as` and `job_users` need an agent that is root")]
    RunAsNeedsRoot,
    /// The host does not allow what the job asks for.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The placement breaks a rule.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// No such placement.
    #[error("no such placement")]
    Unknown,
    /// Not possible in the placement's present state.
    #[error("the placement is {0}")]
    WrongState(&'static str),
    /// As many placements as the runtime holds.
    #[error("the runtime holds as many placements as it may")]
    Full,
    /// Too many requests at once; ask again.
    #[error("the runtime is busy")]
    Busy,
    /// The runtime's thread is gone. Its jobs run on.
    #[error("the runtime has ended")]
    Gone,
    /// The job could not be started; nothing of it runs.
    #[error("the job could not be started: {0}")]
    StartFailed(#[source] StartFailure),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The file system or the kernel refused.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl RuntimeError {
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

/// A way to run placements.
pub trait Runtime: Send + Sync {
    /// Makes the placement's directory. Runs nothing.
    ///
    /// # Errors
    /// [`RuntimeError::Placement`], [`RuntimeError::AlreadyPrepared`], [`RuntimeError::Full`], [`RuntimeError::Io`].
    fn prepare(&self, spec: PlacementSpec) -> Result<(), RuntimeError>;

    /// Starts a prepared placement; resolves when the job's program runs or certainly does not.
    ///
    /// # Errors
    /// [`RuntimeError::StartFailed`], [`RuntimeError::Unknown`], [`RuntimeError::WrongState`],
    /// [`RuntimeError::Busy`], [`RuntimeError::Gone`].
    fn start(
        &self,
        key: &PlacementKey,
    ) -> impl Future<Output = Result<Running, RuntimeError>> + Send;

    /// Resolves when the job's program runs or certainly does not: for one that was adopted.
    ///
    /// # Errors
    /// As [`Runtime::start`].
    fn running(
        &self,
        key: &PlacementKey,
    ) -> impl Future<Output = Result<Running, RuntimeError>> + Send;

    /// Asks the job to end, and kills it after `grace`, at most [`crate::limit::GRACE_MAX`]. Returns at once; can be
    /// repeated, and a shorter grace wins. A placement that has ended is no error.
    ///
    /// # Errors
    /// [`RuntimeError::Unknown`], [`RuntimeError::Busy`], [`RuntimeError::Gone`].
    fn stop(&self, key: &PlacementKey, grace: Duration) -> Result<(), RuntimeError>;

    /// Kills the shim, and with it everything. Returns at once; can be repeated.
    ///
    /// # Errors
    /// As [`Runtime::stop`].
    fn kill(&self, key: &PlacementKey) -> Result<(), RuntimeError>;

    /// Every placement and its state, in order of keys.
    fn observe(&self) -> Vec<(PlacementKey, State)>;

    /// Removes an ended or never started placement and its directory, logs included.
    ///
    /// # Errors
    /// [`RuntimeError::Unknown`], [`RuntimeError::WrongState`], [`RuntimeError::Io`].
    fn forget(&self, key: &PlacementKey) -> Result<(), RuntimeError>;
}
