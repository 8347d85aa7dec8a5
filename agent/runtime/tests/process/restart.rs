//! A job that fails is begun anew as often as it asked for, and never after a stop.

use std::time::Duration;

use sekisho_agent_runtime::directory::ExitStatus;
use sekisho_agent_runtime::log::{Stream, tail};
use sekisho_agent_runtime::placement::PlacementSpec;
use sekisho_agent_runtime::runtime::Runtime;
use sekisho_types::payload::Restart;
use tokio::time::Instant;

use crate::stage::{Stage, on_disk, processes_of, shell, until};

fn again(name: &str, attempts: u32, delay_s: u32, script: &str) -> PlacementSpec {
    let mut spec = shell(name, script);
    spec.payload.restart = Restart::OnFailure { attempts, delay_s };
    spec
}

fn restarts(stage: &Stage, spec: &PlacementSpec) -> u32 {
    on_disk(&stage.root(), &spec.key).unwrap().restarts
}

#[tokio::test]
async fn a_failure_begins_another_attempt_in_the_same_place_until_one_succeeds() {
    let Some(mut stage) = Stage::open() else { return };
    let script = "n=$(cat n 2>/dev/null || echo 0); n=$((n+1)); echo $n > n; \
                  setsid sleep 1001 & echo attempt $n $SEKISHO_EPOCH; [ $n -ge 3 ] || exit $n";
    let spec = again("again", 5, 1, script);
    let begun = Instant::now();
    stage.start(spec.clone()).await.unwrap();
    assert_eq!(stage.ended(&spec.key).await, ExitStatus::Exited(0));
    assert_eq!(restarts(&stage, &spec), 2);
    assert!(begun.elapsed() >= Duration::from_secs(3), "one second, then two");
    let epoch = spec.epoch;
    assert_eq!(
        stage.stdout(&spec.key),
        format!(
            "attempt 1 {epoch}\n[sekisho: exited 1; restart 1 in 1 s]\nattempt 2 {epoch}\n\
             [sekisho: exited 2; restart 2 in 2 s]\nattempt 3 {epoch}\n"
        )
    );
    let dir = stage.runtime.directory(&spec.key);
    let stderr = tail(dir.path(), Stream::Stderr, 0, 999).unwrap().data;
    assert_eq!(stderr.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count(), 2);
}

#[tokio::test]
async fn attempts_run_out_and_without_a_policy_there_is_one() {
    let Some(mut stage) = Stage::open() else { return };
    let spec = again("out", 1, 1, "echo try; kill -SEGV $$");
    stage.start(spec.clone()).await.unwrap();
    assert_eq!(stage.ended(&spec.key).await, ExitStatus::Signaled(11));
    assert_eq!((restarts(&stage, &spec), stage.stdout(&spec.key).matches("try").count()), (1, 2));
    let once = shell("once", "echo try; exit 9");
    stage.start(once.clone()).await.unwrap();
    assert_eq!(stage.ended(&once.key).await, ExitStatus::Exited(9));
    assert_eq!((restarts(&stage, &once), stage.stdout(&once.key)), (0, "try\n".to_owned()));
}

#[tokio::test]
async fn a_stop_ends_it_while_it_runs_and_while_it_waits() {
    let Some(mut stage) = Stage::open() else { return };
    let runs = again("stop-runs", 9, 1, "trap 'exit 3' TERM; echo ready; sleep 1000 & wait");
    let waits = again("stop-waits", 9, 600, "echo ready; exit 2");
    for (spec, status) in [(&runs, ExitStatus::Exited(3)), (&waits, ExitStatus::Exited(2))] {
        stage.start(spec.clone()).await.unwrap();
        let waiting = spec.key == waits.key;
        until("it is where the test wants it", || {
            let stdout = stage.stdout(&spec.key);
            stdout.contains("ready") && (!waiting || stdout.contains("restart 1"))
        })
        .await;
        stage.runtime.stop(&spec.key, Duration::from_secs(60)).unwrap();
        assert_eq!(stage.ended(&spec.key).await, status);
        assert_eq!(restarts(&stage, spec), 0);
    }
}

#[tokio::test]
async fn the_time_limit_covers_all_attempts() {
    let Some(mut stage) = Stage::open() else { return };
    let waits = PlacementSpec {
        time_limit: Some(Duration::from_millis(700)),
        grace: Duration::from_millis(100),
        ..again("limit", 9, 600, "exit 2")
    };
    stage.start(waits.clone()).await.unwrap();
    assert_eq!(stage.ended(&waits.key).await, ExitStatus::TimedOut);
    assert_eq!(processes_of(&waits.key), Vec::<i32>::new());
}

#[tokio::test]
async fn a_program_that_is_gone_when_it_is_begun_anew_is_a_failed_attempt() {
    let Some(mut stage) = Stage::open() else { return };
    let mut spec = again("gone", 3, 1, "");
    spec.payload.command = ["./program"].map(str::to_owned).to_vec();
    stage.runtime.prepare(spec.clone()).unwrap();
    let program = stage.runtime.directory(&spec.key).work().join("program");
    std::fs::write(&program, "#!/bin/sh\nrm \"$0\"; exit 5\n").unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    stage.runtime.start(&spec.key).await.unwrap();
    assert_eq!(stage.ended(&spec.key).await, ExitStatus::Exited(127));
    assert_eq!(restarts(&stage, &spec), 1);
    assert!(stage.stdout(&spec.key).contains("cannot be started again"));
}
