//! Nothing of a job survives: not its stop, not its shim, not its agent (P4, P6).

use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sekisho_agent_runtime::directory::ExitStatus;
use sekisho_agent_runtime::placement::{PlacementKey, PlacementSpec};
use sekisho_agent_runtime::process::ProcessRuntime;
use sekisho_agent_runtime::runtime::{Runtime, RuntimeError, State};
use sekisho_agent_runtime::sweep::sweep;
use tokio::time::Instant;

use crate::stage::{Stage, not_run, on_disk, processes_of, settings, shell, until};

/// A job that tries to leave: a child in its own session, a daemon by double fork, and deaf ones.
const ESCAPE: &str = "trap '' TERM HUP; setsid sleep 1001 & (setsid sh -c 'sleep 1002 & exec sleep 1003' &) ; \
                      (trap '' TERM; exec sleep 1004) & echo ready; ";

fn record(stage: &Stage, key: &PlacementKey) -> sekisho_agent_runtime::directory::ShimRecord {
    stage.runtime.directory(key).shim().unwrap().unwrap()
}

#[tokio::test]
async fn whatever_a_job_leaves_behind_ends_with_it() {
    let Some(mut stage) = Stage::open() else { return };
    let spec = shell("escape-end", &format!("{ESCAPE} exit 5"));
    stage.start(spec.clone()).await.unwrap();
    assert_eq!(stage.ended(&spec.key).await, ExitStatus::Exited(5)); // and nobody is left, `ended` asserts
}

#[tokio::test]
async fn killing_either_shim_kills_everything() {
    let Some(mut stage) = Stage::open() else { return };
    for name in ["escape-outer", "escape-init", "escape-kill"] {
        let spec = stage.start_ready(name, &format!("{ESCAPE} sleep 1005")).await;
        until("all five are there", || processes_of(&spec.key).len() >= 7).await;
        let shim = record(&stage, &spec.key);
        match name {
            "escape-outer" => shim.outer.kill().unwrap(),
            "escape-init" => shim.init.kill().unwrap(),
            _ => stage.runtime.kill(&spec.key).unwrap(),
        }
        assert_eq!(stage.ended(&spec.key).await, ExitStatus::ShimKilled, "{name}");
    }
}

#[tokio::test]
async fn a_stop_is_heard_and_the_grace_is_kept() {
    let Some(mut stage) = Stage::open() else { return };
    let polite = stage
        .start_ready("polite", "trap 'echo saved; exit 4' TERM; echo ready; sleep 1000 & wait")
        .await;
    stage.runtime.stop(&polite.key, Duration::from_secs(600)).unwrap();
    assert_eq!(stage.ended(&polite.key).await, ExitStatus::Exited(4));
    assert_eq!(stage.stdout(&polite.key), "ready\nsaved\n");

    let deaf = stage.start_ready("deaf", &format!("{ESCAPE} while :; do sleep 1; done")).await;
    let grace = Duration::from_millis(400);
    let asked = Instant::now();
    stage.runtime.stop(&deaf.key, grace).unwrap();
    until("the stop is shown", || {
        matches!(stage.state(&deaf.key), State::Stopping { pid: Some(_) })
    })
    .await;
    assert_eq!(stage.ended(&deaf.key).await, ExitStatus::Signaled(9));
    assert!(asked.elapsed() >= grace, "killed before the grace was over");
}

#[tokio::test]
async fn a_second_stop_can_only_shorten_the_grace() {
    let Some(mut stage) = Stage::open() else { return };
    let deaf =
        stage.start_ready("shorten", "trap '' TERM; echo ready; while :; do sleep 1; done").await;
    stage.runtime.stop(&deaf.key, Duration::from_millis(1)).unwrap();
    stage.runtime.stop(&deaf.key, Duration::from_secs(600)).unwrap();
    assert_eq!(stage.ended(&deaf.key).await, ExitStatus::Signaled(9));
}

#[tokio::test]
async fn a_frozen_shim_is_killed_after_the_grace() {
    let Some(mut stage) = Stage::open() else { return };
    let spec = stage.start_ready("frozen", "echo ready; exec sleep 1000").await;
    kill(Pid::from_raw(record(&stage, &spec.key).init.pid), Signal::SIGSTOP).unwrap();
    stage.runtime.stop(&spec.key, Duration::from_millis(50)).unwrap();
    assert_eq!(stage.ended(&spec.key).await, ExitStatus::ShimKilled);
}

#[tokio::test]
async fn the_service_managers_signal_stops_in_order() {
    let Some(mut stage) = Stage::open() else { return };
    let spec =
        stage.start_ready("manager", "trap 'exit 6' TERM; echo ready; sleep 1000 & wait").await;
    let shim = record(&stage, &spec.key);
    for process in [shim.outer, shim.init] {
        kill(Pid::from_raw(process.pid), Signal::SIGTERM).unwrap();
    }
    assert_eq!(stage.ended(&spec.key).await, ExitStatus::Exited(6));
}

