//! What the host offers: drivers and devices, their traces, and room for the output of what runs on them.
//!
//! Must hold: nothing is made that a start would make: not the lock files of simulated devices either.

use crate::config::{Config, Devices as Choice};
use crate::host::{doubt, offered};
use sekisho_agent_runtime::device::nvidia::NvidiaDevices;
use sekisho_agent_runtime::device::simulated::{SimulatedDevices, SimulatedSettings};
use sekisho_agent_runtime::device::tracer::check;
use sekisho_agent_runtime::device::{Device, DeviceError, Devices, Health};
use sekisho_doctor::catalogue::node::*;
use sekisho_doctor::check::Finding;
use sekisho_doctor::host::data::room;
use sekisho_doctor::host::may_use;
use sekisho_doctor::unit::bytes;
use sekisho_types::cause::explain;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Files of the driver that every job opens, besides its devices' own.
const DRIVER_FILES: [&str; 2] = ["/dev/nvidiactl", "/dev/nvidia-uvm"];

/// Placements at once on a host that does not tell its devices.
const DEVICES_ASSUMED: u64 = 8;

/// The check `devices`, of a host on which an agent runs, or does not; and how many there are, where that is known.
pub(super) fn devices(config: &Config, runs: bool) -> (Vec<Finding>, Option<usize>) {
    match &config.devices {
        Choice::Simulated { groups, .. } => {
            let (dir, groups, shares) = (config.devices_dir(), groups.clone(), config.shares());
            match SimulatedDevices::of(&SimulatedSettings { dir, groups, shares }) {
                Ok(devices) => looked(&devices, ("simulated", config), runs),
                Err(error) => (vec![failed(&error)], None),
            }
        }
        Choice::Nvidia => match NvidiaDevices::open() {
            Ok(devices) => looked(&devices, ("NVIDIA", config), runs),
            Err(DeviceError::DriverAbsent(why)) => {
                (vec![Finding::new(&DEVICES_NONE).with("cause", why)], Some(0))
            }
            Err(error) => (vec![failed(&error)], None),
        },
    }
}

fn failed(error: &DeviceError) -> Finding {
    Finding::new(&DEVICES_FAILED).with("cause", explain(error))
}

fn looked(
    devices: &dyn Devices,
    (kind, config): (&str, &Config),
    runs: bool,
) -> (Vec<Finding>, Option<usize>) {
    let found = match devices.inventory() {
        Ok(found) => found,
        Err(error) => return (vec![failed(&error)], None),
    };
    if found.is_empty() {
        return (vec![Finding::new(&DEVICES_EMPTY)], Some(0));
    }
    // A lock file that is not made yet is held by nobody.
    let held = |device: &&Device| {
        let made = devices.lock_files(&device.uuid).iter().all(|path| path.exists());
        made && devices.is_occupied(&device.uuid).unwrap_or(true)
    };
    let held: Vec<&Device> = found.iter().filter(held).collect();
    let shares = config.shares();
    let offers: Vec<_> =
        found.iter().filter_map(|device| offered(device.clone(), &shares)).collect();
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for device in &offers {
        let count = classes.entry(device.class.as_str()).or_default();
        *count = count.saturating_add(1);
    }
    let classes: Vec<_> = classes.iter().map(|(class, n)| format!("{n} {class}")).collect();
    let mut findings = vec![
        Finding::new(&DEVICES_SOUND)
            .with("count", found.len())
            .with("kind", kind)
            .with("classes", classes.join(", "))
            .with("held", held.len()),
    ];
    if let Some((blocks, why)) = doubt(&offers, &shares) {
        let outcome = if blocks { &DEVICES_CONTRADICT } else { &DEVICE_NOT_HERE };
        findings.push(Finding::new(outcome).with("cause", why));
    }
    for device in &found {
        if let Health::Unhealthy(why) = &device.health {
            let sick = Finding::new(&DEVICE_SICK).with("device", &device.uuid);
            findings.push(sick.with("cause", why));
        }
    }
    let dirty = held.iter().filter(|_held| !runs);
    findings.extend(dirty.map(|held| Finding::new(&DEVICE_DIRTY).with("device", &held.uuid)));
    // Simulated ones have lock files of their own instead.
    if found.iter().all(|device| devices.lock_files(&device.uuid).is_empty()) {
        findings.extend(closed(&found));
    }
    (findings, Some(found.len()))
}

