//! The agent's settings file, TOML. Unknown keys are refused: a misspelt one must not silently mean the default.

use crate::failure::{Failure, explain};
use crate::limit::TEXT_FILE_MAX;
use sekisho_agent_runtime::device::simulated::SimulatedGroup;
use sekisho_agent_runtime::shim::wire::RunAs;
use sekisho_evidence::tag::TagArea;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::NodeId;
use serde::{Deserialize, Deserializer};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

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
    /// User of the jobs; needs an agent that is root.
    #[serde(default)]
    pub run_as: Option<User>,
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

impl From<User> for RunAs {
    fn from(user: User) -> Self {
        Self { uid: user.uid, gid: user.gid }
    }
}

fn log() -> String {
    "info".to_owned()
}

fn node<'de, D: Deserializer<'de>>(from: D) -> Result<Option<NodeId>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
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
        Ok(config)
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
        assert_eq!((least.devices, least.node), (Devices::Nvidia, None));
        assert_eq!(least.area, TagArea::Foreign("KR-26".to_owned()));
        for bad in [
            "",
            "area = 'JP'",
            "area = 'Atlantis'\ndata_dir = '/d'",
            "area = 'JP'\ndata_dir = 'relative'",
            "area = 'JP'\ndata_dir = '/d'\nlisten = '0.0.0.0:1'",
            "area = 'JP'\ndata_dir = '/d'\n[devices]\nkind = 'other'",
            &GOOD.replace("islands", "island"),
            &GOOD.replace("dir = \"/run", "directory = \"/run"),
        ] {
            let refused = Config::parse(bad).map_err(|failure| failure.code);
            assert_eq!(refused, Err(ErrorCode::InvalidArgument), "{bad}");
        }
    }
}
