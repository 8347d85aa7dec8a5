//! A host abroad with the best network that physics allows, and up to f landmarks on its side.
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use super::fixture::{
    FIX, at_capitals, capitals, landmarks, light_ns, measure, office, probes, question, table_of,
    transcript,
};
use crate::location::foreign::table;
use crate::location::geometry::{Vector, reach};
use crate::location::intersection::{Disc, Intersection};
use crate::location::landmark::{Landmark, Row};
use crate::location::transcript::Verified;
use crate::location::verdict::{Verdict, discs, prove};
use proptest::prelude::*;
use sekisho_types::position::Position;

/// Every point abroad is covered by the table, though it was drawn from the polygons and not from the table.
#[test]
fn the_table_covers_every_probe_and_no_office_of_japan() {
    assert!(probes().len() >= 2000);
    let covered = |place: &Position| {
        let at = Vector::of(*place);
        table().cells.iter().any(|cell| !at.is_beyond(cell.centre, cell.pad_cm.into()))
    };
    assert_eq!(probes().iter().find(|probe| !covered(probe)), None);
    for (area, office) in crate::location::coverage::offices() {
        assert!(!covered(&office), "{}", area.label());
    }
}

/// With one operator each, f = 0: a single honest disc may exclude a cell, so this is where a host abroad has most ways.
#[test]
fn no_host_abroad_is_proven_by_light_in_vacuum_and_no_processing_at_all() {
    let landmarks = at_capitals(47);
    for probe in probes() {
        let fix = measure(landmarks, |landmark| light_ns(landmark.position, *probe));
        let verdict = prove(&question(landmarks, 0), &fix);
        assert!(matches!(verdict, Verdict::Unknown(_)), "{probe}: {verdict:?}");
    }
}

