//! Simulated GPUs: what a host without any advertises for development, tests and drills.
//!
//! Each is a lock file; see [`crate::device::tracer`] for what holding it means. A file `<uuid>.sick` beside it
//! makes it unhealthy, and its text is the reason: that is how a drill breaks a GPU. A device may be in MIG instances, each
//! with a lock file of its own; a shared one has a lock file for each share.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sekisho_types::device::MigProfile;
use sekisho_types::power::DEVICE_WATTS_MAX;
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
    /// Compute slices of each whole device; 0 = not told.
    #[serde(default)]
    pub units: u32,
    /// Power that each whole device may draw, watts; 0 = not told.
    #[serde(default)]
    pub watts: u32,
    /// What each device is in; nothing = it is whole.
    #[serde(default)]
    pub mig: Vec<SimulatedInstances>,
}

/// Equal MIG instances of one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedInstances {
    /// Their profile.
    pub profile: MigProfile,
    /// Memory of each, in MiB; at least 1.
    pub memory_mib: u64,
    /// Compute slices of each.
    pub units: u32,
    /// How many there are; at least 1.
    pub count: u32,
}

/// Settings of the simulation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedSettings {
    /// Directory of the lock files: one per host, and gone with a reboot, since traces count from boot.
    pub dir: PathBuf,
    /// What the host has.
    pub groups: Vec<SimulatedGroup>,
    /// Shares of each shared device.
    #[serde(default)]
    pub shares: BTreeMap<String, u32>,
}

/// The simulated devices of one host.
#[derive(Debug)]
pub struct SimulatedDevices {
    devices: BTreeMap<String, Device>,
    shares: BTreeMap<String, u32>,
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
        for path in found.devices.keys().flat_map(|uuid| found.lock_files(uuid)) {
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
        let (dir, shares) = (settings.dir.clone(), settings.shares.clone());
        Ok(Self { devices: lay_out(&settings.groups)?, shares, dir })
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
        let empty = |one: &SimulatedInstances| one.memory_mib == 0 || one.count == 0;
        if group.watts > DEVICE_WATTS_MAX {
            return Err(DeviceError::Settings("no device draws so much"));
        }
        if group.memory_mib == 0 || group.devices == 0 || group.mig.iter().any(empty) {
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
                    gpu: uuid.clone(),
                    uuid,
                    class: group.class.clone(),
                    memory_mib: group.memory_mib,
                    units: group.units,
                    watts: group.watts,
                    profile: None,
                    island: number,
                    index,
                    health: Health::Healthy,
                };
                let made = instances(&device, &group.mig)?;
                let made = if made.is_empty() { vec![device] } else { made };
                devices.extend(made.into_iter().map(|device| (device.uuid.clone(), device)));
                index = index.saturating_add(1);
            }
        }
    }
    Ok(devices)
}

