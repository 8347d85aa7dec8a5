//! What a job cannot reach: other jobs, the agent, the host's kernel. Each test runs what an attacker would try.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use nix::unistd::geteuid;
use sekisho_agent_runtime::capability::OwnUsers;
use sekisho_agent_runtime::cgroup::Controller;
use sekisho_agent_runtime::directory::{ExitStatus, StartStage};
use sekisho_agent_runtime::placement::{Limits, PlacementKey, PlacementSpec};
use sekisho_agent_runtime::process::ProcessRuntime;
use sekisho_agent_runtime::runtime::{Runtime, RuntimeError};
use sekisho_agent_runtime::users::UserRange;
use tokio::time::Instant;

use crate::stage::{Stage, not_run, settings, shell, until};

const MIB: u64 = 1 << 20;

/// As [`Stage::open`], told where this host does not run jobs as users of their own.
fn as_root() -> Option<Stage> {
    let stage = Stage::open()?;
    if stage.runtime.capability().users != OwnUsers::Each {
        not_run(&"only root can give each job a user of its own");
        return None;
    }
    Some(stage)
}

fn user(stage: &Stage, key: &PlacementKey) -> u32 {
    fs::metadata(stage.runtime.directory(key).work()).unwrap().uid()
}

/// Where the kernel keeps the groups of a placement.
fn groups(stage: &Stage, key: &PlacementKey) -> Vec<std::path::PathBuf> {
    let parents = &stage.runtime.capability().cgroup.parents.0;
    parents
        .values()
        .map(|(_, parent)| parent.join(key.as_str()))
        .filter(|dir| dir.exists())
        .collect()
}

fn has(stage: &Stage, controller: Controller) -> bool {
    let there = stage.runtime.capability().cgroup.parents.0.contains_key(&controller);
    if !there {
        not_run(&format!("this host has no {controller} controller"));
    }
    there
}

#[tokio::test]
async fn each_job_is_a_user_of_its_own_and_a_later_agent_knows_which() {
    let Some(mut stage) = as_root() else { return };
    let first = stage.start_ready("user-a", "id -u; id -g; id -G; echo ready; sleep 1000").await;
    let uid = user(&stage, &first.key);
    assert!(UserRange::DEFAULT.contains(uid));
    assert!(stage.stdout(&first.key).starts_with(&format!("{uid}\n{uid}\n{uid}\n")));
    let second = stage.start_ready("user-b", "echo ready; sleep 1000").await;
    assert_ne!(uid, user(&stage, &second.key));
    for spec in [&first, &second] {
        stage.runtime.kill(&spec.key).unwrap();
        stage.ended(&spec.key).await;
    }
    let (root, dir) = (stage.root(), stage.dir);
    drop(stage.runtime);
    // The smallest range in which the first one's user is the only one that the key would give.
    let (again, _exits) = ProcessRuntime::open(settings(&root), &[]).unwrap();
    for nth in 0..40 {
        let spec = shell(&format!("later-{nth}"), "true");
        again.prepare(spec.clone()).unwrap();
        let later = fs::metadata(again.directory(&spec.key).work()).unwrap().uid();
        assert_ne!(later, uid, "the directory of the first is still here");
    }
    drop(dir);
}

#[tokio::test]
async fn a_job_reads_and_signals_nothing_of_another() {
    let Some(mut stage) = as_root() else { return };
    let victim = stage
        .start_ready(
            "victim",
            "umask 0; echo secret > file; chmod 777 .; mkdir /tmp/here; echo secret > /tmp/here/f; \
             chmod -R 777 /tmp; echo secret > /dev/shm/f; echo ready; exec sleep 1000",
        )
        .await;
    let dir = stage.runtime.directory(&victim.key);
    let pid = stage.runtime.directory(&victim.key).shim().unwrap().unwrap().init.pid;
    let (work, tmp) = (dir.work(), dir.tmp());
    assert_eq!(fs::read(work.join("file")).unwrap(), b"secret\n");
    let script = format!(
        "cat {work}/file {tmp}/here/f /tmp/here/f /dev/shm/f 2>/dev/null; ls {run} 2>/dev/null; \
         ls -d {dir} 2>/dev/null; cat {dir}/stdout* {dir}/shim 2>/dev/null; \
         for s in 0 TERM KILL; do kill -$s {pid} 2>/dev/null && echo reached; done; \
         cat /proc/1/environ 2>/dev/null; ls /proc/1/fd /proc/1/root/ 2>/dev/null; echo done",
        work = work.display(),
        tmp = tmp.display(),
        dir = dir.path().display(),
        run = stage.root().display(),
    );
    let (status, stdout) = stage.run("thief", &script).await;
    assert_eq!((status, stdout.as_str()), (ExitStatus::Exited(0), "done\n"));
}

