//! The agent's settings file, TOML. Unknown keys are refused: a misspelt one must not silently mean the default.

use crate::failure::Failure;
use crate::limit::TEXT_FILE_MAX;
use crate::location::{Via, read_via};
use sekisho_agent_runtime::device::simulated::SimulatedGroup;
use sekisho_agent_runtime::limit::{
    HIDDEN_MAX, LOG_BYTES_DEFAULT, LOG_BYTES_MAX, LOG_BYTES_MIN, NPROC_MAX, PIDS_DEFAULT, PIDS_MIN,
};
use sekisho_agent_runtime::placement::{Limits, uuid_is_sound};
use sekisho_agent_runtime::sandbox::SandboxSettings;
use sekisho_agent_runtime::shim::wire::RunAs;
use sekisho_agent_runtime::users::{JobUsers, UserRange};
use sekisho_evidence::tag::TagArea;
use sekisho_transport::names::Names;
use sekisho_types::cause::explain;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::NodeId;
use sekisho_types::limit::SHARES_MAX;
use sekisho_types::name::Name;
use sekisho_types::payload::{CPU_MILLI, MEMORY_MIB};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const MIB: u64 = 1024 * 1024;

/// The agent's settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which node this is, `site/name`; only compared with the join token and the enrolment.
    #[serde(default, deserialize_with = "node")]
    pub node: Option<NodeId>,
    /// Where the host stands: an area of Japan, or another country's ISO code, which is then refused.
    #[serde(deserialize_with = "area")]
    pub area: TagArea,
    /// Rack of its site that the host stands in, so that groups can be placed within one. Says nothing of residency.
    #[serde(default)]
    pub rack: Option<Name>,
    /// Directory of everything that the agent keeps; absolute.
    pub data_dir: PathBuf,
    /// Join token to use when the host has not joined.
    #[serde(default)]
    pub token: Option<PathBuf>,
    /// Filter of the log, as of `tracing-subscriber`.
    #[serde(default = "log")]
    pub log: String,
    /// Which devices to offer.
    #[serde(default)]
    pub devices: Devices,
    /// Whole devices on which several jobs compute in turns; a job is put there only if it agrees to that. None of them is
    /// offered alone.
    #[serde(default)]
    pub shared_devices: Vec<SharedDevice>,
    /// One user for all jobs, in place of one for each; needs an agent that is root.
    #[serde(default)]
    pub run_as: Option<User>,
    /// Users of which each job gets one of its own; needs an agent that is root, which without this takes 65,536 from
    /// 1,900,000,000.
    #[serde(default)]
    pub job_users: Option<Users>,
    /// The most that one job may have of this host, and what a job has that asks for nothing.
    #[serde(default)]
    pub job_limits: JobLimits,
    /// Directories that no job shall see, beside `data_dir`; absolute.
    #[serde(default)]
    pub hidden_dirs: Vec<PathBuf>,
    /// About how much of each output stream of a job to keep, MiB: the newest.
    #[serde(default = "job_log_mib")]
    pub job_log_mib: u64,
    /// Who is asked for the addresses of members and landmarks that are named by name; without, such names are refused.
    #[serde(default)]
    pub resolvers: Vec<SocketAddr>,
    /// Where something forwards datagrams to landmarks, by landmark (`operator/name`), in place of the addresses that
    /// their operators registered.
    #[serde(default, deserialize_with = "via")]
    pub landmark_via: Via,
}

/// A device that is shared.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedDevice {
    /// Its id, as the driver tells it.
    pub device: String,
    /// Jobs at once, 2 to 16. Each counts on its part of the memory; nothing holds the others to theirs.
    pub shares: u32,
}

/// Users that belong to jobs alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    /// Lowest.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// Limits of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobLimits {
    /// Main memory, MiB; none when left out.
    pub memory_mib: Option<u64>,
    /// Processors, in thousandths; none when left out.
    pub cpu_milli: Option<u32>,
    /// Processes and threads.
    pub pids: u64,
}

impl Default for JobLimits {
    fn default() -> Self {
        Self { memory_mib: None, cpu_milli: None, pids: PIDS_DEFAULT }
    }
}

/// Which devices to offer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Devices {
    /// What the NVIDIA driver shows; none where there is no driver.
    #[default]
    Nvidia,
    /// Simulated ones, for development, tests and drills.
    Simulated {
        /// Directory of their lock files; one per host. `DATA_DIR/devices` when left out.
        #[serde(default)]
        dir: Option<PathBuf>,
        /// What the host has.
        groups: Vec<SimulatedGroup>,
    },
}

