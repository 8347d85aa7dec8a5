//! What a node may say that it has.

use super::*;
use proptest::prelude::*;

fn id(n: u8) -> Digest {
    Digest([n; 32])
}

fn whole(devices: impl IntoIterator<Item = u8>) -> Bucket {
    Bucket::whole("h200".parse().unwrap(), 143_771, 1, devices.into_iter().map(id))
}

/// Instances of one device.
fn mig(profile: &str, gpu: u8, instances: &[u8]) -> Bucket {
    let profile: MigProfile = profile.parse().unwrap();
    let parts: Vec<Part> = instances.iter().map(|n| Part { id: id(*n), gpu: id(gpu) }).collect();
    Bucket {
        class: profile.class(&"h200".parse().unwrap()).unwrap(),
        memory_mib: 18_432,
        island: 0,
        count: u32::try_from(parts.len()).unwrap(),
        units: 1,
        kind: BucketKind::Mig(profile),
        parts,
        watts: 0,
    }
}

fn shared(gpu: u8, shares: u32) -> Bucket {
    Bucket {
        class: "h200-shared".parse().unwrap(),
        memory_mib: 35_942,
        count: shares,
        kind: BucketKind::Shared,
        ..whole([gpu])
    }
}

#[test]
fn profiles_are_as_the_driver_names_them() {
    let class: DeviceClass = "h200".parse().unwrap();
    for (profile, named) in [
        ("1g.18gb", "h200-1g-18gb"),
        ("1g.18gb+me", "h200-1g-18gb-me"),
        ("1c.3g.71gb", "h200-1c-3g-71gb"),
        ("1g.12gb-me", "h200-1g-12gb-me"),
    ] {
        let profile: MigProfile = profile.parse().unwrap();
        assert_eq!(profile.class(&class).unwrap().as_str(), named);
    }
    for bad in
        ["", "1g", "g.18gb", "1g..18gb", "1g.18GB", "1g.18gb+", "1g.18gb/0", &"1.".repeat(17)]
    {
        bad.parse::<MigProfile>().unwrap_err();
    }
}

#[test]
fn whole_devices_instances_and_shares_stand_side_by_side() {
    let all = [
        whole([1, 2]),
        mig("1g.18gb", 3, &[10, 11]),
        mig("2g.35gb", 3, &[12]),
        shared(4, 4),
        shared(5, 4),
    ];
    assert_eq!(check(&all), Ok(()));
    assert_eq!(all[3].shared_device(), Some(id(4)));
    assert_eq!(all[0].key(), (&"h200".parse().unwrap(), 143_771, 1, None));
    assert_eq!(check(&[]), Ok(()), "a host without devices");
}

#[test]
fn nothing_is_counted_twice() {
    let twice = |all: &[Bucket]| {
        let error = check(all).unwrap_err();
        assert_eq!(error.code(), ErrorCode::DeviceTwice, "{error}");
        matches!(error, BucketsError::Twice(..))
    };
    assert!(twice(&[whole([1, 2, 1])]), "listed twice");
    let island = Bucket { island: 2, ..whole([2]) };
    assert!(twice(&[whole([1, 2]), island]), "in two buckets");
    assert!(twice(&[whole([1, 2]), mig("1g.18gb", 2, &[10])]), "whole and in parts");
    assert!(twice(&[whole([1, 2]), shared(2, 4)]), "whole and shared");
    assert!(twice(&[mig("1g.18gb", 2, &[10]), shared(2, 4)]), "in parts and shared");
    assert!(twice(&[mig("1g.18gb", 2, &[10, 10])]), "one instance twice");
    assert!(twice(&[whole([10]), mig("1g.18gb", 2, &[10])]), "an instance for a device");
    assert!(twice(&[mig("1g.18gb", 10, &[11]), mig("2g.35gb", 12, &[10])]), "the other way round");
}