#[tokio::test]
async fn hundreds_of_processes_end_together() {
    let Some(mut stage) = Stage::open() else { return };
    let script = "trap '' TERM; i=0; while [ $i -lt 300 ]; do sleep 1000 & i=$((i+1)); done; echo ready; wait";
    let spec = stage.start_ready("many", script).await;
    assert!(processes_of(&spec.key).len() >= 300);
    stage.runtime.stop(&spec.key, Duration::ZERO).unwrap();
    assert_eq!(stage.ended(&spec.key).await, ExitStatus::Signaled(9));
}

#[tokio::test]
async fn dropping_the_runtime_ends_its_jobs() {
    let Some(stage) = Stage::open() else { return };
    let spec = stage.start_ready("dropped", &format!("{ESCAPE} sleep 1005")).await;
    let (root, _dir) = (stage.root(), stage.dir);
    drop(stage.runtime);
    assert_eq!(processes_of(&spec.key), Vec::<i32>::new());
    assert_eq!(on_disk(&root, &spec.key).unwrap().status, ExitStatus::ShimKilled);
}

#[tokio::test]
async fn a_sweep_finds_and_kills_what_lives() {
    let Some(mut stage) = Stage::open() else { return };
    let live = stage.start_ready("sweep-live", "echo ready; exec sleep 1000").await;
    let (status, _) = {
        stage.start(shell("sweep-done", "exit 2")).await.unwrap();
        let key = shell("sweep-done", "").key;
        (stage.ended(&key).await, key)
    };
    let found = sweep(&stage.root()).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].alive.len(), found[0].exit.clone().unwrap().status), (0, status));
    let shim = record(&stage, &live.key);
    assert_eq!(found[1].key, live.key);
    assert!(
        found[1].alive.contains(&shim.outer) && found[1].alive.contains(&shim.init),
        "{found:?}"
    );
    assert_eq!(found[1].exit, None);
    // The mark alone is enough, should the record be lost.
    std::fs::remove_file(stage.runtime.directory(&live.key).path().join("shim")).unwrap();
    let found = sweep(&stage.root()).unwrap();
    assert_eq!(found[1].alive.len(), 2, "{found:?}");
    found[1].kill(Duration::from_secs(20)).unwrap();
    assert_eq!(stage.ended(&live.key).await, ExitStatus::ShimKilled);
}

const ROOT: &str = "SEKISHO_TEST_AGENT_ROOT";
const KEY: &str = "SEKISHO_TEST_AGENT_KEY";

/// The agent's part in the test below, as a process of its own that can be killed. By itself it shows that the part
/// can be played.
#[tokio::test]
async fn an_agent_runs_a_job() {
    let Ok(root) = std::env::var(ROOT) else {
        let Some(mut stage) = Stage::open() else { return };
        assert_eq!(
            stage.run("agent", "echo ready").await,
            (ExitStatus::Exited(0), "ready\n".to_owned())
        );
        return;
    };
    let key = PlacementKey::new(std::env::var(KEY).unwrap()).unwrap();
    let (runtime, mut exits) = ProcessRuntime::open(settings(root.as_ref())).unwrap();
    let spec =
        PlacementSpec { key: key.clone(), ..shell("agent", &format!("{ESCAPE} sleep 1005")) };
    runtime.prepare(spec).unwrap();
    runtime.start(&key).await.unwrap();
    exits.recv().await; // for ever: the agent is killed
}

#[tokio::test]
async fn when_the_agent_is_killed_its_jobs_die_and_the_next_one_sees_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("run");
    let key = shell("orphan", "").key;
    match ProcessRuntime::open(settings(&root)) {
        Err(error @ RuntimeError::NamespacesUnavailable { .. }) => return not_run(&error),
        other => drop(other.unwrap()),
    }
    let mut agent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "death::an_agent_runs_a_job"])
        .env(ROOT, &root)
        .env(KEY, key.as_str())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("the job has spread", || processes_of(&key).len() >= 7).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    // As the next agent does: what is still dying is waited for.
    for found in sweep(&root).unwrap() {
        found.kill(Duration::from_secs(20)).unwrap();
    }
    assert_eq!(processes_of(&key), Vec::<i32>::new());
    let found = sweep(&root).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].key, found[0].alive.len()), (&key, 0));
    found[0].remove(&root).unwrap();
    let (again, _exits) = ProcessRuntime::open(settings(&root)).unwrap();
    again.prepare(PlacementSpec { key, ..shell("again", "true") }).unwrap();
}