/// A user that jobs run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl SharedDevice {
    fn is_sound(&self) -> bool {
        uuid_is_sound(&self.device) && (2..=SHARES_MAX).contains(&self.shares)
    }
}

impl From<User> for RunAs {
    fn from(user: User) -> Self {
        Self { uid: user.uid, gid: user.gid }
    }
}

const fn job_log_mib() -> u64 {
    LOG_BYTES_DEFAULT / MIB
}

fn log() -> String {
    "info".to_owned()
}

fn node<'de, D: Deserializer<'de>>(from: D) -> Result<Option<NodeId>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

fn via<'de, D: Deserializer<'de>>(from: D) -> Result<Via, D::Error> {
    read_via(&BTreeMap::deserialize(from)?).map_err(serde::de::Error::custom)
}

fn area<'de, D: Deserializer<'de>>(from: D) -> Result<TagArea, D::Error> {
    let text = String::deserialize(from)?;
    TagArea::resolve(&text).map_err(serde::de::Error::custom)
}

/// Reads a small text file.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let fail = |cause: String| {
        Failure::new(ErrorCode::InvalidArgument, format!("{}: {cause}", path.display()))
            .remedy("Name a readable file.")
    };
    let file = File::open(path).map_err(|error| fail(error.to_string()))?;
    let mut text = String::new();
    let most = file.take(TEXT_FILE_MAX).read_to_string(&mut text);
    most.map_err(|error| fail(error.to_string()))?;
    Ok(text)
}

