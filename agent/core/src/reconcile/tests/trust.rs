//! The endorser bundle moves on under an agent that has work.

use super::*;
use sekisho_evidence::merkle::Head;
use sekisho_types::id::MemberId;
use sekisho_types::revision::Incarnation;

fn trusted(actions: &[Action]) -> Option<u64> {
    actions.iter().find_map(|action| {
        if let Action::Trusted(trust) = action { Some(trust.bundle.version) } else { None }
    })
}

#[test]
fn it_follows_a_later_bundle_and_what_runs_goes_on() {
    let mut world = World::new();
    let placement = world.run(10, |_| {}).placement;
    let package = Box::new(world.federation.package(false));
    let moved = world.step(Input::Trust(package.clone()));
    assert_eq!(moved[0], Action::WriteLedger, "on disk before it is used");
    assert_eq!(trusted(&moved), Some(2));
    assert_eq!(world.agent.ledger().bundle().endorsers.len(), 4);
    assert!(world.agent.ledger().entries()[&placement].may_run());
    // Once more, as after a crash between ledger and enrolment: told again, and nothing to write.
    let again = world.step(Input::Trust(package));
    assert_eq!((again.len(), trusted(&again)), (1, Some(2)));
    let further = world.step(Input::Trust(Box::new(world.federation.package(true))));
    assert_eq!(trusted(&further), Some(3));
    let older = world.step(Input::Trust(Box::new(world.federation.package(false))));
    assert_eq!(older, [], "of a member that is behind");
    let mut forged = world.federation.package(true);
    std::sync::Arc::make_mut(&mut forged.steps[0]).signed.signatures.pop();
    let refused = world.step(Input::Trust(Box::new(forged)));
    assert!(
        matches!(&refused[..], [Action::Note(reason)] if reason.code == ErrorCode::BundleMismatch)
    );
    assert_eq!(world.agent.ledger().bundle().version, 3);
}

#[test]
fn the_word_of_a_member_that_has_left_counts_no_longer() {
    let mut world = World::new();
    let grant = world.grant(10);
    let set = world.history.desire(10, std::slice::from_ref(&grant));
    let (text, lines) = world.history.sign(10, &[3, 1]);
    let (delivery, consistency) = (world.history.deliver(&set), world.history.consistency(0));
    let delivered = |line: &sekisho_evidence::checkpoint::SignatureLine| Delivered {
        text: text.clone(),
        line: line.clone(),
        delivery: delivery.clone(),
        consistency: consistency.clone(),
    };
    let first = world.step(Input::Delivered(MemberId(3), Box::new(delivered(&lines[0]))));
    assert_eq!(first, [], "one operator does not suffice");
    world.step(Input::Trust(Box::new(world.federation.package(true))));
    let second = world.step(Input::Delivered(MemberId(1), Box::new(delivered(&lines[1]))));
    assert_eq!(second, [], "the other has left meanwhile");
}

#[test]
fn without_a_tag_that_the_bundle_bears_nothing_starts() {
    let mut world = World::new();
    world.step(Input::Untagged);
    let grant = world.grant(10);
    world.desire(10, std::slice::from_ref(&grant));
    assert!(world.agent.ledger().refused().contains_key(&grant.placement));
}

