//! The leader dies in the middle of work.

use super::Narrator;
use crate::federation::Federation;
use crate::work::{lost, spec, submit, write};
use anyhow::{Result, ensure};
use nix::sys::signal::Signal;

/// Writes acknowledged before the kill.
const WRITES: usize = 12;

pub(super) fn killed(federation: &mut Federation, narrator: &mut Narrator) -> Result<()> {
    let runs = submit(federation, "survivor", &spec("survivor", 1, 1, "", "sleep 300"))?;
    federation.await_job(&runs, &["running"])?;
    let mut acknowledged = Vec::new();
    for n in 0..WRITES {
        acknowledged.push(write(federation, &format!("write-{n}"))?);
    }
    let leader = federation.leader()?;
    federation.signal(&format!("controller-{leader}"), Signal::SIGKILL)?;
    let next = federation.leader()?;
    ensure!(next != leader, "member {leader} still leads");
    let lost = lost(federation, &acknowledged)?;
    ensure!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    federation.await_job(&runs, &["running"])?;
    federation.revive(leader)?;
    federation.run("sapporo", &["job", "cancel", &runs])?.ok()?;
    federation.await_job(&runs, &["cancelled"])?;
    narrator.step(
        "the leader was killed with -9: nothing acknowledged was lost, the running job never noticed",
        &format!("member {leader} died, member {next} leads, {WRITES} of {WRITES} writes are there"),
    )
}
