//! What a job finds around itself.

use std::collections::BTreeMap;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::geteuid;
use sekisho_agent_runtime::directory::ExitStatus;
use sekisho_agent_runtime::placement::{DeviceClaim, PlacementSpec};
use sekisho_agent_runtime::shim::wire::RunAs;
use sekisho_types::payload::JobPayload;

use crate::stage::{Stage, not_run, shell};

#[tokio::test]
async fn the_environment_is_the_contract_and_nothing_else() {
    let Some(mut stage) = Stage::open() else { return };
    let devices = ["GPU-b", "GPU-a"]
        .map(|uuid| DeviceClaim { uuid: uuid.to_owned(), locks: Vec::new() })
        .to_vec();
    let own: BTreeMap<String, String> =
        [("MODEL".to_owned(), "a b".to_owned()), ("LANG".to_owned(), "C".to_owned())].into();
    let command = ["env", "-0"].map(str::to_owned).to_vec();
    let spec = PlacementSpec {
        devices,
        job: "city/env/7".to_owned(),
        rank: 2,
        group_size: 4,
        payload: JobPayload {
            command,
            env: own,
            working_dir: Some("sub".to_owned()),
            ..JobPayload::default()
        },
        ..shell("env", "")
    };
    sekisho_agent_runtime::runtime::Runtime::prepare(&stage.runtime, spec.clone()).unwrap();
    let work = stage.runtime.directory(&spec.key).work();
    std::fs::create_dir(work.join("sub")).unwrap();
    sekisho_agent_runtime::runtime::Runtime::start(&stage.runtime, &spec.key).await.unwrap();
    assert_eq!(stage.ended(&spec.key).await, ExitStatus::Exited(0));
    let stdout = stage.stdout(&spec.key);
    let found: BTreeMap<&str, &str> =
        stdout.split_terminator('\0').filter_map(|line| line.split_once('=')).collect();
    let expected: BTreeMap<&str, &str> = [
        ("CUDA_VISIBLE_DEVICES", "GPU-b,GPU-a"),
        ("HOME", work.to_str().unwrap()),
        ("LANG", "C"),
        ("MODEL", "a b"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("SEKISHO_EPOCH", "00000000000000000001-00000000000000000042"),
        ("SEKISHO_GPU_COUNT", "2"),
        ("SEKISHO_GROUP_SIZE", "4"),
        ("SEKISHO_JOB", "city/env"),
        ("SEKISHO_PLACEMENT", spec.key.as_str()),
        ("SEKISHO_RANK", "2"),
        ("SEKISHO_TASK", "7"),
    ]
    .into();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_job_sees_only_itself_and_gains_nothing() {
    let Some(mut stage) = Stage::open() else { return };
    // As a careless launcher of the agent would leave it.
    let leaked = tempfile::tempfile().unwrap();
    fcntl(&leaked, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let script = "pwd; grep -E '^(NoNewPrivs|SigBlk|SigIgn):' /proc/self/status; ulimit -c; \
                  set -- /proc/[0-9]*; echo $#; (cd /proc/self/fd; echo *); wc -c < /dev/stdin; \
                  cut -d' ' -f1,6 /proc/$$/stat";
    let (status, stdout) = stage.run("bare", script).await;
    assert_eq!(status, ExitStatus::Exited(0), "{stdout}");
    let lines: Vec<&str> = stdout.lines().collect();
    assert!(lines[0].ends_with("/work"), "{stdout}");
    let mask = |name: &str| {
        let line = lines.iter().find(|line| line.starts_with(name)).unwrap();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    };
    assert_eq!(mask("NoNewPrivs:"), 1);
    assert_eq!(mask("SigBlk:"), 0, "a blocked SIGTERM could never stop the job");
    // The two above 31 are the C library's own, which some launchers leave ignored.
    assert_eq!(mask("SigIgn:") & 0x7fff_ffff, 0, "a job expects the defaults, SIGPIPE among them");
    assert_eq!(lines[4], "0", "core dumps: {stdout}");
    let processes: u32 = lines[5].trim().parse().unwrap();
    assert!(processes <= 4, "init, the shell and its pipe; not the host: {stdout}");
    assert_eq!(lines[6], "0 1 2 3", "open: the standard ones and the listing's own");
    assert_eq!(lines[7], "0", "standard input is empty");
    let (pid, session) = lines[8].split_once(' ').unwrap();
    assert_eq!(pid, session, "the job leads a session of its own");
}

#[tokio::test]
async fn a_job_runs_as_the_configured_user() {
    if !geteuid().is_root() {
        not_run(&"only root can run jobs as another user");
        return;
    }
    let Some(mut stage) = Stage::open_as(RunAs { uid: 65534, gid: 65534 }) else { return };
    let script = "id -u; id -g; id -G; touch file && echo wrote; ls ../.. 2>/dev/null || echo closed; \
                  cat ../exit ../shim 2>/dev/null || echo private; grep CapEff /proc/self/status";
    let (status, stdout) = stage.run("nobody", script).await;
    assert_eq!(status, ExitStatus::Exited(0));
    assert_eq!(stdout, "65534\n65534\n65534\nwrote\nclosed\nprivate\nCapEff:\t0000000000000000\n");
}
