//! Scenarios of one agent, driven by hand.

mod locate;
mod restart;
mod stale;
mod trust;
mod world;

use super::*;
use crate::desired::Consistency;
use crate::fixture::{Federation, History, NOW, SESSION, Set, devices, epoch, located};
use crate::limit::{KILL_GRACE_MS, NOWHERE_MAX, NS_PER_MS};
use sekisho_evidence::acknowledgement::{Counted, Renewal, acknowledge};
use sekisho_types::job::OnDisconnect;
use world::{S, World, fetch, id, reports, starts};

#[test]
fn from_delivery_to_the_acknowledged_end() {
    let mut world = World::new();
    let grant = world.grant(10);
    let placement = grant.placement;
    let accepted = world.desire(10, std::slice::from_ref(&grant));
    assert_eq!(
        accepted,
        [
            Action::WriteLedger,
            Action::SetAccepted(Revision(10)),
            Action::HeadMoved(world.history.head().size),
            fetch(&grant),
        ]
    );
    let started = world.fetched(&grant);
    assert_eq!(started[0], Action::WriteLedger, "the intent is on disk before the start");
    assert_eq!(starts(&started), [["GPU-0"]]);
    assert_eq!(reports(&started), [(placement, Phase::Starting)]);
    assert_eq!(reports(&world.step(Input::Started(placement, S))), [], "one report at a time");
    assert_eq!(reports(&world.step(Input::Reported)), [(placement, Phase::Running)]);
    world.step(Input::Reported);
    let ended = world.step(Input::Exited(placement, Ending::Exited(0)));
    assert_eq!(reports(&ended), [(placement, Phase::Ended(Ending::Exited(0)))]);
    world.step(Input::Reported);
    assert!(world.agent.ledger().entries().contains_key(&placement), "the set names it");
    world.desire(11, &[]);
    assert!(world.agent.ledger().entries().is_empty());
}

#[test]
fn nothing_starts_without_a_lease() {
    let mut world = World::closed();
    world.open();
    let grant = world.grant(10);
    let accepted = world.desire(10, std::slice::from_ref(&grant));
    assert!(!accepted.contains(&fetch(&grant)));
    world.beat();
    let asked = world.step(Input::Tick);
    assert_eq!(asked, [], "asked for with the acknowledgement");
    let started = world.fetched(&grant);
    assert_eq!(starts(&started).len(), 1);
}

#[test]
fn a_set_without_it_stops_a_placement_and_its_devices_wait_for_its_death() {
    let mut world = World::new();
    let old = world.run(10, |grant| grant.gpus = 3);
    let new = world.grant_of(11, |grant| grant.gpus = 2);
    let actions = world.desire(11, std::slice::from_ref(&new));
    assert!(actions.contains(&Action::Stop(old.placement, KILL_GRACE_MS)));
    assert_eq!(reports(&actions), [], "agents tell the end, not the order");
    let waits = world.fetched(&new);
    assert_eq!(starts(&waits).len(), 0);
    let killed = world.at(S + KILL_GRACE_MS * NS_PER_MS);
    assert!(killed.contains(&Action::Kill(old.placement)));
    let dead = world.step(Input::Exited(old.placement, Ending::Signaled(9)));
    assert_eq!(starts(&dead), [["GPU-0", "GPU-1"]]);
    assert!(reports(&dead).contains(&(old.placement, Phase::Ended(Ending::Stopped))));
}

#[test]
fn any_one_member_can_stop_but_not_start() {
    let mut world = World::new();
    let grant = world.run(10, |_| {});
    let stopped = world.step(Input::Stop(vec![grant.placement, id(99, 0)]));
    assert!(stopped.contains(&Action::Stop(grant.placement, KILL_GRACE_MS)));
    let again = world.step(Input::Stop(vec![grant.placement]));
    assert!(!again.iter().any(|action| matches!(action, Action::Stop(..))));
    let next = world.grant(11);
    let set = world.history.desire(11, &[next]);
    let (text, lines) = world.history.sign(11, &[1]);
    let delivery = world.history.deliver(&set);
    let consistency = world.history.consistency(world.agent.ledger().head().size);
    let delivered = Delivered { text, line: lines[0].clone(), delivery, consistency };
    assert_eq!(world.step(Input::Delivered(MemberId(1), Box::new(delivered))), []);
    assert_eq!(world.agent.ledger().floor(), epoch(10));
}

