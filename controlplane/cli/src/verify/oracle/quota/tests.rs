//! The auditor's tree against that of the state machine, and what it says of a tree that is none.

use super::*;
use sekisho_fsm::quota::{Held, Holding, HoldingKey, Quota, charge, edit};
use sekisho_fsm::table::Table;
use sekisho_types::revision::Revision;

/// Each tenant, and whose part it is.
const TREE: [(&str, Option<&str>); 7] = [
    ("a", None),
    ("b", Some("a")),
    ("c", Some("a")),
    ("d", Some("b")),
    ("e", Some("b")),
    ("f", Some("e")),
    ("g", None),
];

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn class() -> DeviceClass {
    "h100-80g".parse().unwrap()
}

/// Tokyo, and Chiyoda in it; Hokkaido.
fn areas() -> [Area; 4] {
    ["JP", "JP-13", "131016", "JP-01"].map(|area| Area::resolve(area).unwrap())
}

fn tree() -> Ledger {
    let mut ledger = Ledger::default();
    for (name, parent) in TREE {
        ledger.join(&tenant(name), parent.map(tenant).as_ref()).unwrap();
    }
    ledger
}

/// Numbers below a bound, the same for each seed.
fn numbers(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005);
        seed = seed.wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    }
}

fn limit(number: u64) -> Limit {
    match number {
        0..=3 => Limit::None,
        4 => Limit::Unlimited,
        more => Limit::Gpus(more - 4),
    }
}

#[test]
fn it_comes_to_what_the_state_machine_says_whatever_was_set_and_charged() {
    let class = class();
    let mut admitted = [0, 0];
    for seed in 0..40 {
        let mut next = numbers(seed);
        let (mut own, mut theirs) = (tree(), Table::<HoldingKey, Holding>::default());
        for _ in 0..120 {
            let at = tenant(TREE[usize::try_from(next(7)).unwrap()].0);
            let area = areas()[usize::try_from(next(4)).unwrap()];
            let path = own.path(&at);
            if next(3) == 0 {
                let [nominal, borrowing, lending] = [(); 3].map(|()| limit(next(14)));
                let allotment = Allotment { nominal, borrowing, lending };
                own.set(&at, &class, area, allotment);
                let revision = Revision(1);
                let quota = (!allotment.is_none()).then_some(Quota { allotment, revision });
                edit(&mut theirs, &path, &class, |lines| {
                    lines.of(area).quota = quota;
                });
            } else {
                let gpus = next(3);
                own.add((&at, &class), area, gpus);
                charge(&mut theirs, &path, &class, area, gpus);
            }
            let asks = tenant(TREE[usize::try_from(next(7)).unwrap()].0);
            let (place, gpus) = (areas()[usize::try_from(next(4)).unwrap()], next(9) + 1);
            let path = own.path(&asks);
            let lines = theirs.get(&(asks.clone(), class.clone())).map(|holding| &holding.lines);
            let rows = lines.into_iter().flatten().filter(|(_, line)| line.quota.is_some());
            let rows = rows.filter(|(area, _)| area.contains(place));
            let held = Held::of(&theirs, &path, &class);
            let rooms: Vec<_> = rows.map(|(area, _)| held.room(*area)).collect();
            let fits = !rooms.is_empty() && rooms.iter().all(|room| room.covers(gpus));
            let said = own.admits((&asks, &class), place, gpus);
            let what = format!("seed {seed}: {asks} {gpus} at {place}: {said:?}, {rooms:?}");
            assert_eq!(said.is_ok(), fits, "{what}");
            admitted[usize::from(fits)] += 1;
        }
    }
    assert!(admitted.iter().all(|count| *count > 200), "{admitted:?}");
}

#[test]
fn what_is_summed_up_once_is_summed_up_anew_after_a_move() {
    let (mut ledger, class) = (tree(), class());
    let all = |nominal, lending| Allotment {
        nominal: Limit::Gpus(nominal),
        borrowing: Limit::Unlimited,
        lending: Limit::Gpus(lending),
    };
    ledger.set(&tenant("d"), &class, Area::Japan, all(4, 4));
    ledger.set(&tenant("f"), &class, Area::Japan, all(0, 0));
    let (d, f) = (tenant("d"), tenant("f"));
    assert_eq!(ledger.admits((&f, &class), Area::Japan, 4), Ok(()));
    assert!(ledger.admits((&f, &class), Area::Japan, 5).is_err());
    ledger.join(&d, None).unwrap();
    assert!(ledger.admits((&f, &class), Area::Japan, 1).is_err());
    ledger.join(&d, Some(&tenant("c"))).unwrap();
    assert_eq!(ledger.admits((&f, &class), Area::Japan, 4), Ok(()));
    ledger.add((&d, &class), Area::Japan, 3);
    assert!(ledger.admits((&f, &class), Area::Japan, 2).is_err());
    ledger.take((&d, &class), Area::Japan, 3);
    assert_eq!(ledger.admits((&f, &class), Area::Japan, 4), Ok(()));
    ledger.forget(&d);
    assert!(ledger.admits((&f, &class), Area::Japan, 1).is_err());
}

#[test]
fn a_tree_that_would_be_none_stays_as_it_is() {
    let mut ledger = tree();
    for below in ["a", "b", "f"] {
        assert!(ledger.join(&tenant("a"), Some(&tenant(below))).is_err(), "{below}");
    }
    assert_eq!(ledger.path(&tenant("f")), ["f", "e", "b", "a"].map(tenant));
    let mut last = tenant("g");
    for level in 1..TENANT_DEPTH_MAX {
        let next = tenant(&format!("g-{level}"));
        ledger.join(&next, Some(&last)).unwrap();
        last = next;
    }
    assert!(ledger.join(&tenant("h"), Some(&last)).is_err());
    // With parts of its own it is too deep as well.
    assert!(ledger.join(&tenant("g"), Some(&tenant("a"))).is_err());
}
