//! Devices as the control plane accounts them: buckets of equal GPUs on one node. Which GPU a job gets inside a
//! bucket is the agent's choice alone.

use crate::id::DeviceClass;
use serde::{Deserialize, Serialize};

/// A group of equal devices on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Device class.
    pub class: DeviceClass,
    /// Memory of each device in MiB.
    pub memory_mib: u64,
    /// NVLink island within the node; devices of one bucket share it, so those of one member are of one island.
    pub island: u16,
    /// Healthy devices.
    pub count: u32,
}
