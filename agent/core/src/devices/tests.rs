//! What is given to whom, and what is offered.
#![expect(clippy::arithmetic_side_effects, reason = "test values are small")]

use super::*;
use crate::fixture::{Federation, devices};
use proptest::prelude::*;
use sekisho_evidence::grant::Share;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::sharing::Sharing;

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// Each of these devices is held under that grant.
fn held<'g>(ids: &[&'g str], grant: &'g Grant) -> Holders<'g> {
    ids.iter().map(|id| (*id, vec![grant])).collect()
}

/// Two whole devices, one in three instances, one that three jobs may share.
fn mixed() -> Vec<Device> {
    let mut host = devices(4);
    let class = host[0].class.clone();
    let shared = host.pop().unwrap();
    let shared = Device {
        class: class.shared().unwrap(),
        memory_mib: 27_306,
        kind: DeviceKind::Shared(3),
        ..shared
    };
    let parent = host.pop().unwrap();
    let profile: MigProfile = "1g.10gb".parse().unwrap();
    let instance = |n: u32| Device {
        id: format!("MIG-{n}"),
        class: profile.class(&class).unwrap(),
        memory_mib: 9856,
        units: 1,
        island: 0,
        kind: DeviceKind::Mig(profile.clone()),
        ..parent.clone()
    };
    host.extend((0..3).map(instance));
    host.push(shared);
    host
}

fn share(tenant: &str, with: Sharing) -> Grant {
    let grant = Federation::new().grant(10, 0);
    let share = Share { device: Digest::of(b"GPU-3"), with };
    Grant {
        job: format!("{tenant}/train").parse().unwrap(),
        class: "h100-80g-shared".parse().unwrap(),
        memory_mib: 27_306,
        share: Some(share),
        ..grant
    }
}

#[test]
fn a_grant_gets_its_own_bucket_and_waits_for_room() {
    let federation = Federation::new();
    let mut host = devices(4);
    host[1].island = 2;
    let grant = Grant { gpus: 2, ..federation.grant(10, 0) };
    let none = Holders::new();
    assert_eq!(choose(&host, &none, &grant), Choice::Devices(ids(&["GPU-0", "GPU-2"])));
    let one = held(&["GPU-0"], &grant);
    assert_eq!(choose(&host, &one, &grant), Choice::Devices(ids(&["GPU-2", "GPU-3"])));
    assert_eq!(choose(&host, &held(&["GPU-0", "GPU-2"], &grant), &grant), Choice::Wait);
    host[0].healthy = false;
    host[2].healthy = false;
    assert_eq!(choose(&host, &none, &grant), Choice::Broken { healthy: 1 });
    assert!(has_bucket(&host, &grant));
    assert!(!has_bucket(&host, &Grant { island: 9, ..grant.clone() }));
    assert!(!has_bucket(&host, &Grant { units: 7, ..grant.clone() }));
    assert!(!has_bucket(&host, &Grant { memory_mib: 1, ..grant.clone() }));
    let told: Vec<_> = buckets(&host).into_iter().map(|b| (b.island, b.count)).collect();
    assert_eq!(told, [(1, 1), (2, 1)]);
}

#[test]
fn each_kind_is_a_bucket_of_its_own_and_a_grant_is_of_one_kind() {
    let host = mixed();
    assert_eq!(check_inventory(&host), Ok(()));
    let told = buckets(&host);
    let shown: Vec<_> = told.iter().map(|b| (b.class.as_str(), b.count, b.units)).collect();
    assert_eq!(shown, [("h100-80g", 2, 0), ("h100-80g-1g-10gb", 3, 1), ("h100-80g-shared", 3, 0)]);
    let federation = Federation::new();
    let instances = Grant {
        class: "h100-80g-1g-10gb".parse().unwrap(),
        memory_mib: 9856,
        units: 1,
        island: 0,
        gpus: 2,
        ..federation.grant(10, 0)
    };
    let none = Holders::new();
    assert_eq!(choose(&host, &none, &instances), Choice::Devices(ids(&["MIG-0", "MIG-1"])));
    let mine = share("city", Sharing::Tenant);
    assert_eq!(choose(&host, &none, &mine), Choice::Devices(ids(&["GPU-3"])));
    // Nobody has alone what is shared, nobody shares what is not, and a share is of the device that was granted.
    assert!(!has_bucket(&host, &Grant { share: None, ..mine.clone() }));
    assert!(!has_bucket(&host, &Grant { share: mine.share, ..federation.grant(10, 0) }));
    let elsewhere = Share { device: Digest::of(b"GPU-0"), with: Sharing::Tenant };
    assert!(!has_bucket(&host, &Grant { share: Some(elsewhere), ..mine }));
}

