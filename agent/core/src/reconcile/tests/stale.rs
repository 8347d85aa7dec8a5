//! Proofs of what runs: the agent stops by itself what has been unproven for too long, and has itself measured in time.

use super::*;
use crate::fixture::location::{fix, known};
use crate::limit::{PROOF_LOOK_MS, STALE_LAST_MS};
use sekisho_types::residency::{OnStaleProof, Rules, Tier};

/// One that runs under a rule of T2, while the fixture's fix proves this host.
fn runs(world: &mut World, mode: OnStaleProof, max_proof_age_s: Option<u64>) -> Grant {
    world.step(Input::Measured(Box::new(fix(1))));
    let rules = Rules {
        country_tier: Tier::CountryProven,
        on_stale_proof: mode,
        max_proof_age_s,
        ..Rules::default()
    };
    let grant = world.grant_of(10, |grant| {
        grant.rules[0].rules = rules.clone().into();
        grant.landmarks = *known().basis();
    });
    world.desire(10, std::slice::from_ref(&grant));
    world.step(Input::Landmarks(Some(Box::new(known()))));
    assert_eq!(starts(&world.fetched(&grant)).len(), 1);
    world.step(Input::Started(grant.placement, S));
    grant
}

/// Nothing of this start proves it any more.
fn lose(world: &mut World) {
    let mut torn = fix(2);
    torn.transcripts.clear();
    world.step(Input::Measured(Box::new(torn)));
}

/// Between two steps: within the lease, and not more of them than needed.
const STEP_MS: u64 = 3 * PROOF_LOOK_MS;

/// Lets so much time pass, renewing.
fn pass(world: &mut World, ms: u64) -> Vec<Action> {
    let (until, mut all) = (world.ns.saturating_add(ms.saturating_mul(NS_PER_MS)), Vec::new());
    while world.ns < until {
        all.extend(world.at(until.min(world.ns.saturating_add(STEP_MS.saturating_mul(NS_PER_MS)))));
        world.beat();
    }
    all
}

fn stops(actions: &[Action], grant: &Grant) -> bool {
    actions.contains(&Action::Stop(grant.placement, KILL_GRACE_MS))
}

#[test]
fn what_drains_is_stopped_once_it_was_unproven_for_so_long_and_what_keeps_is_not() {
    for (mode, ends) in [(OnStaleProof::Drain, true), (OnStaleProof::Keep, false)] {
        let mut world = World::new();
        let grant = runs(&mut world, mode, None);
        assert!(!stops(&pass(&mut world, 2 * STALE_LAST_MS), &grant), "{mode}: it is proven");
        lose(&mut world);
        assert!(!stops(&pass(&mut world, STALE_LAST_MS - STEP_MS), &grant), "{mode}: early");
        assert_eq!(stops(&pass(&mut world, 3 * STEP_MS), &grant), ends, "{mode}");
    }
}

#[test]
fn a_proof_made_anew_in_time_begins_the_count_again() {
    let mut world = World::new();
    let grant = runs(&mut world, OnStaleProof::Drain, None);
    for number in 3..5 {
        lose(&mut world);
        assert!(!stops(&pass(&mut world, STALE_LAST_MS - STEP_MS), &grant));
        world.step(Input::Measured(Box::new(fix(number))));
        assert!(!stops(&pass(&mut world, 3 * STEP_MS), &grant));
    }
}

#[test]
fn landmarks_that_this_start_does_not_hold_are_asked_for_once_and_what_nobody_gives_proves_nothing()
{
    let mut world = World::new();
    let grant = runs(&mut world, OnStaleProof::Drain, None);
    world.agent.locating = Locating::new(located());
    world.step(Input::Measured(Box::new(fix(3))));
    let asked = |actions: &[Action]| {
        actions.iter().filter(|action| matches!(action, Action::FetchLandmarks(_))).count()
    };
    assert_eq!(asked(&pass(&mut world, 3 * STEP_MS)), 1);
    world.step(Input::Landmarks(None));
    assert!(stops(&pass(&mut world, STALE_LAST_MS), &grant));
    // Given, they prove it again.
    let mut world = World::new();
    let grant = runs(&mut world, OnStaleProof::Drain, None);
    world.agent.locating = Locating::new(located());
    world.step(Input::Measured(Box::new(fix(3))));
    pass(&mut world, STEP_MS);
    world.step(Input::Landmarks(Some(Box::new(known()))));
    assert!(!stops(&pass(&mut world, 2 * STALE_LAST_MS), &grant));
}

#[test]
fn it_has_itself_measured_before_its_proof_is_too_old_for_what_runs() {
    let measures =
        |actions: &[Action]| actions.iter().filter(|action| **action == Action::Measure).count();
    let mut world = World::new();
    // The fixture's fix is a minute old, and its wall clock stands still.
    runs(&mut world, OnStaleProof::Keep, Some(180));
    assert_eq!(measures(&pass(&mut world, 59_000)), 1);
    assert_eq!(measures(&pass(&mut world, 20_000)), 1, "again, as nothing newer came");
    let mut world = World::new();
    runs(&mut world, OnStaleProof::Keep, Some(600));
    assert_eq!(measures(&pass(&mut world, 59_000)), 0, "young enough");
    let mut world = World::new();
    runs(&mut world, OnStaleProof::Drain, None);
    assert_eq!(measures(&pass(&mut world, 59_000)), 0, "nobody asks for its age");
}
