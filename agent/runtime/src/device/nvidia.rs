//! The NVIDIA devices of this host, as NVML tells them.
//!
//! Only asked, never changed: no mode, no limit, no reset. What NVML does not answer for a device makes that device
//! unhealthy and leaves the others. Running work on a device is [`crate::device::cuda`]'s.
//! MIG instances are those that the host's administrator has made: a GPU with MIG on offers them and never itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use sekisho_types::device::MigProfile;
use sekisho_types::power::DEVICE_WATTS_MAX;

use crate::device::{Device, DeviceClass, DeviceError, Devices, Health};

/// NVLinks that one GPU can have, over all generations so far.
const LINKS_MAX: u32 = 18;
const MIG_ENABLED: u32 = 1;
const BYTES_PER_MIB: u64 = 1024 * 1024;

/// The devices behind NVML.
#[derive(Debug)]
pub struct NvidiaDevices {
    nvml: Nvml,
}

impl NvidiaDevices {
    /// Loads NVML.
    ///
    /// # Errors
    /// [`DeviceError::DriverAbsent`] on a host without the driver; [`DeviceError::Driver`] when it fails.
    pub fn open() -> Result<Self, DeviceError> {
        match Nvml::init() {
            Ok(nvml) => Ok(Self { nvml }),
            Err(error) => Err(refused(error)),
        }
    }
}

/// What one GPU offers: itself, or its instances while MIG is on.
fn look(gpu: &nvml_wrapper::Device<'_>, index: u32, island: u16) -> Vec<Device> {
    let Some(whole) = describe(gpu, index, island) else { return Vec::new() };
    match gpu.mig_mode() {
        Ok(mode) if mode.current == MIG_ENABLED => instances(gpu, &whole),
        // The last two are those of a GPU, or a driver, that knows no MIG.
        Ok(_) | Err(NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_)) => vec![whole],
        // It may be in instances, so nobody is given it.
        Err(error) => {
            let health = Health::Unhealthy(format!("MIG mode: {error}"));
            vec![Device { health, ..whole }]
        }
    }
}

/// The instances of a GPU. One has no NVLink of its own, and is no better than its GPU.
fn instances(gpu: &nvml_wrapper::Device<'_>, whole: &Device) -> Vec<Device> {
    let slots = gpu.mig_device_count().unwrap_or(0);
    // An empty slot answers with an error.
    let slices = (0..slots).filter_map(|slot| gpu.mig_device_by_index(slot).ok());
    slices.filter_map(|slice| instance(&slice, whole)).collect()
}

fn instance(slice: &nvml_wrapper::Device<'_>, whole: &Device) -> Option<Device> {
    let left_out = |why: &str| {
        tracing::warn!(gpu = %whole.uuid, why, "MIG instance left out");
        None
    };
    let Ok(uuid) = slice.uuid() else { return left_out("it does not tell its id") };
    let Ok(name) = slice.name() else { return left_out("it does not tell its name") };
    let Some(profile) = profile(&name) else { return left_out("its name tells no profile") };
    let Ok(class) = whole.class.of_instances(&profile) else {
        return left_out("its class is too long");
    };
    let (memory_mib, own) = memory(slice);
    let health = if whole.health == Health::Healthy { own } else { whole.health.clone() };
    let units = slice.attributes().map_or(0, |told| told.compute_instance_slice_count);
    Some(Device {
        uuid,
        class,
        memory_mib,
        units,
        profile: Some(profile),
        island: 0,
        health,
        ..whole.clone()
    })
}

/// The profile that the name of an instance ends with: `NVIDIA H200 MIG 1g.18gb`.
fn profile(name: &str) -> Option<MigProfile> {
    name.rsplit_once("MIG ")?.1.trim().parse().ok()
}

impl Devices for NvidiaDevices {
    fn inventory(&self) -> Result<Vec<Device>, DeviceError> {
        let count = self.nvml.device_count().map_err(|error| failed("count", &error))?;
        let mut gpus = Vec::new();
        for index in 0..count {
            match self.nvml.device_by_index(index) {
                Ok(gpu) => gpus.push((index, gpu)),
                // Without an id it cannot even be named as unhealthy.
                Err(error) => {
                    tracing::warn!(index, %error, "device left out: the driver does not hand it over");
                }
            }
        }
        let islands = islands(&gpus.iter().map(|(_, gpu)| links(gpu)).collect::<Vec<_>>());
        let mut devices = Vec::new();
        for ((index, gpu), island) in gpus.iter().zip(islands) {
            devices.extend(look(gpu, *index, island));
        }
        Ok(devices)
    }

