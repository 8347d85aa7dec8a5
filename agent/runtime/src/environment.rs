//! The variables a job finds: the contract between Sekisho and a tenant's program.
//!
//! A job starts with these and its own, nothing of the agent's. Sekisho's are laid over the job's, so a job cannot
//! pretend another epoch (P7) or reach for another device.

use std::collections::BTreeMap;
use std::path::Path;

use crate::placement::{PlacementKey, PlacementSpec};
use sekisho_types::id::JobId;

/// Key of the placement; also the mark by which a restarted agent finds a shim.
pub const PLACEMENT: &str = "SEKISHO_PLACEMENT";
/// Runtime directory, only in a shim's environment: tells the shims of two runtimes on one host apart.
pub const RUNTIME_ROOT: &str = "SEKISHO_RUNTIME_ROOT";
/// Fencing epoch: text of fixed width that orders as text.
pub const EPOCH: &str = "SEKISHO_EPOCH";
/// Name of the job.
pub const JOB: &str = "SEKISHO_JOB";
/// Number of the task, of an array or service; otherwise not set.
pub const TASK: &str = "SEKISHO_TASK";
/// Number of devices.
pub const GPU_COUNT: &str = "SEKISHO_GPU_COUNT";
/// Rank in the group, from 0.
pub const RANK: &str = "SEKISHO_RANK";
/// Placements in the group.
pub const GROUP_SIZE: &str = "SEKISHO_GROUP_SIZE";
/// Devices by id. Empty when the job has none, which hides all.
pub const CUDA_VISIBLE_DEVICES: &str = "CUDA_VISIBLE_DEVICES";

const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// The environment of the placement's job, whose own directory is `work`.
#[must_use]
pub fn of_job(spec: &PlacementSpec, work: &Path) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: String| env.insert(name.to_owned(), value);
    set("PATH", PATH_DEFAULT.to_owned());
    set("HOME", work.to_string_lossy().into_owned());
    set("LANG", "C.UTF-8".to_owned());
    for (name, value) in &spec.payload.env {
        set(name, value.clone());
    }
    let uuids: Vec<&str> = spec.devices.iter().map(|device| device.uuid.as_str()).collect();
    set(CUDA_VISIBLE_DEVICES, uuids.join(","));
    set(PLACEMENT, spec.key.to_string());
    set(EPOCH, spec.epoch.to_string());
    match spec.job.parse::<JobId>() {
        Ok(JobId { task: Some(task), tenant, name }) => {
            set(JOB, format!("{tenant}/{name}"));
            set(TASK, task.to_string());
        }
        Ok(_) | Err(_) => {
            set(JOB, spec.job.clone());
        }
    }
    set(GPU_COUNT, spec.devices.len().to_string());
    set(RANK, spec.rank.to_string());
    set(GROUP_SIZE, spec.group_size.to_string());
    env
}

/// The environment of a shim: the mark by which it is found, and nothing else.
#[must_use]
pub fn of_shim(key: &PlacementKey, root: &Path) -> BTreeMap<String, String> {
    [
        (PLACEMENT.to_owned(), key.to_string()),
        (RUNTIME_ROOT.to_owned(), root.to_string_lossy().into_owned()),
    ]
    .into()
}
