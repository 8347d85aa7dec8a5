//! Devices as the control plane accounts them: buckets of equal devices on one node. Which device a job gets inside a
//! bucket is the agent's choice alone.
//!
//! Must hold (P1): a device is in one bucket, or all of it is in buckets of MIG instances, and each of those in one; nothing is
//! counted twice. [`check`] says so to the agent, which refuses its own inventory, and to apply.
//! Does not know: the driver's ids. A device is told by the SHA-256 of its id, which says nothing to those who do not have it.

use crate::error_code::ErrorCode;
use crate::id::{DeviceClass, Digest};
use crate::limit::{BUCKET_DEVICES_MAX, BUCKETS_MAX, PROFILE_MAX, SHARES_MAX};
use crate::name::NameError;
use crate::power::{self, DEVICE_WATTS_MAX};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// Name of a MIG profile, as the driver has it: `1g.18gb`, `1c.3g.71gb`, `1g.18gb+me`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MigProfile(String);

/// A text that is no name of a MIG profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no MIG profile like 1g.18gb")]
pub struct ProfileError(String);

impl MigProfile {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How the class of its instances ends.
    #[must_use]
    pub fn suffix(&self) -> String {
        format!("-{}", self.0.replace(['.', '+'], "-"))
    }

    /// The class of its instances on devices of a class: `h200-1g-18gb`. A class is a DNS label, which has no dots.
    ///
    /// # Errors
    /// The name is too long.
    pub fn class(&self, whole: &DeviceClass) -> Result<DeviceClass, NameError> {
        format!("{whole}{}", self.suffix()).parse()
    }
}

impl FromStr for MigProfile {
    type Err = ProfileError;
    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let is_part = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        let begins = text.starts_with(|c: char| c.is_ascii_digit());
        // One part is no profile: it says slices and memory.
        let parts = text.contains('.') && text.split(['.', '+', '-']).all(is_part);
        if begins && parts && text.len() <= PROFILE_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(ProfileError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for MigProfile {
    type Error = ProfileError;
    fn try_from(text: String) -> Result<Self, ProfileError> {
        text.parse()
    }
}

impl From<MigProfile> for String {
    fn from(profile: MigProfile) -> Self {
        profile.0
    }
}

impl fmt::Display for MigProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a bucket is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BucketKind {
    /// Whole devices.
    Whole,
    /// MIG instances of one profile.
    Mig(MigProfile),
    /// Shares of one device, whose jobs take turns on it.
    Shared,
}

/// A device that can be held: a whole one, or an instance of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Part {
    /// SHA-256 of its id.
    pub id: Digest,
    /// SHA-256 of the id of the whole device: the same, unless it is an instance.
    pub gpu: Digest,
}

impl Part {
    /// A whole device.
    #[must_use]
    pub fn whole(id: Digest) -> Self {
        Self { id, gpu: id }
    }
}

/// A group of equal devices on one node, or the shares of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Device class.
    pub class: DeviceClass,
    /// Memory of each device in MiB; of a share, its part of the memory.
    pub memory_mib: u64,
    /// NVLink island within the node; devices of one bucket share it, so those of one member are of one island.
    pub island: u16,
    /// Healthy devices, or shares of the one.
    pub count: u32,
    /// Compute slices of each device; 0 = not told.
    pub units: u32,
    /// What it is made of.
    pub kind: BucketKind,
    /// The devices.
    pub parts: Vec<Part>,
    /// Power that each device, instance or share may draw, watts, at most [`DEVICE_WATTS_MAX`]; 0 = not told.
    pub watts: u32,
}

/// What a bucket is told apart by: class, memory, island, and of shares the device.
pub type BucketKey<'b> = (&'b DeviceClass, u64, u16, Option<Digest>);

impl Bucket {
    /// Whole devices, by the SHA-256 of their ids.
    #[must_use]
    pub fn whole(
        class: DeviceClass,
        memory_mib: u64,
        island: u16,
        devices: impl IntoIterator<Item = Digest>,
    ) -> Self {
        let parts: Vec<Part> = devices.into_iter().map(Part::whole).collect();
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let (units, kind, watts) = (0, BucketKind::Whole, 0);
        Self { class, memory_mib, island, count, units, kind, parts, watts }
    }

    /// Power that is taken for each device, instance or share, watts: what was told, else what its class is taken at. Of an
    /// instance whose part nobody told that is all of its device.
    #[must_use]
    pub fn rated_watts(&self) -> u32 {
        if self.watts > 0 {
            return self.watts;
        }
        let whole = power::of_class(&self.class);
        match &self.kind {
            BucketKind::Whole | BucketKind::Mig(_) => whole,
            BucketKind::Shared => power::part(whole, 1, self.count),
        }
    }