#[test]
fn it_comes_over_to_another_incarnation_with_what_runs_and_uses_its_lease_up() {
    let mut world = World::new();
    let stays = world.grant_of(10, |grant| grant.on_disconnect = OnDisconnect::RunToCompletion);
    let bound = Grant { placement: id(10, 1), ..world.grant(10) };
    world.desire(10, &[stays.clone(), bound.clone()]);
    for grant in [&stays, &bound] {
        let started = world.fetched(grant);
        let kept = started.iter().position(|action| matches!(action, Action::Keep(_)));
        let start = started.iter().position(|action| matches!(action, Action::Start(_)));
        let completes = grant.on_disconnect == OnDisconnect::RunToCompletion;
        assert_eq!(kept.is_some(), completes, "of what a lease binds nothing is kept");
        assert!(kept < start, "on disk before it starts");
        world.step(Input::Started(grant.placement, S));
    }
    let (old, deadline) = (world.agent.ledger().head(), world.agent.lease_deadline_ns().unwrap());
    let restored = Head { size: 1, root: Digest([5; 32]) };
    let alone = Box::new(world.federation.reopened(restored, &[1]));
    let refused = world.step(Input::Trust(alone));
    assert!(matches!(&refused[..], [Action::Note(why)] if why.code == ErrorCode::BundleMismatch));

    let opened = Box::new(world.federation.reopened(restored, &[1, 2]));
    let moved = world.step(Input::Trust(opened));
    assert_eq!((&moved[0], trusted(&moved)), (&Action::WriteLedger, Some(2)));
    assert!(moved.contains(&Action::Adopt(stays.placement, true)));
    let ledger = world.agent.ledger();
    assert_eq!((ledger.head(), ledger.floor().incarnation), (restored, Incarnation(2)));
    let left = ledger.left()[0];
    assert_eq!((left.incarnation, left.head), (Incarnation(1), old), "shows what was lost");
    let may_run =
        |world: &World, grant: &Grant| world.agent.ledger().entries()[&grant.placement].may_run();
    assert!(may_run(&world, &stays) && may_run(&world, &bound), "entering kills nothing");
    // No more renewals of a session that the new incarnation did not open; its lease is used up (P4).
    world.ns = deadline - 1;
    assert!(!world.step(Input::Tick).iter().any(|action| matches!(action, Action::Renew(..))));
    world.at(deadline);
    world.session = SessionId([77; 16]);
    let opens =
        |actions: &[Action]| actions.iter().any(|a| matches!(a, Action::OpenSession { .. }));
    let drained = world.step(Input::Exited(bound.placement, Ending::Signaled(15)));
    assert!(!opens(&drained), "the first set of a new session would not name what it brings");
    let failed = world.step(Input::AdoptFailed(stays.placement));
    assert!(!opens(&failed));
    let again = world.at(deadline + 60 * S);
    assert!(again.contains(&Action::Adopt(stays.placement, true)) && !opens(&again));
    let asked = world.step(Input::Adopted(stays.placement));
    let live = asked.iter().find_map(|action| {
        if let Action::OpenSession { live, .. } = action { Some(live.clone()) } else { None }
    });
    assert_eq!(live, Some(vec![stays.placement]));
    // A rival opening of the same incarnation is a branch; the old incarnation is a member that is behind.
    let rival = Box::new(world.federation.reopened(old, &[1, 2]));
    let refused = world.step(Input::Trust(rival));
    assert!(refused.iter().any(
        |action| matches!(action, Action::Note(why) if why.code == ErrorCode::BundleMismatch)
    ));
    assert_eq!(world.step(Input::Trust(Box::new(world.federation.package(false)))), []);
    assert_eq!(world.agent.ledger().head(), restored);
}

#[test]
fn what_is_not_taken_over_ends_with_the_first_set_of_the_new_session() {
    let mut world = World::new();
    let stays = world.run(10, |grant| grant.on_disconnect = OnDisconnect::RunToCompletion);
    let deadline = world.agent.lease_deadline_ns().unwrap();
    let restored = Head { size: 1, root: Digest([5; 32]) };
    world.step(Input::Trust(Box::new(world.federation.reopened(restored, &[1, 2]))));
    let reason = Reason::new(ErrorCode::WrongPhase, &"ended");
    let refused = world.step(Input::AdoptRefused(stays.placement, reason.clone()));
    assert!(refused.contains(&Action::Note(reason)));
    assert!(world.agent.ledger().entries()[&stays.placement].may_run(), "a set decides, not this");
    world.session = SessionId([77; 16]);
    let asked = world.at(deadline);
    assert!(asked.iter().any(|action| matches!(action, Action::OpenSession { .. })));
}