    fn is_occupied(&self, uuid: &str) -> Result<bool, DeviceError> {
        let gpu = self.nvml.device_by_uuid(uuid).map_err(|error| failed("lookup", &error))?;
        let processes =
            gpu.running_compute_processes().map_err(|error| failed("processes", &error))?;
        Ok(!processes.is_empty())
    }

    fn lock_files(&self, _uuid: &str) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// `None` when it has no id or no class: then nobody could be given it.
fn describe(device: &nvml_wrapper::Device<'_>, index: u32, island: u16) -> Option<Device> {
    let found = device.uuid().and_then(|uuid| Ok((uuid, device.name()?)));
    let (uuid, name) = match found {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(index, %error, "device left out: it does not tell its id and name");
            return None;
        }
    };
    let class = match DeviceClass::of_model(&name) {
        Ok(class) => class,
        Err(error) => {
            tracing::warn!(index, %uuid, %error, "device left out");
            return None;
        }
    };
    let (memory_mib, health) = memory(device);
    let (gpu, units, profile) = (uuid.clone(), 0, None);
    let watts = watts(device.enforced_power_limit().unwrap_or(0));
    Some(Device { uuid, gpu, class, memory_mib, units, watts, profile, island, index, health })
}

/// The limit that the board enforces, told in milliwatts; rounded up, and 0 where it is not told or makes no sense.
fn watts(milliwatts: u32) -> u32 {
    let watts = milliwatts.div_ceil(1000);
    if watts > DEVICE_WATTS_MAX { 0 } else { watts }
}

/// Its memory in MiB; without any it is of no use.
fn memory(device: &nvml_wrapper::Device<'_>) -> (u64, Health) {
    match device.memory_info() {
        Ok(memory) if memory.total >= BYTES_PER_MIB => {
            (memory.total / BYTES_PER_MIB, health(device))
        }
        Ok(_) => (0, Health::Unhealthy("no memory".to_owned())),
        Err(error) => (0, Health::Unhealthy(error.to_string())),
    }
}

/// Memory pages that wait for a reset mean errors that jobs would see. Devices that do not count them are trusted.
fn health(device: &nvml_wrapper::Device<'_>) -> Health {
    match device.are_pages_pending_retired() {
        Ok(true) => Health::Unhealthy("memory pages wait for retirement".to_owned()),
        Ok(false) | Err(_) => Health::Healthy,
    }
}

/// A GPU's place among the links: its own address on the bus, and those at the other ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Links {
    address: String,
    peers: Vec<String>,
}

fn links(gpu: &nvml_wrapper::Device<'_>) -> Links {
    let address = gpu.pci_info().map(|pci| pci.bus_id.to_ascii_lowercase()).unwrap_or_default();
    let mut peers = Vec::new();
    for number in 0..LINKS_MAX {
        let link = gpu.link_wrapper_for(number);
        if matches!(link.is_active(), Ok(true))
            && let Ok(peer) = link.remote_pci_info()
        {
            peers.push(peer.bus_id.to_ascii_lowercase());
        }
    }
    Links { address, peers }
}

