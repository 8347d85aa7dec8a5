//! A country of landmarks, places abroad, and the delays that light allows between them.
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
#![expect(
    clippy::disallowed_types,
    reason = "what is true is computed with floats, apart from what is tested"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "delays of milliseconds"
)]

use crate::grant::Instance;
use crate::location::coverage;
use crate::location::landmark::{Landmark, LandmarkTable};
use crate::location::transcript::{FixId, Subject, Transcript, Verified};
use crate::location::verdict::Question;
use sekisho_types::id::{ClusterId, Digest, PublicKey};
use sekisho_types::jurisdiction::{Area, Level, areas};
use sekisho_types::position::Position;
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Timestamp;
use std::sync::{LazyLock, OnceLock};

/// The office of an area.
pub(crate) fn office(code: u32) -> Position {
    Area::Code(code).info().and_then(|info| info.office).unwrap_or_else(|| panic!("{code}"))
}

pub(crate) fn capitals() -> Vec<Position> {
    coverage::capitals().into_iter().map(|(_, office)| office).collect()
}

/// Points inside the polygons of foreign land, drawn without the table's cells.
pub(crate) fn probes() -> &'static [Position] {
    static PROBES: LazyLock<Vec<Position>> = LazyLock::new(|| {
        let read = |line: &str| {
            let (latitude, longitude) = line.split_once(',').unwrap();
            Position::new(latitude.parse().unwrap(), longitude.parse().unwrap()).unwrap()
        };
        include_str!("../../../data/foreign_probes.csv").lines().map(read).collect()
    });
    &PROBES
}

/// Points inside the outlines of each prefecture, drawn without the table's cells.
pub(crate) fn in_prefectures() -> &'static [(Area, Position)] {
    static PROBES: LazyLock<Vec<(Area, Position)>> = LazyLock::new(|| {
        let prefectures = prefectures();
        let read = |line: &str| {
            let mut parts = line.split(',');
            let mut next = || parts.next().unwrap();
            let number: u8 = next().parse().unwrap();
            let (latitude, longitude) = (next().parse().unwrap(), next().parse().unwrap());
            let prefecture = prefectures[usize::from(number) - 1];
            (prefecture, Position::new(latitude, longitude).unwrap())
        };
        include_str!("../../../data/prefecture_probes.csv").lines().map(read).collect()
    });
    &PROBES
}

/// All of them, by number.
fn prefectures() -> Vec<Area> {
    let all = areas().filter(|row| row.level == Level::Prefecture).map(|row| row.area);
    let all: Vec<Area> = all.collect();
    assert!(all.len() == 47 && all.is_sorted());
    all
}

/// Landmarks of `operators` operators in turn, `op-000/l-000`, at these places.
pub(crate) fn landmarks(places: &[Position], operators: usize) -> Vec<Landmark> {
    let landmark = |(number, position): (usize, &Position)| Landmark {
        id: format!("op-{:03}/l-{number:03}", number % operators).parse().unwrap(),
        position: *position,
        survey_m: 0,
        key: PublicKey([u8::try_from(number).unwrap(); 32]),
    };
    let mut landmarks: Vec<Landmark> = places.iter().enumerate().map(landmark).collect();
    landmarks.sort_by(|a, b| a.id.cmp(&b.id));
    landmarks
}

/// A landmark in each capital, of so many operators in turn; made once, because many properties ask for it.
pub(crate) fn at_capitals(operators: usize) -> &'static LandmarkTable {
    static TABLES: [OnceLock<LandmarkTable>; 48] = [const { OnceLock::new() }; 48];
    TABLES[operators].get_or_init(|| table_of(&capitals(), operators))
}

pub(crate) fn table_of(places: &[Position], operators: usize) -> LandmarkTable {
    LandmarkTable::new(landmarks(places, operators)).unwrap()
}

/// A point of the WGS 84 ellipsoid, m.
fn on_ellipsoid(position: Position) -> [f64; 3] {
    let (a, e2) = (6_378_137.0_f64, 0.006_694_379_990_14_f64);
    let lat = (f64::from(position.latitude()) / 1e6).to_radians();
    let lng = (f64::from(position.longitude()) / 1e6).to_radians();
    let n = a / (1.0 - e2 * lat.sin().powi(2)).sqrt();
    [n * lat.cos() * lng.cos(), n * lat.cos() * lng.sin(), n * (1.0 - e2) * lat.sin()]
}

/// What light takes in vacuum along the straight line, there and back, ns, and nothing else: rounded down.
pub(crate) fn light_ns(from: Position, to: Position) -> u64 {
    let squares =
        on_ellipsoid(from).into_iter().zip(on_ellipsoid(to)).map(|(a, b)| (a - b).powi(2));
    let metres = squares.sum::<f64>().sqrt();
    ((2.0 * metres / 299_792_458.0 * 1e9).floor() as u64).max(1)
}

pub(crate) const FIX: FixId = FixId([7; 16]);
pub(crate) const INSTANCE: Instance = Instance([6; 16]);
pub(crate) const KEY: Digest = Digest([5; 32]);
pub(crate) const NOW: Timestamp = Timestamp(10_000_000);
pub(crate) const MAX_AGE_MS: u64 = 600_000;

pub(crate) fn subject() -> &'static Subject {
    static SUBJECT: LazyLock<Subject> =
        LazyLock::new(|| Subject::Node("tokyo-1/n-01".parse().unwrap()));
    &SUBJECT
}

pub(crate) fn question(landmarks: &LandmarkTable, threshold: u32) -> Question<'_> {
    Question {
        landmarks,
        subject: subject(),
        subject_key: &KEY,
        instance: INSTANCE,
        fix: FIX,
        now: NOW,
        max_age_ms: MAX_AGE_MS,
        threshold,
        claimed: None,
        home: None,
    }
}

/// What this landmark would write of that delay.
pub(crate) fn transcript(landmark: &Landmark, rtt_min_ns: u64) -> Transcript {
    Transcript {
        cluster: ClusterId([1; 16]),
        incarnation: Incarnation(1),
        landmark: landmark.id.clone(),
        position: landmark.position,
        subject: subject().clone(),
        subject_key: KEY,
        instance: INSTANCE,
        fix: FIX,
        binding: Digest([8; 32]),
        asked: 32,
        answered: 32,
        rtt_min_ns,
        nonces: Digest([9; 32]),
        started: Timestamp(NOW.0 - 5_000),
        ended: Timestamp(NOW.0 - 4_000),
        serial: 1,
    }
}

/// What every landmark measures of a host at `place`.
pub(crate) fn measure(
    landmarks: &LandmarkTable,
    delay: impl Fn(&Landmark) -> u64,
) -> Vec<Verified> {
    landmarks.iter().map(|one| Verified::unsigned(transcript(one, delay(one)))).collect()
}
