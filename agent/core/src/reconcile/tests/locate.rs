//! Grants that want a proof: what the agent holds itself decides, whatever the leader says.

use super::*;
use crate::fixture::INSTANCE;
use crate::fixture::location::{fix, fix_of, known, landmarks, measured_by, with_beacon};

use crate::location::{KnownTable, OwnFix};
use sekisho_evidence::grant::Instance;
use sekisho_types::residency::{Rules, Tier};

/// A grant under a rule of T2, judged by the fixture's landmarks.
fn wants_proof(world: &World, revision: u64, max_proof_age_s: Option<u64>) -> Grant {
    let rules = Rules { country_tier: Tier::CountryProven, max_proof_age_s, ..Rules::default() };
    world.grant_of(revision, |grant| {
        grant.rules[0].rules = rules.clone().into();
        grant.landmarks = *known().basis();
    })
}

fn measured(fix: OwnFix) -> Input {
    Input::Measured(Box::new(fix))
}

fn gave(table: KnownTable) -> Input {
    Input::Landmarks(Some(Box::new(table)))
}

fn refusals(actions: &[Action]) -> Vec<ErrorCode> {
    let of = |action: &Action| {
        if let Action::Refuse(refusal) = action { Some(refusal.code) } else { None }
    };
    actions.iter().filter_map(of).collect()
}

fn submitted(actions: &[Action]) -> Vec<SessionId> {
    let of = |action: &Action| {
        if let Action::SubmitFix(session, _) = action { Some(*session) } else { None }
    };
    actions.iter().filter_map(of).collect()
}

/// Delivers the grant and gives the landmarks that are asked for.
fn delivered(world: &mut World, grant: &Grant) -> Vec<Action> {
    let revision = grant.placement.epoch.revision.0;
    let actions = world.desire(revision, std::slice::from_ref(grant));
    let fetch = Action::FetchLandmarks(grant.landmarks);
    if actions.contains(&fetch) { world.step(gave(known())) } else { actions }
}

#[test]
fn a_proof_of_its_own_lets_it_take_a_grant_that_wants_one() {
    let mut world = World::new();
    world.step(measured(fix(1)));
    let grant = wants_proof(&world, 10, Some(600));
    let waits = world.desire(10, std::slice::from_ref(&grant));
    assert_eq!(waits, [Action::FetchLandmarks(*known().basis())], "nothing is judged before");
    let taken = world.step(gave(known()));
    assert!(taken.contains(&fetch(&grant)), "{taken:?}");
    // Known from now on.
    let next = wants_proof(&world, 11, None);
    let taken = world.desire(11, &[grant, next.clone()]);
    assert!(taken.contains(&fetch(&next)), "{taken:?}");
}

#[test]
fn without_a_proof_of_its_own_it_refuses_what_the_leader_calls_proven() {
    let other_start = fix_of(1, Instance([9; 16]));
    let mut flipped = fix(1);
    flipped.transcripts.iter_mut().for_each(|signed| signed.by_landmark.0[3] ^= 1);
    let mut alone = fix(1);
    alone.transcripts.truncate(1);
    for own in [None, Some(other_start), Some(flipped), Some(alone)] {
        let mut world = World::new();
        if let Some(own) = own.clone() {
            world.step(measured(own));
        }
        let grant = wants_proof(&world, 10, None);
        let actions = delivered(&mut world, &grant);
        assert_eq!(refusals(&actions), [ErrorCode::ResidencyTier], "{own:?}");
    }
    // Where no rule wants a proof, none is asked for.
    let mut world = World::new();
    let plain = world.grant(10);
    assert_eq!(refusals(&world.desire(10, std::slice::from_ref(&plain))), []);
}