/// Device files that cannot be used. The driver loads what is behind the unified memory's when it is first needed.
fn closed(devices: &[Device]) -> Vec<Finding> {
    let indices: BTreeSet<u32> = devices.iter().map(|device| device.index).collect();
    let own = indices.iter().map(|index| PathBuf::from(format!("/dev/nvidia{index}")));
    let shared = DRIVER_FILES.iter().map(PathBuf::from);
    let wanted = shared.filter(|path| path.exists()).chain(own);
    wanted.filter_map(|path| closed_file(&path)).collect()
}

fn closed_file(path: &Path) -> Option<Finding> {
    let error = may_use(path).err()?;
    Some(Finding::new(&DEVICE_CLOSED).with("path", path.display()).with("cause", error))
}

/// The check `traces`.
pub(super) fn traces(config: &Config) -> Finding {
    let dir = config.devices_dir();
    if matches!(config.devices, Choice::Nvidia) || !dir.is_dir() {
        return Finding::new(&TRACES_NONE);
    }
    match check(&dir) {
        Ok(overlaps) => overlaps.first().map_or_else(
            || Finding::new(&TRACES_SOUND),
            |overlap| {
                Finding::new(&TRACES_OVERLAP)
                    .with("device", &overlap.uuid)
                    .with("holder", &overlap.holder)
                    .with("intruder", &overlap.intruder)
            },
        ),
        Err(error) => Finding::new(&TRACES_BAD).with("cause", explain(&error)),
    }
}

/// The check `output-space`, of a host with so many devices.
pub(super) fn room_for_output(config: &Config, devices: Option<usize>) -> Finding {
    let path = config.runtime_dir();
    let devices = devices.and_then(|count| u64::try_from(count).ok()).unwrap_or(DEVICES_ASSUMED);
    let found = room(&path).map(|room| {
        // A job takes one device at least, and writes two streams.
        let wanted = devices.saturating_mul(2).saturating_mul(config.log_bytes());
        judge_room(&path, held(&path), room.free, wanted)
    });
    Finding::told(&OUTPUT_SPACE, found)
}

fn judge_room(path: &Path, held: u64, free: u64, wanted: u64) -> Finding {
    Finding::new(if free < wanted { &OUTPUT_LOW } else { &OUTPUT_ENOUGH })
        .with("path", path.display())
        .with("held", bytes(held))
        .with("free", bytes(free))
        .with("wanted", bytes(wanted))
}

