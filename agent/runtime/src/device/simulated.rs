//! Simulated GPUs: what a host without any advertises for development, tests and drills.
//!
//! Each is a lock file; see [`crate::device::tracer`] for what holding it means. A file `<uuid>.sick` beside it
//! makes it unhealthy, and its text is the reason: that is how a drill breaks a GPU.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::device::{Device, DeviceClass, DeviceError, Devices, Health};
use crate::limit;

/// Same devices, in islands of the same size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedGroup {
    /// Class of each.
    pub class: DeviceClass,
    /// Memory of each, in MiB; at least 1.
    pub memory_mib: u64,
    /// Number of islands; 0 for devices without NVLink.
    pub islands: u16,
    /// Devices of each island, or of the whole group when it has none; at least 1.
    pub devices: u32,
}

/// Settings of the simulation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedSettings {
    /// Directory of the lock files: one per host, and gone with a reboot, since traces count from boot.
    pub dir: PathBuf,
    /// What the host has.
    pub groups: Vec<SimulatedGroup>,
}

/// The simulated devices of one host.
#[derive(Debug)]
pub struct SimulatedDevices {
    devices: BTreeMap<String, Device>,
    dir: PathBuf,
}

impl SimulatedDevices {
    /// Makes the lock files that are not there yet. Ids are counted through in the order of the groups.
    ///
    /// # Errors
    /// [`DeviceError::Settings`], or [`DeviceError::Io`].
    pub fn open(settings: &SimulatedSettings) -> Result<Self, DeviceError> {
        let found = Self::of(settings)?;
        fs::create_dir_all(&found.dir).map_err(|source| io_error(&found.dir, source))?;
        for uuid in found.devices.keys() {
            let path = lock_path(&found.dir, uuid);
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
            drop(file.map_err(|source| io_error(&path, source))?);
        }
        Ok(found)
    }

    /// The same for who only looks: makes nothing, so that lock files may be missing.
    ///
    /// # Errors
    /// [`DeviceError::Settings`].
    pub fn of(settings: &SimulatedSettings) -> Result<Self, DeviceError> {
        Ok(Self { devices: lay_out(&settings.groups)?, dir: settings.dir.clone() })
    }