/// How many of every `step`th host abroad a verifier is fooled by that turns delays into lengths with `reach`.
fn fooled(
    step: usize,
    reach: impl Fn(u64) -> u32,
    is_proven: impl Fn(&Intersection<'_>) -> bool,
) -> usize {
    let rows: Vec<Row> = landmarks(&capitals(), 47).into_iter().map(Row::unchecked).collect();
    let fools = |probe: &&Position| {
        let delays = rows.iter().map(|row| (row, light_ns(row.landmark.position, **probe)));
        let discs: Vec<Disc> = discs(delays, &reach).into_iter().map(|(_, disc)| disc).collect();
        is_proven(&Intersection::of(&discs))
    };
    probes().iter().step_by(step).filter(fools).count()
}

fn by_the_fewest(intersection: &Intersection<'_>) -> bool {
    intersection.is_enough(1, &mut 0)
}

/// The test above can fail: this is what the rules are for.
#[test]
fn verifiers_that_break_a_rule_are_fooled() {
    assert_eq!(fooled(1, reach, by_the_fewest), 0, "ours");
    // The speed of light in fibre: 204.2 of 299.8 km/ms.
    let fibre = fooled(1, |ns| reach(ns / 2998 * 2042), by_the_fewest);
    assert!(fibre > 1000, "fibre speed: {fibre}");
    // Time taken off for processing.
    let subtracted = fooled(1, |ns| reach(ns.saturating_sub(300_000)), by_the_fewest);
    assert!(subtracted > 100, "0.3 ms taken off: {subtracted}");
    // The mean over the cells of how many operators exclude them, instead of the fewest.
    let mean = fooled(20, reach, |intersection| {
        let (cells, sum) = intersection.counts().fold((0_u64, 0_u64), |(cells, sum), operators| {
            (cells + 1, sum + u64::from(operators))
        });
        sum >= cells
    });
    assert!(mean > 90, "mean instead of the fewest: {mean}");
}

/// The properties below can fail, too: one liar is enough for whoever tolerates none. Where it cannot be believed beside
/// the honest ones, that is told.
#[test]
fn one_liar_makes_hosts_abroad_proven_at_f_0_and_none_at_f_1() {
    let landmarks = at_capitals(47);
    let (mut fooled, mut told, mut asked) = (0, 0, 0);
    for probe in probes().iter().step_by(20) {
        let fix = measure(landmarks, |one| {
            // Tokyo's: within 709 km of it there is no foreign land.
            let is_liar = one.id.operator.as_str() == "op-012";
            if is_liar { 4_700_000 } else { light_ns(one.position, *probe) }
        });
        let verdict = |f| prove(&question(landmarks, f), &fix);
        assert!(!matches!(verdict(1), Verdict::Proven(_)), "{probe}");
        asked += 1;
        fooled += u32::from(matches!(verdict(0), Verdict::Proven(_)));
        told += u32::from(matches!(verdict(0), Verdict::Inconsistent(_)));
    }
    assert_eq!(fooled + told, asked);
    assert!(fooled > 50 && told > 5, "{fooled} fooled, {told} told");
}

/// A host that stood in Fukuoka and was moved over the strait. Delays of the two fixes put together, as a mean or as a
/// minimum, would still prove it at home.
#[test]
fn delays_of_two_fixes_are_never_put_together() {
    let landmarks = table_of(&[office(401_307)], 1);
    let home = 200_000;
    let abroad = light_ns(office(401_307), "35.10,129.04".parse().unwrap());
    let proves = |ns: u64| {
        let fix = measure(&landmarks, |_| ns);
        matches!(prove(&question(&landmarks, 0), &fix), Verdict::Proven(_))
    };
    assert!(proves(home) && !proves(abroad));
    assert!(proves(home.midpoint(abroad)), "the mean fools");
    let old = measure(&landmarks, |_| home).into_iter().map(|verified| {
        let mut transcript = verified.transcript().clone();
        transcript.fix.0[0] ^= 1;
        assert_ne!(transcript.fix, FIX);
        Verified::unsigned(transcript)
    });
    let both: Vec<Verified> = old.chain(measure(&landmarks, |_| abroad)).collect();
    assert!(matches!(prove(&question(&landmarks, 0), &both), Verdict::Unknown(_)));
}

fn any_position() -> impl Strategy<Value = Position> {
    (-90_000_000..=90_000_000, -180_000_000..180_000_000)
        .prop_map(|(latitude, longitude)| Position::new(latitude, longitude).unwrap())
}

/// A delay as an attacker may make it: any.
fn any_delay() -> impl Strategy<Value = u64> {
    prop_oneof![1_u64..20_000_000, Just(1), Just(u64::MAX)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Liars choose where they say they are and what they say they measured; honest landmarks see delays that can only
    /// be longer than light's.
    #[test]
    fn f_lying_operators_never_make_a_host_abroad_proven(
        probe in 0..2000_usize,
        operators in 2..47_usize,
        liars in prop::collection::vec((0..47_usize, any_position(), any_delay()), 0..12),
        f in 0..4_usize,
        added in prop::collection::vec(0_u64..3_000_000, 47),
    ) {
        let abroad = probes()[probe];
        let table = at_capitals(operators);
        let honest = table.iter().filter_map(|one| table.row(&one.id)).zip(added);
        let mut all: Vec<(Row, u64)> = honest
            .map(|(row, added)| {
                let number: usize = row.landmark.id.operator.as_str()[3..].parse().unwrap();
                let ns = light_ns(row.landmark.position, abroad) + added;
                (row.clone(), if number < f { 1 } else { ns })
            })
            .collect();
        // The first f operators lie, with as many landmarks as they have and more.
        for (number, (which, position, ns)) in liars.into_iter().enumerate() {
            if f == 0 {
                break;
            }
            let liar = which % f.min(operators);
            let id = format!("op-{liar:03}/liar-{number:03}").parse().unwrap();
            let landmark = Landmark { id, position, ..all[0].0.landmark.clone() };
            all.push((Row::unchecked(landmark), ns));
        }
        let delays = all.iter().map(|(row, ns)| (row, *ns));
        let discs: Vec<Disc> = discs(delays, reach).into_iter().map(|(_, disc)| disc).collect();
        let intersection = Intersection::of(&discs);
        let f = u32::try_from(f).unwrap();
        prop_assert!(intersection.fewest() <= f, "{abroad}");
        prop_assert!(!intersection.is_enough(f + 1, &mut probe.clone()));
    }

    /// The same through the front door: liars keep their places in the table, and their transcripts say anything.
    #[test]
    fn nor_through_their_transcripts(
        probe in 0..2000_usize,
        f in 0..4_usize,
        said in prop::collection::vec(any_delay(), 47),
    ) {
        let landmarks = at_capitals(12);
        let abroad = probes()[probe];
        let fix = landmarks.iter().zip(said).map(|(one, lie)| {
            let number: usize = one.id.operator.as_str()[3..].parse().unwrap();
            let ns = if number < f { lie } else { light_ns(one.position, abroad) };
            Verified::unsigned(transcript(one, ns))
        });
        let fix: Vec<Verified> = fix.collect();
        let verdict = prove(&question(landmarks, u32::try_from(f).unwrap()), &fix);
        prop_assert!(!matches!(verdict, Verdict::Proven(_)), "{abroad}: {verdict:?}");
    }

    /// Whoever answers, or carries the datagrams, can only add delay.
    #[test]
    fn no_added_delay_proves_what_was_not_proven(
        place in prop_oneof![
            (0..2000_usize).prop_map(|probe| probes()[probe]),
            (0..47_usize).prop_map(|city| capitals()[city]),
            (30_000_000..45_000_000, 128_000_000..146_000_000)
                .prop_map(|(a, b)| Position::new(a, b).unwrap()),
        ],
        operators in 1..6_usize,
        first in prop::collection::vec(0_u64..1_000_000, 47),
        raised in prop::collection::vec(prop_oneof![Just(0_u64), 0_u64..2_000_000, Just(u64::MAX)], 47),
        threshold in 0..3_u32,
    ) {
        let landmarks = at_capitals(operators);
        let before: Vec<u64> =
            landmarks.iter().zip(first).map(|(l, ns)| light_ns(l.position, place) + ns).collect();
        let after: Vec<u64> = before.iter().zip(raised).map(|(a, b)| a.saturating_add(b)).collect();
        let verdict = |delays: &[u64]| {
            let fix = landmarks.iter().zip(delays);
            let fix: Vec<Verified> = fix
                .map(|(one, ns)| Verified::unsigned(transcript(one, *ns)))
                .collect();
            prove(&question(landmarks, threshold), &fix)
        };
        match (verdict(&before), verdict(&after)) {
            (Verdict::Unknown(_), later) => prop_assert!(matches!(later, Verdict::Unknown(_))),
            (Verdict::Proven(before), Verdict::Proven(after)) => {
                prop_assert!(after.f <= before.f);
                prop_assert!(after.operators.is_subset(&before.operators));
            }
            (Verdict::Proven(_), later) => prop_assert!(matches!(later, Verdict::Unknown(_))),
            (Verdict::Inconsistent(wrong), _) => prop_assert!(false, "all are honest: {wrong:?}"),
        }
    }

    /// The short cuts of the search do not change its answer.
    #[test]
    fn the_fewest_is_the_fewest_of_all_cells(
        place in (30_000_000..45_000_000, 128_000_000..146_000_000),
        operators in 1..6_usize,
        added in prop::collection::vec(0_u64..1_500_000, 47),
    ) {
        let place = Position::new(place.0, place.1).unwrap();
        let table = at_capitals(operators);
        let rows = table.iter().filter_map(|one| table.row(&one.id));
        let delays = rows.zip(added);
        let delays = delays.map(|(row, ns)| (row, light_ns(row.landmark.position, place) + ns));
        let discs: Vec<Disc> = discs(delays, reach).into_iter().map(|(_, disc)| disc).collect();
        let intersection = Intersection::of(&discs);
        let fewest = intersection.counts().min().unwrap();
        let helps = |disc: &&Disc| Intersection::of(std::slice::from_ref(*disc)).counts().any(|operators| operators > 0);
        let helpers = discs.iter().filter(helps).fold(0, |bits, disc| bits | disc.operator);
        prop_assert_eq!(intersection.excluding(), helpers);
        prop_assert_eq!(intersection.fewest(), fewest);
        for enough in 1..5 {
            prop_assert_eq!(intersection.is_enough(enough, &mut 0), fewest >= enough);
            let open = intersection.nearest_open(enough, Vector::of(place));
            prop_assert_eq!(open.is_none(), fewest >= enough);
        }
    }
}
