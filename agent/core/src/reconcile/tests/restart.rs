//! A new start of the agent over what an earlier one left.

use super::*;

/// The same agent started anew, with what is left of its placements.
fn restarted(world: &mut World, seen: &[(PlacementId, Seen)], inherited_ns: u64) {
    let ledger = world.agent.ledger().clone();
    let seen = seen.iter().cloned().collect();
    let standing = world.federation.standing("012351");
    world.agent =
        Reconciler::new(recover(ledger, &seen), standing, devices(4), located(), inherited_ns);
    world.session = SessionId([6; 16]);
}

fn asked(actions: &[Action]) -> Option<(Option<SessionId>, Vec<PlacementId>, Vec<Bucket>)> {
    actions.iter().find_map(|action| {
        let Action::OpenSession { previous, live, buckets, .. } = action else { return None };
        Some((*previous, live.clone(), buckets.clone()))
    })
}

#[test]
fn a_restart_ends_what_ran_and_reports_it_in_a_session_of_its_own() {
    let mut world = World::new();
    let grant = world.run(10, |_| {});
    let left = world.agent.ledger().clone();
    let seen = [(grant.placement, Seen::Ended(Ending::Exited(3)))].into();
    let recovered = recover(left.clone(), &seen);
    assert_eq!(
        recover(left, &[].into()).entries()[&grant.placement].phase,
        EntryPhase::Ended(Ending::Lost)
    );
    let standing = world.federation.standing("012351");
    world.agent = Reconciler::new(recovered, standing, devices(4), located(), 0);
    world.session = SessionId([6; 16]);
    let opened = world.open();
    assert_eq!(reports(&opened), [(grant.placement, Phase::Ended(Ending::Exited(3)))]);
    // The set that was accepted before comes again, under a newer head.
    let set = world.history.desire(10, std::slice::from_ref(&grant));
    world.deliver(&set, 10);
    world.beat();
    assert!(world.agent.local.is_empty());
    assert_eq!(world.phase(&grant.placement), EntryPhase::Ended(Ending::Exited(3)));
}

#[test]
fn a_crash_between_asking_and_hearing_asks_for_the_same_session_again() {
    let mut world = World::closed();
    world.step(Input::Tick);
    let ledger = world.agent.ledger().clone();
    assert_eq!(ledger.opening(), Some(SESSION));
    let standing = world.federation.standing("012351");
    world.agent = Reconciler::new(ledger, standing, devices(4), located(), 0);
    let fresh = SessionId([6; 16]);
    world.session = fresh;
    let asked = world.step(Input::Tick);
    assert!(matches!(asked[1], Action::OpenSession { session: SESSION, previous: None, .. }));
    let then = world.step(Input::SessionOpened(SESSION));
    assert!(!then.contains(&Action::Attach(SESSION)), "an earlier run's");
    assert!(matches!(&then[1],
        Action::OpenSession { session, previous: Some(SESSION), .. } if *session == fresh));
    assert!(world.step(Input::SessionOpened(fresh)).contains(&Action::Attach(fresh)));
}

#[test]
fn what_lives_is_named_to_the_new_session_and_goes_on_under_its_lease() {
    let mut world = World::new();
    let grant = world.run(10, |_| {});
    let (placement, before) = (grant.placement, world.agent.lease_deadline_ns().unwrap());
    let advertised = world.agent.ledger().advertised().to_vec();
    restarted(&mut world, &[(placement, Seen::Lives)], before);
    assert_eq!(world.phase(&placement), EntryPhase::Live);
    world.ns = 10 * S;
    let first = world.step(Input::Tick);
    assert_eq!(first[..2], [Action::WriteLedger, Action::Resume(placement)]);
    assert_eq!(asked(&first), Some((Some(SESSION), vec![placement], advertised)));
    world.step(Input::SessionOpened(world.session));
    let told = world.step(Input::Started(placement, 2 * S));
    assert_eq!(reports(&told), [(placement, Phase::Running)], "the word of then may be lost");
    world.beat();
    assert_eq!(world.agent.lease_deadline_ns(), Some(10 * S + 15 * S));
    let after = world.at(before + S);
    assert!(!after.iter().any(|action| matches!(action, Action::Stop(..))), "{after:?}");
    // Its time limit counts from its own start.
    let limit = 2 * S + grant.time_limit_s * S + S;
    assert!(world.agent.wake_ns().is_some());
    world.agent.session.lease().unwrap().renew(limit);
    let late = world.at(limit);
    assert!(late.contains(&Action::Kill(placement)), "{late:?}");
}