/// Cancelled between its grant and the first set that would have named it: the agent hears of it for the first time by the
/// order to stop.
#[test]
fn a_stop_of_what_was_never_accepted_is_answered_once_it_is_fenced() {
    let mut world = World::new();
    let stranger = id(10, 3);
    let told = world.step(Input::Stop(vec![stranger]));
    assert_eq!(reports(&told), [], "a set may still bring it");
    world.desire(11, &[]);
    let told = world.step(Input::Stop(vec![stranger]));
    assert_eq!(reports(&told), [(stranger, Phase::Ended(Ending::Stopped))]);
    world.step(Input::Reported);
    let refused = world.grant_of(12, |grant| {
        grant.rules[0].rules.areas = ["271403".to_owned().try_into().unwrap()].into();
    });
    world.desire(12, std::slice::from_ref(&refused));
    let told = world.step(Input::Stop(vec![refused.placement]));
    assert_eq!(reports(&told), [], "its receipt says more");
}

#[test]
fn the_lease_ends_everything_but_run_to_completion_and_a_new_session_follows() {
    let mut world = World::new();
    let stays = world.grant_of(10, |grant| grant.on_disconnect = OnDisconnect::RunToCompletion);
    let bound = Grant { placement: id(10, 1), ..world.grant(10) };
    let waits = world.grant_of(10, |grant| grant.gpus = 4);
    let waits = Grant { placement: id(10, 2), ..waits };
    world.desire(10, &[stays.clone(), bound.clone(), waits.clone()]);
    for grant in [&stays, &bound] {
        world.fetched(grant);
        world.step(Input::Started(grant.placement, S));
    }
    let deadline = world.agent.lease_deadline_ns().unwrap();
    assert_eq!(deadline, S + 15 * S, "from the send time");
    let before = world.at(deadline - 1);
    assert!(!before.contains(&Action::Detach));
    // Noticed half a second late: the end of the grace does not move.
    let over = world.at(deadline + S / 2);
    assert!(over.contains(&Action::Detach));
    assert!(over.contains(&Action::Stop(bound.placement, 4_000)), "{over:?}");
    assert_eq!(world.phase(&stays.placement), EntryPhase::Live);
    assert_eq!(world.phase(&waits.placement), EntryPhase::Ended(Ending::Lost));
    assert!(reports(&over).is_empty(), "no session to report in");
    world.session = SessionId([6; 16]);
    let killed = world.at(deadline + 4_500 * NS_PER_MS);
    assert!(killed.contains(&Action::Kill(bound.placement)));
    let asked = world.step(Input::Exited(bound.placement, Ending::Signaled(15)));
    let Some(Action::OpenSession { session, previous, live, .. }) =
        asked.iter().find(|action| matches!(action, Action::OpenSession { .. }))
    else {
        panic!("{asked:?}")
    };
    assert_eq!((*session, *previous), (world.session, Some(SESSION)));
    assert_eq!(live, &[stays.placement]);
    let opened = world.step(Input::SessionOpened(world.session));
    assert!(opened.contains(&Action::Attach(world.session)));
    assert!(world.agent.ledger().entries()[&waits.placement].acknowledged, "told by its absence");
    // What runs on is of the session before, and the set still may name it.
    world.beat();
    world.desire(12, std::slice::from_ref(&stays));
    assert_eq!(world.phase(&stays.placement), EntryPhase::Live);
}

#[test]
fn a_lease_that_is_taken_back_is_used_up_and_not_renewed() {
    let mut world = World::new();
    let grant = world.run(10, |_| {});
    world.step(Input::Expiring(SessionId([9; 16])));
    assert!(world.at(S + 3 * S).iter().any(|a| matches!(a, Action::Renew(..))), "another's");
    world.step(Input::Expiring(SESSION));
    world.beat();
    assert!(!world.at(S + 6 * S).iter().any(|a| matches!(a, Action::Renew(..))));
    assert_eq!(world.phase(&grant.placement), EntryPhase::Live);
    let over = world.at(S + 15 * S);
    assert!(over.contains(&Action::Stop(grant.placement, 4_500)));
}

