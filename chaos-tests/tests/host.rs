//! A host that does not answer for its jobs any more: what its lease binds is dead by the lease's end plus G (P4), and no
//! device has two holders meanwhile (P1).
#![expect(clippy::unwrap_used, reason = "helpers of tests: a broken set-up should fail loudly")]

use anyhow::ensure;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sekisho_agent_runtime::device::tracer;
use sekisho_chaos::ceremony::says;
use sekisho_chaos::federation::Federation;
use sekisho_chaos::work::{nodes, running, spec, submit};
use std::collections::BTreeSet;

const PORT_BASE: u16 = 27_470;
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
