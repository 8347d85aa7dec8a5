//! A host in another prefecture with the best way that physics allows, and what a beacon may say of it.

use super::*;
use crate::location::coverage::{capitals, offices};
use crate::location::geometry::reach;
use crate::location::landmark::LandmarkTable;
use crate::location::prefecture::PrefectureLand;
use crate::location::tests::fixture::{
    in_prefectures, light_ns, measure, office, question, table_of, transcript,
};
use crate::location::transcript::Verified;
use crate::location::verdict::{Proof, Question, Verdict, discs, prove};
use proptest::prelude::*;
use sekisho_types::id::PublicKey;
use sekisho_types::jurisdiction::areas;
use sekisho_types::position::Position;
use std::sync::LazyLock;

const ISHIKARI: u32 = 12_351;
const TOKYO: u32 = 131_016;

/// The site of the fixture's host.
fn site() -> &'static SiteId {
    static SITE: LazyLock<SiteId> = LazyLock::new(|| "tokyo-1".parse().unwrap());
    &SITE
}

fn prefecture(code: u32) -> Area {
    Area::Code(code).prefecture().unwrap()
}

fn beacon(operator: &str, position: Position, key: u8) -> Landmark {
    let id = format!("{operator}/tokyo-1").parse().unwrap();
    Landmark { id, position, survey_m: 10, key: PublicKey([key; 32]) }
}

fn alone(position: Position) -> LandmarkTable {
    LandmarkTable::new(vec![beacon("kanto", position, 1)]).unwrap()
}

fn asked(landmarks: &LandmarkTable, prefecture: Area) -> Question<'_> {
    Question { home: Some(Home { site: site(), prefecture }), ..question(landmarks, 0) }
}

fn proof(question: &Question<'_>, fix: &[Verified]) -> Proof {
    match prove(question, fix) {
        Verdict::Proven(proof) => proof,
        other @ (Verdict::Unknown(_) | Verdict::Inconsistent(_)) => panic!("{other:?}"),
    }
}

/// What a beacon there proves of that prefecture with a round trip of so many nanoseconds.
fn proven(landmarks: &LandmarkTable, of: Area, ns: u64) -> Option<Area> {
    match prove(&asked(landmarks, of), &measure(landmarks, |_| ns)) {
        Verdict::Proven(proof) => proof.prefecture,
        Verdict::Unknown(_) | Verdict::Inconsistent(_) => None,
    }
}

#[test]
fn a_near_beacon_proves_the_prefecture_of_the_tag_and_says_what_would() {
    let (ishikari, hokkaido) = (alone(office(ISHIKARI)), prefecture(ISHIKARI));
    let of = |ns| proof(&asked(&ishikari, hokkaido), &measure(&ishikari, |_| ns));
    let near = of(396_000);
    let told = near.beacon.clone().unwrap();
    assert_eq!((near.f, near.prefecture, told.rtt_ns), (0, Some(hokkaido), 396_000));
    assert!((1_100_000..1_300_000).contains(&told.enough_ns), "{told:?}");
    assert_eq!(of(told.enough_ns).prefecture, Some(hokkaido));
    let far = of(told.enough_ns + 1);
    assert_eq!((far.prefecture, far.f, far.beacon.unwrap().enough_ns), (None, 0, told.enough_ns));
    // The middle of Tokyo is some 10 km from Saitama and Chiba, and the outlines' error nearer.
    let (tokyo, at) = (alone(office(TOKYO)), prefecture(TOKYO));
    let told = proof(&asked(&tokyo, at), &measure(&tokyo, |_| 396_000)).beacon.unwrap();
    assert!((20_000..60_000).contains(&told.enough_ns) && !told.confirms(), "{told:?}");
    assert_eq!(proven(&tokyo, at, told.enough_ns), Some(at));
}