fn instances(gpu: &Device, mig: &[SimulatedInstances]) -> Result<Vec<Device>, DeviceError> {
    let mut made: Vec<Device> = Vec::new();
    for one in mig {
        let class = gpu.class.of_instances(&one.profile)?;
        for _ in 0..one.count {
            let number = u32::try_from(made.len()).unwrap_or(u32::MAX);
            if number >= limit::INSTANCES_MAX {
                return Err(DeviceError::Settings("more instances than any device has"));
            }
            made.push(Device {
                uuid: format!("MIG-sim-{:04}-{number}", gpu.index),
                class: class.clone(),
                memory_mib: one.memory_mib,
                units: one.units,
                profile: Some(one.profile.clone()),
                island: 0,
                ..gpu.clone()
            });
        }
    }
    Ok(made)
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
        let paths = self.lock_files(uuid);
        if paths.is_empty() {
            return Err(DeviceError::Unknown(uuid.to_owned()));
        }
        let inode = |path: &PathBuf| {
            fs::metadata(path).map(|found| found.ino()).map_err(|source| io_error(path, source))
        };
        let inodes = paths.iter().map(inode).collect::<Result<Vec<u64>, _>>()?;
        let table = Path::new("/proc/locks");
        let locks = fs::read_to_string(table).map_err(|source| io_error(table, source))?;
        Ok(locks.lines().filter_map(locks_inode).any(|inode| inodes.contains(&inode)))
    }

    fn lock_files(&self, uuid: &str) -> Vec<PathBuf> {
        if !self.devices.contains_key(uuid) {
            return Vec::new();
        }
        match self.shares.get(uuid) {
            None => vec![lock_path(&self.dir, uuid)],
            Some(shares) => {
                let share = |n| lock_path(&self.dir, &format!("{uuid}-share-{n}"));
                (0..*shares).map(share).collect()
            }
        }
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
            units: 0,
            watts: 0,
            mig: Vec::new(),
        }
    }

    fn settings(dir: &Path, groups: Vec<SimulatedGroup>) -> SimulatedSettings {
        SimulatedSettings { dir: dir.to_owned(), groups, shares: BTreeMap::new() }
    }

    #[test]
    fn islands_become_buckets_and_a_drill_can_break_one() {
        let dir = tempfile::tempdir().unwrap();
        let groups = vec![group("h100-80g", 2, 4), group("l4", 0, 2)];
        let settings = settings(&dir.path().join("gpu"), groups);
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
        let settings = settings(dir.path(), vec![group("l4", 0, 1)]);
        let devices = SimulatedDevices::open(&settings).unwrap();
        let uuid = "GPU-sim-0000";
        assert!(!devices.is_occupied(uuid).unwrap());
        let claim = (uuid.to_owned(), devices.lock_files(uuid));
        let held = Held::take(&[claim], &PlacementKey::new("p").unwrap()).unwrap();
        assert!(devices.is_occupied(uuid).unwrap());
        drop(held);
        assert!(!devices.is_occupied(uuid).unwrap());
        assert!(matches!(devices.is_occupied("other"), Err(DeviceError::Unknown(_))));
    }

    fn slices(profile: &str, count: u32) -> SimulatedInstances {
        let profile = profile.parse().unwrap();
        SimulatedInstances { profile, memory_mib: 18_432, units: 1, count }
    }

    #[test]
    fn a_device_in_instances_offers_them_and_not_itself() {
        let dir = tempfile::tempdir().unwrap();
        let mut sliced = group("h200", 1, 2);
        sliced.mig = vec![slices("1g.18gb", 2), slices("3g.71gb", 1)];
        let settings = settings(dir.path(), vec![group("h200", 1, 1), sliced]);
        let devices = SimulatedDevices::open(&settings).unwrap();
        let inventory = devices.inventory().unwrap();
        let shown: Vec<_> =
            inventory.iter().map(|d| (d.uuid.as_str(), d.gpu.as_str(), d.class.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("GPU-sim-0000", "GPU-sim-0000", "h200"),
                ("MIG-sim-0001-0", "GPU-sim-0001", "h200-1g-18gb"),
                ("MIG-sim-0001-1", "GPU-sim-0001", "h200-1g-18gb"),
                ("MIG-sim-0001-2", "GPU-sim-0001", "h200-3g-71gb"),
                ("MIG-sim-0002-0", "GPU-sim-0002", "h200-1g-18gb"),
                ("MIG-sim-0002-1", "GPU-sim-0002", "h200-1g-18gb"),
                ("MIG-sim-0002-2", "GPU-sim-0002", "h200-3g-71gb"),
            ]
        );
        let slice = &inventory[1];
        assert_eq!((slice.memory_mib, slice.units, slice.island), (18_432, 1, 0));
        let claim = (slice.uuid.clone(), devices.lock_files(&slice.uuid));
        let _held = Held::take(&[claim], &PlacementKey::new("p").unwrap()).unwrap();
        assert!(devices.is_occupied("MIG-sim-0001-0").unwrap());
        assert!(!devices.is_occupied("MIG-sim-0001-1").unwrap(), "its neighbour is another device");
        assert!(matches!(devices.is_occupied("GPU-sim-0001"), Err(DeviceError::Unknown(_))));
    }

    #[test]
    fn a_shared_device_is_held_as_often_as_it_has_shares() {
        let dir = tempfile::tempdir().unwrap();
        let uuid = "GPU-sim-0000";
        let mut settings = settings(dir.path(), vec![group("h200", 0, 1)]);
        settings.shares.insert(uuid.to_owned(), 2);
        let devices = SimulatedDevices::open(&settings).unwrap();
        let take = |key: &str| {
            let claim = (uuid.to_owned(), devices.lock_files(uuid));
            Held::take(&[claim], &PlacementKey::new(key).unwrap())
        };
        assert!(!devices.is_occupied(uuid).unwrap());
        let (first, second) = (take("first").unwrap(), take("second").unwrap());
        assert!(devices.is_occupied(uuid).unwrap());
        first.trace_release();
        drop(first);
        let third = take("third").unwrap();
        assert_eq!(crate::device::tracer::check(dir.path()).unwrap(), [], "never more than two");
        take("fourth").unwrap_err();
        assert_eq!(crate::device::tracer::check(dir.path()).unwrap().len(), 1, "one too many");
        drop((second, third));
        assert!(!devices.is_occupied(uuid).unwrap());
    }

    #[test]
    fn bad_settings_are_refused() {
        let open = |groups| SimulatedDevices::open(&settings(Path::new("/nonexistent"), groups));
        let mut none = group("h200", 1, 1);
        none.mig.push(slices("1g.18gb", 0));
        let mut many = group("h200", 1, 1);
        many.mig.push(slices("1g.18gb", 17));
        let mut hot = group("h200", 1, 1);
        hot.watts = DEVICE_WATTS_MAX + 1;
        let (empty, large) = (group("l4", 1, 0), group("l4", u16::MAX, 1000));
        for groups in [vec![empty], vec![large], vec![none], vec![many], vec![hot]] {
            assert!(matches!(open(groups), Err(DeviceError::Settings(_))));
        }
    }
}