#[tokio::test]
async fn temporary_files_are_a_jobs_own_and_go_with_it() {
    let Some(mut stage) = Stage::open() else { return };
    let mark = format!("sekisho-test-{}", std::process::id());
    let script = format!(
        "for d in /tmp /var/tmp /dev/shm; do touch $d/{mark} && echo wrote; done; \
         echo $HOME; cd && touch kept && echo home; ls -A /dev/shm; test -e /dev/null && echo devices; \
         awk '$5 ~ \"^/sys\" && $6 !~ \"^ro,\" || $6 !~ \"nosuid\" {{print $5, $6}}' /proc/self/mountinfo"
    );
    let (status, stdout) = stage.run("temporary", &script).await;
    assert_eq!(status, ExitStatus::Exited(0), "{stdout}");
    let key = shell("temporary", "").key;
    let dir = stage.runtime.directory(&key);
    let home = fs::canonicalize(dir.work()).unwrap();
    let home = home.display();
    assert_eq!(stdout, format!("wrote\nwrote\nwrote\n{home}\nhome\n{mark}\ndevices\n"));
    for place in ["/tmp", "/var/tmp", "/dev/shm"] {
        assert!(!std::path::Path::new(place).join(&mark).exists(), "{place} is the host's");
    }
    assert!(dir.work().join("kept").exists());
    stage.runtime.forget(&key).unwrap();
    assert!(!dir.path().exists());
}

#[tokio::test]
async fn the_agents_directories_are_out_of_sight_and_a_closed_way_does_not_stop_a_job() {
    if !geteuid().is_root() {
        not_run(&"only root can make a directory that jobs may not pass");
        return;
    }
    let closed = tempfile::tempdir_in("/var").unwrap();
    let secret = closed.path().join("agent");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("key"), "secret").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o755)).unwrap();
    let (hidden, root) = (secret.clone(), secret.join("run"));
    let stage = Stage::open_with(|settings| {
        settings.sandbox.hidden = vec![hidden];
        settings.root = root;
    });
    let Some(mut stage) = stage else { return };
    // Only root may pass here; the job comes to its directory all the same.
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let script = format!(
        "cat {0}/key 2>/dev/null; ls {0} 2>/dev/null; ls {0}/run 2>/dev/null; touch {0}/x {0}/run/x 2>/dev/null; \
         pwd; touch here && echo wrote",
        secret.display()
    );
    let spec = shell("hidden", &script);
    stage.start(spec.clone()).await.unwrap();
    let exit = stage.exits.recv().await.unwrap();
    assert_eq!(exit.record.status, ExitStatus::Exited(0));
    let work = stage.runtime.directory(&spec.key).work();
    assert_eq!(stage.stdout(&spec.key), format!("{}\nwrote\n", work.display()));
    assert!(work.join("here").exists() && !secret.join("x").exists());
}

#[tokio::test]
async fn calls_that_no_job_needs_are_refused() {
    let Some(mut stage) = Stage::open() else { return };
    let script = "import ctypes, errno, os, socket, platform
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == 'x86_64'
calls = {'mount': (165, 40), 'umount2': (166, 39), 'pivot_root': (155, 41), 'setns': (308, 268), 'kexec_load': (246, 104),
  'init_module': (175, 105), 'bpf': (321, 280), 'perf_event_open': (298, 241), 'add_key': (248, 217), 'keyctl': (250, 219),
  'open_by_handle_at': (304, 265), 'userfaultfd': (323, 282), 'io_uring_setup': (425, 425), 'fsopen': (430, 430),
  'settimeofday': (164, 170), 'reboot': (169, 142), 'swapon': (167, 224), 'acct': (163, 89), 'chroot': (161, 51)}
def call(number, *args):
    ctypes.set_errno(0)
    result = libc.syscall(number, *args)
    return errno.errorcode.get(ctypes.get_errno(), str(result))
for name, numbers in calls.items():
    got = call(numbers[0 if x86 else 1], 0, 0, 0, 0, 0)
    if got != 'EPERM': print(name, got)
for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80):
    got = call(272 if x86 else 97, flag)
    if got != 'EPERM': print('unshare', hex(flag), got)