#[test]
fn a_beacon_in_another_prefecture_than_the_tags_proves_neither() {
    let tokyo = alone(office(TOKYO));
    let fix = measure(&tokyo, |_| 1);
    let other = proof(&asked(&tokyo, prefecture(ISHIKARI)), &fix);
    assert_eq!((other.prefecture, other.f), (None, 0));
    let told = other.beacon.unwrap();
    assert_eq!((told.enough_ns, told.confirms()), (0, false));
    let none = Beacon { rtt_ns: 0, ..told };
    assert!(!none.confirms(), "nothing is enough");
    let country = proof(&asked(&tokyo, Area::Japan), &fix);
    assert_eq!(country.prefecture, None);
}

#[test]
fn only_a_landmark_of_the_sites_name_is_a_beacon_and_the_best_of_several_counts() {
    let at = prefecture(ISHIKARI);
    let others = table_of(&[office(ISHIKARI)], 1);
    let stranger = proof(&asked(&others, at), &measure(&others, |_| 1));
    assert_eq!((stranger.prefecture, stranger.beacon), (None, None));
    let both = LandmarkTable::new(vec![
        beacon("hokuto", office(ISHIKARI), 1),
        beacon("kanto", office(ISHIKARI), 2),
    ])
    .unwrap();
    let fix = measure(&both, |one| if one.key == PublicKey([1; 32]) { 1_900_000 } else { 300_000 });
    let best = proof(&asked(&both, at), &fix);
    assert_eq!((best.f, best.prefecture), (1, Some(at)));
    assert_eq!(best.beacon.unwrap().landmark, "kanto/tokyo-1".parse().unwrap());
    let nowhere = Question { home: None, ..asked(&both, at) };
    assert_eq!(proof(&nowhere, &fix).beacon, None);
}

#[test]
fn a_fix_that_contradicts_itself_proves_no_prefecture() {
    let torn = LandmarkTable::new(vec![
        beacon("hokuto", office(ISHIKARI), 1),
        Landmark { id: "kanto/x".parse().unwrap(), ..beacon("kanto", office(TOKYO), 2) },
    ])
    .unwrap();
    let verdict = prove(&asked(&torn, prefecture(ISHIKARI)), &measure(&torn, |_| 300_000));
    assert!(matches!(verdict, Verdict::Inconsistent(_)), "{verdict:?}");
}

/// Beacons at the capitals and at some other offices.
fn beacons() -> Vec<(Area, Position)> {
    capitals().into_iter().chain(offices().into_iter().step_by(9)).collect()
}

/// How many hosts in a prefecture a verifier with this land is fooled about that turns delays into lengths with `reach`.
fn fooled(
    hosts: &[(Area, Position)],
    beacons: &[(Area, Position)],
    reach: impl Fn(u64) -> u32,
    land: &PrefectureLand,
) -> usize {
    let free = |(area, place): &(Area, Position)| {
        let of = area.prefecture().unwrap();
        (of, *place, land.to_others_cm(of, Vector::of(*place)))
    };
    let free: Vec<_> = beacons.iter().map(free).filter(|(.., free_cm)| *free_cm > 0).collect();
    let fools = |(own, host): &&(Area, Position)| {
        free.iter().any(|(of, place, free_cm)| {
            of != own && u64::from(reach(light_ns(*place, *host))) < *free_cm
        })
    };
    hosts.iter().filter(fools).count()
}

/// Offices that the outlines put into another prefecture, or into the sea.
fn misplaced(without_pad: &PrefectureLand) -> Vec<(Area, Position)> {
    let offices = areas().filter_map(|area| Some((area.area.prefecture()?, area.office?)));
    let lies_in_own = |(own, place): &(Area, Position)| {
        let at = Vector::of(*place);
        let number = |code: Area| code.to_string()[..2].parse::<u8>().unwrap();
        let own = number(*own);
        let mut cells = without_pad.cells().iter().filter(|(number, _)| *number == own);
        cells.any(|(_, cell)| !at.is_beyond(cell.centre, cell.pad_cm.into()))
    };
    offices.filter(|office| !lies_in_own(office)).collect()
}

