//! From prepare to forget.

use std::time::Duration;

use sekisho_agent_runtime::directory::{ExitStatus, StartStage};
use sekisho_agent_runtime::limit;
use sekisho_agent_runtime::log::{Stream, tail};
use sekisho_agent_runtime::placement::PlacementSpec;
use sekisho_agent_runtime::process::ProcessRuntime;
use sekisho_agent_runtime::runtime::{Runtime, RuntimeError, State};
use sekisho_agent_runtime::shim::ShimCommand;

use crate::stage::{Stage, on_disk, settings, shell};

#[tokio::test]
async fn exit_codes_and_output_come_back() {
    let Some(mut stage) = Stage::open() else { return };
    let (status, stdout) = stage.run("ok", "echo out; echo err >&2").await;
    assert_eq!((status, stdout.as_str()), (ExitStatus::Exited(0), "out\n"));
    let dir = stage.runtime.directory(&shell("ok", "").key);
    assert_eq!(tail(dir.path(), Stream::Stderr, 0, 99).unwrap().data, b"err\n");
    assert_eq!(stage.run("seven", "exit 7").await.0, ExitStatus::Exited(7));
    assert_eq!(stage.run("kill", "kill -KILL $$").await.0, ExitStatus::Signaled(9));
    // nix cannot express a real-time signal; the shim must.
    assert_eq!(stage.run("rt", "kill -40 $$").await.0, ExitStatus::Signaled(40));
}

#[tokio::test]
async fn the_record_of_an_end_outlives_the_runtime() {
    let Some(mut stage) = Stage::open() else { return };
    let spec = shell("record", "exit 3");
    stage.start(spec.clone()).await.unwrap();
    stage.ended(&spec.key).await;
    let (root, dir) = (stage.root(), stage.dir);
    drop(stage.runtime);
    assert_eq!(on_disk(&root, &spec.key).unwrap().status, ExitStatus::Exited(3));
    let (again, _exits) = ProcessRuntime::open(settings(&root), &[]).unwrap();
    assert!(
        matches!(again.prepare(spec), Err(RuntimeError::AlreadyPrepared)),
        "a key is used once"
    );
    drop(dir);
}

#[tokio::test]
async fn what_cannot_be_started_says_why_and_runs_nothing() {
    let Some(mut stage) = Stage::open() else { return };
    let mut missing = shell("missing", "");
    missing.payload.command = vec!["/no/such".to_owned()];
    let error = stage.start(missing.clone()).await.unwrap_err();
    let RuntimeError::StartFailed(failure) = error else { panic!("{error}") };
    assert_eq!(failure.stage, StartStage::Exec);
    assert!(failure.detail.contains("No such file"), "{failure}");
    assert_eq!(stage.ended(&missing.key).await, ExitStatus::StartFailed(failure));
    let again = stage.runtime.start(&missing.key).await;
    assert!(matches!(again, Err(RuntimeError::WrongState("ended"))));
}

#[tokio::test]
async fn a_placement_is_forgotten_only_when_nothing_runs() {
    let Some(mut stage) = Stage::open() else { return };
    let spec = stage.start_ready("forget", "echo ready; exec sleep 1000").await;
    assert!(matches!(stage.runtime.forget(&spec.key), Err(RuntimeError::WrongState("running"))));
    stage.runtime.kill(&spec.key).unwrap();
    assert_eq!(stage.ended(&spec.key).await, ExitStatus::ShimKilled);
    stage.runtime.kill(&spec.key).unwrap();
    let dir = stage.runtime.directory(&spec.key);
    stage.runtime.forget(&spec.key).unwrap();
    assert!(!dir.path().exists());
    assert!(matches!(stage.runtime.kill(&spec.key), Err(RuntimeError::Unknown)));
}

#[tokio::test]
async fn what_was_stopped_before_its_start_never_starts() {
    let Some(mut stage) = Stage::open() else { return };
    let spec = shell("unstarted", "true");
    stage.runtime.prepare(spec.clone()).unwrap();
    assert_eq!(stage.state(&spec.key), State::Prepared);
    stage.runtime.stop(&spec.key, Duration::ZERO).unwrap();
    // At once, before the supervisor can have read the request.
    let refused = stage.runtime.start(&spec.key).await;
    assert!(matches!(refused, Err(RuntimeError::WrongState("stopping" | "ended"))), "{refused:?}");
    assert_eq!(stage.ended(&spec.key).await, ExitStatus::ShimKilled);
    assert!(matches!(stage.runtime.start(&spec.key).await, Err(RuntimeError::WrongState("ended"))));
}

#[tokio::test]
async fn a_time_limit_asks_and_then_kills() {
    let Some(mut stage) = Stage::open() else { return };
    // Long enough for the shell to have its trap on a busy machine.
    let limit = Some(Duration::from_millis(1500));
    let grace = Duration::from_millis(400);
    let polite = PlacementSpec {
        time_limit: limit,
        grace,
        ..shell("polite", "trap 'echo saved; exit 0' TERM; sleep 1000 & wait")
    };
    stage.start(polite.clone()).await.unwrap();
    assert_eq!(stage.ended(&polite.key).await, ExitStatus::TimedOut);
    assert_eq!(stage.stdout(&polite.key), "saved\n");
    let deaf =
        PlacementSpec { time_limit: limit, grace, ..shell("deaf", "trap '' TERM; sleep 1000") };
    stage.start(deaf.clone()).await.unwrap();
    assert_eq!(stage.ended(&deaf.key).await, ExitStatus::TimedOut);
}

#[tokio::test]
async fn endless_output_is_bounded_and_does_not_stop_the_job() {
    let Some(mut stage) = Stage::open() else { return };
    let bytes = limit::LOG_BYTES_DEFAULT + (1 << 20);
    let spec = shell("endless", &format!("head -c {bytes} /dev/zero; echo end; echo done >&2"));
    stage.start(spec.clone()).await.unwrap();
    assert_eq!(stage.ended(&spec.key).await, ExitStatus::Exited(0));
    let dir = stage.runtime.directory(&spec.key);
    let first = tail(dir.path(), Stream::Stdout, 0, 16).unwrap();
    assert!(first.from > 0 && first.from < bytes, "the oldest is gone: {}", first.from);
    let end = tail(dir.path(), Stream::Stdout, bytes - 1, 4096).unwrap();
    assert_eq!((end.data.as_slice(), end.from, end.eof), (&b"\0end\n"[..], bytes - 1, true));
    let kept = end.next_offset - first.from;
    assert!(kept <= limit::LOG_BYTES_DEFAULT && kept > limit::LOG_BYTES_DEFAULT / 2, "{kept}");
    assert_eq!(tail(dir.path(), Stream::Stderr, 0, 99).unwrap().data, b"done\n");
}

#[tokio::test]
async fn one_root_has_one_runtime() {
    let Some(stage) = Stage::open() else { return };
    let second = ProcessRuntime::open(settings(&stage.root()), &[]);
    assert!(matches!(second, Err(RuntimeError::RootInUse)));
}

#[test]
fn without_namespaces_there_are_no_process_jobs() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path());
    settings.shim = ShimCommand { program: "/bin/false".into(), args: vec![] };
    let error = ProcessRuntime::open(settings, &[]).unwrap_err();
    assert!(matches!(error, RuntimeError::NamespacesUnavailable { .. }));
    assert!(error.to_string().contains("run the agent as root"), "{error}");
}
