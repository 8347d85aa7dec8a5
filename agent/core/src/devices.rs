//! Which GPUs a granted placement gets: the agent's choice alone, inside the granted bucket.
//!
//! Must hold: nothing that was granted is refused for room (the control plane counts on buckets); it waits until
//! what holds the devices is dead (P1), and of a share until everybody there agrees with it. The same inventory gives the same
//! choice. An inventory that counts a device twice offers nothing.

use crate::ledger::Ledger;
use sekisho_evidence::grant::Grant;
use sekisho_types::device::{Bucket, BucketKind, BucketsError, MigProfile, Part, check};
use sekisho_types::id::{DeviceClass, Digest};
use sekisho_types::power;
use sekisho_types::sharing::Party;
use std::collections::BTreeMap;

/// What a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceKind {
    /// A whole one.
    Whole,
    /// A MIG instance.
    Mig(MigProfile),
    /// A whole one on which so many jobs take turns.
    Shared(u32),
}

/// One device of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Id that stays the same over restarts.
    pub id: String,
    /// Id of the whole device: the same, unless it is an instance.
    pub gpu: String,
    /// Class.
    pub class: DeviceClass,
    /// Memory, MiB; of a shared one, that of each share.
    pub memory_mib: u64,
    /// Compute slices; 0 = not told.
    pub units: u32,
    /// Power that the whole device may draw, watts; 0 = not told.
    pub watts: u32,
    /// NVLink island.
    pub island: u16,
    /// Order among its peers.
    pub index: u32,
    /// What it is.
    pub kind: DeviceKind,
    /// It works, and no unknown process holds it.
    pub healthy: bool,
}

impl Device {
    fn digest(&self) -> Digest {
        Digest::of(self.id.as_bytes())
    }
}

/// What may still run on each device (P1).
pub type Holders<'l> = BTreeMap<&'l str, Vec<&'l Grant>>;

/// Who holds which device.
#[must_use]
pub fn holders(ledger: &Ledger) -> Holders<'_> {
    let mut held = Holders::new();
    for entry in ledger.entries().values().filter(|entry| entry.may_run()) {
        for device in &entry.devices {
            held.entry(device).or_default().push(&entry.grant);
        }
    }
    held
}

/// What can be given to a grant now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// These, in the order in which the job shall see them.
    Devices(Vec<String>),
    /// Older placements hold them and are not dead.
    Wait,
    /// The bucket has not so many working devices any more, whoever holds them.
    Broken {
        /// Working devices.
        healthy: u32,
    },
}

fn in_bucket<'d>(devices: &'d [Device], grant: &Grant) -> impl Iterator<Item = &'d Device> {
    let (class, memory_mib, island) = (grant.class.clone(), grant.memory_mib, grant.island);
    let (units, share) = (grant.units, grant.share);
    devices.iter().filter(move |device| {
        let same = device.class == class
            && device.memory_mib == memory_mib
            && device.units == units
            && device.island == island;
        // What is shared here is given to nobody alone, and what is not is shared by nobody.
        let kind = match (&device.kind, &share) {
            (DeviceKind::Whole | DeviceKind::Mig(_), None) => true,
            (DeviceKind::Shared(_), Some(share)) => share.device == device.digest(),
            (DeviceKind::Whole | DeviceKind::Mig(_), Some(_)) | (DeviceKind::Shared(_), None) => {
                false
            }
        };
        same && kind
    })
}

/// Whether the grant's bucket exists here.
#[must_use]
pub fn has_bucket(devices: &[Device], grant: &Grant) -> bool {
    in_bucket(devices, grant).next().is_some()
}

/// Chooses working devices that nobody in `held` has, lowest index first; or the share that was granted.
#[must_use]
pub fn choose(devices: &[Device], held: &Holders<'_>, grant: &Grant) -> Choice {
    let wanted = usize::try_from(grant.gpus).unwrap_or(usize::MAX);
    let mut healthy: Vec<&Device> = in_bucket(devices, grant).filter(|d| d.healthy).collect();
    if healthy.len() < wanted {
        return Choice::Broken { healthy: u32::try_from(healthy.len()).unwrap_or(u32::MAX) };
    }
    healthy.sort_by(|a, b| (a.index, &a.id).cmp(&(b.index, &b.id)));
    let free = healthy.iter().filter(|device| has_room(device, held, grant));
    let chosen: Vec<String> = free.take(wanted).map(|device| device.id.clone()).collect();
    if chosen.len() == wanted { Choice::Devices(chosen) } else { Choice::Wait }
}