#[test]
fn a_bucket_that_contradicts_itself_is_refused() {
    let h200: DeviceClass = "h200".parse().unwrap();
    let alien = Part { id: id(8), gpu: id(9) };
    for bad in [
        Bucket { count: 3, ..whole([1, 2]) },
        Bucket { parts: vec![alien], count: 1, ..whole([1]) },
        Bucket { class: "h200-shared".parse().unwrap(), ..whole([1]) },
        Bucket { parts: vec![Part::whole(id(9))], ..mig("1g.18gb", 2, &[10]) },
        Bucket { class: h200.clone(), ..mig("1g.18gb", 2, &[10]) },
        Bucket { count: 2, ..mig("1g.18gb", 2, &[10]) },
        Bucket { class: h200, ..shared(1, 4) },
        Bucket { parts: vec![Part::whole(id(1)), Part::whole(id(2))], ..shared(1, 4) },
        Bucket { parts: Vec::new(), ..shared(1, 4) },
        Bucket { parts: vec![alien], ..shared(1, 4) },
        shared(1, 1),
        shared(1, SHARES_MAX.saturating_add(1)),
    ] {
        let error = check(std::slice::from_ref(&bad)).unwrap_err();
        assert!(matches!(error, BucketsError::Contradiction(..)), "{bad:?}: {error}");
        assert_eq!(error.code(), ErrorCode::DeviceTwice);
    }
}

#[test]
fn watts_are_as_told_or_never_below_what_the_class_may_draw() {
    let told = |bucket: Bucket| Bucket { watts: 450, ..bucket }.rated_watts();
    assert_eq!(
        [told(whole([1])), told(shared(1, 4))],
        [450, 450],
        "of each device, and of each share"
    );
    assert_eq!(whole([1, 2]).rated_watts(), 700);
    assert_eq!(mig("1g.18gb", 3, &[10, 11]).rated_watts(), 700, "nobody told its part");
    assert_eq!(shared(1, 4).rated_watts(), 175);
    assert_eq!(shared(1, 16).rated_watts(), 44, "rounded up");
    let other = Bucket { watts: 450, ..whole([1]) };
    assert!(same_devices(&[whole([1])], std::slice::from_ref(&other)) && other != whole([1]));
    assert!(!same_devices(&[whole([1])], &[whole([2])]));
    assert!(!same_devices(&[whole([1])], &[]));
}

#[test]
fn bounds_and_order_are_arguments() {
    let hot = Bucket { watts: DEVICE_WATTS_MAX.saturating_add(1), ..whole([1]) };
    let many = Bucket { count: BUCKET_DEVICES_MAX.saturating_add(1), ..whole([1]) };
    for bad in [
        vec![whole([])],
        vec![many],
        vec![hot],
        vec![whole([1]), whole([2])],
        vec![shared(5, 4), shared(4, 4)],
        vec![whole([1]); BUCKETS_MAX.saturating_add(1)],
    ] {
        assert_eq!(check(&bad).unwrap_err().code(), ErrorCode::InvalidArgument, "{bad:?}");
    }
}

proptest! {
    /// However devices are dealt to buckets: what is taken has each of them in one kind, and each id once.
    #[test]
    fn what_is_taken_counts_each_device_once(
        deal in prop::collection::vec((0u8..3, 0u8..6, 0u8..12), 0..8),
    ) {
        let made = deal.iter().map(|(kind, gpu, instance)| match kind {
            0 => whole([*gpu]),
            1 => mig("1g.18gb", *gpu, &[*instance]),
            _ => shared(*gpu, 4),
        });
        let mut buckets: Vec<Bucket> = made.collect();
        buckets.sort_by(|a, b| a.key().cmp(&b.key()));
        if check(&buckets).is_ok() {
            let parts: Vec<(bool, Part)> = buckets
                .iter()
                .flat_map(|b| b.parts.iter().map(|part| (matches!(b.kind, BucketKind::Mig(_)), *part)))
                .collect();
            let ids: BTreeSet<Digest> = parts.iter().map(|(_, part)| part.id).collect();
            prop_assert_eq!(ids.len(), parts.len());
            for (sliced, part) in &parts {
                let others = parts.iter().filter(|(_, other)| other.gpu == part.gpu);
                let alone = others.clone().count() == 1;
                prop_assert!(alone || others.clone().all(|(other, _)| *other && *sliced), "{:?}", buckets);
            }
        }
    }
}
