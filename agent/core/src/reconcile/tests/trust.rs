//! The endorser bundle moves on under an agent that has work.

use super::*;
use sekisho_types::id::MemberId;

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
