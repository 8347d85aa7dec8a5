//! How jobs are kept apart on this host: what the agent's settings say of it, and what of that an order to a shim carries.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cgroup::{Parents, Wanted};
use crate::limit;
use crate::placement::Limits;
use crate::users::JobUsers;

/// What the agent's settings say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxSettings {
    /// Whom jobs run as.
    pub users: JobUsers,
    /// The most that one job may have of this host, and what a job has that asks for nothing.
    pub limits: Limits,
    /// Directories that no job shall see, beside that of the placements; absolute, at most [`limit::HIDDEN_MAX`].
    pub hidden: Vec<PathBuf>,
}

impl Default for SandboxSettings {
    /// A user of its own for each job where that is possible, and a bound on processes.
    fn default() -> Self {
        let limits = Limits { pids: Some(limit::PIDS_DEFAULT), ..Limits::default() };
        Self { users: JobUsers::Possible, limits, hidden: Vec::new() }
    }
}

/// What a shim is told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sandbox {
    /// Whether this host lets a job have mounts of its own.
    pub mounts: bool,
    /// Whether its kernel filters system calls.
    pub seccomp: bool,
    /// Directories to hide beside that of the placements.
    pub hidden: Vec<PathBuf>,
    /// Where groups of jobs are.
    pub groups: Parents,
    /// What the job is held to.
    pub wanted: Wanted,
}