/// And the same through the front door, which the wrong ones below could not pass.
#[test]
fn verifiers_that_break_a_rule_are_fooled_about_the_prefecture() {
    let (hosts, near) = (in_prefectures(), beacons());
    let land = prefecture::table();
    assert_eq!(fooled(hosts, &near, reach, land), 0, "ours");
    let fibre = fooled(hosts, &near, |ns| reach(ns / 2998 * 2042), land);
    assert!(fibre > 200, "fibre speed: {fibre}");
    let subtracted = fooled(hosts, &near, |ns| reach(ns.saturating_sub(100_000)), land);
    assert!(subtracted > 200, "0.1 ms taken off: {subtracted}");
    let without_pad = land.with_less_around(529_000);
    let (hosts, near) = (misplaced(&without_pad), offices());
    assert!(hosts.len() > 10, "{}", hosts.len());
    let unpadded = fooled(&hosts, &near, reach, &without_pad);
    assert!(unpadded > 5, "no padding: {unpadded} of {}", hosts.len());
    assert_eq!(fooled(&hosts, &near, reach, land), 0, "ours, of the same hosts");
}

/// Every host with the nearest beacon of another prefecture, at the speed of light in vacuum and with no time to answer.
#[test]
fn no_host_in_another_prefecture_is_proven_by_light_in_vacuum() {
    let tables: Vec<(Area, LandmarkTable)> = capitals()
        .into_iter()
        .map(|(area, place)| (area.prefecture().unwrap(), alone(place)))
        .collect();
    for (own, host) in in_prefectures() {
        let elsewhere = tables.iter().filter(|(of, _)| of != own);
        let nearest = elsewhere.map(|(of, table)| {
            let place = table.iter().next().unwrap().position;
            (light_ns(place, *host), *of, table)
        });
        let (ns, of, table) = nearest.min_by_key(|(ns, ..)| *ns).unwrap();
        assert_eq!(proven(table, of, ns), None, "{host} in {own}, beacon in {of}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whoever answers, or carries the datagrams, can only add delay.
    #[test]
    fn no_added_delay_proves_a_prefecture(
        which in 0..47_usize,
        of in 0..47_usize,
        ns in 1_u64..1_000_000,
        added in prop_oneof![Just(0_u64), 0_u64..500_000, Just(u64::MAX)],
        elsewhere in any::<bool>(),
    ) {
        let capitals = capitals();
        let of = capitals[if elsewhere { of } else { which }].0.prefecture().unwrap();
        let table = alone(capitals[which].1);
        let verdict = |ns| {
            let landmark = table.iter().next().unwrap();
            prove(&asked(&table, of), &[Verified::unsigned(transcript(landmark, ns))])
        };
        let prefecture = |ns| match verdict(ns) {
            Verdict::Proven(proof) => proof.prefecture,
            Verdict::Unknown(_) | Verdict::Inconsistent(_) => None,
        };
        let (before, after) = (prefecture(ns), prefecture(ns.saturating_add(added)));
        prop_assert!(after.is_none() || after == before);
        // The longest delay that would do is the last one that does.
        if let Verdict::Proven(Proof { beacon: Some(beacon), .. }) = verdict(ns) {
            prop_assert_eq!(before.is_some(), beacon.confirms());
            let enough = beacon.enough_ns;
            prop_assert_eq!(prefecture(enough.saturating_add(1)), None);
            prop_assert_eq!(prefecture(enough.max(1)).is_some(), enough > 0);
        }
    }

    /// The short cut is the rule: no cell of another prefecture is in the disc, and none abroad.
    #[test]
    fn a_proof_is_that_no_cell_of_another_prefecture_is_in_the_disc(
        which in 0..1741_usize,
        ns in prop_oneof![1_u64..60_000, 1_u64..1_000_000],
    ) {
        let (area, place) = offices()[which];
        let of = area.prefecture().unwrap();
        let table = alone(place);
        let row = table.row(&"kanto/tokyo-1".parse().unwrap()).unwrap();
        let (_, disc) = discs([(row, ns)], reach)[0];
        let own: u8 = of.to_string()[..2].parse().unwrap();
        let touches = prefecture::table().cells().iter().any(|(number, cell)| {
            *number != own && cell.lower_bound_cm(disc.centre) <= disc.radius_cm
        });
        let is_proven = !touches && disc.excludes_all();
        prop_assert_eq!(proven(&table, of, ns).is_some(), is_proven);
    }
}