#[test]
fn the_limit_of_a_board_is_told_anew_beside_what_lives_and_other_devices_are_not() {
    let mut world = World::new();
    let grant = world.run(10, |grant| grant.on_disconnect = OnDisconnect::RunToCompletion);
    let before = world.agent.ledger().advertised().to_vec();
    let seen: [(PlacementId, Seen); 1] = [(grant.placement, Seen::Lives)];
    for (count, told) in [(4, 450), (3, before[0].watts)] {
        let ledger = recover(world.agent.ledger().clone(), &seen.iter().cloned().collect());
        let mut found = devices(count);
        found.iter_mut().for_each(|device| device.watts = 450);
        let mut again = World::new();
        again.agent =
            Reconciler::new(ledger, again.federation.standing("012351"), found, located(), 0);
        again.session = SessionId([6; 16]);
        let (_, live, buckets) = asked(&again.step(Input::Tick)).unwrap();
        assert_eq!((live, buckets.len()), (vec![grant.placement], 1));
        assert_eq!((buckets[0].count, buckets[0].watts), (4, told));
    }
}

#[test]
fn the_lease_of_before_binds_it_until_a_renewal_of_the_new_session_counts() {
    let mut world = World::new();
    let bound = world.run(10, |_| {});
    let before = world.agent.lease_deadline_ns().unwrap();
    restarted(&mut world, &[(bound.placement, Seen::Lives)], before);
    world.ns = 5 * S;
    world.step(Input::Tick);
    world.step(Input::SessionOpened(world.session));
    assert_eq!(world.agent.wake_ns().map(|wake| wake <= before), Some(true));
    let over = world.at(before + S / 2);
    assert!(over.contains(&Action::Stop(bound.placement, 4_000)), "{over:?}");
    assert!(!over.contains(&Action::Detach), "the session itself is young");
    let dead = world.step(Input::Exited(bound.placement, Ending::Signaled(15)));
    assert_eq!(reports(&dead), [(bound.placement, Phase::Ended(Ending::Stopped))]);
}

#[test]
fn what_outlived_its_lease_is_dead_before_a_session_is_asked_for() {
    for inherited in [0, 3 * S] {
        let mut world = World::new();
        let bound = world.run(10, |_| {});
        restarted(&mut world, &[(bound.placement, Seen::Lives)], inherited);
        world.ns = 4 * S;
        let first = world.step(Input::Tick);
        assert!(first.iter().any(|action| matches!(action, Action::Stop(..))), "{first:?}");
        assert_eq!(asked(&first), None);
        assert_eq!(asked(&world.at(5 * S)), None);
        let then = world.step(Input::Exited(bound.placement, Ending::Signaled(9)));
        assert_eq!(asked(&then).map(|(_, live, _)| live), Some(vec![]));
    }
}

#[test]
fn what_runs_to_completion_is_bound_by_no_lease_of_before() {
    let mut world = World::new();
    let stays = world.run(10, |grant| grant.on_disconnect = OnDisconnect::RunToCompletion);
    restarted(&mut world, &[(stays.placement, Seen::Lives)], 0);
    world.ns = 100 * S;
    let first = world.step(Input::Tick);
    assert_eq!(asked(&first).map(|(_, live, _)| live), Some(vec![stays.placement]));
    assert!(!first.iter().any(|action| matches!(action, Action::Stop(..))), "{first:?}");
}

#[test]
fn an_order_to_stop_outlives_the_agent_and_a_grant_that_never_started_does_not() {
    let mut world = World::new();
    let running = world.run(10, |grant| grant.gpus = 4);
    let waits = world.grant_of(11, |grant| grant.gpus = 4);
    world.desire(11, std::slice::from_ref(&waits));
    assert_eq!(world.phase(&running.placement), EntryPhase::Stopping);
    let before = world.agent.lease_deadline_ns().unwrap();
    restarted(&mut world, &[(running.placement, Seen::Lives)], before);
    let first = world.step(Input::Tick);
    assert!(first.contains(&Action::Stop(running.placement, KILL_GRACE_MS)), "{first:?}");
    assert_eq!(asked(&first).map(|(_, live, _)| live), Some(vec![running.placement]));
    assert_eq!(world.phase(&waits.placement), EntryPhase::Ended(Ending::Lost));
    // Even if something of it were found: the caller has killed it.
    let ledger = world.agent.ledger().clone();
    let seen = [(waits.placement, Seen::Lives)].into();
    assert_eq!(
        recover(ledger, &seen).entries()[&waits.placement].phase,
        EntryPhase::Ended(Ending::Lost)
    );
}