#[test]
fn a_refusal_is_remembered_before_it_is_told_and_told_until_heard() {
    let mut world = World::new();
    let grant = world.grant(10);
    world.desire(10, std::slice::from_ref(&grant));
    let forged = Fetched { payload: b"forged".to_vec(), ..world.federation.fetched(&grant) };
    let refused = world.step(Input::Payload(grant.placement, forged));
    assert_eq!(refused[0], Action::WriteLedger);
    let Some(Action::Refuse(receipt)) =
        refused.iter().find(|action| matches!(action, Action::Refuse(_)))
    else {
        panic!("{refused:?}")
    };
    assert_eq!((receipt.placement, receipt.code), (grant.placement, ErrorCode::PayloadMismatch));
    assert_eq!(receipt.grant, grant.digest().unwrap());
    assert_eq!(world.step(Input::ReceiptFailed(grant.placement)), []);
    let again = world.at(2 * S);
    assert_eq!(again, [Action::Refuse(receipt.clone())]);
    world.step(Input::ReceiptSettled(grant.placement));
    assert!(!world.at(3 * S).iter().any(|action| matches!(action, Action::Refuse(_))));
    // The same grant again, soundly: given away is given away.
    let revived = world.desire(12, std::slice::from_ref(&grant));
    assert!(!revived.contains(&fetch(&grant)));
    world.desire(13, &[]);
    assert!(world.agent.ledger().refused().is_empty());
}

#[test]
fn what_nobody_submitted_is_refused_at_its_start_with_a_receipt() {
    let mut world = World::new();
    let signed = world.grant(10);
    // Flawless otherwise, in the log, and named by k operators.
    let grant = Grant { time_limit_s: 7200, ..signed.clone() };
    let accepted = world.desire(10, std::slice::from_ref(&grant));
    assert!(accepted.contains(&fetch(&grant)), "nothing shows before the start");
    let refused = world.fetched(&signed_as(&grant, &signed));
    assert_eq!(starts(&refused).len(), 0);
    let Some(Action::Refuse(receipt)) =
        refused.iter().find(|action| matches!(action, Action::Refuse(_)))
    else {
        panic!("{refused:?}")
    };
    assert_eq!((receipt.placement, receipt.code), (grant.placement, ErrorCode::GrantSubmission));
    assert_eq!(receipt.grant, grant.digest().unwrap());
    assert_eq!(receipt.detail, "time_limit: not as it was submitted");
}

/// What a member gives for `grant` if only `signed` was ever submitted.
fn signed_as(grant: &Grant, signed: &Grant) -> Grant {
    Grant { placement: grant.placement, ..signed.clone() }
}

#[test]
fn a_refused_session_is_asked_for_again_under_the_same_id() {
    let mut world = World::closed();
    world.step(Input::Tick);
    let reason = Reason::new(ErrorCode::NoLeader, &"none");
    assert_eq!(world.step(Input::SessionRefused(reason.clone())), [Action::Note(reason)]);
    world.session = SessionId([6; 16]);
    assert_eq!(world.step(Input::Tick), []);
    assert_eq!(world.agent.wake_ns(), Some(S + 200 * NS_PER_MS));
    let again = world.at(S + 200 * NS_PER_MS);
    assert!(matches!(again[1], Action::OpenSession { session: SESSION, .. }));
}

#[test]
fn only_the_signature_of_a_member_says_that_the_leader_counted() {
    let mut world = World::closed();
    world.open();
    let held = |world: &World| world.agent.lease_deadline_ns();
    // Others alone, however many, are no leader; nor is whoever brings another's word, or one of another renewal.
    world.word(2, None);
    world.word(3, None);
    assert_eq!(held(&world), None);
    let refused = |world: &mut World, signed| {
        let said = world.word(1, Some(signed));
        let is = |action: &Action| matches!(action, Action::Note(r) if r.code == ErrorCode::SignatureInvalid);
        assert!(said.iter().any(is), "{said:?}");
        assert_eq!(held(world), None);
    };
    let other = world.sign(1, 99);
    refused(&mut world, other);
    world.session = SessionId([7; 16]);
    let elsewhere = world.sign(1, 1);
    world.session = SESSION;
    refused(&mut world, elsewhere);
    let stranger = world.sign(9, 1);
    refused(&mut world, stranger);
    // The leader's word counts whoever brings it, and for the leader's operator.
    let word = world.sign(1, 1);
    let longer = world.word(3, Some(word));
    assert!(longer.iter().any(|action| matches!(action, Action::Hold { .. })));
    assert_eq!(held(&world), Some(S + 15 * S));
}