impl Config {
    /// Reads a settings file.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` with the place in the file.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        Self::parse(&read_text(path)?).map_err(|failure| {
            Failure::new(failure.code, format!("{}: {}", path.display(), failure.cause))
                .remedy("Correct the settings file.")
        })
    }

    /// Reads settings.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let invalid = |cause: String| Failure::new(ErrorCode::InvalidArgument, cause);
        let config: Self = toml::from_str(text).map_err(|error| invalid(explain(&error)))?;
        if !config.data_dir.is_absolute() {
            return Err(invalid("data_dir must be an absolute path".to_owned()));
        }
        config.sandbox()?;
        if let Some(bad) = config.shared_devices.iter().find(|one| !one.is_sound()) {
            return Err(invalid(format!(
                "shared_devices: `{}`: `device` is an id like GPU-…, `shares` is 2 to {SHARES_MAX}",
                bad.device
            )));
        }
        if config.shares().len() < config.shared_devices.len() {
            return Err(invalid("shared_devices: a device is named twice".to_owned()));
        }
        let (least, most) = (LOG_BYTES_MIN / MIB, LOG_BYTES_MAX / MIB);
        if !(least..=most).contains(&config.job_log_mib) {
            return Err(invalid(format!("job_log_mib must be {least} to {most}")));
        }
        if let Some(address) = config.names()?.unknown(config.landmark_via.values()) {
            return Err(invalid(format!(
                "landmark_via: `{address}` is a name and `resolvers` is empty: write an address, or set `resolvers`"
            )));
        }
        Ok(config)
    }

    /// How many jobs share each shared device.
    #[must_use]
    pub fn shares(&self) -> BTreeMap<String, u32> {
        self.shared_devices.iter().map(|one| (one.device.clone(), one.shares)).collect()
    }

    /// Who is asked for the addresses of names.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`; not of settings that were parsed.
    pub fn names(&self) -> Result<Names, Failure> {
        Names::configured(&self.resolvers)
            .map_err(|error| Failure::new(ErrorCode::InvalidArgument, explain(&error)))
    }

    /// How jobs are kept apart.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`.
    pub fn sandbox(&self) -> Result<SandboxSettings, Failure> {
        let invalid = |cause: String| Failure::new(ErrorCode::InvalidArgument, cause);
        let default = SandboxSettings::default();
        let users = match (self.run_as, self.job_users) {
            (Some(_), Some(_)) => {
                return Err(invalid("set `run_as` or `job_users`, not both".to_owned()));
            }
            (Some(User { uid: 0, .. } | User { gid: 0, .. }), None) => {
                return Err(invalid("`run_as` must not be root".to_owned()));
            }
            (Some(user), None) => JobUsers::One(user.into()),
            (None, Some(Users { first, count })) => {
                let range = UserRange::new(first, count);
                JobUsers::Range(range.map_err(|error| invalid(error.to_string()))?)
            }
            (None, None) => default.users,
        };
        let JobLimits { memory_mib, cpu_milli, pids } = self.job_limits;
        let bounded = (PIDS_MIN..=NPROC_MAX).contains(&pids)
            && memory_mib.is_none_or(|memory| MEMORY_MIB.contains(&memory))
            && cpu_milli.is_none_or(|cpus| CPU_MILLI.contains(&cpus));
        if !bounded {
            return Err(invalid(format!(
                "job_limits: memory_mib must be {} to {}, cpu_milli {} to {}, pids {PIDS_MIN} to {NPROC_MAX}",
                MEMORY_MIB.start(),
                MEMORY_MIB.end(),
                CPU_MILLI.start(),
                CPU_MILLI.end()
            )));
        }
        let hidden: Vec<PathBuf> =
            self.hidden_dirs.iter().chain([&self.data_dir]).cloned().collect();
        let root = |dir: &PathBuf| !dir.is_absolute() || dir.parent().is_none();
        if hidden.len() > HIDDEN_MAX || hidden.iter().any(root) {
            let why = format!("hidden_dirs: at most {HIDDEN_MAX} absolute paths, and none is `/`");
            return Err(invalid(why));
        }
        let limits = Limits {
            memory_bytes: memory_mib.map(|mib| mib.saturating_mul(MIB)),
            pids: Some(pids),
            cpu_milli: cpu_milli.map(u64::from),
        };
        Ok(SandboxSettings { users, limits, hidden })
    }

    /// About how much of each output stream of a job to keep, bytes.
    #[must_use]
    pub const fn log_bytes(&self) -> u64 {
        self.job_log_mib.saturating_mul(MIB)
    }

    /// Directory of the placements.
    #[must_use]
    pub fn runtime_dir(&self) -> PathBuf {
        self.data_dir.join("placements")
    }

    /// Directory of the simulated devices' lock files.
    #[must_use]
    pub fn devices_dir(&self) -> PathBuf {
        let default = || self.data_dir.join("devices");
        match &self.devices {
            Devices::Simulated { dir, .. } => dir.clone().unwrap_or_else(default),
            Devices::Nvidia => default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        node = "ishikari-1/n-01"
        area = "012351"
        data_dir = "/var/lib/sekisho-agent"
        [devices]
        kind = "simulated"
        dir = "/run/gpus"
        [[devices.groups]]
        class = "h100-80g"
        memory_mib = 81920
        islands = 1
        devices = 4
    "#;

    #[test]
    fn settings_are_read_and_unknown_ones_refused() {
        let config = Config::parse(GOOD).unwrap();
        assert_eq!(config.node, Some("ishikari-1/n-01".parse().unwrap()));
        assert!(matches!(&config.devices, Devices::Simulated { groups, .. } if groups.len() == 1));
        assert_eq!((config.log.as_str(), config.token), ("info", None));
        let least = Config::parse("area = 'KR-26'\ndata_dir = '/d'").unwrap();
        assert_eq!(least.log_bytes(), LOG_BYTES_DEFAULT);
        assert_eq!(least.sandbox().unwrap().hidden, [PathBuf::from("/d")]);
        assert_eq!((least.devices, least.node), (Devices::Nvidia, None));
        assert_eq!(least.area, TagArea::Foreign("KR-26".to_owned()));
        let set = "area = 'JP'\ndata_dir = '/d'\njob_users = { first = 200000, count = 65536 }\n\
                   job_limits = { memory_mib = 1024, pids = 64 }\nhidden_dirs = ['/srv/keys']";
        let sandbox = Config::parse(set).unwrap().sandbox().unwrap();
        assert!(matches!(sandbox.users, JobUsers::Range(range) if range.contains(200_000)));
        let limits = Limits { memory_bytes: Some(1 << 30), pids: Some(64), cpu_milli: None };
        assert_eq!(sandbox.limits, limits);
        let via = "area = 'JP'\ndata_dir = '/d'\n[landmark_via]\n'kanto/otemachi' = '127.0.0.1:9'";
        let config = Config::parse(via).unwrap();
        let landmark = "kanto/otemachi".parse().unwrap();
        assert_eq!(config.landmark_via[&landmark].to_string(), "127.0.0.1:9");
        let named = via.replace("127.0.0.1:9", "relay.kanto.example:9");
        let asks = format!("resolvers = ['10.0.0.53:53', '[2001:db8::53]:53']\n{named}");
        assert!(!Config::parse(&asks).unwrap().names().unwrap().is_nobody());
        for bad in [
            "",
            &named,
            &asks.replace("10.0.0.53:53", "10.0.0.53"),
            &asks.replace("10.0.0.53:53", "dns.kanto.example:53"),
            &asks.replace("10.0.0.53:53", "0.0.0.0:53"),
            &asks.replace("'10.0.0.53:53'", "'10.0.0.53:53', '10.0.1.53:53', '10.0.2.53:53'"),
            &via.replace("kanto/", ""),
            &via.replace("127.0.0.1:9", "nowhere"),
            "area = 'JP'",
            "area = 'Atlantis'\ndata_dir = '/d'",
            "area = 'JP'\ndata_dir = 'relative'",
            "area = 'JP'\ndata_dir = '/d'\nlisten = '0.0.0.0:1'",
            "area = 'JP'\ndata_dir = '/d'\n[devices]\nkind = 'other'",
            "area = 'JP'\ndata_dir = '/d'\njob_log_mib = 0",
            "area = 'JP'\ndata_dir = '/d'\njob_log_mib = 1025",
            "area = 'JP'\ndata_dir = '/d'\nhidden_dirs = ['relative']",
            "area = 'JP'\ndata_dir = '/d'\nhidden_dirs = ['/']",
            "area = 'JP'\ndata_dir = '/d'\nrun_as = { uid = 0, gid = 5 }",
            "area = 'JP'\ndata_dir = '/d'\nrun_as = { uid = 5, gid = 0 }",
            "area = 'JP'\ndata_dir = '/d'\nrun_as = { uid = 5, gid = 5 }\njob_users = { first = 200000, count = 65536 }",
            "area = 'JP'\ndata_dir = '/d'\njob_users = { first = 0, count = 65536 }",
            "area = 'JP'\ndata_dir = '/d'\njob_users = { first = 200000, count = 9 }",
            "area = 'JP'\ndata_dir = '/d'\njob_limits = { pids = 0 }",
            "area = 'JP'\ndata_dir = '/d'\njob_limits = { memory_mib = 1 }",
            "area = 'JP'\ndata_dir = '/d'\njob_limits = { cpus = 1 }",
            &GOOD.replace("islands", "island"),
            &GOOD.replace("dir = \"/run", "directory = \"/run"),
        ] {
            let refused = Config::parse(bad).map_err(|failure| failure.code);
            assert_eq!(refused, Err(ErrorCode::InvalidArgument), "{bad}");
        }
    }

    #[test]
    fn shared_devices_are_named_once_with_their_shares() {
        let shared = |lines: &str| {
            let config = Config::parse(&format!("area = 'JP'\ndata_dir = '/d'\n{lines}"));
            config.map(|config| config.shares()).map_err(|failure| failure.code)
        };
        let one = "[[shared_devices]]\ndevice = 'GPU-1'\nshares = 4\n";
        assert_eq!(shared(""), Ok(BTreeMap::new()));
        assert_eq!(shared(one), Ok([("GPU-1".to_owned(), 4)].into()));
        for bad in [
            one.replace("= 4", "= 1"),
            one.replace("= 4", "= 17"),
            one.replace("GPU-1", ""),
            one.replace("GPU-1", "GPU-1,GPU-2"),
            one.replace("shares = 4", ""),
            one.repeat(2),
        ] {
            assert_eq!(shared(&bad), Err(ErrorCode::InvalidArgument), "{bad}");
        }
    }

    #[test]
    fn a_rack_is_a_name_or_is_not_told() {
        let rack = |line: &str| {
            let config = Config::parse(&format!("area = 'JP'\ndata_dir = '/d'\n{line}"));
            config.map(|config| config.rack).map_err(|failure| failure.code)
        };
        assert_eq!(rack(""), Ok(None));
        assert_eq!(rack("rack = 'r12'"), Ok(Some("r12".parse().unwrap())));
        for bad in ["rack = ''", "rack = 'R 12'", "rack = 12"] {
            assert_eq!(rack(bad), Err(ErrorCode::InvalidArgument), "{bad}");
        }
    }
}
