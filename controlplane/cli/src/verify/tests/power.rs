//! Power caps: from the records alone the auditor finds what was granted beyond one, and who said it.

use super::quota::judged;
use super::*;
use sekisho_fsm::testing::bucket;
use sekisho_types::device::Bucket;
use sekisho_types::quota::Limit;

fn watts(devices: u64) -> u64 {
    u64::from(bucket(1).rated_watts()) * devices
}

/// Tokyo may draw as much as 5 devices: 4 run, then 3 and 2 of a node that was limited meanwhile; then the cap is lowered and
/// lifted.
fn capped() -> Federation {
    let mut f = Federation::new();
    f.tenant("sapporo", Limit::Unlimited);
    for at in ["tokyo-1/n-01", "tokyo-1/n-02"] {
        f.ready_node(at, 4);
    }
    f.cap("tokyo-1", Some(watts(5)));
    let placed = |f: &mut Federation, name: &str, gpus, at: &str| {
        let id = f.submit(job(name, 1, gpus, &[]));
        f.place(&id, &[at]);
        assert_eq!(f.placements(&id).len(), 1, "{id}");
    };
    placed(&mut f, "first", 4, "tokyo-1/n-01");
    f.equip(&"tokyo-1/n-02".parse().unwrap(), vec![Bucket { watts: 300, ..bucket(4) }]);
    placed(&mut f, "lean", 3, "tokyo-1/n-02");
    f.cap("tokyo-1", Some(watts(1)));
    f.cap("tokyo-1", None);
    placed(&mut f, "last", 1, "tokyo-1/n-02");
    f
}

fn cap_of(command: &mut Command) -> Option<&mut u64> {
    if let Command::SetPowerCap { watts, .. } = command { watts.as_mut() } else { None }
}

#[test]
fn a_log_with_caps_verifies() {
    let report = verify(&signed(&records(&capped()), &[1, 2, 3]), Some(&genesis()));
    assert!(report.is_good(), "{:#?}", report.steps);
    let report = judged(&capped(), |_| {});
    assert!(!report.is_bad(), "{:#?}", report.steps);
}

#[test]
fn q1_what_was_granted_beyond_a_cap_is_found() {
    let report = judged(&capped(), |entry| {
        if let Some(cap) = cap_of(&mut entry.command).filter(|cap| **cap == watts(5)) {
            *cap = watts(4);
        }
    });
    let told = findings(&report, Step::Quota);
    assert!(told.contains("6900 W may be drawn at tokyo-1 then, its cap is 6000"), "{told}");
    let report = judged(&capped(), |entry| {
        if let Command::OpenSession { buckets, .. } = &mut entry.command {
            buckets.iter_mut().for_each(|bucket| bucket.watts = 0);
        }
    });
    let told = findings(&report, Step::Quota);
    assert!(told.contains("10500 W may be drawn at tokyo-1 then"), "{told}");
    let report = judged(&capped(), |entry| {
        if let Command::SetPowerCap { watts: cap @ None, .. } = &mut entry.command {
            *cap = Some(watts(1));
        }
    });
    let told = findings(&report, Step::Quota);
    assert!(told.contains("its cap is 1500"), "{told}");
}

#[test]
fn a3_a_cap_by_somebody_else_is_found() {
    let report = judged(&capped(), |entry| {
        if matches!(entry.command, Command::SetPowerCap { .. }) {
            entry.actor = admin("hokuto");
        }
    });
    let told = findings(&report, Step::Access);
    assert!(
        told.contains("the power cap of tokyo-1 is not the word of its own operator"),
        "{told}"
    );
}