    /// The directory of locks and traces, for [`crate::device::tracer::check`].
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

fn lay_out(groups: &[SimulatedGroup]) -> Result<BTreeMap<String, Device>, DeviceError> {
    let mut devices = BTreeMap::new();
    let mut index = 0_u32;
    let mut island = 0_u16;
    for group in groups {
        if group.memory_mib == 0 || group.devices == 0 {
            return Err(DeviceError::Settings("a group needs devices, and they need memory"));
        }
        for _ in 0..group.islands.max(1) {
            let number = if group.islands == 0 { 0 } else { island.saturating_add(1) };
            island = island.max(number);
            for _ in 0..group.devices {
                if index >= limit::SIMULATED_MAX {
                    return Err(DeviceError::Settings("more devices than any host has"));
                }
                let uuid = format!("GPU-sim-{index:04}");
                let device = Device {
                    uuid: uuid.clone(),
                    class: group.class.clone(),
                    memory_mib: group.memory_mib,
                    island: number,
                    index,
                    health: Health::Healthy,
                };
                devices.insert(uuid, device);
                index = index.saturating_add(1);
            }
        }
    }
    Ok(devices)
}

impl Devices for SimulatedDevices {
    fn inventory(&self) -> Result<Vec<Device>, DeviceError> {
        let look = |device: &Device| {
            let path = self.dir.join(format!("{}.sick", device.uuid));
            let health = match fs::read_to_string(&path) {
                Ok(reason) => Health::Unhealthy(reason.trim().to_owned()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Health::Healthy,
                Err(source) => return Err(io_error(&path, source)),
            };
            Ok(Device { health, ..device.clone() })
        };
        self.devices.values().map(look).collect()
    }

    /// Looks into the kernel's table of locks. Taking the lock to see whether it is free would make a shim that
    /// starts at the same moment see a conflict that is none.
    fn is_occupied(&self, uuid: &str) -> Result<bool, DeviceError> {
        let path = self.lock_file(uuid).ok_or_else(|| DeviceError::Unknown(uuid.to_owned()))?;
        let inode = fs::metadata(&path).map_err(|source| io_error(&path, source))?.ino();
        let table = Path::new("/proc/locks");
        let locks = fs::read_to_string(table).map_err(|source| io_error(table, source))?;
        Ok(locks.lines().any(|line| locks_inode(line) == Some(inode)))
    }

    fn lock_file(&self, uuid: &str) -> Option<PathBuf> {
        self.devices.contains_key(uuid).then(|| lock_path(&self.dir, uuid))
    }
}

/// The inode of a line `1: FLOCK  ADVISORY  WRITE 123 fe:01:4711 0 EOF`. The device number is not compared: file
/// systems that make up their own show another one elsewhere. A false match only says "occupied".
fn locks_inode(line: &str) -> Option<u64> {
    let mut words = line.split_ascii_whitespace().skip_while(|word| *word != "FLOCK");
    words.nth(4)?.rsplit(':').next()?.parse().ok()
}

fn lock_path(dir: &Path, uuid: &str) -> PathBuf {
    dir.join(format!("{uuid}.lock"))
}

fn io_error(path: &Path, source: io::Error) -> DeviceError {
    DeviceError::Io { what: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::buckets;
    use crate::device::tracer::Held;
    use crate::placement::PlacementKey;

    fn group(class: &str, islands: u16, devices: u32) -> SimulatedGroup {
        SimulatedGroup {
            class: DeviceClass::new(class).unwrap(),
            memory_mib: 81_920,
            islands,
            devices,
        }
    }

    #[test]
    fn islands_become_buckets_and_a_drill_can_break_one() {
        let dir = tempfile::tempdir().unwrap();
        let groups = vec![group("h100-80g", 2, 4), group("l4", 0, 2)];
        let settings = SimulatedSettings { dir: dir.path().join("gpu"), groups };
        let devices = SimulatedDevices::open(&settings).unwrap();
        fs::write(settings.dir.join("GPU-sim-0005.sick"), "drill\n").unwrap();
        let inventory = devices.inventory().unwrap();
        assert_eq!(inventory[5].health, Health::Unhealthy("drill".to_owned()));
        let sizes: Vec<_> =
            buckets(&inventory).iter().map(|b| (b.id.clone(), b.devices.len())).collect();
        let expected = [("h100-80g.81920.1", 4), ("h100-80g.81920.2", 3), ("l4.81920.0", 2)];
        assert_eq!(sizes, expected.map(|(id, n)| (id.to_owned(), n)));
        let again = SimulatedDevices::open(&settings).unwrap();
        assert_eq!(again.inventory().unwrap(), inventory);
    }

    #[test]
    fn occupied_is_seen_without_touching_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let settings =
            SimulatedSettings { dir: dir.path().to_owned(), groups: vec![group("l4", 0, 1)] };
        let devices = SimulatedDevices::open(&settings).unwrap();
        let uuid = "GPU-sim-0000";
        assert!(!devices.is_occupied(uuid).unwrap());
        let claim = (uuid.to_owned(), devices.lock_file(uuid).unwrap());
        let held = Held::take(&[claim], &PlacementKey::new("p").unwrap()).unwrap();
        assert!(devices.is_occupied(uuid).unwrap());
        drop(held);
        assert!(!devices.is_occupied(uuid).unwrap());
        assert!(matches!(devices.is_occupied("other"), Err(DeviceError::Unknown(_))));
    }

    #[test]
    fn bad_settings_are_refused() {
        let open = |groups| {
            SimulatedDevices::open(&SimulatedSettings { dir: "/nonexistent".into(), groups })
        };
        for groups in [vec![group("l4", 1, 0)], vec![group("l4", u16::MAX, 1000)]] {
            assert!(matches!(open(groups), Err(DeviceError::Settings(_))));
        }
    }
}
