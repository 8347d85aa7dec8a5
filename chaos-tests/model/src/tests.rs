//! Each scope seen whole without a violation, and each planted bug found.

use super::*;
use stateright::{Checker as _, HasDiscoveries};

const LEADERS: Scope = Scope {
    terms: 2,
    revisions: 2,
    sessions: 2,
    renewals: 1,
    host: HostFaults::None,
    out: Out::Never,
};
const HOST: Scope = Scope {
    terms: 1,
    revisions: 2,
    sessions: 2,
    renewals: 1,
    host: HostFaults::All,
    out: Out::Never,
};
const REVOKED_HOST: Scope = Scope {
    terms: 1,
    revisions: 2,
    sessions: 2,
    renewals: 1,
    host: HostFaults::Processes,
    out: Out::ForGood,
};
/// A stop, and what is granted after it.
const STOPPED: Scope = Scope {
    terms: 1,
    revisions: 3,
    sessions: 2,
    renewals: 1,
    host: HostFaults::None,
    out: Out::Never,
};

/// Two hosts of one node: neither is renewed, and one is let in again once both have stopped.
const QUARANTINED: Scope = Scope { out: Out::UntilReleased, ..REVOKED_HOST };

#[test]
fn the_wait_covers_what_the_agent_may_take() {
    assert!(Times::SHORT.sound());
    assert!(!Times { wait: Times::SHORT.wait - 1, ..Times::SHORT }.sound());
}

#[test]
fn leaders_that_come_and_go_free_nothing_that_lives() {
    whole("leaders", LEADERS, None);
}

#[test]
fn what_is_stopped_and_granted_again_is_fenced() {
    whole("stopped", STOPPED, None);
}

#[test]
fn a_host_whose_processes_die_and_freeze_keeps_its_word() {
    whole("host", HOST, None);
}

#[test]
fn a_revoked_host_is_done_within_the_bound() {
    whole("revoked", REVOKED_HOST, None);
    whole("revoked, leader lies", REVOKED_HOST, Some(Bug::LyingLeader));
}

#[test]
fn a_host_that_is_released_from_quarantine_begins_with_nothing() {
    whole("quarantined", QUARANTINED, None);
}

/// Sees every state of the scope, and finds every property kept and every example met.
#[track_caller]
fn whole(name: &str, scope: Scope, bug: Option<Bug>) {
    let checker = Protocol::new(scope, bug).checker().spawn_bfs().join();
    assert!(checker.is_done());
    checker.assert_properties();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{name}: {states} states, depth {depth}: {scope:?}");
}

#[test]
fn every_broken_rule_is_found() {
    let cases = [
        (Bug::NoClockBound, LEADERS, DEAD_BEFORE_FREE),
        (Bug::NoClockBound, LEADERS, ONE_HOLDER),
        (Bug::CountFromAnswer, LEADERS, DEAD_BEFORE_FREE),
        (Bug::CountWithoutRound, LEADERS, DEAD_BEFORE_FREE),
        (Bug::CountWhileExpiring, LEADERS, DEAD_BEFORE_FREE),
        (Bug::CarrierCounts, LEADERS, DEAD_BEFORE_FREE),
        (Bug::ExpireInAnyTerm, LEADERS, DEAD_BEFORE_FREE),
        (Bug::NewLeaderForgets, LEADERS, DEAD_BEFORE_FREE),
        (Bug::ReleaseOnStop, STOPPED, ONE_HOLDER),
        (Bug::NoFence, STOPPED, FENCED),
        (Bug::OpenUnswept, HOST, DEAD_BEFORE_FREE),
        (Bug::NoWatchdog, HOST, LEASE_BOUND),
        (Bug::StartWithoutLease, HOST, LEASE_BOUND),
        (Bug::GrantToRevoked, REVOKED_HOST, REVOKED),
        (Bug::LyingLeaderAlone, REVOKED_HOST, REVOKED),
        (Bug::GrantToRevoked, QUARANTINED, REVOKED),
    ];
    for (bug, scope, property) in cases {
        let wanted = HasDiscoveries::AnyOf([property].into());
        let checker = Protocol::new(scope, Some(bug)).checker().finish_when(wanted);
        let checker = checker.spawn_bfs().join();
        let path = checker.discovery(property);
        let path = path.unwrap_or_else(|| panic!("{bug:?} is not found by {property}"));
        println!("{bug:?}: {property}: {} steps", path.into_actions().len());
    }
}