#[test]
fn the_leaders_own_operator_is_no_further_one() {
    let mut world = World::closed();
    world.open();
    let word = world.sign(2, 1);
    world.word(2, Some(word));
    world.word(2, None);
    assert_eq!(world.agent.lease_deadline_ns(), None);
    world.word(3, None);
    assert_eq!(world.agent.lease_deadline_ns(), Some(S + 15 * S));
}

#[test]
fn who_does_not_hear_the_leader_itself_has_its_renewals_carried() {
    let mut world = World::new();
    let renewed = |actions: &[Action]| {
        actions.iter().find_map(|a| if let Action::Renew(.., c) = a { Some(*c) } else { None })
    };
    assert_eq!(renewed(&world.at(4 * S)), Some(None), "the leader answered the one before");
    for at in [7, 10, 13] {
        // Its word comes by another member from now on.
        let word = world.sign(1, world.sequence);
        world.word(3, Some(word));
        world.word(2, None);
        assert_eq!(renewed(&world.at(at * S)), Some(Some(Revision(900))), "{at}");
    }
    assert_eq!(world.agent.lease_deadline_ns(), Some(10 * S + 15 * S), "and the lease goes on");
}

#[test]
fn who_asks_for_a_session_that_is_over_asks_for_a_new_one_after_it() {
    let mut world = World::closed();
    world.step(Input::Tick);
    let reason = Reason::new(ErrorCode::SessionStale, &"another came after it");
    let told = world.step(Input::SessionRefused(reason.clone()));
    assert_eq!(told, [Action::WriteLedger, Action::Note(reason)]);
    let ledger = world.agent.ledger();
    assert_eq!((ledger.session(), ledger.opening()), (Some(SESSION), None));
    let fresh = SessionId([6; 16]);
    world.session = fresh;
    let again = world.at(S + 200 * NS_PER_MS);
    assert!(matches!(&again[1],
        Action::OpenSession { session, previous: Some(SESSION), .. } if *session == fresh));
}

#[test]
fn an_accepted_set_again_and_an_older_one_change_nothing() {
    let mut world = World::new();
    let older = world.history.desire(9, &[]);
    let set = world.history.desire(10, &[world.grant(10)]);
    world.deliver(&set, 10);
    let before = world.agent.ledger().clone();
    world.deliver(&set, 10);
    world.deliver(&older, 11);
    assert_eq!(world.agent.ledger(), &before);
    assert!(world.agent.ledger().refused().is_empty());
}

/// Each head and text is asked for once, whoever delivers it; then a proof from the stored head makes it count.
#[test]
fn a_set_with_a_proof_from_an_older_head_is_asked_for_again() {
    let mut world = World::new();
    world.desire(10, &[]);
    let size = world.agent.ledger().head().size;
    let set = world.history.desire(11, &[]);
    let (text, lines) = world.history.sign(11, &[1, 2, 3]);
    let late = |world: &mut World, member: usize, from_size: u64| {
        let delivered = Delivered {
            text: text.clone(),
            line: lines[member - 1].clone(),
            delivery: world.history.deliver(&set),
            consistency: world.history.consistency(from_size),
        };
        let id = MemberId(u64::try_from(member).unwrap());
        world.step(Input::Delivered(id, Box::new(delivered)))
    };
    assert_eq!(late(&mut world, 1, 0), []);
    assert_eq!(late(&mut world, 2, 0), [Action::HeadMoved(size)]);
    assert_eq!(late(&mut world, 3, 0), [], "once");
    let accepted = late(&mut world, 1, size);
    assert!(accepted.contains(&Action::SetAccepted(Revision(11))), "{accepted:?}");
}

#[test]
fn a_rolled_back_log_is_refused_with_receipts() {
    let mut world = World::new();
    let fork = world.history.clone();
    world.run(10, |_| {});
    let head = world.agent.ledger().head();
    world.history = fork;
    let forged = world.grant(11);
    let set = world.history.desire(11, std::slice::from_ref(&forged));
    let (text, lines) = world.history.sign(11, &[1, 2]);
    let mut last = vec![];
    for (member, line) in [1, 2].into_iter().zip(lines) {
        let delivered = Delivered {
            text: text.clone(),
            line,
            delivery: world.history.deliver(&set),
            consistency: Consistency { from_size: head.size, proof: vec![] },
        };
        last = world.step(Input::Delivered(MemberId(member), Box::new(delivered)));
    }
    let codes: Vec<_> = last
        .iter()
        .filter_map(|action| {
            let Action::Refuse(refusal) = action else { return None };
            Some((refusal.placement, refusal.code))
        })
        .collect();
    assert_eq!(codes, [(forged.placement, ErrorCode::GrantRollback)]);
    assert_eq!(world.agent.ledger().head(), head);
}