#[test]
fn landmarks_that_nobody_gives_are_asked_for_once_and_then_refused() {
    let mut world = World::new();
    world.step(measured(fix(1)));
    let grant = wants_proof(&world, 10, None);
    let asked = world.desire(10, std::slice::from_ref(&grant));
    assert_eq!(asked, [Action::FetchLandmarks(grant.landmarks)]);
    let refused = world.step(Input::Landmarks(None));
    assert_eq!(refusals(&refused), [ErrorCode::TableMismatch]);
    let again = wants_proof(&world, 11, None);
    let refused = world.desire(11, &[again]);
    assert_eq!(refusals(&refused), [ErrorCode::TableMismatch]);
    // Another table than the one that was named is of no use.
    let mut world = World::new();
    world.step(measured(fix(1)));
    let fewer = landmarks().without(|id| id.operator.as_str() == "kanto");
    world.desire(10, &[wants_proof(&world, 10, None)]);
    let refused = world.step(gave(KnownTable::new(fewer).unwrap()));
    assert_eq!(refusals(&refused), [ErrorCode::TableMismatch]);
}

#[test]
fn a_newer_set_takes_the_place_of_one_that_waits() {
    let mut world = World::new();
    world.step(measured(fix(1)));
    world.desire(10, &[wants_proof(&world, 10, None)]);
    let plain = world.grant(11);
    let taken = world.desire(11, std::slice::from_ref(&plain));
    assert!(taken.contains(&fetch(&plain)));
    assert_eq!(world.step(gave(known())), []);
}

#[test]
fn a_fix_is_handed_in_once_in_each_session_and_again_if_it_did_not_arrive() {
    let mut world = World::closed();
    assert_eq!(submitted(&world.step(measured(fix(1)))), [], "there is no session");
    let opened = world.step(Input::SessionOpened(world.session));
    assert_eq!(submitted(&opened), [world.session]);
    let id = fix(1).fix;
    assert_eq!(submitted(&world.step(Input::FixTold(id, false))), [], "after a pause");
    let again = world.at(2 * S);
    assert_eq!(submitted(&again), [world.session]);
    assert_eq!(submitted(&world.step(Input::FixTold(id, true))), []);
    let refused = Reason::new(ErrorCode::LocationInvalid, &"no transcript counts");
    assert_eq!(world.step(measured(fix(2))).len(), 1);
    let noted = world.step(Input::FixRefused(refused.clone()));
    assert_eq!(noted, [Action::Note(refused)]);
}

#[test]
fn before_its_start_a_proof_is_asked_for_again() {
    let mut world = World::new();
    world.agent.locating = Locating::new(located());
    world.step(measured(fix(1)));
    world.step(gave(known()));
    let grant = wants_proof(&world, 10, None);
    assert!(delivered(&mut world, &grant).contains(&fetch(&grant)));
    let mut torn = fix(2);
    torn.transcripts.clear();
    world.step(measured(torn));
    let actions = world.fetched(&grant);
    assert_eq!((starts(&actions).len(), refusals(&actions)), (0, vec![ErrorCode::ResidencyTier]));
}

#[test]
fn a_grant_that_wants_the_site_is_taken_by_a_beacon_of_its_own_site_alone() {
    let (near, far) = (1_000_000, 1_500_000);
    let beacons = with_beacon();
    let cases = [(beacons.clone(), near, true), (beacons, far, false), (landmarks(), near, false)];
    for (table, rtt_ns, is_taken) in cases {
        for (country_tier, area_tier) in
            [(Tier::SiteProven, Tier::Tagged), (Tier::Tagged, Tier::SiteProven)]
        {
            let mut world = World::new();
            world.step(measured(measured_by(&table, 1, INSTANCE, rtt_ns)));
            let known = KnownTable::new(table.clone()).unwrap();
            let rules = Rules { country_tier, area_tier, ..Rules::default() };
            let grant = world.grant_of(10, |grant| {
                grant.rules[0].rules = rules.clone().into();
                grant.landmarks = *known.basis();
            });
            world.desire(10, std::slice::from_ref(&grant));
            let actions = world.step(gave(known));
            let due = if is_taken { vec![] } else { vec![ErrorCode::ResidencyTier] };
            assert_eq!(refusals(&actions), due, "{rtt_ns} ns, {country_tier}/{area_tier}");
            assert_eq!(actions.contains(&fetch(&grant)), is_taken);
        }
    }
}
