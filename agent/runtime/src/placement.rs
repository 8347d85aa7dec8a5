//! What a placement is to the runtime: its key, its fencing epoch, its devices and its payload.
//!
//! The types check themselves when they are made and when they are decoded, so that a value in hand is a valid one.
//! They say nothing about whether the placement may run: the agent's check list did.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use sekisho_types::payload::{JobPayload, PayloadError};
use serde::{Deserialize, Serialize};

use crate::cgroup::Controller;
use crate::limit;

/// Why a placement was refused before anything was touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// The key cannot name a directory.
    #[error("placement key must be 1 to {max} of a-z 0-9 . _ - and begin with a letter or digit", max = limit::KEY_BYTES_MAX)]
    Key,
    /// The job name cannot stand in an environment variable.
    #[error("job name must be 1 to {max} bytes without control characters", max = limit::KEY_BYTES_MAX)]
    Job,
    /// A device id cannot stand in `CUDA_VISIBLE_DEVICES` or name a file.
    #[error("device id must be 1 to {max} of A-Z a-z 0-9 - and begin with a letter or digit", max = limit::UUID_BYTES_MAX)]
    Device,
    /// Too many devices.
    #[error("more than {max} devices", max = limit::DEVICES_MAX)]
    Devices,
    /// One device is named twice.
    #[error("device {0} named twice")]
    DeviceTwice(String),
    /// The rank is not below the group size.
    #[error("rank {rank} outside a group of {size}")]
    Rank {
        /// The rank given.
        rank: u32,
        /// The group size given.
        size: u32,
    },
    /// The grace or the time limit is over its bound, or the time limit is zero.
    #[error("{what} out of bounds")]
    Duration {
        /// Which one.
        what: &'static str,
    },
    /// What to run is out of its bounds.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

/// Key of a placement on this host: unique for ever, so it carries the epoch in whatever form the caller likes.
/// It names the placement's directory, hence its narrow alphabet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlacementKey(String);

impl PlacementKey {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`PlacementError::Key`] when it is empty, too long, or could leave its directory.
    pub fn new(text: impl Into<String>) -> Result<Self, PlacementError> {
        let text = text.into();
        let first =
            text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let rest = text.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_')
        });
        if first && rest && text.len() <= limit::KEY_BYTES_MAX {
            Ok(Self(text))
        } else {
            Err(PlacementError::Key)
        }
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlacementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for PlacementKey {
    type Error = PlacementError;
    fn try_from(text: String) -> Result<Self, PlacementError> {
        Self::new(text)
    }
}

impl From<PlacementKey> for String {
    fn from(key: PlacementKey) -> Self {
        key.0
    }
}

/// Fencing epoch (P7): the cluster's incarnation, then the log index of the grant. Its text has a fixed width, so
/// that a job's storage can compare two of them as text and refuse the older writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Epoch {
    /// Incarnation of the cluster.
    pub incarnation: u64,
    /// Log index of the grant.
    pub index: u64,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{:020}", self.incarnation, self.index)
    }
}

/// A device that the placement holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceClaim {
    /// Id as NVML or the simulation gives it.
    pub uuid: String,
    /// Files of which to hold one locked for as long as the job lives; only simulated devices have such.
    pub locks: Vec<PathBuf>,
}

/// What a job may use of its host beside its devices. `None` = as much as a job may have there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Main memory, bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Processors, in thousandths.
    pub cpu_milli: Option<u64>,
}

impl Limits {
    /// What a payload asks for.
    #[must_use]
    pub fn asked(payload: &JobPayload) -> Self {
        Self {
            memory_bytes: payload.memory_mib.map(|mib| mib.saturating_mul(1 << 20)),
            pids: None,
            cpu_milli: payload.cpu_milli.map(u64::from),
        }
    }

    /// That of one controller.
    #[must_use]
    pub const fn of(&self, controller: Controller) -> Option<u64> {
        match controller {
            Controller::Memory => self.memory_bytes,
            Controller::Pids => self.pids,
            Controller::Cpu => self.cpu_milli,
        }
    }
}

/// Everything needed to run one placement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementSpec {
    /// Key, unique for ever on this host.
    pub key: PlacementKey,
    /// Name of the job, for `SEKISHO_JOB`; of a task, with its number.
    pub job: String,
    /// Fencing epoch, for `SEKISHO_EPOCH`.
    pub epoch: Epoch,
    /// Rank in its group, from 0.
    pub rank: u32,
    /// Placements in its group, from 1.
    pub group_size: u32,
    /// Devices it holds, in the order the job shall see them.
    pub devices: Vec<DeviceClaim>,
    /// What to run.
    pub payload: JobPayload,
    /// What it asks for of the host. A host that cannot hold it to that does not start it.
    pub limits: Limits,
    /// Time from the request to stop until the kill.
    pub grace: Duration,
    /// The job is dead at start + limit at the latest; it hears the request to stop one grace before.
    pub time_limit: Option<Duration>,
    /// Whether the end of the host's lease ends it ([`crate::deadline`]).
    pub bound: bool,
}