#[test]
fn a_broken_bucket_fails_the_start_and_a_missing_payload_is_asked_for_again() {
    let mut world = World::new();
    let grant = world.grant_of(10, |grant| grant.gpus = 4);
    let placement = grant.placement;
    world.desire(10, std::slice::from_ref(&grant));
    assert_eq!(world.step(Input::PayloadMissing(placement)), []);
    assert_eq!(world.at(2 * S), [fetch(&grant)]);
    let mut sick = devices(4);
    sick[2].healthy = false;
    world.step(Input::Devices(sick));
    world.fetched(&grant);
    let why = "3 working devices for 4 granted".to_owned();
    assert_eq!(world.phase(&placement), EntryPhase::Ended(Ending::StartFailed(why)));
}

#[test]
fn what_no_member_keeps_is_refused_after_a_while_and_not_at_once() {
    let mut world = World::new();
    let grant = world.grant_of(10, |grant| grant.gpus = 4);
    let placement = grant.placement;
    world.desire(10, std::slice::from_ref(&grant));
    for round in 1..NOWHERE_MAX {
        assert_eq!(world.step(Input::PayloadNowhere(placement)), [], "{round}");
        let asked = world.at(world.ns + 6 * S);
        assert!(asked.contains(&fetch(&grant)), "{round}: {asked:?}");
        world.beat();
    }
    let said = world.step(Input::PayloadNowhere(placement));
    let code = said.iter().find_map(|action| {
        if let Action::Note(reason) = action { Some(reason.code) } else { None }
    });
    assert_eq!(code, Some(ErrorCode::PayloadNotHere), "{said:?}");
    assert!(world.agent.ledger().refused().contains_key(&placement));
}

#[test]
fn the_time_limit_is_enforced_even_if_the_shim_forgets_it() {
    let mut world = World::new();
    let grant = world.run(10, |grant| grant.time_limit_s = 2);
    assert!(!world.at(4 * S - 1).contains(&Action::Kill(grant.placement)));
    assert!(world.at(4 * S).contains(&Action::Kill(grant.placement)));
    let ended = world.step(Input::Exited(grant.placement, Ending::Signaled(9)));
    assert_eq!(reports(&ended), [(grant.placement, Phase::Ended(Ending::TimedOut))]);
}

#[test]
fn shutdown_stops_everything_tells_and_finishes_once() {
    let mut world = World::new();
    let grant = world.run(10, |grant| grant.on_disconnect = OnDisconnect::RunToCompletion);
    let closing = world.step(Input::Shutdown);
    assert!(closing.contains(&Action::Stop(grant.placement, KILL_GRACE_MS)));
    let ended = world.step(Input::Exited(grant.placement, Ending::Exited(0)));
    assert!(!ended.contains(&Action::Finished));
    assert!(world.step(Input::Reported).contains(&Action::Finished));
    assert!(!world.step(Input::Tick).contains(&Action::Finished));
    assert!(World::closed().step(Input::Shutdown).contains(&Action::Finished));
}

#[test]
fn what_waits_for_an_input_does_not_keep_the_agent_awake() {
    let mut world = World::new();
    let grant = world.run(10, |_| {});
    assert_eq!(world.agent.wake_ns(), Some(4 * S), "the next renewal");
    world.step(Input::Exited(grant.placement, Ending::Exited(0)));
    world.step(Input::ReportFailed);
    assert_eq!(world.agent.wake_ns(), Some(S + 200 * NS_PER_MS));
    let again = world.at(S + 200 * NS_PER_MS);
    assert_eq!(reports(&again).len(), 1);
    assert_eq!(world.agent.wake_ns(), Some(4 * S), "the report is on its way");
    world.at(16 * S);
    assert!(world.agent.wake_ns().is_none(), "a session is being asked for");
}
