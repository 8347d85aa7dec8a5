//! Watts: what devices may draw by their board's limit, and what a site may draw in all.
//!
//! Must hold: what is taken for a device is never below what it may draw. A class that this table does not know, and one of
//! which models differ, is taken at its highest.
//! Does not know: what a device draws at a moment, and what hosts, networks and cooling draw.

use crate::id::DeviceClass;

/// Highest rated power of one device that a node may tell, watts.
pub const DEVICE_WATTS_MAX: u32 = 20_000;

/// Highest cap of a site, watts: a gigawatt is no cap.
pub const SITE_WATTS_MAX: u64 = 1_000_000_000;

/// What is taken for a device of a class that is not in the table, watts.
pub const UNKNOWN_WATTS: u32 = 1_500;

/// Highest board power of the models of a class, watts, by how its name begins.
const RATED: [(&str, u32); 20] = [
    ("a10", 150),
    ("a100", 400),
    ("a16", 250),
    ("a2", 60),
    ("a30", 165),
    ("a40", 300),
    ("a800", 400),
    ("b100", 700),
    ("b200", 1_200),
    ("b300", 1_400),
    ("gb200", 1_200),
    ("gb300", 1_400),
    ("gh200", 1_000),
    ("h100", 700),
    ("h200", 700),
    ("h800", 700),
    ("l4", 72),
    ("l40", 300),
    ("l40s", 350),
    ("v100", 300),
];

/// What a whole device of a class may draw, watts, where its agent does not tell; a class of instances or shares is taken for
/// that of their device.
#[must_use]
pub fn of_class(class: &DeviceClass) -> u32 {
    let model = class.as_str().split('-').next().unwrap_or_default();
    RATED.iter().find(|(name, _)| *name == model).map_or(UNKNOWN_WATTS, |(_, watts)| *watts)
}

/// The part of a device's watts that so many of `all` equal parts take, rounded up: all parts together are never below the whole.
#[must_use]
pub fn part(watts: u32, own: u32, all: u32) -> u32 {
    let whole = u64::from(watts).saturating_mul(u64::from(own.max(1)));
    let part = whole.div_ceil(u64::from(all.max(1)));
    u32::try_from(part).unwrap_or(u32::MAX).min(watts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_class_is_taken_at_its_highest_and_an_unknown_one_at_more() {
        let of = |class: &str| of_class(&class.parse().unwrap());
        assert_eq!([of("h200"), of("h100-80g"), of("h100-pcie")], [700, 700, 700]);
        assert_eq!([of("l4"), of("l40"), of("l40s")], [72, 300, 350], "names begin alike");
        assert_eq!([of("h200-1g-18gb"), of("h200-shared")], [700, 700], "that of their device");
        assert_eq!(of("rtx-6000-ada-generation"), UNKNOWN_WATTS);
        let known = RATED.iter().map(|(_, watts)| *watts).max();
        assert!(known < Some(UNKNOWN_WATTS));
    }

    proptest! {
        /// However a device is divided, its parts come to what it may draw or more, and none to more than the whole.
        #[test]
        fn parts_are_never_below_the_whole(
            watts in 0..DEVICE_WATTS_MAX,
            parts in prop::collection::vec(1u32..8, 1..16),
        ) {
            let all: u32 = parts.iter().sum();
            let each = parts.iter().map(|own| part(watts, *own, all));
            prop_assert!(each.clone().all(|one| one <= watts));
            prop_assert!(each.map(u64::from).sum::<u64>() >= u64::from(watts));
        }
    }
}