#[test]
fn a_share_waits_for_room_and_for_those_it_agrees_with() {
    let host = mixed();
    let (mine, open) = (share("city", Sharing::Tenant), share("city", Sharing::Any));
    let other = share("bank", Sharing::Any);
    let there = |grants: &[&Grant], grant: &Grant| {
        let held = Holders::from([("GPU-3", grants.to_vec())]);
        choose(&host, &held, grant) != Choice::Wait
    };
    assert!(there(&[&mine], &mine) && there(&[&mine], &open) && there(&[&open, &open], &mine));
    assert!(there(&[&open], &other) && there(&[&open, &other], &other));
    assert!(!there(&[&mine], &other), "who is there shares with its tenant alone");
    assert!(!there(&[&other], &mine), "who comes does");
    assert!(!there(&[&open, &other], &mine));
    assert!(!there(&[&mine, &mine, &mine], &mine), "three shares, and no more");
    let alone = Grant { share: None, ..mine.clone() };
    assert!(!there(&[&alone], &mine), "granted before it was shared");
    let mut sick = mixed();
    sick.iter_mut().for_each(|device| device.healthy = false);
    assert_eq!(choose(&sick, &Holders::new(), &mine), Choice::Broken { healthy: 0 });
    assert_eq!(buckets(&sick), []);
}

#[test]
fn an_inventory_that_counts_a_device_twice_offers_nothing() {
    for at in 0..mixed().len() {
        let mut host = mixed();
        let again = host[at].clone();
        host.push(again);
        assert_eq!(check_inventory(&host).unwrap_err().code(), ErrorCode::DeviceTwice, "{at}");
        assert_eq!(buckets(&host), [], "{at}");
    }
    let mut whole_and_sliced = mixed();
    whole_and_sliced.push(devices(3).pop().unwrap());
    assert_eq!(buckets(&whole_and_sliced), []);
    // A second look finds the same device under both modes, one of them not working.
    let mut shared_and_whole = mixed();
    shared_and_whole.push(Device { healthy: false, ..devices(4).pop().unwrap() });
    assert_eq!(buckets(&shared_and_whole), []);
}

proptest! {
    #[test]
    fn no_device_is_given_twice_and_order_changes_nothing(
        gpus in 1u32..4,
        taken in proptest::collection::btree_set(0usize..8, 0..8),
        host in Just(devices(8)).prop_shuffle(),
    ) {
        let grant = Grant { gpus, ..Federation::new().grant(10, 0) };
        let names: Vec<String> = taken.iter().map(|n| format!("GPU-{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let holders = held(&names, &grant);
        let choice = choose(&host, &holders, &grant);
        prop_assert_eq!(&choice, &choose(&devices(8), &holders, &grant));
        if let Choice::Devices(chosen) = choice {
            prop_assert!(chosen.iter().all(|id| !holders.contains_key(id.as_str())));
            let distinct: std::collections::BTreeSet<_> = chosen.iter().collect();
            prop_assert_eq!(distinct.len(), usize::try_from(gpus).unwrap());
        } else {
            prop_assert!(8 - taken.len() < usize::try_from(gpus).unwrap());
        }
    }

    /// Whoever asks in whatever order: no more than the shares, and each agrees with each.
    #[test]
    fn a_shared_device_holds_only_those_who_agree(
        comers in proptest::collection::vec((0usize..2, any::<bool>()), 0..8),
    ) {
        let host = mixed();
        let grants: Vec<Grant> = comers
            .iter()
            .map(|(tenant, any)| {
                share(["city", "bank"][*tenant], if *any { Sharing::Any } else { Sharing::Tenant })
            })
            .collect();
        let mut there: Vec<&Grant> = Vec::new();
        for grant in &grants {
            let held = Holders::from([("GPU-3", there.clone())]);
            if let Choice::Devices(_) = choose(&host, &held, grant) {
                there.push(grant);
            }
        }
        prop_assert!(there.len() <= 3);
        for (one, other) in there.iter().zip(there.iter().skip(1)) {
            let both = one.sharing() == Sharing::Any && other.sharing() == Sharing::Any;
            prop_assert!(one.job.tenant == other.job.tenant || both);
        }
    }
}

#[test]
fn parts_of_a_device_are_never_below_what_it_may_draw() {
    let mut host = mixed();
    host.iter_mut().for_each(|device| device.watts = 500);
    host[1].watts = 650;
    let told = buckets(&host);
    let watts = |class: &str| told.iter().find(|b| b.class.as_str() == class).unwrap().watts;
    assert_eq!(watts("h100-80g"), 650, "each of a bucket at the most of its devices");
    assert_eq!(watts("h100-80g-1g-10gb"), 167, "three equal instances of 500 W");
    assert_eq!(watts("h100-80g-shared"), 167);
    let (class, profile) = (host[0].class.clone(), "4g.40gb".parse::<MigProfile>().unwrap());
    host.iter_mut().filter(|device| device.id == "MIG-0").for_each(|device| {
        device.class = profile.class(&class).unwrap();
        (device.units, device.memory_mib) = (4, 40_000);
        device.kind = DeviceKind::Mig(profile.clone());
    });
    let large = buckets(&host).into_iter().find(|bucket| bucket.units == 4).unwrap();
    assert_eq!(large.watts, 334, "4 of 6 slices");
    host.iter_mut().for_each(|device| device.watts = 0);
    let told = buckets(&host);
    assert!(told.iter().all(|bucket| (1..=700).contains(&bucket.watts)), "by its class: {told:?}");
    assert_eq!(told[0].watts, 700);
}
