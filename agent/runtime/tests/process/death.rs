//! Nothing of a job survives its stop or its shim; its agent it does survive, as long as somebody looks after it (P4, P6).

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sekisho_agent_runtime::directory::{ExitStatus, PlacementDir};
use sekisho_agent_runtime::guard::{Guard, Watch};
use sekisho_agent_runtime::limit::UNGUARDED_MAX;
use sekisho_agent_runtime::placement::{PlacementKey, PlacementSpec};
use sekisho_agent_runtime::process::ProcessRuntime;
use sekisho_agent_runtime::runtime::{Runtime, RuntimeError, State};
use sekisho_agent_runtime::sweep::sweep;
use tempfile::TempDir;
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
    // The shell is ready when it has forked them all; the environment of one that is just in `execve` reads as empty.
    until("all of them are there", || processes_of(&spec.key).len() >= 300).await;
    stage.runtime.stop(&spec.key, Duration::ZERO).unwrap();
    assert_eq!(stage.ended(&spec.key).await, ExitStatus::Signaled(9));
}

/// A guard's part in the test below, as a process of its own. By itself it shows that the part can be played.
#[test]
fn a_guard_stands_watch() {
    let root = std::env::var(ROOT);
    let dir = tempfile::tempdir().unwrap();
    let root = root.as_ref().map_or_else(|_unset| dir.path(), Path::new);
    let watch = Guard::Watchdog.take(root).unwrap();
    let me = i32::try_from(std::process::id()).unwrap();
    assert_eq!(Guard::Watchdog.holder(root).map(|holder| holder.pid), Some(me));
    if std::env::var(ROOT).is_ok() {
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap(); // until it is killed
    }
    drop(watch);
}

/// A part of this program in a process of its own.
fn part(test: &str, root: &Path, key: &PlacementKey) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(ROOT, root)
        .env(KEY, key.as_str())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

async fn watchdog(root: &Path, key: &PlacementKey) -> Child {
    let child = part("death::a_guard_stands_watch", root, key);
    let pid = i32::try_from(child.id()).unwrap();
    let stands = || Guard::Watchdog.holder(root).is_some_and(|holder| holder.pid == pid);
    until("the watchdog stands watch", stands).await;
    child
}

#[tokio::test]
async fn a_job_that_nobody_looks_after_ends() {
    let Some((dir, key)) = namespaces("unguarded") else { return };
    let root = dir.path().join("run");
    let mut first = watchdog(&root, &key).await;
    left_by_a_killed_agent(&root, &key).await;
    let dir = PlacementDir::new(&root, &key);
    let shim = dir.shim().unwrap().unwrap();
    // waits: it must live on for longer than it would be given without a guard.
    tokio::time::sleep(UNGUARDED_MAX + UNGUARDED_MAX / 2).await;
    assert!(shim.init.is_alive().unwrap() && processes_of(&key).len() >= 7);
    // One after the other, with a gap that a restart takes.
    first.kill().unwrap();
    first.wait().unwrap();
    let mut second = watchdog(&root, &key).await;
    tokio::time::sleep(UNGUARDED_MAX + UNGUARDED_MAX / 2).await; // waits: as above
    assert!(shim.init.is_alive().unwrap());
    let alone = Instant::now();
    second.kill().unwrap();
    second.wait().unwrap();
    until("nothing of it is left", || processes_of(&key).is_empty()).await;
    assert!(alone.elapsed() >= UNGUARDED_MAX);
    assert_eq!(on_disk(&root, &key).unwrap().status, ExitStatus::Unguarded);
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
    let (runtime, mut exits) = ProcessRuntime::open(settings(root.as_ref()), &[]).unwrap();
    let spec =
        PlacementSpec { key: key.clone(), ..shell("agent", &format!("{ESCAPE} sleep 1005")) };
    runtime.prepare(spec).unwrap();
    runtime.start(&key).await.unwrap();
    exits.recv().await; // for ever: the agent is killed
}

/// A directory for a runtime, and a key; `None`, and told, where no namespaces can be made.
fn namespaces(name: &str) -> Option<(TempDir, PlacementKey)> {
    let dir = tempfile::tempdir().unwrap();
    match ProcessRuntime::open(settings(&dir.path().join("run")), &[]) {
        Err(error @ RuntimeError::NamespacesUnavailable { .. }) => {
            not_run(&error);
            return None;
        }
        other => drop(other.unwrap()),
    }
    Some((dir, shell(name, "").key))
}

/// Starts the job of [`an_agent_runs_a_job`] in a process of its own, and kills that.
async fn left_by_a_killed_agent(root: &Path, key: &PlacementKey) {
    let mut agent = part("death::an_agent_runs_a_job", root, key);
    until("the job has spread", || processes_of(key).len() >= 7).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[tokio::test]
async fn without_a_watchdog_a_killed_agents_jobs_die_and_the_next_one_sees_it() {
    let Some((dir, key)) = namespaces("orphan") else { return };
    let root = dir.path().join("run");
    left_by_a_killed_agent(&root, &key).await;
    until("nothing of it is left", || processes_of(&key).is_empty()).await;
    let found = sweep(&root).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].key, found[0].alive.len(), found[0].adoptable), (&key, 0, false));
    assert_eq!(found[0].exit.clone().unwrap().status, ExitStatus::Unguarded);
    found[0].remove(&root).unwrap();
    let (again, _exits) = ProcessRuntime::open(settings(&root), &[]).unwrap();
    again.prepare(PlacementSpec { key, ..shell("again", "true") }).unwrap();
}