/// Numbers the islands from 1 in the order of their first GPU; 0 is a GPU without links. GPUs belong together when
/// a link joins them, or when both have one to the same switch.
fn islands(gpus: &[Links]) -> Vec<u16> {
    let mut of_address: BTreeMap<&str, u16> = BTreeMap::new();
    let mut found = vec![0; gpus.len()];
    let mut last = 0_u16;
    for (gpu, island) in gpus.iter().zip(&mut found) {
        if gpu.peers.is_empty() {
            continue;
        }
        let own = std::iter::once(&gpu.address).chain(&gpu.peers).map(String::as_str);
        let mut known: Vec<u16> =
            own.clone().filter_map(|address| of_address.get(address).copied()).collect();
        known.sort_unstable();
        let number = known.first().copied().unwrap_or_else(|| {
            last = last.saturating_add(1);
            last
        });
        // What looked like two islands until now is one.
        of_address
            .values_mut()
            .filter(|other| known.contains(other))
            .for_each(|other| *other = number);
        of_address.extend(own.map(|address| (address, number)));
        *island = number;
    }
    // The numbers given on the way may have been joined since.
    for (gpu, island) in gpus.iter().zip(&mut found) {
        if *island != 0 {
            *island = of_address.get(gpu.address.as_str()).copied().unwrap_or(0);
        }
    }
    dense(&found)
}

/// The same islands, numbered without gaps.
fn dense(islands: &[u16]) -> Vec<u16> {
    let mut numbers: BTreeMap<u16, u16> = [(0, 0)].into();
    for island in islands {
        let next = u16::try_from(numbers.len()).unwrap_or(u16::MAX);
        numbers.entry(*island).or_insert(next);
    }
    islands.iter().filter_map(|island| numbers.get(island).copied()).collect()
}

fn refused(error: NvmlError) -> DeviceError {
    let absent = matches!(
        error,
        NvmlError::LibloadingError(_)
            | NvmlError::LibraryNotFound
            | NvmlError::DriverNotLoaded
            | NvmlError::NotFound
    );
    if absent { DeviceError::DriverAbsent(error.to_string()) } else { failed("start", &error) }
}

fn failed(what: &'static str, error: &NvmlError) -> DeviceError {
    DeviceError::Driver { what, detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(address: &str, peers: &[&str]) -> Links {
        Links {
            address: address.to_owned(),
            peers: peers.iter().map(|p| (*p).to_owned()).collect(),
        }
    }

    #[test]
    fn islands_follow_the_links() {
        assert_eq!(islands(&[]), Vec::<u16>::new());
        assert_eq!(islands(&[gpu("a", &[]), gpu("b", &[])]), [0, 0]);
        assert_eq!(
            islands(&[gpu("a", &["s"]), gpu("b", &["s"]), gpu("c", &["s"])]),
            [1, 1, 1],
            "a switch"
        );
        let pairs =
            [gpu("a", &["b"]), gpu("c", &["d"]), gpu("b", &["a"]), gpu("d", &["c"]), gpu("e", &[])];
        assert_eq!(islands(&pairs), [1, 2, 1, 2, 0]);
        let chain = [gpu("a", &["b"]), gpu("c", &["d"]), gpu("b", &["a", "c"]), gpu("e", &["f"])];
        assert_eq!(islands(&chain), [1, 1, 1, 2], "joined late");
    }

    #[test]
    fn the_profile_is_read_from_the_name() {
        let told = |name: &str| profile(name).map(|profile| profile.to_string());
        assert_eq!(told("NVIDIA H200 MIG 1g.18gb").as_deref(), Some("1g.18gb"));
        assert_eq!(told("NVIDIA H100 80GB HBM3 MIG 1c.3g.40gb").as_deref(), Some("1c.3g.40gb"));
        assert_eq!(told("NVIDIA A100-SXM4-40GB MIG 1g.5gb+me").as_deref(), Some("1g.5gb+me"));
        assert_eq!(told("NVIDIA H200"), None);
        assert_eq!(told("NVIDIA H200 MIG "), None);
    }

    #[test]
    fn a_limit_is_rounded_up_and_one_that_no_board_has_is_not_told() {
        assert_eq!([watts(700_000), watts(699_001), watts(1), watts(0)], [700, 700, 1, 0]);
        assert_eq!(watts(u32::MAX), 0);
    }

    #[test]
    fn a_host_is_either_without_driver_or_tells_its_devices() {
        match NvidiaDevices::open() {
            Err(DeviceError::DriverAbsent(_)) => {}
            Err(error) => panic!("{error}"),
            Ok(devices) => {
                for device in devices.inventory().unwrap() {
                    assert!(crate::placement::uuid_is_sound(&device.uuid), "{device:?}");
                    assert_eq!(device.health, Health::Healthy, "{device:?}");
                }
            }
        }
    }
}