/// Whether nobody holds the device, or a share is left among those who agree.
fn has_room(device: &Device, held: &Holders<'_>, grant: &Grant) -> bool {
    let there = held.get(device.id.as_str()).map(Vec::as_slice).unwrap_or_default();
    match device.kind {
        DeviceKind::Whole | DeviceKind::Mig(_) => there.is_empty(),
        DeviceKind::Shared(shares) => {
            // One that has it alone was granted it before it was shared.
            let left = u32::try_from(there.len()).is_ok_and(|taken| taken < shares)
                && there.iter().all(|other| other.share.is_some());
            let join =
                |party: Party, other: &&Grant| party.with(&other.job.tenant, other.sharing());
            let party = there.iter().fold(Party::Nobody, join);
            left && party.admits(&grant.job.tenant, grant.sharing())
        }
    }
}

/// What to advertise: one bucket per class, memory and island, of the working devices, and one per shared device. A bucket of
/// none is left out: the control plane takes only buckets that have devices. Nothing of an inventory that is not sound.
#[must_use]
pub fn buckets(devices: &[Device]) -> Vec<Bucket> {
    match check_inventory(devices) {
        Ok(()) => group(devices.iter().filter(|device| device.healthy)),
        Err(_unsound) => Vec::new(),
    }
}

/// Whether each device is counted once, working or not.
///
/// # Errors
/// What is counted twice, or contradicts itself.
pub fn check_inventory(devices: &[Device]) -> Result<(), BucketsError> {
    check(&group(devices.iter()))
}

/// What is taken for one of these devices, watts: of an instance its part of the whole, by the compute slices of all instances
/// there; rounded up, so that all together are never below what the whole may draw.
fn watts(device: &Device, units_of_gpu: &BTreeMap<&str, u32>) -> u32 {
    let told = Some(device.watts).filter(|watts| *watts > 0);
    let whole = told.unwrap_or_else(|| power::of_class(&device.class));
    match &device.kind {
        DeviceKind::Whole => whole,
        DeviceKind::Mig(_) => {
            let all = units_of_gpu.get(device.gpu.as_str()).copied().unwrap_or(0);
            power::part(whole, device.units.max(1), all)
        }
        DeviceKind::Shared(shares) => power::part(whole, 1, *shares),
    }
}

fn group<'d, I>(devices: I) -> Vec<Bucket>
where
    I: Iterator<Item = &'d Device>,
{
    type Group<'g> = (&'g DeviceClass, u64, u32, u16, Option<&'g MigProfile>);
    let devices: Vec<&Device> = devices.collect();
    let mut units_of_gpu: BTreeMap<&str, u32> = BTreeMap::new();
    for device in &devices {
        let units = units_of_gpu.entry(&device.gpu).or_default();
        *units = units.saturating_add(device.units.max(1));
    }
    // Of devices that are rated differently each is taken at the most.
    let mut groups: BTreeMap<Group<'_>, (Vec<Part>, u32)> = BTreeMap::new();
    let mut all: Vec<Bucket> = Vec::new();
    for device in devices {
        let watts = watts(device, &units_of_gpu);
        let Device { class, memory_mib, units, island, .. } = device;
        let part = Part { id: device.digest(), gpu: Digest::of(device.gpu.as_bytes()) };
        let profile = match &device.kind {
            DeviceKind::Whole => None,
            DeviceKind::Mig(profile) => Some(profile),
            DeviceKind::Shared(shares) => {
                all.push(Bucket {
                    class: class.clone(),
                    memory_mib: *memory_mib,
                    island: *island,
                    count: *shares,
                    units: *units,
                    kind: BucketKind::Shared,
                    parts: vec![part],
                    watts,
                });
                continue;
            }
        };
        let (parts, most) =
            groups.entry((class, *memory_mib, *units, *island, profile)).or_default();
        parts.push(part);
        *most = watts.max(*most);
    }
    all.extend(groups.into_iter().map(
        |((class, memory_mib, units, island, profile), (mut parts, watts))| {
            parts.sort_unstable();
            let kind =
                profile.map_or(BucketKind::Whole, |profile| BucketKind::Mig(profile.clone()));
            let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
            let class = class.clone();
            Bucket { class, memory_mib, island, count, units, kind, parts, watts }
        },
    ));
    all.sort_by(|a, b| a.key().cmp(&b.key()));
    all
}

#[cfg(test)]
mod tests;
