//! Many simulated agents at a federation of real processes.

use sekisho_chaos::agents::{Options, run};
use std::time::Duration;

/// P1, L4: a leader is killed under two hundred agents; none loses its lease, and who is dead is noticed.
#[test]
fn a_killed_leader_costs_no_agent_its_lease_and_a_dead_agent_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { count: 200, steady: 2, kill: 10, port_base: 27_960 };
    let outcome = run(&options, dir.path()).unwrap();
    assert_eq!((outcome.falsely_lost, outcome.without_lease), (0, 0), "{}", outcome.table);
    assert_eq!(outcome.agents, 190);
    assert!(outcome.renewed_within < Duration::from_secs(15), "{}", outcome.table);
    assert_eq!(outcome.noticed.len(), 10);
    // Three beats, the look of the duty, and what a busy machine adds.
    assert!(outcome.noticed.iter().all(|at| *at < Duration::from_secs(14)), "{}", outcome.table);
}