got = call(56 if x86 else 220, 0x10000000 | 17, 0, 0, 0, 0)
if got != 'EPERM': print('clone', got)
print(call(435, 0, 0), call(470, 0), call(900, 0))
if x86: print(call(0x40000000 + 39))
else: print('ENOSYS')
for family in (40, 38):
    try: socket.socket(family, socket.SOCK_STREAM if family == 40 else socket.SOCK_SEQPACKET); print('socket', family)
    except PermissionError: pass
# What jobs live by.
import threading, subprocess, multiprocessing.shared_memory as shm
t = threading.Thread(target=lambda: None); t.start(); t.join()
assert subprocess.run(['true']).returncode == 0
s = shm.SharedMemory(create=True, size=1 << 20); s.close(); s.unlink()
socket.socketpair(); socket.socket().bind(('127.0.0.1', 0))
assert call(272 if x86 else 97, 0x400) == '0'
print('lives')
";
    let mut spec = shell("forbidden", "");
    spec.payload.command = ["python3", "-c", script].map(str::to_owned).to_vec();
    stage.start(spec.clone()).await.unwrap();
    let status = stage.ended(&spec.key).await;
    let dir = stage.runtime.directory(&spec.key);
    let stderr = sekisho_agent_runtime::log::tail(
        dir.path(),
        sekisho_agent_runtime::log::Stream::Stderr,
        0,
        4096,
    );
    let stderr = String::from_utf8(stderr.unwrap().data).unwrap();
    assert_eq!(stage.stdout(&spec.key), "ENOSYS ENOSYS ENOSYS\nENOSYS\nlives\n", "{stderr}");
    assert_eq!(status, ExitStatus::Exited(0));
}

#[tokio::test]
async fn a_job_that_eats_memory_ends_as_out_of_memory() {
    let Some(mut stage) = Stage::open() else { return };
    if !has(&stage, Controller::Memory) {
        return;
    }
    let eat = "import sys\nx = bytearray(256 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\nprint('ate')";
    let limits = Limits { memory_bytes: Some(64 * MIB), ..Limits::default() };
    let mut alone = PlacementSpec { limits, ..shell("eater", "") };
    alone.payload.command = ["python3", "-c", eat].map(str::to_owned).to_vec();
    stage.start(alone.clone()).await.unwrap();
    assert_eq!(stage.ended(&alone.key).await, ExitStatus::OutOfMemory);
    assert_eq!(stage.stdout(&alone.key), "");
    assert_eq!(groups(&stage, &alone.key), Vec::<std::path::PathBuf>::new(), "left behind");
    // A shell around it turns the signal into an exit code; the cause is the same.
    let wrapped =
        PlacementSpec { limits, ..shell("wrapped", &format!("python3 -c \"{eat}\"; exit $?")) };
    stage.start(wrapped.clone()).await.unwrap();
    assert_eq!(stage.ended(&wrapped.key).await, ExitStatus::OutOfMemory);
    // A kill that has nothing to do with memory stays what it is, and enough memory is enough.
    let killed = PlacementSpec { limits, ..shell("killed", "kill -KILL $$") };
    stage.start(killed.clone()).await.unwrap();
    assert_eq!(stage.ended(&killed.key).await, ExitStatus::Signaled(9));
    let roomy = Limits { memory_bytes: Some(512 * MIB), ..limits };
    let roomy = PlacementSpec { limits: roomy, payload: alone.payload, ..shell("roomy", "") };
    stage.start(roomy.clone()).await.unwrap();
    assert_eq!(stage.ended(&roomy.key).await, ExitStatus::Exited(0));
}

