//! Which GPUs a granted placement gets: the agent's choice alone, inside the granted bucket.
//!
//! Must hold: nothing that was granted is refused for room (the control plane counts on buckets); it waits until
//! what holds the devices is dead (P1). The same inventory gives the same choice.

use sekisho_evidence::grant::Grant;
use sekisho_types::device::Bucket;
use sekisho_types::id::DeviceClass;
use std::collections::{BTreeMap, BTreeSet};

/// One device of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Id that stays the same over restarts.
    pub id: String,
    /// Class.
    pub class: DeviceClass,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// NVLink island.
    pub island: u16,
    /// Order among its peers.
    pub index: u32,
    /// It works, and no unknown process holds it.
    pub healthy: bool,
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
    devices.iter().filter(move |device| {
        device.class == class && device.memory_mib == memory_mib && device.island == island
    })
}

/// Whether the grant's bucket exists here.
#[must_use]
pub fn has_bucket(devices: &[Device], grant: &Grant) -> bool {
    in_bucket(devices, grant).next().is_some()
}

/// Chooses working devices that nobody in `held` has, lowest index first.
#[must_use]
pub fn choose(devices: &[Device], held: &BTreeSet<&str>, grant: &Grant) -> Choice {
    let wanted = usize::try_from(grant.gpus).unwrap_or(usize::MAX);
    let mut healthy: Vec<&Device> = in_bucket(devices, grant).filter(|d| d.healthy).collect();
    if healthy.len() < wanted {
        return Choice::Broken { healthy: u32::try_from(healthy.len()).unwrap_or(u32::MAX) };
    }
    healthy.sort_by(|a, b| (a.index, &a.id).cmp(&(b.index, &b.id)));
    let free = healthy.iter().filter(|device| !held.contains(device.id.as_str()));
    let chosen: Vec<String> = free.take(wanted).map(|device| device.id.clone()).collect();
    if chosen.len() == wanted { Choice::Devices(chosen) } else { Choice::Wait }
}

/// What to advertise: one bucket per class, memory and island, of the working devices. A bucket of none is left
/// out: the control plane takes only buckets that have devices.
#[must_use]
pub fn buckets(devices: &[Device]) -> Vec<Bucket> {
    let mut counts: BTreeMap<(&DeviceClass, u64, u16), u32> = BTreeMap::new();
    for device in devices.iter().filter(|device| device.healthy) {
        let count = counts.entry((&device.class, device.memory_mib, device.island)).or_default();
        *count = count.saturating_add(1);
    }
    counts
        .into_iter()
        .map(|((class, memory_mib, island), count)| Bucket {
            class: class.clone(),
            memory_mib,
            island,
            count,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::arithmetic_side_effects, reason = "test values are small")]
    use super::*;
    use crate::fixture::{Federation, devices};
    use proptest::prelude::*;

    #[test]
    fn a_grant_gets_its_own_bucket_and_waits_for_room() {
        let federation = Federation::new();
        let mut host = devices(4);
        host[1].island = 2;
        let grant = Grant { gpus: 2, ..federation.grant(10, 0) };
        let ids = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(choose(&host, &[].into(), &grant), Choice::Devices(ids(&["GPU-0", "GPU-2"])));
        let held = ["GPU-0"].into();
        assert_eq!(choose(&host, &held, &grant), Choice::Devices(ids(&["GPU-2", "GPU-3"])));
        assert_eq!(choose(&host, &["GPU-0", "GPU-2"].into(), &grant), Choice::Wait);
        host[0].healthy = false;
        host[2].healthy = false;
        assert_eq!(choose(&host, &[].into(), &grant), Choice::Broken { healthy: 1 });
        assert!(has_bucket(&host, &grant));
        assert!(!has_bucket(&host, &Grant { island: 9, ..grant.clone() }));
        assert!(!has_bucket(&host, &Grant { memory_mib: 1, ..grant }));
        let told: Vec<_> = buckets(&host).into_iter().map(|b| (b.island, b.count)).collect();
        assert_eq!(told, [(1, 1), (2, 1)]);
    }

    proptest! {
        #[test]
        fn no_device_is_given_twice_and_order_changes_nothing(
            gpus in 1u32..4,
            held in proptest::collection::btree_set(0usize..8, 0..8),
            host in Just(devices(8)).prop_shuffle(),
        ) {
            let grant = Grant { gpus, ..Federation::new().grant(10, 0) };
            let names: Vec<String> = held.iter().map(|n| format!("GPU-{n}")).collect();
            let held: BTreeSet<&str> = names.iter().map(String::as_str).collect();
            let choice = choose(&host, &held, &grant);
            prop_assert_eq!(&choice, &choose(&devices(8), &held, &grant));
            if let Choice::Devices(chosen) = choice {
                prop_assert!(chosen.iter().all(|id| !held.contains(id.as_str())));
                let distinct: BTreeSet<_> = chosen.iter().collect();
                prop_assert_eq!(distinct.len(), usize::try_from(gpus).unwrap());
            } else {
                prop_assert!(8 - held.len() < usize::try_from(gpus).unwrap());
            }
        }
    }
}