/// A runtime that took over what a killed agent left, while a watchdog looked after it.
async fn adopted(name: &str) -> Option<(Stage, PlacementKey, Watch)> {
    let (dir, key) = namespaces(name)?;
    let root = dir.path().join("run");
    let watchdog = Guard::Watchdog.take(&root).unwrap();
    left_by_a_killed_agent(&root, &key).await;
    let [found] = sweep(&root).unwrap().try_into().unwrap();
    assert_eq!((&found.key, found.alive.len(), found.adoptable), (&key, 2, true));
    let (runtime, exits) =
        ProcessRuntime::open(settings(&root), std::slice::from_ref(&key)).unwrap();
    Some((Stage { runtime, exits, dir }, key, watchdog))
}

#[tokio::test]
async fn the_next_agent_watches_an_adopted_job_like_one_of_its_own() {
    let Some((mut stage, key, _watchdog)) = adopted("adopted").await else { return };
    let shim = record(&stage, &key);
    let running = stage.runtime.running(&key).await.unwrap();
    assert_eq!(running.pid, shim.init.pid);
    let told = stage.runtime.directory(&key).running().unwrap().unwrap();
    assert_eq!(running.since_boottime_ns, told.since_boottime_ns);
    assert_eq!(stage.state(&key), State::Running { pid: running.pid });
    assert!(processes_of(&key).len() >= 7);
    let refused = stage.runtime.prepare(PlacementSpec { key: key.clone(), ..shell("x", "true") });
    assert!(matches!(refused, Err(RuntimeError::AlreadyPrepared)));
    assert!(matches!(stage.runtime.start(&key).await, Err(RuntimeError::WrongState("running"))));
    stage.runtime.stop(&key, Duration::from_millis(300)).unwrap();
    assert_eq!(
        stage.ended(&key).await,
        ExitStatus::Signaled(9),
        "its script is deaf to the request"
    );
    let late = stage.runtime.running(&key).await;
    assert!(matches!(late, Err(RuntimeError::StartFailed(_))), "{late:?}");
    stage.runtime.forget(&key).unwrap();
}

#[tokio::test]
async fn whatever_kills_an_adopted_job_its_end_is_confirmed() {
    for name in ["outer-adopted", "init-adopted", "kill-adopted"] {
        let Some((mut stage, key, _watchdog)) = adopted(name).await else { return };
        let shim = record(&stage, &key);
        match name {
            "outer-adopted" => shim.outer.kill().unwrap(),
            "init-adopted" => shim.init.kill().unwrap(),
            _ => stage.runtime.kill(&key).unwrap(),
        }
        assert_eq!(stage.ended(&key).await, ExitStatus::ShimKilled, "{name}");
    }
}

#[tokio::test]
async fn what_ended_between_two_agents_is_told_by_the_next() {
    let Some((stage, key, _watchdog)) = adopted("between").await else { return };
    let Stage { runtime, dir, .. } = stage;
    let root = dir.path().join("run");
    let shim = runtime.directory(&key).shim().unwrap().unwrap();
    drop(runtime);
    let found = sweep(&root).unwrap();
    assert!(found[0].adoptable);
    shim.init.kill().unwrap();
    until("the outer shim has told", || !shim.outer.is_alive().unwrap()).await;
    let (runtime, exits) =
        ProcessRuntime::open(settings(&root), std::slice::from_ref(&key)).unwrap();
    let mut stage = Stage { runtime, exits, dir };
    assert_eq!(stage.ended(&key).await, ExitStatus::ShimKilled);
}

#[tokio::test]
async fn an_outer_shim_that_stands_still_gives_its_devices_back() {
    let Some(mut stage) = Stage::open() else { return };
    let spec = stage.start_ready("standing", "echo ready; exec sleep 1000").await;
    let shim = record(&stage, &spec.key);
    kill(Pid::from_raw(shim.outer.pid), Signal::SIGSTOP).unwrap();
    stage.runtime.stop(&spec.key, Duration::ZERO).unwrap();
    assert_eq!(stage.ended(&spec.key).await, ExitStatus::ShimKilled);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_of_nobody_that_may_go_on() {
    let Some((stage, key, _watchdog)) = adopted("unreadable").await else { return };
    let Stage { runtime, dir, .. } = stage;
    let root = dir.path().join("run");
    let path = runtime.directory(&key).path().join("shim");
    drop(runtime);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[0] += 1;
    std::fs::write(&path, bytes).unwrap();
    let found = sweep(&root).unwrap();
    assert_eq!((found[0].alive.len(), found[0].adoptable), (2, false), "by its mark");
    found[0].kill(Duration::from_secs(20)).unwrap();
    assert_eq!(processes_of(&key), Vec::<i32>::new());
}
