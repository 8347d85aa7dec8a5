//! What the lease binds ends with it, whoever is dead, stopped or starved (P4).

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sekisho_agent_runtime::deadline::{Deadline, NAME};
use sekisho_agent_runtime::directory::ExitStatus;
use sekisho_agent_runtime::limit::WATCH_EVERY;
use sekisho_agent_runtime::placement::PlacementSpec;
use sekisho_agent_runtime::procfs::boottime_ns;
use sekisho_agent_runtime::runtime::State;
use sekisho_agent_runtime::watchdog::Watchdog;

use crate::stage::{Stage, on_disk, processes_of, shell, until};

/// A job that hears no request to stop.
const DEAF: &str = "trap '' TERM; echo ready; while :; do sleep 1; done";

fn bound(name: &str, script: &str) -> PlacementSpec {
    PlacementSpec { bound: true, ..shell(name, script) }
}

/// A deadline so many milliseconds from now, and a kill so many later.
fn hold(stage: &Stage, stop_ms: u64, kill_ms: u64) -> Deadline {
    let stop_ns = boottime_ns().unwrap() + stop_ms * 1_000_000;
    let deadline = Deadline { stop_ns, kill_ns: stop_ns + kill_ms * 1_000_000 };
    stage.runtime.hold(deadline).unwrap();
    deadline
}

async fn ready(stage: &Stage, spec: &PlacementSpec) {
    stage.start(spec.clone()).await.unwrap();
    until("the job is ready", || stage.stdout(&spec.key).contains("ready")).await;
}

#[tokio::test]
async fn the_end_of_the_lease_ends_what_it_binds_without_a_word_of_the_agent() {
    let Some(mut stage) = Stage::open() else { return };
    let first = hold(&stage, 6_000, 900);
    let polite = bound("polite", "trap 'exit 4' TERM; echo ready; sleep 1000 & wait");
    let deaf = bound("deaf", DEAF);
    let free = shell("free", "echo ready; sleep 1000");
    for spec in [&polite, &deaf, &free] {
        ready(&stage, spec).await;
    }
    // Renewed in time: everybody lives on over the deadline that was read at the start.
    let last = hold(&stage, 7_000, 900);
    for key in [&polite.key, &deaf.key] {
        assert_eq!(stage.ended(key).await, ExitStatus::LeaseOver);
    }
    let at = |spec: &PlacementSpec| on_disk(&stage.root(), &spec.key).unwrap().at_boottime_ns;
    assert!(first.stop_ns < last.stop_ns && last.stop_ns <= at(&polite), "{last:?}");
    assert!(last.kill_ns <= at(&deaf), "killed before its time");
    assert!(matches!(stage.state(&free.key), State::Running { .. }));
}

#[tokio::test]
async fn nothing_bound_lives_without_a_deadline_that_can_be_believed() {
    let Some(mut stage) = Stage::open() else { return };
    let none = bound("none", "sleep 1000");
    stage.start(none.clone()).await.unwrap();
    assert_eq!(stage.ended(&none.key).await, ExitStatus::LeaseOver);
    let before = hold(&stage, 6_000, 500);
    let damaged = bound("damaged", DEAF);
    ready(&stage, &damaged).await;
    std::fs::write(stage.root().join(NAME), b"rubbish").unwrap();
    assert_eq!(stage.ended(&damaged.key).await, ExitStatus::LeaseOver);
    // What was read before it was damaged holds.
    let at = on_disk(&stage.root(), &damaged.key).unwrap().at_boottime_ns;
    assert!(before.kill_ns <= at);
}

#[tokio::test]
async fn the_watchdog_kills_what_a_stopped_shim_does_not() {
    let Some(mut stage) = Stage::open() else { return };
    let mut watchdog = Watchdog::new(&stage.root());
    hold(&stage, 60_000, 500);
    let (held, free) = (bound("held", DEAF), shell("unbound", "echo ready; sleep 1000"));
    for spec in [&held, &free] {
        ready(&stage, spec).await;
        let shim = stage.runtime.directory(&spec.key).shim().unwrap().unwrap();
        kill(Pid::from_raw(shim.init.pid), Signal::SIGSTOP).unwrap();
    }
    let quiet = watchdog.look().unwrap();
    assert_eq!((quiet.killed, quiet.pause), (vec![], WATCH_EVERY));
    // The stop has passed, the kill has not: it is for the shim to ask.
    hold(&stage, 0, 30_000);
    assert_eq!(watchdog.look().unwrap().killed, []);
    hold(&stage, 0, 0);
    let killed = watchdog.look().unwrap().killed;
    assert_eq!(killed, std::slice::from_ref(&held.key));
    assert_eq!(stage.ended(&held.key).await, ExitStatus::ShimKilled);
    assert_eq!(watchdog.look().unwrap().killed, []);
    // An outer shim that stands still is given one look to tell of the end, and then goes as well.
    hold(&stage, 60_000, 500);
    let standing = bound("standing", DEAF);
    ready(&stage, &standing).await;
    let shim = stage.runtime.directory(&standing.key).shim().unwrap().unwrap();
    kill(Pid::from_raw(shim.outer.pid), Signal::SIGSTOP).unwrap();
    hold(&stage, 0, 0);
    assert_eq!(watchdog.look().unwrap().killed, std::slice::from_ref(&standing.key));
    until("its job is dead", || !shim.init.is_alive().unwrap()).await;
    for look in 0..2 {
        assert!(shim.outer.is_alive().unwrap(), "look {look}");
        assert_eq!(watchdog.look().unwrap().killed, []);
    }
    assert_eq!(stage.ended(&standing.key).await, ExitStatus::ShimKilled);
    assert!(!processes_of(&free.key).is_empty(), "the lease does not bind it");
}
