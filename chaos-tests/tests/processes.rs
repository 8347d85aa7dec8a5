//! Real processes: three controllers of three operators and four agents, over mutual TLS and RocksDB.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a broken set-up should fail loudly")]

use anyhow::{Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sekisho_chaos::demo;
use sekisho_chaos::federation::{Federation, rows};
use sekisho_chaos::partner;
use sekisho_chaos::work::{lost, nodes, running, spec, submit, write};
use std::time::Duration;
use tokio::time::Instant;

fn federation(port_base: u16) -> (tempfile::TempDir, Federation) {
    let dir = tempfile::tempdir().unwrap();
    let federation = Federation::start(dir.path(), port_base).unwrap();
    (dir, federation)
}

#[test]
fn the_demo_comes_out_right() {
    let dir = tempfile::tempdir().unwrap();
    demo::run(dir.path(), 27_200).unwrap();
}

/// R1, R8: what was acknowledged survives kill -9 of each member in turn, and of all at once.
#[test]
fn nothing_acknowledged_is_lost_to_kill_9() {
    let (_dir, mut federation) = federation(27_210);
    let term = federation.read("kanto", &["status"]).unwrap()["term"].as_u64().unwrap();
    assert!(term < 10, "the lead went round {term} times before anything happened");
    // While everything is well: what a partner's own tooling does.
    partner::operation(&federation).unwrap();
    partner::python_client(&federation).unwrap();
    // A job that says nothing for longer than a call may take is followed to its end.
    let script = "sleep 20; echo at last";
    let quiet = submit(&federation, "quiet", &spec("quiet", 1, 1, "Hokkaido", script)).unwrap();
    let followed = federation.run("sapporo", &["job", "logs", &quiet, "--follow"]).unwrap();
    let followed = followed.ok().unwrap();
    assert!(followed.stdout.contains("at last"), "{}", followed.stdout);
    let mut written = Vec::new();
    for member in 1..=3u64 {
        written.push(write(&federation, &format!("before-{member}")).unwrap());
        federation.signal(&format!("controller-{member}"), Signal::SIGKILL).unwrap();
        written.push(write(&federation, &format!("without-{member}")).unwrap());
        federation.revive(member).unwrap();
        federation.whole().unwrap();
        assert_eq!(lost(&federation, &written).unwrap(), Vec::<String>::new(), "member {member}");
    }
    for member in 1..=3u64 {
        federation.signal(&format!("controller-{member}"), Signal::SIGKILL).unwrap();
    }
    for member in 1..=3u64 {
        federation.revive(member).unwrap();
    }
    federation.whole().unwrap();
    assert_eq!(lost(&federation, &written).unwrap(), Vec::<String>::new(), "all at once");
    // And it goes on: a job still crosses the checkpoint.
    let job = submit(&federation, "after", &spec("after", 1, 1, "Hokkaido", "true")).unwrap();
    federation.await_job(&job, &["succeeded"]).unwrap();
}

/// P3, P4: with the agent dead the job is dead by the end of its lease; its place is given again only after that.
#[test]
fn a_dead_agents_work_is_given_again_only_after_its_lease() {
    let (_dir, federation) = federation(27_220);
    let script = "exec sleep 31337.25";
    let job = submit(&federation, "held", &spec("held", 1, 3, "Hokkaido", script)).unwrap();
    federation.await_job(&job, &["running"]).unwrap();
    assert!(!running("31337.25").unwrap().is_empty());
    federation.signal("agent-ishikari-1-n-01", Signal::SIGKILL).unwrap();
    let killed = Instant::now();
    assert!(!running("31337.25").unwrap().is_empty(), "the watchdog looks after it");
    federation
        .until("the job's processes to be gone", || {
            ensure!(running("31337.25")?.is_empty(), "still there");
            Ok(())
        })
        .unwrap();
    // Three GPUs fit on that node only: the job waits until the lease is over, and says so.
    federation.await_job(&job, &["queued"]).unwrap();
    let lease = Duration::from_secs(15);
    assert!(killed.elapsed() > lease, "given back after {:?}", killed.elapsed());
    let node = federation.read("kanto", &["node", "get", "ishikari-1/n-01"]).unwrap();
    assert_eq!(node["state"], "lost");
}

/// ADR 11: a new start of the agent ends no job. What ran goes on in the same process and the same placement, and its quota
/// and its place stay taken; the next agent tells of its end. Then once more with agent and watchdog gone: nothing of it goes on,
/// and it begins anew.
#[test]
fn a_restarted_agent_finds_its_jobs_as_they_were() {
    let (_dir, federation) = federation(27_240);
    let script = "trap 'exit 5' TERM; sleep 31338.75 & wait";
    let job = submit(&federation, "kept", &spec("kept", 1, 3, "Hokkaido", script)).unwrap();
    let before = federation.await_job(&job, &["running"]).unwrap();
    let process = running("31338.75").unwrap();
    let mut agents = Vec::new();
    for how in [Signal::SIGKILL, Signal::SIGTERM] {
        match agents.last_mut() {
            None => federation.signal("agent-ishikari-1-n-01", how).unwrap(),
            Some(agent) => end(agent, how),
        }
        agents.push(federation.start_agent("ishikari-1", "n-01").unwrap());
        // Another lease: what is said of it now is said by the new agent.
        let read = || federation.read("kanto", &["node", "get", "ishikari-1/n-01"]).unwrap();
        let told = agents.len();
        federation
            .until("the new agent to hold a lease", || {
                let log = std::fs::read_to_string(
                    federation.dir().join("logs/agent-ishikari-1-n-01.log"),
                )?;
                ensure!(log.matches("opening a session").count() > told, "no session yet");
                ensure!(read()["state"] == "ready", "{}", read()["state"]);
                Ok(())
            })
            .unwrap();
        assert_eq!(running("31338.75").unwrap(), process, "{how}");
        let after = federation.await_job(&job, &["running"]).unwrap();
        assert_eq!(nodes(&after), nodes(&before));
    }
    // Longer than the lease of the first agent: it is the new one's that holds now.
    let lease = Instant::now();
    while lease.elapsed() < Duration::from_secs(21) {
        assert_eq!(running("31338.75").unwrap(), process);
        std::thread::sleep(Duration::from_millis(500)); // waits: for the lease of before to be over
    }
    federation.run("sapporo", &["job", "cancel", &job]).unwrap().ok().unwrap();
    federation.await_job(&job, &["cancelled"]).unwrap();
    assert!(running("31338.75").unwrap().is_empty());

    let script = "exec sleep 31339.75";
    let job = submit(&federation, "left", &spec("left", 1, 3, "Hokkaido", script)).unwrap();
    federation.await_job(&job, &["running"]).unwrap();
    federation.signal("watchdog-ishikari-1-n-01", Signal::SIGKILL).unwrap();
    end(agents.last_mut().unwrap(), Signal::SIGKILL);
    federation
        .until("nothing of it to go on", || {
            ensure!(running("31339.75")?.is_empty(), "still there");
            Ok(())
        })
        .unwrap();
    let mut agent = federation.start_agent("ishikari-1", "n-01").unwrap();
    federation
        .until("it to run elsewhere, or there anew", || {
            let told = federation.await_job(&job, &["running"])?;
            ensure!(told["attempts"] == 2, "{told}");
            Ok(())
        })
        .unwrap();
    end(&mut agent, Signal::SIGINT);
    assert!(running("31339.75").unwrap().is_empty(), "stopped before the agent ended");
}

fn end(agent: &mut std::process::Child, how: Signal) {
    kill(Pid::from_raw(agent.id().try_into().unwrap()), how).unwrap();
    agent.wait().unwrap();
}

/// Takes a member's checkpoint key away (or gives it back) and starts it again. Its TLS key stays.
fn with_key(federation: &mut Federation, operator: &str, member: u64, present: bool) {
    let key = federation
        .dir()
        .join("operators")
        .join(operator)
        .join(format!("members/{member}/checkpoint.key"));
    let aside = key.with_extension("aside");
    let (from, to) = if present { (aside, key) } else { (key, aside) };
    std::fs::rename(from, to).unwrap();
    federation.signal(&format!("controller-{member}"), Signal::SIGKILL).unwrap();
    federation.revive(member).unwrap();
    federation.whole().unwrap();
}

fn missing(federation: &Federation) -> Result<Vec<String>> {
    let status = federation.read("kanto", &["status"])?;
    Ok(rows(&status, "missing_signers")
        .iter()
        .filter_map(|s| s.as_str())
        .map(str::to_owned)
        .collect())
}

/// D4: without k operators' signatures writes go on and nothing starts, and status names who is missing.
#[test]
fn without_enough_signers_nothing_starts() {
    let (_dir, mut federation) = federation(27_230);
    with_key(&mut federation, "kanto", 1, false);
    let job = submit(&federation, "two", &spec("two", 1, 1, "Hokkaido", "true")).unwrap();
    federation.await_job(&job, &["succeeded"]).unwrap();
    federation
        .until("status to name kanto", || {
            let missing = missing(&federation)?;
            ensure!(missing.iter().any(|m| m.contains("kanto")), "{missing:?}");
            Ok(())
        })
        .unwrap();
    with_key(&mut federation, "naniwa", 2, false);
    let job = submit(&federation, "one", &spec("one", 1, 1, "Hokkaido", "true")).unwrap();
    federation.await_job(&job, &["placed"]).unwrap();
    federation
        .until("status to name both", || {
            let missing = missing(&federation)?;
            ensure!(
                ["kanto", "naniwa"].iter().all(|o| missing.iter().any(|m| m.contains(o))),
                "{missing:?}"
            );
            Ok(())
        })
        .unwrap();
    // Ticks go on; had one signature been enough, one of them would have started it.
    let ticks =
        |f: &Federation| f.read("kanto", &["status"]).unwrap()["revision"].as_u64().unwrap();
    let before = ticks(&federation);
    federation
        .until("several checkpoints to pass", || {
            ensure!(ticks(&federation) >= before + 3);
            Ok(())
        })
        .unwrap();
    let still = federation.read("sapporo", &["job", "status", &job]).unwrap();
    assert_eq!(still["phase"], "placed", "one operator's signature started it");
    with_key(&mut federation, "naniwa", 2, true);
    federation.await_job(&job, &["succeeded"]).unwrap();
}
