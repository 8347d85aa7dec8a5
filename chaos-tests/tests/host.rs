//! A host that does not answer for its jobs any more: what its lease binds is dead by the lease's end plus G (P4), and no
//! device has two holders meanwhile (P1).
#![expect(clippy::unwrap_used, reason = "helpers of tests: a broken set-up should fail loudly")]

use anyhow::ensure;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sekisho_agent_runtime::device::tracer;
use sekisho_chaos::ceremony::says;
use sekisho_chaos::federation::Federation;
use sekisho_chaos::host::diary::Diary;
use sekisho_chaos::host::scene::{BOUND_TO, Stage, some_orders};
use sekisho_chaos::host::{self, settle};
use sekisho_chaos::work::{nodes, not_run, running, spec, submit};
use std::collections::BTreeSet;

const PORT_BASE: u16 = 27_470;
/// Twenty, for a federation behind relays.
const STAGE_PORTS: u16 = 27_860;
/// What the watchdog says when it has killed.
const OUTLIVED: &str = "it had outlived its lease";

/// The init that watches the job with this marker.
fn init_of(marker: &str) -> Pid {
    let job = running(marker).unwrap().into_iter().next().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{job}/status")).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    Pid::from_raw(parent.trim().parse().unwrap())
}

/// The agent stands still with its connections open, and so does the init of one of its two jobs: the one ends by its own
/// shim, the other by the watchdog, and when the agent goes on both are placed again.
#[test]
fn a_frozen_hosts_jobs_end_with_their_lease() {
    let dir = tempfile::tempdir().unwrap();
    let federation = Federation::start(dir.path(), PORT_BASE).unwrap();
    let markers = ["41414.25", "41414.75"];
    let jobs = ["alone", "watched"].map(|name| {
        let script = format!("exec sleep {}", markers[usize::from(name == "watched")]);
        submit(&federation, name, &spec(name, 1, 1, "Hokkaido", &script)).unwrap()
    });
    let placed = jobs.each_ref().map(|job| {
        let job = federation.await_job(job, &["running"]).unwrap();
        let node = nodes(&job).first().unwrap().clone();
        node.trim_start_matches("sites/").replace("/nodes/", "-")
    });
    let init = init_of(markers[1]);
    let agents: BTreeSet<_> = placed.iter().collect();
    for agent in &agents {
        federation.signal(&format!("agent-{agent}"), Signal::SIGSTOP).unwrap();
    }
    kill(init, Signal::SIGSTOP).unwrap();
    federation
        .until("both jobs' processes to be gone", || {
            let left: Vec<_> = markers.iter().flat_map(|marker| running(marker).unwrap()).collect();
            ensure!(left.is_empty(), "{left:?}");
            Ok(())
        })
        .unwrap();
    // The one by the watchdog, the other by its own shim.
    says(&federation, &format!("watchdog-{}", placed[1]), OUTLIVED).unwrap();
    let logs = agents.iter().map(|agent| format!("logs/watchdog-{agent}.log"));
    let said: String =
        logs.map(|log| std::fs::read_to_string(federation.dir().join(log)).unwrap()).collect();
    let killed = said.lines().filter(|line| line.contains(OUTLIVED));
    let killed: BTreeSet<_> = killed.filter_map(|line| line.split("placement=").nth(1)).collect();
    assert_eq!(killed.len(), 1, "{killed:?}");
    for agent in &agents {
        federation.signal(&format!("agent-{agent}"), Signal::SIGCONT).unwrap();
    }
    for job in &jobs {
        federation.await_job(job, &["running"]).unwrap();
        federation.run("sapporo", &["job", "cancel", job]).unwrap().ok().unwrap();
        federation.await_job(job, &["cancelled"]).unwrap();
    }
    for agent in placed {
        let (site, name) = agent.split_at(agent.rfind("-n-").unwrap());
        let devices = federation.dir().join("agents").join(site).join(&name[1..]).join("devices");
        assert_eq!(tracer::check(&devices).unwrap(), [], "{}", devices.display());
    }
}

/// Agent, watchdog and both shims die in different orders (each dies first, second, third and last in some), a host stands
/// still for longer than its lease while another one's ledger is damaged and a third one's disk is full, and leaders die
/// while a job starts and stops. All that while every process is watched: one holder of a device (P1), one instance of a
/// job (P7), nothing that outlives its lease (P4); and in the end nothing runs and nothing is charged (Q2).
#[test]
fn whatever_dies_or_stands_still_no_device_has_two_holders() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("federation");
    std::fs::create_dir(&own).unwrap();
    let diary = Diary::at(&dir.path().join("diary")).unwrap();
    let (mut fleet, partition) = host::federation(&own, STAGE_PORTS).unwrap();
    let stage = Stage { fleet: &fleet, partition: &partition, diary: &diary };
    let some = some_orders();
    let [first, _, third] = BOUND_TO;
    stage.die(&some).unwrap();
    let has_disk = fleet.disk(third.0).is_some();
    if !has_disk {
        not_run("a full disk: this user may not mount").unwrap();
    }
    let meanwhile = || {
        if has_disk {
            stage.full(third)?;
            stage.hoard(third)?;
        }
        stage.damaged(3)
    };
    stage.stand_still(meanwhile).unwrap();
    stage.leaderless(first).unwrap();
    fleet
        .federation
        .until("nothing to run and nothing to be charged", || settle::idle(&fleet))
        .unwrap();
    fleet.unwatch().unwrap();
    let judge = fleet.board.judge.lock();
    let told = std::fs::read_to_string(dir.path().join("diary")).unwrap();
    assert_eq!(judge.violations, Vec::<String>::new(), "{told}");
    assert!(judge.started.len() > some.len() && judge.longest().is_some(), "{told}");
    for host in &fleet.hosts {
        assert_eq!(tracer::check(&host.devices).unwrap(), [], "{}", host.node);
    }
}