    /// What it is told apart by on its node.
    #[must_use]
    pub fn key(&self) -> BucketKey<'_> {
        (&self.class, self.memory_mib, self.island, self.shared_device())
    }

    /// The device that the shares are of; none = it is no bucket of shares.
    #[must_use]
    pub fn shared_device(&self) -> Option<Digest> {
        match self.kind {
            BucketKind::Whole | BucketKind::Mig(_) => None,
            BucketKind::Shared => self.parts.first().map(|part| part.gpu),
        }
    }

    /// What of it contradicts the rest, in words.
    fn contradiction(&self) -> Option<&'static str> {
        let devices = u32::try_from(self.parts.len()).unwrap_or(u32::MAX);
        let whole = self.parts.iter().all(|part| part.id == part.gpu);
        let told = devices == self.count;
        let named_shared = self.class.is_shared();
        match &self.kind {
            BucketKind::Whole | BucketKind::Mig(_) if named_shared => {
                Some("its class says that it is shared")
            }
            BucketKind::Whole | BucketKind::Mig(_) if !told => {
                Some("it counts other devices than it names")
            }
            BucketKind::Whole | BucketKind::Shared if !whole => Some("it names instances"),
            BucketKind::Mig(_) if self.parts.iter().any(|part| part.id == part.gpu) => {
                Some("it names whole devices")
            }
            BucketKind::Mig(profile) if !self.class.as_str().ends_with(&profile.suffix()) => {
                Some("its class does not say the profile")
            }
            BucketKind::Shared if !named_shared => Some("its class does not say that it is shared"),
            BucketKind::Shared if devices != 1 => Some("shares are of one device"),
            BucketKind::Shared if !(2..=SHARES_MAX).contains(&self.count) => {
                Some("a device has 2 to 16 shares")
            }
            BucketKind::Whole | BucketKind::Mig(_) | BucketKind::Shared => None,
        }
    }
}

/// Why a node may not have these buckets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BucketsError {
    /// More than [`BUCKETS_MAX`].
    #[error("too many")]
    TooMany,
    /// An empty bucket, or one of more than [`BUCKET_DEVICES_MAX`].
    #[error("a bucket has 1 to {BUCKET_DEVICES_MAX} devices")]
    Size,
    /// One that is rated at more than [`DEVICE_WATTS_MAX`].
    #[error("a device is rated at {DEVICE_WATTS_MAX} W at most")]
    Watts,
    /// Two that cannot be told apart, or not in order.
    #[error("must be ordered by class, memory and island, without doubles")]
    Order,
    /// A bucket contradicts itself.
    #[error("{0}: {1}")]
    Contradiction(DeviceClass, &'static str),
    /// A device stands in it twice: listed twice, or whole and in parts, or shared and not.
    #[error("{0}: device {1} is counted twice")]
    Twice(DeviceClass, Digest),
}

impl BucketsError {
    /// The code that stands for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TooMany | Self::Size | Self::Watts | Self::Order => ErrorCode::InvalidArgument,
            Self::Contradiction(..) | Self::Twice(..) => ErrorCode::DeviceTwice,
        }
    }
}

/// Whether these are the same devices, whatever power they are rated at: a limit may change while they are in use.
#[must_use]
pub fn same_devices(had: &[Bucket], has: &[Bucket]) -> bool {
    let same = |(had, has): (&Bucket, &Bucket)| *had == Bucket { watts: had.watts, ..has.clone() };
    had.len() == has.len() && had.iter().zip(has).all(same)
}

/// Checks what a node has: its bounds, its order, and that nothing is counted twice (P1).
///
/// # Errors
/// The first rule that is broken.
pub fn check(buckets: &[Bucket]) -> Result<(), BucketsError> {
    if buckets.len() > BUCKETS_MAX {
        return Err(BucketsError::TooMany);
    }
    if buckets.iter().any(|bucket| !(1..=BUCKET_DEVICES_MAX).contains(&bucket.count)) {
        return Err(BucketsError::Size);
    }
    if buckets.iter().any(|bucket| bucket.watts > DEVICE_WATTS_MAX) {
        return Err(BucketsError::Watts);
    }
    if let Some((bucket, why)) = buckets.iter().find_map(|b| Some((b, b.contradiction()?))) {
        return Err(BucketsError::Contradiction(bucket.class.clone(), why));
    }
    each_once(buckets)?;
    if !buckets.is_sorted_by(|a, b| a.key() < b.key()) {
        return Err(BucketsError::Order);
    }
    Ok(())
}

fn each_once(buckets: &[Bucket]) -> Result<(), BucketsError> {
    // Whether the device is one in parts, and the ids that were seen.
    let mut devices: BTreeMap<Digest, bool> = BTreeMap::new();
    let mut seen: BTreeSet<Digest> = BTreeSet::new();
    for bucket in buckets {
        let in_parts = matches!(bucket.kind, BucketKind::Mig(_));
        for part in &bucket.parts {
            let known = devices.insert(part.gpu, in_parts);
            let again = known.is_some_and(|earlier| !earlier || !in_parts);
            if again || !seen.insert(part.id) {
                return Err(BucketsError::Twice(bucket.class.clone(), part.id));
            }
        }
    }
    // An instance that passes for a whole device elsewhere.
    let passes = |part: &Part| part.id != part.gpu && devices.contains_key(&part.id);
    let found = buckets.iter().find_map(|b| Some((b, b.parts.iter().find(|part| passes(part))?)));
    match found {
        None => Ok(()),
        Some((bucket, part)) => Err(BucketsError::Twice(bucket.class.clone(), part.id)),
    }
}

#[cfg(test)]
mod tests;
