//! The leader dies in the middle of work.

use super::Narrator;
use super::places::{spec, submit};
use crate::federation::{Federation, rows};
use anyhow::{Result, ensure};
use nix::sys::signal::Signal;

/// Writes acknowledged before the kill.
const WRITES: usize = 12;

pub(super) fn killed(federation: &mut Federation, narrator: &mut Narrator) -> Result<()> {
    let runs = submit(federation, "survivor", &spec("survivor", 1, 1, "", "sleep 300"))?;
    federation.await_job(&runs, &["running"])?;
    let mut acknowledged = Vec::new();
    for n in 0..WRITES {
        let name = format!("write-{n}");
        acknowledged.push(submit(federation, &name, &spec(&name, 1, 1, "JP-47", "true"))?);
    }
    let leader = federation.leader()?;
    federation.signal(&format!("controller-{leader}"), Signal::SIGKILL)?;
    let next = federation.leader()?;
    ensure!(next != leader, "member {leader} still leads");
    let jobs = federation.read("sapporo", &["job", "list"])?;
    let names: Vec<String> =
        rows(&jobs, "items").iter().filter_map(|j| j["name"].as_str()).map(str::to_owned).collect();
    for job in &acknowledged {
        let name = job.trim_start_matches("sapporo/");
        ensure!(
            names.iter().any(|n| n.ends_with(&format!("/{name}"))),
            "{job} was acknowledged and is lost"
        );
    }
    federation.await_job(&runs, &["running"])?;
    federation.revive(leader)?;
    federation.run("sapporo", &["job", "cancel", &runs])?.ok()?;
    federation.await_job(&runs, &["cancelled"])?;
    narrator.step(
        "the leader was killed with -9: nothing acknowledged was lost, the running job never noticed",
        &format!("member {leader} died, member {next} leads, {WRITES} of {WRITES} writes are there"),
    )
}
