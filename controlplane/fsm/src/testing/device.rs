//! Buckets of the fixture.

use super::CLASS;
use sekisho_types::device::{Bucket, BucketKind, MigProfile, Part};
use sekisho_types::id::{DeviceClass, Digest};

fn id(device: &str) -> Digest {
    Digest::of(device.as_bytes())
}

/// So many whole devices, told apart by their number.
#[must_use]
pub fn bucket(gpus: u32) -> Bucket {
    let devices = (0..gpus).map(|n| id(&format!("GPU-{n}")));
    Bucket::whole(CLASS.parse().unwrap(), 81_920, 0, devices)
}

/// So many MIG instances of one profile on the device of a number.
#[must_use]
pub fn instances(gpu: u32, count: u32) -> Bucket {
    let (profile, whole): (MigProfile, DeviceClass) =
        ("1g.10gb".parse().unwrap(), CLASS.parse().unwrap());
    let gpu = id(&format!("GPU-{gpu}"));
    let part = |n| Part { id: id(&format!("MIG-{gpu}-{n}")), gpu };
    Bucket {
        class: profile.class(&whole).unwrap(),
        memory_mib: 9856,
        island: 0,
        count,
        units: 1,
        kind: BucketKind::Mig(profile),
        parts: (0..count).map(part).collect(),
    }
}

/// So many shares of the device of a number.
#[must_use]
pub fn shares(gpu: u32, count: u32) -> Bucket {
    let whole: DeviceClass = CLASS.parse().unwrap();
    let gpu = id(&format!("GPU-{gpu}"));
    Bucket {
        class: whole.shared().unwrap(),
        memory_mib: 20_480,
        island: 0,
        count,
        units: 0,
        kind: BucketKind::Shared,
        parts: vec![Part::whole(gpu)],
    }
}