/// Bytes of all output that is kept.
fn held(root: &Path) -> u64 {
    let Ok(placements) = fs::read_dir(root) else { return 0 };
    let files = placements.flatten().filter_map(|entry| fs::read_dir(entry.path()).ok()).flatten();
    let logs = files.flatten().filter(|file| file.path().extension().is_some_and(|e| e == "log"));
    logs.filter_map(|file| file.metadata().ok())
        .map(|found| found.len())
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SharedDevice;
    use sekisho_agent_runtime::device::tracer::Held;
    use sekisho_agent_runtime::placement::PlacementKey;

    fn config(dir: &Path) -> Config {
        let text = format!(
            "area = 'JP'\ndata_dir = '{}'\n[devices]\nkind = 'simulated'\n\
             groups = [{{ class = 'l4', memory_mib = 1024, islands = 0, devices = 2 }}]",
            dir.display()
        );
        Config::parse(&text).unwrap()
    }

    fn codes((findings, _count): &(Vec<Finding>, Option<usize>)) -> Vec<&'static str> {
        findings.iter().map(|found| found.outcome.code).collect()
    }

    #[test]
    fn simulated_devices_are_told_without_being_made() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        assert_eq!(codes(&devices(&config, false)), ["DEVICES_SOUND"]);
        assert_eq!(traces(&config).outcome.code, "TRACES_NONE");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
        let settings = SimulatedSettings {
            dir: config.devices_dir(),
            shares: config.shares(),
            groups: match &config.devices {
                Choice::Simulated { groups, .. } => groups.clone(),
                Choice::Nvidia => Vec::new(),
            },
        };
        let made = SimulatedDevices::open(&settings).unwrap();
        fs::write(config.devices_dir().join("GPU-sim-0000.sick"), "drill").unwrap();
        assert_eq!(codes(&devices(&config, true)), ["DEVICES_SOUND", "DEVICE_SICK"]);
        let claim = ("GPU-sim-0001".to_owned(), made.lock_files("GPU-sim-0001"));
        let held = Held::take(&[claim], &PlacementKey::new("p").unwrap()).unwrap();
        let dirty = devices(&config, false);
        assert_eq!(codes(&dirty), ["DEVICES_SOUND", "DEVICE_SICK", "DEVICE_DIRTY"]);
        assert_eq!(dirty.0[0].values()["held"], "1");
        assert_eq!(codes(&devices(&config, true)), ["DEVICES_SOUND", "DEVICE_SICK"]);
        drop(held);
        assert_eq!(traces(&config).outcome.code, "TRACES_SOUND");
        let trace = config.devices_dir().join("GPU-sim-0001.trace");
        fs::write(&trace, "1 acquire a\n2 acquire b\n3 release a\n").unwrap();
        assert_eq!(traces(&config).outcome.code, "TRACES_OVERLAP");
        fs::write(&trace, "rubbish\n").unwrap();
        assert_eq!(traces(&config).outcome.code, "TRACES_BAD");
    }

    #[test]
    fn a_device_that_cannot_be_shared_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let shared = |device: &str| SharedDevice { device: device.to_owned(), shares: 2 };
        let with = |device: &str| {
            let shared_devices = vec![shared(device)];
            Config { shared_devices, ..config(dir.path()) }
        };
        let sound = devices(&with("GPU-sim-0001"), false);
        assert_eq!(codes(&sound), ["DEVICES_SOUND"]);
        assert_eq!(sound.0[0].values()["classes"], "1 l4, 1 l4-shared");
        let absent = devices(&with("GPU-sim-0007"), false);
        assert_eq!(codes(&absent), ["DEVICES_SOUND", "DEVICE_NOT_HERE"]);
    }

    #[test]
    fn a_host_is_without_driver_or_tells_its_devices() {
        let config = Config::parse("area = 'JP'\ndata_dir = '/nonexistent'").unwrap();
        let (found, _count) = devices(&config, true);
        let known = ["DEVICES_NONE", "DEVICES_EMPTY", "DEVICES_SOUND"];
        assert!(known.contains(&found[0].outcome.code), "{found:?}");
        assert!(closed_file(Path::new("/nonexistent/nvidia0")).is_some());
        assert!(closed_file(Path::new("/dev/null")).is_none());
    }

    #[test]
    fn output_is_counted_and_room_judged_by_what_may_come() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        fs::create_dir_all(config.runtime_dir().join("p-1-2-0")).unwrap();
        fs::write(config.runtime_dir().join("p-1-2-0/stdout.log"), vec![0; 2048]).unwrap();
        fs::write(config.runtime_dir().join("p-1-2-0/shim"), "no output").unwrap();
        let found = room_for_output(&config, Some(2));
        assert_eq!(found.values()["held"], "2.0 KiB");
        assert_eq!(found.values()["wanted"], "256.0 MiB", "two devices, two streams");
        assert_eq!(judge_room(dir.path(), 0, 9, 10).outcome.code, "OUTPUT_LOW");
        assert_eq!(judge_room(dir.path(), 0, 10, 10).outcome.code, "OUTPUT_ENOUGH");
    }
}
