//! The devices of this host, and the buckets that the agent advertises.
//!
//! The control plane accounts on buckets (class, memory, island); which device of a bucket a placement gets is
//! decided on the host. So two hosts with the same hardware must advertise the same bucket ids, and one host the
//! same ones at every look: grouping and order here depend on nothing but the devices themselves.

mod class;
pub mod cuda;
pub mod nvidia;
pub mod simulated;
pub mod tracer;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

pub use class::DeviceClass;
use sekisho_types::device::MigProfile;

/// Why devices could not be told.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// This host has no driver for such devices; not a fault.
    #[error("no driver on this host: {0}")]
    DriverAbsent(String),
    /// There is a driver, and it failed.
    #[error("driver failed at {what}: {detail}")]
    Driver {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        detail: String,
    },
    /// No label can be made of a model name.
    #[error("model name {0:?} makes no device class")]
    Class(String),
    /// No such device here.
    #[error("no device {0}")]
    Unknown(String),
    /// The simulation's settings break a bound.
    #[error("simulated devices: {0}")]
    Settings(&'static str),
    /// A file of the simulation, or a probe's process.
    #[error("cannot use {what}")]
    Io {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Whether a device may be given to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It may.
    Healthy,
    /// It may not, and why.
    Unhealthy(String),
}

/// One device that a job can have: a whole GPU, or a MIG instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Id that stays the same over restarts; what `CUDA_VISIBLE_DEVICES` takes.
    pub uuid: String,
    /// Id of the whole GPU: the same, unless it is an instance.
    pub gpu: String,
    /// Class, from the model name, and of an instance its profile.
    pub class: DeviceClass,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Compute slices; 0 = not told.
    pub units: u32,
    /// Power that the whole GPU may draw, by the limit that its board enforces, watts; 0 = not told.
    pub watts: u32,
    /// Of an instance.
    pub profile: Option<MigProfile>,
    /// Devices of one island reach each other by NVLink; 0 is "none".
    pub island: u16,
    /// The driver's number, of the whole GPU for an instance; may change at a reboot.
    pub index: u32,
    /// Whether it may be used.
    pub health: Health,
}

/// Devices that are all the same to the control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// `class.memory.island`.
    pub id: String,
    /// Class of each.
    pub class: DeviceClass,
    /// Memory of each, in MiB.
    pub memory_mib: u64,
    /// Island of all.
    pub island: u16,
    /// Ids of the healthy ones, in the driver's order.
    pub devices: Vec<String>,
}

/// A source of devices.
pub trait Devices: Send + Sync {
    /// All devices, the unhealthy ones too.
    ///
    /// # Errors
    /// When they cannot be told; the caller must then advertise none.
    fn inventory(&self) -> Result<Vec<Device>, DeviceError>;

    /// Whether any process has the device open. At the start of an agent, a device that is occupied by nobody it
    /// knows is dirty and not advertised.
    ///
    /// # Errors
    /// When it cannot be told; the caller must take it for occupied.
    fn is_occupied(&self, uuid: &str) -> Result<bool, DeviceError>;

    /// The files of which a holder locks one, where devices have such: one, or of a shared device one for each share.
    fn lock_files(&self, uuid: &str) -> Vec<PathBuf>;
}

/// Groups devices by class, memory and island. Unhealthy ones are left out; a bucket of only those remains, empty,
/// so that its room is seen to shrink and not to vanish.
#[must_use]
pub fn buckets(devices: &[Device]) -> Vec<Bucket> {
    type Kind<'a> = (&'a DeviceClass, u64, u16);
    let mut groups: BTreeMap<Kind<'_>, BTreeSet<(u32, &str)>> = BTreeMap::new();
    for device in devices {
        let group = groups.entry((&device.class, device.memory_mib, device.island)).or_default();
        if device.health == Health::Healthy {
            group.insert((device.index, &device.uuid));
        }
    }
    groups
        .into_iter()
        .map(|((class, memory_mib, island), members)| Bucket {
            id: format!("{class}.{memory_mib}.{island}"),
            class: class.clone(),
            memory_mib,
            island,
            devices: members.into_iter().map(|(_, uuid)| uuid.to_owned()).collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn device(index: u32, class: &str, island: u16, health: Health) -> Device {
        let class = DeviceClass::new(class).unwrap();
        let uuid = format!("GPU-{index}");
        Device {
            gpu: uuid.clone(),
            uuid,
            class,
            memory_mib: 81_920,
            units: 0,
            watts: 0,
            profile: None,
            island,
            index,
            health,
        }
    }

    #[test]
    fn buckets_group_and_keep_a_sick_one_out() {
        let devices = [
            device(10, "h100", 1, Health::Healthy),
            device(2, "h100", 1, Health::Healthy),
            device(3, "h100", 2, Health::Unhealthy("x".to_owned())),
            device(4, "a100", 1, Health::Healthy),
        ];
        let found: Vec<_> = buckets(&devices).into_iter().map(|b| (b.id, b.devices)).collect();
        let names = |n: &[&str]| n.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            found,
            [
                ("a100.81920.1".to_owned(), names(&["GPU-4"])),
                ("h100.81920.1".to_owned(), names(&["GPU-2", "GPU-10"])),
                ("h100.81920.2".to_owned(), names(&[])),
            ]
        );
    }

    proptest! {
        #[test]
        fn the_order_of_looking_changes_nothing(mut order in Just((0..12_u32).collect::<Vec<_>>()).prop_shuffle()) {
            let make = |i: &u32| device(*i, ["h100", "a100"][(*i % 2) as usize], (*i % 3) as u16, Health::Healthy);
            let shuffled: Vec<_> = order.iter().map(make).collect();
            order.sort_unstable();
            let sorted: Vec<_> = order.iter().map(make).collect();
            prop_assert_eq!(buckets(&shuffled), buckets(&sorted));
        }
    }
}