#[tokio::test]
async fn a_fork_bomb_reaches_its_limit_and_the_host_does_not() {
    let stage = Stage::open_with(|settings| settings.sandbox.limits.pids = Some(32));
    let Some(mut stage) = stage else { return };
    if !has(&stage, Controller::Pids) {
        return;
    }
    let script = "n=0; while [ $n -lt 200 ]; do sleep 1000 & n=$((n+1)); done; echo all; wait";
    let bomb = shell("bomb", script);
    let begun = Instant::now();
    stage.start(bomb.clone()).await.unwrap();
    // dash gives up at the first fork that fails.
    let status = stage.ended(&bomb.key).await;
    assert!(
        matches!(status, ExitStatus::Exited(code) if code != 0),
        "{status:?} {:?}",
        begun.elapsed()
    );
    assert_eq!(stage.stdout(&bomb.key), "");
    assert_eq!(groups(&stage, &bomb.key), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn processors_are_held_to_their_limit() {
    let Some(mut stage) = Stage::open() else { return };
    if !has(&stage, Controller::Cpu) {
        return;
    }
    let limits = Limits { cpu_milli: Some(100), ..Limits::default() };
    let script = "import time\nend = time.monotonic() + 2\nwhile time.monotonic() < end: pass\nprint(time.process_time())";
    let mut spec = PlacementSpec { limits, ..shell("slow", "") };
    spec.payload.command = ["python3", "-c", script].map(str::to_owned).to_vec();
    stage.start(spec.clone()).await.unwrap();
    assert_eq!(stage.ended(&spec.key).await, ExitStatus::Exited(0));
    let used: f64 = stage.stdout(&spec.key).trim().parse().unwrap();
    assert!(used < 0.6, "a tenth of a processor for two seconds, and {used} s were used");
}

#[tokio::test]
async fn what_the_host_cannot_hold_a_job_to_keeps_it_from_starting() {
    let Some(stage) = Stage::open_with(|settings| {
        settings.sandbox.limits.memory_bytes = Some(64 * MIB);
    }) else {
        return;
    };
    let limits = Limits { memory_bytes: Some(65 * MIB), ..Limits::default() };
    let over = PlacementSpec { limits, ..shell("over", "true") };
    let error = stage.runtime.prepare(over).unwrap_err();
    assert!(matches!(error, RuntimeError::Limit(_)), "{error}");
    assert!(error.to_string().contains("job_limits"), "{error}");
    let mut stage = stage;
    if !has(&stage, Controller::Memory) {
        let limits = Limits { memory_bytes: Some(64 * MIB), ..Limits::default() };
        let asked = PlacementSpec { limits, ..shell("asked", "true") };
        let error = stage.start(asked.clone()).await.unwrap_err();
        let RuntimeError::StartFailed(failure) = error else { panic!("{error}") };
        assert_eq!(failure.stage, StartStage::Limits);
        stage.ended(&asked.key).await;
        return;
    }
    // The kernel refuses: a limit below what the group needs to exist cannot be written.
    let path = stage.runtime.capability().cgroup.parents.0[&Controller::Memory].1.clone();
    assert!(path.is_dir());
}

#[tokio::test]
async fn what_a_killed_shim_leaves_of_its_groups_is_swept() {
    let Some(mut stage) = Stage::open() else { return };
    if !has(&stage, Controller::Pids) {
        return;
    }
    let spec = stage.start_ready("left", "echo ready; sleep 1000").await;
    let (parents, there) =
        (stage.runtime.capability().cgroup.parents.clone(), groups(&stage, &spec.key));
    assert!(!there.is_empty());
    stage.runtime.directory(&spec.key).shim().unwrap().unwrap().outer.kill().unwrap();
    assert_eq!(stage.ended(&spec.key).await, ExitStatus::ShimKilled);
    assert!(there.iter().all(|dir| dir.exists()), "nobody was there to remove it");
    drop(stage.runtime);
    assert!(there.iter().all(|dir| !dir.exists()));
    assert!(parents.0.values().all(|(_, parent)| !parent.exists()));
}

#[tokio::test]
async fn a_host_is_described_as_it_is() {
    let Some(stage) = Stage::open() else { return };
    let capability = stage.runtime.capability();
    assert_eq!((&capability.mounts, &capability.seccomp), (&Ok(()), &Ok(())));
    assert_eq!(capability.users == OwnUsers::Each, geteuid().is_root());
    until("it is described", || !capability.to_string().is_empty()).await;
}