impl PlacementSpec {
    /// Checks what the field types do not.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn check(&self) -> Result<(), PlacementError> {
        let job_ok = (1..=limit::KEY_BYTES_MAX).contains(&self.job.len())
            && !self.job.chars().any(char::is_control);
        if !job_ok {
            return Err(PlacementError::Job);
        }
        if self.devices.len() > limit::DEVICES_MAX {
            return Err(PlacementError::Devices);
        }
        let mut seen = std::collections::BTreeSet::new();
        for device in &self.devices {
            if !uuid_is_sound(&device.uuid) {
                return Err(PlacementError::Device);
            }
            if !seen.insert(device.uuid.as_str()) {
                return Err(PlacementError::DeviceTwice(device.uuid.clone()));
            }
        }
        if self.rank >= self.group_size {
            return Err(PlacementError::Rank { rank: self.rank, size: self.group_size });
        }
        if self.grace > limit::GRACE_MAX {
            return Err(PlacementError::Duration { what: "grace" });
        }
        if self.time_limit.is_some_and(|t| t.is_zero() || t > limit::TIME_LIMIT_MAX) {
            return Err(PlacementError::Duration { what: "time limit" });
        }
        Ok(self.payload.check()?)
    }
}

/// Whether `uuid` can stand in a comma-separated list and name a file.
#[must_use]
pub fn uuid_is_sound(uuid: &str) -> bool {
    (1..=limit::UUID_BYTES_MAX).contains(&uuid.len())
        && uuid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !uuid.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> PlacementSpec {
        PlacementSpec {
            key: PlacementKey::new("job-1.0").unwrap(),
            job: "job-1".to_owned(),
            epoch: Epoch { incarnation: 1, index: 9 },
            rank: 0,
            group_size: 1,
            devices: vec![DeviceClaim { uuid: "GPU-1".to_owned(), locks: Vec::new() }],
            payload: JobPayload { command: vec!["/bin/true".to_owned()], ..JobPayload::default() },
            limits: Limits::default(),
            grace: limit::GRACE_DEFAULT,
            time_limit: None,
            bound: false,
        }
    }

    #[test]
    fn a_key_can_never_leave_its_directory() {
        for bad in ["", ".", "..", "../x", "a/b", "-a", "A", "a b", "a\0", &"a".repeat(129)] {
            assert_eq!(PlacementKey::new(bad), Err(PlacementError::Key), "{bad:?}");
        }
        let bytes = postcard::to_allocvec("../x").unwrap();
        assert!(
            postcard::from_bytes::<PlacementKey>(&bytes).is_err(),
            "decoding must check as well"
        );
        assert_eq!(PlacementKey::new("a..b_c-1").unwrap().as_str(), "a..b_c-1");
    }

    #[test]
    fn epochs_order_as_text() {
        let texts: Vec<String> = [(1, 9), (1, 10), (2, 1), (10, 0)]
            .map(|(incarnation, index)| Epoch { incarnation, index }.to_string())
            .to_vec();
        let mut sorted = texts.clone();
        sorted.sort();
        assert_eq!(texts, sorted);
    }

    #[test]
    fn a_spec_is_checked() {
        assert_eq!(spec().check(), Ok(()));
        let mut twice = spec();
        twice.devices.push(twice.devices[0].clone());
        assert_eq!(twice.check(), Err(PlacementError::DeviceTwice("GPU-1".to_owned())));
        let mut comma = spec();
        comma.devices[0].uuid = "GPU-1,GPU-2".to_owned();
        assert_eq!(comma.check(), Err(PlacementError::Device));
        let rank = PlacementSpec { rank: 1, ..spec() };
        assert_eq!(rank.check(), Err(PlacementError::Rank { rank: 1, size: 1 }));
        let limit = PlacementSpec { time_limit: Some(Duration::ZERO), ..spec() };
        assert_eq!(limit.check(), Err(PlacementError::Duration { what: "time limit" }));
        let grace = PlacementSpec { grace: Duration::MAX, ..spec() };
        assert_eq!(grace.check(), Err(PlacementError::Duration { what: "grace" }));
        let job = PlacementSpec { job: "a\nb".to_owned(), ..spec() };
        assert_eq!(job.check(), Err(PlacementError::Job));
    }
}
