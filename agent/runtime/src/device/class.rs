//! Device classes: a DNS label made of a driver's model name by one fixed rule.
//!
//! Quotas, offers and policies name classes, so the rule is part of the product: the same model must make the same
//! label on every host and under every driver. It uses the name alone; measured memory differs by driver.

use std::fmt;

use serde::{Deserialize, Serialize};

use sekisho_types::device::MigProfile;

use crate::device::DeviceError;
use crate::limit;

/// A class: one DNS label (`a-z 0-9 -`, no dash at either end).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceClass(String);

impl DeviceClass {
    /// Checks a label.
    ///
    /// # Errors
    /// [`DeviceError::Class`].
    pub fn new(label: &str) -> Result<Self, DeviceError> {
        let sound = (1..=limit::CLASS_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-');
        if sound { Ok(Self(label.to_owned())) } else { Err(DeviceError::Class(label.to_owned())) }
    }

    /// Makes the label of a model. Words are split at anything but letters and digits; the maker's names and the
    /// kind of memory (`HBM3`, `GDDR6`) are dropped, and a size `80GB` becomes `80g`:
    /// `NVIDIA H100 80GB HBM3` is `h100-80g`.
    ///
    /// # Errors
    /// [`DeviceError::Class`] when nothing is left, or too much.
    pub fn of_model(name: &str) -> Result<Self, DeviceError> {
        let lower = name.to_ascii_lowercase();
        let words: Vec<String> = lower
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty() && !is_dropped(word))
            .map(shorten_size)
            .collect();
        let Ok(class) = Self::new(&words.join("-")) else {
            // With the name, not with what was left of it.
            return Err(DeviceError::Class(name.to_owned()));
        };
        Ok(class)
    }

    /// The class of MIG instances of a profile on devices of this one: `h200-1g-18gb`.
    ///
    /// # Errors
    /// [`DeviceError::Class`] when it is too long.
    pub fn of_instances(&self, profile: &MigProfile) -> Result<Self, DeviceError> {
        Self::new(&format!("{self}{}", profile.suffix()))
    }

    /// The label.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_dropped(word: &str) -> bool {
    matches!(word, "nvidia" | "tesla" | "graphics" | "device")
        || word.starts_with("hbm")
        || word.starts_with("gddr")
}

fn shorten_size(word: &str) -> String {
    match word.strip_suffix("gb") {
        Some(size) if !size.is_empty() && size.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{size}g")
        }
        Some(_) | None => word.to_owned(),
    }
}

impl fmt::Display for DeviceClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DeviceClass {
    type Error = DeviceError;
    fn try_from(label: String) -> Result<Self, DeviceError> {
        Self::new(&label)
    }
}

impl From<DeviceClass> for String {
    fn from(class: DeviceClass) -> Self {
        class.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_models_keep_their_label_for_ever() {
        for (model, label) in [
            ("NVIDIA H100 80GB HBM3", "h100-80g"),
            ("NVIDIA H100 PCIe", "h100-pcie"),
            ("NVIDIA H200", "h200"),
            ("NVIDIA GH200 480GB", "gh200-480g"),
            ("NVIDIA B200", "b200"),
            ("NVIDIA A100-SXM4-40GB", "a100-sxm4-40g"),
            ("NVIDIA L4", "l4"),
            ("Tesla T4", "t4"),
            ("Tesla V100-SXM2-16GB", "v100-sxm2-16g"),
            ("NVIDIA RTX 6000 Ada Generation", "rtx-6000-ada-generation"),
        ] {
            assert_eq!(DeviceClass::of_model(model).unwrap().as_str(), label, "{model}");
        }
        for nothing in ["", "NVIDIA", "NVIDIA Graphics Device", "日本", &"x".repeat(64)] {
            assert!(
                matches!(DeviceClass::of_model(nothing), Err(DeviceError::Class(_))),
                "{nothing}"
            );
        }
    }

    #[test]
    fn instances_are_of_the_class_of_their_device_and_their_profile() {
        for (model, profile, label) in [
            ("NVIDIA A100-SXM4-80GB", "1g.10gb", "a100-sxm4-80g-1g-10gb"),
            ("NVIDIA H100 80GB HBM3", "1g.10gb+me", "h100-80g-1g-10gb-me"),
            ("NVIDIA H200", "3g.71gb", "h200-3g-71gb"),
        ] {
            let (class, profile) =
                (DeviceClass::of_model(model).unwrap(), profile.parse().unwrap());
            let found = class.of_instances(&profile).unwrap();
            assert_eq!(found.as_str(), label);
            // The control plane makes the same of it.
            let told: sekisho_types::id::DeviceClass = class.as_str().parse().unwrap();
            assert_eq!(profile.class(&told).unwrap().as_str(), label);
        }
    }

    proptest! {
        #[test]
        fn a_label_is_a_label_or_refused(name in "\\PC{0,80}") {
            if let Ok(class) = DeviceClass::of_model(&name) {
                prop_assert_eq!(DeviceClass::new(class.as_str()).unwrap(), class);
            }
        }
    }
}
